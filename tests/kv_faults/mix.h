/* Why this file exists: a mix of faults on a cluster of real nodes, one after the other, by a seed, while clients of
 * the sharded store (tests/kv_faults/load.h) and of a linearizable database (tests/kv_faults/compared.h) go on. `make
 * test` runs short ones, `make chaos-kv` long ones.
 *
 * After each fault both kinds of clients must make progress again within KV_MIX_PROGRESS_MS. At the end of each stretch
 * all is well for good: then every acknowledged write is read again, `kv verify` must find nothing within
 * KV_MIX_CLEAN_MS though nobody repairs anything, and the history of the linearizable database is judged. The seed
 * decides which faults, upon whom, and for how long (not how threads and processes interleave). */
#ifndef FTS_TESTS_KV_FAULTS_MIX_H
#define FTS_TESTS_KV_FAULTS_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_MIX_PROGRESS_MS 30000

enum kv_fault {
	KV_KILL,       /* kill -9 */
	KV_KILL_ALL,   /* all nodes at once: power */
	KV_PAUSE,      /* SIGSTOP, SIGCONT */
	KV_STOP,       /* SIGTERM: exits 0 */
	KV_ISOLATE,    /* cut off from all others */
	KV_ONE_WAY,    /* hears and can't speak, or speaks and can't hear */
	KV_CLOCK,      /* its wall clock is set: a little ahead, or far back; also over a restart */
	KV_LOSE_DISK,  /* kill -9, and its directory is gone */
	KV_LOSE_STORE, /* kill -9, and DIR/kv alone is gone */
	KV_DAMAGE,     /* one of its records is altered while it is stopped */
	KV_FULL,       /* its disk is full for a while */
	KV_FAULT_COUNT,
};

struct kv_mix_options {
	uint64_t seed;
	uint32_t seconds;         /* of faults */
	uint32_t stretch_seconds; /* between two judgements; 0: all at once */
	uint32_t node_count;
	const uint32_t *weights; /* of KV_FAULT_COUNT faults; borrowed; NULL: the usual */
	bool in_turn;            /* each fault with a weight once, in their order, instead of by chance and time */
	bool talks;              /* one line a fault on standard output */
};

struct kv_mix_counts {
	uint64_t writes, reads, unknown, refused, unread, keys, compared, swapped, stretches, longest_gap_ms;
	uint64_t longest_clean_ms; /* until verify found nothing */
	uint64_t faults[KV_FAULT_COUNT];
};

/* Run it; anything wrong fails the test. out_counts: as far as it came. */
void kv_mix_run(const struct kv_mix_options *options, struct kv_mix_counts *out_counts);
/* Weights (KV_FAULT_COUNT of them) of only the faults in list ("kill,clock"). False: one of them is unknown. */
bool kv_mix_only(const char *list, uint32_t *out_weights);
void kv_mix_print(const struct kv_mix_counts *counts);

#endif
