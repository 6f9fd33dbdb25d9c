/* Why this file exists: a wrong configuration is refused with the name of the field, and what is remembered is read
 * again as it was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/directory.h"
#include "watchdog/config.h"
#include "watchdog/memory.h"

static char directory[HARNESS_PATH_MAX];
static struct ftsi_watch_config config;

static enum fts_status read_text(const char *text, struct fts_error *out_error)
{
	char path[HARNESS_PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/config.json", directory);
	harness_file_write(path, text);
	ftsi_watch_config_fini(&config);
	ftsi_watch_config_init(&config);
	enum fts_status status = ftsi_watch_config_read(&config, path, out_error);
	return status == FTS_OK ? ftsi_watch_config_complete(&config, out_error) : status;
}

static void errors_name_the_field(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
	    {"{", "line 1"},
	    {"[]", "expected a JSON object"},
	    {"{}", "processes: expected a list of 1 to 32 processes"},
	    {"{\"processes\":[]}", "processes: expected"},
	    {"{\"processes\":[7]}", "processes[0]: expected an object"},
	    {"{\"processes\":[{\"name\":\"a\"}]}", "processes[0].command: expected a list of texts: it is missing"},
	    {"{\"processes\":[{\"command\":[\"x\"]}]}", "processes[0].name: expected a name: it is missing"},
	    {"{\"processes\":[{\"name\":\"a/b\",\"command\":[\"x\"]}]}", "processes[0].name: expected 1 to 63 of"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[]}]}", "processes[0].command: expected"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\",1]}]}", "processes[0].command: expected"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\"],\"health\":\"yes\"}]}",
	     "processes[0].health: expected one of \"auto\" \"required\" \"off\""},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\"],\"stall_ms\":1}]}",
	     "processes[0].stall_ms: expected a number from 50"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\"],\"environment\":{\"A\":1}}]}",
	     "processes[0].environment: expected an object of texts"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\"],\"strands\":{\"loop\":1}}]}",
	     "processes[0].strands: expected"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\"],\"nmae\":\"b\"}]}",
	     "processes[0].nmae: expected no such field"},
	    {"{\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]},{\"name\":\"a\",\"command\":[\"x\"]}]}",
	     "processes[1].name: expected another name"},
	    {"{\"interval_ms\":\"1\",\"processes\":[]}", "interval_ms: expected a number from 10"},
	    {"{\"intervall\":1,\"processes\":[]}", "intervall: expected no such field"},
	    {"{\"listen\":\"0.0.0.0:7390\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]}]}",
	     "listen: 0.0.0.0:7390 is no loopback"},
	    {"{\"listen\":\"127.example.org:7390\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]}]}",
	     "listen: 127.example.org:7390 is no loopback"},
	    {"{\"cluster\":\"bad\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]}]}", "cluster: endpoint \"bad\""},
	    {"{\"listen\":\"127.0.0.1\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]}]}", "listen: endpoint"},
	    {"{\"listen\":\"off\",\"cluster\":\"127.0.0.1:7400\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"],"
	     "\"member\":\"n1\"}]}",
	     "listen: off: the cluster can't be asked"},
	    {"{\"listen\":\"127.0.0.1:1,127.0.0.1:2\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]}]}",
	     "listen: expected one HOST:PORT"},
	    {"{\"interval_ms\":100,\"interval_ms\":200,\"processes\":[]}", "duplicate"},
	};
	struct fts_error error;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error.detail[0] = '\0';
		assert_int_not_equal(read_text(cases[i].text, &error), FTS_OK);
		if (strstr(error.detail, cases[i].part) == NULL) fail_msg("%s: %s", cases[i].text, error.detail);
	}
	assert_int_equal(ftsi_watch_config_read(&config, "/nowhere/at/all", &error), FTS_NOT_FOUND);
}

static void limits_are_for_all_and_for_one(void **state)
{
	struct fts_error error;
	(void)state;
	assert_int_equal(
	    read_text(
		"{\"stall_ms\":700,\"cluster\":\"127.0.0.1:1\",\"processes\":[{\"name\":\"a\",\"command\":[\"x\"]},"
		"{\"name\":\"b\",\"command\":[\"y\",\"z\"],\"stall_ms\":900,\"member\":\"n1\",\"restart\":\"never\","
		"\"environment\":{\"K\":\"V\"},\"strands\":{\"fts-append\":1500}}]}",
		&error),
	    FTS_OK);
	assert_int_equal(config.process_count, 2);
	assert_int_equal(config.processes[0].limits.stall_ms, 700);
	assert_int_equal(config.processes[1].limits.stall_ms, 900);
	assert_int_equal(config.processes[1].limits.strands[0].stall_ms, 1500);
	assert_int_equal(config.processes[1].restart, FTSI_WATCH_RESTART_NEVER);
	assert_string_equal(config.processes[1].environment[0], "K=V");
	assert_string_equal(config.processes[1].argv[1], "z");
	assert_null(config.processes[1].argv[2]);
	assert_true(config.state[0] == '/'); /* processes run elsewhere */
}

static void memory_is_read_as_it_was_written(void **state)
{
	static struct ftsi_memory memory, again;
	int lock_fd, second_fd;
	struct fts_error error;
	(void)state;
	memory.action_index = 77;
	memory.count = 1;
	memory.processes[0] = (struct ftsi_memory_process){.name = "n1",
							   .pid = 4242,
							   .start_ticks = 123456789012,
							   .started_ms = 1700000000000,
							   .wanted = true,
							   .answered = true,
							   .speaks = INT64_MAX,
							   .restarts = 3,
							   .backoff_ms = 400,
							   .restart_times_ms = {1, 2, 3},
							   .restart_time_count = 3,
							   .last_reason = "stalled"};
	assert_int_equal(ftsi_memory_claim(directory, &lock_fd, &error), FTS_OK);
	assert_int_equal(ftsi_memory_claim(directory, &second_fd, &error), FTS_ALREADY_EXISTS);
	ftsi_memory_recall(directory, &again);
	assert_int_equal(again.count, 0);
	assert_true(ftsi_memory_keep(directory, &memory));
	ftsi_memory_recall(directory, &again);
	const struct ftsi_memory_process *known = ftsi_memory_find(&again, "n1");
	assert_non_null(known);
	assert_null(ftsi_memory_find(&again, "n2"));
	assert_int_equal(again.action_index, 77);
	assert_int_equal(known->pid, 4242);
	assert_int_equal(known->start_ticks, 123456789012);
	assert_int_equal(known->restart_times_ms[2], 3);
	assert_true(known->wanted && known->answered && !known->quarantined);
	assert_int_equal(known->speaks, INT64_MAX);
	assert_string_equal(known->last_reason, "stalled");
	close(lock_fd);
}

static void a_damaged_memory_is_an_empty_one(void **state)
{
	static struct ftsi_memory memory;
	char path[HARNESS_PATH_MAX + 16];
	(void)state;
	snprintf(path, sizeof(path), "%s/state.json", directory);
	harness_file_write(path, "{\"version\":1,\"processes\":[{\"name\":\"n1\"");
	ftsi_memory_recall(directory, &memory);
	assert_int_equal(memory.count, 0);
	harness_file_write(
	    path, "{\"version\":1,\"boot\":\"another\",\"processes\":[{\"name\":\"n1\",\"pid\":1,\"wanted\":true}]}");
	ftsi_memory_recall(directory, &memory);
	assert_int_equal(memory.count, 1);
	assert_int_equal(memory.processes[0].pid, 0); /* of another boot of the machine */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_name_the_field),
	    cmocka_unit_test(limits_are_for_all_and_for_one),
	    cmocka_unit_test(memory_is_read_as_it_was_written),
	    cmocka_unit_test(a_damaged_memory_is_an_empty_one),
	};
	harness_directory_make(directory);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	ftsi_watch_config_fini(&config);
	return failed;
}
