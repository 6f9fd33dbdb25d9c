/* Why this file exists: see tests/register/clients.h. */
#include "tests/register/clients.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "register.fts.h"
#include "tests/harness/clock.h"
#include "tests/harness/directory.h"
#include "tests/linear/models.h"

#define VALUES_OF_A_CLIENT 100000000
#define ENDPOINTS_BYTES 1024
#define PAUSE_AFTER_REFUSAL_US 3000

struct group {
	atomic_uint calls; /* of all its clients: decides the register */
};

struct client {
	struct register_clients *all;
	pthread_t thread;
	uint32_t place;
	struct fts_channel *channel;
	struct harness_random random;
	int64_t written_count;
	int64_t seen; /* what it last heard of its register */
};

struct register_clients {
	struct register_clients_options options;
	atomic_bool stop;
	atomic_ullong done, unknown, never, last_answer_ns, longest_gap_ns, gap_ns;
	struct group groups[REGISTER_CLIENT_MAX];
	struct client clients[REGISTER_CLIENT_MAX];
};

/* ---- One call each: fills output ---- */

static enum fts_status call_read(struct client *client, struct linear_operation *operation,
				 const struct fts_call_options *options, struct fts_error *out_error)
{
	Fts__Test__Register__V1__ReadRequest request = FTS__TEST__REGISTER__V1__READ_REQUEST__INIT;
	Fts__Test__Register__V1__ReadResponse *response = NULL;
	request.key = operation->key;
	enum fts_status status = harness_random_below(&client->random, 2) == 0
				     ? test_register_read(client->channel, &request, options, &response, out_error)
				     : test_register_read_any(client->channel, &request, options, &response, out_error);
	if (status != FTS_OK) return status;
	operation->output[0] = client->seen = response->value;
	fts__test__register__v1__read_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status call_write(struct client *client, struct linear_operation *operation,
				  const struct fts_call_options *options, struct fts_error *out_error)
{
	static uint8_t ballast[65536];
	Fts__Test__Register__V1__WriteRequest request = FTS__TEST__REGISTER__V1__WRITE_REQUEST__INIT;
	Fts__Test__Register__V1__WriteResponse *response = NULL;
	request.key = operation->key;
	request.value = operation->input[0];
	request.ballast = (ProtobufCBinaryData){client->all->options.ballast_bytes, ballast};
	enum fts_status status = test_register_write(client->channel, &request, options, &response, out_error);
	if (status != FTS_OK) return status;
	client->seen = request.value;
	fts__test__register__v1__write_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status call_cas(struct client *client, struct linear_operation *operation,
				const struct fts_call_options *options, struct fts_error *out_error)
{
	Fts__Test__Register__V1__CompareAndSetRequest request = FTS__TEST__REGISTER__V1__COMPARE_AND_SET_REQUEST__INIT;
	Fts__Test__Register__V1__CompareAndSetResponse *response = NULL;
	request.key = operation->key;
	request.expected = operation->input[0];
	request.value = operation->input[1];
	enum fts_status status =
	    test_register_compare_and_set(client->channel, &request, options, &response, out_error);
	if (status != FTS_OK) return status;
	operation->output[0] = response->swapped;
	operation->output[1] = client->seen = response->value;
	fts__test__register__v1__compare_and_set_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status call_add(struct client *client, struct linear_operation *operation,
				const struct fts_call_options *options, struct fts_error *out_error)
{
	Fts__Test__Register__V1__AddRequest request = FTS__TEST__REGISTER__V1__ADD_REQUEST__INIT;
	Fts__Test__Register__V1__AddResponse *response = NULL;
	request.key = operation->key;
	request.delta = operation->input[0];
	enum fts_status status = test_register_add(client->channel, &request, options, &response, out_error);
	if (status != FTS_OK) return status;
	operation->output[0] = response->value;
	fts__test__register__v1__add_response__free_unpacked(response, NULL);
	return FTS_OK;
}

/* ---- A client ---- */

static struct linear_operation choose(struct client *client)
{
	const struct register_clients_options *options = &client->all->options;
	uint32_t group = client->place / options->clients_in_group;
	uint32_t turn = atomic_fetch_add(&client->all->groups[group].calls, 1) / options->calls_on_key;
	uint32_t dice = harness_random_below(&client->random, 100);
	struct linear_operation operation = {.client = client->place,
					     .key = options->first_key + turn * REGISTER_CLIENT_MAX + group};
	int64_t fresh = (int64_t)(client->place + 1) * VALUES_OF_A_CLIENT + ++client->written_count;
	operation.input[0] = operation.input[1] = fresh;
	operation.kind = dice < 40 ? LINEAR_READ : dice < 65 ? LINEAR_WRITE : dice < 90 ? LINEAR_CAS : LINEAR_ADD;
	if (operation.kind == LINEAR_CAS) operation.input[0] = client->seen;
	if (operation.kind == LINEAR_ADD) {
		operation.input[0] = 1;
		operation.key += REGISTER_ADD_KEYS;
	}
	return operation;
}

static void raise_to(atomic_ullong *longest, unsigned long long to)
{
	unsigned long long known = atomic_load(longest);
	while (to > known && !atomic_compare_exchange_weak(longest, &known, to))
		;
}

static void note_answer(struct register_clients *all)
{
	unsigned long long now_ns = harness_now_ns(), before_ns = atomic_exchange(&all->last_answer_ns, now_ns);
	if (now_ns > before_ns) {
		raise_to(&all->longest_gap_ns, now_ns - before_ns);
		raise_to(&all->gap_ns, now_ns - before_ns);
	}
	atomic_fetch_add(&all->done, 1);
}

static void pause_us(uint32_t time_us)
{
	struct harness_wait pause = {harness_now_ns() + 1000000000u, time_us};
	(void)harness_wait_more(&pause);
}

static bool call_once(struct client *client)
{
	static enum fts_status (*const calls[])(struct client *, struct linear_operation *,
						const struct fts_call_options *, struct fts_error *) = {
	    [LINEAR_READ] = call_read, [LINEAR_WRITE] = call_write, [LINEAR_CAS] = call_cas, [LINEAR_ADD] = call_add};
	struct register_clients *all = client->all;
	struct fts_call_options options = {.timeout_ms = all->options.timeout_ms};
	struct linear_operation operation = choose(client);
	struct fts_error error;
	size_t place = linear_history_begin(all->options.history, &operation);
	if (place == LINEAR_HISTORY_FULL) return false;
	if (calls[operation.kind](client, &operation, &options, &error) == FTS_OK) {
		linear_history_end(all->options.history, place, operation.output[0], operation.output[1]);
		note_answer(all);
		if (all->options.pause_us > 0) pause_us(all->options.pause_us);
		return true;
	}
	bool never = error.executed == FTS_EXECUTED_NO;
	if (never) linear_history_never(all->options.history, place);
	atomic_fetch_add(never ? &all->never : &all->unknown, 1);
	pause_us(PAUSE_AFTER_REFUSAL_US); /* not in a tight loop against nodes that are away */
	return true;
}

static void *run_client(void *ctx)
{
	struct client *client = ctx;
	while (!atomic_load(&client->all->stop) && call_once(client))
		;
	return NULL;
}

/* The list, begun with its n-th entry. */
static void rotate(const char *endpoints, uint32_t n, char *out, size_t size_bytes)
{
	const char *at = endpoints;
	for (; n > 0; n--) {
		at = strchr(at, ',');
		at = at != NULL ? at + 1 : endpoints;
	}
	snprintf(out, size_bytes, "%s%s%.*s", at, at > endpoints ? "," : "",
		 at > endpoints ? (int)(at - endpoints - 1) : 0, endpoints);
}

static void open_client(struct register_clients *all, uint32_t place)
{
	struct client *client = &all->clients[place];
	char endpoints[ENDPOINTS_BYTES];
	struct fts_channel_options options = {.endpoints = endpoints};
	struct fts_error error;
	client->all = all;
	client->place = place;
	client->random.state = all->options.seed * 1000 + place;
	rotate(all->options.endpoints, place, endpoints, sizeof(endpoints));
	if (fts_channel_open(&options, &client->channel, &error) != FTS_OK) fail_msg("no channel: %s", error.detail);
}

struct register_clients *register_clients_start(const struct register_clients_options *options)
{
	struct register_clients *all = calloc(1, sizeof(*all));
	assert_non_null(all);
	assert_true(options->client_count <= REGISTER_CLIENT_MAX);
	all->options = *options;
	if (all->options.clients_in_group == 0) all->options.clients_in_group = 4;
	if (all->options.calls_on_key == 0) all->options.calls_on_key = 150;
	if (all->options.timeout_ms == 0) all->options.timeout_ms = 2000;
	atomic_store(&all->last_answer_ns, harness_now_ns());
	for (uint32_t i = 0; i < options->client_count; i++)
		open_client(all, i);
	for (uint32_t i = 0; i < options->client_count; i++)
		assert_int_equal(pthread_create(&all->clients[i].thread, NULL, run_client, &all->clients[i]), 0);
	return all;
}

struct register_counts register_clients_counts(struct register_clients *clients)
{
	return (struct register_counts){atomic_load(&clients->done), atomic_load(&clients->unknown),
					atomic_load(&clients->never), atomic_load(&clients->longest_gap_ns) / 1000000u};
}

uint64_t register_clients_gap_ms(struct register_clients *clients)
{
	return atomic_exchange(&clients->gap_ns, 0) / 1000000u;
}

bool register_clients_wait(struct register_clients *clients, uint64_t more, uint32_t timeout_ms)
{
	uint64_t goal = atomic_load(&clients->done) + more;
	for (struct harness_wait wait = harness_wait_ms(timeout_ms); atomic_load(&clients->done) < goal;)
		if (!harness_wait_more(&wait)) return false;
	return true;
}

struct register_counts register_clients_stop(struct register_clients *clients)
{
	atomic_store(&clients->stop, true);
	for (uint32_t i = 0; i < clients->options.client_count; i++)
		pthread_join(clients->clients[i].thread, NULL);
	for (uint32_t i = 0; i < clients->options.client_count; i++)
		fts_channel_close(clients->clients[i].channel);
	struct register_counts counts = register_clients_counts(clients);
	free(clients);
	return counts;
}

/* ---- The judge ---- */

/* Adds can't be pruned, so they are kept apart: sorted to the end. */
static size_t split_adds(struct linear_operation *operations, size_t count)
{
	size_t others = 0;
	for (size_t i = 0; i < count; i++) {
		if (operations[i].key >= REGISTER_ADD_KEYS) continue;
		struct linear_operation moved = operations[i];
		operations[i] = operations[others];
		operations[others++] = moved;
	}
	return others;
}

/* Kept when something is wrong: a new file in $FTS_TEST_ARTIFACTS or /tmp. */
static void write_history(struct linear_history *history, char *out_path)
{
	const char *base = getenv("FTS_TEST_ARTIFACTS");
	snprintf(out_path, HARNESS_PATH_MAX, "%s/fts-history-XXXXXX", base != NULL ? base : "/tmp");
	int fd = mkstemp(out_path);
	if (fd >= 0) close(fd);
	if (fd < 0 || !linear_history_write(history, &linear_register, out_path))
		print_error("%s: the history can't be written\n", out_path);
}

enum linear_verdict register_verdict(struct linear_history *history, struct linear_report *out_report)
{
	size_t count;
	struct linear_operation *operations = linear_history_operations(history, &count);
	size_t others = split_adds(operations, count), kept = linear_register_prune(operations, others);
	memmove(operations + kept, operations + others, (count - others) * sizeof(*operations));
	return linear_check(&linear_register, operations, kept + count - others, NULL, out_report);
}

size_t register_judge(struct linear_history *history)
{
	char path[HARNESS_PATH_MAX];
	struct linear_report report;
	size_t count;
	write_history(history, path);
	(void)linear_history_operations(history, &count);
	enum linear_verdict verdict = register_verdict(history, &report);
	if (verdict != LINEAR_OK)
		fail_msg("%zu calls on %u registers: %s, register %u (history: %s)\n%s", count, report.key_count,
			 linear_verdict_name(verdict), report.key, path, report.text);
	(void)remove(path);
	return count;
}
