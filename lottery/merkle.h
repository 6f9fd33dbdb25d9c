/* Why this file exists: the tree over all bets of a draw, in the shape of RFC 6962 section 2.1, kept as the roots of
 * its complete subtrees from left to right, so that a bet costs one hash on average and the root O(log n).
 *
 * Invariant: peak_count is the number of ones in count; peaks[0] is the largest subtree. Pure. */
#ifndef FTS_LOTTERY_MERKLE_H
#define FTS_LOTTERY_MERKLE_H

#include "lottery/bet.h"

enum { FTSI_PEAK_COUNT_MAX = 64 };

struct ftsi_merkle {
	uint64_t count; /* leaves */
	uint32_t peak_count;
	uint8_t peaks[FTSI_PEAK_COUNT_MAX][FTSI_HASH_BYTES];
};

/* leaf: its hash, borrowed. */
void ftsi_merkle_add(struct ftsi_merkle *tree, const uint8_t leaf[FTSI_HASH_BYTES]);
/* Of no leaves: the hash of nothing. */
void ftsi_merkle_root(const struct ftsi_merkle *tree, uint8_t out_root[FTSI_HASH_BYTES]);

#endif
