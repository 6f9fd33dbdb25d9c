/* Why this file exists: `game play` as people see it: two players and one who looks on, on real terminals, against
 * nodes in memory that die when a test says so. */
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
#include "tests/harness/clock.h"
#include "tests/tmux/tmux.h"

#define COLUMNS 80
#define ROWS 24

struct scene {
	struct tmux tmux;
	struct fake_game *fake;
};

static void play(struct scene *scene, const char *name, const char *flags, unsigned columns, unsigned rows)
{
	char program[HARNESS_PATH_MAX], command[2 * HARNESS_PATH_MAX];

	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "exec %s --endpoints %s game play m1 %s", program,
		 fake_game_endpoints(scene->fake), flags);
	tmux_open(&scene->tmux, name, columns, rows, command);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	scene->fake = fake_game_start();
	tmux_start(&scene->tmux);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	tmux_stop(&scene->tmux);
	fake_game_stop(scene->fake);
	free(scene);
	return 0;
}

/* The node that name talks to, from 0. */
static int node_of(struct scene *scene, const char *name)
{
	char *screen = tmux_screen(&scene->tmux, name, false);
	int node = strstr(screen, "node n2 ") ? 1 : 0;

	free(screen);
	return node;
}

static void expect_once(struct scene *scene, const char *name, const char *text)
{
	char *screen = tmux_screen(&scene->tmux, name, false);
	const char *at = strstr(screen, text);

	if (!at || strstr(at + 1, text)) fail_msg("%s: \"%s\" does not stand there once:\n%s", name, text, screen);
	free(screen);
}

static void open_all(struct scene *scene)
{
	play(scene, "ada", "--name ada", COLUMNS, ROWS);
	tmux_await(&scene->tmux, "ada", "waiting for another player");
	play(scene, "bob", "--name bob", COLUMNS, ROWS);
	play(scene, "eve", "--spectate", COLUMNS, ROWS);
	tmux_await(&scene->tmux, "ada", "your turn");
	tmux_await(&scene->tmux, "bob", "ada is to move");
	tmux_await(&scene->tmux, "eve", "ada is to move");
}

/* One moves; all see it. */
static void move(struct scene *scene, const char *who, const char *text, const char *seen)
{
	tmux_enter(&scene->tmux, who, text);
	tmux_await(&scene->tmux, "ada", seen);
	tmux_await(&scene->tmux, "bob", seen);
	tmux_await(&scene->tmux, "eve", seen);
}

/* ---- A match from the first move to the rematch ---- */

static void test_match(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_all(scene);
	tmux_await(tmux, "ada", "legal   1,1 1,2 1,3 2,1 2,2 2,3 3,1 3,2 3,3");
	tmux_enter(tmux, "bob", "1,1");
	tmux_await(tmux, "bob", "wrong-turn: the other one is to move");
	move(scene, "ada", "2,2", "2 . X .");
	tmux_enter(tmux, "bob", "2,2");
	tmux_await(tmux, "bob", "occupied: the cell has a stone already");
	move(scene, "bob", "2,1", "2 O X .");
	move(scene, "ada", "1,1", "last: 1,1 by ada");
	move(scene, "bob", "1,2", "last: 1,2 by bob");
	tmux_enter(tmux, "eve", "3,3");
	tmux_await(tmux, "eve", "you look on");
	move(scene, "ada", "3,3", "5. 3,3");
	tmux_await(tmux, "ada", "you have won");
	tmux_await(tmux, "bob", "ada has won");
	tmux_await(tmux, "eve", "* X ada");
	tmux_await(tmux, "eve", "moves   1. 2,2  2. 2,1  3. 1,1  4. 1,2  5. 3,3");
	assert_int_equal(fake_game_ply(scene->fake), 5);
}

static void test_rematch(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_all(scene);
	tmux_enter(tmux, "ada", "resign");
	tmux_await(tmux, "ada", "give the match up? type yes");
	tmux_enter(tmux, "ada", "yes");
	tmux_await(tmux, "bob", "you have won by resignation");
	tmux_await(tmux, "eve", "bob has won by resignation");
	tmux_enter(tmux, "bob", "rematch");
	tmux_await(tmux, "ada", "bob asks for a rematch");
	tmux_enter(tmux, "ada", "rematch");
	tmux_await(tmux, "bob", "match m2");
	tmux_await(tmux, "bob", "your turn"); /* seats are swapped */
	tmux_await(tmux, "eve", "match m2");
	tmux_await(tmux, "ada", "bob is to move");
	move(scene, "bob", "2,2", "last: 2,2 by bob");
	tmux_await(tmux, "ada", "your turn");
}

/* ---- Nodes that die ---- */

static void test_node_dies(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_all(scene);
	move(scene, "ada", "2,2", "2 . X .");
	tmux_type(tmux, "bob", "1,"); /* half of a move */
	tmux_await(tmux, "bob", "> 1,");
	int node = node_of(scene, "bob");
	fake_game_kill(scene->fake, node);
	tmux_await(tmux, "bob", node == 0 ? "node n1 is gone, going on at n2" : "node n2 is gone, going on at n1");
	tmux_await(tmux, "bob", "> 1,");
	tmux_type(tmux, "bob", "1");
	tmux_key(tmux, "bob", "Enter");
	tmux_await(tmux, "ada", "last: 1,1 by bob");
	tmux_await(tmux, "eve", "last: 1,1 by bob");
	expect_once(scene, "bob", "1. 2,2  2. 1,1");
	expect_once(scene, "ada", "move 2: bob plays 1,1");

	/* Nobody is left; then one comes back. */
	fake_game_kill(scene->fake, 1 - node);
	tmux_await(tmux, "ada", "is gone, looking for another one");
	tmux_enter(tmux, "ada", "3,3");
	tmux_await(tmux, "ada", "no answer about 3,3 yet, asking again");
	tmux_type(tmux, "bob", "3,1");
	fake_game_revive(scene->fake, 1 - node);
	tmux_await(tmux, "ada", "last: 3,3 by ada");
	tmux_await(tmux, "eve", "last: 3,3 by ada");
	tmux_await(tmux, "bob", "> 3,1");
	tmux_key(tmux, "bob", "Enter");
	tmux_await(tmux, "ada", "1. 2,2  2. 1,1  3. 3,3  4. 3,1");
	assert_int_equal(fake_game_ply(scene->fake), 4);
}

/* The node dies with the answer: the move was made, and made once. */
static void test_lost_answer(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_all(scene);
	fake_game_swallow(scene->fake, true);
	tmux_enter(tmux, "ada", "2,2");
	for (struct harness_wait wait = harness_wait_ms(TMUX_WAIT_MS); fake_game_swallowed(scene->fake) == 0;)
		if (!harness_wait_more(&wait)) fail_msg("no move comes");
	fake_game_swallow(scene->fake, false);
	for (int node = 0; node < FAKE_NODES; node++) { /* whichever had it */
		fake_game_kill(scene->fake, node);
		fake_game_revive(scene->fake, node);
	}
	tmux_await_gone(tmux, "ada", "sending");
	tmux_await(tmux, "ada", "1. 2,2");
	tmux_await(tmux, "bob", "your turn");
	tmux_await_gone(tmux, "ada", "stale");
	assert_int_equal(fake_game_ply(scene->fake), 1);
}

static char *clock_of(struct scene *scene, const char *name)
{
	char *screen = tmux_screen(&scene->tmux, name, false);
	char *at = strstr(screen, "ada (you)");
	char *text = at ? strndup(at, strcspn(at, "\n")) : NULL;

	free(screen);
	if (!text) fail_msg("no clock");
	return text;
}

/* Clocks count down, and stand still while nobody leads. */
static void test_clock(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	fake_game_set_clock(scene->fake);
	open_all(scene);
	tmux_await(tmux, "ada", "0:58");
	fake_game_lose_leader(scene->fake, true);
	tmux_await(tmux, "ada", "knows no leader");
	tmux_await(tmux, "ada", "paused");
	char *before = clock_of(scene, "ada");
	tmux_enter(tmux, "ada", "2,2");
	tmux_await(tmux, "ada", "asking again (2)"); /* seconds later */
	char *after = clock_of(scene, "ada");
	assert_string_equal(before, after);
	free(before);
	free(after);
	fake_game_lose_leader(scene->fake, false);
	tmux_await(tmux, "ada", "last: 2,2 by ada");
	tmux_await(tmux, "ada", "there is a leader again");
	tmux_await_gone(tmux, "ada", "paused");
}

/* ---- The terminal ---- */

static void test_keys(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_all(scene);
	tmux_type(tmux, "ada", "2,9");
	tmux_key(tmux, "ada", "BSpace");
	tmux_type(tmux, "ada", "1");
	tmux_await(tmux, "ada", "> 2,1");
	tmux_key(tmux, "ada", "C-u");
	tmux_type(tmux, "ada", "2");
	tmux_key(tmux, "ada", "Tab");
	tmux_await(tmux, "ada", "> 2,1");
	tmux_key(tmux, "ada", "Tab");
	tmux_await(tmux, "ada", "> 2,2");
	tmux_key(tmux, "ada", "Enter");
	tmux_await(tmux, "ada", "last: 2,2 by ada");
	tmux_enter(tmux, "ada", "?");
	tmux_await(tmux, "ada", "gives the match up; asks before it does");
	tmux_enter(tmux, "bob", "legal");
	tmux_await(tmux, "bob", "1,1 1,2 1,3 2,1 2,3 3,1 3,2 3,3");
	tmux_key(tmux, "bob", "Up");
	tmux_await(tmux, "bob", "> legal");
	tmux_key(tmux, "bob", "Down");
	tmux_await_gone(tmux, "bob", "> legal");
}

/* What is half typed stays when the window changes its size, however small it is. */
static void test_resize(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_all(scene);
	tmux_type(tmux, "ada", "2,2");
	tmux_resize(tmux, "ada", 30, 14);
	tmux_await(tmux, "ada", "> X ada (you)\n");
	tmux_await(tmux, "ada", "> 2,2");
	tmux_await(tmux, "ada", "your turn");
	tmux_resize(tmux, "ada", 12, 3);
	tmux_await(tmux, "ada", "> 2,2");
	tmux_resize(tmux, "ada", 100, 30);
	tmux_await(tmux, "ada", "1 2 3    > X ada (you)\n");
	tmux_key(tmux, "ada", "Enter");
	tmux_await(tmux, "eve", "2 . X .");
}

static void test_colours(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;
	char program[HARNESS_PATH_MAX], command[2 * HARNESS_PATH_MAX];

	open_all(scene);
	move(scene, "ada", "2,2", "2 . X .");
	char *screen = tmux_screen(tmux, "eve", true);
	assert_non_null(strstr(screen, "\033[36m"));
	if (!strstr(screen, "7m")) fail_msg("the last move is not marked: %s", screen);
	free(screen);
	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "NO_COLOR=1 exec %s --endpoints %s game play m1", program,
		 fake_game_endpoints(scene->fake));
	tmux_open(tmux, "plain", COLUMNS, ROWS, command);
	tmux_await(tmux, "plain", "2 . X .");
	screen = tmux_screen(tmux, "plain", true);
	for (const char *at = screen; (at = strstr(at, "\033[")); at++)
		assert_false(at[2] == '3' && at[3] >= '0' && at[3] <= '7');
	free(screen);
}

/* Ways to leave: how, with what code, and whether a signal ends it. */
static void leave_by_quit(struct scene *scene)
{
	tmux_enter(&scene->tmux, "shell", "quit");
}

static void leave_by_key(struct scene *scene)
{
	tmux_type(&scene->tmux, "shell", "half a li");
	tmux_key(&scene->tmux, "shell", "C-c");
}

static void leave_by_signal(struct scene *scene)
{
	FILE *in = NULL;
	char path[HARNESS_PATH_MAX + 8];
	int pid = 0;

	snprintf(path, sizeof(path), "%s/pid", scene->tmux.root);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_int_equal(fscanf(in, "%d", &pid), 1);
	fclose(in);
	assert_int_equal(kill(pid, SIGTERM), 0);
}

/* The terminal is as it was: no raw mode, no other screen, a cursor; whoever typed sees how it ended. */
static void check_left(struct scene *scene, void (*leave)(struct scene *scene))
{
	struct tmux *tmux = &scene->tmux;
	char program[HARNESS_PATH_MAX], command[4 * HARNESS_PATH_MAX];

	harness_program_path("fts-cli", program);
	snprintf(
	    command, sizeof(command),
	    "echo before; sh -c 'echo $$ > %s/pid; exec %s --endpoints %s game play m1 --token t0'; "
	    "echo \"code=$?\"; stty -a | grep -o -E -- '-?(icanon|echo|isig) ' | tr -d '\\n'; echo; exec sleep 100",
	    tmux->root, program, fake_game_endpoints(scene->fake));
	tmux_open(tmux, "shell", COLUMNS, ROWS, command);
	tmux_await(tmux, "shell", "your turn");
	tmux_await_gone(tmux, "shell", "before");
	leave(scene);
	tmux_await(tmux, "shell", "code=0");
	tmux_await(tmux, "shell", "before");
	tmux_await(tmux, "shell", "m1: your turn, after 0 moves");
	tmux_await(tmux, "shell", "isig icanon echo");
}

static void test_leave(void **state)
{
	struct scene *scene = *state;
	static void (*const ways[])(struct scene * scene) = {leave_by_quit, leave_by_key, leave_by_signal};

	fake_game_seat_both(scene->fake);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		check_left(scene, ways[i]);
		tmux_close(&scene->tmux, "shell");
	}
}

/* Ctrl-Z gives the terminal back; continued, the board is there again, and what was typed. */
static void test_suspend(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;
	char program[HARNESS_PATH_MAX], command[2 * HARNESS_PATH_MAX];

	fake_game_seat_both(scene->fake);
	harness_program_path("fts-cli", program);
	tmux_open(tmux, "shell", COLUMNS, ROWS, "PS1='ready>' exec sh -i");
	tmux_await(tmux, "shell", "ready>");
	snprintf(command, sizeof(command), "%s --endpoints %s game play m1 --token t0", program,
		 fake_game_endpoints(scene->fake));
	tmux_enter(tmux, "shell", command);
	tmux_await(tmux, "shell", "your turn");
	tmux_type(tmux, "shell", "2,2");
	tmux_await(tmux, "shell", "> 2,2");
	tmux_key(tmux, "shell", "C-z");
	tmux_await(tmux, "shell", "ready>");
	tmux_enter(tmux, "shell", "fg");
	tmux_await(tmux, "shell", "> 2,2");
	tmux_key(tmux, "shell", "Enter");
	tmux_await(tmux, "shell", "last: 2,2 by ada");
}

/* A name made to play with terminals does not. */
static void test_hostile_name(void **state)
{
	struct scene *scene = *state;

	fake_game_seat_both(scene->fake);
	fake_game_set_name(scene->fake, 0, "\033[2J\033[31meve");
	play(scene, "bob", "--token t1", COLUMNS, ROWS);
	tmux_await(&scene->tmux, "bob", "?[2J?[31meve is to move");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_match),       TEST(test_rematch),     TEST(test_node_dies),
					   TEST(test_lost_answer), TEST(test_clock),       TEST(test_keys),
					   TEST(test_resize),      TEST(test_colours),     TEST(test_leave),
					   TEST(test_suspend),     TEST(test_hostile_name)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
