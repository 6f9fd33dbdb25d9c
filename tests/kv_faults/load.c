/* Why this file exists: see tests/kv_faults/load.h. */
#include "tests/kv_faults/load.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENTS_MAX = 32, KEYS_MAX = 16384, KEYS_A_WRITER = 8, RECENT_KEYS = 64, DELETES_EVERY = 5 };
#define TIMEOUT_MS 2500
#define LAST_READ_MS 20000
#define EQUAL_MS 60000
#define PAUSE_AFTER_FAILURE_US 2000

struct key {
	atomic_uint acknowledged, seen, tried; /* numbers of writes; each only grows */
};

struct client {
	struct kv_load *load;
	pthread_t thread;
	struct harness_random random;
	bool writes;
	uint32_t keys[KEYS_A_WRITER]; /* of a writer */
};

struct kv_load {
	struct kv_load_options options;
	atomic_bool stop;
	atomic_uint key_count, nodes_in_use; /* nodes_in_use: a bit each */
	struct key keys[KEYS_MAX];
	struct client clients[CLIENTS_MAX];
	uint64_t started_ns;
	atomic_ullong writes, reads, unknown, refused, unread, last_write_ns, longest_gap_ns;
	pthread_mutex_t lock;
	uint64_t wrong_count; /* guarded by lock, as all below */
	char wrong[512], failure[300];
};

static void key_name(const struct kv_load *load, uint32_t key, char *out)
{
	(void)snprintf(out, KV_LOAD_KEY_BYTES, "%s-%u", load->options.prefix, key);
}

static void raise_to(atomic_uint *known, uint32_t to)
{
	uint32_t before = atomic_load(known);
	while (to > before && !atomic_compare_exchange_weak(known, &before, to)) {
	}
}

static size_t choose_node(struct kv_load *load, struct harness_random *random)
{
	uint32_t use = atomic_load(&load->nodes_in_use);
	uint32_t skip = harness_random_below(random, (uint32_t)__builtin_popcount(use));
	for (; skip > 0; skip--)
		use &= use - 1;
	return (size_t)__builtin_ctz(use);
}

static void note_failure(struct kv_load *load, const char *what, const char *name, size_t node,
			 const struct kv_answer *answer)
{
	pthread_mutex_lock(&load->lock);
	if (load->failure[0] == '\0')
		(void)snprintf(load->failure, sizeof load->failure, "%s %s at %s: %s (%.160s)", what, name,
			       load->options.cluster->members[node].name, fts_status_name(answer->status),
			       answer->error.detail);
	pthread_mutex_unlock(&load->lock);
}

/* ---- Writing ---- */

static void note_written(struct kv_load *load)
{
	unsigned long long now_ns = harness_now_ns(), before_ns = atomic_exchange(&load->last_write_ns, now_ns);
	unsigned long long gap_ns = now_ns > before_ns ? now_ns - before_ns : 0;
	unsigned long long longest_ns = atomic_load(&load->longest_gap_ns);
	while (gap_ns > longest_ns && !atomic_compare_exchange_weak(&load->longest_gap_ns, &longest_ns, gap_ns)) {
	}
	atomic_fetch_add(&load->writes, 1);
}

/* False: all are used up. */
static bool take_key(struct kv_load *load, uint32_t *out_key)
{
	uint32_t key = atomic_load(&load->key_count);
	do
		if (key == KEYS_MAX) return false;
	while (!atomic_compare_exchange_weak(&load->key_count, &key, key + 1));
	*out_key = key;
	return true;
}

/* False: nothing is left to write. */
static bool write_one(struct client *client)
{
	struct kv_load *load = client->load;
	uint32_t *slot = &client->keys[harness_random_below(&client->random, KEYS_A_WRITER)];
	struct key *key = &load->keys[*slot];
	char name[KV_LOAD_KEY_BYTES], value[32];
	uint32_t number = atomic_load(&key->tried) + 1;
	struct kv_call call = {.via = choose_node(load, &client->random),
			       .key = name,
			       .value = value,
			       .timeout_ms = load->options.timeout_ms};
	key_name(load, *slot, name);
	(void)snprintf(value, sizeof value, "%u", number);
	atomic_store(&key->tried, number);
	struct kv_answer answer =
	    number % DELETES_EVERY == 0 ? kv_delete(load->options.cluster, call) : kv_set(load->options.cluster, call);
	if (answer.status == FTS_OK) {
		raise_to(&key->acknowledged, number);
		note_written(load);
		return true;
	}
	bool never = answer.error.executed == FTS_EXECUTED_NO;
	note_failure(load, "write", name, call.via, &answer);
	atomic_fetch_add(never ? &load->refused : &load->unknown, 1);
	struct harness_wait wait = {harness_now_ns() + 1000000000u, PAUSE_AFTER_FAILURE_US};
	(void)harness_wait_more(&wait); /* not in a tight loop against nodes that are away */
	return never || take_key(load, slot);
}

/* ---- Reading ---- */

/* The first number from `least` on that is a deletion; before the first write a key is not there either. */
static uint32_t next_deletion(uint32_t least)
{
	return (least + DELETES_EVERY - 1) / DELETES_EVERY * DELETES_EVERY;
}

static void note_wrong(struct kv_load *load, const char *name, size_t node, const struct kv_answer *answer,
		       uint32_t least, uint32_t most)
{
	pthread_mutex_lock(&load->lock);
	if (load->wrong_count++ == 0)
		(void)snprintf(load->wrong, sizeof load->wrong,
			       "%" PRIu64 " ms after the start %s at %s: %s \"%.40s\" instead of %u to %u, version %s",
			       (harness_now_ns() - load->started_ns) / 1000000, name,
			       load->options.cluster->members[node].name, fts_status_name(answer->status),
			       answer->value, least, most, answer->version);
	pthread_mutex_unlock(&load->lock);
}

/* False: no answer. */
static bool read_one(struct kv_load *load, uint32_t place, size_t node, uint32_t timeout_ms)
{
	struct key *key = &load->keys[place];
	char name[KV_LOAD_KEY_BYTES];
	key_name(load, place, name);
	uint32_t acknowledged = atomic_load(&key->acknowledged), seen = atomic_load(&key->seen);
	uint32_t least = acknowledged > seen ? acknowledged : seen;
	struct kv_answer answer =
	    kv_get(load->options.cluster, (struct kv_call){.via = node, .key = name, .timeout_ms = timeout_ms});
	uint32_t most = atomic_load(&key->tried);
	bool there = answer.status == FTS_OK;
	if (!there && answer.status != FTS_NOT_FOUND) {
		note_failure(load, "read", name, node, &answer);
		return false;
	}
	atomic_fetch_add(&load->reads, 1);
	if (answer.maybe_stale) return true; /* it says so itself */
	uint32_t number = there ? (uint32_t)strtoul(answer.value, NULL, 10) : next_deletion(least);
	if (number < least || number > most || (there && number % DELETES_EVERY == 0))
		note_wrong(load, name, node, &answer, least, most);
	else
		raise_to(&key->seen, number);
	return true;
}

static uint32_t choose_key(struct kv_load *load, struct harness_random *random)
{
	uint32_t count = atomic_load(&load->key_count);
	uint32_t recent = count > RECENT_KEYS && harness_random_below(random, 2) == 0 ? RECENT_KEYS : count;
	return count - 1 - harness_random_below(random, recent);
}

/* ---- A client ---- */

static void *run_client(void *data)
{
	struct client *client = data;
	struct kv_load *load = client->load;
	while (!atomic_load(&load->stop)) {
		struct harness_wait pause = {harness_now_ns() + 1000000000u, load->options.pause_us};
		if (client->writes && !write_one(client)) return NULL;
		if (!client->writes && !read_one(load, choose_key(load, &client->random),
						 choose_node(load, &client->random), load->options.timeout_ms))
			atomic_fetch_add(&load->unread, 1);
		if (load->options.pause_us > 0) (void)harness_wait_more(&pause);
	}
	return NULL;
}

static void start_client(struct kv_load *load, uint32_t place)
{
	struct client *client = &load->clients[place];
	*client = (struct client){
	    .load = load, .random = {load->options.seed * 1000 + place}, .writes = place < load->options.writer_count};
	for (uint32_t i = 0; client->writes && i < KEYS_A_WRITER; i++)
		assert_true(take_key(load, &client->keys[i]));
}

static uint32_t client_count(const struct kv_load *load)
{
	return load->options.writer_count + load->options.reader_count;
}

struct kv_load *kv_load_start(const struct kv_load_options *options)
{
	struct kv_load *load = calloc(1, sizeof *load);
	assert_non_null(load);
	load->options = *options;
	load->started_ns = harness_now_ns();
	if (load->options.timeout_ms == 0) load->options.timeout_ms = TIMEOUT_MS;
	assert_true(client_count(load) <= CLIENTS_MAX && options->writer_count > 0);
	pthread_mutex_init(&load->lock, NULL);
	atomic_store(&load->last_write_ns, harness_now_ns());
	for (size_t i = 0; i < options->cluster->count; i++)
		kv_load_use(load, i, true);
	for (uint32_t i = 0; i < client_count(load); i++)
		start_client(load, i);
	for (uint32_t i = 0; i < client_count(load); i++)
		assert_int_equal(pthread_create(&load->clients[i].thread, NULL, run_client, &load->clients[i]), 0);
	return load;
}

void kv_load_use(struct kv_load *load, size_t node, bool use)
{
	if (use) (void)kv_channel(load->options.cluster, node); /* made by this thread, used by all */
	if (use)
		atomic_fetch_or(&load->nodes_in_use, 1u << node);
	else
		atomic_fetch_and(&load->nodes_in_use, ~(1u << node));
}

struct kv_load_counts kv_load_counts(struct kv_load *load)
{
	struct kv_load_counts counts = {
	    .writes = atomic_load(&load->writes),
	    .reads = atomic_load(&load->reads),
	    .unknown = atomic_load(&load->unknown),
	    .refused = atomic_load(&load->refused),
	    .unread = atomic_load(&load->unread),
	    .keys = atomic_load(&load->key_count),
	    .longest_gap_ms = atomic_load(&load->longest_gap_ns) / 1000000u,
	};
	pthread_mutex_lock(&load->lock);
	memcpy(counts.failure, load->failure, sizeof counts.failure);
	pthread_mutex_unlock(&load->lock);
	return counts;
}

bool kv_load_wait(struct kv_load *load, uint64_t more, uint32_t timeout_ms)
{
	uint64_t writes = atomic_load(&load->writes) + more, reads = atomic_load(&load->reads) + more;
	bool reads_too = load->options.reader_count > 0;
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);
	     atomic_load(&load->writes) < writes || (reads_too && atomic_load(&load->reads) < reads);)
		if (!harness_wait_more(&wait)) return false;
	return true;
}

bool kv_load_key(struct kv_load *load, uint64_t choice, char *out)
{
	uint32_t count = atomic_load(&load->key_count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t key = (uint32_t)((choice + i) % count);
		if (atomic_load(&load->keys[key].acknowledged) == 0) continue;
		key_name(load, key, out);
		return true;
	}
	return false;
}

/* What all owners of a key have, each by itself: the same? Only owners that serve can say. */
static bool are_equal(struct kv_load *load, const char *name, char *out_what, size_t capacity_bytes)
{
	struct harness_cluster *cluster = load->options.cluster;
	struct harness_random any = {load->options.seed};
	size_t owners[3], count = kv_owners(cluster, choose_node(load, &any), 0, name, owners);
	struct kv_answer first = kv_look(cluster, owners[0], 0, name);
	bool equal = first.status == FTS_OK || first.status == FTS_NOT_FOUND;
	for (size_t i = 1; i < count; i++) {
		struct kv_answer other = kv_look(cluster, owners[i], 0, name);
		equal = equal && other.status == first.status && strcmp(other.value, first.value) == 0;
		(void)snprintf(out_what, capacity_bytes, "%s: %s has %s \"%.20s\", %s %s \"%.20s\"", name,
			       cluster->members[owners[0]].name, fts_status_name(first.status), first.value,
			       cluster->members[owners[i]].name, fts_status_name(other.status), other.value);
		if (!equal) return false;
	}
	return equal;
}

/* Nobody reads meanwhile, so nothing is mended but by the nodes of themselves. */
static void wait_equal(struct kv_load *load)
{
	struct harness_wait wait = harness_wait_ms(EQUAL_MS);
	char name[KV_LOAD_KEY_BYTES], what[200];
	uint32_t count = atomic_load(&load->key_count);
	for (uint32_t key = 0; key < count;) {
		key_name(load, key, name);
		if (are_equal(load, name, what, sizeof what))
			key++;
		else if (!harness_wait_more(&wait))
			fail_msg("owners do not agree of themselves within %d ms: %s", EQUAL_MS, what);
	}
}

static void read_all(struct kv_load *load)
{
	struct harness_random random = {load->options.seed};
	uint32_t count = atomic_load(&load->key_count);
	for (uint32_t key = 0; key < count; key++) {
		size_t node = choose_node(load, &random);
		struct harness_wait wait = harness_wait_ms(LAST_READ_MS);
		while (!read_one(load, key, node, load->options.timeout_ms))
			if (!harness_wait_more(&wait)) fail_msg("not read any more: %s", load->failure);
	}
}

struct kv_load_counts kv_load_stop(struct kv_load *load)
{
	atomic_store(&load->stop, true);
	for (uint32_t i = 0; i < client_count(load); i++)
		pthread_join(load->clients[i].thread, NULL);
	struct kv_load_counts counts = kv_load_counts(load);
	memset(load->failure, 0, sizeof load->failure);
	uint64_t began_ns = harness_now_ns();
	wait_equal(load);
	size_t any = (size_t)__builtin_ctz(atomic_load(&load->nodes_in_use));
	kv_wait_clean(load->options.cluster, any, EQUAL_MS);
	counts.clean_ms = (harness_now_ns() - began_ns) / 1000000;
	read_all(load);
	if (load->wrong_count > 0)
		fail_msg("%" PRIu64 " reads at quorum saw what they must not: %s", load->wrong_count, load->wrong);
	pthread_mutex_destroy(&load->lock);
	free(load);
	return counts;
}
