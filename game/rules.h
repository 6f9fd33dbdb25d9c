/* Why this file exists: what a game is to the rest of fts: a table of pure functions over a small fixed position. A new
 * game is one more table (rules.c lists them).
 *
 * | member  | says                                                      |
 * | init    | the first position                                        |
 * | legal   | the moves of who is to move                               |
 * | check   | which rule a move would break                             |
 * | apply   | the position after a legal move, outcome included         |
 * | outcome | whether it goes on, and who won                           |
 * | view    | what a seat (-1: a spectator) may see of a position       |
 * | show    | the position as text                                      |
 *
 * Invariants: no function allocates, reads a clock or keeps anything; the same moves give the same position on every
 * machine. A position that is over has no legal moves. Bytes of a position that no rule uses are zero, so that equal
 * positions are equal bytes. Thread: any. */
#ifndef FTS_GAME_RULES_H
#define FTS_GAME_RULES_H

#include <stdbool.h>

#include <fts/api.h>

enum {
	FTSI_GAME_SEAT_COUNT = 2,
	FTSI_GAME_CELL_WORDS = 4,
	FTSI_GAME_MOVE_MAX = 256,  /* legal moves of a position; a move is below it, too */
	FTSI_GAME_PLY_MAX = 256,   /* moves of a match */
	FTSI_GAME_TEXT_MAX = 8,    /* a printed move with its 0 */
	FTSI_GAME_BOARD_MAX = 768, /* a shown position with its 0 */
	FTSI_GAME_RULES_COUNT = 4,
};

enum ftsi_game_outcome { FTSI_GAME_ONGOING, FTSI_GAME_WON, FTSI_GAME_DRAWN };

/* Boards of two colours. */
struct ftsi_position {
	uint64_t cells[FTSI_GAME_SEAT_COUNT][FTSI_GAME_CELL_WORDS]; /* a bit a cell: the stones of each seat */
	uint16_t ply;                                               /* moves made */
	uint8_t turn;                                               /* seat to move; of whoever moved last once over */
	uint8_t outcome;                                            /* enum ftsi_game_outcome */
	uint8_t winner;                                             /* seat; 0 unless won */
	uint8_t unused[3];
};

typedef uint16_t ftsi_move; /* what it means is the rules' own */

struct ftsi_game_rules {
	const char *name;     /* as callers write it */
	const char *title;    /* for people */
	const char *notation; /* how a move is written, with an example */
	/* Published counts differ in what a game is that ended before the depth: nothing, or one leaf (Othello's). */
	bool perft_counts_ended;
	void (*init)(struct ftsi_position *out_position);
	/* Writes up to FTSI_GAME_MOVE_MAX moves, ascending; returns how many. out_moves: borrowed. */
	uint32_t (*legal)(const struct ftsi_position *position, ftsi_move *out_moves);
	/* The name of the rule that move breaks; NULL: it is legal. Static. */
	const char *(*check)(const struct ftsi_position *position, ftsi_move move);
	/* move: legal. */
	void (*apply)(struct ftsi_position *position, ftsi_move move);
	enum ftsi_game_outcome (*outcome)(const struct ftsi_position *position, int32_t *out_winner);
	void (*view)(const struct ftsi_position *position, int32_t seat, struct ftsi_position *out_view);
	/* Both write text with its 0 into FTSI_GAME_BOARD_MAX or FTSI_GAME_TEXT_MAX bytes. */
	void (*show)(const struct ftsi_position *position, char *out_text);
	void (*print)(ftsi_move move, char *out_text);
	/* False: text (borrowed) is not a move of this game, wherever the stones are. */
	bool (*parse)(const char *text, ftsi_move *out_move);
};

extern const struct ftsi_game_rules ftsi_game_tictactoe, ftsi_game_connect4, ftsi_game_reversi, ftsi_game_gomoku;

/* In the order in which they are listed. i: below FTSI_GAME_RULES_COUNT. Static. */
const struct ftsi_game_rules *ftsi_game_rules_at(uint32_t i);
/* NULL: no game of this name (borrowed). */
const struct ftsi_game_rules *ftsi_game_rules_find(const char *name);
/* Its place in the list, for what is stored. */
uint32_t ftsi_game_rules_number(const struct ftsi_game_rules *rules);

/* ---- Shared by the games ---- */

/* All of it: of games in which nothing is hidden. */
void ftsi_game_view_open(const struct ftsi_position *position, int32_t seat, struct ftsi_position *out_view);
enum ftsi_game_outcome ftsi_game_outcome_of(const struct ftsi_position *position, int32_t *out_winner);
/* The next ply: seat `turn` has moved. */
void ftsi_game_pass_turn(struct ftsi_position *position);
void ftsi_game_win(struct ftsi_position *position, uint8_t seat);
void ftsi_game_draw(struct ftsi_position *position);

static inline bool ftsi_game_has(const struct ftsi_position *position, uint32_t seat, uint32_t cell)
{
	return (position->cells[seat][cell / 64] >> (cell % 64) & 1) != 0;
}

static inline void ftsi_game_put(struct ftsi_position *position, uint32_t seat, uint32_t cell)
{
	position->cells[seat][cell / 64] |= UINT64_C(1) << (cell % 64);
}

/* 'X', 'O' or '.'. */
static inline char ftsi_game_glyph(const struct ftsi_position *position, uint32_t cell)
{
	if (ftsi_game_has(position, 0, cell)) return 'X';
	return ftsi_game_has(position, 1, cell) ? 'O' : '.';
}

/* A board of lettered columns ("d3"): where parse and print of reversi and gomoku agree. */
bool ftsi_game_parse_cell(const char *text, uint32_t size, uint32_t *out_column, uint32_t *out_row);

#endif
