/* Why this file exists: two players and one who looks on, each at a terminal, at three real nodes that are killed while
 * they play: no move lost, no move twice, and what is half typed stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/tmux/tmux.h"

#define COLUMNS 90
#define ROWS 34
#define SETTLE_MS 30000u
#define NODES 3

struct scene {
	struct tmux tmux;
	struct harness_cluster cluster;
	char match[64];
};

/* ---- fts-cli ---- */

/* Its standard output: returned (free()). */
static char *cli(struct scene *scene, const char *arguments)
{
	char program[HARNESS_PATH_MAX], command[4096];
	char *out = NULL, *err = NULL;

	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "exec %s --endpoints %s %s", program, scene->cluster.endpoints, arguments);
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	int code = harness_run(argv, SETTLE_MS, &out, &err);
	if (code != 0) fail_msg("%s: exit %d: %s", arguments, code, err);
	free(err);
	return out;
}

static void open_screen(struct scene *scene, const char *name, const char *flags)
{
	char program[HARNESS_PATH_MAX], command[4096];

	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "exec %s --endpoints %s game play %s %s", program, scene->cluster.endpoints,
		 scene->match, flags);
	tmux_open(&scene->tmux, name, COLUMNS, ROWS, command);
}

static void open_match(struct scene *scene, const char *flags)
{
	char arguments[128];

	snprintf(arguments, sizeof(arguments), "game new %s", flags);
	char *name = cli(scene, arguments);
	snprintf(scene->match, sizeof(scene->match), "%.*s", (int)strcspn(name, "\n"), name);
	free(name);
	open_screen(scene, "ada", "--name ada");
	tmux_await(&scene->tmux, "ada", "waiting for another player");
	open_screen(scene, "bob", "--name bob");
	open_screen(scene, "eve", "--spectate");
	tmux_await(&scene->tmux, "ada", "your turn");
	tmux_await(&scene->tmux, "bob", "ada is to move");
	tmux_await(&scene->tmux, "eve", "ada is to move");
}

/* The moves of the match as the record has them: "h8 h9 ...". Returned (free()). */
static char *recorded(struct scene *scene)
{
	char arguments[256];

	snprintf(arguments, sizeof(arguments),
		 "game watch %s --no-wait --json | grep -o '\"move\":\"[^\"]*\"' | cut -d '\"' -f 4 | "
		 "tr '\\n' ' '",
		 scene->match);
	return cli(scene, arguments);
}

/* ---- Faults ---- */

/* The node that the screen of name says it talks to. */
static size_t node_of(struct scene *scene, const char *name)
{
	char *screen = tmux_screen(&scene->tmux, name, false);
	size_t node = HARNESS_NOBODY;

	for (size_t i = 0; i < NODES; i++) {
		char text[32];
		snprintf(text, sizeof(text), "node %s ", scene->cluster.members[i].name);
		if (strstr(screen, text)) node = i;
	}
	if (node == HARNESS_NOBODY) fail_msg("%s talks to nobody:\n%s", name, screen);
	free(screen);
	return node;
}

static void bring_back(struct scene *scene, size_t node)
{
	harness_cluster_restart(&scene->cluster, node);
	(void)harness_cluster_wait_equal(&scene->cluster, SETTLE_MS);
}

/* ---- Scenes ---- */

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	harness_cluster_init(&scene->cluster, NODES);
	harness_cluster_start(&scene->cluster);
	tmux_start(&scene->tmux);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	tmux_stop(&scene->tmux);
	harness_cluster_fini(&scene->cluster);
	free(scene);
	return 0;
}

static void await_all(struct scene *scene, const char *text)
{
	tmux_await(&scene->tmux, "ada", text);
	tmux_await(&scene->tmux, "bob", text);
	tmux_await(&scene->tmux, "eve", text);
}

/* A player's node dies while a move is half typed. */
static void test_node_of_a_player(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_match(scene, "--rules gomoku --clock 5m+3s");
	tmux_enter(tmux, "ada", "h8");
	await_all(scene, "last: h8 by ada");
	tmux_type(tmux, "bob", "h");
	tmux_await(tmux, "bob", "> h");
	size_t node = node_of(scene, "bob");
	harness_cluster_kill(&scene->cluster, node);
	tmux_await(tmux, "bob", "is gone, going on at");
	tmux_await(tmux, "bob", "> h");
	tmux_type(tmux, "bob", "9");
	tmux_key(tmux, "bob", "Enter");
	await_all(scene, "last: h9 by bob");
	await_all(scene, "1. h8  2. h9");
	bring_back(scene, node);
	char *moves = recorded(scene);
	assert_string_equal(moves, "h8 h9 ");
	free(moves);
}

/* The leader dies again and again, each time with a move on its way. */
static void test_leaders(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;
	char expected[256] = "";

	open_match(scene, "--rules gomoku");
	for (int ply = 1; ply <= 12; ply++) {
		const char *who = ply % 2 == 1 ? "ada" : "bob";
		char move[16], last[64];
		snprintf(move, sizeof(move), "%c%d", 'a' + ply % 2 * 2 + ply / 6 * 4, ply % 6 * 2 + 1);
		snprintf(last, sizeof(last), "last: %s by %s", move, who);
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%s ", move);
		tmux_await(tmux, who, "your turn");
		size_t leader = harness_cluster_wait_leader(&scene->cluster, HARNESS_NOBODY, SETTLE_MS);
		tmux_enter(tmux, who, move);
		if (ply % 2 == 0) harness_cluster_kill(&scene->cluster, leader);
		await_all(scene, last);
		if (ply % 2 == 0) bring_back(scene, leader);
	}
	char *moves = recorded(scene);
	assert_string_equal(moves, expected);
	free(moves);
}

/* A node that stands still is as good as dead, and nothing is lost when it goes on. */
static void test_silence(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_match(scene, "--rules gomoku --clock 5m");
	size_t node = node_of(scene, "bob");
	harness_cluster_pause(&scene->cluster, node);
	tmux_enter(tmux, "ada", "h8");
	tmux_await(tmux, "bob", "is gone, going on at");
	await_all(scene, "last: h8 by ada");
	tmux_enter(tmux, "bob", "h9");
	await_all(scene, "last: h9 by bob");
	harness_cluster_resume(&scene->cluster, node);
	(void)harness_cluster_wait_equal(&scene->cluster, SETTLE_MS);
	char *moves = recorded(scene);
	assert_string_equal(moves, "h8 h9 ");
	free(moves);
}

/* Two of three are gone: nobody can move, and the screens say so; then one comes back, and the move is made. */
static void test_no_majority(void **state)
{
	struct scene *scene = *state;
	struct tmux *tmux = &scene->tmux;

	open_match(scene, "--rules tictactoe --clock 5m");
	size_t stays = node_of(scene, "ada");
	harness_cluster_kill(&scene->cluster, (stays + 1) % NODES);
	harness_cluster_kill(&scene->cluster, (stays + 2) % NODES);
	tmux_enter(tmux, "ada", "2,2");
	tmux_await(tmux, "ada", "asking again");
	tmux_await(tmux, "ada", "knows no leader");
	tmux_await(tmux, "ada", "paused");
	harness_cluster_restart(&scene->cluster, (stays + 1) % NODES);
	await_all(scene, "last: 2,2 by ada");
	tmux_await(tmux, "ada", "the clock stood still");
	tmux_await_gone(tmux, "ada", "paused");
	bring_back(scene, (stays + 2) % NODES);
	char *moves = recorded(scene);
	assert_string_equal(moves, "2,2 ");
	free(moves);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_node_of_a_player), TEST(test_leaders), TEST(test_silence),
					   TEST(test_no_majority)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
