/* Why this file exists: see base/hlc.h. */
#include "base/hlc.h"

static uint64_t of_wall(int64_t wall_ms)
{
	return wall_ms < 0 ? 0 : (uint64_t)wall_ms << 16;
}

uint64_t fts_hlc_now(struct fts_hlc *clock, int64_t wall_ms)
{
	uint64_t wall = of_wall(wall_ms), last = atomic_load(&clock->last), next;
	do
		next = wall > last ? wall : last + 1; /* a full count runs over into the next millisecond */
	while (!atomic_compare_exchange_weak(&clock->last, &last, next));
	return next;
}

uint64_t fts_hlc_look(struct fts_hlc *clock, int64_t wall_ms)
{
	uint64_t wall = of_wall(wall_ms), last = atomic_load(&clock->last);
	return wall > last ? wall : last;
}

enum fts_status fts_hlc_observe(struct fts_hlc *clock, uint64_t seen, int64_t wall_ms, uint32_t ahead_max_ms)
{
	uint64_t last = atomic_load(&clock->last);
	int64_t here_ms = fts_hlc_wall_ms(last) > wall_ms ? fts_hlc_wall_ms(last) : wall_ms;
	if (fts_hlc_wall_ms(seen) > here_ms + (int64_t)ahead_max_ms) return FTS_FAILED_PRECONDITION;
	while (seen > last && !atomic_compare_exchange_weak(&clock->last, &last, seen))
		continue;
	return FTS_OK;
}
