/* Why this file exists: an ftsd of its own for a benchmark: new directory, free ports, gone afterwards. */
#ifndef FTS_BENCH_NODE_H
#define FTS_BENCH_NODE_H

#include <stdbool.h>

struct bench_node {
	int pid; /* 0: none */
	char dir[256];
	char endpoint[64];
};

/* Start the ftsd that lies beside this program and wait until it is ready. False, told on standard error, when
 * it does not come up within 10 s. */
bool bench_node_start(struct bench_node *node);

/* SIGTERM, wait, remove the directory. */
void bench_node_stop(struct bench_node *node);

#endif
