/* Why this file exists: the follower of a match; see game_follow.h. The held Watch is started rather than called, as
 * only a started call can be given up; the short one is called, as only that tells which node answered. */
#include "client/cli/game_follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define PAUSE_FIRST_MS 50u /* between short ones that fail, doubling */
#define PAUSE_LONGEST_MS 1000u
#define PAUSE_OVER_MS 500u /* between looks at a match that is over */

void ftsi_follow_init(struct ftsi_follow *follow)
{
	pthread_condattr_t attributes;

	*follow = (struct ftsi_follow){.next = 1};
	pthread_mutex_init(&follow->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&follow->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

void ftsi_follow_fini(struct ftsi_follow *follow)
{
	free(follow->answer.packed);
	pthread_cond_destroy(&follow->changed);
	pthread_mutex_destroy(&follow->lock);
}

void ftsi_follow_stop(struct ftsi_follow *follow)
{
	pthread_mutex_lock(&follow->lock);
	follow->is_stopping = true;
	bool is_held = follow->is_held;
	struct fts_call_id id = follow->held_id;
	pthread_cond_broadcast(&follow->changed);
	pthread_mutex_unlock(&follow->lock);
	if (is_held) fts_channel_cancel(follow->channel, id);
}

/* False: stop came meanwhile. */
static bool pause_ms(struct ftsi_follow *follow, uint32_t ms)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), ms);
	struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u)};

	pthread_mutex_lock(&follow->lock);
	while (!follow->is_stopping && pthread_cond_timedwait(&follow->changed, &follow->lock, &until) == 0)
		;
	bool goes_on = !follow->is_stopping;
	pthread_mutex_unlock(&follow->lock);
	return goes_on;
}

/* ---- The link ---- */

static void set_link(struct ftsi_follow *follow, enum ftsi_follow_link link, const char *node)
{
	bool is_news = link != follow->link || strcmp(node, follow->node) != 0;

	follow->link = link;
	if (is_news && follow->observer.link) follow->observer.link(follow->observer.ctx, link, node);
	if (link != FTSI_FOLLOW_GONE) snprintf(follow->node, sizeof(follow->node), "%s", node);
}

static bool is_loss(enum fts_status status)
{
	return status == FTS_UNAVAILABLE || status == FTS_DEADLINE_EXCEEDED || status == FTS_RESOURCE_EXHAUSTED;
}

/* Nobody has answered, or nobody who knows. False: patience is over. */
static bool note_loss(struct ftsi_follow *follow, const struct fts_call_info *info)
{
	uint64_t now_ns = fts_clock_monotonic_ns();

	if (info->node[0])
		set_link(follow, FTSI_FOLLOW_LEADERLESS, info->node);
	else
		set_link(follow, FTSI_FOLLOW_GONE, follow->node);
	if (follow->silent_since_ns == 0) follow->silent_since_ns = now_ns;
	return follow->patience_ms == 0 || now_ns - follow->silent_since_ns < follow->patience_ms * NS_PER_MS;
}

/* ---- Events ---- */

/* out_enough: the observer wants no more. */
static enum fts_status tell(struct ftsi_follow *follow, const Fts__Game__V1__WatchResponse *response, bool *out_enough,
			    struct fts_error *out_error)
{
	for (size_t i = 0; i < response->n_events && !*out_enough; i++) {
		const Fts__Game__V1__MatchEvent *event = response->events[i];
		if (event->number < follow->next) continue;
		if (event->number > follow->next)
			return fts_error_set(out_error, FTS_DATA_LOSS,
					     "event %" PRIu64 " of %s is missing: the server told %" PRIu64,
					     follow->next, follow->match, event->number);
		follow->next++;
		*out_enough = !follow->observer.event(follow->observer.ctx, event);
	}
	follow->is_over = response->over;
	return FTS_OK;
}

/* ---- The short Watch ---- */

static void fill_request(const struct ftsi_follow *follow, Fts__Game__V1__WatchRequest *request)
{
	fts__game__v1__watch_request__init(request);
	request->match = (char *)follow->match;
	request->from = follow->next;
}

/* Ask what has happened until all is known. out_info: of the last call. */
static enum fts_status probe(struct ftsi_follow *follow, bool *out_enough, struct fts_call_info *out_info,
			     struct fts_error *out_error)
{
	enum fts_status st = FTS_OK;
	uint64_t next;

	do {
		Fts__Game__V1__WatchRequest request;
		Fts__Game__V1__WatchResponse *response = NULL;
		struct fts_call_options options = {
		    .timeout_ms = follow->node[0] ? FTSI_FOLLOW_PROBE_MS : follow->timeout_ms, .info = out_info};
		*out_info = (struct fts_call_info){0};
		fill_request(follow, &request);
		next = follow->next;
		st = fts_game_watch(follow->channel, &request, &options, &response, out_error);
		if (st != FTS_OK) return st;
		follow->silent_since_ns = 0;
		set_link(follow, FTSI_FOLLOW_UP, out_info->node);
		st = tell(follow, response, out_enough, out_error);
		fts__game__v1__watch_response__free_unpacked(response, NULL);
	} while (st == FTS_OK && !*out_enough && follow->next > next);
	return st;
}

/* Until somebody answers who knows. */
static enum fts_status catch_up(struct ftsi_follow *follow, bool *out_enough, struct fts_error *out_error)
{
	uint32_t wait_ms = PAUSE_FIRST_MS;

	for (;;) {
		struct fts_call_info info;
		enum fts_status st = probe(follow, out_enough, &info, out_error);
		if (st == FTS_OK && !*out_enough && follow->observer.caught_up)
			*out_enough = !follow->observer.caught_up(follow->observer.ctx);
		if (!is_loss(st) || !follow->node[0]) return st;
		if (!note_loss(follow, &info)) return st;
		if (!pause_ms(follow, wait_ms)) return fts_error_set(out_error, FTS_CANCELLED, "stopped");
		wait_ms = wait_ms < PAUSE_LONGEST_MS / 2 ? 2 * wait_ms : PAUSE_LONGEST_MS;
	}
}

/* ---- The held Watch ---- */

static void on_held(void *ctx, enum fts_status status, const Fts__Game__V1__WatchResponse *response,
		    const struct fts_error *error)
{
	struct ftsi_follow *follow = ctx;
	struct ftsi_follow_answer answer = {.is_in = true, .status = status};

	if (error) answer.error = *error;
	if (response) {
		answer.size_bytes = fts__game__v1__watch_response__get_packed_size(response);
		answer.packed = malloc(answer.size_bytes + 1);
		if (answer.packed)
			fts__game__v1__watch_response__pack(response, answer.packed);
		else
			answer.status = fts_error_set(&answer.error, FTS_RESOURCE_EXHAUSTED, "no memory");
	}
	pthread_mutex_lock(&follow->lock);
	follow->answer = answer;
	follow->is_held = false;
	pthread_cond_broadcast(&follow->changed);
	pthread_mutex_unlock(&follow->lock);
}

/* Wait for on_held, which the channel calls when the time limit has passed at the latest. */
static void await_answer(struct ftsi_follow *follow, struct fts_call_id id, struct ftsi_follow_answer *out_answer)
{
	pthread_mutex_lock(&follow->lock);
	follow->held_id = id;
	follow->is_held = !follow->answer.is_in;
	bool is_late = follow->is_stopping && follow->is_held;
	pthread_mutex_unlock(&follow->lock);
	if (is_late) fts_channel_cancel(follow->channel, id); /* stop came before there was anything to cancel */

	pthread_mutex_lock(&follow->lock);
	while (!follow->answer.is_in)
		pthread_cond_wait(&follow->changed, &follow->lock);
	*out_answer = follow->answer;
	follow->answer = (struct ftsi_follow_answer){0};
	pthread_mutex_unlock(&follow->lock);
}

/* Let a node hold the question until something happens. A loss is no error here: it is noted. */
static enum fts_status hold(struct ftsi_follow *follow, bool *out_enough, struct fts_error *out_error)
{
	static const struct fts_call_info nobody = {0};
	struct ftsi_follow_answer answer;
	Fts__Game__V1__WatchRequest request;
	Fts__Game__V1__WatchResponse *response;
	struct fts_call_options options = {.timeout_ms = FTSI_FOLLOW_HOLD_MS, .no_retry = true};
	struct fts_call_id id = {0};

	fill_request(follow, &request);
	request.wait = true;
	enum fts_status st = fts_game_watch_start(follow->channel, &request, &options, on_held, follow, &id);
	if (st != FTS_OK) return fts_error_set(out_error, st, "the match can't be watched");
	await_answer(follow, id, &answer);
	if (answer.status == FTS_UNAVAILABLE) (void)note_loss(follow, &nobody);
	if (answer.status != FTS_OK && !is_loss(answer.status)) *out_error = answer.error;
	if (answer.status != FTS_OK) return is_loss(answer.status) ? FTS_OK : answer.status;
	response = fts__game__v1__watch_response__unpack(NULL, answer.size_bytes, answer.packed);
	free(answer.packed);
	if (!response) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	st = tell(follow, response, out_enough, out_error);
	fts__game__v1__watch_response__free_unpacked(response, NULL);
	return st;
}

enum fts_status ftsi_follow_run(struct ftsi_follow *follow, struct fts_error *out_error)
{
	bool is_enough = false;

	for (;;) {
		uint64_t next = follow->next;
		enum fts_status st = catch_up(follow, &is_enough, out_error);
		if (st != FTS_OK || is_enough || !follow->waits) return st;
		if (follow->is_over && !follow->stays) return FTS_OK;
		if (!pause_ms(follow, follow->is_over && follow->next == next ? PAUSE_OVER_MS : 0))
			return fts_error_set(out_error, FTS_CANCELLED, "stopped");
		st = hold(follow, &is_enough, out_error);
		if (st != FTS_OK || is_enough) return st;
	}
}
