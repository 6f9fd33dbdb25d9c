/* Why this file exists: fts-bench kv and its peers take their keys from one place, in the same order: evenly, or by
 * Zipf's law as YCSB does (exponent 0.99). Included by C and C++. Source of the skew: Gray et al., "Quickly Generating
 * Billion-Record Synthetic Databases", SIGMOD 1994, section 4. */
#ifndef FTS_BENCH_KEYS_H
#define FTS_BENCH_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_KEY_BYTES = 16 };

struct bench_keys {
	uint32_t count;
	bool skewed;
	double zeta, eta;
};

void bench_keys_init(struct bench_keys *keys, uint32_t count, bool skewed);
/* 0 to count - 1. random: the caller's state, not 0. Thread: any. */
uint32_t bench_keys_draw(const struct bench_keys *keys, uint64_t *random);
/* out: BENCH_KEY_BYTES + 1. */
void bench_key_print(char *out, uint32_t number);
/* The state of caller number `place`. */
uint64_t bench_random_of(uint32_t place);
uint64_t bench_random_next(uint64_t *random);

#ifdef __cplusplus
}
#endif
#endif
