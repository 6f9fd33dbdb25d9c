/* Why this file exists: one match and what may happen to it, as pure transitions: no store, no clock, no chance. What
 * they need of the world stands in struct ftsi_match_step; what they did is in it afterwards.
 *
 * | state   | join      | move, resign | rematch | clock runs |
 * | OPEN    | takes it  | not-started  | not-over | no        |
 * | PLAYING | full      | yes          | not-over | yes       |
 * | OVER    | full      | over         | yes      | no        |
 *
 * Invariants
 * - A transition that does not return OK changed nothing, and says which rule was broken: the detail begins with the
 *   rule's name and a colon.
 * - Events of a match are numbered from 1 without gaps; each change makes one at least.
 * - Clocks run on game time: the log's time without the times nobody led. The one of who is to move has run since
 *   clock_started_ms. */
#ifndef FTS_GAME_MATCH_H
#define FTS_GAME_MATCH_H

#include <fts/game/v1/game.fts.h>
#include <fts/status.h>

#include "game/rules.h"

enum {
	FTSI_MATCH_NAME_BYTES = 8,
	FTSI_MATCH_TEXT_BYTES_MAX = 64, /* names of players, labels */
	FTSI_MATCH_TOKEN_BYTES = 20,    /* as text */
	FTSI_MATCH_TOKEN_HASH_BYTES = 16,
	FTSI_MATCH_EVENT_COUNT_MAX = 1024,
	FTSI_MATCH_PAUSE_NUMBER_MAX = 512, /* no pause is told from this event on: moves need the room */
	FTSI_MATCH_CLOCK_MS_MAX = 24 * 60 * 60 * 1000,
	FTSI_MATCH_INCREMENT_MS_MAX = 60 * 60 * 1000,
	FTSI_MATCH_STEP_EVENT_MAX = 4,
};

struct ftsi_match_name {
	char text[FTSI_MATCH_NAME_BYTES + 1]; /* "": none */
};

struct ftsi_match_seat {
	bool taken;
	char name[FTSI_MATCH_TEXT_BYTES_MAX + 1];
	uint8_t token_hash[FTSI_MATCH_TOKEN_HASH_BYTES];
	uint64_t left_ms; /* of the clock as of the last move */
};

struct ftsi_match {
	uint64_t id; /* 1 is the oldest */
	struct ftsi_match_name name;
	const struct ftsi_game_rules *rules;
	Fts__Game__V1__State state;
	Fts__Game__V1__Outcome outcome;
	Fts__Game__V1__Reason reason;
	int32_t winner; /* -1: nobody */
	struct ftsi_position position;
	struct ftsi_match_seat seats[FTSI_GAME_SEAT_COUNT];
	char label[FTSI_MATCH_TEXT_BYTES_MAX + 1];
	uint32_t initial_ms, increment_ms; /* initial 0: no clock */
	int64_t clock_started_ms;          /* game time */
	int64_t clock_due_ms;   /* where it stands in the list of clocks (state.h), game time; 0: not there */
	int64_t idle_due_ms;    /* where it stands in the list of the idle (state.h), log time; 0: not there */
	uint64_t pause_told_ms; /* pauses so far, as of the last event about them */
	int64_t changed_ms;     /* log time */
	uint64_t event_count;
	uint64_t move_hash;     /* chained over rules and moves */
	uint32_t rematch_asked; /* a bit a seat */
	struct ftsi_match_name rematch;
};

enum ftsi_match_event_kind {
	FTSI_MATCH_CREATED = 1,
	FTSI_MATCH_JOINED,
	FTSI_MATCH_MOVED,
	FTSI_MATCH_RESIGNED,
	FTSI_MATCH_CLOCK_PAUSED,
	FTSI_MATCH_TIME_OVER,
	FTSI_MATCH_REMATCH_ASKED,
};

/* What is kept of an event; the rest of a MatchEvent follows from the match. */
struct ftsi_match_event {
	uint64_t number;
	enum ftsi_match_event_kind kind;
	int64_t time_ms;                          /* of the log */
	uint8_t seat;                             /* whose doing it was */
	ftsi_move move;                           /* MOVED */
	uint64_t span_ms;                         /* MOVED: left to who moved; CLOCK_PAUSED: how long */
	char text[FTSI_MATCH_TEXT_BYTES_MAX + 1]; /* JOINED: the player's name; REMATCH_ASKED: the new match, or "" */
};

struct ftsi_match_step {
	int64_t time_ms;   /* of the log */
	uint64_t pause_ms; /* all times nobody led, so far */
	struct fts_error error;
	uint32_t event_count;
	struct ftsi_match_event events[FTSI_MATCH_STEP_EVENT_MAX];
};

static inline int64_t ftsi_match_game_ms(const struct ftsi_match_step *step)
{
	return step->time_ms - (int64_t)step->pause_ms;
}

/* All errors: in step->error too. Strings and pointers: borrowed for the call. */

/* Errors: INVALID_ARGUMENT (rules, clock, label). */
FTS_MUST_USE enum fts_status ftsi_match_create(const Fts__Game__V1__CreateRequest *request,
					       struct ftsi_match_step *step, struct ftsi_match *out_match);
/* token_hash: of the new seat. Errors: INVALID_ARGUMENT (name, seat), FAILED_PRECONDITION (full, seat-taken). */
FTS_MUST_USE enum fts_status ftsi_match_join(struct ftsi_match *match, const Fts__Game__V1__JoinRequest *request,
					     const uint8_t *token_hash, struct ftsi_match_step *step,
					     uint32_t *out_seat);
/* Whose token it is; -1: nobody's. */
int32_t ftsi_match_seat_of(const struct ftsi_match *match, const uint8_t *token_hash);
/* Errors: FAILED_PRECONDITION (not-started, over, time, wrong-turn, or the game's own rule), ABORTED (stale-ply),
 * INVALID_ARGUMENT (notation). */
FTS_MUST_USE enum fts_status ftsi_match_move(struct ftsi_match *match, uint32_t seat, const char *move, uint32_t ply,
					     struct ftsi_match_step *step);
/* Errors: FAILED_PRECONDITION (not-started, over, time). */
FTS_MUST_USE enum fts_status ftsi_match_resign(struct ftsi_match *match, uint32_t seat, struct ftsi_match_step *step);
/* seat asks for another match. *out_make: both have asked now, ftsi_match_rematch_make is to follow. Asked again: OK,
 * nothing happens. Errors: FAILED_PRECONDITION (not-over). */
FTS_MUST_USE enum fts_status ftsi_match_rematch_ask(struct ftsi_match *match, uint32_t seat,
						    struct ftsi_match_step *step, bool *out_make);
/* The match after match, seats swapped, called name; it is played at once. seat: who asked last. step: of match;
 * new_step: of the new one. */
void ftsi_match_rematch_make(struct ftsi_match *match, uint32_t seat, const struct ftsi_match_name *name,
			     struct ftsi_match_step *step, struct ftsi_match *out_new,
			     struct ftsi_match_step *new_step);

/* ---- Clocks ---- */

bool ftsi_match_clock_runs(const struct ftsi_match *match);
/* When the clock that runs will have run out, game time. */
int64_t ftsi_match_clock_end_ms(const struct ftsi_match *match);
/* Tell of the pauses since it was last told. */
void ftsi_match_tell_pause(struct ftsi_match *match, struct ftsi_match_step *step);
/* The clock that runs has run out: its side has lost. */
void ftsi_match_time_over(struct ftsi_match *match, struct ftsi_match_step *step);

/* When it will have been left alone for so long that it is forgotten, log time: an open one after a day, one that is
 * played after a month. */
int64_t ftsi_match_idle_end_ms(const struct ftsi_match *match);

/* ---- The hash of a match: over rules, seats and moves ---- */

uint64_t ftsi_match_hash_start(const struct ftsi_game_rules *rules);
uint64_t ftsi_match_hash_move(uint64_t before, uint32_t ply, uint32_t seat, ftsi_move move);
/* names: of seats, "" where nobody sits. */
uint64_t ftsi_match_hash_end(uint64_t moves, const char *const names[FTSI_GAME_SEAT_COUNT]);
uint64_t ftsi_match_hash(const struct ftsi_match *match);

/* Whether text is UTF-8 (RFC 3629) of at most FTSI_MATCH_TEXT_BYTES_MAX bytes without control characters. */
bool ftsi_match_text_valid(const char *text);

#endif
