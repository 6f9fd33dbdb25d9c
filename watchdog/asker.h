/* Why this file exists: a question to one process at its pulse (rpc/pulse.h), and its answer, without ever waiting: the
 * supervisor has one thread for all.
 *
 * Invariants: at most one question is open a connection; a connection that breaks is made again with the next question,
 * so one answer that was lost costs one interval. Thread: the supervisor's. */
#ifndef FTS_WATCHDOG_ASKER_H
#define FTS_WATCHDOG_ASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "watchdog/judge.h"

struct ftsi_asker {
	char path[108]; /* "": there is nobody to ask */
	int fd;         /* -1: not connected */
	uint64_t question_id;
	bool open; /* a question is under way */
};

/* path: borrowed. */
void ftsi_asker_init(struct ftsi_asker *asker, const char *path);
/* Ask, unless a question is open. */
void ftsi_asker_ask(struct ftsi_asker *asker);
/* Take an answer, if one is there. False: there is none, or it answers an older question. */
bool ftsi_asker_take(struct ftsi_asker *asker, struct ftsi_judge_answer *out_answer);
void ftsi_asker_close(struct ftsi_asker *asker);

#endif
