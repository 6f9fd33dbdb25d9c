/* Why this file exists: callers of workers (fts/worker.h): a ticket from the dispatcher, a run at its worker
 * (caller_run.c), and another try when that did not take place.
 *
 * Invariants: a run is asked for again only when it is known that it did not take place. What is kept between calls
 * (connections, tickets for more runs) is bounded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/caller_internal.h"

enum { KEPT_MAX = 4096, ATTEMPT_MAX = 64, BATCH_MAX = 1000 };
enum { TIMEOUT_DEFAULT_MS = 30000, ACQUIRE_MS = 5000, RELEASE_MS = 2000, DONE_MS = 1000, AGAIN_MS = 20 };
enum { TICKET_KEPT_MS = 9000, WAIT_MARGIN_MS = 1000 };

static enum fts_status too_late(const struct ftsi_asked *asked)
{
	return fts_error_set(asked->error, FTS_DEADLINE_EXCEEDED, "no worker of %s did it within the call's time limit",
			     asked->name);
}

/* ---- Tickets ---- */

/* Gives a ticket back that was not used, or a place in line. Best effort: it ends by itself too. */
static void release(struct fts_caller *caller, const struct ftsi_held *ticket, bool unreachable)
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
static bool read_ticket(const Fts__Dispatch__V1__AcquireResponse *response, struct ftsi_held *ticket)
{
	if (response->ticket.len > sizeof ticket->bytes || strlen(response->address) >= sizeof ticket->address)
		return false;
	(void)snprintf(ticket->address, sizeof ticket->address, "%s", response->address);
	if (response->ticket.len > 0) memcpy(ticket->bytes, response->ticket.data, response->ticket.len);
	ticket->size_bytes = response->ticket.len;
	ticket->number = response->number;
	ticket->runs = response->runs;
	ticket->run = 1;
	return true;
}

static enum fts_status take_answer(const struct ftsi_asked *asked, Fts__Dispatch__V1__AcquireResponse *response,
				   struct ftsi_held *ticket)
{
	bool good = read_ticket(response, ticket);
	fts__dispatch__v1__acquire_response__free_unpacked(response, NULL);
	return good ? FTS_OK : fts_error_set(asked->error, FTS_INTERNAL, "the dispatcher's answer can't be used");
}

/* Stand in line until the dispatcher says that it was too long. */
static enum fts_status await(const struct ftsi_asked *asked, struct ftsi_held *ticket)
{
	Fts__Dispatch__V1__AwaitRequest request = FTS__DISPATCH__V1__AWAIT_REQUEST__INIT;
	enum fts_status status = FTS_DEADLINE_EXCEEDED;
	request.number = ticket->number;
	while (ticket->address[0] == 0) {
		Fts__Dispatch__V1__AcquireResponse *response = NULL;
		uint32_t call_ms = ftsi_left_ms(asked->deadline_ns);
		uint32_t wait_ms = ftsi_left_ms(asked->wait_until_ns + WAIT_MARGIN_MS * FTSI_MS_NS);
		if (call_ms == 0 || wait_ms == 0) break;
		const struct fts_call_options options = {.timeout_ms =
							     ftsi_least(ftsi_least(call_ms, wait_ms), FTSI_FATE_MS)};
		status = fts_dispatch_await(asked->caller->channel, &request, &options, &response, asked->error);
		if (status == FTS_OK) status = take_answer(asked, response, ticket);
		if (status == FTS_OK) return FTS_OK;
		if (status == FTS_DEADLINE_EXCEEDED && ftsi_left_ms(asked->wait_until_ns) > 0) continue;
		if (status != FTS_UNAVAILABLE) break;
	}
	release(asked->caller, ticket, false);
	return status == FTS_DEADLINE_EXCEEDED
		   ? fts_error_set(asked->error, status, "no worker of %s was free in the time to be waited",
				   asked->name)
		   : status;
}

static enum fts_status acquire(const struct ftsi_asked *asked, struct ftsi_held *ticket)
{
	Fts__Dispatch__V1__AcquireRequest request = FTS__DISPATCH__V1__ACQUIRE_REQUEST__INIT;
	Fts__Dispatch__V1__AcquireResponse *response = NULL;
	uint32_t call_ms = ftsi_left_ms(asked->deadline_ns);
	const struct fts_call_options options = {.timeout_ms = ftsi_least(call_ms, ACQUIRE_MS)};
	if (call_ms == 0) return too_late(asked);
	*ticket = (struct ftsi_held){.until_ns = fts_clock_monotonic_ns() + TICKET_KEPT_MS * FTSI_MS_NS};
	(void)snprintf(ticket->name, sizeof ticket->name, "%s", asked->name);
	request.name = (char *)asked->name;
	request.wait_ms = ftsi_least(ftsi_left_ms(asked->wait_until_ns), call_ms);
	request.runs = asked->caller->batch_runs;
	enum fts_status status =
	    fts_dispatch_acquire(asked->caller->channel, &request, &options, &response, asked->error);
	if (status == FTS_OK) status = take_answer(asked, response, ticket);
	if (status != FTS_OK || ticket->address[0] != 0) return status;
	status = await(asked, ticket);
	ticket->until_ns = fts_clock_monotonic_ns() + TICKET_KEPT_MS * FTSI_MS_NS;
	return status;
}

/* One with runs left, from earlier calls. */
static bool take_kept(const struct ftsi_asked *asked, struct ftsi_held *ticket)
{
	struct fts_caller *caller = asked->caller;
	uint64_t now_ns = fts_clock_monotonic_ns();
	struct ftsi_held *found = NULL;
	pthread_mutex_lock(&caller->lock);
	for (struct ftsi_held **link = &caller->kept; found == NULL && *link != NULL;) {
		struct ftsi_held *at = *link;
		bool over = now_ns > at->until_ns;
		if (!over && strcmp(at->name, asked->name) != 0) {
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

static void keep(struct fts_caller *caller, const struct ftsi_held *ticket)
{
	if (ticket->run > ticket->runs) return;
	struct ftsi_held *copy = malloc(sizeof *copy);
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

/* ---- Tries ---- */

/* It did not run: would another worker do it? */
static bool may_try_again(const struct ftsi_asked *asked, enum fts_status status)
{
	if (asked->error->executed != FTS_EXECUTED_NO || asked->outcome->attempts >= ATTEMPT_MAX) return false;
	return status == FTS_UNAVAILABLE || status == FTS_RESOURCE_EXHAUSTED || status == FTS_FAILED_PRECONDITION ||
	       status == FTS_PERMISSION_DENIED || status == FTS_DEADLINE_EXCEEDED;
}

/* One try. *out_again: it did not run, and another worker may do it. */
static enum fts_status try_once(const struct ftsi_asked *asked, bool *out_again)
{
	struct fts_outcome *outcome = asked->outcome;
	struct ftsi_held ticket;
	uint64_t begun_ns = fts_clock_monotonic_ns();
	*out_again = false;
	enum fts_status status = take_kept(asked, &ticket) ? FTS_OK : acquire(asked, &ticket);
	outcome->queued_us += (fts_clock_monotonic_ns() - begun_ns) / 1000;
	if (status != FTS_OK) return status;
	outcome->attempts++;
	outcome->number = ticket.number;
	(void)snprintf(outcome->worker, sizeof outcome->worker, "%s", ticket.address);
	struct ftsi_caller_link *link = ftsi_caller_take_link(asked->caller, ticket.address, asked->error);
	status = link == NULL ? asked->error->status : ftsi_caller_run(asked, &ticket, link);
	if (link != NULL) ftsi_caller_give_link(asked->caller, link);
	ticket.run++;
	if (status == FTS_OK) {
		keep(asked->caller, &ticket);
		return FTS_OK;
	}
	ticket.run--;
	if (asked->error->executed == FTS_EXECUTED_UNKNOWN) ftsi_caller_learn_fate(asked, &ticket);
	*out_again = may_try_again(asked, status);
	if (asked->error->executed == FTS_EXECUTED_NO && ticket.run == 1)
		release(asked->caller, &ticket, status == FTS_UNAVAILABLE);
	return status;
}

static void pause_shortly(uint32_t pause_ms)
{
	const struct timespec pause = {.tv_nsec = (long)(pause_ms * FTSI_MS_NS)};
	(void)nanosleep(&pause, NULL);
}

enum fts_status fts_caller_call(struct fts_caller *caller, const char *name, struct fts_bytes input,
				const struct fts_caller_call *call, struct fts_outcome *out_outcome,
				struct fts_error *out_error)
{
	struct fts_error own;
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t timeout_ms = call == NULL || call->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : call->timeout_ms;
	struct ftsi_asked one = {.caller = caller,
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
	while (again && ftsi_left_ms(one.deadline_ns) > AGAIN_MS) {
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
static void tell_done(struct fts_caller *caller, const struct ftsi_held *ticket)
{
	Fts__Dispatch__V1__DoneRequest request = FTS__DISPATCH__V1__DONE_REQUEST__INIT;
	Fts__Dispatch__V1__DoneResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = DONE_MS, .no_retry = true};
	struct fts_error error;
	struct ftsi_caller_link *link = ftsi_caller_take_link(caller, ticket->address, &error);
	if (link == NULL) return;
	request.ticket.data = (uint8_t *)ticket->bytes;
	request.ticket.len = ticket->size_bytes;
	if (fts_worker_done(link->channel, &request, &options, &response, &error) == FTS_OK)
		fts__dispatch__v1__done_response__free_unpacked(response, NULL);
	ftsi_caller_give_link(caller, link);
}

void fts_caller_close(struct fts_caller *caller)
{
	if (caller == NULL) return;
	while (caller->kept != NULL) {
		struct ftsi_held *ticket = caller->kept;
		caller->kept = ticket->next;
		if (fts_clock_monotonic_ns() < ticket->until_ns) tell_done(caller, ticket);
		free(ticket);
	}
	for (size_t i = 0; i < FTSI_CALLER_LINK_MAX; i++)
		ftsi_caller_close_link(caller->links[i]);
	free((char *)caller->tls.ca_file);
	free((char *)caller->tls.cert_file);
	free((char *)caller->tls.key_file);
	pthread_mutex_destroy(&caller->lock);
	free(caller);
}
