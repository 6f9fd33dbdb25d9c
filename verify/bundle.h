/* Why this file exists: reading a bundle: bounded lines, JSON, and the fields of a status or a record, each looked at
 * with suspicion.
 *
 *   line 1      {"fts_draw_bundle":1,"status":STATUS}
 *   every other one record
 *
 * Invariants: a line is at most LINE_BYTES_MAX; what has another type, another range, or an unknown name is a fault
 * that names the field. Nothing in a file makes the program crash or take more memory than a line's worth. */
#ifndef FTS_VERIFY_BUNDLE_H
#define FTS_VERIFY_BUNDLE_H

#include <jansson.h>
#include <stdio.h>

#include "verify/proof.h"

enum {
	LINE_BYTES_MAX = 16 * 1024 * 1024,
	FAULT_BYTES = 256,
	AGENCY_COUNT_MAX = 10000,
	COMMITMENT_COUNT_MAX = 64,
	BET_COUNT_MAX = 4096
};

struct bundle {
	FILE *file;    /* borrowed */
	uint64_t line; /* number of the last line read, from 1 */
	char *buffer;  /* owned */
	size_t capacity;
	char fault[FAULT_BYTES];
};

enum bundle_result { BUNDLE_LINE, BUNDLE_END, BUNDLE_FAULT, BUNDLE_UNREADABLE };

/* The next line as JSON, out_json: returned (json_decref). FAULT: it is too long or no JSON object (bundle->fault
 * says). UNREADABLE: the file can't be read, or there is no memory. */
enum bundle_result bundle_next(struct bundle *bundle, json_t **out_json);
void bundle_fini(struct bundle *bundle);

struct commitment {
	char node[NODE_BYTES_MAX + 1];
	struct blob hash, secret;
};

struct agency_status {
	uint64_t bets;
	bool closed;
};

/* What the first line claims. */
struct claim {
	char draw[NAME_BYTES_MAX + 1];
	enum { STATE_UNKNOWN, STATE_OPEN, STATE_SEALED, STATE_DRAWN } state;
	uint64_t bets, number, seal_index, draw_index;
	int64_t close_by_ms;
	bool fixed;
	struct blob root, chain;
	uint64_t agency_count;
	struct agency_status agencies[AGENCY_COUNT_MAX]; /* of agency i + 1 */
	uint64_t commitment_count;
	struct commitment commitments[COMMITMENT_COUNT_MAX];
};

/* False: fault (FAULT_BYTES) says what is wrong. Texts of out_record are borrowed from json. */
bool claim_read(const json_t *json, struct claim *out_claim, char *fault);
bool record_read(const json_t *json, struct record *out_record, char *fault);
/* Bet i of a record that was read. */
bool bet_read(const json_t *json, uint32_t i, struct bet *out_bet, char *fault);

/* Whether json is the first line of a bundle. */
bool bundle_is_header(const json_t *json);

#endif
