/* Why this file exists: fences that stand, in the state that all services of a log share: whoever hands out a right
 * (the elector: a mastership) grants a fence, and a transition that is told one refuses it once it no longer stands.
 *
 * | key (store/key.h)                             | value                                                        |
 * | table FTSI_TABLE_FENCE, u64 fence, text owner | none: it stands; one byte 01: the owner's last that does not |
 * | table FTSI_TABLE_FENCE, u64 0, text owner     | u64 the owner's standing fence (0: none), u64 its last revoked |
 * | table FTSI_TABLE_FENCE, u64 0, text ""        | u64 the last one granted to anybody                          |
 *
 * Invariants: a fence is the log index at which it was granted, or the next number that nobody had; so it only grows,
 * and no two owners ever have the same; it stands until it is revoked. Source: Burrows, "The Chubby lock service"
 * (2006), section 2.4 (sequencers). */
#ifndef FTS_REPLICA_FENCE_H
#define FTS_REPLICA_FENCE_H

#include "replica/replica.h"

#define FTS_FENCE_OWNER_MAX 128 /* bytes */

/* owner: borrowed text of 1 byte and more, as "elector/NAME". index: the log's. Thread: loop. */
FTS_MUST_USE enum fts_status fts_fence_grant(struct fts_txn *txn, uint64_t index, const char *owner,
					     uint64_t *out_fence);
FTS_MUST_USE enum fts_status fts_fence_revoke(struct fts_txn *txn, uint64_t fence, const char *owner);

/* OK: fence stands, or is 0 (the caller names none). FAILED_PRECONDITION: it does not stand. Thread: any. */
FTS_MUST_USE enum fts_status fts_fence_check(struct fts_txn *txn, uint64_t fence);

/* In words for people why fence does not stand: whose it was, and which stands now. Thread: any. */
void fts_fence_explain(struct fts_txn *txn, uint64_t fence, char *out, size_t size_bytes);

/* For transitions: as fts_fence_check, refused with those words. The log itself asks it for the fence of a call's
 * header, whatever the call. */
FTS_MUST_USE enum fts_status fts_apply_check_fence(struct fts_apply *apply, uint64_t fence);

#endif
