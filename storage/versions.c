/* Why this file exists: see storage/versions.h. Shards with a lock each: a hash table with chains, and a queue of all
 * that is in it: who is at its head makes room, unless it was used since it came to the tail (a second chance). */
#include "storage/versions.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { SET_COUNT = 2048, SEED = 4, MALLOC_BYTES = 16 };
#define NO_GENERATION UINT64_MAX /* of a look at what is touched: what is found after it is not taken */
#define SHARD_BYTES_MAX (FTSI_VERSIONS_BYTES_MAX / FTSI_VERSIONS_SHARD_COUNT)

void ftsi_versions_init(struct ftsi_versions *versions)
{
	memset(versions, 0, sizeof *versions);
	for (size_t i = 0; i < FTSI_VERSIONS_SHARD_COUNT; i++) {
		pthread_mutex_init(&versions->shards[i].lock, NULL);
		versions->shards[i].youngest = &versions->shards[i].oldest;
	}
}

static void free_standing(struct ftsi_standing *standing)
{
	free(standing->value);
	free(standing);
}

static void empty(struct ftsi_versions_shard *shard)
{
	while (shard->oldest != NULL) {
		struct ftsi_standing *younger = shard->oldest->younger;
		free_standing(shard->oldest);
		shard->oldest = younger;
	}
	free(shard->sets);
	shard->sets = NULL;
	shard->youngest = &shard->oldest;
	shard->bytes = 0;
	shard->generation++;
}

void ftsi_versions_forget_all(struct ftsi_versions *versions)
{
	for (size_t i = 0; i < FTSI_VERSIONS_SHARD_COUNT; i++) {
		pthread_mutex_lock(&versions->shards[i].lock);
		empty(&versions->shards[i]);
		pthread_mutex_unlock(&versions->shards[i].lock);
	}
}

void ftsi_versions_fini(struct ftsi_versions *versions)
{
	for (size_t i = 0; i < FTSI_VERSIONS_SHARD_COUNT; i++) {
		empty(&versions->shards[i]);
		pthread_mutex_destroy(&versions->shards[i].lock);
	}
}

/* ---- A shard. Called with its lock held, as all below that take one ---- */

static struct ftsi_versions_shard *shard_of(struct ftsi_versions *versions, uint64_t hash)
{
	return &versions->shards[hash % FTSI_VERSIONS_SHARD_COUNT];
}

static struct ftsi_standing **set_of(struct ftsi_versions_shard *shard, uint64_t hash)
{
	return &shard->sets[hash / FTSI_VERSIONS_SHARD_COUNT % SET_COUNT];
}

static struct ftsi_standing *find(struct ftsi_versions_shard *shard, uint64_t hash, struct fts_bytes key)
{
	if (shard->sets == NULL) return NULL;
	for (struct ftsi_standing *at = *set_of(shard, hash); at != NULL; at = at->chain) {
		if (at->hash != hash || at->key_bytes != key.size_bytes ||
		    memcmp(at->key, key.data, key.size_bytes) != 0)
			continue;
		at->used = true;
		return at;
	}
	return NULL;
}

static size_t bytes_of(size_t key_bytes)
{
	return sizeof(struct ftsi_standing) + key_bytes + MALLOC_BYTES;
}

static void drop_value(struct ftsi_versions_shard *shard, struct ftsi_standing *standing)
{
	if (standing->value == NULL) return;
	shard->bytes -= standing->value_bytes + MALLOC_BYTES;
	free(standing->value);
	standing->value = NULL;
}

static void put_youngest(struct ftsi_versions_shard *shard, struct ftsi_standing *standing)
{
	standing->younger = NULL;
	*shard->youngest = standing;
	shard->youngest = &standing->younger;
}

static void forget(struct ftsi_versions_shard *shard, struct ftsi_standing *standing)
{
	struct ftsi_standing **at = set_of(shard, standing->hash);
	while (*at != standing)
		at = &(*at)->chain;
	*at = standing->chain;
	drop_value(shard, standing);
	shard->bytes -= bytes_of(standing->key_bytes);
	free_standing(standing);
}

enum { LOOKS_MAX = 16 }; /* at the head of the queue, for one that comes: more than that may be touched */

static void make_room(struct ftsi_versions_shard *shard, size_t bytes)
{
	for (int i = 0; i < LOOKS_MAX && shard->bytes + bytes > SHARD_BYTES_MAX && shard->oldest != NULL; i++) {
		struct ftsi_standing *oldest = shard->oldest;
		shard->oldest = oldest->younger;
		if (shard->oldest == NULL) shard->youngest = &shard->oldest;
		if (oldest->used || oldest->touched) {
			oldest->used = false;
			put_youngest(shard, oldest);
		} else {
			forget(shard, oldest);
		}
	}
}

/* NULL: no memory. */
static struct ftsi_standing *add(struct ftsi_versions_shard *shard, uint64_t hash, struct fts_bytes key)
{
	if (shard->sets == NULL) shard->sets = calloc(SET_COUNT, sizeof(struct ftsi_standing *));
	if (shard->sets == NULL) return NULL;
	make_room(shard, bytes_of(key.size_bytes));
	struct ftsi_standing *standing = malloc(sizeof *standing + key.size_bytes);
	if (standing == NULL) return NULL;
	*standing = (struct ftsi_standing){.hash = hash, .key_bytes = (uint16_t)key.size_bytes};
	memcpy(standing->key, key.data, key.size_bytes);
	struct ftsi_standing **set = set_of(shard, hash);
	standing->chain = *set;
	*set = standing;
	put_youngest(shard, standing);
	shard->bytes += bytes_of(key.size_bytes);
	return standing;
}

/* Nothing that is larger than what is kept, and no more than there is room for. */
static void keep_value(struct ftsi_versions_shard *shard, struct ftsi_standing *standing, struct fts_bytes value)
{
	if (standing->value == NULL || standing->value_bytes != value.size_bytes) {
		drop_value(shard, standing);
		if (value.size_bytes > FTSI_VERSIONS_VALUE_MAX ||
		    shard->bytes + value.size_bytes + MALLOC_BYTES > SHARD_BYTES_MAX)
			return;
		standing->value = malloc(value.size_bytes + 1);
		if (standing->value == NULL) return;
		standing->value_bytes = (uint16_t)value.size_bytes;
		shard->bytes += value.size_bytes + MALLOC_BYTES;
	}
	if (value.size_bytes > 0) memcpy(standing->value, value.data, value.size_bytes);
}

/* ---- For batches ---- */

struct ftsi_standing *ftsi_versions_touch(struct ftsi_versions *versions, struct fts_bytes key, bool *out_known)
{
	uint64_t hash = fts_hash64(key, SEED);
	struct ftsi_versions_shard *shard = shard_of(versions, hash);
	pthread_mutex_lock(&shard->lock);
	struct ftsi_standing *standing = find(shard, hash, key);
	*out_known = standing != NULL;
	if (standing == NULL) standing = add(shard, hash, key);
	if (standing != NULL) {
		standing->touched = true;
		shard->generation++;
	}
	pthread_mutex_unlock(&shard->lock);
	return standing;
}

void ftsi_versions_set_value(struct ftsi_versions *versions, struct ftsi_standing *standing, struct fts_bytes value)
{
	struct ftsi_versions_shard *shard = shard_of(versions, standing->hash);
	pthread_mutex_lock(&shard->lock);
	if (standing->live) make_room(shard, value.size_bytes + MALLOC_BYTES);
	if (standing->live)
		keep_value(shard, standing, value);
	else
		drop_value(shard, standing);
	pthread_mutex_unlock(&shard->lock);
}

void ftsi_versions_let_go(struct ftsi_versions *versions, struct ftsi_standing *standing)
{
	struct ftsi_versions_shard *shard = shard_of(versions, standing->hash);
	pthread_mutex_lock(&shard->lock);
	standing->touched = false;
	pthread_mutex_unlock(&shard->lock);
}

/* ---- For readers ---- */

static enum fts_status read_standing(const struct ftsi_standing *standing, struct ftsi_record *record,
				     uint8_t **out_value)
{
	if (standing == NULL || standing->touched) return FTS_UNAVAILABLE;
	if (!standing->stands) return FTS_NOT_FOUND;
	if (standing->live && standing->value == NULL) return FTS_UNAVAILABLE;
	uint8_t *copy = NULL;
	if (standing->live && standing->value_bytes > 0) {
		copy = malloc(standing->value_bytes);
		if (copy == NULL) return FTS_UNAVAILABLE;
		memcpy(copy, standing->value, standing->value_bytes);
	}
	record->version = standing->version;
	record->tombstone = !standing->live;
	record->value = (struct fts_bytes){copy, copy == NULL ? 0 : standing->value_bytes};
	*out_value = copy;
	return FTS_OK;
}

enum fts_status ftsi_versions_read(struct ftsi_versions *versions, struct fts_bytes key, struct ftsi_record *record,
				   uint8_t **out_value, struct ftsi_versions_look *out_look)
{
	uint64_t hash = fts_hash64(key, SEED);
	struct ftsi_versions_shard *shard = shard_of(versions, hash);
	pthread_mutex_lock(&shard->lock);
	const struct ftsi_standing *standing = find(shard, hash, key);
	bool touched = standing != NULL && standing->touched;
	enum fts_status status = read_standing(standing, record, out_value);
	*out_look = (struct ftsi_versions_look){hash, touched ? NO_GENERATION : shard->generation};
	pthread_mutex_unlock(&shard->lock);
	return status;
}

static void take(struct ftsi_versions_shard *shard, struct ftsi_standing *standing, const struct ftsi_record *record)
{
	if (record == NULL) return;
	standing->stands = true;
	standing->live = !record->tombstone;
	standing->version = record->version;
	standing->digest = ftsi_record_digest(record);
	if (standing->live && standing->value == NULL) keep_value(shard, standing, record->value);
}

void ftsi_versions_offer(struct ftsi_versions *versions, struct fts_bytes key, const struct ftsi_versions_look *look,
			 const struct ftsi_record *record)
{
	struct ftsi_versions_shard *shard = shard_of(versions, look->hash);
	size_t value_bytes = record == NULL ? 0 : record->value.size_bytes;
	if (value_bytes > FTSI_VERSIONS_VALUE_MAX) return;
	pthread_mutex_lock(&shard->lock);
	if (shard->generation == look->generation) {
		make_room(shard, bytes_of(key.size_bytes) + value_bytes + MALLOC_BYTES);
		struct ftsi_standing *standing = find(shard, look->hash, key);
		if (standing == NULL) standing = add(shard, look->hash, key);
		if (standing != NULL) take(shard, standing, record);
	}
	pthread_mutex_unlock(&shard->lock);
}
