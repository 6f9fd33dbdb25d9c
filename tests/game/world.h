/* Why this file exists: the games' machines without a log: commands are applied to a store in a directory of their own,
 * at a time, index and leadership the test chooses, and what they publish and propose is kept to be looked at.
 *
 * Invariants: as with the replica, a command that is not answered OK leaves nothing behind; every command that is OK
 * has numbered its events without gaps (checked in world_apply). One thread. */
#ifndef FTS_TESTS_GAME_WORLD_H
#define FTS_TESTS_GAME_WORLD_H

#include <fts/game/v1/game.fts.h>

#include "game/service.h"
#include "tests/harness/directory.h"

enum { WORLD_EVENT_MAX = 512, WORLD_PROPOSAL_MAX = 64 };

struct world {
	char data[HARNESS_PATH_MAX];
	struct fts_store *store;
	struct fts_txn *txn; /* the batch being built; NULL: none */
	struct fts_games *games;
	struct fts_arena_pool *pool;
	struct fts_arena *arena; /* of the last command or read: its response lives there */
	uint64_t index, lead_index;
	int64_t time_ms;
	uint64_t entropy;            /* of the next command that needs some */
	char detail[FTS_DETAIL_MAX]; /* of the last refusal */
	bool waits;                  /* the last read wants to wait */

	/* The newest WORLD_EVENT_MAX, oldest first. */
	Fts__Game__V1__MatchEvent *events[WORLD_EVENT_MAX]; /* owned */
	size_t event_count;
	const struct fts_method *proposals[WORLD_PROPOSAL_MAX]; /* Tick and Resume: they carry nothing */
	size_t proposal_count;
};

/* A world with an empty store, its time 2026-11-21, led from index 1. */
void world_open(struct world *world);
void world_close(struct world *world);

/* Apply one command as it stands (not prepared). *out_response (may be NULL): in the arena, until the next command. */
enum fts_status world_apply(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			    void *out_response);
/* What the serving node makes of a caller's request. In the arena. */
struct fts_bytes world_prepare(struct world *world, const struct fts_method *method, const ProtobufCMessage *request);
/* Read from what is applied: it is written first. */
enum fts_status world_read(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			   void *out_response);
/* One on_turn on what is written. */
void world_turn(struct world *world, bool leader);
/* Apply what was proposed, in order, and forget it. Returns how many there were. */
size_t world_apply_proposals(struct world *world);
/* A turn of the leader and what it proposed. */
void world_tick(struct world *world);
void world_forget_events(struct world *world);
/* A hash over all that the store holds of the games. */
uint64_t world_hash(struct world *world);

/* ---- Shorter; all fail the test unless told otherwise ---- */

struct player {
	char match[16];
	char token[32];
	uint32_t seat;
};

/* initial_ms 0: no clock. out_match: 16 bytes. */
void world_create(struct world *world, const char *rules, uint32_t initial_ms, uint32_t increment_ms, char *out_match);
/* With entropy_bytes (at most 64) of the same entropy each time. */
enum fts_status world_try_create(struct world *world, const char *rules, const char *label, uint32_t initial_ms,
				 uint32_t increment_ms, size_t entropy_bytes);
/* seat: -1: any. */
enum fts_status world_try_join(struct world *world, const char *match, const char *name, int seat,
			       struct player *out_player);
/* A match with both players in it. */
void world_pair(struct world *world, const char *rules, uint32_t initial_ms, uint32_t increment_ms,
		struct player out_players[2]);
enum fts_status world_try_move(struct world *world, const struct player *player, const char *move, uint32_t ply,
			       const Fts__Game__V1__MoveResponse **out_response);
/* out_response may be NULL. */
void world_move(struct world *world, const struct player *player, const char *move);
enum fts_status world_try_resign(struct world *world, const struct player *player);
enum fts_status world_try_rematch(struct world *world, const struct player *player, char *out_match);
const Fts__Game__V1__ShowResponse *world_show(struct world *world, const char *match);
const Fts__Game__V1__RecordResponse *world_record(struct world *world, const char *match);
const Fts__Game__V1__WatchResponse *world_watch(struct world *world, const char *match, uint64_t from);

#endif
