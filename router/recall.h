/* Why this file exists: a write whose caller sends it again, because no answer came, may have been taken: the owners
 * are asked whether they remember it (storage/taken.h), so that it is finished as what it is and not made anew over
 * what others wrote in between.
 *
 * Invariants: done is called exactly once, on any thread, also within the call. Owners that don't answer within
 * FTSI_RECALL_MS count for nothing. Thread: any. */
#ifndef FTS_ROUTER_RECALL_H
#define FTS_ROUTER_RECALL_H

#include "router/coordinate.h"

enum { FTSI_RECALL_MS = 500 };

struct ftsi_recalled {
	uint64_t version_time, version_node; /* time 0: nobody remembers it */
	bool existed;
};
typedef void (*ftsi_recall_fn)(void *ctx, const struct ftsi_recalled *recalled);

struct ftsi_recall {
	uint32_t db;
	struct fts_bytes key; /* borrowed for the start */
	uint64_t write_id, deadline_ns;
	ftsi_recall_fn done;
	void *ctx;
};
void ftsi_recall_start(struct ftsi_coordinator *coordinator, const struct ftsi_recall *recall);

#endif
