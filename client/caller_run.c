/* Why this file exists: see caller_internal.h: a run at its worker. When there is no answer for a while the dispatcher
 * is asked too: it knows of workers that have gone without a word. */
#include <stdlib.h>
#include <string.h>

#include "client/caller_internal.h"

enum { PATIENCE_MS = 1000, LAST_ANSWER_MS = 2000 };

/* What is to be done about a run. */
enum act { ACT_NONE, ACT_LEAVE, ACT_CUT, ACT_ASK_FATE, ACT_END_FATE };

/* ---- What is said of it ---- */

/* Called with lock held. */
static void take_answer(struct ftsi_job *job, const Fts__Dispatch__V1__RunResponse *response)
{
	struct fts_outcome *outcome = &job->outcome;
	outcome->output = malloc(response->output.len + 1);
	if (outcome->output == NULL) {
		job->run_status = fts_error_set(&job->error, FTS_RESOURCE_EXHAUSTED, "no memory for the answer");
		job->error.executed = FTS_EXECUTED_YES;
		return;
	}
	if (response->output.len > 0) memcpy(outcome->output, response->output.data, response->output.len);
	outcome->output[response->output.len] = 0; /* for those who print it */
	outcome->output_size_bytes = response->output.len;
	outcome->exit_code = response->exit;
	outcome->run_ms = response->run_ms;
	job->ticket_over = response->ended != 0;
}

static void on_ran(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_job *job = ctx;
	pthread_mutex_lock(&job->lock);
	job->ended = true;
	job->run_status = status;
	if (status == FTS_OK)
		take_answer(job, (const Fts__Dispatch__V1__RunResponse *)base);
	else
		job->error = *error;
	pthread_mutex_unlock(&job->lock);
	ftsi_job_look_at_run(job);
	ftsi_job_drop(job);
}

static void on_fate(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_job *job = ctx;
	(void)base, (void)error;
	pthread_mutex_lock(&job->lock);
	bool ended = job->ended;
	job->fate_open = false;
	if (status == FTS_OK) { /* its ticket has ended; an answer may be on its way */
		job->fate_told = true;
		job->look_ns = fts_clock_monotonic_ns() + LAST_ANSWER_MS * FTSI_MS_NS;
	}
	if (!ended) atomic_store(&job->due_ns, job->look_ns); /* the rest is the looker's */
	pthread_mutex_unlock(&job->lock);
	if (ended) ftsi_job_look_at_run(job);
	ftsi_job_drop(job);
}

/* Ask what becomes of the ticket; answered when that is known, which a worker that has died cannot tell. */
static void ask_fate(struct ftsi_job *job)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = FTSI_FATE_MS};
	struct fts_call_id id = {0};
	request.number = job->ticket.number;
	request.run = job->ticket.run;
	ftsi_job_hold(job);
	enum fts_status status = fts_channel_start(job->caller->channel, fts_dispatch_fate_method, &request.base,
						   &options, on_fate, job, &id);
	pthread_mutex_lock(&job->lock);
	if (status != FTS_OK)
		job->fate_open = false;
	else
		job->fate_id = id;
	pthread_mutex_unlock(&job->lock);
	if (status != FTS_OK) ftsi_job_drop(job);
}

/* ---- What follows ---- */

/* Called with lock held. Until the answer is there, or the dispatcher knows that none will come; then without callbacks
 * of it that are still to come. */
static enum act decide(struct ftsi_job *job)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (job->phase != FTSI_JOB_RUN || job->left) return ACT_NONE;
	if (job->ended && !job->fate_open) {
		job->left = true;
		return ACT_LEAVE;
	}
	if (job->ended) {
		job->look_ns = now_ns; /* again, in case that it had not quite begun */
		return ACT_END_FATE;
	}
	if (now_ns < job->look_ns) return ACT_NONE;
	if (job->cut || job->fate_told || now_ns >= job->deadline_ns + PATIENCE_MS * FTSI_MS_NS) {
		job->cut = true;
		return ACT_CUT;
	}
	job->look_ns = now_ns + PATIENCE_MS * FTSI_MS_NS;
	if (job->fate_open) return ACT_NONE;
	job->fate_open = true;
	return ACT_ASK_FATE;
}

static void leave(struct ftsi_job *job)
{
	enum fts_status status = job->run_status;
	if (job->cut && status == FTS_CANCELLED)
		status = fts_error_set(&job->error, FTS_UNAVAILABLE, "worker %s was lost in the middle",
				       job->ticket.address);
	if (job->cut && status != FTS_OK) job->error.executed = FTS_EXECUTED_UNKNOWN;
	ftsi_job_after_run(job, status);
}

void ftsi_job_look_at_run(struct ftsi_job *job)
{
	pthread_mutex_lock(&job->lock);
	enum act act = decide(job);
	if (job->phase == FTSI_JOB_RUN) atomic_store(&job->due_ns, job->left ? 0 : job->look_ns);
	struct fts_call_id run_id = job->main_id, fate_id = job->fate_id;
	const struct ftsi_caller_link *link = job->link; /* only the looker cuts, and only it closes connections */
	pthread_mutex_unlock(&job->lock);
	switch (act) {
	case ACT_NONE:
		return;
	case ACT_LEAVE:
		leave(job);
		return;
	case ACT_CUT:
		(void)fts_channel_cancel(link->channel, run_id);
		return;
	case ACT_ASK_FATE:
		ask_fate(job);
		return;
	case ACT_END_FATE:
		(void)fts_channel_cancel(job->caller->channel, fate_id);
		return;
	}
}

static void begin(struct ftsi_job *job)
{
	pthread_mutex_lock(&job->lock);
	job->phase = FTSI_JOB_RUN;
	job->ended = job->left = job->cut = job->fate_open = job->fate_told = job->ticket_over = false;
	job->fate_id = job->main_id = (struct fts_call_id){0};
	job->look_ns = fts_clock_monotonic_ns() + PATIENCE_MS * FTSI_MS_NS;
	atomic_store(&job->due_ns, job->look_ns);
	pthread_mutex_unlock(&job->lock);
}

void ftsi_job_run(struct ftsi_job *job)
{
	Fts__Dispatch__V1__RunRequest request = FTS__DISPATCH__V1__RUN_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = ftsi_left_ms(job->deadline_ns), .no_retry = true};
	enum fts_status status = FTS_DEADLINE_EXCEEDED;
	request.ticket.data = job->ticket.bytes;
	request.ticket.len = job->ticket.size_bytes;
	request.input.data = (uint8_t *)(uintptr_t)job->input.data;
	request.input.len = job->input.size_bytes;
	request.run = job->ticket.run;
	begin(job);
	if (options.timeout_ms > 0)
		status =
		    ftsi_job_start(job, job->link->channel, fts_worker_run_method, &request.base, &options, on_ran);
	if (status == FTS_OK) return;
	(void)fts_error_set(&job->error, status, "the call to %s could not be begun in time", job->ticket.address);
	ftsi_job_after_run(job, status);
}

/* ---- Afterwards ---- */

static void on_learned(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_job *job = ctx;
	(void)error;
	Fts__Dispatch__V1__Fate fate = status == FTS_OK ? ((const Fts__Dispatch__V1__FateResponse *)base)->fate
							: FTS__DISPATCH__V1__FATE__FATE_UNKNOWN;
	if (fate == FTS__DISPATCH__V1__FATE__RAN) job->error.executed = FTS_EXECUTED_YES;
	if (fate == FTS__DISPATCH__V1__FATE__NOT_RUN) job->error.executed = FTS_EXECUTED_NO;
	ftsi_job_judge(job);
	ftsi_job_drop(job);
}

void ftsi_job_learn_fate(struct ftsi_job *job)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms =
						     ftsi_least(ftsi_left_ms(job->deadline_ns), FTSI_FATE_MS)};
	enum fts_status status = FTS_DEADLINE_EXCEEDED;
	request.number = job->ticket.number;
	request.run = job->ticket.run;
	ftsi_job_enter(job, FTSI_JOB_FATE);
	if (options.timeout_ms > 0)
		status = ftsi_job_start(job, job->caller->channel, fts_dispatch_fate_method, &request.base, &options,
					on_learned);
	if (status != FTS_OK) ftsi_job_judge(job);
}
