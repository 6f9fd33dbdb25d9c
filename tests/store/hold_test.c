/* Why this file exists: a store lives as long as anybody looks at it, and not longer; what a batch writes can be
 * watched; a store can be looked at without being touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/directory.h"
#include "directory.h"
#include "store/key.h"
#include "store/store.h"

static struct fts_bytes text(const char *words)
{
	return (struct fts_bytes){(const uint8_t *)words, strlen(words)};
}

static struct fts_store *open_store(const char *dir)
{
	const struct fts_store_options options = {.create_if_missing = true};
	struct fts_store *store = NULL;
	struct fts_error error = {0};
	if (fts_store_open(dir, &options, &store, &error) != FTS_OK) fail_msg("%s", error.detail);
	return store;
}

static void put(struct fts_store *store, const char *key, const char *value)
{
	struct fts_txn *txn = NULL;
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_put(txn, text(key), text(value)), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
}

static void check(struct fts_txn *view, const char *key, const char *value)
{
	struct fts_value got = {0};
	assert_int_equal(fts_txn_get(view, text(key), &got), FTS_OK);
	assert_int_equal(got.size_bytes, strlen(value));
	assert_memory_equal(got.data, value, got.size_bytes);
	fts_value_release(&got);
}

/* Replaced while views and a cursor look at it: they go on, and its directory goes with the last of them. */
static void replaced_under_readers(void **state)
{
	const struct fts_bytes all = {NULL, 0};
	char *dir = make_directory();
	struct fts_store *store = open_store(dir);
	struct fts_txn *early = NULL, *late = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	unsigned seen = 0;
	(void)state;
	put(store, "a", "1");
	assert_int_equal(fts_store_view(store, &early), FTS_OK);
	put(store, "a", "2");
	put(store, "b", "3");
	assert_int_equal(fts_store_view(store, &late), FTS_OK);
	assert_int_equal(fts_txn_scan(late, all, all, &cursor), FTS_OK);
	assert_string_equal(fts_store_dir(store), dir);
	fts_store_discard(store);
	fts_store_close(store);
	assert_int_equal(access(dir, F_OK), 0);
	check(early, "a", "1");
	check(late, "a", "2");
	while (fts_cursor_next(cursor, &key, &value))
		seen++;
	assert_int_equal(fts_cursor_status(cursor), FTS_OK);
	assert_int_equal(seen, 2);
	fts_cursor_close(cursor);
	fts_txn_abort(late);
	assert_int_equal(access(dir, F_OK), 0);
	fts_txn_abort(early);
	assert_int_equal(access(dir, F_OK), -1);
	free(dir);
}

static void held_more_than_once(void **state)
{
	char *dir = make_directory();
	struct fts_store *store = open_store(dir), *again;
	struct fts_txn *view = NULL;
	(void)state;
	put(store, "a", "1");
	fts_store_hold(store);
	fts_store_close(store);
	assert_int_equal(fts_store_view(store, &view), FTS_OK);
	check(view, "a", "1");
	fts_txn_abort(view);
	fts_store_close(store);
	again = open_store(dir); /* it was closed: nobody holds its lock */
	fts_store_close(again);
	remove_directory(dir);
}

struct watched {
	char seen[256];
};

static void note(void *ctx, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail, bool deleted)
{
	struct watched *watched = ctx;
	size_t at = strlen(watched->seen);
	(void)snprintf(watched->seen + at, sizeof watched->seen - at, "%s%.*s=%.*s%.*s;", deleted ? "-" : "",
		       (int)key.size_bytes, (const char *)key.data, (int)head.size_bytes,
		       head.size_bytes == 0 ? "" : (const char *)head.data, (int)tail.size_bytes,
		       tail.size_bytes == 0 ? "" : (const char *)tail.data);
}

/* In order, those that are rolled back too, and those that are written twice. */
static void writes_are_watched(void **state)
{
	char *dir = make_directory();
	struct fts_store *store = open_store(dir);
	struct watched watched = {""};
	struct fts_txn *txn = NULL;
	(void)state;
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_put(txn, text("before"), text("0")), FTS_OK);
	fts_txn_watch(txn, note, &watched);
	assert_int_equal(fts_txn_put(txn, text("a"), text("1")), FTS_OK);
	fts_txn_save(txn);
	assert_int_equal(fts_txn_put2(txn, text("a"), text("2"), text("3")), FTS_OK);
	assert_int_equal(fts_txn_delete(txn, text("before")), FTS_OK);
	fts_txn_rollback(txn);
	assert_int_equal(fts_txn_put(txn, text("b"), text("")), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	assert_string_equal(watched.seen, "a=1;a=23;-before=;b=;");
	fts_store_close(store);
	remove_directory(dir);
}

/* A copy that is looked at stays as it is, byte by byte; nothing can be made by looking. */
static void looked_at_only(void **state)
{
	const struct fts_store_options options = {.read_only = true};
	char *dir = make_directory(), path[600];
	struct fts_store *store = open_store(dir), *copy = NULL, *second = NULL;
	struct fts_txn *view = NULL;
	struct fts_error error = {0};
	(void)state;
	put(store, "a", "1");
	(void)snprintf(path, sizeof path, "%s-copy", dir);
	assert_int_equal(fts_store_open(path, &options, &copy, &error), FTS_NOT_FOUND);
	assert_int_equal(fts_store_checkpoint(store, path), FTS_OK);
	put(store, "a", "2");
	assert_int_equal(fts_store_open(path, &options, &copy, &error), FTS_OK);
	assert_int_equal(fts_store_open(path, &options, &second, &error), FTS_OK);
	assert_int_equal(fts_store_view(copy, &view), FTS_OK);
	check(view, "a", "1");
	fts_txn_abort(view);
	fts_store_close(second);
	fts_store_close(copy);
	fts_store_close(store);
	assert_int_equal(fts_directory_remove(path), 0);
	remove_directory(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replaced_under_readers),
	    cmocka_unit_test(held_more_than_once),
	    cmocka_unit_test(writes_are_watched),
	    cmocka_unit_test(looked_at_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
