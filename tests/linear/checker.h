/* Why this file exists: could one object in one place, serving one call at a time, have given these answers? That is
 * linearizability; this decides it for a history of calls with the moments at which each began and ended.
 *
 * An outcome may be unknown (the caller's time ran out, its server died): such a call may have taken effect at any
 * moment after it began, long after its caller gave up, or never.
 *
 * Invariants: a history is refused only when no order explains it, and accepted only with an order at hand. What can't
 * be decided within the limits is LINEAR_UNDECIDED, which a test must treat as a failure.
 * Source: Wing, Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017):
 * the just-in-time search with a memo of (set of calls done, state); keys are checked one by one, since
 * linearizability is local (Herlihy, Wing 1990). The same search is in Knossos and Porcupine. */
#ifndef FTS_TESTS_LINEAR_CHECKER_H
#define FTS_TESTS_LINEAR_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_STATE_MAX_BYTES 32
#define LINEAR_REPORT_MAX_BYTES 4096

struct linear_operation {
	uint32_t key; /* of the object called */
	uint32_t client;
	uint32_t kind; /* of the model */
	bool known;    /* the outcome is: output holds it, return_ns is when */
	int64_t input[2];
	int64_t output[2];
	uint64_t invoke_ns, return_ns; /* one clock for all */
};

/* An object that begins as all zero bytes. */
struct linear_model {
	const char *name;
	size_t state_bytes;
	/* May operation happen in state, with the answer it got if that is known? The state after it: *out_state. */
	bool (*step)(const void *state, const struct linear_operation *operation, void *out_state);
	/* For people: "cas 3 -> 5 = swapped". */
	void (*print)(const struct linear_operation *operation, char *out, size_t size_bytes);
};

enum linear_verdict { LINEAR_OK, LINEAR_VIOLATION, LINEAR_UNDECIDED };

struct linear_limits {
	uint64_t steps_max;    /* 0: 50 million, over all keys */
	size_t memo_bytes_max; /* 0: 512 MiB, of one key */
	uint32_t time_max_ms;  /* 0: 60 s, over all keys */
};

struct linear_report {
	uint64_t steps;
	uint32_t key_count;
	uint32_t key;                       /* of a violation */
	char text[LINEAR_REPORT_MAX_BYTES]; /* of a violation: what could not be explained */
};

/* operations: borrowed, in any order. limits: borrowed, NULL: defaults. */
enum linear_verdict linear_check(const struct linear_model *model, const struct linear_operation *operations,
				 size_t count, const struct linear_limits *limits, struct linear_report *out_report);
const char *linear_verdict_name(enum linear_verdict verdict);

#endif
