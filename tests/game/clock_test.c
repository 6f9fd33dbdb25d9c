/* Why this file exists: clocks: what is used is taken off, what is used up loses, and no time passes while nobody
 * leads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum { MINUTE_MS = 60000 };

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

/* Time passes, with the leader's Tick every half second. */
static void pass(struct world *world, int64_t span_ms)
{
	for (; span_ms > 0; span_ms -= 500) {
		world->time_ms += span_ms < 500 ? span_ms : 500;
		world_tick(world);
	}
}

/* The leader is gone for span_ms; then another one leads. */
static void lose_leader(struct world *world, int64_t span_ms)
{
	world_turn(world, false);
	world->time_ms += span_ms;
	world->lead_index++;
}

static uint64_t left_ms(struct world *world, const struct player *player)
{
	return world_show(world, player->match)->seats[player->seat]->left_ms;
}

static size_t count_of(const struct world *world, Fts__Game__V1__MatchEvent__KindCase kind)
{
	size_t count = 0;
	for (size_t i = 0; i < world->event_count; i++)
		count += world->events[i]->kind_case == kind;
	return count;
}

static const Fts__Game__V1__MatchEvent *last_event(const struct world *world)
{
	return world->events[world->event_count - 1];
}

static void time_is_taken_off(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", 5 * MINUTE_MS, 3000, players);
	pass(world, 10000);
	assert_int_equal(world_show(world, players[0].match)->running_ms, 10000);
	world_move(world, &players[0], "h8");
	assert_int_equal(left_ms(world, &players[0]), 5 * MINUTE_MS - 10000 + 3000);
	assert_int_equal(left_ms(world, &players[1]), 5 * MINUTE_MS);
	assert_int_equal(last_event(world)->moved->left_ms, 5 * MINUTE_MS - 7000);
	assert_int_equal(world_show(world, players[0].match)->running_ms, 0);
	pass(world, 700);
	world_move(world, &players[1], "h9");
	assert_int_equal(left_ms(world, &players[1]), 5 * MINUTE_MS - 700 + 3000);
	assert_int_equal(left_ms(world, &players[0]), 5 * MINUTE_MS - 7000);
}

static void no_clock_no_ticks(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", 0, 0, players);
	world->time_ms += MINUTE_MS;
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	world_turn(world, false); /* not the leader: nothing */
	assert_int_equal(world->proposal_count, 0);
	world_tick(world);
	assert_int_equal(world_try_resign(world, &players[0]), FTS_OK);
	world->time_ms += 1000;
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
}

static void who_has_no_time_left_has_lost(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	pass(world, 1000);
	world_move(world, &players[0], "h8");
	pass(world, MINUTE_MS - 1);
	assert_int_equal(world_show(world, players[0].match)->state, FTS__GAME__V1__STATE__PLAYING);
	world->time_ms += 1; /* late, though nobody has said so yet */
	assert_int_equal(world_try_move(world, &players[1], "h9", 0, NULL), FTS_FAILED_PRECONDITION);
	assert_memory_equal(world->detail, "time:", 5);
	assert_int_equal(world_try_resign(world, &players[0]), FTS_FAILED_PRECONDITION); /* nor the other way round */
	pass(world, 500);
	const Fts__Game__V1__ShowResponse *show = world_show(world, players[0].match);
	assert_int_equal(show->state, FTS__GAME__V1__STATE__OVER);
	assert_int_equal(show->outcome, FTS__GAME__V1__OUTCOME__WON);
	assert_int_equal(show->winner, 0);
	assert_int_equal(show->reason, FTS__GAME__V1__REASON__TIME);
	assert_int_equal(show->seats[1]->left_ms, 0);
	assert_int_equal(show->seats[0]->left_ms, MINUTE_MS - 1000);
	assert_int_equal(last_event(world)->kind_case, FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER);
	assert_int_equal(last_event(world)->time_over->seat, 1);
	assert_int_equal(last_event(world)->time_over->winner, 0);
	pass(world, MINUTE_MS);
	assert_int_equal(count_of(world, FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER), 1);
}

/* Slow and fast in one match: the shorter time is the one that counts, wherever the list had the match before. */
static void the_other_clock_may_end_sooner(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	pass(world, 55000);
	world_move(world, &players[0], "h8"); /* 5 s left to seat 0 */
	pass(world, 1000);
	world_move(world, &players[1], "h9");
	pass(world, 4500);
	assert_int_equal(world_show(world, players[0].match)->state, FTS__GAME__V1__STATE__PLAYING);
	pass(world, 1000);
	assert_int_equal(world_show(world, players[0].match)->winner, 1);
}

static void many_run_out_together(void **state)
{
	enum { MATCHES = 150 }; /* more than one Tick takes */
	struct world *world = *state;
	struct player players[2];
	for (int i = 0; i < MATCHES; i++)
		world_pair(world, "tictactoe", 1000, 0, players);
	world_forget_events(world);
	pass(world, 5000);
	assert_int_equal(count_of(world, FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER), MATCHES);
	world->time_ms += 1000;
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
}

/* ---- Nobody leads ---- */

static void clocks_stop_while_nobody_leads(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	pass(world, 10000);
	lose_leader(world, 3 * MINUTE_MS); /* longer than anybody has */
	world_forget_events(world);
	world_tick(world);
	assert_int_equal(world->event_count, 1);
	assert_int_equal(last_event(world)->kind_case, FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED);
	assert_int_equal(last_event(world)->clock_paused->paused_ms, 3 * MINUTE_MS);
	assert_int_equal(world_show(world, players[0].match)->running_ms, 10000);
	pass(world, 5000);
	world_move(world, &players[0], "h8");
	assert_int_equal(left_ms(world, &players[0]), MINUTE_MS - 15000);
	pass(world, MINUTE_MS - 500);
	assert_int_equal(world_show(world, players[0].match)->state, FTS__GAME__V1__STATE__PLAYING);
	pass(world, 1000);
	assert_int_equal(world_show(world, players[0].match)->winner, 0);
	assert_int_equal(count_of(world, FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED), 1);
}

/* A move may be the new leader's first command, before it has said that it leads. */
static void a_move_may_come_before_the_resume(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	pass(world, 10000);
	lose_leader(world, 2 * MINUTE_MS);
	world_forget_events(world);
	world_move(world, &players[0], "h8");
	assert_int_equal(world->event_count, 2); /* the pause first, then the move */
	assert_int_equal(world->events[0]->clock_paused->paused_ms, 2 * MINUTE_MS);
	assert_int_equal(world->events[1]->moved->left_ms, MINUTE_MS - 10000);
	world_tick(world);
	pass(world, 1000);
	assert_int_equal(count_of(world, FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED), 1); /* told once */
	world_move(world, &players[1], "h9");
	assert_int_equal(left_ms(world, &players[1]), MINUTE_MS - 1000);
}

/* A refused command changes nothing, the pause it saw included. */
static void a_refused_move_keeps_the_pause(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	pass(world, 10000);
	lose_leader(world, 2 * MINUTE_MS);
	assert_int_equal(world_try_move(world, &players[1], "h8", 0, NULL), FTS_FAILED_PRECONDITION);
	world_tick(world);
	assert_int_equal(last_event(world)->clock_paused->paused_ms, 2 * MINUTE_MS);
	world_move(world, &players[0], "h8");
	assert_int_equal(left_ms(world, &players[0]), MINUTE_MS - 10000);
}

static void several_pauses_add_up(void **state)
{
	struct world *world = *state;
	struct player players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	pass(world, 500);
	for (int i = 0; i < 3; i++) { /* leaders that fall before they can say anything but one thing */
		lose_leader(world, 10000);
		Fts__Game__V1__ResumeRequest resume = FTS__GAME__V1__RESUME_REQUEST__INIT;
		assert_int_equal(world_apply(world, fts_game_clock_resume_method, &resume.base, NULL), FTS_OK);
	}
	assert_int_equal(count_of(world, FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED), 3);
	pass(world, 500);
	world_move(world, &players[0], "h8");
	assert_int_equal(left_ms(world, &players[0]), MINUTE_MS - 1000);
}

/* More matches than one command may tell, and some that move while others are told. */
static void all_are_told_of_a_pause_once(void **state)
{
	enum { MATCHES = 600 };
	struct world *world = *state;
	static struct player players[MATCHES][2];
	static unsigned told[MATCHES];
	memset(told, 0, sizeof told);
	for (int i = 0; i < MATCHES; i++)
		world_pair(world, "gomoku", 10 * MINUTE_MS + (uint32_t)(i * 7919 % 1000), 0, players[i]);
	pass(world, 1000);
	lose_leader(world, 4000);
	for (int round = 0; round < 6; round++) {
		world_forget_events(world);
		world_turn(world, true);
		(void)world_apply_proposals(world);
		world_move(world, players[round * 113 % MATCHES], "h8");
		for (size_t e = 0; e < world->event_count; e++) {
			if (world->events[e]->kind_case != FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED) continue;
			assert_int_equal(world->events[e]->clock_paused->paused_ms, 4000);
			for (int i = 0; i < MATCHES; i++)
				told[i] += strcmp(players[i][0].match, world->events[e]->match) == 0;
		}
		world->time_ms += 25;
	}
	for (int i = 0; i < MATCHES; i++)
		if (told[i] != 1) fail_msg("match %d was told %u times", i, told[i]);
}

/* A match that began after the pause knows nothing of it. */
static void a_new_match_has_no_old_pause(void **state)
{
	struct world *world = *state;
	struct player old[2], players[2];
	world_pair(world, "gomoku", MINUTE_MS, 0, old);
	pass(world, 500);
	lose_leader(world, 10000);
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	world_forget_events(world);
	world_tick(world);
	assert_int_equal(world->event_count, 1);
	assert_string_equal(world->events[0]->match, old[0].match);
	pass(world, 1000);
	world_move(world, &players[0], "h8");
	assert_int_equal(left_ms(world, &players[0]), MINUTE_MS - 1000);
}

/* While no clock runs, leaders may change as they like. */
static void pauses_without_clocks_are_nobodys(void **state)
{
	struct world *world = *state;
	struct player players[2];
	lose_leader(world, MINUTE_MS);
	world_pair(world, "gomoku", MINUTE_MS, 0, players);
	world_forget_events(world);
	world_tick(world);
	world->time_ms += 500;
	world_tick(world);
	assert_int_equal(world->event_count, 0);
	world_move(world, &players[0], "h8");
	assert_int_equal(left_ms(world, &players[0]), MINUTE_MS - 500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(time_is_taken_off),
	    TEST(no_clock_no_ticks),
	    TEST(who_has_no_time_left_has_lost),
	    TEST(the_other_clock_may_end_sooner),
	    TEST(many_run_out_together),
	    TEST(clocks_stop_while_nobody_leads),
	    TEST(a_move_may_come_before_the_resume),
	    TEST(a_refused_move_keeps_the_pause),
	    TEST(several_pauses_add_up),
	    TEST(all_are_told_of_a_pause_once),
	    TEST(a_new_match_has_no_old_pause),
	    TEST(pauses_without_clocks_are_nobodys),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
