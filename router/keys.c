/* Why this file exists: Kv.Keys: one page of a database's keys over the whole cluster, in the order of their bytes.
 *
 * Every node is asked for the first keys of all partitions it owns; what they answer is merged. A page may only reach
 * as far as the node that got the least far; and a partition counts once more than half of its owners have answered,
 * and of its owners to be: then every acknowledged write is among the answers, and the newest of a key says whether it
 * is there or was deleted. */
#include <stdlib.h>
#include <string.h>

#include "router/internal.h"

enum {
	LIMIT_DEFAULT = 1000,
	LIMIT_MAX = 10000,
	DELETED_SLACK = 64,
	ANSWER_BYTES_MAX = 3 * 1024 * 1024,
	KEY_HEAD_BYTES = 8 /* what a key has in a message besides itself */
};

struct listing;

struct source {
	struct listing *listing;
	Fts__Kv__V1__OwnedKeysResponse *response; /* own copy; NULL: it has not answered */
	size_t at;
};

struct listing {
	struct fts_router *router;
	struct fts_call *call;
	const Fts__Kv__V1__KeysRequest *request; /* the call's */
	const struct fts_router_map *map;
	size_t limit;
	atomic_size_t open_count;
	struct source sources[FTS_ROUTER_NODES_MAX]; /* by place */
};

static int compare(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
	if (order != 0) return order;
	return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/* ---- Have enough answered? ---- */

enum part { NONE, OWNS, COMES };

static enum part part_of(const struct source *source, uint32_t partition)
{
	const Fts__Kv__V1__OwnedKeysResponse *response = source->response;
	bool known = response != NULL && partition < response->partitions.len;
	return known ? (enum part)response->partitions.data[partition] : NONE;
}

static bool is_most(uint64_t places, uint64_t of)
{
	return __builtin_popcountll(places & of) >= __builtin_popcountll(of) / 2 + 1;
}

/* Owners that are missing, if that leaves a partition without its quorum; 0: enough have answered. */
static uint64_t find_missing(const struct listing *listing)
{
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT; p++) {
		const struct fts_router_partition *partition = &listing->map->partitions[p];
		uint64_t own = 0, take_part = 0;
		for (uint8_t i = 0; i < partition->order_count; i++) {
			enum part part = part_of(&listing->sources[partition->order[i]], p);
			if (part == OWNS) own |= (uint64_t)1 << partition->order[i];
			if (part != NONE) take_part |= (uint64_t)1 << partition->order[i];
		}
		if (!is_most(own, partition->owners)) return partition->owners & ~own;
		if (!is_most(take_part, partition->next)) return partition->next & ~take_part;
	}
	return 0;
}

/* ---- Merging ---- */

/* The smallest key that comes next; NULL: none is left, or a source that has more has come to its end. */
static const Fts__Kv__V1__Record *peek(const struct listing *listing, bool *out_end)
{
	const Fts__Kv__V1__Record *least = NULL;
	*out_end = true;
	for (size_t i = 0; i < listing->map->node_count; i++) {
		const struct source *source = &listing->sources[i];
		if (source->response == NULL) continue;
		if (source->at == source->response->n_records) {
			if (!source->response->end) {
				*out_end = false;
				return NULL;
			}
			continue;
		}
		const Fts__Kv__V1__Record *record = source->response->records[source->at];
		if (least == NULL || compare(record->key, least->key) < 0) least = record;
	}
	return least;
}

/* Take key from all that have it; the newest of them. */
static const Fts__Kv__V1__Record *take(struct listing *listing, ProtobufCBinaryData key)
{
	const Fts__Kv__V1__Record *newest = NULL;
	for (size_t i = 0; i < listing->map->node_count; i++) {
		struct source *source = &listing->sources[i];
		if (source->response == NULL || source->at == source->response->n_records) continue;
		const Fts__Kv__V1__Record *record = source->response->records[source->at];
		if (compare(record->key, key) != 0) continue;
		source->at++;
		if (newest == NULL || record->version_time > newest->version_time ||
		    (record->version_time == newest->version_time && record->version_node > newest->version_node))
			newest = record;
	}
	return newest;
}

static void ask_all(struct listing *listing, ProtobufCBinaryData after, bool has_after);

static void answer(struct listing *listing, ProtobufCBinaryData *keys)
{
	Fts__Kv__V1__KeysResponse response = FTS__KV__V1__KEYS_RESPONSE__INIT;
	const Fts__Kv__V1__Record *next;
	size_t bytes = 0;
	bool end = false, full = false;
	response.keys = keys;
	while (!full && (next = peek(listing, &end)) != NULL) {
		next = take(listing, next->key);
		if (next->tombstone) continue;
		keys[response.n_keys++] = next->key;
		bytes += next->key.len + KEY_HEAD_BYTES;
		full = response.n_keys == listing->limit || bytes >= ANSWER_BYTES_MAX;
	}
	if (full) end = peek(listing, &end) == NULL && end;
	response.end = end;
	fts_kv_keys_reply(listing->call, &response);
}

static void free_listing(struct listing *listing)
{
	for (size_t i = 0; i < FTS_ROUTER_NODES_MAX; i++)
		if (listing->sources[i].response != NULL)
			fts__kv__v1__owned_keys_response__free_unpacked(listing->sources[i].response, NULL);
	fts_router_map_release(listing->map);
	free(listing);
}

/* The last key all sources have come to, when all of the page was deleted keys; false: the page has something. */
static bool is_all_deleted(struct listing *listing, ProtobufCBinaryData *out_last)
{
	const Fts__Kv__V1__Record *next;
	bool end = false, any = false, some = false;
	while (!some && (next = peek(listing, &end)) != NULL) {
		next = take(listing, next->key);
		some = !next->tombstone;
		*out_last = next->key;
		any = true;
	}
	for (size_t i = 0; i < FTS_ROUTER_NODES_MAX; i++)
		listing->sources[i].at = 0;
	return any && !some && !end;
}

/* An empty page that is not the end would have nowhere to go on from: look further. */
static void look_further(struct listing *listing, ProtobufCBinaryData last)
{
	uint8_t *copy = fts_call_alloc(listing->call, last.len + 1);
	if (copy == NULL) {
		fts_call_fail(listing->call, FTS_RESOURCE_EXHAUSTED, "too many deleted keys in one page");
		free_listing(listing);
		return;
	}
	if (last.len > 0) memcpy(copy, last.data, last.len);
	for (size_t i = 0; i < FTS_ROUTER_NODES_MAX; i++) {
		if (listing->sources[i].response == NULL) continue;
		fts__kv__v1__owned_keys_response__free_unpacked(listing->sources[i].response, NULL);
		listing->sources[i].response = NULL;
	}
	ask_all(listing, (ProtobufCBinaryData){last.len, copy}, true);
}

static void finish(struct listing *listing)
{
	ProtobufCBinaryData *keys = malloc((listing->limit + 1) * sizeof *keys), last = {0};
	uint64_t missing = find_missing(listing);
	char names[200];
	ftsi_name_places(listing->map, missing, names, sizeof names);
	if (missing == 0 && keys != NULL && is_all_deleted(listing, &last)) {
		free(keys);
		look_further(listing, last);
		return;
	}
	if (missing != 0)
		fts_call_fail(listing->call, FTS_UNAVAILABLE,
			      "too few owners of some keys answered: %s can't be reached", names);
	else if (keys == NULL)
		fts_call_fail(listing->call, FTS_RESOURCE_EXHAUSTED, "no memory for the keys");
	else
		answer(listing, keys);
	free(keys);
	free_listing(listing);
}

/* ---- Asking ---- */

static void one_done(struct listing *listing)
{
	if (atomic_fetch_sub(&listing->open_count, 1) == 1) finish(listing);
}

static void listed(void *ctx, enum fts_status status, const Fts__Kv__V1__OwnedKeysResponse *response,
		   const struct fts_error *error)
{
	struct source *source = ctx;
	(void)error;
	uint8_t *packed =
	    status == FTS_OK ? malloc(fts__kv__v1__owned_keys_response__get_packed_size(response) + 1) : NULL;
	if (packed != NULL) {
		size_t size = fts__kv__v1__owned_keys_response__pack(response, packed);
		source->response = fts__kv__v1__owned_keys_response__unpack(NULL, size, packed);
		source->at = 0;
	}
	free(packed);
	one_done(source->listing);
}

static void ask_all(struct listing *listing, ProtobufCBinaryData after, bool has_after)
{
	Fts__Kv__V1__OwnedKeysRequest request = FTS__KV__V1__OWNED_KEYS_REQUEST__INIT;
	uint32_t left_ms = ftsi_left_ms(fts_call_deadline_ns(listing->call));
	const struct fts_call_options options = {
	    .timeout_ms = left_ms < FTSI_REMOTE_TIMEOUT_MS ? left_ms : FTSI_REMOTE_TIMEOUT_MS, .no_retry = true};
	request.db = listing->request->db;
	request.prefix = listing->request->prefix;
	request.after = after;
	request.has_after = has_after;
	request.limit =
	    (uint32_t)(listing->limit + DELETED_SLACK < LIMIT_MAX ? listing->limit + DELETED_SLACK : LIMIT_MAX);
	atomic_store(&listing->open_count, listing->map->node_count + 1);
	for (size_t i = 0; i < listing->map->node_count; i++) {
		struct ftsi_remote *remote =
		    ftsi_remotes_find(listing->router->coordinator.remotes, &listing->map->nodes[i]);
		listing->sources[i].listing = listing;
		request.for_node = listing->map->nodes[i].node_id;
		if (remote == NULL || fts_kv_storage_owned_keys_start(ftsi_remote_channel(remote), &request, &options,
								      listed, &listing->sources[i], NULL) != FTS_OK)
			one_done(listing);
	}
	one_done(listing);
}

static void answer_from_log(void *ctx, enum fts_status status, const Fts__Kv__V1__KeysResponse *response,
			    const struct fts_error *error)
{
	if (status == FTS_OK)
		fts_kv_keys_reply(ctx, response);
	else
		fts_call_fail_error(ctx, error);
}

static void ask_log(struct fts_router *router, struct fts_call *call, const Fts__Kv__V1__KeysRequest *request)
{
	const struct fts_call_options options = {.timeout_ms = ftsi_left_ms(fts_call_deadline_ns(call))};
	enum fts_status status =
	    fts_kv_admin_log_keys_start(router->log, request, &options, answer_from_log, call, NULL);
	if (status != FTS_OK) fts_call_fail(call, status, "too much is under way at this node");
}

static struct listing *make_listing(struct fts_router *router, struct fts_call *call,
				    const Fts__Kv__V1__KeysRequest *request, const struct fts_router_map *map)
{
	struct listing *listing = calloc(1, sizeof *listing);
	if (listing == NULL) return NULL;
	listing->router = router;
	listing->call = call;
	listing->request = request;
	listing->map = map;
	listing->limit = request->limit == 0 ? LIMIT_DEFAULT : request->limit;
	return listing;
}

void ftsi_serve_keys(struct fts_router *router, struct fts_call *call, const void *request_data)
{
	const Fts__Kv__V1__KeysRequest *request = request_data;
	const struct fts_router_owner *owner = router->options.owner;
	if (request->limit > LIMIT_MAX || request->prefix.len > FTSI_KEY_MAX || request->after.len > FTSI_KEY_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "limit: at most %d; prefix, after: at most %d bytes",
			      LIMIT_MAX, FTSI_KEY_MAX);
		return;
	}
	const struct fts_router_map *map = owner->map(owner->ctx);
	bool from_log = map != NULL && fts_router_map_is_linearizable(map, request->db);
	struct listing *listing = map == NULL || from_log ? NULL : make_listing(router, call, request, map);
	if (listing != NULL) {
		ask_all(listing, request->after, request->has_after);
		return;
	}
	fts_router_map_release(map);
	if (from_log)
		ask_log(router, call, request);
	else
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for a list of keys");
}
