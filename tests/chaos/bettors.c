/* Why this file exists: see tests/chaos/bettors.h. */
#include "tests/chaos/bettors.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fts/lottery/v1/lottery.fts.h>

#include "tests/harness/clock.h"
#include "tests/linear/models.h"

#define AGENCIES_MAX 16
#define BETS_MAX 200000 /* of an agency */
#define NUMBER 7574
#define MUST_MS 20000
#define BET_MS 3000

struct agency {
	struct bettors *all;
	pthread_t thread;
	uint32_t number; /* from 1 */
	struct fts_channel *channel;
	enum linear_told *told;
	uint32_t sent_count;
};

struct bettors {
	const char *draw;
	atomic_bool stop;
	atomic_ullong stored, unknown, refused;
	uint32_t agency_count;
	struct agency agencies[AGENCIES_MAX];
};

static char *text(const char *borrowed)
{
	return (char *)(uintptr_t)borrowed; /* protobuf-c's strings are not const */
}

static enum linear_told store(struct agency *agency, uint32_t place)
{
	static const struct fts_call_options options = {.timeout_ms = BET_MS};
	char document[16];
	struct fts_error error;
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	Fts__Lottery__V1__StoreBetResponse *response = NULL;
	snprintf(document, sizeof(document), "%u", place + 1);
	bet.first_name = text("Ana");
	bet.last_name = text("Chaos");
	bet.birthdate = text("1990-01-01");
	bet.document = document;
	bet.number = NUMBER;
	request.draw = text(agency->all->draw);
	request.agency = agency->number;
	request.bet = &bet;
	if (fts_lottery_store_bet(agency->channel, &request, &options, &response, &error) == FTS_OK) {
		fts__lottery__v1__store_bet_response__free_unpacked(response, NULL);
		return LINEAR_TOLD_STORED;
	}
	return error.executed == FTS_EXECUTED_NO ? LINEAR_TOLD_REFUSED : LINEAR_TOLD_NOTHING;
}

static void *bet_on(void *ctx)
{
	struct agency *agency = ctx;
	struct bettors *all = agency->all;
	while (!atomic_load(&all->stop) && agency->sent_count < BETS_MAX) {
		enum linear_told told = store(agency, agency->sent_count);
		agency->told[agency->sent_count++] = told;
		atomic_fetch_add(told == LINEAR_TOLD_STORED    ? &all->stored
				 : told == LINEAR_TOLD_REFUSED ? &all->refused
							       : &all->unknown,
				 1);
		struct harness_wait pause = {harness_now_ns() + 1000000000u, told == LINEAR_TOLD_STORED ? 500 : 5000};
		(void)harness_wait_more(&pause); /* there are others on this machine */
	}
	return NULL;
}

static void open_draw(struct bettors *bettors, uint32_t agencies)
{
	static const struct fts_call_options options = {.timeout_ms = MUST_MS};
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	struct fts_error error;
	request.draw = text(bettors->draw);
	request.agencies = agencies;
	request.fixed = true;
	request.number = NUMBER;
	if (fts_lottery_open(bettors->agencies[0].channel, &request, &options, &response, &error) != FTS_OK)
		fail_msg("the draw %s can't be opened: %s", bettors->draw, error.detail);
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
}

struct bettors *bettors_start(const char *endpoints, const char *draw, uint32_t agencies)
{
	struct bettors *bettors = calloc(1, sizeof(*bettors));
	struct fts_channel_options options = {.endpoints = endpoints};
	struct fts_error error;
	assert_non_null(bettors);
	assert_true(agencies >= 1 && agencies <= AGENCIES_MAX);
	bettors->draw = draw;
	bettors->agency_count = agencies;
	for (uint32_t i = 0; i < agencies; i++) {
		struct agency *agency = &bettors->agencies[i];
		*agency = (struct agency){.all = bettors, .number = i + 1};
		agency->told = calloc(BETS_MAX, sizeof(*agency->told));
		assert_non_null(agency->told);
		if (fts_channel_open(&options, &agency->channel, &error) != FTS_OK)
			fail_msg("no channel: %s", error.detail);
	}
	open_draw(bettors, agencies);
	for (uint32_t i = 0; i < agencies; i++)
		assert_int_equal(pthread_create(&bettors->agencies[i].thread, NULL, bet_on, &bettors->agencies[i]), 0);
	return bettors;
}

uint64_t bettors_stored(struct bettors *bettors)
{
	return atomic_load(&bettors->stored);
}

static void close_agency(struct agency *agency)
{
	static const struct fts_call_options options = {.timeout_ms = MUST_MS};
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	Fts__Lottery__V1__AgencyCloseResponse *response = NULL;
	struct fts_error error;
	request.draw = text(agency->all->draw);
	request.agency = agency->number;
	if (fts_lottery_agency_close(agency->channel, &request, &options, &response, &error) != FTS_OK)
		fail_msg("agency %u can't close: %s", agency->number, error.detail);
	fts__lottery__v1__agency_close_response__free_unpacked(response, NULL);
}

/* Documents back to places, and held against what the agency was told. A bet of unknown outcome may have been stored
 * late; all others stand in the order in which they were placed. */
static void check_winners(const struct agency *agency, char *const *documents, size_t count)
{
	char report[LINEAR_REPORT_MAX_BYTES];
	size_t *found = calloc(count + 1, sizeof(*found)), last = 0;
	assert_non_null(found);
	for (size_t i = 0; i < count; i++)
		found[i] = (size_t)strtoull(documents[i], NULL, 10) - 1;
	if (!linear_bets_check(agency->told, agency->sent_count, found, count, report))
		fail_msg("draw %s, agency %u: %s", agency->all->draw, agency->number, report);
	for (size_t i = 0; i < count; i++) {
		if (agency->told[found[i]] != LINEAR_TOLD_STORED) continue;
		if (found[i] < last)
			fail_msg("agency %u: bet %zu stands behind bet %zu", agency->number, found[i], last);
		last = found[i];
	}
	free(found);
}

static void read_winners(struct agency *agency)
{
	static const struct fts_call_options options = {.timeout_ms = MUST_MS};
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	Fts__Lottery__V1__WinnersResponse *response = NULL;
	struct fts_error error;
	request.draw = text(agency->all->draw);
	request.agency = agency->number;
	if (fts_lottery_winners(agency->channel, &request, &options, &response, &error) != FTS_OK)
		fail_msg("agency %u: no winners: %s", agency->number, error.detail);
	check_winners(agency, response->documents, response->n_documents);
	fts__lottery__v1__winners_response__free_unpacked(response, NULL);
}

struct bettors_counts bettors_finish(struct bettors *bettors)
{
	atomic_store(&bettors->stop, true);
	for (uint32_t i = 0; i < bettors->agency_count; i++)
		pthread_join(bettors->agencies[i].thread, NULL);
	for (uint32_t i = 0; i < bettors->agency_count; i++)
		close_agency(&bettors->agencies[i]);
	for (uint32_t i = 0; i < bettors->agency_count; i++) {
		read_winners(&bettors->agencies[i]);
		fts_channel_close(bettors->agencies[i].channel);
		free(bettors->agencies[i].told);
	}
	struct bettors_counts counts = {atomic_load(&bettors->stored), atomic_load(&bettors->unknown),
					atomic_load(&bettors->refused)};
	free(bettors);
	return counts;
}
