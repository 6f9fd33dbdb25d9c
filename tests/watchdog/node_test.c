/* Why this file exists: three real nodes under fts-watchdog, hurt in every way that it is there for, and in those that
 * it must leave alone: killed, stopped, a loop, a handler and a disk that hang while pings are answered, a loop that is
 * slow and moves, and a stuck node that the cluster can't do without. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/watchdog/world.h"

static struct world world;

static void hang(const char *what, const char *duration, const char *node)
{
	char words[160];
	snprintf(words, sizeof(words), "debug hang %s --for %s --endpoints %s", what, duration, node);
	world_await_cli(&world, words, 0);
}

static void await_all_well(void)
{
	world_await_cli(&world, "health", 0);
}

static void await_ready(const char *node)
{
	world_await(&world, node, "ready", "", NULL);
}

static int start_nodes(void **state)
{
	(void)state;
	world_init(&world);
	world_configure_nodes(&world, 3);
	world_start(&world);
	for (int i = 0; i < 3; i++) /* in whatever order */
		world_await(&world, "", "ready", "", NULL);
	await_all_well();
	return 0;
}

static int end_nodes(void **state)
{
	(void)state;
	world_end(&world);
	return 0;
}

static void killed(void **state)
{
	char line[512];
	(void)state;
	assert_int_equal(kill(world_pid(&world, "n1"), SIGKILL), 0);
	world_await(&world, "n1", "ended", "exit", line);
	assert_non_null(strstr(line, "signal 9"));
	await_ready("n1");
	await_all_well();
}

static void silent(void **state)
{
	(void)state;
	assert_int_equal(kill(world_pid(&world, "n2"), SIGSTOP), 0);
	world_await(&world, "n2", "stuck", "silent", NULL);
	world_await(&world, "n2", "killed", "silent", NULL);
	await_ready("n2");
	await_all_well();
}

/* What no ping shows: it answers them all the while. */
static void a_loop_that_hangs(void **state)
{
	char line[512], *text;
	size_t size;
	(void)state;
	hang("loop", "10m", world.nodes[2]);
	assert_int_equal(world_cli(&world, "call fts.health.v1.Health/Ping -d '{}'", NULL), 0);
	world_await(&world, "n3", "stuck", "stalled", line);
	assert_non_null(strstr(line, "fts-loop has not moved"));
	world_await(&world, "n3", "killed", "stalled", line);
	await_ready("n3");
	await_all_well();
	/* What it was doing is kept. */
	char *path = strstr(line, "detail=") + strlen("detail=");
	text = harness_file_read(path, &size);
	assert_non_null(text);
	assert_non_null(strstr(text, "stalled: fts-loop"));
	assert_non_null(strstr(text, "event=debug.fault"));
	assert_non_null(strstr(text, "comm: fts-replica"));
	free(text);
}

static void a_handler_that_never_ends(void **state)
{
	char line[512];
	(void)state;
	hang("handler", "10m", world.nodes[0]);
	world_await(&world, "n1", "stuck", "overrun", line);
	assert_non_null(strstr(line, "fts.debug.v1.Debug/Cause has been running"));
	await_ready("n1");
	await_all_well();
}

static void a_disk_that_hangs(void **state)
{
	char line[512];
	(void)state;
	hang("disk", "10m", world.nodes[1]);
	world_await(&world, "n2", "stuck", "stalled", line);
	assert_non_null(strstr(line, "fts-append has not moved"));
	await_ready("n2");
	await_all_well();
}

/* Twice the patience: slow is not stuck. */
static void slow_and_moving_is_left_alone(void **state)
{
	size_t before = world_count(&world, "n3", "stuck");
	pid_t pid = world_pid(&world, "n3");
	(void)state;
	hang("slow-loop", "2500ms", world.nodes[2]);
	for (struct harness_wait wait = harness_wait_ms(2600); harness_wait_more(&wait);)
		assert_int_equal(world_pid(&world, "n3"), pid);
	assert_int_equal(world_count(&world, "n3", "stuck"), before);
	await_all_well();
}

/* n1 stops and stays away: of the two others none may be ended for a handler that hangs, since its loop still counts
 * for the majority; once n1 is back, it is. */
static void never_below_the_quorum(void **state)
{
	char *out;
	(void)state;
	assert_int_equal(world_cli(&world, "watchdog stop n1", NULL), 0);
	world_await(&world, "n1", "stopped", "", NULL);
	pid_t pid = world_pid(&world, "n2");
	hang("handler", "10m", world.nodes[1]);
	world_await(&world, "n2", "held", "overrun", NULL);
	world_await_cli(&world, "watchdog status", 1);
	assert_int_equal(world_cli(&world, "--json watchdog status", &out), 1);
	assert_non_null(strstr(out, "of 3 voters are alive"));
	free(out);
	assert_int_equal(world_pid(&world, "n2"), pid);
	assert_int_equal(world_cli(&world, "watchdog start n1", NULL), 0);
	world_await(&world, "n2", "killed", "overrun", NULL);
	await_ready("n2");
	await_all_well();
}

/* Two hang at once: neither adds to a majority, so they do not wait for each other. */
static void two_at_once(void **state)
{
	(void)state;
	hang("loop", "10m", world.nodes[0]);
	hang("loop", "10m", world.nodes[1]);
	await_ready("");
	await_ready("");
	await_all_well();
}

static void the_watchdog_itself_is_killed(void **state)
{
	pid_t pids[3] = {world_pid(&world, "n1"), world_pid(&world, "n2"), world_pid(&world, "n3")};
	(void)state;
	harness_process_kill(&world.watchdog);
	world_start(&world);
	for (int i = 0; i < 3; i++)
		world_await(&world, "", "adopted", "", NULL);
	await_all_well();
	assert_int_equal(world_pid(&world, "n1"), pids[0]);
	assert_int_equal(world_pid(&world, "n2"), pids[1]);
	assert_int_equal(world_pid(&world, "n3"), pids[2]);
	/* No child of it, and silent before it could ask for the first time: the one before it had heard it. */
	harness_process_kill(&world.watchdog);
	assert_int_equal(kill(pids[2], SIGSTOP), 0);
	world_start(&world);
	world_await(&world, "n3", "adopted", "", NULL);
	world_await(&world, "n3", "stuck", "silent", NULL);
	world_await(&world, "n3", "killed", "silent", NULL);
	await_ready("n3");
	await_all_well();
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed),
	    cmocka_unit_test(silent),
	    cmocka_unit_test(a_loop_that_hangs),
	    cmocka_unit_test(a_handler_that_never_ends),
	    cmocka_unit_test(a_disk_that_hangs),
	    cmocka_unit_test(slow_and_moving_is_left_alone),
	    cmocka_unit_test(never_below_the_quorum),
	    cmocka_unit_test(two_at_once),
	    cmocka_unit_test(the_watchdog_itself_is_killed),
	};
	return cmocka_run_group_tests(tests, start_nodes, end_nodes);
}
