/* Why this file exists: what is told of matches: watching, lists, and what is kept for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "game/state.h"
#include "world.h"

static int setup(void **state)
{
	struct world *world = malloc(sizeof *world);
	world_open(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

/* The refusal's detail begins with the rule's name. */
static void assert_refused(const struct world *world, enum fts_status status, enum fts_status wanted, const char *rule)
{
	if (status != wanted || strncmp(world->detail, rule, strlen(rule)) != 0 || world->detail[strlen(rule)] != ':')
		fail_msg("%s \"%s\", wanted %s \"%s\"", fts_status_name(status), world->detail, fts_status_name(wanted),
			 rule);
}

/* ---- Watch ---- */

static enum fts_status try_watch(struct world *world, const char *match, uint64_t from, uint32_t limit, bool wait,
				 const Fts__Game__V1__WatchResponse **out_response)
{
	Fts__Game__V1__WatchRequest request = FTS__GAME__V1__WATCH_REQUEST__INIT;
	request.match = (char *)(uintptr_t)match;
	request.from = from;
	request.limit = limit;
	request.wait = wait;
	return world_read(world, fts_game_watch_method, &request.base, out_response);
}

static void watching_goes_on_from_anywhere(void **state)
{
	struct world *world = *state;
	const Fts__Game__V1__WatchResponse *response;
	struct player players[2];
	world_pair(world, "gomoku", 0, 0, players);
	for (int i = 0; i < 40; i++) { /* colours alternate in each row: nobody wins */
		char move[8];
		(void)snprintf(move, sizeof move, "%c%d", 'a' + i % 15, 1 + i / 15 * 2);
		world_move(world, &players[i % 2], move);
	}
	uint64_t last = world_show(world, players[0].match)->events;
	assert_int_equal(last, world->event_count);
	for (uint32_t limit = 1; limit <= 30; limit += 7) {
		uint64_t from = 1;
		while (from <= last) { /* pages meet without gap or overlap, and are what was published */
			assert_int_equal(try_watch(world, players[0].match, from, limit, false, &response), FTS_OK);
			assert_true(response->n_events > 0 && response->n_events <= limit);
			for (size_t i = 0; i < response->n_events; i++, from++) {
				uint8_t one[2048], other[2048];
				size_t size = protobuf_c_message_pack(&response->events[i]->base, one);
				assert_int_equal(protobuf_c_message_pack(&world->events[from - 1]->base, other), size);
				assert_memory_equal(one, other, size);
			}
			assert_int_equal(response->next, from);
		}
	}
	assert_int_equal(try_watch(world, players[0].match, 0, 0, false, &response), FTS_OK); /* 0: from the first */
	assert_int_equal(response->n_events, last);
	assert_int_equal(try_watch(world, players[0].match, last + 2, 0, true, &response), FTS_OUT_OF_RANGE);
	assert_int_equal(try_watch(world, "zzzzzzzz", 1, 0, true, &response), FTS_NOT_FOUND);
	assert_false(world->waits);
}

static void watching_waits_for_what_comes(void **state)
{
	struct world *world = *state;
	const Fts__Game__V1__WatchResponse *response;
	struct player players[2];
	world_pair(world, "tictactoe", 0, 0, players);
	assert_int_equal(try_watch(world, players[0].match, 4, 0, false, &response), FTS_OK);
	assert_int_equal(response->n_events, 0);
	assert_int_equal(response->next, 4);
	assert_false(response->over);
	(void)try_watch(world, players[0].match, 4, 0, true, &response);
	assert_true(world->waits);
	world_move(world, &players[0], "2,2");
	assert_int_equal(try_watch(world, players[0].match, 4, 0, true, &response), FTS_OK);
	assert_false(world->waits);
	assert_int_equal(response->n_events, 1);
	assert_int_equal(world_try_resign(world, &players[1]), FTS_OK);
	assert_int_equal(try_watch(world, players[0].match, 5, 0, true, &response), FTS_OK);
	assert_true(response->over);
	assert_int_equal(try_watch(world, players[0].match, 6, 0, true, &response), FTS_OK); /* over: no wait */
	assert_true(response->over);
	assert_int_equal(response->n_events, 0);
	assert_int_equal(response->next, 6);
}

/* ---- List ---- */

static size_t list_count(struct world *world, const char *rules, Fts__Game__V1__State wanted, const char *player,
			 const char *label)
{
	Fts__Game__V1__ListRequest request = FTS__GAME__V1__LIST_REQUEST__INIT;
	const Fts__Game__V1__ListResponse *response;
	request.rules = (char *)(uintptr_t)rules;
	request.state = wanted;
	request.player = (char *)(uintptr_t)player;
	request.label = (char *)(uintptr_t)label;
	assert_int_equal(world_read(world, fts_game_list_method, &request.base, &response), FTS_OK);
	assert_false(response->more);
	return response->n_matches;
}

static void lists_are_filtered_and_paged(void **state)
{
	struct world *world = *state;
	Fts__Game__V1__ListRequest request = FTS__GAME__V1__LIST_REQUEST__INIT;
	const Fts__Game__V1__ListResponse *response;
	char names[25][16], after[16] = "";
	struct player players[2];
	for (int i = 0; i < 20; i++)
		world_create(world, i % 2 == 0 ? "gomoku" : "reversi", 0, 0, names[i]);
	for (int i = 20; i < 25; i++) {
		world_pair(world, "connect4", 0, 0, players);
		(void)snprintf(names[i], sizeof names[i], "%s", players[0].match);
	}
	assert_int_equal(world_try_resign(world, &players[0]), FTS_OK);
	assert_int_equal(world_try_create(world, "gomoku", "cup", 0, 0, 32), FTS_OK);
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__STATE_ANY, "", ""), 26);
	assert_int_equal(list_count(world, "gomoku", FTS__GAME__V1__STATE__STATE_ANY, "", ""), 11);
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__OPEN, "", ""), 21);
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__PLAYING, "", ""), 4);
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__OVER, "bob", ""), 1);
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__STATE_ANY, "bob", ""), 5);
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__STATE_ANY, "", "cup"), 1);
	assert_int_equal(list_count(world, "reversi", FTS__GAME__V1__STATE__STATE_ANY, "ann", ""), 0);
	request.limit = 4;
	for (int left = 25, i = 0;; left -= 4) { /* newest first; the last page says so */
		request.after = i == 0 ? (char *)(uintptr_t) "" : after;
		request.label = (char *)(uintptr_t) "";
		assert_int_equal(world_read(world, fts_game_list_method, &request.base, &response), FTS_OK);
		for (size_t row = 0; row < response->n_matches; row++, i++) {
			if (i > 0) assert_string_equal(response->matches[row]->match, names[25 - i]);
			assert_string_equal(response->matches[row]->board, "");
			assert_int_equal(response->matches[row]->n_legal, 0);
		}
		(void)snprintf(after, sizeof after, "%s", response->matches[response->n_matches - 1]->match);
		assert_int_equal(response->more, i < 26);
		if (!response->more) break;
		assert_true(left > 0);
	}
	request.after = (char *)(uintptr_t) "zzzzzzzz";
	assert_int_equal(world_read(world, fts_game_list_method, &request.base, &response), FTS_NOT_FOUND);
	request.after = (char *)(uintptr_t) "";
	request.rules = (char *)(uintptr_t) "chess";
	assert_int_equal(world_read(world, fts_game_list_method, &request.base, &response), FTS_INVALID_ARGUMENT);
}

static void rules_are_listed(void **state)
{
	struct world *world = *state;
	Fts__Game__V1__RulesRequest request = FTS__GAME__V1__RULES_REQUEST__INIT;
	const Fts__Game__V1__RulesResponse *response;
	assert_int_equal(world_read(world, fts_game_rules_method, &request.base, &response), FTS_OK);
	assert_int_equal(response->n_rules, 4);
	assert_string_equal(response->rules[0]->name, "tictactoe");
	assert_string_equal(response->rules[3]->name, "gomoku");
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(response->rules[i]->seats, 2);
		assert_true(strlen(response->rules[i]->title) > 0 && strlen(response->rules[i]->notation) > 0);
	}
}

/* ---- What is kept ---- */

static void old_matches_make_room(void **state)
{
	struct world *world = *state;
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	struct player first[2], second[2];
	char match[16];
	uint8_t entropy[32] = {9};
	world_pair(world, "tictactoe", 60000, 0, first);
	world_pair(world, "tictactoe", 0, 0, second);
	for (int i = 2; i < FTSI_GAME_MATCH_COUNT_MAX; i++)
		world_create(world, "tictactoe", 0, 0, match);
	request.rules = (char *)(uintptr_t) "tictactoe";
	request.entropy = (ProtobufCBinaryData){sizeof entropy, entropy};
	assert_refused(world, world_apply(world, fts_game_create_method, &request.base, NULL), FTS_RESOURCE_EXHAUSTED,
		       "too-many-matches");
	assert_int_equal(world_try_resign(world, &second[0]), FTS_OK); /* ends first, so it goes first */
	assert_int_equal(world_try_resign(world, &first[0]), FTS_OK);
	world_create(world, "tictactoe", 0, 0, match);
	assert_refused(world, world_try_resign(world, &second[0]), FTS_NOT_FOUND, "no-such-match");
	(void)world_show(world, first[0].match);
	assert_int_equal(world_try_rematch(world, &first[0], match), FTS_OK);
	assert_int_equal(world_try_rematch(world, &first[1], match), FTS_OK); /* its own place is given to the next */
	(void)world_show(world, match);
	assert_refused(world, world_try_resign(world, &first[0]), FTS_NOT_FOUND, "no-such-match");
	assert_refused(world, world_apply(world, fts_game_create_method, &request.base, NULL), FTS_RESOURCE_EXHAUSTED,
		       "too-many-matches");
}

static void matches_left_alone_are_forgotten(void **state)
{
	const int64_t day_ms = 86400000;
	struct world *world = *state;
	struct player players[2];
	char match[16];
	world_create(world, "gomoku", 0, 0, match);
	world_pair(world, "gomoku", 0, 0, players);
	world->time_ms += day_ms - 1;
	world_tick(world);
	world_move(world, &players[0], "h8");
	(void)world_show(world, match);
	world->time_ms += 60001;
	world_tick(world);
	assert_refused(world, world_try_join(world, match, "", -1, &players[0]), FTS_NOT_FOUND, "no-such-match");
	world_move(world, &players[1], "h9"); /* played: stays for a month from here */
	world->time_ms += 30 * day_ms - 1000;
	world_tick(world);
	(void)world_show(world, players[1].match);
	world->time_ms += 61000;
	world_tick(world);
	assert_refused(world, world_try_resign(world, &players[1]), FTS_NOT_FOUND, "no-such-match");
	world_forget_events(world);
	world->time_ms += 61000;
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0); /* nothing is left to do */
	assert_int_equal(list_count(world, "", FTS__GAME__V1__STATE__STATE_ANY, "", ""), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(watching_goes_on_from_anywhere), TEST(watching_waits_for_what_comes),
	    TEST(lists_are_filtered_and_paged),   TEST(rules_are_listed),
	    TEST(old_matches_make_room),          TEST(matches_left_alone_are_forgotten),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
