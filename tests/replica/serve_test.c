/* Why this file exists: a replica behind a real server, called through the generated stubs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver.h"
#include "fts/rpc/v1/events.fts.h"

struct fixture {
	char *dir;
	struct driver_options options;
	struct fts_replica *replica;
	struct fts_server *server;
	struct fts_channel *channel;
};

static int start(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	const struct fts_server_options server_options = {.listen = "127.0.0.1:0", .node = "n1"};
	struct fts_channel_options channel_options = {0};
	struct fts_error error = {0};
	char endpoint[64];
	fixture->dir = make_dir();
	fixture->options.dir = fixture->dir;
	fixture->replica = driver_ready(&fixture->options);
	if (fts_server_create(&server_options, &fixture->server, &error) != FTS_OK ||
	    fts_replica_serve(fixture->replica, fixture->server, &error) != FTS_OK ||
	    fts_server_start(fixture->server, &error) != FTS_OK)
		fail_msg("%s", error.detail);
	(void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", fts_server_port(fixture->server));
	channel_options.endpoints = endpoint;
	assert_int_equal(fts_channel_open(&channel_options, &fixture->channel, &error), FTS_OK);
	*state = fixture;
	return 0;
}

static int stop(void **state)
{
	struct fixture *fixture = *state;
	fts_channel_close(fixture->channel);
	assert_int_equal(fts_server_drain(fixture->server, 5000), FTS_OK);
	fts_replica_stop(fixture->replica);
	fts_server_destroy(fixture->server);
	fts_replica_destroy(fixture->replica);
	remove_dir(fixture->dir);
	free(fixture);
	return 0;
}

static enum fts_status add(struct fixture *fixture, int64_t delta, int64_t *out_value, struct fts_error *out_error)
{
	Fts__Test__Counter__V1__AddRequest request = FTS__TEST__COUNTER__V1__ADD_REQUEST__INIT;
	Fts__Test__Counter__V1__AddResponse *response = NULL;
	enum fts_status status;
	request.name = (char *)"a";
	request.delta = delta;
	status = test_counter_add(fixture->channel, &request, NULL, &response, out_error);
	if (status == FTS_OK) *out_value = response->value;
	if (response != NULL) fts__test__counter__v1__add_response__free_unpacked(response, NULL);
	return status;
}

static void calls_are_answered(void **state)
{
	struct fixture *fixture = *state;
	struct fts_error error = {0};
	struct fts_call_info info = {0};
	struct fts_call_options options = {.info = &info};
	Fts__Test__Counter__V1__GetRequest request = FTS__TEST__COUNTER__V1__GET_REQUEST__INIT;
	Fts__Test__Counter__V1__GetResponse *response = NULL;
	int64_t value = 0;
	for (int i = 1; i <= 200; i++) {
		assert_int_equal(add(fixture, 1, &value, &error), FTS_OK);
		assert_int_equal(value, i);
	}
	assert_int_equal(add(fixture, -1000, &value, &error), FTS_FAILED_PRECONDITION);
	assert_string_equal(error.detail, "a would be -800");
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	request.name = (char *)"a";
	for (int stale = 0; stale < 2; stale++) {
		options.stale = stale != 0;
		assert_int_equal(test_counter_get(fixture->channel, &request, &options, &response, &error), FTS_OK);
		assert_int_equal(response->value, 200);
		fts__test__counter__v1__get_response__free_unpacked(response, NULL);
		assert_string_equal(info.node, "n1");
		assert_true(info.index >= 200);
	}
	request.at_least = 201; /* nobody adds: the wait ends with the call's time */
	options.timeout_ms = 300;
	assert_int_equal(test_counter_get(fixture->channel, &request, &options, &response, &error),
			 FTS_DEADLINE_EXCEEDED);
}

/* All events in order by small pages, and from a place in the middle. */
static void events_are_replayed(void **state)
{
	enum { COUNT = 50 };
	struct fixture *fixture = *state;
	struct fts_error error = {0};
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	int64_t value = 0, seen = 0;
	bool end = false;
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(add(fixture, 1, &value, &error), FTS_OK);
	request.topic = (char *)"test.";
	request.limit = 7;
	/* From 0 there are no events, only where the log stands: behind everything that was answered. */
	Fts__Rpc__V1__ReplayResponse *now = NULL;
	assert_int_equal(fts_events_replay(fixture->channel, &request, NULL, &now, &error), FTS_OK);
	assert_int_equal(now->n_events, 0);
	assert_true(now->end);
	assert_true(now->next_index > COUNT);
	assert_int_equal(now->oldest_index, 0); /* nothing is gone */
	fts__rpc__v1__replay_response__free_unpacked(now, NULL);
	request.from_index = 1;
	while (!end) {
		Fts__Rpc__V1__ReplayResponse *response = NULL;
		assert_int_equal(fts_events_replay(fixture->channel, &request, NULL, &response, &error), FTS_OK);
		for (size_t i = 0; i < response->n_events; i++) {
			Fts__Test__Counter__V1__CounterEvent *event = fts__test__counter__v1__counter_event__unpack(
			    NULL, response->events[i]->payload.len, response->events[i]->payload.data);
			assert_non_null(event);
			assert_int_equal(event->value, ++seen);
			assert_string_equal(response->events[i]->topic, "test.counter");
			fts__test__counter__v1__counter_event__free_unpacked(event, NULL);
		}
		assert_true(response->n_events <= 7);
		request.from_index = response->next_index;
		request.from_ordinal = response->next_ordinal;
		end = response->end;
		fts__rpc__v1__replay_response__free_unpacked(response, NULL);
	}
	assert_int_equal(seen, COUNT);
}

struct many {
	atomic_int open, failed;
};

static void many_done(void *ctx, enum fts_status status, const Fts__Test__Counter__V1__AddResponse *response,
		      const struct fts_error *error)
{
	struct many *many = ctx;
	(void)response;
	(void)error;
	atomic_fetch_add(&many->failed, status != FTS_OK);
	atomic_fetch_sub(&many->open, 1);
}

static void many_at_once(void **state)
{
	enum { COUNT = 1000 };
	struct fixture *fixture = *state;
	struct many many = {0};
	struct fts_error error = {0};
	Fts__Test__Counter__V1__AddRequest request = FTS__TEST__COUNTER__V1__ADD_REQUEST__INIT;
	int64_t value = 0;
	request.name = (char *)"a";
	request.delta = 1;
	for (int i = 0; i < COUNT; i++) {
		atomic_fetch_add(&many.open, 1);
		assert_int_equal(test_counter_add_start(fixture->channel, &request, NULL, many_done, &many, NULL),
				 FTS_OK);
	}
	for (int i = 0; i < 20000 && atomic_load(&many.open) > 0; i++) {
		struct timespec pause = {0, 1000000};
		(void)nanosleep(&pause, NULL);
	}
	assert_int_equal(atomic_load(&many.open), 0);
	assert_int_equal(atomic_load(&many.failed), 0);
	assert_int_equal(add(fixture, 1, &value, &error), FTS_OK);
	assert_int_equal(value, COUNT + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(calls_are_answered, start, stop),
	    cmocka_unit_test_setup_teardown(events_are_replayed, start, stop),
	    cmocka_unit_test_setup_teardown(many_at_once, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
