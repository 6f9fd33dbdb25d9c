/* Why this file exists: what the parts of a caller of workers share: caller.c is its life, caller_call.c takes one call
 * from try to try, caller_ticket.c has tickets, caller_run.c makes one run and finds out what became of it,
 * caller_link.c keeps connections to workers.
 *
 * Invariants
 * - A call is a machine that callbacks of channels drive; no thread waits for it but that of a blocking caller. At any
 *   time one call of a channel is open for it, or it waits for a time, which the looker (caller.c) watches. During a
 * run there may be a second: what the dispatcher knows of its ticket.
 * - Everybody who may touch a call holds a reference: its caller's list, each open callback, who starts something.
 * - No lock is held over a start, a cancel or a callback. Order of locks: the caller's, or a call's, never both. */
#ifndef FTS_CLIENT_CALLER_INTERNAL_H
#define FTS_CLIENT_CALLER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "base/clock.h"

#define FTSI_MS_NS UINT64_C(1000000)

enum { FTSI_CALLER_LINK_MAX = 64, FTSI_CALLER_NAME_MAX = 16, FTSI_CALLER_OPEN_MAX = 4096, FTSI_FATE_MS = 10000 };
enum { FTSI_CALLER_BATCH_MAX = 1000 };

/* A connection to a worker. */
struct ftsi_caller_link {
	struct ftsi_caller_link *next; /* among those to be closed */
	char address[128];
	struct fts_channel *channel;
	uint32_t use_count;
	uint64_t used_ns;
};

/* A ticket in hand. */
struct ftsi_held {
	struct ftsi_held *next;
	char name[65], address[128];
	uint8_t bytes[128];
	size_t size_bytes;
	uint64_t number, until_ns; /* until_ns: kept, it is of no use afterwards */
	uint32_t runs, run;        /* run: the next one, from 1 */
};

/* How workers of a name have been called of late. */
struct ftsi_habit {
	char name[65];
	uint32_t runs; /* to ask for at once, when the last call was a moment ago */
	uint64_t used_ns;
};

struct fts_caller {
	struct fts_channel *channel; /* borrowed */
	struct fts_tls tls;          /* its texts are owned */
	uint32_t batch_runs;         /* 0: by habit */
	pthread_t looker;
	bool has_looker;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* CLOCK_MONOTONIC */
	/* All below: guarded by lock. */
	struct ftsi_caller_link *links[FTSI_CALLER_LINK_MAX];
	struct ftsi_caller_link *old_links; /* to be closed by the looker */
	struct ftsi_held *kept;             /* the last one kept is the first */
	uint32_t kept_count;
	struct ftsi_habit habits[FTSI_CALLER_NAME_MAX];
	struct ftsi_job *jobs;
	uint32_t job_count;
	bool looker_sleeps, closing;
};

enum ftsi_job_phase {
	FTSI_JOB_ACQUIRE, /* and Await */
	FTSI_JOB_RUN,
	FTSI_JOB_FATE,
	FTSI_JOB_RELEASE,
	FTSI_JOB_PAUSE,
	FTSI_JOB_OVER /* told by the looker, since it ended inside the call that started it */
};

/* One call. */
struct ftsi_job {
	struct fts_caller *caller;
	struct ftsi_job *next, **at; /* guarded by the caller's lock */
	atomic_uint ref_count;
	_Atomic uint64_t due_ns; /* when the looker comes; 0: never */
	/* Of whoever drives it: one at a time. */
	char name[65];
	struct fts_bytes input; /* in memory behind this struct, or borrowed by a blocking call */
	uint64_t deadline_ns, wait_until_ns, tried_ns;
	struct fts_outcome outcome;
	struct fts_error error;
	fts_called_fn done;
	void *ctx;
	struct ftsi_held ticket;
	struct ftsi_caller_link *link;
	bool again; /* another worker may do it */
	pthread_mutex_t lock;
	/* All below: guarded by lock. */
	enum ftsi_job_phase phase;
	uint32_t turn; /* of main_id: counts the calls that were started */
	struct fts_call_id main_id, fate_id;
	uint64_t look_ns;          /* of a run: when something is to be done about it */
	bool ended, left, cut;     /* of a run */
	bool fate_open, fate_told; /* likewise */
	bool ticket_over;          /* the worker says so */
	enum fts_status run_status;
};

static inline uint32_t ftsi_left_ms(uint64_t until_ns)
{
	return fts_clock_left_ms(fts_clock_monotonic_ns(), until_ns);
}

static inline uint32_t ftsi_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- caller_call.c ---- */

/* Begin a call. job: owned; done tells its end, never inside this. Thread: any, as all here. */
void ftsi_job_begin(struct ftsi_job *job);
/* The looker's: its time has come, or the caller is being closed. */
void ftsi_job_look(struct ftsi_job *job, bool closing);
void ftsi_job_hold(struct ftsi_job *job);
void ftsi_job_drop(struct ftsi_job *job);
/* Start the call that drives job from here on: done drops the reference that is taken here. Errors: the channel's. */
FTS_MUST_USE enum fts_status ftsi_job_start(struct ftsi_job *job, struct fts_channel *channel,
					    const struct fts_method *method, const ProtobufCMessage *request,
					    const struct fts_call_options *options, fts_done_fn done);
void ftsi_job_enter(struct ftsi_job *job, enum ftsi_job_phase phase);
/* Of caller_call.c, for the parts that end: there is a ticket; there will be none (error says why); the run has ended
 * or could not be made; it is known as far as it can be what became of it; the ticket is given back. */
void ftsi_job_has_ticket(struct ftsi_job *job);
void ftsi_job_fails(struct ftsi_job *job);
void ftsi_job_after_run(struct ftsi_job *job, enum fts_status status);
void ftsi_job_judge(struct ftsi_job *job);
void ftsi_job_conclude(struct ftsi_job *job);

/* ---- caller_ticket.c ---- */

/* A ticket for job: one that is kept (true: it is in job->ticket), or the dispatcher is asked. */
bool ftsi_job_take_kept(struct ftsi_job *job);
void ftsi_job_acquire(struct ftsi_job *job);
/* Give job's ticket back, or its place in line; then ftsi_job_conclude. Best effort: it ends by itself too. */
void ftsi_job_release(struct ftsi_job *job, bool unreachable);
/* A run with job's ticket has ended well. over: its worker takes it for no more. */
void ftsi_job_used_ticket(struct ftsi_job *job, bool over);
/* Its worker would not have job's ticket any more. */
void ftsi_job_lost_ticket(struct ftsi_job *job);
/* Called with the caller's lock: those that are of no use any more are forgotten. */
void ftsi_caller_drop_old_tickets(struct fts_caller *caller);
/* Give all back that is kept, at the end. */
void ftsi_caller_return_tickets(struct fts_caller *caller);

/* ---- caller_link.c ---- */

/* The connection to address (borrowed), to be given back. NULL: *out_error says why. */
struct ftsi_caller_link *ftsi_caller_take_link(struct fts_caller *caller, const char *address,
					       struct fts_error *out_error);
void ftsi_caller_give_link(struct fts_caller *caller, struct ftsi_caller_link *link);
void ftsi_caller_close_links(struct ftsi_caller_link *links); /* owned, linked; NULL: no-op. Not in a callback. */

/* ---- caller_run.c ---- */

/* One run with job's ticket over job's link; then ftsi_job_after_run. */
void ftsi_job_run(struct ftsi_job *job);
/* The looker comes by. */
void ftsi_job_look_at_run(struct ftsi_job *job);
/* Nothing came back from it: what does the dispatcher know? Sets error.executed when it does; then ftsi_job_judge. */
void ftsi_job_learn_fate(struct ftsi_job *job);

#endif
