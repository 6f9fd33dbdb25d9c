/* Why this file exists: `fts-bench hostile`: what honest callers notice of those who mean a node ill. */
#ifndef FTS_BENCH_HOSTILE_H
#define FTS_BENCH_HOSTILE_H

#include "bench/options.h"

/* Runs honest callers alone, beside each kind of mischief, and alone again, all against one node of its own, and prints
 * their latency with the ratio to when they were alone, and the node's memory. Returns the exit code. */
int bench_hostile(const struct bench_options *options);

#endif
