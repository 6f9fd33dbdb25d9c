/* Why this file exists: see storage/map_cache.h. */
#include "storage/map_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ftsi_map_cache {
	pthread_mutex_t keep_lock; /* of two that keep the map the later keeps the newer one */
	pthread_mutex_t lock;
	struct ftsi_map_shared *newest; /* guarded by lock; never NULL */
};

static struct ftsi_map_shared *make_shared(void)
{
	struct ftsi_map_shared *shared = calloc(1, sizeof *shared);
	if (shared != NULL) atomic_init(&shared->holder_count, 1);
	return shared;
}

struct ftsi_map_cache *ftsi_map_cache_create(void)
{
	struct ftsi_map_cache *cache = calloc(1, sizeof *cache);
	if (cache == NULL || (cache->newest = make_shared()) == NULL) {
		free(cache);
		return NULL;
	}
	pthread_mutex_init(&cache->keep_lock, NULL);
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void ftsi_map_cache_destroy(struct ftsi_map_cache *cache)
{
	if (cache == NULL) return;
	ftsi_map_release(cache->newest);
	pthread_mutex_destroy(&cache->keep_lock);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

const struct ftsi_map_shared *ftsi_map_take(struct ftsi_map_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	struct ftsi_map_shared *shared = cache->newest;
	(void)atomic_fetch_add(&shared->holder_count, 1);
	pthread_mutex_unlock(&cache->lock);
	return shared;
}

const struct ftsi_map_shared *ftsi_map_hold(const struct ftsi_map_shared *shared)
{
	(void)atomic_fetch_add(&((struct ftsi_map_shared *)(uintptr_t)shared)->holder_count, 1);
	return shared;
}

void ftsi_map_release(const struct ftsi_map_shared *shared)
{
	struct ftsi_map_shared *own = (struct ftsi_map_shared *)(uintptr_t)shared; /* its count alone changes */
	if (atomic_fetch_sub(&own->holder_count, 1) != 1) return;
	if (own->message != NULL) fts__kv__v1__map_response__free_unpacked(own->message, NULL);
	free(own);
}

static int compare(const void *key, const void *item)
{
	uint32_t a = *(const uint32_t *)key, b = *(const uint32_t *)item;
	return a < b ? -1 : a > b;
}

bool ftsi_map_is_linearizable(const struct ftsi_map_shared *shared, uint32_t db)
{
	return bsearch(&db, shared->linearizable, shared->linearizable_count, sizeof db, compare) != NULL;
}

static enum fts_status make_message(struct ftsi_map_shared *shared)
{
	if (shared->map.epoch == 0) return FTS_OK;
	size_t dbs_bytes = shared->linearizable_count * sizeof *shared->linearizable;
	uint8_t *packed = malloc(ftsi_map_packed_size(&shared->map));
	uint32_t *dbs = malloc(dbs_bytes + 1); /* the message's own */
	if (packed != NULL)
		shared->message = fts__kv__v1__map_response__unpack(NULL, ftsi_map_pack(&shared->map, packed), packed);
	free(packed);
	if (shared->message == NULL || dbs == NULL || shared->linearizable_count == 0) {
		free(dbs);
		return shared->message == NULL || (dbs == NULL && dbs_bytes > 0) ? FTS_RESOURCE_EXHAUSTED : FTS_OK;
	}
	memcpy(dbs, shared->linearizable, dbs_bytes);
	shared->message->linearizable = dbs;
	shared->message->n_linearizable = shared->linearizable_count;
	return FTS_OK;
}

/* shared: owned. An older one than what is there is of no use. */
static void replace(struct ftsi_map_cache *cache, struct ftsi_map_shared *shared)
{
	struct ftsi_map_shared *loser = shared;
	pthread_mutex_lock(&cache->lock);
	if (shared->map.epoch >= cache->newest->map.epoch) {
		loser = cache->newest;
		cache->newest = shared;
	}
	pthread_mutex_unlock(&cache->lock);
	ftsi_map_release(loser);
}

enum fts_status ftsi_map_cache_load(struct ftsi_map_cache *cache, struct fts_txn *txn)
{
	struct ftsi_map_shared *shared = make_shared();
	if (shared == NULL) return FTS_RESOURCE_EXHAUSTED;
	enum fts_status status = ftsi_log_get_map(txn, &shared->map);
	if (status == FTS_OK) status = ftsi_log_linearizable(txn, shared->linearizable, &shared->linearizable_count);
	if (status == FTS_OK) status = make_message(shared);
	if (status != FTS_OK) {
		ftsi_map_release(shared);
		return status;
	}
	replace(cache, shared);
	return FTS_OK;
}

/* ---- Kept in DIR/kv ---- */

static enum fts_status read_kept(struct ftsi_map_shared *shared, const struct fts_value *packed)
{
	shared->message = fts__kv__v1__map_response__unpack(NULL, packed->size_bytes, packed->data);
	if (shared->message == NULL || shared->message->n_linearizable > FTSI_LINEARIZABLE_MAX ||
	    ftsi_map_from_message(shared->message, &shared->map) != FTS_OK)
		return FTS_DATA_LOSS;
	shared->linearizable_count = shared->message->n_linearizable;
	if (shared->linearizable_count > 0)
		memcpy(shared->linearizable, shared->message->linearizable,
		       shared->linearizable_count * sizeof *shared->linearizable);
	return FTS_OK;
}

enum fts_status ftsi_map_cache_recall(struct ftsi_map_cache *cache, struct fts_storage *storage)
{
	struct fts_value packed = {0};
	struct ftsi_map_shared *shared = make_shared();
	if (shared == NULL) return FTS_RESOURCE_EXHAUSTED;
	enum fts_status status = fts_storage_kept_map(storage, &packed);
	if (status == FTS_OK) status = read_kept(shared, &packed);
	fts_value_release(&packed);
	if (status == FTS_OK)
		replace(cache, shared);
	else
		ftsi_map_release(shared);
	return status;
}

enum fts_status ftsi_map_cache_keep(struct ftsi_map_cache *cache, struct fts_storage *storage, bool synced)
{
	pthread_mutex_lock(&cache->keep_lock);
	const struct ftsi_map_shared *shared = ftsi_map_take(cache);
	enum fts_status status = FTS_OK;
	if (shared->message != NULL) {
		uint8_t *packed = malloc(fts__kv__v1__map_response__get_packed_size(shared->message));
		status = packed == NULL ? FTS_RESOURCE_EXHAUSTED : FTS_OK;
		if (status == FTS_OK) {
			size_t size = fts__kv__v1__map_response__pack(shared->message, packed);
			status = fts_storage_keep_map(storage, (struct fts_bytes){packed, size}, synced);
		}
		free(packed);
	}
	ftsi_map_release(shared);
	pthread_mutex_unlock(&cache->keep_lock);
	return status;
}
