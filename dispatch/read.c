/* Why this file exists: see dispatch/read.h. */
#include "dispatch/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "base/clock.h"
#include "dispatch/transition.h"
#include "dispatch/watch.h"

enum { LIST_MAX = 10000 };

static struct ftsi_place place_of(const struct fts_read *read)
{
	return (struct ftsi_place){read->view, read->arena};
}

static enum fts_status failed(struct fts_read *read, enum fts_status status)
{
	if (status == FTS_RESOURCE_EXHAUSTED) return fts_read_refuse(read, status, "no memory for the answer");
	return fts_read_refuse(read, FTS_INTERNAL, "the dispatcher's state can't be read: %s", fts_status_name(status));
}

/* ---- Beat ---- */

enum fts_status ftsi_dispatch_read_beat(struct fts_read *read, const ProtobufCMessage *request_base,
					ProtobufCMessage *response, void *ctx)
{
	const Fts__Dispatch__V1__BeatRequest *request = (const Fts__Dispatch__V1__BeatRequest *)request_base;
	Fts__Dispatch__V1__WorkerRecord *record;
	char id[24];
	(void)response;
	enum fts_status status = ftsi_worker_get(place_of(read), request->worker, &record);
	if (status == FTS_NOT_FOUND)
		return fts_read_refuse(read, status, "worker %" PRIu64 " is not registered any more: register again",
				       request->worker);
	if (status != FTS_OK) return failed(read, status);
	(void)snprintf(id, sizeof id, "%" PRIu64, request->worker);
	if (!fts_leases_renew(ftsi_watch_leases(ctx), "worker", id, request->worker, fts_clock_monotonic_ns()))
		return fts_read_refuse(read, FTS_UNAVAILABLE, "worker %s is being taken out", id);
	bool hung = request->oldest_run_ms > record->max_run_ms;
	if (hung != (record->hung != 0)) ftsi_watch_mark(ctx, request->worker, hung);
	return FTS_OK;
}

/* ---- Tickets ---- */

static enum fts_status find_ticket(struct fts_read *read, uint64_t number, Fts__Dispatch__V1__TicketRecord **out_ticket)
{
	enum fts_status status = ftsi_ticket_get(place_of(read), number, out_ticket);
	if (status == FTS_NOT_FOUND)
		return fts_read_refuse(read, status, "there is no ticket or place %" PRIu64 " (any more)", number);
	return status == FTS_OK ? FTS_OK : failed(read, status);
}

enum fts_status ftsi_dispatch_read_await(struct fts_read *read, const ProtobufCMessage *request_base,
					 ProtobufCMessage *response, void *ctx)
{
	const Fts__Dispatch__V1__AwaitRequest *request = (const Fts__Dispatch__V1__AwaitRequest *)request_base;
	Fts__Dispatch__V1__TicketRecord *ticket;
	(void)ctx;
	enum fts_status status = find_ticket(read, request->number, &ticket);
	if (status != FTS_OK) return status;
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__IN_LINE)
		return fts_read_wait(read, fts_dispatch_v1_ticket_event_topic.name);
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__ENDED)
		return fts_read_refuse(read, FTS_DEADLINE_EXCEEDED,
				       "no worker was free in the time that was to be waited");
	status = ftsi_dispatch_answer(place_of(read), request->number, ticket,
				      (Fts__Dispatch__V1__AcquireResponse *)response);
	return status == FTS_OK ? FTS_OK : failed(read, status);
}

enum fts_status ftsi_dispatch_read_fate(struct fts_read *read, const ProtobufCMessage *request_base,
					ProtobufCMessage *response, void *ctx)
{
	const Fts__Dispatch__V1__FateRequest *request = (const Fts__Dispatch__V1__FateRequest *)request_base;
	Fts__Dispatch__V1__TicketRecord *ticket;
	(void)ctx;
	enum fts_status status = find_ticket(read, request->number, &ticket);
	if (status != FTS_OK) return status;
	if (ticket->standing != FTS__DISPATCH__V1__STANDING__ENDED)
		return fts_read_wait(read, fts_dispatch_v1_ticket_event_topic.name);
	((Fts__Dispatch__V1__FateResponse *)response)->fate = ticket->fate;
	return FTS_OK;
}

/* ---- List ---- */

struct listing {
	struct fts_arena *arena;
	const char *name;
	Fts__Dispatch__V1__WorkerInfo **items;
	size_t count;
	bool exhausted;
};

static Fts__Dispatch__V1__WorkerState state_of(const Fts__Dispatch__V1__WorkerRecord *record)
{
	if (record->leaving) return FTS__DISPATCH__V1__WORKER_STATE__LEAVING;
	if (record->hung) return FTS__DISPATCH__V1__WORKER_STATE__HUNG;
	return record->running < record->capacity ? FTS__DISPATCH__V1__WORKER_STATE__FREE
						  : FTS__DISPATCH__V1__WORKER_STATE__BUSY;
}

static bool list_one(void *ctx, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record)
{
	struct listing *listing = ctx;
	if (listing->name[0] != 0 && strcmp(listing->name, record->name) != 0) return true;
	if (listing->count == LIST_MAX) return false;
	Fts__Dispatch__V1__WorkerInfo *info = fts_arena_alloc(listing->arena, sizeof *info);
	listing->exhausted = info == NULL;
	if (info == NULL) return false;
	fts__dispatch__v1__worker_info__init(info);
	info->name = record->name; /* in the arena, as all of record */
	info->address = record->address;
	info->state = state_of(record);
	info->capacity = record->capacity;
	info->running = record->running;
	info->worker = worker;
	info->done = record->done;
	listing->items[listing->count++] = info;
	return true;
}

enum fts_status ftsi_dispatch_read_list(struct fts_read *read, const ProtobufCMessage *request_base,
					ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__ListRequest *request = (const Fts__Dispatch__V1__ListRequest *)request_base;
	Fts__Dispatch__V1__ListResponse *response = (Fts__Dispatch__V1__ListResponse *)response_base;
	struct listing listing = {.arena = read->arena, .name = request->name};
	(void)ctx;
	listing.items = fts_arena_alloc(read->arena, LIST_MAX * sizeof *listing.items);
	if (listing.items == NULL) return failed(read, FTS_RESOURCE_EXHAUSTED);
	enum fts_status status = ftsi_worker_visit(place_of(read), list_one, &listing);
	if (status == FTS_OK && listing.exhausted) status = FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK) return failed(read, status);
	response->workers = listing.items;
	response->n_workers = listing.count;
	return FTS_OK;
}
