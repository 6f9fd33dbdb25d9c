/* Why this file exists: see keys.h. */
#include "bench/keys.h"

#include <math.h>
#include <stdio.h>

#define SKEW 0.99

uint64_t bench_random_of(uint32_t place)
{
	return (place + 1) * 0x9e3779b97f4a7c15ull;
}

/* xorshift64*, Vigna 2014: cheap, and good enough to choose keys with. */
uint64_t bench_random_next(uint64_t *random)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * 2685821657736338717ull;
}

void bench_keys_init(struct bench_keys *keys, uint32_t count, bool skewed)
{
	double two = 1 + pow(0.5, SKEW);
	*keys = (struct bench_keys){.count = count, .skewed = skewed};
	for (uint32_t i = 1; skewed && i <= count; i++)
		keys->zeta += 1 / pow(i, SKEW);
	if (skewed) keys->eta = (1 - pow(2.0 / count, 1 - SKEW)) / (1 - two / keys->zeta);
}

static uint32_t draw_skewed(const struct bench_keys *keys, uint64_t *random)
{
	double share = (double)(bench_random_next(random) >> 11) / 9007199254740992.0, place = share * keys->zeta;
	if (place < 1) return 0;
	if (place < 1 + pow(0.5, SKEW)) return 1;
	double number = keys->count * pow(keys->eta * share - keys->eta + 1, 1 / (1 - SKEW));
	return number < keys->count ? (uint32_t)number : keys->count - 1;
}

uint32_t bench_keys_draw(const struct bench_keys *keys, uint64_t *random)
{
	return keys->skewed ? draw_skewed(keys, random) : (uint32_t)(bench_random_next(random) >> 32) % keys->count;
}

void bench_key_print(char *out, uint32_t number)
{
	snprintf(out, BENCH_KEY_BYTES + 1, "key-%012u", number);
}
