/* Why this file exists: nodes whose wall clock is wrong, and is set while they run. */
#ifndef FTS_TESTS_HARNESS_WRONG_CLOCK_H
#define FTS_TESTS_HARNESS_WRONG_CLOCK_H

#include <stdint.h>

#include "tests/harness/directory.h"

/* The wall clock of the processes that are started with its environment is as wrong as it says at that moment. */
struct harness_wrong_clock {
	char control[HARNESS_PATH_MAX];
	char preload[HARNESS_PATH_MAX + 16];  /* "LD_PRELOAD=..." */
	char variable[HARNESS_PATH_MAX + 32]; /* "FTS_WRONG_CLOCK=..." */
	volatile int64_t *ahead_ms;           /* mapped: read by those processes each time they look at the clock */
};
/* directory: where its control file goes; borrowed. */
void harness_wrong_clock_init(struct harness_wrong_clock *wrong, const char *directory);
/* Add to an environment (of HARNESS_MEMBER_FLAGS_MAX + 1 entries). Not together with a slow disk: one library each. */
void harness_wrong_clock_use(const struct harness_wrong_clock *wrong, const char **environment);
/* From now on; below 0: behind. */
void harness_wrong_clock_set(struct harness_wrong_clock *wrong, int64_t ahead_ms);
void harness_wrong_clock_fini(struct harness_wrong_clock *wrong);

#endif
