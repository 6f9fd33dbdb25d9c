/* Why this file exists: see server/lottery_text_internal.h: packets become calls, and the ends of calls become lines.
 *
 * A refusal (executed NO) is StoreResponse:1. An end that leaves the outcome unknown closes the connection: to say
 * "refused" of a bet that may have been stored would be a lie. Packets that have no reply (AgencyClose) or no way to
 * say no (WinnersRequest) close it when they are refused. */
#include <string.h>

#include <fts/lottery/v1/lottery.fts.h>

#include "base/log.h"
#include "server/lottery_text_internal.h"

#define STORE_TIMEOUT_MS 20000
#define WINNERS_TIMEOUT_MS 60000
#define WINNERS_PREFIX "WinnersResponse:"
#define WINNERS_AT_ONCE 100000
#define DOCUMENT_BYTES_MAX 20

static char draw_name[] = FTSI_TEXT_DRAW; /* protobuf-c's strings are not const */

static const char stored_line[] = "StoreResponse:0\n";
static const char refused_line[] = "StoreResponse:1\n";

/* ---- Ends of calls: threads of the channel ---- */

static void finish(struct ftsi_text_connection *connection, enum fts_status status, const struct fts_error *error)
{
	connection->answer.status = status;
	connection->answer.executed = error != NULL ? error->executed : FTS_EXECUTED_YES;
	ftsi_text_done(connection);
}

static void store_bet_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__StoreBetResponse *response,
			   const struct fts_error *error)
{
	(void)response;
	finish(ctx, status, error);
}

static void store_batch_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__StoreBatchResponse *response,
			     const struct fts_error *error)
{
	struct fts_error refused = {.executed = FTS_EXECUTED_NO};
	if (status == FTS_OK && response->refused > 0) {
		status = FTS_INVALID_ARGUMENT; /* all or nothing: no row was stored */
		error = &refused;
	}
	finish(ctx, status, error);
}

static void agency_close_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__AgencyCloseResponse *response,
			      const struct fts_error *error)
{
	(void)response;
	finish(ctx, status, error);
}

static char *append(char *at, const char *text)
{
	size_t size = strlen(text);
	memcpy(at, text, size);
	return at + size;
}

/* Room for all winners of the agency, with the first words in it. */
static enum fts_status winners_begin(struct ftsi_text_connection *connection, uint64_t total)
{
	uint64_t size = sizeof(WINNERS_PREFIX) + total * (DOCUMENT_BYTES_MAX + 1);
	if (total > FTSI_TEXT_ANSWER_BYTES || size > FTSI_TEXT_ANSWER_BYTES) return FTS_OUT_OF_RANGE;
	struct fts_arena *arena = fts_arena_acquire(connection->gateway->pool, (size_t)size + 4096);
	char *text = arena != NULL ? fts_arena_alloc(arena, (size_t)size) : NULL;
	if (text == NULL) {
		fts_arena_release(arena);
		return FTS_RESOURCE_EXHAUSTED;
	}
	connection->answer = (struct ftsi_text_answer){.arena = arena, .text = text, .winner_total = total};
	connection->answer.size_bytes = (size_t)(append(text, WINNERS_PREFIX) - text);
	return FTS_OK;
}

/* Add one page of winners. */
static enum fts_status winners_add(struct ftsi_text_connection *connection,
				   const Fts__Lottery__V1__WinnersResponse *page)
{
	struct ftsi_text_answer *answer = &connection->answer;
	enum fts_status status = answer->arena == NULL ? winners_begin(connection, page->total) : FTS_OK;
	if (status != FTS_OK) return status;
	if (page->n_documents > answer->winner_total - answer->winner_count) return FTS_INTERNAL;
	char *text = (char *)(uintptr_t)answer->text, *at = text + answer->size_bytes;
	for (size_t i = 0; i < page->n_documents; i++) {
		if (strlen(page->documents[i]) > DOCUMENT_BYTES_MAX) return FTS_INTERNAL;
		if (answer->winner_count++ > 0) *at++ = ';';
		at = append(at, page->documents[i]);
	}
	bool whole = answer->winner_count == answer->winner_total;
	if (!whole && page->n_documents == 0) return FTS_INTERNAL;
	if (whole) *at++ = '\n';
	answer->size_bytes = (size_t)(at - text);
	return FTS_OK;
}

static void winners_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__WinnersResponse *response,
			 const struct fts_error *error)
{
	finish(ctx, status == FTS_OK ? winners_add(ctx, response) : status, error);
}

static void open_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__OpenResponse *response,
		      const struct fts_error *error)
{
	struct ftsi_text_gateway *gateway = ctx;
	(void)response, (void)error;
	pthread_mutex_lock(&gateway->mutex);
	gateway->open_status = status;
	gateway->open_done = true;
	pthread_mutex_unlock(&gateway->mutex);
	ftsi_text_wake(gateway);
}

/* ---- Starting calls: the gateway's thread ---- */

enum fts_status ftsi_text_draw_open(struct ftsi_text_gateway *gateway)
{
	static const struct fts_call_options options = {.timeout_ms = STORE_TIMEOUT_MS};
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	if (gateway->channel == NULL) return FTS_CANCELLED;
	request.draw = draw_name;
	request.agencies = gateway->agencies;
	request.fixed = true;
	request.number = FTSI_TEXT_NUMBER;
	return fts_lottery_open_start(gateway->channel, &request, &options, open_done, gateway, NULL);
}

static void fill_bet(Fts__Lottery__V1__Bet *out, const struct ftsi_text_bet *bet)
{
	fts__lottery__v1__bet__init(out);
	out->first_name = bet->first_name;
	out->last_name = bet->last_name;
	out->document = bet->document;
	out->birthdate = bet->birthdate;
	out->number = bet->number;
}

static enum fts_status start_store_bet(struct ftsi_text_gateway *gateway, struct ftsi_text_connection *connection,
				       const struct fts_call_options *options)
{
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	fill_bet(&gateway->bets[0], &gateway->packet.bets[0]);
	request.draw = draw_name;
	request.agency = gateway->packet.agency;
	request.bet = &gateway->bets[0];
	return fts_lottery_store_bet_start(gateway->channel, &request, options, store_bet_done, connection,
					   &connection->call);
}

static enum fts_status start_store_batch(struct ftsi_text_gateway *gateway, struct ftsi_text_connection *connection,
					 const struct fts_call_options *options)
{
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	for (size_t i = 0; i < gateway->packet.bet_count; i++) {
		fill_bet(&gateway->bets[i], &gateway->packet.bets[i]);
		gateway->bet_pointers[i] = &gateway->bets[i];
	}
	request.draw = draw_name;
	request.agency = gateway->packet.agency;
	request.bets = gateway->bet_pointers;
	request.n_bets = gateway->packet.bet_count;
	request.all_or_nothing = true;
	return fts_lottery_store_batch_start(gateway->channel, &request, options, store_batch_done, connection,
					     &connection->call);
}

static enum fts_status start_agency_close(struct ftsi_text_gateway *gateway, struct ftsi_text_connection *connection,
					  const struct fts_call_options *options)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	request.draw = draw_name;
	request.agency = gateway->packet.agency;
	return fts_lottery_agency_close_start(gateway->channel, &request, options, agency_close_done, connection,
					      &connection->call);
}

static enum fts_status start_winners(struct ftsi_text_gateway *gateway, struct ftsi_text_connection *connection)
{
	static const struct fts_call_options options = {.timeout_ms = WINNERS_TIMEOUT_MS};
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	request.draw = draw_name;
	request.agency = gateway->packet.agency;
	request.from = connection->answer.winner_count;
	request.limit = WINNERS_AT_ONCE;
	return fts_lottery_winners_start(gateway->channel, &request, &options, winners_done, connection,
					 &connection->call);
}

enum fts_status ftsi_text_call_start(struct ftsi_text_gateway *gateway, struct ftsi_text_connection *connection)
{
	static const struct fts_call_options options = {.timeout_ms = STORE_TIMEOUT_MS};
	enum fts_status status = FTS_INTERNAL;
	if (gateway->packet.faulty) {
		status = FTS_INVALID_ARGUMENT;
	} else if (gateway->channel == NULL) {
		status = FTS_CANCELLED;
	} else {
		switch (connection->kind) {
		case FTSI_TEXT_STORE_BET:
			status = start_store_bet(gateway, connection, &options);
			break;
		case FTSI_TEXT_STORE_BATCH:
			status = start_store_batch(gateway, connection, &options);
			break;
		case FTSI_TEXT_AGENCY_CLOSE:
			status = start_agency_close(gateway, connection, &options);
			break;
		case FTSI_TEXT_WINNERS_REQUEST:
			status = start_winners(gateway, connection);
			break;
		}
	}
	if (status != FTS_OK) {
		connection->answer.status = status;
		connection->answer.executed = FTS_EXECUTED_NO;
	}
	return status;
}

/* ---- What an answer means ---- */

static enum ftsi_text_next say(struct ftsi_text_connection *connection, const char *line)
{
	connection->answer.text = line;
	connection->answer.size_bytes = strlen(line);
	return FTSI_TEXT_NEXT_WRITE;
}

static enum ftsi_text_next judge_store(struct ftsi_text_connection *connection)
{
	if (connection->answer.status == FTS_OK) return say(connection, stored_line);
	if (connection->answer.executed == FTS_EXECUTED_NO) return say(connection, refused_line);
	return FTSI_TEXT_NEXT_CLOSE;
}

/* Asking once more can help: the time limit of one wait passed, or the node was busy. */
static bool is_passing(enum fts_status status)
{
	return status == FTS_DEADLINE_EXCEEDED || status == FTS_UNAVAILABLE || status == FTS_RESOURCE_EXHAUSTED ||
	       status == FTS_ABORTED;
}

enum ftsi_text_next ftsi_text_call_judge(struct ftsi_text_connection *connection)
{
	enum fts_status status = connection->answer.status;
	if (connection->kind == FTSI_TEXT_STORE_BET || connection->kind == FTSI_TEXT_STORE_BATCH)
		return judge_store(connection);
	if (status == FTS_OK && connection->kind == FTSI_TEXT_AGENCY_CLOSE) return FTSI_TEXT_NEXT_READ;
	if (status == FTS_OK)
		return connection->answer.winner_count < connection->answer.winner_total ? FTSI_TEXT_NEXT_MORE
											 : FTSI_TEXT_NEXT_WRITE;
	if (is_passing(status)) return FTSI_TEXT_NEXT_AGAIN; /* both may be repeated: closing twice is closing once */
	FTS_LOG_WARN("lottery_text.refused", "packet=%s status=%s",
		     connection->kind == FTSI_TEXT_AGENCY_CLOSE ? "AgencyClose" : "WinnersRequest",
		     fts_status_name(status));
	return FTSI_TEXT_NEXT_CLOSE;
}

void ftsi_text_answer_release(struct ftsi_text_connection *connection)
{
	fts_arena_release(connection->answer.arena);
	connection->answer = (struct ftsi_text_answer){0};
}
