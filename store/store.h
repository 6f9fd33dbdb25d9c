/* Why this file exists: one thin layer over RocksDB: typed keys, batches with read-your-writes, snapshots to
 * read from, flush and checkpoint. The only folder that includes rocksdb.
 *
 * A store is counted: who opened it holds it, each transaction, view and cursor holds it, and the last one closes it.
 * So a store can be replaced while readers still look at it.
 *
 * Invariants: a transaction commits whole or not at all; with `sync` it is on disk when commit returns; without
 * a write-ahead log a crash of process or machine brings back a prefix of the commits, never a part of one.
 * Damage is DATA_LOSS, a full disk RESOURCE_EXHAUSTED, everything else the engine says INTERNAL; its own words
 * go to the log. */
#ifndef FTS_STORE_STORE_H
#define FTS_STORE_STORE_H

#include <stdbool.h>

#include <fts/status.h>

struct fts_store;
struct fts_txn; /* a batch being built, or a read-only view: both read alike */

struct fts_store_options {
	bool write_ahead_log;      /* false: durable at the last flush only (replica's state) */
	size_t write_buffer_bytes; /* of a table that is written; at most three times that are in memory; 0: 8 MiB */
	size_t block_cache_bytes;  /* 0: 8 MiB */
	bool create_if_missing;
	bool one_writer; /* one batch at a time, by one thread: what it used last is kept at hand (store/recent.h) */
	bool read_only;  /* nothing in dir is changed; several may open it so; without create_if_missing */
};

/* dir: borrowed. out_store: returned (fts_store_close). Errors: NOT_FOUND (missing, not to be created),
 * DATA_LOSS (can't be opened; nothing is thrown away), UNAVAILABLE (locked by another process),
 * RESOURCE_EXHAUSTED (disk full). Thread: any. */
FTS_MUST_USE enum fts_status fts_store_open(const char *dir, const struct fts_store_options *options,
					    struct fts_store **out_store, struct fts_error *out_error);
/* One more who holds store, to be given back with fts_store_close. Thread: any that holds it. */
void fts_store_hold(struct fts_store *store);
/* Give store back. It is closed when nobody holds it any more, neither a transaction nor a view: blocks then. Without a
 * write-ahead log, what was not flushed is gone with it, as after a crash. NULL: no-op. Thread: any. */
void fts_store_close(struct fts_store *store);
/* Remove store's directory, with all that is in it, once it is closed: it was replaced. Thread: any that holds it. */
void fts_store_discard(struct fts_store *store);
/* The directory. Borrowed as long as store is held. */
const char *fts_store_dir(const struct fts_store *store);
/* Write all that was committed to tables on disk and sync them. Blocks; thread: any but the loop. */
FTS_MUST_USE enum fts_status fts_store_flush(struct fts_store *store);
/* A consistent copy of the flushed and unflushed state in dir (must not exist), by hard links. Blocks; thread: any but
 * the loop. */
FTS_MUST_USE enum fts_status fts_store_checkpoint(struct fts_store *store, const char *dir);
/* Bytes on disk, roughly. */
uint64_t fts_store_disk_bytes(struct fts_store *store);

/* ---- Values ---- */

/* A value pinned in the store. data is borrowed until fts_value_release; no value spans a callback or a wait. */
struct fts_value {
	const uint8_t *data;
	size_t size_bytes;
	void *owner;
};
void fts_value_release(struct fts_value *value); /* zeroed value: no-op */

/* ---- Transactions and views: one thread at a time each ---- */

/* An empty batch over the store. Returned (commit or abort). */
FTS_MUST_USE enum fts_status fts_txn_begin(struct fts_store *store, struct fts_txn **out_txn);
/* A read-only view of what is committed now. Returned (fts_txn_abort). Many at once, from any thread. */
FTS_MUST_USE enum fts_status fts_store_view(struct fts_store *store, struct fts_txn **out_view);

/* What stands under key (borrowed) now: for one that is read alone, where a view costs more than the look itself.
 * NOT_FOUND: no such key. Thread: any. */
FTS_MUST_USE enum fts_status fts_store_get(struct fts_store *store, struct fts_bytes key, struct fts_value *out_value);
/* NOT_FOUND: no such key. key: borrowed. Reads the batch's own writes first. */
FTS_MUST_USE enum fts_status fts_txn_get(struct fts_txn *txn, struct fts_bytes key, struct fts_value *out_value);
FTS_MUST_USE enum fts_status fts_txn_put(struct fts_txn *txn, struct fts_bytes key, struct fts_bytes value);
/* As fts_txn_put with the value head + tail (borrowed), so that a header needs no copy of what follows it. */
FTS_MUST_USE enum fts_status fts_txn_put2(struct fts_txn *txn, struct fts_bytes key, struct fts_bytes head,
					  struct fts_bytes tail);
FTS_MUST_USE enum fts_status fts_txn_delete(struct fts_txn *txn, struct fts_bytes key);
/* As fts_txn_put2 and fts_txn_delete, but neither reads nor marks of this batch know of it: for many writes by somebody
 * who keeps account of them. They take effect before all others of the batch. Not in stores of one writer, nor together
 * with fts_txn_delete_range. */
void fts_txn_put_unseen(struct fts_txn *txn, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail);
void fts_txn_delete_unseen(struct fts_txn *txn, struct fts_bytes key);
/* All keys k with from <= k < to, as they were before this batch: it takes effect before the batch's puts and is
 * not seen by its own reads. For cutting logs in large steps, not for hot paths; not between save and release. */
FTS_MUST_USE enum fts_status fts_txn_delete_range(struct fts_txn *txn, struct fts_bytes from, struct fts_bytes to);

/* Mark a place; roll back to the last mark; forget the last mark. They nest. */
void fts_txn_save(struct fts_txn *txn);
void fts_txn_rollback(struct fts_txn *txn);
void fts_txn_release(struct fts_txn *txn);

/* Write the batch; *txn is consumed and NULL either way. sync: on disk before return (needs the write-ahead log).
 * RESOURCE_EXHAUSTED: also when a read or write of the batch has ended so before, whatever became of that. */
FTS_MUST_USE enum fts_status fts_txn_commit(struct fts_txn **txn, bool sync);
/* Tell watch of each write to this batch from now on, in order, also of those that are rolled back later.
 * ctx: borrowed until the batch ends. watch must not touch the batch. */
typedef void (*fts_txn_watch_fn)(void *ctx, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail,
				 bool deleted);
void fts_txn_watch(struct fts_txn *txn, fts_txn_watch_fn watch, void *ctx);

/* Drop a batch or a view. NULL: no-op. */
void fts_txn_abort(struct fts_txn *txn);

/* ---- Scans ---- */

struct fts_cursor;
/* Over keys with this prefix (borrowed until close), ascending from `from` (borrowed; empty: the first).
 * Sees a batch's own writes. Returned (fts_cursor_close). Short-lived only: it keeps old versions alive. */
FTS_MUST_USE enum fts_status fts_txn_scan(struct fts_txn *txn, struct fts_bytes prefix, struct fts_bytes from,
					  struct fts_cursor **out_cursor);
/* True: *out_key and *out_value are borrowed until the next call. False: end, or an error (fts_cursor_status). */
bool fts_cursor_next(struct fts_cursor *cursor, struct fts_bytes *out_key, struct fts_bytes *out_value);
enum fts_status fts_cursor_status(const struct fts_cursor *cursor);
void fts_cursor_close(struct fts_cursor *cursor); /* NULL: no-op */

#endif
