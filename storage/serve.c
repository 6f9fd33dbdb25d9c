/* Why this file exists: service Storage (proto/fts/kv/v1/kv.proto): what other nodes ask this one as an owner. */
#include <stdlib.h>
#include <string.h>

#include <fts/kv/v1/kv.fts.h>

#include "base/clock.h"
#include "storage/owner_internal.h"

enum {
	RECORDS_MAX = 4096,                 /* of one put */
	ANSWER_BYTES_MAX = 3 * 1024 * 1024, /* of one answer; a first record fits in any case */
	RECORD_HEAD_BYTES = 64,             /* what a record has in a message besides its key and value */
	SCAN_BYTES_DEFAULT = 256 * 1024,
	SCAN_BYTES_MAX = 2 * 1024 * 1024,
	KEYS_MAX = 10000,
};

static struct fts_bytes bytes_of(ProtobufCBinaryData data)
{
	return (struct fts_bytes){data.data, data.len};
}

static ProtobufCBinaryData data_of(struct fts_bytes bytes)
{
	return (ProtobufCBinaryData){bytes.size_bytes, (uint8_t *)(uintptr_t)bytes.data};
}

static struct ftsi_record record_of(const Fts__Kv__V1__Record *message)
{
	return (struct ftsi_record){.db = message->db,
				    .key = bytes_of(message->key),
				    .value = bytes_of(message->value),
				    .version = {message->version_time, message->version_node},
				    .tombstone = message->tombstone,
				    .write_id = message->write_id};
}

/* Borrows key and value from record. */
static void tell_record(const struct ftsi_record *record, Fts__Kv__V1__Record *out_message)
{
	fts__kv__v1__record__init(out_message);
	out_message->db = record->db;
	out_message->key = data_of(record->key);
	out_message->value = data_of(record->value);
	out_message->tombstone = record->tombstone;
	out_message->version_time = record->version.time;
	out_message->version_node = record->version.node;
	out_message->checksum = ftsi_record_checksum(record);
}

/* False: it is for the node that was here before this one, and is refused. */
static bool is_for_me(struct fts_owner *owner, struct fts_call *call, uint64_t for_node)
{
	if (for_node == 0 || for_node == atomic_load(&owner->node_id)) return true;
	fts_call_fail(call, FTS_UNAVAILABLE, "that node is not here any more");
	return false;
}

/* ---- Put, and Hint ---- */

/* Lives in the call's memory until it is answered. */
struct incoming {
	struct fts_storage_put put; /* first */
	struct fts_call *call;
	struct fts_owner *owner;
	protobuf_c_boolean *existed;
};

static void put_done(struct fts_storage_put *put)
{
	struct incoming *incoming = (struct incoming *)put;
	Fts__Kv__V1__PutResponse response = FTS__KV__V1__PUT_RESPONSE__INIT;
	Fts__Kv__V1__HintResponse kept = FTS__KV__V1__HINT_RESPONSE__INIT;
	if (put->status != FTS_OK) {
		if (fts_storage_may_have_stored(put->status))
			fts_call_set_executed(incoming->call, FTS_EXECUTED_UNKNOWN);
		fts_call_fail(incoming->call, put->status, "not stored: %s", fts_status_name(put->status));
		return;
	}
	if (put->hint_dropped) {
		fts_call_fail(incoming->call, FTS_RESOURCE_EXHAUSTED, "not kept: this node keeps no more hints");
		return;
	}
	if (put->hint_owner != 0) {
		fts_kv_storage_hint_reply(incoming->call, &kept);
		return;
	}
	for (size_t i = 0; i < put->count; i++)
		incoming->existed[i] = put->existed[i];
	response.existed = incoming->existed;
	response.n_existed = put->count;
	response.newer = put->newer;
	response.n_newer = put->count;
	response.clock = fts_owner_now(incoming->owner);
	fts_kv_storage_put_reply(incoming->call, &response);
}

static struct incoming *make_incoming(struct fts_owner *owner, struct fts_call *call, size_t count)
{
	struct incoming *incoming = fts_call_alloc(call, sizeof *incoming);
	struct ftsi_record *records = fts_call_alloc(call, count * sizeof *records);
	bool *existed = fts_call_alloc(call, count * sizeof *existed);
	uint64_t *newer = fts_call_alloc(call, count * sizeof *newer);
	protobuf_c_boolean *told = fts_call_alloc(call, count * sizeof *told);
	if (incoming == NULL || records == NULL || existed == NULL || newer == NULL || told == NULL) return NULL;
	*incoming = (struct incoming){
	    .call = call,
	    .owner = owner,
	    .existed = told,
	    .put = {.records = records, .count = count, .existed = existed, .newer = newer, .done = put_done}};
	return incoming;
}

/* False: it was altered on its way. */
static bool take_record(struct incoming *incoming, size_t i, const Fts__Kv__V1__Record *message)
{
	struct ftsi_record *records = (struct ftsi_record *)(uintptr_t)incoming->put.records;
	records[i] = record_of(message);
	return message->key.len <= FTSI_RECORD_KEY_MAX && message->value.len <= FTSI_RECORD_VALUE_MAX &&
	       message->checksum == ftsi_record_checksum(&records[i]);
}

static void refuse_old_map(struct fts_owner *owner, struct fts_call *call)
{
	Fts__Kv__V1__PutResponse response = FTS__KV__V1__PUT_RESPONSE__INIT;
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	response.map = shared->message;
	fts_kv_storage_put_reply(call, &response);
	ftsi_map_release(shared);
}

static void put(struct fts_call *call, const Fts__Kv__V1__PutRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	const struct fts_owner_stamp stamp = {request->epoch, request->as_of};
	struct fts_error error = {0};
	if (!is_for_me(owner, call, request->for_node)) return;
	if (request->n_records == 0 || request->n_records > RECORDS_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "records: 1 to %d, not %zu", RECORDS_MAX, request->n_records);
		return;
	}
	struct incoming *incoming = make_incoming(owner, call, request->n_records);
	if (incoming == NULL) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for %zu records", request->n_records);
		return;
	}
	incoming->put.background = request->background;
	for (size_t i = 0; i < request->n_records; i++)
		if (!take_record(incoming, i, request->records[i])) {
			fts_call_fail(call, FTS_INVALID_ARGUMENT, "records[%zu]: too large, or altered", i);
			return;
		}
	enum fts_status status = fts_owner_put(owner, &stamp, &incoming->put, &error);
	if (status == FTS_ABORTED)
		refuse_old_map(owner, call);
	else if (status != FTS_OK)
		fts_call_fail(call, status, "%s", error.detail);
}

static void hint(struct fts_call *call, const Fts__Kv__V1__HintRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	struct incoming *incoming = make_incoming(owner, call, 1);
	if (incoming == NULL) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for a hint");
		return;
	}
	if (request->owner == 0 || request->record == NULL || !take_record(incoming, 0, request->record)) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "owner, record: missing, too large, or altered");
		return;
	}
	incoming->put.hint_owner = request->owner;
	enum fts_status status = fts_storage_put(owner->options.storage, &incoming->put);
	if (status != FTS_OK) fts_call_fail(call, status, "not kept: %s", fts_status_name(status));
}

/* ---- Read ---- */

struct outgoing {
	Fts__Kv__V1__ReadResponse base;
	struct fts_storage_found *found;
	Fts__Kv__V1__Record *records;
	size_t bytes;
	bool full; /* what was read last does not fit */
};

static void note_size(struct outgoing *out, size_t i)
{
	const Fts__Kv__V1__Record *record = &out->records[i];
	out->bytes += record->key.len + record->value.len + RECORD_HEAD_BYTES;
	out->full = i > 0 && out->bytes > ANSWER_BYTES_MAX;
}

/* OK, also for what is missing or damaged. */
static enum fts_status read_one(struct fts_owner *owner, const Fts__Kv__V1__ReadRequest *request, size_t i,
				struct outgoing *out)
{
	const Fts__Kv__V1__ReadKey *key = request->keys[i];
	fts__kv__v1__record__init(&out->records[i]);
	enum fts_status status =
	    key->key.len > FTSI_RECORD_KEY_MAX
		? FTS_NOT_FOUND
		: fts_owner_read(owner, request->epoch, key->db, bytes_of(key->key), &out->found[i]);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status == FTS_DATA_LOSS) {
		out->base.damaged[out->base.n_damaged++] = (uint32_t)i;
		return FTS_OK;
	}
	if (status != FTS_OK) return status;
	tell_record(&out->found[i].record, &out->records[i]);
	if (request->digests) out->records[i].value = (ProtobufCBinaryData){0};
	note_size(out, i);
	return FTS_OK;
}

static bool make_outgoing(struct fts_call *call, size_t count, struct outgoing *out)
{
	fts__kv__v1__read_response__init(&out->base);
	out->found = calloc(count, sizeof *out->found); /* outlives the call: it is released after the answer */
	out->records = fts_call_alloc(call, count * sizeof *out->records);
	out->base.records = fts_call_alloc(call, count * sizeof *out->base.records);
	out->base.damaged = fts_call_alloc(call, count * sizeof *out->base.damaged);
	if (out->found == NULL || out->records == NULL || out->base.records == NULL || out->base.damaged == NULL)
		return false;
	return true;
}

static void answer_read(struct fts_owner *owner, struct fts_call *call, struct outgoing *out, enum fts_status status)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	if (status == FTS_ABORTED) {
		out->base.n_records = out->base.n_damaged = 0;
		out->base.map = shared->message;
	}
	if (status == FTS_OK || status == FTS_ABORTED)
		fts_kv_storage_read_reply(call, &out->base);
	else
		fts_call_fail(call, status, "can't be read: %s", fts_status_name(status));
	ftsi_map_release(shared);
}

/* What does not fit is left out of the end: it is asked for again. */
static void read_keys(struct fts_call *call, const Fts__Kv__V1__ReadRequest *request, void *ctx)
{
	struct outgoing out = {0};
	enum fts_status status = FTS_OK;
	if (!is_for_me(ctx, call, request->for_node)) return;
	if (request->n_keys == 0 || request->n_keys > RECORDS_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "keys: 1 to %d, not %zu", RECORDS_MAX, request->n_keys);
		return;
	}
	if (!make_outgoing(call, request->n_keys, &out)) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for %zu keys", request->n_keys);
		free(out.found);
		return;
	}
	struct fts_storage_found *found = out.found;
	size_t i = 0;
	for (; i < request->n_keys && status == FTS_OK && !out.full; i++) {
		status = read_one(ctx, request, i, &out);
		out.base.records[i] = &out.records[i];
	}
	out.base.n_records = out.full ? i - 1 : i;
	answer_read(ctx, call, &out, status);
	while (i > 0)
		fts_storage_release(&found[--i]);
	free(found);
}

/* ---- Scan ---- */

/* A page, in one block of memory. */
struct page {
	Fts__Kv__V1__ScanResponse base;
	Fts__Kv__V1__Record records[RECORDS_MAX], *list[RECORDS_MAX];
	struct fts_key last;
	size_t used, limit, capacity;
	bool keys_only, full;
	uint8_t bytes[];
};

static struct fts_bytes copy_into(struct page *page, struct fts_bytes bytes)
{
	uint8_t *at = page->bytes + page->used;
	if (bytes.size_bytes > 0) memcpy(at, bytes.data, bytes.size_bytes);
	page->used += bytes.size_bytes;
	return (struct fts_bytes){at, bytes.size_bytes};
}

static bool add_to_page(void *ctx, const struct ftsi_record *record, struct fts_bytes stored_key)
{
	struct page *page = ctx;
	size_t count = page->base.n_records;
	page->full = page->used >= page->limit || count == RECORDS_MAX;
	if (page->full) return false;
	Fts__Kv__V1__Record *message = &page->records[count];
	tell_record(record, message);
	message->key = data_of(copy_into(page, record->key));
	message->value = page->keys_only ? (ProtobufCBinaryData){0} : data_of(copy_into(page, record->value));
	page->list[count] = message;
	page->base.n_records = count + 1;
	memcpy(page->last.bytes, stored_key.data, stored_key.size_bytes);
	page->last.size_bytes = stored_key.size_bytes;
	return true;
}

static bool just_look(void *ctx, const struct ftsi_record *record, struct fts_bytes stored_key)
{
	(void)ctx;
	(void)record;
	(void)stored_key;
	return true;
}

static struct page *make_page(const Fts__Kv__V1__ScanRequest *request)
{
	size_t limit = request->limit_bytes == 0 ? SCAN_BYTES_DEFAULT : request->limit_bytes;
	if (limit > SCAN_BYTES_MAX) limit = SCAN_BYTES_MAX;
	size_t capacity = limit + FTSI_RECORD_KEY_MAX + FTSI_RECORD_VALUE_MAX;
	struct page *page = malloc(sizeof *page + capacity);
	if (page == NULL) return NULL;
	page->limit = limit;
	page->capacity = capacity;
	page->used = page->last.size_bytes = 0;
	page->full = false;
	page->keys_only = request->keys_only;
	fts__kv__v1__scan_response__init(&page->base);
	page->base.records = page->list;
	return page;
}

static void scan(struct fts_call *call, const Fts__Kv__V1__ScanRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	const struct fts_storage_scan wanted = {.partition = request->partition,
						.after = bytes_of(request->after),
						.one_db = request->one_db,
						.db = request->db,
						.leaf = request->leaf == 0 ? FTSI_LEAF_COUNT : request->leaf - 1};
	uint64_t damaged;
	if (!is_for_me(owner, call, request->for_node)) return;
	if (request->partition >= FTSI_PARTITION_COUNT || request->after.len > FTS_KEY_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "partition: 0 to %d; after: a stored key",
			      FTSI_PARTITION_COUNT - 1);
		return;
	}
	/* Later pages need no more than the first: what came meanwhile knew of the copy. */
	enum fts_status status =
	    request->epoch != 0 && request->after.len == 0 ? fts_owner_confirm_map(owner, request->epoch) : FTS_OK;
	if (request->epoch != 0 && !request->what_is_left &&
	    fts_storage_has_lost(owner->options.storage, request->partition))
		status = FTS_UNAVAILABLE; /* a copy of it would be none */
	struct page *page = status == FTS_OK ? make_page(request) : NULL;
	if (status == FTS_OK && page == NULL) status = FTS_RESOURCE_EXHAUSTED;
	if (status == FTS_OK)
		status = fts_storage_visit(owner->options.storage, &wanted,
					   request->check_only ? just_look : add_to_page, page, &damaged);
	if (status != FTS_OK) {
		fts_call_fail(call, status, "partition %u can't be read now: %s", request->partition,
			      fts_status_name(status));
		free(page);
		return;
	}
	page->base.end = !page->full;
	page->base.damaged = damaged;
	page->base.last = (ProtobufCBinaryData){page->last.size_bytes, page->last.bytes};
	fts_kv_storage_scan_reply(call, &page->base);
	free(page);
}

/* ---- Tree, Forget ---- */

static void tree(struct fts_call *call, const Fts__Kv__V1__TreeRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	struct fts_storage *storage = owner->options.storage;
	Fts__Kv__V1__TreeResponse response = FTS__KV__V1__TREE_RESPONSE__INIT;
	uint64_t leaves[FTSI_LEAF_COUNT], roots[FTSI_PARTITION_COUNT], records;
	if (!is_for_me(owner, call, request->for_node)) return;
	if (request->partition >= FTSI_PARTITION_COUNT) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "partition: 0 to %d", FTSI_PARTITION_COUNT - 1);
		return;
	}
	response.untrusted = !ftsi_tree_read(fts_storage_tree(storage), request->partition, &response.root,
					     request->leaves ? leaves : NULL, &response.records);
	response.leaves = leaves;
	response.n_leaves = request->leaves && !response.untrusted ? FTSI_LEAF_COUNT : 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT && request->all_roots; p++)
		if (!ftsi_tree_read(fts_storage_tree(storage), p, &roots[p], NULL, &records)) roots[p] = 0;
	response.roots = roots;
	response.n_roots = request->all_roots ? FTSI_PARTITION_COUNT : 0;
	response.oldest_hint = fts_hints_oldest(storage, request->partition);
	response.hints_pending = fts_hints_count(storage);
	fts_hints_measure(storage, &response.hint_bytes, &response.hints_dropped);
	response.mended = fts_storage_mended_count(storage);
	response.damaged = fts_storage_damaged_count(storage);
	response.lost = fts_storage_lost_count(storage);
	response.stuck = atomic_load(&owner->stuck_count);
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	response.changed = shared->map.changed[request->partition];
	ftsi_map_release(shared);
	fts_kv_storage_tree_reply(call, &response);
}

static void forget(struct fts_call *call, const Fts__Kv__V1__ForgetRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	Fts__Kv__V1__ForgetResponse response = FTS__KV__V1__FORGET_RESPONSE__INIT;
	if (!is_for_me(owner, call, request->for_node)) return;
	for (size_t i = 0; i < request->n_records; i++) {
		struct ftsi_record record = record_of(request->records[i]);
		if (record.key.size_bytes <= FTSI_RECORD_KEY_MAX)
			fts_storage_forget(owner->options.storage, record.db, record.key, record.version);
	}
	fts_kv_storage_forget_reply(call, &response);
}

static void recall(struct fts_call *call, const Fts__Kv__V1__RecallRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	struct ftsi_taken_write write;
	Fts__Kv__V1__RecallResponse response = FTS__KV__V1__RECALL_RESPONSE__INIT;
	if (ftsi_taken_find(fts_storage_taken(owner->options.storage), request->write_id, &write)) {
		response.version_time = write.version.time;
		response.version_node = write.version.node;
		response.existed = write.existed;
	}
	fts_kv_storage_recall_reply(call, &response);
}

/* ---- AcceptLossHere ---- */

/* Does this node copy partition, or will it? */
static bool copies(struct fts_owner *owner, const struct ftsi_map *map, uint32_t partition)
{
	uint64_t self = atomic_load(&owner->node_id);
	const struct ftsi_map_move *move = ftsi_map_move_under_way(map, partition);
	return (move != NULL && move->to_node == self) || (ftsi_placement_owns(&map->placement, partition, self) &&
							   fts_storage_has_lost(owner->options.storage, partition));
}

static void accept_loss(struct fts_call *call, const Fts__Kv__V1__AcceptLossRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	Fts__Kv__V1__AcceptLossResponse response = FTS__KV__V1__ACCEPT_LOSS_RESPONSE__INIT;
	if (!is_for_me(owner, call, request->for_node)) return;
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		if ((!request->all && request->partition != p) || !copies(owner, &shared->map, p)) continue;
		atomic_store(&owner->accepted[p], shared->map.changed[p]);
		response.copies++;
	}
	ftsi_map_release(shared);
	fts_kv_storage_accept_loss_here_reply(call, &response);
}

/* ---- KnowMap ---- */

static void know_map(struct fts_call *call, const Fts__Kv__V1__KnowMapRequest *request, void *ctx)
{
	Fts__Kv__V1__KnowMapResponse response = FTS__KV__V1__KNOW_MAP_RESPONSE__INIT;
	if (!is_for_me(ctx, call, request->for_node)) return;
	enum fts_status status = fts_owner_confirm_map(ctx, request->epoch);
	if (status == FTS_OK)
		fts_kv_storage_know_map_reply(call, &response);
	else
		fts_call_fail(call, status, "the map of epoch %llu is not known here yet",
			      (unsigned long long)request->epoch);
}

/* ---- OwnedKeys ---- */

struct key_page {
	Fts__Kv__V1__OwnedKeysResponse base;
	Fts__Kv__V1__Record *records, **list;
	struct fts_call *call;
	size_t limit, bytes;
	bool more, exhausted;
};

static bool add_key(void *ctx, const struct ftsi_record *record)
{
	struct key_page *page = ctx;
	size_t count = page->base.n_records;
	page->more = count == page->limit || page->bytes >= ANSWER_BYTES_MAX;
	if (page->more) return false;
	uint8_t *copy = fts_call_alloc(page->call, record->key.size_bytes + 1);
	page->exhausted = copy == NULL;
	if (copy == NULL) return false;
	if (record->key.size_bytes > 0) memcpy(copy, record->key.data, record->key.size_bytes);
	Fts__Kv__V1__Record *message = &page->records[count];
	fts__kv__v1__record__init(message);
	message->key = (ProtobufCBinaryData){record->key.size_bytes, copy};
	message->tombstone = record->tombstone;
	message->version_time = record->version.time;
	message->version_node = record->version.node;
	page->list[count] = message;
	page->base.n_records = count + 1;
	page->bytes += record->key.size_bytes + sizeof *message;
	return true;
}

static void owned_keys(struct fts_call *call, const Fts__Kv__V1__OwnedKeysRequest *request, void *ctx)
{
	struct fts_owner *owner = ctx;
	uint8_t partitions[FTSI_PARTITION_COUNT];
	const struct fts_owner_keys wanted = {.node_id = atomic_load(&owner->node_id),
					      .db = request->db,
					      .prefix = bytes_of(request->prefix),
					      .after = bytes_of(request->after),
					      .has_after = request->has_after};
	struct key_page page = {.call = call, .limit = request->limit};
	if (!is_for_me(owner, call, request->for_node)) return;
	if (request->limit == 0 || request->limit > KEYS_MAX || request->prefix.len > FTSI_RECORD_KEY_MAX ||
	    request->after.len > FTSI_RECORD_KEY_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "limit: 1 to %d; prefix, after: at most %d bytes", KEYS_MAX,
			      FTSI_RECORD_KEY_MAX);
		return;
	}
	fts__kv__v1__owned_keys_response__init(&page.base);
	page.records = fts_call_alloc(call, page.limit * sizeof *page.records);
	page.list = fts_call_alloc(call, page.limit * sizeof *page.list);
	enum fts_status status = page.records == NULL || page.list == NULL
				     ? FTS_RESOURCE_EXHAUSTED
				     : fts_owner_visit_keys(owner, &wanted, add_key, &page, partitions);
	if (status == FTS_OK && page.exhausted) status = FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK) {
		fts_call_fail(call, status, "keys can't be listed: %s", fts_status_name(status));
		return;
	}
	page.base.records = page.list;
	page.base.end = !page.more;
	page.base.partitions = (ProtobufCBinaryData){sizeof partitions, partitions};
	fts_kv_storage_owned_keys_reply(call, &page.base);
}

static const struct fts_kv_storage_handlers handlers = {.put = put,
							.read = read_keys,
							.scan = scan,
							.tree = tree,
							.hint = hint,
							.forget = forget,
							.recall = recall,
							.accept_loss_here = accept_loss,
							.owned_keys = owned_keys,
							.know_map = know_map};

enum fts_status fts_owner_serve(struct fts_owner *owner, struct fts_server *server, struct fts_error *out_error)
{
	return fts_kv_storage_register(server, &handlers, owner, out_error);
}
