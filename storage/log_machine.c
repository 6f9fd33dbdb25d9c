/* Why this file exists: see storage/log_machine.h. */
#include "storage/log_machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/kv/v1/kv.fts.h>

#include "replica/fence.h"

enum {
	KEYS_DEFAULT = 1000,
	KEYS_MAX = 10000,
	KEYS_BYTES_MAX = 3 * 1024 * 1024, /* of one answer */
	KEY_HEAD_BYTES = 8,               /* what a key has in a message besides itself */
	BATCH_MAX = 1024
};

static struct ftsi_map_cache *maps_of(void *ctx)
{
	return ((struct ftsi_kv_log *)ctx)->maps;
}

static struct fts_bytes bytes_of(ProtobufCBinaryData data)
{
	return (struct fts_bytes){data.data, data.len};
}

void ftsi_log_version_print(uint64_t version, char *out)
{
	(void)snprintf(out, FTSI_VERSION_TEXT_MAX, "%" PRIu64, version);
}

static enum fts_status broken(struct fts_apply *apply, enum fts_status status)
{
	if (status == FTS_OK || status == FTS_RESOURCE_EXHAUSTED) return status;
	return fts_apply_refuse(apply, FTS_INTERNAL, "the key-value store's state can't be read or written: %s",
				fts_status_name(status));
}

/* ---- The map ---- */

static enum fts_status keep_map(struct fts_apply *apply, const struct ftsi_map *map, struct ftsi_map_cache *cache)
{
	Fts__Kv__V1__MapEvent event = FTS__KV__V1__MAP_EVENT__INIT;
	enum fts_status status = broken(apply, ftsi_log_put_map(apply->txn, map));
	if (status == FTS_OK) status = broken(apply, ftsi_map_cache_load(cache, apply->txn));
	if (status != FTS_OK) return status;
	event.epoch = map->epoch;
	event.moving = (uint32_t)map->move_count;
	return fts_apply_publish(apply, fts_kv_v1_map_event_topic.name, &event.base);
}

/* The map in the arena: it is too large for a stack. */
static enum fts_status get_map(struct fts_apply *apply, struct ftsi_map **out_map)
{
	*out_map = fts_arena_alloc(apply->arena, sizeof **out_map);
	if (*out_map == NULL) return FTS_RESOURCE_EXHAUSTED;
	return broken(apply, ftsi_log_get_map(apply->txn, *out_map));
}

static bool copy_text(char *out, size_t capacity_bytes, const char *text)
{
	size_t size = strlen(text);
	if (size >= capacity_bytes) return false;
	memcpy(out, text, size + 1);
	return true;
}

enum fts_status ftsi_kv_apply_assign(struct fts_apply *apply, const ProtobufCMessage *request_base,
				     ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__AssignRequest *request = (const Fts__Kv__V1__AssignRequest *)request_base;
	Fts__Kv__V1__AssignResponse *response = (Fts__Kv__V1__AssignResponse *)response_base;
	struct ftsi_map_node nodes[FTSI_MAP_NODES_MAX] = {0};
	struct ftsi_map *map;
	enum fts_status status = get_map(apply, &map);
	if (status != FTS_OK) return status;
	if (request->n_nodes == 0 || request->n_nodes > FTSI_MAP_NODES_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "nodes: 1 to %d", FTSI_MAP_NODES_MAX);
	for (size_t i = 0; i < request->n_nodes; i++) {
		nodes[i].node_id = request->nodes[i]->node_id;
		if (!copy_text(nodes[i].name, sizeof nodes[i].name, request->nodes[i]->name) ||
		    !copy_text(nodes[i].address, sizeof nodes[i].address, request->nodes[i]->address))
			return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "nodes[%zu]: name or address too long", i);
	}
	if (ftsi_map_assign(map, nodes, request->n_nodes)) status = keep_map(apply, map, maps_of(ctx));
	response->epoch = map->epoch;
	return status;
}

enum fts_status ftsi_kv_apply_moved(struct fts_apply *apply, const ProtobufCMessage *request_base,
				    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__MovedRequest *request = (const Fts__Kv__V1__MovedRequest *)request_base;
	Fts__Kv__V1__MovedResponse *response = (Fts__Kv__V1__MovedResponse *)response_base;
	const struct ftsi_map_move move = {request->partition, request->from_node, request->to_node};
	struct ftsi_map *map;
	enum fts_status status = get_map(apply, &map);
	if (status != FTS_OK) return status;
	if (ftsi_map_moved(map, &move, request->since)) status = keep_map(apply, map, maps_of(ctx));
	response->epoch = map->epoch;
	return status;
}

enum fts_status ftsi_kv_apply_move(struct fts_apply *apply, const ProtobufCMessage *request_base,
				   ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__MoveRequest *request = (const Fts__Kv__V1__MoveRequest *)request_base;
	Fts__Kv__V1__MoveResponse *response = (Fts__Kv__V1__MoveResponse *)response_base;
	struct ftsi_map *map;
	enum fts_status status = get_map(apply, &map);
	if (status != FTS_OK) return status;
	response->epoch = map->epoch;
	switch (ftsi_map_move(map, request->partition, request->node)) {
	case FTS_OK:
		response->epoch = map->epoch;
		return keep_map(apply, map, maps_of(ctx));
	case FTS_ALREADY_EXISTS:
		return FTS_OK; /* asked again */
	case FTS_NOT_FOUND:
		return fts_apply_refuse(apply, FTS_NOT_FOUND, "there is no node %.64s", request->node);
	case FTS_INVALID_ARGUMENT:
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "partition: 0 to %d, not %u",
					FTSI_PARTITION_COUNT - 1, request->partition);
	default:
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION,
					"another owner of partition %u is on its way: wait until it has come",
					request->partition);
	}
}

/* ---- Databases ---- */

enum fts_status ftsi_kv_apply_create_database(struct fts_apply *apply, const ProtobufCMessage *request_base,
					      ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__CreateDatabaseRequest *request = (const Fts__Kv__V1__CreateDatabaseRequest *)request_base;
	uint32_t *dbs = fts_arena_alloc(apply->arena, FTSI_LINEARIZABLE_MAX * sizeof *dbs);
	struct ftsi_map *map;
	size_t count;
	(void)response_base;
	if (!request->linearizable)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"linearizable: any other database is there without being made");
	if (dbs == NULL) return FTS_RESOURCE_EXHAUSTED;
	enum fts_status status = ftsi_log_is_linearizable(apply->txn, request->db);
	if (status == FTS_OK) return FTS_OK; /* asked again */
	if (status == FTS_NOT_FOUND) status = ftsi_log_linearizable(apply->txn, dbs, &count);
	if (status != FTS_OK) return broken(apply, status);
	if (count >= FTSI_LINEARIZABLE_MAX)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "there are at most %d linearizable databases",
					FTSI_LINEARIZABLE_MAX);
	status = broken(apply, ftsi_log_make_linearizable(apply->txn, request->db));
	if (status == FTS_OK) status = get_map(apply, &map);
	if (status != FTS_OK) return status;
	if (map->epoch == 0) return broken(apply, ftsi_map_cache_load(maps_of(ctx), apply->txn));
	ftsi_map_renew(map); /* who does not know of it yet is refused by owners that do */
	return keep_map(apply, map, maps_of(ctx));
}

/* ---- Keys of linearizable databases ---- */

static enum fts_status check_key(struct fts_apply *apply, uint32_t db, ProtobufCBinaryData key)
{
	if (key.len > FTSI_RECORD_KEY_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "key: at most %d bytes, not %zu",
					FTSI_RECORD_KEY_MAX, key.len);
	enum fts_status status = ftsi_log_is_linearizable(apply->txn, db);
	if (status == FTS_NOT_FOUND)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION,
					"database %u is not linearizable: versions can't be compared there", db);
	return broken(apply, status);
}

/* What stands there: its version, 0: nothing. */
static enum fts_status version_of(struct fts_apply *apply, uint32_t db, ProtobufCBinaryData key, uint64_t *out_version)
{
	struct ftsi_log_value value;
	enum fts_status status = ftsi_log_get_key(apply->txn, db, bytes_of(key), &value);
	*out_version = status == FTS_OK ? value.version : 0;
	if (status == FTS_OK) fts_value_release(&value.pinned);
	return status == FTS_NOT_FOUND ? FTS_OK : broken(apply, status);
}

static enum fts_status check_version(struct fts_apply *apply, const char *wanted, uint64_t version)
{
	char text[FTSI_VERSION_TEXT_MAX];
	ftsi_log_version_print(version, text);
	if (wanted[0] == 0 || strcmp(wanted, text) == 0) return FTS_OK;
	return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "the version is %s, not %.32s", text, wanted);
}

static enum fts_status tell_key(struct fts_apply *apply, uint32_t db, ProtobufCBinaryData key, char *version,
				bool deleted)
{
	Fts__Kv__V1__KeyEvent event = FTS__KV__V1__KEY_EVENT__INIT;
	event.db = db;
	event.key = key;
	event.version = version;
	event.deleted = deleted;
	return fts_apply_publish(apply, fts_kv_v1_key_event_topic.name, &event.base);
}

static enum fts_status new_version(struct fts_apply *apply, uint64_t *out_version, char **out_text)
{
	*out_version = apply->index << 16 | (apply->ordinal & 0xffff);
	*out_text = fts_arena_alloc(apply->arena, FTSI_VERSION_TEXT_MAX);
	if (*out_text == NULL) return FTS_RESOURCE_EXHAUSTED;
	ftsi_log_version_print(*out_version, *out_text);
	return FTS_OK;
}

/* It is committed: more than half of the members have it, at least. */
static enum fts_status count_members(struct fts_apply *apply, uint32_t *out_acks, uint32_t *out_replicas)
{
	enum fts_status status = broken(apply, ftsi_log_member_count(apply->txn, out_replicas));
	if (*out_replicas == 0) *out_replicas = 1;
	*out_acks = *out_replicas / 2 + 1;
	return status;
}

/* A refusal has changed nothing: whatever may be refused comes before what is written. */
static enum fts_status set_one(struct fts_apply *apply, const Fts__Kv__V1__SetRequest *request,
			       Fts__Kv__V1__SetResponse *response)
{
	uint64_t before, version;
	enum fts_status status = check_key(apply, request->db, request->key);
	if (status == FTS_OK && request->value.len > FTSI_RECORD_VALUE_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "value: at most %d bytes, not %zu",
					FTSI_RECORD_VALUE_MAX, request->value.len);
	if (status == FTS_OK) status = fts_apply_check_fence(apply, request->if_fence);
	if (status == FTS_OK) status = version_of(apply, request->db, request->key, &before);
	if (status == FTS_OK) status = check_version(apply, request->if_version, before);
	if (status == FTS_OK) status = new_version(apply, &version, &response->version);
	if (status == FTS_OK) status = count_members(apply, &response->acks, &response->replicas);
	if (status != FTS_OK) return status;
	status = broken(apply, ftsi_log_put_key(apply->txn, request->db, bytes_of(request->key), version,
						bytes_of(request->value)));
	return status == FTS_OK ? tell_key(apply, request->db, request->key, response->version, false) : status;
}

static enum fts_status delete_one(struct fts_apply *apply, const Fts__Kv__V1__DeleteRequest *request,
				  Fts__Kv__V1__DeleteResponse *response)
{
	uint64_t before, version;
	enum fts_status status = check_key(apply, request->db, request->key);
	if (status == FTS_OK) status = fts_apply_check_fence(apply, request->if_fence);
	if (status == FTS_OK) status = version_of(apply, request->db, request->key, &before);
	if (status == FTS_OK) status = check_version(apply, request->if_version, before);
	if (status == FTS_OK) status = new_version(apply, &version, &response->version);
	if (status == FTS_OK) status = count_members(apply, &response->acks, &response->replicas);
	if (status != FTS_OK || before == 0) return status;
	response->existed = true;
	status = broken(apply, ftsi_log_delete_key(apply->txn, request->db, bytes_of(request->key)));
	return status == FTS_OK ? tell_key(apply, request->db, request->key, response->version, true) : status;
}

enum fts_status ftsi_kv_apply_set(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				  void *ctx)
{
	(void)ctx;
	return set_one(apply, (const Fts__Kv__V1__SetRequest *)request, (Fts__Kv__V1__SetResponse *)response);
}

enum fts_status ftsi_kv_apply_delete(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx)
{
	(void)ctx;
	return delete_one(apply, (const Fts__Kv__V1__DeleteRequest *)request, (Fts__Kv__V1__DeleteResponse *)response);
}

/* ---- Many in one ---- */

static enum fts_status apply_op(struct fts_apply *apply, const Fts__Kv__V1__BatchOp *op,
				Fts__Kv__V1__BatchResult *result)
{
	enum fts_status status;
	switch (op->kind_case) {
	case FTS__KV__V1__BATCH_OP__KIND_SET:
		result->set = fts_arena_alloc(apply->arena, sizeof *result->set);
		if (result->set == NULL) return FTS_RESOURCE_EXHAUSTED;
		fts__kv__v1__set_response__init(result->set);
		status = set_one(apply, op->set, result->set);
		if (status == FTS_OK) result->kind_case = FTS__KV__V1__BATCH_RESULT__KIND_SET;
		return status;
	case FTS__KV__V1__BATCH_OP__KIND_DELETE_KEY:
		result->delete_key = fts_arena_alloc(apply->arena, sizeof *result->delete_key);
		if (result->delete_key == NULL) return FTS_RESOURCE_EXHAUSTED;
		fts__kv__v1__delete_response__init(result->delete_key);
		status = delete_one(apply, op->delete_key, result->delete_key);
		if (status == FTS_OK) result->kind_case = FTS__KV__V1__BATCH_RESULT__KIND_DELETE_KEY;
		return status;
	default:
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "an operation is set or delete_key");
	}
}

/* What ends the whole command, and not one operation. */
static bool is_fatal(enum fts_status status)
{
	return status == FTS_INTERNAL || status == FTS_DATA_LOSS || status == FTS_RESOURCE_EXHAUSTED;
}

enum fts_status ftsi_kv_apply_batch(struct fts_apply *apply, const ProtobufCMessage *request_base,
				    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__BatchRequest *request = (const Fts__Kv__V1__BatchRequest *)request_base;
	Fts__Kv__V1__BatchResponse *response = (Fts__Kv__V1__BatchResponse *)response_base;
	(void)ctx;
	if (request->n_ops == 0 || request->n_ops > BATCH_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "ops: 1 to %d, not %zu", BATCH_MAX,
					request->n_ops);
	Fts__Kv__V1__BatchResult *results = fts_arena_alloc(apply->arena, request->n_ops * sizeof *results);
	response->results = fts_arena_alloc(apply->arena, request->n_ops * sizeof *response->results);
	if (results == NULL || response->results == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (size_t i = 0; i < request->n_ops; i++) {
		fts__kv__v1__batch_result__init(&results[i]);
		response->results[i] = &results[i];
		enum fts_status status = apply_op(apply, request->ops[i], &results[i]);
		if (is_fatal(status)) return status;
		results[i].code = (uint32_t)status;
		if (status == FTS_OK) continue;
		results[i].detail =
		    (char *)(uintptr_t)fts_arena_copy(apply->arena, apply->detail, strlen(apply->detail) + 1);
		if (results[i].detail == NULL) return FTS_RESOURCE_EXHAUSTED;
	}
	apply->detail[0] = '\0';
	response->n_results = request->n_ops;
	return FTS_OK;
}

/* ---- Reads ---- */

static enum fts_status failed(struct fts_read *read, enum fts_status status)
{
	if (status == FTS_RESOURCE_EXHAUSTED) return fts_read_refuse(read, status, "no memory for the answer");
	return fts_read_refuse(read, FTS_INTERNAL, "the key-value store's state can't be read: %s",
			       fts_status_name(status));
}

enum fts_status ftsi_kv_read_get(struct fts_read *read, const ProtobufCMessage *request_base,
				 ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__GetRequest *request = (const Fts__Kv__V1__GetRequest *)request_base;
	Fts__Kv__V1__GetResponse *response = (Fts__Kv__V1__GetResponse *)response_base;
	struct ftsi_log_value value;
	(void)ctx;
	if (request->key.len > FTSI_RECORD_KEY_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "key: at most %d bytes, not %zu",
				       FTSI_RECORD_KEY_MAX, request->key.len);
	enum fts_status status = ftsi_log_get_key(read->view, request->db, bytes_of(request->key), &value);
	if (status == FTS_NOT_FOUND) return fts_read_refuse(read, status, "no such key");
	if (status != FTS_OK) return failed(read, status);
	response->version = fts_arena_alloc(read->arena, FTSI_VERSION_TEXT_MAX);
	response->value.data = (uint8_t *)fts_arena_copy(read->arena, value.value.data, value.value.size_bytes);
	response->value.len = value.value.size_bytes;
	if (response->version != NULL) ftsi_log_version_print(value.version, response->version);
	fts_value_release(&value.pinned);
	return response->version == NULL || response->value.data == NULL ? failed(read, FTS_RESOURCE_EXHAUSTED)
									 : FTS_OK;
}

enum fts_status ftsi_kv_read_fence(struct fts_read *read, const ProtobufCMessage *request_base,
				   ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__CheckFenceRequest *request = (const Fts__Kv__V1__CheckFenceRequest *)request_base;
	(void)response_base;
	(void)ctx;
	enum fts_status status = fts_fence_check(read->view, request->fence);
	if (status == FTS_FAILED_PRECONDITION)
		return fts_read_refuse(read, status, "fence %" PRIu64 " does not stand (any more)", request->fence);
	return status == FTS_OK ? FTS_OK : failed(read, status);
}

struct listing {
	struct fts_arena *arena;
	ProtobufCBinaryData *keys;
	size_t count, limit, bytes;
	bool more, exhausted;
};

static bool list_key(void *ctx, struct fts_bytes key)
{
	struct listing *listing = ctx;
	listing->more = listing->count == listing->limit || listing->bytes >= KEYS_BYTES_MAX;
	if (listing->more) return false;
	listing->bytes += key.size_bytes + KEY_HEAD_BYTES;
	uint8_t *copy = (uint8_t *)fts_arena_copy(listing->arena, key.data, key.size_bytes);
	listing->exhausted = copy == NULL;
	if (copy != NULL) listing->keys[listing->count++] = (ProtobufCBinaryData){key.size_bytes, copy};
	return copy != NULL;
}

enum fts_status ftsi_kv_read_keys(struct fts_read *read, const ProtobufCMessage *request_base,
				  ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Kv__V1__KeysRequest *request = (const Fts__Kv__V1__KeysRequest *)request_base;
	Fts__Kv__V1__KeysResponse *response = (Fts__Kv__V1__KeysResponse *)response_base;
	const struct ftsi_log_scan scan = {.db = request->db,
					   .prefix = bytes_of(request->prefix),
					   .after = bytes_of(request->after),
					   .has_after = request->has_after};
	struct listing listing = {.arena = read->arena, .limit = request->limit == 0 ? KEYS_DEFAULT : request->limit};
	(void)ctx;
	if (listing.limit > KEYS_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "limit: at most %d, not %u", KEYS_MAX,
				       request->limit);
	if (request->prefix.len > FTSI_RECORD_KEY_MAX || request->after.len > FTSI_RECORD_KEY_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "prefix, after: at most %d bytes",
				       FTSI_RECORD_KEY_MAX);
	listing.keys = fts_arena_alloc(read->arena, listing.limit * sizeof *listing.keys);
	if (listing.keys == NULL) return failed(read, FTS_RESOURCE_EXHAUSTED);
	enum fts_status status = ftsi_log_visit_keys(read->view, &scan, list_key, &listing);
	if (status == FTS_OK && listing.exhausted) status = FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK) return failed(read, status);
	response->keys = listing.keys;
	response->n_keys = listing.count;
	response->end = !listing.more;
	return FTS_OK;
}
