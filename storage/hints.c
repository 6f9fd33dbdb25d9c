/* Why this file exists: see storage/hints.h, which has the table of the byte format. */
#include "storage/hints.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/internal.h"

enum { KEPT_BYTES = 8 };

void ftsi_hints_init(struct ftsi_hints *hints)
{
	memset(hints, 0, sizeof *hints);
	hints->bytes_max = FTSI_HINT_BYTES_MAX;
	pthread_mutex_init(&hints->lock, NULL);
}

void ftsi_hints_fini(struct ftsi_hints *hints)
{
	pthread_mutex_destroy(&hints->lock);
}

static struct fts_bytes hint_key(uint64_t owner, uint32_t db, struct fts_bytes key, struct fts_key *out_key)
{
	fts_key_begin(out_key, FTSI_TABLE_HINT);
	fts_key_u64(out_key, owner);
	fts_key_u32(out_key, ftsi_record_partition(db, key));
	fts_key_u32(out_key, db);
	fts_key_text(out_key, key.data, key.size_bytes);
	return fts_key_bytes(out_key);
}

/* key_text: FTSI_RECORD_KEY_MAX. */
static enum fts_status read_hint(struct fts_bytes stored_key, struct fts_bytes value, uint8_t *key_text,
				 struct fts_hint *out_hint)
{
	struct fts_bytes at = {stored_key.data + 2, stored_key.size_bytes - 2};
	uint32_t partition;
	uint64_t kept;
	size_t size;
	if (stored_key.size_bytes < 2 || fts_key_read_u64(&at, &out_hint->owner) != 0 ||
	    fts_key_read_u32(&at, &partition) != 0 || fts_key_read_u32(&at, &out_hint->record.db) != 0 ||
	    fts_key_read_text(&at, (char *)key_text, FTSI_RECORD_KEY_MAX, &size) != 0 || value.size_bytes < KEPT_BYTES)
		return FTS_DATA_LOSS;
	memcpy(&kept, value.data, sizeof kept);
	out_hint->kept_ms = (int64_t)__builtin_bswap64(kept);
	out_hint->record.key = (struct fts_bytes){key_text, size};
	return ftsi_record_read((struct fts_bytes){value.data + KEPT_BYTES, value.size_bytes - KEPT_BYTES},
				&out_hint->record);
}

/* ---- Counting ---- */

static void count_one(struct ftsi_hints *hints, uint32_t partition, uint64_t size_bytes, int sign)
{
	pthread_mutex_lock(&hints->lock);
	hints->bytes += sign > 0 ? size_bytes : (hints->bytes < size_bytes ? -hints->bytes : -size_bytes);
	hints->count += sign > 0 ? 1 : (hints->count == 0 ? 0 : (uint64_t)-1);
	hints->counts[partition] += sign > 0 ? 1 : (hints->counts[partition] == 0 ? 0 : (uint32_t)-1);
	pthread_mutex_unlock(&hints->lock);
}

static bool has_room(struct ftsi_hints *hints, uint64_t size_bytes)
{
	pthread_mutex_lock(&hints->lock);
	bool room = hints->bytes + size_bytes <= hints->bytes_max;
	pthread_mutex_unlock(&hints->lock);
	return room;
}

static void mark(struct ftsi_hints *hints, uint32_t partition)
{
	pthread_mutex_lock(&hints->lock);
	bool told = hints->wants_repair[partition];
	hints->wants_repair[partition] = true;
	hints->dropped_count++;
	pthread_mutex_unlock(&hints->lock);
	if (!told) FTS_LOG_WARN("kv.hint_dropped", "partition=%u", partition);
}

static uint64_t size_of(struct fts_bytes stored_key, size_t value_size_bytes)
{
	return stored_key.size_bytes + value_size_bytes;
}

enum fts_status ftsi_hints_count(struct fts_storage *storage)
{
	struct fts_key prefix;
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	enum fts_status status = fts_store_view(storage->store, &view);
	if (status != FTS_OK) return status;
	fts_key_begin(&prefix, FTSI_TABLE_HINT);
	status = fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){0}, &cursor);
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &value)) {
		struct fts_bytes at = {key.data + 10, key.size_bytes - 10};
		uint32_t partition;
		if (key.size_bytes >= 14 && fts_key_read_u32(&at, &partition) == 0 && partition < FTSI_PARTITION_COUNT)
			count_one(&storage->hints, partition, size_of(key, value.size_bytes), 1);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	return status;
}

/* ---- Keeping ---- */

/* OK: there is a hint, of this version and size. */
static enum fts_status look(struct fts_txn *txn, struct fts_bytes stored_key, struct ftsi_version *out_version,
			    size_t *out_size_bytes)
{
	uint8_t key_text[FTSI_RECORD_KEY_MAX];
	struct fts_value pinned = {0};
	struct fts_hint hint = {0};
	enum fts_status status = fts_txn_get(txn, stored_key, &pinned);
	if (status != FTS_OK) return status;
	status = read_hint(stored_key, (struct fts_bytes){pinned.data, pinned.size_bytes}, key_text, &hint);
	*out_version = status == FTS_OK ? hint.record.version : (struct ftsi_version){0};
	*out_size_bytes = pinned.size_bytes;
	fts_value_release(&pinned);
	return FTS_OK;
}

enum fts_status ftsi_hints_put(struct fts_storage *storage, struct fts_txn *txn, uint64_t owner,
			       const struct ftsi_record *record, bool *out_dropped)
{
	uint8_t head[KEPT_BYTES + FTSI_RECORD_HEADER_BYTES];
	struct fts_key key;
	struct ftsi_version stands;
	size_t stands_bytes;
	uint32_t partition = ftsi_record_partition(record->db, record->key);
	struct fts_bytes stored = hint_key(owner, record->db, record->key, &key);
	uint64_t kept = __builtin_bswap64((uint64_t)fts_clock_wall_ms());
	enum fts_status status = look(txn, stored, &stands, &stands_bytes);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return status;
	bool is_new = status == FTS_NOT_FOUND;
	if (!is_new && ftsi_version_compare(record->version, stands) <= 0) return FTS_OK;
	if (!has_room(&storage->hints, size_of(stored, sizeof head + record->value.size_bytes))) {
		mark(&storage->hints, partition);
		*out_dropped = true;
		return FTS_OK;
	}
	memcpy(head, &kept, sizeof kept);
	ftsi_record_header(record, head + KEPT_BYTES);
	status = fts_txn_put2(txn, stored, (struct fts_bytes){head, sizeof head}, record->value);
	if (status != FTS_OK) return status;
	if (!is_new) count_one(&storage->hints, partition, size_of(stored, stands_bytes), -1);
	count_one(&storage->hints, partition, size_of(stored, sizeof head + record->value.size_bytes), 1);
	return FTS_OK;
}

/* ---- Reading ---- */

static enum fts_status visit_all(struct fts_storage *storage, struct fts_txn *view, const struct fts_key *prefix,
				 struct fts_bytes after, fts_hint_visit_fn visit, void *ctx)
{
	uint8_t key_text[FTSI_RECORD_KEY_MAX];
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	enum fts_status status = fts_txn_scan(view, fts_key_bytes(prefix), after, &cursor);
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &value)) {
		struct fts_hint hint = {0};
		if (after.size_bytes == key.size_bytes && memcmp(after.data, key.data, key.size_bytes) == 0) continue;
		if (read_hint(key, value, key_text, &hint) != FTS_OK) {
			if (hint.record.key.data != NULL)
				mark(&storage->hints, ftsi_record_partition(hint.record.db, hint.record.key));
			continue;
		}
		if (!visit(ctx, &hint, key)) break;
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status fts_hints_visit(struct fts_storage *storage, uint64_t owner, struct fts_bytes after,
				fts_hint_visit_fn visit, void *ctx)
{
	struct fts_key prefix;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(storage->store, &view);
	fts_key_begin(&prefix, FTSI_TABLE_HINT);
	if (owner != 0) fts_key_u64(&prefix, owner);
	if (status == FTS_OK) status = visit_all(storage, view, &prefix, after, visit, ctx);
	fts_txn_abort(view);
	return status;
}

enum fts_status fts_hints_read(struct fts_storage *storage, const uint64_t *owners, size_t owner_count, uint32_t db,
			       struct fts_bytes key, struct fts_storage_found *out_found)
{
	uint8_t key_text[FTSI_RECORD_KEY_MAX];
	struct fts_txn *view = NULL;
	bool any = false;
	enum fts_status status = fts_store_view(storage->store, &view);
	for (size_t i = 0; i < owner_count && status == FTS_OK; i++) {
		struct fts_key stored;
		struct fts_value pinned = {0};
		struct fts_hint hint = {0};
		struct fts_bytes at = hint_key(owners[i], db, key, &stored);
		if (fts_txn_get(view, at, &pinned) != FTS_OK) continue;
		bool good =
		    read_hint(at, (struct fts_bytes){pinned.data, pinned.size_bytes}, key_text, &hint) == FTS_OK;
		if (!good || (any && ftsi_version_compare(hint.record.version, out_found->record.version) <= 0)) {
			fts_value_release(&pinned);
			continue;
		}
		if (any) fts_storage_release(out_found);
		*out_found = (struct fts_storage_found){.record = hint.record, .pinned = pinned};
		out_found->record.key = key;
		any = true;
	}
	fts_txn_abort(view);
	if (status != FTS_OK) return status;
	return any ? FTS_OK : FTS_NOT_FOUND;
}

enum fts_status fts_hints_remove(struct fts_storage *storage, uint64_t owner, uint32_t db, struct fts_bytes key,
				 struct ftsi_version version)
{
	struct fts_key stored;
	struct fts_txn *txn = NULL;
	struct ftsi_version stands;
	size_t size_bytes = 0;
	struct fts_bytes at = hint_key(owner, db, key, &stored);
	pthread_mutex_lock(&storage->apply_lock); /* no newer one comes in between */
	enum fts_status status = fts_txn_begin(storage->store, &txn);
	if (status == FTS_OK) status = look(txn, at, &stands, &size_bytes);
	bool same = status == FTS_OK && ftsi_version_compare(stands, version) <= 0;
	if (same) status = fts_txn_delete(txn, at);
	if (same && status == FTS_OK) status = fts_txn_commit(&txn, false);
	fts_txn_abort(txn);
	if (same && status == FTS_OK)
		count_one(&storage->hints, ftsi_record_partition(db, key), size_of(at, size_bytes), -1);
	pthread_mutex_unlock(&storage->apply_lock);
	return status == FTS_NOT_FOUND ? FTS_OK : status;
}

enum fts_status fts_hints_drop(struct fts_storage *storage, uint64_t owner, uint32_t db, struct fts_bytes key,
			       struct ftsi_version version)
{
	mark(&storage->hints, ftsi_record_partition(db, key));
	return fts_hints_remove(storage, owner, db, key, version);
}

/* ---- How many ---- */

uint64_t fts_hints_count(struct fts_storage *storage)
{
	pthread_mutex_lock(&storage->hints.lock);
	uint64_t count = storage->hints.count;
	pthread_mutex_unlock(&storage->hints.lock);
	return count;
}

void fts_hints_measure(struct fts_storage *storage, uint64_t *out_bytes, uint64_t *out_dropped_count)
{
	pthread_mutex_lock(&storage->hints.lock);
	*out_bytes = storage->hints.bytes;
	*out_dropped_count = storage->hints.dropped_count;
	pthread_mutex_unlock(&storage->hints.lock);
}

static bool take_older(void *ctx, const struct fts_hint *hint, struct fts_bytes stored_key)
{
	uint64_t *oldest = ctx;
	(void)stored_key;
	if (*oldest == 0 || hint->record.version.time < *oldest) *oldest = hint->record.version.time;
	return true;
}

/* The owner behind *owner for whom there are hints. NOT_FOUND: none. */
static enum fts_status next_owner(struct fts_txn *view, uint64_t *owner)
{
	struct fts_key prefix, from;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	if (*owner == UINT64_MAX) return FTS_NOT_FOUND;
	fts_key_begin(&prefix, FTSI_TABLE_HINT);
	fts_key_begin(&from, FTSI_TABLE_HINT);
	fts_key_u64(&from, *owner + 1);
	enum fts_status status = fts_txn_scan(view, fts_key_bytes(&prefix), fts_key_bytes(&from), &cursor);
	if (status != FTS_OK) return status;
	if (fts_cursor_next(cursor, &key, &value)) {
		struct fts_bytes at = {key.data + prefix.size_bytes, key.size_bytes - prefix.size_bytes};
		if (fts_key_read_u64(&at, owner) != 0) status = FTS_DATA_LOSS;
	} else {
		status = fts_cursor_status(cursor) == FTS_OK ? FTS_NOT_FOUND : fts_cursor_status(cursor);
	}
	fts_cursor_close(cursor);
	return status;
}

uint64_t fts_hints_oldest(struct fts_storage *storage, uint32_t partition)
{
	struct fts_txn *view = NULL;
	struct fts_key prefix;
	uint64_t oldest = 0, owner = 0;
	pthread_mutex_lock(&storage->hints.lock);
	bool any = storage->hints.counts[partition] > 0;
	pthread_mutex_unlock(&storage->hints.lock);
	if (!any) return 0;
	enum fts_status status = fts_store_view(storage->store, &view);
	while (status == FTS_OK && (status = next_owner(view, &owner)) == FTS_OK) {
		fts_key_begin(&prefix, FTSI_TABLE_HINT);
		fts_key_u64(&prefix, owner);
		fts_key_u32(&prefix, partition);
		status = visit_all(storage, view, &prefix, (struct fts_bytes){0}, take_older, &oldest);
	}
	fts_txn_abort(view);
	return status == FTS_NOT_FOUND ? oldest : 1; /* who knows */
}

bool fts_hints_wants_repair(struct fts_storage *storage, uint32_t partition, bool take)
{
	pthread_mutex_lock(&storage->hints.lock);
	bool wants = storage->hints.wants_repair[partition];
	if (take) storage->hints.wants_repair[partition] = false;
	pthread_mutex_unlock(&storage->hints.lock);
	return wants;
}

void fts_hints_limit(struct fts_storage *storage, uint64_t bytes_max)
{
	pthread_mutex_lock(&storage->hints.lock);
	storage->hints.bytes_max = bytes_max;
	pthread_mutex_unlock(&storage->hints.lock);
}
