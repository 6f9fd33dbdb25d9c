/* Why this file exists: the rules of a draw, followed record by record by somebody who trusts nobody.
 *
 * Invariant: the first thing that is not as it has to be ends the check, and is told with its place. */
#ifndef FTS_VERIFY_CHECK_H
#define FTS_VERIFY_CHECK_H

#include "verify/bundle.h"

struct node {
	char name[NODE_BYTES_MAX + 1];
	uint8_t hash[HASH_BYTES], secret[HASH_BYTES];
	bool revealed;
};

struct agency {
	uint64_t bets, winners;
	bool closed;
	struct blob entropy;
};

/* Called for each bet on the number that the first line claims; the claim itself is checked at the end. */
typedef bool (*winner_fn)(void *ctx, uint32_t agency, uint64_t ticket, struct text document);

struct check {
	struct claim claim;
	winner_fn on_winner;
	void *ctx;

	uint64_t record_count;
	uint64_t agency_count, closed_count;
	bool fixed;
	uint32_t number;
	int64_t close_by_ms, last_time_ms, sealed_ms;
	uint64_t last_index, seal_index, draw_index;
	enum { BEFORE_OPEN, TAKES_BETS, SEALED, DRAWN } stage;
	bool claimed_chain_seen; /* of a bundle taken between seal and draw */
	uint8_t head[HASH_BYTES], seal_head[HASH_BYTES], root[HASH_BYTES], seed[HASH_BYTES];
	struct tree tree;
	struct agency agencies[AGENCY_COUNT_MAX];
	uint32_t node_count, revealed_count;
	struct node nodes[COMMITMENT_COUNT_MAX]; /* by name */

	/* What is wrong; what[0] is 0 as long as nothing is. */
	char what[2 * FAULT_BYTES];
	uint64_t ticket; /* 0: not one bet in particular */
	bool in_record;  /* otherwise: in the first line, or at the end */
	bool no_memory;
};

/* The first line. False: check->what says what is wrong. */
bool check_claim(struct check *check, const json_t *json);
/* The next record. */
bool check_record(struct check *check, const json_t *json);
/* No more records: is all there, and as the first line claims? */
bool check_end(struct check *check);
/* Something is wrong with the line itself. */
bool check_fail(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
