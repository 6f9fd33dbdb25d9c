/* Why this file exists: everything a replica takes from outside itself: time, chance, threads, the network. A node has
 * the real ones; a simulation has its own, so that one seed decides everything that happens.
 *
 * Invariants: no file of this folder asks a clock, the kernel's randomness, a thread or a socket but through these.
 * With an environment of a simulation there is no loop thread: ftsi_replica_step is called instead, and no call ever
 * comes from another thread. */
#ifndef FTS_REPLICA_ENVIRONMENT_H
#define FTS_REPLICA_ENVIRONMENT_H

#include "replica/replica.h"

struct ftsi_job;
struct ftsi_worker;

/* Where a replica's messages go. All calls: loop thread; never block, never call back from inside. */
struct ftsi_transport {
	/* message (borrowed; a packed PeerMessage) to the node at address (as raft has it: member_text.h). It leaves in
	 * order or not at all. False: there is no connection now or its queue is full; the message is dropped. */
	bool (*send)(void *ctx, const char *address, struct fts_bytes message);
	/* Keep a connection to each of these (borrowed), give up all others. Called whenever the members change. */
	void (*set_peers)(void *ctx, const char *const *addresses, size_t count);
	/* Bytes accepted for address that have not left: what bounds a stream of chunks. */
	size_t (*backlog_bytes)(void *ctx, const char *address);
	void *ctx;
};

struct ftsi_environment {
	uint64_t (*monotonic_ns)(void *ctx);
	int64_t (*wall_ms)(void *ctx);
	uint64_t (*random)(void *ctx);
	/* NULL: jobs run on the workers' own threads. Otherwise job is handed over, and its owner sets job->status to
	 * what job->work returns and calls ftsi_worker_end when its simulated time has come (in order within one
	 * worker); the next step runs job->done. */
	void (*submit)(void *ctx, struct ftsi_worker *worker, struct ftsi_job *job);
	/* NULL: the real one (replica/peers.h). */
	const struct ftsi_transport *transport;
	bool stepped; /* no threads at all: see ftsi_replica_step */
	void *ctx;
};

/* The environment of a node. Static. */
const struct ftsi_environment *ftsi_environment_real(void);

/* ---- What a transport tells its replica (thread: loop) ---- */

/* A whole message arrived (borrowed). */
void ftsi_replica_receive(struct fts_replica *replica, struct fts_bytes message);
/* The connection to or from the node at address ("HOST:PORT" of its calls, with or without "NAME=") is there, or has
 * ended (its process or its host died, or the line: a hint, never proof). */
void ftsi_replica_connected(struct fts_replica *replica, const char *address);
void ftsi_replica_disconnected(struct fts_replica *replica, const char *address);

/* ---- Driving a stepped replica ---- */

/* Run everything posted, the timers that are due at the environment's time, and end the turn. */
void ftsi_replica_step(struct fts_replica *replica);
/* When it wants to be stepped next at the latest, ns of the environment's clock. */
uint64_t ftsi_replica_next_ns(const struct fts_replica *replica);

#endif
