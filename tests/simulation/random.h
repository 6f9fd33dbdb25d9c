/* Why this file exists: one seed decides everything in a simulation; all chance comes from here.
 * Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
#ifndef FTS_TESTS_SIMULATION_RANDOM_H
#define FTS_TESTS_SIMULATION_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t state;
};

uint64_t sim_random_next(struct sim_random *random);
/* 0 to limit - 1; limit > 0. */
uint64_t sim_random_below(struct sim_random *random, uint64_t limit);
/* low to high, both included. */
uint64_t sim_random_between(struct sim_random *random, uint64_t low, uint64_t high);
/* True in permille of a thousand cases. */
bool sim_random_chance(struct sim_random *random, uint32_t permille);
/* The finalizer alone: a good hash of one word. */
uint64_t sim_mix(uint64_t word);

#endif
