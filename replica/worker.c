/* Why this file exists: see replica/worker.h. */
#include "replica/worker.h"

#include "base/assert.h"
#include "base/progress.h"
#include "replica/environment.h"

static void end_job(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_job *job = (struct ftsi_job *)(void *)post; /* post is its first member */
	job->worker->open_count--;
	job->done(replica, job, job->status);
}

static struct ftsi_job *next_job(struct ftsi_worker *worker)
{
	struct ftsi_job *job;
	pthread_mutex_lock(&worker->lock);
	while (worker->first == NULL && !worker->stopping)
		pthread_cond_wait(&worker->wake, &worker->lock);
	job = worker->first;
	if (job != NULL) {
		worker->first = job->next;
		if (worker->first == NULL) worker->last = &worker->first;
	}
	pthread_mutex_unlock(&worker->lock);
	return job;
}

static void post_end(struct ftsi_job *job)
{
	bool posted;
	job->post.run = end_job;
	posted = ftsi_mailbox_post(job->worker->mailbox, &job->post);
	FTS_ASSERT(posted); /* the mailbox is closed only after the workers are idle */
}

void ftsi_worker_end(struct fts_replica *replica, struct ftsi_job *job)
{
	(void)replica;
	post_end(job);
}

static void run_job(struct ftsi_job *job)
{
	struct fts_strand *strand = job->worker->strand;
	job->status = job->work(job);
	fts_strand_done(strand, 1); /* before the job is gone */
	post_end(job);
}

static void *run(void *data)
{
	struct ftsi_worker *worker = data;
	for (struct ftsi_job *job = next_job(worker); job != NULL; job = next_job(worker))
		run_job(job);
	return NULL;
}

/* True when there is a thread to do jobs. */
static bool have_thread(struct ftsi_worker *worker)
{
	if (worker->running) return true;
	worker->running = pthread_create(&worker->thread, NULL, run, worker) == 0;
	if (worker->running) pthread_setname_np(worker->thread, worker->name);
	return worker->running;
}

void ftsi_worker_start(struct ftsi_worker *worker, struct ftsi_mailbox *mailbox,
		       const struct ftsi_environment *environment, const char *name, uint32_t longest_ms)
{
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	worker->first = NULL;
	worker->last = &worker->first;
	worker->stopping = false;
	worker->open_count = 0;
	worker->mailbox = mailbox;
	worker->environment = environment;
	worker->name = name;
	worker->strand = environment->submit == NULL ? fts_strand_of(name, longest_ms) : NULL;
	worker->running = false;
	worker->started = true;
}

void ftsi_worker_submit(struct ftsi_worker *worker, struct ftsi_job *job)
{
	job->next = NULL;
	job->worker = worker;
	worker->open_count++;
	if (worker->environment->submit != NULL) {
		worker->environment->submit(worker->environment->ctx, worker, job);
		return;
	}
	fts_strand_add(worker->strand, 1);
	if (!have_thread(worker)) {
		run_job(job); /* slow for the loop, and still right */
		return;
	}
	pthread_mutex_lock(&worker->lock);
	*worker->last = job;
	worker->last = &job->next;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
}

void ftsi_worker_stop(struct ftsi_worker *worker)
{
	if (!worker->started) return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	if (worker->running) pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	worker->started = false;
}
