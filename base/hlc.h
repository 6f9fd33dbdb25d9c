/* Why this file exists: a hybrid logical clock: times that never go back, that lie close to the wall clock, and that
 * are greater than every time seen before, on whatever node it was made. 48 bits of Unix milliseconds, 16 bits of
 * count. Source: Kulkarni et al., "Logical physical clocks" (2014), section 3.
 *
 * Invariants: what fts_hlc_now returns is greater than all it returned before and all that was observed, even while
 * the wall clock jumps back. A time from a clock that is too far ahead is refused: it would drag this one along. Where
 * all wall clocks were set back, this clock and the others' are ahead of them together, and agree. */
#ifndef FTS_BASE_HLC_H
#define FTS_BASE_HLC_H

#include <stdatomic.h>
#include <stdint.h>

#include <fts/status.h>

struct fts_hlc {
	atomic_uint_fast64_t last;
};

/* The next time. wall_ms: Unix ms of this node's clock, at least 0. Thread: any. */
uint64_t fts_hlc_now(struct fts_hlc *clock, int64_t wall_ms);

/* What time it is at least, without taking one: a wall clock that is wrong leaves no trace. Thread: any. */
uint64_t fts_hlc_look(struct fts_hlc *clock, int64_t wall_ms);

/* Another node's time was seen: all that follow here are greater. FAILED_PRECONDITION: it lies more than ahead_max_ms
 * ahead of wall_ms, and of this clock; nothing was changed. Thread: any. */
FTS_MUST_USE enum fts_status fts_hlc_observe(struct fts_hlc *clock, uint64_t seen, int64_t wall_ms,
					     uint32_t ahead_max_ms);

/* Unix ms of a time. */
static inline int64_t fts_hlc_wall_ms(uint64_t time)
{
	return (int64_t)(time >> 16);
}

#endif
