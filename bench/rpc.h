/* Why this file exists: `fts-bench rpc`: what one call costs with everything on that a real call has. */
#ifndef FTS_BENCH_RPC_H
#define FTS_BENCH_RPC_H

#include "bench/options.h"

/* Runs the measurement and prints it. Returns the exit code. */
int bench_rpc(const struct bench_options *options);

/* The server process: serves Echo on any free port, prints the port on standard output, ends when standard
 * input does. Returns the exit code. */
int bench_rpc_serve(const struct bench_options *options);

#endif
