/* Why this file exists: see replica/raft_log.h, which has the table of the byte format. */
#include "replica/raft_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "fts/replica/v1/log.pb-c.h"
#include "replica/bytes.h"
#include "store/key.h"

enum {
	TABLE_META = 1,
	TABLE_ENTRY = 2,
	HARD_BYTES = 16,
	MARK_BYTES = 24,
	STATE_BYTES = 16,
	ENTRY_HEADER_BYTES = 17,
	IDENTITY_MAX = 512
};

static struct fts_bytes meta_key(struct fts_key *key, const char *name)
{
	fts_key_begin(key, TABLE_META);
	fts_key_text(key, name, strlen(name));
	return fts_key_bytes(key);
}

static struct fts_bytes entry_key(struct fts_key *key, uint64_t index)
{
	fts_key_begin(key, TABLE_ENTRY);
	fts_key_u64(key, index);
	return fts_key_bytes(key);
}

/* ---- Identity and bootstrap ---- */

static bool copy_text(char *out, size_t capacity_bytes, const char *text)
{
	size_t size = strlen(text);
	if (size >= capacity_bytes) return false;
	memcpy(out, text, size + 1);
	return true;
}

static enum fts_status decode_identity(struct fts_bytes bytes, struct ftsi_identity *out_identity)
{
	enum fts_status status = FTS_DATA_LOSS;
	Fts__Replica__V1__NodeIdentity *message =
	    fts__replica__v1__node_identity__unpack(NULL, bytes.size_bytes, bytes.data);
	if (message == NULL) return FTS_DATA_LOSS;
	if (message->node_id != 0 && copy_text(out_identity->name, sizeof out_identity->name, message->name) &&
	    copy_text(out_identity->address, sizeof out_identity->address, message->listen)) {
		out_identity->node_id = message->node_id;
		out_identity->cluster_id = message->cluster_id;
		out_identity->format = message->format;
		out_identity->joined = message->joined;
		out_identity->removed = message->removed;
		(void)snprintf(out_identity->version, sizeof out_identity->version, "%s", message->version);
		status = FTS_OK;
	}
	fts__replica__v1__node_identity__free_unpacked(message, NULL);
	return status;
}

enum fts_status ftsi_log_read_identity(struct fts_store *log, struct ftsi_identity *out_identity)
{
	struct fts_key key;
	struct fts_value value;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	status = fts_txn_get(view, meta_key(&key, "identity"), &value);
	if (status == FTS_OK) {
		status = decode_identity((struct fts_bytes){value.data, value.size_bytes}, out_identity);
		fts_value_release(&value);
	}
	fts_txn_abort(view);
	return status;
}

static enum fts_status put_identity(struct fts_txn *txn, const struct ftsi_identity *identity)
{
	struct fts_key key;
	uint8_t packed[IDENTITY_MAX];
	Fts__Replica__V1__NodeIdentity message = FTS__REPLICA__V1__NODE_IDENTITY__INIT;
	message.name = (char *)identity->name;
	message.listen = (char *)identity->address;
	message.node_id = identity->node_id;
	message.cluster_id = identity->cluster_id;
	message.format = identity->format;
	message.joined = identity->joined;
	message.removed = identity->removed;
	message.version = (char *)identity->version;
	FTS_ASSERT(fts__replica__v1__node_identity__get_packed_size(&message) <= sizeof packed);
	return fts_txn_put(txn, meta_key(&key, "identity"),
			   (struct fts_bytes){packed, fts__replica__v1__node_identity__pack(&message, packed)});
}

static enum fts_status put_hard(struct fts_txn *txn, uint64_t term, uint64_t voted_for)
{
	struct fts_key key;
	uint8_t bytes[HARD_BYTES];
	ftsi_put_u64(bytes, term);
	ftsi_put_u64(bytes + 8, voted_for);
	return fts_txn_put(txn, meta_key(&key, "hard"), (struct fts_bytes){bytes, sizeof bytes});
}

static uint64_t checksum_of(uint64_t index, const struct raft_entry *entry)
{
	uint64_t seed = index ^ (entry->term << 20) ^ ((uint64_t)entry->type << 60);
	return fts_checksum((struct fts_bytes){entry->buf.base, entry->buf.len}, seed);
}

static enum fts_status put_entry(struct fts_txn *txn, uint64_t index, const struct raft_entry *entry)
{
	struct fts_key key;
	uint8_t header[ENTRY_HEADER_BYTES];
	ftsi_put_u64(header, entry->term);
	header[8] = (uint8_t)entry->type;
	ftsi_put_u64(header + 9, checksum_of(index, entry));
	return fts_txn_put2(txn, entry_key(&key, index), (struct fts_bytes){header, sizeof header},
			    (struct fts_bytes){entry->buf.base, entry->buf.len});
}

/* Commit txn when status is OK, drop it otherwise. */
static enum fts_status finish(struct fts_txn *txn, enum fts_status status)
{
	if (status == FTS_OK) return fts_txn_commit(&txn, true);
	fts_txn_abort(txn);
	return status;
}

enum fts_status ftsi_log_bootstrap(struct fts_store *log, const struct ftsi_identity *identity,
				   const struct raft_buffer *conf)
{
	const struct raft_entry first = {.term = 1, .type = RAFT_CHANGE, .buf = *conf};
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	if ((status = put_hard(txn, 1, 0)) == FTS_OK && (status = put_entry(txn, 1, &first)) == FTS_OK)
		status = put_identity(txn, identity);
	return finish(txn, status);
}

enum fts_status ftsi_log_write_identity(struct fts_store *log, const struct ftsi_identity *identity)
{
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	return finish(txn, put_identity(txn, identity));
}

enum fts_status ftsi_log_write_form(struct fts_store *log, struct fts_bytes form)
{
	struct fts_key key;
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	return finish(txn, fts_txn_put(txn, meta_key(&key, "form"), form));
}

enum fts_status ftsi_log_read_form(struct fts_store *log, struct fts_value *out_value)
{
	struct fts_key key;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	status = fts_txn_get(view, meta_key(&key, "form"), out_value);
	fts_txn_abort(view);
	return status;
}

/* ---- Term and vote ---- */

enum fts_status ftsi_log_write_hard(struct fts_store *log, uint64_t term, uint64_t voted_for)
{
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	return finish(txn, put_hard(txn, term, voted_for));
}

enum fts_status ftsi_log_read_hard(struct fts_store *log, uint64_t *out_term, uint64_t *out_voted_for)
{
	struct fts_key key;
	struct fts_value value;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	status = fts_txn_get(view, meta_key(&key, "hard"), &value);
	if (status == FTS_OK) {
		if (value.size_bytes == HARD_BYTES) {
			*out_term = ftsi_get_u64(value.data);
			*out_voted_for = ftsi_get_u64(value.data + 8);
		} else {
			status = FTS_DATA_LOSS;
		}
		fts_value_release(&value);
	}
	fts_txn_abort(view);
	return status;
}

/* ---- Entries ---- */

enum fts_status ftsi_log_append(struct fts_store *log, raft_index first_index, const struct raft_entry *entries,
				unsigned n)
{
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	for (unsigned i = 0; status == FTS_OK && i < n; i++)
		status = put_entry(txn, first_index + i, &entries[i]);
	return finish(txn, status);
}

enum fts_status ftsi_log_truncate(struct fts_store *log, raft_index from_index)
{
	struct fts_key from, to;
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	return finish(txn, fts_txn_delete_range(txn, entry_key(&from, from_index), entry_key(&to, UINT64_MAX)));
}

/* ---- Snapshots, and the state they are of ---- */

static enum fts_status put_mark(struct fts_txn *txn, const struct ftsi_mark *mark)
{
	struct fts_key key;
	uint8_t header[MARK_BYTES];
	ftsi_put_u64(header, mark->index);
	ftsi_put_u64(header + 8, mark->term);
	ftsi_put_u64(header + 16, mark->conf_index);
	return fts_txn_put2(txn, meta_key(&key, "mark"), (struct fts_bytes){header, sizeof header}, mark->conf);
}

static enum fts_status drop_entries(struct fts_txn *txn, uint64_t to_index)
{
	struct fts_key from, to;
	return fts_txn_delete_range(txn, entry_key(&from, 0), entry_key(&to, to_index));
}

enum fts_status ftsi_log_mark(struct fts_store *log, const struct ftsi_mark *mark, uint64_t cut_index)
{
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	status = put_mark(txn, mark);
	if (status == FTS_OK && cut_index > 0) status = drop_entries(txn, cut_index + 1);
	return finish(txn, status);
}

enum fts_status ftsi_log_write_state(struct fts_store *log, const struct ftsi_state_name *name,
				     const struct ftsi_mark *mark)
{
	struct fts_key key;
	struct fts_txn *txn = NULL;
	uint8_t bytes[STATE_BYTES];
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	ftsi_put_u64(bytes, name->generation);
	ftsi_put_u64(bytes + 8, name->applied_index);
	status = fts_txn_put(txn, meta_key(&key, "state"), (struct fts_bytes){bytes, sizeof bytes});
	if (status == FTS_OK) status = fts_txn_delete(txn, meta_key(&key, "doubt"));
	if (status == FTS_OK && mark != NULL) status = put_mark(txn, mark);
	if (status == FTS_OK && mark != NULL) status = drop_entries(txn, UINT64_MAX);
	return finish(txn, status);
}

enum fts_status ftsi_log_bootstrap_at(struct fts_store *log, const struct ftsi_identity *identity,
				      const struct ftsi_mark *mark)
{
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	if ((status = put_hard(txn, mark->term, 0)) == FTS_OK && (status = put_mark(txn, mark)) == FTS_OK)
		status = put_identity(txn, identity);
	return finish(txn, status);
}

enum fts_status ftsi_log_read_state(struct fts_store *log, struct ftsi_state_name *out_name)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	*out_name = (struct ftsi_state_name){0};
	status = fts_txn_get(view, meta_key(&key, "state"), &value);
	if (status == FTS_OK && value.size_bytes != STATE_BYTES) status = FTS_DATA_LOSS;
	if (status == FTS_OK)
		*out_name = (struct ftsi_state_name){ftsi_get_u64(value.data), ftsi_get_u64(value.data + 8)};
	fts_value_release(&value);
	fts_txn_abort(view);
	return status == FTS_NOT_FOUND ? FTS_OK : status;
}

enum fts_status ftsi_log_read_doubt(struct fts_store *log, bool *out_doubted)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	status = fts_txn_get(view, meta_key(&key, "doubt"), &value);
	fts_value_release(&value);
	fts_txn_abort(view);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return status;
	*out_doubted = status == FTS_OK;
	return FTS_OK;
}

enum fts_status ftsi_log_write_doubt(struct fts_store *log)
{
	static const uint8_t yes[1] = {1};
	struct fts_key key;
	struct fts_txn *txn = NULL;
	enum fts_status status = fts_txn_begin(log, &txn);
	if (status != FTS_OK) return status;
	return finish(txn, fts_txn_put(txn, meta_key(&key, "doubt"), (struct fts_bytes){yes, sizeof yes}));
}

enum fts_status ftsi_log_read_mark(struct fts_store *log, struct ftsi_mark *out_mark, struct fts_value *value)
{
	struct fts_key key;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	status = fts_txn_get(view, meta_key(&key, "mark"), value);
	fts_txn_abort(view);
	if (status != FTS_OK) return status;
	if (value->size_bytes < MARK_BYTES) {
		fts_value_release(value);
		return FTS_DATA_LOSS;
	}
	out_mark->index = ftsi_get_u64(value->data);
	out_mark->term = ftsi_get_u64(value->data + 8);
	out_mark->conf_index = ftsi_get_u64(value->data + 16);
	out_mark->conf = (struct fts_bytes){value->data + MARK_BYTES, value->size_bytes - MARK_BYTES};
	return FTS_OK;
}

/* ---- Loading ---- */

static enum fts_status decode_entry(uint64_t index, struct fts_bytes value, struct raft_entry *out_entry)
{
	struct raft_entry entry = {0};
	size_t size;
	if (value.size_bytes < ENTRY_HEADER_BYTES) return FTS_DATA_LOSS;
	size = value.size_bytes - ENTRY_HEADER_BYTES;
	entry.term = ftsi_get_u64(value.data);
	entry.type = value.data[8];
	entry.buf.len = size;
	entry.buf.base = (void *)(value.data + ENTRY_HEADER_BYTES); /* only read, below */
	if (checksum_of(index, &entry) != ftsi_get_u64(value.data + 9) || entry.type < RAFT_COMMAND ||
	    entry.type > RAFT_CHANGE)
		return FTS_DATA_LOSS;
	entry.buf.base = raft_malloc(size == 0 ? 1 : size);
	if (entry.buf.base == NULL) return FTS_RESOURCE_EXHAUSTED;
	memcpy(entry.buf.base, value.data + ENTRY_HEADER_BYTES, size);
	*out_entry = entry;
	return FTS_OK;
}

static enum fts_status grow_entries(struct ftsi_loaded *loaded, size_t *capacity)
{
	size_t wanted = *capacity == 0 ? 256 : *capacity * 2;
	struct raft_entry *grown;
	if (loaded->count < *capacity) return FTS_OK;
	grown = raft_realloc(loaded->entries, wanted * sizeof *grown);
	if (grown == NULL) return FTS_RESOURCE_EXHAUSTED;
	loaded->entries = grown;
	*capacity = wanted;
	return FTS_OK;
}

static enum fts_status load_entry(struct fts_bytes key, struct fts_bytes value, uint64_t mark_index,
				  struct ftsi_loaded *loaded, size_t *capacity, struct fts_error *out_error)
{
	uint64_t index = 0;
	enum fts_status status = grow_entries(loaded, capacity);
	struct fts_bytes at = {key.data + 2, key.size_bytes - 2};
	if (status != FTS_OK) return fts_error_set(out_error, status, "no memory to load the log");
	if (fts_key_read_u64(&at, &index) != 0)
		return fts_error_set(out_error, FTS_DATA_LOSS, "the log is damaged: a key that is not an index");
	if (loaded->count == 0) loaded->first_index = index;
	if (loaded->count == 0 && index > mark_index + 1)
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "the log is damaged: it begins at %" PRIu64 ", but the last snapshot is %" PRIu64,
				     index, mark_index);
	if (index != loaded->first_index + loaded->count)
		return fts_error_set(out_error, FTS_DATA_LOSS, "the log is damaged: entry %" PRIu64 " is missing",
				     (uint64_t)(loaded->first_index + loaded->count));
	status = decode_entry(index, value, &loaded->entries[loaded->count]);
	if (status == FTS_RESOURCE_EXHAUSTED) return fts_error_set(out_error, status, "no memory to load the log");
	if (status != FTS_OK)
		return fts_error_set(out_error, status,
				     "the log is damaged: entry %" PRIu64 " does not match its checksum", index);
	loaded->count++;
	loaded->size_bytes += value.size_bytes;
	return FTS_OK;
}

void ftsi_loaded_drop(struct ftsi_loaded *loaded)
{
	for (size_t i = 0; i < loaded->count; i++)
		raft_free(loaded->entries[i].buf.base);
	raft_free(loaded->entries);
}

static enum fts_status check_loaded(uint64_t mark_index, const struct ftsi_loaded *loaded, bool may_be_empty,
				    struct fts_error *out_error)
{
	if (mark_index == 0 && loaded->count == 0 && !may_be_empty)
		return fts_error_set(out_error, FTS_DATA_LOSS, "the log is damaged: it has no entry and no snapshot");
	if (mark_index == 0 && loaded->count > 0 && loaded->entries[0].type != RAFT_CHANGE)
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "the log is damaged: its first entry is not a configuration");
	if (loaded->count > 0 && loaded->first_index + loaded->count - 1 < mark_index)
		return fts_error_set(out_error, FTS_DATA_LOSS, "the log is damaged: it ends before its last snapshot");
	return FTS_OK;
}

/* Of a node that was let into a running cluster: entries or a snapshot come from the leader. */
static bool begins_empty(struct fts_store *log)
{
	struct ftsi_identity identity;
	return ftsi_log_read_identity(log, &identity) == FTS_OK && identity.joined;
}

enum fts_status ftsi_log_load(struct fts_store *log, uint64_t mark_index, struct ftsi_loaded *out_loaded,
			      struct fts_error *out_error)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	struct fts_txn *view = NULL;
	struct ftsi_loaded loaded = {.first_index = mark_index + 1};
	size_t capacity = 0;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return fts_error_set(out_error, status, "the log can't be read");
	fts_key_begin(&prefix, TABLE_ENTRY);
	status = fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){NULL, 0}, &cursor);
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &value))
		status = load_entry(key, value, mark_index, &loaded, &capacity, out_error);
	if (status == FTS_OK && (status = fts_cursor_status(cursor)) != FTS_OK)
		fts_error_set(out_error, status, "the log is damaged: entry %" PRIu64 " can't be read",
			      (uint64_t)(loaded.first_index + loaded.count));
	if (status == FTS_OK) status = check_loaded(mark_index, &loaded, begins_empty(log), out_error);
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	if (status == FTS_OK)
		*out_loaded = loaded;
	else
		ftsi_loaded_drop(&loaded);
	return status;
}

/* ---- Walking ---- */

struct walk {
	uint64_t next, last;
	size_t left_bytes;
	ftsi_log_each_fn each;
	void *ctx;
};

static enum fts_status walk_one(struct walk *walk, struct fts_bytes key, struct fts_bytes value)
{
	uint64_t index = 0;
	struct raft_entry entry = {0};
	struct fts_bytes at = {key.data + 2, key.size_bytes - 2};
	enum fts_status status;
	if (fts_key_read_u64(&at, &index) != 0 || index != walk->next) return FTS_DATA_LOSS;
	if ((status = decode_entry(index, value, &entry)) != FTS_OK) return status;
	status = walk->each(walk->ctx, index, entry.type, (struct fts_bytes){entry.buf.base, entry.buf.len});
	walk->left_bytes -= entry.buf.len < walk->left_bytes ? entry.buf.len : walk->left_bytes;
	raft_free(entry.buf.base);
	walk->next++;
	return status;
}

enum fts_status ftsi_log_walk(struct fts_store *log, uint64_t from_index, uint64_t last_index, size_t size_bytes_max,
			      ftsi_log_each_fn each, void *ctx, uint64_t *out_next)
{
	struct walk walk = {from_index, last_index, size_bytes_max, each, ctx};
	struct fts_key prefix, from;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(log, &view);
	if (status != FTS_OK) return status;
	fts_key_begin(&prefix, TABLE_ENTRY);
	status = fts_txn_scan(view, fts_key_bytes(&prefix), entry_key(&from, from_index), &cursor);
	while (status == FTS_OK && walk.next <= last_index && walk.left_bytes > 0) {
		if (fts_cursor_next(cursor, &key, &value))
			status = walk_one(&walk, key, value);
		else if ((status = fts_cursor_status(cursor)) == FTS_OK)
			status = FTS_DATA_LOSS;
	}
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	*out_next = walk.next;
	return status;
}
