/* Why this file exists: what a leader proposes of itself: time has gone on (Tick), and somebody new leads (Resume).
 * Both may be proposed twice, late or in vain.
 *
 * Invariant: a command does a bounded part of what is to be done; the next Tick does the next. */
#include <fts/game/v1/game.fts.h>

#include "base/assert.h"
#include "game/service_internal.h"

enum { EXPIRE_COUNT_MAX = 64, TELL_COUNT_MAX = 256, IDLE_COUNT_MAX = 16 };

_Static_assert((int)TELL_COUNT_MAX <= (int)FTSI_GAME_DUE_COUNT_MAX, "one look");

static enum fts_status load(struct ftsi_game_change *change, uint64_t id)
{
	enum fts_status status = ftsi_match_load(change->apply->txn, id, &change->match);
	if (status == FTS_NOT_FOUND) status = FTS_DATA_LOSS; /* lists hold what there is */
	return status == FTS_OK ? FTS_OK : ftsi_change_broken(change, status, "a match");
}

/* ---- Pauses ---- */

/* Matches that have moved since are told already, and stand further down or were told by their own move. */
static enum fts_status tell_pauses(struct ftsi_game_change *change)
{
	struct ftsi_game *game = &change->game;
	struct ftsi_due due[TELL_COUNT_MAX], from = {game->tell_due_ms, game->tell_id};
	uint32_t count = 0;
	enum fts_status status;
	if (!game->telling) return FTS_OK;
	if (from.due_ms < game->clock_from_ms) from = (struct ftsi_due){game->clock_from_ms, 0};
	status = ftsi_due_list_read(change->apply->txn, FTSI_DUE_CLOCK, from, INT64_MAX, TELL_COUNT_MAX, due, &count);
	if (status != FTS_OK) return ftsi_change_broken(change, status, "the list of clocks");
	for (uint32_t i = 0; i < count; i++) {
		struct ftsi_match_step step = ftsi_change_step(change);
		if ((status = load(change, due[i].id)) != FTS_OK) return status;
		ftsi_match_tell_pause(&change->match, &step);
		if ((status = ftsi_change_keep(change, &change->match, &step)) != FTS_OK) return status;
	}
	game->telling = count == TELL_COUNT_MAX;
	if (game->telling) {
		game->tell_due_ms = due[count - 1].due_ms;
		game->tell_id = due[count - 1].id + 1;
	}
	change->game_changed = true;
	return FTS_OK;
}

/* ---- Clocks that have run out ---- */

static enum fts_status move_entry(struct ftsi_game_change *change, enum ftsi_due_list list, struct ftsi_due from,
				  int64_t to_ms)
{
	struct fts_txn *txn = change->apply->txn;
	enum fts_status status = ftsi_due_remove(txn, list, from);
	if (status == FTS_OK) status = ftsi_due_add(txn, list, (struct ftsi_due){to_ms, from.id});
	if (status == FTS_OK) status = ftsi_match_save(txn, &change->match);
	return status == FTS_OK ? FTS_OK : ftsi_change_broken(change, status, "a match");
}

static enum fts_status look_at_clock(struct ftsi_game_change *change, struct ftsi_due due, uint32_t *lost_count)
{
	struct ftsi_match_step step = ftsi_change_step(change);
	enum fts_status status = load(change, due.id);
	if (status != FTS_OK) return status;
	FTS_ASSERT(ftsi_match_clock_runs(&change->match) && change->match.clock_due_ms == due.due_ms);
	int64_t end_ms = ftsi_match_clock_end_ms(&change->match);
	if (end_ms > ftsi_match_game_ms(&step)) {
		change->match.clock_due_ms = end_ms;
		return move_entry(change, FTSI_DUE_CLOCK, due, end_ms);
	}
	(*lost_count)++;
	ftsi_match_tell_pause(&change->match, &step);
	ftsi_match_time_over(&change->match, &step);
	return ftsi_change_keep(change, &change->match, &step);
}

static enum fts_status end_clocks(struct ftsi_game_change *change, uint32_t *lost_count)
{
	struct ftsi_due due[EXPIRE_COUNT_MAX], from = {change->game.clock_from_ms, 0};
	uint32_t count = 0;
	if (change->game.clock_count == 0) return FTS_OK;
	enum fts_status status = ftsi_due_list_read(change->apply->txn, FTSI_DUE_CLOCK, from,
						    ftsi_match_game_ms(&change->step), EXPIRE_COUNT_MAX, due, &count);
	if (status != FTS_OK) return ftsi_change_broken(change, status, "the list of clocks");
	for (uint32_t i = 0; i < count && status == FTS_OK; i++)
		status = look_at_clock(change, due[i], lost_count);
	if (count > 0) {
		change->game.clock_from_ms = due[count - 1].due_ms;
		change->game_changed = true;
	}
	return status;
}

/* ---- Matches that were left alone ---- */

static enum fts_status look_at_idle(struct ftsi_game_change *change, struct ftsi_due due)
{
	enum fts_status status = load(change, due.id);
	if (status != FTS_OK) return status;
	FTS_ASSERT(change->match.idle_due_ms == due.due_ms);
	int64_t end_ms = ftsi_match_idle_end_ms(&change->match);
	if (end_ms <= change->apply->time_ms) return ftsi_change_drop(change, &change->match);
	change->match.idle_due_ms = end_ms;
	return move_entry(change, FTSI_DUE_IDLE, due, end_ms);
}

static enum fts_status forget_idle(struct ftsi_game_change *change)
{
	struct ftsi_due due[IDLE_COUNT_MAX], from = {change->game.idle_from_ms, 0};
	uint32_t count = 0;
	enum fts_status status = ftsi_due_list_read(change->apply->txn, FTSI_DUE_IDLE, from, change->apply->time_ms,
						    IDLE_COUNT_MAX, due, &count);
	if (status != FTS_OK) return ftsi_change_broken(change, status, "the list of idle matches");
	for (uint32_t i = 0; i < count && status == FTS_OK; i++)
		status = look_at_idle(change, due[i]);
	if (count > 0) {
		change->game.idle_from_ms = due[count - 1].due_ms;
		change->game_changed = true;
	}
	return status;
}

/* ---- The commands ---- */

enum fts_status ftsi_game_apply_tick(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
				     void *ctx)
{
	Fts__Game__V1__TickResponse *response = (void *)out;
	struct ftsi_game_change change;
	enum fts_status status;
	(void)message, (void)ctx;
	if ((status = ftsi_change_begin(&change, apply)) != FTS_OK ||
	    (status = end_clocks(&change, &response->lost)) != FTS_OK || (status = tell_pauses(&change)) != FTS_OK ||
	    (status = forget_idle(&change)) != FTS_OK)
		return status;
	return ftsi_change_end(&change);
}

enum fts_status ftsi_game_apply_resume(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
				       void *ctx)
{
	struct ftsi_game_change change;
	enum fts_status status;
	(void)message, (void)out, (void)ctx;
	if ((status = ftsi_change_begin(&change, apply)) != FTS_OK || (status = tell_pauses(&change)) != FTS_OK)
		return status;
	return ftsi_change_end(&change);
}
