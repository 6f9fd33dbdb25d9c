/* Why this file exists: games on three real nodes: moves through deaths of leaders, none lost and none twice; watchers
 * at every node miss nothing; a node that comes back with an empty disk takes the games over and wipes nothing; clocks
 * stand still while there is no majority. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

enum {
	NODES = 3,
	PLAYERS = 6,
	KILLS = 6,
	BETWEEN_KILLS_MOVES = 300, /* all players' together: life goes on between two deaths */
	EQUAL_MS = 30000,
	OUTAGE_MS = 3000,
	SHORT_CLOCK_MS = 2500, /* less than the outage */
};

static struct harness_cluster cluster;

static int start(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, NODES);
	harness_cluster_start(&cluster);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	return 0;
}

/* ---- Players: threads that play both sides of one match after the other ---- */

struct player {
	pthread_t thread;
	unsigned seed;
	struct fts_channel *channel;
	atomic_bool *stop;
	atomic_uint *move_count;
	uint32_t unknown_count; /* moves whose answer was lost */
	uint32_t match_count;
	struct {
		struct play_match match;
		uint32_t move_count;
		ftsi_move moves[FTSI_GAME_PLY_MAX]; /* as acknowledged, or as found */
	} played[64];
};

static void wrong(const struct play_match *match, uint32_t ply, const char *what)
{
	fprintf(stderr, "match %s, move %u: %s\n", match->name, ply, what);
	abort();
}

/* The answer is lost: has the move been made? */
static bool was_made(struct player *player, const struct play_match *match, uint32_t ply)
{
	Fts__Game__V1__ShowResponse *show = play_show(player->channel, match);
	uint32_t made = show->ply;
	fts__game__v1__show_response__free_unpacked(show, NULL);
	player->unknown_count++;
	if (made != ply && made != ply - 1) wrong(match, ply, "there are other moves than those that were sent");
	return made == ply;
}

/* Make the move, however often that takes. */
static void make_move(struct player *player, const struct play_match *match, uint32_t seat, const char *move,
		      uint32_t ply)
{
	for (struct harness_wait wait = harness_wait_ms(60000); harness_wait_more(&wait);) {
		struct fts_error error = {0};
		enum fts_status status = play_move(player->channel, match, seat, move, ply, &error);
		if (status == FTS_OK) return;
		if (status != FTS_UNAVAILABLE && status != FTS_DEADLINE_EXCEEDED) wrong(match, ply, error.detail);
		if (was_made(player, match, ply)) return;
	}
	wrong(match, ply, "could not be made");
}

static void *play(void *ctx)
{
	static const char *const games[] = {"tictactoe", "connect4", "reversi", "gomoku"};
	struct player *player = ctx;
	while (!atomic_load(player->stop) && player->match_count < 64) {
		struct play_match *match = &player->played[player->match_count].match;
		struct ftsi_position position;
		char move[8];
		uint32_t count = 0;
		play_begin(player->channel, games[player->match_count % 4], 600000, match);
		match->rules->init(&position);
		while (!atomic_load(player->stop) && play_choose(match, &position, &player->seed, move)) {
			make_move(player, match, position.turn, move, position.ply + 1u);
			(void)match->rules->parse(move, &player->played[player->match_count].moves[count++]);
			play_apply(match, &position, move);
			atomic_fetch_add(player->move_count, 1);
		}
		player->played[player->match_count++].move_count = count;
	}
	return NULL;
}

/* ---- Watchers: each at one node alone, each with every event once ---- */

struct watcher {
	pthread_t thread;
	struct fts_channel *channel;
	const struct play_match *match;
	uint64_t next;
	uint32_t move_count, pause_count;
	bool over;
};

static void see(struct watcher *watcher, const Fts__Game__V1__MatchEvent *event)
{
	if (event->number != watcher->next++) wrong(watcher->match, (uint32_t)event->number, "an event is missing");
	if (event->kind_case == FTS__GAME__V1__MATCH_EVENT__KIND_MOVED && event->moved->ply != ++watcher->move_count)
		wrong(watcher->match, event->moved->ply, "a move was told twice or never");
	watcher->pause_count += event->kind_case == FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED;
}

static void *watch(void *ctx)
{
	struct watcher *watcher = ctx;
	watcher->next = 1;
	for (struct harness_wait wait = harness_wait_ms(100000); !watcher->over && harness_wait_more(&wait);) {
		Fts__Game__V1__WatchResponse *response =
		    play_watch(watcher->channel, watcher->match, watcher->next, true, 2000);
		for (size_t i = 0; response != NULL && i < response->n_events; i++)
			see(watcher, response->events[i]);
		watcher->over = response != NULL && response->over;
		fts__game__v1__watch_response__free_unpacked(response, NULL);
	}
	return NULL;
}

/* ---- What every node must say afterwards ---- */

static void check_match(struct fts_channel *channel, const struct player *player, uint32_t i)
{
	const struct play_match *match = &player->played[i].match;
	Fts__Game__V1__RecordResponse *record = play_record(channel, match);
	assert_int_equal(record->n_moves, player->played[i].move_count);
	for (uint32_t ply = 0; ply < record->n_moves; ply++) {
		char text[FTSI_GAME_TEXT_MAX];
		match->rules->print(player->played[i].moves[ply], text);
		assert_string_equal(record->moves[ply]->move, text);
		assert_int_equal(record->moves[ply]->seat, ply % 2);
	}
	fts__game__v1__record_response__free_unpacked(record, NULL);
}

static void check_players(const struct player *players)
{
	for (size_t node = 0; node < NODES; node++) {
		struct fts_channel *channel = play_channel(cluster.members[node].endpoint);
		for (uint32_t i = 0; i < PLAYERS; i++)
			for (uint32_t m = 0; m < players[i].match_count; m++)
				check_match(channel, &players[i], m);
		fts_channel_close(channel);
	}
}

static void wait_for_moves(atomic_uint *count, unsigned wanted)
{
	for (struct harness_wait wait = harness_wait_ms(30000); atomic_load(count) < wanted;)
		if (!harness_wait_more(&wait)) fail_msg("players are stuck at %u of %u", atomic_load(count), wanted);
}

static void kill_leaders(atomic_uint *move_count)
{
	for (int kill = 0; kill < KILLS; kill++) {
		wait_for_moves(move_count, atomic_load(move_count) + BETWEEN_KILLS_MOVES);
		size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, 20000);
		harness_cluster_kill(&cluster, leader);
		(void)harness_cluster_wait_leader(&cluster, leader, 20000);
		harness_cluster_restart(&cluster, leader);
	}
	wait_for_moves(move_count, atomic_load(move_count) + BETWEEN_KILLS_MOVES);
}

static void begin_watching(struct watcher *watchers, const struct play_match *match)
{
	for (size_t node = 0; node < NODES; node++) {
		watchers[node] = (struct watcher){.match = match};
		watchers[node].channel = play_channel(cluster.members[node].endpoint);
		assert_int_equal(pthread_create(&watchers[node].thread, NULL, watch, &watchers[node]), 0);
	}
}

/* One long match, watched from all nodes, goes on among the players' many. */
static void moves_go_on_through_deaths(void **state)
{
	static struct player players[PLAYERS];
	static struct watcher watchers[NODES];
	static struct play_match watched;
	atomic_bool done = false;
	atomic_uint move_count = 0;
	uint32_t unknown_count = 0;
	struct fts_error error;
	(void)state;
	struct fts_channel *channel = play_channel(cluster.endpoints);
	play_begin(channel, "gomoku", 600000, &watched);
	begin_watching(watchers, &watched);
	for (uint32_t i = 0; i < PLAYERS; i++) {
		players[i] = (struct player){.seed = i + 1, .stop = &done, .move_count = &move_count};
		players[i].channel = play_channel(cluster.endpoints);
		assert_int_equal(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
	}
	assert_int_equal(play_move(channel, &watched, 0, "h8", 1, &error), FTS_OK);
	kill_leaders(&move_count);
	atomic_store(&done, true);
	for (uint32_t i = 0; i < PLAYERS; i++) {
		(void)pthread_join(players[i].thread, NULL);
		unknown_count += players[i].unknown_count;
	}
	Fts__Game__V1__ResignRequest resign = FTS__GAME__V1__RESIGN_REQUEST__INIT;
	Fts__Game__V1__ResignResponse *resigned = NULL;
	resign.match = watched.name;
	resign.token = watched.tokens[0];
	assert_int_equal(fts_game_resign(channel, &resign, NULL, &resigned, &error), FTS_OK);
	fts__game__v1__resign_response__free_unpacked(resigned, NULL);
	Fts__Game__V1__ShowResponse *show = play_show(channel, &watched);
	for (size_t node = 0; node < NODES; node++) {
		(void)pthread_join(watchers[node].thread, NULL);
		assert_true(watchers[node].over);
		assert_int_equal(watchers[node].next, show->events + 1);
		assert_int_equal(watchers[node].move_count, 1);
		assert_in_range(watchers[node].pause_count, KILLS, 2 * KILLS + 2);
		fts_channel_close(watchers[node].channel);
	}
	fts__game__v1__show_response__free_unpacked(show, NULL);
	fts_channel_close(channel);
	(void)harness_cluster_wait_equal(&cluster, EQUAL_MS);
	check_players(players);
	for (uint32_t i = 0; i < PLAYERS; i++)
		fts_channel_close(players[i].channel);
	print_message("%u moves through %d deaths, %u answers lost\n", atomic_load(&move_count), KILLS, unknown_count);
}

/* The original's servers sent their state to all others when they started: an empty one ended everybody's game. */
static void an_empty_node_wipes_nothing(void **state)
{
	struct play_match match;
	(void)state;
	struct fts_channel *channel = play_channel(cluster.endpoints);
	play_begin(channel, "tictactoe", 0, &match);
	assert_int_equal(play_move(channel, &match, 0, "2,2", 1, NULL), FTS_OK);
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, 20000);
	harness_cluster_kill(&cluster, leader);
	harness_directory_remove(cluster.members[leader].data);
	(void)harness_cluster_wait_leader(&cluster, leader, 20000);
	assert_int_equal(play_move(channel, &match, 1, "1,1", 2, NULL), FTS_OK);
	harness_cluster_restart(&cluster, leader);
	(void)harness_cluster_wait_equal(&cluster, EQUAL_MS);
	for (size_t node = 0; node < NODES; node++) {
		struct fts_channel *own = play_channel(cluster.members[node].endpoint);
		Fts__Game__V1__ShowResponse *show = play_show(own, &match);
		assert_int_equal(show->ply, 2);
		assert_string_equal(show->board, "  1 2 3\n1 O . .\n2 . X .\n3 . . .\n");
		fts__game__v1__show_response__free_unpacked(show, NULL);
		fts_channel_close(own);
	}
	assert_int_equal(play_move(channel, &match, 0, "3,3", 3, NULL), FTS_OK);
	fts_channel_close(channel);
}

/* Whoever a player talks to, the same rules hold, and the one leader decides. */
static void any_node_takes_moves_and_one_decides(void **state)
{
	static const char *const moves[] = {"1,1", "2,2", "1,2"};
	struct play_match match;
	(void)state;
	struct fts_channel *channel = play_channel(cluster.endpoints);
	play_begin(channel, "tictactoe", 0, &match);
	for (size_t node = 0; node < NODES; node++) {
		struct fts_channel *own = play_channel(cluster.members[node].endpoint);
		uint32_t seat = node % 2;
		struct fts_error error = {0};
		assert_int_equal(play_move(own, &match, seat ^ 1, moves[node], 0, &error), FTS_FAILED_PRECONDITION);
		assert_non_null(strstr(error.detail, "wrong-turn"));
		assert_int_equal(play_move(own, &match, seat, moves[node], (uint32_t)node + 2, &error), FTS_ABORTED);
		assert_int_equal(play_move(own, &match, seat, moves[node], (uint32_t)node + 1, &error), FTS_OK);
		fts_channel_close(own);
	}
	fts_channel_close(channel);
}

static void clocks_stand_still_without_a_majority(void **state)
{
	struct play_match match;
	(void)state;
	struct fts_channel *channel = play_channel(cluster.endpoints);
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, 20000);
	play_begin(channel, "tictactoe", SHORT_CLOCK_MS, &match);
	harness_cluster_kill(&cluster, (leader + 1) % NODES); /* the other way round there would be two pauses */
	harness_cluster_kill(&cluster, leader);
	for (struct harness_wait wait = harness_wait_ms(OUTAGE_MS); harness_wait_more(&wait);) /* what is tested */
		;
	harness_cluster_launch(&cluster, leader);
	harness_cluster_launch(&cluster, (leader + 1) % NODES);
	Fts__Game__V1__WatchResponse *watched = NULL;
	for (struct harness_wait wait = harness_wait_ms(30000); watched == NULL;) {
		if (!harness_wait_more(&wait)) fail_msg("nobody tells of the pause");
		watched = play_watch(channel, &match, 4, true, 2000);
	}
	assert_int_equal(watched->events[0]->kind_case, FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED);
	assert_true(watched->events[0]->clock_paused->paused_ms >= OUTAGE_MS);
	fts__game__v1__watch_response__free_unpacked(watched, NULL);
	assert_int_equal(play_move(channel, &match, 0, "2,2", 1, NULL), FTS_OK); /* there is time left */
	for (size_t node = 0; node < NODES; node++)
		assert_true(harness_cluster_wait_ready(&cluster, node, 20000));
	(void)harness_cluster_wait_equal(&cluster, EQUAL_MS);
	fts_channel_close(channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_node_takes_moves_and_one_decides),
	    cmocka_unit_test(moves_go_on_through_deaths),
	    cmocka_unit_test(clocks_stand_still_without_a_majority),
	    cmocka_unit_test(an_empty_node_wipes_nothing),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
