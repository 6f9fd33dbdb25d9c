/* Why this file exists: the events of the past, kept in DIR/state in the same batch as the changes they tell of, so
 * that Replay can fill any gap of a subscriber.
 *
 * | key (store/key.h)                  | value                                                                      |
 * | table FTSI_TABLE_EVENT, u64 index  | count 4, then by ordinal: topic length 2, payload length 4, topic, payload |
 *
 * All events of an entry are one record: a command costs the state no key for them.
 *
 * Invariants: whole entries go, the oldest first, while FTSI_EVENT_MAX events are left without them, or more than
 * FTSI_EVENT_BYTES_MAX bytes are kept (but the last entry stays); which, follows from the log alone.
 * Thread: loop, but for what says otherwise. */
#ifndef FTS_REPLICA_EVENT_LOG_H
#define FTS_REPLICA_EVENT_LOG_H

#include "store/store.h"

enum { FTSI_EVENT_MAX = 100000, FTSI_EVENT_TOPIC_MAX = 128, FTSI_EVENT_BYTES_MAX = 128 * 1024 * 1024 };

struct ftsi_event_log;

struct ftsi_event {
	uint64_t index;
	uint32_t ordinal;
	struct fts_bytes topic;
	struct fts_bytes payload;
};

/* Events of the commands applied since the last state batch, in order. */
struct ftsi_pending_event {
	struct ftsi_pending_event *next;
	struct ftsi_event event;
};

/* Returned (ftsi_event_log_destroy). NULL: no memory. */
struct ftsi_event_log *ftsi_event_log_create(void);
void ftsi_event_log_destroy(struct ftsi_event_log *log); /* NULL: no-op */
FTS_MUST_USE enum fts_status ftsi_event_log_load(struct ftsi_event_log *log, struct fts_txn *view);

/* Keep the events of one entry (first and what follows it, borrowed; NULL: none), drop the oldest beyond the limits. */
FTS_MUST_USE enum fts_status ftsi_event_log_keep(struct ftsi_event_log *log, struct fts_txn *txn,
						 const struct ftsi_pending_event *first);
/* Be what from (owned) is: the state was replaced. Readers go on. */
void ftsi_event_log_take(struct ftsi_event_log *log, struct ftsi_event_log *from);
uint32_t ftsi_event_log_count(const struct ftsi_event_log *log);

/* The index of the oldest event kept, 0: none: where a scan may begin without walking over what was deleted.
 * Thread: any. */
uint64_t ftsi_event_log_oldest(const struct ftsi_event_log *log);
/* Events before this index may be gone; 0: all that ever were are kept. Thread: any. */
uint64_t ftsi_event_log_gone_before(const struct ftsi_event_log *log);

/* Scan the records of view from index on. Returned (fts_cursor_close). Thread: any. */
FTS_MUST_USE enum fts_status ftsi_event_scan(struct fts_txn *view, uint64_t index, struct fts_cursor **out_cursor);

/* Walks the events of a record (borrowed). Thread: any. */
struct ftsi_event_walk {
	struct fts_bytes rest;
	uint32_t count;
	struct ftsi_event event; /* the one last given */
};
/* 0; -1: not a record. */
int ftsi_event_walk_begin(struct ftsi_event_walk *walk, struct fts_bytes key, struct fts_bytes value);
/* 1: walk->event is the next; 0: the end; -1: not a record. */
int ftsi_event_walk_next(struct ftsi_event_walk *walk);

#endif
