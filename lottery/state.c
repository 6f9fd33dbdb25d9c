/* Why this file exists: see state.h. Layouts of the values of draws, agencies and the service; imports and what nodes
 * watch are in state_import.c and state_watch.c.
 *
 * | offset | size | a draw                                     |
 * | 0      | 1    | layout, 1                                  |
 * | 1      | 4    | id                                         |
 * | 5      | 1    | state                                      |
 * | 6      | 1    | fixed                                      |
 * | 7      | 4    | number                                     |
 * | 11     | 4    | agencies                                   |
 * | 15     | 4    | agencies that have closed                  |
 * | 19     | 8    | close by, ms                               |
 * | 27     | 8    | sealed at, ms                              |
 * | 35     | 8    | log index of the seal                      |
 * | 43     | 8    | log index of the draw                      |
 * | 51     | 8    | records                                    |
 * | 59     | 32   | chain head                                 |
 * | 91     | 32   | chain head at the seal                     |
 * | 123    | 32   | root                                       |
 * | 155    | 8    | bets                                       |
 * | 163    | 32n  | subtree roots, n = ones in the bets' count |
 */
#include "lottery/state.h"

#include "base/assert.h"
#include "lottery/state_keys.h"

enum {
	LAYOUT = 1,
	DRAW_BYTES_MIN = 163,
	LOTTERY_BYTES = 25,
	COMMITMENT_BYTES_MAX = 2 + FTSI_NODE_NAME_MAX + 2 * FTSI_HASH_BYTES + 1,
};

bool ftsi_draw_name_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t size = strspn(name, letters);
	return size >= 1 && size <= FTSI_DRAW_NAME_MAX && name[size] == '\0';
}

/* ---- The service ---- */

enum fts_status ftsi_lottery_load(struct fts_txn *txn, struct ftsi_lottery *out_lottery)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_reader reader;
	enum fts_status status;
	fts_key_begin(&key, FTSI_TABLE_SERVICE);
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	*out_lottery = (struct ftsi_lottery){.next_id = 1};
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_OK : status;
	reader = ftsi_reader_of(value.data, value.size_bytes);
	if (ftsi_get_u8(&reader) != LAYOUT) reader.failed = true;
	out_lottery->next_id = ftsi_get_u32(&reader);
	out_lottery->watched_count = ftsi_get_u32(&reader);
	out_lottery->version = ftsi_get_u64(&reader);
	(void)ftsi_get_u64(&reader); /* was used once */
	fts_value_release(&value);
	return reader.failed ? FTS_DATA_LOSS : FTS_OK;
}

enum fts_status ftsi_lottery_save(struct fts_txn *txn, const struct ftsi_lottery *lottery)
{
	struct fts_key key;
	uint8_t bytes[LOTTERY_BYTES], *at = ftsi_put_u8(bytes, LAYOUT);
	at = ftsi_put_u32(at, lottery->next_id);
	at = ftsi_put_u32(at, lottery->watched_count);
	at = ftsi_put_u64(at, lottery->version);
	at = ftsi_put_u64(at, 0);
	FTS_ASSERT(at == bytes + sizeof bytes);
	fts_key_begin(&key, FTSI_TABLE_SERVICE);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, sizeof bytes});
}

/* ---- Draws ---- */

static void draw_key(struct fts_key *key, const char *name)
{
	fts_key_begin(key, FTSI_TABLE_DRAW);
	fts_key_text(key, name, strlen(name));
}

static bool read_draw(struct ftsi_reader *reader, struct ftsi_draw *draw)
{
	if (ftsi_get_u8(reader) != LAYOUT) return false;
	draw->id = ftsi_get_u32(reader);
	draw->state = (Fts__Lottery__V1__DrawState)ftsi_get_u8(reader);
	draw->fixed = ftsi_get_u8(reader) != 0;
	draw->number = ftsi_get_u32(reader);
	draw->agencies = ftsi_get_u32(reader);
	draw->agencies_closed = ftsi_get_u32(reader);
	draw->close_by_ms = (int64_t)ftsi_get_u64(reader);
	draw->sealed_ms = (int64_t)ftsi_get_u64(reader);
	draw->seal_index = ftsi_get_u64(reader);
	draw->draw_index = ftsi_get_u64(reader);
	draw->record_count = ftsi_get_u64(reader);
	ftsi_get_copy(reader, draw->head, FTSI_HASH_BYTES);
	ftsi_get_copy(reader, draw->seal_head, FTSI_HASH_BYTES);
	ftsi_get_copy(reader, draw->root, FTSI_HASH_BYTES);
	draw->tree.count = ftsi_get_u64(reader);
	draw->tree.peak_count = (uint32_t)__builtin_popcountll(draw->tree.count);
	ftsi_get_copy(reader, draw->tree.peaks, (size_t)draw->tree.peak_count * FTSI_HASH_BYTES);
	return !reader->failed && reader->at == reader->end;
}

enum fts_status ftsi_draw_load(struct fts_txn *txn, const char *name, struct ftsi_draw *out_draw)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_reader reader;
	bool readable;
	enum fts_status status;
	draw_key(&key, name);
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status;
	memcpy(out_draw->name, name, strlen(name) + 1);
	reader = ftsi_reader_of(value.data, value.size_bytes);
	readable = read_draw(&reader, out_draw);
	fts_value_release(&value);
	return readable ? FTS_OK : FTS_DATA_LOSS;
}

enum fts_status ftsi_draw_save(struct fts_txn *txn, const struct ftsi_draw *draw)
{
	struct fts_key key;
	uint8_t bytes[DRAW_BYTES_MIN + FTSI_PEAK_COUNT_MAX * FTSI_HASH_BYTES], *at = ftsi_put_u8(bytes, LAYOUT);
	FTS_ASSERT(draw->tree.peak_count == (uint32_t)__builtin_popcountll(draw->tree.count));
	at = ftsi_put_u32(at, draw->id);
	at = ftsi_put_u8(at, (uint8_t)draw->state);
	at = ftsi_put_u8(at, draw->fixed ? 1 : 0);
	at = ftsi_put_u32(at, draw->number);
	at = ftsi_put_u32(at, draw->agencies);
	at = ftsi_put_u32(at, draw->agencies_closed);
	at = ftsi_put_u64(at, (uint64_t)draw->close_by_ms);
	at = ftsi_put_u64(at, (uint64_t)draw->sealed_ms);
	at = ftsi_put_u64(at, draw->seal_index);
	at = ftsi_put_u64(at, draw->draw_index);
	at = ftsi_put_u64(at, draw->record_count);
	at = ftsi_put_bytes(at, draw->head, FTSI_HASH_BYTES);
	at = ftsi_put_bytes(at, draw->seal_head, FTSI_HASH_BYTES);
	at = ftsi_put_bytes(at, draw->root, FTSI_HASH_BYTES);
	at = ftsi_put_u64(at, draw->tree.count);
	at = ftsi_put_bytes(at, draw->tree.peaks, (size_t)draw->tree.peak_count * FTSI_HASH_BYTES);
	draw_key(&key, draw->name);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, (size_t)(at - bytes)});
}

enum fts_status ftsi_order_save(struct fts_txn *txn, const struct ftsi_draw *draw)
{
	struct fts_key key;
	fts_key_begin(&key, FTSI_TABLE_ORDER);
	fts_key_u32(&key, draw->id);
	return fts_txn_put(txn, fts_key_bytes(&key),
			   (struct fts_bytes){(const uint8_t *)draw->name, strlen(draw->name)});
}

enum fts_status ftsi_order_scan(struct fts_txn *txn, uint32_t after_id, struct fts_cursor **out_cursor)
{
	struct fts_key prefix, from;
	fts_key_begin(&prefix, FTSI_TABLE_ORDER);
	fts_key_begin(&from, FTSI_TABLE_ORDER);
	fts_key_u32(&from, after_id + 1);
	return fts_txn_scan(txn, fts_key_bytes(&prefix), fts_key_bytes(&from), out_cursor);
}

/* ---- Agencies ---- */

static void agency_key(struct fts_key *key, uint32_t id, uint32_t agency)
{
	fts_key_begin(key, FTSI_TABLE_AGENCY);
	fts_key_u32(key, id);
	fts_key_u32(key, agency);
}

static bool read_agency(struct fts_bytes value, struct ftsi_agency *out_state)
{
	struct ftsi_reader reader = ftsi_reader_of(value.data, value.size_bytes);
	out_state->bet_count = ftsi_get_u64(&reader);
	out_state->closed = ftsi_get_u8(&reader) != 0;
	out_state->entropy_bytes = ftsi_get_u8(&reader);
	if (out_state->entropy_bytes > FTSI_ENTROPY_BYTES_MAX) return false;
	ftsi_get_copy(&reader, out_state->entropy, out_state->entropy_bytes);
	return !reader.failed;
}

enum fts_status ftsi_agency_load(struct fts_txn *txn, uint32_t id, uint32_t agency, struct ftsi_agency *out_agency)
{
	struct fts_key key;
	struct fts_value value = {0};
	bool readable;
	enum fts_status status;
	agency_key(&key, id, agency);
	*out_agency = (struct ftsi_agency){0};
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_OK : status;
	readable = read_agency((struct fts_bytes){value.data, value.size_bytes}, out_agency);
	fts_value_release(&value);
	return readable ? FTS_OK : FTS_DATA_LOSS;
}

enum fts_status ftsi_agency_save(struct fts_txn *txn, uint32_t id, uint32_t agency, const struct ftsi_agency *state)
{
	struct fts_key key;
	uint8_t bytes[10 + FTSI_ENTROPY_BYTES_MAX], *at = ftsi_put_u64(bytes, state->bet_count);
	at = ftsi_put_u8(at, state->closed ? 1 : 0);
	at = ftsi_put_u8(at, state->entropy_bytes);
	at = ftsi_put_bytes(at, state->entropy, state->entropy_bytes);
	agency_key(&key, id, agency);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, (size_t)(at - bytes)});
}

enum fts_status ftsi_agency_scan(struct fts_txn *txn, uint32_t id, struct fts_cursor **out_cursor)
{
	struct fts_key prefix;
	fts_key_begin(&prefix, FTSI_TABLE_AGENCY);
	fts_key_u32(&prefix, id);
	return fts_txn_scan(txn, fts_key_bytes(&prefix), (struct fts_bytes){0}, out_cursor);
}

bool ftsi_agency_next(struct fts_cursor *cursor, uint32_t *out_agency, struct ftsi_agency *out_state)
{
	struct fts_bytes key, value;
	struct ftsi_reader reader;
	if (!fts_cursor_next(cursor, &key, &value) || key.size_bytes < 4) return false;
	reader = ftsi_reader_of(key.data + key.size_bytes - 4, 4);
	*out_agency = ftsi_get_u32(&reader);
	return read_agency(value, out_state);
}

/* ---- Commitments ---- */

static void commitments_key(struct fts_key *key, uint32_t id)
{
	fts_key_begin(key, FTSI_TABLE_COMMITMENTS);
	fts_key_u32(key, id);
}

static void read_commitment(struct ftsi_reader *reader, struct ftsi_commitment *out)
{
	struct fts_bytes node = ftsi_get_text(reader);
	*out = (struct ftsi_commitment){0};
	if (node.size_bytes > FTSI_NODE_NAME_MAX) {
		reader->failed = true;
		return;
	}
	if (node.size_bytes > 0) memcpy(out->node, node.data, node.size_bytes);
	ftsi_get_copy(reader, out->hash, FTSI_HASH_BYTES);
	out->revealed = ftsi_get_u8(reader) != 0;
	if (out->revealed) ftsi_get_copy(reader, out->secret, FTSI_HASH_BYTES);
}

enum fts_status ftsi_commitments_load(struct fts_txn *txn, uint32_t id, struct ftsi_commitments *out)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_reader reader;
	enum fts_status status;
	commitments_key(&key, id);
	out->count = 0;
	out->revealed_count = 0;
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_OK : status;
	reader = ftsi_reader_of(value.data, value.size_bytes);
	while (!reader.failed && reader.at < reader.end && out->count < FTSI_COMMITMENT_COUNT_MAX) {
		read_commitment(&reader, &out->of[out->count]);
		out->revealed_count += out->of[out->count++].revealed ? 1 : 0;
	}
	fts_value_release(&value);
	return reader.failed || reader.at != reader.end ? FTS_DATA_LOSS : FTS_OK;
}

enum fts_status ftsi_commitments_save(struct fts_txn *txn, uint32_t id, const struct ftsi_commitments *commitments)
{
	struct fts_key key;
	uint8_t bytes[FTSI_COMMITMENT_COUNT_MAX * COMMITMENT_BYTES_MAX], *at = bytes;
	for (uint32_t i = 0; i < commitments->count; i++) {
		const struct ftsi_commitment *commitment = &commitments->of[i];
		at = ftsi_put_text(at, commitment->node, strlen(commitment->node));
		at = ftsi_put_bytes(at, commitment->hash, FTSI_HASH_BYTES);
		at = ftsi_put_u8(at, commitment->revealed ? 1 : 0);
		if (commitment->revealed) at = ftsi_put_bytes(at, commitment->secret, FTSI_HASH_BYTES);
	}
	commitments_key(&key, id);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, (size_t)(at - bytes)});
}

/* ---- Records ---- */

static void record_key(struct fts_key *key, uint32_t id, uint64_t number)
{
	fts_key_begin(key, FTSI_TABLE_RECORD);
	fts_key_u32(key, id);
	fts_key_u64(key, number);
}

enum fts_status ftsi_record_save(struct fts_txn *txn, uint32_t id, uint64_t number, struct fts_bytes record,
				 struct fts_bytes bets)
{
	struct fts_key key;
	record_key(&key, id, number);
	return fts_txn_put2(txn, fts_key_bytes(&key), record, bets);
}

enum fts_status ftsi_record_scan(struct fts_txn *txn, uint32_t id, uint64_t from, struct fts_cursor **out_cursor)
{
	struct fts_key prefix, first;
	fts_key_begin(&prefix, FTSI_TABLE_RECORD);
	fts_key_u32(&prefix, id);
	record_key(&first, id, from);
	return fts_txn_scan(txn, fts_key_bytes(&prefix), fts_key_bytes(&first), out_cursor);
}
