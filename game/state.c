/* Why this file exists: see state.h: the service and the matches. Events and lists are in state_event.c, state_list.c.
 *
 * | size    | a match                                                                        |
 * | 1       | layout, 1                                                                      |
 * | 8       | id                                                                             |
 * | 1+8     | name                                                                           |
 * | 1       | rules: place in the list of rules.c                                            |
 * | 1 each  | state, outcome, reason, winner + 1, bits of who asked for a rematch            |
 * | 1+n     | name of the rematch                                                            |
 * | 1+n     | label                                                                          |
 * | 4, 4    | clock: initial and increment, ms                                               |
 * | 8 each  | clock started, clock due, idle due, pauses told, changed, events, hash of moves |
 * | 2, 1 each | position: ply; turn, outcome, winner                                         |
 * | 64      | position: cells, 8 numbers                                                     |
 * |         | for each seat: 1 taken, 1+n name, 16 hash of token, 8 left on its clock, ms    |
 */
#include "game/state.h"

#include "base/assert.h"
#include "game/bytes.h"
#include "game/state_keys.h"

enum { LAYOUT = 1, GAME_BYTES = 90, MATCH_BYTES_MAX = 512 };

/* ---- The service ---- */

static void read_game(struct ftsi_game_reader *reader, struct ftsi_game *game)
{
	if (ftsi_game_get_number(reader, 1) != LAYOUT) reader->failed = true;
	game->next_id = ftsi_game_get_number(reader, 8);
	game->match_count = (uint32_t)ftsi_game_get_number(reader, 4);
	game->clock_count = (uint32_t)ftsi_game_get_number(reader, 4);
	game->over_first = ftsi_game_get_number(reader, 8);
	game->over_next = ftsi_game_get_number(reader, 8);
	game->time_ms = (int64_t)ftsi_game_get_number(reader, 8);
	game->lead_index = ftsi_game_get_number(reader, 8);
	game->pause_ms = ftsi_game_get_number(reader, 8);
	game->telling = ftsi_game_get_number(reader, 1) != 0;
	game->tell_due_ms = (int64_t)ftsi_game_get_number(reader, 8);
	game->tell_id = ftsi_game_get_number(reader, 8);
	game->clock_from_ms = (int64_t)ftsi_game_get_number(reader, 8);
	game->idle_from_ms = (int64_t)ftsi_game_get_number(reader, 8);
	if (reader->at != reader->end) reader->failed = true;
}

enum fts_status ftsi_game_load(struct fts_txn *txn, struct ftsi_game *out_game)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_game_reader reader;
	enum fts_status status;
	fts_key_begin(&key, FTSI_GAME_TABLE_SERVICE);
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	*out_game = (struct ftsi_game){.next_id = 1};
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_OK : status;
	reader = ftsi_game_reader_of(value.data, value.size_bytes);
	read_game(&reader, out_game);
	fts_value_release(&value);
	return reader.failed ? FTS_DATA_LOSS : FTS_OK;
}

enum fts_status ftsi_game_save(struct fts_txn *txn, const struct ftsi_game *game)
{
	struct fts_key key;
	uint8_t bytes[GAME_BYTES], *at = ftsi_game_put_number(bytes, LAYOUT, 1);
	at = ftsi_game_put_number(at, game->next_id, 8);
	at = ftsi_game_put_number(at, game->match_count, 4);
	at = ftsi_game_put_number(at, game->clock_count, 4);
	at = ftsi_game_put_number(at, game->over_first, 8);
	at = ftsi_game_put_number(at, game->over_next, 8);
	at = ftsi_game_put_number(at, (uint64_t)game->time_ms, 8);
	at = ftsi_game_put_number(at, game->lead_index, 8);
	at = ftsi_game_put_number(at, game->pause_ms, 8);
	at = ftsi_game_put_number(at, game->telling ? 1 : 0, 1);
	at = ftsi_game_put_number(at, (uint64_t)game->tell_due_ms, 8);
	at = ftsi_game_put_number(at, game->tell_id, 8);
	at = ftsi_game_put_number(at, (uint64_t)game->clock_from_ms, 8);
	at = ftsi_game_put_number(at, (uint64_t)game->idle_from_ms, 8);
	FTS_ASSERT(at == bytes + sizeof bytes);
	fts_key_begin(&key, FTSI_GAME_TABLE_SERVICE);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, sizeof bytes});
}

/* ---- Matches ---- */

static void match_key(struct fts_key *key, uint64_t id)
{
	fts_key_begin(key, FTSI_GAME_TABLE_MATCH);
	fts_key_u64(key, UINT64_MAX - id);
}

static void name_key(struct fts_key *key, const struct ftsi_match_name *name)
{
	fts_key_begin(key, FTSI_GAME_TABLE_NAME);
	fts_key_text(key, name->text, strlen(name->text));
}

static uint8_t *put_position(uint8_t *at, const struct ftsi_position *position)
{
	at = ftsi_game_put_number(at, position->ply, 2);
	at = ftsi_game_put_number(at, position->turn, 1);
	at = ftsi_game_put_number(at, position->outcome, 1);
	at = ftsi_game_put_number(at, position->winner, 1);
	for (uint32_t seat = 0; seat < FTSI_GAME_SEAT_COUNT; seat++)
		for (uint32_t word = 0; word < FTSI_GAME_CELL_WORDS; word++)
			at = ftsi_game_put_number(at, position->cells[seat][word], 8);
	return at;
}

static void read_position(struct ftsi_game_reader *reader, struct ftsi_position *position)
{
	*position = (struct ftsi_position){.ply = (uint16_t)ftsi_game_get_number(reader, 2)};
	position->turn = (uint8_t)ftsi_game_get_number(reader, 1);
	position->outcome = (uint8_t)ftsi_game_get_number(reader, 1);
	position->winner = (uint8_t)ftsi_game_get_number(reader, 1);
	for (uint32_t seat = 0; seat < FTSI_GAME_SEAT_COUNT; seat++)
		for (uint32_t word = 0; word < FTSI_GAME_CELL_WORDS; word++)
			position->cells[seat][word] = ftsi_game_get_number(reader, 8);
	if (position->turn >= FTSI_GAME_SEAT_COUNT || position->winner >= FTSI_GAME_SEAT_COUNT ||
	    position->outcome > FTSI_GAME_DRAWN)
		reader->failed = true;
}

static uint8_t *put_clock(uint8_t *at, const struct ftsi_match *match)
{
	at = ftsi_game_put_number(at, match->initial_ms, 4);
	at = ftsi_game_put_number(at, match->increment_ms, 4);
	at = ftsi_game_put_number(at, (uint64_t)match->clock_started_ms, 8);
	at = ftsi_game_put_number(at, (uint64_t)match->clock_due_ms, 8);
	at = ftsi_game_put_number(at, (uint64_t)match->idle_due_ms, 8);
	at = ftsi_game_put_number(at, match->pause_told_ms, 8);
	at = ftsi_game_put_number(at, (uint64_t)match->changed_ms, 8);
	at = ftsi_game_put_number(at, match->event_count, 8);
	return ftsi_game_put_number(at, match->move_hash, 8);
}

static void read_clock(struct ftsi_game_reader *reader, struct ftsi_match *match)
{
	match->initial_ms = (uint32_t)ftsi_game_get_number(reader, 4);
	match->increment_ms = (uint32_t)ftsi_game_get_number(reader, 4);
	match->clock_started_ms = (int64_t)ftsi_game_get_number(reader, 8);
	match->clock_due_ms = (int64_t)ftsi_game_get_number(reader, 8);
	match->idle_due_ms = (int64_t)ftsi_game_get_number(reader, 8);
	match->pause_told_ms = ftsi_game_get_number(reader, 8);
	match->changed_ms = (int64_t)ftsi_game_get_number(reader, 8);
	match->event_count = ftsi_game_get_number(reader, 8);
	match->move_hash = ftsi_game_get_number(reader, 8);
}

static uint8_t *put_match(uint8_t *at, const struct ftsi_match *match)
{
	at = ftsi_game_put_number(at, LAYOUT, 1);
	at = ftsi_game_put_number(at, match->id, 8);
	at = ftsi_game_put_text(at, match->name.text);
	at = ftsi_game_put_number(at, ftsi_game_rules_number(match->rules), 1);
	at = ftsi_game_put_number(at, match->state, 1);
	at = ftsi_game_put_number(at, match->outcome, 1);
	at = ftsi_game_put_number(at, match->reason, 1);
	at = ftsi_game_put_number(at, (uint64_t)(match->winner + 1), 1);
	at = ftsi_game_put_number(at, match->rematch_asked, 1);
	at = ftsi_game_put_text(at, match->rematch.text);
	at = ftsi_game_put_text(at, match->label);
	at = put_position(put_clock(at, match), &match->position);
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++) {
		const struct ftsi_match_seat *seat = &match->seats[i];
		at = ftsi_game_put_number(at, seat->taken ? 1 : 0, 1);
		at = ftsi_game_put_text(at, seat->name);
		at = ftsi_game_put_bytes(at, seat->token_hash, sizeof seat->token_hash);
		at = ftsi_game_put_number(at, seat->left_ms, 8);
	}
	return at;
}

static void read_rules(struct ftsi_game_reader *reader, struct ftsi_match *match)
{
	uint64_t rules = ftsi_game_get_number(reader, 1);
	if (rules >= FTSI_GAME_RULES_COUNT) reader->failed = true;
	match->rules = ftsi_game_rules_at(reader->failed ? 0 : (uint32_t)rules);
}

static bool read_match(struct fts_bytes value, struct ftsi_match *match)
{
	struct ftsi_game_reader reader = ftsi_game_reader_of(value.data, value.size_bytes);
	if (ftsi_game_get_number(&reader, 1) != LAYOUT) return false;
	match->id = ftsi_game_get_number(&reader, 8);
	ftsi_game_get_text(&reader, match->name.text, sizeof match->name.text);
	read_rules(&reader, match);
	match->state = (Fts__Game__V1__State)ftsi_game_get_number(&reader, 1);
	match->outcome = (Fts__Game__V1__Outcome)ftsi_game_get_number(&reader, 1);
	match->reason = (Fts__Game__V1__Reason)ftsi_game_get_number(&reader, 1);
	match->winner = (int32_t)ftsi_game_get_number(&reader, 1) - 1;
	match->rematch_asked = (uint32_t)ftsi_game_get_number(&reader, 1);
	ftsi_game_get_text(&reader, match->rematch.text, sizeof match->rematch.text);
	ftsi_game_get_text(&reader, match->label, sizeof match->label);
	read_clock(&reader, match);
	read_position(&reader, &match->position);
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++) {
		struct ftsi_match_seat *seat = &match->seats[i];
		seat->taken = ftsi_game_get_number(&reader, 1) != 0;
		ftsi_game_get_text(&reader, seat->name, sizeof seat->name);
		ftsi_game_get_bytes(&reader, seat->token_hash, sizeof seat->token_hash);
		seat->left_ms = ftsi_game_get_number(&reader, 8);
	}
	return !reader.failed && reader.at == reader.end;
}

enum fts_status ftsi_match_id(struct fts_txn *txn, const struct ftsi_match_name *name, uint64_t *out_id)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_game_reader reader;
	enum fts_status status;
	name_key(&key, name);
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status;
	reader = ftsi_game_reader_of(value.data, value.size_bytes);
	*out_id = ftsi_game_get_number(&reader, 8);
	fts_value_release(&value);
	return reader.failed ? FTS_DATA_LOSS : FTS_OK;
}

enum fts_status ftsi_match_load(struct fts_txn *txn, uint64_t id, struct ftsi_match *out_match)
{
	struct fts_key key;
	struct fts_value value = {0};
	bool readable;
	enum fts_status status;
	match_key(&key, id);
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status;
	readable = read_match((struct fts_bytes){value.data, value.size_bytes}, out_match);
	fts_value_release(&value);
	return readable && out_match->id == id ? FTS_OK : FTS_DATA_LOSS;
}

enum fts_status ftsi_match_find(struct fts_txn *txn, const struct ftsi_match_name *name, struct ftsi_match *out_match)
{
	uint64_t id = 0;
	enum fts_status status = ftsi_match_id(txn, name, &id);
	if (status != FTS_OK) return status;
	status = ftsi_match_load(txn, id, out_match);
	return status == FTS_NOT_FOUND ? FTS_DATA_LOSS : status; /* a name without its match */
}

enum fts_status ftsi_match_save(struct fts_txn *txn, const struct ftsi_match *match)
{
	struct fts_key key;
	uint8_t bytes[MATCH_BYTES_MAX], *end = put_match(bytes, match);
	FTS_ASSERT(end <= bytes + sizeof bytes);
	match_key(&key, match->id);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, (size_t)(end - bytes)});
}

enum fts_status ftsi_match_name_save(struct fts_txn *txn, const struct ftsi_match *match)
{
	struct fts_key key;
	uint8_t bytes[8];
	(void)ftsi_game_put_number(bytes, match->id, sizeof bytes);
	name_key(&key, &match->name);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, sizeof bytes});
}

enum fts_status ftsi_match_delete(struct fts_txn *txn, const struct ftsi_match *match)
{
	struct fts_key key;
	enum fts_status status = FTS_OK;
	for (uint64_t number = 1; number <= match->event_count && status == FTS_OK; number++) {
		ftsi_game_event_key(&key, match->id, number);
		status = fts_txn_delete(txn, fts_key_bytes(&key));
	}
	if (status != FTS_OK) return status;
	name_key(&key, &match->name);
	if ((status = fts_txn_delete(txn, fts_key_bytes(&key))) != FTS_OK) return status;
	match_key(&key, match->id);
	return fts_txn_delete(txn, fts_key_bytes(&key));
}

enum fts_status ftsi_match_scan(struct fts_txn *txn, uint64_t before_id, struct fts_cursor **out_cursor)
{
	struct fts_key prefix, from;
	fts_key_begin(&prefix, FTSI_GAME_TABLE_MATCH);
	if (before_id == 0) return fts_txn_scan(txn, fts_key_bytes(&prefix), (struct fts_bytes){0}, out_cursor);
	match_key(&from, before_id - 1);
	return fts_txn_scan(txn, fts_key_bytes(&prefix), fts_key_bytes(&from), out_cursor);
}

bool ftsi_match_next(struct fts_cursor *cursor, struct ftsi_match *out_match, bool *out_damaged)
{
	struct fts_bytes key, value;
	*out_damaged = false;
	if (!fts_cursor_next(cursor, &key, &value)) return false;
	*out_damaged = !read_match(value, out_match);
	return !*out_damaged;
}
