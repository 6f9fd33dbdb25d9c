/* Why this file exists: what a node has acknowledged it keeps: over SIGTERM and kill -9 under load, over a process that
 * was stopped for a while, and over a disk that is full. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fcntl.h>

#include <cmocka.h>

#include "tests/e2e/cli.h"
#include "tests/e2e/load.h"
#include "tests/harness/clock.h"

#define LIMIT_S 280

static struct load load;

static void open_draw(const struct harness_node *node)
{
	cli_do(node, "lottery", "open", "d", "--agencies", "1", "--number", "7574", NULL);
}

static void sigterm_under_load(void **state)
{
	struct harness_node node;
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	open_draw(&node);
	load_start(&load, &node, "d");
	load_wait(&load, 500, 20000);
	assert_int_equal(harness_node_stop(&node), 0);
	load_stop(&load);
	assert_true(load_stored(&load, NULL) >= 400);
	harness_node_start(&node);
	load_check(&load, &node);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

/* The callers go on over five kills: each call is tried again by the stub, and is run once. */
static void kills_under_load(void **state)
{
	struct harness_node node;
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	open_draw(&node);
	load_start(&load, &node, "d");
	for (uint32_t i = 1; i <= 5; i++) {
		load_wait(&load, i * 300, 20000);
		harness_node_kill(&node);
		harness_node_start(&node);
	}
	load_wait(&load, 1800, 20000);
	load_stop(&load);
	load_check(&load, &node);
	harness_node_kill(&node);
	harness_node_start(&node);
	load_check(&load, &node);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

static void a_stopped_process_goes_on(void **state)
{
	struct harness_node node;
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	open_draw(&node);
	load_start(&load, &node, "d");
	load_wait(&load, 200, 20000);
	harness_process_signal(&node.process, SIGSTOP);
	const char *argv[] = {"fts-cli", "--endpoints", node.endpoint, "--timeout", "1s", "status", NULL};
	assert_int_equal(harness_run(argv, 10000, NULL, NULL), 5);
	harness_process_signal(&node.process, SIGCONT);
	load_wait(&load, 1000, 20000);
	load_stop(&load);
	load_check(&load, &node);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

/* A second signal ends it at once, and what was acknowledged is there. */
static void two_signals(void **state)
{
	struct harness_node node;
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	open_draw(&node);
	load_start(&load, &node, "d");
	load_wait(&load, 300, 20000);
	harness_process_signal(&node.process, SIGTERM);
	harness_process_signal(&node.process, SIGTERM);
	harness_process_signal(&node.process, SIGINT);
	assert_true(harness_process_wait(&node.process, 20000));
	assert_true(node.process.exit_code == 0 || node.process.exit_code == 1);
	load_stop(&load);
	harness_node_start(&node);
	load_check(&load, &node);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

/* Who waits for winners is told to go elsewhere; the end does not wait for the draw. */
static void waiters_do_not_keep_it(void **state)
{
	struct harness_node node;
	struct harness_process waiter = {0};
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	open_draw(&node);
	const char *argv[] = {"fts-cli", "--endpoints", node.endpoint, "lottery", "winners",
			      "d",       "--agency",    "1",           NULL};
	harness_process_start(&waiter, node.root, "waiter", argv);
	for (struct harness_wait wait = harness_wait_ms(10000);;) {
		char *text = cli_read(&node, "--json", "call", "fts.health.v1.Health/Check", "-d", "{}", NULL);
		bool waits = strstr(text, "\"queue\":1") != NULL || strstr(text, "\"queue\": 1") != NULL;
		free(text);
		if (waits) break;
		if (!harness_wait_more(&wait)) fail_msg("nobody waits for the winners");
	}
	uint64_t start_ns = harness_now_ns();
	assert_int_equal(harness_node_stop(&node), 0);
	assert_true(harness_now_ns() - start_ns < 5000000000u);
	harness_node_start(&node);
	agencies_close(&node, "d", 1);
	assert_true(harness_process_wait(&waiter, 30000)); /* it went on asking, and has its answer */
	assert_int_equal(waiter.exit_code, 0);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

/* ---- A full disk ---- */

static char mounted[HARNESS_PATH_MAX + 16];

/* Also when the test fails in between: a directory with a mount in it can't be removed. */
static void unmount(void)
{
	if (mounted[0] != '\0') (void)umount2(mounted, MNT_DETACH);
	mounted[0] = '\0';
}

/* A tmpfs at path, seen by this process and its children only. False: not allowed here. */
static bool small_disk(const char *path)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("tmpfs", path, "tmpfs", 0, "size=160m") != 0) return false;
	snprintf(mounted, sizeof(mounted), "%s", path);
	return atexit(unmount) == 0;
}

/* Take what is left, but for left_bytes. */
static void fill_disk(const char *file, const char *disk, uint64_t left_bytes)
{
	struct statvfs about;
	assert_int_equal(statvfs(disk, &about), 0);
	uint64_t free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
	assert_true(free_bytes > left_bytes);
	int file_fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file_fd >= 0);
	assert_int_equal(posix_fallocate(file_fd, 0, (off_t)(free_bytes - left_bytes)), 0);
	close(file_fd);
}

static int bet(const struct harness_node *node, char **out_err)
{
	struct cli_result result =
	    cli_run(node, "--timeout", "1s", "lottery", "bet", "d", "--agency", "1", "--first-name", "A", "--last-name",
		    "B", "--document", "999999", "--birthdate", "1999-03-17", "--number", "1", NULL);
	free(result.out);
	*out_err = result.err;
	return result.exit_code;
}

static void wait_for_bet(const struct harness_node *node, bool stored)
{
	for (struct harness_wait wait = harness_wait_ms(20000);;) {
		char *err;
		int code = bet(node, &err);
		bool as_wanted = stored ? code == 0 : code != 0;
		if (as_wanted && !stored) assert_non_null(strstr(err, "RESOURCE_EXHAUSTED"));
		free(err);
		if (as_wanted) return;
		if (!harness_wait_more(&wait))
			fail_msg("%s", stored ? "bets are refused 20 s after there is space"
					      : "bets are stored on a full disk");
	}
}

static void a_full_disk_refuses_writes_only(void **state)
{
	struct harness_node node;
	char disk[HARNESS_PATH_MAX + 16], file[HARNESS_PATH_MAX + 32];
	(void)state;
	harness_node_init(&node);
	snprintf(disk, sizeof(disk), "%s/disk", node.root);
	snprintf(file, sizeof(file), "%s/other", disk);
	if (!small_disk(disk)) skip();
	snprintf(node.data, sizeof(node.data), "%.480s/disk/data", node.root);
	harness_node_start(&node);
	open_draw(&node);
	wait_for_bet(&node, true);
	fill_disk(file, disk, 8u * 1024 * 1024);
	wait_for_bet(&node, false);
	cli_do(&node, "lottery", "status", "d", NULL);
	struct cli_result health = cli_run(&node, "--json", "health", "--wait", "4s", NULL);
	assert_int_equal(health.exit_code, 1); /* unhealthy */
	assert_non_null(strstr(health.out, "DEGRADED"));
	cli_free(&health);
	harness_node_kill(&node); /* it can be started with a full disk, and still reads */
	harness_node_start(&node);
	cli_do(&node, "lottery", "status", "d", NULL);
	wait_for_bet(&node, false);
	assert_int_equal(unlink(file), 0);
	wait_for_bet(&node, true);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
	unmount();
	harness_directory_remove(node.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sigterm_under_load),        cmocka_unit_test(kills_under_load),
	    cmocka_unit_test(a_stopped_process_goes_on), cmocka_unit_test(two_signals),
	    cmocka_unit_test(waiters_do_not_keep_it),    cmocka_unit_test(a_full_disk_refuses_writes_only),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
