/* Why this file exists: long random sequences of commands, followed at the same time by a model so plain that it can
 * be read: arrays of bets, flags of agencies, a set of rows. Both must say the same at every step and hold the same in
 * the end, also when the service is made anew over its store in the middle.
 *
 * FTS_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sodium.h>

#include "world.h"

enum { STEPS = 6000, DRAWS = 3, AGENCIES = 4, ROWS = 700, IMPORTS = 2, BETS = 60000, BATCH = 12 };

struct model_bet {
	uint8_t agency;
	uint8_t kind; /* which of the made-up bets */
};

struct model_draw {
	bool open, fixed, sealed;
	uint32_t agencies;
	bool closed[AGENCIES + 1];
	uint32_t closed_count;
	uint32_t bet_count;
	struct model_bet bets[BETS];
	int16_t rows[AGENCIES + 1][IMPORTS][ROWS + 1]; /* kind stored, -1: none */
	uint32_t judged[AGENCIES + 1][IMPORTS];
};

enum { KINDS = 6, FIRST_BAD_KIND = 4 };
static const char *const kinds[KINDS] = {
    "Juan;Perez;30904465;1999-03-17;7574", "Ana;Gomez;20304050;1980-01-01;1", "Juan;Perez;30904465;1999-03-17;7574",
    "Zoe;Ñandú;11;2000-02-29;7574",        "A;B;12x;1999-01-01;7574",         "A;B;1;1999-02-30;10000"};

static char import_names[IMPORTS][8] = {"file", "file2"};
static Fts__Lottery__V1__Bet *bets[KINDS];
static struct model_draw model[DRAWS];
static const char *const names[DRAWS] = {"fixed", "drawn", "third"};
static unsigned seed;

static uint32_t random_below(uint32_t limit)
{
	return (uint32_t)rand_r(&seed) % limit;
}

static bool kinds_equal(int a, int b)
{
	return strcmp(kinds[a], kinds[b]) == 0;
}

static void step_open(struct world *world)
{
	uint32_t d = random_below(DRAWS), agencies = random_below(8) == 0 ? AGENCIES - 1 : AGENCIES;
	enum fts_status status = world_draw_open(world, names[d], agencies, d == 0 ? 7574 : -1);
	if (model[d].open) {
		assert_int_equal(status, agencies == model[d].agencies ? FTS_OK : FTS_ALREADY_EXISTS);
		return;
	}
	assert_int_equal(status, FTS_OK);
	memset(&model[d], 0, sizeof model[d]);
	memset(model[d].rows, 0xFF, sizeof model[d].rows);
	model[d].open = true;
	model[d].fixed = d == 0;
	model[d].agencies = agencies;
}

/* What a command about an agency has to be answered before anything else is looked at. */
static enum fts_status first_answer(uint32_t d, uint32_t agency)
{
	if (!model[d].open) return FTS_NOT_FOUND;
	return agency < 1 || agency > model[d].agencies ? FTS_INVALID_ARGUMENT : FTS_OK;
}

static void model_add(uint32_t d, uint32_t agency, uint32_t kind)
{
	assert_true(model[d].bet_count < BETS);
	model[d].bets[model[d].bet_count++] = (struct model_bet){(uint8_t)agency, (uint8_t)kind};
}

static void step_bet(struct world *world)
{
	uint32_t d = random_below(DRAWS), agency = random_below(AGENCIES + 2), kind = random_below(KINDS);
	uint64_t ticket = 0;
	enum fts_status expected = first_answer(d, agency);
	enum fts_status status = world_bet(world, names[d], agency, kinds[kind], &ticket);
	if (expected == FTS_OK && (model[d].sealed || model[d].closed[agency])) expected = FTS_FAILED_PRECONDITION;
	if (expected == FTS_OK && kind >= FIRST_BAD_KIND) expected = FTS_INVALID_ARGUMENT;
	assert_int_equal(status, expected);
	if (expected != FTS_OK) return;
	model_add(d, agency, kind);
	assert_int_equal(ticket, model[d].bet_count);
}

struct expected {
	uint32_t stored, already, refused;
	bool store[BATCH];
};

static struct expected judge(uint32_t d, uint32_t agency, int import, uint32_t first_row, const uint8_t *rows,
			     uint32_t count)
{
	struct expected expected = {0};
	for (uint32_t i = 0; i < count; i++) {
		int stored = import < 0 ? -1 : model[d].rows[agency][import][first_row + i];
		if (rows[i] >= FIRST_BAD_KIND || (stored >= 0 && !kinds_equal(stored, rows[i])))
			expected.refused++;
		else if (stored >= 0)
			expected.already++;
		else
			expected.store[i] = ++expected.stored > 0;
	}
	return expected;
}

static void step_batch(struct world *world)
{
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	const Fts__Lottery__V1__StoreBatchResponse *response;
	Fts__Lottery__V1__Bet *list[BATCH];
	uint8_t rows[BATCH];
	uint32_t d = random_below(DRAWS), agency = random_below(AGENCIES + 2), count = 1 + random_below(BATCH);
	uint32_t first_row = 1 + random_below(ROWS - BATCH), after = random_below(3) == 0 ? random_below(first_row) : 0;
	int import = (int)random_below(IMPORTS + 1) - 1;
	bool all = random_below(4) == 0;
	for (uint32_t i = 0; i < count; i++) {
		rows[i] = (uint8_t)random_below(random_below(3) == 0 ? KINDS : FIRST_BAD_KIND);
		list[i] = bets[rows[i]];
	}
	request.draw = (char *)(uintptr_t)names[d];
	request.agency = agency;
	request.bets = list;
	request.n_bets = count;
	request.all_or_nothing = all;
	if (import >= 0) {
		request.import = import_names[import];
		request.first_row = first_row;
		request.after_row = after;
	}
	enum fts_status status = world_apply(world, fts_lottery_store_batch_method, &request.base, &response);
	enum fts_status expected_status = first_answer(d, agency);
	if (expected_status != FTS_OK) {
		assert_int_equal(status, expected_status);
		return;
	}
	if (import >= 0 && after > model[d].judged[agency][import]) {
		assert_int_equal(status, FTS_ABORTED);
		return;
	}
	struct expected expected = judge(d, agency, import, first_row, rows, count);
	if ((model[d].sealed || model[d].closed[agency]) && expected.already < count) {
		assert_int_equal(status, FTS_FAILED_PRECONDITION);
		return;
	}
	bool nothing = all && expected.refused > 0;
	assert_int_equal(status, FTS_OK);
	assert_int_equal(response->stored, nothing ? 0 : expected.stored);
	assert_int_equal(response->already, expected.already);
	assert_int_equal(response->refused, expected.refused);
	if (nothing) return;
	if (expected.stored > 0) assert_int_equal(response->first_ticket, model[d].bet_count + 1);
	for (uint32_t i = 0; i < count; i++) {
		if (!expected.store[i]) continue;
		model_add(d, agency, rows[i]);
		if (import >= 0) model[d].rows[agency][import][first_row + i] = rows[i];
	}
	if (import >= 0 && first_row + count - 1 > model[d].judged[agency][import])
		model[d].judged[agency][import] = first_row + count - 1;
}

static void step_close(struct world *world)
{
	uint32_t d = random_below(DRAWS), agency = random_below(AGENCIES + 2);
	enum fts_status expected = first_answer(d, agency);
	assert_int_equal(world_agency_close(world, names[d], agency, "e"), expected);
	if (expected != FTS_OK || model[d].sealed || model[d].closed[agency]) return;
	model[d].closed[agency] = true;
	model[d].sealed = ++model[d].closed_count == model[d].agencies;
}

static void check_status(struct world *world, uint32_t d)
{
	const Fts__Lottery__V1__StatusResponse *status;
	uint64_t counts[AGENCIES + 1] = {0};
	if (!model[d].open) return;
	status = world_status(world, names[d]);
	assert_int_equal(status->bets, model[d].bet_count);
	assert_int_equal(status->state != FTS__LOTTERY__V1__DRAW_STATE__OPEN, model[d].sealed);
	for (uint32_t i = 0; i < model[d].bet_count; i++)
		counts[model[d].bets[i].agency]++;
	for (uint32_t agency = 1; agency <= model[d].agencies; agency++) {
		assert_int_equal(status->agencies[agency - 1]->bets, counts[agency]);
		assert_int_equal(status->agencies[agency - 1]->closed, model[d].closed[agency]);
	}
}

/* Winners by a plain scan of the model. */
static void check_winners(struct world *world, uint32_t d, uint32_t agency)
{
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	const Fts__Lottery__V1__WinnersResponse *response;
	size_t found = 0;
	request.draw = (char *)(uintptr_t)names[d];
	request.agency = agency;
	request.no_wait = true;
	assert_int_equal(world_read(world, fts_lottery_winners_method, &request.base, &response), FTS_OK);
	for (uint32_t i = 0; i < model[d].bet_count; i++) {
		const Fts__Lottery__V1__Bet *bet = bets[model[d].bets[i].kind];
		if (model[d].bets[i].agency != agency || bet->number != response->number) continue;
		assert_true(found < response->n_documents);
		assert_string_equal(response->documents[found++], bet->document);
	}
	assert_int_equal(found, response->n_documents);
}

static void finish(struct world *world, uint32_t d)
{
	if (!model[d].open) return;
	for (uint32_t agency = 1; agency <= model[d].agencies; agency++) {
		assert_int_equal(world_agency_close(world, names[d], agency, ""), FTS_OK);
		model[d].closed[agency] = true;
	}
	model[d].sealed = true;
	world_commit(world);
	world_turn(world, true);
	world_apply_proposals(world);
	check_status(world, d);
	assert_int_equal(world_status(world, names[d])->state, FTS__LOTTERY__V1__DRAW_STATE__DRAWN);
	for (uint32_t agency = 1; agency <= model[d].agencies; agency++)
		check_winners(world, d, agency);
}

static void run(struct world *world)
{
	memset(model, 0, sizeof model);
	for (int i = 0; i < STEPS; i++) {
		uint32_t what = random_below(1000);
		if (what < 10)
			step_open(world);
		else if (what < 300)
			step_bet(world);
		else if (what < 970)
			step_batch(world);
		else if (what < 973)
			step_close(world);
		else if (what < 990)
			check_status(world, random_below(DRAWS)); /* commits */
		else if (what < 995)
			world_turn(world, true);
		else
			world_commit(world);
		world->time_ms += random_below(5);
		world_forget_events(world);
		if (random_below(2000) == 0) world_restart(world, false);
		if (random_below(50) == 0) world_apply_proposals(world);
	}
	for (uint32_t d = 0; d < DRAWS; d++)
		finish(world, d);
}

static void random_commands_do_what_the_model_does(void **state)
{
	const char *given = getenv("FTS_SEED");
	unsigned base = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	(void)state;
	for (int i = 0; i < KINDS; i++)
		bets[i] = world_bet_make(kinds[i]);
	for (unsigned round = 0; round < (given != NULL ? 1u : 5u); round++) {
		struct world *world = malloc(sizeof *world);
		seed = base + round;
		(void)fprintf(stderr, "FTS_SEED=%u\n", seed);
		world_open(world);
		run(world);
		world_close(world);
		free(world);
	}
	for (int i = 0; i < KINDS; i++)
		world_bet_free(bets[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_commands_do_what_the_model_does)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
