/* Why this file exists: `fts-bench game`: moves a second over many matches at once. */
#ifndef FTS_BENCH_GAME_H
#define FTS_BENCH_GAME_H

#include "bench/options.h"

/* Runs the measurement and prints it: moves a second and their latency; with --reads: looks at matches instead.
 * Starts an ftsd of its own in a new directory unless endpoints are given. Returns the exit code. */
int bench_game(const struct bench_options *options);

#endif
