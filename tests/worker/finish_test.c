/* Why this file exists: a worker tells a dispatcher that does not hear well what has ended: a run that took place is
 * never said not to have, or its caller would have it run again. The dispatcher is the test's own. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "base/clock.h"
#include "client/ticket.h"
#include "tests/harness/clock.h"

enum { PATIENCE_MS = 60000, WORKER_ID = 7, NUMBER = 11, BEATS = 3, LEASE_MS = 300 };

/* What the dispatcher was told, and how it answers. */
static struct {
	struct fts_server *server;
	struct fts_channel *channel;
	pthread_mutex_t lock;
	/* All below: guarded by lock. */
	uint8_t key[FTS_TICKET_KEY_BYTES];
	unsigned deaf_count; /* so many times it refuses to hear what has ended */
	unsigned refused_count, heard_count, gone_count;
	unsigned overdue_count; /* beats that named the ticket as overdue */
	bool names_overdue;
	uint32_t least_ran; /* that was said of the ticket until it was heard */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void take_register(struct fts_call *call, const Fts__Dispatch__V1__RegisterRequest *request, void *ctx)
{
	Fts__Dispatch__V1__RegisterResponse response = FTS__DISPATCH__V1__REGISTER_RESPONSE__INIT;
	(void)ctx;
	pthread_mutex_lock(&fake.lock);
	assert_int_equal(request->key.len, sizeof fake.key);
	memcpy(fake.key, request->key.data, sizeof fake.key);
	pthread_mutex_unlock(&fake.lock);
	response.worker = WORKER_ID;
	response.now_ms = fts_clock_wall_ms();
	fts_dispatch_register_worker_reply(call, &response);
}

static void take_beat(struct fts_call *call, const Fts__Dispatch__V1__BeatRequest *request, void *ctx)
{
	Fts__Dispatch__V1__BeatResponse response = FTS__DISPATCH__V1__BEAT_RESPONSE__INIT;
	uint64_t overdue[] = {NUMBER};
	(void)request, (void)ctx;
	pthread_mutex_lock(&fake.lock);
	if (fake.names_overdue) {
		response.overdue = overdue;
		response.n_overdue = 1;
		fake.overdue_count++;
	}
	pthread_mutex_unlock(&fake.lock);
	response.now_ms = fts_clock_wall_ms();
	fts_dispatch_beat_reply(call, &response);
}

static void take_finish(struct fts_call *call, const Fts__Dispatch__V1__FinishRequest *request, void *ctx)
{
	static const Fts__Dispatch__V1__FinishResponse response = FTS__DISPATCH__V1__FINISH_RESPONSE__INIT;
	(void)ctx;
	pthread_mutex_lock(&fake.lock);
	/* A beat that was on its way may name the ticket once more afterwards: what is said then counts for nothing. */
	for (size_t i = 0; i < request->n_ended && fake.heard_count == 0; i++)
		if (request->ended[i]->number == NUMBER && request->ended[i]->ran < fake.least_ran)
			fake.least_ran = request->ended[i]->ran;
	bool deaf = fake.deaf_count > 0;
	fake.deaf_count -= deaf;
	fake.refused_count += deaf;
	fake.heard_count += !deaf;
	fake.names_overdue = deaf; /* as long as it knows of no end */
	pthread_mutex_unlock(&fake.lock);
	if (deaf)
		fts_call_fail(call, FTS_INTERNAL, "not heard");
	else
		fts_dispatch_finish_reply(call, &response);
}

static void take_leave(struct fts_call *call, const Fts__Dispatch__V1__LeaveRequest *request, void *ctx)
{
	static const Fts__Dispatch__V1__LeaveResponse response = FTS__DISPATCH__V1__LEAVE_RESPONSE__INIT;
	(void)ctx;
	pthread_mutex_lock(&fake.lock);
	fake.gone_count += request->gone;
	pthread_mutex_unlock(&fake.lock);
	fts_dispatch_leave_reply(call, &response);
}

static void echo(void *ctx, struct fts_work *work)
{
	(void)ctx;
	fts_work_answer(work, fts_work_input(work), 0);
}

static struct fts_worker *start_worker(unsigned deaf_count)
{
	const struct fts_worker_options options = {
	    .name = "echo", .begins_only = true, .lease_ms = LEASE_MS, .run = echo};
	struct fts_worker *worker = NULL;
	struct fts_error error;
	fake.deaf_count = deaf_count;
	fake.refused_count = fake.heard_count = fake.gone_count = fake.overdue_count = 0;
	fake.names_overdue = false;
	fake.least_ran = UINT32_MAX;
	if (fts_worker_start(fake.channel, &options, &worker, &error) != FTS_OK) fail_msg("%s", error.detail);
	return worker;
}

/* One run, with the ticket of that number. */
static void run_once(const struct fts_worker *worker)
{
	Fts__Dispatch__V1__RunRequest request = FTS__DISPATCH__V1__RUN_REQUEST__INIT;
	Fts__Dispatch__V1__RunResponse *response = NULL;
	const struct fts_channel_options options = {.endpoints = fts_worker_address(worker)};
	const struct fts_ticket ticket = {.worker = WORKER_ID,
					  .number = NUMBER,
					  .order = 1,
					  .usable_ms = fts_clock_wall_ms() + PATIENCE_MS,
					  .runs = 1};
	uint8_t bytes[FTS_TICKET_BYTES];
	struct fts_channel *channel = NULL;
	struct fts_error error;
	pthread_mutex_lock(&fake.lock);
	fts_ticket_make(&ticket, fake.key, bytes);
	pthread_mutex_unlock(&fake.lock);
	request.ticket = (ProtobufCBinaryData){sizeof bytes, bytes};
	assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
	if (fts_worker_run(channel, &request, NULL, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	fts__dispatch__v1__run_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
}

static void await_count(const unsigned *count, unsigned least)
{
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS);;) {
		pthread_mutex_lock(&fake.lock);
		bool there = *count >= least;
		pthread_mutex_unlock(&fake.lock);
		if (there) return;
		if (!harness_wait_more(&wait)) fail_msg("it was not told in time");
	}
}

/* Its end is refused, named as overdue, and told again: as it was. */
static void what_ran_is_never_said_not_to_have(void **state)
{
	struct fts_worker *worker = start_worker(1);
	(void)state;
	run_once(worker);
	await_count(&fake.refused_count, 1);
	await_count(&fake.heard_count, 1);
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
	assert_int_equal(fake.least_ran, 1);
	assert_int_equal(fake.gone_count, 1);
}

/* Nobody hears of it: beats that name it change nothing, and the worker goes without saying that nothing ran. */
static void who_was_not_heard_is_not_gone(void **state)
{
	struct fts_worker *worker = start_worker(UINT32_MAX);
	(void)state;
	run_once(worker);
	await_count(&fake.overdue_count, BEATS);
	(void)fts_worker_stop(worker, PATIENCE_MS);
	assert_int_equal(fake.least_ran, 1);
	assert_int_equal(fake.heard_count, 0);
	assert_int_equal(fake.gone_count, 0);
}

/* One that nobody has shown did not run. */
static void what_was_never_shown_did_not_run(void **state)
{
	struct fts_worker *worker = start_worker(0);
	(void)state;
	pthread_mutex_lock(&fake.lock);
	fake.names_overdue = true;
	pthread_mutex_unlock(&fake.lock);
	await_count(&fake.heard_count, 1);
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
	assert_int_equal(fake.least_ran, 0);
}

static int set_up(void **state)
{
	static const struct fts_dispatch_handlers handlers = {
	    .register_worker = take_register, .beat = take_beat, .leave = take_leave, .finish = take_finish};
	const struct fts_server_options options = {.listen = "127.0.0.1:0"};
	char endpoint[32];
	(void)state;
	if (fts_server_create(&options, &fake.server, NULL) != FTS_OK ||
	    fts_dispatch_register(fake.server, &handlers, NULL, NULL) != FTS_OK ||
	    fts_server_start(fake.server, NULL) != FTS_OK)
		return -1;
	(void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", fts_server_port(fake.server));
	const struct fts_channel_options channel = {.endpoints = endpoint};
	return fts_channel_open(&channel, &fake.channel, NULL) == FTS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	fts_channel_close(fake.channel);
	fts_server_destroy(fake.server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_ran_is_never_said_not_to_have),
	    cmocka_unit_test(who_was_not_heard_is_not_gone),
	    cmocka_unit_test(what_was_never_shown_did_not_run),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
