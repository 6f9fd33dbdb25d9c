/* Why this file exists: the life of a caller of workers (fts/worker.h), and its looker: the one thread that comes when
 * the time of a call has come. See caller_internal.h.
 *
 * Invariants: what is kept between calls (connections, tickets for more runs, habits) is bounded, and so is the number
 * of open calls. While no call is open for a second the looker sleeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/caller_internal.h"
#include "rpc/channel_facts.h"

enum { TIMEOUT_DEFAULT_MS = 30000, LOOK_MS = 10, CLOSING_LOOK_MS = 1, LOOKS_BEFORE_SLEEP = 100, DUE_MAX = 256 };

/* ---- The looker ---- */

/* This thread is one: it tells ends too, and whoever waits within that would wait for this thread. */
static _Thread_local bool is_looker;

/* Called with lock held. Calls whose time has come (all, when closing), each with a reference; returns how many. */
static size_t list_due(struct fts_caller *caller, struct ftsi_job **out_jobs)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	size_t count = 0;
	for (struct ftsi_job *job = caller->jobs; job != NULL && count < DUE_MAX; job = job->next) {
		uint64_t due_ns = atomic_load(&job->due_ns);
		if (!caller->closing && (due_ns == 0 || due_ns > now_ns)) continue;
		ftsi_job_hold(job);
		out_jobs[count++] = job;
	}
	return count;
}

/* Called with lock held, which is dropped meanwhile. */
static void look(struct fts_caller *caller)
{
	struct ftsi_job *due[DUE_MAX];
	size_t count = list_due(caller, due);
	bool closing = caller->closing;
	struct ftsi_caller_link *old = caller->old_links;
	caller->old_links = NULL;
	ftsi_caller_drop_old_tickets(caller);
	pthread_mutex_unlock(&caller->lock);
	for (size_t i = 0; i < count; i++) {
		ftsi_job_look(due[i], closing);
		ftsi_job_drop(due[i]);
	}
	ftsi_caller_close_links(old);
	pthread_mutex_lock(&caller->lock);
}

static void *run_looker(void *data)
{
	struct fts_caller *caller = data;
	unsigned idle_count = 0;
	is_looker = true;
	pthread_mutex_lock(&caller->lock);
	while (!caller->closing || caller->job_count > 0) {
		uint64_t next_ns =
		    fts_clock_monotonic_ns() + (caller->closing ? CLOSING_LOOK_MS : LOOK_MS) * FTSI_MS_NS;
		const struct timespec next = {(time_t)(next_ns / 1000000000u), (long)(next_ns % 1000000000u)};
		idle_count = caller->job_count == 0 && caller->kept_count == 0 ? idle_count + 1 : 0;
		caller->looker_sleeps = idle_count > LOOKS_BEFORE_SLEEP;
		if (caller->looker_sleeps)
			(void)pthread_cond_wait(&caller->wake, &caller->lock);
		else
			(void)pthread_cond_timedwait(&caller->wake, &caller->lock, &next);
		if (caller->looker_sleeps) idle_count = 0;
		caller->looker_sleeps = false;
		look(caller);
	}
	pthread_mutex_unlock(&caller->lock);
	return NULL;
}

/* ---- Calls ---- */

static enum fts_status check(const char *name, struct fts_bytes input, struct fts_error *out_error)
{
	if (strlen(name) == 0 || strlen(name) > 64)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "name: 1 to 64 bytes are expected");
	if (input.size_bytes > FTS_WORK_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "input: at most %u bytes, not %zu", FTS_WORK_MAX,
				     input.size_bytes);
	return FTS_OK;
}

/* room_bytes: behind it, for its input. NULL: no memory. */
static struct ftsi_job *make_job(struct fts_caller *caller, const char *name, const struct fts_caller_call *call,
				 size_t room_bytes)
{
	struct ftsi_job *job = malloc(sizeof *job + room_bytes);
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t timeout_ms = call == NULL || call->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : call->timeout_ms;
	if (job == NULL) return NULL;
	*job = (struct ftsi_job){.caller = caller,
				 .deadline_ns = fts_clock_deadline_ns(now_ns, timeout_ms),
				 .wait_until_ns = fts_clock_deadline_ns(now_ns, call == NULL ? 0 : call->wait_ms)};
	atomic_init(&job->ref_count, 1);
	(void)snprintf(job->name, sizeof job->name, "%s", name);
	pthread_mutex_init(&job->lock, NULL);
	return job;
}

/* job: owned. */
static enum fts_status enlist(struct fts_caller *caller, struct ftsi_job *job, struct fts_error *out_error)
{
	enum fts_status status = FTS_OK;
	pthread_mutex_lock(&caller->lock);
	if (caller->closing)
		status = fts_error_set(out_error, FTS_CANCELLED, "the caller is being closed");
	else if (caller->job_count >= FTSI_CALLER_OPEN_MAX)
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "%d calls of this caller are open",
				       FTSI_CALLER_OPEN_MAX);
	if (status == FTS_OK) {
		job->next = caller->jobs;
		job->at = &caller->jobs;
		if (job->next != NULL) job->next->at = &job->next;
		caller->jobs = job;
		caller->job_count++;
		if (caller->looker_sleeps) pthread_cond_signal(&caller->wake);
	}
	pthread_mutex_unlock(&caller->lock);
	if (status == FTS_OK)
		ftsi_job_begin(job);
	else
		ftsi_job_drop(job);
	return status;
}

enum fts_status fts_caller_start(struct fts_caller *caller, const char *name, struct fts_bytes input,
				 const struct fts_caller_call *call, fts_called_fn done, void *ctx,
				 struct fts_error *out_error)
{
	enum fts_status status = check(name, input, out_error);
	if (status != FTS_OK) return status;
	struct ftsi_job *job = make_job(caller, name, call, input.size_bytes);
	if (job == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a call");
	if (input.size_bytes > 0) memcpy(job + 1, input.data, input.size_bytes);
	job->input = (struct fts_bytes){(const uint8_t *)(job + 1), input.size_bytes};
	job->done = done;
	job->ctx = ctx;
	return enlist(caller, job, out_error);
}

/* A thread that waits. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ended; /* guarded by lock, as all below */
	struct fts_outcome *outcome;
	struct fts_error *error;
	enum fts_status status;
};

static void wake(void *ctx, enum fts_status status, struct fts_outcome *outcome, const struct fts_error *error)
{
	struct waiter *waiter = ctx;
	pthread_mutex_lock(&waiter->lock);
	*waiter->outcome = *outcome;
	outcome->output = NULL;
	if (error != NULL && waiter->error != NULL) *waiter->error = *error;
	waiter->status = status;
	waiter->ended = true;
	pthread_cond_signal(&waiter->wake);
	pthread_mutex_unlock(&waiter->lock);
}

static enum fts_status wait(struct waiter *waiter)
{
	pthread_mutex_lock(&waiter->lock);
	while (!waiter->ended) /* the call has a time limit */
		(void)pthread_cond_wait(&waiter->wake, &waiter->lock);
	pthread_mutex_unlock(&waiter->lock);
	return waiter->status;
}

enum fts_status fts_caller_call(struct fts_caller *caller, const char *name, struct fts_bytes input,
				const struct fts_caller_call *call, struct fts_outcome *out_outcome,
				struct fts_error *out_error)
{
	struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
				.wake = PTHREAD_COND_INITIALIZER,
				.outcome = out_outcome,
				.error = out_error};
	*out_outcome = (struct fts_outcome){.output = NULL};
	enum fts_status status = check(name, input, out_error);
	if (status != FTS_OK) return status;
	if (ftsi_channel_in_callback() || is_looker)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "a blocking call inside a callback would wait for itself: start it instead");
	struct ftsi_job *job = make_job(caller, name, call, 0);
	if (job == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a call");
	job->input = input;
	job->done = wake;
	job->ctx = &waiter;
	status = enlist(caller, job, out_error);
	if (status == FTS_OK) status = wait(&waiter);
	pthread_cond_destroy(&waiter.wake);
	pthread_mutex_destroy(&waiter.lock);
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

static struct fts_caller *make(struct fts_channel *channel, uint32_t batch_runs)
{
	pthread_condattr_t attributes;
	struct fts_caller *caller = calloc(1, sizeof *caller);
	if (caller == NULL) return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&caller->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&caller->lock, NULL);
	caller->channel = channel;
	caller->batch_runs = batch_runs;
	return caller;
}

enum fts_status fts_caller_open(struct fts_channel *channel, const struct fts_caller_options *options,
				struct fts_caller **out_caller, struct fts_error *out_error)
{
	const struct fts_caller_options none = {.batch_runs = 0};
	if (options == NULL) options = &none;
	if (options->batch_runs > FTSI_CALLER_BATCH_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "batch_runs: at most %d, not %u",
				     FTSI_CALLER_BATCH_MAX, options->batch_runs);
	struct fts_caller *caller = make(channel, options->batch_runs);
	if (caller == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a caller");
	if (copy_text(options->tls.ca_file, &caller->tls.ca_file) &&
	    copy_text(options->tls.cert_file, &caller->tls.cert_file) &&
	    copy_text(options->tls.key_file, &caller->tls.key_file))
		caller->has_looker = pthread_create(&caller->looker, NULL, run_looker, caller) == 0;
	if (caller->has_looker) {
		pthread_setname_np(caller->looker, "fts-caller");
		*out_caller = caller;
		return FTS_OK;
	}
	fts_caller_close(caller);
	return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory or thread for a caller");
}

void fts_caller_close(struct fts_caller *caller)
{
	if (caller == NULL) return;
	pthread_mutex_lock(&caller->lock);
	caller->closing = true;
	pthread_cond_broadcast(&caller->wake);
	pthread_mutex_unlock(&caller->lock);
	if (caller->has_looker) pthread_join(caller->looker, NULL); /* no call is open any more */
	ftsi_caller_return_tickets(caller);
	for (size_t i = 0; i < FTSI_CALLER_LINK_MAX; i++)
		ftsi_caller_close_links(caller->links[i]);
	ftsi_caller_close_links(caller->old_links);
	free((char *)(uintptr_t)caller->tls.ca_file);
	free((char *)(uintptr_t)caller->tls.cert_file);
	free((char *)(uintptr_t)caller->tls.key_file);
	pthread_cond_destroy(&caller->wake);
	pthread_mutex_destroy(&caller->lock);
	free(caller);
}
