/* Why this file exists: matches, events and records as people and scripts read them, told in one way by all `game`
 * commands.
 *
 * Invariant: names and labels are other people's: nothing of theirs reaches a terminal or JSON unless ftsi_game_clean
 * has looked at it. */
#ifndef FTSI_GAME_TEXT_H
#define FTSI_GAME_TEXT_H

#include <jansson.h>

#include "client/cli/command.h"
#include "fts/game/v1/game.fts.h"

#define FTSI_GAME_TEXT_MAX 256u /* bytes of a name or a label, with the 0 */
#define FTSI_GAME_SENTENCE_BYTES 512u
#define FTSI_GAME_BOARD_BYTES 4096u

const char *ftsi_game_state(Fts__Game__V1__State state);
const char *ftsi_game_outcome(Fts__Game__V1__Outcome outcome);
const char *ftsi_game_reason(Fts__Game__V1__Reason reason);

/* text (borrowed) without control characters, and '?' for all of it when it is not UTF-8; cut at FTSI_GAME_TEXT_MAX.
 * buf: borrowed, FTSI_GAME_TEXT_MAX. Returns buf. Thread: any. */
const char *ftsi_game_clean(char *buf, const char *text);

/* A board keeps its line ends. buf: borrowed. Returns buf. Thread: any. */
const char *ftsi_game_clean_board(char *buf, size_t size_bytes, const char *board);

/* text (borrowed), cleaned. Returned. */
json_t *ftsi_game_text_json(const char *text);
json_t *ftsi_game_board_json(const char *board);
/* A seat, or null for -1. Returned. */
json_t *ftsi_game_seat_json(int32_t seat);

/* Where a match stands; without board and legal when it is a row of a list. Returned. */
json_t *ftsi_match_json(const Fts__Game__V1__ShowResponse *match, bool is_row);
void ftsi_match_print(const Fts__Game__V1__ShowResponse *match);

/* Who won and why, or whose turn it is, as a sentence without a full stop. buf: borrowed. Returns buf. Thread: any. */
const char *ftsi_match_sentence(char *buf, size_t size_bytes, const Fts__Game__V1__ShowResponse *match);

/* {"match":…,"number":…,"event":"moved",…}. Returned. */
json_t *ftsi_match_event_json(const Fts__Game__V1__MatchEvent *event);
/* Whose doing it was; -1: nobody's. Thread: any. */
int32_t ftsi_match_event_seat(const Fts__Game__V1__MatchEvent *event);
/* The same as a sentence. who: cleaned name of that seat, borrowed. buf: borrowed, FTSI_GAME_SENTENCE_BYTES.
 * Returns buf. Thread: any. */
const char *ftsi_match_event_text(char *buf, const Fts__Game__V1__MatchEvent *event, const char *who);

/* "4:59", "1:02:03"; below ten seconds with tenths. buf: borrowed, 16 bytes. Returns buf. Thread: any. */
const char *ftsi_game_clock_text(char *buf, uint64_t left_ms);

#endif
