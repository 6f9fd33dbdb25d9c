/* Why this file exists: agencies that store one bet after another whatever happens to the nodes, and afterwards hold
 * the winners against what each was told: nothing acknowledged is lost, nothing is there twice, nothing refused is
 * there, and each agency's winners come in the order of its bets.
 *
 * All bets have the drawn number, so the winners list them all. */
#ifndef FTS_TESTS_CHAOS_BETTORS_H
#define FTS_TESTS_CHAOS_BETTORS_H

#include <stdbool.h>
#include <stdint.h>

struct bettors;

struct bettors_counts {
	uint64_t stored, unknown, refused;
};

/* Open draw (borrowed until finish) on endpoints ("HOST:PORT,...", likewise) and let agencies (1 to 16) bet.
 * Returned (bettors_finish). Fails the test when the draw can't be opened within 20 s. */
struct bettors *bettors_start(const char *endpoints, const char *draw, uint32_t agencies);
uint64_t bettors_stored(struct bettors *bettors);
/* End the bets, close all agencies, look at the winners; the test fails when a promise was broken. */
struct bettors_counts bettors_finish(struct bettors *bettors);

#endif
