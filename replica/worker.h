/* Why this file exists: disk work that blocks is done on threads of its own, in order, and its end is posted back
 * to the loop. Appends have one worker, snapshots another, so that a flush never delays an append.
 *
 * Invariants: jobs of one worker run one at a time, in the order they were given; done runs on the loop, once. */
#ifndef FTS_REPLICA_WORKER_H
#define FTS_REPLICA_WORKER_H

#include <fts/status.h>

#include "replica/mailbox.h"

struct fts_strand;
struct ftsi_environment;
struct ftsi_worker;

struct ftsi_job {
	struct ftsi_post post; /* how its end reaches the loop */
	struct ftsi_job *next;
	enum fts_status (*work)(struct ftsi_job *job); /* Thread: the worker's; may block */
	void (*done)(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status); /* Thread: loop */
	enum fts_status status;
	struct ftsi_worker *worker; /* set by submit */
};

struct ftsi_worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ftsi_job *first, **last; /* guarded by lock */
	bool stopping;                  /* guarded by lock */
	bool started;
	bool running; /* has its thread, from the first job on; loop only */
	const char *name;
	struct fts_strand *strand; /* NULL: an environment takes the jobs */
	uint32_t open_count; /* jobs given whose done has not run yet; loop only */
	struct ftsi_mailbox *mailbox;
	const struct ftsi_environment *environment;
};

/* mailbox, environment: borrowed until stop. name: static, at most 15 bytes, of the thread, which is made for the first
 * job; there is none when environment takes the jobs. longest_ms: a healthy job never takes longer. */
void ftsi_worker_start(struct ftsi_worker *worker, struct ftsi_mailbox *mailbox,
		       const struct ftsi_environment *environment, const char *name, uint32_t longest_ms);
/* job: owned until its done runs. Thread: loop. */
void ftsi_worker_submit(struct ftsi_worker *worker, struct ftsi_job *job);
/* job->status says how job's work ended: its done runs at replica's next turn. For an environment that takes jobs. */
void ftsi_worker_end(struct fts_replica *replica, struct ftsi_job *job);
/* Finish what was given, join. Thread: any but the worker's and while nobody submits. Never started: no-op. */
void ftsi_worker_stop(struct ftsi_worker *worker);

#endif
