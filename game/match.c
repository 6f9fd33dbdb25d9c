/* Why this file exists: see match.h. */
#include "game/match.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "game/bytes.h"

static struct ftsi_match_event *add_event(struct ftsi_match *match, struct ftsi_match_step *step,
					  enum ftsi_match_event_kind kind, uint32_t seat)
{
	FTS_ASSERT(step->event_count < FTSI_MATCH_STEP_EVENT_MAX && match->event_count < FTSI_MATCH_EVENT_COUNT_MAX);
	struct ftsi_match_event *event = &step->events[step->event_count++];
	*event = (struct ftsi_match_event){
	    .number = ++match->event_count, .kind = kind, .time_ms = step->time_ms, .seat = (uint8_t)seat};
	match->changed_ms = step->time_ms;
	return event;
}

/* ---- The hash ---- */

uint64_t ftsi_match_hash_start(const struct ftsi_game_rules *rules)
{
	return fts_hash64((struct fts_bytes){(const uint8_t *)rules->name, strlen(rules->name)}, 0);
}

uint64_t ftsi_match_hash_move(uint64_t before, uint32_t ply, uint32_t seat, ftsi_move move)
{
	uint8_t bytes[7], *at = ftsi_game_put_number(bytes, ply, 4);
	at = ftsi_game_put_number(at, seat, 1);
	at = ftsi_game_put_number(at, move, 2);
	FTS_ASSERT(at == bytes + sizeof bytes);
	return fts_hash64((struct fts_bytes){bytes, sizeof bytes}, before);
}

uint64_t ftsi_match_hash_end(uint64_t moves, const char *const names[FTSI_GAME_SEAT_COUNT])
{
	for (uint32_t seat = 0; seat < FTSI_GAME_SEAT_COUNT; seat++)
		moves = fts_hash64((struct fts_bytes){(const uint8_t *)names[seat], strlen(names[seat])}, moves);
	return moves;
}

uint64_t ftsi_match_hash(const struct ftsi_match *match)
{
	const char *const names[FTSI_GAME_SEAT_COUNT] = {match->seats[0].name, match->seats[1].name};
	return ftsi_match_hash_end(match->move_hash, names);
}

/* ---- Create and join ---- */

static enum fts_status refuse_terms(const Fts__Game__V1__CreateRequest *request, struct ftsi_match_step *step)
{
	const Fts__Game__V1__ClockTerms *clock = request->clock;
	if (!ftsi_match_text_valid(request->label))
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT,
				     "label: is at most %d bytes of UTF-8 without control characters",
				     FTSI_MATCH_TEXT_BYTES_MAX);
	if (clock == NULL) return FTS_OK;
	if (clock->initial_ms > FTSI_MATCH_CLOCK_MS_MAX || clock->increment_ms > FTSI_MATCH_INCREMENT_MS_MAX)
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT,
				     "clock: at most 24 hours, and an hour added after each move");
	if (clock->initial_ms == 0 && clock->increment_ms != 0)
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT, "clock: an increment needs an initial time");
	return FTS_OK;
}

static void begin(struct ftsi_match *match, const struct ftsi_game_rules *rules, uint32_t initial_ms,
		  uint32_t increment_ms)
{
	*match = (struct ftsi_match){.rules = rules,
				     .state = FTS__GAME__V1__STATE__OPEN,
				     .winner = -1,
				     .initial_ms = initial_ms,
				     .increment_ms = increment_ms,
				     .move_hash = ftsi_match_hash_start(rules)};
	rules->init(&match->position);
}

enum fts_status ftsi_match_create(const Fts__Game__V1__CreateRequest *request, struct ftsi_match_step *step,
				  struct ftsi_match *out_match)
{
	const struct ftsi_game_rules *rules = ftsi_game_rules_find(request->rules);
	enum fts_status status;
	if (rules == NULL)
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT,
				     "rules: there is no such game; ask Rules for those there are");
	if ((status = refuse_terms(request, step)) != FTS_OK) return status;
	begin(out_match, rules, request->clock != NULL ? request->clock->initial_ms : 0,
	      request->clock != NULL ? request->clock->increment_ms : 0);
	memcpy(out_match->label, request->label, strlen(request->label) + 1);
	(void)add_event(out_match, step, FTSI_MATCH_CREATED, 0);
	return FTS_OK;
}

static void sit(struct ftsi_match *match, uint32_t number, const char *name, const uint8_t *token_hash,
		struct ftsi_match_step *step)
{
	struct ftsi_match_seat *seat = &match->seats[number];
	struct ftsi_match_event *event = add_event(match, step, FTSI_MATCH_JOINED, number);
	seat->taken = true;
	seat->left_ms = match->initial_ms;
	memcpy(seat->token_hash, token_hash, sizeof seat->token_hash);
	memcpy(seat->name, name, strlen(name) + 1);
	memcpy(event->text, name, strlen(name) + 1);
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++)
		if (!match->seats[i].taken) return;
	match->state = FTS__GAME__V1__STATE__PLAYING;
	match->clock_started_ms = ftsi_match_game_ms(step);
	match->pause_told_ms = step->pause_ms;
}

/* The seat a request is for; FTSI_GAME_SEAT_COUNT: none. */
static uint32_t free_seat(const struct ftsi_match *match, uint32_t wanted)
{
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++)
		if (!match->seats[i].taken && (wanted == 0 || wanted == i + 1)) return i;
	return FTSI_GAME_SEAT_COUNT;
}

enum fts_status ftsi_match_join(struct ftsi_match *match, const Fts__Game__V1__JoinRequest *request,
				const uint8_t *token_hash, struct ftsi_match_step *step, uint32_t *out_seat)
{
	char name[FTSI_MATCH_TEXT_BYTES_MAX + 1];
	uint32_t seat = free_seat(match, request->seat);
	if (!ftsi_match_text_valid(request->name))
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT,
				     "name: is at most %d bytes of UTF-8 without control characters",
				     FTSI_MATCH_TEXT_BYTES_MAX);
	if (request->seat > FTSI_GAME_SEAT_COUNT)
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT, "seat: there are seats 0 and 1");
	if (match->state != FTS__GAME__V1__STATE__OPEN)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "full: both seats of match %s are taken",
				     match->name.text);
	if (seat == FTSI_GAME_SEAT_COUNT)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "seat-taken: seat %u of match %s is taken",
				     request->seat - 1, match->name.text);
	(void)snprintf(name, sizeof name, "%s", request->name);
	if (name[0] == '\0') (void)snprintf(name, sizeof name, "player %u", seat + 1);
	sit(match, seat, name, token_hash, step);
	*out_seat = seat;
	return FTS_OK;
}

int32_t ftsi_match_seat_of(const struct ftsi_match *match, const uint8_t *token_hash)
{
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++)
		if (match->seats[i].taken &&
		    memcmp(match->seats[i].token_hash, token_hash, FTSI_MATCH_TOKEN_HASH_BYTES) == 0)
			return (int32_t)i;
	return -1;
}

/* ---- Clocks ---- */

bool ftsi_match_clock_runs(const struct ftsi_match *match)
{
	return match->initial_ms > 0 && match->state == FTS__GAME__V1__STATE__PLAYING;
}

int64_t ftsi_match_clock_end_ms(const struct ftsi_match *match)
{
	return match->clock_started_ms + (int64_t)match->seats[match->position.turn].left_ms;
}

static uint64_t clock_left_ms(const struct ftsi_match *match, const struct ftsi_match_step *step)
{
	int64_t left_ms = ftsi_match_clock_end_ms(match) - ftsi_match_game_ms(step);
	return left_ms > 0 ? (uint64_t)left_ms : 0;
}

/* Take what was used off the clock that runs. */
static void stop_clock(struct ftsi_match *match, const struct ftsi_match_step *step)
{
	if (ftsi_match_clock_runs(match)) match->seats[match->position.turn].left_ms = clock_left_ms(match, step);
}

void ftsi_match_tell_pause(struct ftsi_match *match, struct ftsi_match_step *step)
{
	uint64_t paused_ms = step->pause_ms - match->pause_told_ms;
	if (!ftsi_match_clock_runs(match) || paused_ms == 0) return;
	match->pause_told_ms = step->pause_ms;
	if (match->event_count >= FTSI_MATCH_PAUSE_NUMBER_MAX) return;
	add_event(match, step, FTSI_MATCH_CLOCK_PAUSED, match->position.turn)->span_ms = paused_ms;
}

static void end(struct ftsi_match *match, Fts__Game__V1__Outcome outcome, int32_t winner, Fts__Game__V1__Reason reason)
{
	match->state = FTS__GAME__V1__STATE__OVER;
	match->outcome = outcome;
	match->winner = winner;
	match->reason = reason;
}

void ftsi_match_time_over(struct ftsi_match *match, struct ftsi_match_step *step)
{
	uint32_t loser = match->position.turn;
	FTS_ASSERT(ftsi_match_clock_runs(match));
	(void)add_event(match, step, FTSI_MATCH_TIME_OVER, loser);
	match->seats[loser].left_ms = 0;
	end(match, FTS__GAME__V1__OUTCOME__WON, (int32_t)(loser ^ 1), FTS__GAME__V1__REASON__TIME);
}

int64_t ftsi_match_idle_end_ms(const struct ftsi_match *match)
{
	const int64_t day_ms = 86400000;
	return match->changed_ms + (match->state == FTS__GAME__V1__STATE__OPEN ? day_ms : 30 * day_ms);
}

/* ---- Moves ---- */

/* A match in which something may be done now. */
static enum fts_status refuse_idle(const struct ftsi_match *match, struct ftsi_match_step *step)
{
	if (match->state == FTS__GAME__V1__STATE__OPEN)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION,
				     "not-started: match %s waits for another player", match->name.text);
	if (match->state == FTS__GAME__V1__STATE__OVER)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "over: match %s has ended",
				     match->name.text);
	if (ftsi_match_clock_runs(match) && clock_left_ms(match, step) == 0)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "time: the clock of seat %u has run out",
				     match->position.turn);
	return FTS_OK;
}

static enum fts_status refuse_move(const struct ftsi_match *match, uint32_t seat, const char *text, uint32_t ply,
				   struct ftsi_match_step *step, ftsi_move *out_move)
{
	const struct ftsi_position *position = &match->position;
	const char *rule;
	enum fts_status status = refuse_idle(match, step);
	if (status != FTS_OK) return status;
	if (ply != 0 && ply != position->ply + 1u)
		return fts_error_set(&step->error, FTS_ABORTED,
				     "stale-ply: move %u was expected to be the next, but %u have been made", ply,
				     position->ply);
	if (position->turn != seat)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "wrong-turn: seat %u is to move",
				     position->turn);
	if (!match->rules->parse(text, out_move))
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT, "notation: a move of %s is %s",
				     match->rules->name, match->rules->notation);
	rule = match->rules->check(position, *out_move);
	if (rule != NULL)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "%s: %s is not a legal move now", rule,
				     text);
	return FTS_OK;
}

static void make_move(struct ftsi_match *match, uint32_t seat, ftsi_move move, struct ftsi_match_step *step)
{
	struct ftsi_match_event *event = add_event(match, step, FTSI_MATCH_MOVED, seat);
	enum ftsi_game_outcome outcome;
	int32_t winner;
	stop_clock(match, step);
	match->rules->apply(&match->position, move);
	FTS_ASSERT(match->position.ply <= FTSI_GAME_PLY_MAX);
	match->move_hash = ftsi_match_hash_move(match->move_hash, match->position.ply, seat, move);
	outcome = match->rules->outcome(&match->position, &winner);
	if (outcome != FTSI_GAME_ONGOING)
		end(match, (Fts__Game__V1__Outcome)outcome, winner, FTS__GAME__V1__REASON__BOARD);
	if (match->initial_ms > 0) match->seats[seat].left_ms += match->increment_ms;
	match->clock_started_ms = ftsi_match_game_ms(step);
	event->move = move;
	event->span_ms = match->seats[seat].left_ms;
}

enum fts_status ftsi_match_move(struct ftsi_match *match, uint32_t seat, const char *move, uint32_t ply,
				struct ftsi_match_step *step)
{
	ftsi_move parsed = 0;
	enum fts_status status = refuse_move(match, seat, move, ply, step, &parsed);
	if (status != FTS_OK) return status;
	ftsi_match_tell_pause(match, step);
	make_move(match, seat, parsed, step);
	return FTS_OK;
}

enum fts_status ftsi_match_resign(struct ftsi_match *match, uint32_t seat, struct ftsi_match_step *step)
{
	enum fts_status status = refuse_idle(match, step);
	if (status != FTS_OK) return status;
	ftsi_match_tell_pause(match, step);
	(void)add_event(match, step, FTSI_MATCH_RESIGNED, seat);
	stop_clock(match, step);
	end(match, FTS__GAME__V1__OUTCOME__WON, (int32_t)(seat ^ 1), FTS__GAME__V1__REASON__RESIGNED);
	return FTS_OK;
}

/* ---- Rematch ---- */

enum fts_status ftsi_match_rematch_ask(struct ftsi_match *match, uint32_t seat, struct ftsi_match_step *step,
				       bool *out_make)
{
	const uint32_t both = (1u << FTSI_GAME_SEAT_COUNT) - 1;
	*out_make = false;
	if (match->state != FTS__GAME__V1__STATE__OVER)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "not-over: match %s has not ended",
				     match->name.text);
	if ((match->rematch_asked >> seat & 1) != 0) return FTS_OK;
	match->rematch_asked |= 1u << seat;
	*out_make = match->rematch_asked == both;
	if (!*out_make) (void)add_event(match, step, FTSI_MATCH_REMATCH_ASKED, seat);
	return FTS_OK;
}

void ftsi_match_rematch_make(struct ftsi_match *match, uint32_t seat, const struct ftsi_match_name *name,
			     struct ftsi_match_step *step, struct ftsi_match *out_new, struct ftsi_match_step *new_step)
{
	struct ftsi_match_event *event = add_event(match, step, FTSI_MATCH_REMATCH_ASKED, seat);
	memcpy(event->text, name->text, sizeof name->text);
	match->rematch = *name;
	begin(out_new, match->rules, match->initial_ms, match->increment_ms);
	memcpy(out_new->label, match->label, sizeof out_new->label);
	out_new->name = *name;
	(void)add_event(out_new, new_step, FTSI_MATCH_CREATED, 0);
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++) {
		const struct ftsi_match_seat *old = &match->seats[FTSI_GAME_SEAT_COUNT - 1 - i];
		sit(out_new, i, old->name, old->token_hash, new_step);
	}
}
