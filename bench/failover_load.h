/* Why this file exists: what `fts-bench failover` writes, one blocking call at a time for each client: bets, or moves of
 * games, such that at the end the cluster can be asked how many there are. */
#ifndef FTS_BENCH_FAILOVER_LOAD_H
#define FTS_BENCH_FAILOVER_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct failover_load;

struct failover_load_options {
	const char *endpoints; /* borrowed until close */
	bool is_game;
	uint32_t clients;
};

enum failover_outcome {
	FAILOVER_ACKED,
	FAILOVER_UNKNOWN, /* it may have taken place */
	FAILOVER_NOT_RUN, /* it has not */
	FAILOVER_REFUSED, /* by a rule: then something that was acknowledged is not there, or is there twice */
};

struct failover_write {
	enum failover_outcome outcome;
	uint64_t term;
	char node[64];
	char detail[256]; /* unless it was acknowledged */
};

struct failover_leader {
	char name[64];
	char address[128];
	uint64_t term;
};

/* Returned (failover_load_close); NULL, told on standard error: it can't be begun within 10 s. */
struct failover_load *failover_load_open(const struct failover_load_options *options);
void failover_load_close(struct failover_load *load); /* NULL: no-op */
/* The next write of client number. Thread: one a client. */
void failover_load_write(struct failover_load *load, uint32_t number, struct failover_write *out_write);
/* False: nobody is known to lead. */
bool failover_load_leader(struct failover_load *load, struct failover_leader *out_leader);
/* How many writes stand in the cluster, once all clients have ended; false: it does not tell. */
bool failover_load_stored(struct failover_load *load, uint64_t *out_count);

#endif
