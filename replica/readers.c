/* Why this file exists: a few threads that run reads, so that a long one delays neither the loop nor other callers.
 * All but the first are made when a read finds none idle: an idle node has few threads. */
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

static void *run(void *data)
{
	struct fts_replica *replica = data;
	for (struct ftsi_read_job *job = next_job(&replica->readers); job != NULL; job = next_job(&replica->readers))
		ftsi_read_run(replica, job);
	return NULL;
}

/* Called with lock held. */
static int start_one(struct fts_replica *replica)
{
	struct ftsi_readers *readers = &replica->readers;
	pthread_t *thread = &readers->threads[readers->started_count];
	if (pthread_create(thread, NULL, run, replica) != 0) return -1;
	pthread_setname_np(*thread, "fts-reader");
	readers->started_count++;
	return 0;
}

int ftsi_readers_start(struct fts_replica *replica)
{
	pthread_mutex_lock(&replica->readers.lock);
	int result = start_one(replica);
	pthread_mutex_unlock(&replica->readers.lock);
	return result;
}

void ftsi_readers_give(struct fts_replica *replica, struct ftsi_read_job *job)
{
	struct ftsi_readers *readers = &replica->readers;
	job->next = NULL;
	pthread_mutex_lock(&readers->lock);
	*readers->waiting.last = job;
	readers->waiting.last = &job->next;
	readers->waiting.count++;
	if (!readers->stopping && readers->idle_count < readers->waiting.count &&
	    readers->started_count < FTSI_READER_COUNT)
		(void)start_one(replica); /* without it the first one does the work */
	pthread_cond_signal(&readers->wake);
	pthread_mutex_unlock(&readers->lock);
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
