/* Why this file exists: what the storage of old promised, on real nodes: corrected early, when a server comes back;
 * corrected late, when one has lost something; kept by the router while all are away; databases apart; keys of all
 * servers; everybody comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/record.h"
#include "store/store.h"
#include "tests/harness/directory.h"
#include "tests/kv/help.h"

#define READY_MS 30000
#define HEAL_MS 20000

#define ONE FTS__KV__V1__CONSISTENCY__ONE
#define ALL FTS__KV__V1__CONSISTENCY__ALL
#define ANY FTS__KV__V1__CONSISTENCY__ANY

/* sweep_s: how often owners compare themselves, so that a test of something else is not helped by it. */
static void start(struct harness_cluster *cluster, size_t count, const char *sweep_s)
{
	harness_cluster_init(cluster, count);
	cluster->flags[0] = "--kv-sweep-s";
	cluster->flags[1] = sweep_s;
	harness_cluster_start(cluster);
	for (size_t i = 0; i < count; i++)
		kv_wait_map(cluster, i, count, READY_MS);
}

static void expect_set(struct harness_cluster *cluster, struct kv_call call)
{
	struct kv_answer answer = kv_set(cluster, call);
	if (answer.status != FTS_OK)
		fail_msg("set %s=%s at %s: %s", call.key, call.value, cluster->members[call.via].name,
			 answer.error.detail);
}

static void expect_get(struct harness_cluster *cluster, struct kv_call call, const char *value)
{
	struct kv_answer answer = kv_get(cluster, call);
	if (answer.status != FTS_OK || strcmp(answer.value, value) != 0)
		fail_msg("get %s at %s: %s \"%s\" instead of \"%s\" (%s)", call.key, cluster->members[call.via].name,
			 fts_status_name(answer.status), answer.value, value, answer.error.detail);
}

/* "set while one is off, then the other off": each server gets what it missed when it comes back. */
static void set_while_one_is_off_then_the_other(void **state)
{
	struct harness_cluster cluster;
	(void)state;
	start(&cluster, 3, "1000");
	harness_cluster_kill(&cluster, 1);
	expect_set(&cluster, (struct kv_call){.via = 0, .key = "colour", .value = "red"});
	expect_set(&cluster, (struct kv_call){.via = 2, .key = "colour", .value = "blue"});
	expect_set(&cluster, (struct kv_call){.via = 0, .key = "", .value = ""}); /* an empty key is a key */
	harness_cluster_restart(&cluster, 1);
	kv_wait_has(&cluster, 1, 0, "colour", "blue", HEAL_MS);
	kv_wait_has(&cluster, 1, 0, "", "", HEAL_MS);
	harness_cluster_kill(&cluster, 2);
	expect_get(&cluster, (struct kv_call){.via = 1, .key = "colour"}, "blue");
	expect_get(&cluster, (struct kv_call){.via = 1, .key = "colour", .level = ONE}, "blue");
	harness_cluster_kill(&cluster, 0); /* one is left: a quorum is not there, and it says so at once */
	struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = 1, .key = "colour"});
	assert_int_equal(answer.status, FTS_UNAVAILABLE);
	assert_non_null(strstr(answer.error.detail, "n1"));
	assert_non_null(strstr(answer.error.detail, "n3"));
	assert_true(answer.took_ms < 4000);
	expect_get(&cluster, (struct kv_call){.via = 1, .key = "colour", .level = ONE}, "blue");
	harness_cluster_restart(&cluster, 0);
	harness_cluster_restart(&cluster, 2);
	kv_wait_clean(&cluster, 0, HEAL_MS);
	harness_cluster_fini(&cluster);
}

/* A key whose owners leave router out. */
static void find_key(struct harness_cluster *cluster, size_t router, char *out_key, size_t *out_owners)
{
	for (int i = 0;; i++) {
		(void)snprintf(out_key, 32, "key-%d", i);
		size_t count = kv_owners(cluster, router, 0, out_key, out_owners);
		bool is_owner = false;
		for (size_t k = 0; k < count; k++)
			is_owner = is_owner || out_owners[k] == router;
		if (!is_owner) return;
		assert_true(i < 1000);
	}
}

/* "all off, buffered, delivered" */
static void kept_while_all_are_off_and_delivered(void **state)
{
	struct harness_cluster cluster;
	char key[32];
	size_t owners[3];
	(void)state;
	start(&cluster, 5, "1000");
	find_key(&cluster, 4, key, owners);
	for (size_t i = 0; i < 3; i++)
		harness_cluster_kill(&cluster, owners[i]);
	struct kv_answer answer = kv_set(&cluster, (struct kv_call){.via = 4, .key = key, .value = "no"});
	assert_int_equal(answer.status, FTS_UNAVAILABLE);
	assert_int_equal(answer.error.executed, FTS_EXECUTED_NO);
	for (size_t i = 0; i < 3; i++)
		assert_non_null(strstr(answer.error.detail, cluster.members[owners[i]].name));
	answer = kv_get(&cluster, (struct kv_call){.via = 4, .key = key});
	assert_int_equal(answer.status, FTS_UNAVAILABLE);
	answer = kv_set(&cluster, (struct kv_call){.via = 4, .key = key, .value = "kept", .level = ANY});
	assert_int_equal(answer.status, FTS_OK);
	assert_true(answer.kept_by_router);
	answer = kv_get(&cluster, (struct kv_call){.via = 4, .key = key});
	assert_int_equal(answer.status, FTS_OK);
	assert_true(answer.maybe_stale);
	assert_string_equal(answer.value, "kept");
	harness_cluster_kill(&cluster, 4); /* it is on the router's disk */
	harness_cluster_launch(&cluster, 4);
	harness_cluster_restart(&cluster, owners[0]);
	kv_wait_has(&cluster, owners[0], 0, key, "kept", HEAL_MS);
	harness_cluster_restart(&cluster, owners[1]);
	harness_cluster_restart(&cluster, owners[2]);
	kv_wait_has(&cluster, owners[1], 0, key, "kept", HEAL_MS);
	kv_wait_has(&cluster, owners[2], 0, key, "kept", HEAL_MS);
	answer = kv_get(&cluster, (struct kv_call){.via = 4, .key = key, .level = ALL});
	assert_string_equal(answer.value, "kept");
	assert_false(answer.maybe_stale);
	harness_cluster_fini(&cluster);
}

/* "cut off with an old deletion": what a router keeps for an owner that is away may be old by now. */
static void a_deletion_that_is_kept_is_not_the_newest(void **state)
{
	struct harness_cluster cluster;
	char key[32];
	size_t owners[3];
	(void)state;
	start(&cluster, 5, "1000");
	find_key(&cluster, 4, key, owners);
	harness_cluster_kill(&cluster, owners[0]);
	assert_int_equal(kv_delete(&cluster, (struct kv_call){.via = 4, .key = key}).status, FTS_OK);
	struct kv_answer answer = kv_set(&cluster, (struct kv_call){.via = owners[1], .key = key, .value = "later"});
	assert_int_equal(answer.status, FTS_OK);
	harness_cluster_kill(&cluster, owners[1]);
	harness_cluster_kill(&cluster, owners[2]);
	answer = kv_get(&cluster, (struct kv_call){.via = 4, .key = key});
	assert_int_equal(answer.status, FTS_UNAVAILABLE);
	harness_cluster_launch(&cluster, owners[1]);
	harness_cluster_restart(&cluster, owners[2]);
	kv_wait_has(&cluster, owners[1], 0, key, "later", HEAL_MS);
	harness_cluster_fini(&cluster);
}

/* Turn one bit of a record on a stopped node's disk. */
static void flip_bit(const struct harness_member *member, const char *key)
{
	char path[HARNESS_PATH_MAX + 8];
	struct fts_store *store = NULL;
	struct fts_txn *txn = NULL;
	struct fts_key stored;
	struct fts_value value;
	struct fts_error error;
	uint8_t bytes[512];
	(void)snprintf(path, sizeof path, "%s/kv", member->data);
	const struct fts_store_options options = {.write_ahead_log = true};
	struct fts_bytes at = ftsi_record_key(0, (struct fts_bytes){(const uint8_t *)key, strlen(key)}, &stored);
	assert_int_equal(fts_store_open(path, &options, &store, &error), FTS_OK);
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_get(txn, at, &value), FTS_OK);
	assert_true(value.size_bytes <= sizeof bytes);
	memcpy(bytes, value.data, value.size_bytes);
	bytes[value.size_bytes - 1] ^= 1;
	size_t size = value.size_bytes;
	fts_value_release(&value);
	assert_int_equal(fts_txn_put(txn, at, (struct fts_bytes){bytes, size}), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, true), FTS_OK);
	fts_store_close(store);
}

/* "a value destroyed on one server, corrected by the next read" */
static void what_one_server_lost_is_corrected_by_the_next_read(void **state)
{
	struct harness_cluster cluster;
	char path[HARNESS_PATH_MAX + 8];
	(void)state;
	start(&cluster, 3, "1000");
	harness_cluster_expect(&cluster, "event=storage.damaged");
	expect_set(&cluster, (struct kv_call){.via = 0, .key = "lost", .value = "here", .level = ALL});
	expect_set(&cluster, (struct kv_call){.via = 0, .key = "torn", .value = "whole", .level = ALL});
	assert_int_equal(harness_cluster_stop(&cluster, 1), 0);
	flip_bit(&cluster.members[1], "torn");
	harness_cluster_restart(&cluster, 1);
	assert_int_equal(kv_look(&cluster, 1, 0, "torn").status, FTS_DATA_LOSS);
	expect_get(&cluster, (struct kv_call){.via = 1, .key = "torn"}, "whole"); /* never the damaged one */
	kv_wait_has(&cluster, 1, 0, "torn", "whole", HEAL_MS);
	assert_int_equal(harness_cluster_stop(&cluster, 1), 0);
	(void)snprintf(path, sizeof path, "%s/kv", cluster.members[1].data);
	harness_directory_remove(path);
	harness_cluster_restart(&cluster, 1);
	assert_int_not_equal(kv_look(&cluster, 1, 0, "lost").status,
			     FTS_NOT_FOUND); /* it knows that it had something */
	expect_get(&cluster, (struct kv_call){.via = 2, .key = "lost"}, "here");
	kv_wait_has(&cluster, 1, 0, "lost", "here", HEAL_MS);
	harness_cluster_fini(&cluster);
}

static void databases_do_not_see_each_other(void **state)
{
	struct harness_cluster cluster;
	uint32_t dbs[] = {0, 1, 127, 128, 4294967295u};
	char value[16];
	(void)state;
	start(&cluster, 3, "1000");
	for (size_t i = 0; i < 5; i++) {
		(void)snprintf(value, sizeof value, "%zu", i);
		expect_set(&cluster, (struct kv_call){.via = i % 3, .db = dbs[i], .key = "same", .value = value});
	}
	for (size_t i = 0; i < 5; i++) {
		(void)snprintf(value, sizeof value, "%zu", i);
		expect_get(&cluster, (struct kv_call){.via = 2, .db = dbs[i], .key = "same"}, value);
	}
	assert_true(kv_delete(&cluster, (struct kv_call){.via = 1, .db = 128, .key = "same"}).existed);
	assert_false(kv_delete(&cluster, (struct kv_call){.via = 1, .db = 128, .key = "same"}).existed);
	assert_int_equal(kv_get(&cluster, (struct kv_call){.via = 0, .db = 128, .key = "same"}).status, FTS_NOT_FOUND);
	expect_get(&cluster, (struct kv_call){.via = 0, .db = 127, .key = "same"}, "2");
	assert_int_equal(kv_get(&cluster, (struct kv_call){.via = 0, .db = 5, .key = "same"}).status, FTS_NOT_FOUND);
	harness_cluster_fini(&cluster);
}

/* All keys with prefix, page by page: in order, each once. */
static size_t count_keys(struct harness_cluster *cluster, size_t via, const char *prefix, uint32_t limit)
{
	Fts__Kv__V1__KeysRequest request = FTS__KV__V1__KEYS_REQUEST__INIT;
	char last[32] = "";
	size_t count = 0;
	bool end = false;
	request.prefix = (ProtobufCBinaryData){strlen(prefix), (uint8_t *)(uintptr_t)prefix};
	request.limit = limit;
	while (!end) {
		Fts__Kv__V1__KeysResponse *page = NULL;
		struct fts_error error;
		if (fts_kv_keys(kv_channel(cluster, via), &request, NULL, &page, &error) != FTS_OK)
			fail_msg("keys: %s", error.detail);
		assert_true(page->n_keys <= limit);
		for (size_t i = 0; i < page->n_keys; i++) {
			char key[32] = "";
			memcpy(key, page->keys[i].data, page->keys[i].len);
			assert_true(strcmp(last, key) < 0 && strncmp(key, prefix, strlen(prefix)) == 0);
			memcpy(last, key, sizeof last);
			count++;
		}
		end = page->end;
		assert_true(end || page->n_keys > 0);
		request.after = (ProtobufCBinaryData){strlen(last), (uint8_t *)last};
		request.has_after = true;
		fts__kv__v1__keys_response__free_unpacked(page, NULL);
	}
	return count;
}

static void keys_of_all_servers_are_listed_once(void **state)
{
	struct harness_cluster cluster;
	char key[32];
	(void)state;
	start(&cluster, 5, "1000");
	for (int i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof key, "%c%03d", i % 3 == 0 ? 'a' : 'b', i);
		expect_set(&cluster, (struct kv_call){.via = (size_t)i % 5, .key = key, .value = "x"});
	}
	for (int i = 0; i < 300; i += 2) {
		(void)snprintf(key, sizeof key, "%c%03d", i % 3 == 0 ? 'a' : 'b', i);
		assert_int_equal(kv_delete(&cluster, (struct kv_call){.via = 0, .key = key}).status, FTS_OK);
	}
	assert_int_equal(count_keys(&cluster, 0, "", 1000), 150);
	assert_int_equal(count_keys(&cluster, 3, "", 7), 150);
	assert_int_equal(count_keys(&cluster, 4, "a", 9), 50);
	assert_int_equal(count_keys(&cluster, 4, "c", 9), 0);
	harness_cluster_kill(&cluster, 2);
	assert_int_equal(count_keys(&cluster, 0, "", 40), 150);
	harness_cluster_fini(&cluster);
}

static void everybody_comes_back(void **state)
{
	struct harness_cluster cluster;
	(void)state;
	start(&cluster, 3, "1000");
	expect_set(&cluster, (struct kv_call){.via = 0, .key = "k", .value = "v"});
	for (size_t i = 0; i < 3; i++)
		harness_cluster_kill(&cluster, i);
	struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = 0, .key = "k"});
	assert_int_equal(answer.status, FTS_UNAVAILABLE);
	for (size_t i = 0; i < 3; i++)
		harness_cluster_launch(&cluster, i);
	for (size_t i = 0; i < 3; i++)
		assert_true(harness_cluster_wait_ready(&cluster, i, READY_MS));
	for (size_t i = 0; i < 3; i++)
		expect_get(&cluster, (struct kv_call){.via = i, .key = "k"}, "v");
	expect_set(&cluster, (struct kv_call){.via = 1, .key = "k", .value = "w", .level = ALL});
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_while_one_is_off_then_the_other),
	    cmocka_unit_test(kept_while_all_are_off_and_delivered),
	    cmocka_unit_test(a_deletion_that_is_kept_is_not_the_newest),
	    cmocka_unit_test(what_one_server_lost_is_corrected_by_the_next_read),
	    cmocka_unit_test(databases_do_not_see_each_other),
	    cmocka_unit_test(keys_of_all_servers_are_listed_once),
	    cmocka_unit_test(everybody_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
