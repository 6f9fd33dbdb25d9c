/* Why this file exists: `fts-bench lottery`: durable bets a second, an agency a connection. */
#ifndef FTS_BENCH_LOTTERY_H
#define FTS_BENCH_LOTTERY_H

#include "bench/options.h"

/* Runs the measurement and prints it: bets a second, latency of a batch. Starts an ftsd of its own in a new
 * directory unless endpoints are given. Returns the exit code. */
int bench_lottery(const struct bench_options *options);

#endif
