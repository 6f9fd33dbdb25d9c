/* Why this file exists: the leader does not die but falls silent (stopped, cut off): its calls go to the new leader as
 * soon as another node names one; while none is named they wait, and a server that is only slow is left in peace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>

#include "trio.h"

#define SOON_MS 3000
#define BURST_MS 50000
#define ROUNDS 5
#define SILENCE_MS 220 /* 150 for the election, the rest for what the question adds */

static const struct fake_step hold = {.act = FAKE_SILENT};
static const struct fake_step answer = {.act = FAKE_ANSWER, .status = FTS_OK};

static bool wait_questions(struct fake *fake, size_t count)
{
	uint64_t until_ms = now_ms() + 60000;
	while (fake_question_count(fake) < count) {
		if (now_ms() > until_ms) return false;
		sched_yield();
	}
	return true;
}

static void open_with_leader_n1(struct trio *trio)
{
	trio_open(trio, TRIO_COUNT);
	for (size_t i = 0; i < TRIO_COUNT; i++)
		trio_tell(trio, i, 5, 0);
	trio_refuse(trio, 1, 0);
	trio_refuse(trio, 2, 0);
	trio_warm(trio);
}

static void elect_n3(struct trio *trio)
{
	fake_set_step(trio->nodes[2], &answer);
	trio_refuse(trio, 1, 2);
	trio_tell(trio, 2, 6, 2);
	trio_tell(trio, 1, 6, 2);
}

/* From the pause on: 100 ms until it is asked, 150 until there is a leader, and what the question adds. */
static void a_stopped_leader_is_left(void **state)
{
	static struct burst burst;
	uint64_t best_ms = UINT64_MAX;
	(void)state;
	for (int round = 0; round < ROUNDS && best_ms >= SILENCE_MS; round++) {
		struct trio trio;
		open_with_leader_n1(&trio);
		fake_pause(trio.nodes[0], true);
		uint64_t began_ms = now_ms();
		burst_start(&burst, &trio, 100, BURST_MS);
		while (now_ms() < began_ms + 150)
			sched_yield(); /* the election */
		assert_true(wait_questions(trio.nodes[1], 1));
		elect_n3(&trio);
		burst_check(&burst);
		if (now_ms() - began_ms < best_ms) best_ms = now_ms() - began_ms;
		assert_int_equal(fake_request_count(trio.nodes[2]), 100);
		assert_int_equal(fake_request_count(trio.nodes[1]), 0); /* no trial and error */
		/* New calls don't go to the silent one. */
		began_ms = now_ms();
		assert_int_equal(echo(trio.channel, &write_method, 0, NULL, NULL, NULL), FTS_OK);
		assert_int_equal(fake_request_count(trio.nodes[2]), 101);
		trio_check_identity(&trio);
		fake_pause(trio.nodes[0], false);
		trio_close(&trio);
	}
	assert_true(best_ms < SILENCE_MS);
}

/* It goes on again with the old calls in its buffer: its answers come late and are ignored, and it is trusted again. */
static void a_resumed_leader(void **state)
{
	static struct burst burst;
	struct trio trio;
	(void)state;
	open_with_leader_n1(&trio);
	fake_pause(trio.nodes[0], true);
	burst_start(&burst, &trio, 50, BURST_MS);
	assert_true(wait_questions(trio.nodes[1], 1));
	elect_n3(&trio);
	burst_check(&burst);
	fake_pause(trio.nodes[0], false);
	assert_true(fake_wait_requests(trio.nodes[0], 51));
	trio_tell(&trio, 0, 7, 0);
	trio_refuse(&trio, 2, 0);
	fake_set_step(trio.nodes[0], &answer);
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t next = 0;
		assert_int_equal(echo(trio.channel, &write_method, 700, NULL, &next, NULL), FTS_OK);
		assert_int_equal(next, 701);
	}
	assert_int_equal(fake_connection_count(trio.nodes[0]), 1);
	trio_close(&trio);
}

/* Nobody knows a new leader: the calls wait, the others are asked ever less often, nothing moves. */
static void while_nobody_leads(void **state)
{
	static struct burst burst;
	struct trio trio;
	struct fts_call_options options = {.timeout_ms = 1000};
	(void)state;
	open_with_leader_n1(&trio);
	trio_tell(&trio, 1, 6, TRIO_COUNT);
	fake_pause(trio.nodes[0], true);
	burst_start(&burst, &trio, BURST_MAX, BURST_MS);
	assert_int_equal(echo(trio.channel, &write_method, 0, &options, NULL, NULL), FTS_DEADLINE_EXCEEDED);
	assert_in_range(fake_question_count(trio.nodes[1]), 3, 40);
	assert_in_range(fake_question_count(trio.nodes[2]), 3, 40);
	assert_int_equal(fake_request_count(trio.nodes[1]) + fake_request_count(trio.nodes[2]), 0);
	elect_n3(&trio);
	burst_check(&burst);
	fake_pause(trio.nodes[0], false);
	trio_close(&trio);
}

/* A call that may take long: the leader is alive, and is asked a few times only; the others once. */
static void a_slow_call_is_left_in_peace(void **state)
{
	struct trio trio;
	struct seen slow;
	struct fts_call_options options = {.timeout_ms = 1500};
	(void)state;
	open_with_leader_n1(&trio);
	fake_set_step(trio.nodes[0], &hold);
	assert_int_equal(start_echo(trio.channel, &write_method, 1, 20000, &slow, NULL), FTS_OK);
	assert_int_equal(echo(trio.channel, &write_method, 2, &options, NULL, NULL), FTS_DEADLINE_EXCEEDED);
	assert_in_range(fake_question_count(trio.nodes[0]), 2, 12);
	assert_in_range(fake_question_count(trio.nodes[1]), 1, 4);
	assert_int_equal(fake_request_count(trio.nodes[0]), 3);
	assert_int_equal(fake_request_count(trio.nodes[1]) + fake_request_count(trio.nodes[2]), 0);
	fake_settle(trio.nodes[0], &answer);
	assert_true(wait_seen(&slow));
	assert_int_equal(slow.status, FTS_OK);
	trio_close(&trio);
}

/* Servers that answer are never asked anything. */
static void no_question_while_all_answer(void **state)
{
	struct trio trio;
	(void)state;
	open_with_leader_n1(&trio);
	uint64_t until_ms = now_ms() + 700;
	for (uint64_t i = 1; now_ms() < until_ms; i++)
		assert_int_equal(echo(trio.channel, &write_method, i, NULL, NULL, NULL), FTS_OK);
	/* A machine that stops for 100 ms may cause one. */
	for (size_t i = 0; i < TRIO_COUNT; i++)
		assert_in_range(fake_question_count(trio.nodes[i]), 0, 2);
	trio_close(&trio);
}

/* News that is older than what is known moves nothing. */
static void old_news(void **state)
{
	struct trio trio;
	struct seen slow;
	(void)state;
	open_with_leader_n1(&trio);
	trio_tell(&trio, 1, 2, 1);
	trio_tell(&trio, 2, 2, 1);
	fake_set_step(trio.nodes[0], &hold);
	assert_int_equal(start_echo(trio.channel, &write_method, 1, 20000, &slow, NULL), FTS_OK);
	assert_true(wait_questions(trio.nodes[0], 2));
	assert_int_equal(fake_request_count(trio.nodes[1]), 0);
	fake_settle(trio.nodes[0], &answer);
	assert_true(wait_seen(&slow));
	assert_int_equal(slow.status, FTS_OK);
	trio_close(&trio);
}

/* The new leader is one that was not in the list. */
static void an_unknown_new_leader(void **state)
{
	struct trio trio;
	struct seen seen;
	(void)state;
	trio_open(&trio, 2);
	trio_tell(&trio, 0, 5, 0);
	trio_tell(&trio, 1, 6, 2);
	trio_refuse(&trio, 1, 2);
	assert_int_equal(echo(trio.channel, &write_method, 0, NULL, NULL, NULL), FTS_OK);
	assert_true(trio_wait_open(&trio, 1, 1));
	fake_pause(trio.nodes[0], true);
	assert_int_equal(start_echo(trio.channel, &write_method, 1, 5000, &seen, NULL), FTS_OK);
	assert_true(wait_seen(&seen));
	assert_int_equal(seen.status, FTS_OK);
	assert_int_equal(fake_request_count(trio.nodes[2]), 1);
	fake_pause(trio.nodes[0], false);
	trio_close(&trio);
}

/* A read that any node may answer leaves a silent one by itself, whoever leads. */
static void reads_leave_a_silent_node(void **state)
{
	struct trio trio;
	struct fts_call_info info;
	struct fts_call_options options = {.info = &info};
	(void)state;
	open_with_leader_n1(&trio);
	for (size_t i = 1; i < TRIO_COUNT; i++)
		fake_set_step(trio.nodes[i], &answer);
	assert_int_equal(echo(trio.channel, &read_method, 1, &options, NULL, NULL), FTS_OK);
	assert_string_equal(info.node, "n1");
	fake_pause(trio.nodes[0], true);
	uint64_t began_ms = now_ms();
	assert_int_equal(echo(trio.channel, &read_method, 2, &options, NULL, NULL), FTS_OK);
	assert_true(now_ms() - began_ms < SOON_MS);
	assert_string_not_equal(info.node, "n1");
	assert_int_equal(info.attempts, 2);
	assert_int_equal(echo(trio.channel, &read_method, 3, &options, NULL, NULL), FTS_OK);
	assert_int_equal(info.attempts, 1);
	fake_pause(trio.nodes[0], false);
	trio_close(&trio);
}

/* Servers that don't know the question are alive all the same; no_retry stays where it is. */
static void who_cannot_be_asked(void **state)
{
	struct trio trio;
	struct fts_call_options options = {.timeout_ms = 500, .no_retry = true};
	struct fts_error error;
	(void)state;
	trio_open_warm(&trio);
	fake_pause(trio.nodes[0], true);
	assert_int_equal(echo(trio.channel, &write_method, 1, &options, NULL, &error), FTS_DEADLINE_EXCEEDED);
	assert_int_equal(error.executed, FTS_EXECUTED_UNKNOWN);
	assert_int_equal(fake_request_count(trio.nodes[1]) + fake_request_count(trio.nodes[2]), 0);
	fake_pause(trio.nodes[0], false);
	trio_close(&trio);
}

/* For good: its connection is given up, and only then the calls nobody can place go elsewhere. */
static void a_connection_is_given_up(void **state)
{
	struct trio trio;
	struct seen seen;
	(void)state;
	open_with_leader_n1(&trio);
	for (size_t i = 1; i < TRIO_COUNT; i++) {
		trio_tell(&trio, i, 5, TRIO_COUNT);
		fake_set_step(trio.nodes[i], &answer);
	}
	fake_pause(trio.nodes[0], true);
	uint64_t began_ms = now_ms();
	assert_int_equal(start_echo(trio.channel, &write_method, 1, 20000, &seen, NULL), FTS_OK);
	assert_true(wait_seen(&seen));
	assert_int_equal(seen.status, FTS_OK);
	assert_true(now_ms() - began_ms >= 5000);
	fake_pause(trio.nodes[0], false);
	trio_close(&trio);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stopped_leader_is_left),     cmocka_unit_test(a_resumed_leader),
	    cmocka_unit_test(while_nobody_leads),           cmocka_unit_test(a_slow_call_is_left_in_peace),
	    cmocka_unit_test(no_question_while_all_answer), cmocka_unit_test(old_news),
	    cmocka_unit_test(an_unknown_new_leader),        cmocka_unit_test(reads_leave_a_silent_node),
	    cmocka_unit_test(who_cannot_be_asked),          cmocka_unit_test(a_connection_is_given_up),
	};
	return cmocka_run_group_tests_name("failover silence", tests, NULL, NULL);
}
