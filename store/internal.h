/* Why this file exists: what the files of store/ share: the open database, and how its words become statuses. */
#ifndef FTS_STORE_INTERNAL_H
#define FTS_STORE_INTERNAL_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "store/recent.h"
#include "store/store.h"

struct fts_store {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_block_based_table_options_t *table_options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read_options;
	rocksdb_writeoptions_t *write_options;
	rocksdb_writeoptions_t *sync_options; /* NULL without a write-ahead log */
	struct ftsi_recent *recent; /* owned; NULL: several write */
	char *dir;
	atomic_uint holder_count;
	atomic_bool discarded;
};

/* Translate RocksDB's message (owned: freed here) and log it once under event with dir. */
enum fts_status ftsi_store_status(char *message, const char *event, const char *dir);

/* The same, without freeing or logging: what message means. */
enum fts_status ftsi_store_classify(const char *message);

/* First key behind all keys with this prefix, into out (FTS_KEY_MAX bytes). False: there is none (all 0xFF). */
bool ftsi_store_prefix_end(struct fts_bytes prefix, uint8_t *out, size_t *out_size_bytes);

#endif
