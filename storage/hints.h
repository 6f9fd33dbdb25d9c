/* Why this file exists: hints: records kept for another node that could not take them, in DIR/kv, synced like all else.
 *
 * | key (store/key.h)                                            | value                                   |
 * | FTSI_TABLE_HINT, u64 owner, u32 partition, u32 db, text key  | kept since (Unix ms) 8, then as a record |
 *
 * Invariants: one hint an owner and key, the newest. At most FTSI_HINT_BYTES_MAX are kept: what is dropped, or would be
 * older than it may get, marks its partition for repair; so does a hint that is damaged. Source: DeCandia et al.,
 * "Dynamo" (2007), section 4.6. Thread: any, unless said otherwise. */
#ifndef FTS_STORAGE_HINTS_H
#define FTS_STORAGE_HINTS_H

#include "storage/storage.h"

#define FTSI_HINT_BYTES_MAX ((uint64_t)256 * 1024 * 1024)

struct ftsi_hints {
	pthread_mutex_t lock;
	uint64_t bytes, count, bytes_max;        /* guarded by lock, as all below */
	uint64_t dropped_count;                  /* since the start */
	uint32_t counts[FTSI_PARTITION_COUNT];   /* of hints, by partition */
	bool wants_repair[FTSI_PARTITION_COUNT]; /* one was dropped */
};

void ftsi_hints_init(struct ftsi_hints *hints);
void ftsi_hints_fini(struct ftsi_hints *hints);
/* Count what is there. Once, before anything is put. */
FTS_MUST_USE enum fts_status ftsi_hints_count(struct fts_storage *storage);

/* Into a batch (storage/writer.c). *out_dropped is set when there is no room. Thread: the writer's. */
FTS_MUST_USE enum fts_status ftsi_hints_put(struct fts_storage *storage, struct fts_txn *txn, uint64_t owner,
					    const struct ftsi_record *record, bool *out_dropped);

/* ---- For who delivers them ---- */

struct fts_hint {
	uint64_t owner;
	int64_t kept_ms;
	struct ftsi_record record; /* borrowed for the visit */
};
/* visit: false ends it. */
typedef bool (*fts_hint_visit_fn)(void *ctx, const struct fts_hint *hint, struct fts_bytes stored_key);
/* Hints for owner (0: all), behind the stored key `after` (borrowed; empty: from the start). */
FTS_MUST_USE enum fts_status fts_hints_visit(struct fts_storage *storage, uint64_t owner, struct fts_bytes after,
					     fts_hint_visit_fn visit, void *ctx);
/* The newest hint of a key, whoever it is for, among owners (borrowed). NOT_FOUND: none. out_found: as
 * fts_storage_read; released by the caller. */
FTS_MUST_USE enum fts_status fts_hints_read(struct fts_storage *storage, const uint64_t *owners, size_t owner_count,
					    uint32_t db, struct fts_bytes key, struct fts_storage_found *out_found);
/* Delivered, if it is still this version. Blocks for no sync: a hint that comes back is delivered again. */
FTS_MUST_USE enum fts_status fts_hints_remove(struct fts_storage *storage, uint64_t owner, uint32_t db,
					      struct fts_bytes key, struct ftsi_version version);
/* Given up, because it is too old or its owner is gone: as remove, and its partition is marked. */
FTS_MUST_USE enum fts_status fts_hints_drop(struct fts_storage *storage, uint64_t owner, uint32_t db,
					    struct fts_bytes key, struct ftsi_version version);

uint64_t fts_hints_count(struct fts_storage *storage);
/* Their bytes, and how many were dropped since the start. */
void fts_hints_measure(struct fts_storage *storage, uint64_t *out_bytes, uint64_t *out_dropped_count);
/* Version time of the oldest hint of partition; 0: there is none. Reads all of partition. */
uint64_t fts_hints_oldest(struct fts_storage *storage, uint32_t partition);
/* Was a hint of partition dropped? take: forget it. */
bool fts_hints_wants_repair(struct fts_storage *storage, uint32_t partition, bool take);
void fts_hints_limit(struct fts_storage *storage, uint64_t bytes_max);

#endif
