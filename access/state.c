/* Why this file exists: see access/state.h, which has the table of the byte format. */
#include "access/state.h"

#include <string.h>

#include "replica/allocator.h"
#include "store/key.h"

static struct fts_bytes token_key(struct fts_key *key, const char *id)
{
	fts_key_begin(key, FTSI_TABLE_TOKEN);
	fts_key_text(key, id, strlen(id));
	return fts_key_bytes(key);
}

static struct fts_bytes secret_key(struct fts_key *key)
{
	fts_key_begin(key, FTSI_TABLE_SECRET);
	return fts_key_bytes(key);
}

static enum fts_status get(struct fts_txn *txn, struct fts_arena *arena, struct fts_bytes key,
			   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out_message)
{
	struct fts_value value;
	ProtobufCAllocator allocator = ftsi_arena_allocator(arena);
	enum fts_status status = fts_txn_get(txn, key, &value);
	if (status != FTS_OK) return status;
	*out_message = protobuf_c_message_unpack(type, &allocator, value.size_bytes, value.data);
	if (*out_message == NULL) status = fts_arena_exhausted(arena) ? FTS_RESOURCE_EXHAUSTED : FTS_DATA_LOSS;
	fts_value_release(&value);
	return status;
}

static enum fts_status put(struct fts_txn *txn, struct fts_arena *arena, struct fts_bytes key,
			   const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = fts_arena_alloc(arena, size);
	if (packed == NULL) return FTS_RESOURCE_EXHAUSTED;
	return fts_txn_put(txn, key, (struct fts_bytes){packed, protobuf_c_message_pack(message, packed)});
}

enum fts_status ftsi_access_get_token(struct fts_txn *txn, struct fts_arena *arena, const char *id,
				      Fts__Access__V1__Token **out_token)
{
	struct fts_key key;
	ProtobufCMessage *message = NULL;
	enum fts_status status = get(txn, arena, token_key(&key, id), &fts__access__v1__token__descriptor, &message);
	*out_token = (Fts__Access__V1__Token *)message;
	return status;
}

enum fts_status ftsi_access_put_token(struct fts_txn *txn, struct fts_arena *arena, const Fts__Access__V1__Token *token)
{
	struct fts_key key;
	return put(txn, arena, token_key(&key, token->id), &token->base);
}

enum fts_status ftsi_access_delete_token(struct fts_txn *txn, const char *id)
{
	struct fts_key key;
	return fts_txn_delete(txn, token_key(&key, id));
}

enum fts_status ftsi_access_visit_tokens(struct fts_txn *txn, const char *after, ftsi_token_visit_fn visit, void *ctx)
{
	struct fts_key prefix, from;
	struct fts_bytes key, value, start = {NULL, 0};
	struct fts_cursor *cursor = NULL;
	fts_key_begin(&prefix, FTSI_TABLE_TOKEN);
	if (after[0] != '\0') start = token_key(&from, after);
	enum fts_status status = fts_txn_scan(txn, fts_key_bytes(&prefix), start, &cursor);
	if (status != FTS_OK) return status;
	for (bool more = true; more && fts_cursor_next(cursor, &key, &value);) {
		Fts__Access__V1__Token *token = fts__access__v1__token__unpack(NULL, value.size_bytes, value.data);
		if (token == NULL) status = FTS_DATA_LOSS;
		more = token != NULL && (strcmp(token->id, after) == 0 || visit(ctx, token));
		if (token != NULL) fts__access__v1__token__free_unpacked(token, NULL);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status ftsi_access_get_secret(struct fts_txn *txn, struct fts_arena *arena,
				       Fts__Access__V1__NodeSecret **out_secret)
{
	struct fts_key key;
	ProtobufCMessage *message = NULL;
	enum fts_status status = get(txn, arena, secret_key(&key), &fts__access__v1__node_secret__descriptor, &message);
	*out_secret = (Fts__Access__V1__NodeSecret *)message;
	return status;
}

enum fts_status ftsi_access_put_secret(struct fts_txn *txn, struct fts_arena *arena,
				       const Fts__Access__V1__NodeSecret *secret)
{
	struct fts_key key;
	return put(txn, arena, secret_key(&key), &secret->base);
}
