/* Why this file exists: see statistics.h. */
#include "rpc/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/server_internal.h"

#define NS_PER_MS 1000000u
#define SHARED_SHARD (FTSI_SHARD_COUNT - 1)

/* Each of the first threads has a shard to itself in every server; all later ones share the last. */
static atomic_uint shards_given;
static _Thread_local unsigned own_shard = FTSI_SHARD_COUNT;

static unsigned shard_of_thread(void)
{
	if (own_shard < FTSI_SHARD_COUNT) return own_shard;
	unsigned given = atomic_load(&shards_given);
	while (given < SHARED_SHARD && !atomic_compare_exchange_weak(&shards_given, &given, given + 1))
		continue;
	own_shard = given;
	return own_shard;
}

static void add(atomic_uint_fast64_t *counter, uint64_t value, bool shared)
{
	if (shared) {
		atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
		return;
	}
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + value, memory_order_relaxed);
}

static unsigned latency_bucket(uint64_t latency_ns)
{
	uint64_t us = (latency_ns + 999) / 1000;
	unsigned bucket = us <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(us - 1);
	return bucket < FTSI_LATENCY_BUCKET_COUNT ? bucket : FTSI_LATENCY_BUCKET_COUNT - 1;
}

void ftsi_statistics_count(struct fts_server *server, const struct ftsi_entry *entry, enum fts_status status,
			   size_t request_bytes, size_t response_bytes, uint64_t latency_ns)
{
	unsigned shard = shard_of_thread();
	bool shared = shard == SHARED_SHARD;
	struct ftsi_method_counts *counts = &server->shards[shard][entry->index];
	add(&counts->calls, 1, shared);
	if (status != FTS_OK) {
		add(&counts->errors, 1, shared);
		add(&counts->refused[(unsigned)status < FTSI_CODE_COUNT ? status : FTS_UNKNOWN], 1, shared);
	}
	add(&counts->request_bytes, request_bytes, shared);
	add(&counts->response_bytes, response_bytes, shared);
	add(&counts->latency_ns, latency_ns, shared);
	add(&counts->latency[latency_bucket(latency_ns)], 1, shared);
}

bool ftsi_statistics_create(struct fts_server *server)
{
	size_t count = server->method_count == 0 ? 1 : server->method_count;
	server->since_ns = fts_clock_monotonic_ns();
	server->method_base = calloc(count, sizeof *server->method_base);
	server->open_methods = calloc(count, sizeof *server->open_methods);
	if (server->method_base == NULL || server->open_methods == NULL) return false;
	for (unsigned i = 0; i < FTSI_SHARD_COUNT; i++) {
		server->shards[i] = calloc(count, sizeof **server->shards);
		if (server->shards[i] == NULL) return false;
	}
	return true;
}

void ftsi_statistics_destroy(struct fts_server *server)
{
	free(server->method_base);
	free(server->open_methods);
	for (unsigned i = 0; i < FTSI_SHARD_COUNT; i++)
		free(server->shards[i]);
}

size_t ftsi_server_service_count(const struct fts_server *server)
{
	return server->offer_count;
}

const struct fts_service *ftsi_server_service(const struct fts_server *server, size_t index)
{
	return server->offers[index].service;
}

size_t ftsi_server_method_count(const struct fts_server *server)
{
	return server->method_count;
}

/* ---- Open calls ---- */

struct open_calls {
	uint32_t count;
	uint64_t oldest_ns; /* when it was received; UINT64_MAX: none */
	const struct fts_method *overrun;
	uint64_t overrun_ns;
};

static void open_note(struct open_calls *open, uint64_t received_ns)
{
	open->count++;
	if (received_ns < open->oldest_ns) open->oldest_ns = received_ns;
}

/* A handler that began at since_ns still runs, or should have answered by since_ns. A call whose handler has returned
 * may wait for as long as its caller does: for a draw, for the log. */
static void run_note(struct open_calls *open, const struct fts_method *method, uint64_t since_ns, uint64_t now_ns)
{
	if (since_ns > now_ns) return;
	uint64_t run_ns = now_ns - since_ns;
	if (run_ns <= (uint64_t)method->longest_run_ms * NS_PER_MS || run_ns <= open->overrun_ns) return;
	open->overrun = method;
	open->overrun_ns = run_ns;
}

/* Calls of one connection; entry NULL: of all methods. */
static void open_scan_conn(struct ftsi_server_conn *peer, const struct ftsi_entry *entry, uint64_t now_ns,
			   struct open_calls *open)
{
	const struct ftsi_entry *inline_entry = atomic_load_explicit(&peer->inline_entry, memory_order_acquire);
	uint64_t since_ns = atomic_load_explicit(&peer->inline_since_ns, memory_order_relaxed);
	if (inline_entry != NULL && (entry == NULL || entry == inline_entry))
		open_note(open, since_ns), run_note(open, inline_entry->method, since_ns, now_ns);
	pthread_mutex_lock(&peer->open_mutex);
	for (const struct fts_call *call = peer->oldest_open; call != NULL; call = call->newer) {
		if (entry != NULL && call->entry != entry) continue;
		open_note(open, call->received_ns);
		run_note(open, call->entry->method, call->deadline_ns, now_ns);
	}
	pthread_mutex_unlock(&peer->open_mutex);
}

/* Called with the server's mutex held. */
static struct open_calls open_scan(struct fts_server *server, const struct ftsi_entry *entry, uint64_t now_ns)
{
	struct open_calls open = {.oldest_ns = UINT64_MAX};
	for (struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next)
		open_scan_conn(peer, entry, now_ns, &open);
	return open;
}

static void run_scan_workers(struct fts_server *server, uint64_t now_ns, struct open_calls *open)
{
	struct ftsi_running running;
	for (uint32_t place = 0; ftsi_worker_pool_running(server->workers, place, &running); place++)
		if (running.entry != NULL) run_note(open, running.entry->method, running.since_ns, now_ns);
}

static uint32_t age_ms(uint64_t since_ns, uint64_t now_ns)
{
	if (since_ns >= now_ns) return 0;
	uint64_t ms = (now_ns - since_ns) / NS_PER_MS;
	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

/* ---- Sums ---- */

static uint64_t get(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void method_sum(const struct fts_server *server, size_t index, struct ftsi_method_statistics *out)
{
	memset(out, 0, sizeof *out);
	out->method = server->methods[index]->method;
	for (unsigned i = 0; i < FTSI_SHARD_COUNT; i++) {
		const struct ftsi_method_counts *counts = &server->shards[i][index];
		out->calls += get(&counts->calls);
		out->errors += get(&counts->errors);
		for (unsigned k = 0; k < FTSI_CODE_COUNT; k++)
			out->refused[k] += get(&counts->refused[k]);
		out->latency_ns += get(&counts->latency_ns);
		out->request_bytes += get(&counts->request_bytes);
		out->response_bytes += get(&counts->response_bytes);
		for (unsigned k = 0; k < FTSI_LATENCY_BUCKET_COUNT; k++)
			out->latency_log2_us[k] += get(&counts->latency[k]);
	}
}

static void method_subtract(struct ftsi_method_statistics *from, const struct ftsi_method_statistics *base)
{
	from->calls -= base->calls;
	from->errors -= base->errors;
	for (unsigned k = 0; k < FTSI_CODE_COUNT; k++)
		from->refused[k] -= base->refused[k];
	from->latency_ns -= base->latency_ns;
	from->request_bytes -= base->request_bytes;
	from->response_bytes -= base->response_bytes;
	for (unsigned k = 0; k < FTSI_LATENCY_BUCKET_COUNT; k++)
		from->latency_log2_us[k] -= base->latency_log2_us[k];
}

void ftsi_server_method_statistics(struct fts_server *server, size_t index, struct ftsi_method_statistics *out)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	method_sum(server, index, out);
	pthread_mutex_lock(&server->mutex);
	method_subtract(out, &server->method_base[index]);
	struct open_calls open = open_scan(server, server->methods[index], now_ns);
	pthread_mutex_unlock(&server->mutex);
	out->open = open.count;
	out->oldest_ms = age_ms(open.oldest_ns, now_ns);
}

/* Called with the server's mutex held. */
static void server_sum(struct fts_server *server, struct ftsi_server_statistics *out)
{
	memset(out, 0, sizeof *out);
	out->malformed = get(&server->malformed);
	out->inbound_bytes = server->past_inbound_bytes;
	out->outbound_bytes = server->past_outbound_bytes;
	for (const struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next) {
		struct ftsi_conn_bytes bytes = ftsi_conn_bytes(peer->conn);
		out->inbound_bytes += bytes.received_bytes;
		out->outbound_bytes += bytes.sent_bytes;
	}
}

void ftsi_server_statistics(struct fts_server *server, struct ftsi_server_statistics *out)
{
	pthread_mutex_lock(&server->mutex);
	server_sum(server, out);
	out->malformed -= server->base.malformed;
	out->inbound_bytes -= server->base.inbound_bytes;
	out->outbound_bytes -= server->base.outbound_bytes;
	out->connections = server->conn_count;
	out->uptime_ms = (fts_clock_monotonic_ns() - server->since_ns) / NS_PER_MS;
	pthread_mutex_unlock(&server->mutex);
}

void ftsi_server_statistics_reset(struct fts_server *server)
{
	pthread_mutex_lock(&server->mutex);
	server_sum(server, &server->base);
	for (size_t i = 0; i < server->method_count; i++)
		method_sum(server, i, &server->method_base[i]);
	server->since_ns = fts_clock_monotonic_ns();
	pthread_mutex_unlock(&server->mutex);
}

void fts_server_work(struct fts_server *server, struct fts_server_work *out)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	memset(out, 0, sizeof *out);
	pthread_mutex_lock(&server->mutex);
	struct open_calls open = open_scan(server, NULL, now_ns);
	pthread_mutex_unlock(&server->mutex);
	run_scan_workers(server, now_ns, &open);
	out->open_count = open.count;
	out->oldest_ms = age_ms(open.oldest_ns, now_ns);
	out->overrun = open.overrun;
	out->overrun_ms = (uint32_t)(open.overrun_ns / NS_PER_MS);
	for (size_t i = 0; i < server->method_count; i++) {
		for (unsigned k = 0; k < FTSI_SHARD_COUNT; k++)
			out->answered_count += get(&server->shards[k][i].calls);
	}
}

static void methods_note(struct ftsi_open_method *open, uint64_t received_ns)
{
	if (open->count++ == 0 || received_ns < open->oldest_ns) open->oldest_ns = received_ns;
}

static void methods_scan_conn(struct ftsi_server_conn *peer, struct ftsi_open_method *methods)
{
	const struct ftsi_entry *inline_entry = atomic_load_explicit(&peer->inline_entry, memory_order_acquire);
	uint64_t since_ns = atomic_load_explicit(&peer->inline_since_ns, memory_order_relaxed);
	if (inline_entry != NULL) methods_note(&methods[inline_entry->index], since_ns);
	pthread_mutex_lock(&peer->open_mutex);
	for (const struct fts_call *call = peer->oldest_open; call != NULL; call = call->newer)
		methods_note(&methods[call->entry->index], call->received_ns);
	pthread_mutex_unlock(&peer->open_mutex);
}

/* Of two methods with open calls the one whose oldest is older comes first. */
static size_t place_for(const struct fts_open_method *methods, size_t count, uint32_t oldest_ms)
{
	size_t place = count;
	while (place > 0 && methods[place - 1].oldest_ms < oldest_ms)
		place--;
	return place;
}

size_t fts_server_open_methods(struct fts_server *server, struct fts_open_method *out_methods, size_t max)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	size_t count = 0;
	pthread_mutex_lock(&server->mutex);
	memset(server->open_methods, 0, server->method_count * sizeof(*server->open_methods));
	for (struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next)
		methods_scan_conn(peer, server->open_methods);
	for (size_t i = 0; i < server->method_count && max > 0; i++) {
		const struct ftsi_open_method *open = &server->open_methods[i];
		uint32_t oldest_ms = open->count > 0 ? age_ms(open->oldest_ns, now_ns) : 0;
		size_t place = place_for(out_methods, count, oldest_ms);
		if (open->count == 0 || place == max) continue;
		if (count < max) count++;
		memmove(&out_methods[place + 1], &out_methods[place], (count - place - 1) * sizeof(*out_methods));
		out_methods[place] = (struct fts_open_method){server->methods[i]->method, open->count, oldest_ms};
	}
	pthread_mutex_unlock(&server->mutex);
	return count;
}
