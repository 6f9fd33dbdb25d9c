/* Why this file exists: matches and events as callers see them. What is filled borrows from what it is filled from.
 *
 * Invariant: what a spectator may not see is in no event. */
#ifndef FTS_GAME_MESSAGE_H
#define FTS_GAME_MESSAGE_H

#include <stdbool.h>

#include "base/arena.h"
#include "game/match.h"

/* A MatchEvent with all it points to. */
struct ftsi_match_message {
	Fts__Game__V1__MatchEvent event;
	union {
		Fts__Game__V1__Created created;
		Fts__Game__V1__Joined joined;
		Fts__Game__V1__Moved moved;
		Fts__Game__V1__Resigned resigned;
		Fts__Game__V1__ClockPaused clock_paused;
		Fts__Game__V1__TimeOver time_over;
		Fts__Game__V1__RematchAsked rematch_asked;
	} kind;
	char move[FTSI_GAME_TEXT_MAX];
	char board[FTSI_GAME_BOARD_MAX];
};

/* position: as the event left it. out_message borrows from match and event. Thread: any. */
void ftsi_match_message_fill(const struct ftsi_match *match, const struct ftsi_match_event *event,
			     const struct ftsi_position *position, struct ftsi_match_message *out_message);

/* The board as a spectator sees it, in arena. NULL: no memory. */
char *ftsi_match_board(const struct ftsi_game_rules *rules, const struct ftsi_position *position,
		       struct fts_arena *arena);
/* Seat to move; -1: over. */
int32_t ftsi_match_turn(const struct ftsi_match *match);

/* full: with board and legal moves. game_ms: game time as last known. response borrows from match.
 * Errors: RESOURCE_EXHAUSTED (arena). Thread: any. */
FTS_MUST_USE enum fts_status ftsi_match_show(const struct ftsi_match *match, bool full, int64_t game_ms,
					     struct fts_arena *arena, Fts__Game__V1__ShowResponse *response);
/* NULL: no clock, or (failed) no memory. */
Fts__Game__V1__ClockTerms *ftsi_match_clock_terms(const struct ftsi_match *match, struct fts_arena *arena);

#endif
