/* Why this file exists: see tests/linear/history.h. Places are given out by an atomic counter; each is then its
 * client's alone. */
#include "tests/linear/history.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum fate { OPEN, KNOWN, NEVER };

struct linear_history {
	size_t count_max;
	atomic_size_t count;
	struct linear_operation *operations;
	uint8_t *fates;
	bool settled; /* NEVER ones are taken out */
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct linear_history *linear_history_create(size_t count_max)
{
	struct linear_history *history = calloc(1, sizeof(*history));
	if (history == NULL) abort();
	history->count_max = count_max;
	history->operations = calloc(count_max, sizeof(*history->operations));
	history->fates = calloc(count_max, 1);
	if (history->operations == NULL || history->fates == NULL) abort();
	return history;
}

void linear_history_destroy(struct linear_history *history)
{
	if (history == NULL) return;
	free(history->operations);
	free(history->fates);
	free(history);
}

size_t linear_history_begin(struct linear_history *history, const struct linear_operation *operation)
{
	size_t place = atomic_fetch_add(&history->count, 1);
	if (place >= history->count_max) {
		atomic_store(&history->count, history->count_max);
		return LINEAR_HISTORY_FULL;
	}
	history->operations[place] = *operation;
	history->operations[place].known = false;
	history->operations[place].return_ns = UINT64_MAX;
	history->operations[place].invoke_ns = now_ns();
	return place;
}

void linear_history_end(struct linear_history *history, size_t place, int64_t output0, int64_t output1)
{
	struct linear_operation *operation = &history->operations[place];
	operation->return_ns = now_ns();
	operation->output[0] = output0;
	operation->output[1] = output1;
	operation->known = true;
	history->fates[place] = KNOWN;
}

void linear_history_never(struct linear_history *history, size_t place)
{
	history->fates[place] = NEVER;
}

void linear_history_unknown(struct linear_history *history, size_t place)
{
	history->fates[place] = OPEN;
}

struct linear_operation *linear_history_operations(struct linear_history *history, size_t *out_count)
{
	size_t kept = 0, count = atomic_load(&history->count);
	if (count > history->count_max) count = history->count_max;
	for (size_t i = 0; i < count && !history->settled; i++) {
		if (history->fates[i] == NEVER) continue;
		history->fates[kept] = history->fates[i];
		history->operations[kept++] = history->operations[i];
	}
	if (!history->settled) atomic_store(&history->count, kept);
	history->settled = true;
	*out_count = atomic_load(&history->count);
	return history->operations;
}

static size_t count_fate(struct linear_history *history, enum fate fate)
{
	size_t found = 0, count = atomic_load(&history->count);
	for (size_t i = 0; i < count && i < history->count_max; i++)
		found += history->fates[i] == fate;
	return found;
}

size_t linear_history_count_known(struct linear_history *history)
{
	return count_fate(history, KNOWN);
}

size_t linear_history_count_unknown(struct linear_history *history)
{
	return count_fate(history, OPEN);
}

bool linear_history_write(struct linear_history *history, const struct linear_model *model, const char *path)
{
	size_t count;
	const struct linear_operation *operations = linear_history_operations(history, &count);
	FILE *file = fopen(path, "w");
	char what[128];
	if (file == NULL) return false;
	(void)fprintf(file, "# key client begin_ns end_ns what\n");
	for (size_t i = 0; i < count; i++) {
		model->print(&operations[i], what, sizeof(what));
		(void)fprintf(file, "%" PRIu32 " %" PRIu32 " %" PRIu64 " ", operations[i].key, operations[i].client,
			      operations[i].invoke_ns);
		if (operations[i].known)
			(void)fprintf(file, "%" PRIu64 " %s\n", operations[i].return_ns, what);
		else
			(void)fprintf(file, "- %s\n", what);
	}
	return fclose(file) == 0;
}
