/* Why this file exists: group commit: one thread takes all puts that wait, keeps of their records those that are newer
 * than what is stored, and syncs them as one batch; then all of them are done (storage/storage.h). When others wait by
 * then, a second thread tells the callers, so that the next batch does not wait for that.
 *
 * Invariants: a batch is written whole or not at all. Trees change after the batch is on disk, under the lock under
 * which it was compared: a tree never counts what is not stored. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/conn.h"
#include "storage/hints.h"
#include "storage/internal.h"

enum {
	BATCH_BYTES_MAX = 4 * 1024 * 1024,
	BATCH_RECORD_MAX = 8192,
	FORGET_MAX = 4096,
	BACKGROUND_EVERY = 8,
	ANSWER_GROUP = 128,
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
	struct ftsi_standing **touched;
	size_t touched_count;
};

void ftsi_storage_writer_init(struct fts_storage *storage)
{
	pthread_mutex_init(&storage->apply_lock, NULL);
	pthread_mutex_init(&storage->queue_lock, NULL);
	pthread_cond_init(&storage->queue_wake, NULL);
	pthread_mutex_init(&storage->answer_lock, NULL);
	pthread_cond_init(&storage->answer_wake, NULL);
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
	pthread_cond_destroy(&storage->answer_wake);
	pthread_mutex_destroy(&storage->answer_lock);
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

bool fts_storage_is_full(struct fts_storage *storage)
{
	pthread_mutex_lock(&storage->queue_lock);
	bool full = storage->disk_full;
	pthread_mutex_unlock(&storage->queue_lock);
	return full;
}

static void wake_writer(void *ctx)
{
	pthread_cond_signal(&((struct fts_storage *)ctx)->queue_wake);
}

static enum fts_status enter_queue(struct fts_storage *storage, struct fts_storage_put *put)
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
	}
	pthread_mutex_unlock(&storage->queue_lock);
	return status;
}

enum fts_status fts_storage_put(struct fts_storage *storage, struct fts_storage_put *put)
{
	enum fts_status status = enter_queue(storage, put);
	if (status == FTS_OK) ftsi_conn_after_reading(wake_writer, storage); /* puts that come together are one batch */
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
		status = enter_queue(storage, &mark.put);
		wake_writer(storage); /* now: it is waited for here */
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

/* before: what the trees count of it. */
static void note_change(struct batch *batch, const struct ftsi_record *record, const struct ftsi_standing *before,
			const struct ftsi_standing *after)
{
	batch->changes[batch->change_count++] = (struct change){
	    .partition = ftsi_record_partition(record->db, record->key),
	    .leaf = ftsi_record_leaf(record->db, record->key),
	    .out = before->digest,
	    .in = after->digest,
	    .live = after->live - before->live,
	};
}

/* As it is read. Damaged counts as nothing: it is overwritten. */
static enum fts_status fill_in(struct batch *batch, uint32_t db, struct fts_bytes key, struct ftsi_standing *standing)
{
	struct fts_storage_found found;
	enum fts_status status = ftsi_storage_get(batch->storage, batch->txn, db, key, &found);
	if (status == FTS_NOT_FOUND || status == FTS_DATA_LOSS) return FTS_OK;
	if (status != FTS_OK) return status;
	standing->stands = true;
	standing->version = found.record.version;
	standing->digest = ftsi_record_digest(&found.record);
	standing->live = !found.record.tombstone;
	fts_storage_release(&found);
	return FTS_OK;
}

/* What stands under key, which is touched until the batch is over. A failure fails the batch: all is forgotten then. */
static enum fts_status look_at(struct batch *batch, uint32_t db, struct fts_bytes key, struct fts_bytes stored_key,
			       struct ftsi_standing **out_standing)
{
	bool known;
	struct ftsi_standing *standing = ftsi_versions_touch(&batch->storage->versions, stored_key, &known);
	if (standing == NULL) return FTS_RESOURCE_EXHAUSTED;
	batch->touched[batch->touched_count++] = standing;
	*out_standing = standing;
	return known ? FTS_OK : fill_in(batch, db, key, standing);
}

static void write_record(struct batch *batch, const struct ftsi_record *record, struct fts_bytes stored_key,
			 struct ftsi_standing *standing)
{
	uint8_t header[FTSI_RECORD_HEADER_BYTES];
	struct ftsi_standing before = *standing;
	uint64_t checksum = ftsi_record_header(record, header);
	fts_txn_put_unseen(batch->txn, stored_key, (struct fts_bytes){header, sizeof header}, record->value);
	standing->stands = true;
	standing->live = !record->tombstone;
	standing->version = record->version;
	standing->digest = record->tombstone ? 0 : checksum;
	ftsi_versions_set_value(&batch->storage->versions, standing, record->value);
	note_change(batch, record, &before, standing);
}

static enum fts_status put_record(struct batch *batch, const struct ftsi_record *record, bool *existed, uint64_t *newer)
{
	struct fts_key stored;
	struct ftsi_standing *standing;
	struct fts_bytes stored_key = ftsi_record_key(record->db, record->key, &stored);
	enum fts_status status = look_at(batch, record->db, record->key, stored_key, &standing);
	if (status != FTS_OK) return status;
	if (existed != NULL) *existed = standing->live;
	int order = standing->stands ? ftsi_version_compare(record->version, standing->version) : 1;
	if (newer != NULL) *newer = order < 0 ? standing->version.time : 0;
	if (order > 0) write_record(batch, record, stored_key, standing);
	return FTS_OK;
}

static enum fts_status forget_one(struct batch *batch, const struct ftsi_forget *forget)
{
	struct fts_key stored;
	struct ftsi_standing *standing;
	struct fts_bytes key = {forget->key, forget->key_size_bytes};
	struct fts_bytes stored_key = ftsi_record_key(forget->db, key, &stored);
	enum fts_status status = look_at(batch, forget->db, key, stored_key, &standing);
	if (status != FTS_OK) return status;
	if (standing->stands && !standing->live && ftsi_version_compare(standing->version, forget->version) == 0) {
		fts_txn_delete_unseen(batch->txn, stored_key);
		standing->stands = false;
	}
	return FTS_OK;
}

static size_t count_records(const struct batch *batch)
{
	size_t count = 0;
	for (const struct fts_storage_put *put = batch->first; put != NULL; put = put->next)
		count += put->count;
	return count;
}

static size_t count_forgets(const struct batch *batch)
{
	size_t count = 0;
	for (const struct ftsi_forget *forget = batch->forgets; forget != NULL; forget = forget->next)
		count++;
	return count;
}

static enum fts_status fill(struct batch *batch)
{
	struct fts_storage *storage = batch->storage;
	enum fts_status status = fts_txn_begin(storage->store, &batch->txn);
	if (atomic_exchange(&storage->versions_doubted, false)) ftsi_versions_forget_all(&storage->versions);
	for (struct fts_storage_put *put = batch->first; put != NULL && status == FTS_OK; put = put->next)
		for (size_t i = 0; i < put->count && status == FTS_OK; i++)
			status =
			    put->hint_owner != 0
				? ftsi_hints_put(storage, batch->txn, put->hint_owner, &put->records[i],
						 &put->hint_dropped)
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

/* It is on disk, or nobody knows what of it. */
static void end_touch(struct batch *batch, bool written)
{
	struct ftsi_versions *versions = &batch->storage->versions;
	for (size_t i = 0; i < batch->touched_count && written; i++)
		ftsi_versions_let_go(versions, batch->touched[i]);
	if (!written) ftsi_versions_forget_all(versions);
}

static enum fts_status write_batch(struct batch *batch)
{
	struct fts_storage *storage = batch->storage;
	size_t count = count_records(batch);
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	batch->changes = malloc((count + 1) * sizeof *batch->changes);
	batch->touched = malloc((count + count_forgets(batch) + 1) * sizeof *batch->touched);
	pthread_mutex_lock(&storage->apply_lock);
	if (batch->changes != NULL && batch->touched != NULL) status = fill(batch);
	if (status == FTS_OK) status = fts_txn_commit(&batch->txn, true);
	fts_txn_abort(batch->txn);
	if (status == FTS_OK) count_changes(batch);
	end_touch(batch, status == FTS_OK);
	if (status == FTS_OK && batch->first != NULL && batch->first->background) /* a batch is of one lane */
		atomic_fetch_add(&storage->mended_count, batch->change_count);
	pthread_mutex_unlock(&storage->apply_lock);
	free(batch->touched);
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

/* Callers are told in groups: one write a connection for each (rpc/conn.h). */
static void answer_all(struct fts_storage *storage, struct fts_storage_put *first, enum fts_status status)
{
	while (first != NULL) {
		ftsi_conn_gather_begin();
		for (size_t i = 0; i < ANSWER_GROUP && first != NULL; i++) {
			struct fts_storage_put *next = first->next;
			if (status == FTS_OK && first->hint_owner == 0) note_writes(storage, first);
			first->status = status;
			first->done(first); /* it is its owner's again */
			first = next;
		}
		ftsi_conn_gather_end();
	}
}

static void free_forgets(struct batch *batch)
{
	for (struct ftsi_forget *forget = batch->forgets; forget != NULL;) {
		struct ftsi_forget *next = forget->next;
		free(forget);
		forget = next;
	}
}

/* ---- Answering while the next batch is written ---- */

static void *answer_handed_over(void *data)
{
	struct fts_storage *storage = data;
	pthread_mutex_lock(&storage->answer_lock);
	while (storage->answers != NULL || !storage->answers_end) {
		struct fts_storage_put *first = storage->answers;
		if (first == NULL) {
			pthread_cond_wait(&storage->answer_wake, &storage->answer_lock);
			continue;
		}
		storage->answers = NULL;
		pthread_mutex_unlock(&storage->answer_lock);
		answer_all(storage, first, FTS_OK);
		pthread_mutex_lock(&storage->answer_lock);
	}
	pthread_mutex_unlock(&storage->answer_lock);
	return NULL;
}

static bool is_waited_for(struct fts_storage *storage)
{
	pthread_mutex_lock(&storage->queue_lock);
	bool waited_for = storage->first[0] != NULL || storage->first[1] != NULL;
	pthread_mutex_unlock(&storage->queue_lock);
	return waited_for;
}

/* To the other thread, when there is something else to write meanwhile and no batch is left there. */
static bool hand_over(struct fts_storage *storage, struct fts_storage_put *first)
{
	if (first == NULL || !is_waited_for(storage)) return false;
	pthread_mutex_lock(&storage->answer_lock);
	if (!storage->answerer_runs && pthread_create(&storage->answerer, NULL, answer_handed_over, storage) == 0) {
		pthread_setname_np(storage->answerer, "fts-kv-answers");
		storage->answerer_runs = true;
	}
	bool taken = storage->answerer_runs && storage->answers == NULL;
	if (taken) {
		storage->answers = first;
		pthread_cond_signal(&storage->answer_wake);
	}
	pthread_mutex_unlock(&storage->answer_lock);
	return taken;
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

static void end_answers(struct fts_storage *storage)
{
	pthread_mutex_lock(&storage->answer_lock);
	storage->answers_end = true;
	pthread_cond_signal(&storage->answer_wake);
	pthread_mutex_unlock(&storage->answer_lock);
	if (storage->answerer_runs) pthread_join(storage->answerer, NULL);
}

void *ftsi_storage_write_all(void *data)
{
	struct fts_storage *storage = data;
	struct batch batch;
	while (next_batch(storage, &batch)) {
		enum fts_status status = write_batch(&batch);
		if (status != FTS_OK) tell_failure(storage, status);
		free_forgets(&batch);
		if (status != FTS_OK || !hand_over(storage, batch.first)) answer_all(storage, batch.first, status);
	}
	end_answers(storage);
	return NULL;
}
