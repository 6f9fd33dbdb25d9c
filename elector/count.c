/* Why this file exists: see elector/count.h. */
#include "elector/count.h"

#include "elector/state.h"

static bool visit(void *ctx, const char *name, const Fts__Elector__V1__Election *election)
{
	struct fts_election_counts *counts = ctx;
	(void)name;
	counts->elections++;
	counts->with_master += election->master[0] != '\0';
	return counts->elections < FTS_ELECTION_COUNTED_MAX;
}

enum fts_status fts_elector_count(struct fts_txn *view, struct fts_election_counts *out_counts)
{
	struct fts_election_counts counts = {0};
	enum fts_status status = ftsi_state_visit_elections(view, "", visit, &counts);
	if (status == FTS_OK) *out_counts = counts;
	return status;
}
