/* Why this file exists: tic-tac-toe: three in a row on a board of three by three. Seat 0 is X and begins.
 *
 * A cell and a move are 3 * row + column, from the top left. */
#include <string.h>

#include "game/rules.h"

enum { SIDE = 3, CELLS = SIDE * SIDE, FULL = (1 << CELLS) - 1 };

static const uint16_t lines[] = {0007, 0070, 0700, 0111, 0222, 0444, 0421, 0124};

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

static bool has_line(uint64_t stones)
{
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if ((stones & lines[i]) == lines[i]) return true;
	return false;
}

static void apply(struct ftsi_position *position, ftsi_move move)
{
	uint8_t seat = position->turn;
	ftsi_game_put(position, seat, move);
	if (has_line(position->cells[seat][0]))
		ftsi_game_win(position, seat);
	else if ((position->cells[0][0] | position->cells[1][0]) == FULL)
		ftsi_game_draw(position);
	ftsi_game_pass_turn(position);
}

static void show(const struct ftsi_position *position, char *out_text)
{
	char *at = out_text;
	memcpy(at, "  1 2 3\n", 8);
	at += 8;
	for (uint32_t row = 0; row < SIDE; row++) {
		*at++ = (char)('1' + row);
		for (uint32_t column = 0; column < SIDE; column++) {
			*at++ = ' ';
			*at++ = ftsi_game_glyph(position, SIDE * row + column);
		}
		*at++ = '\n';
	}
	*at = '\0';
}

static void print(ftsi_move move, char *out_text)
{
	out_text[0] = (char)('1' + move / SIDE);
	out_text[1] = ',';
	out_text[2] = (char)('1' + move % SIDE);
	out_text[3] = '\0';
}

static bool parse(const char *text, ftsi_move *out_move)
{
	if (strlen(text) != 3 || text[1] != ',') return false;
	if (text[0] < '1' || text[0] > '0' + SIDE || text[2] < '1' || text[2] > '0' + SIDE) return false;
	*out_move = (ftsi_move)(SIDE * (text[0] - '1') + text[2] - '1');
	return true;
}

const struct ftsi_game_rules ftsi_game_tictactoe = {
    .name = "tictactoe",
    .title = "Tic-tac-toe",
    .notation = "ROW,COLUMN from 1,1 (top left) to 3,3, as 1,2",
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
