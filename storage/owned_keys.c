/* Why this file exists: keys of one database in the order of their bytes, though they lie partition by partition: a
 * cursor a partition, merged through a heap. Source: Knuth, "The art of computer programming", volume 3, 5.4.1. */
#include <stdlib.h>
#include <string.h>

#include "storage/internal.h"
#include "storage/owner_internal.h"

struct stream {
	struct fts_cursor *cursor;
	struct fts_key prefix, from; /* borrowed by the cursor */
	struct ftsi_record record;
	uint8_t key_text[FTSI_RECORD_KEY_MAX];
};

struct merge {
	const struct fts_owner_keys *keys;
	struct fts_storage *storage;
	struct fts_txn *view;
	struct stream *streams[FTSI_PARTITION_COUNT]; /* heap: the smallest key first */
	size_t count;
};

static int compare(struct fts_bytes a, struct fts_bytes b)
{
	size_t shorter = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
	int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
	if (order != 0) return order;
	return a.size_bytes == b.size_bytes ? 0 : a.size_bytes < b.size_bytes ? -1 : 1;
}

static bool has_prefix(struct fts_bytes key, struct fts_bytes prefix)
{
	return key.size_bytes >= prefix.size_bytes &&
	       (prefix.size_bytes == 0 || memcmp(key.data, prefix.data, prefix.size_bytes) == 0);
}

/* To the stream's next key that is asked for; damaged ones are left out: other owners have them. */
static bool advance(const struct merge *merge, struct stream *stream)
{
	struct fts_bytes stored, value;
	while (fts_cursor_next(stream->cursor, &stored, &value)) {
		stream->record = (struct ftsi_record){0};
		if (ftsi_record_read_key(stored, stream->key_text, &stream->record) != FTS_OK ||
		    ftsi_record_read(value, &stream->record) != FTS_OK)
			continue;
		if (merge->keys->has_after && compare(stream->record.key, merge->keys->after) <= 0) continue;
		stream->record.value = (struct fts_bytes){0};
		return has_prefix(stream->record.key, merge->keys->prefix);
	}
	return false;
}

/* ---- The heap ---- */

static bool is_before(const struct stream *a, const struct stream *b)
{
	return compare(a->record.key, b->record.key) < 0;
}

static void swap(struct merge *merge, size_t a, size_t b)
{
	struct stream *held = merge->streams[a];
	merge->streams[a] = merge->streams[b];
	merge->streams[b] = held;
}

static void sink(struct merge *merge, size_t at)
{
	for (;;) {
		size_t least = at, left = 2 * at + 1, right = left + 1;
		if (left < merge->count && is_before(merge->streams[left], merge->streams[least])) least = left;
		if (right < merge->count && is_before(merge->streams[right], merge->streams[least])) least = right;
		if (least == at) return;
		swap(merge, at, least);
		at = least;
	}
}

static void close_stream(struct stream *stream)
{
	fts_cursor_close(stream->cursor);
	free(stream);
}

/* ---- Opening ---- */

static enum fts_status open_stream(struct merge *merge, uint32_t partition)
{
	const struct fts_owner_keys *keys = merge->keys;
	struct stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL) return FTS_RESOURCE_EXHAUSTED;
	fts_key_begin(&stream->prefix, FTSI_TABLE_RECORD);
	fts_key_u32(&stream->prefix, partition);
	fts_key_u32(&stream->prefix, keys->db);
	stream->from = stream->prefix;
	/* Stored keys sort as their bytes do: all with the prefix lie together, behind the prefix itself. */
	struct fts_bytes first =
	    keys->has_after && compare(keys->after, keys->prefix) >= 0 ? keys->after : keys->prefix;
	fts_key_text(&stream->from, first.data, first.size_bytes);
	enum fts_status status =
	    fts_txn_scan(merge->view, fts_key_bytes(&stream->prefix), fts_key_bytes(&stream->from), &stream->cursor);
	if (status == FTS_OK && advance(merge, stream)) {
		merge->streams[merge->count++] = stream;
		return FTS_OK;
	}
	if (status == FTS_OK) status = fts_cursor_status(stream->cursor);
	close_stream(stream);
	return status;
}

static uint8_t part_in(const struct ftsi_map *map, uint64_t node_id, uint32_t partition)
{
	const struct ftsi_map_move *move = ftsi_map_move_under_way(map, partition);
	if (ftsi_placement_owns(&map->placement, partition, node_id)) return 1;
	return move != NULL && move->to_node == node_id ? 2 : 0;
}

/* Who is on its way has not all of it yet; who has lost its disk says nothing. */
static void list_partitions(struct fts_owner *owner, uint64_t node_id, uint8_t *out_partitions)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		bool lost = fts_storage_has_lost(owner->options.storage, p);
		out_partitions[p] = lost ? 0 : part_in(&shared->map, node_id, p);
	}
	ftsi_map_release(shared);
}

/* A view is of one moment: what it has counts where this node had the same part before and after. */
static void leave_out_changed(struct fts_owner *owner, uint64_t node_id, uint8_t *partitions)
{
	uint8_t now[FTSI_PARTITION_COUNT];
	list_partitions(owner, node_id, now);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		if (now[p] != partitions[p]) partitions[p] = 0;
}

static enum fts_status visit_all(struct merge *merge, fts_owner_key_fn visit, void *ctx)
{
	for (size_t i = merge->count / 2; i > 0; i--)
		sink(merge, i - 1);
	while (merge->count > 0) {
		struct stream *first = merge->streams[0];
		if (!visit(ctx, &first->record)) return FTS_OK;
		if (!advance(merge, first)) {
			enum fts_status status = fts_cursor_status(first->cursor);
			merge->streams[0] = merge->streams[--merge->count];
			close_stream(first);
			if (status != FTS_OK) return status;
		}
		if (merge->count > 0) sink(merge, 0);
	}
	return FTS_OK;
}

enum fts_status fts_owner_visit_keys(struct fts_owner *owner, const struct fts_owner_keys *keys, fts_owner_key_fn visit,
				     void *ctx, uint8_t *out_partitions)
{
	struct merge merge = {.keys = keys, .storage = owner->options.storage};
	list_partitions(owner, keys->node_id, out_partitions);
	enum fts_status status = fts_store_view(merge.storage->store, &merge.view);
	leave_out_changed(owner, keys->node_id, out_partitions);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT && status == FTS_OK; p++)
		if (out_partitions[p] != 0) status = open_stream(&merge, p);
	if (status == FTS_OK) status = visit_all(&merge, visit, ctx);
	while (merge.count > 0)
		close_stream(merge.streams[--merge.count]);
	fts_txn_abort(merge.view);
	return status;
}
