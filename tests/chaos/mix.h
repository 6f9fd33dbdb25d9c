/* Why this file exists: a mix of faults on a cluster of real nodes, one after the other, by a seed, while clients go on
 * and write down what they were told. `make test` runs a short one, `make chaos` a long one.
 *
 * After each fault the cluster must make progress again within progress_ms; after each stretch all nodes must be
 * equal and the history must be one that a single register could have given; so for moves, and for bets. Whatever fails
 * names the fault and the seed; the seed decides which faults, upon whom, and for how long (not how threads and
 * processes interleave). */
#ifndef FTS_TESTS_CHAOS_MIX_H
#define FTS_TESTS_CHAOS_MIX_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_PROGRESS_MS 20000 /* unless the options say otherwise */
#define MIX_EQUAL_MS 40000

enum mix_fault {
	MIX_KILL,       /* kill -9 */
	MIX_KILL_AGAIN, /* and once more while it starts */
	MIX_KILL_ALL,   /* all nodes at once: power */
	MIX_PAUSE,      /* SIGSTOP, SIGCONT */
	MIX_PAUSE_KILL, /* SIGSTOP, then kill -9 */
	MIX_OLD_LEADER, /* SIGSTOP of the leader, kill -9 of its successor, SIGCONT */
	MIX_STOP,       /* SIGTERM: hands over, exits 0 */
	MIX_ISOLATE,    /* cut off from all others */
	MIX_ONE_WAY,    /* hears and can't speak, or speaks and can't hear */
	MIX_BAD_LINE,   /* loss, duplication, reordering, delay */
	MIX_SLOW_DISK,  /* syncs take long */
	MIX_LOSE_DISK,  /* kill -9, and its directory is gone */
	MIX_LEAD,       /* leadership is handed to somebody */
	MIX_FAULT_COUNT,
};

struct mix_options {
	uint64_t seed;
	uint32_t seconds;         /* of faults */
	uint32_t stretch_seconds; /* between two judgements; 0: all at once */
	uint32_t node_count;
	uint32_t client_count;
	uint32_t progress_ms;    /* after a fault; 0: MIX_PROGRESS_MS */
	bool hosts;              /* each node on a host of its own, on the switch: network faults too */
	const char *log_bytes;   /* of log before a snapshot; borrowed */
	const uint32_t *weights; /* of MIX_FAULT_COUNT faults; borrowed; NULL: the usual */
	bool talks;              /* one line a fault on standard output */
};

struct mix_counts {
	uint64_t calls, unknown, never, judged, bets, moves, stretches, longest_gap_ms, longest_wait_ms,
	    snapshots_installed;
	uint64_t faults[MIX_FAULT_COUNT];
	uint64_t gap_ms[MIX_FAULT_COUNT]; /* the longest without an answer, of anybody, around each kind of fault */
};

/* Run it; anything wrong fails the test. out_counts: as far as it came, also when it fails. */
void mix_run(const struct mix_options *options, struct mix_counts *out_counts);
const char *mix_fault_name(enum mix_fault fault);
/* Weights (MIX_FAULT_COUNT of them) of only the faults in list ("kill,old leader"). False: one of them is unknown. */
bool mix_only(const char *list, uint32_t *out_weights);
/* For people. */
void mix_print(const struct mix_counts *counts);

#endif
