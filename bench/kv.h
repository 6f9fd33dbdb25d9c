/* Why this file exists: `fts-bench kv`: keys set and read a second, sharded or through the replicated log. */
#ifndef FTS_BENCH_KV_H
#define FTS_BENCH_KV_H

#include "bench/options.h"

/* Runs the measurement and prints it: calls a second and their latency. Starts an ftsd of its own in a new directory
 * unless endpoints are given. Returns the exit code. */
int bench_kv(const struct bench_options *options);

#endif
