/* Why this file exists: see replica/applied.h, which has the table of the byte format. */
#include "replica/applied.h"

#include <string.h>

#include "replica/bytes.h"
#include "replica/tables.h"
#include "store/key.h"

enum { APPLIED_BYTES_1 = 28, APPLIED_BYTES_2 = 36, APPLIED_BYTES = 44 };

static struct fts_bytes applied_key(struct fts_key *key)
{
	fts_key_begin(key, FTSI_TABLE_META);
	fts_key_text(key, "applied", 7);
	return fts_key_bytes(key);
}

enum fts_status ftsi_applied_read(struct fts_txn *txn, struct ftsi_applied *out_applied)
{
	struct fts_key key;
	struct fts_value value = {0};
	enum fts_status status = fts_txn_get(txn, applied_key(&key), &value);
	if (status != FTS_OK) return status;
	if (value.size_bytes == APPLIED_BYTES || value.size_bytes == APPLIED_BYTES_2 ||
	    value.size_bytes == APPLIED_BYTES_1) {
		out_applied->index = ftsi_get_u64(value.data);
		out_applied->time_ms = (int64_t)ftsi_get_u64(value.data + 8);
		out_applied->cluster_id = ftsi_get_u64(value.data + 16);
		out_applied->format = ftsi_get_u32(value.data + 24);
		out_applied->writes =
		    value.size_bytes >= APPLIED_BYTES_2 ? ftsi_get_u64(value.data + APPLIED_BYTES_1) : 0;
		out_applied->idle_ms = value.size_bytes == APPLIED_BYTES
					   ? (int64_t)ftsi_get_u64(value.data + APPLIED_BYTES_2)
					   : out_applied->time_ms;
	} else {
		status = FTS_DATA_LOSS;
	}
	fts_value_release(&value);
	return status;
}

enum fts_status ftsi_applied_put(struct fts_txn *txn, const struct ftsi_applied *applied)
{
	struct fts_key key;
	uint8_t bytes[APPLIED_BYTES];
	ftsi_put_u64(bytes, applied->index);
	ftsi_put_u64(bytes + 8, (uint64_t)applied->time_ms);
	ftsi_put_u64(bytes + 16, applied->cluster_id);
	ftsi_put_u32(bytes + 24, applied->format);
	ftsi_put_u64(bytes + APPLIED_BYTES_1, applied->writes);
	ftsi_put_u64(bytes + APPLIED_BYTES_2, (uint64_t)applied->idle_ms);
	return fts_txn_put(txn, applied_key(&key), (struct fts_bytes){bytes, sizeof bytes});
}

bool ftsi_applied_is_key(struct fts_bytes key)
{
	struct fts_key applied;
	struct fts_bytes wanted = applied_key(&applied);
	return key.size_bytes == wanted.size_bytes && memcmp(key.data, wanted.data, wanted.size_bytes) == 0;
}
