/* Why this file exists: see merkle.h. A node is BLAKE2b-256 of 01, left, right: leaves begin with 00, so that no node
 * can be passed off as a leaf. */
#include "lottery/merkle.h"

#include <sodium.h>

#include "base/assert.h"

static void join(uint8_t left[FTSI_HASH_BYTES], const uint8_t right[FTSI_HASH_BYTES])
{
	uint8_t node[1 + 2 * FTSI_HASH_BYTES] = {0x01};
	memcpy(node + 1, left, FTSI_HASH_BYTES);
	memcpy(node + 1 + FTSI_HASH_BYTES, right, FTSI_HASH_BYTES);
	(void)crypto_generichash(left, FTSI_HASH_BYTES, node, sizeof node, NULL, 0);
}

void ftsi_merkle_add(struct ftsi_merkle *tree, const uint8_t leaf[FTSI_HASH_BYTES])
{
	FTS_ASSERT(tree->peak_count < FTSI_PEAK_COUNT_MAX && tree->count < UINT64_MAX);
	memcpy(tree->peaks[tree->peak_count++], leaf, FTSI_HASH_BYTES);
	for (uint64_t rest = tree->count++; (rest & 1) != 0; rest >>= 1) {
		tree->peak_count--;
		join(tree->peaks[tree->peak_count - 1], tree->peaks[tree->peak_count]);
	}
}

void ftsi_merkle_root(const struct ftsi_merkle *tree, uint8_t out_root[FTSI_HASH_BYTES])
{
	uint8_t root[FTSI_HASH_BYTES], left[FTSI_HASH_BYTES];
	if (tree->peak_count == 0) {
		(void)crypto_generichash(out_root, FTSI_HASH_BYTES, NULL, 0, NULL, 0);
		return;
	}
	memcpy(root, tree->peaks[tree->peak_count - 1], FTSI_HASH_BYTES);
	for (uint32_t i = tree->peak_count - 1; i > 0; i--) {
		memcpy(left, tree->peaks[i - 1], FTSI_HASH_BYTES);
		join(left, root);
		memcpy(root, left, FTSI_HASH_BYTES);
	}
	memcpy(out_root, root, FTSI_HASH_BYTES);
}
