/* Why this file exists: the map: which nodes own which partition, in the replicated log, and how it changes when
 * members come and go.
 *
 * Invariants
 * - The epoch grows with every change. Owners refuse what was sent under an older one (they answer with the map).
 * - An owner changes in two steps: a move is announced (epoch e), and only once the new owner has copied the partition
 *   from a majority of the owners, each of which knew e by then, does it take its place. Between the two a write needs
 * a quorum of the owners as they are and one of the owners as they will be. So every acknowledged write is on a quorum
 *   of whoever owns the partition, at any time.
 * - Reads ask the same two quorums: a node that knows an older map is refused by one of the owners it asks.
 * - Moves of one partition come one after the other: only the first is under way.
 * - changed[p] is the epoch at which p's owners or its move under way last changed. What was copied under another one
 *   counts for nothing: writes in between may not have known of the new owner.
 * - The first map moves nothing: there is nothing to copy. A node that is gone owns until somebody has its place; but
 *   where no node of the map is a member any more (a cluster restored from a snapshot), it begins as the first one did.
 * All of it pure: what a map becomes follows from the map and the command. */
#ifndef FTS_STORAGE_MAP_H
#define FTS_STORAGE_MAP_H

#include <fts/kv/v1/kv.pb-c.h>

#include "storage/placement.h"

enum { FTSI_MOVES_MAX = FTSI_PARTITION_COUNT * FTSI_REPLICAS_MAX };

struct ftsi_map_node {
	uint64_t node_id;
	char name[64];
	char address[128];
	bool leaving;
};

struct ftsi_map_move {
	uint32_t partition;
	uint64_t from_node; /* 0: an owner more */
	uint64_t to_node;
};

struct ftsi_map {
	uint64_t epoch; /* 0: no map yet */
	size_t node_count, move_count;
	struct ftsi_map_node nodes[FTSI_MAP_NODES_MAX];
	struct ftsi_placement placement; /* owners as they are */
	struct ftsi_map_move moves[FTSI_MOVES_MAX];
	uint64_t changed[FTSI_PARTITION_COUNT];
};

/* These are the members now (1 to FTSI_MAP_NODES_MAX). True: *map has changed, and its epoch with it. */
bool ftsi_map_assign(struct ftsi_map *map, const struct ftsi_map_node *nodes, size_t node_count);

/* The new owner has everything, copied while changed[partition] was since. False: no such move is on its way (any
 * more), or it was not all the time; nothing changed. */
bool ftsi_map_moved(struct ftsi_map *map, const struct ftsi_map_move *move, uint64_t since);

/* An operator wants node to own partition. Errors: NOT_FOUND (no such node), ALREADY_EXISTS (it owns it, or is on its
 * way), FAILED_PRECONDITION (other owners of it are on their way), INVALID_ARGUMENT (partition). */
FTS_MUST_USE enum fts_status ftsi_map_move(struct ftsi_map *map, uint32_t partition, const char *node);

/* Something else has changed that all must know who send by the map (a database became linearizable): one epoch more,
 * and what was sent by an older one is refused. Copies under way begin anew. Nothing happens without a map. */
void ftsi_map_renew(struct ftsi_map *map);

/* The move of partition that is under way; NULL: none. Borrowed from map. */
const struct ftsi_map_move *ftsi_map_move_under_way(const struct ftsi_map *map, uint32_t partition);
/* Owners of partition as they will be once all its moves are done; returns how many. out_owners: FTSI_REPLICAS_MAX. */
uint32_t ftsi_map_future_owners(const struct ftsi_map *map, uint32_t partition, uint64_t *out_owners);
/* NULL: no such node. Borrowed from map. */
const struct ftsi_map_node *ftsi_map_node_find(const struct ftsi_map *map, uint64_t node_id);

/* ---- As a message ---- */

/* Packed size, and packing into out. */
size_t ftsi_map_packed_size(const struct ftsi_map *map);
size_t ftsi_map_pack(const struct ftsi_map *map, uint8_t *out);
/* DATA_LOSS: not a map. */
FTS_MUST_USE enum fts_status ftsi_map_unpack(struct fts_bytes packed, struct ftsi_map *out_map);
FTS_MUST_USE enum fts_status ftsi_map_from_message(const Fts__Kv__V1__MapResponse *message, struct ftsi_map *out_map);

#endif
