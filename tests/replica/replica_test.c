/* Why this file exists: what replica/replica.h promises, one promise a case, on one replica in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "driver.h"

static void survives_restart(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct add_result result;
	struct add one = {.name = "a", .delta = 1};
	int64_t value = -1;
	(void)state;
	for (int round = 1; round <= 5; round++) {
		struct fts_replica *replica = driver_ready(&options);
		assert_int_equal(add_call(replica, &one, &result), FTS_OK);
		assert_int_equal(result.value, round);
		assert_int_equal(result.executed, FTS_EXECUTED_YES);
		assert_int_equal(get_call(replica, "a", 0, 5000, &value), FTS_OK);
		assert_int_equal(value, round);
		driver_stop(replica);
	}
	remove_dir(dir);
}

/* The same call again, at once, later and after a restart: one effect, the first answer. */
static void repeats_answers(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct add add = {
	    .name = "a", .delta = 1, .client_id = 7, .sequence = 1, .lowest_unanswered = 1, .echo_bytes = 1000};
	struct add refused = {.name = "a", .delta = -5, .client_id = 7, .sequence = 2, .lowest_unanswered = 1};
	struct add_result first[16], again;
	(void)state;
	for (int i = 0; i < 16; i++)
		assert_int_equal(add_start(replica, &add, &first[i]), FTS_OK);
	for (int i = 0; i < 16; i++) {
		add_wait(&first[i]);
		assert_int_equal(first[i].status, FTS_OK);
		assert_int_equal(first[i].value, 1);
		assert_int_equal(first[i].echoed_bytes, 1000);
		assert_int_equal(first[i].index, first[0].index);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(add_call(replica, &refused, &again), FTS_FAILED_PRECONDITION);
		assert_int_equal(again.executed, FTS_EXECUTED_NO);
		assert_string_equal(again.detail, "a would be -4");
		driver_stop(replica);
		replica = driver_ready(&options);
		assert_int_equal(add_call(replica, &add, &again), FTS_OK);
		assert_int_equal(again.value, 1);
	}
	driver_stop(replica);
	remove_dir(dir);
}

/* Answers that the client no longer needs go, and then a repeat is refused, before and after a restart. */
static void forgets_what_is_not_needed(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct add_result result;
	(void)state;
	for (uint64_t i = 1; i <= 10; i++) {
		struct add add = {
		    .name = "a", .delta = 1, .client_id = 7, .sequence = i, .lowest_unanswered = i > 5 ? 5 : 1};
		assert_int_equal(add_call(replica, &add, &result), FTS_OK);
	}
	for (int round = 0; round < 2; round++) {
		struct add old = {.name = "a", .delta = 1, .client_id = 7, .sequence = 4, .lowest_unanswered = 1};
		struct add kept = {.name = "a", .delta = 1, .client_id = 7, .sequence = 5, .lowest_unanswered = 1};
		assert_int_equal(add_call(replica, &old, &result), FTS_ABORTED);
		assert_int_equal(result.executed, FTS_EXECUTED_UNKNOWN);
		assert_int_equal(add_call(replica, &kept, &result), FTS_OK);
		assert_int_equal(result.value, 5);
		driver_stop(replica);
		replica = driver_ready(&options);
	}
	driver_stop(replica);
	remove_dir(dir);
}

struct seen_events {
	atomic_int count;
	uint64_t last_index;
	uint32_t last_ordinal;
	bool in_order;
};

static void see_event(void *ctx, uint64_t index, uint32_t ordinal, const char *topic, struct fts_bytes payload)
{
	struct seen_events *seen = ctx;
	(void)payload;
	if (strcmp(topic, "test.counter") != 0 || index < seen->last_index ||
	    (index == seen->last_index && ordinal != seen->last_ordinal + 1) ||
	    (index > seen->last_index && ordinal != 0))
		seen->in_order = false;
	seen->last_index = index;
	seen->last_ordinal = ordinal;
	atomic_fetch_add(&seen->count, 1);
}

/* A refused command leaves neither state nor events, also beside others in its entry. */
static void rolls_back(void **state)
{
	char *dir = make_dir();
	struct seen_events seen = {.in_order = true};
	struct driver_options options = {.dir = dir, .on_event = see_event, .ctx = &seen};
	struct fts_replica *replica = driver_ready(&options);
	struct add up = {.name = "a", .delta = 1, .events = 2}, down = {.name = "a", .delta = -1000, .events = 3};
	struct add_result results[200];
	int64_t value = -1;
	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(add_start(replica, i % 2 == 0 ? &up : &down, &results[i]), FTS_OK);
	for (int i = 0; i < 200; i++) {
		add_wait(&results[i]);
		assert_int_equal(results[i].status, i % 2 == 0 ? FTS_OK : FTS_FAILED_PRECONDITION);
	}
	assert_int_equal(get_call(replica, "a", 0, 5000, &value), FTS_OK);
	assert_int_equal(value, 100);
	assert_int_equal(atomic_load(&seen.count), 300);
	assert_true(seen.in_order);
	driver_stop(replica);
	remove_dir(dir);
}

/* What waits while the disk works goes into one entry: far fewer entries than commands. */
static void gathers_commands(void **state)
{
	enum { COUNT = 5000 };
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct add_result *results = calloc(COUNT, sizeof *results);
	struct add one = {.name = "a", .delta = 1};
	struct fts_replica_status before, after;
	(void)state;
	fts_replica_status(replica, &before);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(add_start(replica, &one, &results[i]), FTS_OK);
	for (int i = 0; i < COUNT; i++) {
		add_wait(&results[i]);
		assert_int_equal(results[i].value, i + 1); /* in the order they came */
	}
	fts_replica_status(replica, &after);
	assert_true(after.applied_index - before.applied_index < COUNT / 4);
	assert_true(after.progress > before.progress);
	free(results);
	driver_stop(replica);
	remove_dir(dir);
}

static void refuses_when_full(void **state)
{
	enum { COUNT = 200, BALLAST = 1024 * 1024 };
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct add_result *results = calloc(COUNT, sizeof *results);
	struct add large = {.name = "a", .delta = 1, .ballast_bytes = BALLAST};
	bool *started = calloc(COUNT, sizeof *started);
	int refused = 0, stored = 0;
	int64_t value = -1;
	(void)state;
	for (int i = 0; i < COUNT; i++) {
		enum fts_status status = add_start(replica, &large, &results[i]);
		started[i] = status == FTS_OK;
		refused += status == FTS_RESOURCE_EXHAUSTED;
	}
	for (int i = 0; i < COUNT; i++) {
		if (!started[i]) continue;
		add_wait(&results[i]);
		stored += results[i].status == FTS_OK;
	}
	assert_true(refused > 0);
	assert_int_equal(stored + refused, COUNT);
	assert_int_equal(get_call(replica, "a", 0, 5000, &value), FTS_OK);
	assert_int_equal(value, stored);
	free(started);
	free(results);
	driver_stop(replica);
	remove_dir(dir);
}

static void drops_what_is_late(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct add late = {.name = "a", .delta = 1, .deadline_ns = 1};
	struct add_result result;
	int64_t value = -1;
	(void)state;
	assert_int_equal(add_call(replica, &late, &result), FTS_DEADLINE_EXCEEDED);
	assert_int_equal(result.executed, FTS_EXECUTED_NO);
	assert_int_equal(get_call(replica, "a", 0, 5000, &value), FTS_OK);
	assert_int_equal(value, 0);
	driver_stop(replica);
	remove_dir(dir);
}

struct waiter {
	struct fts_replica *replica;
	int64_t value;
	enum fts_status status;
};

static void *wait_for_ten(void *data)
{
	struct waiter *waiter = data;
	waiter->status = get_call(waiter->replica, "a", 10, 30000, &waiter->value);
	return NULL;
}

/* A read that waits is woken by the event it waits for, and given up at its time limit. */
/* A thousand wait for a thing each: what happens to another wakes none of them. */
static void waits_are_apart(void **state)
{
	enum { WAITING = 1000, MOVES = 100 };
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct get_result *results = calloc(WAITING, sizeof *results);
	char names[WAITING][16];
	struct add add = {.name = "busy", .delta = 1};
	struct add_result result;
	int64_t value;
	(void)state;
	assert_non_null(results);
	for (int i = 0; i < WAITING; i++) {
		struct get get = {.name = names[i], .at_least = 1, .timeout_ms = 60000};
		(void)snprintf(names[i], sizeof names[i], "n%d", i);
		assert_int_equal(get_start(replica, &get, &results[i]), FTS_OK);
	}
	assert_int_equal(get_call(replica, "busy", 0, 10000, &value), FTS_OK); /* behind all of them on the loop */
	unsigned before = atomic_load(&counter_read_count);
	for (int i = 0; i < MOVES; i++)
		assert_int_equal(add_call(replica, &add, &result), FTS_OK);
	assert_in_range(atomic_load(&counter_read_count) - before, 0, WAITING); /* not MOVES times as many */
	for (int i = 0; i < WAITING; i++) {
		add.name = names[i];
		assert_int_equal(add_call(replica, &add, &result), FTS_OK);
		get_wait(&results[i]);
		assert_int_equal(results[i].status, FTS_OK);
		assert_int_equal(results[i].value, 1);
	}
	free(results);
	driver_stop(replica);
	remove_dir(dir);
}

static void reads_wait(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct waiter waiter = {.replica = replica};
	struct add one = {.name = "a", .delta = 1};
	struct add_result result;
	pthread_t thread;
	int64_t value = -1;
	(void)state;
	assert_int_equal(get_call(replica, "a", 10, 150, &value), FTS_DEADLINE_EXCEEDED);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_ten, &waiter), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(add_call(replica, &one, &result), FTS_OK);
	pthread_join(thread, NULL);
	assert_int_equal(waiter.status, FTS_OK);
	assert_int_equal(waiter.value, 10);
	driver_stop(replica);
	remove_dir(dir);
}

struct own {
	sem_t done;
	enum fts_status status;
	size_t size_bytes;
};

static void own_done(void *ctx, enum fts_status status, struct fts_bytes response, const struct fts_error *error)
{
	struct own *own = ctx;
	(void)error;
	own->status = status;
	own->size_bytes = response.size_bytes;
	sem_post(&own->done);
}

static void takes_own_commands(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	Fts__Test__Counter__V1__AddRequest request = FTS__TEST__COUNTER__V1__ADD_REQUEST__INIT;
	struct own own = {.status = FTS_UNKNOWN};
	int64_t value = -1;
	(void)state;
	sem_init(&own.done, 0, 0);
	request.name = (char *)"own";
	request.delta = 3;
	assert_int_equal(fts_replica_propose(replica, &test_counter_service.methods[0], &request.base, NULL, NULL),
			 FTS_OK);
	assert_int_equal(fts_replica_propose(replica, &test_counter_service.methods[0], &request.base, own_done, &own),
			 FTS_OK);
	assert_int_equal(sem_wait(&own.done), 0);
	assert_int_equal(own.status, FTS_OK);
	assert_true(own.size_bytes > 0);
	assert_int_equal(get_call(replica, "own", 0, 5000, &value), FTS_OK);
	assert_int_equal(value, 6);
	fts_replica_stop(replica);
	assert_int_equal(fts_replica_propose(replica, &test_counter_service.methods[0], &request.base, NULL, NULL),
			 FTS_UNAVAILABLE);
	fts_replica_destroy(replica);
	remove_dir(dir);
}

/* Many snapshots under load: the log stays small, nothing is lost over a restart, and a node that replays the
 * rest comes to the same state. */
static void cuts_the_log(void **state)
{
	enum { COUNT = 3000 };
	char *dir = make_dir();
	struct driver_options options = {.dir = dir, .log_bytes_before_snapshot = 64 * 1024};
	struct fts_replica *replica = driver_ready(&options);
	struct add one = {.name = "a", .delta = 1, .ballast_bytes = 1000};
	struct add_result result;
	struct ftsi_mark mark = {0};
	struct fts_value holder = {0};
	uint64_t digest;
	(void)state;
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(add_call(replica, &one, &result), FTS_OK);
	fts_replica_stop(replica);
	assert_int_equal(ftsi_log_read_mark(replica->log, &mark, &holder), FTS_OK);
	fts_value_release(&holder);
	assert_true(mark.index > COUNT - 500);
	digest = state_digest(replica->state);
	fts_replica_destroy(replica);

	replica = driver_ready(&options);
	assert_true(state_digest(replica->state) == digest);
	assert_int_equal(add_call(replica, &one, &result), FTS_OK);
	assert_int_equal(result.value, COUNT + 1);
	driver_stop(replica);
	remove_dir(dir);
}

/* Apply is a function of the log: the same log over an empty state gives the same bytes. */
static void applies_alike(void **state)
{
	char *dir = make_dir(), *state_dir = malloc(strlen(dir) + sizeof "/state");
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options);
	struct add_result result;
	uint64_t digest;
	(void)state;
	(void)snprintf(state_dir, strlen(dir) + sizeof "/state", "%s/state", dir);
	for (uint64_t i = 1; i <= 3000; i++) {
		char name[16];
		struct add add = {.name = name,
				  .delta = (int64_t)(i % 7) - 2,
				  .client_id = 1 + i % 13,
				  .sequence = i / 13 + 1,
				  .lowest_unanswered = i / 13 > 3 ? i / 13 - 3 : 1,
				  .events = (uint32_t)(i % 3)};
		(void)snprintf(name, sizeof name, "n%llu", (unsigned long long)(i % 17));
		(void)add_call(replica, &add, &result);
		if (i % 1000 == 0) { /* in the middle: sessions and events come back from the disk */
			driver_stop(replica);
			replica = driver_ready(&options);
		}
	}
	digest = state_digest(replica->state);
	driver_stop(replica);
	remove_dir(state_dir); /* the whole log is still there: it was far from a snapshot */
	replica = driver_ready(&options);
	assert_true(state_digest(replica->state) == digest);
	driver_stop(replica);
	remove_dir(dir);
}

/* A transition that says INTERNAL halts the replica, once, and nothing is answered OK any more. */
static void halts(void **state)
{
	char *dir = make_dir();
	struct fatal_seen fatal = {0};
	struct driver_options options = {.dir = dir, .fatal = &fatal};
	struct fts_replica *replica = driver_ready(&options);
	struct add poison = {.name = COUNTER_POISON, .delta = 1}, one = {.name = "a", .delta = 1};
	struct add_result lost, result;
	(void)state;
	assert_int_equal(add_start(replica, &poison, &lost), FTS_OK);
	add_wait(&lost);
	assert_int_equal(lost.status, FTS_UNAVAILABLE);
	assert_int_equal(lost.executed, FTS_EXECUTED_UNKNOWN);
	assert_int_equal(atomic_load(&fatal.count), 1);
	assert_int_equal(fatal.error.status, FTS_INTERNAL);
	assert_int_equal(add_call(replica, &one, &result), FTS_UNAVAILABLE);
	driver_stop(replica);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(survives_restart),
	    cmocka_unit_test(repeats_answers),
	    cmocka_unit_test(forgets_what_is_not_needed),
	    cmocka_unit_test(rolls_back),
	    cmocka_unit_test(gathers_commands),
	    cmocka_unit_test(refuses_when_full),
	    cmocka_unit_test(drops_what_is_late),
	    cmocka_unit_test(reads_wait),
	    cmocka_unit_test(waits_are_apart),
	    cmocka_unit_test(takes_own_commands),
	    cmocka_unit_test(cuts_the_log),
	    cmocka_unit_test(applies_alike),
	    cmocka_unit_test(halts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
