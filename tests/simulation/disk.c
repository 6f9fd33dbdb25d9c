/* Why this file exists: see simulation.h. A job is done at one instant, when its time has come; before that nothing of
 * it is on disk. */
#include <stdlib.h>
#include <string.h>

#include "replica/worker.h"
#include "simulation.h"
#include "store/fault.h"

struct completion {
	struct sim_event event; /* first */
	uint32_t node, incarnation, disk;
};

static struct sim_disk *disk_of(struct sim_node *node, struct ftsi_worker *worker)
{
	for (uint32_t i = 0; i < SIM_WORKER_MAX; i++) {
		if (node->disks[i].worker == NULL) node->disks[i].worker = worker;
		if (node->disks[i].worker == worker) return &node->disks[i];
	}
	abort(); /* a replica has fewer workers than that */
}

static struct ftsi_job *take(struct sim_disk *disk)
{
	struct ftsi_job *job = disk->jobs[disk->first];
	disk->first = (disk->first + 1) % SIM_JOB_MAX;
	disk->count--;
	return job;
}

static uint64_t duration_ns(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	const struct sim_profile *profile = &sim->profile;
	uint64_t usual = sim_random_between(&sim->random, profile->disk_min_ns, profile->disk_max_ns);
	if (sim->now_ns < node->slow_until_ns)
		return usual + sim_random_between(&sim->random, 20 * SIM_MS, 400 * SIM_MS);
	return usual;
}

static void run_completion(struct simulation *sim, struct sim_event *event);

/* The oldest job is being done from now on. */
static void begin(struct sim_node *node, uint32_t disk)
{
	struct completion *completion = sim_alloc(sizeof *completion);
	completion->node = node->number;
	completion->incarnation = node->incarnation;
	completion->disk = disk;
	sim_after(node->sim, duration_ns(node), &completion->event, run_completion);
}

static void run_completion(struct simulation *sim, struct sim_event *event)
{
	struct completion *completion = (struct completion *)(void *)event;
	struct sim_node *node = &sim->nodes[completion->node];
	uint32_t disk = completion->disk;
	struct ftsi_job *job;
	if (!sim_node_runs(node) || node->incarnation != completion->incarnation) {
		free(event);
		return;
	}
	if (sim_node_paused(node)) { /* the thread that would do it stands still too */
		event->at_ns = node->resume_ns;
		sim_schedule_add(&sim->schedule, event);
		return;
	}
	job = take(&node->disks[disk]);
	job->status = job->work(job);
	sim_note(sim, "disk", node->number, disk, job->status);
	free(event);
	ftsi_worker_end(node->replica, job);
	sim_node_wake(node);
	if (node->disks[disk].count > 0) begin(node, disk);
}

/* What an ending process still gives to a worker: nothing reaches the disk after a kill. */
static void end_at_once(struct sim_node *node, struct ftsi_job *job)
{
	job->status = atomic_load(&node->replica->failed) ? FTS_CANCELLED : job->work(job);
	ftsi_worker_end(node->replica, job);
}

void sim_disk_submit(void *ctx, struct ftsi_worker *worker, struct ftsi_job *job)
{
	struct sim_node *node = ctx;
	struct simulation *sim = node->sim;
	struct sim_disk *disk = disk_of(node, worker);
	if (disk->count == SIM_JOB_MAX) {
		sim_violation(sim, "node %s: %d jobs wait for one worker", node->name, SIM_JOB_MAX);
		disk->count--;
	}
	if (node->ending) {
		end_at_once(node, job);
		return;
	}
	disk->jobs[(disk->first + disk->count++) % SIM_JOB_MAX] = job;
	if (disk->count == 1) begin(node, (uint32_t)(disk - node->disks));
}

/* ---- Ends ---- */

struct cut {
	uint32_t left;
};

/* The disk takes so many more accesses, then none. */
static enum fts_status cut_off(void *ctx, enum ftsi_store_access access)
{
	struct cut *cut = ctx;
	if (access == FTSI_STORE_READ) return FTS_OK;
	if (cut->left == 0) return FTS_INTERNAL;
	cut->left--;
	return FTS_OK;
}

void sim_disk_crash(struct sim_node *node)
{
	for (uint32_t i = 0; i < SIM_WORKER_MAX; i++) {
		struct sim_disk *disk = &node->disks[i];
		/* The oldest job may have come to its end, or half-way, without anybody having heard of it. */
		bool ran = disk->count > 0 && sim_random_chance(&node->sim->random, 500);
		struct cut cut = {(uint32_t)sim_random_below(&node->sim->random, 4)};
		ftsi_store_fault_set(cut_off, &cut);
		if (ran) (void)disk->jobs[disk->first]->work(disk->jobs[disk->first]);
		ftsi_store_fault_set(NULL, NULL);
		while (disk->count > 0) {
			struct ftsi_job *job = take(disk);
			job->status = FTS_CANCELLED;
			ftsi_worker_end(node->replica, job);
		}
	}
}

bool sim_disk_drain(struct sim_node *node)
{
	bool any = false;
	for (uint32_t i = 0; i < SIM_WORKER_MAX; i++) {
		while (node->disks[i].count > 0) {
			struct ftsi_job *job = take(&node->disks[i]);
			job->status = job->work(job);
			ftsi_worker_end(node->replica, job);
			any = true;
		}
	}
	return any;
}
