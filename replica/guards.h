/* Why this file exists: libraft 0.15.0 has known holes that were fixed only in later versions. Each function here
 * closes one of them from outside, and says which. Nothing else in this folder works around the engine. */
#ifndef FTS_REPLICA_GUARDS_H
#define FTS_REPLICA_GUARDS_H

#include "replica/internal.h"

/* Old-term entries are committed by counting replicas (thesis 3.6.2 forbids it; fixed in 0.17). So a new leader first
 * appends a barrier of its own term and serves nothing before that has committed: then everything before it has,
 * rightly. The engine tells nobody that it became leader: its state is compared after each call into it. */
void ftsi_guard_observe(struct fts_replica *replica);

/* The commit index moves only to what the leader itself has stored, and elections can lean on entries that are not
 * on disk yet (fixed in 0.17 and 0.18). So at most one entry is on its way to disk: true when another may go. */
bool ftsi_guard_may_append(const struct fts_replica *replica);

/* A configuration change that has not committed may be rolled back wrongly after a snapshot. So there is no snapshot
 * while one is pending. */
bool ftsi_guard_may_snapshot(const struct fts_replica *replica);

/* The engine counts entries where memory is counted in bytes. So its threshold stays out of reach until
 * the bytes written since the last snapshot say otherwise. */
void ftsi_guard_snapshot_due(struct fts_replica *replica, bool due);

/* A success for entries that were accepted in an older term may be sent after the term changed. So the term is
 * recorded when an append is handed over; while one ends in another term, append_term_stands is false. */
bool ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append);

/* The engine calls send with server id 0 or a NULL address, and may give no callback; and see term_stands. False: the
 * message must not leave. */
bool ftsi_guard_may_send(const struct fts_replica *replica, const struct raft_message *message);

/* An election must not start while entries are unwritten or a snapshot is being stored. So ticks wait for them. */
bool ftsi_guard_may_tick(const struct fts_replica *replica);

#endif
