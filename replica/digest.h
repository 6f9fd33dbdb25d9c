/* Why this file exists: nodes find out whether their states are the same. Every few seconds the leader puts a mark into
 * the log. At that entry each node looks at what it has: the chain over everything it ever wrote, and, from time to
 * time, the sum over everything that stands in its state; it tells the leader, who compares and says what most have.
 *
 * Invariants
 * - Both values follow from the log alone: the chain takes in each write in order, those of refused commands too, and
 *   is kept in the applied record, so that it restarts with the state and travels with it. The sum leaves out what is
 *   the node's own (the applied record).
 * - A majority of the voters decides, never one node against one. Who differs from the majority doubts its state
 *   (state.h); a leader that does so hands over first. Without a majority nobody acts, and everybody says so.
 * - An idle node spends at most a hundredth of a core on it: small states are summed up at each mark, larger ones the
 *   more seldom the larger they are, in slices.
 * Thread: loop, but for what says otherwise. */
#ifndef FTS_REPLICA_DIGEST_H
#define FTS_REPLICA_DIGEST_H

#include "replica/internal.h"

/* fts_txn_watch_fn of the state's batches; ctx: the replica. */
void ftsi_digest_note(void *ctx, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail, bool deleted);
/* The entry that was just applied is a mark. */
bool ftsi_digest_is_due(const struct fts_replica *replica);
/* Write what was applied and look at it: index is the mark's. Not OK: this replica has to stop. */
FTS_MUST_USE enum fts_status ftsi_digest_look(struct fts_replica *replica, uint64_t index);

/* The machine of the marks: one more of the replica's own. */
void ftsi_digest_init(struct fts_replica *replica, struct fts_machine *machine, struct fts_machine_method *methods);

#endif
