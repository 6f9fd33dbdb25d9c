/* Why this file exists: see elector/state.h, which has the table of the byte format. */
#include "elector/state.h"

#include <string.h>

#include "base/assert.h"
#include "replica/allocator.h"
#include "store/key.h"

static struct fts_bytes key_of(struct fts_key *key, uint16_t table, const char *name)
{
	fts_key_begin(key, table);
	fts_key_text(key, name, strlen(name));
	return fts_key_bytes(key);
}

static struct fts_bytes member_key(struct fts_key *key, const char *name, const char *id)
{
	(void)key_of(key, FTSI_TABLE_MEMBER, name);
	fts_key_text(key, id, strlen(id));
	return fts_key_bytes(key);
}

static struct fts_bytes change_key(struct fts_key *key, const char *name, uint64_t number)
{
	(void)key_of(key, FTSI_TABLE_CHANGE, name);
	fts_key_u64(key, number);
	return fts_key_bytes(key);
}

/* ---- Messages as values ---- */

static enum fts_status unpack(const ProtobufCMessageDescriptor *type, struct fts_bytes value, struct fts_arena *arena,
			      ProtobufCMessage **out_message)
{
	ProtobufCAllocator allocator = ftsi_arena_allocator(arena);
	*out_message = protobuf_c_message_unpack(type, &allocator, value.size_bytes, value.data);
	if (*out_message != NULL) return FTS_OK;
	return fts_arena_exhausted(arena) ? FTS_RESOURCE_EXHAUSTED : FTS_DATA_LOSS;
}

static enum fts_status get(struct fts_txn *txn, struct fts_arena *arena, struct fts_bytes key,
			   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out_message)
{
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, key, &value);
	if (status != FTS_OK) return status;
	status = unpack(type, (struct fts_bytes){value.data, value.size_bytes}, arena, out_message);
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

/* ---- Elections ---- */

enum fts_status ftsi_state_get_election(struct fts_txn *txn, struct fts_arena *arena, const char *name,
					Fts__Elector__V1__Election **out_election)
{
	struct fts_key key;
	ProtobufCMessage *message = NULL;
	enum fts_status status =
	    get(txn, arena, key_of(&key, FTSI_TABLE_ELECTION, name), &fts__elector__v1__election__descriptor, &message);
	*out_election = (Fts__Elector__V1__Election *)message;
	return status;
}

enum fts_status ftsi_state_put_election(struct fts_txn *txn, struct fts_arena *arena, const char *name,
					const Fts__Elector__V1__Election *election)
{
	struct fts_key key;
	return put(txn, arena, key_of(&key, FTSI_TABLE_ELECTION, name), &election->base);
}

/* ---- Members ---- */

enum fts_status ftsi_state_get_member(struct fts_txn *txn, struct fts_arena *arena, const char *name, const char *id,
				      Fts__Elector__V1__Member **out_member)
{
	struct fts_key key;
	ProtobufCMessage *message = NULL;
	enum fts_status status =
	    get(txn, arena, member_key(&key, name, id), &fts__elector__v1__member__descriptor, &message);
	*out_member = (Fts__Elector__V1__Member *)message;
	return status;
}

enum fts_status ftsi_state_put_member(struct fts_txn *txn, struct fts_arena *arena, const char *name,
				      const Fts__Elector__V1__Member *member)
{
	struct fts_key key;
	return put(txn, arena, member_key(&key, name, member->id), &member->base);
}

enum fts_status ftsi_state_delete_member(struct fts_txn *txn, const char *name, const char *id)
{
	struct fts_key key;
	return fts_txn_delete(txn, member_key(&key, name, id));
}

/* All values under prefix as messages of type, up to max. */
static enum fts_status get_all(struct fts_txn *txn, struct fts_arena *arena, struct fts_bytes prefix,
			       const ProtobufCMessageDescriptor *type, size_t max, ProtobufCMessage ***out_messages,
			       size_t *out_count)
{
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	ProtobufCMessage **messages = fts_arena_alloc(arena, max * sizeof *messages);
	size_t count = 0;
	if (messages == NULL) return FTS_RESOURCE_EXHAUSTED;
	enum fts_status status = fts_txn_scan(txn, prefix, (struct fts_bytes){NULL, 0}, &cursor);
	if (status != FTS_OK) return status;
	while (status == FTS_OK && count < max && fts_cursor_next(cursor, &key, &value)) {
		status = unpack(type, value, arena, &messages[count]);
		count++;
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	*out_messages = messages;
	*out_count = count;
	return status;
}

enum fts_status ftsi_state_get_members(struct fts_txn *txn, struct fts_arena *arena, const char *name,
				       struct ftsi_members *out_members)
{
	struct fts_key prefix;
	ProtobufCMessage **messages = NULL;
	enum fts_status status =
	    get_all(txn, arena, key_of(&prefix, FTSI_TABLE_MEMBER, name), &fts__elector__v1__member__descriptor,
		    FTSI_ELECTION_MEMBER_MAX, &messages, &out_members->count);
	out_members->items = (Fts__Elector__V1__Member **)(void *)messages;
	return status;
}

/* ---- History ---- */

enum fts_status ftsi_state_put_change(struct fts_txn *txn, struct fts_arena *arena, const char *name, uint64_t number,
				      const Fts__Elector__V1__Change *change)
{
	struct fts_key key;
	enum fts_status status = put(txn, arena, change_key(&key, name, number), &change->base);
	if (status != FTS_OK || number <= FTSI_ELECTION_CHANGE_MAX) return status;
	return fts_txn_delete(txn, change_key(&key, name, number - FTSI_ELECTION_CHANGE_MAX));
}

enum fts_status ftsi_state_get_changes(struct fts_txn *txn, struct fts_arena *arena, const char *name,
				       Fts__Elector__V1__Change ***out_changes, size_t *out_count)
{
	struct fts_key prefix;
	ProtobufCMessage **messages = NULL;
	enum fts_status status =
	    get_all(txn, arena, key_of(&prefix, FTSI_TABLE_CHANGE, name), &fts__elector__v1__change__descriptor,
		    FTSI_ELECTION_CHANGE_MAX, &messages, out_count);
	*out_changes = (Fts__Elector__V1__Change **)(void *)messages;
	return status;
}

/* ---- All of them ---- */

static bool read_name(struct fts_bytes *at, char *out_name)
{
	size_t size;
	if (fts_key_read_text(at, out_name, FTSI_ELECTION_NAME_MAX, &size) != 0) return false;
	out_name[size] = 0;
	return true;
}

enum fts_status ftsi_state_visit_members(struct fts_txn *txn, ftsi_member_visit_fn visit, void *ctx)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	fts_key_begin(&prefix, FTSI_TABLE_MEMBER);
	enum fts_status status = fts_txn_scan(txn, fts_key_bytes(&prefix), (struct fts_bytes){NULL, 0}, &cursor);
	if (status != FTS_OK) return status;
	for (bool more = true; more && fts_cursor_next(cursor, &key, &value);) {
		char name[FTSI_ELECTION_NAME_MAX + 1];
		struct fts_bytes at = {key.data + 2, key.size_bytes - 2};
		Fts__Elector__V1__Member *member = fts__elector__v1__member__unpack(NULL, value.size_bytes, value.data);
		if (member == NULL || !read_name(&at, name)) status = FTS_DATA_LOSS;
		more = status == FTS_OK && visit(ctx, name, member);
		if (member != NULL) fts__elector__v1__member__free_unpacked(member, NULL);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status ftsi_state_visit_elections(struct fts_txn *txn, const char *after, ftsi_election_visit_fn visit,
					   void *ctx)
{
	struct fts_key prefix, from;
	struct fts_bytes key, value, start = {NULL, 0};
	struct fts_cursor *cursor = NULL;
	fts_key_begin(&prefix, FTSI_TABLE_ELECTION);
	if (after[0] != 0) start = key_of(&from, FTSI_TABLE_ELECTION, after);
	enum fts_status status = fts_txn_scan(txn, fts_key_bytes(&prefix), start, &cursor);
	if (status != FTS_OK) return status;
	for (bool more = true; more && fts_cursor_next(cursor, &key, &value);) {
		char name[FTSI_ELECTION_NAME_MAX + 1];
		struct fts_bytes at = {key.data + 2, key.size_bytes - 2};
		Fts__Elector__V1__Election *election =
		    fts__elector__v1__election__unpack(NULL, value.size_bytes, value.data);
		if (election == NULL || !read_name(&at, name)) status = FTS_DATA_LOSS;
		more = status == FTS_OK && (strcmp(name, after) == 0 || visit(ctx, name, election));
		if (election != NULL) fts__elector__v1__election__free_unpacked(election, NULL);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}
