/* Why this file exists: the map as the router uses it: who must take a write and who is asked by a read, as sets of
 * places (bits), worked out once an epoch and not once a call.
 *
 * Invariants: it does not change and lives until it is released. A place is a node's index in `nodes`; -1: this node is
 * not in it. While a move of a partition is under way there are two sets of owners, and both need their quorum
 * (proto/fts/kv/v1/kv.proto, MapMove). Thread: any. */
#ifndef FTS_ROUTER_MAP_H
#define FTS_ROUTER_MAP_H

#include <stdatomic.h>
#include <stdbool.h>

#include <fts/kv/v1/kv.fts.h>

enum { FTS_ROUTER_NODES_MAX = 64, FTS_ROUTER_PARTITION_COUNT = 256, FTS_ROUTER_OWNERS_MAX = 4 };

struct fts_router_node {
	uint64_t node_id;
	char name[64];
	char address[128];
	bool leaving;
};

struct fts_router_partition {
	uint64_t owners;                      /* places, as bits */
	uint64_t next;                        /* as they will be after the move under way; the same: none is */
	uint8_t order[FTS_ROUTER_OWNERS_MAX]; /* places of both, owners first */
	uint8_t order_count, owner_count;
	uint64_t changed; /* MapResponse.changed */
	int8_t from, to;  /* of the move under way: places; -1: none */
};

struct fts_router_map {
	atomic_uint holder_count;
	uint64_t epoch;
	size_t node_count;
	int self; /* place */
	struct fts_router_node nodes[FTS_ROUTER_NODES_MAX];
	struct fts_router_partition partitions[FTS_ROUTER_PARTITION_COUNT];
	Fts__Kv__V1__MapResponse *message; /* the map itself */
};

/* message: owned, also on failure. NULL: no memory, or no map. Returned held (fts_router_map_release). */
const struct fts_router_map *fts_router_map_create(Fts__Kv__V1__MapResponse *message, uint64_t self_id);
const struct fts_router_map *fts_router_map_hold(const struct fts_router_map *map);
void fts_router_map_release(const struct fts_router_map *map); /* NULL: no-op */
bool fts_router_map_is_linearizable(const struct fts_router_map *map, uint32_t db);
/* -1: no such node. */
int fts_router_map_place(const struct fts_router_map *map, uint64_t node_id);

#endif
