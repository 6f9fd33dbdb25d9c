/* Why this file exists: what callers may do with a match, and what is refused, command by command. */
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

static const Fts__Game__V1__MatchEvent *last_event(const struct world *world)
{
	assert_true(world->event_count > 0);
	return world->events[world->event_count - 1];
}

/* The refusal's detail begins with the rule's name. */
static void assert_refused(const struct world *world, enum fts_status status, enum fts_status wanted, const char *rule)
{
	if (status != wanted || strncmp(world->detail, rule, strlen(rule)) != 0 || world->detail[strlen(rule)] != ':')
		fail_msg("%s \"%s\", wanted %s \"%s\"", fts_status_name(status), world->detail, fts_status_name(wanted),
			 rule);
}

/* ---- A whole match ---- */

static void a_match_is_played(void **state)
{
	struct world *world = *state;
	const Fts__Game__V1__MoveResponse *moved;
	struct player players[2];
	world_pair(world, "tictactoe", 0, 0, players);
	assert_int_equal(world_show(world, players[0].match)->state, FTS__GAME__V1__STATE__PLAYING);
	world_move(world, &players[0], "1,1");
	world_move(world, &players[1], "2,1");
	world_move(world, &players[0], "1,2");
	world_move(world, &players[1], "2,2");
	assert_int_equal(world_try_move(world, &players[0], "1,3", 5, &moved), FTS_OK);
	assert_int_equal(moved->ply, 5);
	assert_int_equal(moved->outcome, FTS__GAME__V1__OUTCOME__WON);
	assert_int_equal(moved->winner, 0);
	assert_int_equal(moved->turn, -1);
	assert_int_equal(moved->reason, FTS__GAME__V1__REASON__BOARD);
	assert_string_equal(moved->board, "  1 2 3\n1 X X X\n2 O O .\n3 . . .\n");
}

/* The winning move reaches everybody, outcome and board with it: the original sent all moves but that one. */
static void the_winning_move_is_told(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "connect4", 0, 0, players);
	for (int i = 0; i < 6; i++)
		world_move(world, &players[i % 2], i % 2 == 0 ? "1" : "2");
	world_move(world, &players[0], "1");
	const Fts__Game__V1__MatchEvent *event = last_event(world);
	assert_int_equal(event->kind_case, FTS__GAME__V1__MATCH_EVENT__KIND_MOVED);
	assert_int_equal(event->number, 10);
	assert_int_equal(event->moved->ply, 7);
	assert_int_equal(event->moved->seat, 0);
	assert_string_equal(event->moved->move, "1");
	assert_int_equal(event->moved->outcome, FTS__GAME__V1__OUTCOME__WON);
	assert_int_equal(event->moved->winner, 0);
	assert_int_equal(event->moved->turn, -1);
	assert_non_null(strstr(event->moved->board, "X . . . . . ."));
	const Fts__Game__V1__WatchResponse *watched = world_watch(world, players[0].match, 10);
	assert_int_equal(watched->n_events, 1);
	assert_true(watched->over);
	assert_string_equal(watched->events[0]->moved->board, event->moved->board);
	const Fts__Game__V1__ShowResponse *show = world_show(world, players[0].match);
	assert_int_equal(show->state, FTS__GAME__V1__STATE__OVER);
	assert_int_equal(show->n_legal, 0);
	assert_int_equal(show->winner, 0);
}

static void a_draw_is_a_draw(void **state)
{
	static const char *const moves[] = {"1,1", "1,2", "1,3", "2,2", "2,1", "2,3", "3,2", "3,1", "3,3"};
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "tictactoe", 0, 0, players);
	for (size_t i = 0; i < 9; i++)
		world_move(world, &players[i % 2], moves[i]);
	const Fts__Game__V1__ShowResponse *show = world_show(world, players[0].match);
	assert_int_equal(show->outcome, FTS__GAME__V1__OUTCOME__DRAWN);
	assert_int_equal(show->winner, -1);
	assert_int_equal(show->turn, -1);
	assert_int_equal(show->reason, FTS__GAME__V1__REASON__BOARD);
}

/* ---- Refusals: the rule is named, and nothing has changed ---- */

struct refused_move {
	const char *name;
	uint32_t seat;
	const char *move;
	uint32_t ply;
	enum fts_status status;
	const char *rule;
};

static const struct refused_move refused_moves[] = {
    {"wrong turn", 0, "3,3", 0, FTS_FAILED_PRECONDITION, "wrong-turn"},
    {"occupied", 1, "1,1", 0, FTS_FAILED_PRECONDITION, "occupied"},
    {"notation", 1, "9,9", 0, FTS_INVALID_ARGUMENT, "notation"},
    {"empty", 1, "", 0, FTS_INVALID_ARGUMENT, "notation"},
    {"percent", 1, "%s%n", 0, FTS_INVALID_ARGUMENT, "notation"},
    {"stale", 1, "2,2", 1, FTS_ABORTED, "stale-ply"},
    {"ahead", 1, "2,2", 3, FTS_ABORTED, "stale-ply"},
    {"the same move again", 0, "1,1", 1, FTS_ABORTED, "stale-ply"},
};

static void moves_are_refused_by_name(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "tictactoe", 60000, 0, players);
	world_move(world, &players[0], "1,1");
	uint64_t before = world_hash(world);
	for (size_t i = 0; i < sizeof refused_moves / sizeof refused_moves[0]; i++) {
		const struct refused_move *refused = &refused_moves[i];
		enum fts_status status =
		    world_try_move(world, &players[refused->seat], refused->move, refused->ply, NULL);
		assert_refused(world, status, refused->status, refused->rule);
		if (world_hash(world) != before) fail_msg("%s: something has changed", refused->name);
	}
	assert_int_equal(world_try_move(world, &players[1], "2,2", 2, NULL), FTS_OK);
}

static void foreign_tokens_are_refused(void **state)
{
	struct world *world = *state;
	struct player players[2], others[2], nobody;
	world_pair(world, "tictactoe", 0, 0, players);
	world_pair(world, "tictactoe", 0, 0, others);
	nobody = players[0];
	(void)snprintf(nobody.token, sizeof nobody.token, "%s", others[0].token);
	assert_refused(world, world_try_move(world, &nobody, "1,1", 0, NULL), FTS_PERMISSION_DENIED, "foreign-token");
	assert_refused(world, world_try_resign(world, &nobody), FTS_PERMISSION_DENIED, "foreign-token");
	nobody.token[0] = '\0';
	assert_refused(world, world_try_move(world, &nobody, "1,1", 0, NULL), FTS_PERMISSION_DENIED, "foreign-token");
	assert_int_equal(world_try_move(world, &players[0], "1,1", 0, NULL), FTS_OK);
}

static void unknown_matches_are_not_found(void **state)
{
	static const char *const names[] = {"", "zzzzzzzz", "ZZZZZZZZ", "zzzzzzz", "zzzzzzzzz", "../../etc"};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct player player = {.token = "x"};
		Fts__Game__V1__ShowRequest show = FTS__GAME__V1__SHOW_REQUEST__INIT;
		(void)snprintf(player.match, sizeof player.match, "%s", names[i]);
		show.match = player.match;
		assert_refused(world, world_try_move(world, &player, "1", 0, NULL), FTS_NOT_FOUND, "no-such-match");
		assert_int_equal(world_read(world, fts_game_show_method, &show.base, NULL), FTS_NOT_FOUND);
	}
}

static void nothing_happens_before_and_after(void **state)
{
	struct world *world = *state;
	struct player players[2];
	char match[16];
	world_create(world, "tictactoe", 0, 0, match);
	assert_int_equal(world_try_join(world, match, "ann", -1, &players[0]), FTS_OK);
	assert_refused(world, world_try_move(world, &players[0], "1,1", 0, NULL), FTS_FAILED_PRECONDITION,
		       "not-started");
	assert_refused(world, world_try_resign(world, &players[0]), FTS_FAILED_PRECONDITION, "not-started");
	assert_refused(world, world_try_rematch(world, &players[0], match), FTS_FAILED_PRECONDITION, "not-over");
	assert_int_equal(world_try_join(world, match, "bob", -1, &players[1]), FTS_OK);
	assert_refused(world, world_try_rematch(world, &players[0], match), FTS_FAILED_PRECONDITION, "not-over");
	assert_int_equal(world_try_resign(world, &players[0]), FTS_OK);
	assert_refused(world, world_try_move(world, &players[0], "1,1", 0, NULL), FTS_FAILED_PRECONDITION, "over");
	assert_refused(world, world_try_resign(world, &players[1]), FTS_FAILED_PRECONDITION, "over");
}

static void the_games_own_rules_are_named(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "connect4", 0, 0, players);
	for (int i = 0; i < 6; i++)
		world_move(world, &players[i % 2], "4");
	assert_refused(world, world_try_move(world, &players[0], "4", 0, NULL), FTS_FAILED_PRECONDITION, "column-full");
	world_pair(world, "reversi", 0, 0, players);
	assert_refused(world, world_try_move(world, &players[0], "a1", 0, NULL), FTS_FAILED_PRECONDITION,
		       "turns-nothing");
	assert_refused(world, world_try_move(world, &players[0], "pass", 0, NULL), FTS_FAILED_PRECONDITION,
		       "pass-with-moves-left");
}

/* ---- Create and join ---- */

static void bad_terms_are_refused(void **state)
{
	struct world *world = *state;
	char label[80];
	memset(label, 'a', sizeof label);
	label[65] = '\0';
	assert_refused(world, world_try_create(world, "chess", "", 0, 0, 32), FTS_INVALID_ARGUMENT, "rules");
	assert_refused(world, world_try_create(world, "", "", 0, 0, 32), FTS_INVALID_ARGUMENT, "rules");
	assert_refused(world, world_try_create(world, "gomoku", label, 0, 0, 32), FTS_INVALID_ARGUMENT, "label");
	assert_refused(world, world_try_create(world, "gomoku", "\x1b[2J", 0, 0, 32), FTS_INVALID_ARGUMENT, "label");
	assert_refused(world, world_try_create(world, "gomoku", "\xff", 0, 0, 32), FTS_INVALID_ARGUMENT, "label");
	assert_refused(world, world_try_create(world, "gomoku", "", 0, 1000, 32), FTS_INVALID_ARGUMENT, "clock");
	assert_refused(world, world_try_create(world, "gomoku", "", 86400001, 0, 32), FTS_INVALID_ARGUMENT, "clock");
	assert_refused(world, world_try_create(world, "gomoku", "", 1000, 3600001, 32), FTS_INVALID_ARGUMENT, "clock");
	assert_refused(world, world_try_create(world, "gomoku", "", 0, 0, 31), FTS_INVALID_ARGUMENT, "entropy");
	label[64] = '\0';
	assert_int_equal(world_try_create(world, "gomoku", label, 86400000, 3600000, 32), FTS_OK);
}

/* The same entropy twice: the second match gets another name. */
static void names_never_collide(void **state)
{
	struct world *world = *state;
	char first[16];
	Fts__Game__V1__ListRequest request = FTS__GAME__V1__LIST_REQUEST__INIT;
	const Fts__Game__V1__ListResponse *response;
	for (int i = 0; i < 16; i++)
		assert_int_equal(world_try_create(world, "gomoku", "", 0, 0, 32), FTS_OK);
	assert_refused(world, world_try_create(world, "gomoku", "", 0, 0, 32), FTS_RESOURCE_EXHAUSTED, "name");
	assert_int_equal(world_read(world, fts_game_list_method, &request.base, &response), FTS_OK);
	assert_int_equal(response->n_matches, 16);
	(void)snprintf(first, sizeof first, "%s", response->matches[0]->match);
	assert_int_equal(strlen(first), 8);
	for (size_t i = 1; i < response->n_matches; i++)
		assert_string_not_equal(first, response->matches[i]->match);
}

static void seats_are_taken_once(void **state)
{
	struct world *world = *state;
	struct player first, second, third;
	char match[16], long_name[80];
	world_create(world, "tictactoe", 0, 0, match);
	memset(long_name, 'x', sizeof long_name);
	long_name[65] = '\0';
	assert_refused(world, world_try_join(world, match, long_name, -1, &first), FTS_INVALID_ARGUMENT, "name");
	assert_refused(world, world_try_join(world, match, "a\nb", -1, &first), FTS_INVALID_ARGUMENT, "name");
	assert_refused(world, world_try_join(world, match, "", 2, &first), FTS_INVALID_ARGUMENT, "seat");
	assert_int_equal(world_try_join(world, match, "", 1, &second), FTS_OK);
	assert_int_equal(second.seat, 1);
	assert_refused(world, world_try_join(world, match, "", 1, &first), FTS_FAILED_PRECONDITION, "seat-taken");
	assert_int_equal(world_try_join(world, match, "100 % \xC3\xA9", -1, &first), FTS_OK);
	assert_int_equal(first.seat, 0);
	assert_refused(world, world_try_join(world, match, "", -1, &third), FTS_FAILED_PRECONDITION, "full");
	assert_string_not_equal(first.token, second.token);
	const Fts__Game__V1__ShowResponse *show = world_show(world, match);
	assert_string_equal(show->seats[0]->name, "100 % \xC3\xA9");
	assert_string_equal(show->seats[1]->name, "player 2");
	world_move(world, &first, "1,1");
}

/* Tokens are told once: the state holds what they hash to. */
static void tokens_are_not_kept(void **state)
{
	struct world *world = *state;
	struct player players[2];
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	world_pair(world, "tictactoe", 0, 0, players);
	(void)world_show(world, players[0].match); /* writes */
	assert_int_equal(fts_store_view(world->store, &view), FTS_OK);
	assert_int_equal(fts_txn_scan(view, (struct fts_bytes){0}, (struct fts_bytes){0}, &cursor), FTS_OK);
	size_t count = 0;
	for (; fts_cursor_next(cursor, &key, &value); count++)
		for (int i = 0; i < 2; i++)
			assert_null(memmem(value.data, value.size_bytes, players[i].token, strlen(players[i].token)));
	assert_true(count > 5);
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	for (size_t i = 0; i < world->event_count; i++) {
		char packed[2048];
		assert_true(protobuf_c_message_get_packed_size(&world->events[i]->base) < sizeof packed);
		size_t size = protobuf_c_message_pack(&world->events[i]->base, (uint8_t *)packed);
		assert_null(memmem(packed, size, players[0].token, strlen(players[0].token)));
	}
}

/* Whatever a caller says of it, entropy is the serving node's. */
static void entropy_is_the_nodes(void **state)
{
	struct world *world = *state;
	Fts__Game__V1__JoinRequest join = FTS__GAME__V1__JOIN_REQUEST__INIT, *prepared;
	uint8_t chosen[32] = {0}, first[32];
	join.match = (char *)(uintptr_t) "abcdefgh";
	join.name = (char *)(uintptr_t) "ann";
	join.seat = 2;
	join.entropy = (ProtobufCBinaryData){sizeof chosen, chosen};
	for (int round = 0; round < 2; round++) {
		struct fts_bytes packed = world_prepare(world, fts_game_join_method, &join.base);
		prepared = fts__game__v1__join_request__unpack(NULL, packed.size_bytes, packed.data);
		assert_non_null(prepared);
		assert_int_equal(prepared->entropy.len, 32);
		assert_memory_not_equal(prepared->entropy.data, round == 0 ? chosen : first, 32);
		memcpy(first, prepared->entropy.data, 32);
		assert_string_equal(prepared->match, "abcdefgh");
		assert_string_equal(prepared->name, "ann");
		assert_int_equal(prepared->seat, 2);
		fts__game__v1__join_request__free_unpacked(prepared, NULL);
	}
}

static void show_tells_whose_seat_a_token_opens(void **state)
{
	struct world *world = *state;
	struct player players[2];
	const Fts__Game__V1__ShowResponse *response;
	Fts__Game__V1__ShowRequest request = FTS__GAME__V1__SHOW_REQUEST__INIT;
	world_pair(world, "tictactoe", 0, 0, players);
	request.match = players[0].match;
	for (uint32_t i = 0; i < 2; i++) {
		request.token = players[i].token;
		assert_int_equal(world_read(world, fts_game_show_method, &request.base, &response), FTS_OK);
		assert_int_equal(response->you, i + 1);
	}
	request.token = (char *)(uintptr_t) "";
	assert_int_equal(world_read(world, fts_game_show_method, &request.base, &response), FTS_OK);
	assert_int_equal(response->you, 0);
	assert_int_equal(response->n_legal, 9);
	assert_string_equal(response->legal[3], "2,1");
}

/* ---- Resign and rematch ---- */

static void a_rematch_is_made_when_both_have_asked(void **state)
{
	struct world *world = *state;
	struct player players[2], again[2];
	char next[16], old[16];
	world_pair(world, "tictactoe", 60000, 1000, players);
	assert_int_equal(world_try_resign(world, &players[0]), FTS_OK);
	assert_int_equal(last_event(world)->resigned->winner, 1);
	assert_int_equal(world_show(world, players[0].match)->reason, FTS__GAME__V1__REASON__RESIGNED);
	assert_int_equal(world_try_rematch(world, &players[1], next), FTS_OK);
	assert_string_equal(next, "");
	assert_string_equal(last_event(world)->rematch_asked->match, "");
	size_t event_count = world->event_count;
	assert_int_equal(world_try_rematch(world, &players[1], next), FTS_OK); /* again: nothing */
	assert_string_equal(next, "");
	assert_int_equal(world->event_count, event_count);
	assert_int_equal(world_try_rematch(world, &players[0], next), FTS_OK);
	assert_int_equal(strlen(next), 8);
	assert_string_equal(world->events[event_count]->rematch_asked->match, next);
	assert_int_equal(world->events[event_count]->rematch_asked->seat, 0);
	for (int i = 0; i < 2; i++) { /* both learn the name, however often they ask */
		assert_int_equal(world_try_rematch(world, &players[i], old), FTS_OK);
		assert_string_equal(old, next);
	}
	const Fts__Game__V1__ShowResponse *show = world_show(world, next);
	assert_int_equal(show->state, FTS__GAME__V1__STATE__PLAYING);
	assert_string_equal(show->seats[0]->name, "bob"); /* seats are swapped, tokens go with their players */
	assert_string_equal(show->seats[1]->name, "ann");
	assert_int_equal(show->clock->initial_ms, 60000);
	assert_int_equal(show->clock->increment_ms, 1000);
	assert_int_equal(show->events, 3);
	assert_string_equal(world_show(world, players[0].match)->rematch, next);
	for (int i = 0; i < 2; i++) {
		again[i] = players[i];
		(void)snprintf(again[i].match, sizeof again[i].match, "%s", next);
	}
	assert_refused(world, world_try_move(world, &again[0], "1,1", 0, NULL), FTS_FAILED_PRECONDITION, "wrong-turn");
	world_move(world, &again[1], "1,1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_match_is_played),
	    TEST(the_winning_move_is_told),
	    TEST(a_draw_is_a_draw),
	    TEST(moves_are_refused_by_name),
	    TEST(foreign_tokens_are_refused),
	    TEST(unknown_matches_are_not_found),
	    TEST(nothing_happens_before_and_after),
	    TEST(the_games_own_rules_are_named),
	    TEST(bad_terms_are_refused),
	    TEST(names_never_collide),
	    TEST(seats_are_taken_once),
	    TEST(tokens_are_not_kept),
	    TEST(entropy_is_the_nodes),
	    TEST(show_tells_whose_seat_a_token_opens),
	    TEST(a_rematch_is_made_when_both_have_asked),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
