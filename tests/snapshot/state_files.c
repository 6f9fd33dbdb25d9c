/* Why this file exists: see state_files.h. */
#include "state_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/key.h"
#include "store/store.h"
#include "tests/harness/directory.h"

enum { FIRST_SERVICE_TABLE = 0x1000, VALUE_BYTES_MAX = 4096 };

void state_files_find(const char *data, char *out_path)
{
	unsigned found = 0;
	DIR *dir = opendir(data);
	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (strcmp(entry->d_name, "state") != 0 && strncmp(entry->d_name, "state-", 6) != 0) continue;
		(void)snprintf(out_path, HARNESS_PATH_MAX, "%s/%.64s", data, entry->d_name);
		found++;
	}
	closedir(dir);
	assert_int_equal(found, 1);
}

/* The first key of a service with a value that has room for a change. */
static bool find_victim(struct fts_store *store, struct fts_key *out_key, uint8_t *out_value, size_t *out_size_bytes)
{
	const struct fts_bytes all = {NULL, 0};
	struct fts_key from;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	struct fts_txn *view = NULL;
	bool found = false;
	fts_key_begin(&from, FIRST_SERVICE_TABLE);
	assert_int_equal(fts_store_view(store, &view), FTS_OK);
	assert_int_equal(fts_txn_scan(view, all, fts_key_bytes(&from), &cursor), FTS_OK);
	while (!found && fts_cursor_next(cursor, &key, &value)) {
		found = value.size_bytes >= 16 && value.size_bytes <= VALUE_BYTES_MAX;
		if (!found) continue;
		memcpy(out_key->bytes, key.data, key.size_bytes);
		out_key->size_bytes = key.size_bytes;
		memcpy(out_value, value.data, value.size_bytes);
		*out_size_bytes = value.size_bytes;
	}
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	return found;
}

void state_files_alter(const char *data, uint8_t salt)
{
	const struct fts_store_options options = {.write_ahead_log = false};
	static uint8_t value[VALUE_BYTES_MAX];
	char path[HARNESS_PATH_MAX];
	struct fts_store *store = NULL;
	struct fts_txn *txn = NULL;
	struct fts_error error;
	struct fts_key key;
	size_t size_bytes = 0;
	state_files_find(data, path);
	assert_int_equal(fts_store_open(path, &options, &store, &error), FTS_OK);
	assert_true(find_victim(store, &key, value, &size_bytes));
	value[size_bytes - 1] ^= (uint8_t)(1 + salt);
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	assert_int_equal(fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){value, size_bytes}), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	assert_int_equal(fts_store_flush(store), FTS_OK);
	fts_store_close(store);
}
