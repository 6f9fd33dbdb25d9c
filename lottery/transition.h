/* Why this file exists: what each command does to a draw. Load, transition, store: these are the transitions, they do
 * no I/O and see no clock; apply.c loads and stores around them.
 *
 * A draw's states and what moves it:
 *
 * | state  | bets | close           | commit | reveal               | time limit                    |
 * | OPEN   | yes  | last one: seals | yes    | refused              | seals                         |
 * | SEALED | no   | no error        | no     | last one: number due | number due after 60 s         |
 * | DRAWN  | no   | no error        | no     | no error             | no error                      |
 *
 * Invariants: a transition that does not return OK has changed nothing that is kept, and step->error says which rule
 * was broken. Root and chain head at the seal never change after it. */
#ifndef FTS_LOTTERY_TRANSITION_H
#define FTS_LOTTERY_TRANSITION_H

#include "lottery/draw.h"
#include "lottery/state.h"

enum { FTSI_STEP_RECORD_COUNT_MAX = 3, FTSI_STEP_EVENT_COUNT_MAX = 2 };

/* One command: what it sees besides the state, and what it gives besides the state. */
struct ftsi_step {
	uint64_t index;
	int64_t time_ms;

	struct {
		uint64_t number;
		size_t size_bytes;
		uint8_t bytes[FTSI_HASH_BYTES + FTSI_RECORD_BYTES_MAX]; /* head, then the record */
		struct fts_bytes bets;                                  /* borrowed from whoever made them */
	} records[FTSI_STEP_RECORD_COUNT_MAX];
	uint32_t record_count;
	struct {
		Fts__Lottery__V1__DrawState state;
		uint32_t agency_closed;
	} events[FTSI_STEP_EVENT_COUNT_MAX];
	uint32_t event_count;
	bool watched_changed; /* what nodes have to watch of the draw */
	struct fts_error error;
};

/* Add a record to draw's chain. record: borrowed, but for bets, which must live as long as the step. */
void ftsi_step_record(struct ftsi_step *step, struct ftsi_draw *draw, struct ftsi_record *record,
		      struct fts_bytes bets);

/* A draw nobody has opened yet. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED (too many draws are waiting
 * for their number). */
FTS_MUST_USE enum fts_status ftsi_open(const Fts__Lottery__V1__OpenRequest *request, struct ftsi_step *step,
				       struct ftsi_lottery *lottery, struct ftsi_draw *out_draw,
				       struct ftsi_commitments *out_commitments);
/* A draw that is there. Errors: ALREADY_EXISTS (with other terms; says which). */
FTS_MUST_USE enum fts_status ftsi_open_again(const Fts__Lottery__V1__OpenRequest *request, const struct ftsi_draw *draw,
					     struct ftsi_step *step);

/* Errors: INVALID_ARGUMENT (agency, entropy too long). */
FTS_MUST_USE enum fts_status ftsi_close(const Fts__Lottery__V1__AgencyCloseRequest *request, struct ftsi_step *step,
					struct ftsi_draw *draw, struct ftsi_agency *agency);
/* Errors: INVALID_ARGUMENT, FAILED_PRECONDITION (fixed, sealed, another hash before), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_commit(const Fts__Lottery__V1__Commitment *commitment, struct ftsi_step *step,
					 struct ftsi_draw *draw, struct ftsi_commitments *commitments);
/* Errors: NOT_FOUND (no such commitment), FAILED_PRECONDITION (not sealed), INVALID_ARGUMENT (not what was
 * committed to). */
FTS_MUST_USE enum fts_status ftsi_reveal(const Fts__Lottery__V1__RevealCommand *command, struct ftsi_step *step,
					 struct ftsi_draw *draw, struct ftsi_commitments *commitments);
/* Seals at the time limit; *out_waited: the wait for secrets is over. Errors: FAILED_PRECONDITION (too early). */
FTS_MUST_USE enum fts_status ftsi_expire(const Fts__Lottery__V1__ExpireCommand *command, struct ftsi_step *step,
					 struct ftsi_draw *draw, bool *out_waited);

/* Whether the number is to be made now. */
bool ftsi_number_is_due(const struct ftsi_draw *draw, const struct ftsi_commitments *commitments, bool waited);
/* SEALED -> DRAWN. seed: NULL for a fixed number. */
void ftsi_number_make(struct ftsi_step *step, struct ftsi_draw *draw, const uint8_t seed[FTSI_HASH_BYTES]);

/* Whether agency is one of draw's; fills step's error otherwise. */
FTS_MUST_USE enum fts_status ftsi_agency_check(const struct ftsi_draw *draw, uint32_t agency, struct fts_error *error);

#endif
