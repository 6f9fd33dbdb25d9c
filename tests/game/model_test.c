/* Why this file exists: matches under random commands, right and wrong, with leaders that come and go, against a model
 * that keeps nothing but lists of moves; and the same log on a second node, which must end in the same bytes.
 *
 * A failing seed is printed; GAME_MODEL_SEED=N runs it alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "game/match.h"
#include "world.h"

enum { MATCHES = 12, STEPS = 4000, SEEDS = 20, EVENT_MAX = 700 };

struct modelled {
	const struct ftsi_game_rules *rules;
	struct player players[2];
	struct ftsi_position position;
	bool over;
	uint32_t asked; /* for a rematch */
	int64_t left_ms[2];
	int64_t used_ms; /* of who is to move, while somebody led */
	uint32_t increment_ms;
	bool clocked;
	uint64_t events; /* published */
	char kinds[EVENT_MAX];
};

struct run {
	struct world *world, *twin;
	unsigned seed;
	bool is_new; /* the leader has not said that it leads */
	struct modelled matches[MATCHES];
};

static uint32_t below(struct run *run, uint32_t limit)
{
	return (uint32_t)rand_r(&run->seed) % limit;
}

static struct modelled *find(struct run *run, const char *match)
{
	for (int i = 0; i < MATCHES; i++)
		if (strcmp(run->matches[i].players[0].match, match) == 0) return &run->matches[i];
	return NULL;
}

/* Count what was published since. */
static void see_events(struct run *run)
{
	for (size_t i = 0; i < run->world->event_count; i++) {
		const Fts__Game__V1__MatchEvent *event = run->world->events[i];
		struct modelled *match = find(run, event->match);
		if (match == NULL) continue; /* a rematch */
		assert_int_equal(event->number, match->events + 1);
		assert_true(match->events < EVENT_MAX);
		match->kinds[match->events++] = (char)event->kind_case;
		if (event->kind_case == FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER) {
			assert_true(match->clocked && !match->over);
			assert_int_equal(event->time_over->seat, match->position.turn);
			assert_true(match->used_ms >= match->left_ms[match->position.turn]);
			match->over = true;
		}
	}
	world_forget_events(run->world);
	world_forget_events(run->twin);
}

/* ---- The same on both nodes ---- */

static void follow(struct run *run)
{
	run->twin->index = run->world->index;
	run->twin->lead_index = run->world->lead_index;
	run->twin->time_ms = run->world->time_ms;
	run->twin->entropy = run->world->entropy;
}

static void begin_match(struct run *run, struct modelled *match)
{
	static const uint32_t clocks_ms[] = {0, 20000, 90000};
	struct player twins[2];
	uint32_t initial_ms = clocks_ms[below(run, 3)];
	memset(match, 0, sizeof *match);
	match->rules = ftsi_game_rules_at(below(run, FTSI_GAME_RULES_COUNT));
	match->clocked = initial_ms > 0;
	match->increment_ms = match->clocked ? below(run, 3) * 1000 : 0;
	match->left_ms[0] = match->left_ms[1] = initial_ms;
	match->rules->init(&match->position);
	follow(run);
	world_pair(run->world, match->rules->name, initial_ms, match->increment_ms, match->players);
	world_pair(run->twin, match->rules->name, initial_ms, match->increment_ms, twins);
	assert_string_equal(twins[1].token, match->players[1].token);
	see_events(run);
}

/* ---- Moves ---- */

static enum fts_status expected(const struct modelled *match, const struct player *player, const char *text,
				uint32_t ply, bool foreign)
{
	ftsi_move move;
	if (foreign) return FTS_PERMISSION_DENIED;
	if (match->over) return FTS_FAILED_PRECONDITION;
	if (match->clocked && match->used_ms >= match->left_ms[match->position.turn]) return FTS_FAILED_PRECONDITION;
	if (ply != 0 && ply != match->position.ply + 1u) return FTS_ABORTED;
	if (player->seat != match->position.turn) return FTS_FAILED_PRECONDITION;
	if (!match->rules->parse(text, &move)) return FTS_INVALID_ARGUMENT;
	return match->rules->check(&match->position, move) != NULL ? FTS_FAILED_PRECONDITION : FTS_OK;
}

static void made(struct modelled *match, const char *text)
{
	ftsi_move move = 0;
	uint8_t seat = match->position.turn;
	assert_true(match->rules->parse(text, &move));
	match->rules->apply(&match->position, move);
	match->over = match->position.outcome != FTSI_GAME_ONGOING;
	match->left_ms[seat] += match->increment_ms - match->used_ms;
	match->used_ms = 0;
}

static void choose_move(struct run *run, const struct modelled *match, char *out_text)
{
	static const char *const nonsense[] = {"", "99", "pass", "a1", "1,1", "h8"};
	ftsi_move moves[FTSI_GAME_MOVE_MAX];
	uint32_t count = match->rules->legal(&match->position, moves);
	if (count == 0 || below(run, 6) == 0)
		(void)snprintf(out_text, 8, "%s", nonsense[below(run, 6)]);
	else
		match->rules->print(moves[below(run, count)], out_text);
}

static void try_move(struct run *run, struct modelled *match)
{
	uint32_t seat = below(run, 8) == 0 ? match->position.turn ^ 1u : match->position.turn;
	struct player player = match->players[seat];
	uint32_t ply = below(run, 2) == 0 ? 0 : match->position.ply + (below(run, 8) == 0 ? below(run, 3) : 1);
	bool foreign = below(run, 20) == 0;
	char text[8];
	choose_move(run, match, text);
	if (foreign) player.token[3] = player.token[3] == 'a' ? 'b' : 'a';
	enum fts_status wanted = expected(match, &player, text, ply, foreign);
	follow(run);
	enum fts_status status = world_try_move(run->world, &player, text, ply, NULL);
	assert_int_equal(world_try_move(run->twin, &player, text, ply, NULL), status);
	if (status != wanted)
		fail_msg("%s by seat %u at ply %u: %s (%s), wanted %s", text, seat, ply, fts_status_name(status),
			 run->world->detail, fts_status_name(wanted));
	if (status == FTS_OK) made(match, text);
	see_events(run);
	if (status == FTS_OK) assert_int_equal(match->kinds[match->events - 1], FTS__GAME__V1__MATCH_EVENT__KIND_MOVED);
}

/* ---- The rest ---- */

static void try_resign(struct run *run, struct modelled *match)
{
	const struct player *player = &match->players[below(run, 2)];
	bool late = match->clocked && match->used_ms >= match->left_ms[match->position.turn];
	follow(run);
	enum fts_status status = world_try_resign(run->world, player);
	assert_int_equal(world_try_resign(run->twin, player), status);
	assert_int_equal(status, match->over || late ? FTS_FAILED_PRECONDITION : FTS_OK);
	match->over |= status == FTS_OK;
	see_events(run);
}

static void try_rematch(struct run *run, struct modelled *match)
{
	uint32_t seat = below(run, 2);
	char next[16] = "", twin[16] = "";
	follow(run);
	enum fts_status status = world_try_rematch(run->world, &match->players[seat], next);
	assert_int_equal(world_try_rematch(run->twin, &match->players[seat], twin), status);
	assert_int_equal(status, match->over ? FTS_OK : FTS_FAILED_PRECONDITION);
	assert_string_equal(next, twin);
	if (status == FTS_OK) match->asked |= 1u << seat;
	assert_int_equal(next[0] != '\0', match->asked == 3);
	see_events(run);
}

static void propose(struct run *run, bool leader)
{
	follow(run);
	world_turn(run->world, leader);
	memcpy(run->twin->proposals, run->world->proposals, sizeof run->twin->proposals);
	run->twin->proposal_count = run->world->proposal_count;
	(void)world_apply_proposals(run->world);
	(void)world_apply_proposals(run->twin);
	see_events(run);
}

/* Time passes under a leader that says so every half second, and at once when it is new. */
static void pass(struct run *run, int64_t span_ms)
{
	if (run->is_new) propose(run, true);
	run->is_new = false;
	for (; span_ms > 0; span_ms -= 500) {
		int64_t step_ms = span_ms < 500 ? span_ms : 500;
		run->world->time_ms += step_ms;
		for (int i = 0; i < MATCHES; i++)
			if (!run->matches[i].over) run->matches[i].used_ms += step_ms;
		propose(run, true);
	}
}

/* The last thing the old leader says is that it is there, so that the model need not guess what it had seen. */
static void change_leader(struct run *run)
{
	pass(run, 500);
	pass(run, 500);
	propose(run, false);
	run->world->lead_index++;
	run->world->time_ms += below(run, 30000);
	run->is_new = true; /* other commands may come before it says so */
}

/* ---- What must hold in the end ---- */

static uint64_t record_hash(const Fts__Game__V1__RecordResponse *record, const struct ftsi_game_rules *rules)
{
	const char *const names[2] = {record->players[0], record->players[1]};
	struct ftsi_position position;
	uint64_t hash = ftsi_match_hash_start(rules);
	rules->init(&position);
	for (size_t i = 0; i < record->n_moves; i++) {
		ftsi_move move = 0;
		assert_true(rules->parse(record->moves[i]->move, &move));
		assert_null(rules->check(&position, move));
		assert_int_equal(record->moves[i]->seat, position.turn);
		rules->apply(&position, move);
		hash = ftsi_match_hash_move(hash, (uint32_t)i + 1, record->moves[i]->seat, move);
	}
	return ftsi_match_hash_end(hash, names);
}

static void check_match(struct run *run, const struct modelled *match)
{
	char board[FTSI_GAME_BOARD_MAX];
	const Fts__Game__V1__ShowResponse *show = world_show(run->world, match->players[0].match);
	uint64_t hash = show->hash, from = 1 + below(run, (uint32_t)match->events);
	match->rules->show(&match->position, board);
	assert_string_equal(show->board, board);
	assert_int_equal(show->ply, match->position.ply);
	assert_int_equal(show->state == FTS__GAME__V1__STATE__OVER, match->over);
	assert_int_equal(show->events, match->events);
	for (uint32_t seat = 0; seat < 2 && match->clocked && !match->over; seat++)
		assert_int_equal(show->seats[seat]->left_ms, match->left_ms[seat]);
	const Fts__Game__V1__RecordResponse *record = world_record(run->world, match->players[0].match);
	assert_int_equal(record->n_moves, match->position.ply);
	assert_true(record->hash == hash && record_hash(record, match->rules) == hash);
	while (from <= match->events) { /* every missed event, once */
		const Fts__Game__V1__WatchResponse *watched = world_watch(run->world, match->players[0].match, from);
		for (size_t i = 0; i < watched->n_events; i++, from++) {
			assert_int_equal(watched->events[i]->number, from);
			assert_int_equal(watched->events[i]->kind_case, match->kinds[from - 1]);
		}
		assert_int_equal(watched->next, from);
	}
}

static void step(struct run *run)
{
	struct modelled *match = &run->matches[below(run, MATCHES)];
	uint32_t what = below(run, 100);
	if (match->asked == 3) {
		check_match(run, match);
		begin_match(run, match);
	}
	if (what < 75)
		try_move(run, match);
	else if (what < 77)
		try_resign(run, match);
	else if (what < 83)
		try_rematch(run, match);
	else if (what < 95)
		pass(run, below(run, 4000));
	else
		change_leader(run);
}

static void run_seed(unsigned seed)
{
	static struct world worlds[2];
	static struct run run;
	memset(&run, 0, sizeof run);
	run.world = &worlds[0];
	run.twin = &worlds[1];
	run.seed = seed;
	print_message("seed %u\n", seed);
	world_open(run.world);
	world_open(run.twin);
	propose(&run, true);
	for (int i = 0; i < MATCHES; i++)
		begin_match(&run, &run.matches[i]);
	for (int i = 0; i < STEPS; i++)
		step(&run);
	for (int i = 0; i < MATCHES; i++)
		check_match(&run, &run.matches[i]);
	assert_true(world_hash(run.world) == world_hash(run.twin));
	world_close(run.world);
	world_close(run.twin);
}

static void random_commands(void **state)
{
	const char *one = getenv("GAME_MODEL_SEED");
	(void)state;
	if (one != NULL) {
		run_seed((unsigned)strtoul(one, NULL, 10));
		return;
	}
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_commands)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
