/* Why this file exists: see game_act.h. */
#include "client/cli/game_act.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NS_PER_MS UINT64_C(1000000)
#define PAUSE_MS 200u
#define VIEW_LAG_MS 5000u /* a refusal waits so long at most for the events that may contradict it */

void ftsi_act_init(struct ftsi_act *act, struct fts_channel *channel, void (*notify)(void *ctx), void *ctx)
{
	*act = (struct ftsi_act){.channel = channel, .notify = notify, .ctx = ctx};
	pthread_mutex_init(&act->lock, NULL);
}

void ftsi_act_fini(struct ftsi_act *act)
{
	pthread_mutex_destroy(&act->lock);
}

/* ---- Answers, on the runtime's threads ---- */

static void post(struct ftsi_act *act, enum fts_status status, const struct fts_error *error,
		 const Fts__Game__V1__JoinResponse *joined)
{
	struct ftsi_act_answer answer = {.is_in = true, .status = status};

	if (error) answer.error = *error;
	if (joined) {
		answer.seat = joined->seat;
		snprintf(answer.token, sizeof(answer.token), "%s", joined->token);
	}
	pthread_mutex_lock(&act->lock);
	act->answer = answer;
	pthread_mutex_unlock(&act->lock);
	act->notify(act->ctx);
}

static void on_joined(void *ctx, enum fts_status status, const Fts__Game__V1__JoinResponse *response,
		      const struct fts_error *error)
{
	post(ctx, status, error, response);
}

static void on_moved(void *ctx, enum fts_status status, const Fts__Game__V1__MoveResponse *response,
		     const struct fts_error *error)
{
	(void)response; /* the events of the match say the same, and more */
	post(ctx, status, error, NULL);
}

static void on_resigned(void *ctx, enum fts_status status, const Fts__Game__V1__ResignResponse *response,
			const struct fts_error *error)
{
	(void)response;
	post(ctx, status, error, NULL);
}

static void on_rematch(void *ctx, enum fts_status status, const Fts__Game__V1__RematchResponse *response,
		       const struct fts_error *error)
{
	(void)response;
	post(ctx, status, error, NULL);
}

/* ---- Sending ---- */

static enum fts_status start_join(struct ftsi_act *act, const struct fts_call_options *options)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;

	request.match = act->match;
	request.name = act->text;
	return fts_game_join_start(act->channel, &request, options, on_joined, act, NULL);
}

static enum fts_status start_move(struct ftsi_act *act, const struct fts_call_options *options)
{
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;

	request.match = act->match;
	request.token = act->token;
	request.move = act->text;
	request.ply = act->ply;
	return fts_game_move_start(act->channel, &request, options, on_moved, act, NULL);
}

static enum fts_status start_resign(struct ftsi_act *act, const struct fts_call_options *options)
{
	Fts__Game__V1__ResignRequest request = FTS__GAME__V1__RESIGN_REQUEST__INIT;

	request.match = act->match;
	request.token = act->token;
	return fts_game_resign_start(act->channel, &request, options, on_resigned, act, NULL);
}

static enum fts_status start_rematch(struct ftsi_act *act, const struct fts_call_options *options)
{
	Fts__Game__V1__RematchRequest request = FTS__GAME__V1__REMATCH_REQUEST__INIT;

	request.match = act->match;
	request.token = act->token;
	return fts_game_rematch_start(act->channel, &request, options, on_rematch, act, NULL);
}

static void send_try(struct ftsi_act *act, uint64_t now_ns)
{
	static enum fts_status (*const starts[])(struct ftsi_act *, const struct fts_call_options *) = {
	    [FTSI_ACT_JOIN] = start_join,
	    [FTSI_ACT_MOVE] = start_move,
	    [FTSI_ACT_RESIGN] = start_resign,
	    [FTSI_ACT_REMATCH] = start_rematch};
	struct fts_call_options options = {.timeout_ms = FTSI_ACT_TRY_MS};

	act->try_count++;
	act->is_sent = starts[act->kind](act, &options) == FTS_OK;
	act->again_ns = now_ns + PAUSE_MS * NS_PER_MS;
}

bool ftsi_act_begin(struct ftsi_act *act, enum ftsi_act_kind kind, const struct ftsi_view *view, const char *token,
		    const char *text)
{
	if (act->kind != FTSI_ACT_NONE) return false;
	act->kind = kind;
	act->is_sent = act->was_lost = act->is_made = false;
	act->again_ns = act->refused_ns = 0;
	act->try_count = 0;
	act->ply = view->ply + 1;
	act->seat = view->you;
	snprintf(act->match, sizeof(act->match), "%s", view->match);
	snprintf(act->token, sizeof(act->token), "%s", token);
	snprintf(act->text, sizeof(act->text), "%s", text);
	return true;
}

/* ---- Looking after it ---- */

static bool take_answer(struct ftsi_act *act, enum fts_status *out_status)
{
	pthread_mutex_lock(&act->lock);
	bool is_in = act->answer.is_in;
	if (is_in) {
		act->answer.is_in = false;
		*out_status = act->answer.status;
		act->error = act->answer.error;
	}
	pthread_mutex_unlock(&act->lock);
	return is_in;
}

static bool is_loss(const struct ftsi_act *act, enum fts_status status)
{
	if (act->kind == FTSI_ACT_JOIN) return false; /* a second try might take a second seat */
	return status == FTS_UNAVAILABLE || status == FTS_DEADLINE_EXCEEDED || status == FTS_RESOURCE_EXHAUSTED;
}

/* What the events say about the move: 1 made by us, -1 another one stands there, 0 not come yet. */
static int judge_move(const struct ftsi_act *act, const struct ftsi_view *view)
{
	if (strcmp(view->match, act->match) != 0) return 1; /* a rematch has begun: all was seen */
	if (view->move_count < act->ply) return view->state == FTS__GAME__V1__STATE__OVER ? -1 : 0;
	const struct ftsi_view_move *move = &view->moves[act->ply - 1];
	return move->seat == act->seat && strcasecmp(move->move, act->text) == 0 ? 1 : -1;
}

static enum ftsi_act_end end(struct ftsi_act *act, enum ftsi_act_end how)
{
	act->kind = FTSI_ACT_NONE;
	return how;
}

/* Answered well; the events of a move, and of the end of the match, have to be seen, too. */
static enum ftsi_act_end end_made(struct ftsi_act *act, const struct ftsi_view *view)
{
	bool is_seen = true;

	if (act->kind == FTSI_ACT_MOVE) is_seen = view->move_count >= act->ply;
	if (act->kind == FTSI_ACT_RESIGN) is_seen = view->state == FTS__GAME__V1__STATE__OVER;
	if (strcmp(view->match, act->match) != 0) is_seen = true; /* a rematch has begun: all was seen */
	return is_seen ? end(act, FTSI_ACT_DONE) : FTSI_ACT_GOES_ON;
}

/* A refusal may be about our own move, made by a try whose answer was lost, here or below us: the events know. */
static enum ftsi_act_end end_refused(struct ftsi_act *act, const struct ftsi_view *view, uint64_t now_ns)
{
	bool is_over = view->state == FTS__GAME__V1__STATE__OVER;

	if (act->was_lost && act->kind == FTSI_ACT_RESIGN && is_over) return end(act, FTSI_ACT_DONE);
	bool is_doubtful = act->was_lost || act->error.status == FTS_ABORTED; /* a stale ply */
	if (!is_doubtful || act->kind != FTSI_ACT_MOVE) return end(act, FTSI_ACT_REFUSED);
	int verdict = judge_move(act, view);
	if (verdict > 0) return end(act, FTSI_ACT_DONE);
	if (verdict < 0 || now_ns - act->refused_ns > VIEW_LAG_MS * NS_PER_MS) return end(act, FTSI_ACT_REFUSED);
	return FTSI_ACT_GOES_ON;
}

static void take_verdict(struct ftsi_act *act, enum fts_status status, uint64_t now_ns)
{
	act->is_sent = false;
	act->is_made = status == FTS_OK;
	act->refused_ns = status != FTS_OK && !is_loss(act, status) ? now_ns : 0;
	act->was_lost = act->was_lost || is_loss(act, status);
	act->again_ns = now_ns + PAUSE_MS * NS_PER_MS;
}

enum ftsi_act_end ftsi_act_poll(struct ftsi_act *act, const struct ftsi_view *view, uint64_t now_ns)
{
	enum fts_status status;

	if (act->kind == FTSI_ACT_NONE) return FTSI_ACT_IDLE;
	if (act->is_sent && take_answer(act, &status)) take_verdict(act, status, now_ns);
	if (act->is_sent) return FTSI_ACT_GOES_ON;
	if (act->is_made) return end_made(act, view);
	if (act->refused_ns != 0) return end_refused(act, view, now_ns);
	if (act->was_lost && act->kind == FTSI_ACT_MOVE && judge_move(act, view) > 0) return end(act, FTSI_ACT_DONE);
	if (now_ns >= act->again_ns) send_try(act, now_ns);
	return FTSI_ACT_GOES_ON;
}

const char *ftsi_act_text(char *buf, size_t size_bytes, const struct ftsi_act *act)
{
	static const char *const what[] = {[FTSI_ACT_NONE] = "",
					   [FTSI_ACT_JOIN] = "the seat",
					   [FTSI_ACT_MOVE] = "",
					   [FTSI_ACT_RESIGN] = "resigning",
					   [FTSI_ACT_REMATCH] = "the rematch"};
	const char *name = act->kind == FTSI_ACT_MOVE ? act->text : what[act->kind];

	buf[0] = '\0';
	if (act->kind != FTSI_ACT_NONE && act->was_lost)
		snprintf(buf, size_bytes, "no answer about %s yet, asking again (%u)", name, act->try_count);
	else if (act->kind != FTSI_ACT_NONE)
		snprintf(buf, size_bytes, "sending %s", name);
	return buf;
}
