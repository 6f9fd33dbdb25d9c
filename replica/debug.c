/* Why this file exists: see replica/debug.h. */
#include "replica/debug.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "replica/internal.h"

#define SLOW_TURN_MS 100

/* One fault: a post to the loop, which may become a job of the append worker. */
struct fault {
	struct ftsi_job job; /* its post comes first */
	enum fts_debug_fault fault;
	uint64_t end_ns;
};

static void hang_until(uint64_t end_ns)
{
	struct timespec until = {(time_t)(end_ns / 1000000000u), (long)(end_ns % 1000000000u)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		continue;
}

static enum fts_status hang_disk(struct ftsi_job *job)
{
	hang_until(((struct fault *)(void *)job)->end_ns);
	return FTS_OK;
}

static void over(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	(void)replica, (void)status;
	free(job);
}

static void begin(struct fts_replica *replica, struct ftsi_post *post)
{
	struct fault *fault = (struct fault *)(void *)post;
	uint64_t now_ns = fts_clock_monotonic_ns(), turn_ns = fts_clock_deadline_ns(now_ns, SLOW_TURN_MS);
	if (fault->fault == FTS_DEBUG_DISK_HANGS && !replica->stopping) {
		ftsi_worker_submit(&replica->append_worker, &fault->job);
		return;
	}
	if (fault->fault == FTS_DEBUG_LOOP_HANGS) hang_until(fault->end_ns);
	if (fault->fault == FTS_DEBUG_LOOP_SLOW && now_ns < fault->end_ns) {
		hang_until(turn_ns < fault->end_ns ? turn_ns : fault->end_ns);
		if (ftsi_mailbox_post(&replica->mailbox, post)) return;
	}
	free(fault);
}

enum fts_status fts_debug_fault_begin(struct fts_replica *replica, enum fts_debug_fault fault, uint32_t duration_ms,
				      struct fts_error *out_error)
{
	struct fault *made = calloc(1, sizeof(*made));
	if (made == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	made->fault = fault;
	made->end_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), duration_ms);
	made->job.post.run = begin;
	made->job.work = hang_disk;
	made->job.done = over;
	if (ftsi_mailbox_post(&replica->mailbox, &made->job.post)) return FTS_OK;
	free(made);
	return fts_error_set(out_error, FTS_UNAVAILABLE, "this node is stopping");
}
