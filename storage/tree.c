/* Why this file exists: see storage/tree.h. */
#include "storage/tree.h"

#include <string.h>

#include "base/hash.h"

void ftsi_tree_init(struct ftsi_tree *tree)
{
	memset(tree, 0, sizeof *tree);
	pthread_mutex_init(&tree->lock, NULL);
}

void ftsi_tree_fini(struct ftsi_tree *tree)
{
	pthread_mutex_destroy(&tree->lock);
}

void ftsi_tree_change(struct ftsi_tree *tree, const struct ftsi_record *before, const struct ftsi_record *after)
{
	const struct ftsi_record *any = before != NULL ? before : after;
	if (any == NULL) return;
	uint32_t partition = ftsi_record_partition(any->db, any->key), leaf = ftsi_record_leaf(any->db, any->key);
	uint64_t out = before == NULL ? 0 : ftsi_record_digest(before);
	uint64_t in = after == NULL ? 0 : ftsi_record_digest(after);
	bool was_live = before != NULL && !before->tombstone, is_live = after != NULL && !after->tombstone;
	pthread_mutex_lock(&tree->lock);
	tree->leaves[partition][leaf] += in - out;
	tree->record_counts[partition] += (uint64_t)is_live - (uint64_t)was_live;
	pthread_mutex_unlock(&tree->lock);
}

void ftsi_tree_trust(struct ftsi_tree *tree, uint32_t partition, bool trusted)
{
	pthread_mutex_lock(&tree->lock);
	tree->trusted[partition] = trusted;
	pthread_mutex_unlock(&tree->lock);
}

void ftsi_tree_clear(struct ftsi_tree *tree, uint32_t partition)
{
	pthread_mutex_lock(&tree->lock);
	memset(tree->leaves[partition], 0, sizeof tree->leaves[partition]);
	tree->record_counts[partition] = 0;
	tree->trusted[partition] = false;
	pthread_mutex_unlock(&tree->lock);
}

uint64_t ftsi_tree_root(const uint64_t *leaves)
{
	uint8_t bytes[FTSI_LEAF_COUNT * 8];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(leaves[i / 8] >> (8 * (i % 8)));
	return fts_hash64((struct fts_bytes){bytes, sizeof bytes}, 0);
}

bool ftsi_tree_read(struct ftsi_tree *tree, uint32_t partition, uint64_t *out_root, uint64_t *out_leaves,
		    uint64_t *out_record_count)
{
	uint64_t leaves[FTSI_LEAF_COUNT];
	pthread_mutex_lock(&tree->lock);
	bool trusted = tree->trusted[partition];
	memcpy(leaves, tree->leaves[partition], sizeof leaves);
	*out_record_count = tree->record_counts[partition];
	pthread_mutex_unlock(&tree->lock);
	*out_root = ftsi_tree_root(leaves);
	if (out_leaves != NULL) memcpy(out_leaves, leaves, sizeof leaves);
	return trusted;
}
