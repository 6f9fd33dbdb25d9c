/* Why this file exists: answers that come close to what one message may hold: several large values and long lists of
 * long keys are answered in parts, and what was done is never answered as if it were not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fts/kv.h>

#include "tests/kv/help.h"

enum {
	DB = 3,
	READY_MS = 60000,
	CALL_MS = 60000,
	VALUES = 4,
	VALUE_BYTES = 1024 * 1024 - 16, /* three are less than what one answer holds, four are more */
	KEY_BYTES = 1024,
	KEYS = 4200, /* more than one message holds */
	KEYS_A_BATCH = 1024,
	PAGE_KEYS = 10000
};

static void start(struct harness_cluster *cluster, size_t count)
{
	harness_cluster_init(cluster, count);
	/* what was freed is not what it was */
	for (size_t i = 0; i < count; i++)
		cluster->members[i].environment[0] = "MALLOC_PERTURB_=165";
	harness_cluster_start(cluster);
	for (size_t i = 0; i < count; i++)
		kv_wait_map(cluster, i, count, READY_MS);
}

static Fts__Kv__V1__BatchResponse *batch(struct harness_cluster *cluster, Fts__Kv__V1__BatchOp **ops, size_t count)
{
	Fts__Kv__V1__BatchRequest request = FTS__KV__V1__BATCH_REQUEST__INIT;
	Fts__Kv__V1__BatchResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = CALL_MS};
	struct fts_error error;
	request.ops = ops;
	request.n_ops = count;
	if (fts_kv_batch(kv_channel(cluster, 0), &request, &options, &response, &error) != FTS_OK)
		fail_msg("batch: %s", error.detail);
	assert_int_equal(response->n_results, count);
	return response;
}

/* ---- Values ---- */

static void set_large(struct harness_cluster *cluster, uint8_t *key)
{
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	Fts__Kv__V1__SetResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = CALL_MS};
	struct fts_error error;
	uint8_t *value = malloc(VALUE_BYTES);
	assert_non_null(value);
	memset(value, *key, VALUE_BYTES);
	request.key = (ProtobufCBinaryData){1, key};
	request.value = (ProtobufCBinaryData){VALUE_BYTES, value};
	request.consistency = FTS__KV__V1__CONSISTENCY__ALL;
	if (fts_kv_set(kv_channel(cluster, 0), &request, &options, &response, &error) != FTS_OK)
		fail_msg("set: %s", error.detail);
	fts__kv__v1__set_response__free_unpacked(response, NULL);
	free(value);
}

/* Their owners are asked for all of them at once. False: one did not answer in time, on a machine under load. */
static bool are_read_together(struct harness_cluster *cluster)
{
	uint8_t keys[VALUES + 1] = "abcde";
	Fts__Kv__V1__BatchOp ops[VALUES + 1], *list[VALUES + 1];
	Fts__Kv__V1__GetRequest gets[VALUES];
	Fts__Kv__V1__DeleteRequest removal = FTS__KV__V1__DELETE_REQUEST__INIT;
	size_t there = 0, late = 0;
	for (size_t i = 0; i <= VALUES; i++) {
		set_large(cluster, &keys[i]);
		fts__kv__v1__batch_op__init(&ops[i]);
		list[i] = &ops[i];
		if (i == VALUES) break;
		fts__kv__v1__get_request__init(&gets[i]);
		gets[i].key = (ProtobufCBinaryData){1, &keys[i]};
		ops[i].kind_case = FTS__KV__V1__BATCH_OP__KIND_GET;
		ops[i].get = &gets[i];
	}
	removal.key = (ProtobufCBinaryData){1, &keys[VALUES]};
	ops[VALUES].kind_case = FTS__KV__V1__BATCH_OP__KIND_DELETE_KEY;
	ops[VALUES].delete_key = &removal;
	Fts__Kv__V1__BatchResponse *response = batch(cluster, list, VALUES + 1);
	for (size_t i = 0; i <= VALUES; i++) {
		const Fts__Kv__V1__BatchResult *result = response->results[i];
		if (result->code == FTS_UNAVAILABLE)
			late++;
		else if (i < VALUES && result->code == FTS_RESOURCE_EXHAUSTED)
			continue; /* it is to be asked for again */
		else if (result->code != FTS_OK)
			fail_msg("operation %zu: %u %s", i, result->code, result->detail);
		else if (i == VALUES)
			assert_true(result->delete_key->existed); /* it is told, though the values were too large */
		else if (result->get->value.len == VALUE_BYTES)
			there++;
	}
	fts__kv__v1__batch_response__free_unpacked(response, NULL);
	return late == 0 && there > 0;
}

static void large_values_are_read_together(void **state)
{
	struct harness_cluster cluster;
	(void)state;
	start(&cluster, 3);
	struct harness_wait wait = harness_wait_ms(READY_MS);
	while (!are_read_together(&cluster))
		if (!harness_wait_more(&wait)) fail_msg("some are never read");
	harness_cluster_fini(&cluster);
}

/* ---- Keys ---- */

static void create_database(struct harness_cluster *cluster)
{
	Fts__Kv__V1__CreateDatabaseRequest request = FTS__KV__V1__CREATE_DATABASE_REQUEST__INIT;
	Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
	struct fts_error error;
	request.db = DB;
	request.linearizable = true;
	if (fts_kv_create_database(kv_channel(cluster, 0), &request, NULL, &response, &error) != FTS_OK)
		fail_msg("no database: %s", error.detail);
	fts__kv__v1__create_database_response__free_unpacked(response, NULL);
}

static void key_of(size_t number, uint8_t *out)
{
	memset(out, 'k', KEY_BYTES);
	(void)snprintf((char *)out, KEY_BYTES, "%08zu", number);
}

static void set_keys(struct harness_cluster *cluster, uint32_t db, size_t first, size_t count)
{
	struct op {
		Fts__Kv__V1__BatchOp base;
		Fts__Kv__V1__SetRequest set;
		uint8_t key[KEY_BYTES];
	} *ops = calloc(count, sizeof *ops);
	Fts__Kv__V1__BatchOp **list = calloc(count, sizeof *list);
	assert_true(ops != NULL && list != NULL);
	for (size_t i = 0; i < count; i++) {
		key_of(first + i, ops[i].key);
		fts__kv__v1__batch_op__init(&ops[i].base);
		fts__kv__v1__set_request__init(&ops[i].set);
		ops[i].set.db = db;
		ops[i].set.key = (ProtobufCBinaryData){KEY_BYTES, ops[i].key};
		ops[i].base.kind_case = FTS__KV__V1__BATCH_OP__KIND_SET;
		ops[i].base.set = &ops[i].set;
		list[i] = &ops[i].base;
	}
	Fts__Kv__V1__BatchResponse *response = batch(cluster, list, count);
	for (size_t i = 0; i < count; i++)
		if (response->results[i]->code != FTS_OK) fail_msg("key %zu: %s", i, response->results[i]->detail);
	fts__kv__v1__batch_response__free_unpacked(response, NULL);
	free(list);
	free(ops);
}

static void expect_keys(struct harness_cluster *cluster, uint32_t db)
{
	const struct fts_kv_iterator_options options = {.db = db, .page_keys = PAGE_KEYS, .timeout_ms = CALL_MS};
	struct fts_kv_iterator *iterator;
	struct fts_bytes key;
	struct fts_error error;
	enum fts_status status;
	uint8_t expected[KEY_BYTES];
	size_t count = 0;
	assert_int_equal(fts_kv_iterator_create(kv_channel(cluster, 0), &options, &iterator, &error), FTS_OK);
	while ((status = fts_kv_iterator_next(iterator, &key, &error)) == FTS_OK) {
		key_of(count++, expected);
		assert_true(key.size_bytes == KEY_BYTES && memcmp(key.data, expected, KEY_BYTES) == 0);
	}
	if (status != FTS_OUT_OF_RANGE) fail_msg("database %u, key %zu: %s", db, count, error.detail);
	assert_int_equal(count, KEYS);
	fts_kv_iterator_destroy(iterator);
}

static void long_lists_come_in_parts(void **state)
{
	struct harness_cluster cluster;
	(void)state;
	start(&cluster, 1);
	create_database(&cluster);
	for (size_t first = 0; first < KEYS; first += KEYS_A_BATCH) {
		size_t count = KEYS - first < KEYS_A_BATCH ? KEYS - first : KEYS_A_BATCH;
		set_keys(&cluster, 0, first, count);
		set_keys(&cluster, DB, first, count); /* in the log: one command */
	}
	expect_keys(&cluster, 0);
	expect_keys(&cluster, DB);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(large_values_are_read_together),
	    cmocka_unit_test(long_lists_come_in_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
