/* Why this file exists: `fts-bench elect`: how long nobody is master when the master dies, and what many candidates in
 * many elections cost. See its --help. */
#ifndef FTS_BENCH_ELECT_H
#define FTS_BENCH_ELECT_H

#include <stdint.h>

struct bench_elect {
	const char *endpoints; /* NULL: a node of its own */
	uint32_t rounds, settle_ms, window_ms, lease_ms;
	uint32_t members, elections, seconds; /* members > 0: the cost of so many */
	const char *const *command;           /* of a candidate, NULL-ended; NULL: fts-cli elect run */
	int json;
};

/* argv[2] and on are its flags. Returns the exit code. */
int bench_elect(int argc, char **argv);
/* Members that join, and renew for some seconds. Returns the exit code. */
int bench_elect_many(const struct bench_elect *options);
/* `fts-bench stamp FILE ID`: a master's script: writes "NANOSECONDS ID" to FILE, then waits to be ended. */
int bench_stamp(int argc, char **argv);

#endif
