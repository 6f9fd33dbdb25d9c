/* Why this file exists: GameTools: questions about rules alone, answered without the log.
 *
 * Invariant: one perft at a time, and never past its call's time limit: whoever asks gets one thread of the server's
 * pool at most. */
#include <fts/game/v1/game.fts.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "game/perft.h"
#include "game/service_internal.h"

#define PERFT_MAX_NS (UINT64_C(60) * 1000000000)
#define ANSWER_NS (UINT64_C(20) * 1000000) /* for the way back */

/* ---- Perft ---- */

static uint64_t deadline_of(const struct fts_call *call)
{
	uint64_t latest_ns = fts_clock_monotonic_ns() + PERFT_MAX_NS, deadline_ns = fts_call_deadline_ns(call);
	deadline_ns = deadline_ns > ANSWER_NS ? deadline_ns - ANSWER_NS : 0;
	return deadline_ns < latest_ns ? deadline_ns : latest_ns;
}

static void count(struct fts_games *game, struct fts_call *call, const struct ftsi_game_rules *rules,
		  const Fts__Game__V1__PerftRequest *request)
{
	Fts__Game__V1__PerftResponse response = FTS__GAME__V1__PERFT_RESPONSE__INIT;
	uint64_t deadline_ns = deadline_of(call);
	enum fts_status status = ftsi_perft_nodes(rules, request->depth, deadline_ns, &response.nodes);
	if (status == FTS_OK && request->positions)
		status = ftsi_perft_positions(rules, request->depth, deadline_ns, &response.positions);
	atomic_flag_clear(&game->counting); /* first: who has the answer may ask for the next at once */
	if (status == FTS_OK)
		fts_call_reply(call, &response.base);
	else if (status == FTS_DEADLINE_EXCEEDED)
		fts_call_fail(call, status, "depth: %u plies of %s take longer than this call may", request->depth,
			      rules->name);
	else
		fts_call_fail(call, status, "depth: there are too many positions to remember, or too little memory");
}

static void perft(struct fts_call *call, const Fts__Game__V1__PerftRequest *request, void *ctx)
{
	struct fts_games *game = ctx;
	const struct ftsi_game_rules *rules = ftsi_game_rules_find(request->rules);
	fts_call_set_executed(call, FTS_EXECUTED_NO); /* it changes nothing */
	if (rules == NULL) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "rules: there is no such game");
		return;
	}
	if (atomic_flag_test_and_set(&game->counting)) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "this node counts for somebody else: ask again later");
		return;
	}
	count(game, call, rules, request);
}

/* ---- Replay ---- */

struct replay {
	const struct ftsi_game_rules *rules;
	struct ftsi_position position;
	uint64_t hash;
	Fts__Game__V1__ReplayResponse response;
	char *boards[FTSI_GAME_PLY_MAX + 1];
};

/* False: no memory. */
static bool add_board(struct fts_call *call, struct replay *replay)
{
	struct ftsi_position seen;
	char *board = fts_call_alloc(call, FTSI_GAME_BOARD_MAX);
	if (board == NULL) return false;
	replay->rules->view(&replay->position, -1, &seen);
	replay->rules->show(&seen, board);
	replay->boards[replay->response.n_boards++] = board;
	return true;
}

static enum fts_status play(struct replay *replay, const Fts__Game__V1__RecordMove *recorded, struct fts_error *error)
{
	const uint32_t ply = replay->position.ply + 1u;
	ftsi_move move = 0;
	const char *rule;
	if (replay->position.outcome != FTSI_GAME_ONGOING)
		return fts_error_set(error, FTS_FAILED_PRECONDITION, "move %u: over: the game has ended", ply);
	if (recorded->seat != replay->position.turn)
		return fts_error_set(error, FTS_FAILED_PRECONDITION, "move %u: wrong-turn: seat %u is to move", ply,
				     replay->position.turn);
	if (!replay->rules->parse(recorded->move, &move))
		return fts_error_set(error, FTS_FAILED_PRECONDITION, "move %u: notation: a move of %s is %s", ply,
				     replay->rules->name, replay->rules->notation);
	if ((rule = replay->rules->check(&replay->position, move)) != NULL)
		return fts_error_set(error, FTS_FAILED_PRECONDITION, "move %u: %s", ply, rule);
	replay->rules->apply(&replay->position, move);
	replay->hash = ftsi_match_hash_move(replay->hash, ply, recorded->seat, move);
	return FTS_OK;
}

/* How it ended: on the board, or as the record says where the board leaves it open. */
static void finish(struct replay *replay, const Fts__Game__V1__RecordResponse *record)
{
	Fts__Game__V1__ReplayResponse *response = &replay->response;
	const char *const names[FTSI_GAME_SEAT_COUNT] = {record->n_players > 0 ? record->players[0] : "",
							 record->n_players > 1 ? record->players[1] : ""};
	response->hash = ftsi_match_hash_end(replay->hash, names);
	response->ply = replay->position.ply;
	response->outcome = (Fts__Game__V1__Outcome)replay->rules->outcome(&replay->position, &response->winner);
	if (response->outcome != FTS__GAME__V1__OUTCOME__ONGOING) {
		response->reason = FTS__GAME__V1__REASON__BOARD;
	} else if (record->reason == FTS__GAME__V1__REASON__RESIGNED || record->reason == FTS__GAME__V1__REASON__TIME) {
		response->outcome = record->outcome;
		response->winner = record->winner;
		response->reason = record->reason;
	}
	response->same = response->hash == record->hash && response->outcome == record->outcome &&
			 response->winner == record->winner && response->reason == record->reason;
	response->boards = replay->boards;
}

static enum fts_status play_all(struct fts_call *call, struct replay *replay,
				const Fts__Game__V1__RecordResponse *record, struct fts_error *error)
{
	enum fts_status status = FTS_OK;
	fts__game__v1__replay_response__init(&replay->response);
	if ((replay->rules = ftsi_game_rules_find(record->rules)) == NULL)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "record.rules: there is no such game");
	if (record->n_players > FTSI_GAME_SEAT_COUNT || record->n_moves > FTSI_GAME_PLY_MAX)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "record: has %d players and %d moves at most",
				     FTSI_GAME_SEAT_COUNT, FTSI_GAME_PLY_MAX);
	replay->rules->init(&replay->position);
	replay->hash = ftsi_match_hash_start(replay->rules);
	for (size_t i = 0; status == FTS_OK; i++) {
		if (!add_board(call, replay))
			return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "the record takes too much memory");
		if (i == record->n_moves) break;
		status = play(replay, record->moves[i], error);
	}
	return status;
}

static void replay_record(struct fts_call *call, const Fts__Game__V1__ReplayRequest *request, void *ctx)
{
	struct replay *replay = fts_call_alloc(call, sizeof *replay);
	struct fts_error error = {0};
	(void)ctx;
	fts_call_set_executed(call, FTS_EXECUTED_NO);
	if (request->record == NULL || replay == NULL) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "record: is missing");
		return;
	}
	memset(replay, 0, sizeof *replay);
	if (play_all(call, replay, request->record, &error) != FTS_OK) {
		fts_call_fail_error(call, &error);
		return;
	}
	finish(replay, request->record);
	fts_call_reply(call, &replay->response.base);
}

enum fts_status ftsi_game_tools_serve(struct fts_games *game, struct fts_server *server, struct fts_error *out_error)
{
	static const struct fts_game_tools_handlers handlers = {.perft = perft, .replay = replay_record};
	return fts_game_tools_register(server, &handlers, game, out_error);
}
