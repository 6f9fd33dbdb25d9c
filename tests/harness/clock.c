/* Why this file exists: see tests/harness/clock.h. */
#include "tests/harness/clock.h"

#include <time.h>

uint64_t harness_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct harness_wait harness_wait_ms(uint32_t timeout_ms)
{
	return (struct harness_wait){harness_now_ns() + (uint64_t)timeout_ms * 1000000u, 200};
}

bool harness_wait_more(struct harness_wait *wait)
{
	if (harness_now_ns() >= wait->deadline_ns) return false;
	struct timespec pause = {0, (long)wait->pause_us * 1000};
	nanosleep(&pause, NULL);
	if (wait->pause_us < 10000) wait->pause_us += wait->pause_us / 2;
	return true;
}

uint64_t harness_random_next(struct harness_random *random)
{
	uint64_t z = random->state += 0x9E3779B97F4A7C15u;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

uint32_t harness_random_below(struct harness_random *random, uint32_t limit)
{
	return (uint32_t)(harness_random_next(random) % limit);
}
