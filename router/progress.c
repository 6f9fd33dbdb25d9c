/* Why this file exists: Kv.Progress: what goes on behind calls, asked of every node of the map. One that does not
 * answer is told as such. */
#include "base/clock.h"
#include "router/first_map.h"
#include "router/sync.h"

struct progress {
	Fts__Kv__V1__NodeProgress nodes[FTS_ROUTER_NODES_MAX], *list[FTS_ROUTER_NODES_MAX];
};

static void ask(struct fts_router *router, const struct fts_router_node *node, Fts__Kv__V1__NodeProgress *out)
{
	Fts__Kv__V1__TreeResponse *tree = NULL;
	if (ftsi_ask_tree(router, node, 0, false, &tree) != FTS_OK) return;
	out->answered = true;
	out->hints_pending = tree->hints_pending;
	out->hint_bytes = tree->hint_bytes;
	out->hints_dropped = tree->hints_dropped;
	out->mended = tree->mended;
	out->damaged = tree->damaged;
	out->lost = tree->lost;
	out->stuck = tree->stuck;
	fts__kv__v1__tree_response__free_unpacked(tree, NULL);
}

static uint32_t count_arriving(const struct fts_router_map *map, int place)
{
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT; p++)
		count += map->partitions[p].to == place ? 1 : 0;
	return count;
}

void ftsi_serve_progress(struct fts_call *call, const Fts__Kv__V1__ProgressRequest *request, void *ctx)
{
	struct fts_router *router = ctx;
	Fts__Kv__V1__ProgressResponse response = FTS__KV__V1__PROGRESS_RESPONSE__INIT;
	struct progress progress;
	(void)request;
	const struct fts_router_map *map = ftsi_wait_for_map(router, call);
	if (map == NULL) return;
	for (size_t i = 0; i < map->node_count; i++) {
		fts__kv__v1__node_progress__init(&progress.nodes[i]);
		progress.list[i] = &progress.nodes[i];
		progress.nodes[i].name = (char *)(uintptr_t)map->nodes[i].name;
		progress.nodes[i].arriving = count_arriving(map, (int)i);
		ask(router, &map->nodes[i], &progress.nodes[i]);
	}
	response.epoch = map->epoch;
	response.moving = map->message->moving;
	response.nodes = progress.list;
	response.n_nodes = map->node_count;
	fts_kv_progress_reply(call, &response);
	fts_router_map_release(map);
}
