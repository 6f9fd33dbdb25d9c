/* Why this file exists: the lottery's machines without a log: commands are applied to a store in a directory of their
 * own, at a time and index the test chooses, and what they publish and propose is kept to be looked at.
 *
 * Invariant: as with the replica, a command that is not answered OK leaves nothing behind. One thread. */
#ifndef FTS_TESTS_LOTTERY_WORLD_H
#define FTS_TESTS_LOTTERY_WORLD_H

#include <fts/lottery/v1/lottery.fts.h>

#include "lottery/service.h"
#include "tests/harness/directory.h"

enum { WORLD_EVENT_MAX = 64, WORLD_PROPOSAL_MAX = 256 };

struct world_event {
	char topic[32];
	ProtobufCMessage *event; /* owned */
};

struct world_proposal {
	const struct fts_method *method;
	ProtobufCMessage *command; /* owned */
};

struct world {
	char data[HARNESS_PATH_MAX];
	struct fts_store *store;
	struct fts_txn *txn; /* the batch being built; NULL: none */
	struct fts_lottery *lottery;
	struct fts_arena_pool *pool;
	struct fts_arena *arena; /* of the last command or read: its response lives there */
	uint64_t index;
	int64_t time_ms;
	char detail[FTS_DETAIL_MAX]; /* of the last refusal */
	bool waits;                  /* the last read wants to wait */

	/* The newest WORLD_EVENT_MAX, oldest first. */
	struct world_event events[WORLD_EVENT_MAX];
	size_t event_count;
	struct world_proposal proposals[WORLD_PROPOSAL_MAX];
	size_t proposal_count;
};

/* A world with an empty store, its time 2026-11-21. */
void world_open(struct world *world);
void world_close(struct world *world);
/* The service is made anew over the same directory; forget_key: without its lottery.key. */
void world_restart(struct world *world, bool forget_key);

/* Apply one command (prepared first, as a caller's). *out_response: in the arena, until the next command. */
enum fts_status world_apply(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			    void *out_response);
/* Write what was applied. Reads see it afterwards. */
void world_commit(struct world *world);
/* Read from what is committed. */
enum fts_status world_read(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			   void *out_response);
/* One on_turn on what is committed. */
void world_turn(struct world *world, bool leader);
/* Apply what was proposed, in order, and forget it. */
void world_apply_proposals(struct world *world);
void world_forget_events(struct world *world);

/* ---- Shorter ---- */

enum fts_status world_draw_open(struct world *world, const char *draw, uint32_t agencies, int32_t fixed_number);
/* A bet is "first;last;document;birthdate;number". *out_ticket may be NULL. */
enum fts_status world_bet(struct world *world, const char *draw, uint32_t agency, const char *bet,
			  uint64_t *out_ticket);
enum fts_status world_agency_close(struct world *world, const char *draw, uint32_t agency, const char *entropy);
/* Status as committed. */
const Fts__Lottery__V1__StatusResponse *world_status(struct world *world, const char *draw);
/* A bet from its text, owned by the caller (world_bet_free). */
Fts__Lottery__V1__Bet *world_bet_make(const char *text);
void world_bet_free(Fts__Lottery__V1__Bet *bet);

#endif
