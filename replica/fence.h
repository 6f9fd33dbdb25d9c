/* Why this file exists: fences that stand, in the state that all services of a log share: whoever hands out a right
 * (the elector: a mastership) grants a fence, and a transition that is told one refuses it once it no longer stands.
 *
 * | key (store/key.h)                           | value |
 * | table FTSI_TABLE_FENCE, u64 fence, text owner | none  |
 *
 * Invariants: a fence is the log index at which it was granted, so it only grows within its owner; it stands until it
 * is revoked. Source: Burrows, "The Chubby lock service" (2006), section 2.4 (sequencers). */
#ifndef FTS_REPLICA_FENCE_H
#define FTS_REPLICA_FENCE_H

#include "replica/replica.h"

#define FTS_FENCE_OWNER_MAX 128 /* bytes */

/* owner: borrowed text, as "elector/NAME"; what is granted may be revoked and the other way round. Thread: loop. */
FTS_MUST_USE enum fts_status fts_fence_grant(struct fts_txn *txn, uint64_t fence, const char *owner);
FTS_MUST_USE enum fts_status fts_fence_revoke(struct fts_txn *txn, uint64_t fence, const char *owner);

/* OK: fence stands, or is 0 (the caller names none). FAILED_PRECONDITION: it does not stand. Thread: any. */
FTS_MUST_USE enum fts_status fts_fence_check(struct fts_txn *txn, uint64_t fence);

/* For transitions: as fts_fence_check, refused with words. */
FTS_MUST_USE enum fts_status fts_apply_check_fence(struct fts_apply *apply, uint64_t fence);

#endif
