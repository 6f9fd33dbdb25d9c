/* Why this file exists: batches with read-your-writes and nested marks, and read-only views (store/store.h).
 *
 * Invariants: a batch reaches RocksDB in one write. Range deletes of a batch take effect before its puts. */
#include "store/txn.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/fault.h"
#include "store/key.h"

enum { SMALL_VALUE_BYTES = 1024 }; /* put together on the stack */

enum fts_status fts_txn_begin(struct fts_store *store, struct fts_txn **out_txn)
{
	struct fts_txn *txn = calloc(1, sizeof *txn);
	if (txn == NULL || (txn->overlay = ftsi_overlay_create()) == NULL) {
		free(txn);
		return FTS_RESOURCE_EXHAUSTED;
	}
	fts_store_hold(store);
	txn->store = store;
	txn->read_options = store->read_options;
	*out_txn = txn;
	return FTS_OK;
}

enum fts_status fts_store_view(struct fts_store *store, struct fts_txn **out_view)
{
	struct fts_txn *view = calloc(1, sizeof *view);
	if (view == NULL) return FTS_RESOURCE_EXHAUSTED;
	fts_store_hold(store);
	view->store = store;
	view->snapshot = rocksdb_create_snapshot(store->db);
	view->read_options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(view->read_options, view->snapshot);
	*out_view = view;
	return FTS_OK;
}

void fts_txn_abort(struct fts_txn *txn)
{
	if (txn == NULL) return;
	if (txn->snapshot != NULL) {
		rocksdb_readoptions_destroy(txn->read_options);
		rocksdb_release_snapshot(txn->store->db, txn->snapshot);
	}
	for (struct range *range = txn->ranges; range != NULL;) {
		struct range *next = range->next;
		free(range);
		range = next;
	}
	if (txn->overlay != NULL && txn->store->recent != NULL) ftsi_recent_settle(txn->store->recent);
	ftsi_overlay_destroy(txn->overlay);
	if (txn->unseen != NULL) rocksdb_writebatch_destroy(txn->unseen);
	fts_store_close(txn->store);
	free(txn);
}

void fts_txn_watch(struct fts_txn *txn, fts_txn_watch_fn watch, void *ctx)
{
	FTS_ASSERT(txn->overlay != NULL);
	txn->watch = watch;
	txn->watch_ctx = ctx;
}

void fts_value_release(struct fts_value *value)
{
	if (value->owner != NULL) rocksdb_pinnableslice_destroy(value->owner);
	*value = (struct fts_value){0};
}

/* RocksDB counts for this thread what it does, in thread-local variables that are looked up anew at each comparison of
 * keys: a tenth of a write. Nobody reads those counts. */
static void stop_counting(void)
{
	rocksdb_set_perf_level(rocksdb_disable);
}

static enum fts_status get_from_store(struct fts_store *store, rocksdb_readoptions_t *options, struct fts_bytes key,
				      struct fts_value *out_value)
{
	char *message = NULL;
	size_t size;
	const char *data;
	rocksdb_pinnableslice_t *slice;
	enum fts_status status = ftsi_store_fault(FTSI_STORE_READ);
	if (status != FTS_OK) return status;
	stop_counting();
	slice = rocksdb_get_pinned(store->db, options, (const char *)key.data, key.size_bytes, &message);
	if (message != NULL) return ftsi_store_status(message, "store.read_failed", store->dir);
	if (slice == NULL) return FTS_NOT_FOUND;
	data = rocksdb_pinnableslice_value(slice, &size);
	*out_value = (struct fts_value){(const uint8_t *)data, size, slice};
	return FTS_OK;
}

enum fts_status fts_store_get(struct fts_store *store, struct fts_bytes key, struct fts_value *out_value)
{
	return get_from_store(store, store->read_options, key, out_value);
}

/* What was there before this batch. */
static enum fts_status get_committed(struct fts_txn *txn, struct fts_bytes key, struct fts_value *out_value)
{
	struct ftsi_recent *recent = txn->overlay == NULL ? NULL : txn->store->recent;
	struct fts_bytes value = {NULL, 0};
	enum ftsi_recent_found found = recent == NULL ? FTSI_RECENT_UNKNOWN : ftsi_recent_find(recent, key, &value);
	enum fts_status status;
	if (found == FTSI_RECENT_NOTHING) return FTS_NOT_FOUND;
	if (found == FTSI_RECENT_VALUE) {
		*out_value = (struct fts_value){value.data, value.size_bytes, NULL};
		return FTS_OK;
	}
	status = get_from_store(txn->store, txn->read_options, key, out_value);
	if (recent == NULL || (status != FTS_OK && status != FTS_NOT_FOUND)) return status;
	if (status == FTS_OK) value = (struct fts_bytes){out_value->data, out_value->size_bytes};
	ftsi_recent_keep(recent, key, value, status == FTS_OK);
	return status;
}

enum fts_status ftsi_txn_note(struct fts_txn *txn, enum fts_status status)
{
	if (status == FTS_RESOURCE_EXHAUSTED && txn->overlay != NULL) txn->failed = true;
	return status;
}

enum fts_status fts_txn_get(struct fts_txn *txn, struct fts_bytes key, struct fts_value *out_value)
{
	const struct ftsi_overlay_node *node = txn->overlay == NULL ? NULL : ftsi_overlay_find(txn->overlay, key);
	if (node == NULL || node->state == FTSI_OVERLAY_ABSENT)
		return ftsi_txn_note(txn, get_committed(txn, key, out_value));
	if (node->state == FTSI_OVERLAY_DELETED) return FTS_NOT_FOUND;
	*out_value = (struct fts_value){node->value.data, node->value.size_bytes, NULL};
	return FTS_OK;
}

enum fts_status fts_txn_put2(struct fts_txn *txn, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail)
{
	FTS_ASSERT(txn->overlay != NULL && key.size_bytes > 0 && key.size_bytes <= FTS_KEY_MAX);
	if (txn->watch != NULL) txn->watch(txn->watch_ctx, key, head, tail, false);
	return ftsi_txn_note(txn, ftsi_overlay_put(txn->overlay, key, head, tail) ? FTS_OK : FTS_RESOURCE_EXHAUSTED);
}

enum fts_status fts_txn_put(struct fts_txn *txn, struct fts_bytes key, struct fts_bytes value)
{
	return fts_txn_put2(txn, key, value, (struct fts_bytes){NULL, 0});
}

enum fts_status fts_txn_delete(struct fts_txn *txn, struct fts_bytes key)
{
	const struct fts_bytes none = {NULL, 0};
	FTS_ASSERT(txn->overlay != NULL && key.size_bytes > 0 && key.size_bytes <= FTS_KEY_MAX);
	if (txn->watch != NULL) txn->watch(txn->watch_ctx, key, none, none, true);
	return ftsi_txn_note(txn, ftsi_overlay_delete(txn->overlay, key) ? FTS_OK : FTS_RESOURCE_EXHAUSTED);
}

static rocksdb_writebatch_t *unseen_of(struct fts_txn *txn)
{
	FTS_ASSERT(txn->overlay != NULL && txn->watch == NULL && txn->ranges == NULL && txn->store->recent == NULL);
	if (txn->unseen == NULL) txn->unseen = rocksdb_writebatch_create();
	return txn->unseen;
}

void fts_txn_put_unseen(struct fts_txn *txn, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail)
{
	uint8_t whole[SMALL_VALUE_BYTES];
	const char *key_data = (const char *)key.data, *parts[] = {(const char *)head.data, (const char *)tail.data};
	const size_t sizes[] = {head.size_bytes, tail.size_bytes}, size = head.size_bytes + tail.size_bytes;
	rocksdb_writebatch_t *batch = unseen_of(txn);
	if (size > sizeof whole) {
		rocksdb_writebatch_putv(batch, 1, &key_data, &key.size_bytes, 2, parts, sizes);
		return;
	}
	if (head.size_bytes > 0) memcpy(whole, head.data, head.size_bytes);
	if (tail.size_bytes > 0) memcpy(whole + head.size_bytes, tail.data, tail.size_bytes);
	rocksdb_writebatch_put(batch, key_data, key.size_bytes, (const char *)whole, size);
}

void fts_txn_delete_unseen(struct fts_txn *txn, struct fts_bytes key)
{
	rocksdb_writebatch_delete(unseen_of(txn), (const char *)key.data, key.size_bytes);
}

enum fts_status fts_txn_delete_range(struct fts_txn *txn, struct fts_bytes from, struct fts_bytes to)
{
	struct range *range;
	FTS_ASSERT(txn->overlay != NULL && txn->mark_count == 0 && txn->unseen == NULL);
	FTS_ASSERT(from.size_bytes <= FTS_KEY_MAX && to.size_bytes <= FTS_KEY_MAX);
	range = malloc(sizeof *range + from.size_bytes + to.size_bytes);
	if (range == NULL) return ftsi_txn_note(txn, FTS_RESOURCE_EXHAUSTED);
	memcpy(range->bytes, from.data, from.size_bytes);
	memcpy(range->bytes + from.size_bytes, to.data, to.size_bytes);
	range->from = (struct fts_bytes){range->bytes, from.size_bytes};
	range->to = (struct fts_bytes){range->bytes + from.size_bytes, to.size_bytes};
	range->next = txn->ranges;
	txn->ranges = range;
	return FTS_OK;
}

void fts_txn_save(struct fts_txn *txn)
{
	FTS_ASSERT(txn->overlay != NULL);
	txn->mark_count++;
	if (!txn->failed && !ftsi_overlay_save(txn->overlay)) txn->failed = true;
}

void fts_txn_rollback(struct fts_txn *txn)
{
	FTS_ASSERT(txn->mark_count > 0);
	txn->mark_count--;
	if (!txn->failed) ftsi_overlay_rollback(txn->overlay);
}

void fts_txn_release(struct fts_txn *txn)
{
	FTS_ASSERT(txn->mark_count > 0);
	txn->mark_count--;
	if (!txn->failed) ftsi_overlay_release(txn->overlay);
}

static rocksdb_writebatch_t *make_batch(struct fts_txn *txn)
{
	const struct fts_bytes first = {NULL, 0};
	rocksdb_writebatch_t *batch = txn->unseen != NULL ? txn->unseen : rocksdb_writebatch_create();
	txn->unseen = NULL;
	for (const struct range *range = txn->ranges; range != NULL; range = range->next)
		rocksdb_writebatch_delete_range(batch, (const char *)range->from.data, range->from.size_bytes,
						(const char *)range->to.data, range->to.size_bytes);
	for (const struct ftsi_overlay_node *node = ftsi_overlay_seek(txn->overlay, first); node != NULL;
	     node = node->next[0]) {
		const char *key = (const char *)node->key.data;
		if (node->state == FTSI_OVERLAY_PUT)
			rocksdb_writebatch_put(batch, key, node->key.size_bytes, (const char *)node->value.data,
					       node->value.size_bytes);
		else if (node->state == FTSI_OVERLAY_DELETED)
			rocksdb_writebatch_delete(batch, key, node->key.size_bytes);
	}
	return batch;
}

static enum fts_status write_batch(struct fts_txn *txn, bool sync)
{
	char *message = NULL;
	rocksdb_writebatch_t *batch;
	enum fts_status status = txn->failed ? FTS_RESOURCE_EXHAUSTED : ftsi_store_fault(FTSI_STORE_WRITE);
	if (status != FTS_OK) return status;
	batch = make_batch(txn);
	stop_counting();
	rocksdb_write(txn->store->db, sync ? txn->store->sync_options : txn->store->write_options, batch, &message);
	rocksdb_writebatch_destroy(batch);
	return ftsi_store_status(message, "store.write_failed", txn->store->dir);
}

/* The batch was written, or, when not, nobody knows what of it. */
static void remember(const struct fts_txn *txn, bool written)
{
	const struct fts_bytes first = {NULL, 0};
	struct ftsi_recent *recent = txn->store->recent;
	if (!written || txn->ranges != NULL) ftsi_recent_clear(recent);
	if (!written) return;
	ftsi_recent_settle(recent); /* nobody looks at what this batch has found any more */
	for (const struct ftsi_overlay_node *node = ftsi_overlay_seek(txn->overlay, first); node != NULL;
	     node = node->next[0])
		if (node->state != FTSI_OVERLAY_ABSENT)
			ftsi_recent_change(recent, node->key, node->value, node->state == FTSI_OVERLAY_PUT);
}

enum fts_status fts_txn_commit(struct fts_txn **txn, bool sync)
{
	enum fts_status status;
	FTS_ASSERT((*txn)->overlay != NULL && (*txn)->mark_count == 0);
	FTS_ASSERT(!sync || (*txn)->store->sync_options != NULL);
	status = write_batch(*txn, sync);
	if ((*txn)->store->recent != NULL) remember(*txn, status == FTS_OK);
	fts_txn_abort(*txn);
	*txn = NULL;
	return status;
}
