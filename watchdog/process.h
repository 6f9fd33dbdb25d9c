/* Why this file exists: real processes: started in a session of their own, found again by pid and start time, ended
 * with everything they left behind.
 *
 * Invariants
 * - A child runs its program only once its pid is written down (ftsi_process_release): a watchdog that is killed in
 *   between leaves no child behind that nobody knows.
 * - A pid alone names nothing: it is used again. Pid and start time (/proc/PID/stat) name a process, a pidfd holds it.
 * Thread: the supervisor's. */
#ifndef FTS_WATCHDOG_PROCESS_H
#define FTS_WATCHDOG_PROCESS_H

#include <sys/types.h>

#include "watchdog/config.h"

#define FTSI_PROCESS_MARK "FTS_WATCHED" /* in the environment of a process and of all that it starts: NAME@STATE */
#define FTSI_PROCESS_MARK_BYTES (sizeof(FTSI_PROCESS_MARK) + FTSI_WATCH_NAME_MAX + FTSI_WATCH_TEXT_MAX + 2)

struct ftsi_process {
	pid_t pid;            /* 0: none */
	uint64_t start_ticks; /* since the machine started */
	int pid_fd;           /* -1: none */
	int gate_fd;          /* the child waits behind it; -1: it is open */
	int error_fd;         /* tells why the program could not be run; -1: none */
};

/* What /proc says of a process. */
struct ftsi_process_facts {
	char state; /* R, S, D, T, Z, ... */
	pid_t parent, session;
	uint64_t start_ticks;
};

void ftsi_process_init(struct ftsi_process *process);
/* Fork a child that will run what, answering its watchdog at pulse_path ("": nowhere), with mark ("NAME=VALUE") in its
 * environment. All borrowed. It waits for the release. Errors: RESOURCE_EXHAUSTED, UNAVAILABLE (its log can't be
 * opened).
 */
FTS_MUST_USE enum fts_status ftsi_process_start(const struct ftsi_watch_process *what, const char *pulse_path,
						const char *mark, struct ftsi_process *out_process,
						struct fts_error *out_error);
/* Let it run its program. */
void ftsi_process_release(struct ftsi_process *process);
/* Why its program could not be run: errno; 0: it runs, or ran. Doesn't wait. */
int ftsi_process_error(struct ftsi_process *process);
/* Take up one that an earlier watchdog started. False: it is not there any more. */
bool ftsi_process_find(struct ftsi_process *process, pid_t pid, uint64_t start_ticks);
/* It has ended and was reaped: close what is held. */
void ftsi_process_close(struct ftsi_process *process);

/* False: no such process. */
bool ftsi_process_look(pid_t pid, struct ftsi_process_facts *out_facts);
/* SIGKILL to everything of the session of a process that was started as pid at start_ticks and has ended, and to all
 * that carry mark (borrowed) in their environment, wherever they have gone. Returns how many there were. Its number may
 * be another process's by now: then that one's session is left alone. */
size_t ftsi_process_sweep(pid_t pid, uint64_t start_ticks, const char *mark);
/* How long its threads have waited for a processor, in ns, in sum; 0: it can't be told. */
uint64_t ftsi_process_starved_ns(pid_t pid);

#endif
