/* Why this file exists: copies of the state to read from while it goes on: RocksDB checkpoints, made of hard links by
 * the state worker, so that the loop never waits for one.
 *
 * Invariants: a copy that nobody asked for within COPY_IDLE_NS is removed, and so is each at start and at the end; at
 * most FTSI_COPY_COUNT_MAX exist. Several members that lag share one. One of a state that was doubted later is given to
 * nobody any more: what is wrong there must not spread. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/archive.h"
#include "base/assert.h"
#include "base/directory.h"
#include "base/log.h"
#include "replica/state_internal.h"

#define COPY_IDLE_NS ((uint64_t)30 * 1000000000u)
#define COPY_AGAIN_NS ((uint64_t)1000 * 1000000u) /* after one that failed: a disk may be full */

/* ---- Making one: any thread but the loop ---- */

static enum fts_status look_how_far(const char *dir, struct ftsi_applied *out_applied)
{
	const struct fts_store_options options = {.read_only = true};
	struct fts_store *store = NULL;
	struct fts_txn *view = NULL;
	struct fts_error error = {0};
	enum fts_status status = fts_store_open(dir, &options, &store, &error);
	if (status == FTS_OK) status = fts_store_view(store, &view);
	if (status == FTS_OK) status = ftsi_applied_read(view, out_applied);
	if (status == FTS_NOT_FOUND) status = FTS_FAILED_PRECONDITION; /* nothing was ever applied */
	fts_txn_abort(view);
	fts_store_close(store);
	return status;
}

enum fts_status ftsi_copy_make(struct fts_store *store, const char *dir, struct ftsi_applied *out_applied)
{
	enum fts_status status = fts_store_checkpoint(store, dir);
	if (status == FTS_OK) status = look_how_far(dir, out_applied);
	return status;
}

/* ---- Removing ---- */

struct removal {
	struct ftsi_job job; /* first */
	char dir[FTSI_STATE_PATH_BYTES];
};

static enum fts_status removal_work(struct ftsi_job *job)
{
	return fts_directory_remove(((struct removal *)(void *)job)->dir) == 0 ? FTS_OK : FTS_INTERNAL;
}

static void removal_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	if (status != FTS_OK)
		FTS_LOG_WARN("replica.leftover", "node=%s dir=%s", replica->name, ((struct removal *)(void *)job)->dir);
	free(job);
}

static void drop(struct fts_replica *replica, struct ftsi_copy *copy)
{
	struct removal *removal = calloc(1, sizeof *removal);
	if (removal == NULL) return; /* tried again at the next tick */
	memcpy(removal->dir, copy->dir, sizeof removal->dir);
	removal->job.work = removal_work;
	removal->job.done = removal_done;
	free(copy->files);
	*copy = (struct ftsi_copy){0};
	ftsi_worker_submit(&replica->state_worker, &removal->job);
}

static bool has_streams(const struct ftsi_state *keeper, const struct ftsi_copy *copy)
{
	for (unsigned i = 0; i < FTSI_STREAM_COUNT_MAX; i++)
		if (keeper->streams[i].to != 0 && keeper->streams[i].copy == copy) return true;
	return copy->reading_count > 0;
}

/* ---- Making one: on the loop ---- */

struct copy_job {
	struct ftsi_job job;     /* first */
	struct fts_store *store; /* held */
	char outgoing[FTSI_STATE_PATH_BYTES];
	struct ftsi_copy made;
	uint64_t began_ns;
};

static enum fts_status list_files(struct ftsi_copy *made)
{
	struct fts_archive archive = {0};
	enum fts_status status = fts_archive_scan(&archive, made->dir);
	if (status != FTS_OK) return status;
	made->files = archive.files;
	made->file_count = archive.file_count;
	made->total_bytes = 0;
	for (uint32_t i = 0; i < made->file_count; i++)
		made->total_bytes += made->files[i].size_bytes;
	return FTS_OK;
}

static enum fts_status copy_work(struct ftsi_job *job)
{
	struct copy_job *copy = (struct copy_job *)(void *)job;
	struct ftsi_applied applied = {0};
	enum fts_status status;
	if (mkdir(copy->outgoing, 0700) != 0 && errno != EEXIST) return FTS_INTERNAL;
	status = ftsi_copy_make(copy->store, copy->made.dir, &applied);
	if (status == FTS_OK) status = list_files(&copy->made);
	if (status != FTS_OK) (void)fts_directory_remove(copy->made.dir);
	copy->made.applied_index = applied.index;
	return status;
}

static struct ftsi_copy *free_place(struct ftsi_state *keeper)
{
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++)
		if (keeper->copies[i].name[0] == 0) return &keeper->copies[i];
	return NULL;
}

/* The copy asked for longest ago makes room, unless somebody reads it: a member whose log was cut again while it took
 * one must not wait for the next until that has aged. */
static bool make_place(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_copy *oldest = NULL;
	if (free_place(keeper) != NULL) return true;
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++) {
		struct ftsi_copy *copy = &keeper->copies[i];
		if (!has_streams(keeper, copy) && (oldest == NULL || copy->used_ns < oldest->used_ns)) oldest = copy;
	}
	if (oldest != NULL) drop(replica, oldest);
	return free_place(keeper) != NULL;
}

static void copy_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct copy_job *copy = (struct copy_job *)(void *)job;
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_copy *place = free_place(keeper);
	keeper->copy_running = false;
	if (status == FTS_OK && place != NULL) {
		*place = copy->made;
		place->ready = true;
		place->used_ns = place->made_ns = replica->now_ns;
		place->disowned = atomic_load(&replica->doubted) || copy->store != replica->state;
		FTS_LOG_INFO("replica.state_copied", "node=%s copy=%s index=%" PRIu64 " bytes=%" PRIu64, replica->name,
			     place->name, place->applied_index, place->total_bytes);
	} else {
		keeper->copy_failed_ns = replica->now_ns;
		FTS_LOG_WARN("replica.copy_failed", "node=%s status=%s", replica->name, fts_status_name(status));
		free(copy->made.files);
	}
	fts_store_close(copy->store);
	free(copy);
}

static void begin_copy(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct copy_job *copy;
	if (keeper->copy_running || keeper->stopping ||
	    (keeper->copy_failed_ns != 0 && replica->now_ns - keeper->copy_failed_ns < COPY_AGAIN_NS))
		return;
	if (!make_place(replica) || (copy = calloc(1, sizeof *copy)) == NULL) return; /* asked again soon */
	copy->store = replica->state;
	fts_store_hold(copy->store);
	(void)snprintf(copy->outgoing, sizeof copy->outgoing, "%s/outgoing", replica->data);
	(void)snprintf(copy->made.name, sizeof copy->made.name, "%016" PRIx64 "-%" PRIu64 "-%" PRIu64,
		       replica->identity.node_id, (uint64_t)atomic_load(&replica->applied_index),
		       ++keeper->copy_counter);
	(void)snprintf(copy->made.dir, sizeof copy->made.dir, "%.3900s/%s", copy->outgoing, copy->made.name);
	copy->job.work = copy_work;
	copy->job.done = copy_done;
	keeper->copy_running = true;
	ftsi_worker_submit(&replica->state_worker, &copy->job);
}

/* ---- Finding one ---- */

static bool is_given(const struct ftsi_copy *copy)
{
	return copy->ready && !copy->disowned;
}

struct ftsi_copy *ftsi_copy_find(struct fts_replica *replica, uint64_t index, uint64_t age_max_ns)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_copy *best = NULL;
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++) {
		struct ftsi_copy *copy = &keeper->copies[i];
		if (!is_given(copy) || copy->applied_index < index || replica->now_ns - copy->made_ns > age_max_ns)
			continue;
		if (best == NULL || copy->applied_index > best->applied_index) best = copy;
	}
	if (best == NULL)
		begin_copy(replica);
	else
		best->used_ns = replica->now_ns;
	return best;
}

struct ftsi_copy *ftsi_copy_named(struct fts_replica *replica, struct fts_bytes name)
{
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++) {
		struct ftsi_copy *copy = &replica->keeper->copies[i];
		if (is_given(copy) && strlen(copy->name) == name.size_bytes &&
		    memcmp(copy->name, name.data, name.size_bytes) == 0)
			return copy;
	}
	return NULL;
}

void ftsi_copies_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_state *keeper = replica->keeper;
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++) {
		struct ftsi_copy *copy = &keeper->copies[i];
		if (copy->name[0] == 0 || has_streams(keeper, copy)) continue;
		if (copy->disowned || now_ns - copy->used_ns > COPY_IDLE_NS) drop(replica, copy);
	}
}

void ftsi_copies_disown(struct fts_replica *replica)
{
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++)
		replica->keeper->copies[i].disowned = true;
}

void ftsi_copies_drop(struct fts_replica *replica)
{
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++) {
		struct ftsi_copy *copy = &replica->keeper->copies[i];
		if (copy->name[0] != 0) (void)fts_directory_remove(copy->dir);
		free(copy->files);
		*copy = (struct ftsi_copy){0};
	}
}

/* ---- Asked from other threads ---- */

enum fts_status fts_replica_copy_state(struct fts_replica *replica, const char *dir, uint64_t *out_index,
				       struct fts_error *out_error)
{
	struct ftsi_applied applied = {0};
	struct fts_store *store;
	enum fts_status status;
	if (!ftsi_state_may_serve(replica)) return fts_error_set(out_error, FTS_UNAVAILABLE, "%s", ftsi_state_refusal);
	pthread_mutex_lock(&replica->state_lock);
	store = replica->state;
	fts_store_hold(store);
	pthread_mutex_unlock(&replica->state_lock);
	status = ftsi_copy_make(store, dir, &applied);
	fts_store_close(store);
	if (status == FTS_FAILED_PRECONDITION)
		return fts_error_set(out_error, status, "there is nothing in the state yet");
	if (status != FTS_OK)
		return fts_error_set(out_error, status, "the state can't be copied: %s", fts_status_name(status));
	*out_index = applied.index;
	return FTS_OK;
}
