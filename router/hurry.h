/* Why this file exists: a second look at operations that may have to ask somebody else: one thread, made
 * for the first, which sleeps while there are none.
 *
 * Invariants: look is called exactly once for each that was added, FTSI_HURRY_MS later or when the thread is stopped.
 * Source: Dean, Barroso, "The tail at scale" (2013), hedged requests. Thread: any. */
#ifndef FTS_ROUTER_HURRY_H
#define FTS_ROUTER_HURRY_H

#include <stdint.h>

enum { FTSI_HURRY_MS = 20 };

struct ftsi_hurry {
	struct ftsi_hurry *next; /* the list's */
	uint64_t due_ns;
	void (*look)(struct ftsi_hurry *hurry);
};

struct ftsi_hurries;
/* Returned (ftsi_hurries_destroy). NULL: no memory. */
struct ftsi_hurries *ftsi_hurries_create(void);
/* hurry: borrowed until look. */
void ftsi_hurry_add(struct ftsi_hurries *hurries, struct ftsi_hurry *hurry);
/* Look at all that are left, end the thread. NULL: no-op. */
void ftsi_hurries_destroy(struct ftsi_hurries *hurries);

#endif
