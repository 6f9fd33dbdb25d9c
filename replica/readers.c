/* Why this file exists: a few threads that run reads, so that a long one delays neither the loop nor other callers.
 * Each is made when a read finds none idle: an idle node has few threads. */
#include "base/progress.h"
#include "replica/internal.h"

static struct ftsi_read_job *next_job(struct ftsi_readers *readers)
{
	struct ftsi_read_job *job;
	pthread_mutex_lock(&readers->lock);
	readers->idle_count++;
	while (readers->waiting.first == NULL && !readers->stopping)
		pthread_cond_wait(&readers->wake, &readers->lock);
	readers->idle_count--;
	job = readers->waiting.first;
	if (job != NULL) {
		readers->waiting.first = job->next;
		readers->waiting.count--;
		if (readers->waiting.first == NULL) readers->waiting.last = &readers->waiting.first;
	}
	pthread_mutex_unlock(&readers->lock);
	return job;
}

static void run_counted(struct fts_replica *replica, struct ftsi_read_job *job)
{
	ftsi_read_run(replica, job);
	fts_strand_done(replica->readers.strand, 1);
}

static void *run(void *data)
{
	struct fts_replica *replica = data;
	for (struct ftsi_read_job *job = next_job(&replica->readers); job != NULL; job = next_job(&replica->readers))
		run_counted(replica, job);
	return NULL;
}

/* True when somebody will take one more read than are waiting, and more of them. Called with lock held. */
static bool have_reader(struct fts_replica *replica, uint32_t more)
{
	struct ftsi_readers *readers = &replica->readers;
	pthread_t *thread = &readers->threads[readers->started_count];
	if (readers->stopping) return false; /* they may have ended: nobody would take it */
	if (readers->idle_count > readers->waiting.count + more || readers->started_count == FTSI_READER_COUNT)
		return true;
	if (pthread_create(thread, NULL, run, replica) != 0) return readers->started_count > 0;
	pthread_setname_np(*thread, "fts-reader");
	readers->started_count++;
	return true;
}

void ftsi_readers_give_all(struct fts_replica *replica, struct ftsi_read_job *first)
{
	struct ftsi_readers *readers = &replica->readers;
	struct ftsi_read_job *last = first;
	uint32_t count = 1;
	bool taken = false;
	if (first == NULL) return;
	for (; last->next != NULL; last = last->next)
		count++;
	pthread_mutex_lock(&readers->lock);
	/* In a stepped replica there are no threads. */
	for (uint32_t i = 0; i < count && i < FTSI_READER_COUNT && !replica->environment->stepped; i++)
		taken = have_reader(replica, i) || taken;
	if (taken) {
		*readers->waiting.last = first;
		readers->waiting.last = &last->next;
		readers->waiting.count += count;
		fts_strand_add(readers->strand, count);
		if (count == 1)
			pthread_cond_signal(&readers->wake);
		else
			pthread_cond_broadcast(&readers->wake);
	}
	pthread_mutex_unlock(&readers->lock);
	if (!taken) ftsi_read_run_all(replica, first); /* slow for who gave them, and still right */
}

void ftsi_readers_give(struct fts_replica *replica, struct ftsi_read_job *job)
{
	job->next = NULL;
	ftsi_readers_give_all(replica, job);
}

void ftsi_readers_stop(struct fts_replica *replica)
{
	struct ftsi_readers *readers = &replica->readers;
	pthread_mutex_lock(&readers->lock);
	readers->stopping = true;
	pthread_cond_broadcast(&readers->wake);
	pthread_mutex_unlock(&readers->lock);
	for (; readers->started_count > 0; readers->started_count--)
		pthread_join(readers->threads[readers->started_count - 1], NULL);
}
