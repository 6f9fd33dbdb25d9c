/* Why this file exists: the life of a worker (fts/worker.h); see worker_internal.h. */
#include "client/worker_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/presence.h"

#define MS_NS UINT64_C(1000000)

enum { MAX_RUN_DEFAULT_MS = 30000, LEASE_DEFAULT_MS = 2000, LEAVE_MS = 2000, REPLY_DRAIN_MS = 2000, THREAD_MAX = 256 };

static void free_memory(struct fts_worker *worker)
{
	pthread_cond_destroy(&worker->beat_wake);
	pthread_cond_destroy(&worker->finish_wake);
	pthread_cond_destroy(&worker->idle_wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker->slots);
	free(worker->buckets);
	free(worker->ended);
	free(worker);
}

void ftsi_worker_release(struct fts_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	bool last = --worker->ref_count == 0;
	pthread_mutex_unlock(&worker->lock);
	if (last) free_memory(worker);
}

/* ---- Start ---- */

static enum fts_status check(const struct fts_worker_options *options, struct fts_error *out_error)
{
	size_t size = options->name == NULL ? 0 : strlen(options->name);
	if (size == 0 || size > 64)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "name: 1 to 64 bytes, not %zu", size);
	if (options->run == NULL) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "run: missing");
	if (options->capacity > FTSI_WORKER_CAPACITY_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "capacity: at most %d, not %u",
				     FTSI_WORKER_CAPACITY_MAX, options->capacity);
	if (!options->begins_only && options->capacity > THREAD_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "capacity: at most %d runs that keep a thread each; with begins_only more",
				     THREAD_MAX);
	return FTS_OK;
}

static void init_locks(struct fts_worker *worker)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->beat_wake, &attributes);
	pthread_cond_init(&worker->finish_wake, &attributes);
	pthread_cond_init(&worker->idle_wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

static struct fts_worker *make(struct fts_channel *channel, const struct fts_worker_options *options)
{
	struct fts_worker *worker = calloc(1, sizeof *worker);
	if (worker == NULL) return NULL;
	init_locks(worker);
	worker->ref_count = 1;
	worker->channel = channel;
	worker->capacity = options->capacity == 0 ? 1 : options->capacity;
	worker->max_run_ms = options->max_run_ms == 0 ? MAX_RUN_DEFAULT_MS : options->max_run_ms;
	worker->lease_ms = options->lease_ms == 0 ? LEASE_DEFAULT_MS : options->lease_ms;
	worker->begins_only = options->begins_only;
	worker->run = options->run;
	worker->ctx = options->ctx;
	worker->ended_max = worker->capacity + 2 * FTSI_WORKER_TELL_MAX;
	worker->slots = calloc(worker->capacity, sizeof *worker->slots);
	worker->buckets = calloc(worker->capacity, sizeof *worker->buckets);
	worker->ended = calloc(worker->ended_max, sizeof *worker->ended);
	(void)snprintf(worker->name, sizeof worker->name, "%s", options->name);
	randombytes_buf(worker->key, sizeof worker->key);
	while (worker->instance == 0)
		randombytes_buf(&worker->instance, sizeof worker->instance);
	if (worker->slots != NULL && worker->buckets != NULL && worker->ended != NULL) {
		ftsi_worker_slots_init(worker);
		return worker;
	}
	free_memory(worker);
	return NULL;
}

/* HOST of listen and the port that was had. */
static void set_address(struct fts_worker *worker, const struct fts_worker_options *options, const char *listen)
{
	const char *port = strrchr(listen, ':');
	if (options->address != NULL)
		(void)snprintf(worker->address, sizeof worker->address, "%s", options->address);
	else
		(void)snprintf(worker->address, sizeof worker->address, "%.*s:%u", (int)(port - listen), listen,
			       fts_server_port(worker->server));
}

static enum fts_status serve(struct fts_worker *worker, const struct fts_worker_options *options,
			     struct fts_error *out_error)
{
	const char *listen = options->listen == NULL ? "127.0.0.1:0" : options->listen;
	const struct fts_server_options server = {
	    .listen = listen, .node = worker->name, .tls = options->tls, .worker_count = worker->capacity};
	if (strrchr(listen, ':') == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "listen: %s is not HOST:PORT", listen);
	memcpy(worker->methods, fts_worker_service.methods, sizeof worker->methods);
	worker->methods[0].blocking = !worker->begins_only;
	worker->methods[0].longest_run_ms = worker->max_run_ms; /* what a watchdog bears */
	worker->service = fts_worker_service;
	worker->service.methods = worker->methods;
	enum fts_status status = fts_server_create(&server, &worker->server, out_error);
	if (status == FTS_OK)
		status = fts_server_add(worker->server, &worker->service, &ftsi_worker_handlers, worker, out_error);
	if (status == FTS_OK) status = fts_server_start(worker->server, out_error);
	if (status == FTS_OK) set_address(worker, options, listen);
	return status;
}

/* Health surveys ask it too. Without that it works all the same. */
static void show_itself(struct fts_worker *worker, const struct fts_worker_options *options)
{
	char name[sizeof worker->name + sizeof worker->address], listen[sizeof worker->address];
	const char *port = strrchr(worker->address, ':');
	struct fts_error error;
	(void)snprintf(name, sizeof name, "%s@%.70s", worker->name, worker->address);
	(void)snprintf(listen, sizeof listen, "%.*s:0", (int)(port - worker->address), worker->address);
	const struct fts_presence_options presence = {.name = name,
						      .kind = FTS_PRESENCE_WORKER,
						      .listen = listen,
						      .tls = options->tls,
						      .channel = worker->channel,
						      .server = worker->server};
	if (fts_presence_create(&presence, &worker->presence, &error) != FTS_OK)
		FTS_LOG_WARN("worker.no_presence", "name=%s status=%s", worker->name, fts_status_name(error.status));
}

static enum fts_status keep(struct fts_worker *worker, struct fts_error *out_error)
{
	worker->has_beater = pthread_create(&worker->beater, NULL, ftsi_worker_beat, worker) == 0;
	if (worker->has_beater)
		worker->has_finisher = pthread_create(&worker->finisher, NULL, ftsi_worker_finish, worker) == 0;
	if (!worker->has_finisher) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for a worker");
	pthread_setname_np(worker->beater, "fts-beat");
	pthread_setname_np(worker->finisher, "fts-finish");
	return FTS_OK;
}

enum fts_status fts_worker_start(struct fts_channel *channel, const struct fts_worker_options *options,
				 struct fts_worker **out_worker, struct fts_error *out_error)
{
	_Static_assert(sizeof((struct fts_worker *)0)->methods / sizeof(struct fts_method) == FTSI_WORKER_METHODS, "");
	enum fts_status status = check(options, out_error);
	if (status != FTS_OK) return status;
	if (sodium_init() < 0) return fts_error_set(out_error, FTS_INTERNAL, "libsodium can't be initialised");
	struct fts_worker *worker = make(channel, options);
	if (worker == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a worker");
	status = serve(worker, options, out_error);
	if (status == FTS_OK) status = ftsi_worker_register(worker, out_error);
	if (status == FTS_OK) status = keep(worker, out_error);
	if (status == FTS_OK) show_itself(worker, options);
	if (status == FTS_OK)
		*out_worker = worker;
	else
		(void)fts_worker_stop(worker, 0);
	return status;
}

const char *fts_worker_address(const struct fts_worker *worker)
{
	return worker->address;
}

bool fts_worker_offered(struct fts_worker *worker, struct fts_error *out_error)
{
	pthread_mutex_lock(&worker->lock);
	bool offered = worker->id != 0 && worker->told.status == FTS_OK;
	if (!offered && out_error != NULL) *out_error = worker->told;
	pthread_mutex_unlock(&worker->lock);
	return offered;
}

/* ---- Stop ---- */

static bool wait_idle(struct fts_worker *worker, uint64_t until_ns)
{
	const struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	pthread_mutex_lock(&worker->lock);
	while (worker->run_count > 0 && fts_clock_monotonic_ns() < until_ns)
		(void)pthread_cond_timedwait(&worker->idle_wake, &worker->lock, &until);
	bool idle = worker->run_count == 0;
	pthread_mutex_unlock(&worker->lock);
	return idle;
}

static void end_threads(struct fts_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	pthread_cond_signal(&worker->beat_wake);
	pthread_cond_signal(&worker->finish_wake);
	pthread_mutex_unlock(&worker->lock);
	if (worker->has_beater) pthread_join(worker->beater, NULL);
	if (worker->has_finisher) pthread_join(worker->finisher, NULL);
}

bool fts_worker_stop(struct fts_worker *worker, uint32_t drain_ms)
{
	if (worker == NULL) return true;
	uint64_t until_ns = fts_clock_monotonic_ns() + drain_ms * MS_NS;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	ftsi_worker_sweep(worker, true);
	pthread_mutex_unlock(&worker->lock);
	ftsi_worker_leave(worker, false, LEAVE_MS);
	bool idle = wait_idle(worker, until_ns);
	end_threads(worker);
	if (idle) ftsi_worker_leave(worker, true, LEAVE_MS);
	if (worker->server != NULL && idle) idle = fts_server_drain(worker->server, REPLY_DRAIN_MS) == FTS_OK;
	fts_presence_destroy(worker->presence);
	fts_server_destroy(worker->server);
	ftsi_worker_release(worker);
	return idle;
}
