/* Why this file exists: linearizable reads without a log entry. The leader notes its commit index, makes sure that its
 * term still stands, and reads once that index is applied. Source: Ongaro (2014), section 6.4.
 *
 * Invariants: one round confirms all reads that wait when it starts. A round needs the barrier of this term to have
 * committed (replica->serving), for only then is the commit index all that was committed before. */
#include "replica/guards.h"

static struct ftsi_read_list take_all(struct ftsi_read_list *list)
{
	struct ftsi_read_list taken = *list;
	list->first = NULL;
	list->last = &list->first;
	list->count = 0;
	return taken;
}

/* Does a majority still follow this term? The only voter is its own majority. */
static bool confirmed(const struct fts_replica *replica)
{
	return atomic_load(&replica->sole);
}

void ftsi_read_index_round(struct fts_replica *replica)
{
	struct ftsi_read_list confirmed_reads;
	if (replica->unconfirmed.first == NULL || !atomic_load(&replica->serving) || !confirmed(replica)) return;
	/* What has committed is applied and written by now: this runs at the end of a turn. */
	confirmed_reads = take_all(&replica->unconfirmed);
	for (struct ftsi_read_job *job = confirmed_reads.first; job != NULL;) {
		struct ftsi_read_job *next = job->next;
		ftsi_readers_give(replica, job);
		job = next;
	}
}
