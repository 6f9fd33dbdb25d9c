/* Why this file exists: what the two faces of `game play` share, the board on a terminal and the lines of a pipe: the
 * match as it is known, kept up to date by a thread of its own, and the acts of the one who sits there.
 *
 * Invariants: the view is written by the following thread, under the lock, and copied by the main one; whoever waits
 * is woken through wake_fd; nothing blocks the main thread but its own poll(). */
#ifndef FTSI_GAME_PLAY_H
#define FTSI_GAME_PLAY_H

#include <pthread.h>

#include "client/cli/game_act.h"
#include "client/cli/game_follow.h"
#include "client/cli/game_view.h"

#define FTSI_PLAY_TICK_MS 100 /* clocks and tries are looked at so often */

struct ftsi_play {
	struct ftsi_cli *cli;               /* borrowed */
	char match[FTSI_GAME_TEXT_MAX];     /* guarded by lock; the one being followed */
	char token[FTSI_GAME_TOKEN_BYTES];  /* "" : looks on; written by main alone, under lock */
	bool is_token_kept;                 /* somebody else has the token, too: the user, or a file */
	struct fts_channel *follow_channel; /* its own, so that it stays at one node while that lives */
	struct ftsi_follow follow;
	pthread_t thread;
	bool has_thread;
	int wake_fd; /* eventfd */
	struct ftsi_act act;

	/* Of the face; called by the following thread, with the lock held. May be NULL. */
	void (*on_event)(struct ftsi_play *play, const Fts__Game__V1__MatchEvent *event);
	void (*on_news)(struct ftsi_play *play); /* of the link: the last news of the view */

	pthread_mutex_t lock;
	struct ftsi_view view;      /* guarded by lock */
	bool is_caught_up;          /* guarded by lock: the view is whole */
	bool is_ended;              /* guarded by lock: nothing follows any more */
	bool is_leaving;            /* guarded by lock: Ctrl-C or SIGTERM */
	enum fts_status end_status; /* guarded by lock */
	struct fts_error end_error; /* guarded by lock */
};

/* What a line that somebody typed may be. */
enum ftsi_line_kind {
	FTSI_LINE_EMPTY,
	FTSI_LINE_MOVE,
	FTSI_LINE_HELP,
	FTSI_LINE_QUIT,
	FTSI_LINE_RESIGN,
	FTSI_LINE_REMATCH,
	FTSI_LINE_LEGAL,
	FTSI_LINE_JOIN,
};

/* Which of them line (borrowed) is. out_rest: the name behind "join"; borrowed from line. */
enum ftsi_line_kind ftsi_play_line(const char *line, const char **out_rest);

/* Begin to follow; on_event and on_news are set. Errors: RESOURCE_EXHAUSTED, those of fts_channel_open. */
FTS_MUST_USE enum fts_status ftsi_play_start(struct ftsi_play *play, struct fts_error *out_error);
/* End it all, also after a start that failed. */
void ftsi_play_stop(struct ftsi_play *play);

/* A copy of the view, which is large: out_view is the caller's. Returns whether it is whole. */
bool ftsi_play_view(struct ftsi_play *play, struct ftsi_view *out_view);
/* out_error: of the end. */
bool ftsi_play_is_ended(struct ftsi_play *play, enum fts_status *out_status, struct fts_error *out_error);
bool ftsi_play_is_leaving(struct ftsi_play *play);

/* Begin an act of kind. view: as the main thread has it, borrowed, as text. False, with a message: it can't be
 * (another one goes on, you only look on). Thread: main. */
bool ftsi_play_begin(struct ftsi_play *play, const struct ftsi_view *view, enum ftsi_act_kind kind, const char *text,
		     char *message, size_t message_bytes);
/* Look after it. JOIN that is done gives the seat. Thread: main. */
enum ftsi_act_end ftsi_play_poll(struct ftsi_play *play, const struct ftsi_view *view, struct fts_error *out_error);

/* Empty wake_fd. */
void ftsi_play_drain(struct ftsi_play *play);

/* How to come back, on standard error, when only we know the token and the match goes on. */
void ftsi_play_tell_token(struct ftsi_play *play);

/* The two faces: each starts it, and lives until somebody leaves. Thread: main. */
enum ftsi_exit ftsi_play_on_terminal(struct ftsi_play *play);
enum ftsi_exit ftsi_play_by_lines(struct ftsi_play *play);

#endif
