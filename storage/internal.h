/* Why this file exists: the inside of a storage, shared by storage.c and writer.c.
 *
 * Lock order: apply_lock, then queue_lock or the tree's lock. */
#ifndef FTS_STORAGE_INTERNAL_H
#define FTS_STORAGE_INTERNAL_H

#include "storage/hints.h"
#include "storage/lost.h"
#include "storage/taken.h"
#include "storage/versions.h"

/* A tombstone to be removed with the next batch. */
struct ftsi_forget {
	struct ftsi_forget *next;
	uint32_t db;
	struct ftsi_version version;
	size_t key_size_bytes;
	uint8_t key[];
};

struct fts_storage {
	struct fts_storage_options options;
	struct fts_store *store;
	struct ftsi_tree tree;
	struct ftsi_hints hints;
	struct ftsi_taken taken;
	struct ftsi_lost lost;
	struct fts_hlc clock;
	atomic_uint_fast64_t damaged_count;
	atomic_bool versions_doubted; /* damage was met: what is known of what stands there may be too good */
	atomic_uint_fast64_t mended_count; /* records that were stored in the background */
	atomic_bool closing;
	atomic_bool bad_block; /* met since the start */

	/* Held while a batch is compared, written and counted in the trees. */
	pthread_mutex_t apply_lock;
	struct ftsi_versions versions; /* batches: guarded by apply_lock */

	pthread_mutex_t queue_lock;
	pthread_cond_t queue_wake;
	struct fts_storage_put *first[2], **last[2]; /* guarded by queue_lock; 0: callers', 1: background */
	struct ftsi_forget *forgets;                 /* guarded by queue_lock */
	uint32_t forget_count;                       /* guarded by queue_lock */
	size_t queue_bytes;                          /* guarded by queue_lock */
	uint32_t batches_since_background;           /* guarded by queue_lock */
	bool stopping;                               /* guarded by queue_lock */
	uint64_t room_checked_ns;                    /* guarded by queue_lock */
	bool disk_full;                              /* guarded by queue_lock */

	pthread_mutex_t answer_lock;
	pthread_cond_t answer_wake;
	struct fts_storage_put *answers; /* on disk, to be told; guarded by answer_lock */
	bool answers_end;                /* guarded by answer_lock */
	bool answerer_runs;              /* guarded by answer_lock */

	pthread_t writer, builder, answerer;
	bool writer_runs; /* from the first put on; guarded by queue_lock */
	bool builder_runs;
};

/* As fts_storage_read, from the store itself: through txn (a batch that sees its own writes, but not the unseen ones);
 * NULL: as it is now. */
FTS_MUST_USE enum fts_status ftsi_storage_get(struct fts_storage *storage, struct fts_txn *txn, uint32_t db,
					      struct fts_bytes key, struct fts_storage_found *out_found);

/* ---- writer.c ---- */
void ftsi_storage_writer_init(struct fts_storage *storage);
/* The writer's thread; data: the storage. Ends once it is stopped and the queue is empty. */
void *ftsi_storage_write_all(void *data);
void ftsi_storage_writer_stop(struct fts_storage *storage);
void ftsi_storage_writer_fini(struct fts_storage *storage);

#endif
