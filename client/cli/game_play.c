/* Why this file exists: see game_play.h. */
#include "client/cli/game_play.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/cli/game_call.h"
#include "client/cli/game_terminal.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

#define SHOW_MS 1000u

static void wake(void *ctx)
{
	struct ftsi_play *play = ctx;
	uint64_t one = 1;

	/* Full is as good as written: it wakes. */
	if (write(play->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN) return;
}

void ftsi_play_drain(struct ftsi_play *play)
{
	uint64_t count;

	while (read(play->wake_fd, &count, sizeof(count)) > 0)
		;
}

/* ---- The following thread ---- */

static bool on_event(void *ctx, const Fts__Game__V1__MatchEvent *event)
{
	struct ftsi_play *play = ctx;

	pthread_mutex_lock(&play->lock);
	ftsi_view_apply(&play->view, event, fts_clock_monotonic_ns());
	if (play->on_event) play->on_event(play, event);
	bool goes_on = play->view.rematch[0] == '\0';
	pthread_mutex_unlock(&play->lock);
	wake(play);
	return goes_on;
}

static void on_link(void *ctx, enum ftsi_follow_link link, const char *node)
{
	struct ftsi_play *play = ctx;

	pthread_mutex_lock(&play->lock);
	uint32_t news_count = play->view.news_count;
	ftsi_view_link(&play->view, link, node, fts_clock_monotonic_ns());
	if (play->on_news && play->view.news_count != news_count) play->on_news(play);
	pthread_mutex_unlock(&play->lock);
	wake(play);
}

/* Clocks, legal moves and whose seat the token opens stand in Show alone. When it fails the next one tells. */
static bool on_caught_up(void *ctx)
{
	struct ftsi_play *play = ctx;
	Fts__Game__V1__ShowResponse *show = NULL;
	struct fts_error error = {0};
	struct fts_call_options options = {.timeout_ms = SHOW_MS};
	char token[FTSI_GAME_TOKEN_BYTES];

	pthread_mutex_lock(&play->lock);
	memcpy(token, play->token, sizeof(token));
	pthread_mutex_unlock(&play->lock);
	if (ftsi_game_show(play->follow_channel, play->follow.match, token, &options, &show, &error) != FTS_OK)
		return true;
	pthread_mutex_lock(&play->lock);
	ftsi_view_show(&play->view, show, fts_clock_monotonic_ns());
	play->is_caught_up = true;
	pthread_mutex_unlock(&play->lock);
	fts__game__v1__show_response__free_unpacked(show, NULL);
	wake(play);
	return true;
}

/* The match has a rematch: on to it. */
static bool go_on_to_rematch(struct ftsi_play *play)
{
	pthread_mutex_lock(&play->lock);
	bool has_rematch = play->view.rematch[0] != '\0';
	if (has_rematch) {
		snprintf(play->match, sizeof(play->match), "%s", play->view.rematch);
		ftsi_view_reset(&play->view, play->match);
		play->is_caught_up = false;
	}
	pthread_mutex_unlock(&play->lock);
	play->follow.next = 1;
	play->follow.is_over = false;
	return has_rematch;
}

static void *follow_all(void *ctx)
{
	struct ftsi_play *play = ctx;
	struct fts_error error = {0};
	enum fts_status st;

	do
		st = ftsi_follow_run(&play->follow, &error);
	while (st == FTS_OK && go_on_to_rematch(play));
	pthread_mutex_lock(&play->lock);
	play->is_ended = true;
	play->end_status = st;
	play->end_error = error;
	pthread_mutex_unlock(&play->lock);
	wake(play);
	return NULL;
}

/* ---- Start and stop ---- */

/* The terminal first, as a second signal ends the program at once. */
static void on_interrupt(void *ctx)
{
	struct ftsi_play *play = ctx;

	ftsi_terminal_leave();
	pthread_mutex_lock(&play->lock);
	play->is_leaving = true;
	pthread_mutex_unlock(&play->lock);
	wake(play);
}

static void init_follow(struct ftsi_play *play)
{
	ftsi_follow_init(&play->follow);
	play->follow.channel = play->follow_channel;
	play->follow.match = play->match; /* changed by the following thread alone */
	play->follow.timeout_ms = play->cli->timeout_ms;
	play->follow.waits = play->follow.stays = true;
	play->follow.observer =
	    (struct ftsi_follow_observer){.ctx = play, .event = on_event, .link = on_link, .caught_up = on_caught_up};
}

enum fts_status ftsi_play_start(struct ftsi_play *play, struct fts_error *out_error)
{
	pthread_mutex_init(&play->lock, NULL);
	ftsi_act_init(&play->act, play->cli->channel, wake, play);
	play->view.you = -1;
	ftsi_view_reset(&play->view, play->match);
	play->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	enum fts_status st = ftsi_session_channel(play->cli, &play->follow_channel, out_error);
	init_follow(play);
	if (st != FTS_OK) return st;
	if (play->wake_fd < 0) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no descriptor is left");
	ftsi_interrupt_claim(on_interrupt, play);
	play->has_thread = pthread_create(&play->thread, NULL, follow_all, play) == 0;
	return play->has_thread ? FTS_OK : fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread can be made");
}

void ftsi_play_stop(struct ftsi_play *play)
{
	ftsi_interrupt_release();
	ftsi_follow_stop(&play->follow);
	if (play->has_thread) pthread_join(play->thread, NULL);
	fts_channel_close(play->follow_channel);
	ftsi_session_close(play->cli); /* ends the act in flight, which posts here */
	ftsi_follow_fini(&play->follow);
	ftsi_act_fini(&play->act);
	if (play->wake_fd >= 0) close(play->wake_fd);
	pthread_mutex_destroy(&play->lock);
}

/* ---- What is known ---- */

bool ftsi_play_view(struct ftsi_play *play, struct ftsi_view *out_view)
{
	pthread_mutex_lock(&play->lock);
	*out_view = play->view;
	bool is_caught_up = play->is_caught_up;
	pthread_mutex_unlock(&play->lock);
	return is_caught_up;
}

bool ftsi_play_is_ended(struct ftsi_play *play, enum fts_status *out_status, struct fts_error *out_error)
{
	pthread_mutex_lock(&play->lock);
	bool is_ended = play->is_ended;
	if (is_ended) {
		*out_status = play->end_status;
		*out_error = play->end_error;
	}
	pthread_mutex_unlock(&play->lock);
	return is_ended;
}

bool ftsi_play_is_leaving(struct ftsi_play *play)
{
	pthread_mutex_lock(&play->lock);
	bool is_leaving = play->is_leaving;
	pthread_mutex_unlock(&play->lock);
	return is_leaving;
}

void ftsi_play_tell_token(struct ftsi_play *play)
{
	pthread_mutex_lock(&play->lock);
	if (play->token[0] && !play->is_token_kept && play->view.state != FTS__GAME__V1__STATE__OVER)
		ftsi_note("to come back: fts-cli game play %s --token %s", play->match, play->token);
	pthread_mutex_unlock(&play->lock);
}

/* ---- Acts ---- */

enum ftsi_line_kind ftsi_play_line(const char *line, const char **out_rest)
{
	static const struct {
		const char *word;
		enum ftsi_line_kind kind;
	} words[] = {{"help", FTSI_LINE_HELP},     {"?", FTSI_LINE_HELP},          {"h", FTSI_LINE_HELP},
		     {"quit", FTSI_LINE_QUIT},     {"exit", FTSI_LINE_QUIT},       {"q", FTSI_LINE_QUIT},
		     {"resign", FTSI_LINE_RESIGN}, {"rematch", FTSI_LINE_REMATCH}, {"legal", FTSI_LINE_LEGAL},
		     {"join", FTSI_LINE_JOIN}};
	size_t length = strcspn(line, " ");

	*out_rest = line + length + strspn(line + length, " ");
	if (length == 0) return FTSI_LINE_EMPTY;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		bool is_word = strlen(words[i].word) == length && strncasecmp(words[i].word, line, length) == 0;
		bool may_have_rest = words[i].kind == FTSI_LINE_JOIN;
		if (is_word && (may_have_rest || !**out_rest)) return words[i].kind;
	}
	return FTSI_LINE_MOVE;
}

bool ftsi_play_begin(struct ftsi_play *play, const struct ftsi_view *view, enum ftsi_act_kind kind, const char *text,
		     char *message, size_t message_bytes)
{
	bool is_player = play->token[0] != '\0';

	if (play->act.kind != FTSI_ACT_NONE)
		ftsi_act_text(message, message_bytes, &play->act);
	else if (kind == FTSI_ACT_JOIN && is_player)
		snprintf(message, message_bytes, "you sit there already");
	else if (kind != FTSI_ACT_JOIN && !is_player)
		snprintf(message, message_bytes, "you look on; join takes a free seat");
	else
		return ftsi_act_begin(&play->act, kind, view, play->token, text);
	return false;
}

static void take_seat(struct ftsi_play *play)
{
	pthread_mutex_lock(&play->lock);
	snprintf(play->token, sizeof(play->token), "%s", play->act.answer.token);
	play->view.you = (int32_t)play->act.answer.seat;
	pthread_mutex_unlock(&play->lock);
}

enum ftsi_act_end ftsi_play_poll(struct ftsi_play *play, const struct ftsi_view *view, struct fts_error *out_error)
{
	bool is_join = play->act.kind == FTSI_ACT_JOIN;
	enum ftsi_act_end end = ftsi_act_poll(&play->act, view, fts_clock_monotonic_ns());

	if (end == FTSI_ACT_DONE && is_join) take_seat(play);
	if (end == FTSI_ACT_REFUSED) *out_error = play->act.error;
	return end;
}
