/* Why this file exists: which nodes own which partition: pure, so that every node that applies the same command has the
 * same map.
 *
 * Invariants: a partition has min(3, nodes) different owners. Nodes carry equal loads, to within one partition. When
 * nodes come or go, an owner stays where it is unless its node is gone or has more than its share. */
#ifndef FTS_STORAGE_PLACEMENT_H
#define FTS_STORAGE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/record.h"

enum { FTSI_REPLICAS_MAX = 3, FTSI_MAP_NODES_MAX = 64 };

/* Owners of all partitions, by node id; 0: none. */
struct ftsi_placement {
	uint32_t replicas; /* owners a partition */
	uint64_t owners[FTSI_PARTITION_COUNT][FTSI_REPLICAS_MAX];
};

/* Make *out_after of *before (replicas 0: there was none) for these nodes (borrowed, 1 to FTSI_MAP_NODES_MAX, different
 * ids). before and out_after may be the same. */
void ftsi_placement_assign(const struct ftsi_placement *before, const uint64_t *node_ids, size_t node_count,
			   struct ftsi_placement *out_after);
bool ftsi_placement_owns(const struct ftsi_placement *placement, uint32_t partition, uint64_t node_id);

#endif
