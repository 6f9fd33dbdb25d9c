/* Why this file exists: members come and go while the cluster runs (Ongaro 2014, chapter 4: one at a time).
 *
 * The leader looks at the configuration and takes the next step: that is all there is to resume. What is to become of
 * a member follows from its role there:
 *
 * | role         | meaning                                             | next step of a serving leader              |
 * | RAFT_SPARE   | announced, or just let in                           | RAFT_STANDBY once its node id has said Hello |
 * | RAFT_STANDBY | learner: gets the log, counts for nothing           | RAFT_VOTER once it has caught up           |
 * | RAFT_VOTER   | member                                              |                                            |
 *
 * Invariants
 * - One change at a time, and only while this node leads and serves (its term has committed an entry).
 * - A member that comes back with another node id under its own name and address has lost its disk: the old id goes
 *   before the new one comes, as a learner. An id that was removed never comes back.
 * - A leader never removes itself: it hands leadership over first, and the next leader does it.
 * Thread: loop, but for what says otherwise. */
#ifndef FTS_REPLICA_MEMBERSHIP_H
#define FTS_REPLICA_MEMBERSHIP_H

#include "replica/internal.h"

/* In each turn, before the next entry is proposed: the wanted step is taken once nothing is on its way to the disk. */
void ftsi_membership_turn(struct fts_replica *replica);
/* Such a step waits: no entry may be proposed now. */
bool ftsi_membership_holds(const struct fts_replica *replica);
/* At each tick. */
void ftsi_membership_tick(struct fts_replica *replica, uint64_t now_ns);
/* A node that is not formed has said Hello (name, address: borrowed): to this leader, or to a member that passed it on.
 * It is let in when its name and address are a member's whose node id is another and who is silent. */
void ftsi_membership_hello(struct fts_replica *replica, const char *name, const char *address, uint64_t node_id);
/* raft's configuration is another one. */
void ftsi_membership_configured(struct fts_replica *replica);
/* The member with this raft address (borrowed) was one until a moment ago: it may be about to come back under another
 * id. */
bool ftsi_membership_left_just_now(struct fts_replica *replica, const char *text);
/* The node id of a formed member was heard of. */
void ftsi_membership_heard(struct fts_replica *replica, uint64_t node_id);
/* Refuse everything that waits: this node stops. */
void ftsi_membership_stop(struct fts_replica *replica, const char *detail);
void ftsi_membership_destroy(struct fts_replica *replica); /* nothing there: no-op */

#endif
