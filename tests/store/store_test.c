/* Why this file exists: what store/store.h promises: batches against a plain model, views, scans, damage, and what is
 * left after a crash. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "directory.h"
#include "store/key.h"
#include "store/store.h"

static const struct fts_bytes nothing = {NULL, 0};

static struct fts_bytes text(const char *words)
{
	return (struct fts_bytes){(const uint8_t *)words, strlen(words)};
}

static struct fts_store *open_store_of(const char *dir, bool write_ahead_log, bool one_writer)
{
	const struct fts_store_options options = {
	    .write_ahead_log = write_ahead_log, .create_if_missing = true, .one_writer = one_writer};
	struct fts_store *store = NULL;
	struct fts_error error = {0};
	if (fts_store_open(dir, &options, &store, &error) != FTS_OK) fail_msg("%s", error.detail);
	return store;
}

static struct fts_store *open_store(const char *dir, bool write_ahead_log)
{
	return open_store_of(dir, write_ahead_log, false);
}

/* ---- A batch against a model ---- */

enum { KEYS = 40, STEPS = 4000, DEPTH = 6 };

struct model {
	int values[KEYS]; /* 0: absent */
};

static struct fts_bytes model_key(struct fts_key *key, int at)
{
	char name[8];
	(void)snprintf(name, sizeof name, "%02d", at);
	fts_key_begin(key, 1);
	fts_key_text(key, name, strlen(name));
	return fts_key_bytes(key);
}

static void check_model(struct fts_txn *txn, const struct model *model)
{
	struct fts_key key, prefix;
	struct fts_bytes found, value;
	struct fts_cursor *cursor = NULL;
	fts_key_begin(&prefix, 1);
	assert_int_equal(fts_txn_scan(txn, fts_key_bytes(&prefix), nothing, &cursor), FTS_OK);
	for (int at = 0; at < KEYS; at++) {
		struct fts_value got = {0};
		enum fts_status status = fts_txn_get(txn, model_key(&key, at), &got);
		assert_int_equal(status, model->values[at] == 0 ? FTS_NOT_FOUND : FTS_OK);
		if (status != FTS_OK) continue;
		assert_int_equal(got.size_bytes, sizeof model->values[at]);
		assert_memory_equal(got.data, &model->values[at], sizeof model->values[at]);
		fts_value_release(&got);
		assert_true(fts_cursor_next(cursor, &found, &value));
		assert_int_equal(found.size_bytes, key.size_bytes);
		assert_memory_equal(found.data, key.bytes, key.size_bytes);
		assert_memory_equal(value.data, &model->values[at], sizeof model->values[at]);
	}
	assert_false(fts_cursor_next(cursor, &found, &value));
	assert_int_equal(fts_cursor_status(cursor), FTS_OK);
	fts_cursor_close(cursor);
}

static void write_one(struct fts_txn *txn, struct model *model, int at, int value)
{
	struct fts_key key;
	model->values[at] = value;
	if (value == 0)
		assert_int_equal(fts_txn_delete(txn, model_key(&key, at)), FTS_OK);
	else
		assert_int_equal(
		    fts_txn_put(txn, model_key(&key, at), (struct fts_bytes){(uint8_t *)&value, sizeof value}), FTS_OK);
}

static void match_a_model(bool one_writer)
{
	char *dir = make_directory();
	struct fts_store *store = open_store_of(dir, true, one_writer);
	struct fts_txn *txn = NULL;
	struct model models[DEPTH] = {0}, committed = {0};
	unsigned seed = 3, depth = 0;
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	for (int step = 1; step <= STEPS; step++) {
		switch (rand_r(&seed) % 16) {
		case 0:
			if (depth + 1 == DEPTH) break;
			models[depth + 1] = models[depth];
			depth++;
			fts_txn_save(txn);
			break;
		case 1:
			if (depth > 0) fts_txn_rollback(txn), depth--;
			break;
		case 2:
			if (depth > 0) fts_txn_release(txn), models[depth - 1] = models[depth], depth--;
			break;
		case 3:
			if (depth > 0) break;
			if (rand_r(&seed) % 3 == 0) {
				fts_txn_abort(txn);
				models[0] = committed;
			} else {
				assert_int_equal(fts_txn_commit(&txn, step % 2 == 0), FTS_OK);
				assert_null(txn);
				committed = models[0];
			}
			assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
			break;
		default:
			write_one(txn, &models[depth], rand_r(&seed) % KEYS, rand_r(&seed) % 4 == 0 ? 0 : step);
		}
		if (step % 16 == 0) check_model(txn, &models[depth]);
	}
	fts_txn_abort(txn);
	fts_store_close(store);
	store = open_store(dir, true);
	assert_int_equal(fts_store_view(store, &txn), FTS_OK);
	check_model(txn, &committed);
	fts_txn_abort(txn);
	fts_store_close(store);
	remove_directory(dir);
}

static void batches_match_a_model(void **state)
{
	(void)state;
	match_a_model(false);
}

/* With what was used last kept at hand: nobody must see a difference. */
static void one_writer_matches_a_model(void **state)
{
	(void)state;
	match_a_model(true);
}

static void put_text(struct fts_store *store, const char *key, const char *value)
{
	struct fts_txn *txn = NULL;
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_put(txn, text(key), text(value)), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
}

/* value NULL: it is not there. */
static void expect_text(struct fts_txn *txn, const char *key, const char *value)
{
	struct fts_value got = {0};
	assert_int_equal(fts_txn_get(txn, text(key), &got), value == NULL ? FTS_NOT_FOUND : FTS_OK);
	if (value != NULL) assert_int_equal(got.size_bytes, strlen(value));
	if (value != NULL) assert_memory_equal(got.data, value, got.size_bytes);
	fts_value_release(&got);
}

/* What is at hand goes with a range that is deleted, and what a batch has found stays until it ends. */
static void one_writer_forgets(void **state)
{
	char *dir = make_directory();
	struct fts_store *store = open_store_of(dir, true, true);
	struct fts_txn *txn = NULL;
	struct fts_value first = {0};
	char name[16];
	(void)state;
	put_text(store, "a", "one");
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_get(txn, text("a"), &first), FTS_OK);
	fts_value_release(&first);
	assert_int_equal(fts_txn_get(txn, text("a"), &first), FTS_OK); /* at hand now */
	for (int i = 0; i < 40000; i++) {
		struct fts_value got = {0};
		(void)snprintf(name, sizeof name, "n%d", i);
		assert_int_equal(fts_txn_get(txn, text(name), &got), FTS_NOT_FOUND);
	}
	assert_int_equal(first.size_bytes, 3);
	assert_memory_equal(first.data, "one", 3);
	fts_value_release(&first);
	fts_txn_abort(txn);

	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	expect_text(txn, "a", "one");
	assert_int_equal(fts_txn_delete_range(txn, text("a"), text("b")), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	expect_text(txn, "a", NULL);
	expect_text(txn, "a", NULL);
	fts_txn_abort(txn);
	put_text(store, "a", "two");
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	expect_text(txn, "a", "two");
	fts_txn_abort(txn);
	fts_store_close(store);
	remove_directory(dir);
}

/* Thousands of rollbacks in one batch stay cheap, whatever the batch holds already. */
static void rolls_back_cheaply(void **state)
{
	char *dir = make_directory();
	struct fts_store *store = open_store(dir, false);
	struct fts_txn *txn = NULL;
	(void)state;
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	for (uint32_t i = 0; i < 100000; i++) {
		struct fts_key key;
		fts_key_begin(&key, 1);
		fts_key_u32(&key, i);
		fts_txn_save(txn);
		assert_int_equal(fts_txn_put(txn, fts_key_bytes(&key), text("x")), FTS_OK);
		if (i % 2 == 0)
			fts_txn_rollback(txn);
		else
			fts_txn_release(txn);
	}
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	fts_store_close(store);
	remove_directory(dir);
}

static uint32_t count_keys(struct fts_txn *txn, struct fts_bytes prefix, struct fts_bytes from)
{
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	uint32_t count = 0;
	assert_int_equal(fts_txn_scan(txn, prefix, from, &cursor), FTS_OK);
	while (fts_cursor_next(cursor, &key, &value))
		count++;
	assert_int_equal(fts_cursor_status(cursor), FTS_OK);
	fts_cursor_close(cursor);
	return count;
}

static void put_numbers(struct fts_store *store, uint16_t table, uint32_t from, uint32_t to, bool sync)
{
	struct fts_txn *txn = NULL;
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	for (uint32_t i = from; i < to; i++) {
		struct fts_key key;
		fts_key_begin(&key, table);
		fts_key_u32(&key, i);
		assert_int_equal(fts_txn_put2(txn, fts_key_bytes(&key), text("a"), text("b")), FTS_OK);
	}
	assert_int_equal(fts_txn_commit(&txn, sync), FTS_OK);
}

static void views_do_not_move(void **state)
{
	char *dir = make_directory();
	struct fts_store *store = open_store(dir, false);
	struct fts_txn *view = NULL, *later = NULL, *txn = NULL;
	struct fts_key prefix, from, to;
	(void)state;
	put_numbers(store, 0xFF, 0, 10, false);
	put_numbers(store, 0x100, 0, 5, false);
	assert_int_equal(fts_store_view(store, &view), FTS_OK);
	put_numbers(store, 0xFF, 10, 100, false);
	fts_key_begin(&prefix, 0xFF);
	from = to = prefix;
	fts_key_u32(&from, 7);
	fts_key_u32(&to, 90);
	assert_int_equal(count_keys(view, fts_key_bytes(&prefix), nothing), 10);
	assert_int_equal(count_keys(view, fts_key_bytes(&prefix), fts_key_bytes(&from)), 3);
	assert_int_equal(fts_store_view(store, &later), FTS_OK);
	assert_int_equal(count_keys(later, fts_key_bytes(&prefix), nothing), 100);
	fts_txn_abort(later);
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_delete_range(txn, fts_key_bytes(&prefix), fts_key_bytes(&to)), FTS_OK);
	assert_int_equal(fts_txn_put(txn, fts_key_bytes(&from), text("again")), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	assert_int_equal(count_keys(view, fts_key_bytes(&prefix), nothing), 10);
	assert_int_equal(fts_store_view(store, &later), FTS_OK);
	assert_int_equal(count_keys(later, fts_key_bytes(&prefix), nothing), 11); /* 90..99, and 7 again */
	assert_int_equal(count_keys(later, nothing, nothing), 16);
	fts_txn_abort(later);
	fts_txn_abort(view);
	fts_store_close(store);
	remove_directory(dir);
}

/* ---- Crashes ---- */

enum { BATCH = 50, BATCHES = 40, FLUSH_AT = 13 };

static void write_and_die(const char *dir, bool write_ahead_log)
{
	struct fts_store *store = open_store(dir, write_ahead_log);
	for (uint32_t i = 0; i < BATCHES; i++) {
		put_numbers(store, 1, i * BATCH, (i + 1) * BATCH, write_ahead_log);
		if (i == FLUSH_AT && fts_store_flush(store) != FTS_OK) _exit(1);
	}
	(void)raise(SIGKILL);
}

/* A close is as a crash: without a write-ahead log only what was flushed is there afterwards. */
static void closes_without_flush(void **state)
{
	char *dir = make_directory();
	struct fts_store *store = open_store(dir, false);
	struct fts_txn *view = NULL;
	(void)state;
	put_numbers(store, 1, 0, 10, false);
	assert_int_equal(fts_store_flush(store), FTS_OK);
	put_numbers(store, 1, 10, 20, false);
	fts_store_close(store);
	store = open_store(dir, false);
	assert_int_equal(fts_store_view(store, &view), FTS_OK);
	assert_int_equal(count_keys(view, nothing, nothing), 10);
	fts_txn_abort(view);
	fts_store_close(store);
	remove_directory(dir);
}

static char *make_crashed(bool write_ahead_log)
{
	char *dir = make_directory();
	pid_t child;
	int status;
	(void)fflush(NULL);
	child = fork();
	if (child == 0) write_and_die(dir, write_ahead_log);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return dir;
}

static uint32_t count_after_crash(char *dir, bool write_ahead_log)
{
	struct fts_store *store = open_store(dir, write_ahead_log);
	struct fts_txn *view = NULL;
	uint32_t count;
	assert_int_equal(fts_store_view(store, &view), FTS_OK);
	count = count_keys(view, nothing, nothing);
	fts_txn_abort(view);
	fts_store_close(store);
	remove_directory(dir);
	return count;
}

/* With a log: all that was synced. Without: whole batches up to the last flush, or later. */
static void crashes(void **state)
{
	/* Both before this process opens a store: RocksDB's threads do not come along into a fork. */
	char *logged = make_crashed(true), *unlogged = make_crashed(false);
	uint32_t count;
	(void)state;
	assert_int_equal(count_after_crash(logged, true), BATCHES * BATCH);
	count = count_after_crash(unlogged, false);
	assert_int_equal(count % BATCH, 0);
	assert_true(count >= (FLUSH_AT + 1) * BATCH);
}

static void checkpoints(void **state)
{
	char *dir = make_directory(), path[600];
	struct fts_store *store = open_store(dir, false), *copy;
	struct fts_txn *view = NULL;
	(void)state;
	put_numbers(store, 1, 0, 100, false);
	assert_int_equal(fts_store_flush(store), FTS_OK);
	put_numbers(store, 1, 100, 150, false);
	(void)snprintf(path, sizeof path, "%s-copy", dir);
	assert_int_equal(fts_store_checkpoint(store, path), FTS_OK);
	put_numbers(store, 1, 150, 200, false);
	assert_true(fts_store_disk_bytes(store) > 0);
	copy = open_store(path, false);
	assert_int_equal(fts_store_view(copy, &view), FTS_OK);
	assert_int_equal(count_keys(view, nothing, nothing), 150);
	fts_txn_abort(view);
	fts_store_close(copy);
	fts_store_close(store);
	remove_directory(strdup(path));
	remove_directory(dir);
}

static void refuses_what_it_cannot_open(void **state)
{
	char *dir = make_directory(), path[600];
	const struct fts_store_options options = {.create_if_missing = false};
	struct fts_store *store = NULL, *second = NULL;
	struct fts_error error = {0};
	(void)state;
	assert_int_equal(fts_store_open(dir, &options, &store, &error), FTS_NOT_FOUND);
	(void)snprintf(path, sizeof path, "%s/missing", dir);
	assert_int_equal(fts_store_open(path, &options, &store, &error), FTS_NOT_FOUND);
	store = open_store(dir, true);
	put_numbers(store, 1, 0, 10, true);
	assert_int_equal(fts_store_open(dir, &options, &second, &error), FTS_UNAVAILABLE);
	fts_store_close(store);
	(void)snprintf(path, sizeof path, "%s/CURRENT", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fts_store_open(dir, &options, &store, &error), FTS_DATA_LOSS);
	remove_directory(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(crashes), /* first: it forks, and the others leave RocksDB's threads behind */
	    cmocka_unit_test(batches_match_a_model),
	    cmocka_unit_test(one_writer_matches_a_model),
	    cmocka_unit_test(one_writer_forgets),
	    cmocka_unit_test(rolls_back_cheaply),
	    cmocka_unit_test(views_do_not_move),
	    cmocka_unit_test(closes_without_flush),
	    cmocka_unit_test(checkpoints),
	    cmocka_unit_test(refuses_what_it_cannot_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
