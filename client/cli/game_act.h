/* Why this file exists: what a player does, carried through the death of nodes. A move names the ply it is for, so it
 * may be sent again until an answer comes: it is made once or refused. When an answer was lost, the events of the
 * match tell whether the move was made, not the refusal of the second try.
 *
 * Invariants: one act at a time; its end is told once. A move ends well only when the view shows it.
 * Thread: main, but for the answers, which only post. */
#ifndef FTSI_GAME_ACT_H
#define FTSI_GAME_ACT_H

#include <pthread.h>

#include "client/cli/game_token.h"
#include "client/cli/game_view.h"

#define FTSI_ACT_TRY_MS 3000u /* longest try; others follow */

enum ftsi_act_kind { FTSI_ACT_NONE, FTSI_ACT_JOIN, FTSI_ACT_MOVE, FTSI_ACT_RESIGN, FTSI_ACT_REMATCH };

enum ftsi_act_end {
	FTSI_ACT_IDLE,
	FTSI_ACT_GOES_ON,
	FTSI_ACT_DONE,
	FTSI_ACT_REFUSED, /* error says why */
};

/* What came back; filled by the runtime's thread. */
struct ftsi_act_answer {
	bool is_in;
	enum fts_status status;
	struct fts_error error;
	uint32_t seat;                     /* of JOIN */
	char token[FTSI_GAME_TOKEN_BYTES]; /* of JOIN */
};

struct ftsi_act {
	struct fts_channel *channel; /* borrowed */
	void (*notify)(void *ctx);   /* an answer is there; called by the runtime's threads; borrowed, as ctx */
	void *ctx;

	enum ftsi_act_kind kind; /* NONE: idle */
	char match[FTSI_GAME_TEXT_MAX];
	char token[FTSI_GAME_TOKEN_BYTES];
	char text[FTSI_GAME_TEXT_MAX]; /* the move, or the name of who joins */
	uint32_t ply;                  /* of MOVE */
	int32_t seat;                  /* of MOVE; -1: not known */
	uint32_t try_count;
	bool is_sent;        /* a try is in flight */
	bool was_lost;       /* a try had no answer */
	bool is_made;        /* answered well; the view has yet to show it */
	uint64_t again_ns;   /* not before */
	uint64_t refused_ns; /* since when a refusal waits for the view; 0: none */
	struct fts_error error;

	pthread_mutex_t lock;
	struct ftsi_act_answer answer; /* guarded by lock */
};

void ftsi_act_init(struct ftsi_act *act, struct fts_channel *channel, void (*notify)(void *ctx), void *ctx);
/* After the channel was closed, or nothing is in flight. */
void ftsi_act_fini(struct ftsi_act *act);

/* Begin. match, token, text: copied. view: borrowed. False: another one goes on. */
bool ftsi_act_begin(struct ftsi_act *act, enum ftsi_act_kind kind, const struct ftsi_view *view, const char *token,
		    const char *text);

/* Look after it; view: as it is now, borrowed. act->error is set with REFUSED; act->kind stays until the next begin or
 * poll, act->answer has what JOIN brought. */
enum ftsi_act_end ftsi_act_poll(struct ftsi_act *act, const struct ftsi_view *view, uint64_t now_ns);

/* "sending 2,2", "no answer yet about 2,2: trying again". buf: borrowed. Returns buf; "" when idle. */
const char *ftsi_act_text(char *buf, size_t size_bytes, const struct ftsi_act *act);

#endif
