/* Why this file exists: `worker run`, `call` and `list` as users have them, on one node: what goes in and comes out,
 * what is bounded, and that nothing of a command survives its run. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/harness/cluster.h"

enum { ENDED_MS = 20000, BOMB_PIDS_MAX = 256 };

static struct {
	struct harness_cluster cluster;
	char dir[HARNESS_PATH_MAX], bomb[HARNESS_PATH_MAX], pids[HARNESS_PATH_MAX + 8];
} lab;

static void start(struct harness_process *worker, const char *label, const char *const *more)
{
	const char *argv[32] = {"fts-cli", "worker", "run", label, "--endpoints", lab.cluster.endpoints};
	size_t count = 6;
	while (*more != NULL && count < 31)
		argv[count++] = *more++;
	harness_process_start(worker, lab.dir, label, argv);
	uint64_t until_ns = fts_clock_monotonic_ns() + ENDED_MS * UINT64_C(1000000);
	for (bool offered = false; !offered;) {
		char *text = harness_process_stdout(worker);
		offered = strstr(text, "offered") != NULL;
		free(text);
		if (!offered && fts_clock_monotonic_ns() > until_ns) fail_msg("%s", harness_process_stderr(worker));
		if (!offered) (void)poll(NULL, 0, 10);
	}
}
#define START(worker, label, ...) start(worker, label, (const char *const[]){__VA_ARGS__, NULL})

/* text: owned. */
static void check_contains(char *text, const char *part)
{
	if (strstr(text, part) == NULL) fail_msg("\"%s\" is not in: %s", part, text);
	free(text);
}

static void check_is(char *text, const char *wanted)
{
	assert_string_equal(text, wanted);
	free(text);
}

static int call(const char *name, const char *data, char **out_text, char **out_error)
{
	const char *argv[] = {
	    "fts-cli", "worker", "call", name, "-d", data, "--wait", "20s", "--endpoints", lab.cluster.endpoints, NULL};
	return harness_run(argv, 60000, out_text, out_error);
}

static void what_goes_in_comes_out(void **state)
{
	struct harness_process worker = {0};
	char *text, *error;
	(void)state;
	START(&worker, "echo", "--", "sh", "-c", "cat; echo aside >&2");
	assert_int_equal(call("echo", "hello", &text, NULL), 0);
	check_is(text, "hello");
	assert_int_equal(call("echo", "", &text, NULL), 0);
	check_is(text, "");
	assert_int_equal(call("nobody", "", NULL, &error), 1);
	check_contains(error, "nobody offers nobody");
	harness_process_signal(&worker, SIGTERM);
	assert_true(harness_process_wait(&worker, ENDED_MS));
	assert_int_equal(worker.exit_code, 0);
	check_contains(harness_process_stderr(&worker), "]: aside\n");
	check_contains(harness_process_stdout(&worker), "left echo");
}

static void exit_codes_are_kept(void **state)
{
	struct harness_process worker = {0};
	char *text;
	(void)state;
	START(&worker, "exit", "--", "sh", "-c", "exit $(cat)");
	const char *argv[] = {
	    "fts-cli", "worker", "call", "exit", "-d", "3", "--json", "--endpoints", lab.cluster.endpoints, NULL};
	assert_int_equal(harness_run(argv, 60000, &text, NULL), 1);
	check_contains(text, "\"exit\":3");
	assert_int_equal(call("exit", "0", NULL, NULL), 0);
	harness_process_kill(&worker);
}

static void output_is_bounded(void **state)
{
	struct harness_process worker = {0};
	char *error;
	(void)state;
	START(&worker, "yes", "--", "yes");
	assert_int_equal(call("yes", "", NULL, &error), 1);
	check_contains(error, "more than 1048576 bytes");
	harness_process_kill(&worker);
}

/* Of the pids in the file, how many are there. */
static size_t alive_count(size_t *out_count)
{
	size_t size_bytes, alive = 0;
	char *text = harness_file_read(lab.pids, &size_bytes), *at = text;
	*out_count = 0;
	while (text != NULL && *at != 0) {
		long pid = strtol(at, &at, 10);
		while (*at == '\n')
			at++;
		++*out_count;
		alive += kill((pid_t)pid, 0) == 0 || errno != ESRCH;
	}
	free(text);
	return alive;
}

static void wait_none_alive(size_t least)
{
	uint64_t until_ns = fts_clock_monotonic_ns() + ENDED_MS * UINT64_C(1000000);
	size_t count, alive;
	while ((alive = alive_count(&count)) > 0 && fts_clock_monotonic_ns() < until_ns)
		(void)poll(NULL, 0, 10);
	if (alive > 0) fail_msg("%zu of %zu processes survived", alive, count);
	assert_true(count >= least);
	(void)remove(lab.pids);
}

static void wait_bombs(size_t least)
{
	uint64_t until_ns = fts_clock_monotonic_ns() + ENDED_MS * UINT64_C(1000000);
	size_t count;
	while (alive_count(&count) < least && fts_clock_monotonic_ns() < until_ns)
		(void)poll(NULL, 0, 10);
	assert_true(count >= least);
}

static void nothing_survives_its_run(void **state)
{
	struct harness_process worker = {0};
	char *text, *error;
	(void)state;
	START(&worker, "bomb", "--", lab.bomb, lab.pids, "0.2"); /* it ends, its children do not */
	assert_int_equal(call("bomb", "", &text, NULL), 1);
	check_is(text, "boom\n");
	size_t count;
	assert_int_equal(alive_count(&count), 0); /* at once: its end is told when nothing is left */
	wait_none_alive(9);
	harness_process_kill(&worker);
	START(&worker, "long", "--max-run", "700ms", "--", lab.bomb, lab.pids, "100"); /* its longest run */
	assert_int_equal(call("long", "", NULL, &error), 5);
	check_contains(error, "longest of 700 ms");
	assert_int_equal(alive_count(&count), 0);
	wait_none_alive(1);
	harness_process_kill(&worker);
}

static void nothing_survives_its_worker(void **state)
{
	struct harness_process worker = {0}, caller = {0};
	const char *argv[] = {"fts-cli", "worker", "call", "killed", "--json", "--endpoints", lab.cluster.endpoints,
			      NULL};
	(void)state;
	START(&worker, "killed", "--", lab.bomb, lab.pids, "100");
	harness_process_start(&caller, lab.dir, "caller", argv);
	wait_bombs(5);
	harness_process_kill(&worker);
	wait_none_alive(5);
	assert_true(harness_process_wait(&caller, ENDED_MS)); /* told once the worker's lease has ended */
	assert_int_equal(caller.exit_code, 4);
	check_contains(harness_process_stdout(&caller), "\"executed\":\"UNKNOWN\"");
}

static void a_stopped_worker_is_given_up(void **state)
{
	struct harness_process worker = {0}, caller = {0};
	char *text;
	const char *argv[] = {"fts-cli", "worker", "call", "stopped", "--json", "--endpoints", lab.cluster.endpoints,
			      NULL};
	(void)state;
	START(&worker, "stopped", "--lease", "1s", "--", "sh", "-c", "sleep 100");
	harness_process_start(&caller, lab.dir, "caller2", argv);
	(void)poll(NULL, 0, 300);
	harness_process_signal(&worker, SIGSTOP);
	assert_true(harness_process_wait(&caller, ENDED_MS));
	check_contains(harness_process_stdout(&caller), "\"executed\":\"UNKNOWN\"");
	harness_process_signal(&worker, SIGCONT);
	harness_process_kill(&worker);
	const char *list[] = {"fts-cli", "worker", "list", "--json", "--endpoints", lab.cluster.endpoints, NULL};
	assert_int_equal(harness_run(list, 20000, &text, NULL), 0);
	check_contains(text, "{\"workers\":[");
}

static void wrong_usage_is_told(void **state)
{
	static const struct {
		const char *args[8];
		const char *told;
	} cases[] = {
	    {{"worker", "run", "x"}, "COMMAND"},
	    {{"worker", "run", "x", "--", "/nonexistent/program"}, "no such command"},
	    {{"worker", "run", "x", "--lease", "10ms", "--", "cat"}, "--lease"},
	    {{"worker", "run", "x", "--listen", "0.0.0.0:0", "--", "cat"}, "--insecure"},
	    {{"worker", "run", "x", "--listen", "127.example.org:0", "--", "cat"}, "--insecure"},
	    {{"worker", "call"}, "NAME"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *argv[12] = {"fts-cli", "--endpoints", lab.cluster.endpoints};
		char *error;
		for (size_t k = 0; k < 8 && cases[i].args[k] != NULL; k++)
			argv[3 + k] = cases[i].args[k];
		assert_int_equal(harness_run(argv, 20000, NULL, &error), 2);
		check_contains(error, cases[i].told);
	}
}

static void the_examples_work(void **state)
{
	struct harness_process worker = {0};
	const char *worker_argv[] = {"time_worker", lab.cluster.endpoints, NULL};
	const char *ask_argv[] = {"ask_time", lab.cluster.endpoints, NULL};
	char *text;
	(void)state;
	harness_process_start(&worker, lab.dir, "time", worker_argv);
	assert_true(harness_process_wait_stderr(&worker, "time at ", 0, ENDED_MS));
	assert_int_equal(harness_run(ask_argv, 20000, &text, NULL), 0);
	check_contains(text, " says 2");
	harness_process_signal(&worker, SIGTERM);
	assert_true(harness_process_wait(&worker, ENDED_MS));
	assert_int_equal(worker.exit_code, 0);
}

static int begin(void **state)
{
	(void)state;
	harness_directory_make(lab.dir);
	harness_program_path("work_bomb", lab.bomb);
	(void)snprintf(lab.pids, sizeof lab.pids, "%s/pids", lab.dir);
	harness_cluster_init(&lab.cluster, 1);
	harness_cluster_start(&lab.cluster);
	return 0;
}

static int end(void **state)
{
	(void)state;
	harness_cluster_fini(&lab.cluster);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out),      cmocka_unit_test(exit_codes_are_kept),
	    cmocka_unit_test(output_is_bounded),           cmocka_unit_test(nothing_survives_its_run),
	    cmocka_unit_test(nothing_survives_its_worker), cmocka_unit_test(a_stopped_worker_is_given_up),
	    cmocka_unit_test(wrong_usage_is_told),         cmocka_unit_test(the_examples_work),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
