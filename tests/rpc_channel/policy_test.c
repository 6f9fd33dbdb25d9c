/* Why this file exists: the pure parts under the channel: endpoint lists, session numbers, the retry policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/endpoint.h"
#include "rpc/retry.h"
#include "rpc/session.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define NS_PER_MS UINT64_C(1000000)

/* ---- Endpoints ---- */

static void good_endpoints(void **state)
{
	static const struct {
		const char *text, *written, *host;
		uint16_t port;
		bool ipv6;
	} cases[] = {
	    {"127.0.0.1:7400", "127.0.0.1:7400", "127.0.0.1", 7400, false},
	    {"  n1.example:1 ", "n1.example:1", "n1.example", 1, false},
	    {"[::1]:65535", "[::1]:65535", "::1", 65535, true},
	    {"[fe80::1]:7400", "[fe80::1]:7400", "fe80::1", 7400, true},
	    {"a_b-c:7400", "a_b-c:7400", "a_b-c", 7400, false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ftsi_endpoint endpoint;
		assert_int_equal(ftsi_endpoint_parse(cases[i].text, strlen(cases[i].text), &endpoint, NULL), FTS_OK);
		assert_string_equal(endpoint.text, cases[i].written);
		assert_string_equal(endpoint.host, cases[i].host);
		assert_int_equal(endpoint.port, cases[i].port);
		assert_int_equal(endpoint.ipv6, cases[i].ipv6);
	}
}

static void bad_endpoints(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"", "empty"},
	    {"127.0.0.1", "port is missing"},
	    {"127.0.0.1:", "1 to 65535"},
	    {"127.0.0.1:0", "1 to 65535"},
	    {"127.0.0.1:65536", "1 to 65535"},
	    {"127.0.0.1:99999999999999999999", "1 to 65535"},
	    {"127.0.0.1:7x", "1 to 65535"},
	    {"127.0.0.1:-1", "1 to 65535"},
	    {":7400", "host is missing"},
	    {"::1:7400", "brackets"},
	    {"[::1]", "port is missing"},
	    {"[zz]:1", "not an IPv6"},
	    {"[]:1", "not an IPv6"},
	    {"a b:1", "not a host name"},
	    {"http://x:1", "brackets"},
	    {"good:1,,other:2", "empty"},
	    {"good:1,bad", "\"bad\""},
	    {"good:1,", "empty"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ftsi_endpoint_list list = {.count = 77};
		struct fts_error error = {.status = FTS_OK};
		assert_int_equal(ftsi_endpoint_list_parse(cases[i].text, &list, &error), FTS_INVALID_ARGUMENT);
		assert_int_equal(error.status, FTS_INVALID_ARGUMENT);
		if (strstr(error.detail, cases[i].says) == NULL)
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", cases[i].text, error.detail, cases[i].says);
	}
}

static void endpoint_lists(void **state)
{
	struct ftsi_endpoint_list list;
	char text[2048] = "";
	(void)state;
	assert_int_equal(ftsi_endpoint_list_parse(NULL, &list, NULL), FTS_OK);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].text, "127.0.0.1:7400");
	assert_int_equal(ftsi_endpoint_list_parse("a:1, b:2 ,a:1", &list, NULL), FTS_OK);
	assert_int_equal(list.count, 2);
	assert_int_equal(ftsi_endpoint_list_find(&list, "b:2"), 1);
	assert_int_equal(ftsi_endpoint_list_find(&list, "b:3"), -1);
	for (size_t i = 0, at = 0; i < 65; i++) {
		at += (size_t)snprintf(text + at, sizeof text - at, "%sh%zu:1", i == 0 ? "" : ",", i);
		enum fts_status expected = i < 64 ? FTS_OK : FTS_INVALID_ARGUMENT;
		assert_int_equal(ftsi_endpoint_list_parse(text, &list, NULL), expected);
	}
}

/* ---- Sessions ---- */

static void session_order(void **state)
{
	struct ftsi_session session;
	uint64_t sequence = 0;
	(void)state;
	assert_int_equal(ftsi_session_init(&session, 0, NULL), FTS_OK);
	assert_true(session.client_id != 0);
	for (uint64_t i = 1; i <= 4; i++) {
		assert_true(ftsi_session_take(&session, &sequence));
		assert_int_equal(sequence, i);
	}
	ftsi_session_end(&session, 2);
	assert_int_equal(session.lowest_unanswered, 1);
	ftsi_session_end(&session, 1);
	assert_int_equal(session.lowest_unanswered, 3);
	ftsi_session_end(&session, 4);
	ftsi_session_end(&session, 3);
	assert_int_equal(session.lowest_unanswered, 5);
}

static void session_window(void **state)
{
	struct ftsi_session session;
	uint64_t sequence = 0;
	(void)state;
	assert_int_equal(ftsi_session_init(&session, 42, NULL), FTS_OK);
	assert_int_equal(session.client_id, 42);
	for (uint32_t i = 0; i < FTSI_SESSION_WINDOW; i++)
		assert_true(ftsi_session_take(&session, &sequence));
	assert_false(ftsi_session_take(&session, &sequence));
	for (uint64_t i = 2; i <= FTSI_SESSION_WINDOW; i++)
		ftsi_session_end(&session, i);
	assert_false(ftsi_session_take(&session, &sequence)); /* the first one still holds the window */
	ftsi_session_end(&session, 1);
	assert_int_equal(session.lowest_unanswered, FTSI_SESSION_WINDOW + 1);
	assert_true(ftsi_session_take(&session, &sequence));
	assert_int_equal(sequence, FTSI_SESSION_WINDOW + 1);
}

/* Against a plain model: every sequence in flight is known, the lowest is the least of them. */
static void session_model(void **state)
{
	struct ftsi_session session;
	static uint64_t open[FTSI_SESSION_WINDOW];
	uint32_t open_count = 0;
	(void)state;
	srand(7);
	assert_int_equal(ftsi_session_init(&session, 1, NULL), FTS_OK);
	for (int step = 0; step < 200000; step++) {
		uint64_t sequence, lowest = session.next;
		if (rand() % 2 == 0 && ftsi_session_take(&session, &sequence)) open[open_count++] = sequence;
		if (rand() % 2 == 0 && open_count > 0) {
			uint32_t at = (uint32_t)rand() % open_count;
			ftsi_session_end(&session, open[at]);
			open[at] = open[--open_count];
		}
		lowest = session.next;
		for (uint32_t i = 0; i < open_count; i++)
			if (open[i] < lowest) lowest = open[i];
		assert_true(session.lowest_unanswered == lowest);
	}
}

/* ---- Retry ---- */

static const struct ftsi_outcome unavailable = {.kind = FTSI_OUTCOME_ANSWERED, .status = FTS_UNAVAILABLE};
static const struct ftsi_outcome broken = {.kind = FTSI_OUTCOME_BROKEN};

static void four_tries_span_350_ms(void **state)
{
	static const uint64_t randoms[] = {0, 1, UINT64_MAX, 123456789};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(randoms); i++) {
		struct ftsi_retry retry = {0};
		uint64_t sum_ns = 0;
		for (int tries = 1; tries < 4; tries++) {
			struct ftsi_decision made = ftsi_retry_decide(&retry, &unavailable, UINT64_MAX, randoms[i]);
			assert_int_equal(made.action, FTSI_RETRY_WAIT);
			sum_ns += made.delay_ns;
		}
		assert_true(sum_ns >= 350 * NS_PER_MS && sum_ns < 438 * NS_PER_MS);
		assert_int_equal(ftsi_retry_decide(&retry, &unavailable, UINT64_MAX, 0).action, FTSI_RETRY_GIVE_UP);
	}
}

static void what_is_retried(void **state)
{
	static const uint32_t advices_ms[] = {0, 20, 100, 101, 400};
	(void)state;
	for (int status = FTS_CANCELLED; status <= FTS_UNAUTHENTICATED; status++) {
		for (int executed = FTS_EXECUTED_UNKNOWN; executed <= FTS_EXECUTED_YES; executed++) {
			for (size_t i = 0; i < COUNT_OF(advices_ms); i++) {
				uint32_t after_ms = advices_ms[i];
				struct ftsi_retry retry = {0};
				struct ftsi_outcome outcome = {.kind = FTSI_OUTCOME_ANSWERED,
							       .status = (enum fts_status)status,
							       .executed = (enum fts_executed)executed,
							       .retry_after_ms = after_ms};
				enum ftsi_retry_action expected = FTSI_RETRY_GIVE_UP;
				if (status == FTS_UNAVAILABLE || (status == FTS_RESOURCE_EXHAUSTED && after_ms > 0))
					expected = FTSI_RETRY_WAIT;
				if (status == FTS_UNAVAILABLE && after_ms > 0 && after_ms <= 100)
					expected = FTSI_RETRY_PAUSE;
				bool is_advised = status == FTS_UNAVAILABLE && after_ms > 0;
				if (executed == FTS_EXECUTED_YES && !is_advised) expected = FTSI_RETRY_GIVE_UP;
				struct ftsi_decision made = ftsi_retry_decide(&retry, &outcome, UINT64_MAX, 0);
				assert_int_equal(made.action, expected);
				if (expected != FTSI_RETRY_GIVE_UP)
					assert_int_equal(made.delay_ns, (after_ms > 0 ? after_ms : 50) * NS_PER_MS);
			}
		}
	}
}

static void moves_at_once(void **state)
{
	struct ftsi_retry retry = {0};
	struct ftsi_outcome hint = unavailable, elsewhere = broken;
	hint.is_hinted = hint.is_untried = elsewhere.is_untried = true;
	(void)state;
	assert_int_equal(ftsi_retry_decide(&retry, &broken, UINT64_MAX, 0).action, FTSI_RETRY_MOVE);
	assert_int_equal(ftsi_retry_decide(&retry, &broken, UINT64_MAX, 0).action, FTSI_RETRY_WAIT);
	for (uint32_t i = 1; i < FTSI_RETRY_MOVES_MAX; i++) {
		const struct ftsi_outcome *outcome = i % 2 == 0 ? &hint : &elsewhere;
		assert_int_equal(ftsi_retry_decide(&retry, outcome, UINT64_MAX, 0).action, FTSI_RETRY_MOVE);
	}
	assert_int_equal(ftsi_retry_decide(&retry, &elsewhere, UINT64_MAX, 0).action, FTSI_RETRY_WAIT);
	assert_int_equal(ftsi_retry_decide(&retry, &hint, UINT64_MAX, 0).action, FTSI_RETRY_PAUSE);
}

/* Pauses outlast an election of a second and are never far apart; then come the tries. */
static void pauses_grow_and_end(void **state)
{
	static const uint32_t advices_ms[] = {0, 1, 5, 100};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(advices_ms); i++) {
		struct ftsi_retry retry = {0};
		struct ftsi_outcome outcome = unavailable;
		struct ftsi_decision made;
		uint64_t sum_ns = 0;
		uint32_t count = 0, waits = 0;
		outcome.retry_after_ms = advices_ms[i];
		outcome.is_hinted = advices_ms[i] == 0; /* to a server that was tried */
		while ((made = ftsi_retry_decide(&retry, &outcome, UINT64_MAX, 7777 * i)).action == FTSI_RETRY_PAUSE) {
			uint64_t longest_ns =
			    sum_ns / 8 < advices_ms[i] * NS_PER_MS ? advices_ms[i] * NS_PER_MS : sum_ns / 8;
			if (longest_ns < FTSI_RETRY_PAUSE_MS * NS_PER_MS) longest_ns = FTSI_RETRY_PAUSE_MS * NS_PER_MS;
			assert_true(made.delay_ns <= longest_ns + longest_ns / 4);
			sum_ns += made.delay_ns;
			count++;
		}
		assert_true(count <= FTSI_RETRY_PAUSES_MAX);
		assert_true(sum_ns > 1000 * NS_PER_MS && sum_ns <= FTSI_RETRY_PAUSED_MAX_MS * NS_PER_MS);
		for (; made.action == FTSI_RETRY_WAIT; waits++)
			made = ftsi_retry_decide(&retry, &outcome, UINT64_MAX, 0);
		assert_int_equal(waits, 3);
		assert_int_equal(made.action, FTSI_RETRY_GIVE_UP);
	}
}

static void never_past_the_limit(void **state)
{
	struct ftsi_retry retry = {0};
	(void)state;
	assert_int_equal(ftsi_retry_decide(&retry, &unavailable, 50 * NS_PER_MS, 0).action, FTSI_RETRY_GIVE_UP);
	assert_int_equal(ftsi_retry_decide(&retry, &broken, 0, 0).action, FTSI_RETRY_GIVE_UP);
	assert_int_equal(ftsi_retry_decide(&retry, &unavailable, 50 * NS_PER_MS + 1, 0).action, FTSI_RETRY_WAIT);
}

static void huge_advice(void **state)
{
	struct ftsi_retry retry = {0};
	struct ftsi_outcome outcome = unavailable;
	outcome.retry_after_ms = UINT32_MAX;
	(void)state;
	struct ftsi_decision made = ftsi_retry_decide(&retry, &outcome, 5000 * NS_PER_MS, UINT64_MAX);
	assert_int_equal(made.action, FTSI_RETRY_GIVE_UP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_endpoints),         cmocka_unit_test(bad_endpoints),
	    cmocka_unit_test(endpoint_lists),         cmocka_unit_test(session_order),
	    cmocka_unit_test(session_window),         cmocka_unit_test(session_model),
	    cmocka_unit_test(four_tries_span_350_ms), cmocka_unit_test(what_is_retried),
	    cmocka_unit_test(moves_at_once),          cmocka_unit_test(pauses_grow_and_end),
	    cmocka_unit_test(never_past_the_limit),   cmocka_unit_test(huge_advice),
	};
	return cmocka_run_group_tests_name("rpc channel policy", tests, NULL, NULL);
}
