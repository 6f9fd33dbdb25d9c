/* Why this file exists: how messages leave, libraft's and our own, and how the callbacks of libraft's sends come later,
 * never inside a call into it.
 *
 * Invariants
 * - libraft never sees a send fail within its call: it would free entries twice (recv_append_entries.c) or give up for
 *   good. What can't leave ends with an error in its callback, at the end of the turn.
 * - A message carries at most FTSI_APPEND_BYTES_MAX of entries, or one entry. libraft knows no such limit: what was
 *   left out is put back into its progress after the call (ftsi_outbox_settle).
 * - What waits for a slow peer is bounded: above FTSI_BACKLOG_BYTES_MAX no entries are sent to it.
 * Thread: loop. */
#ifndef FTS_REPLICA_OUTBOX_H
#define FTS_REPLICA_OUTBOX_H

#include <raft.h>

#include <fts/rpc.h>

#define FTSI_APPEND_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define FTSI_BACKLOG_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct fts_replica;
struct Fts__Replica__V1__PeerMessage;

struct ftsi_sent {
	struct raft_io_send *request;
	raft_io_send_cb done;
	int status;
};

struct ftsi_outbox {
	struct ftsi_sent *sent; /* owned: what libraft has still to be told */
	size_t count, capacity;
	uint8_t *scratch; /* owned: the message being packed */
	size_t scratch_bytes;
	bool cut; /* a message left entries out: libraft's progress has to be set right */
};

/* As raft_io.send. */
int ftsi_outbox_send_raft(struct fts_replica *replica, struct raft_io_send *request, const struct raft_message *message,
			  raft_io_send_cb done);
/* message (borrowed; from, to and cluster are filled in here) to node_id at address (borrowed, as raft has it).
 * False: it is lost. */
bool ftsi_outbox_send(struct fts_replica *replica, uint64_t node_id, const char *address,
		      struct Fts__Replica__V1__PeerMessage *message);
/* After each call into libraft: set its progress right. */
void ftsi_outbox_settle(struct fts_replica *replica);
/* node_id has answered that all is well. libraft goes on feeling its way, one message a heartbeat, until it hears of
 * something new: a command would wait for that. */
void ftsi_outbox_confirmed(struct fts_replica *replica, uint64_t node_id);
/* Tell libraft how its sends ended. */
void ftsi_outbox_finish(struct fts_replica *replica);
void ftsi_outbox_destroy(struct fts_replica *replica);

#endif
