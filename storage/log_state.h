/* Why this file exists: what of the key-value store lies in the replicated log's state: the map, which databases are
 * linearizable, and their keys.
 *
 * | key (store/key.h)                     | value                                        |
 * | TABLE_MAP                             | fts.kv.v1.MapResponse                        |
 * | TABLE_LINEARIZABLE, u32 db            | none                                         |
 * | TABLE_LOG_KEY, u32 db, text key       | version 8 (log index << 16 | ordinal), value |
 * | TABLE_MEMBER_COUNT                    | members in the map 8: told with each write   |
 */
#ifndef FTS_STORAGE_LOG_STATE_H
#define FTS_STORAGE_LOG_STATE_H

#include "replica/replica.h"
#include "storage/map.h"

enum {
	FTSI_TABLE_MAP = FTS_TABLE_KV,
	FTSI_TABLE_LINEARIZABLE,
	FTSI_TABLE_LOG_KEY,
	FTSI_TABLE_MEMBER_COUNT,
	FTSI_LINEARIZABLE_MAX = 1024, /* databases */
	FTSI_VERSION_TEXT_MAX = 24,
};

/* OK also when there is none yet: its epoch is 0 then. */
FTS_MUST_USE enum fts_status ftsi_log_get_map(struct fts_txn *txn, struct ftsi_map *out_map);
FTS_MUST_USE enum fts_status ftsi_log_put_map(struct fts_txn *txn, const struct ftsi_map *map);

/* Members of the map that stay; 0: there is no map yet. */
FTS_MUST_USE enum fts_status ftsi_log_member_count(struct fts_txn *txn, uint32_t *out_count);

/* NOT_FOUND: db is sharded. */
FTS_MUST_USE enum fts_status ftsi_log_is_linearizable(struct fts_txn *txn, uint32_t db);
FTS_MUST_USE enum fts_status ftsi_log_make_linearizable(struct fts_txn *txn, uint32_t db);
/* Numbers of all linearizable databases; returns how many through *out_count. out_dbs: FTSI_LINEARIZABLE_MAX. */
FTS_MUST_USE enum fts_status ftsi_log_linearizable(struct fts_txn *txn, uint32_t *out_dbs, size_t *out_count);

struct ftsi_log_value {
	uint64_t version;
	struct fts_bytes value; /* borrowed until pinned is released */
	struct fts_value pinned;
};
FTS_MUST_USE enum fts_status ftsi_log_get_key(struct fts_txn *txn, uint32_t db, struct fts_bytes key,
					      struct ftsi_log_value *out_value);
FTS_MUST_USE enum fts_status ftsi_log_put_key(struct fts_txn *txn, uint32_t db, struct fts_bytes key, uint64_t version,
					      struct fts_bytes value);
FTS_MUST_USE enum fts_status ftsi_log_delete_key(struct fts_txn *txn, uint32_t db, struct fts_bytes key);

/* Keys of db with prefix, behind `after` when has_after. visit: false ends it. All borrowed. */
struct ftsi_log_scan {
	uint32_t db;
	struct fts_bytes prefix, after;
	bool has_after;
};
typedef bool (*ftsi_log_key_fn)(void *ctx, struct fts_bytes key);
FTS_MUST_USE enum fts_status ftsi_log_visit_keys(struct fts_txn *txn, const struct ftsi_log_scan *scan,
						 ftsi_log_key_fn visit, void *ctx);

#endif
