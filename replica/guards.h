/* Why this file exists: libraft 0.15.0 has known holes that were fixed only in later versions. Each function here
 * closes one of them from outside, and says which. Nothing else in this folder works around the engine, but for
 * outbox.h, which bounds its messages and gives its sends their callbacks.
 * Thread: loop. tests/replica/guard_test.c and the simulation show what happens without each. */
#ifndef FTS_REPLICA_GUARDS_H
#define FTS_REPLICA_GUARDS_H

#include "replica/internal.h"

/* Old-term entries are committed by counting replicas (thesis 3.6.2 forbids it; fixed in 0.17). So a new leader first
 * appends a barrier of its own term and serves nothing before that has committed: then everything before it has,
 * rightly. The engine tells nobody that it became leader: its state is compared after each call into it.
 * It also gives up in silence when an append or a term can't be stored: then this node fails aloud. And its assertions
 * are compiled out: those that hold between its indexes are asserted here. */
void ftsi_guard_observe(struct fts_replica *replica);
/* What raft_start is about to load: the last snapshot's configuration (NULL: none) and the entries behind it. Not OK:
 * they are damaged, or there is no memory. All borrowed. */
FTS_MUST_USE enum fts_status ftsi_guard_loaded(struct fts_replica *replica, const struct raft_snapshot *snapshot,
					       raft_index first_index, const struct raft_entry *entries, size_t count);
/* An append was written. */
void ftsi_guard_written(struct fts_replica *replica);
/* Drop what was held back: raft is about to be closed. */
void ftsi_guard_end(struct fts_replica *replica);

/* For the same reason no follower's success may be counted before this term's barrier is on this node's own disk.
 * False: message (an AppendEntriesResult) was put aside; it is delivered when the barrier is written. */
bool ftsi_guard_may_count(struct fts_replica *replica, const struct raft_message *message);

/* The commit index moves only to what the leader itself has stored, and elections can lean on entries that are not
 * on disk yet (fixed in 0.17 and 0.18). So at most one entry is on its way to disk: true when another may go. */
bool ftsi_guard_may_append(const struct fts_replica *replica);

/* A configuration change that has not committed may be rolled back wrongly after a snapshot. So there is no snapshot
 * while one is pending. */
bool ftsi_guard_may_snapshot(const struct fts_replica *replica);

/* And the engine rolls back to an entry that a snapshot may have cut off, or, after a restart, not at all, as it
 * forgets that the change was pending. So the last committed configuration is kept here, and put back before message
 * (an AppendEntries that takes back the change) is delivered. */
void ftsi_guard_roll_back(struct fts_replica *replica, const struct raft_append_entries *message);

/* The engine counts entries where memory is counted in bytes. So its threshold stays out of reach until
 * the bytes written since the last snapshot say otherwise. */
void ftsi_guard_snapshot_due(struct fts_replica *replica, bool due);

/* A success for entries that were accepted in an older term may be sent after the term changed. So the term is
 * recorded when an append is handed over; while one ends in another term, append_term_stands is false. */
bool ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append);

/* The engine takes an entry that its own snapshot has cut off for one that it lacks, and appends it behind its last
 * (seen in a simulation: entries 1 to 40 a second time). So a message begins no earlier than the snapshot ends: up to
 * there everything is committed, and this term's leader has the same. */
void ftsi_guard_skip_snapshot(const struct fts_replica *replica, struct raft_append_entries *message);

/* A received commit index may run ahead of what the message proves: a follower with entries that the leader never had
 * would commit them. So it is clamped to the last entry that the message carries or confirms. */
void ftsi_guard_clamp_commit(struct raft_append_entries *message);

/* A success tells the leader how long this log is, not how much of it the message has confirmed: entries of another
 * term behind that would count as the leader's. So it says at most proven_index: what the message or the append that is
 * being dealt with proves. *result is changed. */
void ftsi_guard_clamp_result(const struct fts_replica *replica, struct raft_append_entries_result *result);

/* The engine calls send with server id 0 or a NULL address, and may give no callback; and see term_stands. False: the
 * message must not leave. */
bool ftsi_guard_may_send(const struct fts_replica *replica, const struct raft_message *message);

/* A snapshot was installed: everything in the log is committed now, but the engine goes on believing in a change of
 * configuration that stood in the log before, and would roll back to what is there no more. */
void ftsi_guard_installed(struct fts_replica *replica);

/* That nobody else leads in a term in which this node does is asserted only, and the engine writes what it knows of
 * another leader over what it keeps as one. False: message of a leader of term makes no sense. */
bool ftsi_guard_may_follow(const struct fts_replica *replica, raft_term term);

/* An election must not start while entries are unwritten or a snapshot is being stored. So ticks wait for them. */
bool ftsi_guard_may_tick(const struct fts_replica *replica);
/* And so does the order to start one (a TimeoutNow). False: it was put aside until they are written. */
bool ftsi_guard_may_be_elected(struct fts_replica *replica, const struct raft_message *message);

/* The engine refuses its vote while its own configuration does not call it a voter. But a learner that was made a voter
 * may lack that entry yet, and nobody can be elected without it once another voter is gone: so it votes (thesis 4.1:
 * servers vote whether or not they are in their own configuration). Who asks counts it only if it votes by its
 * configuration. A vote is lent while a RequestVote is delivered, and taken back after it. */
void ftsi_guard_lend_vote(struct fts_replica *replica, const struct raft_message *message);
void ftsi_guard_take_vote_back(struct fts_replica *replica);

/* A candidate that has won its pre-vote and then lost raises its term at each timeout without asking again. So it is
 * sent back to asking when its time is up. */
void ftsi_guard_before_tick(struct fts_replica *replica);

#endif
