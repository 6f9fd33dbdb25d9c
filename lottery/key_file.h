/* Why this file exists: DIR/lottery.key: 32 random bytes from which this node's secrets for draws are made.
 *
 * Invariants: the file is whole or not there; nobody but its owner may read it. Lost or exchanged, this node can't
 * reveal what it committed to before, which everybody sees. */
#ifndef FTS_LOTTERY_KEY_FILE_H
#define FTS_LOTTERY_KEY_FILE_H

#include <fts/status.h>

#include "lottery/bet.h"

/* Read the key of dir (borrowed), or make one. Errors: as fts_lottery_create. Thread: any. */
FTS_MUST_USE enum fts_status ftsi_key_load(const char *dir, uint8_t out_key[FTSI_HASH_BYTES],
					   struct fts_error *out_error);

#endif
