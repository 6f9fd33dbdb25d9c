/* Why this file exists: a checksum of what goes from memory to disk, or from node to node, and back: RocksDB's own
 * begin only below its write call.
 *
 * Invariant: any change within one 8-byte word changes the sum: each step is a bijection of the state so far. The same
 * on every machine, for ever: it stands in files. Not for what an enemy may choose. */
#ifndef FTS_BASE_CHECKSUM_H
#define FTS_BASE_CHECKSUM_H

#include <fts/api.h>

/* bytes: borrowed. seed: another one gives another sum; the sum of what came before, to chain. */
uint64_t fts_checksum(struct fts_bytes bytes, uint64_t seed);

#endif
