/* Why this file exists: the face of `game play` on a pipe: moves and commands are lines of standard input, what happens
 * is printed, each event once. A line that is a move waits until it is one's turn, so that a script may write all its
 * moves at once.
 *
 * It ends when the input has ended and its last line is done with; one that looks on, when the match is over. A move
 * that was refused is told and makes the exit code 1; the lines behind it are still read. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cli/game_play.h"
#include "client/cli/output.h"

#define BUFFER_BYTES 4096u
#define MESSAGE_BYTES 640u

struct lines {
	struct ftsi_play *play;
	struct ftsi_view view;
	char buffer[BUFFER_BYTES];
	size_t length;
	bool is_ended;       /* standard input */
	bool awaits_rematch; /* it was asked for here: moves are for the match that follows */
	bool leaves;
	enum ftsi_exit code;
};

/* ---- What happens, on the following thread ---- */

static void print_board(const char *board)
{
	size_t length = strlen(board);

	printf("%s%s", board, length > 0 && board[length - 1] == '\n' ? "" : "\n");
}

static void on_event(struct ftsi_play *play, const Fts__Game__V1__MatchEvent *event)
{
	const struct ftsi_view *view = &play->view;

	if (play->cli->json) {
		ftsi_print_json(ftsi_match_event_json(event));
		return;
	}
	printf("%s\n", view->news[(view->news_count - 1) % FTSI_VIEW_NEWS_MAX]);
	if (event->kind_case == FTS__GAME__V1__MATCH_EVENT__KIND_MOVED) print_board(view->board);
	(void)fflush(stdout);
}

static void on_news(struct ftsi_play *play)
{
	ftsi_note("%s", play->view.news[(play->view.news_count - 1) % FTSI_VIEW_NEWS_MAX]);
}

/* ---- What is asked for ---- */

static void refuse(struct lines *lines, const struct fts_error *error)
{
	lines->code = ftsi_fail(lines->play->cli, error);
}

static void begin(struct lines *lines, enum ftsi_act_kind kind, const char *text)
{
	char reason[MESSAGE_BYTES] = "";
	struct fts_error error = {0};

	if (ftsi_play_begin(lines->play, &lines->view, kind, text, reason, sizeof(reason))) return;
	(void)fts_error_set(&error, FTS_FAILED_PRECONDITION, "%s", reason);
	refuse(lines, &error);
}

static void print_legal(const struct lines *lines)
{
	for (uint32_t i = 0; i < lines->view.legal_count; i++)
		printf("%s%s", i ? " " : "", lines->view.legal[i]);
	putchar('\n');
	(void)fflush(stdout);
}

static void print_help(void)
{
	fputs("fts-cli: a line is a move, or one of: resign, rematch, legal, join [NAME], help, quit\n", stderr);
}

static bool is_your_turn(const struct lines *lines)
{
	return lines->view.state == FTS__GAME__V1__STATE__PLAYING && lines->view.turn == lines->view.you;
}

/* Whether the line can be acted on now: a move waits for its turn, unless the turn can't come any more; a rematch
 * waits for the end of the match. */
static bool is_ready(const struct lines *lines, enum ftsi_line_kind kind)
{
	bool is_over = lines->view.state == FTS__GAME__V1__STATE__OVER;

	if (kind == FTSI_LINE_REMATCH) return is_over || lines->view.you < 0;
	if (kind != FTSI_LINE_MOVE || lines->view.you < 0) return true;
	return is_your_turn(lines) || (is_over && !lines->awaits_rematch);
}

static void take(struct lines *lines, enum ftsi_line_kind kind, const char *line, const char *rest)
{
	switch (kind) {
	case FTSI_LINE_EMPTY:
		break;
	case FTSI_LINE_MOVE:
		begin(lines, FTSI_ACT_MOVE, line);
		break;
	case FTSI_LINE_HELP:
		print_help();
		break;
	case FTSI_LINE_QUIT:
		lines->leaves = true;
		break;
	case FTSI_LINE_RESIGN:
		begin(lines, FTSI_ACT_RESIGN, "");
		break;
	case FTSI_LINE_REMATCH:
		begin(lines, FTSI_ACT_REMATCH, "");
		lines->awaits_rematch = true;
		break;
	case FTSI_LINE_LEGAL:
		print_legal(lines);
		break;
	case FTSI_LINE_JOIN:
		begin(lines, FTSI_ACT_JOIN, rest);
		break;
	}
}

/* The first line of the buffer, without the spaces around it, into out_line (BUFFER_BYTES). out_size_bytes: what it
 * takes in the buffer. False: it has not come whole. */
static bool first_line(const struct lines *lines, char *out_line, size_t *out_size_bytes)
{
	const char *end = memchr(lines->buffer, '\n', lines->length);
	size_t length = end ? (size_t)(end - lines->buffer) : lines->length;

	if (!end && (!lines->is_ended || lines->length == 0)) return false;
	*out_size_bytes = length + (end != NULL);
	size_t from = 0;
	while (from < length && strchr(" \t\r", lines->buffer[from]))
		from++;
	while (length > from && strchr(" \t\r", lines->buffer[length - 1]))
		length--;
	memcpy(out_line, lines->buffer + from, length - from);
	out_line[length - from] = '\0';
	return true;
}

/* Act on as many lines as can be acted on by now. */
static void take_lines(struct lines *lines)
{
	char line[BUFFER_BYTES + 1];
	size_t size_bytes;

	while (!lines->leaves && lines->play->act.kind == FTSI_ACT_NONE && first_line(lines, line, &size_bytes)) {
		const char *rest;
		enum ftsi_line_kind kind = ftsi_play_line(line, &rest);
		if (!is_ready(lines, kind)) return;
		memmove(lines->buffer, lines->buffer + size_bytes, lines->length - size_bytes);
		lines->length -= size_bytes;
		take(lines, kind, line, rest);
	}
}

static void read_input(struct lines *lines)
{
	ssize_t count = read(STDIN_FILENO, lines->buffer + lines->length, sizeof(lines->buffer) - lines->length);

	if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
	if (count <= 0) lines->is_ended = true;
	if (count > 0) lines->length += (size_t)count;
	if (lines->length < sizeof(lines->buffer) || memchr(lines->buffer, '\n', lines->length)) return;
	ftsi_note("a line of %u bytes is no move", BUFFER_BYTES);
	lines->leaves = true;
	lines->code = FTSI_EXIT_USAGE;
}

/* ---- The end ---- */

/* All that Show knew was printed, too: it may be ahead of the events. */
static bool is_done(const struct lines *lines)
{
	if (lines->view.event_count < lines->view.shown_count) return false;
	bool is_idle = lines->is_ended && lines->length == 0 && lines->play->act.kind == FTSI_ACT_NONE;

	if (lines->play->token[0]) return is_idle;
	return lines->view.state == FTS__GAME__V1__STATE__OVER && lines->play->act.kind == FTSI_ACT_NONE;
}

static void look_after_act(struct lines *lines)
{
	struct fts_error error = {0};

	if (ftsi_play_poll(lines->play, &lines->view, &error) == FTSI_ACT_REFUSED) refuse(lines, &error);
}

static void look_after_end(struct lines *lines, bool is_caught_up)
{
	enum fts_status status = FTS_OK;
	struct fts_error error = {0};

	if (is_caught_up && is_done(lines)) lines->leaves = true;
	if (ftsi_play_is_leaving(lines->play) || !ftsi_output_open()) lines->leaves = true;
	if (lines->leaves || !ftsi_play_is_ended(lines->play, &status, &error)) return;
	lines->leaves = true;
	if (status != FTS_OK) refuse(lines, &error);
}

static void turn(struct lines *lines)
{
	struct pollfd waits[] = {{.fd = lines->play->wake_fd, .events = POLLIN},
				 {.fd = STDIN_FILENO, .events = POLLIN}};
	bool is_caught_up = ftsi_play_view(lines->play, &lines->view);
	bool has_room = !lines->is_ended && lines->length < sizeof(lines->buffer);

	if (lines->view.state != FTS__GAME__V1__STATE__OVER) lines->awaits_rematch = false;
	look_after_act(lines);
	if (is_caught_up) take_lines(lines);
	look_after_act(lines); /* what was begun is sent at once */
	look_after_end(lines, is_caught_up);
	if (lines->leaves || poll(waits, has_room ? 2 : 1, FTSI_PLAY_TICK_MS) <= 0) return;
	if (waits[0].revents) ftsi_play_drain(lines->play);
	if (has_room && waits[1].revents) read_input(lines);
}

enum ftsi_exit ftsi_play_by_lines(struct ftsi_play *play)
{
	struct lines *lines;
	struct fts_error error = {0};

	play->on_event = on_event;
	play->on_news = on_news;
	if (ftsi_play_start(play, &error) != FTS_OK) return ftsi_fail(play->cli, &error);
	lines = calloc(1, sizeof(*lines)); /* with a view, which is large */
	if (!lines) return ftsi_fail_usage(play->cli, "no memory");
	lines->play = play;
	while (!lines->leaves)
		turn(lines);
	enum ftsi_exit code = lines->code;
	free(lines);
	return code;
}
