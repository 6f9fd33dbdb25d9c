/* Why this file exists: what the parts of a worker share: worker.c is its life, worker_run.c the calls of those who
 * have tickets, worker_keep.c what it says to the dispatcher.
 *
 * Invariants
 * - A slot is a ticket that has begun: at most capacity of them, each with at most one run. A ticket that was seen once
 *   (window) and has no slot is over.
 * - A ticket for several runs keeps its place only while it is used: it ends when it has lain idle for
 *   FTS_TICKET_IDLE_MS, and with the first run that ends FTS_TICKET_HOLD_MS after it was shown first.
 * - What has ended is kept until the dispatcher has answered that it knows: a ticket of which nothing is known here any
 *   more did not run, and that is said of it when it is overdue. There is always room: the dispatcher gives out no more
 *   than capacity; FTSI_WORKER_TELL_MAX at most that it has taken back are kept because its answer was lost, and as
 * many that it named as overdue.
 * - Registered anew (the dispatcher had lost it): tickets of before are strays. Their runs end as they will, nobody is
 *   told, and the capacity they take is not offered meanwhile.
 * - A worker's memory stays until its last work is answered (ref_count). */
#ifndef FTS_CLIENT_WORKER_INTERNAL_H
#define FTS_CLIENT_WORKER_INTERNAL_H

#include <pthread.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "client/ticket.h"

#define FTSI_NO_SLOT UINT32_MAX

enum { FTSI_WORKER_CAPACITY_MAX = 4096, FTSI_WORKER_TELL_MAX = 1024, FTSI_WORKER_METHODS = 2 };

struct ftsi_slot {
	uint64_t number;
	int64_t usable_ms;
	uint64_t begun_ns;   /* when it was shown first */
	uint64_t started_ns; /* of the run */
	uint64_t idle_ns;    /* since when nothing runs */
	uint32_t runs;
	uint32_t ran;  /* which run ended last; 0: none */
	uint32_t run;  /* which one runs; 0: none */
	uint32_t next; /* in its chain, or in the list of free ones */
	bool done;     /* its holder wants no more runs */
	bool stray;
	bool used; /* it holds a ticket */
};

struct ftsi_ended {
	uint64_t number;
	uint32_t ran;
};

struct fts_worker {
	struct fts_channel *channel; /* borrowed until stop */
	struct fts_server *server;
	struct fts_presence *presence; /* NULL: surveys don't ask it */
	struct fts_service service;    /* the generated one, with methods below */
	struct fts_method methods[FTSI_WORKER_METHODS];
	char name[65], address[160];
	uint32_t capacity, max_run_ms, lease_ms;
	bool begins_only;
	fts_work_fn run;
	void *ctx;
	uint8_t key[FTS_TICKET_KEY_BYTES];
	uint64_t instance;

	pthread_mutex_t lock;
	pthread_cond_t beat_wake, finish_wake, idle_wake; /* CLOCK_MONOTONIC */
	/* All below: guarded by lock. */
	uint32_t ref_count; /* its owner and each work */
	bool stopping;      /* no new runs */
	bool ending;        /* the threads end */
	uint64_t id;        /* as registered; 0: it is not */
	uint32_t offered;   /* capacity as registered */
	uint32_t stray_count;
	struct fts_error told; /* by the dispatcher, last; status OK: nothing wrong */
	int64_t clock_ms;      /* the dispatcher's time ... */
	uint64_t clock_ns;     /* ... at this one of ours */
	int64_t floor_ms;      /* tickets that end until then were given up */
	struct fts_ticket_window window;
	uint32_t several_count; /* slots of tickets for several runs */
	uint32_t run_count;     /* works that are not answered */
	uint32_t free_head;
	struct ftsi_slot *slots;  /* capacity */
	uint32_t *buckets;        /* capacity: heads of chains by number */
	struct ftsi_ended *ended; /* a ring of capacity + 2 * FTSI_WORKER_TELL_MAX */
	uint32_t ended_first, ended_count, ended_max;
	uint32_t telling_count; /* of them, the first ones: the dispatcher is being told */

	pthread_t beater, finisher;
	bool has_beater, has_finisher;
};

/* One run; lies in its call's memory. */
struct fts_work {
	struct fts_worker *worker;
	struct fts_call *call;
	const Fts__Dispatch__V1__RunRequest *request;
	uint64_t number, started_ns;
	uint32_t slot, run;
};

/* ---- worker_run.c ---- */

extern const struct fts_worker_handlers ftsi_worker_handlers; /* ctx: struct fts_worker */
/* Called with lock held, these three. */
void ftsi_worker_slots_init(struct fts_worker *worker);
/* End tickets that nobody may begin a run with any more, or that lie idle; all with worker's id when everything is
 * true. */
void ftsi_worker_sweep(struct fts_worker *worker, bool everything);
/* number ended as far as this worker knows: it is told so, unless a run of it is open. */
void ftsi_worker_overdue(struct fts_worker *worker, uint64_t number);
/* The dispatcher's time. Called with lock held. */
int64_t ftsi_worker_now_ms(const struct fts_worker *worker);
void ftsi_worker_release(struct fts_worker *worker); /* gives back a reference; called without lock */

/* ---- worker_keep.c ---- */

/* Register now, once. Errors: the dispatcher's. Called without lock. */
FTS_MUST_USE enum fts_status ftsi_worker_register(struct fts_worker *worker, struct fts_error *out_error);
void *ftsi_worker_beat(void *worker);   /* thread */
void *ftsi_worker_finish(void *worker); /* thread */
/* Tell the dispatcher that nothing new is taken; gone: that nothing runs any more either. */
void ftsi_worker_leave(struct fts_worker *worker, bool gone, uint32_t timeout_ms);

#endif
