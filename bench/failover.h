/* Why this file exists: `fts-bench failover`: how long a client that calls through libfts waits when a node dies or
 * falls silent, and whether every acknowledged write took place exactly once. It starts no node: who runs it says on
 * its standard input when to kill or stop which. See its --help. */
#ifndef FTS_BENCH_FAILOVER_H
#define FTS_BENCH_FAILOVER_H

/* argv[2] and on are its flags. Returns the exit code. */
int bench_failover(int argc, char **argv);

#endif
