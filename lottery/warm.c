/* Why this file exists: one thread that scans a draw for its winners as soon as it has its number, so that the first
 * who asks need not wait for the scan.
 *
 * Invariant: it only fills what a question would fill; whatever it misses is found when somebody asks. */
#include "lottery/service_internal.h"

#include "base/log.h"

static void *run(void *data);

/* Called with lock held: a node without draws needs no thread for them. */
static bool have_warmer(struct fts_lottery *lottery)
{
	if (lottery->warming || !lottery->may_warm) return lottery->warming;
	lottery->warming = pthread_create(&lottery->warmer, NULL, run, lottery) == 0;
	if (lottery->warming) pthread_setname_np(lottery->warmer, "fts-winners");
	return lottery->warming;
}

void ftsi_warm_note(struct fts_lottery *lottery, const char *draw)
{
	pthread_mutex_lock(&lottery->lock);
	if (have_warmer(lottery)) {
		if (lottery->warm_count == FTSI_WARM_COUNT_MAX) {
			memmove(lottery->warm[0], lottery->warm[1], sizeof lottery->warm - sizeof lottery->warm[0]);
			lottery->warm_count--;
		}
		memcpy(lottery->warm[lottery->warm_count++], draw, strlen(draw) + 1);
	}
	pthread_mutex_unlock(&lottery->lock);
}

void ftsi_warm_written(struct fts_lottery *lottery)
{
	pthread_mutex_lock(&lottery->lock);
	if (lottery->warm_count > 0) {
		lottery->written = true;
		pthread_cond_signal(&lottery->wake);
	}
	pthread_mutex_unlock(&lottery->lock);
}

/* False: not drawn in what is written; try again later. */
static bool warm(struct fts_lottery *lottery, struct fts_replica *replica, const char *name)
{
	struct fts_txn *view = NULL;
	struct ftsi_draw draw = {0};
	bool done = true;
	enum fts_status status = fts_replica_view(replica, &view);
	if (status == FTS_OK) status = ftsi_draw_load(view, name, &draw);
	if (status == FTS_OK) {
		done = draw.state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN;
		if (done) status = ftsi_winners_warm(lottery->winners, view, &draw);
	}
	fts_txn_abort(view);
	if (status != FTS_OK && status != FTS_NOT_FOUND)
		FTS_LOG_WARN("lottery.warm_failed", "draw=%s status=%s", name, fts_status_name(status));
	return done && status != FTS_NOT_FOUND;
}

static void *run(void *data)
{
	struct fts_lottery *lottery = data;
	char name[FTSI_DRAW_NAME_MAX + 1];
	pthread_mutex_lock(&lottery->lock);
	while (lottery->warming) {
		struct fts_replica *replica = lottery->replica;
		if (lottery->warm_count == 0 || !lottery->written) {
			pthread_cond_wait(&lottery->wake, &lottery->lock);
			continue;
		}
		memcpy(name, lottery->warm[--lottery->warm_count], sizeof name);
		lottery->written = lottery->warm_count > 0;
		pthread_mutex_unlock(&lottery->lock);
		if (!warm(lottery, replica, name)) ftsi_warm_note(lottery, name); /* until something is written again */
		pthread_mutex_lock(&lottery->lock);
	}
	pthread_mutex_unlock(&lottery->lock);
	return NULL;
}

void ftsi_warm_start(struct fts_lottery *lottery, struct fts_replica *replica)
{
	pthread_mutex_lock(&lottery->lock);
	lottery->replica = replica;
	lottery->may_warm = true;
	pthread_mutex_unlock(&lottery->lock);
}

void ftsi_warm_stop(struct fts_lottery *lottery)
{
	bool running;
	pthread_mutex_lock(&lottery->lock);
	running = lottery->warming;
	lottery->warming = lottery->may_warm = false;
	lottery->replica = NULL;
	pthread_cond_signal(&lottery->wake);
	pthread_mutex_unlock(&lottery->lock);
	if (running) (void)pthread_join(lottery->warmer, NULL);
}
