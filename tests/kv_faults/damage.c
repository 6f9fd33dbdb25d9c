/* Why this file exists: see tests/kv_faults/damage.h. */
#include "tests/kv_faults/damage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/record.h"
#include "store/store.h"

bool damage_record(const struct harness_member *member, const char *key)
{
	char path[HARNESS_PATH_MAX + 8];
	struct fts_store *store = NULL;
	struct fts_txn *txn = NULL;
	struct fts_key stored;
	struct fts_value value = {0};
	struct fts_error error;
	uint8_t bytes[512];
	const struct fts_store_options options = {.write_ahead_log = true};
	(void)snprintf(path, sizeof path, "%s/kv", member->data);
	struct fts_bytes at = ftsi_record_key(0, (struct fts_bytes){(const uint8_t *)key, strlen(key)}, &stored);
	if (fts_store_open(path, &options, &store, &error) != FTS_OK) fail_msg("%s: %s", path, error.detail);
	assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
	bool there = fts_txn_get(txn, at, &value) == FTS_OK && value.size_bytes <= sizeof bytes;
	size_t size = value.size_bytes;
	if (there) memcpy(bytes, value.data, size);
	fts_value_release(&value);
	if (there) {
		bytes[size - 1] ^= 1;
		assert_int_equal(fts_txn_put(txn, at, (struct fts_bytes){bytes, size}), FTS_OK);
		assert_int_equal(fts_txn_commit(&txn, true), FTS_OK);
	}
	fts_txn_abort(txn);
	fts_store_close(store);
	return there;
}

static size_t damage_file(const char *path, const void *bytes, size_t size_bytes)
{
	size_t file_bytes = 0, count = 0;
	char *text = harness_file_read(path, &file_bytes);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (text == NULL || fd < 0) { /* a node that runs removes tables, too */
		if (fd >= 0) close(fd);
		free(text);
		return 0;
	}
	for (char *at = text; (at = memmem(at, file_bytes - (size_t)(at - text), bytes, size_bytes)) != NULL;
	     at += size_bytes, count++) {
		char wrong = (char)(at[size_bytes / 2] ^ 0x20);
		assert_int_equal(pwrite(fd, &wrong, 1, at - text + (off_t)(size_bytes / 2)), 1);
	}
	close(fd);
	free(text);
	return count;
}

size_t damage_tables(const struct harness_member *member, const void *bytes, size_t size_bytes)
{
	char path[2 * HARNESS_PATH_MAX];
	size_t count = 0;
	(void)snprintf(path, sizeof path, "%s/kv", member->data);
	DIR *directory = opendir(path);
	if (directory == NULL) fail_msg("%s: %s", path, strerror(errno));
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		size_t length = strlen(entry->d_name);
		if (length < 4 || strcmp(entry->d_name + length - 4, ".sst") != 0) continue;
		(void)snprintf(path, sizeof path, "%s/kv/%s", member->data, entry->d_name);
		count += damage_file(path, bytes, size_bytes);
	}
	closedir(directory);
	return count;
}
