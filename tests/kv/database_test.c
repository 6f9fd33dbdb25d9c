/* Why this file exists: a linearizable database is one from the moment its making was answered: no node takes a write
 * for a sharded one then, whichever has heard of it last; and who may not have heard of it is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fts/kv/v1/kv.fts.h"
#include "tests/kv/help.h"

enum { FIRST_DB = 100, DATABASES = 60, SILENT_DB = 7, READY_MS = 60000, LOOK_MS = 3000, CALL_MS = 30000 };

static enum fts_status create(struct harness_cluster *cluster, size_t via, uint32_t db, uint32_t timeout_ms,
			      struct fts_error *out_error)
{
	Fts__Kv__V1__CreateDatabaseRequest request = FTS__KV__V1__CREATE_DATABASE_REQUEST__INIT;
	Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = timeout_ms};
	request.db = db;
	request.linearizable = true;
	enum fts_status status =
	    fts_kv_create_database(kv_channel(cluster, via), &request, &options, &response, out_error);
	if (status == FTS_OK) fts__kv__v1__create_database_response__free_unpacked(response, NULL);
	return status;
}

static bool is_in_log(struct harness_cluster *cluster, uint32_t db, const char *key)
{
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	Fts__Kv__V1__GetResponse *response = NULL;
	struct fts_error error;
	request.db = db;
	request.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
	enum fts_status status = fts_kv_admin_log_get(kv_channel(cluster, 0), &request, NULL, &response, &error);
	if (status == FTS_OK) fts__kv__v1__get_response__free_unpacked(response, NULL);
	if (status != FTS_OK && status != FTS_NOT_FOUND) fail_msg("read of the log: %s", error.detail);
	return status == FTS_OK;
}

static void start(struct harness_cluster *cluster)
{
	harness_cluster_init(cluster, 3);
	harness_cluster_start(cluster);
	for (size_t i = 0; i < cluster->count; i++)
		kv_wait_map(cluster, i, 3, READY_MS);
}

/* The first write after the answer goes to a node that did not make the database, and is content with one owner. */
static void every_write_after_the_answer_is_in_the_log(void **state)
{
	struct harness_cluster cluster;
	struct fts_error error;
	(void)state;
	start(&cluster);
	for (uint32_t i = 0; i < DATABASES; i++) {
		uint32_t db = FIRST_DB + i;
		size_t writer = (i + 1 + i / 3 % 2) % 3;
		if (create(&cluster, i % 3, db, CALL_MS, &error) != FTS_OK)
			fail_msg("database %u: %s", db, error.detail);
		struct kv_answer set = kv_set(
		    &cluster,
		    (struct kv_call){
			.via = writer, .db = db, .key = "k", .value = "v", .level = FTS__KV__V1__CONSISTENCY__ONE});
		if (set.status != FTS_OK) fail_msg("database %u: %s", db, set.error.detail);
		if (!is_in_log(&cluster, db, "k"))
			fail_msg("the write by node %zu to database %u went astray", writer + 1, db);
	}
	harness_cluster_fini(&cluster);
}

/* Whoever leads: until the others have a leader again nothing is made, and nobody is named. */
static void who_has_not_heard_of_it_is_named(void **state)
{
	struct harness_cluster cluster;
	struct fts_error error = {0};
	(void)state;
	start(&cluster);
	harness_cluster_pause(&cluster, 2);
	assert_int_equal(create(&cluster, 0, SILENT_DB, LOOK_MS, &error), FTS_UNAVAILABLE);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	if (strstr(error.detail, cluster.members[2].endpoint) == NULL) fail_msg("not named: %s", error.detail);
	harness_cluster_resume(&cluster, 2);
	if (create(&cluster, 0, SILENT_DB, CALL_MS, &error) != FTS_OK) fail_msg("asked again: %s", error.detail);

	/* It was made: who falls silent later must be back, too, before it counts as known. */
	harness_cluster_pause(&cluster, 2);
	struct harness_wait wait = harness_wait_ms(READY_MS);
	enum fts_status status;
	do
		status = create(&cluster, 0, SILENT_DB, LOOK_MS, &error);
	while (error.executed != FTS_EXECUTED_YES && harness_wait_more(&wait));
	assert_int_equal(status, FTS_UNAVAILABLE);
	if (strstr(error.detail, "is made, but n3") == NULL) fail_msg("not named: %s", error.detail);
	harness_cluster_resume(&cluster, 2);
	if (create(&cluster, 0, SILENT_DB, CALL_MS, &error) != FTS_OK) fail_msg("asked again: %s", error.detail);
	harness_cluster_fini(&cluster);
}

static void one_that_has_keys_is_refused(void **state)
{
	struct harness_cluster cluster;
	struct fts_error error = {0};
	const struct kv_call key = {.db = SILENT_DB, .key = "k", .value = "v"};
	(void)state;
	start(&cluster);
	assert_int_equal(kv_set(&cluster, key).status, FTS_OK);
	assert_int_equal(create(&cluster, 1, SILENT_DB, CALL_MS, &error), FTS_FAILED_PRECONDITION);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
	assert_string_equal(kv_get(&cluster, key).value, "v");
	struct kv_call deletion = key;
	deletion.level = FTS__KV__V1__CONSISTENCY__ALL; /* an owner that had it still would say so */
	assert_int_equal(kv_delete(&cluster, deletion).status, FTS_OK);
	if (create(&cluster, 1, SILENT_DB, CALL_MS, &error) != FTS_OK) fail_msg("emptied: %s", error.detail);
	assert_int_equal(kv_get(&cluster, key).status, FTS_NOT_FOUND);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_write_after_the_answer_is_in_the_log),
	    cmocka_unit_test(who_has_not_heard_of_it_is_named),
	    cmocka_unit_test(one_that_has_keys_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
