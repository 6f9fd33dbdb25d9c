/* Why this file exists: group commit: one thread takes all puts that wait, keeps of their records those that are newer
 * than what is stored, and syncs them as one batch; then all of them are done (storage/storage.h).
 *
 * Invariants: a batch is written whole or not at all. Trees change after the batch is on disk, under the lock under
 * which it was compared: a tree never counts what is not stored. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/hints.h"
#include "storage/internal.h"

enum {
	BATCH_BYTES_MAX = 4 * 1024 * 1024,
	BATCH_RECORD_MAX = 8192,
	FORGET_MAX = 4096,
	BACKGROUND_EVERY = 8,
	ROOM_CHECK_MS = 100
};

/* What a record of the batch did to the trees, until it is on disk. Values are not needed: digests are. */
struct change {
	uint32_t partition, leaf;
	uint64_t out, in;
	int live;
};

struct batch {
	struct fts_storage *storage;
	struct fts_txn *txn;
	struct fts_storage_put *first;
	struct ftsi_forget *forgets;
	struct change *changes;
	size_t change_count;
};

void ftsi_storage_writer_init(struct fts_storage *storage)
{
	pthread_mutex_init(&storage->apply_lock, NULL);
	pthread_mutex_init(&storage->queue_lock, NULL);
	pthread_cond_init(&storage->queue_wake, NULL);
	for (int i = 0; i < 2; i++)
		storage->last[i] = &storage->first[i];
}

void ftsi_storage_writer_stop(struct fts_storage *storage)
{
	pthread_mutex_lock(&storage->queue_lock);
	storage->stopping = true;
	pthread_cond_signal(&storage->queue_wake);
	pthread_mutex_unlock(&storage->queue_lock);
}

void ftsi_storage_writer_fini(struct fts_storage *storage)
{
	pthread_cond_destroy(&storage->queue_wake);
	pthread_mutex_destroy(&storage->queue_lock);
	pthread_mutex_destroy(&storage->apply_lock);
}

/* ---- Coming in ---- */

static enum fts_status measure(struct fts_storage_put *put)
{
	put->size_bytes = 0;
	for (size_t i = 0; i < put->count; i++) {
		const struct ftsi_record *record = &put->records[i];
		if (record->key.size_bytes > FTSI_RECORD_KEY_MAX || record->value.size_bytes > FTSI_RECORD_VALUE_MAX)
			return FTS_INVALID_ARGUMENT;
		put->size_bytes += FTSI_RECORD_HEADER_BYTES + record->key.size_bytes + record->value.size_bytes;
	}
	return FTS_OK;
}

/* Called with queue_lock held. A node that stores nothing needs no writer. False: no thread can be made now. */
static bool have_writer(struct fts_storage *storage)
{
	if (storage->writer_runs) return true;
	if (pthread_create(&storage->writer, NULL, ftsi_storage_write_all, storage) != 0) return false;
	pthread_setname_np(storage->writer, "fts-kv-writer");
	storage->writer_runs = true;
	return true;
}

/* RocksDB 7.8 ends the process by an assertion when a write-ahead log meets a full disk and is written on: so nothing
 * is taken long before. The replicated log, which keeps less in reserve, goes on. Called with queue_lock held. */
static bool has_room(struct fts_storage *storage)
{
	struct statvfs disk;
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (storage->room_checked_ns != 0 && now_ns - storage->room_checked_ns < (uint64_t)ROOM_CHECK_MS * 1000000)
		return !storage->disk_full;
	storage->room_checked_ns = now_ns;
	if (statvfs(storage->options.data, &disk) != 0) return !storage->disk_full;
	uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	bool full = free_bytes < FTSI_STORAGE_RESERVE_BYTES;
	if (full && !storage->disk_full)
		FTS_LOG_WARN("storage.disk_full", "free_bytes=%llu", (unsigned long long)free_bytes);
	if (!full && storage->disk_full)
		FTS_LOG_INFO("storage.disk_room", "free_bytes=%llu", (unsigned long long)free_bytes);
	storage->disk_full = full;
	return !full;
}

enum fts_status fts_storage_put(struct fts_storage *storage, struct fts_storage_put *put)
{
	int lane = put->background ? 1 : 0;
	enum fts_status status = measure(put);
	if (status != FTS_OK) return status;
	put->next = NULL;
	pthread_mutex_lock(&storage->queue_lock);
	if (storage->stopping) {
		status = FTS_UNAVAILABLE;
	} else if ((put->count > 0 && !has_room(storage)) ||
		   storage->queue_bytes + put->size_bytes > FTSI_PUT_QUEUE_BYTES_MAX || !have_writer(storage)) {
		status = FTS_RESOURCE_EXHAUSTED;
	} else {
		storage->queue_bytes += put->size_bytes;
		*storage->last[lane] = put;
		storage->last[lane] = &put->next;
		pthread_cond_signal(&storage->queue_wake);
	}
	pthread_mutex_unlock(&storage->queue_lock);
	return status;
}

void fts_storage_forget(struct fts_storage *storage, uint32_t db, struct fts_bytes key, struct ftsi_version version)
{
	struct ftsi_forget *forget = malloc(sizeof *forget + key.size_bytes);
	if (forget == NULL) return; /* the next sweep asks again */
	*forget = (struct ftsi_forget){.db = db, .version = version, .key_size_bytes = key.size_bytes};
	memcpy(forget->key, key.data, key.size_bytes);
	pthread_mutex_lock(&storage->queue_lock);
	bool taken = !storage->stopping && storage->forget_count < FORGET_MAX && have_writer(storage);
	if (taken) {
		forget->next = storage->forgets;
		storage->forgets = forget;
		storage->forget_count++;
		pthread_cond_signal(&storage->queue_wake);
	}
	pthread_mutex_unlock(&storage->queue_lock);
	if (!taken) free(forget);
}

/* ---- Waiting for all of it ---- */

struct mark {
	struct fts_storage_put put; /* first: a put is its mark */
	sem_t passed;
};

static void mark_passed(struct fts_storage_put *put)
{
	(void)sem_post(&((struct mark *)put)->passed);
}

enum fts_status fts_storage_flush(struct fts_storage *storage)
{
	enum fts_status status = FTS_OK;
	for (int lane = 0; lane < 2 && status == FTS_OK; lane++) {
		struct mark mark = {.put = {.background = lane == 1, .done = mark_passed}};
		if (sem_init(&mark.passed, 0, 0) != 0) return FTS_RESOURCE_EXHAUSTED;
		status = fts_storage_put(storage, &mark.put);
		while (status == FTS_OK && sem_wait(&mark.passed) != 0) {
		} /* a signal; the writer always comes to it */
		sem_destroy(&mark.passed);
	}
	return status;
}

/* ---- Choosing a batch ---- */

static int choose_lane(struct fts_storage *storage)
{
	bool background_turn = storage->batches_since_background >= BACKGROUND_EVERY;
	if (storage->first[1] == NULL) return 0;
	return storage->first[0] == NULL || background_turn ? 1 : 0;
}

/* Called with queue_lock held. */
static struct fts_storage_put *take_puts(struct fts_storage *storage)
{
	int lane = choose_lane(storage);
	struct fts_storage_put *first = storage->first[lane], **end = &storage->first[lane];
	size_t size = 0, count = 0;
	while (*end != NULL && (count == 0 || (size + (*end)->size_bytes <= BATCH_BYTES_MAX &&
					       count + (*end)->count <= BATCH_RECORD_MAX))) {
		size += (*end)->size_bytes;
		count += (*end)->count;
		end = &(*end)->next;
	}
	if (end == &storage->first[lane]) return NULL;
	struct fts_storage_put *rest = *end;
	*end = NULL;
	storage->first[lane] = rest;
	if (rest == NULL) storage->last[lane] = &storage->first[lane];
	storage->queue_bytes -= size;
	storage->batches_since_background = lane == 1 ? 0 : storage->batches_since_background + 1;
	return first;
}

/* False: stopped, and nothing is left. */
static bool next_batch(struct fts_storage *storage, struct batch *batch)
{
	pthread_mutex_lock(&storage->queue_lock);
	while (storage->first[0] == NULL && storage->first[1] == NULL && storage->forgets == NULL && !storage->stopping)
		pthread_cond_wait(&storage->queue_wake, &storage->queue_lock);
	*batch = (struct batch){.storage = storage, .first = take_puts(storage), .forgets = storage->forgets};
	storage->forgets = NULL;
	storage->forget_count = 0;
	pthread_mutex_unlock(&storage->queue_lock);
	return batch->first != NULL || batch->forgets != NULL;
}

/* ---- Writing it ---- */

static void note_change(struct batch *batch, const struct ftsi_record *before, const struct ftsi_record *after)
{
	const struct ftsi_record *any = before != NULL ? before : after;
	batch->changes[batch->change_count++] = (struct change){
	    .partition = ftsi_record_partition(any->db, any->key),
	    .leaf = ftsi_record_leaf(any->db, any->key),
	    .out = before == NULL ? 0 : ftsi_record_digest(before),
	    .in = after == NULL ? 0 : ftsi_record_digest(after),
	    .live = (after != NULL && !after->tombstone) - (before != NULL && !before->tombstone),
	};
}

static enum fts_status write_record(struct batch *batch, const struct ftsi_record *record)
{
	struct fts_key key;
	uint8_t header[FTSI_RECORD_HEADER_BYTES];
	ftsi_record_header(record, header);
	return fts_txn_put2(batch->txn, ftsi_record_key(record->db, record->key, &key),
			    (struct fts_bytes){header, sizeof header}, record->value);
}

static enum fts_status put_record(struct batch *batch, const struct ftsi_record *record, bool *existed, uint64_t *newer)
{
	struct fts_storage_found found;
	enum fts_status status = ftsi_storage_get(batch->storage, batch->txn, record->db, record->key, &found);
	bool stands = status == FTS_OK; /* damaged counts as nothing: it is overwritten */
	if (status != FTS_OK && status != FTS_NOT_FOUND && status != FTS_DATA_LOSS) return status;
	if (existed != NULL) *existed = stands && !found.record.tombstone;
	int order = stands ? ftsi_version_compare(record->version, found.record.version) : 1;
	if (newer != NULL) *newer = order < 0 ? found.record.version.time : 0;
	status = FTS_OK;
	if (order > 0) {
		status = write_record(batch, record);
		if (status == FTS_OK) note_change(batch, stands ? &found.record : NULL, record);
	}
	fts_storage_release(&found);
	return status;
}

static enum fts_status forget_one(struct batch *batch, const struct ftsi_forget *forget)
{
	struct fts_key key;
	struct fts_storage_found found;
	struct fts_bytes name = {forget->key, forget->key_size_bytes};
	enum fts_status status = ftsi_storage_get(batch->storage, batch->txn, forget->db, name, &found);
	if (status != FTS_OK) return FTS_OK;
	if (found.record.tombstone && ftsi_version_compare(found.record.version, forget->version) == 0)
		status = fts_txn_delete(batch->txn, ftsi_record_key(forget->db, name, &key));
	fts_storage_release(&found);
	return status;
}

static size_t count_records(const struct batch *batch)
{
	size_t count = 0;
	for (const struct fts_storage_put *put = batch->first; put != NULL; put = put->next)
		count += put->count;
	return count;
}

static enum fts_status fill(struct batch *batch)
{
	enum fts_status status = fts_txn_begin(batch->storage->store, &batch->txn);
	for (struct fts_storage_put *put = batch->first; put != NULL && status == FTS_OK; put = put->next)
		for (size_t i = 0; i < put->count && status == FTS_OK; i++)
			status =
			    put->hint_owner != 0
				? ftsi_hints_put(batch->storage, batch->txn, put->hint_owner, &put->records[i])
				: put_record(batch, &put->records[i], put->existed == NULL ? NULL : &put->existed[i],
					     put->newer == NULL ? NULL : &put->newer[i]);
	for (const struct ftsi_forget *forget = batch->forgets; forget != NULL && status == FTS_OK;
	     forget = forget->next)
		status = forget_one(batch, forget);
	return status;
}

static void count_changes(struct batch *batch)
{
	struct ftsi_tree *tree = &batch->storage->tree;
	pthread_mutex_lock(&tree->lock);
	for (size_t i = 0; i < batch->change_count; i++) {
		const struct change *change = &batch->changes[i];
		tree->leaves[change->partition][change->leaf] += change->in - change->out;
		tree->record_counts[change->partition] += (uint64_t)(int64_t)change->live;
	}
	pthread_mutex_unlock(&tree->lock);
}

static enum fts_status write_batch(struct batch *batch)
{
	struct fts_storage *storage = batch->storage;
	size_t count = count_records(batch);
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	batch->changes = malloc((count + 1) * sizeof *batch->changes);
	pthread_mutex_lock(&storage->apply_lock);
	if (batch->changes != NULL) status = fill(batch);
	if (status == FTS_OK) status = fts_txn_commit(&batch->txn, true);
	fts_txn_abort(batch->txn);
	if (status == FTS_OK) count_changes(batch);
	if (status == FTS_OK && batch->first != NULL && batch->first->background) /* a batch is of one lane */
		atomic_fetch_add(&storage->mended_count, batch->change_count);
	pthread_mutex_unlock(&storage->apply_lock);
	free(batch->changes);
	return status;
}

static void note_writes(struct fts_storage *storage, const struct fts_storage_put *put)
{
	for (size_t i = 0; i < put->count; i++)
		ftsi_taken_note(&storage->taken,
				&(struct ftsi_taken_write){.write_id = put->records[i].write_id,
							   .version = put->records[i].version,
							   .existed = put->existed != NULL && put->existed[i]});
}

static void finish(struct batch *batch, enum fts_status status)
{
	for (struct fts_storage_put *put = batch->first; put != NULL;) {
		struct fts_storage_put *next = put->next;
		if (status == FTS_OK && put->hint_owner == 0) note_writes(batch->storage, put);
		put->status = status;
		put->done(put); /* it is its owner's again */
		put = next;
	}
	for (struct ftsi_forget *forget = batch->forgets; forget != NULL;) {
		struct ftsi_forget *next = forget->next;
		free(forget);
		forget = next;
	}
}

static void tell_failure(struct fts_storage *storage, enum fts_status status)
{
	struct fts_error error;
	(void)fts_error_set(
	    &error, status,
	    status == FTS_DATA_LOSS
		? "%s/kv is damaged (%s): start this node again, and it gets what it keeps from the others"
		: "%s/kv can't be written: %s",
	    storage->options.data, fts_status_name(status));
	FTS_LOG_ERROR("storage.failed", "status=%s", fts_status_name(status));
	if (status == FTS_DATA_LOSS) ftsi_lost_mark_damaged(storage->options.data);
	if (status != FTS_RESOURCE_EXHAUSTED && storage->options.on_fatal != NULL)
		storage->options.on_fatal(storage->options.ctx, &error);
}

void *ftsi_storage_write_all(void *data)
{
	struct fts_storage *storage = data;
	struct batch batch;
	while (next_batch(storage, &batch)) {
		enum fts_status status = write_batch(&batch);
		if (status != FTS_OK) tell_failure(storage, status);
		finish(&batch, status);
	}
	return NULL;
}
