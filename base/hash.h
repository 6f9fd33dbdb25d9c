/* Why this file exists: one hash for keys, checksums and trees: XXH3 (xxHash), the same on every machine, so that what
 * is stored or compared between nodes may rest on it. Not for secrets. Thread: any. */
#ifndef FTS_BASE_HASH_H
#define FTS_BASE_HASH_H

#include <fts/api.h>

/* XXH3-64 of bytes (borrowed) with seed. */
uint64_t fts_hash64(struct fts_bytes bytes, uint64_t seed);

#endif
