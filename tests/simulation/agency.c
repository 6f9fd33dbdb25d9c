/* Why this file exists: see simulation.h. A lottery under the same faults: agencies that open a draw, store bets one by
 * one and in batches, close, and ask who has won. At the end every bet is there once, and the winners are exactly
 * those that each agency expects, in the order of its bets.
 *
 * The machine is the real one; only the thread that looks for winners beforehand is not started. */
#include <fts/lottery/v1/lottery.fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lottery/service_internal.h"
#include "simulation.h"

enum { BATCH_MAX = 4, NUMBERS = 3, WINNING = 1 };
enum stage { OPENS, STORES, CLOSES, ASKS, COUNTS, IS_DONE };

static const char draw_name[] = "spring";

struct turn {
	struct sim_event event; /* first */
	uint32_t agency;
};

/* ---- The machine of a node ---- */

void sim_lottery_create(struct sim_node *node)
{
	const struct fts_lottery_options options = {.data = node->dir, .node = node->name};
	struct fts_error error = {0};
	const struct fts_machine *const *machines;
	size_t count;
	(void)mkdir(node->dir, 0700); /* for its key */
	if (fts_lottery_create(&options, &node->lottery, &error) != FTS_OK) abort();
	machines = fts_lottery_machines(node->lottery, &count);
	for (size_t i = 0; i < count; i++)
		node->machines[node->machine_count++] = machines[i];
}

void sim_lottery_attach(struct sim_node *node)
{
	node->lottery->replica = node->replica; /* fts_lottery_attach would start a thread */
}

void sim_lottery_destroy(struct sim_node *node)
{
	node->lottery->replica = NULL;
	fts_lottery_destroy(node->lottery);
	node->lottery = NULL;
}

/* ---- An agency ---- */

static void go_on(struct simulation *sim, struct sim_agency *agency);

static void open_draw(struct simulation *sim, struct sim_agency *agency)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	request.draw = (char *)draw_name;
	request.agencies = sim->profile.agency_count;
	request.fixed = sim->profile.fixed_number;
	request.number = sim->profile.fixed_number ? WINNING : 0;
	sim_call(sim, &agency->caller, fts_lottery_open_method, &request.base);
}

static void make_bet(struct sim_agency *agency, uint32_t place, Fts__Lottery__V1__Bet *bet, char *document)
{
	*bet = (Fts__Lottery__V1__Bet)FTS__LOTTERY__V1__BET__INIT;
	(void)snprintf(document, 21, "%u%06u", agency->number + 1, place);
	bet->first_name = (char *)"Ada";
	bet->last_name = (char *)"Byron";
	bet->document = document;
	bet->birthdate = (char *)"1990-12-10";
	bet->number = place % NUMBERS;
}

static void store(struct simulation *sim, struct sim_agency *agency)
{
	Fts__Lottery__V1__StoreBetRequest one = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	Fts__Lottery__V1__StoreBatchRequest many = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	Fts__Lottery__V1__Bet bets[BATCH_MAX], *pointers[BATCH_MAX];
	char documents[BATCH_MAX][21];
	agency->storing = (uint32_t)sim_random_between(&sim->random, 1, BATCH_MAX);
	for (uint32_t i = 0; i < agency->storing; i++) {
		make_bet(agency, agency->stored + i, &bets[i], documents[i]);
		pointers[i] = &bets[i];
	}
	if (agency->storing == 1) {
		one.draw = (char *)draw_name;
		one.agency = agency->number + 1;
		one.bet = &bets[0];
		sim_call(sim, &agency->caller, fts_lottery_store_bet_method, &one.base);
		return;
	}
	many.draw = (char *)draw_name;
	many.agency = agency->number + 1;
	many.n_bets = agency->storing;
	many.bets = pointers;
	many.all_or_nothing = true;
	sim_call(sim, &agency->caller, fts_lottery_store_batch_method, &many.base);
}

static void close_agency(struct simulation *sim, struct sim_agency *agency)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	request.draw = (char *)draw_name;
	request.agency = agency->number + 1;
	sim_call(sim, &agency->caller, fts_lottery_agency_close_method, &request.base);
}

static void ask(struct simulation *sim, struct sim_agency *agency)
{
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	request.draw = (char *)draw_name;
	request.agency = agency->number + 1;
	sim_call(sim, &agency->caller, fts_lottery_winners_method, &request.base);
}

static void count(struct simulation *sim, struct sim_agency *agency)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	request.draw = (char *)draw_name;
	sim_call(sim, &agency->caller, fts_lottery_status_method, &request.base);
}

static void check_winners(struct simulation *sim, const struct sim_agency *agency, struct fts_bytes payload)
{
	Fts__Lottery__V1__WinnersResponse *response =
	    fts__lottery__v1__winners_response__unpack(NULL, payload.size_bytes, payload.data);
	size_t found = 0;
	bool right = response != NULL && (!sim->profile.fixed_number || response->number == WINNING);
	for (uint32_t place = 0; right && place < agency->stored; place++) {
		Fts__Lottery__V1__Bet bet;
		char document[21];
		make_bet((struct sim_agency *)(uintptr_t)agency, place, &bet, document);
		if (bet.number != response->number) continue;
		right = found < response->n_documents && strcmp(response->documents[found], document) == 0;
		found++;
	}
	if (!right || found != response->n_documents)
		sim_violation(sim, "agency %u is told of other winners than its %u bets have", agency->number + 1,
			      agency->stored);
	if (response != NULL) fts__lottery__v1__winners_response__free_unpacked(response, NULL);
}

static void check_count(struct simulation *sim, const struct sim_agency *agency, struct fts_bytes payload)
{
	Fts__Lottery__V1__StatusResponse *response =
	    fts__lottery__v1__status_response__unpack(NULL, payload.size_bytes, payload.data);
	uint64_t all = 0;
	for (uint32_t i = 0; i < sim->profile.agency_count; i++)
		all += sim->agencies[i].stored;
	if (response == NULL || response->bets != all || response->n_agencies != sim->profile.agency_count ||
	    response->agencies[agency->number]->bets != agency->stored)
		sim_violation(sim, "the draw has %llu bets, and %llu were stored",
			      response == NULL ? 0 : (unsigned long long)response->bets, (unsigned long long)all);
	if (response != NULL) fts__lottery__v1__status_response__free_unpacked(response, NULL);
}

static void took(struct simulation *sim, struct sim_agency *agency, struct fts_bytes payload)
{
	switch (agency->stage) {
	case OPENS:
		agency->stage = STORES;
		break;
	case STORES:
		agency->stored += agency->storing;
		if (agency->stored >= agency->wanted) agency->stage = CLOSES;
		break;
	case CLOSES:
		agency->stage = ASKS;
		break;
	case ASKS:
		check_winners(sim, agency, payload);
		agency->stage = COUNTS;
		break;
	default:
		check_count(sim, agency, payload);
		agency->stage = IS_DONE;
	}
}

static void answered(struct simulation *sim, struct sim_caller *caller, const struct sim_answer *answer)
{
	struct sim_agency *agency = (struct sim_agency *)(void *)caller;
	if (answer->status == FTS_OK)
		took(sim, agency, answer->payload);
	else
		sim_violation(sim, "agency %u was told %s for its call %llu", agency->number + 1,
			      fts_status_name(answer->status), (unsigned long long)caller->sequence);
	go_on(sim, agency);
}

static void run_turn(struct simulation *sim, struct sim_event *event)
{
	static void (*const calls[])(struct simulation * sim, struct sim_agency * agency) = {open_draw, store,
											     close_agency, ask, count};
	struct sim_agency *agency = &sim->agencies[((struct turn *)(void *)event)->agency];
	free(event);
	calls[agency->stage](sim, agency);
}

static void go_on(struct simulation *sim, struct sim_agency *agency)
{
	struct turn *turn;
	if (agency->stage == IS_DONE) return;
	turn = sim_alloc(sizeof *turn);
	turn->agency = agency->number;
	sim_after(sim, sim_random_below(&sim->random, 8 * sim->profile.think_max_ns), &turn->event, run_turn);
}

void sim_agency_start(struct simulation *sim, uint32_t number)
{
	struct sim_agency *agency = &sim->agencies[number];
	agency->number = number;
	agency->wanted = (uint32_t)sim_random_between(&sim->random, 5, 60);
	sim_caller_init(sim, &agency->caller, answered);
	go_on(sim, agency);
}

bool sim_agencies_done(const struct simulation *sim)
{
	for (uint32_t i = 0; i < sim->profile.agency_count; i++)
		if (sim->agencies[i].stage != IS_DONE) return false;
	return true;
}
