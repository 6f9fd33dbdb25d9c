/* Why this file exists: the sharded store under faults: kills and pauses at random while many write, nodes that join,
 * deletions while an owner is away for long, clocks that differ. What was acknowledged at quorum is never lost, and
 * when all is well again the owners agree of themselves. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kv/help.h"

#define READY_MS 30000
#define HEAL_MS 60000

enum { WRITER_COUNT = 4, KEYS_A_WRITER = 16 };

static void start(struct harness_cluster *cluster, size_t count, const char *const *flags)
{
	harness_cluster_init(cluster, count);
	for (size_t i = 0; flags[i] != NULL; i++)
		cluster->flags[i] = flags[i];
	harness_cluster_start(cluster);
	for (size_t i = 0; i < count; i++)
		kv_wait_map(cluster, i, count, READY_MS);
}

/* ---- Writers: each has its own keys, and writes numbers that only grow ---- */

struct writer {
	struct harness_cluster *cluster;
	pthread_t thread;
	uint32_t name;
	size_t node_count; /* asked in turn */
	atomic_bool *stop;
	uint32_t acknowledged[KEYS_A_WRITER]; /* last number, by key */
	uint32_t tried[KEYS_A_WRITER];
	uint64_t good, bad, lost;
	char story[200]; /* of the first loss */
};

static void key_of(const struct writer *writer, uint32_t key, char *out)
{
	(void)snprintf(out, 32, "w%u-%u", writer->name, key);
}

static void write_one(struct writer *writer, uint32_t key, size_t via)
{
	char name[32], value[32];
	key_of(writer, key, name);
	(void)snprintf(value, sizeof value, "%u", ++writer->tried[key]);
	struct kv_answer answer =
	    kv_set(writer->cluster, (struct kv_call){.via = via, .key = name, .value = value, .timeout_ms = 3000});
	if (answer.status == FTS_OK) {
		writer->acknowledged[key] = writer->tried[key];
		writer->good++;
	} else {
		writer->bad++;
	}
}

/* A read after an acknowledged write sees it or a later one. */
static void read_one(struct writer *writer, uint32_t key, size_t via)
{
	char name[32];
	key_of(writer, key, name);
	struct kv_answer answer =
	    kv_get(writer->cluster, (struct kv_call){.via = via, .key = name, .timeout_ms = 3000});
	if (answer.status != FTS_OK && answer.status != FTS_NOT_FOUND) return;
	uint32_t seen = answer.status == FTS_OK ? (uint32_t)strtoul(answer.value, NULL, 10) : 0;
	if (answer.maybe_stale || (seen >= writer->acknowledged[key] && seen <= writer->tried[key])) return;
	if (writer->lost++ == 0)
		(void)snprintf(writer->story, sizeof writer->story, "%s at %s: %u, acknowledged %u, tried %u", name,
			       writer->cluster->members[via].name, seen, writer->acknowledged[key], writer->tried[key]);
}

static void *write_on(void *data)
{
	struct writer *writer = data;
	struct harness_random random = {writer->name + 1};
	while (!atomic_load(writer->stop)) {
		uint32_t key = harness_random_below(&random, KEYS_A_WRITER);
		write_one(writer, key, harness_random_below(&random, (uint32_t)writer->node_count));
		read_one(writer, harness_random_below(&random, KEYS_A_WRITER),
			 harness_random_below(&random, (uint32_t)writer->node_count));
	}
	return NULL;
}

static void start_writers(struct harness_cluster *cluster, struct writer *writers, atomic_bool *stop)
{
	atomic_store(stop, false);
	for (size_t i = 0; i < cluster->count; i++)
		(void)kv_channel(cluster, i); /* before there are threads */
	for (uint32_t i = 0; i < WRITER_COUNT; i++) {
		writers[i] = (struct writer){.cluster = cluster, .name = i, .node_count = cluster->count, .stop = stop};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
	}
}

/* Everything that was acknowledged is there, at every node. Returns how many writes were. */
static uint64_t stop_writers(struct writer *writers, atomic_bool *stop)
{
	uint64_t good = 0;
	atomic_store(stop, true);
	for (uint32_t i = 0; i < WRITER_COUNT; i++)
		pthread_join(writers[i].thread, NULL);
	for (uint32_t i = 0; i < WRITER_COUNT; i++) {
		for (uint32_t key = 0; key < KEYS_A_WRITER; key++)
			for (size_t via = 0; via < writers[i].node_count; via++)
				read_one(&writers[i], key, via);
		if (writers[i].lost > 0)
			fail_msg("%llu reads saw less than was acknowledged: %s", (unsigned long long)writers[i].lost,
				 writers[i].story);
		good += writers[i].good;
	}
	return good;
}

/* ---- Kills and pauses ---- */

static void pass_ms(uint32_t ms)
{
	for (struct harness_wait wait = harness_wait_ms(ms); harness_wait_more(&wait);) {
	}
}

static void hurt_one(struct harness_cluster *cluster, struct harness_random *random)
{
	size_t victim = harness_random_below(random, (uint32_t)cluster->count);
	if (harness_random_below(random, 2) == 0) {
		harness_cluster_kill(cluster, victim);
		pass_ms(200 + harness_random_below(random, 800));
		harness_cluster_restart(cluster, victim);
	} else {
		harness_cluster_pause(cluster, victim);
		pass_ms(200 + harness_random_below(random, 2500));
		harness_cluster_resume(cluster, victim);
	}
	pass_ms(harness_random_below(random, 500));
}

static void nothing_acknowledged_is_lost(size_t count, uint64_t seed, int faults)
{
	struct harness_cluster cluster;
	struct writer writers[WRITER_COUNT];
	struct harness_random random = {seed};
	atomic_bool stop;
	start(&cluster, count, (const char *const[]){"--kv-sweep-s", "2", NULL});
	start_writers(&cluster, writers, &stop);
	for (int i = 0; i < faults; i++)
		hurt_one(&cluster, &random);
	uint64_t good = stop_writers(writers, &stop);
	print_message("%llu writes acknowledged\n", (unsigned long long)good);
	assert_true(good > 100);
	kv_wait_clean(&cluster, 0, HEAL_MS);
	harness_cluster_fini(&cluster);
}

static void kills_and_pauses_of_three(void **state)
{
	(void)state;
	nothing_acknowledged_is_lost(3, 1, 8);
}

static void kills_and_pauses_of_five(void **state)
{
	(void)state;
	nothing_acknowledged_is_lost(5, 2, 8);
}

/* ---- Members ---- */

static void nodes_join_under_load(void **state)
{
	struct harness_cluster cluster;
	struct writer writers[WRITER_COUNT];
	atomic_bool stop;
	(void)state;
	start(&cluster, 1, (const char *const[]){"--kv-sweep-s", "2", NULL});
	start_writers(&cluster, writers, &stop);
	for (size_t count = 2; count <= 4; count++) {
		size_t added = harness_cluster_add(&cluster);
		harness_cluster_restart(&cluster, added);
		kv_wait_map(&cluster, 0, count, HEAL_MS);
	}
	for (uint32_t i = 0; i < WRITER_COUNT; i++)
		if (writers[i].bad > 0) fail_msg("%llu writes failed", (unsigned long long)writers[i].bad);
	(void)stop_writers(writers, &stop);
	kv_wait_clean(&cluster, 0, HEAL_MS);
	harness_cluster_fini(&cluster);
}

/* ---- Deletions ---- */

static void deletions_do_not_come_back(void **state)
{
	struct harness_cluster cluster;
	char key[32];
	(void)state;
	start(&cluster, 3,
	      (const char *const[]){"--kv-sweep-s", "1", "--kv-tombstone-s", "4", "--kv-hint-s", "1", NULL});
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "d%d", i);
		assert_int_equal(
		    kv_set(
			&cluster,
			(struct kv_call){.via = 0, .key = key, .value = "old", .level = FTS__KV__V1__CONSISTENCY__ALL})
			.status,
		    FTS_OK);
	}
	harness_cluster_kill(&cluster, 2);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "d%d", i);
		assert_int_equal(kv_delete(&cluster, (struct kv_call){.via = 0, .key = key}).status, FTS_OK);
	}
	pass_ms(7000);                                      /* beyond the age of hints and of tombstones */
	assert_true(kv_look(&cluster, 0, 0, "d0").existed); /* not everybody has it: it is not forgotten */
	harness_cluster_restart(&cluster, 2);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "d%d", i);
		kv_wait_has(&cluster, 2, 0, key, NULL, HEAL_MS);
	}
	kv_wait_clean(&cluster, 1, HEAL_MS);
	for (struct harness_wait wait = harness_wait_ms(HEAL_MS);
	     kv_look(&cluster, 0, 0, "d0").existed || kv_look(&cluster, 2, 0, "d0").existed;)
		if (!harness_wait_more(&wait)) fail_msg("the tombstone of d0 is never forgotten");
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "d%d", i);
		assert_int_equal(kv_get(&cluster, (struct kv_call){.via = (size_t)i % 3, .key = key}).status,
				 FTS_NOT_FOUND);
	}
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kills_and_pauses_of_three),
	    cmocka_unit_test(kills_and_pauses_of_five),
	    cmocka_unit_test(nodes_join_under_load),
	    cmocka_unit_test(deletions_do_not_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
