/* Why this file exists: what all commands share: load the service, advance game time, load a match, and keep what the
 * transition did.
 *
 * Invariants: what this node can't load or store halts it; it is never the answer to a command. The lists of state.h
 * agree with the matches after each command. */
#include "base/assert.h"
#include <fts/game/v1/game.fts.h>

#include "game/message.h"
#include "game/service_internal.h"
#include "game/token.h"

enum {
	TIME_STEP_MS = 100,    /* how exactly the service knows when a leader was last seen */
	NAME_ATTEMPT_MAX = 16, /* of 40 bits each */
};

enum fts_status ftsi_change_broken(struct ftsi_game_change *change, enum fts_status status, const char *what)
{
	return fts_apply_refuse(change->apply, status == FTS_DATA_LOSS ? FTS_DATA_LOSS : FTS_INTERNAL,
				"game: %s can't be read or written (%s)", what, fts_status_name(status));
}

enum fts_status ftsi_change_refuse(struct ftsi_game_change *change, enum fts_status status)
{
	return fts_apply_refuse(change->apply, status, "%s", change->step.error.detail);
}

struct ftsi_match_step ftsi_change_step(const struct ftsi_game_change *change)
{
	return (struct ftsi_match_step){.time_ms = change->apply->time_ms, .pause_ms = change->game.pause_ms};
}

/* ---- Time ---- */

/* Another leadership than that of the last command: since then somebody else, or nobody, has led. What passed between
 * the last sign of the old leader and this command is nobody's time. */
static void advance(struct ftsi_game_change *change)
{
	struct ftsi_game *game = &change->game;
	int64_t time_ms = change->apply->time_ms;
	if (game->clock_count > 0 && game->lead_index != change->apply->lead_index && time_ms > game->time_ms) {
		game->pause_ms += (uint64_t)(time_ms - game->time_ms);
		game->telling = true;
		game->tell_due_ms = 0;
		game->tell_id = 0;
	}
	if (game->clock_count > 0 && game->lead_index == change->apply->lead_index &&
	    time_ms - game->time_ms < TIME_STEP_MS)
		return;
	game->time_ms = time_ms;
	game->lead_index = change->apply->lead_index;
	change->game_changed = game->clock_count > 0; /* otherwise nobody asks */
}

enum fts_status ftsi_change_begin(struct ftsi_game_change *change, struct fts_apply *apply)
{
	enum fts_status status;
	change->apply = apply;
	change->game_changed = false;
	if ((status = ftsi_game_load(apply->txn, &change->game)) != FTS_OK)
		return ftsi_change_broken(change, status, "the state of the games");
	advance(change);
	change->step = ftsi_change_step(change);
	return FTS_OK;
}

enum fts_status ftsi_change_end(struct ftsi_game_change *change)
{
	enum fts_status status = FTS_OK;
	if (change->game_changed) status = ftsi_game_save(change->apply->txn, &change->game);
	return status == FTS_OK ? FTS_OK : ftsi_change_broken(change, status, "the state of the games");
}

/* ---- Finding ---- */

enum fts_status ftsi_change_find(struct ftsi_game_change *change, const char *name)
{
	struct ftsi_match_name taken;
	enum fts_status status = FTS_NOT_FOUND;
	if (ftsi_game_name_take(name, &taken)) status = ftsi_match_find(change->apply->txn, &taken, &change->match);
	if (status == FTS_NOT_FOUND)
		return fts_apply_refuse(change->apply, status, "no-such-match: there is no match of this name");
	return status == FTS_OK ? FTS_OK : ftsi_change_broken(change, status, "a match");
}

enum fts_status ftsi_change_seat(struct ftsi_game_change *change, const char *token, uint32_t *out_seat)
{
	uint8_t hash[FTSI_MATCH_TOKEN_HASH_BYTES];
	int32_t seat;
	ftsi_game_token_hash(token, hash);
	seat = ftsi_match_seat_of(&change->match, hash);
	if (seat < 0)
		return fts_apply_refuse(change->apply, FTS_PERMISSION_DENIED,
					"foreign-token: the token opens no seat of match %s", change->match.name.text);
	*out_seat = (uint32_t)seat;
	return FTS_OK;
}

enum fts_status ftsi_change_name(struct ftsi_game_change *change, ProtobufCBinaryData entropy,
				 struct ftsi_match_name *out_name)
{
	uint64_t id;
	if (entropy.len != FTSI_GAME_ENTROPY_BYTES)
		return fts_apply_refuse(change->apply, FTS_INVALID_ARGUMENT, "entropy: is put in by the serving node");
	for (uint32_t attempt = 0; attempt < NAME_ATTEMPT_MAX; attempt++) {
		ftsi_game_name_make(entropy.data, attempt, out_name);
		enum fts_status status = ftsi_match_id(change->apply->txn, out_name, &id);
		if (status == FTS_NOT_FOUND) return FTS_OK;
		if (status != FTS_OK) return ftsi_change_broken(change, status, "a match");
	}
	return fts_apply_refuse(change->apply, FTS_RESOURCE_EXHAUSTED, "name: all that were tried are taken");
}

/* ---- Coming and going ---- */

static enum fts_status drop_oldest_over(struct ftsi_game_change *change)
{
	struct ftsi_match oldest = {0};
	uint64_t id = 0;
	enum fts_status status = ftsi_over_take(change->apply->txn, change->game.over_first, &id);
	if (status == FTS_OK) status = ftsi_match_load(change->apply->txn, id, &oldest);
	if (status != FTS_OK) return ftsi_change_broken(change, FTS_DATA_LOSS, "the list of matches that are over");
	change->game.over_first++;
	return ftsi_change_drop(change, &oldest);
}

enum fts_status ftsi_change_drop(struct ftsi_game_change *change, const struct ftsi_match *match)
{
	struct fts_txn *txn = change->apply->txn;
	enum fts_status status = ftsi_match_delete(txn, match);
	if (status == FTS_OK && match->idle_due_ms != 0)
		status = ftsi_due_remove(txn, FTSI_DUE_IDLE, (struct ftsi_due){match->idle_due_ms, match->id});
	if (status == FTS_OK && match->clock_due_ms != 0) {
		status = ftsi_due_remove(txn, FTSI_DUE_CLOCK, (struct ftsi_due){match->clock_due_ms, match->id});
		change->game.clock_count--;
	}
	change->game.match_count--;
	change->game_changed = true;
	return status == FTS_OK ? FTS_OK : ftsi_change_broken(change, status, "a match");
}

enum fts_status ftsi_change_admit(struct ftsi_game_change *change, struct ftsi_match *match)
{
	struct ftsi_game *game = &change->game;
	enum fts_status status;
	if (game->match_count >= FTSI_GAME_MATCH_COUNT_MAX) {
		if (game->over_first == game->over_next)
			return fts_apply_refuse(change->apply, FTS_RESOURCE_EXHAUSTED,
						"too-many-matches: %d are not over yet", FTSI_GAME_MATCH_COUNT_MAX);
		if ((status = drop_oldest_over(change)) != FTS_OK) return status;
	}
	match->id = game->next_id++;
	game->match_count++;
	change->game_changed = true;
	status = ftsi_match_name_save(change->apply->txn, match);
	return status == FTS_OK ? FTS_OK : ftsi_change_broken(change, status, "a match");
}

/* ---- Keeping ---- */

static enum fts_status keep_clock(struct ftsi_game_change *change, struct ftsi_match *match)
{
	struct fts_txn *txn = change->apply->txn;
	bool runs = ftsi_match_clock_runs(match), listed = match->clock_due_ms != 0;
	int64_t end_ms = runs ? ftsi_match_clock_end_ms(match) : 0;
	enum fts_status status = FTS_OK;
	if (runs && listed && end_ms >= match->clock_due_ms) return FTS_OK; /* moved when its time has come */
	if (listed) status = ftsi_due_remove(txn, FTSI_DUE_CLOCK, (struct ftsi_due){match->clock_due_ms, match->id});
	if (runs && status == FTS_OK) status = ftsi_due_add(txn, FTSI_DUE_CLOCK, (struct ftsi_due){end_ms, match->id});
	match->clock_due_ms = end_ms;
	if (runs != listed) {
		change->game.clock_count += runs ? 1u : UINT32_MAX;
		change->game_changed = true;
	}
	return status;
}

static enum fts_status keep_place(struct ftsi_game_change *change, struct ftsi_match *match)
{
	struct fts_txn *txn = change->apply->txn;
	bool over = match->state == FTS__GAME__V1__STATE__OVER;
	enum fts_status status;
	if (!over && match->idle_due_ms == 0) {
		match->idle_due_ms = ftsi_match_idle_end_ms(match);
		return ftsi_due_add(txn, FTSI_DUE_IDLE, (struct ftsi_due){match->idle_due_ms, match->id});
	}
	if (!over || match->idle_due_ms == 0) return FTS_OK;
	status = ftsi_due_remove(txn, FTSI_DUE_IDLE, (struct ftsi_due){match->idle_due_ms, match->id});
	match->idle_due_ms = 0;
	change->game_changed = true;
	return status == FTS_OK ? ftsi_over_add(txn, change->game.over_next++, match->id) : status;
}

/* At most one event of a step is a move, and the last of those that need a position. */
static enum fts_status keep_events(struct ftsi_game_change *change, const struct ftsi_match *match,
				   const struct ftsi_match_step *step)
{
	struct ftsi_match_message message;
	enum fts_status status = FTS_OK;
	for (uint32_t i = 0; i < step->event_count && status == FTS_OK; i++) {
		status = ftsi_match_event_save(change->apply->txn, match->id, &step->events[i]);
		if (status != FTS_OK) return ftsi_change_broken(change, status, "an event");
		ftsi_match_message_fill(match, &step->events[i], &match->position, &message);
		status = fts_apply_publish(change->apply, fts_game_v1_match_event_topic.name, &message.event.base);
	}
	if (step->event_count > 0)
		fts_apply_wake(change->apply, match->id); /* who watches this match, and nobody else */
	return status;
}

enum fts_status ftsi_change_keep(struct ftsi_game_change *change, struct ftsi_match *match,
				 const struct ftsi_match_step *step)
{
	enum fts_status status = keep_clock(change, match);
	FTS_ASSERT(match->id != 0);
	if (status == FTS_OK) status = keep_place(change, match);
	if (status == FTS_OK) status = ftsi_match_save(change->apply->txn, match);
	if (status != FTS_OK) return ftsi_change_broken(change, status, "a match");
	return keep_events(change, match, step);
}
