/* Why this file exists: how a node becomes a member of a cluster, and who may talk to it: from a blank directory to the
 * first entry of the log, and afterwards the check of who is who on every message.
 *
 * | a node with            | does                                                                              |
 * | neither list nor join  | is a cluster of one: it writes the first entry at once                            |
 * | a list (--cluster)     | says Hello to everybody on it; the smallest name founds the cluster once it knows |
 * |                        | the node ids of all, and sends Form; the others take Form                         |
 * | join                   | waits for a member's Form; Cluster/Join (server/) asks for it                     |
 * | a formed directory     | starts raft at once; answers Form to members that were left behind                |
 *
 * Invariants
 * - A node id is random, made for a blank directory, and on disk before anybody hears of it. It never votes before the
 *   node is formed, and a directory that was lost never comes back under its old id: so nobody votes twice.
 * - A directory takes one cluster id, once. A list founds one cluster: only its smallest name founds, only while it
 *   knows of every other that it is not formed, and everybody takes the first Form that names its node id.
 * - A message whose cluster, sender or receiver does not fit never reaches raft.
 * Thread: loop, but for _open and _destroy. */
#ifndef FTS_REPLICA_FORMING_H
#define FTS_REPLICA_FORMING_H

#include "replica/internal.h"
#include "replica/member_text.h"

struct Fts__Replica__V1__PeerMessage;

/* Read this node's identity from DIR/log or make one, durably. A cluster of one is bootstrapped here. Thread: the one
 * that makes the replica, before the loop runs. Errors: FAILED_PRECONDITION (foreign DIR, was removed), DATA_LOSS. */
FTS_MUST_USE enum fts_status ftsi_forming_open(struct fts_replica *replica, struct fts_error *out_error);
/* It is a member: raft may start (ftsi_loop_start_raft). */
bool ftsi_forming_is_over(const struct fts_replica *replica);
/* The loop and the transport are there: look for the others. When forming ends, ftsi_loop_start_raft is called. */
void ftsi_forming_begin(struct fts_replica *replica);
/* At each tick; and at the end of each turn: members may have changed, the transport has to know. */
void ftsi_forming_tick(struct fts_replica *replica, uint64_t now_ns);
void ftsi_forming_turn(struct fts_replica *replica);
/* A connection to address is there: say Hello. */
void ftsi_forming_connected(struct fts_replica *replica, const char *address);
/* Every message, before anybody else sees it (unpacked, borrowed). True: it was dealt with, or does not concern this
 * node; false: it is from a member of this cluster, to this node, and raft runs. */
bool ftsi_forming_receive(struct fts_replica *replica, const struct Fts__Replica__V1__PeerMessage *message);
/* Tell node_id, at address (as raft has it), that a committed configuration has gone without it, if that is so. */
void ftsi_forming_tell_removed(struct fts_replica *replica, const char *address, uint64_t node_id);
void ftsi_forming_destroy(struct fts_replica *replica); /* nothing there: no-op */

#endif
