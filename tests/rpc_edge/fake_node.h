/* Why this file exists: subscribers need nodes that die, forget, drop and lag on command: a log kept in memory, and
 * nodes that publish it and replay it (fts.rpc.v1.Events) without a replica. */
#ifndef FTS_TESTS_RPC_EDGE_FAKE_NODE_H
#define FTS_TESTS_RPC_EDGE_FAKE_NODE_H

#include <pthread.h>
#include <stdbool.h>

#include "rpc/publisher.h"

#define FAKE_EVENT_MAX 400000
#define FAKE_NODE_COUNT 3
#define FAKE_HELD_MAX 64

struct fake_event {
	uint64_t index;
	uint32_t ordinal;
	const char *topic; /* static */
	uint64_t value;    /* its payload: 8 bytes */
};

/* The log that all nodes of a test share. */
struct fake_log {
	pthread_mutex_t lock;
	struct fake_event *events; /* guarded by lock, as all below */
	size_t event_count;
	uint64_t oldest_index; /* as ReplayResponse has it */
	uint64_t replay_count; /* calls that gave events or asked for some */
};

struct fake_node {
	struct fake_log *log; /* borrowed */
	uint16_t port;        /* of its calls */
	struct fts_tls tls;
	struct fts_server *server;
	struct fts_publisher *publisher;
	const char *members[FAKE_NODE_COUNT]; /* what Cluster/Status names; NULL: no more. Borrowed. */
	pthread_mutex_t lock;
	bool
	    is_mute; /* guarded by lock, as all below: neither publishes nor answers a Replay, as one that is stopped */
	bool is_leaderless; /* what Cluster/Leader says */
	struct fts_call *held[FAKE_HELD_MAX];
	size_t held_count;
};

void fake_log_init(struct fake_log *log);
void fake_log_fini(struct fake_log *log);
void fake_log_forget_before(struct fake_log *log, uint64_t index);
uint64_t fake_log_replay_count(struct fake_log *log);

/* queue_max_bytes: of the publisher, 0: its default. */
void fake_node_start(struct fake_node *node, struct fake_log *log, uint16_t port, const struct fts_tls *tls,
		     size_t queue_max_bytes);
void fake_node_stop(struct fake_node *node); /* any number of times */
void fake_node_mute(struct fake_node *node);
void fake_node_set_leaderless(struct fake_node *node, bool is_leaderless);

/* Append an event to the log; all nodes (borrowed) publish it, or drop it on the way. */
void fake_publish(struct fake_log *log, struct fake_node *nodes, bool dropped, uint64_t index, uint32_t ordinal,
		  const char *topic);

#endif
