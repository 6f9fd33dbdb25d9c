/* Why this file exists: how `worker run` runs its command: a keeper (fts-cli started again with FTSI_WORK_KEEPER_WORD)
 * forks a guardian for each run, and the guardian the command. The guardian is the subreaper of all that the command
 * starts, and ends only when nothing of it is left.
 *
 * Invariants
 * - A run and everything it has started are killed at its longest run, when the worker gives it up, and when the worker
 *   is gone, however it went. What a command leaves behind when it ends is killed too, before its end is told.
 * - The keeper is started before the worker has threads, and forks for it: no thread of the worker ever forks.
 * - One order a datagram of a SOCK_SEQPACKET pair, four descriptors with it; both ends are the same program. Times:
 *   CLOCK_BOOTTIME. */
#ifndef FTSI_WORK_KEEPER_H
#define FTSI_WORK_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <fts/status.h>

#define FTSI_WORK_KEEPER_WORD "work-keeper"
#define FTSI_WORK_KEEPER_FD 3

/* Worker to keeper, with standard input, output and error of the command and the guardian's end of a socket pair. */
struct ftsi_work_order {
	uint64_t number; /* FTS_WORK of the command */
	uint32_t max_run_ms;
};

enum ftsi_work_end { FTSI_WORK_ENDED = 1, FTSI_WORK_OVERRAN, FTSI_WORK_GIVEN_UP, FTSI_WORK_NOT_STARTED };

/* Guardian to worker, once, when nothing is left. */
struct ftsi_work_report {
	uint32_t end;        /* enum ftsi_work_end */
	int32_t wait_status; /* of the command, as waitpid() has it */
};

/* The keeper: runs words (borrowed, NULL-ended) for each order that comes over link_fd, until that is closed and
 * nothing is left. Returns the exit code. */
int ftsi_work_keeper_run(int link_fd, char *const *words);

/* ---- The worker's end ---- */

struct ftsi_work_keeper {
	int link_fd; /* -1: none */
	pid_t pid;
};

/* Start one for words (borrowed). Main thread, before others exist. Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_work_keeper_open(struct ftsi_work_keeper *keeper, char *const *words,
						   struct fts_error *out_error);
/* Ends all that runs; waits for it. */
void ftsi_work_keeper_close(struct ftsi_work_keeper *keeper);

/* What a run made of it. */
struct ftsi_work_result {
	uint8_t *output; /* owned: free() */
	size_t output_size_bytes;
	bool too_large; /* it was killed when it had written more than output_max_bytes */
	struct ftsi_work_report report;
};
/* A line of its standard error. Thread: the run's. */
typedef void (*ftsi_work_line_fn)(void *ctx, uint64_t number, const char *text, size_t size_bytes);
/* Run the command once, with input (borrowed) as its standard input, and wait until nothing of it is left. At most
 * error_max_bytes of its standard error go to on_line. Thread: any. out_result: filled with FTS_OK only.
 * Errors: UNAVAILABLE (nothing was run), RESOURCE_EXHAUSTED (nothing was run), ABORTED (the keeper or guardian was
 * killed: how far the command came is not known). */
FTS_MUST_USE enum fts_status ftsi_work_run(struct ftsi_work_keeper *keeper, const struct ftsi_work_order *order,
					   struct fts_bytes input, size_t output_max_bytes, size_t error_max_bytes,
					   ftsi_work_line_fn on_line, void *ctx, struct ftsi_work_result *out_result);

#endif
