/* Why this file exists: scans over a prefix that see what the batch has written: RocksDB's iterator and the overlay
 * are walked side by side, the overlay wins where both have a key.
 *
 * Invariant: the iterator stands on the next key not yet given, or is invalid; node likewise. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/fault.h"
#include "store/key.h"
#include "store/txn.h"

struct fts_cursor {
	struct fts_txn *txn;
	rocksdb_readoptions_t *read_options;
	rocksdb_iterator_t *iterator;
	struct ftsi_overlay_node *node;
	bool given_from_store; /* the iterator stands on what the caller now looks at: move it first */
	enum fts_status status;
	size_t prefix_size_bytes, end_size_bytes;
	uint8_t prefix[FTS_KEY_MAX];
	uint8_t end[FTS_KEY_MAX]; /* RocksDB reads it as long as the iterator lives */
};

bool ftsi_store_prefix_end(struct fts_bytes prefix, uint8_t *out, size_t *out_size_bytes)
{
	size_t size = prefix.size_bytes;
	while (size > 0 && prefix.data[size - 1] == 0xFF)
		size--;
	if (size == 0) return false;
	memcpy(out, prefix.data, size);
	out[size - 1]++;
	*out_size_bytes = size;
	return true;
}

static void set_read_options(struct fts_cursor *cursor, struct fts_bytes prefix)
{
	cursor->read_options = rocksdb_readoptions_create();
	if (cursor->txn->snapshot != NULL)
		rocksdb_readoptions_set_snapshot(cursor->read_options, cursor->txn->snapshot);
	if (ftsi_store_prefix_end(prefix, cursor->end, &cursor->end_size_bytes))
		rocksdb_readoptions_set_iterate_upper_bound(cursor->read_options, (const char *)cursor->end,
							    cursor->end_size_bytes);
}

enum fts_status fts_txn_scan(struct fts_txn *txn, struct fts_bytes prefix, struct fts_bytes from,
			     struct fts_cursor **out_cursor)
{
	struct fts_bytes start = from.size_bytes == 0 ? prefix : from;
	struct fts_cursor *cursor = NULL;
	enum fts_status status = ftsi_store_fault(FTSI_STORE_READ);
	FTS_ASSERT(prefix.size_bytes <= FTS_KEY_MAX);
	if (status == FTS_OK && (cursor = malloc(sizeof *cursor)) == NULL) status = FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK) return ftsi_txn_note(txn, status);
	memset(cursor, 0, offsetof(struct fts_cursor, prefix));
	cursor->txn = txn;
	cursor->prefix_size_bytes = prefix.size_bytes;
	if (prefix.size_bytes > 0) memcpy(cursor->prefix, prefix.data, prefix.size_bytes);
	if (ftsi_bytes_compare(start, prefix) < 0) start = prefix;
	set_read_options(cursor, prefix);
	cursor->iterator = rocksdb_create_iterator(txn->store->db, cursor->read_options);
	rocksdb_iter_seek(cursor->iterator, (const char *)start.data, start.size_bytes);
	if (txn->overlay != NULL) cursor->node = ftsi_overlay_seek(txn->overlay, start);
	*out_cursor = cursor;
	return FTS_OK;
}

void fts_cursor_close(struct fts_cursor *cursor)
{
	if (cursor == NULL) return;
	rocksdb_iter_destroy(cursor->iterator);
	rocksdb_readoptions_destroy(cursor->read_options);
	free(cursor);
}

static bool has_prefix(const struct fts_cursor *cursor, struct fts_bytes key)
{
	return key.size_bytes >= cursor->prefix_size_bytes &&
	       memcmp(key.data, cursor->prefix, cursor->prefix_size_bytes) == 0;
}

/* The key the iterator stands on. False: the end, or an error. */
static bool store_key(struct fts_cursor *cursor, struct fts_bytes *out_key)
{
	size_t size;
	const char *key;
	if (!rocksdb_iter_valid(cursor->iterator)) {
		char *message = NULL;
		rocksdb_iter_get_error(cursor->iterator, &message);
		if (message != NULL)
			cursor->status = ftsi_store_status(message, "store.scan_failed", cursor->txn->store->dir);
		return false;
	}
	key = rocksdb_iter_key(cursor->iterator, &size);
	*out_key = (struct fts_bytes){(const uint8_t *)key, size};
	return has_prefix(cursor, *out_key);
}

static struct ftsi_overlay_node *overlay_node(struct fts_cursor *cursor)
{
	while (cursor->node != NULL && cursor->node->state == FTSI_OVERLAY_ABSENT)
		cursor->node = cursor->node->next[0];
	if (cursor->node != NULL && !has_prefix(cursor, cursor->node->key)) cursor->node = NULL;
	return cursor->node;
}

static bool give_from_store(struct fts_cursor *cursor, struct fts_bytes key, struct fts_bytes *out_key,
			    struct fts_bytes *out_value)
{
	size_t size;
	const char *value = rocksdb_iter_value(cursor->iterator, &size);
	*out_key = key;
	*out_value = (struct fts_bytes){(const uint8_t *)value, size};
	cursor->given_from_store = true;
	return true;
}

bool fts_cursor_next(struct fts_cursor *cursor, struct fts_bytes *out_key, struct fts_bytes *out_value)
{
	if (cursor->given_from_store) rocksdb_iter_next(cursor->iterator);
	cursor->given_from_store = false;
	while (cursor->status == FTS_OK) {
		struct fts_bytes key = {NULL, 0};
		bool in_store = store_key(cursor, &key);
		struct ftsi_overlay_node *node = overlay_node(cursor);
		int order;
		if (cursor->status != FTS_OK || (!in_store && node == NULL)) return false;
		order = !in_store ? 1 : node == NULL ? -1 : ftsi_bytes_compare(key, node->key);
		if (order < 0) return give_from_store(cursor, key, out_key, out_value);
		if (order == 0) rocksdb_iter_next(cursor->iterator);
		cursor->node = node->next[0];
		if (node->state == FTSI_OVERLAY_PUT) {
			*out_key = node->key;
			*out_value = node->value;
			return true;
		}
	}
	return false;
}

enum fts_status fts_cursor_status(const struct fts_cursor *cursor)
{
	return cursor->status;
}
