/* Why this file exists: how far a state is, said in the state itself, in the same batch as what it says so of.
 *
 * | key (store/key.h)                     | value                                                                 |
 * | table FTSI_TABLE_META, text "applied" | index 8, time in ms 8, cluster id 8, format 4, writes 8, idle clock 8 |
 *
 * Numbers are big endian. Earlier forms end before the writes, read as 0 then, or before the idle clock, read as the
 * time then. Thread: any. */
#ifndef FTS_REPLICA_APPLIED_H
#define FTS_REPLICA_APPLIED_H

#include "store/store.h"

struct ftsi_applied {
	uint64_t index;
	int64_t time_ms; /* of the log, as of index */
	uint64_t cluster_id;
	uint32_t format;
	int64_t idle_ms; /* by which clients are idle: time_ms less what it leapt (apply.c) */
	uint64_t writes; /* chained over everything that was ever written up to index (digest.h) */
};

/* NOT_FOUND: nothing was ever applied. DATA_LOSS: not such bytes. */
FTS_MUST_USE enum fts_status ftsi_applied_read(struct fts_txn *txn, struct ftsi_applied *out_applied);
FTS_MUST_USE enum fts_status ftsi_applied_put(struct fts_txn *txn, const struct ftsi_applied *applied);
/* key is where it stands. */
bool ftsi_applied_is_key(struct fts_bytes key);

#endif
