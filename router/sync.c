/* Why this file exists: see router/sync.h. */
#include "router/sync.h"

#include <string.h>

enum {
	LEAF_COUNT = 256,
	PAGE_BYTES = 256 * 1024,
	PUSH_MAX = 256,
	PUSH_BYTES_MAX = 1024 * 1024,
	CHECK_TIMEOUT_MS = 20000
};

/* ---- Asking ---- */

static struct fts_channel *channel_of(struct fts_router *router, const struct fts_router_node *node)
{
	struct ftsi_remote *remote = ftsi_remotes_find(router->coordinator.remotes, node);
	return remote == NULL ? NULL : ftsi_remote_channel(remote);
}

static const struct fts_call_options once = {.timeout_ms = FTSI_SYNC_TIMEOUT_MS, .no_retry = true};

enum fts_status ftsi_ask_tree(struct fts_router *router, const struct fts_router_node *node, uint32_t partition,
			      bool leaves, Fts__Kv__V1__TreeResponse **out_response)
{
	Fts__Kv__V1__TreeRequest request = FTS__KV__V1__TREE_REQUEST__INIT;
	struct fts_channel *channel = channel_of(router, node);
	request.partition = partition;
	request.leaves = leaves;
	request.for_node = node->node_id;
	return channel == NULL ? FTS_UNAVAILABLE : fts_kv_storage_tree(channel, &request, &once, out_response, NULL);
}

enum fts_status ftsi_ask_roots(struct fts_router *router, const struct fts_router_node *node,
			       Fts__Kv__V1__TreeResponse **out_response)
{
	Fts__Kv__V1__TreeRequest request = FTS__KV__V1__TREE_REQUEST__INIT;
	struct fts_channel *channel = channel_of(router, node);
	request.all_roots = true;
	request.for_node = node->node_id;
	return channel == NULL ? FTS_UNAVAILABLE : fts_kv_storage_tree(channel, &request, &once, out_response, NULL);
}

enum fts_status ftsi_ask_scan(struct fts_router *router, const struct fts_router_node *node,
			      const Fts__Kv__V1__ScanRequest *request, Fts__Kv__V1__ScanResponse **out_response)
{
	struct fts_channel *channel = channel_of(router, node);
	Fts__Kv__V1__ScanRequest named = *request;
	named.for_node = node->node_id;
	return channel == NULL ? FTS_UNAVAILABLE : fts_kv_storage_scan(channel, &named, &once, out_response, NULL);
}

enum fts_status ftsi_push(struct fts_router *router, const struct fts_router_map *map, int place,
			  Fts__Kv__V1__Record **records, size_t count, uint64_t as_of)
{
	Fts__Kv__V1__PutRequest request = FTS__KV__V1__PUT_REQUEST__INIT;
	Fts__Kv__V1__PutResponse *response = NULL;
	struct fts_channel *channel = channel_of(router, &map->nodes[place]);
	if (count == 0) return FTS_OK;
	request.records = records;
	request.n_records = count;
	request.epoch = map->epoch;
	request.as_of = as_of;
	request.background = true;
	request.for_node = map->nodes[place].node_id;
	if (channel == NULL) return FTS_UNAVAILABLE;
	enum fts_status status = fts_kv_storage_put(channel, &request, &once, &response, NULL);
	if (status != FTS_OK) return status;
	status = response->map != NULL ? FTS_ABORTED : FTS_OK;
	fts__kv__v1__put_response__free_unpacked(response, NULL);
	return status;
}

/* ---- One side's records of a leaf, page by page ---- */

struct side {
	const struct ftsi_sync *sync;
	int place;
	uint32_t leaf; /* LEAF_COUNT: all */
	Fts__Kv__V1__ScanResponse *page;
	size_t at;
	uint64_t as_of;                      /* before the page was asked for */
	Fts__Kv__V1__Record *push[PUSH_MAX]; /* of the other side's page: to be put here */
	size_t push_count, push_bytes;
	uint64_t push_as_of;
};

static void drop_page(struct side *side)
{
	if (side->page != NULL) fts__kv__v1__scan_response__free_unpacked(side->page, NULL);
	side->page = NULL;
	side->at = 0;
}

static enum fts_status next_page(struct side *side)
{
	const struct fts_router_owner *owner = side->sync->router->options.owner;
	Fts__Kv__V1__ScanRequest request = FTS__KV__V1__SCAN_REQUEST__INIT;
	Fts__Kv__V1__ScanResponse *before = side->page;
	request.partition = side->sync->partition;
	request.limit_bytes = PAGE_BYTES;
	request.leaf = side->leaf == LEAF_COUNT ? 0 : side->leaf + 1;
	if (before != NULL) request.after = before->last;
	side->page = NULL;
	side->at = 0;
	side->as_of = owner->now(owner->ctx);
	enum fts_status status =
	    ftsi_ask_scan(side->sync->router, &side->sync->map->nodes[side->place], &request, &side->page);
	if (before != NULL) fts__kv__v1__scan_response__free_unpacked(before, NULL);
	return status;
}

/* NULL: the end. */
static Fts__Kv__V1__Record *peek(const struct side *side)
{
	return side->page != NULL && side->at < side->page->n_records ? side->page->records[side->at] : NULL;
}

static bool needs_page(const struct side *side)
{
	return side->page == NULL || (side->at == side->page->n_records && !side->page->end);
}

/* ---- What the other lacks ---- */

static enum fts_status flush(struct side *side, struct ftsi_sync_result *result)
{
	enum fts_status status =
	    ftsi_push(side->sync->router, side->sync->map, side->place, side->push, side->push_count, side->push_as_of);
	if (status == FTS_OK) result->repaired += side->push_count;
	side->push_count = side->push_bytes = 0;
	return status;
}

static enum fts_status give(struct side *to, const struct side *from, Fts__Kv__V1__Record *record,
			    struct ftsi_sync_result *result)
{
	const struct ftsi_sync *sync = to->sync;
	if (sync->settled_before != 0 && record->version_time >= sync->settled_before) return FTS_OK;
	result->missing++;
	if (!sync->repair) return FTS_OK;
	if (to->push_count == 0 || from->as_of < to->push_as_of) to->push_as_of = from->as_of;
	to->push[to->push_count++] = record;
	to->push_bytes += record->value.len + record->key.len;
	return to->push_count == PUSH_MAX || to->push_bytes > PUSH_BYTES_MAX ? flush(to, result) : FTS_OK;
}

static int compare_keys(const Fts__Kv__V1__Record *a, const Fts__Kv__V1__Record *b)
{
	size_t shorter = a->key.len < b->key.len ? a->key.len : b->key.len;
	if (a->db != b->db) return a->db < b->db ? -1 : 1;
	int order = shorter == 0 ? 0 : memcmp(a->key.data, b->key.data, shorter);
	if (order != 0) return order;
	return a->key.len == b->key.len ? 0 : a->key.len < b->key.len ? -1 : 1;
}

static int compare_versions(const Fts__Kv__V1__Record *a, const Fts__Kv__V1__Record *b)
{
	if (a->version_time != b->version_time) return a->version_time < b->version_time ? -1 : 1;
	return a->version_node == b->version_node ? 0 : a->version_node < b->version_node ? -1 : 1;
}

/* One has no record of the key: a deleted one that was forgotten there is no difference. */
static enum fts_status give_alone(struct side *to, struct side *from, struct ftsi_sync_result *result)
{
	Fts__Kv__V1__Record *record = from->page->records[from->at++];
	return record->tombstone ? FTS_OK : give(to, from, record, result);
}

static enum fts_status merge_one(struct side *a, struct side *b, struct ftsi_sync_result *result)
{
	Fts__Kv__V1__Record *left = peek(a), *right = peek(b);
	int order = left == NULL ? 1 : right == NULL ? -1 : compare_keys(left, right);
	if (order < 0) return give_alone(b, a, result);
	if (order > 0) return give_alone(a, b, result);
	int newer = compare_versions(left, right);
	a->at++;
	b->at++;
	if (newer > 0) return give(b, a, left, result);
	return newer < 0 ? give(a, b, right, result) : FTS_OK;
}

/* What is to be pushed lies in the pages: it is sent before they go. */
static enum fts_status turn_pages(struct side *a, struct side *b, struct ftsi_sync_result *result)
{
	enum fts_status status = FTS_OK;
	if (!needs_page(a) && !needs_page(b)) return FTS_OK;
	status = flush(a, result);
	if (status == FTS_OK) status = flush(b, result);
	if (status == FTS_OK && needs_page(a)) status = next_page(a);
	if (status == FTS_OK && needs_page(b)) status = next_page(b);
	return status;
}

static enum fts_status merge_leaf(const struct ftsi_sync *sync, uint32_t leaf, struct ftsi_sync_result *result)
{
	struct side a = {.sync = sync, .place = sync->a, .leaf = leaf},
		    b = {.sync = sync, .place = sync->b, .leaf = leaf};
	enum fts_status status = turn_pages(&a, &b, result);
	while (status == FTS_OK && (peek(&a) != NULL || peek(&b) != NULL)) {
		status = merge_one(&a, &b, result);
		if (status == FTS_OK) status = turn_pages(&a, &b, result);
	}
	if (status == FTS_OK) status = flush(&a, result);
	if (status == FTS_OK) status = flush(&b, result);
	drop_page(&a);
	drop_page(&b);
	return status;
}

static enum fts_status merge_leaves(const struct ftsi_sync *sync, struct ftsi_sync_result *result)
{
	Fts__Kv__V1__TreeResponse *a = NULL, *b = NULL;
	enum fts_status status = ftsi_ask_tree(sync->router, &sync->map->nodes[sync->a], sync->partition, true, &a);
	if (status == FTS_OK)
		status = ftsi_ask_tree(sync->router, &sync->map->nodes[sync->b], sync->partition, true, &b);
	bool known = status == FTS_OK && a->n_leaves == LEAF_COUNT && b->n_leaves == LEAF_COUNT;
	for (uint32_t leaf = 0; leaf < LEAF_COUNT && status == FTS_OK && known; leaf++)
		if (a->leaves[leaf] != b->leaves[leaf]) status = merge_leaf(sync, leaf, result);
	if (status == FTS_OK && !known) status = merge_leaf(sync, LEAF_COUNT, result);
	if (a != NULL) fts__kv__v1__tree_response__free_unpacked(a, NULL);
	if (b != NULL) fts__kv__v1__tree_response__free_unpacked(b, NULL);
	return status;
}

/* A range that can't be read is damage, too. */
enum fts_status ftsi_check_records(struct fts_router *router, const struct fts_router_node *node, uint32_t partition,
				   uint64_t *damaged)
{
	const struct fts_call_options patient = {.timeout_ms = CHECK_TIMEOUT_MS, .no_retry = true};
	Fts__Kv__V1__ScanRequest request = FTS__KV__V1__SCAN_REQUEST__INIT;
	Fts__Kv__V1__ScanResponse *response = NULL;
	struct fts_channel *channel = channel_of(router, node);
	request.partition = partition;
	request.check_only = true;
	request.for_node = node->node_id;
	if (channel == NULL) return FTS_UNAVAILABLE;
	enum fts_status status = fts_kv_storage_scan(channel, &request, &patient, &response, NULL);
	if (status == FTS_DATA_LOSS) ++*damaged;
	if (status != FTS_OK) return status == FTS_DATA_LOSS ? FTS_OK : status;
	*damaged += response->damaged;
	fts__kv__v1__scan_response__free_unpacked(response, NULL);
	return FTS_OK;
}

enum fts_status ftsi_sync_run(const struct ftsi_sync *sync, struct ftsi_sync_result *out_result)
{
	Fts__Kv__V1__TreeResponse *a = NULL, *b = NULL;
	*out_result = (struct ftsi_sync_result){0};
	enum fts_status status = ftsi_ask_tree(sync->router, &sync->map->nodes[sync->a], sync->partition, false, &a);
	if (status == FTS_OK)
		status = ftsi_ask_tree(sync->router, &sync->map->nodes[sync->b], sync->partition, false, &b);
	if (status == FTS_OK) {
		out_result->untrusted[0] = a->untrusted;
		out_result->untrusted[1] = b->untrusted;
		out_result->differs = a->untrusted || b->untrusted || a->root != b->root;
	}
	if (a != NULL) fts__kv__v1__tree_response__free_unpacked(a, NULL);
	if (b != NULL) fts__kv__v1__tree_response__free_unpacked(b, NULL);
	return status == FTS_OK && out_result->differs ? merge_leaves(sync, out_result) : status;
}
