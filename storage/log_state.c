/* Why this file exists: see storage/log_state.h, which has the table of the byte format. */
#include "storage/log_state.h"

#include <stdlib.h>
#include <string.h>

#include "replica/bytes.h"
#include "store/key.h"

static const struct fts_bytes nothing = {NULL, 0};

static struct fts_bytes table_key(struct fts_key *key, uint16_t table)
{
	fts_key_begin(key, table);
	return fts_key_bytes(key);
}

static struct fts_bytes db_key(struct fts_key *key, uint16_t table, uint32_t db)
{
	(void)table_key(key, table);
	fts_key_u32(key, db);
	return fts_key_bytes(key);
}

static struct fts_bytes value_key(struct fts_key *out, uint32_t db, struct fts_bytes key)
{
	(void)db_key(out, FTSI_TABLE_LOG_KEY, db);
	fts_key_text(out, key.data, key.size_bytes);
	return fts_key_bytes(out);
}

/* ---- The map ---- */

enum fts_status ftsi_log_get_map(struct fts_txn *txn, struct ftsi_map *out_map)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, table_key(&key, FTSI_TABLE_MAP), &value);
	if (status == FTS_NOT_FOUND) {
		memset(out_map, 0, sizeof *out_map);
		return FTS_OK;
	}
	if (status != FTS_OK) return status;
	status = ftsi_map_unpack((struct fts_bytes){value.data, value.size_bytes}, out_map);
	fts_value_release(&value);
	return status;
}

static enum fts_status put_member_count(struct fts_txn *txn, const struct ftsi_map *map)
{
	struct fts_key key;
	uint8_t packed[8];
	uint64_t count = 0;
	for (size_t i = 0; i < map->node_count; i++)
		count += map->nodes[i].leaving ? 0 : 1;
	ftsi_put_u64(packed, count);
	return fts_txn_put(txn, table_key(&key, FTSI_TABLE_MEMBER_COUNT), (struct fts_bytes){packed, sizeof packed});
}

enum fts_status ftsi_log_put_map(struct fts_txn *txn, const struct ftsi_map *map)
{
	struct fts_key key;
	uint8_t *packed = malloc(ftsi_map_packed_size(map));
	if (packed == NULL) return FTS_RESOURCE_EXHAUSTED;
	size_t size = ftsi_map_pack(map, packed);
	enum fts_status status = fts_txn_put(txn, table_key(&key, FTSI_TABLE_MAP), (struct fts_bytes){packed, size});
	free(packed);
	return status == FTS_OK ? put_member_count(txn, map) : status;
}

enum fts_status ftsi_log_member_count(struct fts_txn *txn, uint32_t *out_count)
{
	struct fts_key key;
	struct fts_value value;
	*out_count = 0;
	enum fts_status status = fts_txn_get(txn, table_key(&key, FTSI_TABLE_MEMBER_COUNT), &value);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return status;
	if (value.size_bytes == 8)
		*out_count = (uint32_t)ftsi_get_u64(value.data);
	else
		status = FTS_DATA_LOSS;
	fts_value_release(&value);
	return status;
}

/* ---- Databases ---- */

enum fts_status ftsi_log_is_linearizable(struct fts_txn *txn, uint32_t db)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, db_key(&key, FTSI_TABLE_LINEARIZABLE, db), &value);
	if (status == FTS_OK) fts_value_release(&value);
	return status;
}

enum fts_status ftsi_log_make_linearizable(struct fts_txn *txn, uint32_t db)
{
	struct fts_key key;
	return fts_txn_put(txn, db_key(&key, FTSI_TABLE_LINEARIZABLE, db), nothing);
}

enum fts_status ftsi_log_linearizable(struct fts_txn *txn, uint32_t *out_dbs, size_t *out_count)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	*out_count = 0;
	enum fts_status status = fts_txn_scan(txn, table_key(&prefix, FTSI_TABLE_LINEARIZABLE), nothing, &cursor);
	if (status != FTS_OK) return status;
	while (*out_count < FTSI_LINEARIZABLE_MAX && fts_cursor_next(cursor, &key, &value))
		out_dbs[(*out_count)++] = ftsi_get_u32(key.data + key.size_bytes - 4);
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

/* ---- Keys ---- */

enum fts_status ftsi_log_get_key(struct fts_txn *txn, uint32_t db, struct fts_bytes key,
				 struct ftsi_log_value *out_value)
{
	struct fts_key stored;
	enum fts_status status = fts_txn_get(txn, value_key(&stored, db, key), &out_value->pinned);
	if (status != FTS_OK) return status;
	if (out_value->pinned.size_bytes < 8) {
		fts_value_release(&out_value->pinned);
		return FTS_DATA_LOSS;
	}
	out_value->version = ftsi_get_u64(out_value->pinned.data);
	out_value->value = (struct fts_bytes){out_value->pinned.data + 8, out_value->pinned.size_bytes - 8};
	return FTS_OK;
}

enum fts_status ftsi_log_put_key(struct fts_txn *txn, uint32_t db, struct fts_bytes key, uint64_t version,
				 struct fts_bytes value)
{
	struct fts_key stored;
	uint8_t head[8];
	ftsi_put_u64(head, version);
	return fts_txn_put2(txn, value_key(&stored, db, key), (struct fts_bytes){head, sizeof head}, value);
}

enum fts_status ftsi_log_delete_key(struct fts_txn *txn, uint32_t db, struct fts_bytes key)
{
	struct fts_key stored;
	return fts_txn_delete(txn, value_key(&stored, db, key));
}

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

enum fts_status ftsi_log_visit_keys(struct fts_txn *txn, const struct ftsi_log_scan *scan, ftsi_log_key_fn visit,
				    void *ctx)
{
	struct fts_key prefix, from;
	struct fts_bytes stored, value;
	struct fts_cursor *cursor = NULL;
	uint8_t text[FTSI_RECORD_KEY_MAX];
	/* text keys sort as their bytes do: all keys with the prefix lie together, behind the prefix itself */
	bool behind = scan->has_after && compare(scan->after, scan->prefix) >= 0;
	enum fts_status status = fts_txn_scan(txn, db_key(&prefix, FTSI_TABLE_LOG_KEY, scan->db),
					      value_key(&from, scan->db, behind ? scan->after : scan->prefix), &cursor);
	if (status != FTS_OK) return status;
	while (fts_cursor_next(cursor, &stored, &value)) {
		struct fts_bytes at = {stored.data + 6, stored.size_bytes - 6}, key = {text, 0};
		if (fts_key_read_text(&at, (char *)text, sizeof text, &key.size_bytes) != 0) {
			status = FTS_DATA_LOSS;
			break;
		}
		if (scan->has_after && compare(key, scan->after) <= 0) continue;
		if (!has_prefix(key, scan->prefix) || !visit(ctx, key)) break;
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}
