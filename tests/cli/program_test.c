/* Why this file exists: fts-cli as scripts see it: exit code, standard output, standard error, for every command,
 * against a lottery in memory and against nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "tests/cli/fake_lottery.h"
#include "tests/harness/clock.h"
#include "tests/harness/ports.h"
#include "tests/harness/process.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RUN_MS 30000u
#define ARGS_MAX 32

/* What one run said. */
struct said {
	int code;
	char *out;
	char *err;
};

static void said_free(struct said *said)
{
	free(said->out);
	free(said->err);
}

/* line: words separated by '|', in front of them --endpoints 127.0.0.1:PORT unless port is 0. */
static struct said run(uint16_t port, const char *line)
{
	char endpoints[64], copy[1024];
	const char *argv[ARGS_MAX] = {"fts-cli"};
	size_t argc = 1;
	struct said said;

	snprintf(endpoints, sizeof(endpoints), "--endpoints=127.0.0.1:%u", port);
	if (port) argv[argc++] = endpoints;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *at = copy; at && *line && argc < ARGS_MAX - 1;) {
		argv[argc++] = at;
		at = strchr(at, '|');
		if (at) *at++ = '\0';
	}
	said.code = harness_run(argv, RUN_MS, &said.out, &said.err);
	return said;
}

static void expect(uint16_t port, const char *line, int code, const char *out, const char *err)
{
	struct said said = run(port, line);

	if (said.code != code || (out && !strstr(said.out, out)) || (err && !strstr(said.err, err)))
		fail_msg("%s\n  exit %d, not %d\n  stdout: %s\n  stderr: %s", line, said.code, code, said.out,
			 said.err);
	said_free(&said);
}

/* Exactly one JSON object, and nothing else, on standard output. Returned (json_decref). */
static json_t *run_json(uint16_t port, const char *line, int code)
{
	struct said said = run(port, line);
	json_t *json = json_loads(said.out, 0, NULL);
	size_t length = strlen(said.out);

	if (said.code != code || !json || length == 0 || strchr(said.out, '\n') != said.out + length - 1)
		fail_msg("%s\n  exit %d, not %d\n  stdout: %s\n  stderr: %s", line, said.code, code, said.out,
			 said.err);
	said_free(&said);
	return json;
}

static void check_json(uint16_t port, const char *line, int code, const char *expected)
{
	json_t *json = run_json(port, line, code);
	json_t *wanted = json_loads(expected, 0, NULL);
	char *text = json_dumps(json, JSON_COMPACT);

	assert_non_null(wanted);
	if (!json_equal(json, wanted)) fail_msg("%s\n  says     %s\n  expected %s", line, text, expected);
	free(text);
	json_decref(json);
	json_decref(wanted);
}

/* ---- without a server ---- */

static void test_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < ftsi_command_count; i++) {
		char line[128], *at = line;
		snprintf(line, sizeof(line), "%s|--help", ftsi_commands[i].name);
		while ((at = strchr(at, ' ')))
			*at = '|';
		struct said said = run(0, line);
		assert_int_equal(said.code, 0);
		assert_string_equal(said.err, "");
		assert_non_null(strstr(said.out, ftsi_commands[i].example));
		assert_non_null(strstr(said.out, "Flags of every command:"));
		said_free(&said);
	}
	expect(0, "--help", 0, "lottery generate", NULL);
	expect(0, "lottery|--help", 0, "lottery winners", NULL);
	expect(0, "kv|database|--help", 0, "kv database create", NULL);
	expect(0, "help|lottery|import", 0, "--patience", NULL);
	expect(0, "--version", 0, "fts-cli 0.", NULL);
}

static void test_wrong_usage(void **state)
{
	static const struct {
		const char *line;
		const char *err;
	} cases[] = {
	    {"", "which command?"},
	    {"stauts", "did you mean \"status\"?"},
	    {"watchdgo", "did you mean \"watchdog\"?"},
	    {"tlss|init", "did you mean \"tls init\"?"},
	    {"kv|database", "kv database needs a command: see fts-cli kv database --help"},
	    {"\xff", "unknown command"},
	    {"kv|got|k", "unknown command \"kv got\": did you mean \"kv get\"?"},
	    {"status|--jsno", "did you mean --json?"},
	    {"lottery|open|d", "--agencies"},
	    {"status|--endpoints|nonsense", "nonsense"},
	    {"status|--token-file|/nowhere/token", "/nowhere/token"},
	    {"status|--tls-ca|/nowhere/ca.pem|--tls-cert|/nowhere/c|--tls-key|/nowhere/k", "/nowhere/"},
	    {"call|no.slash|-d|{}", "names no method"},
	    {"lottery|import|d|/nowhere/f.csv|--agency|1", "/nowhere/f.csv"},
	    {"lottery|import|d|/|--agency|1", "is a directory"},
	    {"lottery|import|d|-|--agency|1", "--import-id"},
	    {"lottery|export|d|--out|/nowhere/x", "/nowhere/x"},
	    {"lottery|generate|/nowhere/dir", "/nowhere/dir"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect(0, cases[i].line, 2, NULL, cases[i].err);
	check_json(
	    0, "stauts|--json", 2,
	    "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"unknown command \\\"stauts\\\": did you mean "
	    "\\\"status\\\"?\",\"executed\":\"NO\"}}");
}

/* Every command that calls somebody ends with 4, well within its time limit. */
static void test_nobody_there(void **state)
{
	static const char *const lines[] = {
	    "status",
	    "health",
	    "member|list",
	    "member|add|n4|127.0.0.1:7430",
	    "member|remove|n4",
	    "member|replace|n3|n4|127.0.0.1:7430",
	    "member|lead|n2",
	    "list",
	    "describe|a.B",
	    "call|a.B/C",
	    "events",
	    "lottery|open|d|--agencies|1",
	    "lottery|bet|d|--agency|1|--first-name|A|--last-name|B|--document|1|--birthdate|1999-03-17|--number|1",
	    "lottery|close|d|--agency|1",
	    "lottery|winners|d|--agency|1",
	    "lottery|status|d",
	    "lottery|list",
	    "kv|set|k|v",
	    "kv|get|k",
	    "kv|delete|k",
	    "kv|keys",
	    "kv|dump",
	    "kv|where|k",
	    "kv|verify",
	    "kv|accept-loss|--all",
	    "kv|move|1|n1",
	    "kv|database|create|7|--linearizable",
	};
	uint16_t port = harness_ports_reserve();

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		char line[256];
		uint64_t begin_ns = harness_now_ns();
		snprintf(line, sizeof(line), "--timeout=4s|%s", lines[i]);
		expect(port, line, 4, NULL, "127.0.0.1");
		if (harness_now_ns() - begin_ns > UINT64_C(9000000000)) fail_msg("%s took too long", lines[i]);
	}
	json_t *json = run_json(port, "--json|status", 4);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")), "UNAVAILABLE");
	json_decref(json);
	json = run_json(port, "--json|health", 4);
	assert_int_equal(json_array_size(json_object_get(json, "missing")), 1);
	json_decref(json);
}

/* ---- with one ---- */

static void test_cluster(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	uint16_t port = fake_lottery_port(fake);
	char wanted[256];

	(void)state;
	snprintf(wanted, sizeof(wanted),
		 "{\"leader\":\"n1\",\"term\":3,\"index\":812,\"nodes\":[{\"name\":\"n1\",\"address\":\"127.0.0.1:%u\","
		 "\"role\":\"leader\",\"alive\":true,\"applied\":812,\"digest_ok\":true}]}",
		 port);
	check_json(port, "status|--json", 0, wanted);
	expect(port, "status", 0, "leader n1", NULL);
	expect(port, "status|--explain", 0, "leader n1", "attempts=1 node=fake");
	check_json(port, "health|--json", 0,
		   "{\"answered\":[{\"name\":\"n1\",\"kind\":\"unknown\",\"state\":\"READY\",\"progress\":5,\"oldest_"
		   "call_ms\":0,"
		   "\"queue\":0,"
		   "\"reasons\":[]}],\"missing\":[],\"took_ms\":41}");
	fake_lottery_lose_node(fake);
	expect(port, "health", 3, "n2", NULL);
	expect(port, "health", 3, "?[2Jgone; ?\n", NULL); /* nobody's words steer the terminal */
	json_t *json = run_json(port, "health|--json", 3);
	json_t *reasons = json_object_get(json_array_get(json_object_get(json, "answered"), 0), "reasons");
	assert_string_equal(json_string_value(json_array_get(reasons, 0)), "\x1b[2Jgone");
	assert_string_equal(json_string_value(json_array_get(reasons, 1)), "?");
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "missing"), 0)), "n2");
	json_decref(json);
	fake_lottery_stop(fake);
}

static void test_reflection(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	uint16_t port = fake_lottery_port(fake);
	char directory[HARNESS_PATH_MAX], path[HARNESS_PATH_MAX + 8], line[HARNESS_PATH_MAX + 128];

	(void)state;
	expect(port, "list", 0, "fts.lottery.v1.Lottery\n", NULL);
	expect(port, "list|--json", 0, "\"fts.lottery.v1.Lottery\"", NULL);
	expect(port, "describe|fts.lottery.v1.Lottery", 0, "StoreBatch", NULL);
	expect(port, "describe|fts.lottery.v1.Bet|--json", 0, "\"birthdate\"", NULL);
	expect(port, "describe|no.Such", 1, "", "NOT_FOUND");
	expect(port, "call|fts.lottery.v1.Lottery/Status|-d|{\"draw\":\"d\"}", 0, "\"state\": \"OPEN\"", NULL);
	expect(port, "call|fts.lottery.v1.Lottery/Status|-d|{\"draw\":\"x\"}", 1, "", "no draw is called 'x'");
	expect(port, "call|fts.lottery.v1.Lottery/Status|-d|{\"drow\":\"x\"}", 2, "", "drow");
	expect(port, "call|fts.lottery.v1.Lottery/Status|-d|{", 2, "", NULL);
	expect(port, "call|fts.lottery.v1.Lottery/Nope", 1, "", "NOT_FOUND");
	expect(port, "call|fts.lottery.v1.Lottery/List|--json", 0, "{\"draws\":[{", NULL);
	harness_directory_make(directory);
	snprintf(path, sizeof(path), "%s/q.json", directory);
	harness_file_write(path, "{\"draw\":\"d\"}\n");
	snprintf(line, sizeof(line), "call|fts.lottery.v1.Lottery/Status|-d|@%s", path);
	expect(port, line, 0, "\"draw\": \"d\"", NULL);
	json_t *json = run_json(port, "--json|call|fts.lottery.v1.Lottery/Status|-d|{\"draw\":\"x\"}", 1);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "message")),
			    "no draw is called 'x'");
	json_decref(json);
	fake_lottery_stop(fake);
}

static void test_lottery(void **state)
{
	static const char bet[] = "lottery|bet|d|--agency|1|--first-name|Ada|--last-name|Byron|--document|30904465|"
				  "--birthdate|1999-03-17|--json|--number|";
	struct fake_lottery *fake = fake_lottery_start();
	uint16_t port = fake_lottery_port(fake);
	char line[512];

	(void)state;
	check_json(port, "lottery|open|d|--agencies|3|--number|7574|--json", 0,
		   "{\"draw\":\"d\",\"state\":\"OPEN\",\"existed\":true}");
	expect(port, "lottery|open|d|--agencies|4|--number|7574", 1, "", "ALREADY_EXISTS");
	snprintf(line, sizeof(line), "%s7574", bet);
	check_json(port, line, 0, "{\"ticket\":1}");
	snprintf(line, sizeof(line), "%s10000", bet);
	json_t *json = run_json(port, line, 1);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")),
			    "INVALID_ARGUMENT");
	json_decref(json);
	expect(port, "lottery|winners|d|--agency|1|--no-wait", 1, "", "FAILED_PRECONDITION");
	expect(port, "lottery|winners|d|--agency|1|--timeout|300ms", 5, "", "DEADLINE_EXCEEDED");
	expect(port, "lottery|winners|x|--agency|1", 1, "", "NOT_FOUND");
	check_json(port, "lottery|close|d|--agency|1|--json", 0,
		   "{\"draw\":\"d\",\"agency\":1,\"state\":\"OPEN\",\"agencies_open\":2}");
	check_json(port, "lottery|list|--json", 0,
		   "{\"draws\":[{\"draw\":\"d\",\"state\":\"OPEN\",\"bets\":1,\"agencies\":3,\"agencies_closed\":0}]}");
	check_json(
	    port, "lottery|status|d|--json", 0,
	    "{\"draw\":\"d\",\"state\":\"OPEN\",\"bets\":1,\"agencies\":[{\"agency\":1,\"bets\":1,\"closed\":true},"
	    "{\"agency\":2,\"bets\":0,\"closed\":false},{\"agency\":3,\"bets\":0,\"closed\":false}],\"root\":\"\","
	    "\"chain\":\"\",\"fixed\":false}");
	fake_lottery_draw(fake);
	check_json(port, "lottery|winners|d|--agency|1|--json", 0,
		   "{\"draw\":\"d\",\"number\":7574,\"winners\":[\"30904465\"]}");
	expect(port, "lottery|winners|d|--agency|1", 0, "30904465\n", NULL);
	expect(port, "lottery|status|d", 0, "root   ab01", NULL);
	fake_lottery_stop(fake);
}

/* Winners asked before the draw come once it is drawn, also when the server was away in between. */
static void test_winners_wait(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char endpoints[64], directory[HARNESS_PATH_MAX];
	struct harness_process waiting = {0};
	const char *argv[] = {"fts-cli", "--endpoints", endpoints, "lottery", "winners",
			      "d",       "--agency",    "1",       "--json",  NULL};

	(void)state;
	snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", fake_lottery_port(fake));
	harness_directory_make(directory);
	harness_process_start(&waiting, directory, "winners", argv);
	assert_false(harness_process_wait(&waiting, 300));
	fake_lottery_kill(fake);
	assert_false(harness_process_wait(&waiting, 300));
	fake_lottery_revive(fake);
	fake_lottery_draw(fake);
	assert_true(harness_process_wait(&waiting, RUN_MS));
	assert_int_equal(waiting.exit_code, 0);
	char *out = harness_process_stdout(&waiting);
	assert_string_equal(out, "{\"draw\":\"d\",\"number\":7574,\"winners\":[]}\n");
	free(out);
	fake_lottery_stop(fake);
}

static void test_export(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char directory[HARNESS_PATH_MAX], path[HARNESS_PATH_MAX + 16], line[HARNESS_PATH_MAX + 64];
	size_t size_bytes;

	(void)state;
	harness_directory_make(directory);
	snprintf(path, sizeof(path), "%s/d.draw", directory);
	snprintf(line, sizeof(line), "lottery|export|d|--out|%s", path);
	expect(fake_lottery_port(fake), line, 0, "3 records", NULL);
	char *text = harness_file_read(path, &size_bytes);
	assert_string_equal(text, "{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"d\"}}\n"
				  "{\"index\":\"100\",\"kind\":\"CHAIN_BETS\"}\n"
				  "{\"index\":\"101\",\"kind\":\"CHAIN_BETS\"}\n"
				  "{\"index\":\"102\",\"kind\":\"CHAIN_BETS\"}\n");
	free(text);
	/* A failure leaves what was there, and nothing beside it. */
	snprintf(line, sizeof(line), "lottery|export|x|--out|%s", path);
	expect(fake_lottery_port(fake), line, 1, "", "NOT_FOUND");
	text = harness_file_read(path, &size_bytes);
	assert_non_null(text);
	free(text);
	snprintf(path, sizeof(path), "%s/d.draw.tmp", directory);
	assert_null(harness_file_read(path, &size_bytes));
	fake_lottery_stop(fake);
}

/* What is no file is not replaced by one, and a link stays a link. */
static void test_files_that_are_none(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char directory[HARNESS_PATH_MAX], path[HARNESS_PATH_MAX + 16], target[HARNESS_PATH_MAX + 16],
	    line[HARNESS_PATH_MAX + 64];
	size_t size_bytes;
	struct stat about;

	(void)state;
	harness_directory_make(directory);
	snprintf(path, sizeof(path), "%s/pipe", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(line, sizeof(line), "lottery|export|d|--out|%s", path);
	expect(fake_lottery_port(fake), line, 2, "", "not a regular file");
	assert_int_equal(lstat(path, &about), 0);
	assert_true(S_ISFIFO(about.st_mode));
	snprintf(line, sizeof(line), "lottery|export|d|--out|%s", directory);
	expect(fake_lottery_port(fake), line, 2, "", "Is a directory");
	snprintf(target, sizeof(target), "%s/target", directory);
	snprintf(path, sizeof(path), "%s/link", directory);
	FILE *file = fopen(target, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(symlink("target", path), 0);
	snprintf(line, sizeof(line), "lottery|export|d|--out|%s", path);
	expect(fake_lottery_port(fake), line, 0, "3 records", NULL);
	assert_int_equal(lstat(path, &about), 0);
	assert_true(S_ISLNK(about.st_mode));
	char *text = harness_file_read(target, &size_bytes);
	assert_non_null(strstr(text, "CHAIN_BETS"));
	free(text);
	fake_lottery_stop(fake);
}

/* ---- events ---- */

#define EVENT(index)                                                                                                   \
	"{\"index\":" index                                                                                            \
	",\"topic\":\"lottery.draw\",\"event\":{\"draw\":\"d\",\"state\":\"OPEN\",\"bets\":\"" index                   \
	"\",\"agencyClosed\":0,\"root\":\"\",\"number\":0}"

static void test_events_of_the_past(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	uint16_t port = fake_lottery_port(fake);

	(void)state;
	fake_lottery_publish(fake, 5);
	fake_lottery_publish(fake, 7);
	fake_lottery_publish(fake, 8);
	expect(port, "events|lottery.draw|--from|1|--count|2", 0, EVENT("5") "}\n" EVENT("7") "}\n", NULL);
	expect(port, "events|--from|8|--count|1", 0, EVENT("8") "}\n", NULL);
	expect(port, "events|--from|0|--timeout|500ms", 5, EVENT("5") "}\n" EVENT("7") "}\n" EVENT("8") "}\n", NULL);
	fake_lottery_forget(fake, 7);
	expect(port, "events|--from|5|--count|1", 0, EVENT("7") ",\"lost\":2}\n", "no longer kept");
	fake_lottery_stop(fake);
}

/* Without --from: only what happens from now on. Ended by Ctrl-C, which is how it is meant. */
static void test_events_as_they_happen(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char endpoints[64], directory[HARNESS_PATH_MAX];
	struct harness_process watching = {0};
	const char *argv[] = {"fts-cli", "--endpoints", endpoints, "events", NULL};
	uint64_t index = 10;

	(void)state;
	snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", fake_lottery_port(fake));
	harness_directory_make(directory);
	fake_lottery_publish(fake, 9);
	harness_process_start(&watching, directory, "events", argv);
	char *out = harness_process_stdout(&watching);
	for (struct harness_wait w = harness_wait_ms(RUN_MS); strlen(out) == 0;) {
		assert_true(harness_wait_more(&w));
		if (index < 60) fake_lottery_publish(fake, index++);
		free(out);
		out = harness_process_stdout(&watching);
	}
	assert_null(strstr(out, "\"index\":9,"));
	assert_non_null(strstr(out, "\"topic\":\"lottery.draw\""));
	free(out);
	harness_process_signal(&watching, SIGINT);
	assert_true(harness_process_wait(&watching, RUN_MS));
	assert_int_equal(watching.exit_code, 0);
	fake_lottery_stop(fake);
}

/* ---- import ---- */

struct import_fixture {
	struct fake_lottery *fake;
	char directory[HARNESS_PATH_MAX];
	char path[HARNESS_PATH_MAX + 16];
};

static struct import_fixture import_set_up(const char *text)
{
	struct import_fixture f = {.fake = fake_lottery_start()};

	harness_directory_make(f.directory);
	snprintf(f.path, sizeof(f.path), "%s/f.csv", f.directory);
	harness_file_write(f.path, text);
	return f;
}

static const char faulty_file[] = "\xef\xbb\xbf"
				  "nombre,apellido,documento,nacimiento,numero\r\n"
				  "Ada,Byron,1,1999-03-17,7574\r\n"
				  "\r\n"
				  "Ada,\"Byron, née \"\"Gordon\"\"\",2,1999-03-17,1\r\n"
				  "three,columns,only\r\n"
				  "Ada,Byron,3,1999-03-17,many\r\n"
				  "Ada,Byron,4,1999-03-17,10000\r\n"
				  "Ada,By\"ron,5,1999-03-17,5\r\n"
				  "Ada,Byr\xffon,6,1999-03-17,6\r\n"
				  "\"two\nlines\",Byron,7,1999-03-17,7\r\n"
				  "Ada,Byron,8,1999-03-17,-8\r\n"
				  "Ada,Byron,9,1999-03-17,9";

static void test_import_of_a_faulty_file(void **state)
{
	static const char errors_expected[] =
	    "line,reason,row\n"
	    "5,\"3 columns, not 5 (first,last,document,birthdate,number)\",\"three,columns,only\"\n"
	    "6,\"number: \"\"many\"\" is not a whole number\",\"Ada,Byron,3,1999-03-17,many\"\n";
	struct import_fixture f = import_set_up(faulty_file);
	char line[3 * HARNESS_PATH_MAX], errors[HARNESS_PATH_MAX + 16];
	size_t size_bytes;

	(void)state;
	snprintf(errors, sizeof(errors), "%s/errors.csv", f.directory);
	snprintf(line, sizeof(line), "lottery|import|d|--agency|1|%s|--errors|%s|--json", f.path, errors);
	check_json(fake_lottery_port(f.fake), line, 3, "{\"rows\":10,\"stored\":4,\"already\":0,\"refused\":6}");
	char *text = harness_file_read(errors, &size_bytes);
	if (strncmp(text, errors_expected, strlen(errors_expected)) != 0) fail_msg("%s", text);
	assert_non_null(strstr(text, "\n7,number: above 9999,\"Ada,Byron,4,1999-03-17,10000\"\n"));
	assert_non_null(strstr(text, "\n8,a quote inside a field"));
	assert_non_null(strstr(text, "\n9,not UTF-8,"));
	assert_non_null(strstr(text, "\n12,\"number: \"\"-8\"\" is not a whole number\","));
	free(text);
	/* Again: nothing is stored twice, the faults are the same. */
	check_json(fake_lottery_port(f.fake), line, 3, "{\"rows\":10,\"stored\":0,\"already\":4,\"refused\":6}");
	expect(fake_lottery_port(f.fake), "lottery|status|d|--json", 0, "\"bets\":4", NULL);
	snprintf(line, sizeof(line), "lottery|import|d|--agency|1|%s", f.path);
	expect(fake_lottery_port(f.fake), line, 3, "10 rows, 0 stored, 4 already, 6 refused",
	       "line 7: number: above 9999");
	fake_lottery_stop(f.fake);
}

/* The rows that are read and the rows that are refused lie in two files: the first would be cut before it is read. */
static void test_errors_into_the_input(void **state)
{
	struct import_fixture f = import_set_up(faulty_file);
	char line[3 * HARNESS_PATH_MAX];
	size_t size_bytes;

	(void)state;
	snprintf(line, sizeof(line), "lottery|import|d|--agency|1|%s|--errors|%s", f.path, f.path);
	expect(fake_lottery_port(f.fake), line, 2, "", "File exists");
	snprintf(line, sizeof(line), "kv|load|%s|--errors|%s", f.path, f.path);
	expect(fake_lottery_port(f.fake), line, 2, "", "File exists");
	char *text = harness_file_read(f.path, &size_bytes);
	assert_string_equal(text, faulty_file);
	free(text);
	fake_lottery_stop(f.fake);
}

static void test_import_refused_as_a_whole(void **state)
{
	struct import_fixture f = import_set_up("Ada,Byron,1,1999-03-17,7574\n");
	char line[2 * HARNESS_PATH_MAX];

	(void)state;
	snprintf(line, sizeof(line), "lottery|import|x|--agency|1|%s", f.path);
	expect(fake_lottery_port(f.fake), line, 1, "", "NOT_FOUND");
	snprintf(line, sizeof(line), "lottery|import|d|--agency|1|%s|--json|--timeout|500ms", f.path);
	uint16_t port = fake_lottery_port(f.fake);
	fake_lottery_kill(f.fake);
	json_t *json = run_json(port, line, 4);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")), "UNAVAILABLE");
	assert_int_equal(json_integer_value(json_object_get(json, "stored")), 0);
	json_decref(json);
	fake_lottery_stop(f.fake);
}

static void test_empty_and_header_only(void **state)
{
	static const char *const texts[] = {"", "\r\n\r\n", "first,last,document,birthdate,number\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct import_fixture f = import_set_up(texts[i]);
		char line[2 * HARNESS_PATH_MAX];
		snprintf(line, sizeof(line), "lottery|import|d|--agency|1|%s|--json", f.path);
		check_json(fake_lottery_port(f.fake), line, 0, "{\"rows\":0,\"stored\":0,\"already\":0,\"refused\":0}");
		fake_lottery_stop(f.fake);
	}
}

static void start_import(struct import_fixture *f, struct harness_process *process, const char *label, const char *file)
{
	char endpoints[64];
	const char *argv[] = {"fts-cli", "--endpoints", endpoints, "lottery", "import", "d", "--agency",
			      "1",       file,          "--batch", "10",      "--json", NULL};

	*process = (struct harness_process){0};
	snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", fake_lottery_port(f->fake));
	harness_process_start(process, f->directory, label, argv);
}

static void wait_for_bets(struct import_fixture *f, uint32_t count)
{
	for (struct harness_wait w = harness_wait_ms(RUN_MS); fake_lottery_bet_count(f->fake) < count;)
		if (!harness_wait_more(&w)) fail_msg("stuck at %u bets", fake_lottery_bet_count(f->fake));
}

/* A generated file, the importer killed and interrupted in the middle, the server killed too: every row once, in
 * order. */
static void test_import_over_deaths(void **state)
{
	struct import_fixture f = import_set_up("");
	char line[2 * HARNESS_PATH_MAX], file[HARNESS_PATH_MAX + 32];
	struct harness_process import;

	(void)state;
	snprintf(line, sizeof(line), "lottery|generate|%s/bets|--agencies|2|--rows|4000|--seed|9", f.directory);
	expect(0, line, 0, "agency-2.csv", NULL);
	snprintf(file, sizeof(file), "%s/bets/agency-1.csv", f.directory);

	start_import(&f, &import, "killed", file);
	wait_for_bets(&f, 100);
	harness_process_kill(&import);
	fake_lottery_kill(f.fake); /* so that nothing of the dead one's is still on the way */
	fake_lottery_revive(f.fake);

	fake_lottery_hold(f.fake, true);
	start_import(&f, &import, "interrupted", file);
	for (struct harness_wait w = harness_wait_ms(RUN_MS); fake_lottery_held(f.fake) == 0;)
		assert_true(harness_wait_more(&w));
	harness_process_signal(&import, SIGINT);
	assert_false(harness_process_wait(&import, 100)); /* it waits for what is in flight */
	fake_lottery_hold(f.fake, false);
	fake_lottery_release(f.fake);
	assert_true(harness_process_wait(&import, RUN_MS));
	assert_int_equal(import.exit_code, 3);
	char *out = harness_process_stdout(&import), *err = harness_process_stderr(&import);
	assert_non_null(strstr(out, "\"interrupted\":true"));
	assert_non_null(strstr(err, "the same command goes on from there"));
	free(out);
	free(err);

	start_import(&f, &import, "over_restart", file);
	fake_lottery_kill(f.fake);
	fake_lottery_revive(f.fake);
	assert_true(harness_process_wait(&import, RUN_MS));
	assert_int_equal(import.exit_code, 0);

	size_t size_bytes;
	char *text = harness_file_read(file, &size_bytes), *rest = NULL;
	uint32_t row = 0;
	for (char *at = strtok_r(text, "\r\n", &rest); at; at = strtok_r(NULL, "\r\n", &rest), row++) {
		struct fake_bet bet = fake_lottery_bet(f.fake, row);
		if (!strstr(at, bet.document))
			fail_msg("bet %u has document %s, the file says %s", row, bet.document, at);
	}
	assert_int_equal(fake_lottery_bet_count(f.fake), row);
	free(text);
	fake_lottery_stop(f.fake);
}

static void test_generate_is_the_same(void **state)
{
	char directory[HARNESS_PATH_MAX], line[2 * HARNESS_PATH_MAX], path[HARNESS_PATH_MAX + 32];

	(void)state;
	harness_directory_make(directory);
	for (int i = 1; i <= 3; i++) {
		snprintf(line, sizeof(line), "lottery|generate|%s/%d|--agencies|3|--rows|1000|--seed|%d|--json",
			 directory, i, i == 3 ? 6 : 5);
		json_t *json = run_json(0, line, 0);
		assert_int_equal(json_integer_value(json_object_get(json, "rows")), 1000);
		assert_true(json_integer_value(json_object_get(json, "winners")) >= 3);
		json_decref(json);
	}
	for (int agency = 1; agency <= 3; agency++) {
		char *text[4];
		size_t size_bytes;
		for (int i = 1; i <= 3; i++) {
			snprintf(path, sizeof(path), "%s/%d/agency-%d.csv", directory, i, agency);
			text[i] = harness_file_read(path, &size_bytes);
			assert_non_null(text[i]);
		}
		assert_string_equal(text[1], text[2]);
		assert_string_not_equal(text[1], text[3]);
		for (int i = 1; i <= 3; i++)
			free(text[i]);
	}
}

/* ---- the ends of streams ---- */

/* A word that is no UTF-8 is told all the same, in JSON too. */
static void test_words_that_are_no_text(void **state)
{
	(void)state;
	json_t *json = run_json(0, "\xff|--json", 2);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "message")),
			    "unknown command \"?\": see fts-cli --help");
	json_decref(json);
}

static void test_closed_stdout(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char command[HARNESS_PATH_MAX + 128], program[HARNESS_PATH_MAX];
	char *out, *err;

	(void)state;
	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "%s --endpoints 127.0.0.1:%u status >/dev/full", program,
		 fake_lottery_port(fake));
	const char *full[] = {"/bin/sh", "-c", command, NULL};
	assert_int_equal(harness_run(full, RUN_MS, &out, &err), 1);
	assert_non_null(strstr(err, "cannot write to standard output"));
	free(out);
	free(err);
	/* A watcher whose reader goes away ends by itself, and quietly. */
	snprintf(command, sizeof(command),
		 "%s --endpoints 127.0.0.1:%u --json health --watch --interval 10ms | head -n 2", program,
		 fake_lottery_port(fake));
	const char *head[] = {"/bin/sh", "-c", command, NULL};
	assert_int_equal(harness_run(head, RUN_MS, &out, &err), 0);
	assert_string_equal(err, "");
	free(out);
	free(err);
	fake_lottery_stop(fake);
}

static void test_watch_ends_with_a_signal(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char endpoints[64], directory[HARNESS_PATH_MAX];
	struct harness_process watching = {0};
	const char *argv[] = {"fts-cli", "--endpoints", endpoints, "health", "--watch",
			      "--json",  "--interval",  "10ms",    NULL};

	(void)state;
	snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", fake_lottery_port(fake));
	harness_directory_make(directory);
	harness_process_start(&watching, directory, "watch", argv);
	char *out = harness_process_stdout(&watching);
	for (struct harness_wait w = harness_wait_ms(RUN_MS); strlen(out) < 100;) {
		assert_true(harness_wait_more(&w));
		free(out);
		out = harness_process_stdout(&watching);
	}
	free(out);
	harness_process_signal(&watching, SIGINT);
	assert_true(harness_process_wait(&watching, RUN_MS));
	assert_int_equal(watching.exit_code, 0);
	fake_lottery_stop(fake);
}

static void test_token_file(void **state)
{
	struct fake_lottery *fake = fake_lottery_start();
	char directory[HARNESS_PATH_MAX], path[HARNESS_PATH_MAX + 16], line[HARNESS_PATH_MAX + 64];

	(void)state;
	harness_directory_make(directory);
	snprintf(path, sizeof(path), "%s/token", directory);
	snprintf(line, sizeof(line), "status|--token-file|%s", path);
	harness_file_write(path, "secret\n");
	chmod(path, 0644);
	expect(fake_lottery_port(fake), line, 2, "", "can be read by others");
	chmod(path, 0600);
	expect(fake_lottery_port(fake), line, 0, "leader", NULL);
	harness_file_write(path, "\n");
	expect(fake_lottery_port(fake), line, 2, "", "holds no token");
	fake_lottery_stop(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_help),
	    cmocka_unit_test(test_wrong_usage),
	    cmocka_unit_test(test_nobody_there),
	    cmocka_unit_test(test_cluster),
	    cmocka_unit_test(test_reflection),
	    cmocka_unit_test(test_lottery),
	    cmocka_unit_test(test_winners_wait),
	    cmocka_unit_test(test_export),
	    cmocka_unit_test(test_files_that_are_none),
	    cmocka_unit_test(test_events_of_the_past),
	    cmocka_unit_test(test_events_as_they_happen),
	    cmocka_unit_test(test_import_of_a_faulty_file),
	    cmocka_unit_test(test_errors_into_the_input),
	    cmocka_unit_test(test_import_refused_as_a_whole),
	    cmocka_unit_test(test_empty_and_header_only),
	    cmocka_unit_test(test_import_over_deaths),
	    cmocka_unit_test(test_generate_is_the_same),
	    cmocka_unit_test(test_words_that_are_no_text),
	    cmocka_unit_test(test_closed_stdout),
	    cmocka_unit_test(test_watch_ends_with_a_signal),
	    cmocka_unit_test(test_token_file),
	};
	unsetenv("FTS_ENDPOINTS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
