/* Why this file exists: see replica/environment.h. */
#include "replica/environment.h"

#include <sys/random.h>

#include "base/clock.h"

static uint64_t monotonic_ns(void *ctx)
{
	(void)ctx;
	return fts_clock_monotonic_ns();
}

static int64_t wall_ms(void *ctx)
{
	(void)ctx;
	return fts_clock_wall_ms();
}

static uint64_t random_word(void *ctx)
{
	uint64_t word = 0;
	(void)ctx;
	/* Only where there is no such call at all; spread of timeouts is all that would suffer. */
	if (getrandom(&word, sizeof word, 0) != (ssize_t)sizeof word) word = fts_clock_monotonic_ns();
	return word;
}

const struct ftsi_environment *ftsi_environment_real(void)
{
	static const struct ftsi_environment real = {
	    .monotonic_ns = monotonic_ns, .wall_ms = wall_ms, .random = random_word};
	return &real;
}
