/* Why this file exists: everything of a watchdog that talks over the network: its service (status, control), its
 * events, its answer to surveys, its question to the cluster whether a node may be ended. It runs on threads of its
 * own, so that nothing out there can ever make the supervisor wait.
 *
 * Invariants: the supervisor hands over copies and takes copies; every function here returns at once, but for start and
 * stop. Actions are numbered from 1 and never reused; the last FTSI_OUTSIDE_KEPT are kept for Replay. */
#ifndef FTS_WATCHDOG_OUTSIDE_H
#define FTS_WATCHDOG_OUTSIDE_H

#include <sys/types.h>

#include "watchdog/config.h"

#define FTSI_OUTSIDE_KEPT 1024

struct ftsi_outside;

/* A process, as the status tells it. */
struct ftsi_outside_process {
	char name[FTSI_WATCH_NAME_MAX];
	pid_t pid;
	int state; /* Fts__Watchdog__V1__ProcessState */
	uint32_t restarts;
	char last_reason[16];
	char detail[256];
	uint64_t started_ns; /* 0: it does not run */
	uint64_t due_ns;     /* of the next start; 0: none */
	char capture[FTSI_WATCH_TEXT_MAX + 128];
	char held[200];
};

/* What was done. All borrowed for the call. */
struct ftsi_outside_action {
	const char *process;
	const char *action;
	const char *reason;
	const char *detail;
	pid_t pid;
};

enum ftsi_outside_verb { FTSI_VERB_START = 1, FTSI_VERB_STOP = 2, FTSI_VERB_RESTART = 3 };

/* What an operator asked for. */
struct ftsi_outside_command {
	char process[FTSI_WATCH_NAME_MAX];
	enum ftsi_outside_verb verb;
};

enum ftsi_quorum { FTSI_QUORUM_UNKNOWN, FTSI_QUORUM_ASKING, FTSI_QUORUM_KEPT, FTSI_QUORUM_BROKEN };

/* config: borrowed until stopped. wake_fd: an eventfd that is written to when there is a command or an answer.
 * action_index: of the last action ever published. out_outside: returned (ftsi_outside_stop).
 * Errors: UNAVAILABLE (a port is taken), INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_outside_start(const struct ftsi_watch_config *config, int wake_fd,
						uint64_t action_index, struct ftsi_outside **out_outside,
						struct fts_error *out_error);
void ftsi_outside_stop(struct ftsi_outside *outside); /* NULL: no-op */

/* What status answers from now on. processes: borrowed for the call, in the order of the configuration. */
void ftsi_outside_show(struct ftsi_outside *outside, const struct ftsi_outside_process *processes, size_t count);
/* Publish an action; returns its number. */
uint64_t ftsi_outside_tell(struct ftsi_outside *outside, const struct ftsi_outside_action *action);
/* The next command; false: there is none. */
bool ftsi_outside_take(struct ftsi_outside *outside, struct ftsi_outside_command *out_command);

/* Ask the cluster whether a majority stays without member (borrowed). Until it is answered another question is not put.
 * takes_no_part: its loop does not move, or it is silent: it counts for no majority now. */
void ftsi_outside_ask_quorum(struct ftsi_outside *outside, const char *member, bool takes_no_part);
/* What came of the last question about member. out_detail (200 bytes): for people. An answer is told once. */
enum ftsi_quorum ftsi_outside_quorum(struct ftsi_outside *outside, const char *member, char *out_detail);

#endif
