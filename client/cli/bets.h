/* Why this file exists: made-up bets. The same seed makes the same bets on every machine, for tests and shows. */
#ifndef FTSI_BETS_H
#define FTSI_BETS_H

#include <stddef.h>
#include <stdint.h>

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
struct ftsi_random {
	uint64_t state;
};
uint64_t ftsi_random_next(struct ftsi_random *random);
/* 0 to limit - 1, without bias. limit > 0. */
uint64_t ftsi_random_below(struct ftsi_random *random, uint64_t limit);

/* One bet of number as a row of CSV with CRLF. buf: borrowed, at least 160 bytes. Returns the row's size. */
size_t ftsi_bet_make(struct ftsi_random *random, unsigned number, char *buf, size_t size_bytes);

/* Divide rows among count agencies, unevenly. out_rows: borrowed, count of them; their sum is rows. */
void ftsi_bets_divide(struct ftsi_random *random, uint64_t rows, size_t count, uint64_t *out_rows);

#endif
