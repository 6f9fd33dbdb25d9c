/* Why this file exists: what the transitions of workers (worker.c) and of tickets (transition.c) share: refusing,
 * telling, and moving tickets between the line, the workers and their end. Thread: loop. */
#ifndef FTS_DISPATCH_MOVE_H
#define FTS_DISPATCH_MOVE_H

#include "dispatch/state.h"

struct ftsi_place ftsi_move_place(struct fts_apply *apply);
/* A status of the state's: OK, RESOURCE_EXHAUSTED, or a replica that can't go on. */
enum fts_status ftsi_move_check(struct fts_apply *apply, enum fts_status status);
/* 1 to max_bytes bytes without control characters. text: borrowed. */
bool ftsi_move_is_plain(const char *text, size_t max_bytes);
FTS_MUST_USE enum fts_status ftsi_move_check_name(struct fts_apply *apply, const char *name);

/* How a ticket or place ended. */
struct ftsi_end {
	bool known;   /* whether ran is */
	uint32_t ran; /* which of its runs was the last that ran */
};
/* ticket (borrowed, as it stands) ends, its worker is free for the next in line. */
FTS_MUST_USE enum fts_status ftsi_move_end(struct fts_apply *apply, uint64_t number,
					   const Fts__Dispatch__V1__TicketRecord *ticket, struct ftsi_end end);
/* Whoever stands in line for name gets what is free. name: borrowed. */
FTS_MUST_USE enum fts_status ftsi_move_line(struct fts_apply *apply, const char *name);

/* ---- Workers, for the leader's Expire ---- */

struct fts_leases;
/* It was not heard of for its lease. Not there: OK. *moved_count grows by the tickets that end with it; the command
 * that loses it has its lease forgotten once all of it is done. */
FTS_MUST_USE enum fts_status ftsi_move_lose(struct fts_apply *apply, uint64_t worker, size_t *moved_count);
void ftsi_move_forget(uint64_t worker, struct fts_leases *leases);
/* It has a run past its longest; or it is well again, which also ends its being unreachable: *moved_count grows by what
 * it may take then. */
FTS_MUST_USE enum fts_status ftsi_move_mark(struct fts_apply *apply, uint64_t worker, bool hung, size_t *moved_count);
/* No ticket for it until it is heard of. Not there: OK. */
FTS_MUST_USE enum fts_status ftsi_move_unreachable(struct fts_apply *apply, uint64_t worker);

#endif
