/* Why this file exists: the sum over everything in a state, as of one entry of the log, made on the side.
 *
 * Invariants: a slice reads at most SLICE_BYTES and there is one a tick, the first at once: a small state is summed up
 * in one go, a large one takes a fifth of a core while it lasts. The view is held meanwhile, so that writes go on.
 * What the sum leaves out: the applied record, which is each node's own. */
#include <stdlib.h>

#include "base/checksum.h"
#include "replica/applied.h"
#include "replica/digest_internal.h"
#include "replica/state_internal.h"

enum { SLICE_BYTES = 8 * 1024 * 1024 };

struct ftsi_digest_scan {
	struct ftsi_job job;  /* first */
	struct fts_txn *view; /* owned */
	struct fts_cursor *cursor;
	uint64_t index, sum;
	bool running, ended, dropped;
};

static enum fts_status scan_work(struct ftsi_job *job)
{
	const struct fts_bytes all = {NULL, 0};
	struct ftsi_digest_scan *scan = (struct ftsi_digest_scan *)(void *)job;
	struct fts_bytes key, value;
	size_t done = 0;
	enum fts_status status;
	if (scan->cursor == NULL && (status = fts_txn_scan(scan->view, all, all, &scan->cursor)) != FTS_OK)
		return status;
	while (done < SLICE_BYTES) {
		if (!fts_cursor_next(scan->cursor, &key, &value)) {
			scan->ended = true;
			return fts_cursor_status(scan->cursor);
		}
		done += key.size_bytes + value.size_bytes;
		if (ftsi_applied_is_key(key)) continue;
		scan->sum = fts_checksum(value, fts_checksum(key, scan->sum));
	}
	return FTS_OK;
}

static void free_scan(struct ftsi_digest_scan *scan)
{
	fts_cursor_close(scan->cursor);
	fts_txn_abort(scan->view);
	free(scan);
}

static void scan_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct ftsi_digest_scan *scan = (struct ftsi_digest_scan *)(void *)job;
	scan->running = false;
	if (scan->dropped) {
		free_scan(scan);
		return;
	}
	if (status == FTS_OK && !scan->ended) return; /* the next slice: ftsi_scan_tick */
	replica->keeper->digest->scan = NULL;
	ftsi_digest_saw(replica, scan->index, scan->sum == 0 ? 1 : scan->sum, status);
	free_scan(scan);
}

static void go_on(struct fts_replica *replica, struct ftsi_digest_scan *scan)
{
	scan->running = true;
	scan->job.work = scan_work;
	scan->job.done = scan_done;
	ftsi_worker_submit(&replica->state_worker, &scan->job);
}

void ftsi_scan_begin(struct fts_replica *replica, struct fts_txn *view, uint64_t index)
{
	/* While it stops nobody would end it. */
	struct ftsi_digest_scan *scan = replica->keeper->stopping ? NULL : calloc(1, sizeof *scan);
	if (scan == NULL) {
		fts_txn_abort(view);
		return;
	}
	scan->view = view;
	scan->index = index;
	replica->keeper->digest->scan = scan;
	go_on(replica, scan);
}

void ftsi_scan_tick(struct fts_replica *replica)
{
	struct ftsi_digest_scan *scan = replica->keeper->digest->scan;
	if (scan != NULL && !scan->running) go_on(replica, scan);
}

void ftsi_scan_drop(struct fts_replica *replica)
{
	struct ftsi_digest_scan *scan = replica->keeper->digest->scan;
	replica->keeper->digest->scan = NULL;
	if (scan == NULL) return;
	if (scan->running)
		scan->dropped = true; /* freed by scan_done */
	else
		free_scan(scan);
}
