/* Why this file exists: connections between the members of one log: the mesh of rpc/ with PeerMessages on each node's
 * peer port (base port + 3), and their delivery to the loop. It is the transport of a real node (environment.h).
 *
 * Invariants
 * - An address is a raft address, "NAME=HOST:PORT" of its calls; what it stands for is dialed at PORT + 3.
 * - Each node dials every other one; what it says goes over the connection it dialed (PUSH), what it hears comes over
 *   those it accepted (PULL). To somebody who is no member, but has dialed, it speaks over the one that was accepted.
 * - Nothing queues without bound: what waits for a peer is bounded by FTSI_PEER_BACKLOG_MAX_BYTES, what waits for the
 *   loop by FTSI_PEER_INBOX_MAX_BYTES (reading stops above it).
 * - A broken connection is dialed again after 10 ms, doubling to 1 s with jitter. No dial blocks anybody.
 * - The first message of a connection is a Hello, which says whose it is; anything else closes it. Whether the Hello
 *   fits is for forming.h to say.
 * - Messages, connections and their ends reach the loop in the order in which they came: one wake-up for all that
 *   waits. */
#ifndef FTS_REPLICA_PEERS_H
#define FTS_REPLICA_PEERS_H

#include "replica/environment.h"
#include "replica/mailbox.h"

#define FTSI_PEER_BACKLOG_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define FTSI_PEER_INBOX_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define FTSI_PEER_MESSAGE_MAX_BYTES ((size_t)16 * 1024 * 1024)

struct ftsi_peers;

struct ftsi_peers_options {
	const char *listen; /* "HOST:PORT" of the peer port itself; borrowed */
	struct fts_tls tls; /* borrowed */
	struct fts_replica *replica;
	/* Hand post to the replica's loop. False: the loop has ended. */
	bool (*post)(struct fts_replica *replica, struct ftsi_post *post);
};

/* Listen. out_peers: returned (ftsi_peers_destroy). Errors: UNAVAILABLE (address in use), INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_peers_create(const struct ftsi_peers_options *options, struct ftsi_peers **out_peers,
					       struct fts_error *out_error);
uint16_t ftsi_peers_port(const struct ftsi_peers *peers);
/* What the replica sends through. Borrowed until destroy. */
const struct ftsi_transport *ftsi_peers_transport(struct ftsi_peers *peers);
/* No more messages are delivered when it returns. Then destroy. Thread: any but the loop and nng's. */
void ftsi_peers_stop(struct ftsi_peers *peers);
/* After the loop has ended: what it was given last is dropped. NULL: no-op. */
void ftsi_peers_destroy(struct ftsi_peers *peers);

#endif
