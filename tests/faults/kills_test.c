/* Why this file exists: exactly once, through fifty deaths of the leader: each counter has what was acknowledged, no
 * more and no less, and each answer is the next number. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "register.fts.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/register/clients.h"

#define LIMIT_S 280
#define SETTLE_MS 30000
#define LEADER_KILLS 50
#define COUNTERS 4

static void cluster_of(struct harness_cluster *cluster, size_t count)
{
	harness_cluster_init(cluster, count);
	cluster->program = "fts-register-node";
	for (size_t i = 0; i < count; i++)
		cluster->members[i].environment[0] = "FTS_TEST_LOG_BYTES=16384";
	harness_cluster_start(cluster);
}

struct counter {
	pthread_t thread;
	uint32_t key;
	struct fts_channel *channel;
	atomic_bool *stop;
	atomic_ullong acked; /* adds of 1 that were answered */
	uint64_t undecided;  /* that were not, within a time that no fault here takes */
	bool wrong;          /* an answer that is not the next number */
	int64_t wrong_value;
};

static void *count_on(void *ctx)
{
	struct counter *counter = ctx;
	struct fts_call_options options = {.timeout_ms = SETTLE_MS};
	while (!atomic_load(counter->stop) && !counter->wrong && counter->undecided == 0) {
		Fts__Test__Register__V1__AddRequest request = FTS__TEST__REGISTER__V1__ADD_REQUEST__INIT;
		Fts__Test__Register__V1__AddResponse *response = NULL;
		struct fts_error error;
		request.key = counter->key;
		request.delta = 1;
		if (test_register_add(counter->channel, &request, &options, &response, &error) != FTS_OK) {
			counter->undecided += error.executed != FTS_EXECUTED_NO;
			continue;
		}
		counter->wrong = response->value != (int64_t)atomic_load(&counter->acked) + 1;
		counter->wrong_value = response->value;
		atomic_fetch_add(&counter->acked, 1);
		fts__test__register__v1__add_response__free_unpacked(response, NULL);
	}
	return NULL;
}

static int64_t read_counter(struct fts_channel *channel, uint32_t key)
{
	struct fts_call_options options = {.timeout_ms = SETTLE_MS};
	Fts__Test__Register__V1__ReadRequest request = FTS__TEST__REGISTER__V1__READ_REQUEST__INIT;
	Fts__Test__Register__V1__ReadResponse *response = NULL;
	struct fts_error error;
	request.key = key;
	if (test_register_read(channel, &request, &options, &response, &error) != FTS_OK)
		fail_msg("counter %u can't be read: %s", key, error.detail);
	int64_t value = response->value;
	fts__test__register__v1__read_response__free_unpacked(response, NULL);
	return value;
}

static uint64_t all_acked(struct counter *counters)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < COUNTERS; i++)
		sum += atomic_load(&counters[i].acked);
	return sum;
}

static void wait_for_adds(struct counter *counters, uint64_t more, int kill_count)
{
	uint64_t goal = all_acked(counters) + more;
	for (struct harness_wait wait = harness_wait_ms(SETTLE_MS); all_acked(counters) < goal;)
		if (!harness_wait_more(&wait)) fail_msg("no adds within %d ms after kill %d", SETTLE_MS, kill_count);
}

static void fifty_leaders(void **state)
{
	static struct harness_cluster cluster;
	static struct counter counters[COUNTERS];
	static atomic_bool stop;
	struct harness_random random = {50};
	(void)state;
	cluster_of(&cluster, 3);
	for (uint32_t i = 0; i < COUNTERS; i++) {
		struct fts_channel_options options = {.endpoints = cluster.endpoints};
		struct fts_error error;
		counters[i].key = REGISTER_OTHER_KEYS + i;
		counters[i].stop = &stop;
		assert_int_equal(fts_channel_open(&options, &counters[i].channel, &error), FTS_OK);
		assert_int_equal(pthread_create(&counters[i].thread, NULL, count_on, &counters[i]), 0);
	}
	for (int i = 0; i < LEADER_KILLS; i++) {
		wait_for_adds(counters, 1 + harness_random_below(&random, 40), i);
		size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
		harness_cluster_kill(&cluster, leader);
		harness_cluster_restart(&cluster, leader);
	}
	wait_for_adds(counters, 100, LEADER_KILLS);
	atomic_store(&stop, true);
	for (uint32_t i = 0; i < COUNTERS; i++) {
		struct counter *counter = &counters[i];
		pthread_join(counter->thread, NULL);
		uint64_t acked = atomic_load(&counter->acked);
		if (counter->wrong)
			fail_msg("counter %u: answer %lld where %llu was the next", i, (long long)counter->wrong_value,
				 (unsigned long long)acked);
		assert_int_equal(counter->undecided, 0);
		int64_t applied = read_counter(counter->channel, counter->key);
		if (applied != (int64_t)acked)
			fail_msg("counter %u: acknowledged %llu, applied %lld", i, (unsigned long long)acked,
				 (long long)applied);
		fts_channel_close(counter->channel);
	}
	print_message("%llu adds through %d kills of the leader, each once\n", (unsigned long long)all_acked(counters),
		      LEADER_KILLS);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fifty_leaders),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
