/* Why this file exists: what a watchdog knows survives it: state.json in its directory says which processes it has
 * started, by pid and start time, and how each stands, so that the next one takes them up instead of starting them
 * twice.
 *
 * Invariants: the file is replaced as a whole, so it is read as it was written; it is not synced, since a machine that
 * loses power loses the processes too; what was written under another boot of the machine names no process. One
 * watchdog at a time holds the directory. Thread: the supervisor's. */
#ifndef FTS_WATCHDOG_MEMORY_H
#define FTS_WATCHDOG_MEMORY_H

#include <sys/types.h>

#include "watchdog/config.h"

#define FTSI_MEMORY_RESTARTS_MAX 64
#define FTSI_MEMORY_REASON_BYTES 16

/* One process, as the file has it. */
struct ftsi_memory_process {
	char name[FTSI_WATCH_NAME_MAX];
	pid_t pid; /* 0: it does not run */
	uint64_t start_ticks;
	int64_t started_ms; /* wall clock */
	bool wanted;        /* false: it was told to stop */
	bool answered;      /* since it was started */
	uint64_t speaks;    /* names the command that has answered once, in whatever run; 0: none has */
	bool quarantined;
	uint32_t restarts;                                  /* since it is known */
	uint32_t backoff_ms;                                /* before the next start */
	int64_t restart_times_ms[FTSI_MEMORY_RESTARTS_MAX]; /* wall clock, of the last ones, oldest first */
	uint32_t restart_time_count;
	char last_reason[FTSI_MEMORY_REASON_BYTES];
};

struct ftsi_memory {
	uint64_t action_index; /* of the last action that was published */
	struct ftsi_memory_process processes[FTSI_WATCH_PROCESS_MAX];
	size_t count;
};

/* Make the directory if it is not there, and hold it. out_lock_fd: returned (close). Errors: UNAVAILABLE (it can't be
 * made), ALREADY_EXISTS (another watchdog holds it). directory: borrowed. */
FTS_MUST_USE enum fts_status ftsi_memory_claim(const char *directory, int *out_lock_fd, struct fts_error *out_error);
/* Read what the last watchdog left. Nothing, or nothing that can be read: an empty memory. Pids of another boot: 0. */
void ftsi_memory_recall(const char *directory, struct ftsi_memory *out_memory);
/* Replace the file. False: it could not be written (errno). */
bool ftsi_memory_keep(const char *directory, const struct ftsi_memory *memory);
/* The process of that name; NULL: none. Borrowed from memory. */
const struct ftsi_memory_process *ftsi_memory_find(const struct ftsi_memory *memory, const char *name);

#endif
