/* Why this file exists: see tests/kv_faults/compared.h. */
#include "tests/kv_faults/compared.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/linear/history.h"
#include "tests/linear/models.h"

enum { CLIENTS_MAX = 16, CALLS_MAX = 200000, CALLS_A_KEY = 120, TIMEOUT_MS = 2500, CREATE_MS = 30000 };
#define VALUES_OF_A_CLIENT 10000000
#define PAUSE_US 1000
#define PAUSE_AFTER_FAILURE_US 3000

/* What a client knows of its key. */
struct known {
	int64_t value;
	char version[64]; /* "": unknown */
};

struct client {
	struct compared *all;
	pthread_t thread;
	struct harness_random random;
	uint32_t place, key;
	int64_t written_count;
	struct known known;
};

struct compared {
	struct harness_cluster *cluster;
	struct fts_channel *channel; /* to all nodes */
	uint32_t client_count, generation;
	struct linear_history *history;
	atomic_bool stop;
	atomic_uint calls;
	atomic_ullong answered, unknown, never, swapped, not_swapped;
	struct client clients[CLIENTS_MAX];
};

/* ---- The model: a register, 0 until written; a refused compare-and-set tells only that the value was another ---- */

static bool step(const void *state, const struct linear_operation *operation, void *out_state)
{
	int64_t value;
	bool fits = true;
	memcpy(&value, state, sizeof(value));
	bool is_expected = value == operation->input[0];
	if (operation->kind == LINEAR_READ) {
		fits = value == operation->output[0];
	} else if (operation->kind == LINEAR_WRITE) {
		value = operation->input[0];
	} else {
		fits = is_expected == (operation->output[0] != 0);
		if (is_expected) value = operation->input[1];
	}
	memcpy(out_state, &value, sizeof(value));
	return fits || !operation->known;
}

static void print(const struct linear_operation *operation, char *out, size_t size_bytes)
{
	if (operation->kind == LINEAR_READ)
		(void)snprintf(out, size_bytes, "read = %" PRId64, operation->output[0]);
	else if (operation->kind == LINEAR_WRITE)
		(void)snprintf(out, size_bytes, "write %" PRId64, operation->input[0]);
	else
		(void)snprintf(out, size_bytes, "cas %" PRId64 " -> %" PRId64 " = %s", operation->input[0],
			       operation->input[1], operation->output[0] != 0 ? "swapped" : "not");
}

static const struct linear_model model = {"compared", sizeof(int64_t), step, print};

/* ---- One call each: OK and the operation's output, or FAILED_PRECONDITION of a compare-and-set ---- */

static const char *key_name(const struct client *client, char *out)
{
	(void)snprintf(out, 32, "c%u-%u", client->all->generation, client->key);
	return out;
}

static bool is_direct(const struct client *client)
{
	return client->place % 2 == 0;
}

static struct fts_channel *channel_of(struct client *client)
{
	struct compared *all = client->all;
	return is_direct(client)
		   ? all->channel
		   : kv_channel(all->cluster, harness_random_below(&client->random, (uint32_t)all->cluster->count));
}

static ProtobufCBinaryData data_of(const char *text)
{
	return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

static void know(struct client *client, int64_t value, const char *version)
{
	client->known.value = value;
	(void)snprintf(client->known.version, sizeof client->known.version, "%s", version);
}

static enum fts_status call_read(struct client *client, struct linear_operation *operation, struct fts_error *out_error)
{
	const struct fts_call_options options = {.timeout_ms = TIMEOUT_MS};
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	Fts__Kv__V1__GetResponse *response = NULL;
	char key[32], value[32] = "";
	request.db = COMPARED_DB;
	request.key = data_of(key_name(client, key));
	enum fts_status status =
	    is_direct(client) ? fts_kv_admin_log_get(client->all->channel, &request, &options, &response, out_error)
			      : fts_kv_get(channel_of(client), &request, &options, &response, out_error);
	operation->output[0] = 0;
	if (status == FTS_NOT_FOUND) {
		know(client, 0, "0");
		return FTS_OK;
	}
	if (status != FTS_OK) return status;
	memcpy(value, response->value.data,
	       response->value.len < sizeof value ? response->value.len : sizeof value - 1);
	operation->output[0] = strtoll(value, NULL, 10);
	know(client, operation->output[0], response->version);
	fts__kv__v1__get_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status set(struct client *client, int64_t number, const char *if_version, struct fts_error *out_error)
{
	const struct fts_call_options options = {.timeout_ms = TIMEOUT_MS, .no_retry = !is_direct(client)};
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	Fts__Kv__V1__SetResponse *response = NULL;
	char key[32], value[32], wanted[64];
	(void)snprintf(value, sizeof value, "%" PRId64, number);
	(void)snprintf(wanted, sizeof wanted, "%s", if_version);
	request.db = COMPARED_DB;
	request.key = data_of(key_name(client, key));
	request.value = data_of(value);
	request.if_version = wanted;
	enum fts_status status =
	    is_direct(client) ? fts_kv_admin_log_set(client->all->channel, &request, &options, &response, out_error)
			      : fts_kv_set(channel_of(client), &request, &options, &response, out_error);
	if (status != FTS_OK) return status;
	know(client, number, response->version);
	fts__kv__v1__set_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status remove_key(struct client *client, struct fts_error *out_error)
{
	const struct fts_call_options options = {.timeout_ms = TIMEOUT_MS, .no_retry = !is_direct(client)};
	Fts__Kv__V1__DeleteRequest request = FTS__KV__V1__DELETE_REQUEST__INIT;
	Fts__Kv__V1__DeleteResponse *response = NULL;
	char key[32];
	request.db = COMPARED_DB;
	request.key = data_of(key_name(client, key));
	enum fts_status status =
	    is_direct(client) ? fts_kv_admin_log_delete(client->all->channel, &request, &options, &response, out_error)
			      : fts_kv_delete(channel_of(client), &request, &options, &response, out_error);
	if (status != FTS_OK) return status;
	know(client, 0, "0");
	fts__kv__v1__delete_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status call(struct client *client, struct linear_operation *operation, struct fts_error *out_error)
{
	char expected[64];
	if (operation->kind == LINEAR_READ) return call_read(client, operation, out_error);
	if (operation->kind == LINEAR_WRITE)
		return operation->input[0] == 0 ? remove_key(client, out_error)
						: set(client, operation->input[0], "", out_error);
	memcpy(expected, client->known.version, sizeof expected);
	enum fts_status status = set(client, operation->input[1], expected, out_error);
	if (status != FTS_OK && status != FTS_FAILED_PRECONDITION) return status;
	operation->output[0] = status == FTS_OK;
	atomic_fetch_add(status == FTS_OK ? &client->all->swapped : &client->all->not_swapped, 1);
	if (status != FTS_OK) client->known.version[0] = '\0'; /* read it again first */
	return FTS_OK;
}

/* ---- A client ---- */

static struct linear_operation choose(struct client *client)
{
	struct compared *all = client->all;
	uint32_t key = atomic_fetch_add(&all->calls, 1) / CALLS_A_KEY,
		 dice = harness_random_below(&client->random, 100);
	int64_t fresh = (int64_t)(client->place + 1) * VALUES_OF_A_CLIENT + ++client->written_count;
	if (key != client->key) know(client, 0, "");
	client->key = key;
	struct linear_operation operation = {.key = key, .client = client->place, .kind = LINEAR_READ};
	if (client->known.version[0] == '\0' || dice < 35) return operation;
	operation.kind = dice < 75 ? LINEAR_CAS : LINEAR_WRITE;
	operation.input[0] = dice < 75 ? client->known.value : dice < 95 ? fresh : 0;
	operation.input[1] = fresh;
	return operation;
}

static void pause_us(uint32_t time_us)
{
	struct harness_wait wait = {harness_now_ns() + 1000000000u, time_us};
	(void)harness_wait_more(&wait);
}

static bool call_once(struct client *client)
{
	struct compared *all = client->all;
	struct linear_operation operation = choose(client);
	struct fts_error error = {0};
	size_t place = linear_history_begin(all->history, &operation);
	if (place == LINEAR_HISTORY_FULL) return false;
	enum fts_status status = call(client, &operation, &error);
	if (status == FTS_OK) {
		linear_history_end(all->history, place, operation.output[0], operation.output[1]);
		atomic_fetch_add(&all->answered, 1);
		pause_us(PAUSE_US);
		return true;
	}
	bool never = error.executed == FTS_EXECUTED_NO || operation.kind == LINEAR_READ;
	if (never) linear_history_never(all->history, place);
	atomic_fetch_add(never ? &all->never : &all->unknown, 1);
	client->known.version[0] = '\0';
	pause_us(PAUSE_AFTER_FAILURE_US);
	return true;
}

static void *run_client(void *data)
{
	struct client *client = data;
	while (!atomic_load(&client->all->stop) && call_once(client)) {
	}
	return NULL;
}

/* ---- All of them ---- */

void compared_create(struct harness_cluster *cluster)
{
	const struct fts_channel_options options = {.endpoints = cluster->endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};
	enum fts_status status = FTS_UNAVAILABLE;
	assert_int_equal(fts_channel_open(&options, &channel, &error), FTS_OK);
	for (struct harness_wait wait = harness_wait_ms(CREATE_MS);
	     status != FTS_OK && status != FTS_ALREADY_EXISTS && harness_wait_more(&wait);) {
		Fts__Kv__V1__CreateDatabaseRequest request = FTS__KV__V1__CREATE_DATABASE_REQUEST__INIT;
		Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
		request.db = COMPARED_DB;
		request.linearizable = true;
		status = fts_kv_create_database(channel, &request, NULL, &response, &error);
		if (response != NULL) fts__kv__v1__create_database_response__free_unpacked(response, NULL);
	}
	fts_channel_close(channel);
	if (status != FTS_OK && status != FTS_ALREADY_EXISTS) fail_msg("no database: %s", error.detail);
}

struct compared *compared_start(struct harness_cluster *cluster, uint32_t count, uint32_t generation)
{
	struct compared *all = calloc(1, sizeof *all);
	const struct fts_channel_options options = {.endpoints = cluster->endpoints};
	struct fts_error error;
	assert_non_null(all);
	assert_true(count <= CLIENTS_MAX);
	all->cluster = cluster;
	all->client_count = count;
	all->generation = generation;
	all->history = linear_history_create(CALLS_MAX);
	if (fts_channel_open(&options, &all->channel, &error) != FTS_OK) fail_msg("no channel: %s", error.detail);
	for (size_t i = 0; i < cluster->count; i++)
		(void)kv_channel(cluster, i); /* made by this thread, used by all */
	for (uint32_t i = 0; i < count; i++)
		all->clients[i] = (struct client){.all = all, .place = i, .random = {generation * 1000 + i}};
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(pthread_create(&all->clients[i].thread, NULL, run_client, &all->clients[i]), 0);
	return all;
}

bool compared_wait(struct compared *compared, uint64_t more, uint32_t timeout_ms)
{
	uint64_t goal = atomic_load(&compared->answered) + more;
	for (struct harness_wait wait = harness_wait_ms(timeout_ms); atomic_load(&compared->answered) < goal;)
		if (!harness_wait_more(&wait)) return false;
	return true;
}

static void judge(struct linear_history *history)
{
	struct linear_report report;
	size_t count;
	struct linear_operation *operations = linear_history_operations(history, &count);
	enum linear_verdict verdict = linear_check(&model, operations, count, NULL, &report);
	if (verdict != LINEAR_OK)
		fail_msg("%zu calls on %u keys: %s, key %u\n%s", count, report.key_count, linear_verdict_name(verdict),
			 report.key, report.text);
}

struct compared_counts compared_stop(struct compared *compared)
{
	atomic_store(&compared->stop, true);
	for (uint32_t i = 0; i < compared->client_count; i++)
		pthread_join(compared->clients[i].thread, NULL);
	struct compared_counts counts = {atomic_load(&compared->answered), atomic_load(&compared->unknown),
					 atomic_load(&compared->never), atomic_load(&compared->swapped),
					 atomic_load(&compared->not_swapped)};
	fts_channel_close(compared->channel);
	judge(compared->history);
	linear_history_destroy(compared->history);
	free(compared);
	return counts;
}
