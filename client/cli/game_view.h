/* Why this file exists: a match as one who plays or looks on knows it: what its events said, put in order, and what
 * Show said on top. Pure: time is an argument.
 *
 * Invariants: events are applied once each, in the order of their numbers; a Show that is older than what events said
 * is not taken; every text in here is clean (game_text.h). */
#ifndef FTSI_GAME_VIEW_H
#define FTSI_GAME_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/game_follow.h"
#include "client/cli/game_text.h"

#define FTSI_VIEW_SEATS_MAX 8u
#define FTSI_VIEW_MOVE_BYTES 16u
#define FTSI_VIEW_MOVES_MAX 1024u
#define FTSI_VIEW_LEGAL_MAX 512u
#define FTSI_VIEW_NEWS_MAX 16u
#define FTSI_VIEW_NEWS_BYTES FTSI_GAME_SENTENCE_BYTES
#define FTSI_VIEW_MARK_BYTES 8u
#define FTSI_VIEW_NO_MARK UINT32_MAX

struct ftsi_view_seat {
	char name[FTSI_GAME_TEXT_MAX]; /* never empty: "seat 0" until somebody sits there */
	bool is_taken;
	uint64_t left_ms;
	char mark[FTSI_VIEW_MARK_BYTES]; /* its piece on the board, one character; "" : not known */
};

struct ftsi_view_move {
	int32_t seat;
	char move[FTSI_VIEW_MOVE_BYTES];
};

struct ftsi_view {
	char match[FTSI_GAME_TEXT_MAX];
	char rules[FTSI_GAME_TEXT_MAX];
	char label[FTSI_GAME_TEXT_MAX];
	char rematch[FTSI_GAME_TEXT_MAX]; /* "" : none */
	Fts__Game__V1__State state;
	Fts__Game__V1__Outcome outcome;
	Fts__Game__V1__Reason reason;
	int32_t winner; /* -1: nobody */
	int32_t turn;   /* -1: nobody's */
	int32_t you;    /* your seat; -1: you look on */
	uint32_t ply;
	uint64_t event_count; /* applied */
	uint64_t shown_count; /* events that the last Show taken had */

	char board[FTSI_GAME_BOARD_BYTES];
	uint32_t last_at; /* place of the last move on it, in characters; FTSI_VIEW_NO_MARK: not known */
	struct ftsi_view_seat seats[FTSI_VIEW_SEATS_MAX];
	uint32_t seat_count;
	struct ftsi_view_move moves[FTSI_VIEW_MOVES_MAX]; /* by ply - 1 */
	uint32_t move_count;
	char legal[FTSI_VIEW_LEGAL_MAX][FTSI_VIEW_MOVE_BYTES]; /* of who is to move; may be none while not known */
	uint32_t legal_count;

	/* The clock of who is to move had run for running_ms at running_ns. */
	bool has_clock;
	uint64_t running_ms;
	uint64_t running_ns;

	enum ftsi_follow_link link;
	char node[64];      /* that answers */
	char lost_node[64]; /* that does not any more */
	uint64_t link_ns;   /* since when it is as it is */

	char news[FTSI_VIEW_NEWS_MAX]
		 [FTSI_VIEW_NEWS_BYTES]; /* ring: the i-th of all stands at i % FTSI_VIEW_NEWS_MAX */
	uint32_t news_count;             /* of all */
};

/* Of another match: news, link and you stay. match: borrowed. */
void ftsi_view_reset(struct ftsi_view *view, const char *match);

/* The next event (borrowed). Telling it as news is part of it. */
void ftsi_view_apply(struct ftsi_view *view, const Fts__Game__V1__MatchEvent *event, uint64_t now_ns);
/* What Show said (borrowed). */
void ftsi_view_show(struct ftsi_view *view, const Fts__Game__V1__ShowResponse *show, uint64_t now_ns);
/* The link to the nodes has changed; node: borrowed, as of ftsi_follow_observer. */
void ftsi_view_link(struct ftsi_view *view, enum ftsi_follow_link link, const char *node, uint64_t now_ns);

/* A line of news. */
void ftsi_view_tell(struct ftsi_view *view, const char *format, ...) FTS_PRINTF(2, 3);

/* Left on the clock of seat. It stands still while nobody answers who knows. */
uint64_t ftsi_view_left_ms(const struct ftsi_view *view, uint32_t seat, uint64_t now_ns);
bool ftsi_view_clock_runs(const struct ftsi_view *view);

/* How the match stands, to whoever looks: "your turn", "ada is to move", "bob has won". buf: borrowed. Returns buf. */
const char *ftsi_view_sentence(char *buf, size_t size_bytes, const struct ftsi_view *view);

/* The place where `after` has a piece and `before` (both borrowed) had none, in characters, and the piece itself into
 * out_mark (FTSI_VIEW_MARK_BYTES); FTSI_VIEW_NO_MARK when boards differ otherwise. A board's lay-out is the rules'
 * affair: looking at what has changed works for all of them. */
uint32_t ftsi_board_placed(const char *before, const char *after, char *out_mark);

#endif
