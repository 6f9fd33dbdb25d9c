/* Why this file exists: see clock.h. */
#include "base/clock.h"

#include <time.h>

#define NS_PER_MS 1000000ull

uint64_t fts_clock_monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

int64_t fts_clock_wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t fts_clock_deadline_ns(uint64_t now_ns, uint32_t timeout_ms)
{
	uint64_t span_ns = timeout_ms * NS_PER_MS;
	return span_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + span_ns;
}

uint32_t fts_clock_left_ms(uint64_t now_ns, uint64_t deadline_ns)
{
	if (deadline_ns <= now_ns) return 0;
	uint64_t left_ns = deadline_ns - now_ns;
	uint64_t left_ms = left_ns / NS_PER_MS + (left_ns % NS_PER_MS != 0);
	return left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}
