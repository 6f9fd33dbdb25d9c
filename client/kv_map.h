/* Why this file exists: the map of the key-value store as libfts keeps it: which node is asked first for a key.
 *
 * Invariants: the newest map that was told stays; a map that makes no sense is not taken. Only when all answers of
 * FTSI_KV_OLDER_MS have brought older ones is such a one taken: then the cluster was begun anew from a snapshot, and
 * knows nothing of the newer one. Thread: any. */
#ifndef FTS_CLIENT_KV_MAP_H
#define FTS_CLIENT_KV_MAP_H

#include <pthread.h>
#include <stdbool.h>

#include <fts/kv.h>

enum { FTSI_KV_OLDER_MS = 5000 };
enum { FTSI_KV_ADDRESS_MAX = 128, FTSI_KV_NODES_MAX = 64, FTSI_KV_OWNERS_MAX = 3 };

struct ftsi_kv_map {
	pthread_mutex_t lock;
	uint64_t epoch;    /* guarded by lock, as all below; 0: none yet */
	uint64_t older_ns; /* since when answers bring older ones; 0: the last one did not */
	uint32_t replicas;
	size_t node_count;
	char addresses[FTSI_KV_NODES_MAX][FTSI_KV_ADDRESS_MAX];
	uint8_t owners[FTS_KV_PARTITION_COUNT * FTSI_KV_OWNERS_MAX];
};

void ftsi_kv_map_init(struct ftsi_kv_map *map);
void ftsi_kv_map_fini(struct ftsi_kv_map *map);
/* What came with an answer to a call: message (borrowed), or NULL: the map it was sent by is still right. */
void ftsi_kv_map_take(struct ftsi_kv_map *map, const Fts__Kv__V1__MapResponse *message, uint64_t now_ns);
/* The owner of partition to be asked, into out_address (FTSI_KV_ADDRESS_MAX); the epoch by which it is one. 0: there is
 * no map, or nobody owns it: ask anybody. */
uint64_t ftsi_kv_map_owner(struct ftsi_kv_map *map, uint32_t partition, char *out_address);

#endif
