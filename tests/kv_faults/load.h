/* Why this file exists: clients of the sharded store that write, delete and read at quorum all the time, whatever
 * happens to the nodes, and hold every answer against what was acknowledged before.
 *
 * Each key has one writer, whose writes are numbered; every fifth is a deletion. A read that begins when number a was
 * acknowledged, or seen by anybody, and ends when number t was tried must see a number from a to t: less is a lost
 * write, more was never written. A key whose write ended with an unknown outcome is not written again, since that
 * write may still take effect; it is still read.
 *
 * Invariant: nobody repeats a call: each is one attempt at one node. */
#ifndef FTS_TESTS_KV_FAULTS_LOAD_H
#define FTS_TESTS_KV_FAULTS_LOAD_H

#include "tests/kv/help.h"

#define KV_LOAD_KEY_BYTES 32

struct kv_load;

struct kv_load_options {
	struct harness_cluster *cluster; /* borrowed until stop */
	const char *prefix;              /* of its keys; borrowed until stop */
	uint32_t writer_count, reader_count;
	uint32_t timeout_ms; /* of a call; 0: 2,500 */
	uint32_t pause_us;   /* after each call; 0: none */
	uint64_t seed;
};
/* Asks all nodes that are there at its start. Returned (kv_load_stop). Thread: main. */
struct kv_load *kv_load_start(const struct kv_load_options *options);
/* Ask node from now on, or not any more. A call that is under way may still be asked of it. */
void kv_load_use(struct kv_load *load, size_t node, bool use);

struct kv_load_counts {
	uint64_t writes, reads; /* answered */
	uint64_t unknown;       /* writes of unknown outcome */
	uint64_t refused;       /* writes that certainly did not take place */
	uint64_t unread;        /* reads without an answer */
	uint64_t keys;
	uint64_t longest_gap_ms; /* between two acknowledged writes of whomever */
	uint64_t clean_ms;       /* after its end: until all owners had the same */
	char failure[300];       /* what the first failed call was told */
};
struct kv_load_counts kv_load_counts(struct kv_load *load);
/* Wait until that many more writes and reads have been answered. False: not within timeout_ms. */
bool kv_load_wait(struct kv_load *load, uint64_t more, uint32_t timeout_ms);
/* One of its keys that was written. out: KV_LOAD_KEY_BYTES. False: there is none yet. */
bool kv_load_key(struct kv_load *load, uint64_t choice, char *out);
/* End it; all nodes that are asked must be there. Then, with nobody reading, all owners of each key come to have the
 * same, and `kv verify` finds nothing. Then every key is read once more. Anything else, and any read that saw what it
 * must not, fails the test. */
struct kv_load_counts kv_load_stop(struct kv_load *load);

#endif
