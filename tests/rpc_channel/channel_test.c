/* Why this file exists: what a channel does about servers that refuse, break or lie: how often it tries, what it tells
 * the caller, and what its own limits do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_server.h"
#include "support.h"

/* ---- Plain calls ---- */

static void plain_call(void **state)
{
	struct pair pair = pair_open(NULL, 0, false);
	struct fts_call_info info;
	struct fts_call_options options = {.timeout_ms = 1234, .fence = 5, .trace_id = 6, .stale = true, .info = &info};
	uint64_t next = 0;
	(void)state;
	assert_int_equal(echo(pair.channel, &read_method, 41, &options, &next, NULL), FTS_OK);
	assert_int_equal(next, 42);
	struct fake_request request = fake_request_at(pair.fake, 0);
	assert_int_equal(request.method_id, read_method.id);
	assert_true(request.timeout_ms > 1000 && request.timeout_ms <= 1234);
	assert_true(request.client_id == 0 && request.sequence == 0 && request.lowest_unanswered == 0);
	assert_true(request.fence == 5 && request.trace_id == 6 && request.stale);
	assert_int_equal(info.attempts, 1);
	assert_string_equal(info.node, "fake");
	assert_string_equal(info.endpoint, address_of(fake_port(pair.fake)));
	assert_true(info.term == 3 && info.index == 812 && info.server_us == 7);
	assert_true(info.total_us >= info.wait_us && info.total_us >= info.connect_us);
	pair_close(&pair);
}

static void method_time_limit_and_token(void **state)
{
	struct fake_options server = {.steps = NULL};
	struct fake *fake = fake_start(&server);
	struct fts_channel_options options = {.endpoints = address_of(fake_port(fake)),
					      .token = {(const uint8_t *)"secret", 6}};
	struct fts_channel *channel = NULL;
	(void)state;
	assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
	assert_int_equal(echo(channel, &read_method, 1, NULL, NULL, NULL), FTS_OK);
	struct fake_request request = fake_request_at(fake, 0);
	assert_true(request.timeout_ms > 4000 && request.timeout_ms <= 5000);
	assert_string_equal(request.token, "secret");
	fts_channel_close(channel);
	fake_stop(fake);
}

/* Who must not leave this machine goes to no leader elsewhere. What is written as another machine here is this one, so
 * that a channel that goes there all the same arrives, and shows its token. */
static void a_local_channel_stays(void **state)
{
	struct fake_options quiet = {.steps = NULL};
	struct fake *elsewhere = fake_start(&quiet);
	struct fake_step step = {.act = FAKE_ANSWER, .status = FTS_UNAVAILABLE, .executed = FTS_EXECUTED_NO};
	snprintf(step.leader, sizeof step.leader, "[::ffff:127.0.0.1]:%u", (unsigned)fake_port(elsewhere));
	struct fake_options server = {.steps = &step, .step_count = 1, .repeat = true};
	struct fake *fake = fake_start(&server);
	struct fts_channel_options options = {
	    .endpoints = address_of(fake_port(fake)), .token = {(const uint8_t *)"secret", 6}, .stay_local = true};
	struct fts_channel *channel = NULL;
	(void)state;
	assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
	assert_int_equal(echo(channel, &write_method, 1, NULL, NULL, NULL), FTS_UNAVAILABLE);
	fts_channel_close(channel);
	assert_int_equal(fake_connection_count(elsewhere), 0);
	assert_true(fake_request_count(fake) > 0);
	fake_stop(fake);
	fake_stop(elsewhere);
}

static void bytes_call(void **state)
{
	struct pair pair = pair_open(NULL, 0, false);
	uint8_t request[] = {0x10, 0x05}; /* from_index = 5 */
	uint8_t *answer = NULL;
	size_t size_bytes = 0;
	(void)state;
	struct fts_bytes payload = {request, sizeof request};
	assert_int_equal(fts_channel_call_bytes(pair.channel, &read_method, payload, NULL, &answer, &size_bytes, NULL),
			 FTS_OK);
	assert_int_equal(size_bytes, 2);
	assert_memory_equal(answer, "\x10\x06", 2);
	free(answer);
	pair_close(&pair);
}

static void large_messages(void **state)
{
	static const struct fake_step steps[] = {{.act = FAKE_ANSWER}, {.act = FAKE_LARGE}, {.act = FAKE_LARGE}};
	struct pair pair = pair_open(steps, COUNT_OF(steps), false);
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	struct fts_error error;
	struct seen seen;
	size_t size_bytes = 4 * 1024 * 1024;
	char *text = malloc(size_bytes + 1);
	(void)state;
	memset(text, 'a', size_bytes);
	text[size_bytes] = '\0';
	request.topic = text;
	assert_int_equal(fts_channel_call(pair.channel, &read_method, &request.base, NULL, &response, &error),
			 FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	assert_int_equal(fake_request_count(pair.fake), 0);
	text[3 * 1024 * 1024] = '\0';
	assert_int_equal(fts_channel_call(pair.channel, &read_method, &request.base, NULL, &response, &error), FTS_OK);
	protobuf_c_message_free_unpacked(response, NULL);
	assert_int_equal(fts_channel_call(pair.channel, &read_method, &request.base, NULL, &response, &error), FTS_OK);
	const Fts__Rpc__V1__ReplayResponse *large = (const void *)response;
	assert_int_equal(strlen(large->events[0]->topic), 1024 * 1024);
	protobuf_c_message_free_unpacked(response, NULL);
	assert_int_equal(start_echo(pair.channel, &read_method, 8, 5000, &seen, NULL), FTS_OK);
	assert_true(wait_seen(&seen) && seen.status == FTS_OK && seen.next_index == 9);
	free(text);
	pair_close(&pair);
}

/* ---- Retries ---- */

static void retry_table(void **state)
{
	static const struct {
		const char *name;
		struct fake_step step; /* for ever */
		bool no_retry;
		size_t request_count;
		enum fts_status status;
		enum fts_executed executed;
		uint64_t least_ms, most_ms;
	} cases[] = {
	    {"unavailable, not run", UNAVAILABLE_STEP, false, 4, FTS_UNAVAILABLE, FTS_EXECUTED_NO, 350, 2000},
	    {"unavailable, unknown",
	     {.act = FAKE_ANSWER, .status = FTS_UNAVAILABLE},
	     false,
	     4,
	     FTS_UNAVAILABLE,
	     FTS_EXECUTED_UNKNOWN,
	     350,
	     2000},
	    {"unavailable, no retry", UNAVAILABLE_STEP, true, 1, FTS_UNAVAILABLE, FTS_EXECUTED_NO, 0, 1000},
	    {"unavailable, advice",
	     {.act = FAKE_ANSWER, .status = FTS_UNAVAILABLE, .executed = FTS_EXECUTED_NO, .retry_after_ms = 110},
	     false,
	     4,
	     FTS_UNAVAILABLE,
	     FTS_EXECUTED_NO,
	     330,
	     2000},
	    {"unavailable, far advice",
	     {.act = FAKE_ANSWER, .status = FTS_UNAVAILABLE, .executed = FTS_EXECUTED_NO, .retry_after_ms = 60000},
	     false,
	     1,
	     FTS_UNAVAILABLE,
	     FTS_EXECUTED_NO,
	     0,
	     1000},
	    {"ran",
	     {.act = FAKE_ANSWER, .status = FTS_UNAVAILABLE, .executed = FTS_EXECUTED_YES},
	     false,
	     1,
	     FTS_UNAVAILABLE,
	     FTS_EXECUTED_YES,
	     0,
	     1000},
	    {"exhausted, no advice",
	     {.act = FAKE_ANSWER, .status = FTS_RESOURCE_EXHAUSTED, .executed = FTS_EXECUTED_NO},
	     false,
	     1,
	     FTS_RESOURCE_EXHAUSTED,
	     FTS_EXECUTED_NO,
	     0,
	     1000},
	    {"exhausted, advice",
	     {.act = FAKE_ANSWER, .status = FTS_RESOURCE_EXHAUSTED, .executed = FTS_EXECUTED_NO, .retry_after_ms = 20},
	     false,
	     4,
	     FTS_RESOURCE_EXHAUSTED,
	     FTS_EXECUTED_NO,
	     60,
	     1000},
	    {"not found",
	     {.act = FAKE_ANSWER, .status = FTS_NOT_FOUND, .executed = FTS_EXECUTED_YES},
	     false,
	     1,
	     FTS_NOT_FOUND,
	     FTS_EXECUTED_YES,
	     0,
	     1000},
	    {"deadline",
	     {.act = FAKE_ANSWER, .status = FTS_DEADLINE_EXCEEDED},
	     false,
	     1,
	     FTS_DEADLINE_EXCEEDED,
	     FTS_EXECUTED_UNKNOWN,
	     0,
	     1000},
	    {"aborted",
	     {.act = FAKE_ANSWER, .status = FTS_ABORTED, .executed = FTS_EXECUTED_NO},
	     false,
	     1,
	     FTS_ABORTED,
	     FTS_EXECUTED_NO,
	     0,
	     1000},
	    {"a code of the future",
	     {.act = FAKE_ANSWER, .status = (enum fts_status)99, .executed = FTS_EXECUTED_NO},
	     false,
	     1,
	     FTS_UNKNOWN,
	     FTS_EXECUTED_NO,
	     0,
	     1000},
	    {"broken", {.act = FAKE_BREAK}, false, 5, FTS_UNAVAILABLE, FTS_EXECUTED_UNKNOWN, 350, 2000},
	    {"broken, no retry", {.act = FAKE_BREAK}, true, 1, FTS_UNAVAILABLE, FTS_EXECUTED_UNKNOWN, 0, 1000},
	    {"bad header", {.act = FAKE_BAD_HEADER}, false, 1, FTS_INTERNAL, FTS_EXECUTED_UNKNOWN, 0, 1000},
	    {"bad payload", {.act = FAKE_BAD_PAYLOAD}, false, 1, FTS_INTERNAL, FTS_EXECUTED_YES, 0, 1000},
	    {"garbage", {.act = FAKE_GARBAGE}, false, 5, FTS_UNAVAILABLE, FTS_EXECUTED_UNKNOWN, 350, 2000},
	    {"oversize", {.act = FAKE_OVERSIZE}, false, 1, FTS_RESOURCE_EXHAUSTED, FTS_EXECUTED_UNKNOWN, 0, 2000},
	    {"unpacks to too much", {.act = FAKE_BOMB}, false, 1, FTS_RESOURCE_EXHAUSTED, FTS_EXECUTED_YES, 0, 2000},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct fts_method *methods[] = {&read_method, &write_method};
		for (size_t m = 0; m < COUNT_OF(methods); m++) {
			struct pair pair = pair_open(&cases[i].step, 1, true);
			struct fts_call_info info;
			struct fts_call_options options = {
			    .timeout_ms = 4000, .no_retry = cases[i].no_retry, .info = &info};
			struct fts_error error = {.status = FTS_OK};
			uint64_t began_ms = now_ms();
			enum fts_status status = echo(pair.channel, methods[m], 1, &options, NULL, &error);
			uint64_t took_ms = now_ms() - began_ms;
			size_t count = fake_request_count(pair.fake);
			if (status != cases[i].status || error.status != status ||
			    error.executed != cases[i].executed || count != cases[i].request_count ||
			    info.attempts != count || error.detail[0] == '\0')
				fail_msg("%s, %s: %s, executed %s, %zu requests, %u attempts: %s", cases[i].name,
					 methods[m]->name, fts_status_name(status), fts_executed_name(error.executed),
					 count, info.attempts, error.detail);
			if (took_ms + 1 < cases[i].least_ms || took_ms > cases[i].most_ms)
				fail_msg("%s, %s: took %llu ms", cases[i].name, methods[m]->name,
					 (unsigned long long)took_ms);
			for (size_t r = 1; methods[m]->mutates && r < count; r++) {
				struct fake_request first = fake_request_at(pair.fake, 0),
						    other = fake_request_at(pair.fake, r);
				assert_true(first.client_id != 0 && first.client_id == other.client_id);
				assert_true(first.sequence == 1 && other.sequence == 1 && other.lowest_unanswered == 1);
				assert_true(other.timeout_ms <= first.timeout_ms);
			}
			pair_close(&pair);
		}
	}
}

static void bad_answers_reach_asynchronous_calls(void **state)
{
	static const struct {
		enum fake_act act;
		enum fts_status status;
	} cases[] = {{FAKE_BAD_HEADER, FTS_INTERNAL},
		     {FAKE_BAD_PAYLOAD, FTS_INTERNAL},
		     {FAKE_OVERSIZE, FTS_RESOURCE_EXHAUSTED},
		     {FAKE_BOMB, FTS_RESOURCE_EXHAUSTED}};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fake_step step = {.act = cases[i].act};
		struct pair pair = pair_open(&step, 1, false);
		struct seen seen;
		assert_int_equal(start_echo(pair.channel, &read_method, 1, 5000, &seen, NULL), FTS_OK);
		assert_true(wait_seen(&seen));
		assert_int_equal(seen.status, cases[i].status);
		/* The channel is as good as before. */
		uint64_t next = 0;
		assert_int_equal(echo(pair.channel, &read_method, 6, NULL, &next, NULL), FTS_OK);
		assert_int_equal(next, 7);
		assert_int_equal(fake_connection_count(pair.fake), 1);
		pair_close(&pair);
	}
}

static void identity_is_kept(void **state)
{
	static const struct fake_step steps[] = {{.act = FAKE_SILENT}, UNAVAILABLE_STEP, {.act = FAKE_BREAK}};
	struct pair pair = pair_open(steps, COUNT_OF(steps), false);
	struct seen first, second;
	(void)state;
	assert_int_equal(start_echo(pair.channel, &write_method, 10, 9000, &first, NULL), FTS_OK);
	assert_true(fake_wait_requests(pair.fake, 1));
	assert_int_equal(start_echo(pair.channel, &write_method, 20, 9000, &second, NULL), FTS_OK);
	assert_true(wait_seen(&first) && wait_seen(&second));
	assert_true(first.status == FTS_OK && first.next_index == 11);
	assert_true(second.status == FTS_OK && second.next_index == 21);
	/* 0: first (silent), 1: second (unavailable), 2: second (breaks both), 3 and 4: first and second again. */
	assert_int_equal(fake_request_count(pair.fake), 5);
	for (size_t i = 0; i < 5; i++) {
		struct fake_request request = fake_request_at(pair.fake, i);
		assert_int_equal(request.sequence, request.from_index == 10 ? 1 : 2);
		assert_int_equal(request.client_id, fake_request_at(pair.fake, 0).client_id);
		assert_true(request.lowest_unanswered == 1 || request.from_index == 20);
	}
	assert_int_equal(echo(pair.channel, &write_method, 30, NULL, NULL, NULL), FTS_OK);
	struct fake_request last = fake_request_at(pair.fake, 5);
	assert_true(last.sequence == 3 && last.lowest_unanswered == 3);
	pair_close(&pair);
}

/* ---- Limits, cancel ---- */

static void cancel(void **state)
{
	static const struct fake_step steps[] = {{.act = FAKE_SILENT}, {.act = FAKE_LATE}};
	struct pair pair = pair_open(steps, COUNT_OF(steps), false);
	struct fts_call_id id = {0};
	struct seen seen;
	(void)state;
	assert_int_equal(fts_channel_cancel(pair.channel, id), FTS_NOT_FOUND);
	assert_int_equal(start_echo(pair.channel, &write_method, 1, 9000, &seen, &id), FTS_OK);
	assert_true(fake_wait_requests(pair.fake, 1));
	assert_int_equal(fts_channel_cancel(pair.channel, id), FTS_OK);
	assert_true(wait_seen(&seen));
	assert_int_equal(seen.status, FTS_CANCELLED);
	assert_int_equal(seen.executed, FTS_EXECUTED_UNKNOWN);
	assert_int_equal(fts_channel_cancel(pair.channel, id), FTS_NOT_FOUND);
	assert_int_equal(echo(pair.channel, &write_method, 1, NULL, NULL, NULL), FTS_OK);
	assert_int_equal(fts_channel_cancel(pair.channel, id), FTS_NOT_FOUND);
	assert_int_equal(atomic_load(&seen.count), 1);
	pair_close(&pair);
}

static void open_call_limit(void **state)
{
	static const struct fake_step silent[] = {{.act = FAKE_SILENT}};
	struct fake_options server = {.steps = silent, .step_count = 1, .repeat = true};
	struct fake *fake = fake_start(&server);
	struct fts_channel_options options = {.endpoints = address_of(fake_port(fake)), .max_open_calls = 3};
	struct fts_channel *channel = NULL;
	struct seen seen[4];
	(void)state;
	assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(start_echo(channel, &read_method, i, 9000, &seen[i], NULL), FTS_OK);
	assert_int_equal(start_echo(channel, &read_method, 3, 9000, &seen[3], NULL), FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(echo(channel, &write_method, 3, NULL, NULL, NULL), FTS_RESOURCE_EXHAUSTED);
	fts_channel_close(channel);
	for (size_t i = 0; i < 3; i++)
		assert_true(atomic_load(&seen[i].count) == 1 && seen[i].status == FTS_CANCELLED);
	assert_int_equal(atomic_load(&seen[3].count), 0);
	fake_stop(fake);
}

static void request_bytes_limit(void **state)
{
	static const struct fake_step silent[] = {{.act = FAKE_SILENT}};
	struct pair pair = pair_open(silent, 1, true);
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	static struct seen seen[16];
	size_t size_bytes = 4 * 1024 * 1000, started_count = 0;
	char *text = malloc(size_bytes + 1);
	(void)state;
	memset(text, 'a', size_bytes);
	text[size_bytes] = '\0';
	request.topic = text;
	while (started_count < COUNT_OF(seen)) {
		enum fts_status status =
		    fts_channel_start(pair.channel, &read_method, &request.base, NULL, see, &seen[started_count], NULL);
		if (status != FTS_OK) {
			assert_int_equal(status, FTS_RESOURCE_EXHAUSTED);
			break;
		}
		started_count++;
	}
	assert_int_equal(started_count, 12); /* 48 MiB */
	assert_true(fake_wait_requests(pair.fake, started_count));
	pair_close(&pair);
	for (size_t i = 0; i < started_count; i++)
		assert_int_equal(atomic_load(&seen[i].count), 1);
	free(text);
}

static void session_window_limit(void **state)
{
	static const struct fake_step silent[] = {{.act = FAKE_SILENT}};
	struct pair pair = pair_open(silent, 1, true);
	static struct seen seen[1025];
	struct fts_call_options brief = {.timeout_ms = 100};
	struct fts_error error;
	(void)state;
	for (size_t i = 0; i < 1024; i++)
		assert_int_equal(start_echo(pair.channel, &write_method, i, 60000, &seen[i], NULL), FTS_OK);
	assert_int_equal(start_echo(pair.channel, &write_method, 0, 60000, &seen[1024], NULL), FTS_RESOURCE_EXHAUSTED);
	uint64_t began_ms = now_ms();
	assert_int_equal(echo(pair.channel, &write_method, 0, &brief, NULL, &error), FTS_DEADLINE_EXCEEDED);
	assert_true(now_ms() - began_ms >= 99 && now_ms() - began_ms < 1400);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	assert_true(fake_wait_requests(pair.fake, 1024));
	assert_int_equal(fake_request_count(pair.fake), 1024);
	fts_channel_close(pair.channel);
	for (size_t i = 0; i < 1024; i++)
		assert_true(atomic_load(&seen[i].count) == 1 && seen[i].status == FTS_CANCELLED);
	fake_stop(pair.fake);
}

static void bad_options(void **state)
{
	static const struct fts_channel_options cases[] = {
	    {.endpoints = "nonsense"},
	    {.endpoints = ""},
	    {.token = {(const uint8_t *)"", 129}},
	    {.max_open_calls = 65537},
	    {.tls = {.ca_file = "/nonexistent/ca.pem"}},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fts_channel *channel = NULL;
		struct fts_error error = {.status = FTS_OK};
		assert_int_equal(fts_channel_open(&cases[i], &channel, &error), FTS_INVALID_ARGUMENT);
		assert_true(channel == NULL && error.detail[0] != '\0');
	}
	fts_channel_close(NULL);
}

static void blocked_in_callback(void *ctx, enum fts_status status, const ProtobufCMessage *response,
				const struct fts_error *error)
{
	void **both = ctx;
	struct seen *seen = both[1];
	(void)response;
	(void)error;
	assert_int_equal(status, FTS_OK);
	seen->status = echo(both[0], &read_method, 1, NULL, NULL, NULL);
	atomic_fetch_add(&seen->count, 1);
}

static void a_blocking_call_in_a_callback_is_refused(void **state)
{
	struct pair pair = pair_open(NULL, 0, false);
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	struct seen seen;
	void *both[] = {pair.channel, &seen};
	(void)state;
	atomic_init(&seen.count, 0);
	assert_int_equal(
	    fts_channel_start(pair.channel, &read_method, &request.base, NULL, blocked_in_callback, both, NULL),
	    FTS_OK);
	assert_true(wait_seen(&seen));
	assert_int_equal(seen.status, FTS_INVALID_ARGUMENT);
	pair_close(&pair);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_call),
	    cmocka_unit_test(method_time_limit_and_token),
	    cmocka_unit_test(bytes_call),
	    cmocka_unit_test(large_messages),
	    cmocka_unit_test(retry_table),
	    cmocka_unit_test(bad_answers_reach_asynchronous_calls),
	    cmocka_unit_test(identity_is_kept),
	    cmocka_unit_test(cancel),
	    cmocka_unit_test(a_local_channel_stays),
	    cmocka_unit_test(open_call_limit),
	    cmocka_unit_test(request_bytes_limit),
	    cmocka_unit_test(session_window_limit),
	    cmocka_unit_test(bad_options),
	    cmocka_unit_test(a_blocking_call_in_a_callback_is_refused),
	};
	return cmocka_run_group_tests_name("rpc channel", tests, NULL, NULL);
}
