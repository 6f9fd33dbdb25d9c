/* Why this file exists: see dispatch/transition.h. */
#include "dispatch/transition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "dispatch/ticket.h"
#include "dispatch/watch.h"

enum { CLEAN_COUNT = 2, PLACE_SHOWN_MAX = 1000, RUN_DEFAULT_MS = 30000, LEASE_DEFAULT_MS = 2000, ADDRESS_MAX = 128 };
enum { LEASE_MIN_MS = 300, LEASE_MAX_MS = 600000, RUN_MAX_MS = 24 * 3600 * 1000, CAPACITY_MAX = 4096, GRACE_MS = 5000 };

static const char lease_group[] = "worker";

static struct ftsi_place place_of(struct fts_apply *apply)
{
	return (struct ftsi_place){apply->txn, apply->arena};
}

static enum fts_status broken(struct fts_apply *apply, enum fts_status status)
{
	if (status == FTS_OK || status == FTS_RESOURCE_EXHAUSTED) return status;
	return fts_apply_refuse(apply, FTS_INTERNAL, "the dispatcher's state can't be read or written: %s",
				fts_status_name(status));
}

static uint64_t number_here(const struct fts_apply *apply)
{
	return apply->index << 16 | (apply->ordinal & 0xffff);
}

static void lease_id(uint64_t worker, char *out)
{
	(void)snprintf(out, 24, "%" PRIu64, worker);
}

static bool is_plain(const char *text, size_t max_bytes)
{
	size_t size = strlen(text);
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
	return size > 0 && size <= max_bytes;
}

static enum fts_status check_name(struct fts_apply *apply, const char *name)
{
	if (is_plain(name, FTSI_DISPATCH_NAME_MAX)) return FTS_OK;
	return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "name: 1 to %d bytes of plain text are expected",
				FTSI_DISPATCH_NAME_MAX);
}

/* ---- Telling ---- */

static Fts__Dispatch__V1__WorkerState state_of(const Fts__Dispatch__V1__WorkerRecord *record)
{
	if (record->leaving) return FTS__DISPATCH__V1__WORKER_STATE__LEAVING;
	if (record->hung) return FTS__DISPATCH__V1__WORKER_STATE__HUNG;
	return record->running < record->capacity ? FTS__DISPATCH__V1__WORKER_STATE__FREE
						  : FTS__DISPATCH__V1__WORKER_STATE__BUSY;
}

static enum fts_status tell_worker(struct fts_apply *apply, uint64_t worker,
				   const Fts__Dispatch__V1__WorkerRecord *record, bool gone)
{
	Fts__Dispatch__V1__WorkerEvent event = FTS__DISPATCH__V1__WORKER_EVENT__INIT;
	event.name = record->name;
	event.address = record->address;
	event.state = state_of(record);
	event.gone = gone;
	event.worker = worker;
	return fts_apply_publish(apply, fts_dispatch_v1_worker_event_topic.name, &event.base);
}

static enum fts_status tell_ticket(struct fts_apply *apply, uint64_t number)
{
	Fts__Dispatch__V1__TicketEvent event = FTS__DISPATCH__V1__TICKET_EVENT__INIT;
	event.number = number;
	return fts_apply_publish(apply, fts_dispatch_v1_ticket_event_topic.name, &event.base);
}

/* ---- Giving ---- */

/* worker takes a run: the ticket number is its right. before: of the ticket, NULL: new. */
static enum fts_status give(struct fts_apply *apply, uint64_t worker, uint64_t number, const char *name,
			    const Fts__Dispatch__V1__TicketRecord *before, Fts__Dispatch__V1__TicketRecord *out_ticket)
{
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	enum fts_status status = ftsi_worker_get(place_of(apply), worker, &record);
	if (status != FTS_OK) return broken(apply, status);
	changed = *record;
	changed.running++;
	changed.last_given = apply->index;
	fts__dispatch__v1__ticket_record__init(out_ticket);
	out_ticket->name = (char *)name;
	out_ticket->standing = FTS__DISPATCH__V1__STANDING__HELD;
	out_ticket->worker = worker;
	out_ticket->usable_ms = apply->time_ms + FTSI_TICKET_USABLE_MS;
	out_ticket->due_ms = out_ticket->usable_ms + record->max_run_ms + GRACE_MS;
	status = ftsi_worker_put(place_of(apply), worker, record, &changed);
	if (status == FTS_OK) status = ftsi_ticket_put(place_of(apply), number, before, out_ticket);
	return broken(apply, status);
}

static enum fts_status change_line(struct fts_apply *apply, const char *name, int by)
{
	struct ftsi_name counts;
	enum fts_status status = ftsi_name_get(place_of(apply), name, &counts);
	if (status != FTS_OK) return broken(apply, status);
	counts.line_count += (uint32_t)by;
	return broken(apply, ftsi_name_put(place_of(apply), name, counts));
}

/* Whoever stands in line gets what is free. */
static enum fts_status serve_line(struct fts_apply *apply, const char *name)
{
	uint64_t worker, number;
	for (;;) {
		Fts__Dispatch__V1__TicketRecord *waiting, ticket;
		enum fts_status status = ftsi_line_first(place_of(apply), name, &number);
		if (status == FTS_OK) status = ftsi_free_first(place_of(apply), name, &worker);
		if (status == FTS_NOT_FOUND) return FTS_OK;
		if (status == FTS_OK) status = ftsi_ticket_get(place_of(apply), number, &waiting);
		if (status != FTS_OK) return broken(apply, status);
		status = give(apply, worker, number, name, waiting, &ticket);
		if (status == FTS_OK) status = change_line(apply, name, -1);
		if (status == FTS_OK) status = tell_ticket(apply, number);
		if (status != FTS_OK) return status;
	}
}

/* ---- Ending ---- */

static enum fts_status free_worker(struct fts_apply *apply, uint64_t worker)
{
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	enum fts_status status = ftsi_worker_get(place_of(apply), worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK; /* it was lost */
	if (status != FTS_OK) return broken(apply, status);
	changed = *record;
	if (changed.running > 0) changed.running--;
	changed.done++;
	return broken(apply, ftsi_worker_put(place_of(apply), worker, record, &changed));
}

static enum fts_status end_ticket(struct fts_apply *apply, uint64_t number,
				  const Fts__Dispatch__V1__TicketRecord *ticket, Fts__Dispatch__V1__Fate fate)
{
	Fts__Dispatch__V1__TicketRecord ended = *ticket;
	ended.standing = FTS__DISPATCH__V1__STANDING__ENDED;
	ended.fate = fate;
	ended.due_ms = apply->time_ms + FTSI_TICKET_KEPT_MS; /* ended: only when it may be forgotten */
	enum fts_status status = broken(apply, ftsi_ticket_put(place_of(apply), number, ticket, &ended));
	if (status == FTS_OK && ticket->standing == FTS__DISPATCH__V1__STANDING__IN_LINE)
		status = change_line(apply, ticket->name, -1);
	if (status == FTS_OK && ticket->standing == FTS__DISPATCH__V1__STANDING__HELD)
		status = free_worker(apply, ticket->worker);
	if (status == FTS_OK) status = tell_ticket(apply, number);
	return status == FTS_OK ? serve_line(apply, ticket->name) : status;
}

/* Forget a few of the tickets that ended long ago. */
static enum fts_status clean(struct fts_apply *apply)
{
	for (int i = 0; i < CLEAN_COUNT; i++) {
		uint64_t number;
		Fts__Dispatch__V1__TicketRecord *ticket;
		enum fts_status status = ftsi_ticket_first(place_of(apply), &number);
		if (status == FTS_NOT_FOUND) return FTS_OK;
		if (status == FTS_OK) status = ftsi_ticket_get(place_of(apply), number, &ticket);
		if (status != FTS_OK) return broken(apply, status);
		if (ticket->standing != FTS__DISPATCH__V1__STANDING__ENDED || ticket->due_ms > apply->time_ms)
			return FTS_OK;
		status = broken(apply, ftsi_ticket_delete(place_of(apply), number));
		if (status != FTS_OK) return status;
	}
	return FTS_OK;
}

/* ---- Workers ---- */

static enum fts_status check_register(struct fts_apply *apply, const Fts__Dispatch__V1__RegisterRequest *request)
{
	enum fts_status status = check_name(apply, request->name);
	if (status != FTS_OK) return status;
	if (!is_plain(request->address, ADDRESS_MAX))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "address: HOST:PORT of at most %d bytes",
					ADDRESS_MAX);
	if (request->instance == 0 || request->key.len != FTS_TICKET_KEY_BYTES)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"instance must not be 0, and key has %d random bytes", FTS_TICKET_KEY_BYTES);
	if (request->capacity > CAPACITY_MAX || request->max_run_ms > RUN_MAX_MS)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "capacity: at most %d; max_run_ms: at most %d",
					CAPACITY_MAX, RUN_MAX_MS);
	if (request->lease_ms != 0 && (request->lease_ms < LEASE_MIN_MS || request->lease_ms > LEASE_MAX_MS))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "lease_ms: %d to %d, not %u", LEASE_MIN_MS,
					LEASE_MAX_MS, request->lease_ms);
	return FTS_OK;
}

static void fill(Fts__Dispatch__V1__WorkerRecord *record, const Fts__Dispatch__V1__RegisterRequest *request)
{
	record->name = request->name;
	record->address = request->address;
	record->capacity = request->capacity == 0 ? 1 : request->capacity;
	record->max_run_ms = request->max_run_ms == 0 ? RUN_DEFAULT_MS : request->max_run_ms;
	record->lease_ms = request->lease_ms == 0 ? LEASE_DEFAULT_MS : request->lease_ms;
	record->instance = request->instance;
	record->key = request->key;
}

static enum fts_status count_worker(struct fts_apply *apply, const char *name)
{
	struct ftsi_name counts;
	enum fts_status status = ftsi_name_get(place_of(apply), name, &counts);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return broken(apply, status);
	if (counts.worker_count >= FTSI_WORKER_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "a name has at most %d workers",
					FTSI_WORKER_COUNT_MAX);
	counts.worker_count++;
	return broken(apply, ftsi_name_put(place_of(apply), name, counts));
}

enum fts_status ftsi_dispatch_apply_register(struct fts_apply *apply, const ProtobufCMessage *request_base,
					     ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__RegisterRequest *request = (const Fts__Dispatch__V1__RegisterRequest *)request_base;
	Fts__Dispatch__V1__RegisterResponse *response = (Fts__Dispatch__V1__RegisterResponse *)response_base;
	Fts__Dispatch__V1__WorkerRecord *before = NULL, record = FTS__DISPATCH__V1__WORKER_RECORD__INIT;
	char id[24];
	enum fts_status status = check_register(apply, request);
	if (status != FTS_OK) return status;
	status = ftsi_instance_get(place_of(apply), request->instance, &response->worker);
	if (status == FTS_OK) status = ftsi_worker_get(place_of(apply), response->worker, &before);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return broken(apply, status);
	if (before != NULL && strcmp(before->name, request->name) != 0)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "this instance is registered as %s",
					before->name);
	if (before != NULL) {
		record = *before;
	} else {
		response->worker = number_here(apply);
		status = count_worker(apply, request->name);
		if (status != FTS_OK) return status;
	}
	fill(&record, request);
	record.leaving = false;
	status = broken(apply, ftsi_worker_put(place_of(apply), response->worker, before, &record));
	if (status == FTS_OK) status = tell_worker(apply, response->worker, &record, false);
	if (status == FTS_OK) status = serve_line(apply, record.name);
	if (status != FTS_OK) return status;
	lease_id(response->worker, id);
	fts_leases_joined(ftsi_watch_leases(ctx), lease_group, id, response->worker, record.lease_ms);
	return FTS_OK;
}

enum fts_status ftsi_dispatch_apply_leave(struct fts_apply *apply, const ProtobufCMessage *request_base,
					  ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__LeaveRequest *request = (const Fts__Dispatch__V1__LeaveRequest *)request_base;
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	(void)response_base;
	(void)ctx;
	enum fts_status status = ftsi_worker_get(place_of(apply), request->worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return broken(apply, status);
	changed = *record;
	changed.leaving = true;
	status = broken(apply, ftsi_worker_put(place_of(apply), request->worker, record, &changed));
	return status == FTS_OK ? tell_worker(apply, request->worker, &changed, false) : status;
}

static enum fts_status lose_worker(struct fts_apply *apply, uint64_t worker, struct fts_leases *leases)
{
	Fts__Dispatch__V1__WorkerRecord *record, *now;
	struct ftsi_name counts;
	uint64_t number;
	char id[24];
	enum fts_status status = ftsi_worker_get(place_of(apply), worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return broken(apply, status);
	/* first it takes no more, or its own tickets would go back to it */
	Fts__Dispatch__V1__WorkerRecord leaving = *record;
	leaving.leaving = true;
	status = broken(apply, ftsi_worker_put(place_of(apply), worker, record, &leaving));
	while (status == FTS_OK && (status = ftsi_held_first(place_of(apply), worker, &number)) == FTS_OK) {
		Fts__Dispatch__V1__TicketRecord *ticket;
		status = broken(apply, ftsi_ticket_get(place_of(apply), number, &ticket));
		if (status == FTS_OK) status = end_ticket(apply, number, ticket, FTS__DISPATCH__V1__FATE__FATE_UNKNOWN);
	}
	if (status == FTS_NOT_FOUND) status = ftsi_worker_get(place_of(apply), worker, &now);
	if (status == FTS_OK) status = ftsi_worker_put(place_of(apply), worker, now, NULL);
	if (status == FTS_OK) status = ftsi_name_get(place_of(apply), record->name, &counts);
	if (status != FTS_OK) return broken(apply, status);
	counts.worker_count--;
	status = broken(apply, ftsi_name_put(place_of(apply), record->name, counts));
	lease_id(worker, id);
	fts_leases_forget(leases, lease_group, id);
	return status == FTS_OK ? tell_worker(apply, worker, &leaving, true) : status;
}

static enum fts_status mark_hung(struct fts_apply *apply, uint64_t worker, bool hung)
{
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	enum fts_status status = ftsi_worker_get(place_of(apply), worker, &record);
	if (status == FTS_NOT_FOUND || (status == FTS_OK && record->hung == hung)) return FTS_OK;
	if (status != FTS_OK) return broken(apply, status);
	changed = *record;
	changed.hung = hung;
	status = broken(apply, ftsi_worker_put(place_of(apply), worker, record, &changed));
	if (status == FTS_OK) status = tell_worker(apply, worker, &changed, false);
	return status == FTS_OK ? serve_line(apply, changed.name) : status;
}

/* ---- Tickets ---- */

enum fts_status ftsi_dispatch_answer(struct ftsi_place place, uint64_t number,
				     const Fts__Dispatch__V1__TicketRecord *ticket,
				     Fts__Dispatch__V1__AcquireResponse *response)
{
	Fts__Dispatch__V1__WorkerRecord *worker;
	enum fts_status status;
	response->number = number;
	if (ticket->standing != FTS__DISPATCH__V1__STANDING__HELD)
		return ftsi_line_place(place, ticket->name, number, PLACE_SHOWN_MAX, &response->place);
	status = ftsi_worker_get(place, ticket->worker, &worker);
	if (status != FTS_OK) return status;
	if (worker->key.len != FTS_TICKET_KEY_BYTES) return FTS_DATA_LOSS;
	response->ticket.data = fts_arena_alloc(place.arena, FTS_TICKET_BYTES);
	if (response->ticket.data == NULL) return FTS_RESOURCE_EXHAUSTED;
	response->ticket.len = FTS_TICKET_BYTES;
	const struct fts_ticket made = {ticket->worker, number, ticket->usable_ms};
	fts_ticket_make(&made, worker->key.data, response->ticket.data);
	response->address = worker->address;
	response->max_run_ms = worker->max_run_ms;
	return FTS_OK;
}

static enum fts_status stand_in_line(struct fts_apply *apply, const Fts__Dispatch__V1__AcquireRequest *request,
				     const struct ftsi_name *counts, Fts__Dispatch__V1__TicketRecord *out_ticket)
{
	if (request->wait_ms == 0)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "all %u workers of %s are busy",
					counts->worker_count, request->name);
	if (counts->line_count >= FTSI_LINE_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "%u callers stand in line for %s already",
					counts->line_count, request->name);
	fts__dispatch__v1__ticket_record__init(out_ticket);
	out_ticket->name = request->name;
	out_ticket->standing = FTS__DISPATCH__V1__STANDING__IN_LINE;
	out_ticket->due_ms = apply->time_ms + request->wait_ms;
	enum fts_status status = broken(apply, ftsi_ticket_put(place_of(apply), number_here(apply), NULL, out_ticket));
	return status == FTS_OK ? change_line(apply, request->name, 1) : status;
}

enum fts_status ftsi_dispatch_apply_acquire(struct fts_apply *apply, const ProtobufCMessage *request_base,
					    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__AcquireRequest *request = (const Fts__Dispatch__V1__AcquireRequest *)request_base;
	Fts__Dispatch__V1__AcquireResponse *response = (Fts__Dispatch__V1__AcquireResponse *)response_base;
	Fts__Dispatch__V1__TicketRecord ticket;
	struct ftsi_name counts;
	uint64_t worker;
	(void)ctx;
	enum fts_status status = check_name(apply, request->name);
	if (status != FTS_OK) return status;
	if (request->wait_ms > FTSI_WAIT_MS_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "wait_ms: at most %d, not %u", FTSI_WAIT_MS_MAX,
					request->wait_ms);
	status = ftsi_name_get(place_of(apply), request->name, &counts);
	if (status == FTS_NOT_FOUND) return fts_apply_refuse(apply, status, "nobody ever offered %s", request->name);
	if (status == FTS_OK && (status = ftsi_free_first(place_of(apply), request->name, &worker)) == FTS_OK)
		status = give(apply, worker, number_here(apply), request->name, NULL, &ticket);
	else if (status == FTS_NOT_FOUND)
		status = stand_in_line(apply, request, &counts, &ticket);
	else
		return broken(apply, status);
	if (status == FTS_OK) status = clean(apply);
	if (status != FTS_OK) return status;
	return broken(apply, ftsi_dispatch_answer(place_of(apply), number_here(apply), &ticket, response));
}

enum fts_status ftsi_dispatch_apply_release(struct fts_apply *apply, const ProtobufCMessage *request_base,
					    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__ReleaseRequest *request = (const Fts__Dispatch__V1__ReleaseRequest *)request_base;
	Fts__Dispatch__V1__TicketRecord *ticket;
	(void)response_base;
	(void)ctx;
	enum fts_status status = ftsi_ticket_get(place_of(apply), request->number, &ticket);
	if (status == FTS_NOT_FOUND) return FTS_OK; /* ended long ago */
	if (status != FTS_OK) return broken(apply, status);
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__ENDED) return FTS_OK;
	return end_ticket(apply, request->number, ticket, request->fate);
}

static enum fts_status end_due(struct fts_apply *apply, uint64_t number)
{
	Fts__Dispatch__V1__TicketRecord *ticket;
	enum fts_status status = ftsi_ticket_get(place_of(apply), number, &ticket);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return broken(apply, status);
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__ENDED || ticket->due_ms > apply->time_ms) return FTS_OK;
	bool waited = ticket->standing == FTS__DISPATCH__V1__STANDING__IN_LINE;
	return end_ticket(apply, number, ticket,
			  waited ? FTS__DISPATCH__V1__FATE__NOT_RUN : FTS__DISPATCH__V1__FATE__FATE_UNKNOWN);
}

enum fts_status ftsi_dispatch_apply_expire(struct fts_apply *apply, const ProtobufCMessage *request_base,
					   ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__ExpireRequest *request = (const Fts__Dispatch__V1__ExpireRequest *)request_base;
	enum fts_status status = FTS_OK;
	(void)response_base;
	for (size_t i = 0; i < request->n_workers && status == FTS_OK && request->term == apply->term; i++)
		status = lose_worker(apply, request->workers[i]->worker, ftsi_watch_leases(ctx));
	for (size_t i = 0; i < request->n_numbers && status == FTS_OK; i++)
		status = end_due(apply, request->numbers[i]);
	for (size_t i = 0; i < request->n_hung && status == FTS_OK; i++)
		status = mark_hung(apply, request->hung[i], true);
	for (size_t i = 0; i < request->n_recovered && status == FTS_OK; i++)
		status = mark_hung(apply, request->recovered[i], false);
	return status;
}
