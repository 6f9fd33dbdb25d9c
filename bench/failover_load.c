/* Why this file exists: see failover_load.h.
 *
 * Bets: one agency a client in one draw; the draw counts them. Games: each client plays tic-tac-toe against itself,
 * five moves a match, each with its expected ply: a move that was lost or made twice refuses the next. */
#include "bench/failover_load.h"

#include <fts/cluster/v1/cluster.fts.h>
#include <fts/game/v1/game.fts.h>
#include <fts/lottery/v1/lottery.fts.h>
#include <fts/rpc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OPEN_TIMEOUT_MS 10000u
#define WRITE_TIMEOUT_MS 10000u
#define SEATS 2u

struct match {
	char *name;
	char *tokens[SEATS];
	uint32_t joined_count;
	uint32_t ply;        /* moves acknowledged */
	uint64_t move_count; /* of all its matches */
	bool is_doubtful;    /* a call ended unknown: this match is left */
};

struct failover_load {
	struct failover_load_options options;
	char draw[64];
	struct fts_channel **channels; /* one a client, and the last for questions */
	struct match *matches;
};

/* ---- One write ---- */

static void judge(struct failover_write *write, enum fts_status status, const struct fts_call_info *info,
                  const struct fts_error *error)
{
	write->outcome = FAILOVER_ACKED;
	write->term = info->term;
	snprintf(write->node, sizeof write->node, "%s", info->node);
	if (status == FTS_OK) return;
	bool is_rule = status != FTS_UNAVAILABLE && status != FTS_DEADLINE_EXCEEDED && status != FTS_RESOURCE_EXHAUSTED;
	write->outcome = is_rule                                 ? FAILOVER_REFUSED
	                 : error->executed == FTS_EXECUTED_NO ? FAILOVER_NOT_RUN
	                                                      : FAILOVER_UNKNOWN;
	snprintf(write->detail, sizeof write->detail, "%s: %.200s", fts_status_name(status), error->detail);
}

static void write_bet(struct failover_load *load, uint32_t number, struct failover_write *out_write)
{
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	Fts__Lottery__V1__StoreBetResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = {.timeout_ms = WRITE_TIMEOUT_MS, .info = &info};
	struct fts_error error;
	bet.first_name = (char *)"Santiago Lionel";
	bet.last_name = (char *)"Lorca";
	bet.document = (char *)"30904465";
	bet.birthdate = (char *)"1999-03-17";
	bet.number = 2201;
	request.draw = load->draw;
	request.agency = number + 1;
	request.bet = &bet;
	enum fts_status status =
	    fts_lottery_store_bet(load->channels[number], &request, &options, &response, &error);
	judge(out_write, status, &info, &error);
	if (response != NULL) fts__lottery__v1__store_bet_response__free_unpacked(response, NULL);
}

static void forget(struct match *match)
{
	free(match->name);
	for (uint32_t seat = 0; seat < SEATS; seat++) free(match->tokens[seat]);
	*match = (struct match){.move_count = match->move_count};
}

static enum fts_status create(struct fts_channel *channel, struct match *match, const struct fts_call_options *options,
                              struct fts_error *error)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__CreateResponse *response = NULL;
	request.rules = (char *)"tictactoe";
	enum fts_status status = fts_game_create(channel, &request, options, &response, error);
	if (status != FTS_OK) return status;
	match->name = strdup(response->match);
	fts__game__v1__create_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status join(struct fts_channel *channel, struct match *match, const struct fts_call_options *options,
                            struct fts_error *error)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	Fts__Game__V1__JoinResponse *response = NULL;
	request.match = match->name;
	request.seat = match->joined_count + 1;
	enum fts_status status = fts_game_join(channel, &request, options, &response, error);
	if (status != FTS_OK) return status;
	match->tokens[match->joined_count++] = strdup(response->token);
	fts__game__v1__join_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static enum fts_status move(struct fts_channel *channel, struct match *match, const struct fts_call_options *options,
                            struct fts_error *error)
{
	static const char *const moves[] = {"1,1", "2,1", "1,2", "2,2", "1,3"}; /* the first player wins */
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	Fts__Game__V1__MoveResponse *response = NULL;
	request.match = match->name;
	request.token = match->tokens[match->ply % SEATS];
	request.move = (char *)moves[match->ply];
	request.ply = match->ply + 1;
	enum fts_status status = fts_game_move(channel, &request, options, &response, error);
	if (status != FTS_OK) return status;
	bool is_over = response->outcome != FTS__GAME__V1__OUTCOME__ONGOING;
	match->ply++;
	match->move_count++;
	fts__game__v1__move_response__free_unpacked(response, NULL);
	if (is_over) forget(match);
	return FTS_OK;
}

static void write_move(struct failover_load *load, uint32_t number, struct failover_write *out_write)
{
	struct fts_channel *channel = load->channels[number];
	struct match *match = &load->matches[number];
	struct fts_call_info info;
	struct fts_call_options options = {.timeout_ms = WRITE_TIMEOUT_MS, .info = &info};
	struct fts_error error;
	if (match->is_doubtful) forget(match);
	enum fts_status status = match->name == NULL           ? create(channel, match, &options, &error)
	                         : match->joined_count < SEATS ? join(channel, match, &options, &error)
	                                                       : move(channel, match, &options, &error);
	judge(out_write, status, &info, &error);
	match->is_doubtful = out_write->outcome == FAILOVER_UNKNOWN || out_write->outcome == FAILOVER_REFUSED;
}

void failover_load_write(struct failover_load *load, uint32_t number, struct failover_write *out_write)
{
	if (load->options.is_game)
		write_move(load, number, out_write);
	else
		write_bet(load, number, out_write);
}

/* ---- Questions ---- */

bool failover_load_leader(struct failover_load *load, struct failover_leader *out_leader)
{
	Fts__Cluster__V1__LeaderRequest request = FTS__CLUSTER__V1__LEADER_REQUEST__INIT;
	Fts__Cluster__V1__LeaderResponse *response = NULL;
	struct fts_channel *channel = load->channels[load->options.clients];
	if (fts_cluster_leader(channel, &request, NULL, &response, NULL) != FTS_OK) return false;
	bool is_known = response->name[0] != '\0';
	snprintf(out_leader->name, sizeof out_leader->name, "%s", response->name);
	snprintf(out_leader->address, sizeof out_leader->address, "%s", response->address);
	out_leader->term = response->term;
	fts__cluster__v1__leader_response__free_unpacked(response, NULL);
	return is_known;
}

bool failover_load_stored(struct failover_load *load, uint64_t *out_count)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	Fts__Lottery__V1__StatusResponse *response = NULL;
	struct fts_call_options options = {.timeout_ms = OPEN_TIMEOUT_MS};
	if (load->options.is_game) return false; /* games judge themselves, move by move */
	request.draw = load->draw;
	struct fts_channel *channel = load->channels[load->options.clients];
	if (fts_lottery_status(channel, &request, &options, &response, NULL) != FTS_OK) return false;
	*out_count = response->bets;
	fts__lottery__v1__status_response__free_unpacked(response, NULL);
	return true;
}

/* ---- Beginning and ending ---- */

static bool open_draw(struct failover_load *load)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	struct fts_call_options options = {.timeout_ms = OPEN_TIMEOUT_MS};
	struct fts_error error;
	snprintf(load->draw, sizeof load->draw, "failover-%lld-%d", (long long)time(NULL), (int)getpid());
	request.draw = load->draw;
	request.agencies = load->options.clients;
	request.fixed = true;
	request.number = 7574;
	if (fts_lottery_open(load->channels[0], &request, &options, &response, &error) != FTS_OK) {
		fprintf(stderr, "fts-bench: draw %s: %s\n", load->draw, error.detail);
		return false;
	}
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
	return true;
}

struct failover_load *failover_load_open(const struct failover_load_options *options)
{
	struct failover_load *load = calloc(1, sizeof *load);
	struct fts_channel_options channel_options = {.endpoints = options->endpoints};
	struct fts_error error;
	if (load == NULL) return NULL;
	load->options = *options;
	load->channels = calloc(options->clients + 1, sizeof *load->channels);
	load->matches = calloc(options->clients, sizeof *load->matches);
	bool ok = load->channels != NULL && load->matches != NULL;
	for (uint32_t i = 0; ok && i <= options->clients; i++) {
		ok = fts_channel_open(&channel_options, &load->channels[i], &error) == FTS_OK;
		if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	}
	if (ok && (options->is_game || open_draw(load))) return load;
	failover_load_close(load);
	return NULL;
}

void failover_load_close(struct failover_load *load)
{
	if (load == NULL) return;
	for (uint32_t i = 0; load->channels != NULL && i <= load->options.clients; i++)
		fts_channel_close(load->channels[i]);
	for (uint32_t i = 0; load->matches != NULL && i < load->options.clients; i++) forget(&load->matches[i]);
	free(load->channels);
	free(load->matches);
	free(load);
}
