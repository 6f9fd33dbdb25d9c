/* Why this file exists: the face of `game play` on a terminal: keys in, the whole board out, again after whatever
 * happens. What is half typed stays, whatever happens around it.
 *
 * The size of the terminal is asked for at each drawing rather than told by SIGWINCH: the clocks make it draw ten times
 * a second anyway, and no code of ours then runs in a signal handler. Nothing is written when nothing has changed. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cli/game_play.h"
#include "client/cli/game_screen.h"
#include "client/cli/game_terminal.h"
#include "client/cli/output.h"

#define MESSAGE_BYTES 640u

struct face {
	struct ftsi_play *play;
	struct ftsi_view view; /* of the last drawing */
	struct ftsi_input input;
	struct ftsi_canvas canvas;
	struct ftsi_canvas drawn; /* what the terminal shows */
	char message[MESSAGE_BYTES];
	bool is_bad;
	bool shows_help;
	bool asks_resign; /* the next "yes" resigns */
	bool has_colour;
	bool leaves;
	unsigned tab_at; /* the completion that comes next */
	char tab_prefix[FTSI_INPUT_BYTES];
	enum ftsi_exit code;
};

static void say(struct face *face, bool is_bad, const char *format, ...) FTS_PRINTF(3, 4);
static void say(struct face *face, bool is_bad, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(face->message, sizeof(face->message), format, list);
	va_end(list);
	face->is_bad = is_bad;
}

/* ---- What is typed ---- */

static void begin(struct face *face, enum ftsi_act_kind kind, const char *text)
{
	char reason[MESSAGE_BYTES] = "";

	if (!ftsi_play_begin(face->play, &face->view, kind, text, reason, sizeof(reason)))
		say(face, true, "%s", reason);
	else
		say(face, false, "%s", "");
}

static void say_legal(struct face *face)
{
	size_t used = 0;

	if (face->view.legal_count == 0) say(face, false, "nobody is to move");
	if (face->view.legal_count == 0) return;
	for (uint32_t i = 0; i < face->view.legal_count && used + FTSI_VIEW_MOVE_BYTES + 1 < sizeof(face->message); i++)
		used += (size_t)snprintf(face->message + used, sizeof(face->message) - used, "%s%s", i ? " " : "",
					 face->view.legal[i]);
	face->is_bad = false;
}

static void take_line(struct face *face)
{
	char line[FTSI_INPUT_BYTES];
	const char *rest;
	bool asked = face->asks_resign;

	ftsi_input_take(&face->input, line);
	face->asks_resign = face->shows_help = false;
	say(face, false, "%s", "");
	if (asked && (strcmp(line, "yes") == 0 || strcmp(line, "y") == 0)) {
		begin(face, FTSI_ACT_RESIGN, "");
		return;
	}
	switch (ftsi_play_line(line, &rest)) {
	case FTSI_LINE_EMPTY:
		break;
	case FTSI_LINE_MOVE:
		begin(face, FTSI_ACT_MOVE, line);
		break;
	case FTSI_LINE_HELP:
		face->shows_help = true;
		break;
	case FTSI_LINE_QUIT:
		face->leaves = true;
		break;
	case FTSI_LINE_RESIGN:
		face->asks_resign = true;
		say(face, false, "give the match up? type yes");
		break;
	case FTSI_LINE_REMATCH:
		begin(face, FTSI_ACT_REMATCH, "");
		break;
	case FTSI_LINE_LEGAL:
		say_legal(face);
		break;
	case FTSI_LINE_JOIN:
		begin(face, FTSI_ACT_JOIN, rest);
		break;
	}
}

/* The next legal move that begins with what was typed before the first Tab. */
static void complete(struct face *face)
{
	struct ftsi_view *view = &face->view;
	size_t length;

	if (face->tab_at == 0) memcpy(face->tab_prefix, face->input.line, sizeof(face->tab_prefix));
	length = strlen(face->tab_prefix);
	for (uint32_t i = 0; i < view->legal_count; i++) {
		uint32_t at = (face->tab_at + i) % view->legal_count;
		if (strncmp(view->legal[at], face->tab_prefix, length) != 0) continue;
		ftsi_input_set(&face->input, view->legal[at]);
		face->tab_at = at + 1;
		return;
	}
}

static void take_key(struct face *face, unsigned char byte)
{
	enum ftsi_key key = ftsi_input_key(&face->input, byte);

	if (key != FTSI_KEY_TAB) face->tab_at = 0;
	switch (key) {
	case FTSI_KEY_NONE:
		break;
	case FTSI_KEY_ENTER:
		take_line(face);
		break;
	case FTSI_KEY_TAB:
		complete(face);
		break;
	case FTSI_KEY_LEAVE:
		face->leaves = true;
		break;
	case FTSI_KEY_SUSPEND:
		ftsi_terminal_suspend();
		face->drawn.used = 0;
		break;
	case FTSI_KEY_REDRAW:
		face->drawn.used = 0;
		break;
	}
}

/* The terminal is gone when it has an end. */
static void read_keys(struct face *face)
{
	unsigned char bytes[256];
	ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) face->leaves = true;
	for (ssize_t i = 0; i < count && !face->leaves; i++)
		take_key(face, bytes[i]);
}

/* ---- What happens ---- */

static void look_after_act(struct face *face)
{
	struct fts_error error = {0};
	char text[FTSI_GAME_TEXT_MAX];

	switch (ftsi_play_poll(face->play, &face->view, &error)) {
	case FTSI_ACT_IDLE:
		break;
	case FTSI_ACT_GOES_ON:
		say(face, false, "%s", ftsi_act_text(text, sizeof(text), &face->play->act));
		break;
	case FTSI_ACT_DONE:
		say(face, false, "%s", "");
		break;
	case FTSI_ACT_REFUSED:
		say(face, true, "%s", error.detail);
		break;
	}
}

static void look_after_end(struct face *face)
{
	enum fts_status status = FTS_OK;
	struct fts_error error = {0};

	if (ftsi_play_is_leaving(face->play)) face->leaves = true;
	if (face->leaves || !ftsi_play_is_ended(face->play, &status, &error)) return;
	face->leaves = true;
	ftsi_terminal_leave();
	if (status != FTS_OK) face->code = ftsi_fail(face->play->cli, &error);
}

static void draw(struct face *face)
{
	struct ftsi_screen screen = {.view = &face->view,
				     .input = &face->input,
				     .message = face->message,
				     .is_bad = face->is_bad,
				     .shows_help = face->shows_help,
				     .has_colour = face->has_colour,
				     .now_ns = fts_clock_monotonic_ns()};

	ftsi_terminal_size(&screen.columns, &screen.rows);
	ftsi_screen_draw(&screen, &face->canvas);
	if (face->canvas.used == face->drawn.used && face->canvas.columns == face->drawn.columns &&
	    face->canvas.rows == face->drawn.rows &&
	    memcmp(face->canvas.bytes, face->drawn.bytes, face->drawn.used) == 0)
		return;
	if (!ftsi_terminal_write(face->canvas.bytes, face->canvas.used)) face->leaves = true;
	face->drawn = face->canvas;
}

static void turn(struct face *face)
{
	struct pollfd waits[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = face->play->wake_fd, .events = POLLIN}};

	(void)ftsi_play_view(face->play, &face->view);
	look_after_act(face);
	look_after_end(face);
	if (face->leaves) return;
	draw(face);
	if (poll(waits, 2, FTSI_PLAY_TICK_MS) <= 0) return;
	if (waits[0].revents) read_keys(face);
	if (waits[1].revents) ftsi_play_drain(face->play);
}

static void say_goodbye(const struct face *face)
{
	char text[FTSI_GAME_SENTENCE_BYTES];

	printf("%s: %s, after %u moves\n", face->view.match, ftsi_view_sentence(text, sizeof(text), &face->view),
	       (unsigned)face->view.ply);
}

enum ftsi_exit ftsi_play_on_terminal(struct ftsi_play *play)
{
	struct face *face;
	struct fts_error error = {0};
	enum ftsi_exit code;

	if (ftsi_play_start(play, &error) != FTS_OK) return ftsi_fail(play->cli, &error);
	face = calloc(1, sizeof(*face)); /* with screens, which are large */
	if (!face) return ftsi_fail_usage(play->cli, "no memory");
	face->play = play;
	face->has_colour = !getenv("NO_COLOR");
	if (ftsi_terminal_enter()) {
		while (!face->leaves)
			turn(face);
		ftsi_terminal_leave();
		if (face->code == FTSI_EXIT_DONE) say_goodbye(face);
		code = face->code;
	} else {
		code = ftsi_fail_usage(play->cli, "the terminal can't be drawn on: %s", strerror(errno));
	}
	free(face);
	return code;
}
