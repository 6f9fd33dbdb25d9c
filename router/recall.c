/* Why this file exists: see router/recall.h. */
#include "router/recall.h"

#include <stdlib.h>

#include "base/clock.h"

struct recall_op {
	struct ftsi_recall recall;
	pthread_mutex_t lock;
	uint32_t open_count;           /* guarded by lock, as all below */
	struct ftsi_recalled recalled; /* the newest that was told */
};

static void keep(struct recall_op *op, const struct ftsi_recalled *told)
{
	struct ftsi_recalled *best = &op->recalled;
	if (told->version_time > best->version_time ||
	    (told->version_time == best->version_time && told->version_node > best->version_node))
		*best = *told;
}

/* told: NULL: it did not answer. */
static void one_done(struct recall_op *op, const struct ftsi_recalled *told)
{
	pthread_mutex_lock(&op->lock);
	if (told != NULL) keep(op, told);
	bool last = --op->open_count == 0;
	pthread_mutex_unlock(&op->lock);
	if (!last) return;
	op->recall.done(op->recall.ctx, &op->recalled);
	pthread_mutex_destroy(&op->lock);
	free(op);
}

static void answered(void *ctx, enum fts_status status, const Fts__Kv__V1__RecallResponse *response,
		     const struct fts_error *error)
{
	(void)error;
	if (status != FTS_OK) {
		one_done(ctx, NULL);
		return;
	}
	one_done(ctx, &(struct ftsi_recalled){.version_time = response->version_time,
					      .version_node = response->version_node,
					      .existed = response->existed});
}

static void ask(struct ftsi_coordinator *coordinator, struct recall_op *op, const struct fts_router_map *map, int place)
{
	const struct fts_router_owner *owner = coordinator->owner;
	Fts__Kv__V1__RecallRequest request = FTS__KV__V1__RECALL_REQUEST__INIT;
	uint32_t left_ms = fts_clock_left_ms(fts_clock_monotonic_ns(), op->recall.deadline_ns) + 1;
	const struct fts_call_options options = {.timeout_ms = left_ms < FTSI_RECALL_MS ? left_ms : FTSI_RECALL_MS,
						 .no_retry = true};
	struct fts_router_recalled own = {0};
	if (place == map->self) {
		bool known = owner->recall(owner->ctx, op->recall.write_id, &own);
		const struct ftsi_recalled told = {own.version_time, own.version_node, own.existed};
		one_done(op, known ? &told : NULL);
		return;
	}
	struct ftsi_remote *remote = ftsi_remotes_find(coordinator->remotes, &map->nodes[place]);
	request.write_id = op->recall.write_id;
	if (remote == NULL || !ftsi_remote_is_answering(remote) ||
	    fts_kv_storage_recall_start(ftsi_remote_channel(remote), &request, &options, answered, op, NULL) != FTS_OK)
		one_done(op, NULL);
}

void ftsi_recall_start(struct ftsi_coordinator *coordinator, const struct ftsi_recall *recall)
{
	const struct fts_router_owner *owner = coordinator->owner;
	const struct fts_router_map *map = owner->map(owner->ctx);
	struct recall_op *op = map == NULL ? NULL : calloc(1, sizeof *op);
	if (op == NULL) { /* the write that follows is refused for the same reason */
		fts_router_map_release(map);
		recall->done(recall->ctx, &(struct ftsi_recalled){0});
		return;
	}
	const struct fts_router_partition *partition = &map->partitions[owner->partition(recall->db, recall->key)];
	op->recall = *recall;
	pthread_mutex_init(&op->lock, NULL);
	op->open_count = partition->order_count + 1u; /* and this thread */
	for (uint8_t i = 0; i < partition->order_count; i++)
		ask(coordinator, op, map, partition->order[i]);
	fts_router_map_release(map);
	one_done(op, NULL);
}
