/* Why this file exists: see simulation.h. Clients of the counters: whatever they are told is checked at once. */
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

enum { GIVE_UP_PERMILLE = 30 };

struct turn {
	struct sim_event event; /* first */
	uint32_t client;
};

static void think(struct simulation *sim, struct sim_client *client);

/* AddResponse and LookResponse are the same on the wire. */
static uint64_t value_of(struct fts_bytes payload)
{
	uint64_t value;
	Fts__Test__Tally__V1__AddResponse *response =
	    fts__test__tally__v1__add_response__unpack(NULL, payload.size_bytes, payload.data);
	if (response == NULL) abort();
	value = response->value;
	fts__test__tally__v1__add_response__free_unpacked(response, NULL);
	return value;
}

static void answered(struct simulation *sim, struct sim_caller *caller, const struct sim_answer *answer)
{
	struct sim_client *client = (struct sim_client *)(void *)caller;
	if (answer == NULL)
		client->abandoned_count++;
	else if (answer->status == FTS_OK && caller->method->mutates)
		sim_check_answer(client, sim, FTS_OK, answer->index, value_of(answer->payload));
	else if (answer->status == FTS_OK)
		sim_check_read(client, sim, answer->node, value_of(answer->payload));
	else if (answer->status == FTS_FAILED_PRECONDITION && client->conditional)
		sim_check_answer(client, sim, answer->status, answer->index, 0);
	else
		sim_violation(sim, "client %u was told %s for its call %llu", caller->number,
			      fts_status_name(answer->status), (unsigned long long)caller->sequence);
	think(sim, client);
}

static void add(struct simulation *sim, struct sim_client *client)
{
	static uint8_t ballast[SIM_BALLAST_MAX];
	Fts__Test__Tally__V1__AddRequest request = FTS__TEST__TALLY__V1__ADD_REQUEST__INIT;
	client->operation = ++sim->operation_count;
	client->conditional = sim_random_chance(&sim->random, 200);
	request.key = client->key;
	request.operation = client->operation;
	request.delta = sim_random_between(&sim->random, 1, 3);
	request.conditional = client->conditional;
	request.only_at = client->last_known[client->key];
	request.ballast.data = ballast;
	request.ballast.len = sim_random_below(&sim->random, sim->profile.ballast_max_bytes + 1);
	sim_call(sim, &client->caller, test_tally_add_method, &request.base);
}

static void run_turn(struct simulation *sim, struct sim_event *event)
{
	struct sim_client *client = &sim->clients[((struct turn *)(void *)event)->client];
	bool hasty = sim_random_chance(&sim->random, GIVE_UP_PERMILLE);
	uint64_t roll = sim_random_below(&sim->random, 10);
	Fts__Test__Tally__V1__LookRequest look = FTS__TEST__TALLY__V1__LOOK_REQUEST__INIT;
	free(event);
	if (sim->ended) return;
	client->key = (uint32_t)sim_random_below(&sim->random, SIM_KEY_COUNT);
	client->caller.give_up_ns = hasty ? sim->now_ns : SIM_NEVER;
	client->floor = sim->told[client->key];
	client->floor_index = sim->acknowledged_index;
	look.key = client->key;
	if (roll < 6)
		add(sim, client);
	else
		sim_call(sim, &client->caller, roll < 8 ? test_tally_look_method : test_tally_glance_method,
			 &look.base);
}

static void think(struct simulation *sim, struct sim_client *client)
{
	struct turn *turn = sim_alloc(sizeof *turn);
	turn->client = (uint32_t)(client - sim->clients);
	sim_after(sim, sim_random_below(&sim->random, sim->profile.think_max_ns), &turn->event, run_turn);
}

void sim_client_start(struct simulation *sim, uint32_t number)
{
	sim_caller_init(sim, &sim->clients[number].caller, answered);
	think(sim, &sim->clients[number]);
}
