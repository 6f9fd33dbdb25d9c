/* Why this file exists: a write that is repeated, because the node that had it was killed, is executed once. One client
 * counts in a linearizable database, each step only upon the version before; a step that were executed twice would
 * refuse its own repetition. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fts/kv/v1/kv.fts.h"
#include "tests/kv/help.h"

enum { DB = 5, STEPS = 48, KILL_EVERY = 12, READY_MS = 60000, CALL_MS = 30000 };

struct step {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done; /* guarded by lock, as all below */
	enum fts_status status;
	char version[64], detail[FTS_DETAIL_MAX];
	uint32_t acks, replicas;
};

static void step_ended(void *ctx, enum fts_status status, const Fts__Kv__V1__SetResponse *response,
		       const struct fts_error *error)
{
	struct step *step = ctx;
	pthread_mutex_lock(&step->lock);
	step->done = true;
	step->status = status;
	if (status == FTS_OK) {
		(void)snprintf(step->version, sizeof step->version, "%s", response->version);
		step->acks = response->acks;
		step->replicas = response->replicas;
	} else {
		(void)snprintf(step->detail, sizeof step->detail, "%s", error->detail);
	}
	pthread_cond_signal(&step->ended);
	pthread_mutex_unlock(&step->lock);
}

static void start_step(struct fts_channel *channel, struct step *step, uint32_t number, const char *version)
{
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = CALL_MS};
	char value[16];
	memset(step, 0, sizeof *step);
	pthread_mutex_init(&step->lock, NULL);
	pthread_cond_init(&step->ended, NULL);
	(void)snprintf(value, sizeof value, "%u", number);
	request.db = DB;
	request.key = (ProtobufCBinaryData){7, (uint8_t *)"counter"};
	request.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
	request.if_version = (char *)(uintptr_t)version;
	assert_int_equal(fts_kv_set_start(channel, &request, &options, step_ended, step, NULL), FTS_OK);
}

static void wait_step(struct step *step)
{
	pthread_mutex_lock(&step->lock);
	while (!step->done) /* it ends by the call's time limit */
		pthread_cond_wait(&step->ended, &step->lock);
	pthread_mutex_unlock(&step->lock);
	pthread_cond_destroy(&step->ended);
	pthread_mutex_destroy(&step->lock);
}

static struct fts_channel *open_channel(struct harness_cluster *cluster)
{
	char endpoints[512] = "";
	struct fts_channel *channel = NULL;
	struct fts_error error;
	for (size_t i = 0; i < cluster->count; i++) {
		size_t used = strlen(endpoints);
		(void)snprintf(endpoints + used, sizeof endpoints - used, "%s%s", i == 0 ? "" : ",",
			       cluster->members[i].endpoint);
	}
	const struct fts_channel_options options = {.endpoints = endpoints};
	assert_int_equal(fts_channel_open(&options, &channel, &error), FTS_OK);
	return channel;
}

static void create_database(struct fts_channel *channel)
{
	Fts__Kv__V1__CreateDatabaseRequest request = FTS__KV__V1__CREATE_DATABASE_REQUEST__INIT;
	Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
	struct fts_error error;
	request.db = DB;
	request.linearizable = true;
	if (fts_kv_create_database(channel, &request, NULL, &response, &error) != FTS_OK)
		fail_msg("no database: %s", error.detail);
	fts__kv__v1__create_database_response__free_unpacked(response, NULL);
}

/* The node that is asked first dies while it has the call: by turns that is the leader, or not. */
static void counting_goes_on_through_kills(void **state)
{
	struct harness_cluster cluster;
	struct step step;
	char version[64] = "0";
	(void)state;
	harness_cluster_init(&cluster, 3);
	harness_cluster_start(&cluster);
	for (size_t i = 0; i < 3; i++)
		kv_wait_map(&cluster, i, 3, READY_MS);
	struct fts_channel *channel = open_channel(&cluster);
	create_database(channel);
	for (uint32_t number = 1; number <= STEPS; number++) {
		size_t victim = number / KILL_EVERY % 3;
		start_step(channel, &step, number, version);
		if (number % KILL_EVERY == 0) harness_cluster_kill(&cluster, victim);
		wait_step(&step);
		if (step.status != FTS_OK)
			fail_msg("step %u: %s: %s", number, fts_status_name(step.status), step.detail);
		assert_true(step.replicas == 3 && step.acks == 2);
		(void)snprintf(version, sizeof version, "%s", step.version);
		if (number % KILL_EVERY == 0) harness_cluster_restart(&cluster, victim);
	}
	char last[16];
	(void)snprintf(last, sizeof last, "%u", STEPS);
	struct kv_answer answer =
	    kv_get(&cluster, (struct kv_call){.via = 1, .db = DB, .key = "counter", .timeout_ms = CALL_MS});
	assert_int_equal(answer.status, FTS_OK);
	assert_string_equal(answer.value, last);
	assert_string_equal(answer.version, version);
	fts_channel_close(channel);
	harness_cluster_fini(&cluster);
}

/* Writes of a batch go as one command, and each has its own answer. */
static void a_batch_is_one_command(void **state)
{
	struct harness_cluster cluster;
	Fts__Kv__V1__BatchRequest request = FTS__KV__V1__BATCH_REQUEST__INIT;
	Fts__Kv__V1__BatchResponse *response = NULL;
	Fts__Kv__V1__BatchOp ops[4], *list[4];
	Fts__Kv__V1__SetRequest sets[3];
	Fts__Kv__V1__DeleteRequest removal = FTS__KV__V1__DELETE_REQUEST__INIT;
	struct fts_error error;
	(void)state;
	harness_cluster_init(&cluster, 1);
	harness_cluster_start(&cluster);
	struct fts_channel *channel = open_channel(&cluster);
	create_database(channel);
	for (size_t i = 0; i < 4; i++) {
		fts__kv__v1__batch_op__init(&ops[i]);
		list[i] = &ops[i];
		if (i == 3) break;
		fts__kv__v1__set_request__init(&sets[i]);
		sets[i].db = i == 1 ? 0 : DB; /* one of them is sharded */
		sets[i].key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
		sets[i].value = (ProtobufCBinaryData){1, (uint8_t *)"v"};
		ops[i].kind_case = FTS__KV__V1__BATCH_OP__KIND_SET;
		ops[i].set = &sets[i];
	}
	sets[2].if_version = (char *)(uintptr_t) "1"; /* it is not */
	removal.db = DB;
	removal.key = sets[0].key;
	ops[3].kind_case = FTS__KV__V1__BATCH_OP__KIND_DELETE_KEY;
	ops[3].delete_key = &removal;
	request.ops = list;
	request.n_ops = 4;
	if (fts_kv_batch(channel, &request, NULL, &response, &error) != FTS_OK) fail_msg("batch: %s", error.detail);
	assert_int_equal(response->n_results, 4);
	assert_int_equal(response->results[0]->code, FTS_OK);
	assert_int_equal(response->results[0]->kind_case, FTS__KV__V1__BATCH_RESULT__KIND_SET);
	assert_int_equal(response->results[1]->code, FTS_OK);
	assert_int_equal(response->results[2]->code, FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(response->results[2]->detail, "not 1"));
	assert_int_equal(response->results[3]->code, FTS_OK);
	assert_true(response->results[3]->delete_key->existed);
	fts__kv__v1__batch_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counting_goes_on_through_kills),
	    cmocka_unit_test(a_batch_is_one_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
