/* Why this file exists: see dispatch/read.h. */
#include "dispatch/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "base/clock.h"
#include "dispatch/transition.h"
#include "dispatch/watch.h"

enum { LIST_MAX = 10000, OVERDUE_MAX = 256, HELD_LOOK_MAX = 64, OVERDUE_MARGIN_MS = 1000 };

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

/* Tickets of worker whose time to begin is over, in *response. They are the oldest; numbers grow with age, all but
 * those of places in line. */
static enum fts_status find_overdue(struct fts_read *read, uint64_t worker, uint64_t from,
				    Fts__Dispatch__V1__BeatResponse *response)
{
	size_t count;
	uint64_t *numbers = fts_arena_alloc(read->arena, OVERDUE_MAX * sizeof *numbers);
	if (numbers == NULL) return FTS_RESOURCE_EXHAUSTED;
	enum fts_status status = ftsi_held_list(place_of(read), worker, from, numbers, OVERDUE_MAX, &count);
	response->overdue = numbers;
	for (size_t i = 0; status == FTS_OK && i < count; i++) {
		Fts__Dispatch__V1__TicketRecord *ticket;
		status = ftsi_ticket_get(place_of(read), numbers[i], &ticket);
		if (status == FTS_OK && ticket->usable_ms + OVERDUE_MARGIN_MS < response->now_ms)
			numbers[response->n_overdue++] = numbers[i];
	}
	return status;
}

enum fts_status ftsi_dispatch_read_beat(struct fts_read *read, const ProtobufCMessage *request_base,
					ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__BeatRequest *request = (const Fts__Dispatch__V1__BeatRequest *)request_base;
	Fts__Dispatch__V1__BeatResponse *response = (Fts__Dispatch__V1__BeatResponse *)response_base;
	Fts__Dispatch__V1__WorkerRecord *record;
	char id[24];
	enum fts_status status = ftsi_worker_get(place_of(read), request->worker, &record);
	if (status == FTS_NOT_FOUND)
		return fts_read_refuse(read, status, "worker %" PRIu64 " is not registered any more: register again",
				       request->worker);
	if (status != FTS_OK) return failed(read, status);
	(void)snprintf(id, sizeof id, "%" PRIu64, request->worker);
	if (!fts_leases_renew(ftsi_dispatch_watch_leases(ctx), "worker", id, request->worker, fts_clock_monotonic_ns()))
		return fts_read_refuse(read, FTS_UNAVAILABLE, "worker %s is being taken out", id);
	bool hung = request->oldest_run_ms > record->max_run_ms;
	if (hung != (record->hung != 0) || record->unreachable) ftsi_dispatch_watch_mark(ctx, request->worker, hung);
	response->now_ms = fts_clock_wall_ms();
	status = find_overdue(read, request->worker, record->held_from, response);
	return status == FTS_OK ? FTS_OK : failed(read, status);
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
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__IN_LINE) return fts_read_wait_key(read, request->number);
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
	if (ticket->standing != FTS__DISPATCH__V1__STANDING__ENDED) return fts_read_wait_key(read, request->number);
	uint32_t run = request->run == 0 ? 1 : request->run;
	Fts__Dispatch__V1__Fate known =
	    run <= ticket->ran ? FTS__DISPATCH__V1__FATE__RAN : FTS__DISPATCH__V1__FATE__NOT_RUN;
	((Fts__Dispatch__V1__FateResponse *)response)->fate =
	    ticket->known ? known : FTS__DISPATCH__V1__FATE__FATE_UNKNOWN;
	return FTS_OK;
}

/* ---- List ---- */

struct listing {
	struct fts_arena *arena;
	const char *name;
	Fts__Dispatch__V1__WorkerInfo **items;
	uint64_t *held_from; /* of each */
	size_t count;
	bool exhausted;
};

/* Since when the oldest ticket of worker is out; 0: none is. */
static enum fts_status oldest_given(struct fts_read *read, uint64_t worker, uint64_t from, int64_t *out_given_ms)
{
	uint64_t numbers[HELD_LOOK_MAX];
	size_t count;
	enum fts_status status = ftsi_held_list(place_of(read), worker, from, numbers, HELD_LOOK_MAX, &count);
	*out_given_ms = 0;
	for (size_t i = 0; status == FTS_OK && i < count; i++) {
		Fts__Dispatch__V1__TicketRecord *ticket;
		status = ftsi_ticket_get(place_of(read), numbers[i], &ticket);
		if (status == FTS_OK && (*out_given_ms == 0 || ticket->given_ms < *out_given_ms))
			*out_given_ms = ticket->given_ms;
	}
	return status;
}

/* What a record does not say by itself. */
static enum fts_status complete(struct fts_read *read, Fts__Dispatch__V1__WorkerInfo *info, uint64_t held_from,
				int64_t now_ms)
{
	struct ftsi_name counts;
	int64_t given_ms;
	enum fts_status status = ftsi_name_get(place_of(read), info->name, &counts);
	if (status == FTS_OK) status = oldest_given(read, info->worker, held_from, &given_ms);
	if (status != FTS_OK) return status;
	info->in_line = counts.line_count;
	if (given_ms > 0 && now_ms > given_ms) info->running_ms = (uint32_t)(now_ms - given_ms);
	return FTS_OK;
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
	info->state = ftsi_worker_state(record);
	info->capacity = record->capacity;
	info->running = record->running;
	info->worker = worker;
	info->done = record->done;
	listing->held_from[listing->count] = record->held_from;
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
	listing.held_from = fts_arena_alloc(read->arena, LIST_MAX * sizeof *listing.held_from);
	if (listing.items == NULL || listing.held_from == NULL) return failed(read, FTS_RESOURCE_EXHAUSTED);
	enum fts_status status = ftsi_worker_visit(place_of(read), list_one, &listing);
	if (status == FTS_OK && listing.exhausted) status = FTS_RESOURCE_EXHAUSTED;
	for (size_t i = 0; i < listing.count && status == FTS_OK; i++)
		status = complete(read, listing.items[i], listing.held_from[i], fts_clock_wall_ms());
	if (status != FTS_OK) return failed(read, status);
	response->workers = listing.items;
	response->n_workers = listing.count;
	return FTS_OK;
}
