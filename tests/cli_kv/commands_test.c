/* Why this file exists: every `kv` command against a real node, as scripts see it: exit codes, the JSON fields that
 * they lean on, and the bytes that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fts/kv.h>

#include "base/clock.h"
#include "tests/cli_game/run.h"
#include "tests/harness/node.h"

#define WAIT_MS 30000u

static struct harness_node node;

/* A new node serves before its cluster has agreed on who owns which keys: that is told as UNAVAILABLE. */
static void wait_placed(void)
{
	uint64_t end_ns = fts_clock_monotonic_ns() + WAIT_MS * 1000000ull;

	for (int code = -1; code != 0;) {
		struct said said = run_cli(node.endpoint, NULL, "kv set placed yes --db 9");
		code = said.code;
		if (code != 0 && fts_clock_monotonic_ns() > end_ns) fail_msg("exit %d: %s", code, said.err);
		said_free(&said);
	}
}

static int setup(void **state)
{
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	wait_placed();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	harness_node_fini(&node);
	return 0;
}

static void copy_text(json_t *json, const char *key, char *out, size_t size_bytes)
{
	const char *text = json_string_value(json_object_get(json, key));

	if (!text) fail_msg("no \"%s\"", key);
	snprintf(out, size_bytes, "%s", text);
}

/* The code of the error that arguments end with. */
static void expect_error(const char *arguments, int code, const char *name)
{
	json_t *json = run_json(node.endpoint, arguments, code);

	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")), name);
	json_decref(json);
}

/* What is printed, to the byte. */
static void expect_out(const char *input, const char *arguments, int code, const char *out)
{
	struct said said = run_cli(node.endpoint, input, arguments);

	if (said.code != code || strcmp(said.out, out) != 0)
		fail_msg("%s\n  exit %d, not %d\n  stdout: %s\n  stderr: %s", arguments, said.code, code, said.out,
			 said.err);
	said_free(&said);
}

static void test_one_key(void **state)
{
	char version[64], again[64];
	json_t *json = run_json(node.endpoint, "kv set greeting hello", 0);

	(void)state;
	copy_text(json, "version", version, sizeof(version));
	assert_int_equal(json_integer_value(json_object_get(json, "acks")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "replicas")), 1);
	json_decref(json);
	expect_out(NULL, "kv get greeting", 0, "hello");
	json = run_json(node.endpoint, "kv get greeting --consistency all", 0);
	assert_string_equal(json_string_value(json_object_get(json, "key")), "greeting");
	assert_string_equal(json_string_value(json_object_get(json, "value")), "hello");
	copy_text(json, "version", again, sizeof(again));
	assert_string_equal(version, again);
	json_decref(json);
	json = run_json(node.endpoint, "kv delete greeting", 0);
	assert_true(json_is_true(json_object_get(json, "existed")));
	json_decref(json);
	json = run_json(node.endpoint, "kv delete greeting", 0);
	assert_true(json_is_false(json_object_get(json, "existed")));
	json_decref(json);
	expect_out(NULL, "kv get greeting", 1, "");
	expect_error("kv get greeting", 1, "NOT_FOUND");
}

static void test_any_bytes(void **state)
{
	(void)state;
	expect_out("\\377\\000\\n", "kv set raw --file - >&2", 0, "");
	json_t *json = run_json(node.endpoint, "kv get raw", 0);
	assert_null(json_object_get(json, "value"));
	assert_string_equal(json_string_value(json_object_get(json, "value_base64")), "/wAK");
	json_decref(json);
	expect_out(NULL, "kv set '' '' >&2", 0, "");
	json = run_json(node.endpoint, "kv get ''", 0);
	assert_string_equal(json_string_value(json_object_get(json, "key")), "");
	assert_string_equal(json_string_value(json_object_get(json, "value")), "");
	json_decref(json);
	expect_out(NULL, "kv set /wA= odd --key-base64 --db 8 >&2", 0, "");
	expect_out(NULL, "kv get /wA= --key-base64 --db 8", 0, "odd");
	expect_json(node.endpoint, "kv keys --db 8", 0, "{\"keys\":[{\"base64\":\"/wA=\"}]}");
}

static void test_wrong_usage(void **state)
{
	(void)state;
	expect(node.endpoint, NULL, "kv set k v --consistency two", 2, NULL, "one, quorum, all or any, not \"two\"");
	expect(node.endpoint, NULL, "kv get k --consistency any", 2, NULL, "one, quorum or all");
	expect(node.endpoint, NULL, "kv set k", 2, NULL, "VALUE or --file");
	expect(node.endpoint, NULL, "kv set k --file /nowhere/at/all", 2, NULL, "/nowhere/at/all");
	expect(node.endpoint, NULL, "kv get 'a=' --key-base64", 2, NULL, "base64");
	expect(node.endpoint, NULL, "kv get $(printf '%01025d' 0)", 2, NULL, "at most 1024 bytes, not 1025");
	expect(node.endpoint, NULL, "kv get $(printf '%01024d' 0)", 1, NULL, "NOT_FOUND");
	expect(node.endpoint, NULL, "kv set k --file - < /dev/zero", 2, NULL, "at most 1048576 bytes");
	expect(node.endpoint, NULL, "kv move 256 n1", 2, NULL, "256");
	expect(node.endpoint, NULL, "kv load /nowhere/at/all", 2, NULL, "/nowhere/at/all");
	expect_error("kv set k v --if-version 1", 1, "FAILED_PRECONDITION");
	expect("127.0.0.1:1", NULL, "kv get k", 4, NULL, "UNAVAILABLE");
}

static void test_databases(void **state)
{
	(void)state;
	expect_out(NULL, "kv set k one --db 1 >&2", 0, "");
	expect_out(NULL, "kv set k two --db 2 >&2", 0, "");
	expect_out(NULL, "kv get k --db 1", 0, "one");
	expect_out(NULL, "kv get k --db 2", 0, "two");
	expect_out(NULL, "kv delete k --db 1 >&2", 0, "");
	expect_out(NULL, "kv get k --db 1", 1, "");
	expect_out(NULL, "kv get k --db 2", 0, "two");
}

static void test_linearizable(void **state)
{
	char version[64], command[256];

	(void)state;
	expect_json(node.endpoint, "kv database create 7 --linearizable", 0, "{\"database\":7,\"linearizable\":true}");
	json_t *json = run_json(node.endpoint, "kv set lock ada --db 7 --if-version 0", 0);
	copy_text(json, "version", version, sizeof(version));
	json_decref(json);
	expect_error("kv set lock bob --db 7 --if-version 0", 1, "FAILED_PRECONDITION");
	snprintf(command, sizeof(command), "kv set lock bob --db 7 --if-version %s >&2", version);
	expect_out(NULL, command, 0, "");
	expect_out(NULL, "kv get lock --db 7", 0, "bob");
	snprintf(command, sizeof(command), "kv delete lock --db 7 --if-version %s", version);
	expect_error(command, 1, "FAILED_PRECONDITION");
}

static void test_load_and_dump(void **state)
{
	(void)state;
	expect(node.endpoint, "b\\t2\\na\\t1\\nno tab\\n\\nb\\t3\\n", "kv load - --db 3", 3,
	       "4 rows, 3 stored, 1 refused", "line 3: no tab");
	expect_out(NULL, "kv dump --db 3", 0, "a\t1\nb\t3\n");
	expect_out("k\\tx\\\\ny\\n", "kv load - --db 4 --escaped >&2", 0, "");
	expect_out(NULL, "kv get k --db 4", 0, "x\ny");
	expect(node.endpoint, NULL, "kv dump --db 4", 3, NULL, "1 records");
	expect_out(NULL, "kv dump --db 4 --escaped", 0, "k\tx\\ny\n");
	json_t *json = run_json(node.endpoint, "kv dump --db 4", 0);
	assert_string_equal(json_string_value(json_object_get(json, "value")), "x\ny");
	json_decref(json);
}

/* More keys than a page has, in, out and listed. */
static void test_many(void **state)
{
	char command[1024];
	const char *make = "seq -f 'key%05.0f' 1 2000 | sed 's/$/\tvalue of it/'";

	(void)state;
	snprintf(command, sizeof(command), "kv load /dev/fd/3 --db 5 3<<END\n$(%s)\nEND\n", make);
	expect(node.endpoint, NULL, command, 0, "2000 rows, 2000 stored, 0 refused", NULL);
	struct said keys = run_cli(node.endpoint, NULL, "kv keys --db 5");
	assert_int_equal(count_of(keys.out, "\n"), 2000);
	assert_memory_equal(keys.out, "key00001\nkey00002\n", 18);
	said_free(&keys);
	struct said dump = run_cli(node.endpoint, NULL, "kv dump --db 5");
	assert_int_equal(dump.code, 0);
	assert_int_equal(count_of(dump.out, "\tvalue of it\n"), 2000);
	said_free(&dump);
	expect_json(node.endpoint, "kv keys --db 5 --prefix key0199 --limit 2", 0,
		    "{\"keys\":[\"key01990\",\"key01991\"]}");
	expect_json(node.endpoint, "kv keys --db 999", 0, "{\"keys\":[]}");
}

/* libfts walks over the same keys, whatever its pages hold. */
static void test_iterator(void **state)
{
	static const uint32_t page_keys[] = {1, 7, 2500};
	struct fts_channel_options options = {.endpoints = node.endpoint};
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};

	(void)state;
	assert_int_equal(fts_channel_open(&options, &channel, &error), FTS_OK);
	for (size_t i = 0; i < sizeof(page_keys) / sizeof(page_keys[0]); i++) {
		struct fts_kv_iterator_options wanted = {
		    .db = 5, .prefix = {(const uint8_t *)"key00", 5}, .page_keys = page_keys[i]};
		struct fts_kv_iterator *iterator = NULL;
		struct fts_bytes key;
		char name[16];
		assert_int_equal(fts_kv_iterator_create(channel, &wanted, &iterator, &error), FTS_OK);
		for (unsigned number = 1; number < 1000; number++) {
			assert_int_equal(fts_kv_iterator_next(iterator, &key, &error), FTS_OK);
			snprintf(name, sizeof(name), "key%05u", number);
			assert_int_equal(key.size_bytes, strlen(name));
			assert_memory_equal(key.data, name, strlen(name));
		}
		assert_int_equal(fts_kv_iterator_next(iterator, &key, &error), FTS_OUT_OF_RANGE);
		assert_int_equal(fts_kv_iterator_next(iterator, &key, &error), FTS_OUT_OF_RANGE);
		fts_kv_iterator_destroy(iterator);
	}
	fts_channel_close(channel);
}

static void test_operator(void **state)
{
	json_t *json = run_json(node.endpoint, "kv where greeting", 0);

	(void)state;
	assert_true(json_is_integer(json_object_get(json, "partition")));
	assert_int_equal(json_array_size(json_object_get(json, "replicas")), 1);
	assert_false(json_is_true(json_object_get(json, "linearizable")));
	json_decref(json);
	expect(node.endpoint, NULL, "kv database create 77 --linearizable", 0, NULL, NULL);
	expect(node.endpoint, NULL, "kv where greeting --db 77", 0, "in the log of all nodes", NULL);
	json = run_json(node.endpoint, "kv where greeting --db 77", 0);
	assert_true(json_is_integer(json_object_get(json, "partition")));
	assert_int_equal(json_array_size(json_object_get(json, "replicas")), 1);
	assert_true(json_is_true(json_object_get(json, "linearizable")));
	json_decref(json);
	json = run_json(node.endpoint, "kv verify", 0);
	assert_int_equal(json_integer_value(json_object_get(json, "partitions")), 256);
	assert_int_equal(json_integer_value(json_object_get(json, "divergent")), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "missing")), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "hints_pending")), 0);
	json_decref(json);
	expect_error("kv move 1 nobody", 1, "NOT_FOUND");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_key),   cmocka_unit_test(test_any_bytes),    cmocka_unit_test(test_wrong_usage),
	    cmocka_unit_test(test_databases), cmocka_unit_test(test_linearizable), cmocka_unit_test(test_load_and_dump),
	    cmocka_unit_test(test_many),      cmocka_unit_test(test_iterator),     cmocka_unit_test(test_operator)};

	return cmocka_run_group_tests_name("cli_kv.commands", tests, setup, teardown);
}
