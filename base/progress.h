/* Why this file exists: a process that answers pings may still be stuck. So each part of it that works by itself, a
 * thread with a queue or a loop, is a strand: it counts what it has done and how much waits for it. Health tells the
 * counts (server/health.h), a watchdog compares them: work that waits on a strand that does not move is what no ping
 * ever shows. Whoever uses the runtime has its strands without writing code.
 *
 * Invariants
 * - Counting is a few atomic adds: no lock, no clock but the caller's, so a strand never waits for who looks at it.
 * - Strands live as long as the process, in a table of fixed size. Two that are asked for by one name are one: several
 *   nodes in one process, as in tests, count together.
 * Thread: any. */
#ifndef FTS_BASE_PROGRESS_H
#define FTS_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTS_STRAND_MAX 32
#define FTS_STRAND_NAME_BYTES 24

struct fts_strand; /* borrowed for ever */

/* How a strand stands. */
struct fts_strand_status {
	const char *name;    /* borrowed for ever */
	uint64_t moved;      /* pieces of work done; only grows */
	uint32_t waiting;    /* pieces not done yet, the one under way included */
	uint32_t oldest_ms;  /* for so long nothing was done while something waited */
	uint32_t longest_ms; /* a healthy piece never takes longer; 0: whoever watches decides */
};

/* The strand of that name (borrowed for the call, cut at FTS_STRAND_NAME_BYTES - 1), made when it is new. The table is
 * full: one that counts and is never shown. Never NULL. */
struct fts_strand *fts_strand_of(const char *name, uint32_t longest_ms);

/* count more pieces of work wait for it. */
void fts_strand_add(struct fts_strand *strand, uint32_t count);
/* count pieces are done, and wait no longer. */
void fts_strand_done(struct fts_strand *strand, uint32_t count);
/* It got on with a piece that is not done yet, or with what waits always, as a loop's next turn. */
void fts_strand_move(struct fts_strand *strand);
/* count pieces will never be done: they were given up. */
void fts_strand_drop(struct fts_strand *strand, uint32_t count);

/* Every strand there is; returns how many. out_status: FTS_STRAND_MAX. */
size_t fts_strand_list(struct fts_strand_status *out_status);
/* Has every strand on which work waits moved within patience_ms, or its own longest time when that is longer? False:
 * out_name (FTS_STRAND_NAME_BYTES) names one that has not. */
bool fts_strand_all_move(uint32_t patience_ms, char *out_name);

#endif
