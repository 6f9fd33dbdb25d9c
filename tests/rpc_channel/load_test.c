/* Why this file exists: a channel under many callers at once, closing with everything in flight, servers that die
 * under load, and every allocation of the runtime failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "base/assert.h"
#include "fake_server.h"
#include "support.h"

/* ---- The n-th allocation of fts code fails ---- */

void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);
char *__wrap_strdup(const char *text);

static atomic_int allocations_left = -1; /* < 0: none fails */
static atomic_uint failed_count;

static bool fails(void)
{
	if (atomic_load(&allocations_left) < 0 || fake_is_serving_here()) return false;
	if (atomic_fetch_sub(&allocations_left, 1) != 0) return false;
	atomic_fetch_add(&failed_count, 1);
	return true;
}

void *__wrap_malloc(size_t size_bytes)
{
	return fails() ? NULL : __real_malloc(size_bytes);
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
	return fails() ? NULL : __real_calloc(count, size_bytes);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static void every_allocation_fails_once(void **state)
{
	static const struct fake_step steps[] = {{.act = FAKE_ANSWER}, {.act = FAKE_LARGE}};
	uint8_t large[2000];
	(void)state;
	memset(large, 0x10, sizeof large); /* from_index = 16, a thousand times */
	for (int n = 0, fired = 1; fired; n++) {
		struct fake_options server = {.steps = steps, .step_count = COUNT_OF(steps), .repeat = true};
		struct fake *fake = fake_start(&server);
		struct fts_channel_options options = {.endpoints = address_of(fake_port(fake))};
		struct fts_call_options call = {.timeout_ms = 3000};
		struct fts_channel *channel = NULL;
		struct fts_error error;
		atomic_store(&failed_count, 0);
		atomic_store(&allocations_left, n);
		enum fts_status status = fts_channel_open(&options, &channel, &error);
		assert_true(status == FTS_OK || status == FTS_RESOURCE_EXHAUSTED);
		for (int i = 0; status == FTS_OK && i < 3; i++) {
			uint8_t *answer;
			size_t size_bytes;
			struct fts_bytes payload = {large, sizeof large};
			enum fts_status done =
			    fts_channel_call_bytes(channel, &read_method, payload, &call, &answer, &size_bytes, &error);
			assert_true(done == FTS_OK || done == FTS_RESOURCE_EXHAUSTED || done == FTS_UNAVAILABLE);
			if (done == FTS_OK) free(answer);
		}
		fts_channel_close(channel);
		fired = (int)atomic_load(&failed_count);
		atomic_store(&allocations_left, -1);
		fake_stop(fake);
	}
}

/* ---- Many callers ---- */

#define THREADS 64
#define CALLS_EACH 100

struct caller {
	pthread_t thread;
	struct fts_channel *channel;
	uint64_t base;
	unsigned wrong_count;
	unsigned failed_count;
};

static void *call_often(void *arg)
{
	struct caller *caller = arg;
	for (uint64_t i = 0; i < CALLS_EACH; i++) {
		uint64_t next = 0, at = caller->base + i;
		const struct fts_method *method = i % 2 == 0 ? &read_method : &write_method;
		if (echo(caller->channel, method, at, NULL, &next, NULL) != FTS_OK)
			caller->failed_count++;
		else if (next != at + 1)
			caller->wrong_count++;
	}
	return NULL;
}

static void call_from_many_threads(struct fts_channel *channel, unsigned *out_failed)
{
	static struct caller callers[THREADS];
	*out_failed = 0;
	for (size_t i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){.channel = channel, .base = i * 1000000};
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].wrong_count, 0);
		*out_failed += callers[i].failed_count;
	}
}

static void sixty_four_threads(void **state)
{
	struct fake_options server = {.steps = NULL};
	struct fake *fake = fake_start(&server);
	struct fts_channel *channel = open_to(address_of(fake_port(fake)));
	unsigned failed;
	(void)state;
	call_from_many_threads(channel, &failed);
	assert_int_equal(failed, 0);
	assert_int_equal(fake_request_count(fake), THREADS * CALLS_EACH);
	assert_int_equal(fake_connection_count(fake), 1);
	fts_channel_close(channel);
	fake_stop(fake);
}

struct unrest {
	struct fake_options options;
	struct fake *fake;
	atomic_bool stop;
};

/* Kill and restart the server again and again, on one port. */
static void *restart_often(void *arg)
{
	struct unrest *unrest = arg;
	while (!atomic_load(&unrest->stop)) {
		(void)fake_wait_requests(unrest->fake, 300);
		fake_stop(unrest->fake);
		unrest->fake = fake_start(&unrest->options);
		if (atomic_load(&unrest->stop)) break;
	}
	return NULL;
}

/* A server that breaks every connection now and then is still never the reason for a wrong answer; nearly all calls
 * get through by their retries. */
static void servers_that_die(void **state)
{
	struct unrest unrest = {.options = {.steps = NULL}};
	struct fake *steady = fake_start(&unrest.options);
	pthread_t thread;
	char endpoints[80];
	unsigned failed;
	(void)state;
	unrest.fake = fake_start(&unrest.options);
	unrest.options.port = fake_port(unrest.fake);
	snprintf(endpoints, sizeof endpoints, "%s,%s", address_of(unrest.options.port), address_of(fake_port(steady)));
	struct fts_channel *channel = open_to(endpoints);
	assert_int_equal(pthread_create(&thread, NULL, restart_often, &unrest), 0);
	call_from_many_threads(channel, &failed);
	assert_int_equal(failed, 0);
	atomic_store(&unrest.stop, true);
	for (int i = 0; i < 301; i++) /* so that it looks at stop */
		(void)!echo(channel, &read_method, 1, NULL, NULL, NULL);
	fts_channel_close(channel);
	channel = open_to(address_of(unrest.options.port));
	for (int i = 0; i < 301; i++)
		(void)!echo(channel, &read_method, 1, NULL, NULL, NULL);
	pthread_join(thread, NULL);
	fts_channel_close(channel);
	fake_stop(unrest.fake);
	fake_stop(steady);
}

/* ---- Pipelined calls, started from their callbacks ---- */

#define OUTSTANDING 64
#define PIPELINED_CALLS 20000

struct stream {
	struct fts_channel *channel;
	atomic_uint started, ended, wrong;
};

struct slot {
	struct stream *stream;
	uint64_t from_index;
};

static void stream_start(struct slot *slot);

static void stream_done(void *ctx, enum fts_status status, const ProtobufCMessage *response,
			const struct fts_error *error)
{
	struct slot *slot = ctx;
	struct stream *stream = slot->stream;
	const Fts__Rpc__V1__ReplayResponse *echoed = (const void *)response;
	(void)error;
	if (status != FTS_OK || echoed->next_index != slot->from_index + 1) atomic_fetch_add(&stream->wrong, 1);
	stream_start(slot);
	atomic_fetch_add(&stream->ended, 1);
}

static void stream_start(struct slot *slot)
{
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	unsigned at = atomic_fetch_add(&slot->stream->started, 1);
	if (at >= PIPELINED_CALLS) return;
	slot->from_index = request.from_index = at;
	const struct fts_method *method = at % 3 == 0 ? &write_method : &read_method;
	enum fts_status status =
	    fts_channel_start(slot->stream->channel, method, &request.base, NULL, stream_done, slot, NULL);
	FTS_ASSERT(status == FTS_OK);
}

static void pipelined(void **state)
{
	struct fake_options server = {.steps = NULL};
	struct fake *fake = fake_start(&server);
	struct stream stream = {.channel = open_to(address_of(fake_port(fake)))};
	static struct slot slots[OUTSTANDING];
	(void)state;
	for (size_t i = 0; i < OUTSTANDING; i++) {
		slots[i].stream = &stream;
		stream_start(&slots[i]);
	}
	assert_true(fake_wait_requests(fake, PIPELINED_CALLS));
	uint64_t until_ms = now_ms() + 10000;
	while (atomic_load(&stream.ended) < PIPELINED_CALLS && now_ms() < until_ms)
		sched_yield();
	assert_int_equal(atomic_load(&stream.ended), PIPELINED_CALLS);
	assert_int_equal(atomic_load(&stream.wrong), 0);
	struct fake_request last = fake_request_at(fake, PIPELINED_CALLS - 1);
	assert_true(last.sequence == 0 || last.sequence - last.lowest_unanswered < OUTSTANDING);
	fts_channel_close(stream.channel);
	fake_stop(fake);
}

/* ---- Closing and giving up in the middle ---- */

static void close_with_calls_in_flight(void **state)
{
	static const struct fake_step silent[] = {{.act = FAKE_SILENT}};
	static struct seen seen[500];
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct fake_options server = {.steps = silent, .step_count = (size_t)round % 2, .repeat = true};
		struct fake *fake = fake_start(&server);
		struct fts_channel *channel = open_to(address_of(fake_port(fake)));
		for (size_t i = 0; i < COUNT_OF(seen); i++)
			assert_int_equal(start_echo(channel, &read_method, i, 60000, &seen[i], NULL), FTS_OK);
		if (round % 3 == 0) assert_true(fake_wait_requests(fake, 1));
		fts_channel_close(channel);
		for (size_t i = 0; i < COUNT_OF(seen); i++) {
			assert_int_equal(atomic_load(&seen[i].count), 1);
			assert_true(seen[i].status == FTS_CANCELLED || (seen[i].status == FTS_OK && round % 2 == 0));
		}
		fake_stop(fake);
	}
}

static void *close_soon(void *arg)
{
	fts_channel_close(arg);
	return NULL;
}

static void *block_once(void *arg)
{
	struct caller *caller = arg;
	struct fts_call_options options = {.timeout_ms = 60000};
	enum fts_status status = echo(caller->channel, &write_method, 1, &options, NULL, NULL);
	caller->failed_count = status;
	return NULL;
}

static void close_wakes_blocked_callers(void **state)
{
	static const struct fake_step silent[] = {{.act = FAKE_SILENT}};
	static struct caller callers[16];
	struct fake_options server = {.steps = silent, .step_count = 1, .repeat = true};
	struct fake *fake = fake_start(&server);
	struct fts_channel *channel = open_to(address_of(fake_port(fake)));
	pthread_t closer;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(callers); i++) {
		callers[i] = (struct caller){.channel = channel};
		assert_int_equal(pthread_create(&callers[i].thread, NULL, block_once, &callers[i]), 0);
	}
	assert_true(fake_wait_requests(fake, COUNT_OF(callers)));
	assert_int_equal(pthread_create(&closer, NULL, close_soon, channel), 0);
	for (size_t i = 0; i < COUNT_OF(callers); i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].failed_count, FTS_CANCELLED);
	}
	pthread_join(closer, NULL);
	fake_stop(fake);
}

/* Cancels race with answers: whichever wins, there is one callback, and it says the same as cancel did. */
static void cancel_races(void **state)
{
	struct fake_options server = {.steps = NULL};
	struct fake *fake = fake_start(&server);
	struct fts_channel *channel = open_to(address_of(fake_port(fake)));
	static struct seen seen[2000];
	static struct fts_call_id ids[COUNT_OF(seen)];
	unsigned cancelled_count = 0;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(seen); i++) {
		assert_int_equal(start_echo(channel, &read_method, i, 60000, &seen[i], &ids[i]), FTS_OK);
		if (i < 32) continue;
		enum fts_status status = fts_channel_cancel(channel, ids[i - i % 32]);
		assert_true(status == FTS_OK || status == FTS_NOT_FOUND);
		cancelled_count += status == FTS_OK;
	}
	unsigned seen_cancelled_count = 0;
	for (size_t i = 0; i < COUNT_OF(seen); i++) {
		assert_true(wait_seen(&seen[i]));
		seen_cancelled_count += seen[i].status == FTS_CANCELLED;
		assert_true(seen[i].status == FTS_CANCELLED || seen[i].next_index == i + 1);
	}
	fts_channel_close(channel);
	assert_int_equal(seen_cancelled_count, cancelled_count);
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_int_equal(atomic_load(&seen[i].count), 1);
	fake_stop(fake);
}

static void open_and_close_often(void **state)
{
	struct fake_options server = {.steps = NULL};
	struct fake *fake = fake_start(&server);
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct fts_channel *channel = open_to(address_of(fake_port(fake)));
		if (i % 2 == 0) assert_int_equal(echo(channel, &read_method, 1, NULL, NULL, NULL), FTS_OK);
		fts_channel_close(channel);
	}
	fake_stop(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_allocation_fails_once),
	    cmocka_unit_test(sixty_four_threads),
	    cmocka_unit_test(servers_that_die),
	    cmocka_unit_test(pipelined),
	    cmocka_unit_test(close_with_calls_in_flight),
	    cmocka_unit_test(close_wakes_blocked_callers),
	    cmocka_unit_test(cancel_races),
	    cmocka_unit_test(open_and_close_often),
	};
	return cmocka_run_group_tests_name("rpc channel load", tests, NULL, NULL);
}
