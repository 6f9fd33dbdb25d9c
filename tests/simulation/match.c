/* Why this file exists: see simulation.h. Matches under the same faults: both seats of a match are played, by turns,
 * through whatever node answers. Every move is taken exactly once and in its order, any node shows the match as it was
 * last answered, and the record at the end is move by move what was played. */
#include <fts/game/v1/game.fts.h>
#include <stdlib.h>
#include <string.h>

#include "game/service.h"
#include "simulation.h"

enum stage { CREATES, JOINS_FIRST, JOINS_SECOND, SHOWS, MOVES, RESIGNS, RECORDS };
enum { RESIGN_PERMILLE = 20 };

static const char *const games[] = {"tictactoe", "connect4", "reversi"};

struct turn {
	struct sim_event event; /* first */
	uint32_t table;
};

/* ---- The machines of a node ---- */

void sim_game_create(struct sim_node *node)
{
	struct fts_error error = {0};
	const struct fts_machine *const *machines;
	size_t count;
	if (fts_games_create(&node->game, &error) != FTS_OK) abort();
	machines = fts_games_machines(node->game, &count);
	for (size_t i = 0; i < count; i++)
		node->machines[node->machine_count++] = machines[i];
}

void sim_game_attach(struct sim_node *node)
{
	fts_games_attach(node->game, node->replica);
}

void sim_game_destroy(struct sim_node *node)
{
	fts_games_detach(node->game);
	fts_games_destroy(node->game);
	node->game = NULL;
}

/* ---- A table, where one match after another is played ---- */

static void go_on(struct simulation *sim, struct sim_table *table);

static void create_match(struct simulation *sim, struct sim_table *table)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	request.rules = (char *)games[sim_random_below(&sim->random, sizeof games / sizeof games[0])];
	clock.initial_ms = 3600000; /* runs, and never runs out */
	if (sim_random_chance(&sim->random, 500)) request.clock = &clock;
	sim_call(sim, &table->caller, fts_game_create_method, &request.base);
}

static void join(struct simulation *sim, struct sim_table *table)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	request.match = table->match;
	request.seat = table->stage == JOINS_FIRST ? 1 : 2;
	sim_call(sim, &table->caller, fts_game_join_method, &request.base);
}

static void show(struct simulation *sim, struct sim_table *table)
{
	Fts__Game__V1__ShowRequest request = FTS__GAME__V1__SHOW_REQUEST__INIT;
	request.match = table->match;
	sim_call(sim, &table->caller, fts_game_show_method, &request.base);
}

static void move(struct simulation *sim, struct sim_table *table)
{
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	request.match = table->match;
	request.token = table->tokens[table->seat];
	request.move = table->moves[table->ply];
	request.ply = table->ply + 1;
	sim_call(sim, &table->caller, fts_game_move_method, &request.base);
}

static void resign(struct simulation *sim, struct sim_table *table)
{
	Fts__Game__V1__ResignRequest request = FTS__GAME__V1__RESIGN_REQUEST__INIT;
	request.match = table->match;
	request.token = table->tokens[table->seat];
	sim_call(sim, &table->caller, fts_game_resign_method, &request.base);
}

static void record(struct simulation *sim, struct sim_table *table)
{
	Fts__Game__V1__RecordRequest request = FTS__GAME__V1__RECORD_REQUEST__INIT;
	request.match = table->match;
	sim_call(sim, &table->caller, fts_game_record_method, &request.base);
}

/* ---- Answers ---- */

static void *unpack(const struct fts_method *method, struct fts_bytes payload)
{
	void *message = protobuf_c_message_unpack(method->response, NULL, payload.size_bytes, payload.data);
	if (message == NULL) abort();
	return message;
}

static void took_show(struct simulation *sim, struct sim_table *table, const Fts__Game__V1__ShowResponse *show_response)
{
	if (show_response->ply != table->ply || show_response->n_legal == 0 || show_response->turn < 0 ||
	    show_response->turn > 1) {
		sim_violation(sim, "match %s has %u moves where %u were answered", table->match, show_response->ply,
			      table->ply);
		return;
	}
	table->seat = (uint32_t)show_response->turn;
	(void)snprintf(table->moves[table->ply], sizeof table->moves[0], "%s",
		       show_response->legal[sim_random_below(&sim->random, show_response->n_legal)]);
	table->stage = sim_random_chance(&sim->random, RESIGN_PERMILLE) ? RESIGNS : MOVES;
}

static void took_move(struct simulation *sim, struct sim_table *table, const Fts__Game__V1__MoveResponse *response)
{
	table->ply++;
	if (response->ply != table->ply)
		sim_violation(sim, "match %s: move %u was taken as move %u", table->match, table->ply, response->ply);
	table->stage =
	    response->outcome == FTS__GAME__V1__OUTCOME__ONGOING && table->ply < SIM_PLY_MAX ? SHOWS : RESIGNS;
	if (response->outcome != FTS__GAME__V1__OUTCOME__ONGOING) table->stage = RECORDS;
}

static void took_record(struct simulation *sim, struct sim_table *table, const Fts__Game__V1__RecordResponse *response)
{
	bool same = response->n_moves == table->ply && response->outcome != FTS__GAME__V1__OUTCOME__ONGOING;
	for (uint32_t i = 0; same && i < table->ply; i++)
		same = strcmp(response->moves[i]->move, table->moves[i]) == 0;
	if (!same) sim_violation(sim, "match %s has another record than was played", table->match);
	table->played_count++;
	table->ply = 0;
	table->stage = CREATES;
}

static void took(struct simulation *sim, struct sim_table *table, void *message)
{
	switch (table->stage) {
	case CREATES:
		(void)snprintf(table->match, sizeof table->match, "%s",
			       ((Fts__Game__V1__CreateResponse *)message)->match);
		table->stage = JOINS_FIRST;
		break;
	case JOINS_FIRST:
	case JOINS_SECOND:
		(void)snprintf(table->tokens[table->stage - JOINS_FIRST], sizeof table->tokens[0], "%s",
			       ((Fts__Game__V1__JoinResponse *)message)->token);
		table->stage++;
		break;
	case SHOWS:
		took_show(sim, table, message);
		break;
	case MOVES:
		took_move(sim, table, message);
		break;
	case RESIGNS:
		table->stage = RECORDS;
		break;
	default:
		took_record(sim, table, message);
	}
}

static void answered(struct simulation *sim, struct sim_caller *caller, const struct sim_answer *answer)
{
	struct sim_table *table = (struct sim_table *)(void *)caller;
	void *message;
	if (answer->status != FTS_OK) {
		sim_violation(sim, "table %u, match %s, move %u, was told %s", table->number, table->match,
			      table->ply + 1, fts_status_name(answer->status));
		return;
	}
	message = unpack(caller->method, answer->payload);
	took(sim, table, message);
	protobuf_c_message_free_unpacked(message, NULL);
	go_on(sim, table);
}

static void run_turn(struct simulation *sim, struct sim_event *event)
{
	static void (*const calls[])(struct simulation * sim, struct sim_table * table) = {
	    [CREATES] = create_match, [JOINS_FIRST] = join, [JOINS_SECOND] = join, [SHOWS] = show,
	    [MOVES] = move,           [RESIGNS] = resign,   [RECORDS] = record};
	struct sim_table *table = &sim->tables[((struct turn *)(void *)event)->table];
	free(event);
	if (!sim->ended) calls[table->stage](sim, table);
}

static void go_on(struct simulation *sim, struct sim_table *table)
{
	struct turn *turn = sim_alloc(sizeof *turn);
	turn->table = table->number;
	sim_after(sim, sim_random_below(&sim->random, 2 * sim->profile.think_max_ns), &turn->event, run_turn);
}

void sim_table_start(struct simulation *sim, uint32_t number)
{
	struct sim_table *table = &sim->tables[number];
	table->number = number;
	sim_caller_init(sim, &table->caller, answered);
	go_on(sim, table);
}
