/* Why this file exists: clients of a linearizable database that read, set, delete and compare-and-set all the time,
 * whatever happens to the nodes, and a judge of what they were told (tests/linear).
 *
 * Half of them call KvAdmin.LogSet on the whole cluster and let the library repeat it: exactly once all the same. The
 * others call Kv through one node, once, as docs/kv.md says for those who must not write twice. */
#ifndef FTS_TESTS_KV_FAULTS_COMPARED_H
#define FTS_TESTS_KV_FAULTS_COMPARED_H

#include "tests/kv/help.h"

#define COMPARED_DB 77u

struct compared;

struct compared_counts {
	uint64_t answered, unknown, never, swapped, not_swapped;
};

/* Make the database if it is not there. Fails the test after a while. */
void compared_create(struct harness_cluster *cluster);
/* generation: of a run; each has keys of its own. cluster: borrowed until stop. Returned (compared_stop). Thread: main.
 */
struct compared *compared_start(struct harness_cluster *cluster, uint32_t client_count, uint32_t generation);
/* Wait until that many more calls have been answered. False: not within timeout_ms. */
bool compared_wait(struct compared *compared, uint64_t more, uint32_t timeout_ms);
/* End it and judge: a history that no single register could have given fails the test. */
struct compared_counts compared_stop(struct compared *compared);

#endif
