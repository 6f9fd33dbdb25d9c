/* Why this file exists: the list of games, and what they share. */
#include "game/rules.h"

#include <string.h>

#include "base/assert.h"

/* Stored matches hold a game's place in this list: append only. */
static const struct ftsi_game_rules *const all[FTSI_GAME_RULES_COUNT] = {
    &ftsi_game_tictactoe,
    &ftsi_game_connect4,
    &ftsi_game_reversi,
    &ftsi_game_gomoku,
};

const struct ftsi_game_rules *ftsi_game_rules_at(uint32_t i)
{
	FTS_ASSERT(i < FTSI_GAME_RULES_COUNT);
	return all[i];
}

const struct ftsi_game_rules *ftsi_game_rules_find(const char *name)
{
	for (uint32_t i = 0; i < FTSI_GAME_RULES_COUNT; i++)
		if (strcmp(all[i]->name, name) == 0) return all[i];
	return NULL;
}

uint32_t ftsi_game_rules_number(const struct ftsi_game_rules *rules)
{
	uint32_t i = 0;
	while (i < FTSI_GAME_RULES_COUNT && all[i] != rules)
		i++;
	FTS_ASSERT(i < FTSI_GAME_RULES_COUNT);
	return i;
}

void ftsi_game_view_open(const struct ftsi_position *position, int32_t seat, struct ftsi_position *out_view)
{
	(void)seat;
	*out_view = *position;
}

enum ftsi_game_outcome ftsi_game_outcome_of(const struct ftsi_position *position, int32_t *out_winner)
{
	*out_winner = position->outcome == FTSI_GAME_WON ? position->winner : -1;
	return (enum ftsi_game_outcome)position->outcome;
}

void ftsi_game_pass_turn(struct ftsi_position *position)
{
	position->ply++;
	position->turn ^= 1;
}

void ftsi_game_win(struct ftsi_position *position, uint8_t seat)
{
	position->outcome = FTSI_GAME_WON;
	position->winner = seat;
}

void ftsi_game_draw(struct ftsi_position *position)
{
	position->outcome = FTSI_GAME_DRAWN;
}

bool ftsi_game_parse_cell(const char *text, uint32_t size, uint32_t *out_column, uint32_t *out_row)
{
	uint32_t row = 0;
	uint32_t column = (uint32_t)(text[0] | 0x20) - 'a';
	size_t length = strlen(text);
	if (length < 2 || length > 3 || column >= size || text[1] == '0') return false;
	for (size_t i = 1; i < length; i++) {
		if (text[i] < '0' || text[i] > '9') return false;
		row = row * 10 + (uint32_t)(text[i] - '0');
	}
	if (row < 1 || row > size) return false;
	*out_column = column;
	*out_row = row - 1;
	return true;
}
