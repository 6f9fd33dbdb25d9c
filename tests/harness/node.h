/* Why this file exists: a real ftsd in a test: started, awaited, killed, stopped, started again on the same directory
 * and ports.
 *
 * Invariant: a node that ends a test with an unexpected `level=error` line in its log fails that test. */
#ifndef FTS_TESTS_HARNESS_NODE_H
#define FTS_TESTS_HARNESS_NODE_H

#include "tests/harness/process.h"

#define HARNESS_NODE_FLAGS_MAX 16

struct harness_node {
	struct harness_process process;
	uint16_t port;         /* calls; +1 events, +2 health, +3 peers, +4 free for lottery text */
	char endpoint[32];     /* "127.0.0.1:PORT" */
	char text_address[32]; /* "127.0.0.1:PORT + 4" */
	char root[HARNESS_PATH_MAX];
	char data[HARNESS_PATH_MAX];                   /* root/data */
	const char *flags[HARNESS_NODE_FLAGS_MAX + 1]; /* more flags for each start: borrowed, NULL-ended */
	bool errors_expected;
};

/* Directory and ports of a node; nothing is started. */
void harness_node_init(struct harness_node *node);
/* Start it and wait until it says that it serves. Fails the test after 20 s, with its log. */
void harness_node_start(struct harness_node *node);
/* Start it and don't wait. Returns where its standard error stands. */
long harness_node_launch(struct harness_node *node);
bool harness_node_wait_ready(struct harness_node *node, long from, uint32_t timeout_ms);
/* kill -9. */
void harness_node_kill(struct harness_node *node);
/* SIGTERM; its exit code. Fails the test when it is still there after 20 s. */
int harness_node_stop(struct harness_node *node);
/* Kill it if it runs, and look at its log. Call it last. */
void harness_node_fini(struct harness_node *node);

#endif
