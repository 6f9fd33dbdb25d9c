/* Why this file exists: see state.h: the events of a match. What follows from the match itself (boards, outcomes) is
 * not kept, so that an event is some 20 bytes.
 *
 * | size | an event                         |
 * | 1    | kind                             |
 * | 1    | seat                             |
 * | 8    | time of the log, ms              |
 * | 2, 8 | MOVED: move, ms left             |
 * | 8    | CLOCK_PAUSED: ms                 |
 * | 1+n  | JOINED, REMATCH_ASKED: the text  |
 */
#include "base/assert.h"
#include "game/bytes.h"
#include "game/state.h"
#include "game/state_keys.h"

enum { EVENT_BYTES_MAX = 20 + FTSI_MATCH_TEXT_BYTES_MAX };

static uint8_t *put_event(uint8_t *at, const struct ftsi_match_event *event)
{
	at = ftsi_game_put_number(at, event->kind, 1);
	at = ftsi_game_put_number(at, event->seat, 1);
	at = ftsi_game_put_number(at, (uint64_t)event->time_ms, 8);
	if (event->kind == FTSI_MATCH_MOVED) at = ftsi_game_put_number(at, event->move, 2);
	if (event->kind == FTSI_MATCH_MOVED || event->kind == FTSI_MATCH_CLOCK_PAUSED)
		at = ftsi_game_put_number(at, event->span_ms, 8);
	if (event->kind == FTSI_MATCH_JOINED || event->kind == FTSI_MATCH_REMATCH_ASKED)
		at = ftsi_game_put_text(at, event->text);
	return at;
}

static bool read_event(struct fts_bytes value, struct ftsi_match_event *event)
{
	struct ftsi_game_reader reader = ftsi_game_reader_of(value.data, value.size_bytes);
	event->kind = (enum ftsi_match_event_kind)ftsi_game_get_number(&reader, 1);
	event->seat = (uint8_t)ftsi_game_get_number(&reader, 1);
	event->time_ms = (int64_t)ftsi_game_get_number(&reader, 8);
	if (event->kind == FTSI_MATCH_MOVED) event->move = (ftsi_move)ftsi_game_get_number(&reader, 2);
	if (event->kind == FTSI_MATCH_MOVED || event->kind == FTSI_MATCH_CLOCK_PAUSED)
		event->span_ms = ftsi_game_get_number(&reader, 8);
	if (event->kind == FTSI_MATCH_JOINED || event->kind == FTSI_MATCH_REMATCH_ASKED)
		ftsi_game_get_text(&reader, event->text, sizeof event->text);
	return !reader.failed && reader.at == reader.end && event->seat < FTSI_GAME_SEAT_COUNT;
}

enum fts_status ftsi_match_event_save(struct fts_txn *txn, uint64_t id, const struct ftsi_match_event *event)
{
	struct fts_key key;
	uint8_t bytes[EVENT_BYTES_MAX], *end = put_event(bytes, event);
	FTS_ASSERT(end <= bytes + sizeof bytes);
	ftsi_game_event_key(&key, id, event->number);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, (size_t)(end - bytes)});
}

enum fts_status ftsi_match_event_scan(struct fts_txn *txn, uint64_t id, uint64_t from, struct fts_cursor **out_cursor)
{
	struct fts_key prefix, first;
	fts_key_begin(&prefix, FTSI_GAME_TABLE_EVENT);
	fts_key_u64(&prefix, id);
	ftsi_game_event_key(&first, id, from);
	return fts_txn_scan(txn, fts_key_bytes(&prefix), fts_key_bytes(&first), out_cursor);
}

bool ftsi_match_event_next(struct fts_cursor *cursor, struct ftsi_match_event *out_event, bool *out_damaged)
{
	struct fts_bytes key, value;
	*out_event = (struct ftsi_match_event){0};
	*out_damaged = false;
	if (!fts_cursor_next(cursor, &key, &value)) return false;
	*out_damaged = key.size_bytes < 8 || !read_event(value, out_event);
	if (*out_damaged) return false;
	struct ftsi_game_reader reader = ftsi_game_reader_of(key.data + key.size_bytes - 8, 8);
	out_event->number = ftsi_game_get_number(&reader, 8);
	return true;
}
