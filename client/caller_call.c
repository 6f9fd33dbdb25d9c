/* Why this file exists: see caller_internal.h: one call, from try to try. A try is a ticket, a run, and, when that went
 * wrong, what is known of it; only a run that did not take place is asked for again.
 *
 *   try ── kept ticket, or acquire (in line: await) ── run ── its end ── OK: over
 *    ^                                                           not OK: fate ── judge ── release ── conclude
 *    └───────────────────────── pause ────────────────────────────────────────────────────────────────┘ or over */
#include <stdio.h>
#include <stdlib.h>

#include "client/caller_internal.h"

enum { ATTEMPT_MAX = 64, AGAIN_MS = 20 };

/* The call that this thread is starting: it must not end inside that. */
static _Thread_local const struct ftsi_job *starting;

void ftsi_job_hold(struct ftsi_job *job)
{
	(void)atomic_fetch_add(&job->ref_count, 1);
}

void ftsi_job_drop(struct ftsi_job *job)
{
	if (atomic_fetch_sub(&job->ref_count, 1) != 1) return;
	fts_outcome_fini(&job->outcome);
	pthread_mutex_destroy(&job->lock);
	free(job);
}

void ftsi_job_enter(struct ftsi_job *job, enum ftsi_job_phase phase)
{
	pthread_mutex_lock(&job->lock);
	job->phase = phase;
	job->main_id = (struct fts_call_id){0};
	atomic_store(&job->due_ns, 0);
	pthread_mutex_unlock(&job->lock);
}

enum fts_status ftsi_job_start(struct ftsi_job *job, struct fts_channel *channel, const struct fts_method *method,
			       const ProtobufCMessage *request, const struct fts_call_options *options,
			       fts_done_fn done)
{
	struct fts_call_id id;
	pthread_mutex_lock(&job->lock);
	uint32_t turn = ++job->turn;
	pthread_mutex_unlock(&job->lock);
	ftsi_job_hold(job);
	enum fts_status status = fts_channel_start(channel, method, request, options, done, job, &id);
	if (status != FTS_OK) {
		ftsi_job_drop(job);
		return status;
	}
	pthread_mutex_lock(&job->lock);
	if (job->turn == turn) job->main_id = id; /* otherwise it has ended already, and the next one is open */
	pthread_mutex_unlock(&job->lock);
	return FTS_OK;
}

/* ---- The end ---- */

static void unlink_job(struct ftsi_job *job)
{
	struct fts_caller *caller = job->caller;
	pthread_mutex_lock(&caller->lock);
	*job->at = job->next;
	if (job->next != NULL) job->next->at = job->at;
	if (--caller->job_count == 0 && caller->closing) pthread_cond_broadcast(&caller->wake);
	pthread_mutex_unlock(&caller->lock);
}

/* error says how it ended. */
static void end(struct ftsi_job *job)
{
	if (starting == job) { /* the looker tells it */
		ftsi_job_enter(job, FTSI_JOB_OVER);
		atomic_store(&job->due_ns, 1);
		return;
	}
	job->done(job->ctx, job->error.status, &job->outcome, job->error.status == FTS_OK ? NULL : &job->error);
	unlink_job(job);
	ftsi_job_drop(job);
}

void ftsi_job_fails(struct ftsi_job *job)
{
	job->outcome.queued_us += (fts_clock_monotonic_ns() - job->tried_ns) / 1000;
	end(job);
}

/* ---- Tries ---- */

static void attempt(struct ftsi_job *job)
{
	job->tried_ns = fts_clock_monotonic_ns();
	job->error = (struct fts_error){.status = FTS_OK};
	if (ftsi_job_take_kept(job))
		ftsi_job_has_ticket(job);
	else
		ftsi_job_acquire(job);
}

void ftsi_job_has_ticket(struct ftsi_job *job)
{
	struct fts_outcome *outcome = &job->outcome;
	outcome->queued_us += (fts_clock_monotonic_ns() - job->tried_ns) / 1000;
	outcome->attempts++;
	outcome->number = job->ticket.number;
	(void)snprintf(outcome->worker, sizeof outcome->worker, "%s", job->ticket.address);
	job->link = ftsi_caller_take_link(job->caller, job->ticket.address, &job->error);
	if (job->link != NULL)
		ftsi_job_run(job);
	else
		ftsi_job_after_run(job, job->error.status);
}

void ftsi_job_after_run(struct ftsi_job *job, enum fts_status status)
{
	if (job->link != NULL) ftsi_caller_give_link(job->caller, job->link);
	job->link = NULL;
	if (status == FTS_OK) {
		job->error.status = FTS_OK;
		ftsi_job_used_ticket(job, job->ticket_over);
		end(job);
	} else if (job->error.executed == FTS_EXECUTED_UNKNOWN) {
		ftsi_job_learn_fate(job);
	} else {
		ftsi_job_judge(job);
	}
}

/* It did not run: would another worker do it? */
static bool may_try_again(const struct ftsi_job *job)
{
	enum fts_status status = job->error.status;
	if (job->error.executed != FTS_EXECUTED_NO || job->outcome.attempts >= ATTEMPT_MAX) return false;
	return status == FTS_UNAVAILABLE || status == FTS_RESOURCE_EXHAUSTED || status == FTS_FAILED_PRECONDITION ||
	       status == FTS_PERMISSION_DENIED || status == FTS_DEADLINE_EXCEEDED;
}

void ftsi_job_judge(struct ftsi_job *job)
{
	job->again = may_try_again(job);
	if (job->error.executed == FTS_EXECUTED_NO && job->ticket.run == 1) {
		ftsi_job_release(job, job->error.status == FTS_UNAVAILABLE);
		return;
	}
	if (job->ticket.run > 1) ftsi_job_lost_ticket(job);
	ftsi_job_conclude(job);
}

void ftsi_job_conclude(struct ftsi_job *job)
{
	if (!job->again || ftsi_left_ms(job->deadline_ns) <= AGAIN_MS) {
		end(job);
		return;
	}
	/* One that was kept for too long is nobody's trouble. */
	bool at_once = job->error.status == FTS_FAILED_PRECONDITION && job->ticket.run > 1;
	ftsi_job_enter(job, FTSI_JOB_PAUSE);
	atomic_store(&job->due_ns, fts_clock_monotonic_ns() + (at_once ? 0 : AGAIN_MS * FTSI_MS_NS));
}

/* ---- Beginning, and the looker ---- */

void ftsi_job_begin(struct ftsi_job *job)
{
	const struct ftsi_job *before = starting;
	ftsi_job_hold(job);
	starting = job;
	attempt(job);
	starting = before;
	ftsi_job_drop(job);
}

/* Whatever is open for it is given up. */
static void cancel(struct ftsi_job *job, enum ftsi_job_phase phase)
{
	pthread_mutex_lock(&job->lock);
	struct fts_call_id main_id = job->main_id;
	const struct ftsi_caller_link *link = job->link;
	bool open = job->phase == phase && (phase != FTSI_JOB_RUN || !job->ended);
	if (open && phase == FTSI_JOB_RUN) job->cut = true;
	pthread_mutex_unlock(&job->lock);
	if (!open) return; /* it goes on already: at the next look */
	(void)fts_channel_cancel(phase == FTSI_JOB_RUN ? link->channel : job->caller->channel, main_id);
}

void ftsi_job_look(struct ftsi_job *job, bool closing)
{
	pthread_mutex_lock(&job->lock);
	enum ftsi_job_phase phase = job->phase;
	pthread_mutex_unlock(&job->lock);
	if (phase == FTSI_JOB_OVER) {
		end(job);
	} else if (phase == FTSI_JOB_PAUSE && closing) {
		(void)fts_error_set(&job->error, FTS_CANCELLED, "the caller was closed");
		end(job);
	} else if (phase == FTSI_JOB_PAUSE) {
		ftsi_job_enter(job, FTSI_JOB_ACQUIRE);
		attempt(job);
	} else if (closing) {
		cancel(job, phase);
	}
	if (phase == FTSI_JOB_RUN) ftsi_job_look_at_run(job);
}
