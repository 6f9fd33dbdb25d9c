/* Why this file exists: a checksum of log entries from memory to disk and back, beside RocksDB's own, which begin only
 * below its write call.
 *
 * Invariant: any change within one 8-byte word changes the sum: each step is a bijection of the state so far. */
#ifndef FTS_REPLICA_CHECKSUM_H
#define FTS_REPLICA_CHECKSUM_H

#include <fts/api.h>

/* bytes: borrowed. The same on every machine. */
uint64_t ftsi_checksum(struct fts_bytes bytes, uint64_t seed);

#endif
