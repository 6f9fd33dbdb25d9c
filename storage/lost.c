/* Why this file exists: see storage/lost.h. */
#include "storage/lost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/log.h"
#include "storage/internal.h"

enum { BITS_BYTES = FTSI_PARTITION_COUNT / 8, PATH_BYTES = 4096 };

static struct fts_bytes lost_key(struct fts_key *out_key)
{
	fts_key_begin(out_key, FTSI_TABLE_LOST);
	return fts_key_bytes(out_key);
}

/* ---- On disk ---- */

static enum fts_status write_bits(struct fts_storage *storage, const uint8_t *bits)
{
	struct fts_key key;
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(storage->store, &txn);
	if (status == FTS_OK) status = fts_txn_put(txn, lost_key(&key), (struct fts_bytes){bits, BITS_BYTES});
	if (status == FTS_OK) status = fts_txn_commit(&txn, true);
	fts_txn_abort(txn);
	return status;
}

/* NOT_FOUND: nothing was written yet. */
static enum fts_status read_bits(struct fts_txn *view, uint8_t *out_bits)
{
	struct fts_key key;
	struct fts_value value = {0};
	enum fts_status status = fts_txn_get(view, lost_key(&key), &value);
	if (status != FTS_OK) return status;
	bool whole = value.size_bytes == BITS_BYTES;
	if (whole) memcpy(out_bits, value.data, BITS_BYTES);
	fts_value_release(&value);
	return whole ? FTS_OK : FTS_DATA_LOSS;
}

static enum fts_status has_any(struct fts_txn *view, uint8_t table, bool *out_any)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	fts_key_begin(&prefix, table);
	enum fts_status status = fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){0}, &cursor);
	if (status != FTS_OK) return status;
	if (fts_cursor_next(cursor, &key, &value)) *out_any = true;
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

/* ---- The first look ---- */

static void note(struct ftsi_lost *lost, const uint8_t *bits)
{
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		bool is_lost = bits[p / 8] >> (p % 8) & 1;
		atomic_store(&lost->partitions[p], is_lost);
		count += is_lost ? 1 : 0;
	}
	atomic_store(&lost->count, count);
}

static enum fts_status begin(struct fts_storage *storage, bool is_used, bool was_here)
{
	uint8_t bits[BITS_BYTES];
	bool all = was_here && !is_used;
	memset(bits, all ? 0xff : 0, sizeof bits);
	enum fts_status status = write_bits(storage, bits);
	if (status != FTS_OK) return status;
	note(&storage->lost, bits);
	if (all) FTS_LOG_WARN("storage.lost", "dir=%s/kv", storage->options.data);
	return FTS_OK;
}

enum fts_status ftsi_lost_open(struct fts_storage *storage, bool was_here)
{
	uint8_t bits[BITS_BYTES];
	bool is_used = false;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(storage->store, &view);
	if (status != FTS_OK) return status;
	status = read_bits(view, bits);
	bool is_known = status == FTS_OK;
	if (status == FTS_NOT_FOUND) status = has_any(view, FTSI_TABLE_RECORD, &is_used);
	if (status == FTS_OK && !is_known && !is_used) status = has_any(view, FTSI_TABLE_KNOWN, &is_used);
	fts_txn_abort(view);
	if (status != FTS_OK) return status;
	if (!is_known) return begin(storage, is_used, was_here);
	note(&storage->lost, bits);
	return FTS_OK;
}

/* ---- Afterwards ---- */

bool fts_storage_has_lost(struct fts_storage *storage, uint32_t partition)
{
	return atomic_load(&storage->lost.count) != 0 && atomic_load(&storage->lost.partitions[partition]);
}

uint32_t fts_storage_lost_count(struct fts_storage *storage)
{
	return atomic_load(&storage->lost.count);
}

enum fts_status fts_storage_regain(struct fts_storage *storage, uint32_t partition)
{
	uint8_t bits[BITS_BYTES] = {0};
	enum fts_status status = FTS_OK;
	pthread_mutex_lock(&storage->apply_lock);
	if (fts_storage_has_lost(storage, partition)) {
		for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
			if (p != partition && atomic_load(&storage->lost.partitions[p]))
				bits[p / 8] |= (uint8_t)(1u << (p % 8));
		status = write_bits(storage, bits);
		if (status == FTS_OK) note(&storage->lost, bits);
	}
	pthread_mutex_unlock(&storage->apply_lock);
	return status;
}

/* ---- Damaged as a whole ---- */

static bool path_in(const char *data, const char *name, char *out)
{
	int length = snprintf(out, PATH_BYTES, "%s/%s", data, name);
	return length > 0 && length < PATH_BYTES;
}

void ftsi_lost_mark_damaged(const char *data)
{
	char path[PATH_BYTES], directory[PATH_BYTES];
	if (!path_in(data, "kv/DAMAGED", path) || !path_in(data, "kv", directory)) return;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0) close(fd);
	if (fd < 0 || fts_directory_sync(directory) != 0)
		FTS_LOG_WARN("storage.mark_failed", "path=%s errno=%d", path, errno);
}

bool fts_storage_is_damaged(const char *data)
{
	char path[PATH_BYTES];
	return path_in(data, "kv/DAMAGED", path) && access(path, F_OK) == 0;
}

enum fts_status fts_storage_set_aside(const char *data, struct fts_error *out_error)
{
	char path[PATH_BYTES], aside[PATH_BYTES];
	if (!path_in(data, "kv", path) || !path_in(data, "kv.damaged", aside))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the directory's path is too long");
	if (fts_directory_remove(aside) != 0 || rename(path, aside) != 0 || fts_directory_sync(data) != 0)
		return fts_error_set(out_error, FTS_INTERNAL, "%s is damaged and can't be moved to %s: %s", path, aside,
				     strerror(errno));
	FTS_LOG_WARN("storage.set_aside", "dir=%s to=%s", path, aside);
	return FTS_OK;
}
