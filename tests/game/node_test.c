/* Why this file exists: games on one real node: what was answered is there after kill -9, with tokens, clocks and all;
 * records replay to the same hash; perft answers over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"
#include "tests/harness/clock.h"
#include "tests/harness/node.h"

enum { DOWN_MS = 1200 };

static struct harness_node node;
static struct fts_channel *channel;

static int start(void **state)
{
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	channel = play_channel(node.endpoint);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fts_channel_close(channel);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
	return 0;
}

static Fts__Game__V1__ReplayResponse *replay(Fts__Game__V1__RecordResponse *record)
{
	Fts__Game__V1__ReplayRequest request = FTS__GAME__V1__REPLAY_REQUEST__INIT;
	Fts__Game__V1__ReplayResponse *response = NULL;
	struct fts_error error;
	request.record = record;
	if (fts_game_tools_replay(channel, &request, NULL, &response, &error) != FTS_OK)
		fail_msg("replay: %s", error.detail);
	return response;
}

/* Whole random games; each is killed and started again in its middle. */
static void records_replay_to_the_same_hash(void **state)
{
	(void)state;
	for (uint32_t game = 0; game < FTSI_GAME_RULES_COUNT; game++) {
		struct play_match match;
		struct ftsi_position position;
		unsigned seed = game + 1;
		char move[8], board[FTSI_GAME_BOARD_MAX];
		play_begin(channel, ftsi_game_rules_at(game)->name, 0, &match);
		match.rules->init(&position);
		while (play_choose(&match, &position, &seed, move)) {
			struct fts_error error;
			enum fts_status status =
			    play_move(channel, &match, position.turn, move, position.ply + 1u, &error);
			if (status != FTS_OK) fail_msg("%s at %u: %s", move, position.ply, error.detail);
			play_apply(&match, &position, move);
			if (position.ply == 4) {
				harness_node_kill(&node);
				harness_node_start(&node);
			}
		}
		Fts__Game__V1__RecordResponse *record = play_record(channel, &match);
		Fts__Game__V1__ReplayResponse *again = replay(record);
		match.rules->show(&position, board);
		assert_int_equal(record->n_moves, position.ply);
		assert_true(again->same && again->hash == record->hash);
		assert_int_equal(again->n_boards, position.ply + 1u);
		assert_string_equal(again->boards[position.ply], board);
		assert_int_equal(again->outcome, position.outcome);
		fts__game__v1__replay_response__free_unpacked(again, NULL);
		record->moves[0]->seat ^= 1;
		Fts__Game__V1__ReplayRequest request = FTS__GAME__V1__REPLAY_REQUEST__INIT;
		request.record = record;
		assert_int_equal(fts_game_tools_replay(channel, &request, NULL, &again, NULL), FTS_FAILED_PRECONDITION);
		record->moves[0]->seat ^= 1;
		record->hash ^= 1;
		again = replay(record);
		assert_false(again->same);
		fts__game__v1__replay_response__free_unpacked(again, NULL);
		fts__game__v1__record_response__free_unpacked(record, NULL);
	}
}

static void a_resigned_record_replays(void **state)
{
	struct play_match match;
	Fts__Game__V1__ResignRequest request = FTS__GAME__V1__RESIGN_REQUEST__INIT;
	Fts__Game__V1__ResignResponse *resigned = NULL;
	(void)state;
	play_begin(channel, "gomoku", 60000, &match);
	assert_int_equal(play_move(channel, &match, 0, "h8", 1, NULL), FTS_OK);
	request.match = match.name;
	request.token = match.tokens[0];
	assert_int_equal(fts_game_resign(channel, &request, NULL, &resigned, NULL), FTS_OK);
	assert_int_equal(resigned->winner, 1);
	fts__game__v1__resign_response__free_unpacked(resigned, NULL);
	Fts__Game__V1__RecordResponse *record = play_record(channel, &match);
	Fts__Game__V1__ReplayResponse *again = replay(record);
	assert_true(again->same);
	assert_int_equal(again->reason, FTS__GAME__V1__REASON__RESIGNED);
	fts__game__v1__replay_response__free_unpacked(again, NULL);
	record->winner = 0;
	again = replay(record);
	assert_true(again->hash == record->hash);
	fts__game__v1__replay_response__free_unpacked(again, NULL);
	fts__game__v1__record_response__free_unpacked(record, NULL);
}

/* A node that is down leads nobody: its clocks stand still, and it says so. */
static void clocks_stop_while_the_node_is_down(void **state)
{
	struct play_match match;
	(void)state;
	play_begin(channel, "tictactoe", 60000, &match);
	assert_int_equal(play_move(channel, &match, 0, "2,2", 1, NULL), FTS_OK);
	harness_node_kill(&node);
	uint64_t down_ms = harness_now_ns() / 1000000;
	for (struct harness_wait wait = harness_wait_ms(DOWN_MS);
	     harness_wait_more(&wait);) /* the pause is what is tested */
		;
	harness_node_start(&node);
	uint64_t up_ms = harness_now_ns() / 1000000;
	Fts__Game__V1__WatchResponse *watched = play_watch(channel, &match, 5, true, PLAY_TIMEOUT_MS);
	assert_non_null(watched);
	assert_int_equal(watched->n_events, 1);
	assert_int_equal(watched->events[0]->kind_case, FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED);
	assert_in_range(watched->events[0]->clock_paused->paused_ms, DOWN_MS, up_ms - down_ms + 2000);
	fts__game__v1__watch_response__free_unpacked(watched, NULL);
	Fts__Game__V1__ShowResponse *show = play_show(channel, &match);
	assert_int_equal(show->state, FTS__GAME__V1__STATE__PLAYING);
	fts__game__v1__show_response__free_unpacked(show, NULL);
}

static void time_runs_out(void **state)
{
	struct play_match match;
	(void)state;
	play_begin(channel, "tictactoe", 600, &match);
	Fts__Game__V1__WatchResponse *watched = play_watch(channel, &match, 4, true, PLAY_TIMEOUT_MS);
	assert_non_null(watched);
	assert_int_equal(watched->events[0]->kind_case, FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER);
	assert_int_equal(watched->events[0]->time_over->winner, 1);
	assert_true(watched->over);
	fts__game__v1__watch_response__free_unpacked(watched, NULL);
}

static void perft_over_the_wire(void **state)
{
	Fts__Game__V1__PerftRequest request = FTS__GAME__V1__PERFT_REQUEST__INIT;
	Fts__Game__V1__PerftResponse *response = NULL;
	const struct fts_call_options hurried = {.timeout_ms = 300};
	uint64_t began_ms;
	(void)state;
	request.rules = (char *)(uintptr_t) "connect4";
	request.depth = 7;
	request.positions = true;
	assert_int_equal(fts_game_tools_perft(channel, &request, NULL, &response, NULL), FTS_OK);
	assert_int_equal(response->nodes, 823536);
	assert_int_equal(response->positions, 54859);
	fts__game__v1__perft_response__free_unpacked(response, NULL);
	request.depth = 100;
	began_ms = harness_now_ns() / 1000000;
	assert_int_equal(fts_game_tools_perft(channel, &request, &hurried, &response, NULL), FTS_DEADLINE_EXCEEDED);
	assert_true(harness_now_ns() / 1000000 - began_ms < 10000);
	request.rules = (char *)(uintptr_t) "chess";
	assert_int_equal(fts_game_tools_perft(channel, &request, NULL, &response, NULL), FTS_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_replay_to_the_same_hash),
	    cmocka_unit_test(a_resigned_record_replays),
	    cmocka_unit_test(clocks_stop_while_the_node_is_down),
	    cmocka_unit_test(time_runs_out),
	    cmocka_unit_test(perft_over_the_wire),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
