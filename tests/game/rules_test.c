/* Why this file exists: the rules of each game: against published counts, against slow and obvious versions of
 * themselves, and by cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "game/perft.h"

static uint64_t in_ms(uint64_t ms)
{
	return fts_clock_monotonic_ns() + ms * 1000000;
}

/* ---- Published counts ---- */

struct counts {
	const char *rules;
	bool positions;
	uint64_t of[13]; /* by ply, from 0 */
	uint32_t count;
	const char *source;
};

static const struct counts published[] = {
    {"tictactoe",
     false,
     {1, 9, 72, 504, 3024, 15120, 54720, 148176, 200448, 127872, 0},
     11,
     "9!/(9-n)! less ended games"},
    {"tictactoe", true, {1, 9, 72, 252, 756, 1260, 1520, 1140, 390, 78}, 10, "5,478 positions in all"},
    {"connect4",
     false,
     {1, 7, 49, 343, 2401, 16807, 117649, 823536, 5673234},
     9,
     "7^n until the first win and full column"},
    {"connect4", true, {1, 7, 49, 238, 1120, 4263, 16422, 54859, 184275, 558186}, 10, "OEIS A212693"},
    {"reversi",
     false,
     {1, 4, 12, 56, 244, 1396, 8200, 55092, 390216, 3005288, 24571284},
     11,
     "A. Bik, Perft for Reversi"},
    {"gomoku", false, {1, 225, 225 * 224, 225 * 224 * 223}, 4, "nothing ends before the ninth stone"},
    {"gomoku", true, {1, 225, 225 * 224}, 3, "likewise"},
};

static void counts_are_the_published_ones(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
		const struct counts *counts = &published[i];
		const struct ftsi_game_rules *rules = ftsi_game_rules_find(counts->rules);
		assert_non_null(rules);
		for (uint32_t depth = 0; depth < counts->count; depth++) {
			uint64_t count = 0;
			enum fts_status status = counts->positions
						     ? ftsi_perft_positions(rules, depth, in_ms(60000), &count)
						     : ftsi_perft_nodes(rules, depth, in_ms(60000), &count);
			assert_int_equal(status, FTS_OK);
			if (count != counts->of[depth])
				fail_msg("%s, ply %u: %llu, published %llu (%s)", rules->name, depth,
					 (unsigned long long)count, (unsigned long long)counts->of[depth],
					 counts->source);
		}
	}
}

struct tally {
	uint64_t games, won[2], drawn;
};

static void play_all(const struct ftsi_game_rules *rules, const struct ftsi_position *position, struct tally *tally)
{
	ftsi_move moves[FTSI_GAME_MOVE_MAX];
	uint32_t count = rules->legal(position, moves);
	int32_t winner = -1;
	if (count == 0) {
		tally->games++;
		if (rules->outcome(position, &winner) == FTSI_GAME_DRAWN)
			tally->drawn++;
		else
			tally->won[winner]++;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct ftsi_position next = *position;
		rules->apply(&next, moves[i]);
		play_all(rules, &next, tally);
	}
}

static void all_games_of_tictactoe(void **state)
{
	struct ftsi_position position;
	struct tally tally = {0};
	(void)state;
	ftsi_game_tictactoe.init(&position);
	play_all(&ftsi_game_tictactoe, &position, &tally);
	assert_int_equal(tally.games, 255168);
	assert_int_equal(tally.won[0], 131184);
	assert_int_equal(tally.won[1], 77904);
	assert_int_equal(tally.drawn, 46080);
}

static void perft_ends_at_its_deadline(void **state)
{
	uint64_t count = 7, begin_ns = fts_clock_monotonic_ns();
	(void)state;
	assert_int_equal(ftsi_perft_nodes(&ftsi_game_gomoku, 200, in_ms(50), &count), FTS_DEADLINE_EXCEEDED);
	assert_int_equal(ftsi_perft_positions(&ftsi_game_reversi, 40, in_ms(50), &count), FTS_DEADLINE_EXCEEDED);
	assert_int_equal(count, 7); /* untouched */
	assert_true(fts_clock_monotonic_ns() - begin_ns < UINT64_C(20000000000));
	assert_int_equal(ftsi_perft_positions(&ftsi_game_gomoku, 3, in_ms(60000), &count), FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(ftsi_perft_nodes(&ftsi_game_tictactoe, UINT32_MAX, in_ms(60000), &count), FTS_OK);
	assert_int_equal(count, 0); /* no game is so long */
}

/* ---- Slow and obvious versions ---- */

/* A board as the text that people see, without its frame; rows from the top. */
struct picture {
	int rows, columns;
	char cell[16][16];
};

static struct picture picture_of(const struct ftsi_game_rules *rules, const struct ftsi_position *position)
{
	struct picture picture = {0};
	char text[FTSI_GAME_BOARD_MAX];
	rules->show(position, text);
	for (char *line = text, *end; *line != '\0'; line = end + 1) {
		int column = 0;
		end = strchr(line, '\n');
		assert_non_null(end);
		for (char *at = line; at < end; at++)
			if (*at == 'X' || *at == 'O' || *at == '.') picture.cell[picture.rows][column++] = *at;
		if (column > 0) {
			assert_true(picture.columns == 0 || picture.columns == column);
			picture.columns = column;
			picture.rows++;
		}
	}
	return picture;
}

/* The longest run of glyph in any direction. */
static int longest_run(const struct picture *picture, char glyph)
{
	static const int directions[][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
	int longest = 0;
	for (int row = 0; row < picture->rows; row++)
		for (int column = 0; column < picture->columns; column++)
			for (size_t i = 0; i < 4; i++) {
				int length = 0, r = row, c = column;
				while (r >= 0 && r < picture->rows && c >= 0 && c < picture->columns &&
				       picture->cell[r][c] == glyph) {
					length++;
					r += directions[i][0];
					c += directions[i][1];
				}
				if (length > longest) longest = length;
			}
	return longest;
}

static int count_of(const struct picture *picture, char glyph)
{
	int count = 0;
	for (int row = 0; row < picture->rows; row++)
		for (int column = 0; column < picture->columns; column++)
			count += picture->cell[row][column] == glyph;
	return count;
}

/* Turn what a stone of own at (row, column) turns; returns how many. */
static int turn_stones(struct picture *picture, int row, int column, char own)
{
	int turned = 0;
	char other = own == 'X' ? 'O' : 'X';
	if (picture->cell[row][column] != '.') return 0;
	for (int down = -1; down <= 1; down++)
		for (int right = -1; right <= 1; right++) {
			int r = row + down, c = column + right, run = 0;
			while (r >= 0 && r < 8 && c >= 0 && c < 8 && picture->cell[r][c] == other) {
				r += down;
				c += right;
				run++;
			}
			if (r < 0 || r >= 8 || c < 0 || c >= 8 || picture->cell[r][c] != own) continue;
			turned += run;
			while (run-- > 0) {
				r -= down;
				c -= right;
				picture->cell[r][c] = own;
			}
		}
	if (turned > 0) picture->cell[row][column] = own;
	return turned;
}

static bool can_move(const struct picture *picture, char own)
{
	for (int row = 0; row < 8; row++)
		for (int column = 0; column < 8; column++) {
			struct picture copy = *picture;
			if (turn_stones(&copy, row, column, own) > 0) return true;
		}
	return false;
}

static void check_reversi(const struct ftsi_position *before, ftsi_move move, const struct ftsi_position *after)
{
	struct picture picture = picture_of(&ftsi_game_reversi, before);
	struct picture now = picture_of(&ftsi_game_reversi, after);
	char own = before->turn == 0 ? 'X' : 'O', other = before->turn == 0 ? 'O' : 'X';
	int32_t winner;
	if (move == 64)
		assert_true(!can_move(&picture, own) && can_move(&picture, other));
	else
		assert_true(turn_stones(&picture, move / 8, move % 8, own) > 0);
	assert_memory_equal(&picture, &now, sizeof now);
	enum ftsi_game_outcome outcome = ftsi_game_reversi.outcome(after, &winner);
	assert_int_equal(outcome == FTSI_GAME_ONGOING, can_move(&now, own) || can_move(&now, other));
	if (outcome == FTSI_GAME_ONGOING) return;
	int black = count_of(&now, 'X'), white = count_of(&now, 'O');
	assert_int_equal(outcome, black == white ? FTSI_GAME_DRAWN : FTSI_GAME_WON);
	assert_int_equal(winner, black == white ? -1 : white > black);
}

static void check_row_game(const struct ftsi_game_rules *rules, int row_to_win, const struct ftsi_position *before,
			   const struct ftsi_position *after)
{
	struct picture was = picture_of(rules, before), now = picture_of(rules, after);
	char own = before->turn == 0 ? 'X' : 'O', other = before->turn == 0 ? 'O' : 'X';
	int32_t winner;
	enum ftsi_game_outcome outcome = rules->outcome(after, &winner);
	assert_int_equal(count_of(&now, own), count_of(&was, own) + 1);
	assert_int_equal(count_of(&now, other), count_of(&was, other));
	assert_true(longest_run(&now, other) < row_to_win);
	if (longest_run(&now, own) >= row_to_win) {
		assert_int_equal(outcome, FTSI_GAME_WON);
		assert_int_equal(winner, before->turn);
	} else {
		assert_int_equal(outcome, count_of(&now, '.') == 0 ? FTSI_GAME_DRAWN : FTSI_GAME_ONGOING);
		assert_int_equal(winner, -1);
	}
}

static void check_move(const struct ftsi_game_rules *rules, const struct ftsi_position *before, ftsi_move move,
		       const struct ftsi_position *after)
{
	assert_int_equal(after->ply, before->ply + 1);
	assert_int_equal(after->turn, before->turn ^ 1);
	if (rules == &ftsi_game_reversi) check_reversi(before, move, after);
	if (rules == &ftsi_game_tictactoe) check_row_game(rules, 3, before, after);
	if (rules == &ftsi_game_connect4) check_row_game(rules, 4, before, after);
	if (rules == &ftsi_game_gomoku) check_row_game(rules, 5, before, after);
}

/* Each move can be printed and read back; every other is refused by a rule that has a name. */
static void check_legal(const struct ftsi_game_rules *rules, const struct ftsi_position *position,
			const ftsi_move *moves, uint32_t count)
{
	uint32_t found = 0;
	for (ftsi_move move = 0; move < FTSI_GAME_MOVE_MAX; move++) {
		char text[FTSI_GAME_TEXT_MAX];
		ftsi_move again;
		if (found < count && moves[found] == move) {
			assert_null(rules->check(position, move));
			rules->print(move, text);
			assert_true(rules->parse(text, &again));
			assert_int_equal(again, move);
			found++;
		} else {
			assert_non_null(rules->check(position, move));
		}
	}
	assert_int_equal(found, count); /* ascending, below the limit */
}

static uint32_t play_at_random(const struct ftsi_game_rules *rules, unsigned *seed)
{
	struct ftsi_position position;
	ftsi_move moves[FTSI_GAME_MOVE_MAX];
	uint32_t count;
	rules->init(&position);
	while ((count = rules->legal(&position, moves)) > 0) {
		struct ftsi_position before = position, seen;
		ftsi_move move = moves[(uint32_t)rand_r(seed) % count];
		check_legal(rules, &position, moves, count);
		rules->apply(&position, move);
		check_move(rules, &before, move, &position);
		rules->view(&position, -1, &seen);
		assert_memory_equal(&seen, &position, sizeof seen);
		assert_true(position.ply <= FTSI_GAME_PLY_MAX);
	}
	check_legal(rules, &position, moves, 0);
	assert_int_not_equal(position.outcome, FTSI_GAME_ONGOING);
	return position.ply;
}

static void random_games_keep_the_rules(void **state)
{
	static const int rounds[FTSI_GAME_RULES_COUNT] = {2000, 1000, 200, 30};
	unsigned seed = 20261121;
	(void)state;
	for (uint32_t i = 0; i < FTSI_GAME_RULES_COUNT; i++)
		for (int round = 0; round < rounds[i]; round++)
			assert_true(play_at_random(ftsi_game_rules_at(i), &seed) > 0);
}

/* ---- Cases ---- */

struct game {
	const char *name, *rules, *moves;
	enum ftsi_game_outcome outcome;
	int32_t winner;
};

static const struct game games[] = {
    {"row", "tictactoe", "1,1 2,1 1,2 2,2 1,3", FTSI_GAME_WON, 0},
    {"second player", "tictactoe", "1,1 2,1 1,2 2,2 3,3 2,3", FTSI_GAME_WON, 1},
    {"diagonal", "tictactoe", "1,3 1,1 2,2 1,2 3,1", FTSI_GAME_WON, 0},
    {"draw", "tictactoe", "1,1 1,2 1,3 2,2 2,1 2,3 3,2 3,1 3,3", FTSI_GAME_DRAWN, -1},
    {"win with the last stone", "tictactoe", "1,1 1,2 1,3 2,1 2,2 2,3 3,2 3,1 3,3", FTSI_GAME_WON, 0},
    {"upright", "connect4", "1 2 1 2 1 2 1", FTSI_GAME_WON, 0},
    {"flat", "connect4", "1 1 2 2 3 3 4", FTSI_GAME_WON, 0},
    {"rising", "connect4", "1 2 2 3 4 3 3 4 5 4 4", FTSI_GAME_WON, 0},
    {"falling", "connect4", "7 6 6 5 4 5 5 4 3 4 4", FTSI_GAME_WON, 0},
    {"not around the edge", "connect4", "5 1 6 1 7 2 1", FTSI_GAME_ONGOING, -1},
    {"not over the top", "connect4", "1 1 1 1 1 1 2 3 2", FTSI_GAME_ONGOING, -1},
    {"shortest: white wiped out", "reversi", "e6 f4 e3 f6 g5 d6 e7 f5 c5", FTSI_GAME_WON, 0},
    {"five", "gomoku", "h8 a1 i8 a2 j8 a3 k8 a4 l8", FTSI_GAME_WON, 0},
    {"six wins too", "gomoku", "h8 a1 i8 a3 j8 a5 l8 a7 m8 a9 k8", FTSI_GAME_WON, 0},
    {"four is not enough", "gomoku", "h8 a1 i8 a3 j8 a5 k8 a7", FTSI_GAME_ONGOING, -1},
    {"not around the edge", "gomoku", "m1 a3 n1 c3 o1 e3 a2 g3 b2", FTSI_GAME_ONGOING, -1},
    {"corner, falling", "gomoku", "a15 h1 b14 i1 c13 j1 d12 k1 e11", FTSI_GAME_WON, 0},
    {"second player", "gomoku", "a1 h8 c1 h9 e1 h10 g1 h11 i1 h12", FTSI_GAME_WON, 1},
};

static void games_end_as_they_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof games / sizeof games[0]; i++) {
		const struct ftsi_game_rules *rules = ftsi_game_rules_find(games[i].rules);
		struct ftsi_position position;
		char moves[128], *rest = moves, *text;
		int32_t winner;
		(void)snprintf(moves, sizeof moves, "%s", games[i].moves);
		rules->init(&position);
		while ((text = strsep(&rest, " ")) != NULL) {
			ftsi_move move;
			if (!rules->parse(text, &move) || rules->check(&position, move) != NULL)
				fail_msg("%s, %s: %s is no move", games[i].rules, games[i].name, text);
			rules->apply(&position, move);
		}
		if (rules->outcome(&position, &winner) != games[i].outcome || winner != games[i].winner)
			fail_msg("%s, %s: ends otherwise", games[i].rules, games[i].name);
	}
}

static void what_is_no_move_is_not_read(void **state)
{
	static const char *const wrong[FTSI_GAME_RULES_COUNT][12] = {
	    {"", "1", "1,", "0,1", "1,4", "4,1", "1;1", "1,1 ", " 1,1", "11", "a,1", "-1,1"},
	    {"", "0", "8", "11", "a", " 1", "1 ", "-1", "1.", "+1", "\xC2\xB1", "4\n"},
	    {"", "a", "a0", "a9", "i1", "d33", "3d", "d 3", "PASS", "pass ", "d3 ", "-"},
	    {"", "a", "a0", "a16", "p1", "h99", "h08", "h008", "8h", "h8 ", "h-8", "hh"},
	};
	ftsi_move move = 7;
	(void)state;
	for (uint32_t i = 0; i < FTSI_GAME_RULES_COUNT; i++)
		for (size_t j = 0; j < 12; j++)
			if (ftsi_game_rules_at(i)->parse(wrong[i][j], &move))
				fail_msg("%s reads \"%s\"", ftsi_game_rules_at(i)->name, wrong[i][j]);
	assert_int_equal(move, 7);
	assert_true(ftsi_game_gomoku.parse("H8", &move)); /* letters of either case */
	assert_true(ftsi_game_reversi.parse("D3", &move));
}

/* Any bytes at all: what is read is written the same way again. */
static void what_is_read_is_written_alike(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789,. -+\xC3\xA9";
	unsigned seed = 3;
	(void)state;
	for (int round = 0; round < 2000000; round++) {
		const struct ftsi_game_rules *rules = ftsi_game_rules_at((uint32_t)round % FTSI_GAME_RULES_COUNT);
		size_t size = (size_t)rand_r(&seed) % 5;
		char text[8] = "", again[FTSI_GAME_TEXT_MAX];
		ftsi_move move;
		for (size_t i = 0; i < size; i++)
			text[i] = letters[(size_t)rand_r(&seed) % (sizeof letters - 1)];
		if (!rules->parse(text, &move)) continue;
		rules->print(move, again);
		assert_string_equal(text, again);
	}
}

static void reversi_begins_as_in_tournaments(void **state)
{
	static const char *const first[] = {"d3", "c4", "f5", "e6"};
	struct ftsi_position position;
	ftsi_move moves[FTSI_GAME_MOVE_MAX], move;
	(void)state;
	ftsi_game_reversi.init(&position);
	assert_int_equal(ftsi_game_reversi.legal(&position, moves), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(ftsi_game_reversi.parse(first[i], &move));
		assert_null(ftsi_game_reversi.check(&position, move));
	}
	assert_true(ftsi_game_reversi.parse("pass", &move));
	assert_string_equal(ftsi_game_reversi.check(&position, move), "pass-with-moves-left");
	assert_true(ftsi_game_reversi.parse("d4", &move));
	assert_string_equal(ftsi_game_reversi.check(&position, move), "occupied");
	assert_true(ftsi_game_reversi.parse("a1", &move));
	assert_string_equal(ftsi_game_reversi.check(&position, move), "turns-nothing");
}

static void games_are_found_by_name(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FTSI_GAME_RULES_COUNT; i++) {
		const struct ftsi_game_rules *rules = ftsi_game_rules_at(i);
		assert_ptr_equal(ftsi_game_rules_find(rules->name), rules);
		assert_int_equal(ftsi_game_rules_number(rules), i);
	}
	assert_null(ftsi_game_rules_find(""));
	assert_null(ftsi_game_rules_find("chess"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_are_the_published_ones),    cmocka_unit_test(all_games_of_tictactoe),
	    cmocka_unit_test(perft_ends_at_its_deadline),       cmocka_unit_test(random_games_keep_the_rules),
	    cmocka_unit_test(games_end_as_they_should),         cmocka_unit_test(what_is_no_move_is_not_read),
	    cmocka_unit_test(reversi_begins_as_in_tournaments), cmocka_unit_test(games_are_found_by_name),
	    cmocka_unit_test(what_is_read_is_written_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
