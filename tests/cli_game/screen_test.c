/* Why this file exists: the screen of `game play` for every size of terminal: what is drawn is read back by a small
 * terminal in memory, which fails on whatever leaves its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/game_screen.h"

#define COLUMNS_MAX 140
#define ROWS_MAX 50

/* ---- A terminal: one byte a cell is enough for what these tests draw ---- */

struct terminal {
	unsigned columns, rows;
	unsigned column, row;
	bool is_coloured;
	char cells[ROWS_MAX][COLUMNS_MAX + 1];
};

static void erase(struct terminal *terminal, unsigned row, unsigned from)
{
	memset(terminal->cells[row] + from, ' ', terminal->columns - from);
	terminal->cells[row][terminal->columns] = '\0';
}

static void obey(struct terminal *terminal, char what, const char *arguments)
{
	char *rest = NULL;
	unsigned row, column;

	switch (what) {
	case 'H':
		row = (unsigned)strtoul(arguments, &rest, 10);
		column = *rest == ';' ? (unsigned)strtoul(rest + 1, NULL, 10) : 1;
		terminal->row = row > 0 ? row - 1 : 0;
		terminal->column = column - 1;
		assert_true(terminal->row < terminal->rows && terminal->column < terminal->columns);
		break;
	case 'K':
		if (terminal->column < terminal->columns) erase(terminal, terminal->row, terminal->column);
		break;
	case 'J':
		for (row = terminal->row; row < terminal->rows; row++)
			erase(terminal, row, row == terminal->row ? terminal->column : 0);
		break;
	case 'm':
		terminal->is_coloured = terminal->is_coloured || strchr(arguments, '3') != NULL;
		break;
	case 'h':
	case 'l':
		break;
	default:
		fail_msg("unknown sequence: %s%c", arguments, what);
	}
}

static void feed(struct terminal *terminal, const char *bytes, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (bytes[i] == '\033') {
			char arguments[32];
			size_t from = i + 2, to = from;
			assert_true(bytes[i + 1] == '[');
			while (to < size_bytes && (unsigned char)bytes[to] < 0x40)
				to++;
			assert_true(to < size_bytes);
			snprintf(arguments, sizeof(arguments), "%.*s", (int)(to - from), bytes + from);
			obey(terminal, bytes[to], arguments);
			i = to;
			continue;
		}
		if (((unsigned char)bytes[i] & 0xc0) == 0x80) continue;
		assert_true((unsigned char)bytes[i] >= 0x20);
		if (terminal->column >= terminal->columns) fail_msg("row %u is too long", terminal->row);
		terminal->cells[terminal->row][terminal->column++] = bytes[i];
	}
}

/* ---- Scenes ---- */

struct scene {
	struct ftsi_view view;
	struct ftsi_input input;
	struct ftsi_screen screen;
	struct ftsi_canvas canvas;
	struct terminal terminal;
};

/* A gomoku board: 15 by 15 with coordinates. */
static void fill_board(struct ftsi_view *view)
{
	size_t at = (size_t)snprintf(view->board, sizeof(view->board), "   a b c d e f g h i j k l m n o\n");

	for (int row = 15; row > 0; row--)
		at += (size_t)snprintf(view->board + at, sizeof(view->board) - at,
				       "%2d . . . . . . . X . . . . . . .\n", row);
}

static struct scene *new_scene(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	scene->view.you = 0;
	ftsi_view_reset(&scene->view, "abcdefgh");
	snprintf(scene->view.rules, sizeof(scene->view.rules), "gomoku");
	fill_board(&scene->view);
	scene->view.state = FTS__GAME__V1__STATE__PLAYING;
	scene->view.seat_count = 2;
	scene->view.has_clock = true;
	scene->view.turn = 0;
	for (uint32_t i = 0; i < 2; i++) {
		scene->view.seats[i].is_taken = true;
		scene->view.seats[i].left_ms = 61000;
		snprintf(scene->view.seats[i].name, sizeof(scene->view.seats[i].name), "%s", i == 0 ? "ada" : "bob");
	}
	for (int i = 0; i < 40; i++) {
		struct ftsi_view_move *move = &scene->view.moves[scene->view.move_count++];
		move->seat = i % 2;
		snprintf(move->move, sizeof(move->move), "h%d", i % 15 + 1);
		ftsi_view_tell(&scene->view, "move %d: somebody with a rather long name plays h%d", i + 1, i);
	}
	snprintf(scene->view.node, sizeof(scene->view.node), "n1");
	ftsi_input_set(&scene->input, "h1");
	scene->screen = (struct ftsi_screen){.view = &scene->view,
					     .input = &scene->input,
					     .message = "occupied: there is a stone already",
					     .is_bad = true,
					     .has_colour = true};
	return scene;
}

static void draw(struct scene *scene, unsigned columns, unsigned rows)
{
	scene->terminal = (struct terminal){.columns = columns, .rows = rows};
	for (unsigned row = 0; row < rows; row++)
		memset(scene->terminal.cells[row], '#', columns); /* of whatever was there before */
	scene->screen.columns = columns;
	scene->screen.rows = rows;
	ftsi_screen_draw(&scene->screen, &scene->canvas);
	assert_true(scene->canvas.used < sizeof(scene->canvas.bytes));
	feed(&scene->terminal, scene->canvas.bytes, scene->canvas.used);
	for (unsigned row = 0; row < rows; row++)
		if (strchr(scene->terminal.cells[row], '#')) fail_msg("%u by %u: row %u is left", columns, rows, row);
}

static bool shows(const struct scene *scene, const char *text)
{
	for (unsigned row = 0; row < scene->terminal.rows; row++)
		if (strstr(scene->terminal.cells[row], text)) return true;
	return false;
}

static void test_sizes(void **state)
{
	struct scene *scene = new_scene();

	(void)state;
	for (unsigned columns = 1; columns <= COLUMNS_MAX; columns++) {
		for (unsigned rows = 1; rows <= ROWS_MAX; rows++) {
			draw(scene, columns, rows);
			if (columns >= 40 && rows >= 3) {
				assert_true(shows(scene, "> h1"));
				assert_true(shows(scene, "occupied"));
				assert_true(shows(scene, "node n1"));
			}
			if (columns >= 40 && rows >= 21) {
				assert_true(shows(scene, "15 . ."));
				assert_true(shows(scene, " 1 . ."));
				assert_true(shows(scene, "your turn"));
			}
			if (columns >= 70 && rows >= 22) assert_true(shows(scene, "X ada (you)  1:01"));
		}
	}
	free(scene);
}

/* The cursor stands where the next letter goes, also in a line that is wider than the terminal. */
static void test_cursor(void **state)
{
	struct scene *scene = new_scene();
	char line[FTSI_INPUT_BYTES];

	(void)state;
	draw(scene, 80, 24);
	assert_int_equal(scene->terminal.row, 23);
	assert_int_equal(scene->terminal.column, 4);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	ftsi_input_set(&scene->input, line);
	draw(scene, 20, 10);
	assert_int_equal(scene->terminal.row, 9);
	assert_int_equal(scene->terminal.column, 19);
	free(scene);
}

static void test_colours(void **state)
{
	struct scene *scene = new_scene();

	(void)state;
	draw(scene, 80, 24);
	assert_true(scene->terminal.is_coloured);
	scene->screen.has_colour = false;
	draw(scene, 80, 24);
	assert_false(scene->terminal.is_coloured);
	free(scene);
}

static void test_words(void **state)
{
	struct scene *scene = new_scene();

	(void)state;
	scene->view.link = FTSI_FOLLOW_GONE;
	snprintf(scene->view.lost_node, sizeof(scene->view.lost_node), "n1");
	draw(scene, 80, 30);
	assert_true(shows(scene, "node n1 is gone, looking for another one"));
	assert_true(shows(scene, "paused"));
	scene->view.link = FTSI_FOLLOW_LEADERLESS;
	draw(scene, 80, 30);
	assert_true(shows(scene, "clocks stand still"));
	scene->view.link = FTSI_FOLLOW_UP;
	scene->view.you = -1;
	draw(scene, 80, 30);
	assert_true(shows(scene, "ada is to move"));
	assert_true(shows(scene, "looking on"));
	scene->screen.shows_help = true;
	draw(scene, 80, 34);
	assert_true(shows(scene, "rematch       another match"));
	scene->view.state = FTS__GAME__V1__STATE__OVER;
	scene->view.outcome = FTS__GAME__V1__OUTCOME__WON;
	scene->view.reason = FTS__GAME__V1__REASON__TIME;
	scene->view.winner = 1;
	draw(scene, 80, 30);
	assert_true(shows(scene, "bob has won on time"));
	free(scene);
}

/* Wide letters take two columns, marks none. */
static void test_columns(void **state)
{
	static const struct {
		const char *text;
		unsigned columns;
	} cases[] = {{"", 0},          {"ada", 3},          {"\xc3\xa9", 1},
		     {"e\xcc\x81", 1}, {"\xe4\xb8\xad", 2}, {"\xf0\x9f\x8e\xb2", 2}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ftsi_text_columns(cases[i].text), cases[i].columns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes), cmocka_unit_test(test_cursor),  cmocka_unit_test(test_colours),
	    cmocka_unit_test(test_words), cmocka_unit_test(test_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
