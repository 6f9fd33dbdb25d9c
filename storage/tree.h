/* Why this file exists: a Merkle tree a partition, two levels: a root over 256 leaves, a leaf over the records whose
 * key hashes to it. Two owners whose roots are equal hold the same records; otherwise only the leaves that differ are
 * compared record by record. Source: DeCandia et al., "Dynamo" (2007), section 4.7.
 *
 * Invariants: a leaf is the sum (mod 2^64) of its records' digests, so a write changes it by what it takes out and puts
 * in, whatever the order. Tombstones add nothing (storage/record.h). A tree that can't be trusted (not built yet since
 * the start, or a damaged record was met) says so. Thread: any. */
#ifndef FTS_STORAGE_TREE_H
#define FTS_STORAGE_TREE_H

#include <pthread.h>

#include "storage/record.h"

enum { FTSI_LEAF_COUNT = 256 };

struct ftsi_tree {
	pthread_mutex_t lock;
	uint64_t leaves[FTSI_PARTITION_COUNT][FTSI_LEAF_COUNT]; /* guarded by lock, as all below */
	uint64_t record_counts[FTSI_PARTITION_COUNT];           /* live records */
	bool trusted[FTSI_PARTITION_COUNT];
};

void ftsi_tree_init(struct ftsi_tree *tree);
void ftsi_tree_fini(struct ftsi_tree *tree);

/* before: what stood there (NULL: nothing), after: what stands there now (NULL: nothing). Both borrowed, of one key. */
void ftsi_tree_change(struct ftsi_tree *tree, const struct ftsi_record *before, const struct ftsi_record *after);
void ftsi_tree_trust(struct ftsi_tree *tree, uint32_t partition, bool trusted);
/* Empty and not trusted: before it is built again. */
void ftsi_tree_clear(struct ftsi_tree *tree, uint32_t partition);

/* Copies. out_leaves: FTSI_LEAF_COUNT, may be NULL. False: not to be trusted now. */
bool ftsi_tree_read(struct ftsi_tree *tree, uint32_t partition, uint64_t *out_root, uint64_t *out_leaves,
		    uint64_t *out_record_count);
/* The root over these leaves (FTSI_LEAF_COUNT, borrowed). */
uint64_t ftsi_tree_root(const uint64_t *leaves);

#endif
