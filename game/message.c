/* Why this file exists: see message.h. protobuf-c's structs take char * for what they only read. */
#include "game/message.h"

#include "base/assert.h"

static char *borrowed(const char *text)
{
	return (char *)(uintptr_t)text;
}

int32_t ftsi_match_turn(const struct ftsi_match *match)
{
	return match->state == FTS__GAME__V1__STATE__OVER ? -1 : match->position.turn;
}

static void show_to_all(const struct ftsi_game_rules *rules, const struct ftsi_position *position, char *out_text)
{
	struct ftsi_position seen;
	rules->view(position, -1, &seen);
	rules->show(&seen, out_text);
}

char *ftsi_match_board(const struct ftsi_game_rules *rules, const struct ftsi_position *position,
		       struct fts_arena *arena)
{
	char *board = fts_arena_alloc(arena, FTSI_GAME_BOARD_MAX);
	if (board != NULL) show_to_all(rules, position, board);
	return board;
}

/* ---- Events ---- */

static void fill_moved(const struct ftsi_match *match, const struct ftsi_match_event *event,
		       const struct ftsi_position *position, struct ftsi_match_message *out)
{
	Fts__Game__V1__Moved *moved = &out->kind.moved;
	fts__game__v1__moved__init(moved);
	match->rules->print(event->move, out->move);
	show_to_all(match->rules, position, out->board);
	moved->ply = position->ply;
	moved->seat = event->seat;
	moved->move = out->move;
	moved->outcome = (Fts__Game__V1__Outcome)match->rules->outcome(position, &moved->winner);
	moved->board = out->board;
	moved->turn = moved->outcome == FTS__GAME__V1__OUTCOME__ONGOING ? position->turn : -1;
	moved->left_ms = event->span_ms;
	out->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_MOVED;
	out->event.moved = moved;
}

static void fill_joined(const struct ftsi_match_event *event, struct ftsi_match_message *out)
{
	Fts__Game__V1__Joined *joined = &out->kind.joined;
	fts__game__v1__joined__init(joined);
	joined->seat = event->seat;
	joined->name = borrowed(event->text);
	out->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_JOINED;
	out->event.joined = joined;
}

static void fill_resigned(const struct ftsi_match_event *event, struct ftsi_match_message *out)
{
	Fts__Game__V1__Resigned *resigned = &out->kind.resigned;
	fts__game__v1__resigned__init(resigned);
	resigned->seat = event->seat;
	resigned->winner = event->seat ^ 1;
	out->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED;
	out->event.resigned = resigned;
}

static void fill_time_over(const struct ftsi_match_event *event, struct ftsi_match_message *out)
{
	Fts__Game__V1__TimeOver *time_over = &out->kind.time_over;
	fts__game__v1__time_over__init(time_over);
	time_over->seat = event->seat;
	time_over->winner = event->seat ^ 1;
	out->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER;
	out->event.time_over = time_over;
}

static void fill_rematch_asked(const struct ftsi_match_event *event, struct ftsi_match_message *out)
{
	Fts__Game__V1__RematchAsked *asked = &out->kind.rematch_asked;
	fts__game__v1__rematch_asked__init(asked);
	asked->seat = event->seat;
	asked->match = borrowed(event->text);
	out->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_REMATCH_ASKED;
	out->event.rematch_asked = asked;
}

void ftsi_match_message_fill(const struct ftsi_match *match, const struct ftsi_match_event *event,
			     const struct ftsi_position *position, struct ftsi_match_message *out_message)
{
	fts__game__v1__match_event__init(&out_message->event);
	out_message->event.match = borrowed(match->name.text);
	out_message->event.number = event->number;
	switch (event->kind) {
	case FTSI_MATCH_CREATED:
		fts__game__v1__created__init(&out_message->kind.created);
		out_message->kind.created.rules = borrowed(match->rules->name);
		out_message->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_CREATED;
		out_message->event.created = &out_message->kind.created;
		break;
	case FTSI_MATCH_JOINED:
		fill_joined(event, out_message);
		break;
	case FTSI_MATCH_MOVED:
		fill_moved(match, event, position, out_message);
		break;
	case FTSI_MATCH_RESIGNED:
		fill_resigned(event, out_message);
		break;
	case FTSI_MATCH_CLOCK_PAUSED:
		fts__game__v1__clock_paused__init(&out_message->kind.clock_paused);
		out_message->kind.clock_paused.paused_ms = event->span_ms;
		out_message->event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED;
		out_message->event.clock_paused = &out_message->kind.clock_paused;
		break;
	case FTSI_MATCH_TIME_OVER:
		fill_time_over(event, out_message);
		break;
	case FTSI_MATCH_REMATCH_ASKED:
		fill_rematch_asked(event, out_message);
		break;
	}
}

/* ---- Matches ---- */

Fts__Game__V1__ClockTerms *ftsi_match_clock_terms(const struct ftsi_match *match, struct fts_arena *arena)
{
	Fts__Game__V1__ClockTerms *terms = match->initial_ms > 0 ? fts_arena_alloc(arena, sizeof *terms) : NULL;
	if (terms == NULL) return NULL;
	fts__game__v1__clock_terms__init(terms);
	terms->initial_ms = match->initial_ms;
	terms->increment_ms = match->increment_ms;
	return terms;
}

static enum fts_status show_seats(const struct ftsi_match *match, struct fts_arena *arena,
				  Fts__Game__V1__ShowResponse *response)
{
	Fts__Game__V1__Seat *seats = fts_arena_alloc(arena, FTSI_GAME_SEAT_COUNT * sizeof *seats);
	response->seats = fts_arena_alloc(arena, FTSI_GAME_SEAT_COUNT * sizeof(void *));
	if (seats == NULL || response->seats == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++) {
		fts__game__v1__seat__init(&seats[i]);
		seats[i].name = borrowed(match->seats[i].name);
		seats[i].taken = match->seats[i].taken;
		seats[i].left_ms = match->seats[i].left_ms;
		response->seats[response->n_seats++] = &seats[i];
	}
	return FTS_OK;
}

static enum fts_status show_legal(const struct ftsi_match *match, struct fts_arena *arena,
				  Fts__Game__V1__ShowResponse *response)
{
	ftsi_move moves[FTSI_GAME_MOVE_MAX];
	uint32_t count = match->state == FTS__GAME__V1__STATE__OVER ? 0 : match->rules->legal(&match->position, moves);
	char(*texts)[FTSI_GAME_TEXT_MAX] = fts_arena_alloc(arena, count * sizeof *texts);
	response->legal = fts_arena_alloc(arena, count * sizeof(char *));
	if (texts == NULL || response->legal == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < count; i++) {
		match->rules->print(moves[i], texts[i]);
		response->legal[response->n_legal++] = texts[i];
	}
	return FTS_OK;
}

static uint64_t running_ms(const struct ftsi_match *match, int64_t game_ms)
{
	uint64_t left_ms = match->seats[match->position.turn].left_ms;
	if (!ftsi_match_clock_runs(match) || game_ms <= match->clock_started_ms) return 0;
	return (uint64_t)(game_ms - match->clock_started_ms) < left_ms ? (uint64_t)(game_ms - match->clock_started_ms)
								       : left_ms;
}

enum fts_status ftsi_match_show(const struct ftsi_match *match, bool full, int64_t game_ms, struct fts_arena *arena,
				Fts__Game__V1__ShowResponse *response)
{
	enum fts_status status;
	response->match = borrowed(match->name.text);
	response->rules = borrowed(match->rules->name);
	response->state = match->state;
	response->ply = match->position.ply;
	response->turn = ftsi_match_turn(match);
	response->outcome = match->outcome;
	response->winner = match->winner;
	response->reason = match->reason;
	response->label = borrowed(match->label);
	response->events = match->event_count;
	response->rematch = borrowed(match->rematch.text);
	response->hash = ftsi_match_hash(match);
	response->running_ms = running_ms(match, game_ms);
	response->clock = ftsi_match_clock_terms(match, arena);
	if ((status = show_seats(match, arena, response)) != FTS_OK) return status;
	if (full && (response->board = ftsi_match_board(match->rules, &match->position, arena)) == NULL)
		return FTS_RESOURCE_EXHAUSTED;
	if (full && (status = show_legal(match, arena, response)) != FTS_OK) return status;
	return fts_arena_exhausted(arena) ? FTS_RESOURCE_EXHAUSTED : FTS_OK;
}
