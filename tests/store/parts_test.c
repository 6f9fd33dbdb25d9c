/* Why this file exists: what is written collects in several small parts before it becomes a table (store/store.c):
 * reads and scans find what stands in any of them, or in none, and nothing of it is lost by a close or a kill -9. */
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

/* Values of 4 KiB: 24 MB, five times a buffer of two parts; each key is written several times, and some are deleted. */
enum { BUFFER_BYTES = 4 * 1024 * 1024, VALUE_BYTES = 4096, KEYS = 1000, WRITES = 6000, BATCH = 20, DELETE_EVERY = 7 };

static struct fts_store *open_store(const char *dir, bool write_ahead_log)
{
	const struct fts_store_options options = {
	    .write_ahead_log = write_ahead_log, .write_buffer_bytes = BUFFER_BYTES, .create_if_missing = true};
	struct fts_store *store = NULL;
	struct fts_error error = {0};
	if (fts_store_open(dir, &options, &store, &error) != FTS_OK) fail_msg("%s", error.detail);
	return store;
}

static struct fts_bytes key_of(struct fts_key *key, uint32_t number)
{
	fts_key_begin(key, 1);
	fts_key_u32(key, number);
	return fts_key_bytes(key);
}

/* Every other number has never been written. Neighbours are written far from each other in time. */
static uint32_t number_of(uint32_t step)
{
	return step * 617 % KEYS * 2;
}

static bool deletes(uint32_t step)
{
	return step % DELETE_EVERY == DELETE_EVERY - 1;
}

/* What the last of count steps that wrote a key has left there; 0: nothing. */
static void model(uint32_t count, uint32_t *out_steps)
{
	memset(out_steps, 0, sizeof(uint32_t) * KEYS);
	for (uint32_t step = 0; step < count; step++)
		out_steps[number_of(step) / 2] = deletes(step) ? 0 : step + 1;
}

static bool write_steps(struct fts_store *store, uint32_t from, uint32_t to)
{
	uint8_t value[VALUE_BYTES];
	for (uint32_t step = from; step < to;) {
		struct fts_txn *txn = NULL;
		if (fts_txn_begin(store, &txn) != FTS_OK) return false;
		for (uint32_t i = 0; i < BATCH; i++, step++) {
			struct fts_key key;
			uint32_t mark = step + 1;
			memset(value, (int)(step & 0xff), sizeof value);
			memcpy(value, &mark, sizeof mark);
			enum fts_status status = deletes(step) ? fts_txn_delete(txn, key_of(&key, number_of(step)))
							       : fts_txn_put(txn, key_of(&key, number_of(step)),
									     (struct fts_bytes){value, sizeof value});
			if (status != FTS_OK) return false;
		}
		if (fts_txn_commit(&txn, false) != FTS_OK) return false;
	}
	return true;
}

static void check_value(struct fts_bytes value, uint32_t mark)
{
	assert_int_equal(value.size_bytes, VALUE_BYTES);
	assert_memory_equal(value.data, &mark, sizeof mark);
	assert_int_equal(value.data[VALUE_BYTES - 1], (mark - 1) & 0xff);
}

static void check(struct fts_store *store, uint32_t count)
{
	static uint32_t marks[KEYS];
	struct fts_key key, prefix;
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes found, value;
	model(count, marks);
	fts_key_begin(&prefix, 1);
	assert_int_equal(fts_store_view(store, &view), FTS_OK);
	assert_int_equal(fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){0}, &cursor), FTS_OK);
	for (uint32_t number = 0; number < KEYS * 2; number++) {
		struct fts_value got = {0};
		uint32_t mark = number % 2 == 0 ? marks[number / 2] : 0;
		assert_int_equal(fts_store_get(store, key_of(&key, number), &got), mark == 0 ? FTS_NOT_FOUND : FTS_OK);
		if (mark == 0) continue;
		check_value((struct fts_bytes){got.data, got.size_bytes}, mark);
		fts_value_release(&got);
		assert_true(fts_cursor_next(cursor, &found, &value));
		assert_int_equal(found.size_bytes, key.size_bytes);
		assert_memory_equal(found.data, key.bytes, key.size_bytes);
		check_value(value, mark);
	}
	assert_false(fts_cursor_next(cursor, &found, &value));
	assert_int_equal(fts_cursor_status(cursor), FTS_OK);
	fts_cursor_close(cursor);
	fts_txn_abort(view);
}

/* Written from several parts at once, over older tables: looked at after each quarter. */
static void reads_find_what_stands_in_any_part(void **state)
{
	char *dir = make_directory();
	(void)state;
	for (int logged = 0; logged < 2; logged++) {
		char path[600];
		(void)snprintf(path, sizeof path, "%s/%d", dir, logged);
		struct fts_store *store = open_store(path, logged == 1);
		for (uint32_t quarter = 0; quarter < 4; quarter++) {
			assert_true(write_steps(store, quarter * WRITES / 4, (quarter + 1) * WRITES / 4));
			check(store, (quarter + 1) * WRITES / 4);
		}
		assert_int_equal(logged == 1 ? FTS_OK : fts_store_flush(store), FTS_OK);
		fts_store_close(store);
		store = open_store(path, logged == 1);
		check(store, WRITES);
		fts_store_close(store);
	}
	remove_directory(dir);
}

static void write_and_die(const char *dir, bool write_ahead_log)
{
	struct fts_store *store = open_store(dir, write_ahead_log);
	if (!write_steps(store, 0, WRITES)) _exit(1);
	(void)raise(SIGKILL);
}

static char *make_killed(bool write_ahead_log)
{
	char *dir = make_directory();
	int status;
	(void)fflush(NULL);
	pid_t child = fork();
	if (child == 0) write_and_die(dir, write_ahead_log);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return dir;
}

/* How many steps a store without a write-ahead log has kept: whole batches, from the first on. */
static uint32_t steps_kept(struct fts_store *store)
{
	uint32_t kept = 0;
	for (uint32_t number = 0; number < KEYS * 2; number += 2) {
		struct fts_key key;
		struct fts_value got = {0};
		uint32_t mark;
		if (fts_store_get(store, key_of(&key, number), &got) != FTS_OK) continue;
		memcpy(&mark, got.data, sizeof mark);
		if (mark > kept) kept = mark;
		fts_value_release(&got);
	}
	return (kept + BATCH - 1) / BATCH * BATCH;
}

/* Parts go to tables in order: what is there after it is what was there at one moment. */
static void a_kill_loses_nothing_that_is_logged(void **state)
{
	/* Both before this process opens a store: RocksDB's threads do not come along into a fork. */
	char *logged = make_killed(true), *unlogged = make_killed(false);
	(void)state;
	struct fts_store *store = open_store(logged, true);
	check(store, WRITES);
	assert_true(write_steps(store, 0, WRITES)); /* it goes on */
	check(store, WRITES);
	fts_store_close(store);
	remove_directory(logged);
	store = open_store(unlogged, false);
	check(store, steps_kept(store));
	fts_store_close(store);
	remove_directory(unlogged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_kill_loses_nothing_that_is_logged), /* first: it forks */
	    cmocka_unit_test(reads_find_what_stands_in_any_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
