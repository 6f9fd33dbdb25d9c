/* Why this file exists: what time the other nodes have, as they tell it with each pulse: so that a node whose own wall
 * clock is far ahead knows it before it does harm (storage/owner.h).
 *
 * Invariants: only what was told within the last ten seconds counts; a node that is one of several with a wrong clock
 * takes what most of them have for right. Offsets are to this node's monotonic clock, which nobody sets. Nothing in
 * raft goes by wall clocks. Thread: loop, but for fts_replica_others_clock_ms. */
#ifndef FTS_REPLICA_CLOCKS_H
#define FTS_REPLICA_CLOCKS_H

#include "replica/internal.h"

/* member's wall clock says wall_ms now; 0: it is of an older release, and did not say. What no clock says is not
 * heard either. */
void ftsi_clocks_told(struct fts_replica *replica, struct ftsi_member *member, int64_t wall_ms);
/* Work out what most of the others have. At each tick. */
void ftsi_clocks_compare(struct fts_replica *replica);

#endif
