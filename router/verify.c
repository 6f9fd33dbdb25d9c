/* Why this file exists: Kv.Verify: all owners of partitions compared, and mended when asked to.
 *
 * Writes go on meanwhile: a record counts as missing only when it is older than any write may still be under way. */
#include "base/clock.h"
#include "router/first_map.h"
#include "router/sync.h"

enum { SETTLED_MS = 3000, SPARE_MS = 500 };

struct verifying {
	struct fts_router *router;
	const struct fts_router_map *map;
	bool repair;
	uint64_t settled_before;
	Fts__Kv__V1__VerifyResponse response;
	char *unanswered[FTS_ROUTER_NODES_MAX]; /* names: the map's */
};

/* Trees tell of what was written: what has turned bad since is met by reading it. False: somebody does not answer. */
static bool read_all(struct verifying *verifying, uint32_t p, uint64_t *out_damaged)
{
	const struct fts_router_partition *partition = &verifying->map->partitions[p];
	bool answered = true;
	*out_damaged = 0;
	for (uint8_t i = 0; i < partition->owner_count; i++)
		answered = ftsi_check_records(verifying->router, &verifying->map->nodes[partition->order[i]], p,
					      out_damaged) == FTS_OK &&
			   answered;
	return answered;
}

static void look_at(struct verifying *verifying, uint32_t p)
{
	const struct fts_router_partition *partition = &verifying->map->partitions[p];
	uint64_t damaged;
	bool unreachable = !read_all(verifying, p, &damaged), divergent = damaged > 0;
	for (uint8_t i = 0; i < partition->owner_count; i++)
		for (uint8_t k = (uint8_t)(i + 1); k < partition->owner_count; k++) {
			struct ftsi_sync_result result;
			const struct ftsi_sync sync = {.router = verifying->router,
						       .map = verifying->map,
						       .partition = p,
						       .a = partition->order[i],
						       .b = partition->order[k],
						       .repair = verifying->repair,
						       .settled_before =
							   verifying->repair ? 0 : verifying->settled_before};
			unreachable = ftsi_sync_run(&sync, &result) != FTS_OK || unreachable;
			divergent = divergent || result.missing > 0;
			verifying->response.missing += result.missing;
			verifying->response.repaired += result.repaired;
		}
	verifying->response.damaged += damaged;
	verifying->response.partitions++;
	verifying->response.divergent += divergent ? 1 : 0;
	verifying->response.unreachable += unreachable ? 1 : 0;
}

/* Everybody's hints, and who is not there. */
static void count_hints(struct verifying *verifying)
{
	Fts__Kv__V1__VerifyResponse *response = &verifying->response;
	for (size_t i = 0; i < verifying->map->node_count; i++) {
		Fts__Kv__V1__TreeResponse *tree = NULL;
		const struct fts_router_node *node = &verifying->map->nodes[i];
		if (ftsi_ask_tree(verifying->router, node, 0, false, &tree) != FTS_OK) {
			verifying->unanswered[response->n_unanswered++] = (char *)(uintptr_t)node->name;
			continue;
		}
		response->hints_pending += tree->hints_pending;
		fts__kv__v1__tree_response__free_unpacked(tree, NULL);
	}
	response->unanswered = verifying->unanswered;
}

void ftsi_serve_verify(struct fts_call *call, const Fts__Kv__V1__VerifyRequest *request, void *ctx)
{
	struct fts_router *router = ctx;
	const struct fts_router_owner *owner = router->options.owner;
	struct verifying verifying = {
	    .router = router, .map = ftsi_wait_for_map(router, call), .repair = request->repair};
	uint32_t end = FTS_ROUTER_PARTITION_COUNT, at = request->from;
	if (verifying.map == NULL) return;
	if (request->count != 0 && request->count < end - (at < end ? at : end)) end = at + request->count;
	fts__kv__v1__verify_response__init(&verifying.response);
	verifying.settled_before = (uint64_t)(owner->wall_ms(owner->ctx) - SETTLED_MS) << 16;
	count_hints(&verifying);
	while (at < end && fts_clock_left_ms(fts_clock_monotonic_ns(), fts_call_deadline_ns(call)) > SPARE_MS)
		look_at(&verifying, at++);
	verifying.response.next = at < FTS_ROUTER_PARTITION_COUNT ? at : 0;
	fts_kv_verify_reply(call, &verifying.response);
	fts_router_map_release(verifying.map);
}
