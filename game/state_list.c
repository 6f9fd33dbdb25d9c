/* Why this file exists: see state.h: the lists of matches that are over and of those for which a time will come. */
#include "base/assert.h"
#include "game/bytes.h"
#include "game/state.h"
#include "game/state_keys.h"

/* ---- Over ---- */

static void over_key(struct fts_key *key, uint64_t place)
{
	fts_key_begin(key, FTSI_GAME_TABLE_OVER);
	fts_key_u64(key, place);
}

enum fts_status ftsi_over_add(struct fts_txn *txn, uint64_t place, uint64_t id)
{
	struct fts_key key;
	uint8_t bytes[8];
	(void)ftsi_game_put_number(bytes, id, sizeof bytes);
	over_key(&key, place);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, sizeof bytes});
}

enum fts_status ftsi_over_take(struct fts_txn *txn, uint64_t place, uint64_t *out_id)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_game_reader reader;
	enum fts_status status;
	over_key(&key, place);
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_DATA_LOSS : status;
	reader = ftsi_game_reader_of(value.data, value.size_bytes);
	*out_id = ftsi_game_get_number(&reader, 8);
	fts_value_release(&value);
	if (reader.failed) return FTS_DATA_LOSS;
	return fts_txn_delete(txn, fts_key_bytes(&key));
}

/* ---- Due ---- */

static void due_key(struct fts_key *key, enum ftsi_due_list list, struct ftsi_due due)
{
	fts_key_begin(key, (uint16_t)(FTS_TABLE_GAME + list));
	fts_key_u64(key, due.due_ms > 0 ? (uint64_t)due.due_ms : 0);
	fts_key_u64(key, due.id);
}

enum fts_status ftsi_due_add(struct fts_txn *txn, enum ftsi_due_list list, struct ftsi_due due)
{
	struct fts_key key;
	due_key(&key, list, due);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){(const uint8_t *)"", 0});
}

enum fts_status ftsi_due_remove(struct fts_txn *txn, enum ftsi_due_list list, struct ftsi_due due)
{
	struct fts_key key;
	due_key(&key, list, due);
	return fts_txn_delete(txn, fts_key_bytes(&key));
}

static bool read_due(struct fts_bytes key, struct ftsi_due *out_due)
{
	if (key.size_bytes < 16) return false;
	struct ftsi_game_reader reader = ftsi_game_reader_of(key.data + key.size_bytes - 16, 16);
	out_due->due_ms = (int64_t)ftsi_game_get_number(&reader, 8);
	out_due->id = ftsi_game_get_number(&reader, 8);
	return true;
}

enum fts_status ftsi_due_list_read(struct fts_txn *txn, enum ftsi_due_list list, struct ftsi_due from, int64_t until_ms,
				   uint32_t count_max, struct ftsi_due *out_due, uint32_t *out_count)
{
	struct fts_cursor *cursor = NULL;
	struct fts_key prefix, first;
	struct fts_bytes key, value;
	uint32_t count = 0;
	enum fts_status status;
	FTS_ASSERT(count_max <= FTSI_GAME_DUE_COUNT_MAX);
	fts_key_begin(&prefix, (uint16_t)(FTS_TABLE_GAME + list));
	due_key(&first, list, from);
	if ((status = fts_txn_scan(txn, fts_key_bytes(&prefix), fts_key_bytes(&first), &cursor)) != FTS_OK)
		return status;
	while (count < count_max && fts_cursor_next(cursor, &key, &value)) {
		if (!read_due(key, &out_due[count])) {
			status = FTS_DATA_LOSS;
			break;
		}
		if (out_due[count].due_ms > until_ms) break;
		count++;
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	*out_count = count;
	return status;
}
