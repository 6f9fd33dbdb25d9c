/* Why this file exists: workers, tickets and lines as they lie in the state.
 *
 * | key (store/key.h)                                | value                                                |
 * | TABLE_WORKER, u64 worker                         | dispatch.v1.WorkerRecord                             |
 * | TABLE_INSTANCE, u64 instance                     | worker 8                                             |
 * | TABLE_FREE, text name, u32 running, u64 worker   | none                                                 |
 * | TABLE_NAME, text name                            | workers 4, in line 4, least 4, turn 8, line from 8   |
 * | TABLE_TICKET, u64 number                         | dispatch.v1.TicketRecord                             |
 * | TABLE_LINE, text name, u64 number                | none                                                 |
 * | TABLE_HELD, u64 worker, u64 number               | none                                                 |
 * | TABLE_DUE, u64 due ms, u64 number                | none                                                 |
 * | TABLE_ENDED, u64 due ms, u64 number              | none                                                 |
 * | TABLE_ENDED_FROM                                 | due ms 8, number 8                                   |
 *
 * Numbers are big endian; worker ids and numbers are log index << 16 | ordinal, so they grow.
 *
 * Invariants: TABLE_FREE has exactly the workers that may take another run. Each ticket or place that has not ended
 * stands in TABLE_DUE, each other one in TABLE_ENDED until it is forgotten.
 *
 * What was deleted costs whoever scans over it, until the store is compacted. Tables whose first entry is taken again
 * and again are therefore scanned from where the first one may be at the earliest: `least` and `turn` (TABLE_FREE),
 * `line from`, held_from of a worker, TABLE_ENDED_FROM. No entry lies below; that is part of the state, as all else. */
#ifndef FTS_DISPATCH_STATE_H
#define FTS_DISPATCH_STATE_H

#include <fts/dispatch/v1/dispatch.pb-c.h>

#include "base/arena.h"
#include "replica/replica.h"

enum {
	FTSI_DISPATCH_NAME_MAX = 64,
	FTSI_TABLE_WORKER = FTS_TABLE_DISPATCH,
	FTSI_TABLE_INSTANCE,
	FTSI_TABLE_FREE_BY_TURN, /* an earlier form of TABLE_FREE: nothing stands there any more */
	FTSI_TABLE_NAME,
	FTSI_TABLE_TICKET,
	FTSI_TABLE_LINE,
	FTSI_TABLE_HELD,
	FTSI_TABLE_DUE,
	FTSI_TABLE_ENDED,
	FTSI_TABLE_FREE,
	FTSI_TABLE_ENDED_FROM,
};

/* Where records are read from and written to: a transition's, or a read's with no writing. */
struct ftsi_place {
	struct fts_txn *txn;
	struct fts_arena *arena; /* what is read lies here */
};

struct ftsi_name {
	uint32_t worker_count, line_count;
	uint32_t least; /* no worker that may take a run has fewer */
	uint64_t turn;  /* whose turn it was last: behind it the next of the least loaded is looked for */
	uint64_t line_from;
};
#define FTSI_ALL_NAMES "" /* worker_count: how many names there are */

/* All: NOT_FOUND (no such thing), RESOURCE_EXHAUSTED (arena), DATA_LOSS, and the store's errors. */
FTS_MUST_USE enum fts_status ftsi_worker_get(struct ftsi_place place, uint64_t worker,
					     Fts__Dispatch__V1__WorkerRecord **out_record);
/* Store record (NULL: remove), which was *before (NULL: there was none) when it was read: TABLE_FREE follows. */
FTS_MUST_USE enum fts_status ftsi_worker_put(struct ftsi_place place, uint64_t worker,
					     const Fts__Dispatch__V1__WorkerRecord *before,
					     const Fts__Dispatch__V1__WorkerRecord *record);
FTS_MUST_USE enum fts_status ftsi_instance_get(struct ftsi_place place, uint64_t instance, uint64_t *out_worker);
Fts__Dispatch__V1__WorkerState ftsi_worker_state(const Fts__Dispatch__V1__WorkerRecord *record);
/* Of the workers of name that may take a run one of the least loaded: they have their turns. */
FTS_MUST_USE enum fts_status ftsi_free_take(struct ftsi_place place, const char *name, uint64_t *out_worker);

FTS_MUST_USE enum fts_status ftsi_name_get(struct ftsi_place place, const char *name, struct ftsi_name *out_name);
FTS_MUST_USE enum fts_status ftsi_name_put(struct ftsi_place place, const char *name, struct ftsi_name value);

FTS_MUST_USE enum fts_status ftsi_ticket_get(struct ftsi_place place, uint64_t number,
					     Fts__Dispatch__V1__TicketRecord **out_record);
/* Store record, which was *before (NULL: there was none): lines, holdings and due times follow. */
FTS_MUST_USE enum fts_status ftsi_ticket_put(struct ftsi_place place, uint64_t number,
					     const Fts__Dispatch__V1__TicketRecord *before,
					     const Fts__Dispatch__V1__TicketRecord *record);
/* before: as it was read. */
FTS_MUST_USE enum fts_status ftsi_ticket_delete(struct ftsi_place place, uint64_t number,
						const Fts__Dispatch__V1__TicketRecord *before);
/* The first in line for name. */
FTS_MUST_USE enum fts_status ftsi_line_first(struct ftsi_place place, const char *name, uint64_t *out_number);
/* The tickets that worker holds, lowest numbers first, from `from` on (none lies below), up to max. */
FTS_MUST_USE enum fts_status ftsi_held_list(struct ftsi_place place, uint64_t worker, uint64_t from,
					    uint64_t *out_numbers, size_t max, size_t *out_count);
/* The lowest of them behind number; 0: there is none. */
FTS_MUST_USE enum fts_status ftsi_held_next(struct ftsi_place place, uint64_t worker, uint64_t number,
					    uint64_t *out_number);

/* What is due from from_ms to now_ms, up to max; returns how many through *out_count. out_first_ms: since when the
 * first of them is. */
FTS_MUST_USE enum fts_status ftsi_due_by(struct ftsi_place place, int64_t from_ms, int64_t now_ms,
					 uint64_t *out_numbers, size_t max, size_t *out_count, int64_t *out_first_ms);
/* What has ended and may be forgotten by now_ms, up to max: it is to be deleted, oldest first. */
FTS_MUST_USE enum fts_status ftsi_ended_by(struct ftsi_place place, int64_t now_ms, uint64_t *out_numbers, size_t max,
					   size_t *out_count);
typedef bool (*ftsi_worker_visit_fn)(void *ctx, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record);
/* visit: false ends it. */
FTS_MUST_USE enum fts_status ftsi_worker_visit(struct ftsi_place place, ftsi_worker_visit_fn visit, void *ctx);

#endif
