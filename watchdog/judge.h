/* Why this file exists: is a process stuck? Decided from its answers and from time alone: no clock, no system call, so
 * that every case can be tested.
 *
 *   silent   it does not answer any more; or not at all within its start_ms, though it is known to
 *   stalled  it answers, yet work waits on one of its strands (base/progress.h), and that strand does not move
 *   overrun  it answers, yet a handler runs beyond its method's longest run
 *
 * Invariants
 * - A process that is busy and moves is never stuck, however long its queues are.
 * - Time counts only as far as the watchdog itself ran: what it slept through (a stopped machine, its own SIGSTOP) is
 *   nobody's fault. So a gap counts as one interval.
 * - One answer proves nothing: a verdict on answers needs at least JUDGE_ANSWERS_MIN of them (judge.c). */
#ifndef FTS_WATCHDOG_JUDGE_H
#define FTS_WATCHDOG_JUDGE_H

#include "watchdog/config.h"

#define FTSI_JUDGE_STRAND_MAX 32

enum ftsi_verdict { FTSI_VERDICT_WELL, FTSI_VERDICT_SILENT, FTSI_VERDICT_STALLED, FTSI_VERDICT_OVERRUN };

/* What one answer said of a strand. */
struct ftsi_judge_strand {
	char name[24];
	uint64_t moved;
	uint32_t waiting;
	uint32_t longest_ms;
};

struct ftsi_judge_answer {
	struct ftsi_judge_strand strands[FTSI_JUDGE_STRAND_MAX];
	size_t strand_count;
	char overrun_method[96]; /* "": none */
	uint32_t overrun_ms;     /* how long it runs */
	bool ready;              /* it serves */
};

struct ftsi_judge {
	const struct ftsi_watch_process *process; /* borrowed */
	uint32_t interval_ms;
	uint64_t alive_ms;  /* since the process started, or was found */
	uint64_t silent_ms; /* since the last answer */
	uint32_t answer_count;
	struct ftsi_judge_answer last;
	uint64_t still_ms[FTSI_JUDGE_STRAND_MAX]; /* by the place in last: work waits and nothing moved */
	uint64_t overrun_ms;                      /* it has been told of the same method for so long */
	uint32_t overrun_count;                   /* in so many answers */
	uint64_t answered_ms;                     /* alive_ms at the last answer */
	bool answered_before; /* an earlier watchdog; so its silence says something from the start */
	bool speaks;          /* it is known to answer once it has started: a node, or an earlier run of it did */
};

/* A process has been started, or found. process: borrowed until the next init. */
void ftsi_judge_init(struct ftsi_judge *judge, const struct ftsi_watch_process *process, uint32_t interval_ms);
/* So much time has passed. */
void ftsi_judge_pass(struct ftsi_judge *judge, uint64_t passed_ms);
/* It answered. answer: borrowed. */
void ftsi_judge_hear(struct ftsi_judge *judge, const struct ftsi_judge_answer *answer);
/* As things stand. out_detail (size_bytes bytes): for people. out_used_percent: how much of the patience that is used
 * up most is gone, whatever the verdict. */
enum ftsi_verdict ftsi_judge_decide(const struct ftsi_judge *judge, char *out_detail, size_t size_bytes,
				    uint32_t *out_used_percent);
/* "silent", "stalled", "overrun"; static. */
const char *ftsi_verdict_name(enum ftsi_verdict verdict);

#endif
