/* Why this file exists: reversi as Othello: a stone must turn at least one of the other's; who can't, passes; when
 * neither can, more stones win. Seat 0 is black (X) and begins. The first four stones lie as in tournaments: d4 and e5
 * white, e4 and d5 black.
 *
 * A cell is 8 * row + column from a1, the top left; a move is a cell, or PASS. Passing is a move, and legal only when
 * there is no other and the other side can still go on. So a match is at most 60 stones and 59 passes. */
#include <string.h>

#include "game/rules.h"

enum { SIDE = 8, CELLS = SIDE * SIDE, PASS = CELLS };

static const struct direction {
	int shift;     /* left: towards higher cells */
	uint64_t keep; /* cells that can be reached by it */
} directions[] = {
    {1, UINT64_C(0xFEFEFEFEFEFEFEFE)},
    {-1, UINT64_C(0x7F7F7F7F7F7F7F7F)},
    {8, UINT64_MAX},
    {-8, UINT64_MAX},
    {9, UINT64_C(0xFEFEFEFEFEFEFEFE)},
    {-9, UINT64_C(0x7F7F7F7F7F7F7F7F)},
    {7, UINT64_C(0x7F7F7F7F7F7F7F7F)},
    {-7, UINT64_C(0xFEFEFEFEFEFEFEFE)},
};

static uint64_t step(uint64_t cells, const struct direction *direction)
{
	uint64_t moved = direction->shift > 0 ? cells << direction->shift : cells >> -direction->shift;
	return moved & direction->keep;
}

/* Where `own` may put a stone against `other`. */
static uint64_t mobility(uint64_t own, uint64_t other)
{
	uint64_t moves = 0;
	for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
		uint64_t run = step(own, &directions[i]) & other;
		for (int more = 0; more < SIDE - 3; more++)
			run |= step(run, &directions[i]) & other;
		moves |= step(run, &directions[i]);
	}
	return moves & ~(own | other);
}

/* The stones of `other` that a stone of `own` on cell turns. */
static uint64_t turned(uint64_t own, uint64_t other, uint64_t cell)
{
	uint64_t all = 0;
	for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
		uint64_t run = 0, at = step(cell, &directions[i]);
		while ((at & other) != 0) {
			run |= at;
			at = step(at, &directions[i]);
		}
		if ((at & own) != 0) all |= run;
	}
	return all;
}

static uint64_t moves_of(const struct ftsi_position *position, uint8_t seat)
{
	return mobility(position->cells[seat][0], position->cells[seat ^ 1][0]);
}

static uint64_t bit(uint32_t column, uint32_t row)
{
	return UINT64_C(1) << (SIDE * row + column);
}

static void init(struct ftsi_position *out_position)
{
	*out_position = (struct ftsi_position){0};
	out_position->cells[0][0] = bit(4, 3) | bit(3, 4);
	out_position->cells[1][0] = bit(3, 3) | bit(4, 4);
}

static const char *check(const struct ftsi_position *position, ftsi_move move)
{
	uint64_t moves;
	if (position->outcome != FTSI_GAME_ONGOING) return "over";
	if (move > PASS) return "no-such-cell";
	moves = moves_of(position, position->turn);
	if (move == PASS) return moves == 0 ? NULL : "pass-with-moves-left";
	if (ftsi_game_has(position, 0, move) || ftsi_game_has(position, 1, move)) return "occupied";
	return (moves >> move & 1) != 0 ? NULL : "turns-nothing";
}

static uint32_t legal(const struct ftsi_position *position, ftsi_move *out_moves)
{
	uint32_t count = 0;
	uint64_t moves;
	if (position->outcome != FTSI_GAME_ONGOING) return 0;
	for (moves = moves_of(position, position->turn); moves != 0; moves &= moves - 1)
		out_moves[count++] = (ftsi_move)__builtin_ctzll(moves);
	if (count == 0) out_moves[count++] = PASS;
	return count;
}

static void end(struct ftsi_position *position)
{
	int black = __builtin_popcountll(position->cells[0][0]), white = __builtin_popcountll(position->cells[1][0]);
	if (black == white)
		ftsi_game_draw(position);
	else
		ftsi_game_win(position, black > white ? 0 : 1);
}

static void apply(struct ftsi_position *position, ftsi_move move)
{
	uint8_t seat = position->turn;
	uint64_t *own = &position->cells[seat][0], *other = &position->cells[seat ^ 1][0];
	ftsi_game_pass_turn(position);
	if (move == PASS) return; /* was legal, so the other side can move */
	uint64_t cell = UINT64_C(1) << move, flips = turned(*own, *other, cell);
	*own |= cell | flips;
	*other &= ~flips;
	if (mobility(*other, *own) == 0 && mobility(*own, *other) == 0) end(position);
}

static void show(const struct ftsi_position *position, char *out_text)
{
	char *at = out_text;
	memcpy(at, "  a b c d e f g h\n", 18);
	at += 18;
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
	if (move == PASS) {
		memcpy(out_text, "pass", 5);
		return;
	}
	out_text[0] = (char)('a' + move % SIDE);
	out_text[1] = (char)('1' + move / SIDE);
	out_text[2] = '\0';
}

static bool parse(const char *text, ftsi_move *out_move)
{
	uint32_t column, row;
	if (strcmp(text, "pass") == 0) {
		*out_move = PASS;
		return true;
	}
	if (!ftsi_game_parse_cell(text, SIDE, &column, &row)) return false;
	*out_move = (ftsi_move)(SIDE * row + column);
	return true;
}

const struct ftsi_game_rules ftsi_game_reversi = {
    .name = "reversi",
    .title = "Reversi (Othello)",
    .notation = "a cell from a1 (top left) to h8, as d3; or pass, when there is no other move",
    .perft_counts_ended = true,
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
