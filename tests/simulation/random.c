/* Why this file exists: see random.h. */
#include "random.h"

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u

uint64_t sim_mix(uint64_t word)
{
	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
	return word ^ (word >> 31);
}

uint64_t sim_random_next(struct sim_random *random)
{
	random->state += GOLDEN_GAMMA;
	return sim_mix(random->state);
}

uint64_t sim_random_below(struct sim_random *random, uint64_t limit)
{
	return sim_random_next(random) % limit; /* limits are tiny beside 2^64: the bias is too */
}

uint64_t sim_random_between(struct sim_random *random, uint64_t low, uint64_t high)
{
	return low + sim_random_below(random, high - low + 1);
}

bool sim_random_chance(struct sim_random *random, uint32_t permille)
{
	return sim_random_below(random, 1000) < permille;
}
