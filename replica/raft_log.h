/* Why this file exists: what raft must never forget, in the store DIR/log (with a write-ahead log, each commit
 * synced): term and vote, entries, the mark of the last snapshot, and whose directory this is.
 *
 * | key (store/key.h)       | value                                                                            |
 * | table 1, text "hard"    | term 8, voted for 8                                       (all big endian)       |
 * | table 1, text "mark"    | index 8, term 8, configuration index 8, encoded configuration                    |
 * | table 1, text "state"   | generation of the state's directory 8, applied index it came with 8               |
 * | table 1, text "doubt"   | one byte: the state differs from the others' or is not whole; absent: it is not   |
 * | table 1, text "identity"| fts.replica.v1.NodeIdentity; with a cluster id from the batch that bootstraps on  |
 * | table 1, text "form"    | fts.replica.v1.Form: the first configuration                                      |
 * | table 2, u64 index      | term 8, type 1, checksum 8 (of index, term, type, data), data                     |
 *
 * Invariants: entries have no gap from the first to the last, and the first is not behind mark + 1. A batch is
 * whole or not there. What does not fit together is DATA_LOSS, never repaired in silence. */
#ifndef FTS_REPLICA_RAFT_LOG_H
#define FTS_REPLICA_RAFT_LOG_H

#include <raft.h>

#include "store/store.h"

struct ftsi_identity {
	char name[64];
	char address[128];
	uint64_t node_id;
	uint64_t cluster_id; /* 0: not formed yet (forming.h) */
	uint32_t format; /* the highest of anything in DIR (format.h) */
	bool joined;  /* its log begins empty */
	bool removed; /* it is no member any more */
	char version[24]; /* of the program that raised format; "": it is the first, or not known */
};

/* NOT_FOUND: a blank directory. Thread: any, one at a time. */
FTS_MUST_USE enum fts_status ftsi_log_read_identity(struct fts_store *log, struct ftsi_identity *out_identity);

/* Write identity (borrowed), term 1 and conf (borrowed, encoded) as the first entry in one synced batch. */
FTS_MUST_USE enum fts_status ftsi_log_bootstrap(struct fts_store *log, const struct ftsi_identity *identity,
						const struct raft_buffer *conf);

/* Write identity (borrowed) alone: before anybody hears of it, when it joins, when it is removed. Synced. */
FTS_MUST_USE enum fts_status ftsi_log_write_identity(struct fts_store *log, const struct ftsi_identity *identity);

/* The first configuration of the cluster, for members that were left behind: fts.replica.v1.Form, packed (borrowed).
 * Synced. Reading: NOT_FOUND; value: to be released. */
FTS_MUST_USE enum fts_status ftsi_log_write_form(struct fts_store *log, struct fts_bytes form);
FTS_MUST_USE enum fts_status ftsi_log_read_form(struct fts_store *log, struct fts_value *out_value);

FTS_MUST_USE enum fts_status ftsi_log_write_hard(struct fts_store *log, uint64_t term, uint64_t voted_for);
FTS_MUST_USE enum fts_status ftsi_log_read_hard(struct fts_store *log, uint64_t *out_term, uint64_t *out_voted_for);

/* entries: borrowed; the first gets first_index. On disk when it returns. Blocks. */
FTS_MUST_USE enum fts_status ftsi_log_append(struct fts_store *log, raft_index first_index,
					     const struct raft_entry *entries, unsigned n);
/* Drop all entries from from_index on. Synced. */
FTS_MUST_USE enum fts_status ftsi_log_truncate(struct fts_store *log, raft_index from_index);

struct ftsi_mark {
	uint64_t index, term, conf_index;
	struct fts_bytes conf; /* encoded */
};

/* Which directory holds the state. */
struct ftsi_state_name {
	uint64_t generation;    /* 0: DIR/state; n: DIR/state-n */
	uint64_t applied_index; /* it came from another node with: may be beyond the end of the log */
};

/* Zeros when DIR/state was never replaced. */
FTS_MUST_USE enum fts_status ftsi_log_read_state(struct fts_store *log, struct ftsi_state_name *out_name);
/* name holds the state from now on, and is not doubted. mark (borrowed; NULL: the log stays) replaces the whole log.
 * One synced batch. Blocks. */
FTS_MUST_USE enum fts_status ftsi_log_write_state(struct fts_store *log, const struct ftsi_state_name *name,
						  const struct ftsi_mark *mark);
FTS_MUST_USE enum fts_status ftsi_log_read_doubt(struct fts_store *log, bool *out_doubted);
/* Synced. */
FTS_MUST_USE enum fts_status ftsi_log_write_doubt(struct fts_store *log);
/* A log that begins behind mark, with nothing in it, of identity (both borrowed). One synced batch. */
FTS_MUST_USE enum fts_status ftsi_log_bootstrap_at(struct fts_store *log, const struct ftsi_identity *identity,
						   const struct ftsi_mark *mark);

/* Remember mark (borrowed) and drop all entries up to cut_index, in one synced batch. */
FTS_MUST_USE enum fts_status ftsi_log_mark(struct fts_store *log, const struct ftsi_mark *mark, uint64_t cut_index);
/* NOT_FOUND: no snapshot yet. value: keeps the mark's configuration, to be released. */
FTS_MUST_USE enum fts_status ftsi_log_read_mark(struct fts_store *log, struct ftsi_mark *out_mark,
						struct fts_value *value);

struct ftsi_loaded {
	raft_index first_index;
	struct raft_entry *entries; /* raft_malloc'd, each buffer too: owned by the caller; NULL when empty */
	size_t count;
	uint64_t size_bytes;
};

/* All entries behind what was cut. DATA_LOSS: a gap, a checksum that does not match, or a start behind
 * mark_index + 1; *out_error says where. */
FTS_MUST_USE enum fts_status ftsi_log_load(struct fts_store *log, uint64_t mark_index, struct ftsi_loaded *out_loaded,
					   struct fts_error *out_error);

/* Called for each entry; data: borrowed for the call. Not OK ends the walk with that. */
typedef enum fts_status (*ftsi_log_each_fn)(void *ctx, uint64_t index, unsigned short type, struct fts_bytes data);
/* From from_index up to last_index, but no further than about size_bytes_max: *out_next is the first entry that was not
 * reached. DATA_LOSS: one is missing or does not match its checksum. Blocks for as long as reading takes. */
FTS_MUST_USE enum fts_status ftsi_log_walk(struct fts_store *log, uint64_t from_index, uint64_t last_index,
					   size_t size_bytes_max, ftsi_log_each_fn each, void *ctx, uint64_t *out_next);

/* Free what was loaded (owned) and not given to raft. */
void ftsi_loaded_drop(struct ftsi_loaded *loaded);

#endif
