/* Why this file exists: see worker_internal.h: tickets that are shown, their runs and their end. */
#include "client/worker_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"

#define MS_NS UINT64_C(1000000)

int64_t ftsi_worker_now_ms(const struct fts_worker *worker)
{
	return worker->clock_ms + (int64_t)((fts_clock_monotonic_ns() - worker->clock_ns) / MS_NS);
}

/* ---- Slots: called with lock held ---- */

void ftsi_worker_slots_init(struct fts_worker *worker)
{
	for (uint32_t i = 0; i < worker->capacity; i++) {
		worker->buckets[i] = FTSI_NO_SLOT;
		worker->slots[i].next = i + 1 < worker->capacity ? i + 1 : FTSI_NO_SLOT;
	}
	worker->free_head = 0;
}

static uint32_t *bucket_of(struct fts_worker *worker, uint64_t number)
{
	return &worker->buckets[(number ^ number >> 16) % worker->capacity];
}

static struct ftsi_slot *find(struct fts_worker *worker, uint64_t number)
{
	for (uint32_t at = *bucket_of(worker, number); at != FTSI_NO_SLOT; at = worker->slots[at].next)
		if (worker->slots[at].number == number) return &worker->slots[at];
	return NULL;
}

/* NULL: as many tickets have begun as there is capacity. */
static struct ftsi_slot *take_slot(struct fts_worker *worker, const struct fts_ticket *ticket)
{
	uint32_t at = worker->free_head, *bucket = bucket_of(worker, ticket->number);
	if (at == FTSI_NO_SLOT) return NULL;
	struct ftsi_slot *slot = &worker->slots[at];
	worker->free_head = slot->next;
	*slot = (struct ftsi_slot){.number = ticket->number,
				   .usable_ms = ticket->usable_ms,
				   .begun_ns = fts_clock_monotonic_ns(),
				   .runs = ticket->runs,
				   .next = *bucket,
				   .used = true};
	*bucket = at;
	if (ticket->runs > 1 && worker->several_count++ == 0)
		pthread_cond_signal(&worker->finish_wake); /* somebody has to look whether it lies idle */
	return slot;
}

static void tell_ended(struct fts_worker *worker, uint64_t number, uint32_t ran)
{
	if (worker->ended_count == worker->ended_max) return; /* never: see worker_internal.h */
	uint32_t at = (worker->ended_first + worker->ended_count++) % worker->ended_max;
	worker->ended[at] = (struct ftsi_ended){number, ran};
	pthread_cond_signal(&worker->finish_wake);
}

static void free_slot(struct fts_worker *worker, struct ftsi_slot *slot)
{
	uint32_t at = (uint32_t)(slot - worker->slots), *link = bucket_of(worker, slot->number);
	while (*link != at)
		link = &worker->slots[*link].next;
	*link = slot->next;
	if (slot->runs > 1) worker->several_count--;
	if (slot->stray)
		worker->stray_count--;
	else
		tell_ended(worker, slot->number, slot->ran);
	slot->used = false;
	slot->next = worker->free_head;
	worker->free_head = at;
}

void ftsi_worker_sweep(struct fts_worker *worker, bool everything)
{
	int64_t now_ms = ftsi_worker_now_ms(worker);
	uint64_t idle_ns = fts_clock_monotonic_ns() - FTS_TICKET_IDLE_MS * MS_NS;
	for (uint32_t i = 0; i < worker->capacity; i++) {
		struct ftsi_slot *slot = &worker->slots[i];
		bool over = everything || slot->usable_ms < now_ms || slot->idle_ns < idle_ns;
		if (slot->used && slot->run == 0 && over) free_slot(worker, slot);
	}
}

void ftsi_worker_overdue(struct fts_worker *worker, uint64_t number)
{
	const struct ftsi_slot *slot = find(worker, number);
	if (slot != NULL) return;                                /* it runs, or the next sweep ends it */
	if (worker->ending) return;                              /* that it is gone says the same */
	if (worker->ended_count >= FTSI_WORKER_TELL_MAX) return; /* the next beat names it again */
	for (uint32_t i = 0; i < worker->ended_count; i++)
		if (worker->ended[(worker->ended_first + i) % worker->ended_max].number == number) return;
	tell_ended(worker, number, 0);
}

/* ---- A ticket is shown: called with lock held ---- */

static enum fts_status check(struct fts_worker *worker, const struct fts_ticket *ticket, struct fts_error *out_error)
{
	if (worker->stopping || worker->id == 0)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "this worker of %s takes no runs now", worker->name);
	if (ticket->worker != worker->id)
		return fts_error_set(out_error, FTS_PERMISSION_DENIED,
				     "ticket: for worker %" PRIu64 ", this is %" PRIu64, ticket->worker, worker->id);
	if (ticket->usable_ms <= worker->floor_ms || ticket->usable_ms < ftsi_worker_now_ms(worker))
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "ticket: its time is over");
	return FTS_OK;
}

static enum fts_status begin(struct fts_worker *worker, const struct fts_ticket *ticket, uint32_t run,
			     struct ftsi_slot **out_slot, struct fts_error *out_error)
{
	enum fts_status status = check(worker, ticket, out_error);
	if (status != FTS_OK) return status;
	struct ftsi_slot *slot = find(worker, ticket->number);
	if (slot != NULL && slot->run != 0)
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "ticket: its run %u has not ended", slot->run);
	if (run == 0 || run > ticket->runs || (slot != NULL && (run <= slot->ran || slot->done)))
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "ticket: run %u of %u was used", run,
				     ticket->runs);
	if (slot == NULL && worker->free_head == FTSI_NO_SLOT)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "all %u places of this worker are taken",
				     worker->capacity);
	if (slot == NULL && !fts_ticket_window_take(&worker->window, ticket->order))
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "ticket: it was used");
	if (slot == NULL) slot = take_slot(worker, ticket);
	slot->run = run;
	*out_slot = slot;
	return FTS_OK;
}

/* True: it was the last one of its ticket. */
static bool end_run(struct fts_worker *worker, struct ftsi_slot *slot, bool ran)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	bool held_long = now_ns - slot->begun_ns >= FTS_TICKET_HOLD_MS * MS_NS;
	bool last = slot->run == slot->runs || !ran || held_long || slot->stray || slot->done || worker->stopping;
	if (ran) slot->ran = slot->run;
	slot->run = 0;
	slot->idle_ns = now_ns;
	if (last) free_slot(worker, slot);
	return last;
}

/* ---- The calls ---- */

static void run(struct fts_call *call, const Fts__Dispatch__V1__RunRequest *request, void *ctx)
{
	struct fts_worker *worker = ctx;
	struct fts_ticket ticket = {0};
	struct fts_error error = {0};
	struct ftsi_slot *slot = NULL;
	struct fts_work *work = fts_call_alloc(call, sizeof *work);
	if (work == NULL || request->input.len > FTS_WORK_MAX) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "input: at most %u bytes, not %zu", FTS_WORK_MAX,
			      request->input.len);
		return;
	}
	const struct fts_bytes shown = {request->ticket.data, request->ticket.len};
	enum fts_status status = fts_ticket_read(shown, worker->key, &ticket);
	if (status != FTS_OK) {
		fts_call_fail(call, status, "ticket: not one for this worker");
		return;
	}
	uint64_t now_ns = fts_clock_monotonic_ns();
	pthread_mutex_lock(&worker->lock);
	status = begin(worker, &ticket, request->run == 0 ? 1 : request->run, &slot, &error);
	if (status == FTS_OK) {
		slot->started_ns = now_ns;
		worker->run_count++;
		worker->ref_count++;
		*work = (struct fts_work){.worker = worker,
					  .call = call,
					  .request = request,
					  .number = ticket.number,
					  .started_ns = now_ns,
					  .slot = (uint32_t)(slot - worker->slots),
					  .run = slot->run};
	}
	pthread_mutex_unlock(&worker->lock);
	if (status != FTS_OK)
		fts_call_fail_error(call, &error);
	else
		worker->run(worker->ctx, work);
}

static void done(struct fts_call *call, const Fts__Dispatch__V1__DoneRequest *request, void *ctx)
{
	struct fts_worker *worker = ctx;
	struct fts_ticket ticket;
	const struct fts_bytes shown = {request->ticket.data, request->ticket.len};
	enum fts_status status = fts_ticket_read(shown, worker->key, &ticket);
	if (status != FTS_OK) {
		fts_call_fail(call, status, "ticket: not one for this worker");
		return;
	}
	pthread_mutex_lock(&worker->lock);
	struct ftsi_slot *slot = ticket.worker == worker->id ? find(worker, ticket.number) : NULL;
	if (slot != NULL && slot->run != 0)
		slot->done = true;
	else if (slot != NULL)
		free_slot(worker, slot);
	else if (ticket.worker == worker->id && fts_ticket_window_take(&worker->window, ticket.order))
		tell_ended(worker, ticket.number, 0);
	pthread_mutex_unlock(&worker->lock);
	fts_worker_done_reply(call, &(const Fts__Dispatch__V1__DoneResponse)FTS__DISPATCH__V1__DONE_RESPONSE__INIT);
}

const struct fts_worker_handlers ftsi_worker_handlers = {.run = run, .done = done};

/* ---- A work and its answer ---- */

struct fts_bytes fts_work_input(const struct fts_work *work)
{
	return (struct fts_bytes){work->request->input.data, work->request->input.len};
}

uint64_t fts_work_number(const struct fts_work *work)
{
	return work->number;
}

uint32_t fts_work_run(const struct fts_work *work)
{
	return work->run;
}

uint64_t fts_work_deadline_ns(const struct fts_work *work)
{
	return fts_call_deadline_ns(work->call);
}

/* Before the answer: its holder may come with the next run at once. True: with another ticket. */
static bool end_work(const struct fts_work *work, bool ran)
{
	struct fts_worker *worker = work->worker;
	pthread_mutex_lock(&worker->lock);
	bool last = end_run(worker, &worker->slots[work->slot], ran);
	if (--worker->run_count == 0) pthread_cond_broadcast(&worker->idle_wake);
	pthread_mutex_unlock(&worker->lock);
	return last;
}

void fts_work_answer(struct fts_work *work, struct fts_bytes output, int exit_code)
{
	Fts__Dispatch__V1__RunResponse response = FTS__DISPATCH__V1__RUN_RESPONSE__INIT;
	struct fts_worker *worker = work->worker;
	if (output.size_bytes > FTS_WORK_MAX) {
		fts_work_fail(work, FTS_RESOURCE_EXHAUSTED, "the answer has more than %u bytes", FTS_WORK_MAX);
		return;
	}
	response.ended = end_work(work, true);
	response.output.data = (uint8_t *)output.data;
	response.output.len = output.size_bytes;
	response.exit = exit_code;
	response.run_ms = (uint32_t)((fts_clock_monotonic_ns() - work->started_ns) / MS_NS);
	fts_worker_run_reply(work->call, &response);
	ftsi_worker_release(worker);
}

static void end_badly(struct fts_work *work, const struct fts_error *error)
{
	struct fts_worker *worker = work->worker;
	FTS_ASSERT(error->status != FTS_OK);
	(void)end_work(work, error->executed == FTS_EXECUTED_YES);
	fts_call_fail_error(work->call, error);
	ftsi_worker_release(worker);
}

void fts_work_fail(struct fts_work *work, enum fts_status status, const char *format, ...)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_YES};
	va_list args;
	va_start(args, format);
	(void)vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	end_badly(work, &error);
}

void fts_work_refuse(struct fts_work *work, enum fts_status status, const char *format, ...)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_NO};
	va_list args;
	va_start(args, format);
	(void)vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	end_badly(work, &error);
}
