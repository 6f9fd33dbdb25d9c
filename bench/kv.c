/* Why this file exists: see kv.h. Each client has a channel of its own and keeps its share of --outstanding calls in
 * flight, each started from the callback of the one before. Keys are taken at random from --keys of them (keys.h);
 * --get percent of the calls read. With --linearizable the keys lie in a database of the replicated log, made for it.
 *
 * Keys that are read are stored first, in batches, unless --filled says that they are there: that is not measured. */
#include "bench/kv.h"

#include "bench/keys.h"
#include "bench/measure.h"
#include "bench/node.h"

#include <fts/rpc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fts/kv/v1/kv.fts.h"

enum { VALUE_BYTES_MAX = 1024 * 1024, FILL_OPS_MAX = 512, FILL_BYTES_MAX = 1024 * 1024, FILLER_COUNT = 8 };
#define LINEARIZABLE_DB 7574u

/* What all clients share; it does not change while they run. */
struct load {
	const struct bench_options *options;
	uint32_t db;
	uint8_t *value;
	struct bench_keys keys;
	uint64_t end_ns;
};

struct client {
	const struct load *load;
	struct fts_channel *channel;
	atomic_uint running;
	pthread_mutex_t lock;
	struct measure measure; /* guarded by lock */
};

/* Calls one after the other. */
struct chain {
	struct client *client;
	uint64_t sent_ns;
	uint64_t random;
	char key[BENCH_KEY_BYTES + 1];
};

/* ---- calls ---- */

static void chain_next(struct chain *chain);

static void chain_done(struct chain *chain, bool ok)
{
	struct client *client = chain->client;
	pthread_mutex_lock(&client->lock);
	if (ok)
		measure_add(&client->measure, measure_now_ns() - chain->sent_ns);
	else
		client->measure.error_count++;
	pthread_mutex_unlock(&client->lock);
	chain_next(chain);
}

static void on_set(void *ctx, enum fts_status status, const Fts__Kv__V1__SetResponse *response,
                   const struct fts_error *error)
{
	(void)response;
	(void)error;
	chain_done(ctx, status == FTS_OK);
}

static void on_get(void *ctx, enum fts_status status, const Fts__Kv__V1__GetResponse *response,
                   const struct fts_error *error)
{
	(void)error;
	struct chain *chain = ctx;
	chain_done(chain, status == FTS_OK && response->value.len == chain->client->load->options->value_bytes);
}

static enum fts_status start_set(struct chain *chain)
{
	const struct load *load = chain->client->load;
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	request.db = load->db;
	request.key = (ProtobufCBinaryData){BENCH_KEY_BYTES, (uint8_t *)chain->key};
	request.value = (ProtobufCBinaryData){load->options->value_bytes, load->value};
	return fts_kv_set_start(chain->client->channel, &request, NULL, on_set, chain, NULL);
}

static enum fts_status start_get(struct chain *chain)
{
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	request.db = chain->client->load->db;
	request.key = (ProtobufCBinaryData){BENCH_KEY_BYTES, (uint8_t *)chain->key};
	return fts_kv_get_start(chain->client->channel, &request, NULL, on_get, chain, NULL);
}

static void chain_next(struct chain *chain)
{
	const struct load *load = chain->client->load;
	bool reads = bench_random_next(&chain->random) % 100 < load->options->get_percent;
	bench_key_print(chain->key, bench_keys_draw(&load->keys, &chain->random));
	chain->sent_ns = measure_now_ns();
	if (chain->sent_ns < load->end_ns && (reads ? start_get(chain) : start_set(chain)) == FTS_OK) return;
	atomic_fetch_sub(&chain->client->running, 1);
}

/* ---- before ---- */

static bool create_database(struct fts_channel *channel)
{
	Fts__Kv__V1__CreateDatabaseRequest request = FTS__KV__V1__CREATE_DATABASE_REQUEST__INIT;
	Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
	struct fts_error error;
	request.db = LINEARIZABLE_DB;
	request.linearizable = true;
	enum fts_status status = fts_kv_create_database(channel, &request, NULL, &response, &error);
	bool ok = status == FTS_OK || status == FTS_ALREADY_EXISTS;
	if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	fts__kv__v1__create_database_response__free_unpacked(response, NULL);
	return ok;
}

/* A new cluster serves before it has agreed on who owns which keys. */
static bool wait_placed(struct fts_channel *channel)
{
	const struct timespec step = {.tv_nsec = 20000000};
	struct fts_error error = {0};
	enum fts_status status = FTS_UNAVAILABLE;
	for (uint64_t end_ns = measure_now_ns() + 10000000000ull; status == FTS_UNAVAILABLE;) {
		Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
		Fts__Kv__V1__SetResponse *response = NULL;
		request.key = (ProtobufCBinaryData){5, (uint8_t *)"bench"};
		status = fts_kv_set(channel, &request, NULL, &response, &error);
		fts__kv__v1__set_response__free_unpacked(response, NULL);
		if (status == FTS_UNAVAILABLE && measure_now_ns() > end_ns) break;
		if (status == FTS_UNAVAILABLE) nanosleep(&step, NULL);
	}
	if (status != FTS_OK) fprintf(stderr, "fts-bench: %s\n", error.detail);
	return status == FTS_OK;
}

struct fill {
	Fts__Kv__V1__BatchOp ops[FILL_OPS_MAX], *list[FILL_OPS_MAX];
	Fts__Kv__V1__SetRequest sets[FILL_OPS_MAX];
	char keys[FILL_OPS_MAX][BENCH_KEY_BYTES + 1];
};

static bool send_fill(struct fts_channel *channel, struct fill *fill, uint32_t count)
{
	Fts__Kv__V1__BatchRequest request = FTS__KV__V1__BATCH_REQUEST__INIT;
	Fts__Kv__V1__BatchResponse *response = NULL;
	struct fts_error error;
	request.ops = fill->list;
	request.n_ops = count;
	bool ok = fts_kv_batch(channel, &request, NULL, &response, &error) == FTS_OK;
	if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	for (size_t i = 0; ok && i < response->n_results; i++) {
		if (response->results[i]->code == FTS_OK) continue;
		fprintf(stderr, "fts-bench: %s\n", response->results[i]->detail);
		ok = false;
	}
	fts__kv__v1__batch_response__free_unpacked(response, NULL);
	return ok;
}

/* One of those who fill, each with every FILLER_COUNT-th batch. */
struct filler {
	const struct load *load;
	struct fts_channel *channel;
	uint32_t number;
	bool ok;
};

static void make_fill(struct fill *fill, const struct load *load, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		fts__kv__v1__set_request__init(&fill->sets[i]);
		fts__kv__v1__batch_op__init(&fill->ops[i]);
		bench_key_print(fill->keys[i], first + i);
		fill->sets[i].db = load->db;
		fill->sets[i].key = (ProtobufCBinaryData){BENCH_KEY_BYTES, (uint8_t *)fill->keys[i]};
		fill->sets[i].value = (ProtobufCBinaryData){load->options->value_bytes, load->value};
		fill->ops[i].kind_case = FTS__KV__V1__BATCH_OP__KIND_SET;
		fill->ops[i].set = &fill->sets[i];
		fill->list[i] = &fill->ops[i];
	}
}

static void *fill_share(void *data)
{
	struct filler *filler = data;
	const struct load *load = filler->load;
	uint32_t keys = load->options->keys, most = FILL_BYTES_MAX / (load->options->value_bytes + 1);
	struct fill *fill = calloc(1, sizeof *fill);
	filler->ok = fill != NULL;
	most = most < 1 ? 1 : most > FILL_OPS_MAX ? FILL_OPS_MAX : most;
	for (uint64_t first = (uint64_t)filler->number * most; filler->ok && first < keys;
	     first += (uint64_t)FILLER_COUNT * most) {
		uint32_t count = keys - first < most ? (uint32_t)(keys - first) : most;
		make_fill(fill, load, (uint32_t)first, count);
		filler->ok = send_fill(filler->channel, fill, count);
	}
	free(fill);
	return NULL;
}

/* All keys, so that each read finds one. */
static bool fill_keys(struct fts_channel *channel, const struct load *load)
{
	struct filler fillers[FILLER_COUNT];
	pthread_t threads[FILLER_COUNT];
	bool runs[FILLER_COUNT], ok = true;
	for (uint32_t i = 0; i < FILLER_COUNT; i++) {
		fillers[i] = (struct filler){.load = load, .channel = channel, .number = i};
		runs[i] = pthread_create(&threads[i], NULL, fill_share, &fillers[i]) == 0;
	}
	for (uint32_t i = 0; i < FILLER_COUNT; i++) {
		if (runs[i]) pthread_join(threads[i], NULL);
		ok = ok && runs[i] && fillers[i].ok;
	}
	return ok;
}

static bool prepare(struct load *load, const char *endpoint)
{
	struct fts_channel_options channel_options = {.endpoints = endpoint};
	struct fts_channel *channel = NULL;
	struct fts_error error;
	load->value = malloc(load->options->value_bytes + 1);
	if (load->value == NULL) return false;
	memset(load->value, 'v', load->options->value_bytes);
	bench_keys_init(&load->keys, load->options->keys, load->options->skewed);
	if (fts_channel_open(&channel_options, &channel, &error) != FTS_OK) {
		fprintf(stderr, "fts-bench: %s\n", error.detail);
		return false;
	}
	bool ok = wait_placed(channel) && (!load->options->linearizable || create_database(channel));
	if (ok && load->options->get_percent > 0 && !load->options->filled) ok = fill_keys(channel, load);
	fts_channel_close(channel);
	return ok;
}

/* ---- the run ---- */

static bool start_client(struct client *client, struct chain *chains, uint32_t number, const char *endpoint)
{
	const struct bench_options *options = client->load->options;
	struct fts_channel_options channel_options = {.endpoints = endpoint};
	struct fts_error error;
	pthread_mutex_init(&client->lock, NULL);
	if (fts_channel_open(&channel_options, &client->channel, &error) != FTS_OK) {
		fprintf(stderr, "fts-bench: %s\n", error.detail);
		return false;
	}
	for (uint32_t i = number; i < options->outstanding; i += options->clients) {
		chains[i] = (struct chain){.client = client, .random = bench_random_of(i)};
		atomic_fetch_add(&client->running, 1);
		chain_next(&chains[i]);
	}
	return true;
}

static void wait_for(struct client *client)
{
	const struct timespec step = {.tv_nsec = 1000000};
	while (atomic_load(&client->running) > 0) nanosleep(&step, NULL);
}

static bool run(struct load *load, const char *endpoint, struct measure *out_measure)
{
	const struct bench_options *options = load->options;
	struct client *clients = calloc(options->clients, sizeof *clients);
	struct chain *chains = calloc(options->outstanding, sizeof *chains);
	bool ok = clients != NULL && chains != NULL;
	load->end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	for (uint32_t i = 0; ok && i < options->clients; i++) {
		clients[i].load = load;
		ok = start_client(&clients[i], chains, i, endpoint);
	}
	for (uint32_t i = 0; clients != NULL && i < options->clients && clients[i].channel != NULL; i++) {
		wait_for(&clients[i]);
		measure_merge(out_measure, &clients[i].measure);
		fts_channel_close(clients[i].channel);
	}
	free(chains);
	free(clients);
	return ok;
}

int bench_kv(const struct bench_options *options)
{
	struct bench_node node = {0};
	if (options->value_bytes > VALUE_BYTES_MAX) return 2;
	if (options->endpoints == NULL && !bench_node_start(&node)) return 1;
	const char *endpoint = options->endpoints ? options->endpoints : node.endpoint;
	struct load load = {.options = options, .db = options->linearizable ? LINEARIZABLE_DB : 0};
	struct measure measure = {0};
	bool ok = prepare(&load, endpoint);
	double cpu_before_s = measure_cpu_s(node.pid) + measure_cpu_of_s(options->pids);
	ok = ok && run(&load, endpoint, &measure);
	double cpu_s = measure_cpu_s(node.pid) + measure_cpu_of_s(options->pids) - cpu_before_s;
	bench_node_stop(&node);
	free(load.value);
	if (ok) measure_print(&measure, "fts", options->seconds, cpu_s, options->json);
	return ok && measure.error_count == 0 ? 0 : 1;
}
