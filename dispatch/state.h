/* Why this file exists: workers, tickets and lines as they lie in the state.
 *
 * | key (store/key.h)                                        | value                        |
 * | TABLE_WORKER, u64 worker                                 | dispatch.v1.WorkerRecord     |
 * | TABLE_INSTANCE, u64 instance                             | worker 8                     |
 * | TABLE_FREE, text name, u32 running, u64 last, u64 worker | none                         |
 * | TABLE_NAME, text name                                    | workers 4, in line 4         |
 * | TABLE_TICKET, u64 number                                 | dispatch.v1.TicketRecord     |
 * | TABLE_LINE, text name, u64 number                        | none                         |
 * | TABLE_HELD, u64 worker, u64 number                       | none                         |
 * | TABLE_DUE, u64 due ms, u64 number                        | none                         |
 * | TABLE_ENDED, u64 due ms, u64 number                      | none                         |
 *
 * Numbers are big endian; worker ids and numbers are log index << 16 | ordinal, so they grow.
 *
 * Invariants: TABLE_FREE has exactly the workers that may take another run; its first entry of a name is the least
 * loaded, and among those the one that has waited longest. Each ticket or place that has not ended stands in TABLE_DUE,
 * each other one in TABLE_ENDED until it is forgotten.
 */
#ifndef FTS_DISPATCH_STATE_H
#define FTS_DISPATCH_STATE_H

#include <fts/dispatch/v1/dispatch.pb-c.h>

#include "base/arena.h"
#include "replica/replica.h"

enum {
	FTSI_DISPATCH_NAME_MAX = 64,
	FTSI_TABLE_WORKER = FTS_TABLE_DISPATCH,
	FTSI_TABLE_INSTANCE,
	FTSI_TABLE_FREE,
	FTSI_TABLE_NAME,
	FTSI_TABLE_TICKET,
	FTSI_TABLE_LINE,
	FTSI_TABLE_HELD,
	FTSI_TABLE_DUE,
	FTSI_TABLE_ENDED,
};

/* Where records are read from and written to: a transition's, or a read's with no writing. */
struct ftsi_place {
	struct fts_txn *txn;
	struct fts_arena *arena; /* what is read lies here */
};

struct ftsi_name {
	uint32_t worker_count, line_count;
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
/* The next worker of name that may take a run. */
FTS_MUST_USE enum fts_status ftsi_free_first(struct ftsi_place place, const char *name, uint64_t *out_worker);

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
/* A ticket that worker holds. */
FTS_MUST_USE enum fts_status ftsi_held_first(struct ftsi_place place, uint64_t worker, uint64_t *out_number);
/* The tickets that worker holds, lowest numbers first, up to max. */
FTS_MUST_USE enum fts_status ftsi_held_list(struct ftsi_place place, uint64_t worker, uint64_t *out_numbers, size_t max,
					    size_t *out_count);
/* How many stand in line for name before number, itself included; at most max. */
FTS_MUST_USE enum fts_status ftsi_line_place(struct ftsi_place place, const char *name, uint64_t number, uint32_t max,
					     uint32_t *out_place);

/* What is due by now_ms, up to max; returns how many through *out_count. */
FTS_MUST_USE enum fts_status ftsi_due_by(struct ftsi_place place, int64_t now_ms, uint64_t *out_numbers, size_t max,
					 size_t *out_count);
/* Likewise: what has ended and may be forgotten by now_ms. */
FTS_MUST_USE enum fts_status ftsi_ended_by(struct ftsi_place place, int64_t now_ms, uint64_t *out_numbers, size_t max,
					   size_t *out_count);
typedef bool (*ftsi_worker_visit_fn)(void *ctx, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record);
/* visit: false ends it. */
FTS_MUST_USE enum fts_status ftsi_worker_visit(struct ftsi_place place, ftsi_worker_visit_fn visit, void *ctx);

#endif
