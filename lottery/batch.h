/* Why this file exists: the bets of one command, from the request to one block of bytes: which rows are good, which
 * of an import were stored before, and what the stored ones add to the draw. Pure; the store of bets' hot path.
 *
 * Invariants: one pass validates, one writes the bytes, one hashes; memory comes from the arena in a handful of
 * pieces. A row is stored, already stored, or refused with all its faults; stored rows keep their order. */
#ifndef FTS_LOTTERY_BATCH_H
#define FTS_LOTTERY_BATCH_H

#include "lottery/transition.h"

struct ftsi_batch {
	/* Given. Borrowed until the step is stored. */
	Fts__Lottery__V1__Bet *const *bets;
	uint32_t count;
	uint64_t first_row;      /* in the import */
	struct ftsi_page *pages; /* all that the rows lie on, ascending without gaps; NULL: no import */
	uint32_t page_count;
	struct fts_bytes import; /* its name, for people */

	/* Made by ftsi_batch_read, in the arena. */
	uint32_t stored_count, already_count, refused_count;
	Fts__Lottery__V1__RowVerdict **verdicts; /* refused_count of them */
	uint8_t *bytes;                          /* of the bets to be stored */
	size_t size_bytes;
	uint16_t *sizes; /* of each of them */
};

/* Judge all rows on the day today. Sets the fingerprints of rows to be stored in the pages.
 * RESOURCE_EXHAUSTED: the arena is full. */
FTS_MUST_USE enum fts_status ftsi_batch_read(struct ftsi_batch *batch, uint32_t today, struct fts_arena *arena);

/* What keeps agency (number and state) from storing a bet now; OK: nothing. */
FTS_MUST_USE enum fts_status ftsi_batch_check_open(const struct ftsi_draw *draw, uint32_t number,
						   const struct ftsi_agency *agency, struct ftsi_step *step);

/* Add the rows to be stored (at least one) to draw and agency; *out_first_ticket is the first one's.
 * RESOURCE_EXHAUSTED: the arena is full, nothing was changed. */
FTS_MUST_USE enum fts_status ftsi_batch_add(const struct ftsi_batch *batch, struct ftsi_draw *draw, uint32_t number,
					    struct ftsi_agency *agency, struct ftsi_step *step, struct fts_arena *arena,
					    uint64_t *out_first_ticket);

/* All faults of a verdict, "field: reason; field: reason", into buf. */
void ftsi_verdict_text(const Fts__Lottery__V1__RowVerdict *verdict, char *buf, size_t size_bytes);

#endif
