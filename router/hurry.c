/* Why this file exists: see router/hurry.h. They come in the order in which they are due: a list is enough. */
#include "router/hurry.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

struct ftsi_hurries {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ftsi_hurry *first, **last; /* guarded by lock, as all below */
	bool stopping, running;
	pthread_t thread; /* made for the first look */
};

/* Called with the lock held; returns with it. NULL: stopped, and nothing is left. */
static struct ftsi_hurry *next_due(struct ftsi_hurries *hurries)
{
	for (;;) {
		struct ftsi_hurry *first = hurries->first;
		uint64_t now_ns = fts_clock_monotonic_ns();
		if (first == NULL && hurries->stopping) return NULL;
		if (first != NULL && (hurries->stopping || first->due_ns <= now_ns)) {
			hurries->first = first->next;
			if (hurries->first == NULL) hurries->last = &hurries->first;
			return first;
		}
		if (first == NULL) {
			pthread_cond_wait(&hurries->wake, &hurries->lock);
			continue;
		}
		struct timespec until = {.tv_sec = (time_t)(first->due_ns / 1000000000),
					 .tv_nsec = (long)(first->due_ns % 1000000000)};
		(void)pthread_cond_timedwait(&hurries->wake, &hurries->lock, &until);
	}
}

static void *look_at_all(void *data)
{
	struct ftsi_hurries *hurries = data;
	struct ftsi_hurry *due;
	pthread_mutex_lock(&hurries->lock);
	while ((due = next_due(hurries)) != NULL) {
		pthread_mutex_unlock(&hurries->lock);
		due->look(due);
		pthread_mutex_lock(&hurries->lock);
	}
	pthread_mutex_unlock(&hurries->lock);
	return NULL;
}

struct ftsi_hurries *ftsi_hurries_create(void)
{
	struct ftsi_hurries *hurries = calloc(1, sizeof *hurries);
	pthread_condattr_t attributes;
	if (hurries == NULL) return NULL;
	hurries->last = &hurries->first;
	pthread_mutex_init(&hurries->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&hurries->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return hurries;
}

/* Called with the lock held. No thread can be made now: the next that is added tries again; until then nobody asks
 * twice and what is asked ends by its time limit. */
static void have_thread(struct ftsi_hurries *hurries)
{
	if (hurries->running || pthread_create(&hurries->thread, NULL, look_at_all, hurries) != 0) return;
	pthread_setname_np(hurries->thread, "fts-kv-hurry");
	hurries->running = true;
}

void ftsi_hurry_add(struct ftsi_hurries *hurries, struct ftsi_hurry *hurry)
{
	hurry->next = NULL;
	hurry->due_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), FTSI_HURRY_MS);
	pthread_mutex_lock(&hurries->lock);
	bool was_empty = hurries->first == NULL;
	have_thread(hurries);
	*hurries->last = hurry;
	hurries->last = &hurry->next;
	if (was_empty) pthread_cond_signal(&hurries->wake);
	pthread_mutex_unlock(&hurries->lock);
}

void ftsi_hurries_destroy(struct ftsi_hurries *hurries)
{
	if (hurries == NULL) return;
	pthread_mutex_lock(&hurries->lock);
	hurries->stopping = true;
	pthread_cond_signal(&hurries->wake);
	pthread_mutex_unlock(&hurries->lock);
	if (hurries->running)
		pthread_join(hurries->thread, NULL);
	else
		(void)look_at_all(hurries);
	pthread_cond_destroy(&hurries->wake);
	pthread_mutex_destroy(&hurries->lock);
	free(hurries);
}
