/* Why this file exists: the events of the past, kept in DIR/state in the same batch as the changes they tell of, so
 * that Replay can fill any gap of a subscriber.
 *
 * | key (store/key.h)                               | value                              |
 * | table FTSI_TABLE_EVENT, u64 index, u32 ordinal  | topic's length 2, topic, payload   |
 *
 * Invariants: at most FTSI_EVENT_MAX events and FTSI_EVENT_BYTES_MAX bytes (but always the last one) are kept, the
 * oldest go first; which, follows from the log alone. Thread: loop, but for the functions on a view. */
#ifndef FTS_REPLICA_EVENT_LOG_H
#define FTS_REPLICA_EVENT_LOG_H

#include <stdatomic.h>

#include "store/store.h"

enum { FTSI_EVENT_MAX = 100000, FTSI_EVENT_TOPIC_MAX = 128, FTSI_EVENT_BYTES_MAX = 128 * 1024 * 1024 };

struct ftsi_event_log;

/* Returned (ftsi_event_log_destroy). NULL: no memory. */
struct ftsi_event_log *ftsi_event_log_create(void);
void ftsi_event_log_destroy(struct ftsi_event_log *log); /* NULL: no-op */
FTS_MUST_USE enum fts_status ftsi_event_log_load(struct ftsi_event_log *log, struct fts_txn *view);

struct ftsi_event {
	uint64_t index;
	uint32_t ordinal;
	struct fts_bytes topic;
	struct fts_bytes payload;
};

/* Write event (borrowed) to txn. Nothing is remembered before _keep, so that a mark may be rolled back. */
FTS_MUST_USE enum fts_status ftsi_event_put(struct fts_txn *txn, const struct ftsi_event *event);
/* Count an event that was put for good, and drop the oldest beyond the limits. */
FTS_MUST_USE enum fts_status ftsi_event_log_keep(struct ftsi_event_log *log, struct fts_txn *txn, uint64_t index,
						 uint32_t ordinal, size_t size_bytes);
uint32_t ftsi_event_log_count(const struct ftsi_event_log *log);

/* The index of the oldest event kept, 0: none: where a scan may begin without walking over what was deleted.
 * Thread: any. */
uint64_t ftsi_event_log_oldest(const struct ftsi_event_log *log);

/* Scan events of view from (index, ordinal) on. Returned (fts_cursor_close). */
FTS_MUST_USE enum fts_status ftsi_event_scan(struct fts_txn *view, uint64_t index, uint32_t ordinal,
					     struct fts_cursor **out_cursor);
/* 0; -1: not an event. *out_event borrows from key and value. */
int ftsi_event_decode(struct fts_bytes key, struct fts_bytes value, struct ftsi_event *out_event);

#endif
