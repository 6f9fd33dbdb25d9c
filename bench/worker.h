/* Why this file exists: `fts-bench worker`: calls of workers a second, tickets and all. */
#ifndef FTS_BENCH_WORKER_H
#define FTS_BENCH_WORKER_H

#include "bench/options.h"

/* Runs the measurement and prints it: --outstanding calls at a time of workers in a process of their own, with tickets
 * for --batch runs. Starts an ftsd of its own unless endpoints are given. Returns the exit code. */
int bench_worker(const struct bench_options *options);
/* The workers' process: --clients workers at --endpoints, with room for --outstanding runs each, until standard
 * input ends. */
int bench_worker_serve(const struct bench_options *options);

#endif
