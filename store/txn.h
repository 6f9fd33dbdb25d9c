/* Why this file exists: the inside of a transaction, shared by its reads and writes (txn.c) and scans (cursor.c).
 *
 * Invariants: overlay is NULL exactly for views, snapshot exactly for batches. A batch with unseen writes has no ranges,
 * and its store keeps nothing at hand (store/recent.h). */
#ifndef FTS_STORE_TXN_H
#define FTS_STORE_TXN_H

#include "store/internal.h"
#include "store/overlay.h"

struct range {
	struct range *next;
	struct fts_bytes from, to; /* owned, one block with the range */
	uint8_t bytes[];
};

struct fts_txn {
	struct fts_store *store; /* held */
	struct ftsi_overlay *overlay;
	struct range *ranges; /* owned */
	rocksdb_writebatch_t *unseen; /* owned; NULL: nothing was written so */
	unsigned mark_count;
	bool failed;            /* a batch for which there was no memory: it can only be dropped */
	fts_txn_watch_fn watch; /* NULL: nobody */
	void *watch_ctx;
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *read_options; /* owned for a view, the store's for a batch */
};

/* Returns status, with which a use of txn ends. A batch for which memory ran out is not written, whatever its owner
 * makes of that status: as an answer it would differ from what other machines say. */
enum fts_status ftsi_txn_note(struct fts_txn *txn, enum fts_status status);

#endif
