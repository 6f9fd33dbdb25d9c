/* Why this file exists: see tests/e2e/load.h. */
#include "tests/e2e/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fts/lottery/v1/lottery.fts.h>

#include "tests/e2e/cli.h"
#include "tests/harness/clock.h"

static enum load_told store(struct load_caller *caller, uint32_t bet_place)
{
	static const struct fts_call_options options = {.timeout_ms = 2000};
	static char first[] = "Ana", last[] = "Load", birth[] = "1990-01-01";
	char document[16];
	struct fts_error error;
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	Fts__Lottery__V1__StoreBetResponse *response = NULL;
	snprintf(document, sizeof(document), "%u", caller->place * LOAD_BETS_MAX + bet_place + 1);
	bet.first_name = first, bet.last_name = last, bet.birthdate = birth;
	bet.document = document;
	bet.number = 7574;
	request.draw = (char *)(uintptr_t)caller->load->draw;
	request.agency = 1;
	request.bet = &bet;
	enum fts_status status = fts_lottery_store_bet(caller->load->channel, &request, &options, &response, &error);
	if (status == FTS_OK) {
		fts__lottery__v1__store_bet_response__free_unpacked(response, NULL);
		return LOAD_STORED;
	}
	return error.executed == FTS_EXECUTED_NO ? LOAD_REFUSED : LOAD_UNKNOWN;
}

static void *run(void *ctx)
{
	struct load_caller *caller = ctx;
	for (uint32_t i = 0; i < LOAD_BETS_MAX && !atomic_load(&caller->load->stop); i++) {
		caller->told[i] = (uint8_t)store(caller, i);
		atomic_fetch_add(&caller->sent_count, 1);
		if (caller->told[i] == LOAD_STORED) continue;
		/* A node that is away or full refuses at once: ask again in a moment, not in a tight loop. */
		struct harness_wait pause = {harness_now_ns() + 1000000000u, 5000};
		(void)harness_wait_more(&pause);
	}
	return NULL;
}

void load_start(struct load *load, const struct harness_node *node, const char *draw)
{
	struct fts_channel_options options = {.endpoints = node->endpoint};
	struct fts_error error;
	memset(load, 0, sizeof(*load));
	load->draw = draw;
	if (fts_channel_open(&options, &load->channel, &error) != FTS_OK) fail_msg("no channel: %s", error.detail);
	for (uint32_t i = 0; i < LOAD_CALLERS; i++) {
		load->callers[i].load = load;
		load->callers[i].place = i;
		assert_int_equal(pthread_create(&load->callers[i].thread, NULL, run, &load->callers[i]), 0);
	}
}

void load_wait(struct load *load, uint32_t answered_count, uint32_t timeout_ms)
{
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);;) {
		uint32_t count = 0;
		for (uint32_t i = 0; i < LOAD_CALLERS; i++)
			count += atomic_load(&load->callers[i].sent_count);
		if (count >= answered_count) return;
		if (!harness_wait_more(&wait))
			fail_msg("%u of %u calls answered within %u ms", count, answered_count, timeout_ms);
	}
}

void load_stop(struct load *load)
{
	atomic_store(&load->stop, true);
	for (uint32_t i = 0; i < LOAD_CALLERS; i++)
		pthread_join(load->callers[i].thread, NULL);
	fts_channel_close(load->channel);
	load->channel = NULL;
}

uint32_t load_stored(const struct load *load, uint32_t *out_unknown)
{
	uint32_t stored = 0, unknown = 0;
	for (uint32_t c = 0; c < LOAD_CALLERS; c++) {
		for (uint32_t i = 0; i < LOAD_BETS_MAX; i++) {
			stored += load->callers[c].told[i] == LOAD_STORED;
			unknown += load->callers[c].told[i] == LOAD_UNKNOWN;
		}
	}
	if (out_unknown != NULL) *out_unknown = unknown;
	return stored;
}

void load_check(const struct load *load, const struct harness_node *node)
{
	static uint8_t seen[LOAD_CALLERS * LOAD_BETS_MAX];
	memset(seen, 0, sizeof(seen));
	agencies_close(node, load->draw, 1);
	char *winners = cli_read(node, "lottery", "winners", load->draw, "--agency", "1", NULL);
	for (char *rest = winners, *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
		unsigned long document = strtoul(line, NULL, 10);
		assert_true(document >= 1 && document <= sizeof(seen));
		if (seen[document - 1]++ != 0) fail_msg("bet %lu was stored twice", document);
	}
	free(winners);
	for (uint32_t i = 0; i < sizeof(seen); i++) {
		uint8_t told = load->callers[i / LOAD_BETS_MAX].told[i % LOAD_BETS_MAX];
		if (told == LOAD_STORED && !seen[i]) fail_msg("bet %u was acknowledged and is lost", i + 1);
		if ((told == LOAD_REFUSED || told == LOAD_NOT_SENT) && seen[i])
			fail_msg("bet %u was refused and is stored", i + 1);
	}
}
