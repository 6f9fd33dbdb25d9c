/* Why this file exists: what happens in a match, each event exactly once and in order, over the death of nodes.
 *
 * How: a short Watch that does not wait asks what has happened and learns who answers; then a Watch that waits is
 * held by the same node until something happens. When the node dies, the connection breaks, and the next short Watch
 * goes to another node, from the event after the last one told. Events carry their number in the match, without gaps:
 * one that was told already is left out, one that is missing ends it all with DATA_LOSS, never in silence.
 *
 * Invariants: callbacks run on the following thread, never under a lock of this file; nothing waits longer than
 * FTSI_FOLLOW_HOLD_MS without looking whether it was told to stop. */
#ifndef FTSI_GAME_FOLLOW_H
#define FTSI_GAME_FOLLOW_H

#include <pthread.h>
#include <stdbool.h>

#include "fts/game/v1/game.fts.h"

#define FTSI_FOLLOW_HOLD_MS 10000u /* longest held Watch */
#define FTSI_FOLLOW_PROBE_MS 2500u /* longest short one: longer than a node without a leader waits for one */

enum ftsi_follow_link {
	FTSI_FOLLOW_UP,         /* a node answers */
	FTSI_FOLLOW_GONE,       /* the node does not answer any more; others are being asked */
	FTSI_FOLLOW_LEADERLESS, /* nodes answer, yet can't confirm what they know: there is no leader for now */
};

struct ftsi_follow_observer {
	void *ctx; /* borrowed while following */
	/* The next event (borrowed). False: enough. */
	bool (*event)(void *ctx, const Fts__Game__V1__MatchEvent *event);
	/* The link has changed, or another node answers. node: who answers (UP, LEADERLESS) or who is gone; may be
	 * empty; borrowed. May be NULL. */
	void (*link)(void *ctx, enum ftsi_follow_link link, const char *node);
	/* All that is known by now was told. May be NULL. False: enough. */
	bool (*caught_up)(void *ctx);
};

/* How a held Watch ended. */
struct ftsi_follow_answer {
	bool is_in;
	enum fts_status status;
	struct fts_error error;
	uint8_t *packed; /* of the response; owned */
	size_t size_bytes;
};

struct ftsi_follow {
	struct fts_channel *channel; /* borrowed; best its own: reads alone leave it at one node while that lives */
	const char *match;           /* borrowed */
	uint64_t next;               /* number of the next event to be told, from 1 */
	uint32_t timeout_ms;         /* until the first answer */
	uint32_t patience_ms;        /* give up after so long without any answer; 0: never */
	bool waits;                  /* false: end with OK once caught up */
	bool stays;                  /* go on after the match is over, for what may follow it */
	struct ftsi_follow_observer observer;

	/* Of the following thread. */
	enum ftsi_follow_link link;
	char node[64]; /* that answered last; "" before the first answer */
	bool is_over;
	uint64_t silent_since_ns; /* 0: somebody answers */

	pthread_mutex_t lock;
	pthread_cond_t changed;           /* on CLOCK_MONOTONIC */
	bool is_stopping;                 /* guarded by lock */
	bool is_held;                     /* guarded by lock: held_id is in flight */
	struct fts_call_id held_id;       /* guarded by lock */
	struct ftsi_follow_answer answer; /* guarded by lock */
};

/* Caller's memory, zeroed but for next = 1 and what belongs to this file; set the rest behind it. */
void ftsi_follow_init(struct ftsi_follow *follow);
void ftsi_follow_fini(struct ftsi_follow *follow);

/* Tell events until the match is over (or enough, or stop). Blocks. Errors: NOT_FOUND (no such match), CANCELLED
 * (stop), UNAVAILABLE (no node at the very start, or for patience_ms), DATA_LOSS, what the server refuses. */
FTS_MUST_USE enum fts_status ftsi_follow_run(struct ftsi_follow *follow, struct fts_error *out_error);

/* Make a running or later run end with CANCELLED. Thread: any. */
void ftsi_follow_stop(struct ftsi_follow *follow);

#endif
