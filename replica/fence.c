/* Why this file exists: see replica/fence.h, which has the table of the byte format. */
#include "replica/fence.h"

#include <inttypes.h>
#include <stdio.h>
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

static const uint8_t revoked_mark[1] = {1};

/* What is kept of an owner. */
struct owned {
	uint64_t standing, revoked; /* 0: none */
};

static void put_u64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *bytes)
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* count numbers of key; zeros when there are none. */
static enum fts_status get_numbers(struct fts_txn *txn, struct fts_bytes key, uint64_t *out, size_t count)
{
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, key, &value);
	memset(out, 0, count * sizeof *out);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_OK : status;
	bool whole = value.size_bytes == count * 8;
	for (size_t i = 0; whole && i < count; i++)
		out[i] = get_u64(value.data + 8 * i);
	fts_value_release(&value);
	return whole ? FTS_OK : FTS_DATA_LOSS;
}

static enum fts_status get_owned(struct fts_txn *txn, const char *owner, struct owned *out)
{
	struct fts_key key;
	uint64_t numbers[2];
	enum fts_status status = get_numbers(txn, fence_key(&key, 0, owner), numbers, 2);
	if (status == FTS_OK) *out = (struct owned){numbers[0], numbers[1]};
	return status;
}

static enum fts_status put_owned(struct fts_txn *txn, const char *owner, const struct owned *owned)
{
	struct fts_key key;
	uint8_t bytes[16];
	put_u64(bytes, owned->standing);
	put_u64(bytes + 8, owned->revoked);
	return fts_txn_put(txn, fence_key(&key, 0, owner), (struct fts_bytes){bytes, sizeof bytes});
}

/* The first number that nobody had. */
static enum fts_status next_fence(struct fts_txn *txn, uint64_t index, uint64_t *out_fence)
{
	struct fts_key key;
	uint8_t bytes[8];
	uint64_t last;
	enum fts_status status = get_numbers(txn, fence_key(&key, 0, ""), &last, 1);
	if (status != FTS_OK) return status;
	*out_fence = index > last ? index : last + 1;
	put_u64(bytes, *out_fence);
	return fts_txn_put(txn, fence_key(&key, 0, ""), (struct fts_bytes){bytes, sizeof bytes});
}

enum fts_status fts_fence_grant(struct fts_txn *txn, uint64_t index, const char *owner, uint64_t *out_fence)
{
	struct fts_key key;
	struct owned owned;
	uint64_t fence;
	enum fts_status status = next_fence(txn, index, &fence);
	if (status == FTS_OK) status = get_owned(txn, owner, &owned);
	if (status != FTS_OK) return status;
	owned.standing = fence;
	status = put_owned(txn, owner, &owned);
	if (status == FTS_OK) status = fts_txn_put(txn, fence_key(&key, fence, owner), (struct fts_bytes){NULL, 0});
	if (status == FTS_OK) *out_fence = fence;
	return status;
}

enum fts_status fts_fence_revoke(struct fts_txn *txn, uint64_t fence, const char *owner)
{
	struct fts_key key;
	struct owned owned;
	enum fts_status status = get_owned(txn, owner, &owned);
	if (status == FTS_OK && owned.revoked != 0) status = fts_txn_delete(txn, fence_key(&key, owned.revoked, owner));
	if (status != FTS_OK) return status;
	owned = (struct owned){.revoked = fence};
	status = put_owned(txn, owner, &owned);
	if (status != FTS_OK) return status;
	return fts_txn_put(txn, fence_key(&key, fence, owner), (struct fts_bytes){revoked_mark, sizeof revoked_mark});
}

/* Whether fence stands; out_owner (FTS_FENCE_OWNER_MAX + 1 bytes): whose it is or was, "" when that is not known. */
static enum fts_status look_up(struct fts_txn *txn, uint64_t fence, bool *out_stands, char *out_owner)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	size_t size = 0;
	fts_key_begin(&prefix, FTSI_TABLE_FENCE);
	fts_key_u64(&prefix, fence);
	*out_stands = false;
	out_owner[0] = 0;
	enum fts_status status = fts_txn_scan(txn, fts_key_bytes(&prefix), (struct fts_bytes){NULL, 0}, &cursor);
	if (status != FTS_OK) return status;
	while (!*out_stands && fts_cursor_next(cursor, &key, &value)) {
		struct fts_bytes at = {key.data + prefix.size_bytes, key.size_bytes - prefix.size_bytes};
		*out_stands = value.size_bytes == 0;
		if (fts_key_read_text(&at, out_owner, FTS_FENCE_OWNER_MAX, &size) != 0) size = 0;
		out_owner[size] = 0;
	}
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status fts_fence_check(struct fts_txn *txn, uint64_t fence)
{
	char owner[FTS_FENCE_OWNER_MAX + 1];
	bool stands;
	if (fence == 0) return FTS_OK;
	enum fts_status status = look_up(txn, fence, &stands, owner);
	if (status != FTS_OK) return status;
	return stands ? FTS_OK : FTS_FAILED_PRECONDITION;
}

void fts_fence_explain(struct fts_txn *txn, uint64_t fence, char *out, size_t size_bytes)
{
	char owner[FTS_FENCE_OWNER_MAX + 1];
	struct owned owned = {0};
	bool stands;
	if (look_up(txn, fence, &stands, owner) != FTS_OK || owner[0] == 0 || get_owned(txn, owner, &owned) != FTS_OK)
		(void)snprintf(out, size_bytes,
			       "fence %" PRIu64 " does not stand: its holder was replaced long ago, or "
			       "it never was one",
			       fence);
	else if (owned.standing == 0)
		(void)snprintf(out, size_bytes, "fence %" PRIu64 " of %s no longer stands: there is no master now",
			       fence, owner);
	else
		(void)snprintf(out, size_bytes,
			       "fence %" PRIu64 " of %s no longer stands: the fence is %" PRIu64 " now", fence, owner,
			       owned.standing);
}

enum fts_status fts_apply_check_fence(struct fts_apply *apply, uint64_t fence)
{
	char why[FTS_DETAIL_MAX];
	enum fts_status status = fts_fence_check(apply->txn, fence);
	if (status == FTS_OK) return status;
	if (status != FTS_FAILED_PRECONDITION) return fts_apply_refuse(apply, FTS_INTERNAL, "a fence can't be read");
	fts_fence_explain(apply->txn, fence, why, sizeof why);
	return fts_apply_refuse(apply, status, "%s", why);
}
