/* Why this file exists: the replica's state as a whole: which directory holds it, who reads it, how a copy of it is
 * made, sent, checked and put in its place, and whether it is the same as the others'.
 *
 * | file             | what it does                                                                            |
 * | state.c          | opens, swaps, what a turn and a tick do                                                 |
 * | state_dir.c      | generations of the directory, leftovers, what `snapshot restore` left                   |
 * | state_copy.c     | checkpoints to read from, shared, dropped when nobody asks                              |
 * | state_send.c     | streams of a copy's files to members                                                    |
 * | state_fetch.c    | the receiving side, up to a verified store                                              |
 * | state_install.c  | puts a fetched store in place of the old one, for raft or for a re-sync                 |
 * | state_cut.c      | how much of the log is kept behind a snapshot                                           |
 * | digest*.c        | marks in the log, scans, reports, verdicts                                              |
 *
 * Invariants
 * - The directory in use is named in DIR/log (key "state": generation; absent: 0, DIR/state; n: DIR/state-n). It
 *   changes in the same synced batch that changes the log with it, so that both are of one point in time after any
 *   crash. Directories that are not named are removed at start.
 * - A copy of a state holds everything up to its applied index, which may lie beyond the index under which raft knows
 *   it: entries up to the applied index are not applied again (fsm.c).
 * - Who reads holds the store: a state that was replaced is closed and removed with its last reader.
 * - A state that is doubted (it differs, or is missing while the log is there) is told of in DIR/log (key "doubt")
 *   before anything else is done about it; the batch that names its successor takes that back.
 * Thread: loop, but for what says otherwise. */
#ifndef FTS_REPLICA_STATE_H
#define FTS_REPLICA_STATE_H

#include "replica/internal.h"

struct Fts__Replica__V1__PeerMessage;

/* ---- Life ---- */

/* Open the state that DIR/log names (replica->log is open), or make a blank one; remove leftovers.
 * Errors: as fts_store_open; DATA_LOSS: it can't be read and there is nobody to get it from. Thread: before the loop.
 */
FTS_MUST_USE enum fts_status ftsi_state_open(struct fts_replica *replica, struct fts_error *out_error);
/* What DIR/state says of itself (ftsi_apply_load). What is not whole is doubted. Thread: before the loop. */
FTS_MUST_USE enum fts_status ftsi_state_load(struct fts_replica *replica, struct fts_error *out_error);
/* The log and the state do not fit together: the others have to give theirs. Thread: before the loop. */
void ftsi_state_unfit(struct fts_replica *replica, const char *why);
/* raft has started: a state that is doubted needs somebody to fetch it from. Not 0: there is nobody, it has failed. */
FTS_MUST_USE int ftsi_state_settle(struct fts_replica *replica);
/* A state of this cluster may stand in this directory. */
bool ftsi_state_is_of(const struct fts_replica *replica, uint64_t cluster_id);
/* What is in use came from elsewhere with this index applied: it may be ahead of the log. */
uint64_t ftsi_state_came_with(const struct fts_replica *replica);
/* The workers are idle and no reader is left. NULL members: no-op. */
void ftsi_state_close(struct fts_replica *replica);
/* No work of this part is on a worker: what a stop waits for. */
bool ftsi_state_idle(const struct fts_replica *replica);
/* Give up transfers, copies, scans: raft is about to be closed. */
void ftsi_state_stop(struct fts_replica *replica);

/* A read-only view of the state that is in use now; holds its store. Returned (fts_txn_abort). Thread: any. */
FTS_MUST_USE enum fts_status ftsi_state_view(struct fts_replica *replica, struct fts_txn **out_view);

/* This node may answer from its state, as far as its state is concerned. False: it differs from the others' or is being
 * fetched; refuse with UNAVAILABLE and ftsi_state_refusal. Thread: any. */
bool ftsi_state_may_serve(const struct fts_replica *replica);
extern const char ftsi_state_refusal[];
/* As far as anybody knows, this node's state is the others'. Thread: any. */
bool ftsi_state_agrees(const struct fts_replica *replica);
/* digest_ok, syncing. Thread: any. */
void ftsi_state_status(struct fts_replica *replica, struct fts_replica_status *status);

/* ---- Hooks: loop.c ---- */

/* At the end of each turn, after ftsi_apply_commit, before reads run. */
void ftsi_state_turn(struct fts_replica *replica);
/* At each tick. */
void ftsi_state_tick(struct fts_replica *replica, uint64_t now_ns);

/* ---- Hooks: receiving (message: unpacked, borrowed; from a member of this cluster) ---- */

/* Every StateAsk, StateChunk, StateTaken, DigestReport, DigestVerdict and InstallSnapshot. True: it is dealt with, an
 * InstallSnapshot too: it reaches raft later, through replica->raft_recv, when its files are here. */
bool ftsi_state_receive(struct fts_replica *replica, const struct Fts__Replica__V1__PeerMessage *message);
/* An install is being written: raft must not see entries meanwhile (it would count them wrongly afterwards), so an
 * AppendEntries with entries is dropped when this is true. */
bool ftsi_state_is_installing(const struct fts_replica *replica);

/* ---- Hooks: raft_io.c, fsm.c ---- */

/* raft wants to send the last snapshot to a member: done gets one that carries the name of a copy. */
FTS_MUST_USE int ftsi_state_get(struct fts_replica *replica, struct raft_io_snapshot_get *request,
				raft_io_snapshot_get_cb done);
/* snapshot is one that was fetched: not one of this node's own state. */
bool ftsi_state_is_fetched(const struct fts_replica *replica, const struct raft_snapshot *snapshot);
/* Put what was fetched in place: log and state in one batch, then done. */
FTS_MUST_USE int ftsi_state_put(struct fts_replica *replica, struct raft_io_snapshot_put *request,
				const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done);
/* Entries are not applied now as raft commits them: they are taken from the log once the state is here. */
bool ftsi_state_skips(const struct fts_replica *replica);
/* Bytes were appended at index; entries from index on were taken back. */
void ftsi_state_appended(struct fts_replica *replica, uint64_t index, uint64_t size_bytes);
void ftsi_state_truncated(struct fts_replica *replica, uint64_t index);
/* This node may take a snapshot of its own now: its state is sound, and nobody who is there lacks what the cut would
 * take away, or memory is short. */
bool ftsi_state_may_cut(const struct fts_replica *replica);
/* The log lies in memory too, and could not be cut for long (a state that is being fetched): no more commands are taken
 * from the leader until it could. */
bool ftsi_state_is_full(const struct fts_replica *replica);
/* How many entries a snapshot at index leaves in the log for members that lag a little. */
unsigned ftsi_state_trailing(const struct fts_replica *replica, uint64_t index);

/* ---- Forming a cluster from a restored snapshot ---- */

/* Identity of the snapshot that DIR was restored from and from which no cluster was formed yet: Hello.restored. 0:
 * none.
 */
uint64_t ftsi_state_restored(const struct fts_replica *replica);
/* Begin the log of replica->identity, which is set: with the first entry, or, when DIR was restored, with a log that
 * begins behind what the state holds. configuration: borrowed, the same on every node. Durable when it returns. */
FTS_MUST_USE enum fts_status ftsi_state_bootstrap(struct fts_replica *replica,
						  const struct raft_configuration *configuration);

#endif
