/* Why this file exists: the winners of drawn draws. They follow from the stored bets by one scan; the scan's result
 * is kept, so that a query costs what its answer costs, not what the draw had of bets.
 *
 * Invariants: a draw is scanned by one thread at a time, others who want it wait for that scan. Memory is bounded and
 * reserved at the start; the draw that was asked for longest ago leaves first. Winners that would take more than half
 * of it are not kept: each query for them scans. Winners of an agency come in the order of their tickets, one entry a
 * winning bet. */
#ifndef FTS_LOTTERY_WINNERS_H
#define FTS_LOTTERY_WINNERS_H

#include "lottery/state.h"

struct ftsi_winners;

/* memory_bytes: to keep winners in. Returned (destroy); NULL: no memory. */
struct ftsi_winners *ftsi_winners_create(size_t memory_bytes);
/* Nobody may be asking any more. NULL: no-op. */
void ftsi_winners_destroy(struct ftsi_winners *winners);

struct ftsi_winners_query {
	uint32_t agency;
	uint64_t from;
	uint64_t count_max; /* of documents; 0: any number */
	size_t bytes_max;   /* of documents, as packed */
	/* Made: */
	char **documents; /* in the arena */
	size_t document_count;
	uint64_t total; /* winners of the agency */
	bool cut;       /* there are more than fit bytes_max */
};

/* Answer query (borrowed) about draw (borrowed; DRAWN) from view (borrowed), with memory from arena. Thread: any but
 * the loop; may scan. Errors: RESOURCE_EXHAUSTED (arena), or the store's. */
FTS_MUST_USE enum fts_status ftsi_winners_find(struct ftsi_winners *winners, struct fts_txn *view,
					       const struct ftsi_draw *draw, struct ftsi_winners_query *query,
					       struct fts_arena *arena);

/* Scan draw now unless its winners are there. Thread: any but the loop. */
FTS_MUST_USE enum fts_status ftsi_winners_warm(struct ftsi_winners *winners, struct fts_txn *view,
					       const struct ftsi_draw *draw);

/* The state was replaced: nothing found so far counts. Thread: any. */
void ftsi_winners_forget(struct ftsi_winners *winners);

#endif
