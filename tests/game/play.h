/* Why this file exists: matches over real channels: what a player's program does, for tests with real nodes.
 *
 * Everything fails the test that is not answered OK, unless told otherwise. Strings are borrowed for the call.
 * Thread: any, but cmocka's failures end the process from others than the main one. */
#ifndef FTS_TESTS_GAME_PLAY_H
#define FTS_TESTS_GAME_PLAY_H

#include <fts/game/v1/game.fts.h>

#include "game/rules.h"

enum { PLAY_TIMEOUT_MS = 10000 };

struct play_match {
	char name[16];
	char tokens[2][32];
	const struct ftsi_game_rules *rules;
};

struct fts_channel *play_channel(const char *endpoints);
void play_begin(struct fts_channel *channel, const char *rules, uint32_t initial_ms, struct play_match *out_match);
/* Status as it came; out_error may be NULL. */
enum fts_status play_move(struct fts_channel *channel, const struct play_match *match, uint32_t seat, const char *move,
			  uint32_t ply, struct fts_error *out_error);
/* All returned: free with the message's own function. */
Fts__Game__V1__ShowResponse *play_show(struct fts_channel *channel, const struct play_match *match);
Fts__Game__V1__RecordResponse *play_record(struct fts_channel *channel, const struct play_match *match);
/* With wait: NULL when nothing came in time. */
Fts__Game__V1__WatchResponse *play_watch(struct fts_channel *channel, const struct play_match *match, uint64_t from,
					 bool wait, uint32_t timeout_ms);

/* A game against oneself: the position, and a random move of who is to move. False: it is over. */
bool play_choose(const struct play_match *match, const struct ftsi_position *position, unsigned *seed, char *out_move);
void play_apply(const struct play_match *match, struct ftsi_position *position, const char *move);

#endif
