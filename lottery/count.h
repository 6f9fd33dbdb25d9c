/* Why this file exists: how many draws there are, by state, and how many bets they hold: for metrics. */
#ifndef FTS_LOTTERY_COUNT_H
#define FTS_LOTTERY_COUNT_H

#include "store/store.h"

#define FTS_DRAW_COUNTED_MAX 10000 /* more are not looked at */

struct fts_draw_counts {
	uint32_t open, sealed, drawn;
	uint64_t bets;
};

/* As of view (borrowed). Errors: as the store's. Thread: the view's. */
FTS_MUST_USE enum fts_status fts_lottery_count(struct fts_txn *view, struct fts_draw_counts *out_counts);

#endif
