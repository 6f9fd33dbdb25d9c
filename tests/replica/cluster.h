/* Why this file exists: several replicas in one process, each with its own loop and directory, and a network between
 * them that can be cut, broken and delayed.
 *
 * A node that is killed does nothing more and writes nothing more; a node that is paused stands still as SIGSTOP would
 * make it, with what is sent to it waiting. Thread: the test's, but for what says otherwise. */
#ifndef FTS_TESTS_REPLICA_CLUSTER_H
#define FTS_TESTS_REPLICA_CLUSTER_H

#include "driver.h"
#include "fts/replica/v1/peer.pb-c.h"

#define CLUSTER_NODE_MAX 5

struct cluster;

struct cluster_node {
	struct cluster *cluster;
	size_t number;
	char name[32], address[48];
	char *dir;
	struct fts_replica *replica; /* NULL: not running. Changed with cluster->lock held. */
	struct ftsi_transport transport;
	struct ftsi_environment environment;
	struct driver_options options;
	struct fatal_seen fatal;
	sem_t resume;
	bool paused;
};

struct cluster {
	pthread_mutex_t lock;
	size_t count;
	uint32_t election_ms;
	struct cluster_node nodes[CLUSTER_NODE_MAX];
	struct fts_replica_member members[CLUSTER_NODE_MAX];
	bool cut[CLUSTER_NODE_MAX][CLUSTER_NODE_MAX]; /* from, to; guarded by lock */
	/* Optional, with lock held, on a loop: false drops the message. */
	bool (*filter)(void *ctx, size_t from, size_t to, const Fts__Replica__V1__PeerMessage *message);
	void *filter_ctx;
	atomic_uint_fast64_t message_count, message_bytes_max;
};

/* count nodes with directories of their own; started, and one of them leads. */
void cluster_open(struct cluster *cluster, size_t count, uint32_t election_ms);
void cluster_close(struct cluster *cluster);

void cluster_start(struct cluster *cluster, size_t number);
void cluster_stop(struct cluster *cluster, size_t number);
void cluster_kill(struct cluster *cluster, size_t number);
void cluster_pause(struct cluster *cluster, size_t number);
void cluster_resume(struct cluster *cluster, size_t number);
/* No message passes between a and b, and nobody is told. */
void cluster_cut(struct cluster *cluster, size_t a, size_t b, bool cut);
/* From and to everybody. */
void cluster_isolate(struct cluster *cluster, size_t number, bool cut);
/* The line between a and b ends and is there again: both are told. */
void cluster_break(struct cluster *cluster, size_t a, size_t b);
/* Run act on number's loop, and wait. */
void cluster_on_loop(struct cluster *cluster, size_t number, void (*act)(struct fts_replica *replica, void *ctx),
		     void *ctx);

/* The node that serves as leader, by the highest term; SIZE_MAX: none. not: skip this one, or SIZE_MAX. */
size_t cluster_leader(struct cluster *cluster, size_t not );
/* Wait until there is one. */
size_t cluster_wait_leader(struct cluster *cluster, size_t not );
/* Wait until all that run have applied the same entries; then their states must be the same. */
void cluster_settle(struct cluster *cluster);
/* Add to counter name through whoever leads, again after each failure, until it is done. */
int64_t cluster_add(struct cluster *cluster, const char *name, uint64_t client_id, uint64_t sequence);

struct fts_replica_status cluster_status(struct cluster *cluster, size_t number);

/* Wait until the condition holds, looking again and again; the test fails after 30 s. */
#define CLUSTER_WAIT(condition)                                                                                        \
	cluster_wait_begin();                                                                                          \
	while (!(condition))                                                                                           \
	cluster_wait_look(#condition)
void cluster_wait_begin(void);
void cluster_wait_look(const char *what);

#endif
