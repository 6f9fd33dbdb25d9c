/* Why this file exists: see storage/storage.h. Reading, scanning, and the life of the storage; the writer is in
 * storage/writer.c. */
#include "storage/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/internal.h"

/* ---- Reading ---- */

static void met_damage(struct fts_storage *storage, uint32_t partition)
{
	if (atomic_fetch_add(&storage->damaged_count, 1) == 0)
		FTS_LOG_ERROR("storage.damaged", "partition=%u", partition);
	ftsi_tree_trust(&storage->tree, partition, false);
	/* Or an intact record of the same version would not replace it. */
	atomic_store(&storage->versions_doubted, true);
}

/* A whole block of a table can't be read. Intact records of its keys hide it, until the engine meets it: the next start
 * begins anew (storage/lost.h). */
static void met_bad_block(struct fts_storage *storage, uint32_t partition)
{
	met_damage(storage, partition);
	if (!atomic_exchange(&storage->bad_block, true)) ftsi_lost_mark_damaged(storage->options.data);
}

enum fts_status ftsi_storage_get(struct fts_storage *storage, struct fts_txn *txn, uint32_t db, struct fts_bytes key,
				 struct fts_storage_found *out_found)
{
	struct fts_key stored;
	struct fts_bytes stored_key = ftsi_record_key(db, key, &stored);
	*out_found = (struct fts_storage_found){.record = {.db = db, .key = key}};
	enum fts_status status = txn == NULL ? fts_store_get(storage->store, stored_key, &out_found->pinned)
					     : fts_txn_get(txn, stored_key, &out_found->pinned);
	if (status == FTS_DATA_LOSS) met_bad_block(storage, ftsi_record_partition(db, key));
	if (status != FTS_OK) return status;
	status = ftsi_record_read((struct fts_bytes){out_found->pinned.data, out_found->pinned.size_bytes},
				  &out_found->record);
	if (status == FTS_OK) return FTS_OK;
	fts_storage_release(out_found);
	met_damage(storage, ftsi_record_partition(db, key));
	return status;
}

enum fts_status fts_storage_read(struct fts_storage *storage, uint32_t db, struct fts_bytes key,
				 struct fts_storage_found *out_found)
{
	struct fts_key stored;
	struct ftsi_versions_look look;
	struct fts_bytes stored_key = ftsi_record_key(db, key, &stored);
	*out_found = (struct fts_storage_found){.record = {.db = db, .key = key}};
	enum fts_status status =
	    ftsi_versions_read(&storage->versions, stored_key, &out_found->record, &out_found->copy, &look);
	if (status != FTS_UNAVAILABLE) return status;
	status = ftsi_storage_get(storage, NULL, db, key, out_found);
	if (status == FTS_OK || status == FTS_NOT_FOUND)
		ftsi_versions_offer(&storage->versions, stored_key, &look,
				    status == FTS_OK ? &out_found->record : NULL);
	return status;
}

void fts_storage_release(struct fts_storage_found *found)
{
	fts_value_release(&found->pinned);
	free(found->copy);
	*found = (struct fts_storage_found){0};
}

/* ---- Scanning ---- */

static struct fts_bytes scan_prefix(const struct fts_storage_scan *scan, struct fts_key *out_key)
{
	fts_key_begin(out_key, FTSI_TABLE_RECORD);
	fts_key_u32(out_key, scan->partition);
	if (scan->one_db) fts_key_u32(out_key, scan->db);
	return fts_key_bytes(out_key);
}

static bool is_same(struct fts_bytes a, struct fts_bytes b)
{
	return a.size_bytes == b.size_bytes && memcmp(a.data, b.data, a.size_bytes) == 0;
}

static enum fts_status visit_all(struct fts_storage *storage, struct fts_cursor *cursor,
				 const struct fts_storage_scan *scan, fts_storage_visit_fn visit, void *ctx,
				 uint64_t *out_damaged)
{
	uint8_t key_text[FTSI_RECORD_KEY_MAX];
	struct fts_bytes stored_key, value;
	while (fts_cursor_next(cursor, &stored_key, &value)) {
		struct ftsi_record record = {0};
		if (scan->after.size_bytes > 0 && is_same(stored_key, scan->after)) continue;
		if (ftsi_record_read_key(stored_key, key_text, &record) != FTS_OK ||
		    ftsi_record_read(value, &record) != FTS_OK) {
			met_damage(storage, scan->partition);
			++*out_damaged;
			continue;
		}
		if (scan->leaf < FTSI_LEAF_COUNT && ftsi_record_leaf(record.db, record.key) != scan->leaf) continue;
		if (!visit(ctx, &record, stored_key)) return FTS_OK;
	}
	return fts_cursor_status(cursor);
}

enum fts_status fts_storage_visit(struct fts_storage *storage, const struct fts_storage_scan *scan,
				  fts_storage_visit_fn visit, void *ctx, uint64_t *out_damaged)
{
	struct fts_key prefix;
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	enum fts_status status = fts_store_view(storage->store, &view);
	*out_damaged = 0;
	if (status != FTS_OK) return status;
	status = fts_txn_scan(view, scan_prefix(scan, &prefix), scan->after, &cursor);
	if (status == FTS_OK) status = visit_all(storage, cursor, scan, visit, ctx, out_damaged);
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	if (status == FTS_DATA_LOSS) met_bad_block(storage, scan->partition);
	return status;
}

/* ---- Trees after a start ---- */

static bool add_to_tree(void *ctx, const struct ftsi_record *record, struct fts_bytes stored_key)
{
	struct fts_storage *storage = ctx;
	(void)stored_key;
	ftsi_tree_change(&storage->tree, NULL, record);
	return !atomic_load(&storage->closing);
}

/* While a partition is scanned its writes wait (storage/writer.c), so that none is counted twice or not at all. */
enum fts_status fts_storage_rebuild_tree(struct fts_storage *storage, uint32_t partition)
{
	const struct fts_storage_scan scan = {.partition = partition, .leaf = FTSI_LEAF_COUNT};
	uint64_t damaged = 0;
	pthread_mutex_lock(&storage->apply_lock);
	ftsi_tree_clear(&storage->tree, partition);
	enum fts_status status = fts_storage_visit(storage, &scan, add_to_tree, storage, &damaged);
	if (status == FTS_OK && !atomic_load(&storage->closing)) ftsi_tree_trust(&storage->tree, partition, true);
	pthread_mutex_unlock(&storage->apply_lock);
	return status;
}

static void *build_trees(void *data)
{
	struct fts_storage *storage = data;
	uint64_t began_ns = fts_clock_monotonic_ns();
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT && !atomic_load(&storage->closing); p++)
		if (fts_storage_rebuild_tree(storage, p) != FTS_OK) FTS_LOG_ERROR("storage.tree", "partition=%u", p);
	FTS_LOG_DEBUG("storage.trees", "took_ms=%llu",
		      (unsigned long long)((fts_clock_monotonic_ns() - began_ns) / 1000000));
	return NULL;
}

struct ftsi_tree *fts_storage_tree(struct fts_storage *storage)
{
	return &storage->tree;
}

struct ftsi_taken *fts_storage_taken(struct fts_storage *storage)
{
	return &storage->taken;
}

struct fts_hlc *fts_storage_clock(struct fts_storage *storage)
{
	return &storage->clock;
}

uint64_t fts_storage_damaged_count(const struct fts_storage *storage)
{
	return atomic_load(&storage->damaged_count);
}

uint64_t fts_storage_mended_count(const struct fts_storage *storage)
{
	return atomic_load(&storage->mended_count);
}

/* Called with apply_lock held. A range that can't be read is not empty. */
static bool is_empty(struct fts_storage *storage, uint32_t partition)
{
	const struct fts_storage_scan all = {.partition = partition};
	struct fts_key prefix;
	struct fts_bytes stored_key, value;
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	bool empty = fts_store_view(storage->store, &view) == FTS_OK &&
		     fts_txn_scan(view, scan_prefix(&all, &prefix), (struct fts_bytes){0}, &cursor) == FTS_OK &&
		     !fts_cursor_next(cursor, &stored_key, &value) && fts_cursor_status(cursor) == FTS_OK;
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	return empty;
}

static enum fts_status delete_partition(struct fts_storage *storage, uint32_t partition)
{
	struct fts_key from, to;
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(storage->store, &txn);
	fts_key_begin(&from, FTSI_TABLE_RECORD);
	fts_key_u32(&from, partition);
	fts_key_begin(&to, FTSI_TABLE_RECORD);
	fts_key_u32(&to, partition + 1);
	if (status == FTS_OK) status = fts_txn_delete_range(txn, fts_key_bytes(&from), fts_key_bytes(&to));
	if (status == FTS_OK) status = fts_txn_commit(&txn, true);
	fts_txn_abort(txn);
	ftsi_versions_forget_all(&storage->versions);
	return status;
}

/* A node that joins drops all partitions before it gets its own: 256 deletions of nothing would have the engine write
 * its tables once more for their sake. */
enum fts_status fts_storage_drop_partition(struct fts_storage *storage, uint32_t partition)
{
	pthread_mutex_lock(&storage->apply_lock);
	enum fts_status status = is_empty(storage, partition) ? FTS_OK : delete_partition(storage, partition);
	if (status == FTS_OK) {
		ftsi_tree_clear(&storage->tree, partition);
		ftsi_tree_trust(&storage->tree, partition, true);
	}
	pthread_mutex_unlock(&storage->apply_lock);
	return status;
}

/* ---- The map this node knows ---- */

static struct fts_bytes known_key(struct fts_key *out_key)
{
	fts_key_begin(out_key, FTSI_TABLE_KNOWN);
	return fts_key_bytes(out_key);
}

enum fts_status fts_storage_keep_map(struct fts_storage *storage, struct fts_bytes packed, bool synced)
{
	struct fts_key key;
	struct fts_txn *txn = NULL;
	pthread_mutex_lock(&storage->apply_lock);
	enum fts_status status = fts_txn_begin(storage->store, &txn);
	if (status == FTS_OK) status = fts_txn_put(txn, known_key(&key), packed);
	if (status == FTS_OK) status = fts_txn_commit(&txn, synced);
	fts_txn_abort(txn);
	pthread_mutex_unlock(&storage->apply_lock);
	return status;
}

enum fts_status fts_storage_kept_map(struct fts_storage *storage, struct fts_value *out_packed)
{
	struct fts_key key;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(storage->store, &view);
	if (status == FTS_OK) status = fts_txn_get(view, known_key(&key), out_packed);
	fts_txn_abort(view);
	return status;
}

/* ---- Life ---- */

static enum fts_status open_store(struct fts_storage *storage, struct fts_error *out_error)
{
	const struct fts_storage_options *options = &storage->options;
	struct fts_store_options store = {
	    .write_ahead_log = true,
	    .write_buffer_bytes = options->write_buffer_bytes == 0 ? 16u << 20 : options->write_buffer_bytes,
	    .block_cache_bytes = options->block_cache_bytes == 0 ? 16u << 20 : options->block_cache_bytes,
	    .create_if_missing = true,
	};
	char path[4096];
	int length = snprintf(path, sizeof path, "%s/kv", options->data);
	if (length < 0 || (size_t)length >= sizeof path)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the directory's path is too long");
	return fts_store_open(path, &store, &storage->store, out_error);
}

static enum fts_status start_builder(struct fts_storage *storage, struct fts_error *out_error)
{
	if (pthread_create(&storage->builder, NULL, build_trees, storage) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no threads for the storage");
	storage->builder_runs = true;
	pthread_setname_np(storage->builder, "fts-kv-trees");
	return FTS_OK;
}

enum fts_status fts_storage_open(const struct fts_storage_options *options, struct fts_storage **out_storage,
				 struct fts_error *out_error)
{
	struct fts_storage *storage = calloc(1, sizeof *storage);
	if (storage == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the storage");
	storage->options = *options;
	ftsi_tree_init(&storage->tree);
	ftsi_hints_init(&storage->hints);
	ftsi_taken_init(&storage->taken);
	ftsi_versions_init(&storage->versions);
	ftsi_storage_writer_init(storage);
	enum fts_status status = open_store(storage, out_error);
	if (status == FTS_OK && (status = ftsi_hints_count(storage)) != FTS_OK)
		status = fts_error_set(out_error, status, "%s/kv can't be read", options->data);
	if (status == FTS_OK && (status = ftsi_lost_open(storage, options->was_here)) != FTS_OK)
		status = fts_error_set(out_error, status, "%s/kv can't be read", options->data);
	if (status == FTS_OK) status = start_builder(storage, out_error);
	if (status == FTS_OK)
		*out_storage = storage;
	else
		fts_storage_close(storage);
	return status;
}

void fts_storage_close(struct fts_storage *storage)
{
	if (storage == NULL) return;
	atomic_store(&storage->closing, true);
	ftsi_storage_writer_stop(storage);
	if (storage->builder_runs) pthread_join(storage->builder, NULL);
	if (storage->writer_runs) pthread_join(storage->writer, NULL);
	fts_store_close(storage->store);
	ftsi_storage_writer_fini(storage);
	ftsi_taken_fini(&storage->taken);
	ftsi_versions_fini(&storage->versions);
	ftsi_hints_fini(&storage->hints);
	ftsi_tree_fini(&storage->tree);
	free(storage);
}
