/* Why this file exists: see replica/event_log.h. */
#include "replica/event_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "replica/tables.h"
#include "store/key.h"

struct place {
	uint64_t index;
	uint32_t ordinal;
	uint32_t size_bytes;
};

enum { RING_SIZE = FTSI_EVENT_MAX + 1 };

struct ftsi_event_log {
	uint32_t first, count;
	uint64_t size_bytes;
	atomic_uint_fast64_t oldest_index;
	struct place ring[RING_SIZE]; /* untouched places are not resident */
};

struct ftsi_event_log *ftsi_event_log_create(void)
{
	return calloc(1, sizeof(struct ftsi_event_log));
}

void ftsi_event_log_destroy(struct ftsi_event_log *log)
{
	free(log);
}

uint32_t ftsi_event_log_count(const struct ftsi_event_log *log)
{
	return log->count;
}

uint64_t ftsi_event_log_oldest(const struct ftsi_event_log *log)
{
	return atomic_load_explicit(&log->oldest_index, memory_order_acquire);
}

static struct fts_bytes event_key(struct fts_key *key, uint64_t index, uint32_t ordinal)
{
	fts_key_begin(key, FTSI_TABLE_EVENT);
	fts_key_u64(key, index);
	fts_key_u32(key, ordinal);
	return fts_key_bytes(key);
}

enum fts_status ftsi_event_put(struct fts_txn *txn, const struct ftsi_event *event)
{
	struct fts_key key;
	uint8_t head[2 + FTSI_EVENT_TOPIC_MAX];
	size_t topic_size = event->topic.size_bytes;
	FTS_ASSERT(topic_size <= FTSI_EVENT_TOPIC_MAX);
	head[0] = (uint8_t)(topic_size >> 8);
	head[1] = (uint8_t)topic_size;
	memcpy(head + 2, event->topic.data, topic_size);
	return fts_txn_put2(txn, event_key(&key, event->index, event->ordinal),
			    (struct fts_bytes){head, 2 + topic_size}, event->payload);
}

static void push(struct ftsi_event_log *log, uint64_t index, uint32_t ordinal, size_t size_bytes)
{
	FTS_ASSERT(log->count < RING_SIZE);
	log->ring[(log->first + log->count) % RING_SIZE] = (struct place){index, ordinal, (uint32_t)size_bytes};
	log->count++;
	log->size_bytes += size_bytes;
}

static void tell_oldest(struct ftsi_event_log *log)
{
	uint64_t index = log->count == 0 ? 0 : log->ring[log->first].index;
	atomic_store_explicit(&log->oldest_index, index, memory_order_release);
}

enum fts_status ftsi_event_log_keep(struct ftsi_event_log *log, struct fts_txn *txn, uint64_t index, uint32_t ordinal,
				    size_t size_bytes)
{
	enum fts_status status = FTS_OK;
	push(log, index, ordinal, size_bytes);
	while (status == FTS_OK && log->count > 1 &&
	       (log->count > FTSI_EVENT_MAX || log->size_bytes > FTSI_EVENT_BYTES_MAX)) {
		struct fts_key key;
		const struct place *oldest = &log->ring[log->first];
		status = fts_txn_delete(txn, event_key(&key, oldest->index, oldest->ordinal));
		log->size_bytes -= oldest->size_bytes;
		log->first = (log->first + 1) % RING_SIZE;
		log->count--;
	}
	tell_oldest(log);
	return status;
}

int ftsi_event_decode(struct fts_bytes key, struct fts_bytes value, struct ftsi_event *out_event)
{
	struct fts_bytes rest = {key.data + 2, key.size_bytes - 2};
	size_t topic_size;
	if (fts_key_read_u64(&rest, &out_event->index) != 0 || fts_key_read_u32(&rest, &out_event->ordinal) != 0 ||
	    value.size_bytes < 2)
		return -1;
	topic_size = (size_t)value.data[0] << 8 | value.data[1];
	if (topic_size > FTSI_EVENT_TOPIC_MAX || 2 + topic_size > value.size_bytes) return -1;
	out_event->topic = (struct fts_bytes){value.data + 2, topic_size};
	out_event->payload = (struct fts_bytes){value.data + 2 + topic_size, value.size_bytes - 2 - topic_size};
	return 0;
}

enum fts_status ftsi_event_scan(struct fts_txn *view, uint64_t index, uint32_t ordinal, struct fts_cursor **out_cursor)
{
	struct fts_key prefix, from;
	fts_key_begin(&prefix, FTSI_TABLE_EVENT);
	return fts_txn_scan(view, fts_key_bytes(&prefix), event_key(&from, index, ordinal), out_cursor);
}

enum fts_status ftsi_event_log_load(struct ftsi_event_log *log, struct fts_txn *view)
{
	struct fts_bytes key, value;
	struct ftsi_event event;
	struct fts_cursor *cursor = NULL;
	enum fts_status status = ftsi_event_scan(view, 0, 0, &cursor);
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &value)) {
		if (log->count == FTSI_EVENT_MAX || ftsi_event_decode(key, value, &event) != 0)
			status = FTS_DATA_LOSS;
		else
			push(log, event.index, event.ordinal, event.topic.size_bytes + event.payload.size_bytes);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	tell_oldest(log);
	return status;
}
