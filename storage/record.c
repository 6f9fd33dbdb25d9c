/* Why this file exists: see storage/record.h, which has the table of the byte format. */
#include "storage/record.h"

#include <string.h>

#include "base/hash.h"

enum { FLAG_TOMBSTONE = 1, SEED_PARTITION = 1, SEED_LEAF = 2, SEED_CHECKSUM = 3 };

static void put_u64(uint8_t *at, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(at, &value, sizeof value);
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return __builtin_bswap64(value);
}

int ftsi_version_compare(struct ftsi_version a, struct ftsi_version b)
{
	if (a.time != b.time) return a.time > b.time ? 1 : -1;
	if (a.node != b.node) return a.node > b.node ? 1 : -1;
	return 0;
}

uint32_t ftsi_record_partition(uint32_t db, struct fts_bytes key)
{
	return (uint32_t)(fts_hash64(key, (uint64_t)db << 8 | SEED_PARTITION) % FTSI_PARTITION_COUNT);
}

uint32_t ftsi_record_leaf(uint32_t db, struct fts_bytes key)
{
	return (uint32_t)(fts_hash64(key, (uint64_t)db << 8 | SEED_LEAF) & 0xff);
}

uint64_t ftsi_record_checksum(const struct ftsi_record *record)
{
	uint8_t head[29];
	head[0] = record->tombstone ? FLAG_TOMBSTONE : 0;
	put_u64(head + 1, record->version.time);
	put_u64(head + 9, record->version.node);
	put_u64(head + 17, record->db);
	head[25] = (uint8_t)(record->key.size_bytes >> 8);
	head[26] = (uint8_t)record->key.size_bytes;
	head[27] = head[28] = 0;
	uint64_t sum = fts_hash64((struct fts_bytes){head, sizeof head}, SEED_CHECKSUM);
	sum = fts_hash64(record->key, sum);
	return fts_hash64(record->value, sum);
}

uint64_t ftsi_record_digest(const struct ftsi_record *record)
{
	return record->tombstone ? 0 : ftsi_record_checksum(record);
}

struct fts_bytes ftsi_record_key(uint32_t db, struct fts_bytes key, struct fts_key *out_key)
{
	fts_key_begin(out_key, FTSI_TABLE_RECORD);
	fts_key_u32(out_key, ftsi_record_partition(db, key));
	fts_key_u32(out_key, db);
	fts_key_text(out_key, key.data, key.size_bytes);
	return fts_key_bytes(out_key);
}

uint64_t ftsi_record_header(const struct ftsi_record *record, uint8_t *out)
{
	uint64_t checksum = ftsi_record_checksum(record);
	put_u64(out, record->version.time);
	put_u64(out + 8, record->version.node);
	out[16] = record->tombstone ? FLAG_TOMBSTONE : 0;
	put_u64(out + 17, checksum);
	return checksum;
}

enum fts_status ftsi_record_read_key(struct fts_bytes stored_key, uint8_t *key_text, struct ftsi_record *out_record)
{
	struct fts_bytes at = {stored_key.data + 2, stored_key.size_bytes - 2};
	uint32_t partition;
	size_t size;
	if (stored_key.size_bytes < 2 || fts_key_read_u32(&at, &partition) != 0 ||
	    fts_key_read_u32(&at, &out_record->db) != 0 ||
	    fts_key_read_text(&at, (char *)key_text, FTSI_RECORD_KEY_MAX, &size) != 0)
		return FTS_DATA_LOSS;
	out_record->key = (struct fts_bytes){key_text, size};
	return FTS_OK;
}

enum fts_status ftsi_record_read(struct fts_bytes stored, struct ftsi_record *record)
{
	if (stored.size_bytes < FTSI_RECORD_HEADER_BYTES) return FTS_DATA_LOSS;
	record->version.time = get_u64(stored.data);
	record->version.node = get_u64(stored.data + 8);
	record->tombstone = stored.data[16] == FLAG_TOMBSTONE;
	record->value =
	    (struct fts_bytes){stored.data + FTSI_RECORD_HEADER_BYTES, stored.size_bytes - FTSI_RECORD_HEADER_BYTES};
	if (stored.data[16] > FLAG_TOMBSTONE || get_u64(stored.data + 17) != ftsi_record_checksum(record))
		return FTS_DATA_LOSS;
	return FTS_OK;
}
