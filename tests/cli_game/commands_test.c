/* Why this file exists: every `game` command against a real node, as scripts see it: exit codes, and the JSON fields
 * that they lean on, exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/cli_game/run.h"
#include "tests/harness/node.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct harness_node node;

/* A match with both seats taken. */
struct match {
	char name[64];
	char tokens[2][64];
};

static int setup(void **state)
{
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	harness_node_fini(&node);
	return 0;
}

/* printf into a place that is overwritten by the fourth call after it. */
static const char *line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *line(const char *format, ...)
{
	static char lines[4][1024];
	static unsigned next;
	char *at = lines[next++ % 4];
	va_list list;

	va_start(list, format);
	vsnprintf(at, sizeof(lines[0]), format, list);
	va_end(list);
	return at;
}

static void copy_text(json_t *json, const char *key, char *out, size_t size_bytes)
{
	const char *text = json_string_value(json_object_get(json, key));

	if (!text) fail_msg("no \"%s\"", key);
	snprintf(out, size_bytes, "%s", text);
}

static struct match new_match(const char *flags)
{
	struct match match;
	json_t *json = run_json(node.endpoint, line("game new %s", flags), 0);

	copy_text(json, "match", match.name, sizeof(match.name));
	assert_int_equal(json_object_size(json), 1);
	json_decref(json);
	for (int seat = 0; seat < 2; seat++) {
		json =
		    run_json(node.endpoint, line("game join %s --name %s", match.name, seat == 0 ? "ada" : "bob"), 0);
		assert_int_equal(json_integer_value(json_object_get(json, "seat")), seat);
		assert_int_equal(json_object_size(json), 2);
		copy_text(json, "token", match.tokens[seat], sizeof(match.tokens[seat]));
		json_decref(json);
	}
	return match;
}

static void move(const struct match *match, int seat, const char *text)
{
	expect(node.endpoint, NULL, line("game move %s %s --token %s", match->name, text, match->tokens[seat]), 0, NULL,
	       NULL);
}

/* Exactly these keys, in any order. */
static void check_keys(json_t *json, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!json_object_get(json, keys[i])) fail_msg("no \"%s\"", keys[i]);
	assert_int_equal(json_object_size(json), count);
}

/* ---- One command after the other ---- */

static void test_rules(void **state)
{
	static const char *const names[] = {"tictactoe", "connect4", "reversi", "gomoku"};
	static const char *const keys[] = {"name", "seats", "notation", "title"};
	json_t *json = run_json(node.endpoint, "game rules", 0);
	json_t *rules = json_object_get(json, "rules");

	(void)state;
	assert_int_equal(json_array_size(rules), COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++) {
		json_t *row = json_array_get(rules, i);
		check_keys(row, keys, COUNT(keys));
		assert_string_equal(json_string_value(json_object_get(row, "name")), names[i]);
	}
	json_decref(json);
	expect(node.endpoint, NULL, "game rules", 0, "Connect four", NULL);
	expect(node.endpoint, NULL, "game new --rules chess", 1, NULL, "rules");
}

static void test_move(void **state)
{
	struct match match = new_match("--rules tictactoe");
	const char *name = match.name, *ada = match.tokens[0], *bob = match.tokens[1];

	(void)state;
	expect_json(node.endpoint, line("game move %s 2,2 --token %s --ply 1", name, ada), 0,
		    "{\"ply\":1,\"outcome\":\"ONGOING\",\"winner\":null,\"turn\":1,\"reason\":\"NONE\","
		    "\"board\":\"  1 2 3\\n1 . . .\\n2 . X .\\n3 . . .\\n\"}");
	expect(node.endpoint, NULL, line("game move %s 1,1 --token %s", name, ada), 1, NULL, "wrong-turn");
	expect(node.endpoint, NULL, line("game move %s 2,2 --token %s", name, bob), 1, NULL, "occupied");
	expect(node.endpoint, NULL, line("game move %s 1,1 --token %s --ply 1", name, bob), 1, NULL, "stale-ply");
	expect(node.endpoint, NULL, line("game move %s 1,1 --token stranger", name), 1, NULL, "foreign-token");
	expect(node.endpoint, NULL, line("game move %s 4,4 --token %s", name, bob), 1, NULL, "notation");
	expect(node.endpoint, NULL, line("game move nomatch1 1,1 --token %s", bob), 1, NULL, "NOT_FOUND");
	json_t *json = run_json(node.endpoint, line("game move %s 2,2 --token %s", name, bob), 1);
	json_t *error = json_object_get(json, "error");
	assert_string_equal(json_string_value(json_object_get(error, "code")), "FAILED_PRECONDITION");
	assert_string_equal(json_string_value(json_object_get(error, "executed")), "NO");
	json_decref(json);
	move(&match, 1, "1,1");
	move(&match, 0, "2,1");
	move(&match, 1, "1,2");
	expect_json(node.endpoint, line("game move %s 2,3 --token %s", name, ada), 0,
		    "{\"ply\":5,\"outcome\":\"WON\",\"winner\":0,\"turn\":null,\"reason\":\"BOARD\","
		    "\"board\":\"  1 2 3\\n1 O O .\\n2 X X X\\n3 . . .\\n\"}");
}

static void test_show(void **state)
{
	static const char *const keys[] = {"match",  "rules",   "state", "ply",   "turn",      "outcome",
					   "winner", "reason",  "seats", "clock", "label",     "events",
					   "hash",   "rematch", "board", "legal", "running_ms"};
	struct match match = new_match("--rules connect4 --clock 5m+3s --label \"final night\"");
	json_t *json = run_json(node.endpoint, line("game show %s", match.name), 0);
	json_t *clock = json_object_get(json, "clock");

	(void)state;
	check_keys(json, keys, COUNT(keys));
	assert_int_equal(json_integer_value(json_object_get(clock, "initial_ms")), 300000);
	assert_int_equal(json_integer_value(json_object_get(clock, "increment_ms")), 3000);
	assert_string_equal(json_string_value(json_object_get(json, "label")), "final night");
	assert_string_equal(json_string_value(json_object_get(json, "state")), "PLAYING");
	assert_int_equal(json_array_size(json_object_get(json, "legal")), 7);
	json_decref(json);
	expect(node.endpoint, NULL, line("game show %s", match.name), 0, "legal  1 2 3 4 5 6 7\n", NULL);
	expect(node.endpoint, NULL, line("game show %s", match.name), 0, "seat 1  bob  5:00\n", NULL);
}

static size_t list_count(const char *flags)
{
	json_t *json = run_json(node.endpoint, line("game list %s", flags), 0);
	size_t count = json_array_size(json_object_get(json, "matches"));

	assert_int_equal(json_object_size(json), 1);
	json_decref(json);
	return count;
}

static void test_list(void **state)
{
	struct match match = new_match("--rules gomoku --label listed");

	(void)state;
	for (int i = 0; i < 104; i++)
		expect(node.endpoint, NULL, "game new --rules gomoku --label many", 0, NULL, NULL);
	assert_int_equal(list_count("--label many"), 104); /* more than a page */
	assert_int_equal(list_count("--label many --limit 101"), 101);
	assert_int_equal(list_count("--label many --limit 3"), 3);
	assert_int_equal(list_count("--rules gomoku --state open"), 104);
	assert_int_equal(list_count("--rules gomoku --state playing"), 1);
	assert_int_equal(list_count("--label listed --player bob"), 1);
	assert_int_equal(list_count("--label listed --player nobody"), 0);
	expect(node.endpoint, NULL, line("game resign %s --token %s", match.name, match.tokens[0]), 0, NULL, NULL);
	assert_int_equal(list_count("--rules gomoku --state over"), 1);
	expect(node.endpoint, NULL, "game list --label listed", 0, "bob has won: the other resigned  [listed]", NULL);
}

static void test_watch(void **state)
{
	struct match match = new_match("--rules tictactoe");

	(void)state;
	move(&match, 0, "2,2");
	move(&match, 1, "1,1");
	expect(node.endpoint, NULL, line("game watch %s --no-wait", match.name), 0,
	       "   1  a match of tictactoe\n   2  ada takes seat 0\n   3  bob takes seat 1\n"
	       "   4  move 1: ada plays 2,2\n   5  move 2: bob plays 1,1\n",
	       NULL);
	json_t *json = run_json(node.endpoint, line("game watch %s --no-wait --from 2", match.name), 0);
	assert_string_equal(json_string_value(json_object_get(json, "event")), "moved");
	assert_int_equal(json_integer_value(json_object_get(json, "number")), 5);
	json_decref(json);
	expect(node.endpoint, NULL, line("game resign %s --token %s", match.name, match.tokens[0]), 0, NULL, NULL);
	expect(node.endpoint, NULL, line("game watch %s --from-event 6", match.name), 0, "   6  ada resigns\n", NULL);
}

static void test_resign_and_rematch(void **state)
{
	struct match match = new_match("--rules tictactoe");
	char rematch[64];

	(void)state;
	expect(node.endpoint, NULL, line("game rematch %s --token %s", match.name, match.tokens[0]), 1, NULL,
	       "not-over");
	expect_json(node.endpoint, line("game resign %s --token %s", match.name, match.tokens[0]), 0,
		    "{\"outcome\":\"WON\",\"winner\":1}");
	expect(node.endpoint, NULL, line("game resign %s --token %s", match.name, match.tokens[1]), 1, NULL, "over");
	expect_json(node.endpoint, line("game rematch %s --token %s", match.name, match.tokens[0]), 0,
		    "{\"match\":null}");
	json_t *json = run_json(node.endpoint, line("game rematch %s --token %s", match.name, match.tokens[1]), 0);
	copy_text(json, "match", rematch, sizeof(rematch));
	json_decref(json);
	expect(node.endpoint, NULL, line("game move %s 2,2 --token %s", rematch, match.tokens[1]), 0, "2 . X .", NULL);
}

static void test_join(void **state)
{
	char file[HARNESS_PATH_MAX + 16];
	struct stat about;
	char name[64];
	json_t *json = run_json(node.endpoint, "game new --rules tictactoe", 0);

	(void)state;
	copy_text(json, "match", name, sizeof(name));
	json_decref(json);
	snprintf(file, sizeof(file), "%s/seat.token", node.root);
	json = run_json(node.endpoint, line("game join %s --seat 1 --keep %s", name, file), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "seat")), 1);
	assert_null(json_object_get(json, "token")); /* it is in the file alone */
	assert_string_equal(json_string_value(json_object_get(json, "token_file")), file);
	json_decref(json);
	assert_int_equal(stat(file, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
	expect(node.endpoint, NULL, line("game join %s --keep %s", name, file), 2, NULL, file); /* not overwritten */
	expect(node.endpoint, NULL, line("game join %s --seat 1", name), 1, NULL, "seat-taken");
	expect(node.endpoint, NULL, line("game join %s", name), 0, "seat  0\ntoken ", NULL);
	expect(node.endpoint, NULL, line("game join %s", name), 1, NULL, "full");
	expect(node.endpoint, NULL, line("game resign %s --token @%s", name, file), 0, NULL, NULL);
	assert_int_equal(chmod(file, 0644), 0);
	expect(node.endpoint, NULL, line("game resign %s --token @%s", name, file), 2, NULL, "can be read by others");
}

/* ---- Records ---- */

static void alter(const char *from, const char *to, const char *was, const char *is)
{
	size_t size_bytes = 0;
	char *text = harness_file_read(from, &size_bytes);
	char *at = text ? strstr(text, was) : NULL;

	if (!at) fail_msg("no %s in %s", was, from);
	assert_int_equal(strlen(was), strlen(is));
	memcpy(at, is, strlen(is));
	harness_file_write(to, text);
	free(text);
}

static void test_record(void **state)
{
	struct match match = new_match("--rules tictactoe --label kept");
	char file[HARNESS_PATH_MAX + 16], altered[HARNESS_PATH_MAX + 16];

	(void)state;
	snprintf(file, sizeof(file), "%s/match.json", node.root);
	snprintf(altered, sizeof(altered), "%s/altered.json", node.root);
	move(&match, 0, "2,2");
	move(&match, 1, "1,1");
	move(&match, 0, "3,3");
	json_t *json = run_json(node.endpoint, line("game export %s", match.name), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "fts_game_record")), 1);
	json_decref(json);
	expect(node.endpoint, NULL, line("game export %s --out %s", match.name, file), 0, "3 moves", NULL);
	expect(node.endpoint, NULL, line("game replay %s", file), 0, "as recorded", NULL);
	json = run_json(node.endpoint, line("game replay %s", file), 0);
	assert_true(json_is_true(json_object_get(json, "same")));
	assert_int_equal(json_integer_value(json_object_get(json, "ply")), 3);
	json_decref(json);
	/* Another legal move gives another hash; an illegal one is told by its number. */
	alter(file, altered, "\"3,3\"", "\"3,1\"");
	expect(node.endpoint, NULL, line("game replay %s", altered), 1, "NOT as recorded", NULL);
	alter(file, altered, "\"1,1\"", "\"2,2\"");
	expect(node.endpoint, NULL, line("game replay %s", altered), 1, NULL, "2");
	harness_file_write(altered, "{\"fts_game_record\":1,\"record\":{\"moves\":7}}\n");
	expect(node.endpoint, NULL, line("game replay %s", altered), 1, NULL, "moves");
	harness_file_write(altered, "{\"fts_draw_bundle\":1}\n");
	expect(node.endpoint, NULL, line("game replay %s", altered), 1, NULL, "no record of a match");
	harness_file_write(altered, "not JSON\n");
	expect(node.endpoint, NULL, line("game replay %s", altered), 1, NULL, "line 1");
	expect(node.endpoint, NULL, "game export nomatch1", 1, NULL, "NOT_FOUND");
	expect(node.endpoint, NULL, line("game export %s --out /nowhere/x", match.name), 1, NULL, "/nowhere/x");
}

/* Published figures: Othello perft (AartBik), and connect four's 7^n as long as no column fills. */
static void test_perft(void **state)
{
	(void)state;
	expect_json(node.endpoint, "game perft reversi 5", 0, "{\"nodes\":1396}");
	expect_json(node.endpoint, "game perft connect4 5", 0, "{\"nodes\":16807}");
	expect_json(node.endpoint, "game perft connect4 4 --positions", 0, "{\"nodes\":2401,\"positions\":1120}");
	expect(node.endpoint, NULL, "game perft tictactoe 9", 0, "127872\n", NULL);
	expect(node.endpoint, NULL, "game perft chess 1", 1, NULL, "no such game");
}

/* ---- play, by lines ---- */

static void test_play(void **state)
{
	json_t *json = run_json(node.endpoint, "game new --rules tictactoe", 0);
	struct harness_process ada = {.pid = 0};
	char name[64], program[HARNESS_PATH_MAX], command[2048];

	(void)state;
	copy_text(json, "match", name, sizeof(name));
	json_decref(json);
	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command),
		 "printf '1,1\\n1,2\\n1,3\\n' | exec %s --endpoints %s --json game play %s --name ada", program,
		 node.endpoint, name);
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	harness_process_start(&ada, node.root, "ada", argv);
	expect(node.endpoint, NULL, line("game watch %s --count 2", name), 0, "ada takes seat 0", NULL);
	expect(node.endpoint, "2,1\\n2,2\\n", line("game play %s --name bob", name), 0, "move 4: bob plays 2,2", NULL);
	assert_true(harness_process_wait(&ada, RUN_MS));
	assert_int_equal(ada.exit_code, 0);
	char *out = harness_process_stdout(&ada);
	assert_int_equal(count_of(out, "\"event\":\"moved\""), 5);
	assert_int_equal(count_of(out, "\n"), 8); /* created, two joined, five moves */
	free(out);
	expect(node.endpoint, NULL, line("game show %s", name), 0, "ada has won", NULL);
}

/* A node that starts again has it all. */
static void test_restart(void **state)
{
	struct match match = new_match("--rules reversi");

	(void)state;
	move(&match, 0, "d3");
	harness_node_kill(&node);
	harness_node_start(&node);
	expect(node.endpoint, NULL, line("game watch %s --no-wait", match.name), 0, "   4  move 1: ada plays d3\n",
	       NULL);
	move(&match, 1, "c3");
}

static void test_unreachable(void **state)
{
	static const char *const commands[] = {"game rules",
					       "game new --rules tictactoe",
					       "game join m",
					       "game move m 1 --token t",
					       "game show m",
					       "game list",
					       "game watch m",
					       "game resign m --token t",
					       "game rematch m --token t",
					       "game export m",
					       "game perft reversi 1",
					       "game play m --spectate",
					       "game play m --name n"};

	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++)
		expect("127.0.0.1:9", NULL, line("--timeout 3s %s", commands[i]), 4, NULL, "UNAVAILABLE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules), cmocka_unit_test(test_move),    cmocka_unit_test(test_show),
	    cmocka_unit_test(test_list),  cmocka_unit_test(test_watch),   cmocka_unit_test(test_resign_and_rematch),
	    cmocka_unit_test(test_join),  cmocka_unit_test(test_record),  cmocka_unit_test(test_perft),
	    cmocka_unit_test(test_play),  cmocka_unit_test(test_restart), cmocka_unit_test(test_unreachable),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
