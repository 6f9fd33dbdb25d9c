/* Why this file exists: what the masters' scripts (beat.c) have written: who was alive when, by mastership. */
#ifndef FTS_TESTS_ELECT_BEATS_H
#define FTS_TESTS_ELECT_BEATS_H

#include <stddef.h>
#include <stdint.h>

#define BEATS_RUNS_MAX 8192

/* One mastership: all scripts that had its fence. */
struct beats_run {
	char member[65];
	uint64_t fence, first_ns, last_ns;
};
struct beats {
	long offset;  /* in the file: what is behind it was not read yet */
	size_t count; /* in the order of their first beat */
	struct beats_run runs[BEATS_RUNS_MAX];
};

/* Read on: what was written since the last time (zeroed: since the beginning). */
void beats_read(const char *path, struct beats *beats);
/* Fails the test when two runs overlap, or a later one has not the greater fence. */
void beats_check(const struct beats *beats);

#endif
