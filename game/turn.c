/* Why this file exists: what a leader does of itself: say that it leads now, and that time goes on.
 *
 * Invariants: everything proposed here may be proposed twice, late, or by two nodes. While no clock runs and nothing is
 * idle, nothing is proposed. */
#include <fts/game/v1/game.fts.h>

#include "base/log.h"
#include "game/service_internal.h"

enum {
	TICK_MS = 400,   /* turns come every 500 ms: one Tick each */
	TELL_MS = 20,    /* while matches are still to be told of a pause */
	LOOK_MS = 60000, /* at those that were left alone */
	AGAIN_MS = 1000, /* there are more of them */
};

static void propose(struct fts_games *game, const struct fts_method *method, const ProtobufCMessage *command)
{
	pthread_mutex_lock(&game->lock);
	/* Refused: it leads no more, or is busy. The next turn sees to it. */
	if (game->replica != NULL) (void)!fts_replica_propose(game->replica, method, command, NULL, NULL);
	pthread_mutex_unlock(&game->lock);
}

static void propose_tick(struct fts_games *game)
{
	const Fts__Game__V1__TickRequest tick = FTS__GAME__V1__TICK_REQUEST__INIT;
	propose(game, fts_game_clock_tick_method, &tick.base);
}

/* Whether a match may have been left alone for too long. */
static bool some_are_idle(struct fts_txn *view, const struct ftsi_game *state, int64_t now_ms)
{
	struct ftsi_due due, from = {state->idle_from_ms, 0};
	uint32_t count = 0;
	enum fts_status status = ftsi_due_list_read(view, FTSI_DUE_IDLE, from, now_ms, 1, &due, &count);
	if (status != FTS_OK) FTS_LOG_ERROR("game.turn_failed", "status=%s", fts_status_name(status));
	return status == FTS_OK && count > 0;
}

static void keep_time(struct fts_games *game, const struct ftsi_game *state, bool is_new, int64_t now_ms)
{
	const Fts__Game__V1__ResumeRequest resume = FTS__GAME__V1__RESUME_REQUEST__INIT;
	if (state->clock_count == 0) return;
	if (is_new) {
		propose(game, fts_game_clock_resume_method, &resume.base);
	} else if (now_ms >= game->tick_at_ms || game->tick_at_ms > now_ms + TICK_MS) { /* the clock was set back */
		propose_tick(game);
		game->tick_at_ms = now_ms + (state->telling ? TELL_MS : TICK_MS);
	}
}

void ftsi_game_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms)
{
	struct fts_games *game = ctx;
	bool is_new = leader && !game->led;
	struct ftsi_game state;
	game->led = leader;
	if (!leader) return;
	if (ftsi_game_load(view, &state) != FTS_OK) return; /* the next command halts this replica and says so */
	keep_time(game, &state, is_new, now_ms);
	if (now_ms < game->look_at_ms && game->look_at_ms <= now_ms + LOOK_MS) return;
	game->look_at_ms = now_ms + LOOK_MS;
	if (!some_are_idle(view, &state, now_ms)) return;
	propose_tick(game);
	game->look_at_ms = now_ms + AGAIN_MS;
}
