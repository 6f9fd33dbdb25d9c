/* Why this file exists: callers of workers (fts/worker.h): a ticket from the dispatcher, a call to its worker, and what
 * became of it when there was no answer.
 *
 * Invariants: a run is asked for again only when it is known that it did not take place. What is kept between calls
 * (connections, tickets for more runs) is bounded. */
#include <fts/worker.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "base/clock.h"

#define MS_NS UINT64_C(1000000)

enum { LINK_MAX = 64, KEPT_MAX = 4096, ATTEMPT_MAX = 64, TIMEOUT_DEFAULT_MS = 30000, ACQUIRE_MS = 5000 };
enum { PATIENCE_MS = 1000, FATE_MS = 10000, LAST_ANSWER_MS = 2000, RELEASE_MS = 2000, DONE_MS = 1000, AGAIN_MS = 20 };
enum { TICKET_KEPT_MS = 9000, WAIT_MARGIN_MS = 1000, BATCH_MAX = 1000, OPEN_CALLS_MAX = 4096 };

/* A connection to a worker. */
struct link {
	char address[128];
	struct fts_channel *channel;
	uint32_t use_count;
	uint64_t used_ns;
};

/* A ticket in hand. */
struct ticket {
	struct ticket *next;
	char name[65], address[128];
	uint8_t bytes[128];
	size_t size_bytes;
	uint64_t number, until_ns;
	uint32_t runs, run; /* run: the next one, from 1 */
};

struct fts_caller {
	struct fts_channel *channel; /* borrowed */
	struct fts_tls tls;          /* its texts are owned */
	uint32_t batch_runs;
	pthread_mutex_t lock;
	struct link *links[LINK_MAX]; /* guarded by lock */
	struct ticket *kept;          /* guarded by lock; the last one kept is the first */
	uint32_t kept_count;          /* guarded by lock */
};

/* ---- Connections ---- */

static struct link *open_link(const struct fts_caller *caller, const char *address, struct fts_error *out_error)
{
	struct link *link = calloc(1, sizeof *link);
	const struct fts_channel_options options = {
	    .endpoints = address, .tls = caller->tls, .max_open_calls = OPEN_CALLS_MAX};
	if (link == NULL) {
		(void)fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a connection");
		return NULL;
	}
	(void)snprintf(link->address, sizeof link->address, "%s", address);
	if (fts_channel_open(&options, &link->channel, out_error) == FTS_OK) return link;
	free(link);
	return NULL;
}

static void close_link(struct link *link)
{
	if (link == NULL) return;
	fts_channel_close(link->channel);
	free(link);
}

/* The place for address: its own, a free one, or that of the one unused for longest. NULL: all are in use. Called with
 * lock held. */
static struct link **place_for(struct fts_caller *caller, const char *address)
{
	struct link **best = NULL;
	for (size_t i = 0; i < LINK_MAX; i++) {
		struct link *link = caller->links[i];
		if (link != NULL && strcmp(link->address, address) == 0) return &caller->links[i];
		if (link != NULL && link->use_count > 0) continue;
		if (best == NULL || (*best != NULL && (link == NULL || link->used_ns < (*best)->used_ns)))
			best = &caller->links[i];
	}
	return best;
}

static struct link *take_link(struct fts_caller *caller, const char *address, struct fts_error *out_error)
{
	struct link *old = NULL, *link = NULL;
	pthread_mutex_lock(&caller->lock);
	struct link **place = place_for(caller, address);
	if (place == NULL) {
		(void)fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "calls to %d workers are open", LINK_MAX);
	} else if (*place != NULL && strcmp((*place)->address, address) == 0) {
		link = *place;
	} else if ((link = open_link(caller, address, out_error)) != NULL) {
		old = *place;
		*place = link;
	}
	if (link != NULL) link->use_count++;
	pthread_mutex_unlock(&caller->lock);
	close_link(old);
	return link;
}

static void give_link(struct fts_caller *caller, struct link *link)
{
	pthread_mutex_lock(&caller->lock);
	link->use_count--;
	link->used_ns = fts_clock_monotonic_ns();
	pthread_mutex_unlock(&caller->lock);
}

/* ---- One call ---- */

struct call {
	struct fts_caller *caller;
	const char *name;
	struct fts_bytes input;
	uint64_t deadline_ns, wait_until_ns;
	struct fts_outcome *outcome;
	struct fts_error *error;
};

static uint32_t left_ms(uint64_t until_ns)
{
	return fts_clock_left_ms(fts_clock_monotonic_ns(), until_ns);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static enum fts_status too_late(const struct call *call)
{
	return fts_error_set(call->error, FTS_DEADLINE_EXCEEDED, "no worker of %s did it within the call's time limit",
			     call->name);
}

/* ---- Tickets ---- */

/* Gives a ticket back that was not used, or a place in line. Best effort: it ends by itself too. */
static void release(struct fts_caller *caller, const struct ticket *ticket, bool unreachable)
{
	Fts__Dispatch__V1__ReleaseRequest request = FTS__DISPATCH__V1__RELEASE_REQUEST__INIT;
	Fts__Dispatch__V1__ReleaseResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = RELEASE_MS};
	struct fts_error error;
	request.number = ticket->number;
	request.ticket.data = (uint8_t *)ticket->bytes;
	request.ticket.len = ticket->size_bytes;
	request.unreachable = unreachable;
	if (fts_dispatch_release(caller->channel, &request, &options, &response, &error) == FTS_OK)
		fts__dispatch__v1__release_response__free_unpacked(response, NULL);
}

/* False: what was answered is none. */
static bool read_ticket(const Fts__Dispatch__V1__AcquireResponse *response, struct ticket *ticket)
{
	if (response->ticket.len > sizeof ticket->bytes || strlen(response->address) >= sizeof ticket->address)
		return false;
	(void)snprintf(ticket->address, sizeof ticket->address, "%s", response->address);
	memcpy(ticket->bytes, response->ticket.data, response->ticket.len);
	ticket->size_bytes = response->ticket.len;
	ticket->number = response->number;
	ticket->runs = response->runs;
	ticket->run = 1;
	return true;
}

static enum fts_status take_answer(const struct call *call, Fts__Dispatch__V1__AcquireResponse *response,
				   struct ticket *ticket)
{
	bool good = read_ticket(response, ticket);
	fts__dispatch__v1__acquire_response__free_unpacked(response, NULL);
	return good ? FTS_OK : fts_error_set(call->error, FTS_INTERNAL, "the dispatcher's answer can't be used");
}

/* Stand in line until the dispatcher says that it was too long. */
static enum fts_status await(const struct call *call, struct ticket *ticket)
{
	Fts__Dispatch__V1__AwaitRequest request = FTS__DISPATCH__V1__AWAIT_REQUEST__INIT;
	enum fts_status status = FTS_DEADLINE_EXCEEDED;
	request.number = ticket->number;
	while (ticket->address[0] == 0) {
		Fts__Dispatch__V1__AcquireResponse *response = NULL;
		uint32_t call_ms = left_ms(call->deadline_ns);
		uint32_t wait_ms = left_ms(call->wait_until_ns + WAIT_MARGIN_MS * MS_NS);
		if (call_ms == 0 || wait_ms == 0) break;
		const struct fts_call_options options = {.timeout_ms = least(least(call_ms, wait_ms), FATE_MS)};
		status = fts_dispatch_await(call->caller->channel, &request, &options, &response, call->error);
		if (status == FTS_OK) status = take_answer(call, response, ticket);
		if (status == FTS_OK) return FTS_OK;
		if (status == FTS_DEADLINE_EXCEEDED && left_ms(call->wait_until_ns) > 0) continue;
		if (status != FTS_UNAVAILABLE) break;
	}
	release(call->caller, ticket, false);
	return status == FTS_DEADLINE_EXCEEDED
		   ? fts_error_set(call->error, status, "no worker of %s was free in the time to be waited", call->name)
		   : status;
}

static enum fts_status acquire(const struct call *call, struct ticket *ticket)
{
	Fts__Dispatch__V1__AcquireRequest request = FTS__DISPATCH__V1__ACQUIRE_REQUEST__INIT;
	Fts__Dispatch__V1__AcquireResponse *response = NULL;
	uint32_t call_ms = left_ms(call->deadline_ns);
	const struct fts_call_options options = {.timeout_ms = least(call_ms, ACQUIRE_MS)};
	if (call_ms == 0) return too_late(call);
	*ticket = (struct ticket){.until_ns = fts_clock_monotonic_ns() + TICKET_KEPT_MS * MS_NS};
	(void)snprintf(ticket->name, sizeof ticket->name, "%s", call->name);
	request.name = (char *)call->name;
	request.wait_ms = least(left_ms(call->wait_until_ns), call_ms);
	request.runs = call->caller->batch_runs;
	enum fts_status status =
	    fts_dispatch_acquire(call->caller->channel, &request, &options, &response, call->error);
	if (status == FTS_OK) status = take_answer(call, response, ticket);
	if (status != FTS_OK || ticket->address[0] != 0) return status;
	status = await(call, ticket);
	ticket->until_ns = fts_clock_monotonic_ns() + TICKET_KEPT_MS * MS_NS;
	return status;
}

/* One with runs left, from earlier calls. */
static bool take_kept(const struct call *call, struct ticket *ticket)
{
	struct fts_caller *caller = call->caller;
	uint64_t now_ns = fts_clock_monotonic_ns();
	struct ticket *found = NULL;
	pthread_mutex_lock(&caller->lock);
	for (struct ticket **link = &caller->kept; found == NULL && *link != NULL;) {
		struct ticket *at = *link;
		bool over = now_ns > at->until_ns;
		if (!over && strcmp(at->name, call->name) != 0) {
			link = &at->next;
			continue;
		}
		*link = at->next;
		caller->kept_count--;
		if (over)
			free(at); /* its worker has ended it */
		else
			found = at;
	}
	pthread_mutex_unlock(&caller->lock);
	if (found == NULL) return false;
	*ticket = *found;
	free(found);
	return true;
}

static void keep(struct fts_caller *caller, const struct ticket *ticket)
{
	if (ticket->run > ticket->runs) return;
	struct ticket *copy = malloc(sizeof *copy);
	if (copy == NULL) return; /* its worker ends it in time */
	*copy = *ticket;
	pthread_mutex_lock(&caller->lock);
	bool room = caller->kept_count < KEPT_MAX;
	if (room) {
		copy->next = caller->kept;
		caller->kept = copy;
		caller->kept_count++;
	}
	pthread_mutex_unlock(&caller->lock);
	if (!room) free(copy);
}

/* ---- A run, and what is said of it meanwhile ---- */

/* Shared with callbacks, which all have fired before it is gone. */
struct run {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Guarded by lock. */
	bool ended, fate_open, fate_told;
	enum fts_status status;
	struct fts_error error;
	Fts__Dispatch__V1__Fate fate;
	struct fts_outcome *outcome;
};

static void on_ran(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	const Fts__Dispatch__V1__RunResponse *response = (const Fts__Dispatch__V1__RunResponse *)base;
	struct run *run = ctx;
	pthread_mutex_lock(&run->lock);
	run->ended = true;
	run->status = status;
	if (status != FTS_OK) run->error = *error;
	if (status == FTS_OK) {
		struct fts_outcome *outcome = run->outcome;
		outcome->output = malloc(response->output.len + 1);
		if (outcome->output == NULL) {
			run->status = fts_error_set(&run->error, FTS_RESOURCE_EXHAUSTED, "no memory for the answer");
			run->error.executed = FTS_EXECUTED_YES;
		} else {
			memcpy(outcome->output, response->output.data, response->output.len);
			outcome->output[response->output.len] = 0; /* for those who print it */
			outcome->output_size_bytes = response->output.len;
		}
		outcome->exit_code = response->exit;
		outcome->run_ms = response->run_ms;
	}
	pthread_cond_signal(&run->wake);
	pthread_mutex_unlock(&run->lock);
}

static void on_fate(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct run *run = ctx;
	(void)error;
	pthread_mutex_lock(&run->lock);
	run->fate_open = false;
	run->fate_told = status == FTS_OK;
	if (status == FTS_OK) run->fate = ((const Fts__Dispatch__V1__FateResponse *)base)->fate;
	pthread_cond_signal(&run->wake);
	pthread_mutex_unlock(&run->lock);
}

static void run_init(struct run *run, struct fts_outcome *outcome)
{
	pthread_condattr_t attributes;
	*run = (struct run){.outcome = outcome};
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void run_fini(struct run *run)
{
	pthread_cond_destroy(&run->wake);
	pthread_mutex_destroy(&run->lock);
}

/* Called with lock held. Until the run has ended, fate is told, or at_ns. */
static void wait_run(struct run *run, uint64_t at_ns)
{
	const struct timespec until = {(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)};
	while (!run->ended && !run->fate_told && fts_clock_monotonic_ns() < at_ns)
		if (pthread_cond_timedwait(&run->wake, &run->lock, &until) != 0) break;
}

/* Ask what becomes of the ticket; answered when that is known, which a worker that has died cannot tell. Called with
 * lock held, which is dropped meanwhile. */
static void ask_fate(const struct call *call, const struct ticket *ticket, struct run *run, struct fts_call_id *out_id)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = FATE_MS};
	request.number = ticket->number;
	request.run = ticket->run;
	run->fate_open = true;
	pthread_mutex_unlock(&run->lock);
	enum fts_status status = fts_channel_start(call->caller->channel, fts_dispatch_fate_method, &request.base,
						   &options, on_fate, run, out_id);
	pthread_mutex_lock(&run->lock);
	if (status != FTS_OK) run->fate_open = false;
}

/* Called with lock held. Until the answer is there, or the dispatcher knows that none will come. */
static void watch_run(const struct call *call, const struct ticket *ticket, struct run *run,
		      struct fts_call_id *fate_id)
{
	uint64_t limit_ns = call->deadline_ns + PATIENCE_MS * MS_NS; /* the call's own limit ends it before */
	wait_run(run, fts_clock_monotonic_ns() + PATIENCE_MS * MS_NS);
	while (!run->ended && !run->fate_told && fts_clock_monotonic_ns() < limit_ns) {
		if (!run->fate_open) ask_fate(call, ticket, run, fate_id);
		wait_run(run, fts_clock_monotonic_ns() + PATIENCE_MS * MS_NS);
	}
	if (run->ended) return;
	run->fate_told = false; /* its answer may be on its way */
	wait_run(run, fts_clock_monotonic_ns() + LAST_ANSWER_MS * MS_NS);
}

/* Called with lock held, which is dropped meanwhile: no callback is left. */
static void end_calls(const struct call *call, struct run *run, const struct link *link, struct fts_call_id run_id,
		      struct fts_call_id fate_id)
{
	bool cut = !run->ended;
	pthread_mutex_unlock(&run->lock);
	if (cut) (void)fts_channel_cancel(link->channel, run_id);
	if (fate_id.value != 0) (void)fts_channel_cancel(call->caller->channel, fate_id);
	pthread_mutex_lock(&run->lock);
	while (!run->ended || run->fate_open)
		(void)pthread_cond_wait(&run->wake, &run->lock);
	if (cut && run->status == FTS_CANCELLED)
		run->status =
		    fts_error_set(&run->error, FTS_UNAVAILABLE, "worker %s was lost in the middle", link->address);
	if (cut && run->status != FTS_OK) run->error.executed = FTS_EXECUTED_UNKNOWN;
}

static enum fts_status run_at(const struct call *call, const struct ticket *ticket, const struct link *link)
{
	Fts__Dispatch__V1__RunRequest request = FTS__DISPATCH__V1__RUN_REQUEST__INIT;
	struct fts_call_id run_id = {0}, fate_id = {0};
	const struct fts_call_options options = {.timeout_ms = left_ms(call->deadline_ns), .no_retry = true};
	struct run run;
	if (options.timeout_ms == 0) return too_late(call);
	request.ticket.data = (uint8_t *)ticket->bytes;
	request.ticket.len = ticket->size_bytes;
	request.input.data = (uint8_t *)call->input.data;
	request.input.len = call->input.size_bytes;
	request.run = ticket->run;
	run_init(&run, call->outcome);
	enum fts_status status =
	    fts_channel_start(link->channel, fts_worker_run_method, &request.base, &options, on_ran, &run, &run_id);
	if (status != FTS_OK) {
		run_fini(&run);
		return fts_error_set(call->error, status, "the call to %s could not be begun", link->address);
	}
	pthread_mutex_lock(&run.lock);
	watch_run(call, ticket, &run, &fate_id);
	end_calls(call, &run, link, run_id, fate_id);
	status = run.status;
	if (status != FTS_OK && call->error != NULL) *call->error = run.error;
	pthread_mutex_unlock(&run.lock);
	run_fini(&run);
	return status;
}

/* ---- Afterwards ---- */

/* Nothing came back: what does the dispatcher know? */
static void learn_fate(const struct call *call, const struct ticket *ticket)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	Fts__Dispatch__V1__FateResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = least(left_ms(call->deadline_ns), FATE_MS)};
	struct fts_error error;
	request.number = ticket->number;
	request.run = ticket->run;
	if (options.timeout_ms == 0 ||
	    fts_dispatch_fate(call->caller->channel, &request, &options, &response, &error) != FTS_OK)
		return;
	if (response->fate == FTS__DISPATCH__V1__FATE__RAN) call->error->executed = FTS_EXECUTED_YES;
	if (response->fate == FTS__DISPATCH__V1__FATE__NOT_RUN) call->error->executed = FTS_EXECUTED_NO;
	fts__dispatch__v1__fate_response__free_unpacked(response, NULL);
}

/* It did not run: would another worker do it? */
static bool may_try_again(const struct call *call, enum fts_status status)
{
	if (call->error->executed != FTS_EXECUTED_NO || call->outcome->attempts >= ATTEMPT_MAX) return false;
	return status == FTS_UNAVAILABLE || status == FTS_RESOURCE_EXHAUSTED || status == FTS_FAILED_PRECONDITION ||
	       status == FTS_PERMISSION_DENIED || status == FTS_DEADLINE_EXCEEDED;
}

/* One try. *out_again: it did not run, and another worker may do it. */
static enum fts_status try_once(const struct call *call, bool *out_again)
{
	struct fts_outcome *outcome = call->outcome;
	struct ticket ticket;
	uint64_t begun_ns = fts_clock_monotonic_ns();
	*out_again = false;
	enum fts_status status = take_kept(call, &ticket) ? FTS_OK : acquire(call, &ticket);
	outcome->queued_us += (fts_clock_monotonic_ns() - begun_ns) / 1000;
	if (status != FTS_OK) return status;
	outcome->attempts++;
	outcome->number = ticket.number;
	(void)snprintf(outcome->worker, sizeof outcome->worker, "%s", ticket.address);
	struct link *link = take_link(call->caller, ticket.address, call->error);
	status = link == NULL ? call->error->status : run_at(call, &ticket, link);
	if (link != NULL) give_link(call->caller, link);
	ticket.run++;
	if (status == FTS_OK) {
		keep(call->caller, &ticket);
		return FTS_OK;
	}
	ticket.run--;
	if (call->error->executed == FTS_EXECUTED_UNKNOWN) learn_fate(call, &ticket);
	*out_again = may_try_again(call, status);
	if (call->error->executed == FTS_EXECUTED_NO && ticket.run == 1)
		release(call->caller, &ticket, status == FTS_UNAVAILABLE);
	return status;
}

static void pause_shortly(uint32_t pause_ms)
{
	const struct timespec pause = {.tv_nsec = (long)(pause_ms * MS_NS)};
	(void)nanosleep(&pause, NULL);
}

enum fts_status fts_caller_call(struct fts_caller *caller, const char *name, struct fts_bytes input,
				const struct fts_caller_call *call, struct fts_outcome *out_outcome,
				struct fts_error *out_error)
{
	struct fts_error own;
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t timeout_ms = call == NULL || call->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : call->timeout_ms;
	struct call one = {.caller = caller,
			   .name = name,
			   .input = input,
			   .deadline_ns = fts_clock_deadline_ns(now_ns, timeout_ms),
			   .wait_until_ns = fts_clock_deadline_ns(now_ns, call == NULL ? 0 : call->wait_ms),
			   .outcome = out_outcome,
			   .error = out_error == NULL ? &own : out_error};
	bool again;
	*out_outcome = (struct fts_outcome){.output = NULL};
	if (strlen(name) == 0 || strlen(name) > 64)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "name: 1 to 64 bytes are expected");
	if (input.size_bytes > FTS_WORK_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "input: at most %u bytes, not %zu", FTS_WORK_MAX,
				     input.size_bytes);
	enum fts_status status = try_once(&one, &again);
	while (again && left_ms(one.deadline_ns) > AGAIN_MS) {
		pause_shortly(AGAIN_MS);
		status = try_once(&one, &again);
	}
	return status;
}

void fts_outcome_fini(struct fts_outcome *outcome)
{
	free(outcome->output);
	outcome->output = NULL;
	outcome->output_size_bytes = 0;
}

/* ---- Life ---- */

static bool copy_text(const char *text, const char **out_copy)
{
	*out_copy = text == NULL ? NULL : strdup(text);
	return text == NULL || *out_copy != NULL;
}

enum fts_status fts_caller_open(struct fts_channel *channel, const struct fts_caller_options *options,
				struct fts_caller **out_caller, struct fts_error *out_error)
{
	const struct fts_caller_options none = {.batch_runs = 1};
	if (options == NULL) options = &none;
	if (options->batch_runs > BATCH_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "batch_runs: at most %d, not %u", BATCH_MAX,
				     options->batch_runs);
	struct fts_caller *caller = calloc(1, sizeof *caller);
	if (caller == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a caller");
	pthread_mutex_init(&caller->lock, NULL);
	caller->channel = channel;
	caller->batch_runs = options->batch_runs == 0 ? 1 : options->batch_runs;
	if (copy_text(options->tls.ca_file, &caller->tls.ca_file) &&
	    copy_text(options->tls.cert_file, &caller->tls.cert_file) &&
	    copy_text(options->tls.key_file, &caller->tls.key_file)) {
		*out_caller = caller;
		return FTS_OK;
	}
	fts_caller_close(caller);
	return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a caller");
}

/* Its worker may have its place for others. */
static void tell_done(struct fts_caller *caller, const struct ticket *ticket)
{
	Fts__Dispatch__V1__DoneRequest request = FTS__DISPATCH__V1__DONE_REQUEST__INIT;
	Fts__Dispatch__V1__DoneResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = DONE_MS, .no_retry = true};
	struct fts_error error;
	struct link *link = take_link(caller, ticket->address, &error);
	if (link == NULL) return;
	request.ticket.data = (uint8_t *)ticket->bytes;
	request.ticket.len = ticket->size_bytes;
	if (fts_worker_done(link->channel, &request, &options, &response, &error) == FTS_OK)
		fts__dispatch__v1__done_response__free_unpacked(response, NULL);
	give_link(caller, link);
}

void fts_caller_close(struct fts_caller *caller)
{
	if (caller == NULL) return;
	while (caller->kept != NULL) {
		struct ticket *ticket = caller->kept;
		caller->kept = ticket->next;
		if (fts_clock_monotonic_ns() < ticket->until_ns) tell_done(caller, ticket);
		free(ticket);
	}
	for (size_t i = 0; i < LINK_MAX; i++)
		close_link(caller->links[i]);
	free((char *)caller->tls.ca_file);
	free((char *)caller->tls.cert_file);
	free((char *)caller->tls.key_file);
	pthread_mutex_destroy(&caller->lock);
	free(caller);
}
