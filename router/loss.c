/* Why this file exists: Kv.AcceptLoss: an operator's word that owners which do not answer are gone for good, told to
 * all nodes that make copies. Nodes can't know it by themselves: who is only away may have what was acknowledged. */
#include "router/first_map.h"
#include "router/sync.h"

/* False: it does not answer. */
static bool tell(struct fts_router *router, const struct fts_router_node *node,
		 const Fts__Kv__V1__AcceptLossRequest *request, uint32_t *copies)
{
	const struct fts_call_options once = {.timeout_ms = FTSI_SYNC_TIMEOUT_MS, .no_retry = true};
	Fts__Kv__V1__AcceptLossRequest named = *request;
	Fts__Kv__V1__AcceptLossResponse *response = NULL;
	struct ftsi_remote *remote = ftsi_remotes_find(router->coordinator.remotes, node);
	named.for_node = node->node_id;
	if (remote == NULL ||
	    fts_kv_storage_accept_loss_here(ftsi_remote_channel(remote), &named, &once, &response, NULL) != FTS_OK)
		return false;
	*copies += response->copies;
	fts__kv__v1__accept_loss_response__free_unpacked(response, NULL);
	return true;
}

void ftsi_serve_accept_loss(struct fts_call *call, const Fts__Kv__V1__AcceptLossRequest *request, void *ctx)
{
	struct fts_router *router = ctx;
	Fts__Kv__V1__AcceptLossResponse response = FTS__KV__V1__ACCEPT_LOSS_RESPONSE__INIT;
	char *unanswered[FTS_ROUTER_NODES_MAX];
	if (!request->all && request->partition >= FTS_ROUTER_PARTITION_COUNT) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "partition: 0 to %d, not %u", FTS_ROUTER_PARTITION_COUNT - 1,
			      request->partition);
		return;
	}
	const struct fts_router_map *map = ftsi_wait_for_map(router, call);
	if (map == NULL) return;
	for (size_t i = 0; i < map->node_count; i++)
		if (!tell(router, &map->nodes[i], request, &response.copies))
			unanswered[response.n_unanswered++] = (char *)(uintptr_t)map->nodes[i].name;
	response.unanswered = unanswered;
	fts_kv_accept_loss_reply(call, &response);
	fts_router_map_release(map);
}
