/* Why this file exists: see dispatch/watch.h. */
#include "dispatch/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatch/state.h"

enum { LATE_COUNT_MAX = 256, MARK_COUNT_MAX = 256, LOOK_MS = 50, FOLLOW_MS = 250, ARENA_BYTES = 8 * 1024 * 1024 };
enum { DUE_MARGIN_MS = 3000, WHOLE_LOOK_MS = 10000 };

struct ftsi_dispatch_watch {
	struct fts_leases *leases;
	struct fts_arena_pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct fts_replica *replica;       /* guarded by lock; NULL: stopped */
	uint64_t marks[2][MARK_COUNT_MAX]; /* guarded by lock; 0: recovered, 1: hung */
	size_t mark_counts[2];             /* guarded by lock */
	int64_t due_from_ms;               /* guarded by lock: nothing that was not found is due before */
	int64_t whole_ms;                  /* guarded by lock: when it was looked at everything */
	uint64_t looked_term;              /* guarded by lock */
	atomic_bool watching;              /* the thread runs; set under lock, once */
	pthread_t thread;
};

struct ftsi_dispatch_watch *ftsi_dispatch_watch_create(void)
{
	pthread_condattr_t attributes;
	struct ftsi_dispatch_watch *watch = calloc(1, sizeof *watch);
	if (watch == NULL) return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&watch->lock, NULL);
	pthread_cond_init(&watch->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	watch->leases = fts_leases_create();
	watch->pool = fts_arena_pool_create(2 * ARENA_BYTES);
	if (watch->leases != NULL && watch->pool != NULL) return watch;
	ftsi_dispatch_watch_destroy(watch);
	return NULL;
}

void ftsi_dispatch_watch_destroy(struct ftsi_dispatch_watch *watch)
{
	if (watch == NULL) return;
	fts_leases_destroy(watch->leases);
	fts_arena_pool_destroy(watch->pool);
	pthread_cond_destroy(&watch->wake);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

struct fts_leases *ftsi_dispatch_watch_leases(struct ftsi_dispatch_watch *watch)
{
	return watch->leases;
}

void ftsi_dispatch_watch_mark(struct ftsi_dispatch_watch *watch, uint64_t worker, bool hung)
{
	pthread_mutex_lock(&watch->lock);
	if (watch->mark_counts[hung] < MARK_COUNT_MAX) watch->marks[hung][watch->mark_counts[hung]++] = worker;
	pthread_mutex_unlock(&watch->lock); /* no room: its next beat marks it again */
}

static bool take_lease(void *ctx, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record)
{
	char id[24];
	(void)snprintf(id, sizeof id, "%llu", (unsigned long long)worker);
	fts_leases_joined(ctx, "worker", id, worker, record->lease_ms);
	return true;
}

void ftsi_dispatch_watch_load(struct ftsi_dispatch_watch *watch, struct fts_txn *view)
{
	struct fts_arena *arena = fts_arena_acquire(watch->pool, ARENA_BYTES);
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	fts_leases_clear(watch->leases);
	if (arena != NULL) status = ftsi_worker_visit((struct ftsi_place){view, arena}, take_lease, watch->leases);
	if (status != FTS_OK) FTS_LOG_ERROR("dispatch.load_failed", "status=%s", fts_status_name(status));
	fts_arena_release(arena);
}

/* ---- One look ---- */

/* What one look found, and what of it has to be taken back when the log does not take it. */
struct look {
	struct ftsi_dispatch_watch *watch;
	struct fts_late_lease *late; /* owned */
	size_t late_count;
};

static void on_expired(void *ctx, enum fts_status status, struct fts_bytes response, const struct fts_error *error)
{
	struct look *look = ctx;
	(void)status;
	(void)response;
	(void)error;
	/* Those that are gone have no lease any more; the others are late again at the next look. */
	if (look->late != NULL) fts_leases_spare(look->watch->leases, look->late, look->late_count);
	free(look->late);
	free(look);
}

/* Called with lock held. Since when something may be due: what is deleted costs whoever scans over it, so that a look
 * begins where the last one found nothing any more, a margin before it; now and then it begins at the beginning: a
 * command may have waited, and clocks may be set. */
static void begin_look(struct ftsi_dispatch_watch *watch, int64_t now_ms, uint64_t term)
{
	bool whole =
	    term != watch->looked_term || now_ms < watch->whole_ms || now_ms >= watch->whole_ms + WHOLE_LOOK_MS;
	if (!whole) return;
	watch->due_from_ms = 0;
	watch->whole_ms = now_ms;
	watch->looked_term = term;
}

static void end_look(struct ftsi_dispatch_watch *watch, int64_t now_ms, size_t found_count, int64_t first_ms)
{
	int64_t from_ms = now_ms - DUE_MARGIN_MS;
	if (found_count > 0 && first_ms < from_ms) from_ms = first_ms;
	if (from_ms > watch->due_from_ms) watch->due_from_ms = from_ms;
}

/* Called with lock held. Tickets and places whose time is over by this node's clock; the log's own decides. */
static size_t find_due(struct ftsi_dispatch_watch *watch, struct fts_replica *replica, uint64_t term,
		       uint64_t *out_numbers)
{
	size_t count = 0;
	int64_t now_ms = fts_clock_wall_ms(), first_ms = 0;
	struct fts_txn *view = NULL;
	struct fts_arena *arena = fts_arena_acquire(watch->pool, ARENA_BYTES);
	begin_look(watch, now_ms, term);
	if (arena != NULL && fts_replica_view(replica, &view) == FTS_OK) {
		struct ftsi_place place = {view, arena};
		enum fts_status status =
		    ftsi_due_by(place, watch->due_from_ms, now_ms, out_numbers, LATE_COUNT_MAX, &count, &first_ms);
		if (status == FTS_OK)
			end_look(watch, now_ms, count, first_ms);
		else
			count = 0;
	}
	fts_txn_abort(view);
	fts_arena_release(arena);
	return count;
}

static void propose(struct look *look, struct fts_replica *replica, Fts__Dispatch__V1__ExpireRequest *request)
{
	Fts__Dispatch__V1__LostWorker items[LATE_COUNT_MAX], *list[LATE_COUNT_MAX];
	for (size_t i = 0; i < look->late_count; i++) {
		fts__dispatch__v1__lost_worker__init(&items[i]);
		items[i].worker = look->late[i].joined;
		list[i] = &items[i];
	}
	request->workers = list;
	request->n_workers = look->late_count;
	enum fts_status status =
	    fts_replica_propose(replica, fts_dispatch_clock_expire_method, &request->base, on_expired, look);
	if (status != FTS_OK) on_expired(look, status, (struct fts_bytes){NULL, 0}, NULL);
}

/* Called with lock held. When to look again. */
static uint64_t look_once(struct ftsi_dispatch_watch *watch, struct fts_replica *replica)
{
	Fts__Dispatch__V1__ExpireRequest request = FTS__DISPATCH__V1__EXPIRE_REQUEST__INIT;
	uint64_t due[LATE_COUNT_MAX], next_ns, now_ns = fts_clock_monotonic_ns();
	struct fts_replica_status status;
	struct look *look = calloc(1, sizeof *look);
	if (look == NULL) return now_ns + (uint64_t)LOOK_MS * 1000000;
	fts_replica_status(replica, &status);
	fts_leases_lead(watch->leases, status.leader, status.term, now_ns);
	look->watch = watch;
	look->late = fts_leases_late(watch->leases, now_ns, LATE_COUNT_MAX, &look->late_count, &next_ns);
	request.numbers = due;
	if (status.leader) request.n_numbers = find_due(watch, replica, status.term, due);
	request.recovered = watch->marks[0];
	request.n_recovered = watch->mark_counts[0];
	request.hung = watch->marks[1];
	request.n_hung = watch->mark_counts[1];
	request.term = status.term;
	watch->mark_counts[0] = watch->mark_counts[1] = 0;
	if (look->late_count + request.n_numbers + request.n_hung + request.n_recovered > 0)
		propose(look, replica, &request);
	else
		free(look);
	uint64_t at_latest_ns = now_ns + (uint64_t)(status.leader ? LOOK_MS : FOLLOW_MS) * 1000000;
	if (!status.leader) return at_latest_ns;
	return next_ns < at_latest_ns ? next_ns : at_latest_ns;
}

static void *watch_all(void *data)
{
	struct ftsi_dispatch_watch *watch = data;
	pthread_mutex_lock(&watch->lock);
	while (watch->replica != NULL) {
		uint64_t next_ns = look_once(watch, watch->replica);
		struct timespec until = {(time_t)(next_ns / 1000000000u), (long)(next_ns % 1000000000u)};
		(void)pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
	}
	pthread_mutex_unlock(&watch->lock);
	return NULL;
}

/* Called with lock held. No thread: the next turn tries again. */
static void start_thread(struct ftsi_dispatch_watch *watch)
{
	if (pthread_create(&watch->thread, NULL, watch_all, watch) != 0) {
		FTS_LOG_WARN("dispatch.no_thread", "leases=unwatched");
		return;
	}
	pthread_setname_np(watch->thread, "fts-dispatch");
	atomic_store(&watch->watching, true);
}

/* Does a ticket or place have a time that will be over? */
static bool has_due(struct ftsi_dispatch_watch *watch, struct fts_txn *view)
{
	size_t count = 0;
	uint64_t number;
	int64_t first_ms;
	struct fts_arena *arena = fts_arena_acquire(watch->pool, ARENA_BYTES);
	if (arena == NULL) return true; /* the thread will see */
	if (ftsi_due_by((struct ftsi_place){view, arena}, 0, INT64_MAX, &number, 1, &count, &first_ms) != FTS_OK)
		count = 0;
	fts_arena_release(arena);
	return count > 0;
}

void ftsi_dispatch_watch_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms)
{
	struct ftsi_dispatch_watch *watch = ctx;
	(void)now_ms;
	if (!leader || atomic_load(&watch->watching)) return;
	if (fts_leases_empty(watch->leases) && !has_due(watch, view)) return;
	pthread_mutex_lock(&watch->lock);
	if (watch->replica != NULL) start_thread(watch);
	pthread_mutex_unlock(&watch->lock);
}

enum fts_status ftsi_dispatch_watch_start(struct ftsi_dispatch_watch *watch, struct fts_replica *replica)
{
	struct fts_txn *view = NULL;
	enum fts_status status = fts_replica_view(replica, &view);
	if (status != FTS_OK) return status;
	ftsi_dispatch_watch_load(watch, view);
	fts_txn_abort(view);
	pthread_mutex_lock(&watch->lock);
	watch->replica = replica;
	pthread_mutex_unlock(&watch->lock);
	return FTS_OK;
}

void ftsi_dispatch_watch_stop(struct ftsi_dispatch_watch *watch)
{
	pthread_mutex_lock(&watch->lock);
	watch->replica = NULL; /* no thread is started from here on */
	pthread_cond_signal(&watch->wake);
	pthread_mutex_unlock(&watch->lock);
	if (atomic_exchange(&watch->watching, false)) pthread_join(watch->thread, NULL);
}
