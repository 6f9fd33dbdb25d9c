/* Why this file exists: threads for methods whose handlers may wait or compute for long. One of nng's few threads
 * must never do that. The queue is a ring of fixed size: full is an answer, not a wait. A thread is made when a call
 * finds none idle: a server that is asked nothing of the kind costs none, and after a rush all but one end again. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/progress.h"
#include "rpc/server_internal.h"

/* One thread, and what it runs: written by it, read by anybody. */
struct worker {
	struct ftsi_worker_pool *pool;
	pthread_t thread;
	_Atomic(const struct ftsi_entry *) entry; /* NULL: nothing */
	atomic_uint_fast64_t since_ns;
};

struct ftsi_worker_pool {
	pthread_mutex_t mutex;
	pthread_cond_t filled;
	/* Guarded by mutex. */
	struct fts_call **ring;
	uint32_t first;
	uint32_t call_count;
	uint32_t queue_max;
	bool stopping;
	uint32_t idle_count;
	uint32_t thread_count; /* running: those at the first places */
	uint64_t busy_ns;      /* when none was idle, last */
	pthread_t ended;       /* one that has, to be joined */
	bool has_ended;

	uint32_t thread_max, idle_ms;
	struct fts_strand *strand;
	struct worker threads[];
};

/* Called with mutex held; whoever has ended does not need it any more. */
static void join_ended(struct ftsi_worker_pool *pool)
{
	if (pool->has_ended) pthread_join(pool->ended, NULL);
	pool->has_ended = false;
}

/* Called with mutex held, which is given up meanwhile. False: worker may end. It stands at the last place but the
 * first, and one has been idle all the time for idle_ms; which one does not matter, as calls go round. */
static bool wait_filled(struct ftsi_worker_pool *pool, const struct worker *worker)
{
	while (pool->call_count == 0 && !pool->stopping) {
		bool last = worker == &pool->threads[pool->thread_count - 1];
		uint64_t until_ns = fts_clock_deadline_ns(pool->busy_ns, pool->idle_ms);
		uint64_t now_ns = fts_clock_monotonic_ns();
		if (last && worker > pool->threads && pool->idle_count > 1 && now_ns >= until_ns) return false;
		if (until_ns <= now_ns) until_ns = fts_clock_deadline_ns(now_ns, pool->idle_ms);
		struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
		(void)(worker == pool->threads ? pthread_cond_wait(&pool->filled, &pool->mutex)
					       : pthread_cond_timedwait(&pool->filled, &pool->mutex, &until));
	}
	return true;
}

/* NULL: worker ends. */
static struct fts_call *pop(struct ftsi_worker_pool *pool, const struct worker *worker)
{
	struct fts_call *call = NULL;
	pthread_mutex_lock(&pool->mutex);
	pool->idle_count++;
	bool stays = wait_filled(pool, worker);
	pool->idle_count--;
	if (!stays) {
		join_ended(pool);
		pool->ended = worker->thread;
		pool->has_ended = true;
		pool->thread_count--;
	} else if (pool->call_count > 0) {
		call = pool->ring[pool->first];
		pool->first = (pool->first + 1) % pool->queue_max;
		pool->call_count--;
		if (pool->idle_count == 0) pool->busy_ns = fts_clock_monotonic_ns();
		fts_strand_done(pool->strand, 1); /* it is taken: how long it runs is told of the call itself */
	}
	pthread_mutex_unlock(&pool->mutex);
	return call;
}

static void serve(struct worker *worker, struct fts_call *call)
{
	if (atomic_load(&call->server->stopping)) {
		fts_call_fail(call, FTS_UNAVAILABLE, "the server is shutting down");
		return;
	}
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (now_ns >= call->deadline_ns) {
		fts_call_fail(call, FTS_DEADLINE_EXCEEDED, "the time limit passed before a worker was free");
		return;
	}
	atomic_store_explicit(&worker->since_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&worker->entry, call->entry, memory_order_release);
	ftsi_call_run(call); /* the call may be gone when it returns */
	atomic_store_explicit(&worker->entry, NULL, memory_order_release);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct fts_call *call;
	while ((call = pop(worker->pool, worker)) != NULL) {
		serve(worker, call);
		fts_strand_move(worker->pool->strand);
	}
	return NULL;
}

bool ftsi_worker_pool_running(const struct ftsi_worker_pool *pool, uint32_t place, struct ftsi_running *out_running)
{
	if (pool == NULL || place >= pool->thread_max) return false;
	const struct worker *worker = &pool->threads[place];
	out_running->entry = atomic_load_explicit(&worker->entry, memory_order_acquire);
	out_running->since_ns = atomic_load_explicit(&worker->since_ns, memory_order_relaxed);
	return true;
}

struct ftsi_worker_pool *ftsi_worker_pool_create(uint32_t thread_count, uint32_t idle_ms, uint32_t queue_max)
{
	struct ftsi_worker_pool *pool = calloc(1, sizeof *pool + thread_count * sizeof pool->threads[0]);
	pthread_condattr_t attributes;
	if (pool == NULL) return NULL;
	pool->ring = calloc(queue_max, sizeof(struct fts_call *));
	pool->queue_max = queue_max;
	pool->thread_max = thread_count;
	pool->idle_ms = idle_ms;
	pool->strand = fts_strand_of("rpc-workers", 0);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->filled, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pool->ring != NULL) return pool;
	ftsi_worker_pool_destroy(pool);
	return NULL;
}

void ftsi_worker_pool_destroy(struct ftsi_worker_pool *pool)
{
	if (pool == NULL) return;
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->filled);
	pthread_mutex_unlock(&pool->mutex);
	for (uint32_t i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i].thread, NULL);
	join_ended(pool);
	pthread_cond_destroy(&pool->filled);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->ring);
	free(pool);
}

/* True when somebody will take the next call. Called with mutex held. */
static bool have_thread(struct ftsi_worker_pool *pool)
{
	if (pool->idle_count > pool->call_count || pool->thread_count == pool->thread_max) return true;
	struct worker *worker = &pool->threads[pool->thread_count];
	worker->pool = pool;
	if (pthread_create(&worker->thread, NULL, work, worker) != 0) return pool->thread_count > 0;
	pthread_setname_np(worker->thread, "fts:worker");
	pool->thread_count++;
	return true;
}

bool ftsi_worker_pool_push(struct ftsi_worker_pool *pool, struct fts_call *call)
{
	pthread_mutex_lock(&pool->mutex);
	bool room = pool->call_count < pool->queue_max && !pool->stopping && have_thread(pool);
	if (room) {
		pool->ring[(pool->first + pool->call_count) % pool->queue_max] = call;
		pool->call_count++;
		fts_strand_add(pool->strand, 1);
		pthread_cond_signal(&pool->filled);
	}
	pthread_mutex_unlock(&pool->mutex);
	return room;
}
