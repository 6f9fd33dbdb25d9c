/* Why this file exists: a server's life: what it offers, listening, draining, the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "rpc/reflection.h"
#include "rpc/server_internal.h"

#define DEFAULT_WORKER_COUNT 4u
#define DEFAULT_CONNECTION_COUNT_MAX 4096u
#define DEFAULT_OPEN_CALLS_MAX 4096u
#define DEFAULT_INBOUND_BYTES_MAX (64u * 1024 * 1024)
#define DEFAULT_IDLE_TIMEOUT_MS 10000u
#define ARENAS_PER_INBOUND 4u /* address space for what inbound bytes unpack to */
#define DEFAULT_WORKER_IDLE_MS 10000u
#define WORKER_QUEUE_MAX 4096u
#define OFFER_COUNT_MAX 256u
#define TICK_MAX_MS 250u
#define DRAIN_LOOK_MS 5u

static void on_accepted(void *arg);
static void on_tick(void *arg);

/* ---- Create ---- */

static void set_defaults(struct fts_server_options *options)
{
	if (options->worker_count == 0) options->worker_count = DEFAULT_WORKER_COUNT;
	if (options->worker_idle_ms == 0) options->worker_idle_ms = DEFAULT_WORKER_IDLE_MS;
	if (options->connection_count_max == 0) options->connection_count_max = DEFAULT_CONNECTION_COUNT_MAX;
	if (options->open_calls_max == 0) options->open_calls_max = DEFAULT_OPEN_CALLS_MAX;
	if (options->inbound_bytes_max == 0) options->inbound_bytes_max = DEFAULT_INBOUND_BYTES_MAX;
	if (options->idle_timeout_ms == 0) options->idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
}

/* "HOST:PORT", port 0 allowed, an IPv6 address in brackets. */
static bool listen_is_valid(const char *text)
{
	const char *colon = strrchr(text, ':');
	if (colon == NULL || colon == text || strlen(text) >= sizeof((struct fts_server *)NULL)->listen - 16)
		return false;
	bool bracketed = text[0] == '[' && colon[-1] == ']';
	if (!bracketed && memchr(text, ':', (size_t)(colon - text)) != NULL) return false;
	char *end = NULL;
	if (colon[1] < '0' || colon[1] > '9') return false;
	unsigned long port = strtoul(colon + 1, &end, 10);
	return *end == '\0' && port <= UINT16_MAX;
}

static enum fts_status check_options(const struct fts_server_options *options, struct fts_error *err)
{
	if (options->listen == NULL || !listen_is_valid(options->listen))
		return fts_error_set(err, FTS_INVALID_ARGUMENT, "listen address \"%s\" is not HOST:PORT",
				     options->listen == NULL ? "" : options->listen);
	if (options->node != NULL && strlen(options->node) >= FTSI_NODE_MAX_BYTES)
		return fts_error_set(err, FTS_INVALID_ARGUMENT, "the node's name is longer than %u bytes",
				     FTSI_NODE_MAX_BYTES - 1);
	return FTS_OK;
}

static void server_free(struct fts_server *server)
{
	ftsi_statistics_destroy(server);
	fts_arena_pool_destroy(server->arenas);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->mutex);
	ftsi_tls_watch_destroy(server->tls_watch);
	free(server->entries);
	free((void *)server->methods);
	free(server->offers);
	free(server);
}

void ftsi_server_hold(struct fts_server *server)
{
	atomic_fetch_add(&server->ref_count, 1);
}

void ftsi_server_release(struct fts_server *server)
{
	if (atomic_fetch_sub(&server->ref_count, 1) == 1) server_free(server);
}

static void init_sync(struct fts_server *server)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&server->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&server->mutex, NULL);
}

/* ftsi_tls_set_fn. Before there is a listener it waits for one. */
static int set_tls(void *ctx, nng_tls_config *config)
{
	struct fts_server *server = ctx;
	pthread_mutex_lock(&server->mutex);
	int error =
	    server->listener == NULL ? 0 : nng_stream_listener_set_ptr(server->listener, NNG_OPT_TLS_CONFIG, config);
	if (error == 0) server->tls_config = config;
	pthread_mutex_unlock(&server->mutex);
	return error;
}

enum fts_status fts_server_create(const struct fts_server_options *options, struct fts_server **out_server,
				  struct fts_error *out_error)
{
	enum fts_status st = check_options(options, out_error);
	if (st != FTS_OK) return st;
	struct fts_server *server = calloc(1, sizeof *server);
	if (server == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a server");
	atomic_init(&server->ref_count, 1);
	init_sync(server);
	server->options = *options;
	set_defaults(&server->options);
	memcpy(server->listen, options->listen, strlen(options->listen));
	if (options->node != NULL) memcpy(server->node, options->node, strlen(options->node));
	server->tls = ftsi_tls_wanted(&options->tls);
	server->budget.max_bytes = server->options.inbound_bytes_max;
	server->arenas = fts_arena_pool_create(server->options.inbound_bytes_max * ARENAS_PER_INBOUND);
	server->offers = calloc(OFFER_COUNT_MAX, sizeof *server->offers);
	if (server->arenas == NULL || server->offers == NULL)
		st = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a server");
	else if (server->tls)
		st = ftsi_tls_watch_create(&options->tls, FTSI_ROLE_SERVER, NULL, set_tls, server, &server->tls_watch,
					   out_error);
	if (st == FTS_OK) st = ftsi_reflection_register(server);
	if (st != FTS_OK) {
		ftsi_server_release(server);
		return st;
	}
	*out_server = server;
	return FTS_OK;
}

/* ---- What it offers ---- */

static bool method_is_taken(const struct fts_server *server, const struct fts_method *method)
{
	for (size_t i = 0; i < server->offer_count; i++) {
		const struct fts_service *service = server->offers[i].service;
		for (size_t k = 0; k < service->method_count; k++) {
			if (service->methods[k].id == method->id) return true;
		}
	}
	return false;
}

static enum fts_status offer(struct fts_server *server, const struct ftsi_offer *what, struct fts_error *err)
{
	const struct fts_service *service = what->service;
	if (atomic_load(&server->started))
		return fts_error_set(err, FTS_FAILED_PRECONDITION, "%s: the server is already started", service->name);
	if (server->offer_count == OFFER_COUNT_MAX)
		return fts_error_set(err, FTS_RESOURCE_EXHAUSTED, "a server offers at most %u services",
				     OFFER_COUNT_MAX);
	for (size_t i = 0; i < server->offer_count; i++) {
		if (strcmp(server->offers[i].service->name, service->name) == 0)
			return fts_error_set(err, FTS_ALREADY_EXISTS, "%s is offered already", service->name);
	}
	for (size_t i = 0; i < service->method_count; i++) {
		if (method_is_taken(server, &service->methods[i]))
			return fts_error_set(err, FTS_ALREADY_EXISTS, "the id of %s is taken: rename the method",
					     service->methods[i].full_name);
	}
	server->offers[server->offer_count++] = *what;
	return FTS_OK;
}

enum fts_status fts_server_add(struct fts_server *server, const struct fts_service *service, const void *handlers,
			       void *ctx, struct fts_error *out_error)
{
	struct ftsi_offer what = {.service = service, .handlers = handlers, .ctx = ctx};
	return offer(server, &what, out_error);
}

enum fts_status fts_server_add_raw(struct fts_server *server, const struct fts_service *service,
				   fts_raw_handler_fn handler, void *ctx, struct fts_error *out_error)
{
	struct ftsi_offer what = {.service = service, .raw = handler, .ctx = ctx};
	return offer(server, &what, out_error);
}

static size_t place_of(const struct fts_server *server, uint32_t method_id)
{
	size_t mask = server->entry_capacity - 1, at = method_id & mask;
	while (server->entries[at].method != NULL && server->entries[at].method->id != method_id)
		at = (at + 1) & mask;
	return at;
}

const struct ftsi_entry *ftsi_server_find(const struct fts_server *server, uint32_t method_id)
{
	const struct ftsi_entry *entry = &server->entries[place_of(server, method_id)];
	return entry->method == NULL ? NULL : entry;
}

static void add_methods(struct fts_server *server, const struct ftsi_offer *what)
{
	for (size_t i = 0; i < what->service->method_count; i++) {
		const struct fts_method *method = &what->service->methods[i];
		struct ftsi_entry *entry = &server->entries[place_of(server, method->id)];
		*entry = (struct ftsi_entry){.method = method, .offer = *what, .index = (uint32_t)server->method_count};
		server->methods[server->method_count++] = entry;
	}
}

/* Fix the table of methods; afterwards it is read without a lock. */
static bool build_table(struct fts_server *server, bool *out_blocking)
{
	size_t count = 0;
	for (size_t i = 0; i < server->offer_count; i++) {
		const struct fts_service *service = server->offers[i].service;
		count += service->method_count;
		for (size_t k = 0; k < service->method_count; k++)
			*out_blocking |= service->methods[k].blocking;
	}
	server->entry_capacity = 16;
	while (server->entry_capacity < count * 2)
		server->entry_capacity *= 2;
	server->entries = calloc(server->entry_capacity, sizeof *server->entries);
	server->methods = calloc(count + 1, sizeof(struct ftsi_entry *));
	if (server->entries == NULL || server->methods == NULL) return false;
	for (size_t i = 0; i < server->offer_count; i++)
		add_methods(server, &server->offers[i]);
	return ftsi_statistics_create(server);
}

/* ---- Listening ---- */

static enum fts_status listen_failed(const struct fts_server *server, int error, struct fts_error *err)
{
	enum fts_status st = ftsi_nng_status(error);
	if (error == NNG_EADDRINUSE)
		return fts_error_set(err, FTS_UNAVAILABLE, "%s is in use: is another server running there?",
				     server->listen);
	return fts_error_set(err, st, "can't listen on %s: %s", server->listen, nng_strerror(error));
}

static enum fts_status listen_open(struct fts_server *server, struct fts_error *err)
{
	char url[sizeof server->listen + 16];
	int error, port = 0;
	snprintf(url, sizeof url, "%s://%s", server->tls ? "tls+tcp" : "tcp", server->listen);
	pthread_mutex_lock(&server->mutex);
	error = nng_stream_listener_alloc(&server->listener, url);
	if (error == 0 && server->tls)
		error = nng_stream_listener_set_ptr(server->listener, NNG_OPT_TLS_CONFIG, server->tls_config);
	pthread_mutex_unlock(&server->mutex);
	if (error != 0) return listen_failed(server, error, err);
	if ((error = nng_stream_listener_listen(server->listener)) != 0 ||
	    (error = nng_stream_listener_get_int(server->listener, NNG_OPT_TCP_BOUND_PORT, &port)) != 0)
		return listen_failed(server, error, err);
	server->port = (uint16_t)port;
	return FTS_OK;
}

static uint32_t tick_ms(const struct fts_server *server)
{
	uint32_t quarter_ms = server->options.idle_timeout_ms / 4 + 1;
	return quarter_ms < TICK_MAX_MS ? quarter_ms : TICK_MAX_MS;
}

enum fts_status fts_server_start(struct fts_server *server, struct fts_error *out_error)
{
	bool blocking = false;
	enum fts_status st;
	if (atomic_exchange(&server->started, true))
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "the server is already started");
	if (!build_table(server, &blocking) || nng_aio_alloc(&server->accept_aio, on_accepted, server) != 0 ||
	    nng_aio_alloc(&server->tick_aio, on_tick, server) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a server");
	if ((st = listen_open(server, out_error)) != FTS_OK) return st;
	if (blocking) {
		server->workers = ftsi_worker_pool_create(server->options.worker_count, server->options.worker_idle_ms,
							  WORKER_QUEUE_MAX);
		if (server->workers == NULL)
			return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "can't start worker threads");
	}
	nng_stream_listener_accept(server->listener, server->accept_aio);
	server->ticks = fts_strand_of("rpc-tasks", 0);
	fts_strand_add(server->ticks, 1);
	nng_sleep_aio((nng_duration)tick_ms(server), server->tick_aio);
	return FTS_OK;
}

uint16_t fts_server_port(const struct fts_server *server)
{
	return server->port;
}

static void on_accepted(void *arg)
{
	struct fts_server *server = arg;
	int error = nng_aio_result(server->accept_aio);
	if (error == 0) {
		ftsi_server_conn_open(server, nng_aio_get_output(server->accept_aio, 0));
	} else if (error == NNG_ENOFILES || error == NNG_ENOMEM) {
		FTS_LOG_WARN("rpc.accept", "node=%s error=%d reason=\"%s\"", server->node, error, nng_strerror(error));
		atomic_store(&server->accept_stalled, true); /* at once would spin */
		return;
	}
	if (error == NNG_ECLOSED || error == NNG_ECANCELED || atomic_load(&server->draining)) return;
	nng_stream_listener_accept(server->listener, server->accept_aio);
}

static void on_tick(void *arg)
{
	struct fts_server *server = arg;
	if (nng_aio_result(server->tick_aio) != 0 || atomic_load(&server->stopping)) return;
	uint64_t now_ns = fts_clock_monotonic_ns();
	fts_strand_move(server->ticks);
	pthread_mutex_lock(&server->mutex);
	for (struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next) {
		ftsi_conn_check(peer->conn, now_ns);
		ftsi_server_conn_go_on(peer);
	}
	pthread_mutex_unlock(&server->mutex);
	if (atomic_exchange(&server->accept_stalled, false))
		nng_stream_listener_accept(server->listener, server->accept_aio);
	nng_sleep_aio((nng_duration)tick_ms(server), server->tick_aio);
}

/* ---- The end ---- */

/* Called with the server's mutex held. */
static bool is_quiet(const struct fts_server *server)
{
	for (const struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next) {
		if (ftsi_conn_is_closed(peer->conn)) continue;
		if (atomic_load(&peer->open_count) > 0 || atomic_load(&peer->inline_entry) != NULL ||
		    !ftsi_conn_is_flushed(peer->conn))
			return false;
	}
	return true;
}

/* Called with the server's mutex held. */
static void wait_changed(struct fts_server *server, uint32_t wait_ms)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), wait_ms);
	struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	pthread_cond_timedwait(&server->changed, &server->mutex, &until);
}

static void stop_accepting(struct fts_server *server)
{
	atomic_store(&server->draining, true);
	if (server->listener != NULL) nng_stream_listener_close(server->listener);
}

enum fts_status fts_server_drain(struct fts_server *server, uint32_t timeout_ms)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	stop_accepting(server);
	pthread_mutex_lock(&server->mutex);
	bool quiet;
	while (!(quiet = is_quiet(server)) && fts_clock_monotonic_ns() < deadline_ns)
		wait_changed(server, DRAIN_LOOK_MS);
	pthread_mutex_unlock(&server->mutex);
	return quiet ? FTS_OK : FTS_DEADLINE_EXCEEDED;
}

static void close_conns(struct fts_server *server)
{
	pthread_mutex_lock(&server->mutex);
	for (struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next)
		ftsi_conn_close(peer->conn, "the server is shutting down");
	while (server->conn_count > 0)
		wait_changed(server, 1000);
	pthread_mutex_unlock(&server->mutex);
}

void fts_server_destroy(struct fts_server *server)
{
	if (server == NULL) return;
	atomic_store(&server->stopping, true);
	stop_accepting(server);
	/* Both callbacks are over before the listener goes (nng 1.5.2 frees it under them otherwise). */
	if (server->tick_aio != NULL) nng_aio_stop(server->tick_aio);
	if (server->ticks != NULL) fts_strand_drop(server->ticks, 1);
	if (server->accept_aio != NULL) nng_aio_stop(server->accept_aio);
	close_conns(server);
	ftsi_worker_pool_destroy(server->workers);
	server->workers = NULL;
	ftsi_tls_watch_stop(server->tls_watch);
	if (server->listener != NULL) nng_stream_listener_free(server->listener);
	if (server->tick_aio != NULL) nng_aio_free(server->tick_aio);
	if (server->accept_aio != NULL) nng_aio_free(server->accept_aio);
	ftsi_server_release(server);
}
