/* Why this file exists: what each command does to workers, tickets and lines. Pure: request, state and the command's
 * index and time decide everything.
 *
 * Invariants
 * - A worker never holds more tickets than its capacity; a ticket is one worker's and ends once.
 * - Who stands in line is served in the order of coming, as soon as a worker of its name may take a run. While others
 *   stand behind, its ticket is for its share of the runs that it asked for.
 * - A ticket ends by itself when its worker is lost, or well after the longest run is over: how far it came is not
 *   known then.
 * ctx: struct ftsi_dispatch_watch, whose leases follow the workers. Thread: loop. */
#ifndef FTS_DISPATCH_TRANSITION_H
#define FTS_DISPATCH_TRANSITION_H

#include "dispatch/state.h"

enum {
	FTSI_NAME_COUNT_MAX = 10000,
	FTSI_WORKER_COUNT_MAX = 10000, /* of one name */
	FTSI_LINE_COUNT_MAX = 10000,   /* of one name */
	FTSI_WAIT_MS_MAX = 600000,
	FTSI_RUN_COUNT_MAX = 1000,     /* of one ticket */
	FTSI_FINISH_COUNT_MAX = 1024,  /* in one call */
	FTSI_TICKET_USABLE_MS = 10000, /* runs must begin within */
	FTSI_TICKET_KEPT_MS = 60000,   /* after its end, so that its fate can be asked for */
};

enum fts_status ftsi_dispatch_apply_register(struct fts_apply *apply, const ProtobufCMessage *request,
					     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_apply_leave(struct fts_apply *apply, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_apply_acquire(struct fts_apply *apply, const ProtobufCMessage *request,
					    ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_apply_release(struct fts_apply *apply, const ProtobufCMessage *request,
					    ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_apply_finish(struct fts_apply *apply, const ProtobufCMessage *request,
					   ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_apply_expire(struct fts_apply *apply, const ProtobufCMessage *request,
					   ProtobufCMessage *response, void *ctx);

/* What is made by the command that is being applied: index << 16 | ordinal. */
uint64_t ftsi_number_here(const struct fts_apply *apply);

/* A ticket as its holder gets it, in arena. */
FTS_MUST_USE enum fts_status ftsi_dispatch_answer(struct ftsi_place place, uint64_t number,
						  const Fts__Dispatch__V1__TicketRecord *ticket,
						  Fts__Dispatch__V1__AcquireResponse *response);

#endif
