/* Why this file exists: see dispatch/transition.h and dispatch/move.h: tickets, from the line to their end. Workers:
 * worker.c. */
#include "dispatch/transition.h"

#include <inttypes.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "client/ticket.h"
#include "dispatch/move.h"
#include "dispatch/watch.h"

enum { CLEAN_COUNT = 2, GRACE_MS = 5000 };

/* Tickets that one Expire ends or gives: some 1.5 KiB of the command's memory each. A worker more, which has 4,096 at
 * most, may go past it; the leader finds again what is left. */
enum { EXPIRE_MOVED_MAX = 4096 };

struct ftsi_place ftsi_move_place(struct fts_apply *apply)
{
	return (struct ftsi_place){apply->txn, apply->arena};
}

enum fts_status ftsi_move_check(struct fts_apply *apply, enum fts_status status)
{
	if (status == FTS_OK || status == FTS_RESOURCE_EXHAUSTED) return status;
	return fts_apply_refuse(apply, FTS_INTERNAL, "the dispatcher's state can't be read or written: %s",
				fts_status_name(status));
}

uint64_t ftsi_number_here(const struct fts_apply *apply)
{
	return apply->index << 16 | (apply->ordinal & 0xffff);
}

bool ftsi_move_is_plain(const char *text, size_t max_bytes)
{
	size_t size = strlen(text);
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
	return size > 0 && size <= max_bytes;
}

enum fts_status ftsi_move_check_name(struct fts_apply *apply, const char *name)
{
	if (ftsi_move_is_plain(name, FTSI_DISPATCH_NAME_MAX)) return FTS_OK;
	return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "name: 1 to %d bytes of plain text are expected",
				FTSI_DISPATCH_NAME_MAX);
}

/* ---- Giving ---- */

/* A ticket, or a place that becomes one. */
struct gift {
	uint64_t worker, number;
	const char *name;
	uint32_t runs;
	const Fts__Dispatch__V1__TicketRecord *before; /* the place in line; NULL: none */
};

static enum fts_status give(struct fts_apply *apply, const struct gift *gift,
			    Fts__Dispatch__V1__TicketRecord *out_ticket)
{
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), gift->worker, &record);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	changed = *record;
	if (changed.running == 0 || gift->number < changed.held_from) changed.held_from = gift->number;
	changed.running++;
	changed.given++;
	changed.last_given = apply->index;
	fts__dispatch__v1__ticket_record__init(out_ticket);
	out_ticket->name = (char *)gift->name;
	out_ticket->standing = FTS__DISPATCH__V1__STANDING__HELD;
	out_ticket->worker = gift->worker;
	out_ticket->runs = gift->runs;
	out_ticket->order = changed.given;
	out_ticket->given_ms = apply->time_ms;
	out_ticket->usable_ms = apply->time_ms + FTSI_TICKET_USABLE_MS;
	out_ticket->due_ms = out_ticket->usable_ms + record->max_run_ms + GRACE_MS;
	status = ftsi_worker_put(ftsi_move_place(apply), gift->worker, record, &changed);
	if (status == FTS_OK) status = ftsi_ticket_put(ftsi_move_place(apply), gift->number, gift->before, out_ticket);
	return ftsi_move_check(apply, status);
}

static enum fts_status change_line(struct fts_apply *apply, const char *name, int by)
{
	struct ftsi_name counts;
	enum fts_status status = ftsi_name_get(ftsi_move_place(apply), name, &counts);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	counts.line_count += (uint32_t)by;
	return ftsi_move_check(apply, ftsi_name_put(ftsi_move_place(apply), name, counts));
}

/* Of the runs that somebody asked for, while others wait behind: nobody keeps a place for long then. */
static uint32_t share_of(uint32_t runs, uint32_t others)
{
	uint32_t share = runs / (1 + others);
	return share == 0 ? 1 : share;
}

enum fts_status ftsi_move_line(struct fts_apply *apply, const char *name)
{
	struct gift gift = {.name = name};
	for (;;) {
		Fts__Dispatch__V1__TicketRecord *waiting, ticket;
		struct ftsi_name counts;
		enum fts_status status = ftsi_line_first(ftsi_move_place(apply), name, &gift.number);
		if (status == FTS_OK) status = ftsi_free_take(ftsi_move_place(apply), name, &gift.worker);
		if (status == FTS_NOT_FOUND) return FTS_OK;
		if (status == FTS_OK) status = ftsi_ticket_get(ftsi_move_place(apply), gift.number, &waiting);
		if (status == FTS_OK) status = ftsi_name_get(ftsi_move_place(apply), name, &counts);
		if (status != FTS_OK) return ftsi_move_check(apply, status);
		gift.before = waiting;
		gift.runs = share_of(waiting->runs, counts.line_count - 1);
		status = give(apply, &gift, &ticket);
		if (status == FTS_OK) status = change_line(apply, name, -1);
		if (status != FTS_OK) return status;
		fts_apply_wake(apply, gift.number);
	}
}

/* ---- Ending ---- */

/* worker has its place again that ticket number had. */
static enum fts_status free_worker(struct fts_apply *apply, uint64_t worker, uint64_t number, bool done)
{
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK; /* it was lost */
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	changed = *record;
	if (changed.running > 0) changed.running--;
	if (done) changed.done++;
	if (number == changed.held_from)
		status = ftsi_held_next(ftsi_move_place(apply), worker, number, &changed.held_from);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	return ftsi_move_check(apply, ftsi_worker_put(ftsi_move_place(apply), worker, record, &changed));
}

enum fts_status ftsi_move_end(struct fts_apply *apply, uint64_t number, const Fts__Dispatch__V1__TicketRecord *ticket,
			      struct ftsi_end end)
{
	Fts__Dispatch__V1__TicketRecord ended = *ticket;
	ended.standing = FTS__DISPATCH__V1__STANDING__ENDED;
	ended.known = end.known;
	ended.ran = end.ran;
	ended.due_ms = apply->time_ms + FTSI_TICKET_KEPT_MS;
	enum fts_status status =
	    ftsi_move_check(apply, ftsi_ticket_put(ftsi_move_place(apply), number, ticket, &ended));
	if (status == FTS_OK && ticket->standing == FTS__DISPATCH__V1__STANDING__IN_LINE)
		status = change_line(apply, ticket->name, -1);
	if (status == FTS_OK && ticket->standing == FTS__DISPATCH__V1__STANDING__HELD)
		status = free_worker(apply, ticket->worker, number, end.known && end.ran > 0);
	fts_apply_wake(apply, number);
	return status == FTS_OK ? ftsi_move_line(apply, ticket->name) : status;
}

/* Forget a few of the tickets that ended long ago: more than one command makes. */
static enum fts_status clean(struct fts_apply *apply)
{
	uint64_t numbers[CLEAN_COUNT];
	size_t count;
	enum fts_status status = ftsi_ended_by(ftsi_move_place(apply), apply->time_ms, numbers, CLEAN_COUNT, &count);
	for (size_t i = 0; i < count && status == FTS_OK; i++) {
		Fts__Dispatch__V1__TicketRecord *ticket;
		status = ftsi_ticket_get(ftsi_move_place(apply), numbers[i], &ticket);
		if (status == FTS_OK) status = ftsi_ticket_delete(ftsi_move_place(apply), numbers[i], ticket);
	}
	return ftsi_move_check(apply, status);
}

/* ---- Tickets ---- */

enum fts_status ftsi_dispatch_answer(struct ftsi_place place, uint64_t number,
				     const Fts__Dispatch__V1__TicketRecord *ticket,
				     Fts__Dispatch__V1__AcquireResponse *response)
{
	Fts__Dispatch__V1__WorkerRecord *worker;
	enum fts_status status;
	struct ftsi_name counts;
	response->number = number;
	response->runs = ticket->runs;
	if (ticket->standing != FTS__DISPATCH__V1__STANDING__HELD) { /* it has just come: the last one */
		status = ftsi_name_get(place, ticket->name, &counts);
		response->place = counts.line_count;
		return status;
	}
	status = ftsi_worker_get(place, ticket->worker, &worker);
	if (status != FTS_OK) return status;
	if (worker->key.len != FTS_TICKET_KEY_BYTES) return FTS_DATA_LOSS;
	response->ticket.data = fts_arena_alloc(place.arena, FTS_TICKET_BYTES);
	if (response->ticket.data == NULL) return FTS_RESOURCE_EXHAUSTED;
	response->ticket.len = FTS_TICKET_BYTES;
	const struct fts_ticket made = {.worker = ticket->worker,
					.number = number,
					.order = ticket->order,
					.usable_ms = ticket->usable_ms,
					.runs = ticket->runs};
	fts_ticket_make(&made, worker->key.data, response->ticket.data);
	response->address = worker->address;
	response->max_run_ms = worker->max_run_ms;
	return FTS_OK;
}

static enum fts_status stand_in_line(struct fts_apply *apply, const Fts__Dispatch__V1__AcquireRequest *request,
				     const struct gift *gift, const struct ftsi_name *counts,
				     Fts__Dispatch__V1__TicketRecord *out_ticket)
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
	out_ticket->runs = gift->runs;
	out_ticket->due_ms = apply->time_ms + request->wait_ms;
	enum fts_status status =
	    ftsi_move_check(apply, ftsi_ticket_put(ftsi_move_place(apply), gift->number, NULL, out_ticket));
	return status == FTS_OK ? change_line(apply, request->name, 1) : status;
}

static enum fts_status check_acquire(struct fts_apply *apply, const Fts__Dispatch__V1__AcquireRequest *request)
{
	enum fts_status status = ftsi_move_check_name(apply, request->name);
	if (status != FTS_OK) return status;
	if (request->wait_ms > FTSI_WAIT_MS_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "wait_ms: at most %d, not %u", FTSI_WAIT_MS_MAX,
					request->wait_ms);
	if (request->runs > FTSI_RUN_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "runs: at most %d, not %u", FTSI_RUN_COUNT_MAX,
					request->runs);
	return FTS_OK;
}

enum fts_status ftsi_dispatch_apply_acquire(struct fts_apply *apply, const ProtobufCMessage *request_base,
					    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__AcquireRequest *request = (const Fts__Dispatch__V1__AcquireRequest *)request_base;
	Fts__Dispatch__V1__AcquireResponse *response = (Fts__Dispatch__V1__AcquireResponse *)response_base;
	struct gift gift = {
	    .number = ftsi_number_here(apply), .name = request->name, .runs = request->runs == 0 ? 1 : request->runs};
	Fts__Dispatch__V1__TicketRecord ticket;
	struct ftsi_name counts;
	(void)ctx;
	enum fts_status status = check_acquire(apply, request);
	if (status != FTS_OK) return status;
	status = ftsi_name_get(ftsi_move_place(apply), request->name, &counts);
	if (status == FTS_NOT_FOUND) return fts_apply_refuse(apply, status, "nobody offers %s", request->name);
	if (status == FTS_OK) status = ftsi_free_take(ftsi_move_place(apply), request->name, &gift.worker);
	if (status == FTS_OK)
		status = give(apply, &gift, &ticket);
	else if (status == FTS_NOT_FOUND)
		status = stand_in_line(apply, request, &gift, &counts, &ticket);
	else
		return ftsi_move_check(apply, status);
	if (status == FTS_OK) status = clean(apply);
	if (status != FTS_OK) return status;
	return ftsi_move_check(apply, ftsi_dispatch_answer(ftsi_move_place(apply), gift.number, &ticket, response));
}

/* Does the caller of Release have this ticket? */
static enum fts_status check_holder(struct fts_apply *apply, const Fts__Dispatch__V1__ReleaseRequest *request,
				    const Fts__Dispatch__V1__TicketRecord *ticket)
{
	Fts__Dispatch__V1__WorkerRecord *worker;
	struct fts_ticket shown;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), ticket->worker, &worker);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (worker->key.len != FTS_TICKET_KEY_BYTES) return ftsi_move_check(apply, FTS_DATA_LOSS);
	status =
	    fts_ticket_read((struct fts_bytes){request->ticket.data, request->ticket.len}, worker->key.data, &shown);
	if (status == FTS_OK && shown.number == request->number && shown.worker == ticket->worker) return FTS_OK;
	return fts_apply_refuse(apply, FTS_PERMISSION_DENIED, "ticket: not the one with the number %" PRIu64,
				request->number);
}

enum fts_status ftsi_dispatch_apply_release(struct fts_apply *apply, const ProtobufCMessage *request_base,
					    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__ReleaseRequest *request = (const Fts__Dispatch__V1__ReleaseRequest *)request_base;
	Fts__Dispatch__V1__TicketRecord *ticket;
	(void)response_base;
	(void)ctx;
	enum fts_status status = ftsi_ticket_get(ftsi_move_place(apply), request->number, &ticket);
	if (status == FTS_NOT_FOUND) return FTS_OK; /* ended long ago */
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__ENDED) return FTS_OK;
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__HELD) status = check_holder(apply, request, ticket);
	if (status == FTS_OK && ticket->standing == FTS__DISPATCH__V1__STANDING__HELD && request->unreachable)
		status = ftsi_move_unreachable(apply, ticket->worker);
	if (status != FTS_OK) return status;
	return ftsi_move_end(apply, request->number, ticket, (struct ftsi_end){.known = true});
}

static enum fts_status finish_one(struct fts_apply *apply, uint64_t worker, const Fts__Dispatch__V1__EndedTicket *ended)
{
	Fts__Dispatch__V1__TicketRecord *ticket;
	enum fts_status status = ftsi_ticket_get(ftsi_move_place(apply), ended->number, &ticket);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (ticket->standing != FTS__DISPATCH__V1__STANDING__HELD || ticket->worker != worker) return FTS_OK;
	return ftsi_move_end(apply, ended->number, ticket, (struct ftsi_end){.known = true, .ran = ended->ran});
}

enum fts_status ftsi_dispatch_apply_finish(struct fts_apply *apply, const ProtobufCMessage *request_base,
					   ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__FinishRequest *request = (const Fts__Dispatch__V1__FinishRequest *)request_base;
	Fts__Dispatch__V1__WorkerRecord *record;
	(void)response_base;
	(void)ctx;
	if (request->n_ended > FTSI_FINISH_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "ended: at most %d", FTSI_FINISH_COUNT_MAX);
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), request->worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK; /* it was lost, and its tickets ended with it */
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (record->instance != request->instance)
		return fts_apply_refuse(apply, FTS_PERMISSION_DENIED, "instance: worker %" PRIu64 " is another's",
					request->worker);
	for (size_t i = 0; i < request->n_ended && status == FTS_OK; i++)
		status = finish_one(apply, request->worker, request->ended[i]);
	return status;
}

/* ---- Time ---- */

static enum fts_status end_due(struct fts_apply *apply, uint64_t number)
{
	Fts__Dispatch__V1__TicketRecord *ticket;
	enum fts_status status = ftsi_ticket_get(ftsi_move_place(apply), number, &ticket);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (ticket->standing == FTS__DISPATCH__V1__STANDING__ENDED || ticket->due_ms > apply->time_ms) return FTS_OK;
	bool waited = ticket->standing == FTS__DISPATCH__V1__STANDING__IN_LINE;
	return ftsi_move_end(apply, number, ticket, (struct ftsi_end){.known = waited});
}

enum fts_status ftsi_dispatch_apply_expire(struct fts_apply *apply, const ProtobufCMessage *request_base,
					   ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__ExpireRequest *request = (const Fts__Dispatch__V1__ExpireRequest *)request_base;
	const size_t lost_max = request->term == apply->term ? request->n_workers : 0;
	enum fts_status status = FTS_OK;
	size_t moved = 0, lost = 0;
	(void)response_base;
	for (; lost < lost_max && moved < EXPIRE_MOVED_MAX && status == FTS_OK; lost++)
		status = ftsi_move_lose(apply, request->workers[lost]->worker, &moved);
	for (size_t i = 0; i < request->n_numbers && status == FTS_OK; i++)
		status = end_due(apply, request->numbers[i]);
	for (size_t i = 0; i < request->n_hung && status == FTS_OK; i++)
		status = ftsi_move_mark(apply, request->hung[i], true, &moved);
	for (size_t i = 0; i < request->n_recovered && moved < EXPIRE_MOVED_MAX && status == FTS_OK; i++)
		status = ftsi_move_mark(apply, request->recovered[i], false, &moved);
	for (size_t i = 0; i < lost && status == FTS_OK; i++)
		ftsi_move_forget(request->workers[i]->worker, ftsi_dispatch_watch_leases(ctx));
	return status;
}
