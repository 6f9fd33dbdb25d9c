/* Why this file exists: one end of connections in a test: real peers, and a thread that stands for a replica's loop and
 * writes down what it is told. */
#ifndef FTS_TESTS_PEERS_BENCH_NODE_H
#define FTS_TESTS_PEERS_BENCH_NODE_H

#include <pthread.h>
#include <stdatomic.h>

#include "replica/peers.h"

#define NODE_MAX 4

struct heard {
	char address[192];
	atomic_uint connected, disconnected;
	atomic_uint_fast64_t disconnected_ns;
};

/* The replica that peers.h speaks to, as far as this test goes. */
struct fts_replica {
	char name[16];
	char address[64]; /* "HOST:PORT" of its calls */
	char text[192];   /* NAME=HOST:PORT */
	char listen[64];
	struct ftsi_peers *peers;
	const struct ftsi_transport *transport;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ftsi_post *first, **last;
	bool ended;
	atomic_bool blocked; /* its loop does nothing */
	struct heard heard[NODE_MAX];
	atomic_uint hello_count, other_count, bad_order_count;
	atomic_uint_fast64_t next_round; /* of ReadIndexProbe messages: each is one more than the last */
	atomic_size_t received_bytes;
};

/* port: of its calls. tls: borrowed, NULL: none. */
void bench_node_start(struct fts_replica *node, const char *name, uint16_t port, const struct fts_tls *tls);
void bench_node_stop(struct fts_replica *node);
/* Dial these, give up others. */
void bench_node_dial(struct fts_replica *node, const struct fts_replica *const *others, size_t count);
bool bench_node_send_hello(struct fts_replica *node, const char *address);
/* A ReadIndexProbe with this round and size_bytes more. */
bool bench_node_send(struct fts_replica *node, const char *address, uint64_t round, size_t size_bytes);
struct heard *bench_node_heard(struct fts_replica *node, const char *address);
/* Wait until *value is at_least. */
void bench_wait(atomic_uint *value, unsigned at_least, const char *what);

#endif
