/* Why this file exists: what a router does without being asked: hints are delivered, owners compared, partitions copied
 * that move here, dropped that have moved away, and tombstones forgotten that everybody has.
 *
 * Invariants
 * - One thread, which sleeps between its rounds; all it sends is sent in the background.
 * - What this node has lost with its disk it gets again from the others; until then it says nothing of it.
 * - A hint is removed once the node it is for has the record, or once it is known that a quorum of its owners has.
 * - A tombstone is forgotten when it is older than the owner's tombstone_age_ms, every owner has it, and every node of
 *   the map has answered that it keeps no older hint of the partition. */
#ifndef FTS_ROUTER_KEEPER_H
#define FTS_ROUTER_KEEPER_H

#include "router/internal.h"

struct ftsi_keeper;
/* router: borrowed until destroy. Returned (ftsi_keeper_stop, _destroy). NULL: no memory, no thread. */
struct ftsi_keeper *ftsi_keeper_create(struct fts_router *router);
/* Ask it to end: it does once its calls end. */
void ftsi_keeper_stop(struct ftsi_keeper *keeper);
void ftsi_keeper_destroy(struct ftsi_keeper *keeper); /* blocks; NULL: no-op */

/* ---- Its parts; each is one round, on its thread ---- */

struct ftsi_round {
	struct fts_router *router;
	const struct fts_router_map *map;
	const atomic_bool *stopping;
};
void ftsi_deliver_hints(const struct ftsi_round *round, uint64_t *retry_ns);
/* retry_ns: FTS_ROUTER_NODES_MAX + 1, by place: when a node is tried again, and last when hints of nodes that own
 * nothing are; kept between rounds. */

/* The roots of all nodes' trees, as they were when a lap of the sweep began: one call a node tells of most partitions
 * that there is nothing to compare. */
struct ftsi_roots {
	uint64_t epoch;                                                      /* of the map whose places these are */
	uint64_t by_place[FTS_ROUTER_NODES_MAX][FTS_ROUTER_PARTITION_COUNT]; /* 0: not known, or untrusted */
};
void ftsi_take_roots(const struct ftsi_round *round, struct ftsi_roots *out_roots);
/* All owners of partition have the same tree. False: they have not, or who knows. */
bool ftsi_roots_agree(const struct ftsi_roots *roots, const struct fts_router_map *map, uint32_t partition);

/* Copy partition here, of which the move under way is to this node. UNAVAILABLE: too few owners could be read;
 * DATA_LOSS: too few without damage in it, and they were asked to mend it. */
FTS_MUST_USE enum fts_status ftsi_copy_partition(const struct ftsi_round *round, uint32_t partition);
/* Copy partition, which this node owns and has lost, from the other owners. False: too few could be read. */
bool ftsi_regain_partition(const struct ftsi_round *round, uint32_t partition);
/* Compare partition, of which this node is an owner, with the other owners. */
void ftsi_compare_owners(const struct ftsi_round *round, uint32_t partition);
/* Compare the owners of partition, of which this node is none, with each other. */
void ftsi_repair_elsewhere(const struct ftsi_round *round, uint32_t partition);
void ftsi_forget_tombstones(const struct ftsi_round *round, uint32_t partition);

#endif
