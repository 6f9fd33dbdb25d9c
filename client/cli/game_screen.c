/* Why this file exists: see game_screen.h. From the top: title, board with the players beside it (below it when the
 * terminal is narrow), how the match stands, legal moves, news; the last three lines are always the node, the message
 * and what is being typed. What does not fit is left out from the least important on: news first, the board last. */
#include "client/cli/game_screen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BOTTOM_ROWS 3u
#define SIDE_COLUMNS 28u /* the players beside the board need so many */
#define GAP_COLUMNS 4u
#define MARGIN_COLUMNS 2u
#define LEGAL_SHOWN_MAX 40u
#define NEWS_SHOWN_MAX 6u
#define LOW_MS 10000u

static const char *const help_lines[] = {
    "a move        as the rules write it; Tab completes it",
    "resign        gives the match up; asks before it does",
    "rematch       another match with seats swapped, once both have asked",
    "legal         all legal moves",
    "help, quit    this, and leave: the match goes on, come back any time",
    "keys          Ctrl-C leaves, Ctrl-L redraws, Ctrl-U empties the line, Up recalls it",
};
#define HELP_LINES (sizeof(help_lines) / sizeof(help_lines[0]))

struct drawing {
	const struct ftsi_screen *screen;
	const struct ftsi_view *view;
	struct ftsi_canvas *canvas;
	unsigned board_rows, board_columns;
	unsigned side_column; /* 0: players stand below the board */
	unsigned spare;       /* rows for what can be left out */
};

/* ---- Players ---- */

static enum ftsi_style seat_style(uint32_t seat)
{
	return seat == 0 ? FTSI_FIRST : (seat == 1 ? FTSI_SECOND : FTSI_BOLD);
}

static void draw_clock(const struct drawing *drawing, uint32_t seat)
{
	const struct ftsi_view *view = drawing->view;
	uint64_t left_ms = ftsi_view_left_ms(view, seat, drawing->screen->now_ns);
	bool is_turn = view->state == FTS__GAME__V1__STATE__PLAYING && view->turn == (int32_t)seat;
	bool is_paused = is_turn && !ftsi_view_clock_runs(view);
	char text[16];

	if (!view->has_clock) return;
	enum ftsi_style style = !is_turn ? FTSI_PLAIN : (left_ms < LOW_MS ? FTSI_BAD : FTSI_BOLD);
	ftsi_canvas_print(drawing->canvas, style, "  %s", ftsi_game_clock_text(text, left_ms));
	if (is_paused) ftsi_canvas_put(drawing->canvas, FTSI_WARN, " paused");
}

static const char *shown_name(const struct ftsi_view_seat *seat)
{
	return seat->is_taken ? seat->name : "(free)";
}

/* Columns of the widest name, so that clocks stand below each other. */
static unsigned name_columns(const struct ftsi_view *view)
{
	unsigned widest = 0;

	for (uint32_t i = 0; i < view->seat_count; i++) {
		unsigned columns = ftsi_text_columns(shown_name(&view->seats[i])) + (view->you == (int32_t)i ? 6 : 0);
		if (columns > widest) widest = columns;
	}
	return widest;
}

static void draw_seat(const struct drawing *drawing, uint32_t seat)
{
	const struct ftsi_view *view = drawing->view;
	struct ftsi_canvas *canvas = drawing->canvas;
	const struct ftsi_view_seat *at = &view->seats[seat];
	bool is_turn = view->state == FTS__GAME__V1__STATE__PLAYING && view->turn == (int32_t)seat;
	bool has_won = view->state == FTS__GAME__V1__STATE__OVER && view->winner == (int32_t)seat;
	unsigned column = canvas->column;

	ftsi_canvas_put(canvas, FTSI_GOOD, is_turn ? "> " : (has_won ? "* " : "  "));
	ftsi_canvas_print(canvas, seat_style(seat), "%s ", at->mark[0] ? at->mark : " ");
	ftsi_canvas_put(canvas, is_turn ? FTSI_BOLD : FTSI_PLAIN, shown_name(at));
	if (view->you == (int32_t)seat) ftsi_canvas_put(canvas, FTSI_DIM, " (you)");
	if (view->has_clock) ftsi_canvas_pad(canvas, column + 4 + name_columns(view));
	draw_clock(drawing, seat);
}

/* "moves  1 2,2  2 1,1": as many of the last as fit. */
static void draw_moves(const struct drawing *drawing, unsigned width)
{
	const struct ftsi_view *view = drawing->view;
	unsigned used = 8;
	uint32_t first = view->move_count;
	char number[16];

	while (first > 0) {
		unsigned columns = (unsigned)snprintf(number, sizeof(number), "%" PRIu32 ". ", first) + 2 +
				   ftsi_text_columns(view->moves[first - 1].move);
		if (used + columns > width) break;
		used += columns;
		first--;
	}
	ftsi_canvas_put(drawing->canvas, FTSI_DIM, first > 0 ? "moves .." : "moves   ");
	for (uint32_t i = first; i < view->move_count; i++) {
		ftsi_canvas_print(drawing->canvas, FTSI_DIM, "%" PRIu32 ". ", i + 1);
		ftsi_canvas_print(drawing->canvas, i + 1 == view->move_count ? FTSI_BOLD : FTSI_PLAIN, "%s  ",
				  view->moves[i].move);
	}
}

static void draw_last(const struct drawing *drawing)
{
	const struct ftsi_view *view = drawing->view;

	if (view->move_count == 0) return;
	const struct ftsi_view_move *last = &view->moves[view->move_count - 1];
	bool is_known = last->seat >= 0 && (uint32_t)last->seat < FTSI_VIEW_SEATS_MAX;
	ftsi_canvas_print(drawing->canvas, FTSI_PLAIN, "last: %s by %s", last->move,
			  is_known ? view->seats[last->seat].name : "somebody");
}

/* The row-th line beside the board. */
static void draw_side(const struct drawing *drawing, unsigned row)
{
	const struct ftsi_view *view = drawing->view;

	ftsi_canvas_pad(drawing->canvas, drawing->side_column);
	if (row < view->seat_count) draw_seat(drawing, row);
	if (row == view->seat_count + 1) draw_last(drawing);
}

/* ---- The board ---- */

static enum ftsi_style piece_style(const struct ftsi_view *view, const char *at)
{
	for (uint32_t i = 0; i < view->seat_count; i++)
		if (view->seats[i].mark[0] && strncmp(at, view->seats[i].mark, strlen(view->seats[i].mark)) == 0)
			return seat_style(i);
	if (*at == 'X') return FTSI_FIRST;
	if (*at == 'O') return FTSI_SECOND;
	return *at == '.' ? FTSI_DIM : FTSI_PLAIN; /* empty cells step back behind coordinates */
}

/* One line of it from *at on; *index: of its first character in the board; both moved behind the line end. */
static void draw_board_line(const struct drawing *drawing, const char **at, uint32_t *index)
{
	ftsi_canvas_pad(drawing->canvas, MARGIN_COLUMNS);
	for (; **at && **at != '\n'; (*index)++)
		*at += ftsi_canvas_put_character(drawing->canvas, piece_style(drawing->view, *at), *at,
						 *index == drawing->view->last_at);
	if (**at == '\n') {
		(*at)++;
		(*index)++;
	}
}

static void measure_board(struct drawing *drawing)
{
	for (const char *at = drawing->view->board; *at; drawing->board_rows++) {
		unsigned columns = ftsi_text_columns(at);
		if (columns > drawing->board_columns) drawing->board_columns = columns;
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
}

static void draw_board(const struct drawing *drawing, unsigned rows)
{
	const char *at = drawing->view->board;
	uint32_t index = 0;

	for (unsigned row = 0; row < rows; row++) {
		draw_board_line(drawing, &at, &index);
		if (drawing->side_column > 0) draw_side(drawing, row);
		ftsi_canvas_end_line(drawing->canvas);
	}
}

/* ---- Below it ---- */

static bool spend_row(struct drawing *drawing)
{
	if (drawing->spare == 0) return false;
	drawing->spare--;
	return true;
}

static bool is_yours(const struct ftsi_view *view)
{
	return view->state == FTS__GAME__V1__STATE__PLAYING && view->you >= 0 && view->turn == view->you;
}

static void draw_sentence(const struct drawing *drawing)
{
	const struct ftsi_view *view = drawing->view;
	char text[FTSI_GAME_SENTENCE_BYTES];

	ftsi_canvas_pad(drawing->canvas, MARGIN_COLUMNS);
	ftsi_canvas_put(drawing->canvas, is_yours(view) ? FTSI_GOOD : FTSI_BOLD,
			ftsi_view_sentence(text, sizeof(text), view));
	if (view->state == FTS__GAME__V1__STATE__OVER && view->you >= 0)
		ftsi_canvas_put(drawing->canvas, FTSI_DIM, "   (rematch, or quit)");
	ftsi_canvas_end_line(drawing->canvas);
}

static void draw_legal(const struct drawing *drawing)
{
	const struct ftsi_view *view = drawing->view;
	struct ftsi_canvas *canvas = drawing->canvas;

	ftsi_canvas_pad(canvas, MARGIN_COLUMNS);
	if (view->legal_count > LEGAL_SHOWN_MAX)
		ftsi_canvas_print(canvas, FTSI_DIM, "legal   %" PRIu32 " moves", view->legal_count);
	for (uint32_t i = 0; i < view->legal_count && view->legal_count <= LEGAL_SHOWN_MAX; i++) {
		bool is_cut = canvas->column + ftsi_text_columns(view->legal[i]) + 4 > canvas->columns;
		ftsi_canvas_print(canvas, FTSI_DIM, "%s%s", i == 0 ? "legal   " : " ", is_cut ? ".." : view->legal[i]);
		if (is_cut) break;
	}
	ftsi_canvas_end_line(canvas);
}

static void draw_news(struct drawing *drawing)
{
	const struct ftsi_view *view = drawing->view;
	uint32_t count = view->news_count < NEWS_SHOWN_MAX ? view->news_count : NEWS_SHOWN_MAX;

	if (count > drawing->spare) count = drawing->spare;
	for (uint32_t i = view->news_count - count; i < view->news_count && spend_row(drawing); i++) {
		ftsi_canvas_pad(drawing->canvas, MARGIN_COLUMNS);
		ftsi_canvas_put(drawing->canvas, FTSI_DIM, view->news[i % FTSI_VIEW_NEWS_MAX]);
		ftsi_canvas_end_line(drawing->canvas);
	}
}

static void draw_help(struct drawing *drawing)
{
	for (size_t i = 0; i < HELP_LINES && spend_row(drawing); i++) {
		ftsi_canvas_pad(drawing->canvas, MARGIN_COLUMNS);
		ftsi_canvas_put(drawing->canvas, FTSI_PLAIN, help_lines[i]);
		ftsi_canvas_end_line(drawing->canvas);
	}
}

static void draw_empty(struct drawing *drawing)
{
	if (spend_row(drawing)) ftsi_canvas_end_line(drawing->canvas);
}

static void draw_players_below(struct drawing *drawing)
{
	for (uint32_t i = 0; i < drawing->view->seat_count && spend_row(drawing); i++) {
		draw_seat(drawing, i);
		ftsi_canvas_end_line(drawing->canvas);
	}
}

/* ---- The bottom ---- */

static void draw_node(const struct drawing *drawing)
{
	const struct ftsi_view *view = drawing->view;
	struct ftsi_canvas *canvas = drawing->canvas;

	switch (view->link) {
	case FTSI_FOLLOW_UP:
		ftsi_canvas_print(canvas, FTSI_DIM, "node %s", view->node[0] ? view->node : "-");
		break;
	case FTSI_FOLLOW_GONE:
		ftsi_canvas_print(canvas, FTSI_BAD, "node %s is gone, looking for another one", view->lost_node);
		break;
	case FTSI_FOLLOW_LEADERLESS:
		ftsi_canvas_print(canvas, FTSI_WARN, "node %s knows no leader: nobody can move, clocks stand still",
				  view->node);
		break;
	}
	ftsi_canvas_put(canvas, FTSI_DIM, view->you >= 0 ? "   help: ?" : "   looking on   help: ?");
	ftsi_canvas_end_line(canvas);
}

/* The line being typed; of one that is wider than the terminal, what is before the cursor. */
static void draw_input(const struct drawing *drawing)
{
	const struct ftsi_screen *screen = drawing->screen;
	size_t room = screen->columns > 4 ? screen->columns - 3 : 1;
	size_t from = screen->input->cursor > room ? screen->input->cursor - room : 0;
	unsigned column = (unsigned)(2 + screen->input->cursor - from);

	ftsi_canvas_put(drawing->canvas, FTSI_BOLD, "> ");
	ftsi_canvas_put(drawing->canvas, FTSI_PLAIN, screen->input->line + from);
	ftsi_canvas_end_line(drawing->canvas);
	ftsi_canvas_end(drawing->canvas, column < screen->columns ? column : screen->columns - 1, screen->rows - 1);
}

static void draw_bottom(const struct drawing *drawing)
{
	const struct ftsi_screen *screen = drawing->screen;

	if (screen->rows >= BOTTOM_ROWS) {
		ftsi_canvas_go_down(drawing->canvas, screen->rows - BOTTOM_ROWS);
		draw_node(drawing);
	}
	if (screen->rows > 1) {
		ftsi_canvas_put(drawing->canvas, screen->is_bad ? FTSI_BAD : FTSI_GOOD, screen->message);
		ftsi_canvas_end_line(drawing->canvas);
	}
	draw_input(drawing);
}

static void draw_title(const struct drawing *drawing)
{
	const struct ftsi_view *view = drawing->view;

	ftsi_canvas_put(drawing->canvas, FTSI_BOLD, view->rules);
	ftsi_canvas_print(drawing->canvas, FTSI_DIM, "  match %s", view->match);
	if (view->label[0]) ftsi_canvas_print(drawing->canvas, FTSI_PLAIN, "  %s", view->label);
	ftsi_canvas_end_line(drawing->canvas);
}

void ftsi_screen_draw(const struct ftsi_screen *screen, struct ftsi_canvas *canvas)
{
	struct drawing drawing = {.screen = screen, .view = screen->view, .canvas = canvas};
	unsigned fixed = BOTTOM_ROWS + 2; /* and title, sentence */

	ftsi_canvas_begin(canvas, screen->columns, screen->rows, screen->has_colour);
	measure_board(&drawing);
	unsigned side_column = MARGIN_COLUMNS + drawing.board_columns + GAP_COLUMNS;
	if (side_column + SIDE_COLUMNS <= screen->columns && drawing.board_rows > screen->view->seat_count)
		drawing.side_column = side_column;
	unsigned room = screen->rows > fixed ? screen->rows - fixed : 0;
	unsigned board_rows = drawing.board_rows < room ? drawing.board_rows : room;
	drawing.spare = room - board_rows;

	if (screen->rows > BOTTOM_ROWS) draw_title(&drawing);
	draw_empty(&drawing);
	draw_board(&drawing, board_rows);
	if (drawing.side_column == 0) draw_players_below(&drawing);
	draw_empty(&drawing);
	if (screen->rows >= fixed) draw_sentence(&drawing);
	if (is_yours(screen->view) && screen->view->legal_count > 0 && spend_row(&drawing)) draw_legal(&drawing);
	if (screen->view->move_count > 0 && spend_row(&drawing)) {
		ftsi_canvas_pad(canvas, MARGIN_COLUMNS);
		draw_moves(&drawing, screen->columns > MARGIN_COLUMNS ? screen->columns - MARGIN_COLUMNS : 0);
		ftsi_canvas_end_line(canvas);
	}
	draw_empty(&drawing);
	if (screen->shows_help)
		draw_help(&drawing);
	else
		draw_news(&drawing);
	draw_bottom(&drawing);
}
