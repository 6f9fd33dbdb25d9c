/* Why this file exists: gomoku, freestyle, on a board of fifteen by fifteen: five in a row or more win, for both sides
 * alike, and nothing is forbidden. Seat 0 is black (X) and begins. A match is at most 225 moves.
 *
 * A cell and a move are 15 * row + column from a1, the bottom left, so h8 is the middle. */
#include <string.h>

#include "game/rules.h"

enum { SIDE = 15, CELLS = SIDE * SIDE, WIN = 5 };

static void init(struct ftsi_position *out_position)
{
	*out_position = (struct ftsi_position){0};
}

static const char *check(const struct ftsi_position *position, ftsi_move move)
{
	if (position->outcome != FTSI_GAME_ONGOING) return "over";
	if (move >= CELLS) return "no-such-cell";
	return ftsi_game_has(position, 0, move) || ftsi_game_has(position, 1, move) ? "occupied" : NULL;
}

static uint32_t legal(const struct ftsi_position *position, ftsi_move *out_moves)
{
	uint32_t count = 0;
	for (ftsi_move move = 0; move < CELLS; move++)
		if (check(position, move) == NULL) out_moves[count++] = move;
	return count;
}

/* Stones of seat in one direction from a cell, the cell itself left out. */
static int run(const struct ftsi_position *position, uint8_t seat, ftsi_move from, int across, int up)
{
	int length = 0, column = from % SIDE + across, row = from / SIDE + up;
	while (column >= 0 && column < SIDE && row >= 0 && row < SIDE &&
	       ftsi_game_has(position, seat, (uint32_t)(SIDE * row + column))) {
		length++;
		column += across;
		row += up;
	}
	return length;
}

static bool wins(const struct ftsi_position *position, uint8_t seat, ftsi_move move)
{
	static const int directions[][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};
	for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
		int across = directions[i][0], up = directions[i][1];
		if (1 + run(position, seat, move, across, up) + run(position, seat, move, -across, -up) >= WIN)
			return true;
	}
	return false;
}

static void apply(struct ftsi_position *position, ftsi_move move)
{
	uint8_t seat = position->turn;
	ftsi_game_put(position, seat, move);
	ftsi_game_pass_turn(position);
	if (wins(position, seat, move))
		ftsi_game_win(position, seat);
	else if (position->ply == CELLS)
		ftsi_game_draw(position);
}

static void show(const struct ftsi_position *position, char *out_text)
{
	char *at = out_text;
	for (uint32_t row = SIDE; row-- > 0;) {
		*at++ = row + 1 < 10 ? ' ' : '1';
		*at++ = (char)('0' + (row + 1) % 10);
		for (uint32_t column = 0; column < SIDE; column++) {
			*at++ = ' ';
			*at++ = ftsi_game_glyph(position, SIDE * row + column);
		}
		*at++ = '\n';
	}
	memcpy(at, "   a b c d e f g h i j k l m n o\n", 34);
}

static void print(ftsi_move move, char *out_text)
{
	uint32_t row = move / SIDE + 1;
	*out_text++ = (char)('a' + move % SIDE);
	if (row >= 10) *out_text++ = '1';
	*out_text++ = (char)('0' + row % 10);
	*out_text = '\0';
}

static bool parse(const char *text, ftsi_move *out_move)
{
	uint32_t column, row;
	if (!ftsi_game_parse_cell(text, SIDE, &column, &row)) return false;
	*out_move = (ftsi_move)(SIDE * row + column);
	return true;
}

const struct ftsi_game_rules ftsi_game_gomoku = {
    .name = "gomoku",
    .title = "Gomoku (freestyle, 15 by 15)",
    .notation = "a cell from a1 (bottom left) to o15, as h8",
    .init = init,
    .legal = legal,
    .check = check,
    .apply = apply,
    .outcome = ftsi_game_outcome_of,
    .view = ftsi_game_view_open,
    .show = show,
    .print = print,
    .parse = parse,
};
