/* Why this file exists: one key's newest value as an owner keeps it, and which of two is newer.
 *
 * | key (store/key.h)                                 | value                                                |
 * | FTSI_TABLE_RECORD, u32 partition, u32 db, text key | version time 8, version node 8, flags 1, checksum 8, |
 * |                                                   | value (all big endian)                               |
 *
 * Invariants: the checksum covers database, key, version, flags and value: a record that does not match it is never
 * given to anybody. Last writer wins: by version time, then by node; a record replaces another only when it is newer.
 */
#ifndef FTS_STORAGE_RECORD_H
#define FTS_STORAGE_RECORD_H

#include <stdbool.h>

#include <fts/status.h>

#include "store/key.h"

enum {
	FTSI_TABLE_RECORD = 1,
	FTSI_TABLE_HINT = 2,  /* storage/hints.h */
	FTSI_TABLE_LOST = 4,  /* storage/lost.h */
	FTSI_TABLE_KNOWN = 3, /* the newest map this node has known: fts.kv.v1.MapResponse */
	FTSI_PARTITION_COUNT = 256,
	FTSI_RECORD_HEADER_BYTES = 25,
	FTSI_RECORD_KEY_MAX = 1024,
	FTSI_RECORD_VALUE_MAX = 1024 * 1024,
};

struct ftsi_version {
	uint64_t time; /* hybrid logical clock (base/hlc.h) */
	uint64_t node;
};

struct ftsi_record {
	uint32_t db;
	struct fts_bytes key;   /* borrowed */
	struct fts_bytes value; /* borrowed; empty of a tombstone */
	struct ftsi_version version;
	bool tombstone;
	uint64_t write_id; /* whose write it is (storage/taken.h); 0: nobody's. Not stored */
};

/* Above 0: a is newer than b; 0: they are the same write. */
int ftsi_version_compare(struct ftsi_version a, struct ftsi_version b);

/* The slice of the key space a key falls into, 0 to FTSI_PARTITION_COUNT - 1: the same everywhere, for ever. */
uint32_t ftsi_record_partition(uint32_t db, struct fts_bytes key);
/* The leaf of its partition's tree, 0 to 255. */
uint32_t ftsi_record_leaf(uint32_t db, struct fts_bytes key);

uint64_t ftsi_record_checksum(const struct ftsi_record *record);
/* What a record adds to its leaf (storage/tree.h): 0 of a tombstone, since a replica that has forgotten a deleted key
 * agrees with one that has not yet. */
uint64_t ftsi_record_digest(const struct ftsi_record *record);

/* Its key in the store. out_key: the caller's. */
struct fts_bytes ftsi_record_key(uint32_t db, struct fts_bytes key, struct fts_key *out_key);
/* The header that stands before the value. out: FTSI_RECORD_HEADER_BYTES, the caller's. Returns the checksum in it. */
uint64_t ftsi_record_header(const struct ftsi_record *record, uint8_t *out);

/* Read db and key back. key_text: FTSI_RECORD_KEY_MAX bytes, the caller's; out_record->key points to it.
 * DATA_LOSS: not such a key. */
FTS_MUST_USE enum fts_status ftsi_record_read_key(struct fts_bytes stored_key, uint8_t *key_text,
						  struct ftsi_record *out_record);
/* Read the rest (db and key stand in *record already); value is borrowed from stored. DATA_LOSS: damaged. */
FTS_MUST_USE enum fts_status ftsi_record_read(struct fts_bytes stored, struct ftsi_record *record);

#endif
