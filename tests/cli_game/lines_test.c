/* Why this file exists: `game play` and `game watch` on pipes, against nodes in memory that die, lose answers and lose
 * their leader. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cli_game/fake_game.h"
#include "tests/cli_game/run.h"
#include "tests/harness/clock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WAIT_MS 20000u

struct scene {
	struct fake_game *fake;
	const char *endpoints;
	char root[HARNESS_PATH_MAX];
	struct harness_process process; /* one in the background */
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	scene->fake = fake_game_start();
	scene->endpoints = fake_game_endpoints(scene->fake);
	harness_directory_make(scene->root);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	harness_process_kill(&scene->process);
	fake_game_stop(scene->fake);
	free(scene);
	return 0;
}

/* In the background, its input from command. */
static void start(struct scene *scene, const char *input, const char *arguments)
{
	char program[HARNESS_PATH_MAX], command[4096];

	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "%s exec %s --endpoints %s %s", input, program, scene->endpoints, arguments);
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	harness_process_start(&scene->process, scene->root, "cli", argv);
}

static void await_stdout(struct scene *scene, const char *text)
{
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);;) {
		char *out = harness_process_stdout(&scene->process);
		bool is_found = strstr(out, text) != NULL;
		if (!is_found && !harness_wait_more(&wait)) fail_msg("\"%s\" does not come:\n%s", text, out);
		free(out);
		if (is_found) return;
	}
}

static void await_stderr(struct scene *scene, const char *text)
{
	if (!harness_process_wait_stderr(&scene->process, text, 0, WAIT_MS)) fail_msg("\"%s\" does not come", text);
}

static int await_end(struct scene *scene)
{
	if (!harness_process_wait(&scene->process, WAIT_MS)) fail_msg("it does not end");
	return scene->process.exit_code;
}

/* The node that the one in the background talks to dies; it tells so. */
static void kill_its_node(struct scene *scene)
{
	static const char *const said[] = {"node n1 is gone, going on at n2", "node n2 is gone, going on at n1"};
	int node;

	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); (node = fake_game_watched(scene->fake)) < 0;)
		if (!harness_wait_more(&wait)) fail_msg("nobody waits for events");
	fake_game_kill(scene->fake, node);
	await_stderr(scene, said[node]);
}

/* ---- play ---- */

/* Both write all their moves at once; each waits for its turn. */
static void test_script(void **state)
{
	struct scene *scene = *state;

	start(scene, "printf '1,1\\n1,2\\n1,3\\n' |", "game play m1 --name ada");
	await_stdout(scene, "ada takes seat 0");
	expect(scene->endpoints, "2,1\\n2,2\\n", "game play m1 --name bob", 0, "move 4: bob plays 2,2", NULL);
	assert_int_equal(await_end(scene), 0);
	char *out = harness_process_stdout(&scene->process);
	assert_non_null(strstr(out, "move 5: ada plays 1,3 and wins"));
	assert_non_null(strstr(out, "1 X X X\n2 O O .\n"));
	for (int ply = 1; ply <= 5; ply++) {
		char text[16];
		snprintf(text, sizeof(text), "move %d:", ply);
		assert_int_equal(count_of(out, text), 1);
	}
	free(out);
}

static void test_refused(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	expect(scene->endpoints, "2,2\\n", "game play m1 --token t0", 0, "move 1: ada plays 2,2", NULL);
	expect(scene->endpoints, "2,2\\n1,1\\n", "game play m1 --token t1", 1, "move 2: bob plays 1,1",
	       "occupied: the cell has a stone already");
	expect(scene->endpoints, "1,2\\nquit\\n", "game play m1 --spectate", 1, NULL, "you look on");
	expect(scene->endpoints, "9,9\\nresign\\n", "game play m1 --token t0", 1, "ada resigns", "notation");
	expect(scene->endpoints, "3,3\\n", "game play m1 --token t1", 1, NULL, "over: the match is over");
	expect(scene->endpoints, "help\\nquit\\n3,3\\n", "game play m1 --token t1", 0, NULL, "a line is a move");
}

/* One who looks on sees it to the end, and each event once. */
static void test_spectator(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	start(scene, "", "--json game play m1 --spectate < /dev/null");
	await_stdout(scene, "\"event\":\"joined\"");
	expect(scene->endpoints, "2,2\\n", "game play m1 --token t0", 0, NULL, NULL);
	expect(scene->endpoints, "2,1\\nresign\\n", "game play m1 --token t1", 0, NULL, NULL);
	assert_int_equal(await_end(scene), 0);
	char *out = harness_process_stdout(&scene->process);
	assert_int_equal(count_of(out, "\"event\":\"moved\""), 2);
	assert_int_equal(count_of(out, "\"event\":\"resigned\""), 1);
	assert_int_equal(count_of(out, "\n"), 6);
	free(out);
}

/* The answer to a move is lost with its node; the other node calls the second try stale. It was made all the same, and
 * once. */
static void test_lost_answer(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	fake_game_swallow(scene->fake, true);
	start(scene, "printf '2,2\\n' |", "game play m1 --token t0");
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); fake_game_swallowed(scene->fake) == 0;)
		if (!harness_wait_more(&wait)) fail_msg("no move comes");
	fake_game_swallow(scene->fake, false);
	fake_game_kill(scene->fake, 0);
	fake_game_revive(scene->fake, 0);
	fake_game_kill(scene->fake, 1);
	assert_int_equal(await_end(scene), 0);
	char *err = harness_process_stderr(&scene->process);
	assert_null(strstr(err, "stale"));
	assert_int_equal(fake_game_ply(scene->fake), 1);
	free(err);
}

/* A move that is asked for while nobody leads is made once somebody does. */
static void test_no_leader(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	char input[2 * HARNESS_PATH_MAX], go[HARNESS_PATH_MAX + 8];
	snprintf(go, sizeof(go), "%s/go", scene->root);
	snprintf(input, sizeof(input), "(while [ ! -e %s ]; do sleep 0.05; done; printf '2,2\\n') |", go);
	start(scene, input, "game play m1 --token t0");
	await_stdout(scene, "bob takes seat 1");
	fake_game_lose_leader(scene->fake, true);
	await_stderr(scene, "there is no leader for now");
	harness_file_write(go, "");
	fake_game_lose_leader(scene->fake, false);
	await_stdout(scene, "move 1: ada plays 2,2");
	assert_int_equal(await_end(scene), 0);
	assert_int_equal(fake_game_ply(scene->fake), 1);
}

static void test_rematch(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	expect(scene->endpoints, "resign\\n", "game play m1 --token t0", 0, NULL, NULL);
	start(scene, "(printf 'rematch\\n2,2\\n'; sleep 0) |", "game play m1 --token t1");
	await_stdout(scene, "bob asks for a rematch");
	/* Seats are swapped: bob is first now, ada's line waits for her turn. */
	expect(scene->endpoints, "rematch\\n1,1\\n", "game play m1 --token t0", 0, "move 2: ada plays 1,1", NULL);
}

static void test_goes_on(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	start(scene, "", "game play m1 --spectate < /dev/null");
	await_stdout(scene, "bob takes seat 1");
	kill_its_node(scene);
	expect(scene->endpoints, "2,2\\n", "game play m1 --token t0", 0, NULL, NULL);
	await_stdout(scene, "move 1: ada plays 2,2");
	harness_process_signal(&scene->process, SIGTERM);
	assert_int_equal(await_end(scene), 0);
	char *out = harness_process_stdout(&scene->process);
	assert_int_equal(count_of(out, "takes seat"), 2);
	assert_int_equal(count_of(out, "move 1:"), 1);
	free(out);
}

/* The token comes back to those who did not keep it, and to nobody else. */
static void test_token(void **state)
{
	struct scene *scene = *state;
	char arguments[2 * HARNESS_PATH_MAX];

	expect(scene->endpoints, NULL, "game play m1 --name ada", 0, NULL,
	       "to come back: fts-cli game play m1 --token t0");
	snprintf(arguments, sizeof(arguments), "game play m1 --name bob --keep %s/bob", scene->root);
	struct said said = run_cli(scene->endpoints, NULL, arguments);
	assert_int_equal(said.code, 0);
	assert_null(strstr(said.err, "t1"));
	assert_null(strstr(said.out, "t1"));
	said_free(&said);
	expect(scene->endpoints, "2,2\\n", "game play m1 --token t0", 0, NULL, NULL);
	expect(scene->endpoints, "1,1\\n", arguments, 0, "bob plays 1,1", NULL); /* again: the same seat */
	expect(scene->endpoints, NULL, "game play m1 --token wrong", 1, NULL, "opens no seat");
}

/* ---- watch ---- */

static void test_watch(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	start(scene, "", "game watch m1");
	await_stdout(scene, "bob takes seat 1");
	expect(scene->endpoints, "2,2\\n", "game play m1 --token t0", 0, NULL, NULL);
	await_stdout(scene, "ada plays 2,2");
	kill_its_node(scene);
	expect(scene->endpoints, "1,1\\nresign\\n", "game play m1 --token t1", 0, NULL, NULL);
	assert_int_equal(await_end(scene), 0); /* the match is over */
	char *out = harness_process_stdout(&scene->process);
	assert_string_equal(out, "   1  a match of tictactoe\n   2  ada takes seat 0\n   3  bob takes seat 1\n"
				 "   4  move 1: ada plays 2,2\n   5  move 2: bob plays 1,1\n   6  bob resigns\n");
	free(out);
}

static void test_watch_flags(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	expect(scene->endpoints, "2,2\\n", "game play m1 --token t0", 0, NULL, NULL);
	expect(scene->endpoints, "1,1\\n", "game play m1 --token t1", 0, NULL, NULL);
	expect(scene->endpoints, NULL, "game watch m1 --no-wait --from 2", 0, "   5  move 2: bob plays 1,1\n", NULL);
	struct said said = run_cli(scene->endpoints, NULL, "game watch m1 --no-wait --from-event 3 --count 2");
	assert_int_equal(said.code, 0);
	assert_string_equal(said.out, "   3  bob takes seat 1\n   4  move 1: ada plays 2,2\n");
	said_free(&said);
	expect_json(scene->endpoints, "game watch m1 --count 1 --from 1", 0,
		    "{\"match\":\"m1\",\"number\":4,\"event\":\"moved\",\"ply\":1,\"seat\":0,\"move\":\"2,2\","
		    "\"outcome\":\"ONGOING\",\"winner\":null,\"turn\":1,\"left_ms\":60000,"
		    "\"board\":\"  1 2 3\\n1 . . .\\n2 . X .\\n3 . . .\\n\"}");
	expect(scene->endpoints, NULL, "game watch nothing", 1, NULL, "NOT_FOUND");
	expect("127.0.0.1:9", NULL, "game watch m1 --timeout 2s", 4, NULL, "UNAVAILABLE");
}

/* A server that has lost an event is not believed. */
static void test_gap(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	fake_game_skip(scene->fake, 3);
	expect(scene->endpoints, NULL, "game watch m1 --no-wait", 1, "   2  ada takes seat 0\n",
	       "event 3 of m1 is missing: the server told 4 (DATA_LOSS)");
}

static void test_patience(void **state)
{
	struct scene *scene = *state;

	start(scene, "", "game watch m1 --patience 1s");
	await_stdout(scene, "a match");
	fake_game_kill(scene->fake, 0);
	fake_game_kill(scene->fake, 1);
	assert_int_equal(await_end(scene), 4);
}

static void test_hostile_name(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	fake_game_set_name(scene->fake, 0, "\033[2J\x9b");
	struct said said = run_cli(scene->endpoints, NULL, "game show m1");
	assert_int_equal(said.code, 0);
	assert_null(strchr(said.out, '\033'));
	said_free(&said);
	json_decref(run_json(scene->endpoints, "game show m1", 0));
}

/* ---- wrong usage ---- */

static void test_usage(void **state)
{
	static const struct {
		const char *arguments, *err;
	} cases[] = {
	    {"game", "game needs a command"},
	    {"game new", "--rules"},
	    {"game new --rules tictactoe --clock soon", "--clock \"soon\" is no clock"},
	    {"game new --rules tictactoe --clock 5m+", "is no clock"},
	    {"game new --rules tictactoe --clock +3s", "is no clock"},
	    {"game join", "needs MATCH"},
	    {"game join m1 --seat 9", "--seat"},
	    {"game join m1 --keep /nowhere/t", "/nowhere/t"},
	    {"game move m1 --token t0", "needs MOVE"},
	    {"game move m1 2,2", "--token"},
	    {"game move m1 2,2 --token @/nowhere/t", "/nowhere/t"},
	    {"game move m1 2,2 --token t0 --ply 0", "--ply"},
	    {"game list --state finished", "write open, playing or over"},
	    {"game watch m1 --from x", "--from"},
	    {"game resign m1", "--token"},
	    {"game rematch m1", "--token"},
	    {"game replay /nowhere/r", "/nowhere/r"},
	    {"game perft reversi", "needs DEPTH"},
	    {"game perft reversi deep", "DEPTH"},
	    {"game play", "needs MATCH"},
	    {"game play m1 --token t0 --name ada", "only one of"},
	    {"game play m1 --spectate --name ada", "only one of"},
	    {"game play m1 --keep f", "--keep goes with --name"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect("127.0.0.1:9", NULL, cases[i].arguments, 2, NULL, cases[i].err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_script, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_spectator, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lost_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_leader, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rematch, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_token, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_watch_flags, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_patience, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile_name, setup, teardown),
	    cmocka_unit_test(test_usage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
