/* Why this file exists: the map: which nodes own which partition, in the replicated log, and how it changes when
 * members come and go.
 *
 * Invariants
 * - The epoch grows with every change. Owners refuse what was sent under an older one (they answer with the map).
 * - An owner changes in two steps: a move is announced (epoch e), and only once the new owner has copied the partition
 *   from a majority of the owners, each of which knew e by then, does it take its place. Between the two a write needs
 * a quorum of the owners as they are and one of the owners as they will be. So every acknowledged write is on a quorum
 *   of whoever owns the partition, at any time.
 * - The first map moves nothing: there is nothing to copy. A node that is gone owns until somebody has its place.
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
};

/* These are the members now (1 to FTSI_MAP_NODES_MAX). True: *map has changed, and its epoch with it. */
bool ftsi_map_assign(struct ftsi_map *map, const struct ftsi_map_node *nodes, size_t node_count);

/* The new owner has everything. False: no such move is on its way (any more); nothing changed. */
bool ftsi_map_moved(struct ftsi_map *map, const struct ftsi_map_move *move);

/* An operator wants node to own partition. Errors: NOT_FOUND (no such node), ALREADY_EXISTS (it owns it, or is on its
 * way), FAILED_PRECONDITION (other owners of it are on their way), INVALID_ARGUMENT (partition). */
FTS_MUST_USE enum fts_status ftsi_map_move(struct ftsi_map *map, uint32_t partition, const char *node);

/* Owners of partition as they will be once its moves are done; returns how many. out_owners: FTSI_REPLICAS_MAX. */
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
