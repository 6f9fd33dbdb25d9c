/* Why this file exists: a cluster is upgraded node by node, so that for a while two versions serve side by side, and
 * nothing may be written that the older one can't read. So there is one format for all that nodes give each other or
 * leave on disk (entries, states, snapshots, messages), it is raised by an entry of the log, and the leader writes that
 * entry only once every member has said that it reads what follows.
 *
 * | number             | whose it is   | what it says | | format             | the cluster's | how it writes; grows by
 * RaiseFormat alone, on each node at the same entry     | | format_max         | a program's   | the highest it reads;
 * told in Hello, Pulse and Join                           | | since_format       | a method's    | its commands go into
 * the log only from that format on                         | | identity.format    | a directory's | the highest format
 * of anything in it: an older program refuses the directory  |
 *
 * Invariants: format <= format_max of every member that votes or learns, but for one that came in the very moment of
 * the raise, or was put back to an older program since it was heard last: that one stops at the entry, and says so. Up
 * to the raise a node may go back to the older program; never afterwards. Thread: loop, but for what says otherwise.
 * Source: etcd's cluster version, whose rule (the least of all members) this is. */
#ifndef FTS_REPLICA_FORMAT_H
#define FTS_REPLICA_FORMAT_H

#include "replica/internal.h"

struct Fts__Replica__V1__PeerMessage;

/* What the replica's options say. Before DIR is opened. */
void ftsi_format_init(struct fts_replica *replica);
/* fts_apply_fn of RaiseFormat; ctx: the replica. */
enum fts_status ftsi_format_apply_raise(struct fts_apply *apply, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
/* The state that this node has now is of this format: keep that in DIR. version: of the program that raised it
 * (borrowed; NULL: not known). Errors: as a write's. Blocks for a sync when the format is new here. */
FTS_MUST_USE enum fts_status ftsi_format_take(struct fts_replica *replica, uint32_t format, const char *version);
/* The leader raises the format once all can read the next. At each tick. */
void ftsi_format_tick(struct fts_replica *replica, uint64_t now_ns);
/* May a command of method go into the log now? False: out_detail (FTS_DETAIL_MAX) says what has to come first. */
bool ftsi_format_allows(const struct fts_replica *replica, uint32_t method_id, char *out_detail);
/* Somebody says Hello (borrowed). False: one of the two can't read what the other writes, and out_detail
 * (FTS_DETAIL_MAX) says which, and what to do. */
bool ftsi_format_fits(const struct fts_replica *replica, const struct Fts__Replica__V1__PeerMessage *message,
		      char *out_detail);

#endif
