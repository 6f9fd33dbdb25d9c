/* Why this file exists: see router/keeper.h; here: when what is done. */
#include "router/keeper.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

enum { ROUND_MS = 250, ROUND_ALONE_MS = 2000, COPIES_A_ROUND = 64, FORGET_SHARE = 4, SUGGEST_AGAIN_MS = 3000 };

struct ftsi_keeper {
	struct fts_router *router;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stopping;
	/* The thread's own. */
	uint64_t retry_ns[FTS_ROUTER_NODES_MAX + 1], retry_epoch;
	uint64_t copied_since[FTS_ROUTER_PARTITION_COUNT], copied_ns[FTS_ROUTER_PARTITION_COUNT];
	uint64_t dropped_at[FTS_ROUTER_PARTITION_COUNT]; /* changed, when it was dropped */
	uint64_t forgot_ns[FTS_ROUTER_PARTITION_COUNT];
	uint32_t sweep_at;
	struct ftsi_roots roots; /* of this lap */
	uint64_t swept_ns;
	uint32_t moving; /* told last */
	bool alone;      /* no other node is in the map: nothing moves, nobody differs */
};

static bool owns(const struct ftsi_round *round, uint32_t partition)
{
	return round->map->self >= 0 && (round->map->partitions[partition].owners >> round->map->self & 1);
}

/* ---- Moves ---- */

static void copy_one(struct ftsi_keeper *keeper, const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_owner *owner = keeper->router->options.owner;
	const struct fts_router_partition *partition = &round->map->partitions[p];
	uint64_t now_ns = fts_clock_monotonic_ns();
	bool copied = keeper->copied_since[p] == partition->changed;
	if (copied && now_ns < fts_clock_deadline_ns(keeper->copied_ns[p], SUGGEST_AGAIN_MS)) return;
	if (!copied && !ftsi_copy_partition(round, p)) return;
	keeper->copied_since[p] = partition->changed;
	keeper->copied_ns[p] = fts_clock_monotonic_ns();
	owner->suggest_moved(owner->ctx, p, partition->from < 0 ? 0 : round->map->nodes[partition->from].node_id,
			     round->map->nodes[partition->to].node_id, partition->changed);
}

static void copy_what_comes(struct ftsi_keeper *keeper, const struct ftsi_round *round)
{
	uint32_t count = 0, left = 0;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT && !atomic_load(&keeper->stopping); p++) {
		if (round->map->self < 0 || round->map->partitions[p].to != round->map->self) continue;
		left++;
		if (count++ < COPIES_A_ROUND) copy_one(keeper, round, p);
	}
	if (left != keeper->moving) FTS_LOG_INFO("kv.moving", "partitions_left=%u", left);
	keeper->moving = left;
}

static void drop_what_left(struct ftsi_keeper *keeper, const struct ftsi_round *round)
{
	const struct fts_router_owner *owner = keeper->router->options.owner;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT && !atomic_load(&keeper->stopping); p++) {
		const struct fts_router_partition *partition = &round->map->partitions[p];
		if (owns(round, p) || partition->to == round->map->self || keeper->dropped_at[p] == partition->changed)
			continue;
		if (owner->drop_partition(owner->ctx, p)) keeper->dropped_at[p] = partition->changed;
	}
}

/* ---- The sweep ---- */

static uint32_t sweep_share(struct ftsi_keeper *keeper, uint64_t now_ns)
{
	uint64_t sweep_ns = (uint64_t)keeper->router->options.owner->sweep_ms * 1000000;
	uint64_t passed_ns = keeper->swept_ns == 0 ? 0 : now_ns - keeper->swept_ns;
	uint64_t share = passed_ns * FTS_ROUTER_PARTITION_COUNT / sweep_ns;
	keeper->swept_ns = now_ns;
	return share > FTS_ROUTER_PARTITION_COUNT ? FTS_ROUTER_PARTITION_COUNT : (uint32_t)share + 1;
}

static void forget_now_and_then(struct ftsi_keeper *keeper, const struct ftsi_round *round, uint32_t p)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t every_ms = keeper->router->options.owner->tombstone_age_ms / FORGET_SHARE;
	const struct fts_router_partition *partition = &round->map->partitions[p];
	if (partition->order[0] != round->map->self || partition->to >= 0 ||
	    now_ns < fts_clock_deadline_ns(keeper->forgot_ns[p], every_ms))
		return;
	keeper->forgot_ns[p] = now_ns;
	ftsi_forget_tombstones(round, p);
}

static void sweep(struct ftsi_keeper *keeper, const struct ftsi_round *round)
{
	const struct fts_router_owner *owner = keeper->router->options.owner;
	uint32_t share = sweep_share(keeper, fts_clock_monotonic_ns());
	for (uint32_t i = 0; i < share && !atomic_load(&keeper->stopping); i++) {
		uint32_t p = keeper->sweep_at;
		keeper->sweep_at = (p + 1) % FTS_ROUTER_PARTITION_COUNT;
		if (p == 0 && !keeper->alone) ftsi_take_roots(round, &keeper->roots);
		if (!owns(round, p)) continue;
		if (!ftsi_roots_agree(&keeper->roots, round->map, p)) ftsi_compare_owners(round, p);
		forget_now_and_then(keeper, round, p);
	}
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT && !atomic_load(&keeper->stopping); p++)
		if (owner->wants_repair(owner->ctx, p))
			(owns(round, p) ? ftsi_compare_owners : ftsi_repair_elsewhere)(round, p);
}

/* ---- The thread ---- */

static void run_round(struct ftsi_keeper *keeper)
{
	const struct fts_router_owner *owner = keeper->router->options.owner;
	struct ftsi_round round = {
	    .router = keeper->router, .map = owner->map(owner->ctx), .stopping = &keeper->stopping};
	if (round.map == NULL) return;
	keeper->alone = round.map->node_count < 2;
	if (round.map->epoch != keeper->retry_epoch) { /* places mean other nodes now */
		keeper->retry_epoch = round.map->epoch;
		for (size_t i = 0; i <= FTS_ROUTER_NODES_MAX; i++)
			keeper->retry_ns[i] = 0;
	}
	if (owner->hint_count(owner->ctx) > 0) ftsi_deliver_hints(&round, keeper->retry_ns);
	copy_what_comes(keeper, &round);
	drop_what_left(keeper, &round);
	sweep(keeper, &round);
	fts_router_map_release(round.map);
}

/* False: it is to end. */
static bool rest(struct ftsi_keeper *keeper)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), keeper->alone ? ROUND_ALONE_MS : ROUND_MS);
	struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000), .tv_nsec = (long)(until_ns % 1000000000)};
	pthread_mutex_lock(&keeper->lock);
	while (!atomic_load(&keeper->stopping) && fts_clock_monotonic_ns() < until_ns)
		(void)pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until);
	pthread_mutex_unlock(&keeper->lock);
	return !atomic_load(&keeper->stopping);
}

static void *keep(void *data)
{
	struct ftsi_keeper *keeper = data;
	while (rest(keeper))
		run_round(keeper);
	return NULL;
}

struct ftsi_keeper *ftsi_keeper_create(struct fts_router *router)
{
	struct ftsi_keeper *keeper = calloc(1, sizeof *keeper);
	pthread_condattr_t attributes;
	if (keeper == NULL) return NULL;
	keeper->router = router;
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&keeper->thread, NULL, keep, keeper) == 0) {
		pthread_setname_np(keeper->thread, "fts-kv-keeper");
		return keeper;
	}
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
	return NULL;
}

void ftsi_keeper_stop(struct ftsi_keeper *keeper)
{
	if (keeper == NULL) return;
	pthread_mutex_lock(&keeper->lock);
	atomic_store(&keeper->stopping, true);
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
}

void ftsi_keeper_destroy(struct ftsi_keeper *keeper)
{
	if (keeper == NULL) return;
	ftsi_keeper_stop(keeper);
	pthread_join(keeper->thread, NULL);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}
