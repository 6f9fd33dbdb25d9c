/* Why this file exists: see schedule.h. A binary heap. */
#include "schedule.h"

#include <stdbool.h>
#include <stdlib.h>

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_schedule_add(struct sim_schedule *schedule, struct sim_event *event)
{
	size_t at = schedule->count;
	if (schedule->count == schedule->capacity) {
		schedule->capacity = schedule->capacity == 0 ? 256 : schedule->capacity * 2;
		schedule->heap = realloc(schedule->heap, schedule->capacity * sizeof(struct sim_event *));
		if (schedule->heap == NULL) abort();
	}
	event->order = schedule->next_order++;
	schedule->count++;
	while (at > 0 && before(event, schedule->heap[(at - 1) / 2])) {
		schedule->heap[at] = schedule->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	schedule->heap[at] = event;
}

static size_t earlier_child(const struct sim_schedule *schedule, size_t at)
{
	size_t child = 2 * at + 1;
	if (child + 1 < schedule->count && before(schedule->heap[child + 1], schedule->heap[child])) child++;
	return child;
}

struct sim_event *sim_schedule_take(struct sim_schedule *schedule)
{
	struct sim_event *first, *last;
	size_t at = 0;
	if (schedule->count == 0) return NULL;
	first = schedule->heap[0];
	last = schedule->heap[--schedule->count];
	while (2 * at + 1 < schedule->count) {
		size_t child = earlier_child(schedule, at);
		if (!before(schedule->heap[child], last)) break;
		schedule->heap[at] = schedule->heap[child];
		at = child;
	}
	if (schedule->count > 0) schedule->heap[at] = last;
	return first;
}

void sim_schedule_fini(struct sim_schedule *schedule)
{
	for (size_t i = 0; i < schedule->count; i++)
		free(schedule->heap[i]);
	free(schedule->heap);
	schedule->heap = NULL;
	schedule->count = schedule->capacity = 0;
}
