/* Why this file exists: the map as this node last applied it, for all threads that route by it.
 *
 * Invariants: a map that was taken does not change and lives until it is released; the newest is never older than what
 * the state says, nor than what this node has known before it was started (it keeps that in DIR/kv): while the log is
 * replayed the state's own map is older for a while. Linearizable databases travel with it. Thread: any. */
#ifndef FTS_STORAGE_MAP_CACHE_H
#define FTS_STORAGE_MAP_CACHE_H

#include <stdatomic.h>

#include "storage/log_state.h"
#include "storage/storage.h"

struct ftsi_map_shared {
	atomic_uint holder_count;
	size_t linearizable_count;
	uint32_t linearizable[FTSI_LINEARIZABLE_MAX]; /* ascending */
	struct ftsi_map map;
	Fts__Kv__V1__MapResponse *message; /* the same, for answers; NULL while there is no map */
};

struct ftsi_map_cache;

/* Returned (ftsi_map_cache_destroy). NULL: no memory. */
struct ftsi_map_cache *ftsi_map_cache_create(void);
void ftsi_map_cache_destroy(struct ftsi_map_cache *cache); /* NULL: no-op */
/* The newest map; epoch 0: none yet. Held (ftsi_map_release). */
const struct ftsi_map_shared *ftsi_map_take(struct ftsi_map_cache *cache);
const struct ftsi_map_shared *ftsi_map_hold(const struct ftsi_map_shared *shared); /* once more */
void ftsi_map_release(const struct ftsi_map_shared *shared);
bool ftsi_map_is_linearizable(const struct ftsi_map_shared *shared, uint32_t db);

/* Read it anew from txn, which may be a batch being built. Errors: the store's, RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_map_cache_load(struct ftsi_map_cache *cache, struct fts_txn *txn);
/* Take the map that was kept in storage, unless a newer one is there. Errors: NOT_FOUND, DATA_LOSS, RESOURCE_EXHAUSTED.
 */
FTS_MUST_USE enum fts_status ftsi_map_cache_recall(struct ftsi_map_cache *cache, struct fts_storage *storage);
/* Keep the newest map in storage. Nothing to do without one. Blocks. Errors: the store's, RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_map_cache_keep(struct ftsi_map_cache *cache, struct fts_storage *storage,
						 bool synced);

#endif
