/* Why this file exists: connect four: a stone falls to the lowest free cell of its column; four in a row win, on a
 * board of seven columns and six rows. Seat 0 is X and begins. A move is a column, from 0.
 *
 * | a cell's bit | 7 * column + row, row 0 at the bottom; row 6 is never set |
 *
 * So a step up is one bit, right seven, diagonals eight and six, and no line runs from one column into the next.
 * Source: the bitboard of J. Tromp's Fhourstones. */
#include <string.h>

#include "game/rules.h"

enum { COLUMNS = 7, ROWS = 6, HEIGHT = ROWS + 1 };

static const uint32_t directions[] = {1, HEIGHT, HEIGHT - 1, HEIGHT + 1};

static void init(struct ftsi_position *out_position)
{
	*out_position = (struct ftsi_position){0};
}

static uint64_t stones(const struct ftsi_position *position)
{
	return position->cells[0][0] | position->cells[1][0];
}

static uint64_t column_of(const struct ftsi_position *position, ftsi_move column)
{
	return stones(position) >> (HEIGHT * column) & ((1 << ROWS) - 1);
}

static const char *check(const struct ftsi_position *position, ftsi_move move)
{
	if (position->outcome != FTSI_GAME_ONGOING) return "over";
	if (move >= COLUMNS) return "no-such-column";
	return column_of(position, move) == (1 << ROWS) - 1 ? "column-full" : NULL;
}

static uint32_t legal(const struct ftsi_position *position, ftsi_move *out_moves)
{
	uint32_t count = 0;
	for (ftsi_move move = 0; move < COLUMNS; move++)
		if (check(position, move) == NULL) out_moves[count++] = move;
	return count;
}

static bool has_four(uint64_t of)
{
	for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
		uint64_t pairs = of & (of >> directions[i]);
		if ((pairs & (pairs >> 2 * directions[i])) != 0) return true;
	}
	return false;
}

static void apply(struct ftsi_position *position, ftsi_move move)
{
	uint8_t seat = position->turn;
	uint32_t row = (uint32_t)__builtin_popcountll(column_of(position, move));
	ftsi_game_put(position, seat, (uint32_t)(HEIGHT * move) + row);
	ftsi_game_pass_turn(position);
	if (has_four(position->cells[seat][0]))
		ftsi_game_win(position, seat);
	else if (position->ply == COLUMNS * ROWS)
		ftsi_game_draw(position);
}

static void show(const struct ftsi_position *position, char *out_text)
{
	char *at = out_text;
	for (uint32_t row = ROWS; row-- > 0;) {
		for (uint32_t column = 0; column < COLUMNS; column++) {
			*at++ = ftsi_game_glyph(position, HEIGHT * column + row);
			*at++ = column + 1 < COLUMNS ? ' ' : '\n';
		}
	}
	memcpy(at, "1 2 3 4 5 6 7\n", 15);
}

static void print(ftsi_move move, char *out_text)
{
	out_text[0] = (char)('1' + move);
	out_text[1] = '\0';
}

static bool parse(const char *text, ftsi_move *out_move)
{
	if (text[0] < '1' || text[0] > '0' + COLUMNS || text[1] != '\0') return false;
	*out_move = (ftsi_move)(text[0] - '1');
	return true;
}

const struct ftsi_game_rules ftsi_game_connect4 = {
    .name = "connect4",
    .title = "Connect four",
    .notation = "COLUMN from 1 (left) to 7, as 4",
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
