/* Why this file exists: what will happen in a simulation, in the order in which it happens: the virtual clock is the
 * time of the event last taken.
 *
 * Invariants: events of the same time happen in the order in which they were added, so that nothing depends on where
 * memory lies. An event is one block of memory: run owns it and frees it. */
#ifndef FTS_TESTS_SIMULATION_SCHEDULE_H
#define FTS_TESTS_SIMULATION_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

struct simulation;

struct sim_event {
	uint64_t at_ns;
	uint64_t order; /* set when it is added */
	void (*run)(struct simulation *sim, struct sim_event *event);
};

struct sim_schedule {
	struct sim_event **heap;
	size_t count, capacity;
	uint64_t next_order;
};

/* event: owned. */
void sim_schedule_add(struct sim_schedule *schedule, struct sim_event *event);
/* The next event (owned by the caller now); NULL: none. */
struct sim_event *sim_schedule_take(struct sim_schedule *schedule);
/* Free all that is left, unrun. */
void sim_schedule_fini(struct sim_schedule *schedule);

#endif
