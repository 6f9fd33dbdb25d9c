/* Why this file exists: the replica's state as a whole: which directory holds it, who reads it, how a copy of it is
 * made, sent, checked and put in its place.
 *
 * Invariants
 * - The directory in use is named in DIR/log (key "state": generation; absent: 0, DIR/state; n: DIR/state-n). It
 *   changes in the same synced batch that changes the log with it, so that both are of one point in time after any
 *   crash. Directories that are not named are removed at start.
 * - A copy of a state holds everything up to its applied index, which may lie beyond the index under which raft knows
 *   it: entries up to the applied index are not applied again (fsm.c).
 * - Who reads holds the store: a state that was replaced is closed and removed with its last reader. */
#ifndef FTS_REPLICA_STATE_H
#define FTS_REPLICA_STATE_H

#include "replica/internal.h"

#endif
