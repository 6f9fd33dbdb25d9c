/* Why this file exists: Kv.CreateDatabase: a linearizable database is made in the replicated log, and answered for once
 * no node can take its keys for sharded ones any more.
 *
 * Invariants
 * - OK means that every node of the map knows of the database, on its disk, and that what it took for a sharded key
 *   before is behind it: from then on each operation goes through the log.
 * - A node that does not answer might still serve by an old map, cut off from the others: it is named, and the call is
 *   UNAVAILABLE. Once the database was made, the same call again goes on waiting.
 * - A node that joins later begins with a map that has the database, or is refused by the owners.
 * - A database that has keys in the sharded store is not made: they would not be seen any more. */
#include <time.h>

#include "base/clock.h"
#include "router/first_map.h"
#include "router/sync.h"

enum {
	LOOK_KEYS = 256,
	LOOK_TIMEOUT_MS = 1000,
	ASK_TIMEOUT_MS = 500,
	SPARE_MS = 100,
	RETRY_MS = 1000,
	PAUSE_NS = 2 * 1000 * 1000
};

/* Of a call's time, what one question may take: the answer has to be there in time. */
static uint32_t left_ms(const struct fts_call *call, uint32_t max_ms)
{
	uint32_t ms = fts_clock_left_ms(fts_clock_monotonic_ns(), fts_call_deadline_ns(call));
	ms = ms > SPARE_MS ? ms - SPARE_MS : 1;
	return ms < max_ms ? ms : max_ms;
}

static bool may_go_on(struct fts_router *router, const struct fts_call *call)
{
	if (atomic_load(&router->stopping)) return false;
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	return fts_clock_left_ms(fts_clock_monotonic_ns(), fts_call_deadline_ns(call)) > SPARE_MS;
}

/* ---- Is there something in it? ---- */

enum contents { NOTHING, KEYS, NOBODY_KNOWS };

static bool has_live(const Fts__Kv__V1__OwnedKeysResponse *page)
{
	for (size_t i = 0; i < page->n_records; i++)
		if (!page->records[i]->tombstone) return true;
	return false;
}

/* after: where the page begins; NULL: at the start. Returned as protobuf-c's; NULL: no answer. */
static Fts__Kv__V1__OwnedKeysResponse *ask_page(struct fts_router *router, const struct fts_call *call,
						const struct fts_router_node *node, uint32_t db,
						const ProtobufCBinaryData *after, struct fts_error *out_error)
{
	const struct fts_call_options once = {.timeout_ms = left_ms(call, LOOK_TIMEOUT_MS), .no_retry = true};
	Fts__Kv__V1__OwnedKeysRequest request = FTS__KV__V1__OWNED_KEYS_REQUEST__INIT;
	Fts__Kv__V1__OwnedKeysResponse *page = NULL;
	struct ftsi_remote *remote = ftsi_remotes_find(router->coordinator.remotes, node);
	request.db = db;
	request.limit = LOOK_KEYS;
	request.for_node = node->node_id;
	request.has_after = after != NULL;
	if (after != NULL) request.after = *after;
	if (remote == NULL ||
	    fts_kv_storage_owned_keys(ftsi_remote_channel(remote), &request, &once, &page, out_error) != FTS_OK)
		return NULL;
	return page;
}

/* By one node: page by page, since what was deleted is listed, too. One that is silent is asked until the time is up.
 */
static enum contents look_at_node(struct fts_router *router, const struct fts_call *call,
				  const struct fts_router_node *node, uint32_t db, struct fts_error *out_error)
{
	Fts__Kv__V1__OwnedKeysResponse *page = NULL, *next;
	enum contents contents = NOBODY_KNOWS;
	do {
		const ProtobufCBinaryData *after = page == NULL ? NULL : &page->records[page->n_records - 1]->key;
		next = ask_page(router, call, node, db, after, out_error);
		if (next == NULL) continue;
		if (page != NULL) fts__kv__v1__owned_keys_response__free_unpacked(page, NULL);
		page = next;
		if (has_live(page))
			contents = KEYS;
		else if (page->end || page->n_records == 0)
			contents = NOTHING;
	} while (contents == NOBODY_KNOWS && may_go_on(router, call));
	if (page != NULL) fts__kv__v1__owned_keys_response__free_unpacked(page, NULL);
	return contents;
}

/* Nothing was made. */
static void refuse(struct fts_call *call, enum contents contents, const struct fts_router_node *node, uint32_t db,
		   const char *why)
{
	struct fts_error error;
	if (contents == KEYS)
		(void)fts_error_set(&error, FTS_FAILED_PRECONDITION,
				    "database %u has keys, which would not be seen any more: choose another number, or "
				    "delete them first",
				    db);
	else
		(void)fts_error_set(
		    &error, FTS_UNAVAILABLE,
		    "a linearizable database is made when all nodes are there, and %s (%s) can't be asked: %s",
		    node->name, node->address, why);
	error.executed = FTS_EXECUTED_NO;
	error.retry_after_ms = contents == KEYS ? 0 : RETRY_MS; /* it was waited for here */
	fts_call_fail_error(call, &error);
}

/* False: the call has been refused. */
static bool is_empty(struct fts_router *router, struct fts_call *call, const struct fts_router_map *map, uint32_t db)
{
	for (size_t i = 0; i < map->node_count; i++) {
		struct fts_error why = {.detail = "too much is under way at this node"};
		enum contents contents = look_at_node(router, call, &map->nodes[i], db, &why);
		if (contents == NOTHING) continue;
		refuse(call, contents, &map->nodes[i], db, why.detail);
		return false;
	}
	return true;
}

/* False: the call has been refused. */
static bool may_be_made(struct fts_router *router, struct fts_call *call,
			const Fts__Kv__V1__CreateDatabaseRequest *request)
{
	const struct fts_router_map *map = ftsi_wait_for_map(router, call);
	if (map == NULL) return false;
	bool may = !request->linearizable || fts_router_map_is_linearizable(map, request->db) ||
		   is_empty(router, call, map, request->db);
	fts_router_map_release(map);
	return may;
}

/* ---- Making it, until all know of it ---- */

/* The log's part: executed once, however often this caller asks. */
static enum fts_status make(struct fts_router *router, const struct fts_call *call,
			    const Fts__Kv__V1__CreateDatabaseRequest *request, struct fts_error *out_error)
{
	struct ftsi_caller caller = ftsi_caller_of(call);
	const struct fts_call_options options = {
	    .timeout_ms = ftsi_left_ms(caller.deadline_ns), .fence = caller.fence, .identity = &caller.identity};
	Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
	enum fts_status status = fts_kv_admin_create_database(router->log, request, &options, &response, out_error);
	if (status == FTS_OK) fts__kv__v1__create_database_response__free_unpacked(response, NULL);
	return status;
}

/* The first map of this node that has the database; held. NULL: it did not come in time. */
static const struct fts_router_map *wait_for_map_with(struct fts_router *router, const struct fts_call *call,
						      uint32_t db)
{
	const struct fts_router_owner *owner = router->options.owner;
	do {
		const struct fts_router_map *map = owner->map(owner->ctx);
		if (map != NULL && fts_router_map_is_linearizable(map, db)) return map;
		fts_router_map_release(map);
	} while (may_go_on(router, call));
	return NULL;
}

static bool node_knows(struct fts_router *router, const struct fts_call *call, const struct fts_router_node *node,
		       uint64_t epoch)
{
	const struct fts_call_options once = {.timeout_ms = left_ms(call, ASK_TIMEOUT_MS), .no_retry = true};
	Fts__Kv__V1__KnowMapRequest request = FTS__KV__V1__KNOW_MAP_REQUEST__INIT;
	Fts__Kv__V1__KnowMapResponse *response = NULL;
	struct ftsi_remote *remote = ftsi_remotes_find(router->coordinator.remotes, node);
	request.epoch = epoch;
	request.for_node = node->node_id;
	if (remote == NULL ||
	    fts_kv_storage_know_map(ftsi_remote_channel(remote), &request, &once, &response, NULL) != FTS_OK)
		return false;
	fts__kv__v1__know_map_response__free_unpacked(response, NULL);
	return true;
}

/* The places, as bits, of nodes that have not said in time that they know the map. */
static uint64_t wait_for_nodes(struct fts_router *router, const struct fts_call *call, const struct fts_router_map *map)
{
	uint64_t missing = 0;
	for (size_t i = 0; i < map->node_count; i++)
		missing |= UINT64_C(1) << i;
	do {
		for (size_t i = 0; i < map->node_count; i++)
			if ((missing >> i & 1) != 0 && node_knows(router, call, &map->nodes[i], map->epoch))
				missing &= ~(UINT64_C(1) << i);
	} while (missing != 0 && may_go_on(router, call));
	return missing;
}

static void fail_unknown(struct fts_call *call, uint32_t db, const char *name, const char *address)
{
	fts_call_set_executed(call, FTS_EXECUTED_YES);
	fts_call_fail(call, FTS_UNAVAILABLE,
		      "database %u is made, but %s%s%s%s has not said that it knows of it, and might still take its "
		      "keys for sharded ones: ask again when it answers, or remove it from the cluster",
		      db, name, address[0] == '\0' ? "" : " (", address, address[0] == '\0' ? "" : ")");
}

void ftsi_serve_create_database(struct fts_call *call, const Fts__Kv__V1__CreateDatabaseRequest *request, void *ctx)
{
	struct fts_router *router = ctx;
	Fts__Kv__V1__CreateDatabaseResponse response = FTS__KV__V1__CREATE_DATABASE_RESPONSE__INIT;
	struct fts_error error = {0};
	if (!may_be_made(router, call, request)) return;
	if (make(router, call, request, &error) != FTS_OK) {
		fts_call_fail_error(call, &error);
		return;
	}
	const struct fts_router_map *map = wait_for_map_with(router, call, request->db);
	if (map == NULL) {
		fail_unknown(call, request->db, "this node", "");
		return;
	}
	uint64_t missing = wait_for_nodes(router, call, map);
	if (missing == 0) {
		fts_kv_create_database_reply(call, &response);
	} else {
		const struct fts_router_node *node = &map->nodes[__builtin_ctzll(missing)];
		fail_unknown(call, request->db, node->name, node->address);
	}
	fts_router_map_release(map);
}
