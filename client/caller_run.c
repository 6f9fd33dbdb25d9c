/* Why this file exists: see caller_internal.h: a run at its worker. When there is no answer for a while the dispatcher
 * is asked too: it knows of workers that have gone without a word. */
#include <stdlib.h>
#include <string.h>

#include "client/caller_internal.h"

enum { PATIENCE_MS = 1000, LAST_ANSWER_MS = 2000 };

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
			if (response->output.len > 0)
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
static void ask_fate(const struct ftsi_asked *asked, const struct ftsi_held *ticket, struct run *run,
		     struct fts_call_id *out_id)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = FTSI_FATE_MS};
	request.number = ticket->number;
	request.run = ticket->run;
	run->fate_open = true;
	pthread_mutex_unlock(&run->lock);
	enum fts_status status = fts_channel_start(asked->caller->channel, fts_dispatch_fate_method, &request.base,
						   &options, on_fate, run, out_id);
	pthread_mutex_lock(&run->lock);
	if (status != FTS_OK) run->fate_open = false;
}

/* Called with lock held. Until the answer is there, or the dispatcher knows that none will come. */
static void watch_run(const struct ftsi_asked *asked, const struct ftsi_held *ticket, struct run *run,
		      struct fts_call_id *fate_id)
{
	uint64_t limit_ns = asked->deadline_ns + PATIENCE_MS * FTSI_MS_NS; /* the call's own limit ends it before */
	wait_run(run, fts_clock_monotonic_ns() + PATIENCE_MS * FTSI_MS_NS);
	while (!run->ended && !run->fate_told && fts_clock_monotonic_ns() < limit_ns) {
		if (!run->fate_open) ask_fate(asked, ticket, run, fate_id);
		wait_run(run, fts_clock_monotonic_ns() + PATIENCE_MS * FTSI_MS_NS);
	}
	if (run->ended) return;
	run->fate_told = false; /* its answer may be on its way */
	wait_run(run, fts_clock_monotonic_ns() + LAST_ANSWER_MS * FTSI_MS_NS);
}

/* Called with lock held, which is dropped meanwhile: no callback is left. */
static void end_calls(const struct ftsi_asked *asked, struct run *run, const struct ftsi_caller_link *link,
		      struct fts_call_id run_id, struct fts_call_id fate_id)
{
	bool cut = !run->ended;
	pthread_mutex_unlock(&run->lock);
	if (cut) (void)fts_channel_cancel(link->channel, run_id);
	if (fate_id.value != 0) (void)fts_channel_cancel(asked->caller->channel, fate_id);
	pthread_mutex_lock(&run->lock);
	while (!run->ended || run->fate_open)
		(void)pthread_cond_wait(&run->wake, &run->lock);
	if (cut && run->status == FTS_CANCELLED)
		run->status =
		    fts_error_set(&run->error, FTS_UNAVAILABLE, "worker %s was lost in the middle", link->address);
	if (cut && run->status != FTS_OK) run->error.executed = FTS_EXECUTED_UNKNOWN;
}

enum fts_status ftsi_caller_run(const struct ftsi_asked *asked, const struct ftsi_held *ticket,
				const struct ftsi_caller_link *link)
{
	Fts__Dispatch__V1__RunRequest request = FTS__DISPATCH__V1__RUN_REQUEST__INIT;
	struct fts_call_id run_id = {0}, fate_id = {0};
	const struct fts_call_options options = {.timeout_ms = ftsi_left_ms(asked->deadline_ns), .no_retry = true};
	struct run run;
	if (options.timeout_ms == 0)
		return fts_error_set(asked->error, FTS_DEADLINE_EXCEEDED, "no time was left to call %s", link->address);
	request.ticket.data = (uint8_t *)ticket->bytes;
	request.ticket.len = ticket->size_bytes;
	request.input.data = (uint8_t *)asked->input.data;
	request.input.len = asked->input.size_bytes;
	request.run = ticket->run;
	run_init(&run, asked->outcome);
	enum fts_status status =
	    fts_channel_start(link->channel, fts_worker_run_method, &request.base, &options, on_ran, &run, &run_id);
	if (status != FTS_OK) {
		run_fini(&run);
		return fts_error_set(asked->error, status, "the call to %s could not be begun", link->address);
	}
	pthread_mutex_lock(&run.lock);
	watch_run(asked, ticket, &run, &fate_id);
	end_calls(asked, &run, link, run_id, fate_id);
	status = run.status;
	if (status != FTS_OK) *asked->error = run.error;
	pthread_mutex_unlock(&run.lock);
	run_fini(&run);
	return status;
}

/* ---- Afterwards ---- */

/* Nothing came back: what does the dispatcher know? */
void ftsi_caller_learn_fate(const struct ftsi_asked *asked, const struct ftsi_held *ticket)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	Fts__Dispatch__V1__FateResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms =
						     ftsi_least(ftsi_left_ms(asked->deadline_ns), FTSI_FATE_MS)};
	struct fts_error error;
	request.number = ticket->number;
	request.run = ticket->run;
	if (options.timeout_ms == 0 ||
	    fts_dispatch_fate(asked->caller->channel, &request, &options, &response, &error) != FTS_OK)
		return;
	if (response->fate == FTS__DISPATCH__V1__FATE__RAN) asked->error->executed = FTS_EXECUTED_YES;
	if (response->fate == FTS__DISPATCH__V1__FATE__NOT_RUN) asked->error->executed = FTS_EXECUTED_NO;
	fts__dispatch__v1__fate_response__free_unpacked(response, NULL);
}
