/* Why this file exists: what this node once had and has lost with its disk: of such a partition it takes writes, and
 * says nothing, until it has got it again from the other owners. Who counted on it as one of a majority must not be
 * told that there is nothing.
 *
 * | key (store/key.h)            | value                                                       |
 * | FTSI_TABLE_LOST              | a bit a partition, 32 bytes: 1: lost (partition 0: bit 0 of the first) |
 *
 * Invariants: a store that was never written to by a node that has run before has lost all partitions, and says so on
 * disk before anything is taken. A store with records, or with a map, is no new one. Thread: any, unless said
 * otherwise. */
#ifndef FTS_STORAGE_LOST_H
#define FTS_STORAGE_LOST_H

#include "storage/storage.h"

struct ftsi_lost {
	atomic_uint count;
	atomic_bool partitions[FTSI_PARTITION_COUNT];
};

/* Once, before anything is put. was_here: this node has run before. Errors: the store's. */
FTS_MUST_USE enum fts_status ftsi_lost_open(struct fts_storage *storage, bool was_here);

bool fts_storage_has_lost(struct fts_storage *storage, uint32_t partition);
uint32_t fts_storage_lost_count(struct fts_storage *storage);
/* It has all of partition again, or needs it no more. Blocks. Errors: the store's. */
FTS_MUST_USE enum fts_status fts_storage_regain(struct fts_storage *storage, uint32_t partition);

/* ---- A store that is damaged as a whole ---- */

/* The engine has met damage and takes no more writes: leave a mark in DIR/kv (data: DIR, borrowed) for the next start.
 */
void ftsi_lost_mark_damaged(const char *data);
/* Was DIR/kv marked so? */
bool fts_storage_is_damaged(const char *data);
/* Move DIR/kv, which must not be open, to DIR/kv.damaged; what was there before is removed. Errors: INTERNAL. */
FTS_MUST_USE enum fts_status fts_storage_set_aside(const char *data, struct fts_error *out_error);

#endif
