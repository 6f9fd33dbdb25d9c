/* Why this file exists: the parts of `game play` that are pure: what a view makes of events, where a stone was put,
 * what keys make of a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/game_input.h"
#include "client/cli/game_play.h"
#include "client/cli/game_view.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MS UINT64_C(1000000)

/* ---- Where a stone was put ---- */

static void test_placed(void **state)
{
	static const struct {
		const char *name, *before, *after, *mark;
		uint32_t at;
	} cases[] = {
	    {"a first stone", "1 . .\n2 . .\n", "1 . .\n2 X .\n", "X", 8},
	    {"stones turned", ". X O .\n", "X X X .\n", "X", 0},
	    {"a board that is not known", "", "X .\n", "", FTSI_VIEW_NO_MARK},
	    {"nothing happened", ". .\n", ". .\n", "", FTSI_VIEW_NO_MARK},
	    {"two at once", ". .\n", "X O\n", "", FTSI_VIEW_NO_MARK},
	    {"another size", ". .\n", ". .\n. X\n", "", FTSI_VIEW_NO_MARK},
	    {"another shape", ". .\n.\n", ". ..\n.\n", "", FTSI_VIEW_NO_MARK},
	    {"stones of several bytes", "· ·\n", "· ●\n", "●", 2},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char mark[8] = "";
		uint32_t at = ftsi_board_placed(cases[i].before, cases[i].after, mark);
		if (at != cases[i].at || strcmp(mark, cases[i].mark) != 0)
			fail_msg("%s: at %u, mark \"%s\"", cases[i].name, at, mark);
	}
}

/* ---- A view ---- */

static void apply_joined(struct ftsi_view *view, uint64_t number, uint32_t seat, const char *name)
{
	Fts__Game__V1__MatchEvent event = FTS__GAME__V1__MATCH_EVENT__INIT;
	Fts__Game__V1__Joined joined = FTS__GAME__V1__JOINED__INIT;

	joined.seat = seat;
	joined.name = (char *)name;
	event.number = number;
	event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_JOINED;
	event.joined = &joined;
	ftsi_view_apply(view, &event, 0);
}

static void apply_moved(struct ftsi_view *view, uint64_t number, uint32_t ply, const char *board, uint64_t now_ns)
{
	Fts__Game__V1__MatchEvent event = FTS__GAME__V1__MATCH_EVENT__INIT;
	Fts__Game__V1__Moved moved = FTS__GAME__V1__MOVED__INIT;

	moved.ply = ply;
	moved.seat = (ply - 1) % 2;
	moved.turn = (int32_t)(ply % 2);
	moved.move = (char *)"1,1";
	moved.board = (char *)board;
	moved.left_ms = 60000;
	moved.winner = -1;
	event.number = number;
	event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_MOVED;
	event.moved = &moved;
	ftsi_view_apply(view, &event, now_ns);
}

static void apply_paused(struct ftsi_view *view, uint64_t number, uint64_t paused_ms, uint64_t now_ns)
{
	Fts__Game__V1__MatchEvent event = FTS__GAME__V1__MATCH_EVENT__INIT;
	Fts__Game__V1__ClockPaused paused = FTS__GAME__V1__CLOCK_PAUSED__INIT;

	paused.paused_ms = paused_ms;
	event.number = number;
	event.kind_case = FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED;
	event.clock_paused = &paused;
	ftsi_view_apply(view, &event, now_ns);
}

static void show(struct ftsi_view *view, uint64_t events, uint64_t running_ms, uint64_t now_ns)
{
	Fts__Game__V1__ShowResponse response = FTS__GAME__V1__SHOW_RESPONSE__INIT;
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	Fts__Game__V1__Seat seats[2] = {FTS__GAME__V1__SEAT__INIT, FTS__GAME__V1__SEAT__INIT};
	Fts__Game__V1__Seat *pointers[] = {&seats[0], &seats[1]};

	clock.initial_ms = 60000;
	for (int i = 0; i < 2; i++) {
		seats[i].taken = true;
		seats[i].left_ms = 60000;
		seats[i].name = (char *)(i == 0 ? "ada" : "bob");
	}
	response.rules = (char *)"tictactoe";
	response.state = FTS__GAME__V1__STATE__PLAYING;
	response.clock = &clock;
	response.n_seats = 2;
	response.seats = pointers;
	response.events = events;
	response.winner = -1;
	response.running_ms = running_ms;
	response.board = (char *)". .\n";
	response.ply = view->ply;
	response.turn = (int32_t)(view->ply % 2);
	ftsi_view_show(view, &response, now_ns);
}

static struct ftsi_view *new_view(void)
{
	struct ftsi_view *view = calloc(1, sizeof(*view));

	assert_non_null(view);
	view->you = -1;
	ftsi_view_reset(view, "m1");
	return view;
}

static void test_events(void **state)
{
	struct ftsi_view *view = new_view();

	(void)state;
	apply_joined(view, 1, 0, "ada");
	apply_joined(view, 2, 1, "b\033[2Jb\n");
	apply_moved(view, 3, 1, "X .\n", 0);
	apply_moved(view, 4, 2, "X O\n", 0);
	assert_string_equal(view->seats[0].name, "ada");
	assert_string_equal(view->seats[1].name, "b?[2Jb?"); /* nothing of others' reaches the terminal */
	assert_int_equal(view->move_count, 2);
	assert_int_equal(view->moves[1].seat, 1);
	assert_int_equal(view->last_at, 2);
	assert_string_equal(view->seats[1].mark, "O");
	assert_int_equal(view->event_count, 4);
	assert_int_equal(view->news_count, 4);
	free(view);
}

/* An older Show must not undo what events said. */
static void test_old_show(void **state)
{
	struct ftsi_view *view = new_view();

	(void)state;
	apply_joined(view, 1, 0, "ada");
	apply_moved(view, 2, 1, "X .\n", 0);
	show(view, 1, 0, 0);
	assert_string_equal(view->board, "X .\n");
	show(view, 2, 0, 0);
	assert_string_equal(view->board, ". .\n");
	free(view);
}

static void test_clock(void **state)
{
	struct ftsi_view *view = new_view();

	(void)state;
	show(view, 0, 1000, 100 * MS);
	assert_int_equal(ftsi_view_left_ms(view, 0, 100 * MS), 59000);
	assert_int_equal(ftsi_view_left_ms(view, 0, 2100 * MS), 57000);
	assert_int_equal(ftsi_view_left_ms(view, 1, 2100 * MS), 60000);
	assert_int_equal(ftsi_view_left_ms(view, 0, 100000 * MS), 0);
	assert_true(ftsi_view_clock_runs(view));

	/* Nobody answers: it stands still as seen from here. */
	ftsi_view_link(view, FTSI_FOLLOW_GONE, "n1", 1100 * MS);
	assert_false(ftsi_view_clock_runs(view));
	assert_int_equal(ftsi_view_left_ms(view, 0, 5100 * MS), 58000);
	/* Another node answers: it ran all the while... */
	ftsi_view_link(view, FTSI_FOLLOW_UP, "n2", 5100 * MS);
	assert_int_equal(ftsi_view_left_ms(view, 0, 5100 * MS), 54000);
	/* ...unless there was no leader. */
	apply_paused(view, 1, 4000, 5100 * MS);
	assert_int_equal(ftsi_view_left_ms(view, 0, 5100 * MS), 58000);
	apply_paused(view, 2, 400000, 5100 * MS);
	assert_int_equal(ftsi_view_left_ms(view, 0, 5100 * MS), 60000);
	free(view);
}

static const char *last_news(const struct ftsi_view *view)
{
	return view->news_count > 0 ? view->news[(view->news_count - 1) % FTSI_VIEW_NEWS_MAX] : "";
}

static void test_link(void **state)
{
	struct ftsi_view *view = new_view();

	(void)state;
	ftsi_view_link(view, FTSI_FOLLOW_UP, "n1", 0);
	assert_int_equal(view->news_count, 0);
	ftsi_view_link(view, FTSI_FOLLOW_GONE, "n1", 0);
	ftsi_view_link(view, FTSI_FOLLOW_UP, "n2", 0);
	assert_string_equal(last_news(view), "node n1 is gone, going on at n2");
	ftsi_view_link(view, FTSI_FOLLOW_GONE, "n2", 0);
	ftsi_view_link(view, FTSI_FOLLOW_UP, "n2", 0);
	assert_string_equal(last_news(view), "node n2 is back");
	ftsi_view_link(view, FTSI_FOLLOW_LEADERLESS, "n2", 0);
	assert_string_equal(last_news(view), "n2 answers, yet there is no leader for now");
	ftsi_view_link(view, FTSI_FOLLOW_UP, "n2", 0);
	assert_string_equal(last_news(view), "there is a leader again; n2 answers");
	free(view);
}

/* A rematch begins anew, and one still reads how the last match ended. */
static void test_reset(void **state)
{
	struct ftsi_view *view = new_view();

	(void)state;
	apply_moved(view, 1, 1, "X .\n", 0);
	ftsi_view_link(view, FTSI_FOLLOW_UP, "n1", 0);
	view->you = 1;
	ftsi_view_reset(view, "m2");
	assert_string_equal(view->match, "m2");
	assert_int_equal(view->move_count, 0);
	assert_int_equal(view->news_count, 1);
	assert_string_equal(view->node, "n1");
	assert_int_equal(view->you, 1);
	free(view);
}

/* ---- Keys ---- */

static void test_keys(void **state)
{
	static const struct {
		const char *name, *keys, *line;
		size_t cursor;
	} cases[] = {
	    {"letters", "2,2", "2,2", 3},
	    {"backspace",
	     "2,3\x7f"
	     "2",
	     "2,2", 3},
	    {"backspace at the beginning", "\x7f\x08", "", 0},
	    {"left and insert", "13\033[D2", "123", 2},
	    {"the other arrows' form", "13\033OD2", "123", 2},
	    {"home and end", "23\033[H1\033[F4", "1234", 4},
	    {"left at the beginning", "\033[D\033[D1", "1", 1},
	    {"right at the end", "1\033[C\033[C2", "12", 2},
	    {"empty the line", "123\x15", "", 0},
	    {"empty it up to the cursor", "123\033[D\x15", "3", 0},
	    {"cut behind the cursor", "123\033[D\x0b", "12", 2},
	    {"the last word", "join ada\x17", "join ", 5},
	    {"delete under the cursor", "123\033[H\x04", "23", 0},
	    {"a key that means nothing", "1\033[15~2", "12", 2},
	    {"escape and a letter", "1\033x2", "12", 2},
	    {"bytes that are no ASCII",
	     "1\xc3\xa4"
	     "2",
	     "12", 2},
	    {"controls that mean nothing",
	     "1\x02\x06"
	     "2",
	     "12", 2},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ftsi_input input = {.length = 0};
		for (const char *key = cases[i].keys; *key; key++)
			assert_int_equal(ftsi_input_key(&input, (unsigned char)*key), FTSI_KEY_NONE);
		if (strcmp(input.line, cases[i].line) != 0 || input.cursor != cases[i].cursor)
			fail_msg("%s: \"%s\", cursor at %zu", cases[i].name, input.line, input.cursor);
	}
}

static void test_key_commands(void **state)
{
	struct ftsi_input input = {.length = 0};
	char line[FTSI_INPUT_BYTES];

	(void)state;
	assert_int_equal(ftsi_input_key(&input, 0x04), FTSI_KEY_LEAVE);
	assert_int_equal(ftsi_input_key(&input, 0x03), FTSI_KEY_LEAVE);
	assert_int_equal(ftsi_input_key(&input, 0x1a), FTSI_KEY_SUSPEND);
	assert_int_equal(ftsi_input_key(&input, 0x0c), FTSI_KEY_REDRAW);
	assert_int_equal(ftsi_input_key(&input, '\t'), FTSI_KEY_TAB);
	ftsi_input_set(&input, "  2,2 ");
	assert_int_equal(ftsi_input_key(&input, '\r'), FTSI_KEY_ENTER);
	ftsi_input_take(&input, line);
	assert_string_equal(line, "2,2");
	assert_string_equal(input.line, "");
	ftsi_input_key(&input, 0x1b);
	ftsi_input_key(&input, '[');
	ftsi_input_key(&input, 'A'); /* the last line again */
	assert_string_equal(input.line, "2,2");
	for (int i = 0; i < 1000; i++)
		ftsi_input_key(&input, 'x');
	assert_int_equal(strlen(input.line), FTSI_INPUT_BYTES - 1);
}

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		enum ftsi_line_kind kind;
		const char *rest;
	} cases[] = {{"", FTSI_LINE_EMPTY, ""},
		     {"2,2", FTSI_LINE_MOVE, ""},
		     {"quit", FTSI_LINE_QUIT, ""},
		     {"Q", FTSI_LINE_QUIT, ""},
		     {"?", FTSI_LINE_HELP, ""},
		     {"resign", FTSI_LINE_RESIGN, ""},
		     {"resign now", FTSI_LINE_MOVE, "now"},
		     {"REMATCH", FTSI_LINE_REMATCH, ""},
		     {"join", FTSI_LINE_JOIN, ""},
		     {"join  ada b", FTSI_LINE_JOIN, "ada b"},
		     {"legal", FTSI_LINE_LEGAL, ""},
		     {"pass", FTSI_LINE_MOVE, ""},
		     {"h8", FTSI_LINE_MOVE, ""}};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *rest = NULL;
		if (ftsi_play_line(cases[i].line, &rest) != cases[i].kind || strcmp(rest, cases[i].rest) != 0)
			fail_msg("\"%s\" is not told", cases[i].line);
	}
}

static void test_clock_text(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {{0, "0:00.0"},    {9999, "0:09.9"},   {10000, "0:10"},      {59999, "0:59"},
		     {300000, "5:00"}, {3599999, "59:59"}, {3723000, "1:02:03"}, {86400000, "24:00:00"}};
	char text[16];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(ftsi_game_clock_text(text, cases[i].ms), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_placed),     cmocka_unit_test(test_events),       cmocka_unit_test(test_old_show),
	    cmocka_unit_test(test_clock),      cmocka_unit_test(test_link),         cmocka_unit_test(test_reset),
	    cmocka_unit_test(test_keys),       cmocka_unit_test(test_key_commands), cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_clock_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
