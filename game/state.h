/* Why this file exists: what the store holds of the games, and how each piece is read and written.
 *
 * | table | key                     | value                                                                  |
 * | +0    |                         | the whole service (struct ftsi_game)                                   |
 * | +1    | all ones - id           | a match (state.c has the layout): newest first                         |
 * | +2    | name                    | id, 8                                                                  |
 * | +3    | id, number from 1       | an event (state_event.c has the layout)                                |
 * | +4    | due, id                 | a running clock: not run out before due, game time                     |
 * | +5    | place from 0            | id, 8, of a match that is over: in the order in which they ended       |
 * | +6    | due, id                 | a match that is not over: not idle for too long before due, log time   |
 *
 * The lists +4 and +6 are lazy: an entry may stand earlier than is true, and is moved when its time has come and shown
 * to be wrong. So a move writes neither. What was taken off their front lies before *_from_ms: scans begin there, and
 * never walk over what was deleted.
 *
 * Invariant: what is read back is what was written; anything else is DATA_LOSS. Thread: the transaction's. */
#ifndef FTS_GAME_STATE_H
#define FTS_GAME_STATE_H

#include "game/match.h"
#include "store/key.h"
#include "store/store.h"

enum {
	FTSI_GAME_MATCH_COUNT_MAX = 50000,
	FTSI_GAME_DUE_COUNT_MAX = 256, /* entries of a list taken at once */
};

/* The whole service. */
struct ftsi_game {
	uint64_t next_id;
	uint32_t match_count;           /* kept, of any state */
	uint32_t clock_count;           /* running */
	uint64_t over_first, over_next; /* places: the first that is kept, the next that is free */
	/* Game time is log time less pause_ms. It stood still from time_ms on whenever a command has another
	 * lead_index. */
	int64_t time_ms;
	uint64_t lead_index;
	uint64_t pause_ms;
	bool telling; /* matches are being told of a pause, from (tell_due_ms, tell_id) on */
	int64_t tell_due_ms;
	uint64_t tell_id;
	int64_t clock_from_ms, idle_from_ms;
};

FTS_MUST_USE enum fts_status ftsi_game_load(struct fts_txn *txn, struct ftsi_game *out_game);
FTS_MUST_USE enum fts_status ftsi_game_save(struct fts_txn *txn, const struct ftsi_game *game);

/* NOT_FOUND: no such match. */
FTS_MUST_USE enum fts_status ftsi_match_id(struct fts_txn *txn, const struct ftsi_match_name *name, uint64_t *out_id);
FTS_MUST_USE enum fts_status ftsi_match_load(struct fts_txn *txn, uint64_t id, struct ftsi_match *out_match);
FTS_MUST_USE enum fts_status ftsi_match_find(struct fts_txn *txn, const struct ftsi_match_name *name,
					     struct ftsi_match *out_match);
FTS_MUST_USE enum fts_status ftsi_match_save(struct fts_txn *txn, const struct ftsi_match *match);
FTS_MUST_USE enum fts_status ftsi_match_name_save(struct fts_txn *txn, const struct ftsi_match *match);
/* The match, its name and its events. */
FTS_MUST_USE enum fts_status ftsi_match_delete(struct fts_txn *txn, const struct ftsi_match *match);
/* Matches older than before_id (0: all), newest first. Returned (fts_cursor_close). */
FTS_MUST_USE enum fts_status ftsi_match_scan(struct fts_txn *txn, uint64_t before_id, struct fts_cursor **out_cursor);
/* False: end, or damaged (*out_damaged). */
bool ftsi_match_next(struct fts_cursor *cursor, struct ftsi_match *out_match, bool *out_damaged);

FTS_MUST_USE enum fts_status ftsi_match_event_save(struct fts_txn *txn, uint64_t id,
						   const struct ftsi_match_event *event);
/* Events from number on, in order. Returned (fts_cursor_close). */
FTS_MUST_USE enum fts_status ftsi_match_event_scan(struct fts_txn *txn, uint64_t id, uint64_t from,
						   struct fts_cursor **out_cursor);
bool ftsi_match_event_next(struct fts_cursor *cursor, struct ftsi_match_event *out_event, bool *out_damaged);

FTS_MUST_USE enum fts_status ftsi_over_add(struct fts_txn *txn, uint64_t place, uint64_t id);
FTS_MUST_USE enum fts_status ftsi_over_take(struct fts_txn *txn, uint64_t place, uint64_t *out_id);

/* The two lists of what is due. */
enum ftsi_due_list { FTSI_DUE_CLOCK = 4, FTSI_DUE_IDLE = 6 };
struct ftsi_due {
	int64_t due_ms;
	uint64_t id;
};
FTS_MUST_USE enum fts_status ftsi_due_add(struct fts_txn *txn, enum ftsi_due_list list, struct ftsi_due due);
FTS_MUST_USE enum fts_status ftsi_due_remove(struct fts_txn *txn, enum ftsi_due_list list, struct ftsi_due due);
/* Up to count_max (FTSI_GAME_DUE_COUNT_MAX at most) entries from `from` on that are due at until_ms, in order. */
FTS_MUST_USE enum fts_status ftsi_due_list_read(struct fts_txn *txn, enum ftsi_due_list list, struct ftsi_due from,
						int64_t until_ms, uint32_t count_max, struct ftsi_due *out_due,
						uint32_t *out_count);

#endif
