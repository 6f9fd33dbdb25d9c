/* Why this file exists: the tables and keys that more than one file of this folder needs. */
#ifndef FTS_GAME_STATE_KEYS_H
#define FTS_GAME_STATE_KEYS_H

#include "replica/replica.h"
#include "store/key.h"

enum {
	FTSI_GAME_TABLE_SERVICE = FTS_TABLE_GAME,
	FTSI_GAME_TABLE_MATCH,
	FTSI_GAME_TABLE_NAME,
	FTSI_GAME_TABLE_EVENT,
	FTSI_GAME_TABLE_CLOCK,
	FTSI_GAME_TABLE_OVER,
	FTSI_GAME_TABLE_IDLE,
};

static inline void ftsi_game_event_key(struct fts_key *key, uint64_t id, uint64_t number)
{
	fts_key_begin(key, FTSI_GAME_TABLE_EVENT);
	fts_key_u64(key, id);
	fts_key_u64(key, number);
}

#endif
