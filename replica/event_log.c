/* Why this file exists: see replica/event_log.h, which has the table of the byte format. */
#include "replica/event_log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "replica/bytes.h"
#include "replica/tables.h"
#include "store/key.h"

enum { RING_SIZE = FTSI_EVENT_MAX + 1, COUNT_BYTES = 4, LENGTH_BYTES = 6 };

/* One record. */
struct kept {
	uint64_t index;
	uint32_t count, size_bytes;
};

struct ftsi_event_log {
	uint32_t first, record_count;
	uint32_t event_count;
	uint64_t size_bytes;
	atomic_uint_fast64_t oldest_index, gone_before;
	uint8_t *record; /* where the next one is built: grows, is kept */
	size_t record_capacity_bytes;
	struct kept ring[RING_SIZE]; /* untouched ones are not resident */
};

struct ftsi_event_log *ftsi_event_log_create(void)
{
	return calloc(1, sizeof(struct ftsi_event_log));
}

void ftsi_event_log_destroy(struct ftsi_event_log *log)
{
	if (log == NULL) return;
	free(log->record);
	free(log);
}

uint32_t ftsi_event_log_count(const struct ftsi_event_log *log)
{
	return log->event_count;
}

uint64_t ftsi_event_log_oldest(const struct ftsi_event_log *log)
{
	return atomic_load_explicit(&log->oldest_index, memory_order_acquire);
}

uint64_t ftsi_event_log_gone_before(const struct ftsi_event_log *log)
{
	return atomic_load_explicit(&log->gone_before, memory_order_acquire);
}

static struct fts_bytes record_key(struct fts_key *key, uint64_t index)
{
	fts_key_begin(key, FTSI_TABLE_EVENT);
	fts_key_u64(key, index);
	return fts_key_bytes(key);
}

static void push(struct ftsi_event_log *log, const struct kept *kept)
{
	FTS_ASSERT(log->record_count < RING_SIZE);
	log->ring[(log->first + log->record_count) % RING_SIZE] = *kept;
	log->record_count++;
	log->event_count += kept->count;
	log->size_bytes += kept->size_bytes;
}

static void tell_oldest(struct ftsi_event_log *log)
{
	uint64_t index = log->record_count == 0 ? 0 : log->ring[log->first].index;
	/* Nothing goes below the limits, and what went is not remembered over a restart: a log less than half full has
	 * lost nothing, of a fuller one it is not known. */
	bool may_have_dropped = log->event_count > FTSI_EVENT_MAX / 2 || log->size_bytes > FTSI_EVENT_BYTES_MAX / 2;
	atomic_store_explicit(&log->oldest_index, index, memory_order_release);
	atomic_store_explicit(&log->gone_before, may_have_dropped ? index : 0, memory_order_release);
}

void ftsi_event_log_take(struct ftsi_event_log *log, struct ftsi_event_log *from)
{
	log->first = from->first;
	log->record_count = from->record_count;
	log->event_count = from->event_count;
	log->size_bytes = from->size_bytes;
	memcpy(log->ring, from->ring, sizeof log->ring);
	tell_oldest(log); /* readers look at nothing else of it */
	ftsi_event_log_destroy(from);
}

/* ---- Keeping ---- */

static bool reserve(struct ftsi_event_log *log, size_t size_bytes)
{
	uint8_t *grown;
	if (size_bytes <= log->record_capacity_bytes) return true;
	grown = realloc(log->record, 2 * size_bytes);
	if (grown == NULL) return false;
	log->record = grown;
	log->record_capacity_bytes = 2 * size_bytes;
	return true;
}

static uint8_t *append(uint8_t *at, struct fts_bytes bytes)
{
	if (bytes.size_bytes > 0) memcpy(at, bytes.data, bytes.size_bytes);
	return at + bytes.size_bytes;
}

static enum fts_status build(struct ftsi_event_log *log, const struct ftsi_pending_event *first, struct kept *out_kept)
{
	size_t size = COUNT_BYTES;
	uint32_t count = 0;
	uint8_t *at;
	for (const struct ftsi_pending_event *pending = first; pending != NULL; pending = pending->next) {
		size += LENGTH_BYTES + pending->event.topic.size_bytes + pending->event.payload.size_bytes;
		count++;
	}
	if (!reserve(log, size)) return FTS_RESOURCE_EXHAUSTED;
	ftsi_put_u32(log->record, count);
	at = log->record + COUNT_BYTES;
	for (const struct ftsi_pending_event *pending = first; pending != NULL; pending = pending->next) {
		const struct ftsi_event *event = &pending->event;
		FTS_ASSERT(event->topic.size_bytes <= FTSI_EVENT_TOPIC_MAX);
		at[0] = (uint8_t)(event->topic.size_bytes >> 8);
		at[1] = (uint8_t)event->topic.size_bytes;
		ftsi_put_u32(at + 2, (uint32_t)event->payload.size_bytes);
		at = append(append(at + LENGTH_BYTES, event->topic), event->payload);
	}
	*out_kept = (struct kept){first->event.index, count, (uint32_t)size};
	return FTS_OK;
}

static enum fts_status drop_oldest(struct ftsi_event_log *log, struct fts_txn *txn)
{
	struct fts_key key;
	const struct kept *oldest = &log->ring[log->first];
	enum fts_status status = fts_txn_delete(txn, record_key(&key, oldest->index));
	log->size_bytes -= oldest->size_bytes;
	log->event_count -= oldest->count;
	log->first = (log->first + 1) % RING_SIZE;
	log->record_count--;
	return status;
}

static bool is_over(const struct ftsi_event_log *log)
{
	return log->record_count > 1 && (log->event_count - log->ring[log->first].count >= FTSI_EVENT_MAX ||
					 log->size_bytes > FTSI_EVENT_BYTES_MAX);
}

enum fts_status ftsi_event_log_keep(struct ftsi_event_log *log, struct fts_txn *txn,
				    const struct ftsi_pending_event *first)
{
	struct fts_key key;
	struct kept kept;
	enum fts_status status;
	if (first == NULL) return FTS_OK;
	if ((status = build(log, first, &kept)) != FTS_OK) return status;
	status = fts_txn_put(txn, record_key(&key, kept.index), (struct fts_bytes){log->record, kept.size_bytes});
	push(log, &kept);
	while (status == FTS_OK && is_over(log))
		status = drop_oldest(log, txn);
	tell_oldest(log);
	return status;
}

/* ---- Reading ---- */

int ftsi_event_walk_begin(struct ftsi_event_walk *walk, struct fts_bytes key, struct fts_bytes value)
{
	struct fts_bytes rest = {key.data + 2, key.size_bytes - 2};
	if (fts_key_read_u64(&rest, &walk->event.index) != 0 || value.size_bytes < COUNT_BYTES) return -1;
	walk->count = ftsi_get_u32(value.data);
	walk->rest = (struct fts_bytes){value.data + COUNT_BYTES, value.size_bytes - COUNT_BYTES};
	walk->event.ordinal = UINT32_MAX; /* the next is 0 */
	return 0;
}

int ftsi_event_walk_next(struct ftsi_event_walk *walk)
{
	struct fts_bytes *rest = &walk->rest;
	size_t topic_size, payload_size;
	if (rest->size_bytes == 0) return walk->event.ordinal + 1 == walk->count ? 0 : -1;
	if (rest->size_bytes < LENGTH_BYTES) return -1;
	topic_size = (size_t)rest->data[0] << 8 | rest->data[1];
	payload_size = ftsi_get_u32(rest->data + 2);
	if (topic_size > FTSI_EVENT_TOPIC_MAX || rest->size_bytes - LENGTH_BYTES < topic_size + payload_size) return -1;
	walk->event.ordinal++;
	walk->event.topic = (struct fts_bytes){rest->data + LENGTH_BYTES, topic_size};
	walk->event.payload = (struct fts_bytes){rest->data + LENGTH_BYTES + topic_size, payload_size};
	rest->data += LENGTH_BYTES + topic_size + payload_size;
	rest->size_bytes -= LENGTH_BYTES + topic_size + payload_size;
	return 1;
}

enum fts_status ftsi_event_scan(struct fts_txn *view, uint64_t index, struct fts_cursor **out_cursor)
{
	struct fts_key prefix, from;
	fts_key_begin(&prefix, FTSI_TABLE_EVENT);
	return fts_txn_scan(view, fts_key_bytes(&prefix), record_key(&from, index), out_cursor);
}

enum fts_status ftsi_event_log_load(struct ftsi_event_log *log, struct fts_txn *view)
{
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	enum fts_status status = ftsi_event_scan(view, 0, &cursor);
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &value)) {
		struct ftsi_event_walk walk;
		if (log->record_count == RING_SIZE - 1 || ftsi_event_walk_begin(&walk, key, value) != 0)
			status = FTS_DATA_LOSS;
		else
			push(log, &(struct kept){walk.event.index, walk.count, (uint32_t)value.size_bytes});
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	tell_oldest(log);
	return status;
}
