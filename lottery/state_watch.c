/* Why this file exists: the index of draws that nodes have to do something for: those whose number is still to be
 * drawn, and those with a time limit. It has all that a node needs to see whether there is anything to do, so that
 * looking costs one short scan.
 *
 * | size | a watched draw                                             |
 * | 1    | 1: sealed                                                  |
 * | 1    | 1: fixed                                                   |
 * | 8    | due, ms: close by, or the end of the wait for secrets      |
 * | 8    | log index of the seal                                      |
 * | 2+n  | name                                                       |
 * |      | for each commitment: 2+n node, 32 hash, 1 revealed         |
 */
#include "lottery/state.h"
#include "lottery/state_keys.h"

bool ftsi_draw_is_watched(const struct ftsi_draw *draw)
{
	if (draw->state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN) return false;
	return !draw->fixed || draw->close_by_ms != 0;
}

static void watch_key(struct fts_key *key, uint32_t id)
{
	fts_key_begin(key, FTSI_TABLE_WATCH);
	fts_key_u32(key, id);
}

enum fts_status ftsi_watch_save(struct fts_txn *txn, const struct ftsi_draw *draw,
				const struct ftsi_commitments *commitments)
{
	struct fts_key key;
	uint8_t
	    bytes[20 + FTSI_DRAW_NAME_MAX + FTSI_COMMITMENT_COUNT_MAX * (2 + FTSI_NODE_NAME_MAX + FTSI_HASH_BYTES + 1)];
	bool sealed = draw->state == FTS__LOTTERY__V1__DRAW_STATE__SEALED;
	int64_t due_ms = sealed ? draw->sealed_ms + FTSI_REVEAL_WAIT_MS : draw->close_by_ms;
	uint8_t *at = ftsi_put_u8(bytes, sealed ? 1 : 0);
	at = ftsi_put_u8(at, draw->fixed ? 1 : 0);
	at = ftsi_put_u64(at, (uint64_t)due_ms);
	at = ftsi_put_u64(at, draw->seal_index);
	at = ftsi_put_text(at, draw->name, strlen(draw->name));
	for (uint32_t i = 0; i < commitments->count; i++) {
		const struct ftsi_commitment *commitment = &commitments->of[i];
		at = ftsi_put_text(at, commitment->node, strlen(commitment->node));
		at = ftsi_put_bytes(at, commitment->hash, FTSI_HASH_BYTES);
		at = ftsi_put_u8(at, commitment->revealed ? 1 : 0);
	}
	watch_key(&key, draw->id);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, (size_t)(at - bytes)});
}

enum fts_status ftsi_watch_delete(struct fts_txn *txn, uint32_t id)
{
	struct fts_key key;
	watch_key(&key, id);
	return fts_txn_delete(txn, fts_key_bytes(&key));
}

enum fts_status ftsi_watch_scan(struct fts_txn *txn, struct fts_cursor **out_cursor)
{
	struct fts_key prefix;
	fts_key_begin(&prefix, FTSI_TABLE_WATCH);
	return fts_txn_scan(txn, fts_key_bytes(&prefix), (struct fts_bytes){0}, out_cursor);
}

static bool read_watch(struct ftsi_reader *reader, struct ftsi_watch *watch)
{
	struct fts_bytes name;
	watch->sealed = ftsi_get_u8(reader) != 0;
	watch->fixed = ftsi_get_u8(reader) != 0;
	watch->due_ms = (int64_t)ftsi_get_u64(reader);
	watch->seal_index = ftsi_get_u64(reader);
	name = ftsi_get_text(reader);
	if (reader->failed || name.size_bytes > FTSI_DRAW_NAME_MAX) return false;
	memcpy(watch->draw, name.data, name.size_bytes);
	watch->draw[name.size_bytes] = '\0';
	watch->node_count = 0;
	while (!reader->failed && reader->at < reader->end && watch->node_count < FTSI_COMMITMENT_COUNT_MAX) {
		struct ftsi_watch_node *node = &watch->nodes[watch->node_count++];
		node->name = ftsi_get_text(reader);
		node->hash = ftsi_get_bytes(reader, FTSI_HASH_BYTES);
		node->revealed = ftsi_get_u8(reader) != 0;
	}
	return !reader->failed && reader->at == reader->end;
}

bool ftsi_watch_row_next(struct fts_cursor *cursor, struct ftsi_watch *out_watch, bool *out_damaged)
{
	struct fts_bytes key, value;
	struct ftsi_reader reader;
	*out_damaged = false;
	if (!fts_cursor_next(cursor, &key, &value)) return false;
	reader = ftsi_reader_of(value.data, value.size_bytes);
	*out_damaged = !read_watch(&reader, out_watch);
	return !*out_damaged;
}
