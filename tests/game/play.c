/* Why this file exists: see play.h. */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>

/* Not cmocka's: players are threads, which it can't stop. */
static void must(enum fts_status status, const char *what, const struct fts_error *error)
{
	if (status == FTS_OK) return;
	fprintf(stderr, "play: %s: %s (%s)\n", what, error->detail, fts_status_name(status));
	abort();
}

static char *borrowed(const char *text)
{
	return (char *)(uintptr_t)text;
}

static const struct fts_call_options patient = {.timeout_ms = PLAY_TIMEOUT_MS};

struct fts_channel *play_channel(const char *endpoints)
{
	const struct fts_channel_options options = {.endpoints = endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error;
	must(fts_channel_open(&options, &channel, &error), "open", &error);
	return channel;
}

static void join(struct fts_channel *channel, struct play_match *match, uint32_t seat)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	Fts__Game__V1__JoinResponse *response = NULL;
	struct fts_error error;
	request.match = match->name;
	request.seat = seat + 1;
	must(fts_game_join(channel, &request, &patient, &response, &error), "join", &error);
	(void)snprintf(match->tokens[seat], sizeof match->tokens[seat], "%s", response->token);
	fts__game__v1__join_response__free_unpacked(response, NULL);
}

void play_begin(struct fts_channel *channel, const char *rules, uint32_t initial_ms, struct play_match *out_match)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	Fts__Game__V1__CreateResponse *response = NULL;
	struct fts_error error;
	clock.initial_ms = initial_ms;
	request.rules = borrowed(rules);
	request.clock = &clock;
	must(fts_game_create(channel, &request, &patient, &response, &error), "create", &error);
	(void)snprintf(out_match->name, sizeof out_match->name, "%s", response->match);
	fts__game__v1__create_response__free_unpacked(response, NULL);
	out_match->rules = ftsi_game_rules_find(rules);
	join(channel, out_match, 0);
	join(channel, out_match, 1);
}

enum fts_status play_move(struct fts_channel *channel, const struct play_match *match, uint32_t seat, const char *move,
			  uint32_t ply, struct fts_error *out_error)
{
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	Fts__Game__V1__MoveResponse *response = NULL;
	request.match = borrowed(match->name);
	request.token = borrowed(match->tokens[seat]);
	request.move = borrowed(move);
	request.ply = ply;
	enum fts_status status = fts_game_move(channel, &request, &patient, &response, out_error);
	fts__game__v1__move_response__free_unpacked(response, NULL);
	return status;
}

Fts__Game__V1__ShowResponse *play_show(struct fts_channel *channel, const struct play_match *match)
{
	Fts__Game__V1__ShowRequest request = FTS__GAME__V1__SHOW_REQUEST__INIT;
	Fts__Game__V1__ShowResponse *response = NULL;
	struct fts_error error;
	request.match = borrowed(match->name);
	must(fts_game_show(channel, &request, &patient, &response, &error), "show", &error);
	return response;
}

Fts__Game__V1__RecordResponse *play_record(struct fts_channel *channel, const struct play_match *match)
{
	Fts__Game__V1__RecordRequest request = FTS__GAME__V1__RECORD_REQUEST__INIT;
	Fts__Game__V1__RecordResponse *response = NULL;
	struct fts_error error;
	request.match = borrowed(match->name);
	must(fts_game_record(channel, &request, &patient, &response, &error), "record", &error);
	return response;
}

Fts__Game__V1__WatchResponse *play_watch(struct fts_channel *channel, const struct play_match *match, uint64_t from,
					 bool wait, uint32_t timeout_ms)
{
	const struct fts_call_options options = {.timeout_ms = timeout_ms};
	Fts__Game__V1__WatchRequest request = FTS__GAME__V1__WATCH_REQUEST__INIT;
	Fts__Game__V1__WatchResponse *response = NULL;
	struct fts_error error;
	request.match = borrowed(match->name);
	request.from = from;
	request.wait = wait;
	enum fts_status status = fts_game_watch(channel, &request, &options, &response, &error);
	if (wait && (status == FTS_DEADLINE_EXCEEDED || status == FTS_UNAVAILABLE)) return NULL;
	must(status, "watch", &error);
	return response;
}

bool play_choose(const struct play_match *match, const struct ftsi_position *position, unsigned *seed, char *out_move)
{
	ftsi_move moves[FTSI_GAME_MOVE_MAX];
	uint32_t count = match->rules->legal(position, moves);
	if (count == 0) return false;
	match->rules->print(moves[(uint32_t)rand_r(seed) % count], out_move);
	return true;
}

void play_apply(const struct play_match *match, struct ftsi_position *position, const char *move)
{
	ftsi_move parsed = 0;
	if (!match->rules->parse(move, &parsed)) abort();
	match->rules->apply(position, parsed);
}
