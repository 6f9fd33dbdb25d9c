/* Why this file exists: how many elections there are and how many have a master: for metrics. */
#ifndef FTS_ELECTOR_COUNT_H
#define FTS_ELECTOR_COUNT_H

#include "store/store.h"

#define FTS_ELECTION_COUNTED_MAX 10000 /* more are not looked at */

struct fts_election_counts {
	uint32_t elections, with_master;
};

/* As of view (borrowed). Errors: as the store's. Thread: the view's. */
FTS_MUST_USE enum fts_status fts_elector_count(struct fts_txn *view, struct fts_election_counts *out_counts);

#endif
