/* Why this file exists: what one node keeps of the key-value store: DIR/kv, with a write-ahead log, synced before an
 * acknowledgement; many writes share one sync.
 *
 * Invariants
 * - A record is replaced only by a newer version (storage/record.h): writes may come twice, late and in any order.
 * - A put is done once it is on disk; reads see it from then on.
 * - A damaged record is never returned: it reads as DATA_LOSS, and any intact write of its key replaces it.
 * - Trees follow every write; after a start they are built by one scan in the background.
 * - Nothing queues without bound: past FTSI_PUT_QUEUE_BYTES_MAX a put is RESOURCE_EXHAUSTED; background puts (hints,
 *   repair, moves) get one batch in eight while others wait. */
#ifndef FTS_STORAGE_STORAGE_H
#define FTS_STORAGE_STORAGE_H

#include "base/hlc.h"
#include "storage/taken.h"
#include "storage/tree.h"
#include "store/store.h"

#define FTSI_PUT_QUEUE_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* With less than this left on its disk nothing is stored any more: RESOURCE_EXHAUSTED. */
#define FTSI_STORAGE_RESERVE_BYTES ((uint64_t)64 * 1024 * 1024)

struct fts_storage;

struct fts_storage_options {
	const char *data;          /* DIR; DIR/kv is made in it. Borrowed. */
	size_t write_buffer_bytes; /* 0: 16 MiB */
	size_t block_cache_bytes;  /* 0: 16 MiB */
	bool was_here;             /* this node has run before: what is not in DIR/kv was lost (storage/lost.h) */
	/* A write failed: the process must end. Thread: the writer's. May be NULL. */
	void (*on_fatal)(void *ctx, const struct fts_error *error);
	void *ctx;
};

/* out_storage: returned (fts_storage_close). Errors: as fts_store_open. Thread: any. */
FTS_MUST_USE enum fts_status fts_storage_open(const struct fts_storage_options *options,
					      struct fts_storage **out_storage, struct fts_error *out_error);
/* Finish what was put, end the threads. NULL: no-op. */
void fts_storage_close(struct fts_storage *storage);

/* ---- Writing ---- */

struct fts_storage_put {
	struct fts_storage_put *next;      /* the storage's */
	const struct ftsi_record *records; /* borrowed until done, with what they point to */
	size_t count;
	bool *existed; /* may be NULL; by record: a live value stood there. The caller's until done */
	/* May be NULL; by record: version time of what stands there if it is newer than what came, else 0. The caller's
	 * until done. */
	uint64_t *newer;
	uint64_t hint_owner; /* not 0: kept for that node instead (storage/hints.h) */
	bool hint_dropped;   /* set by the storage: there is no room for it, and it is not kept */
	bool background;
	/* OK, or RESOURCE_EXHAUSTED (disk full: nothing of it was written), INTERNAL or DATA_LOSS (the disk: nobody
	 * knows) */
	enum fts_status status;
	size_t size_bytes; /* the storage's */
	/* Once iff fts_storage_put returned OK. Thread: one of the storage's; be short. */
	void (*done)(struct fts_storage_put *put);
};
/* put: owned by the storage until done. Errors: RESOURCE_EXHAUSTED (queue full, or the disk: fts_storage_is_full), INVALID_ARGUMENT (a key or value too
 * long), UNAVAILABLE (closing). Thread: any. */
FTS_MUST_USE enum fts_status fts_storage_put(struct fts_storage *storage, struct fts_storage_put *put);
/* The disk had less than FTSI_STORAGE_RESERVE_BYTES left when it was last looked at: nothing is taken. Thread: any. */
bool fts_storage_is_full(struct fts_storage *storage);

/* Of a put that ended so: may it be on the disk, all the same? */
static inline bool fts_storage_may_have_stored(enum fts_status status)
{
	return status != FTS_OK && status != FTS_RESOURCE_EXHAUSTED;
}

/* Remove the tombstone of key if this version is what stands there: all owners have it (router/compare.c). Goes
 * with the next batch, unsynced: a tombstone that comes back does no harm. Thread: any. */
void fts_storage_forget(struct fts_storage *storage, uint32_t db, struct fts_bytes key, struct ftsi_version version);

/* ---- Reading. Thread: any ---- */

struct fts_storage_found {
	struct ftsi_record record; /* value borrowed until release; key is the caller's */
	struct fts_value pinned;
	uint8_t *copy; /* owned; NULL: it lies in pinned */
};
/* NOT_FOUND: nothing; a tombstone is found. DATA_LOSS: damaged here. */
FTS_MUST_USE enum fts_status fts_storage_read(struct fts_storage *storage, uint32_t db, struct fts_bytes key,
					      struct fts_storage_found *out_found);
void fts_storage_release(struct fts_storage_found *found); /* zeroed: no-op */

struct fts_storage_scan {
	uint32_t partition;
	struct fts_bytes after; /* store key of the last record seen (borrowed); empty: from the start */
	bool one_db;
	uint32_t db;
	uint32_t leaf; /* only records of this leaf; FTSI_LEAF_COUNT: all */
};
/* visit: false ends the scan. record and stored_key: borrowed for the call. Damaged records are left out and counted in
 * *out_damaged. */
typedef bool (*fts_storage_visit_fn)(void *ctx, const struct ftsi_record *record, struct fts_bytes stored_key);
FTS_MUST_USE enum fts_status fts_storage_visit(struct fts_storage *storage, const struct fts_storage_scan *scan,
					       fts_storage_visit_fn visit, void *ctx, uint64_t *out_damaged);

/* ---- The map this node knows ---- */

/* Keep a packed map (borrowed) in DIR/kv, synced or not: after a start it is what this node goes by until it hears of a
 * newer one. Thread: any; blocks. */
FTS_MUST_USE enum fts_status fts_storage_keep_map(struct fts_storage *storage, struct fts_bytes packed, bool synced);
/* NOT_FOUND: none was ever kept. out_packed: released by the caller (fts_value_release). */
FTS_MUST_USE enum fts_status fts_storage_kept_map(struct fts_storage *storage, struct fts_value *out_packed);

/* Borrowed until close. */
struct ftsi_tree *fts_storage_tree(struct fts_storage *storage);
struct ftsi_taken *fts_storage_taken(struct fts_storage *storage);
struct fts_hlc *fts_storage_clock(struct fts_storage *storage);
/* Remove all of a partition that this node does not own any more. Blocks. */
FTS_MUST_USE enum fts_status fts_storage_drop_partition(struct fts_storage *storage, uint32_t partition);
/* Count a partition's tree again: after damage in it was mended. Its writes wait meanwhile. Blocks. */
FTS_MUST_USE enum fts_status fts_storage_rebuild_tree(struct fts_storage *storage, uint32_t partition);
/* Wait until all that was put before is on disk, in both lanes. Blocks. */
FTS_MUST_USE enum fts_status fts_storage_flush(struct fts_storage *storage);
/* Records that hints, repair and moves have brought since the start. */
uint64_t fts_storage_mended_count(const struct fts_storage *storage);
/* Damaged records met since the start. */
uint64_t fts_storage_damaged_count(const struct fts_storage *storage);

#endif
