/* Why this file exists: the lottery in memory; see fake_lottery.h. */
#include "tests/cli/fake_lottery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "fts/cluster/v1/cluster.fts.h"
#include "fts/health/v1/health.fts.h"
#include "fts/rpc/v1/events.fts.h"
#include "rpc/publisher.h"
#include "tests/harness/ports.h"

#define AGENCIES 3u
#define BETS_MAX 100000u
#define IMPORTS_MAX 8u
#define HELD_MAX 64u
#define EVENTS_MAX 64u
#define TOPIC "lottery.draw"

struct import {
	uint32_t agency;
	char name[129];
	uint64_t last_row;
	bool stored[BETS_MAX];
};

struct held {
	struct fts_call *call;
	uint32_t stored, already, refused;
	uint32_t refused_rows[64];
};

struct fake_lottery {
	pthread_mutex_t lock; /* guards all below but server and port */
	struct fts_server *server;
	struct fts_publisher *publisher;
	uint16_t port;
	uint64_t events[EVENTS_MAX]; /* their indexes */
	uint32_t event_count;
	uint64_t oldest_event;
	struct fake_bet bets[BETS_MAX];
	uint32_t bet_count;
	bool closed[AGENCIES + 1];
	bool drawn;
	bool node_lost;
	struct import imports[IMPORTS_MAX];
	uint32_t import_count;
	uint32_t batch_calls;
	uint32_t fail_first, fail_count; /* of batch_calls */
	enum fts_status fail_status;
	bool fail_stored;
	bool hold;
	struct held held[HELD_MAX];
	uint32_t held_count;
};

static bool known(struct fts_call *call, const char *draw)
{
	if (strcmp(draw, "d") == 0) return true;
	fts_call_fail(call, FTS_NOT_FOUND, "no draw is called '%s'", draw);
	return false;
}

static void on_open(struct fts_call *call, const Fts__Lottery__V1__OpenRequest *request, void *ctx)
{
	Fts__Lottery__V1__OpenResponse response = FTS__LOTTERY__V1__OPEN_RESPONSE__INIT;

	(void)ctx;
	if (request->agencies != AGENCIES || !request->fixed || request->number != 7574) {
		fts_call_fail(call, FTS_ALREADY_EXISTS, "the draw exists with other terms");
		return;
	}
	response.existed = true;
	fts_lottery_open_reply(call, &response);
}

static bool put_bet(struct fake_lottery *fake, uint32_t agency, const Fts__Lottery__V1__Bet *bet)
{
	struct fake_bet *place = &fake->bets[fake->bet_count];

	if (bet->number > 9999 || fake->bet_count == BETS_MAX) return false;
	place->agency = agency;
	place->number = bet->number;
	snprintf(place->document, sizeof(place->document), "%s", bet->document);
	fake->bet_count++;
	return true;
}

static void on_store_bet(struct fts_call *call, const Fts__Lottery__V1__StoreBetRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Lottery__V1__StoreBetResponse response = FTS__LOTTERY__V1__STORE_BET_RESPONSE__INIT;

	if (!known(call, request->draw)) return;
	pthread_mutex_lock(&fake->lock);
	bool stored = put_bet(fake, request->agency, request->bet);
	response.ticket = fake->bet_count;
	pthread_mutex_unlock(&fake->lock);
	if (stored)
		fts_lottery_store_bet_reply(call, &response);
	else
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "number: %u is above 9999", request->bet->number);
}

static struct import *find_import(struct fake_lottery *fake, uint32_t agency, const char *name)
{
	for (uint32_t i = 0; i < fake->import_count; i++)
		if (fake->imports[i].agency == agency && strcmp(fake->imports[i].name, name) == 0)
			return &fake->imports[i];
	struct import *import = &fake->imports[fake->import_count++];
	import->agency = agency;
	snprintf(import->name, sizeof(import->name), "%s", name);
	return import;
}

static void judge(struct fake_lottery *fake, const Fts__Lottery__V1__StoreBatchRequest *request, struct import *import,
		  struct held *out)
{
	for (uint32_t i = 0; i < request->n_bets; i++) {
		uint64_t row = request->first_row + i;
		if (import->stored[row]) {
			out->already++;
		} else if (put_bet(fake, request->agency, request->bets[i])) {
			import->stored[row] = true;
			out->stored++;
		} else {
			if (out->refused < 64) out->refused_rows[out->refused] = i;
			out->refused++;
		}
		import->last_row = row > import->last_row ? row : import->last_row;
	}
}

static void answer(const struct held *held)
{
	Fts__Lottery__V1__StoreBatchResponse response = FTS__LOTTERY__V1__STORE_BATCH_RESPONSE__INIT;
	Fts__Lottery__V1__RowVerdict verdicts[64], *verdict_pointers[64];
	Fts__Lottery__V1__FieldFault fault = FTS__LOTTERY__V1__FIELD_FAULT__INIT, *fault_pointer = &fault;

	fault.field = (char *)"number";
	fault.reason = (char *)"above 9999";
	response.stored = held->stored;
	response.already = held->already;
	response.refused = held->refused;
	response.n_verdicts = held->refused < 64 ? held->refused : 64;
	response.verdicts = verdict_pointers;
	for (size_t i = 0; i < response.n_verdicts; i++) {
		fts__lottery__v1__row_verdict__init(&verdicts[i]);
		verdicts[i].row = held->refused_rows[i];
		verdicts[i].n_faults = 1;
		verdicts[i].faults = &fault_pointer;
		verdict_pointers[i] = &verdicts[i];
	}
	fts_lottery_store_batch_reply(held->call, &response);
}

/* True: the call has been answered with the failure that was ordered. */
static enum fts_status ordered_failure(const struct fake_lottery *fake, uint32_t number, bool stored)
{
	bool ordered = number >= fake->fail_first && number - fake->fail_first < fake->fail_count;

	return ordered && fake->fail_stored == stored ? fake->fail_status : FTS_OK;
}

/* Under the lock. */
static enum fts_status store(struct fake_lottery *fake, const Fts__Lottery__V1__StoreBatchRequest *request,
			     struct held *held)
{
	uint32_t number = fake->batch_calls++;
	struct import *import = find_import(fake, request->agency, request->import);
	enum fts_status st = ordered_failure(fake, number, false);

	if (st != FTS_OK) return st;
	if (request->agency < 1 || request->agency > AGENCIES || fake->closed[request->agency])
		return FTS_FAILED_PRECONDITION;
	if (request->after_row > import->last_row) return FTS_ABORTED;
	judge(fake, request, import, held);
	return ordered_failure(fake, number, true);
}

static void on_store_batch(struct fts_call *call, const Fts__Lottery__V1__StoreBatchRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	struct held held = {.call = call};
	bool keep = false;

	if (!known(call, request->draw)) return;
	pthread_mutex_lock(&fake->lock);
	enum fts_status st = store(fake, request, &held);
	if (st == FTS_OK && fake->hold && fake->held_count < HELD_MAX) {
		fake->held[fake->held_count++] = held;
		keep = true;
	}
	pthread_mutex_unlock(&fake->lock);
	if (st != FTS_OK)
		fts_call_fail(call, st, "as ordered");
	else if (!keep)
		answer(&held);
}

static void on_agency_close(struct fts_call *call, const Fts__Lottery__V1__AgencyCloseRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Lottery__V1__AgencyCloseResponse response = FTS__LOTTERY__V1__AGENCY_CLOSE_RESPONSE__INIT;

	if (!known(call, request->draw)) return;
	if (request->entropy.len != 32 || request->agency > AGENCIES) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "entropy or agency");
		return;
	}
	pthread_mutex_lock(&fake->lock);
	fake->closed[request->agency] = true;
	for (uint32_t i = 1; i <= AGENCIES; i++)
		response.agencies_open += !fake->closed[i];
	pthread_mutex_unlock(&fake->lock);
	response.state =
	    response.agencies_open ? FTS__LOTTERY__V1__DRAW_STATE__OPEN : FTS__LOTTERY__V1__DRAW_STATE__SEALED;
	fts_lottery_agency_close_reply(call, &response);
}

static void on_winners(struct fts_call *call, const Fts__Lottery__V1__WinnersRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Lottery__V1__WinnersResponse response = FTS__LOTTERY__V1__WINNERS_RESPONSE__INIT;
	char *documents[64];

	if (!known(call, request->draw)) return;
	pthread_mutex_lock(&fake->lock);
	bool drawn = fake->drawn;
	for (uint32_t i = 0; i < fake->bet_count && response.n_documents < 64; i++)
		if (fake->bets[i].agency == request->agency && fake->bets[i].number == 7574)
			documents[response.n_documents++] = fake->bets[i].document;
	pthread_mutex_unlock(&fake->lock);
	response.number = 7574;
	response.documents = documents;
	if (drawn)
		fts_lottery_winners_reply(call, &response);
	else
		fts_call_fail(call, request->no_wait ? FTS_FAILED_PRECONDITION : FTS_DEADLINE_EXCEEDED,
			      "the draw is not drawn yet");
}

static void on_status(struct fts_call *call, const Fts__Lottery__V1__StatusRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Lottery__V1__StatusResponse response = FTS__LOTTERY__V1__STATUS_RESPONSE__INIT;
	Fts__Lottery__V1__AgencyStatus agencies[AGENCIES], *pointers[AGENCIES];
	uint8_t root[] = {0xab, 0x01};

	if (!known(call, request->draw)) return;
	pthread_mutex_lock(&fake->lock);
	response.draw = (char *)"d";
	response.bets = fake->bet_count;
	response.state = fake->drawn ? FTS__LOTTERY__V1__DRAW_STATE__DRAWN : FTS__LOTTERY__V1__DRAW_STATE__OPEN;
	response.number = fake->drawn ? 7574 : 0;
	response.root = (ProtobufCBinaryData){fake->drawn ? sizeof(root) : 0, root};
	response.n_agencies = AGENCIES;
	response.agencies = pointers;
	for (uint32_t i = 0; i < AGENCIES; i++) {
		pointers[i] = &agencies[i];
		fts__lottery__v1__agency_status__init(pointers[i]);
		agencies[i].agency = i + 1;
		agencies[i].closed = fake->closed[i + 1];
		for (uint32_t k = 0; k < fake->bet_count; k++)
			agencies[i].bets += fake->bets[k].agency == i + 1;
	}
	pthread_mutex_unlock(&fake->lock);
	fts_lottery_status_reply(call, &response);
}

/* Two pages: "d", then nothing. */
static void on_list(struct fts_call *call, const Fts__Lottery__V1__ListRequest *request, void *ctx)
{
	Fts__Lottery__V1__ListResponse response = FTS__LOTTERY__V1__LIST_RESPONSE__INIT;
	Fts__Lottery__V1__DrawSummary draw = FTS__LOTTERY__V1__DRAW_SUMMARY__INIT, *pointer = &draw;

	draw.draw = (char *)"d";
	draw.state = FTS__LOTTERY__V1__DRAW_STATE__OPEN;
	draw.bets = fake_lottery_bet_count(ctx);
	draw.agencies = AGENCIES;
	response.draws = &pointer;
	response.n_draws = request->after[0] ? 0 : 1;
	response.end = request->after[0] != '\0';
	fts_lottery_list_reply(call, &response);
}

/* Three records, one a page. */
static void on_export(struct fts_call *call, const Fts__Lottery__V1__ExportRequest *request, void *ctx)
{
	Fts__Lottery__V1__ExportResponse response = FTS__LOTTERY__V1__EXPORT_RESPONSE__INIT;
	Fts__Lottery__V1__StatusResponse status = FTS__LOTTERY__V1__STATUS_RESPONSE__INIT;
	Fts__Lottery__V1__ChainRecord record = FTS__LOTTERY__V1__CHAIN_RECORD__INIT, *pointer = &record;

	(void)ctx;
	if (!known(call, request->draw)) return;
	status.draw = (char *)"d";
	record.index = 100 + request->from_record;
	record.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_BETS;
	response.status = &status;
	response.records = &pointer;
	response.n_records = 1;
	response.next_record = request->from_record + 1;
	response.end = request->from_record == 2;
	fts_lottery_export_reply(call, &response);
}

static void on_cluster_status(struct fts_call *call, const Fts__Cluster__V1__StatusRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Cluster__V1__StatusResponse response = FTS__CLUSTER__V1__STATUS_RESPONSE__INIT;
	Fts__Cluster__V1__NodeStatus node = FTS__CLUSTER__V1__NODE_STATUS__INIT, *pointer = &node;
	char address[32];

	(void)request;
	snprintf(address, sizeof(address), "127.0.0.1:%u", fake->port);
	node.name = response.leader = (char *)"n1";
	node.address = address;
	node.role = FTS__CLUSTER__V1__ROLE__LEADER;
	node.alive = node.digest_ok = true;
	node.applied = response.index = 812;
	response.term = 3;
	response.n_nodes = 1;
	response.nodes = &pointer;
	fts_cluster_status_reply(call, &response);
}

static void on_survey(struct fts_call *call, const Fts__Health__V1__SurveyRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Health__V1__SurveyResponse response = FTS__HEALTH__V1__SURVEY_RESPONSE__INIT;
	Fts__Health__V1__Report report = FTS__HEALTH__V1__REPORT__INIT, *pointer = &report;
	char *missing[] = {(char *)"n2"}, *reasons[] = {(char *)"\x1b[2Jgone", (char *)"\xff"};

	(void)request;
	report.name = (char *)"n1";
	report.state = FTS__HEALTH__V1__STATE__READY;
	report.progress = 5;
	report.reasons = reasons;
	response.answered = &pointer;
	response.n_answered = 1;
	response.missing = missing;
	pthread_mutex_lock(&fake->lock);
	response.n_missing = fake->node_lost ? 1 : 0;
	report.n_reasons = fake->node_lost ? 2 : 0; /* what no honest node would say */
	pthread_mutex_unlock(&fake->lock);
	response.took_ms = 41;
	fts_health_survey_reply(call, &response);
}

static size_t pack_event(uint64_t index, uint8_t *buf)
{
	Fts__Lottery__V1__DrawEvent event = FTS__LOTTERY__V1__DRAW_EVENT__INIT;

	event.draw = (char *)"d";
	event.state = FTS__LOTTERY__V1__DRAW_STATE__OPEN;
	event.bets = index;
	return fts__lottery__v1__draw_event__pack(&event, buf);
}

static void on_replay(struct fts_call *call, const Fts__Rpc__V1__ReplayRequest *request, void *ctx)
{
	struct fake_lottery *fake = ctx;
	Fts__Rpc__V1__ReplayResponse response = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	Fts__Rpc__V1__Event events[EVENTS_MAX], *pointers[EVENTS_MAX];
	uint8_t payloads[EVENTS_MAX][64];

	pthread_mutex_lock(&fake->lock);
	response.next_index = 1;
	response.oldest_index = fake->oldest_event;
	for (uint32_t i = 0; i < fake->event_count; i++) {
		uint64_t index = fake->events[i];
		size_t k = response.n_events;
		response.next_index = index + 1;
		if (index < request->from_index || index < fake->oldest_event) continue;
		pointers[k] = &events[k];
		fts__rpc__v1__event__init(&events[k]);
		events[k].index = index;
		events[k].topic = (char *)TOPIC;
		events[k].payload = (ProtobufCBinaryData){pack_event(index, payloads[k]), payloads[k]};
		response.n_events++;
	}
	pthread_mutex_unlock(&fake->lock);
	response.events = pointers;
	response.end = true;
	fts_events_replay_reply(call, &response);
}

void fake_lottery_publish(struct fake_lottery *fake, uint64_t index)
{
	uint8_t payload[64];
	struct fts_bytes bytes = {payload, pack_event(index, payload)};

	pthread_mutex_lock(&fake->lock);
	assert_true(fake->event_count < EVENTS_MAX);
	fake->events[fake->event_count++] = index;
	pthread_mutex_unlock(&fake->lock);
	assert_int_equal(fts_publisher_publish(fake->publisher, index, 0, TOPIC, bytes), FTS_OK);
}

void fake_lottery_forget(struct fake_lottery *fake, uint64_t index)
{
	pthread_mutex_lock(&fake->lock);
	fake->oldest_event = index;
	pthread_mutex_unlock(&fake->lock);
}

static enum fts_status start_publisher(struct fake_lottery *fake, struct fts_error *error)
{
	char listen[32];

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", fake->port + 1u);
	struct fts_publisher_options options = {.listen = listen};
	return fts_publisher_create(&options, &fake->publisher, error);
}

void fake_lottery_revive(struct fake_lottery *fake)
{
	static const struct fts_lottery_handlers lottery = {
	    .open = on_open,
	    .store_bet = on_store_bet,
	    .store_batch = on_store_batch,
	    .agency_close = on_agency_close,
	    .winners = on_winners,
	    .status = on_status,
	    .list = on_list,
	    .export = on_export,
	};
	static const struct fts_cluster_handlers cluster = {.status = on_cluster_status};
	static const struct fts_health_handlers health = {.survey = on_survey};
	static const struct fts_events_handlers events = {.replay = on_replay};
	char listen[32];
	struct fts_error error = {0};

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", fake->port);
	struct fts_server_options options = {.listen = listen, .node = "fake"};
	if (fts_server_create(&options, &fake->server, &error) != FTS_OK ||
	    fts_lottery_register(fake->server, &lottery, fake, &error) != FTS_OK ||
	    fts_cluster_register(fake->server, &cluster, fake, &error) != FTS_OK ||
	    fts_health_register(fake->server, &health, fake, &error) != FTS_OK ||
	    fts_events_register(fake->server, &events, fake, &error) != FTS_OK ||
	    start_publisher(fake, &error) != FTS_OK || fts_server_start(fake->server, &error) != FTS_OK)
		fail_msg("the fake lottery does not start: %s", error.detail);
}

struct fake_lottery *fake_lottery_start(void)
{
	static uint16_t port;
	struct fake_lottery *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	if (port == 0) port = harness_ports_reserve();
	fake->port = port;
	fake->oldest_event = 1;
	pthread_mutex_init(&fake->lock, NULL);
	fake_lottery_revive(fake);
	return fake;
}

void fake_lottery_kill(struct fake_lottery *fake)
{
	fts_server_destroy(fake->server);
	fts_publisher_destroy(fake->publisher);
	fake->server = NULL;
	fake->publisher = NULL;
}

void fake_lottery_stop(struct fake_lottery *fake)
{
	fake_lottery_kill(fake);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

uint16_t fake_lottery_port(const struct fake_lottery *fake)
{
	return fake->port;
}

void fake_lottery_fail(struct fake_lottery *fake, uint32_t first, uint32_t count, enum fts_status status, bool stored)
{
	pthread_mutex_lock(&fake->lock);
	fake->fail_first = fake->batch_calls + first;
	fake->fail_count = count;
	fake->fail_status = status;
	fake->fail_stored = stored;
	pthread_mutex_unlock(&fake->lock);
}

void fake_lottery_hold(struct fake_lottery *fake, bool hold)
{
	pthread_mutex_lock(&fake->lock);
	fake->hold = hold;
	pthread_mutex_unlock(&fake->lock);
}

uint32_t fake_lottery_held(struct fake_lottery *fake)
{
	pthread_mutex_lock(&fake->lock);
	uint32_t count = fake->held_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

void fake_lottery_release(struct fake_lottery *fake)
{
	struct held held[HELD_MAX];

	pthread_mutex_lock(&fake->lock);
	uint32_t count = fake->held_count;
	memcpy(held, fake->held, count * sizeof(held[0]));
	fake->held_count = 0;
	pthread_mutex_unlock(&fake->lock);
	for (uint32_t i = 0; i < count; i++)
		answer(&held[i]);
}

void fake_lottery_lose_node(struct fake_lottery *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->node_lost = true;
	pthread_mutex_unlock(&fake->lock);
}

void fake_lottery_draw(struct fake_lottery *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->drawn = true;
	pthread_mutex_unlock(&fake->lock);
}

uint32_t fake_lottery_bet_count(struct fake_lottery *fake)
{
	pthread_mutex_lock(&fake->lock);
	uint32_t count = fake->bet_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

uint32_t fake_lottery_batch_calls(struct fake_lottery *fake)
{
	pthread_mutex_lock(&fake->lock);
	uint32_t count = fake->batch_calls;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

struct fake_bet fake_lottery_bet(struct fake_lottery *fake, uint32_t i)
{
	pthread_mutex_lock(&fake->lock);
	struct fake_bet bet = fake->bets[i];
	pthread_mutex_unlock(&fake->lock);
	return bet;
}
