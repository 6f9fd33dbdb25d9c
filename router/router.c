/* Why this file exists: see router/router.h. */
#include "router/router.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "router/first_map.h"
#include "router/keeper.h"

enum { DRAIN_MS = 5000, LOOK_NS = 1000 * 1000 };

/* ---- Calls on one key ---- */

static void reply(void *ctx, const struct ftsi_answer *answer)
{
	struct fts_call *call = ctx;
	if (answer->status != FTS_OK) {
		fts_call_set_executed(call, answer->executed);
		fts_call_fail(call, answer->status, "%s", answer->detail);
	} else if (answer->set != NULL) {
		fts_kv_set_reply(call, answer->set);
	} else if (answer->get != NULL) {
		fts_kv_get_reply(call, answer->get);
	} else {
		fts_kv_delete_reply(call, answer->deleted);
	}
}

static void serve_set(struct fts_router *router, struct fts_call *call, const void *request)
{
	struct ftsi_caller caller = ftsi_caller_of(call);
	ftsi_do_set(router, request, &caller, reply, call);
}

static void set(struct fts_call *call, const Fts__Kv__V1__SetRequest *request, void *ctx)
{
	ftsi_with_map(ctx, call, request, serve_set);
}

static void serve_get(struct fts_router *router, struct fts_call *call, const void *request)
{
	struct ftsi_caller caller = ftsi_caller_of(call);
	ftsi_do_get(router, request, &caller, reply, call);
}

static void get(struct fts_call *call, const Fts__Kv__V1__GetRequest *request, void *ctx)
{
	ftsi_with_map(ctx, call, request, serve_get);
}

static void serve_delete(struct fts_router *router, struct fts_call *call, const void *request)
{
	struct ftsi_caller caller = ftsi_caller_of(call);
	ftsi_do_delete(router, request, &caller, reply, call);
}

static void delete_key(struct fts_call *call, const Fts__Kv__V1__DeleteRequest *request, void *ctx)
{
	ftsi_with_map(ctx, call, request, serve_delete);
}

static void batch(struct fts_call *call, const Fts__Kv__V1__BatchRequest *request, void *ctx)
{
	ftsi_with_map(ctx, call, request, ftsi_serve_batch);
}

static void keys(struct fts_call *call, const Fts__Kv__V1__KeysRequest *request, void *ctx)
{
	ftsi_with_map(ctx, call, request, ftsi_serve_keys);
}

/* ---- The map ---- */

/* Held; NULL: the call has been refused. It was there a moment ago. */
static const struct fts_router_map *the_map(struct fts_router *router, struct fts_call *call)
{
	const struct fts_router_map *map = router->options.owner->map(router->options.owner->ctx);
	if (map == NULL) fts_call_fail(call, FTS_UNAVAILABLE, "there is no memory for the map now: try again");
	return map;
}

static void serve_where(struct fts_router *router, struct fts_call *call, const void *request_data)
{
	const Fts__Kv__V1__WhereRequest *request = request_data;
	Fts__Kv__V1__WhereResponse response = FTS__KV__V1__WHERE_RESPONSE__INIT;
	char *names[FTS_ROUTER_NODES_MAX];
	const struct fts_router_map *map = the_map(router, call);
	if (map == NULL) return;
	response.linearizable = fts_router_map_is_linearizable(map, request->db);
	response.partition =
	    router->options.owner->partition(request->db, (struct fts_bytes){request->key.data, request->key.len});
	const struct fts_router_partition *partition = &map->partitions[response.partition];
	response.n_replicas = response.linearizable ? map->node_count : partition->owner_count;
	for (size_t i = 0; i < response.n_replicas; i++)
		names[i] = (char *)(uintptr_t)map->nodes[response.linearizable ? i : partition->order[i]].name;
	response.replicas = names;
	fts_kv_where_reply(call, &response);
	fts_router_map_release(map);
}

static void where(struct fts_call *call, const Fts__Kv__V1__WhereRequest *request, void *ctx)
{
	if (request->key.len > FTSI_KEY_MAX)
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "key: at most %d bytes, not %zu", FTSI_KEY_MAX,
			      request->key.len);
	else
		ftsi_with_map(ctx, call, request, serve_where);
}

static void serve_map(struct fts_router *router, struct fts_call *call, const void *request)
{
	const struct fts_router_map *map = the_map(router, call);
	(void)request;
	if (map == NULL) return;
	fts_kv_map_reply(call, map->message);
	fts_router_map_release(map);
}

static void tell_map(struct fts_call *call, const Fts__Kv__V1__MapRequest *request, void *ctx)
{
	ftsi_with_map(ctx, call, request, serve_map);
}

/* ---- Life ---- */

static const struct fts_kv_handlers handlers = {.set = set,
						.get = get,
						.delete = delete_key,
						.batch = batch,
						.keys = keys,
						.where = where,
						.map = tell_map,
						.progress = ftsi_serve_progress,
						.verify = ftsi_serve_verify,
						.accept_loss = ftsi_serve_accept_loss,
						.create_database = ftsi_serve_create_database};

enum fts_status fts_router_serve(struct fts_router *router, struct fts_server *server, struct fts_error *out_error)
{
	return fts_kv_register(server, &handlers, router, out_error);
}

static void observe(void *ctx, uint64_t time)
{
	struct fts_router *router = ctx;
	/* A clock too far ahead is not followed: the owner whose it is refuses nothing for it, and is told of by
	 * others. */
	(void)!router->options.owner->observe(router->options.owner->ctx, time);
}

enum fts_status fts_router_create(const struct fts_router_options *options, struct fts_router **out_router,
				  struct fts_error *out_error)
{
	const struct fts_channel_options log = {.endpoints = options->endpoint,
						.tls = options->tls,
						.token_source = options->token_source,
						.token_ctx = options->token_ctx,
						.learn_members = true};
	struct fts_router *router = calloc(1, sizeof *router);
	if (router == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the router");
	router->options = *options;
	router->coordinator.owner = options->owner;
	router->coordinator.stopping = &router->stopping;
	router->coordinator.hurries = ftsi_hurries_create();
	router->coordinator.remotes =
	    ftsi_remotes_create(&(struct ftsi_remotes_options){.tls = options->tls,
							       .token_source = options->token_source,
							       .token_ctx = options->token_ctx,
							       .checksum = options->owner->checksum,
							       .observe = observe,
							       .ctx = router});
	enum fts_status status = fts_channel_open(&log, &router->log, out_error);
	if (status == FTS_OK && (router->coordinator.hurries == NULL || router->coordinator.remotes == NULL))
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the router");
	if (status == FTS_OK)
		*out_router = router;
	else
		fts_router_destroy(router);
	return status;
}

enum fts_status fts_router_start(struct fts_router *router, struct fts_error *out_error)
{
	router->keeper = ftsi_keeper_create(router);
	if (router->keeper != NULL) return FTS_OK;
	return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for the router");
}

/* What the owner was given comes back from its own threads. */
static void wait_for_operations(struct fts_router *router)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), DRAIN_MS);
	while (atomic_load(&router->coordinator.open_count) > 0 && fts_clock_monotonic_ns() < until_ns)
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

void fts_router_stop(struct fts_router *router)
{
	if (router == NULL) return;
	atomic_store(&router->stopping, true);
	ftsi_keeper_stop(router->keeper);
	fts_channel_close(router->log);
	router->log = NULL;
	ftsi_remotes_stop(router->coordinator.remotes);
	ftsi_hurries_destroy(router->coordinator.hurries);
	router->coordinator.hurries = NULL;
	ftsi_keeper_destroy(router->keeper); /* its calls have ended with the channels */
	router->keeper = NULL;
	wait_for_operations(router);
}

void fts_router_destroy(struct fts_router *router)
{
	if (router == NULL) return;
	fts_router_stop(router);
	ftsi_remotes_destroy(router->coordinator.remotes);
	free(router);
}
