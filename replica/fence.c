/* Why this file exists: see replica/fence.h, which has the table of the byte format. */
#include "replica/fence.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "replica/tables.h"
#include "store/key.h"

static struct fts_bytes fence_key(struct fts_key *key, uint64_t fence, const char *owner)
{
	size_t size = strlen(owner);
	FTS_ASSERT(size <= FTS_FENCE_OWNER_MAX);
	fts_key_begin(key, FTSI_TABLE_FENCE);
	fts_key_u64(key, fence);
	fts_key_text(key, owner, size);
	return fts_key_bytes(key);
}

enum fts_status fts_fence_grant(struct fts_txn *txn, uint64_t fence, const char *owner)
{
	struct fts_key key;
	return fts_txn_put(txn, fence_key(&key, fence, owner), (struct fts_bytes){NULL, 0});
}

enum fts_status fts_fence_revoke(struct fts_txn *txn, uint64_t fence, const char *owner)
{
	struct fts_key key;
	return fts_txn_delete(txn, fence_key(&key, fence, owner));
}

enum fts_status fts_fence_check(struct fts_txn *txn, uint64_t fence)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	if (fence == 0) return FTS_OK;
	fts_key_begin(&prefix, FTSI_TABLE_FENCE);
	fts_key_u64(&prefix, fence);
	enum fts_status status = fts_txn_scan(txn, fts_key_bytes(&prefix), (struct fts_bytes){NULL, 0}, &cursor);
	if (status != FTS_OK) return status;
	bool stands = fts_cursor_next(cursor, &key, &value);
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	if (status != FTS_OK) return status;
	return stands ? FTS_OK : FTS_FAILED_PRECONDITION;
}

enum fts_status fts_apply_check_fence(struct fts_apply *apply, uint64_t fence)
{
	enum fts_status status = fts_fence_check(apply->txn, fence);
	if (status == FTS_FAILED_PRECONDITION)
		return fts_apply_refuse(apply, status, "fence %" PRIu64 " no longer stands: its holder was replaced",
					fence);
	return status == FTS_OK ? FTS_OK : fts_apply_refuse(apply, FTS_INTERNAL, "a fence can't be read");
}
