/* Why this file exists: where a channel goes: leader hints, the next node when one breaks, servers that are not there,
 * keep silent or answer late; and that nothing outlasts its time limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_server.h"
#include "support.h"

/* ---- Where to ---- */

/* What depends on time, as "at once", is judged by the best of some rounds: on a busy machine a dial may take so long
 * that another server is asked first, and a server may be so late that it is taken for a silent one. */
#define ROUNDS 6
#define AT_ONCE_MS 45     /* the first back-off is 50 */
#define AT_LAST_MS 30000u /* whatever the machine does meanwhile */

/* True: it went as it does on a machine with time. */
static bool hint_round(struct fake *leader)
{
	struct fake_step step = UNAVAILABLE_STEP;
	struct fts_call_info info;
	struct fts_call_options options = {.timeout_ms = AT_LAST_MS, .info = &info};
	size_t before = fake_request_count(leader);
	snprintf(step.leader, sizeof step.leader, "%s", address_of(fake_port(leader)));
	struct pair pair = pair_open(&step, 1, true);
	uint64_t next = 0, began_ms = now_ms();
	assert_int_equal(echo(pair.channel, &write_method, 1, &options, &next, NULL), FTS_OK);
	bool good = now_ms() - began_ms < AT_ONCE_MS && info.attempts == 2;
	assert_int_equal(next, 2);
	assert_string_equal(info.endpoint, step.leader);
	struct fake_request first = fake_request_at(pair.fake, 0), second = fake_request_at(leader, before);
	assert_true(first.client_id == second.client_id && first.sequence == second.sequence);
	assert_int_equal(echo(pair.channel, &write_method, 1, &options, &next, NULL), FTS_OK);
	good = good && info.attempts == 1 && fake_request_count(pair.fake) == 1; /* it is remembered */
	pair_close(&pair);
	return good;
}

static void leader_hint_is_followed_at_once(void **state)
{
	struct fake_options plain = {.steps = NULL};
	struct fake *leader = fake_start(&plain);
	size_t round = 0;
	(void)state;
	while (round < ROUNDS && !hint_round(leader))
		round++;
	assert_true(round < ROUNDS);
	fake_stop(leader);
}

static void useless_hints(void **state)
{
	static const char *const hints[] = {"", "no endpoint", "self"};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(hints); i++) {
		struct fake_step steps[] = {UNAVAILABLE_STEP, UNAVAILABLE_STEP};
		struct pair pair = pair_open(steps, COUNT_OF(steps), false);
		const char *hint = strcmp(hints[i], "self") == 0 ? address_of(fake_port(pair.fake)) : hints[i];
		for (size_t s = 0; s < COUNT_OF(steps); s++)
			snprintf(steps[s].leader, sizeof steps[s].leader, "%s", hint);
		uint64_t began_ms = now_ms();
		assert_int_equal(echo(pair.channel, &write_method, 1, NULL, NULL, NULL), FTS_OK);
		assert_true(now_ms() - began_ms >= 149); /* two back-offs */
		assert_int_equal(fake_request_count(pair.fake), 3);
		pair_close(&pair);
	}
}

static void hints_in_a_circle_end(void **state)
{
	struct fake_step a_step = UNAVAILABLE_STEP, b_step = UNAVAILABLE_STEP;
	struct fake_options a_options = {.steps = &a_step, .step_count = 1, .repeat = true};
	struct fake_options b_options = {.steps = &b_step, .step_count = 1, .repeat = true};
	struct fake *a = fake_start(&a_options), *b = fake_start(&b_options);
	struct fts_error error;
	(void)state;
	snprintf(a_step.leader, sizeof a_step.leader, "%s", address_of(fake_port(b)));
	snprintf(b_step.leader, sizeof b_step.leader, "%s", address_of(fake_port(a)));
	struct fts_channel *channel = open_to(address_of(fake_port(a)));
	struct fts_call_options options = {.timeout_ms = 600};
	uint64_t began_ms = now_ms();
	assert_int_equal(echo(channel, &write_method, 1, &options, NULL, &error), FTS_UNAVAILABLE);
	assert_true(now_ms() - began_ms <= 600 + AT_ONCE_MS);
	/* Twice a pause; a pause is an eighth of all before it. */
	assert_in_range(fake_request_count(a) + fake_request_count(b), 10, 100);
	fts_channel_close(channel);
	fake_stop(a);
	fake_stop(b);
}

/* True: as above. */
static bool break_round(struct fake *a, struct fake *b)
{
	char endpoints[80];
	struct fts_call_info info;
	struct fts_call_options options = {.timeout_ms = AT_LAST_MS, .info = &info};
	size_t at_a = fake_request_count(a), at_b = fake_request_count(b);
	snprintf(endpoints, sizeof endpoints, "%s,%s", address_of(fake_port(a)), address_of(fake_port(b)));
	struct fts_channel *channel = open_to(endpoints);
	uint64_t began_ms = now_ms();
	assert_int_equal(echo(channel, &write_method, 1, &options, NULL, NULL), FTS_OK);
	bool good = now_ms() - began_ms < AT_ONCE_MS && info.attempts == 2;
	assert_string_equal(info.endpoint, address_of(fake_port(b)));
	if (fake_request_count(a) > at_a)
		assert_int_equal(fake_request_at(a, at_a).sequence, fake_request_at(b, at_b).sequence);
	fts_channel_close(channel);
	return good;
}

static void next_node_when_one_breaks(void **state)
{
	static const struct fake_step breaks[] = {{.act = FAKE_BREAK}};
	struct fake_options a_options = {.steps = breaks, .step_count = 1, .repeat = true}, b_options = {.steps = NULL};
	struct fake *a = fake_start(&a_options), *b = fake_start(&b_options);
	size_t round = 0;
	(void)state;
	while (round < ROUNDS && !break_round(a, b))
		round++;
	assert_true(round < ROUNDS);
	fake_stop(a);
	fake_stop(b);
}

static void a_server_that_comes_back(void **state)
{
	struct fake_options options = {.steps = NULL};
	struct fake *fake = fake_start(&options);
	struct fts_channel *channel = open_to(address_of(fake_port(fake)));
	uint16_t port = fake_port(fake);
	(void)state;
	for (int round = 0; round < 5; round++) {
		assert_int_equal(echo(channel, &write_method, 1, NULL, NULL, NULL), FTS_OK);
		fake_stop(fake);
		if (round % 2 == 1)
			assert_int_equal(echo(channel, &write_method, 1, NULL, NULL, NULL), FTS_UNAVAILABLE);
		options.port = port;
		fake = fake_start(&options);
	}
	assert_int_equal(echo(channel, &write_method, 1, NULL, NULL, NULL), FTS_OK);
	fts_channel_close(channel);
	fake_stop(fake);
}

/* ---- Nobody there ---- */

static void no_server(void **state)
{
	char endpoints[128];
	const char *names[] = {address_of(fake_closed_port()), address_of(fake_closed_port()), "localhost:1"};
	struct fts_error error = {.status = FTS_OK};
	(void)state;
	snprintf(endpoints, sizeof endpoints, "%s,%s,%s", names[0], names[1], names[2]);
	struct fts_channel *channel = open_to(endpoints);
	uint64_t began_ms = now_ms();
	assert_int_equal(echo(channel, &write_method, 1, NULL, NULL, &error), FTS_UNAVAILABLE);
	assert_true(now_ms() - began_ms < 2000);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strstr(error.detail, names[i]) == NULL) fail_msg("%s is not named: %s", names[i], error.detail);
	assert_non_null(strstr(error.detail, "refused"));
	struct fts_call_options once = {.no_retry = true};
	began_ms = now_ms();
	assert_int_equal(echo(channel, &write_method, 1, &once, NULL, &error), FTS_UNAVAILABLE);
	assert_true(now_ms() - began_ms < 1500);
	fts_channel_close(channel);
}

static void not_our_protocol(void **state)
{
	struct fake_options options = {.bad_hello = true};
	struct fake *fake = fake_start(&options);
	struct fts_channel *channel = open_to(address_of(fake_port(fake)));
	struct fts_error error = {.status = FTS_OK};
	(void)state;
	assert_int_equal(echo(channel, &write_method, 1, NULL, NULL, &error), FTS_UNAVAILABLE);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	assert_non_null(strstr(error.detail, "protocol"));
	fts_channel_close(channel);
	fake_stop(fake);
}

static void time_limits(void **state)
{
	static const struct {
		const char *name;
		bool no_hello;
		uint32_t timeout_ms, connect_timeout_ms;
		enum fts_status status;
		enum fts_executed executed;
		uint64_t least_ms, most_ms;
	} cases[] = {
	    {"silent after the hello", false, 400, 0, FTS_DEADLINE_EXCEEDED, FTS_EXECUTED_UNKNOWN, 400, 1500},
	    {"no hello", true, 400, 0, FTS_DEADLINE_EXCEEDED, FTS_EXECUTED_NO, 400, 1500},
	    {"no hello, short connect limit", true, 5000, 50, FTS_UNAVAILABLE, FTS_EXECUTED_NO, 200, 2500},
	    {"one millisecond", false, 1, 0, FTS_DEADLINE_EXCEEDED, FTS_EXECUTED_UNKNOWN, 1, 1000},
	};
	static const struct fake_step silent[] = {{.act = FAKE_SILENT}};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fake_options server = {
		    .steps = silent, .step_count = 1, .repeat = true, .no_hello = cases[i].no_hello};
		struct fake *fake = fake_start(&server);
		struct fts_channel_options options = {.endpoints = address_of(fake_port(fake)),
						      .connect_timeout_ms = cases[i].connect_timeout_ms};
		struct fts_channel *channel = NULL;
		struct fts_call_options call = {.timeout_ms = cases[i].timeout_ms};
		struct fts_error error = {.status = FTS_OK};
		struct seen seen;
		assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
		uint64_t began_ms = now_ms();
		enum fts_status status = echo(channel, &write_method, 1, &call, NULL, &error);
		uint64_t took_ms = now_ms() - began_ms;
		bool may_not_connect = cases[i].timeout_ms == 1;
		if (status != cases[i].status || (error.executed != cases[i].executed && !may_not_connect) ||
		    took_ms + 1 < cases[i].least_ms || took_ms > cases[i].most_ms)
			fail_msg("%s: %s, executed %s after %llu ms: %s", cases[i].name, fts_status_name(status),
				 fts_executed_name(error.executed), (unsigned long long)took_ms, error.detail);
		began_ms = now_ms();
		assert_int_equal(start_echo(channel, &write_method, 1, cases[i].timeout_ms, &seen, NULL), FTS_OK);
		assert_true(wait_seen(&seen));
		assert_int_equal(seen.status, cases[i].status);
		assert_true(now_ms() - began_ms <= cases[i].most_ms);
		fts_channel_close(channel);
		fake_stop(fake);
	}
}

static void a_dead_node_holds_nobody_back(void **state)
{
	struct fake_options mute = {.no_hello = true}, good = {.steps = NULL};
	struct fake *a = fake_start(&mute), *b = fake_start(&good);
	char endpoints[80];
	(void)state;
	snprintf(endpoints, sizeof endpoints, "%s,%s", address_of(fake_port(a)), address_of(fake_port(b)));
	struct fts_channel_options to_both = {.endpoints = endpoints, .connect_timeout_ms = 2 * AT_LAST_MS};
	struct fts_call_options patient = {.timeout_ms = 2 * AT_LAST_MS};
	struct fts_channel *channel = NULL;
	assert_int_equal(fts_channel_open(&to_both, &channel, NULL), FTS_OK);
	for (int i = 0; i < 2; i++) {
		uint64_t began_ms = now_ms();
		assert_int_equal(echo(channel, &write_method, 1, &patient, NULL, NULL), FTS_OK);
		assert_true(now_ms() - began_ms < AT_LAST_MS); /* it did not wait for the dial */
	}
	fts_channel_close(channel);
	fake_stop(a);
	fake_stop(b);
}

/* A call that has next to no time says nothing about its server: the next one goes there again. */
static void a_caller_in_a_hurry_leaves_nobody(void **state)
{
	static const struct fake_step silent = {.act = FAKE_SILENT}, answers = {.act = FAKE_ANSWER};
	const struct fake_options options = {.steps = &answers, .step_count = 1, .repeat = true};
	const struct fts_call_options hurry = {.timeout_ms = 5}, patient = {.timeout_ms = AT_LAST_MS};
	struct fake *leader = fake_start(&options), *other = fake_start(&options);
	char endpoints[64];
	(void)state;
	(void)snprintf(endpoints, sizeof endpoints, "%s,%s", address_of(fake_port(leader)),
		       address_of(fake_port(other)));
	struct fts_channel *channel = open_to(endpoints);
	assert_int_equal(echo(channel, &write_method, 1, &patient, NULL, NULL), FTS_OK);
	fake_set_step(leader, &silent);
	assert_int_equal(echo(channel, &write_method, 2, &hurry, NULL, NULL), FTS_DEADLINE_EXCEEDED);
	fake_set_step(leader, NULL);
	assert_int_equal(echo(channel, &write_method, 3, &patient, NULL, NULL), FTS_OK);
	assert_int_equal(fake_request_count(other), 0);
	fts_channel_close(channel);
	fake_stop(leader);
	fake_stop(other);
}

static void late_answers_are_ignored(void **state)
{
	static const struct fake_step steps[] = {{.act = FAKE_ANSWER, .status = FTS_OK},
						 {.act = FAKE_SILENT},
						 {.act = FAKE_SILENT},
						 {.act = FAKE_SILENT},
						 {.act = FAKE_LATE}};
	struct pair pair = pair_open(steps, COUNT_OF(steps), false);
	struct fts_call_options brief = {.timeout_ms = 30};
	uint64_t next = 0;
	(void)state;
	assert_int_equal(echo(pair.channel, &read_method, 1, NULL, NULL, NULL), FTS_OK); /* it is connected now */
	for (int i = 0; i < 3; i++)
		assert_int_equal(echo(pair.channel, &read_method, 1, &brief, NULL, NULL), FTS_DEADLINE_EXCEEDED);
	assert_int_equal(echo(pair.channel, &read_method, 77, NULL, &next, NULL), FTS_OK);
	assert_int_equal(next, 78);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(echo(pair.channel, &read_method, i, NULL, &next, NULL), FTS_OK);
		assert_int_equal(next, i + 1);
	}
	pair_close(&pair);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(leader_hint_is_followed_at_once),
	    cmocka_unit_test(useless_hints),
	    cmocka_unit_test(hints_in_a_circle_end),
	    cmocka_unit_test(next_node_when_one_breaks),
	    cmocka_unit_test(a_server_that_comes_back),
	    cmocka_unit_test(no_server),
	    cmocka_unit_test(not_our_protocol),
	    cmocka_unit_test(time_limits),
	    cmocka_unit_test(a_dead_node_holds_nobody_back),
	    cmocka_unit_test(a_caller_in_a_hurry_leaves_nobody),
	    cmocka_unit_test(late_answers_are_ignored),
	};
	return cmocka_run_group_tests_name("rpc channel reach", tests, NULL, NULL);
}
