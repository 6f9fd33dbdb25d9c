/* Why this file exists: tests never sleep for a result; they wait on a condition, with a deadline.
 *
 *   for (struct harness_wait w = harness_wait_ms(5000); !done(); )
 *           if (!harness_wait_more(&w)) fail_msg("not done within 5 s");
 */
#ifndef FTS_TESTS_HARNESS_CLOCK_H
#define FTS_TESTS_HARNESS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct harness_wait {
	uint64_t deadline_ns;
	uint32_t pause_us;
};

uint64_t harness_now_ns(void);
struct harness_wait harness_wait_ms(uint32_t timeout_ms);
/* Let others run for a moment (0.2 ms rising to 10 ms). False: the deadline has passed. */
bool harness_wait_more(struct harness_wait *wait);

/* A small generator whose numbers follow from the seed alone, for moments and choices that a failure can print.
 * Source: Steele et al., "Fast splittable pseudorandom number generators" (2014). */
struct harness_random {
	uint64_t state;
};
uint64_t harness_random_next(struct harness_random *random);
/* 0 .. limit - 1; limit > 0. */
uint32_t harness_random_below(struct harness_random *random, uint32_t limit);

#endif
