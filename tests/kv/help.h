/* Why this file exists: calls of the sharded store in a test's words: keys and values are texts, a failed expectation
 * says who was asked what. Everything asks one node, by its place in the cluster. */
#ifndef FTS_TESTS_KV_HELP_H
#define FTS_TESTS_KV_HELP_H

#include <stdbool.h>

#include <fts/kv/v1/kv.fts.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define KV_VALUE_MAX 256

/* To one node alone. Borrowed until the cluster ends. */
struct fts_channel *kv_channel(struct harness_cluster *cluster, size_t node);

struct kv_answer {
	enum fts_status status;
	char value[KV_VALUE_MAX]; /* of a get */
	char version[64];
	uint32_t acks, replicas, hints;
	bool maybe_stale, kept_by_router, existed;
	uint64_t took_ms;
	struct fts_error error;
};

struct kv_call {
	size_t via; /* node */
	uint32_t db;
	const char *key;
	const char *value; /* of a set */
	Fts__Kv__V1__Consistency level;
	uint32_t timeout_ms; /* 0: 5,000 */
	uint64_t fence;
};
struct kv_answer kv_set(struct harness_cluster *cluster, struct kv_call call);
struct kv_answer kv_get(struct harness_cluster *cluster, struct kv_call call);
struct kv_answer kv_delete(struct harness_cluster *cluster, struct kv_call call);

/* What one node itself has of a key. OK, NOT_FOUND (also a tombstone), DATA_LOSS, or the call's failure. */
struct kv_answer kv_look(struct harness_cluster *cluster, size_t node, uint32_t db, const char *key);
/* Wait until node itself has value (NULL: nothing alive) under key. Fails the test after timeout_ms. */
void kv_wait_has(struct harness_cluster *cluster, size_t node, uint32_t db, const char *key, const char *value,
		 uint32_t timeout_ms);

/* Places of the owners of a key; returns how many. out_owners: 3. */
size_t kv_owners(struct harness_cluster *cluster, size_t via, uint32_t db, const char *key, size_t *out_owners);
/* Wait until via knows a map with node_count nodes and nothing on its way, and serves writes by it. */
void kv_wait_map(struct harness_cluster *cluster, size_t via, size_t node_count, uint32_t timeout_ms);
/* Does via know a map in which nothing is on its way and nobody leaves? out_id: of the node called name there; 0: it is
 * not in it. */
bool kv_map_rests(struct harness_cluster *cluster, size_t via, const char *name, uint64_t *out_id);
/* All partitions. False: not everybody answered. */
bool kv_verify(struct harness_cluster *cluster, size_t via, bool repair, Fts__Kv__V1__VerifyResponse *out_sum);
/* Wait until Verify finds nothing, of itself. */
void kv_wait_clean(struct harness_cluster *cluster, size_t via, uint32_t timeout_ms);

#endif
