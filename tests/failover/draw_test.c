/* Why this file exists: a draw by commit and reveal goes on through the death of the leader after the last agency has
 * closed and before the number is known: no secret is lost or revealed twice, there is one number, it is the one that
 * fts-verify finds in the bundle, and its winner is told by every node.
 *
 * No case waits for the end of the wait for secrets (60 s): all of them have to be there by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include <fts/lottery/v1/lottery.fts.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define LIMIT_S 280
#define SETTLE_MS 45000 /* less than the wait for secrets */
#define NODES 3
#define NUMBERS 10000
#define BATCH 2500 /* bets */

static struct harness_cluster cluster;
static struct fts_channel *channel;
static const struct fts_call_options patient = {.timeout_ms = SETTLE_MS};

/* ---- Calls ---- */

static void open_draw(char *draw)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	struct fts_error error;
	request.draw = draw;
	request.agencies = 2;
	if (fts_lottery_open(channel, &request, &patient, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
}

/* Agency 1 bets once on each number; the document is the number and one more. */
static void store_bets(char *draw)
{
	static Fts__Lottery__V1__Bet bets[BATCH], *pointers[BATCH];
	static char documents[BATCH][8], name[] = "Ana", birthdate[] = "1999-03-17";
	for (uint32_t first = 0; first < NUMBERS; first += BATCH) {
		Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
		Fts__Lottery__V1__StoreBatchResponse *response = NULL;
		struct fts_error error;
		for (uint32_t i = 0; i < BATCH; i++) {
			(void)snprintf(documents[i], sizeof documents[i], "%u", first + i + 1);
			fts__lottery__v1__bet__init(&bets[i]);
			bets[i].first_name = bets[i].last_name = name;
			bets[i].birthdate = birthdate;
			bets[i].document = documents[i];
			bets[i].number = first + i;
			pointers[i] = &bets[i];
		}
		request.draw = draw;
		request.agency = 1;
		request.bets = pointers;
		request.n_bets = BATCH;
		if (fts_lottery_store_batch(channel, &request, &patient, &response, &error) != FTS_OK)
			fail_msg("%s", error.detail);
		assert_int_equal(response->stored, BATCH);
		fts__lottery__v1__store_batch_response__free_unpacked(response, NULL);
	}
}

static enum fts_status close_agency(char *draw, uint32_t agency)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	Fts__Lottery__V1__AgencyCloseResponse *response = NULL;
	struct fts_error error;
	uint8_t entropy[] = {1, 2, 3, (uint8_t)agency};
	enum fts_status status;
	request.draw = draw;
	request.agency = agency;
	request.entropy = (ProtobufCBinaryData){sizeof entropy, entropy};
	status = fts_lottery_agency_close(channel, &request, &patient, &response, &error);
	if (status != FTS_OK) print_message("agency %u: %s\n", agency, error.detail);
	if (response != NULL) fts__lottery__v1__agency_close_response__free_unpacked(response, NULL);
	return status;
}

struct seen {
	Fts__Lottery__V1__DrawState state;
	size_t committed, revealed;
	uint32_t number;
};

static struct seen look(char *draw)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	Fts__Lottery__V1__StatusResponse *response = NULL;
	struct fts_error error;
	struct seen seen = {0};
	request.draw = draw;
	if (fts_lottery_status(channel, &request, &patient, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	seen.state = response->state;
	seen.committed = response->n_commitments;
	seen.number = response->number;
	for (size_t i = 0; i < response->n_commitments; i++)
		seen.revealed += response->commitments[i]->secret.len > 0;
	fts__lottery__v1__status_response__free_unpacked(response, NULL);
	return seen;
}

static void wait_for_secrets(char *draw, size_t committed, size_t revealed)
{
	struct harness_wait wait = harness_wait_ms(SETTLE_MS);
	for (struct seen seen = look(draw); seen.committed < committed || seen.revealed < revealed; seen = look(draw))
		if (!harness_wait_more(&wait)) fail_msg("%zu commitments, %zu secrets", seen.committed, seen.revealed);
}

/* ---- What must be so in the end ---- */

static void check_winner(size_t member, char *draw, uint32_t number)
{
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	Fts__Lottery__V1__WinnersResponse *response = NULL;
	struct fts_error error;
	char document[16];
	request.draw = draw;
	request.agency = 1;
	if (fts_lottery_winners(cluster.members[member].channel, &request, &patient, &response, &error) != FTS_OK)
		fail_msg("%s", error.detail);
	(void)snprintf(document, sizeof document, "%u", number + 1);
	assert_int_equal(response->number, number);
	assert_int_equal(response->n_documents, 1);
	assert_string_equal(response->documents[0], document);
	fts__lottery__v1__winners_response__free_unpacked(response, NULL);
}

static void check_bundle(const char *draw)
{
	char path[HARNESS_PATH_MAX + 16];
	(void)snprintf(path, sizeof path, "%s/draw.json", cluster.members[0].root);
	const char *const save[] = {"fts-cli", "--endpoints", cluster.endpoints, "lottery", "export", draw, "--out",
				    path,      NULL};
	const char *const verify[] = {"fts-verify", path, NULL};
	char *out = NULL;
	assert_int_equal(harness_run(save, SETTLE_MS, NULL, NULL), 0);
	int code = harness_run(verify, SETTLE_MS, &out, NULL);
	if (code != 0) fail_msg("fts-verify: %s", out);
	free(out);
}

static void check_end(char *draw)
{
	wait_for_secrets(draw, NODES, NODES);
	struct seen seen = look(draw);
	assert_int_equal(seen.state, FTS__LOTTERY__V1__DRAW_STATE__DRAWN);
	assert_int_equal(seen.committed, NODES);
	(void)harness_cluster_wait_equal(&cluster, SETTLE_MS);
	for (size_t i = 0; i < NODES; i++)
		check_winner(i, draw, seen.number);
	check_bundle(draw);
}

static void begin(char *draw)
{
	harness_cluster_wait_voters(&cluster, NODES, SETTLE_MS);
	open_draw(draw);
	wait_for_secrets(draw, NODES, 0);
	store_bets(draw);
	assert_int_equal(close_agency(draw, 1), FTS_OK);
}

/* ---- Cases ---- */

static size_t other_than(size_t leader)
{
	return (leader + 1) % NODES;
}

/* One node is away as the draw is sealed: its secret alone is missing when the leader dies, and a new leader has to
 * take it. */
static void dies_between_the_secrets(void)
{
	char draw[] = "between";
	size_t leader, away;
	begin(draw);
	leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
	away = other_than(leader);
	harness_cluster_kill(&cluster, away);
	assert_int_equal(close_agency(draw, 2), FTS_OK);
	wait_for_secrets(draw, NODES, NODES - 1);
	assert_int_equal(look(draw).state, FTS__LOTTERY__V1__DRAW_STATE__SEALED);
	harness_cluster_kill(&cluster, leader);
	harness_cluster_restart(&cluster, away);
	wait_for_secrets(draw, NODES, NODES);
	uint32_t number = look(draw).number;
	harness_cluster_restart(&cluster, leader);
	check_end(draw);
	assert_int_equal(look(draw).number, number);
}

static void *close_last(void *draw)
{
	return close_agency(draw, 2) == FTS_OK ? draw : NULL;
}

/* The leader dies with the last close on its way, at whatever moment that is: before the seal, between it and the
 * secrets, among them. */
static void dies_with_the_seal(void)
{
	char draw[] = "seal";
	pthread_t thread;
	void *closed = NULL;
	begin(draw);
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
	assert_int_equal(pthread_create(&thread, NULL, close_last, draw), 0);
	harness_cluster_kill(&cluster, leader);
	harness_cluster_restart(&cluster, leader);
	assert_int_equal(pthread_join(thread, &closed), 0);
	assert_non_null(closed);
	check_end(draw);
}

static void leaders_die(void **state)
{
	struct fts_channel_options options = {.endpoints = cluster.endpoints};
	struct fts_error error;
	(void)state;
	harness_cluster_init(&cluster, NODES);
	harness_cluster_start(&cluster);
	if (fts_channel_open(&options, &channel, &error) != FTS_OK) fail_msg("%s", error.detail);
	dies_between_the_secrets();
	dies_with_the_seal();
	fts_channel_close(channel);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(leaders_die),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
