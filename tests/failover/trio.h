/* Why this file exists: three scripted servers that act a cluster, and calls whose ends are counted. */
#ifndef FTS_TESTS_FAILOVER_TRIO_H
#define FTS_TESTS_FAILOVER_TRIO_H

#include "fake_server.h"
#include "support.h"

#define TRIO_COUNT 3
#define BURST_MAX 1000

struct trio {
	struct fake *nodes[TRIO_COUNT]; /* "n1", "n2", "n3"; NULL: stopped */
	char addresses[TRIO_COUNT][32];
	struct fts_channel *channel;
};

/* listed: how many of the addresses the channel is given. */
void trio_open(struct trio *trio, size_t listed);
void trio_close(struct trio *trio);
void trio_stop(struct trio *trio, size_t at);
/* All three listed; warm, with n1 as leader. Then all answer. */
void trio_open_warm(struct trio *trio);
/* node `at` refuses with a hint to node `leader`; FTS_ROUTE-less: every request. leader TRIO_COUNT: without a hint,
 * with the advice to come back in 5 ms. */
struct fake_step trio_refusal(const struct trio *trio, size_t leader);
void trio_refuse(struct trio *trio, size_t at, size_t leader);
/* node `at` answers the question who leads. leader TRIO_COUNT: knows none. */
void trio_tell(struct trio *trio, size_t at, uint64_t term, size_t leader);
/* Make a call that n1 answers, the others pointing there, and wait until the channel has a connection to each node that
 * runs. It counts as one request at n1 and none elsewhere, though a busy machine may have asked another first. */
void trio_warm(struct trio *trio);
/* Wait until node `at` has so many connections; false: not within 60 s. */
bool trio_wait_open(struct trio *trio, size_t at, size_t count);

/* count writes at once, numbered from 1. */
struct burst {
	struct seen calls[BURST_MAX];
	size_t count;
};
void burst_start(struct burst *burst, struct trio *trio, size_t count, uint32_t timeout_ms);
/* Wait for all to end; fails the test unless all are OK, each with its own answer. */
void burst_check(struct burst *burst);
/* Every request with the same number carried the same identity, and no other had it. */
void trio_check_identity(struct trio *trio);
/* Requests of all nodes that run. */
size_t trio_request_count(struct trio *trio);

#endif
