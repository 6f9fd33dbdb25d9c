/* Why this file exists: the objects that histories are held against. */
#ifndef FTS_TESTS_LINEAR_MODELS_H
#define FTS_TESTS_LINEAR_MODELS_H

#include "tests/linear/checker.h"

/* ---- A register: 0 until written ---- */

enum linear_register_kind {
	LINEAR_READ,  /* output: value */
	LINEAR_WRITE, /* input: value */
	LINEAR_CAS,   /* input: expected, value; output: swapped, value afterwards */
	LINEAR_ADD,   /* input: delta; output: sum */
};
extern const struct linear_model linear_register;

/* Take out what can't matter: calls of unknown outcome that read, and those that would have written a value which no
 * other call of the register mentions. Only where values written are unique, and no call adds. Returns how many are
 * left, in the same order.
 * Why it changes no verdict: such a call can stand at the end of any order. If it stands elsewhere, nothing that
 * looks at the register follows before the next write (it would mention the value): so leaving it out fits too. */
size_t linear_register_prune(struct linear_operation *operations, size_t count);

/* ---- A match: moves in a row, each at its ply ---- */

enum linear_match_kind {
	LINEAR_MOVE, /* input: ply wanted (from 1), move; output: 1 done, 0 refused since the ply is another */
	LINEAR_SHOW, /* output: plies, linear_match_hash of all moves */
};
extern const struct linear_model linear_match;
/* hash of no moves: 0. */
int64_t linear_match_hash(int64_t hash, int64_t move);

/* ---- A set of bets: what was stored is there once, what was refused is not, what is unknown may be ---- */

enum linear_told { LINEAR_TOLD_NOTHING, LINEAR_TOLD_STORED, LINEAR_TOLD_REFUSED };
/* told: by bet; found: places in told of the bets that are there. All borrowed. True: nothing is wrong; otherwise
 * out_text (of LINEAR_REPORT_MAX_BYTES) says what. */
bool linear_bets_check(const enum linear_told *told, size_t told_count, const size_t *found, size_t found_count,
		       char *out_text);

#endif
