/* Why this file exists: Watch and Record: what happened in a match, from the beginning or from where somebody left off.
 *
 * Boards are not stored: they are made by playing the match again, at most FTSI_GAME_PLY_MAX moves. */
#include <fts/game/v1/game.fts.h>

#include "game/message.h"
#include "game/service_internal.h"

enum { WATCH_COUNT_DEFAULT = 100, WATCH_COUNT_MAX = 1000 };

/* A match that is played again from its events. */
struct replay {
	struct fts_cursor *cursor; /* owned */
	const struct ftsi_match *match;
	struct ftsi_position position; /* after event */
	struct ftsi_match_event event;
};

static enum fts_status replay_open(struct fts_read *read, const struct ftsi_match *match, struct replay *out_replay)
{
	*out_replay = (struct replay){.match = match};
	match->rules->init(&out_replay->position);
	return ftsi_match_event_scan(read->view, match->id, 1, &out_replay->cursor);
}

/* The next event; *out_more false: there is none. Errors: DATA_LOSS (the events are not this match's), the store's. */
static enum fts_status replay_next(struct replay *replay, bool *out_more)
{
	bool damaged = false;
	uint64_t last = replay->event.number;
	*out_more = ftsi_match_event_next(replay->cursor, &replay->event, &damaged);
	if (damaged) return FTS_DATA_LOSS;
	if (!*out_more) return fts_cursor_status(replay->cursor);
	if (replay->event.number != last + 1) return FTS_DATA_LOSS;
	if (replay->event.kind != FTSI_MATCH_MOVED) return FTS_OK;
	if (replay->match->rules->check(&replay->position, replay->event.move) != NULL) return FTS_DATA_LOSS;
	replay->match->rules->apply(&replay->position, replay->event.move);
	return FTS_OK;
}

/* ---- Watch ---- */

static enum fts_status add_event(struct fts_read *read, const struct replay *replay,
				 Fts__Game__V1__WatchResponse *response)
{
	struct {
		struct ftsi_match_event event; /* the message borrows from it */
		struct ftsi_match_message message;
	} *kept = fts_arena_alloc(read->arena, sizeof *kept);
	if (kept == NULL) return FTS_RESOURCE_EXHAUSTED;
	kept->event = replay->event;
	ftsi_match_message_fill(replay->match, &kept->event, &replay->position, &kept->message);
	response->events[response->n_events++] = &kept->message.event;
	return FTS_OK;
}

static enum fts_status watch(struct fts_read *read, const struct ftsi_match *match, uint64_t from, uint32_t limit,
			     Fts__Game__V1__WatchResponse *response)
{
	struct replay replay;
	bool more = true;
	enum fts_status status = replay_open(read, match, &replay);
	response->events = fts_arena_alloc(read->arena, limit * sizeof(void *));
	if (status == FTS_OK && response->events == NULL) status = FTS_RESOURCE_EXHAUSTED;
	while (status == FTS_OK && response->n_events < limit) {
		if ((status = replay_next(&replay, &more)) != FTS_OK || !more) break;
		if (replay.event.number >= from) status = add_event(read, &replay, response);
	}
	fts_cursor_close(replay.cursor);
	response->next = from + response->n_events;
	response->over = match->state == FTS__GAME__V1__STATE__OVER && response->next > match->event_count;
	return status;
}

enum fts_status ftsi_game_read_watch(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
				     void *ctx)
{
	const Fts__Game__V1__WatchRequest *request = (const void *)message;
	Fts__Game__V1__WatchResponse *response = (void *)out;
	struct ftsi_match *match = fts_arena_calloc(read->arena, sizeof *match);
	uint64_t from = request->from == 0 ? 1 : request->from;
	uint32_t limit = request->limit == 0 ? WATCH_COUNT_DEFAULT : request->limit;
	enum fts_status status;
	(void)ctx;
	if (match == NULL) return ftsi_game_read_broken(read, FTS_RESOURCE_EXHAUSTED);
	if ((status = ftsi_game_read_find(read, request->match, match)) != FTS_OK) return status;
	if (from > match->event_count + 1)
		return fts_read_refuse(read, FTS_OUT_OF_RANGE, "from: match %s has %llu events", match->name.text,
				       (unsigned long long)match->event_count);
	if (from > match->event_count && request->wait && match->state != FTS__GAME__V1__STATE__OVER)
		return fts_read_wait_key(read, match->id);
	status = watch(read, match, from, limit < WATCH_COUNT_MAX ? limit : WATCH_COUNT_MAX, response);
	return status == FTS_OK ? FTS_OK : ftsi_game_read_broken(read, status);
}

/* ---- Record ---- */

static enum fts_status record_players(struct fts_read *read, const struct ftsi_match *match,
				      Fts__Game__V1__RecordResponse *response)
{
	response->players = fts_arena_alloc(read->arena, FTSI_GAME_SEAT_COUNT * sizeof(char *));
	if (response->players == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++)
		response->players[response->n_players++] = (char *)(uintptr_t)match->seats[i].name; /* only read */
	return FTS_OK;
}

static enum fts_status record_move(struct fts_read *read, const struct replay *replay,
				   Fts__Game__V1__RecordResponse *response)
{
	Fts__Game__V1__RecordMove *move = fts_arena_alloc(read->arena, sizeof *move);
	char *text = fts_arena_alloc(read->arena, FTSI_GAME_TEXT_MAX);
	if (move == NULL || text == NULL) return FTS_RESOURCE_EXHAUSTED;
	fts__game__v1__record_move__init(move);
	replay->match->rules->print(replay->event.move, text);
	move->seat = replay->event.seat;
	move->move = text;
	move->time_ms = replay->event.time_ms;
	response->moves[response->n_moves++] = move;
	return FTS_OK;
}

static enum fts_status record_moves(struct fts_read *read, const struct ftsi_match *match,
				    Fts__Game__V1__RecordResponse *response)
{
	struct replay replay;
	bool more = true;
	enum fts_status status = replay_open(read, match, &replay);
	response->moves = fts_arena_alloc(read->arena, match->position.ply * sizeof(void *));
	if (status == FTS_OK && response->moves == NULL) status = FTS_RESOURCE_EXHAUSTED;
	while (status == FTS_OK && (status = replay_next(&replay, &more)) == FTS_OK && more) {
		if (replay.event.kind != FTSI_MATCH_MOVED) continue;
		status = response->n_moves < match->position.ply ? record_move(read, &replay, response) : FTS_DATA_LOSS;
	}
	fts_cursor_close(replay.cursor);
	return status;
}

enum fts_status ftsi_game_read_record(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
				      void *ctx)
{
	const Fts__Game__V1__RecordRequest *request = (const void *)message;
	Fts__Game__V1__RecordResponse *response = (void *)out;
	struct ftsi_match *match = fts_arena_calloc(read->arena, sizeof *match);
	enum fts_status status;
	(void)ctx;
	if (match == NULL) return ftsi_game_read_broken(read, FTS_RESOURCE_EXHAUSTED);
	if ((status = ftsi_game_read_find(read, request->match, match)) != FTS_OK) return status;
	response->match = match->name.text;
	response->rules = (char *)(uintptr_t)match->rules->name; /* only read */
	response->clock = ftsi_match_clock_terms(match, read->arena);
	response->outcome = match->outcome;
	response->winner = match->winner;
	response->reason = match->reason;
	response->hash = ftsi_match_hash(match);
	response->label = match->label;
	if ((status = record_players(read, match, response)) != FTS_OK ||
	    (status = record_moves(read, match, response)) != FTS_OK)
		return ftsi_game_read_broken(read, status);
	return FTS_OK;
}
