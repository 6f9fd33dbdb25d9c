/* Why this file exists: what a node answers for as an owner: the one door to its storage, for its own router and for
 * other nodes (service Storage), which lets nothing in that was sent by an old map.
 *
 * Invariants
 * - Of a partition whose owners have changed since the sender's epoch nothing is taken and nothing is read.
 * - Once an epoch was confirmed (fts_owner_confirm_map), as where a copy begins, all that was ever taken under an older
 *   one is in it.
 * - What a sender knew longer ago than tombstones are kept is refused: it might bring back what was deleted.
 * - A version far ahead of this node's clock is refused, or one wrong clock would win every write.
 * Thread: any. */
#ifndef FTS_STORAGE_OWNER_H
#define FTS_STORAGE_OWNER_H

#include "storage/hints.h"
#include "storage/map_cache.h"

struct fts_owner_options {
	struct fts_storage *storage; /* borrowed until destroy */
	struct ftsi_map_cache *maps; /* borrowed until destroy */
	uint32_t tombstone_age_ms;   /* 0: an hour */
	uint32_t clock_ahead_max_ms; /* 0: 30 s */
	/* The wall clock that most nodes go by, less this node's monotonic one; INT64_MIN: not known. Any thread. NULL:
	 * this node is alone. */
	int64_t (*others_clock_ms)(void *ctx);
	void *ctx;
};

struct fts_owner;
/* Returned (fts_owner_destroy). NULL: no memory. */
struct fts_owner *fts_owner_create(const struct fts_owner_options *options);
void fts_owner_destroy(struct fts_owner *owner); /* NULL: no-op */
/* Offer fts.kv.v1.Storage on server (borrowed). */
FTS_MUST_USE enum fts_status fts_owner_serve(struct fts_owner *owner, struct fts_server *server,
					     struct fts_error *out_error);

/* Under which map, and when, a sender knew what it sends. */
struct fts_owner_stamp {
	uint64_t epoch; /* 0: it needs none: what it says is not asked of owners as such */
	uint64_t as_of; /* hybrid logical clock */
};
/* put: as for fts_storage_put. Errors: its, ABORTED (the map has changed since), FAILED_PRECONDITION (clocks,
 * as_of: out_error says which). */
FTS_MUST_USE enum fts_status fts_owner_put(struct fts_owner *owner, const struct fts_owner_stamp *stamp,
					   struct fts_storage_put *put, struct fts_error *out_error);
/* As fts_storage_read. ABORTED: the map has changed since epoch; DATA_LOSS: this node has lost the partition. */
FTS_MUST_USE enum fts_status fts_owner_read(struct fts_owner *owner, uint64_t epoch, uint32_t db, struct fts_bytes key,
					    struct fts_storage_found *out_found);
/* This node goes by the map of epoch or a newer one from now on, also after a kill. UNAVAILABLE: it does not know it
 * yet. Blocks until that, and all puts taken before, are on disk. */
FTS_MUST_USE enum fts_status fts_owner_confirm_map(struct fts_owner *owner, uint64_t epoch);
/* Drop a partition's records if this node has no part in it, by its own map and by all that was sent to it. Blocks.
 * FAILED_PRECONDITION: it has. */
FTS_MUST_USE enum fts_status fts_owner_drop(struct fts_owner *owner, uint64_t node_id, uint32_t partition);
/* An operator has said that what can be reached of partition is all there is, and its owners have not changed since.
 */
bool fts_owner_is_loss_accepted(struct fts_owner *owner, uint32_t partition);
/* Copies this node makes that wait for owners that do not answer; told to others as it is. */
void fts_owner_note_stuck(struct fts_owner *owner, uint32_t count);
uint32_t fts_owner_tombstone_age_ms(const struct fts_owner *owner);
/* The time of a new version: later than every one before. It goes with the wall clock, but not much further ahead of the
 * others' than they follow: a wall clock that is set wrong while the node runs does no harm that outlasts it. */
uint64_t fts_owner_next_time(struct fts_owner *owner);
/* What time it is, for all that is no version. */
uint64_t fts_owner_now(struct fts_owner *owner);
/* The wall clock, as far as it can be believed by what most others have; *out_ahead_ms: by how much it is too far
 * ahead; 0: it is not. */
int64_t fts_owner_wall_ms(struct fts_owner *owner, int64_t *out_ahead_ms);

/* Keys of db in the order of their bytes, of all partitions of which node takes part in reads. out_partitions:
 * FTSI_PARTITION_COUNT bytes; 1: it is in, 2: what has come of it (MapMove). visit: false ends it; record without
 * value, borrowed. Blocks. */
struct fts_owner_keys {
	uint64_t node_id;
	uint32_t db;
	struct fts_bytes prefix, after; /* borrowed */
	bool has_after;
};
typedef bool (*fts_owner_key_fn)(void *ctx, const struct ftsi_record *record);
FTS_MUST_USE enum fts_status fts_owner_visit_keys(struct fts_owner *owner, const struct fts_owner_keys *keys,
						  fts_owner_key_fn visit, void *ctx, uint8_t *out_partitions);

/* This node's id, once it is known. */
void fts_owner_set_node(struct fts_owner *owner, uint64_t node_id);

#endif
