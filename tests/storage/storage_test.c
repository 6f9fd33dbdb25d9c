/* Why this file exists: one node's storage against a plain model: versions in any order, trees that follow, restarts,
 * damage that is never given out, tombstones that go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/storage.h"
#include "tests/harness/clock.h"
#include "tests/harness/directory.h"

static struct fts_bytes text(const char *words)
{
	return (struct fts_bytes){(const uint8_t *)words, strlen(words)};
}

static struct fts_storage *open_in(const char *dir)
{
	const struct fts_storage_options options = {.data = dir};
	struct fts_storage *storage = NULL;
	struct fts_error error;
	if (fts_storage_open(&options, &storage, &error) != FTS_OK) fail_msg("%s", error.detail);
	return storage;
}

struct waiting_put {
	struct fts_storage_put put; /* first */
	atomic_bool is_done;
};

static void on_done(struct fts_storage_put *put)
{
	atomic_store(&((struct waiting_put *)(void *)put)->is_done, true);
}

static enum fts_status put(struct fts_storage *storage, const struct ftsi_record *records, size_t count, bool *existed)
{
	struct waiting_put waiting = {.put = {.records = records, .count = count, .existed = existed, .done = on_done}};
	enum fts_status status = fts_storage_put(storage, &waiting.put);
	if (status != FTS_OK) return status;
	for (struct harness_wait wait = harness_wait_ms(20000); !atomic_load(&waiting.is_done);)
		if (!harness_wait_more(&wait)) fail_msg("a put was not done within 20 s");
	return waiting.put.status;
}

static enum fts_status put_one(struct fts_storage *storage, const char *key, const char *value, uint64_t time)
{
	const struct ftsi_record record = {.key = text(key),
					   .value = text(value == NULL ? "" : value),
					   .version = {time, 1},
					   .tombstone = value == NULL};
	return put(storage, &record, 1, NULL);
}

static void expect(struct fts_storage *storage, const char *key, const char *value)
{
	struct fts_storage_found found;
	enum fts_status status = fts_storage_read(storage, 0, text(key), &found);
	if (value == NULL) {
		assert_true(status == FTS_NOT_FOUND || (status == FTS_OK && found.record.tombstone));
	} else {
		assert_int_equal(status, FTS_OK);
		assert_int_equal(found.record.value.size_bytes, strlen(value));
		assert_memory_equal(found.record.value.data, value, strlen(value));
	}
	if (status == FTS_OK) fts_storage_release(&found);
}

static void wait_for_trees(struct fts_storage *storage)
{
	uint64_t root, count;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		for (struct harness_wait wait = harness_wait_ms(20000);
		     !ftsi_tree_read(fts_storage_tree(storage), p, &root, NULL, &count);)
			if (!harness_wait_more(&wait)) fail_msg("the trees are not built within 20 s");
}

static void newest_wins_in_any_order(void **state)
{
	char dir[HARNESS_PATH_MAX];
	(void)state;
	harness_directory_make(dir);
	struct fts_storage *storage = open_in(dir);
	assert_int_equal(put_one(storage, "a", "two", 2), FTS_OK);
	assert_int_equal(put_one(storage, "a", "one", 1), FTS_OK);
	expect(storage, "a", "two");
	assert_int_equal(put_one(storage, "a", "three", 3), FTS_OK);
	assert_int_equal(put_one(storage, "a", "three again", 3), FTS_OK); /* the same version: the first stays */
	expect(storage, "a", "three");
	const struct ftsi_record other_node = {.key = text("a"), .value = text("node 2"), .version = {3, 2}};
	bool existed = false;
	assert_int_equal(put(storage, &other_node, 1, &existed), FTS_OK); /* a tie goes to the higher node */
	assert_true(existed);
	expect(storage, "a", "node 2");
	assert_int_equal(put_one(storage, "a", NULL, 4), FTS_OK);
	assert_int_equal(put_one(storage, "a", "late", 3), FTS_OK); /* what is deleted does not come back */
	expect(storage, "a", NULL);
	fts_storage_close(storage);
	storage = open_in(dir);
	expect(storage, "a", NULL);
	fts_storage_close(storage);
}

static void any_key_and_value(void **state)
{
	char dir[HARNESS_PATH_MAX];
	uint8_t key[FTSI_RECORD_KEY_MAX + 1] = {0}, *value = calloc(1, FTSI_RECORD_VALUE_MAX + 1);
	(void)state;
	harness_directory_make(dir);
	struct fts_storage *storage = open_in(dir);
	const struct ftsi_record longest = {
	    .db = UINT32_MAX, .key = {key, sizeof key - 1}, .value = {value, FTSI_RECORD_VALUE_MAX}, .version = {1, 1}};
	const struct ftsi_record empty = {.key = {key, 0}, .value = {value, 0}, .version = {1, 1}};
	const struct ftsi_record long_key = {.key = {key, sizeof key}, .version = {1, 1}};
	const struct ftsi_record long_value = {.value = {value, FTSI_RECORD_VALUE_MAX + 1}, .version = {1, 1}};
	struct fts_storage_found found;
	assert_int_equal(put(storage, &longest, 1, NULL), FTS_OK);
	assert_int_equal(put(storage, &empty, 1, NULL), FTS_OK);
	assert_int_equal(put(storage, &long_key, 1, NULL), FTS_INVALID_ARGUMENT);
	assert_int_equal(put(storage, &long_value, 1, NULL), FTS_INVALID_ARGUMENT);
	assert_int_equal(fts_storage_read(storage, UINT32_MAX, longest.key, &found), FTS_OK);
	assert_int_equal(found.record.value.size_bytes, FTSI_RECORD_VALUE_MAX);
	fts_storage_release(&found);
	assert_int_equal(fts_storage_read(storage, 0, empty.key, &found), FTS_OK);
	fts_storage_release(&found);
	assert_int_equal(fts_storage_read(storage, 0, longest.key, &found), FTS_NOT_FOUND); /* databases are apart */
	fts_storage_close(storage);
	free(value);
}

enum { KEYS = 300, STEPS = 60, IN_BATCH = 50 };

/* Two storages that got the same writes in different orders have the same trees, and a third one that reads its
 * directory back too. */
static void trees_follow(void **state)
{
	char dir[2][HARNESS_PATH_MAX];
	struct fts_storage *storage[2];
	struct harness_random random = {3};
	(void)state;
	for (int i = 0; i < 2; i++) {
		harness_directory_make(dir[i]);
		storage[i] = open_in(dir[i]);
		wait_for_trees(storage[i]);
	}
	static char keys[STEPS][IN_BATCH][16], values[STEPS][IN_BATCH][16];
	static struct ftsi_record records[STEPS][IN_BATCH];
	for (uint32_t s = 0; s < STEPS; s++)
		for (uint32_t i = 0; i < IN_BATCH; i++) {
			(void)snprintf(keys[s][i], 16, "key%u", harness_random_below(&random, KEYS));
			(void)snprintf(values[s][i], 16, "%u", harness_random_below(&random, 1000000));
			bool tombstone = harness_random_below(&random, 5) == 0;
			records[s][i] = (struct ftsi_record){.key = text(keys[s][i]),
							     .value = text(tombstone ? "" : values[s][i]),
							     .version = {s * 100 + i, 1},
							     .tombstone = tombstone};
		}
	for (uint32_t s = 0; s < STEPS; s++) {
		assert_int_equal(put(storage[0], records[s], IN_BATCH, NULL), FTS_OK);
		assert_int_equal(put(storage[1], records[STEPS - 1 - s], IN_BATCH, NULL), FTS_OK);
	}
	uint64_t roots[3], counts[3], total = 0;
	fts_storage_close(storage[1]);
	storage[1] = open_in(dir[1]);
	wait_for_trees(storage[1]);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		for (int i = 0; i < 2; i++)
			assert_true(ftsi_tree_read(fts_storage_tree(storage[i]), p, &roots[i], NULL, &counts[i]));
		assert_true(roots[0] == roots[1]);
		assert_true(counts[0] == counts[1]);
		assert_int_equal(fts_storage_rebuild_tree(storage[0], p), FTS_OK);
		assert_true(ftsi_tree_read(fts_storage_tree(storage[0]), p, &roots[2], NULL, &counts[2]));
		assert_true(roots[2] == roots[0]);
		total += counts[0];
	}
	assert_true(total > KEYS / 2 && total < KEYS);
	for (int i = 0; i < 2; i++)
		fts_storage_close(storage[i]);
}

static void forgotten_tombstones_are_gone(void **state)
{
	char dir[HARNESS_PATH_MAX];
	struct fts_storage_found found;
	(void)state;
	harness_directory_make(dir);
	struct fts_storage *storage = open_in(dir);
	assert_int_equal(put_one(storage, "a", NULL, 5), FTS_OK);
	assert_int_equal(put_one(storage, "b", "stays", 5), FTS_OK);
	fts_storage_forget(storage, 0, text("a"), (struct ftsi_version){4, 1}); /* another version: no */
	fts_storage_forget(storage, 0, text("b"), (struct ftsi_version){5, 1}); /* not a tombstone: no */
	assert_int_equal(put_one(storage, "c", "x", 1), FTS_OK);                /* behind both */
	assert_int_equal(fts_storage_read(storage, 0, text("a"), &found), FTS_OK);
	fts_storage_release(&found);
	fts_storage_forget(storage, 0, text("a"), (struct ftsi_version){5, 1});
	for (struct harness_wait wait = harness_wait_ms(20000);
	     fts_storage_read(storage, 0, text("a"), &found) != FTS_NOT_FOUND; fts_storage_release(&found))
		if (!harness_wait_more(&wait)) fail_msg("the tombstone is still there");
	expect(storage, "b", "stays");
	fts_storage_close(storage);
}

/* Change one byte of a stored record, behind the storage's back. */
static void damage(const char *dir, const char *key)
{
	char path[HARNESS_PATH_MAX + 8];
	const struct fts_store_options options = {.write_ahead_log = true};
	struct fts_store *store = NULL;
	struct fts_txn *txn = NULL;
	struct fts_key stored;
	struct fts_value value;
	uint8_t bytes[256];
	(void)snprintf(path, sizeof path, "%s/kv", dir);
	assert_int_equal(fts_store_open(path, &options, &store, NULL), FTS_OK);
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_get(txn, ftsi_record_key(0, text(key), &stored), &value), FTS_OK);
	size_t size = value.size_bytes;
	memcpy(bytes, value.data, size);
	fts_value_release(&value);
	bytes[size - 1] ^= 1;
	assert_int_equal(fts_txn_put(txn, fts_key_bytes(&stored), (struct fts_bytes){bytes, size}), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, true), FTS_OK);
	fts_store_close(store);
}

static void damaged_records_are_never_given_out(void **state)
{
	char dir[HARNESS_PATH_MAX];
	struct fts_storage_found found;
	uint64_t root, count;
	(void)state;
	harness_directory_make(dir);
	struct fts_storage *storage = open_in(dir);
	assert_int_equal(put_one(storage, "a", "precious", 5), FTS_OK);
	fts_storage_close(storage);
	damage(dir, "a");
	storage = open_in(dir);
	uint32_t partition = ftsi_record_partition(0, text("a"));
	for (struct harness_wait wait = harness_wait_ms(20000); /* the trees are made in the background */
	     !ftsi_tree_read(fts_storage_tree(storage), partition, &root, NULL, &count);)
		if (!harness_wait_more(&wait)) fail_msg("the tree is not made");
	assert_int_equal(fts_storage_read(storage, 0, text("a"), &found), FTS_DATA_LOSS);
	assert_false(ftsi_tree_read(fts_storage_tree(storage), partition, &root, NULL, &count));
	assert_true(fts_storage_damaged_count(storage) > 0);
	assert_int_equal(put_one(storage, "a", "precious", 5), FTS_OK); /* the same version mends it */
	expect(storage, "a", "precious");
	assert_int_equal(fts_storage_rebuild_tree(storage, partition), FTS_OK);
	assert_true(ftsi_tree_read(fts_storage_tree(storage), partition, &root, NULL, &count));
	fts_storage_close(storage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(newest_wins_in_any_order),
	    cmocka_unit_test(any_key_and_value),
	    cmocka_unit_test(trees_follow),
	    cmocka_unit_test(forgotten_tombstones_are_gone),
	    cmocka_unit_test(damaged_records_are_never_given_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
