/* Why this file exists: see beats.h. */
#include "beats.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct beats_run *run_of(struct beats *beats, const char *member, uint64_t fence, uint64_t at_ns)
{
	for (size_t i = beats->count; i-- > 0;)
		if (beats->runs[i].fence == fence && strcmp(beats->runs[i].member, member) == 0) return &beats->runs[i];
	assert_true(beats->count < BEATS_RUNS_MAX);
	struct beats_run *run = &beats->runs[beats->count++];
	(void)snprintf(run->member, sizeof(run->member), "%s", member);
	run->fence = fence;
	run->first_ns = run->last_ns = at_ns;
	return run;
}

void beats_read(const char *path, struct beats *beats)
{
	uint64_t at_ns, fence;
	char member[65];
	int pid;
	FILE *file = fopen(path, "re");
	if (file == NULL) return;
	if (fseek(file, beats->offset, SEEK_SET) != 0) fail_msg("%s can't be read on", path);
	while (fscanf(file, "%" SCNu64 " %64s %" SCNu64 " %d\n", &at_ns, member, &fence, &pid) == 4) {
		struct beats_run *run = run_of(beats, member, fence, at_ns);
		if (at_ns < run->first_ns) run->first_ns = at_ns;
		if (at_ns > run->last_ns) run->last_ns = at_ns;
	}
	beats->offset = ftell(file);
	(void)fclose(file);
}

void beats_check(const struct beats *beats)
{
	for (size_t i = 0; i < beats->count; i++)
		for (size_t j = 0; j < beats->count; j++) {
			const struct beats_run *a = &beats->runs[i], *b = &beats->runs[j];
			if (i == j || a->fence > b->fence) continue;
			if (a->fence == b->fence)
				fail_msg("%s and %s both had fence %" PRIu64, a->member, b->member, a->fence);
			if (a->last_ns >= b->first_ns)
				fail_msg("%s (fence %" PRIu64 ") still ran %" PRIu64 " us after %s (fence %" PRIu64
					 ") had begun",
					 a->member, a->fence, (a->last_ns - b->first_ns) / 1000, b->member, b->fence);
		}
}
