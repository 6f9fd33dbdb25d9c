/* Why this file exists: see router/keeper.h; here: when what is done. */
#include "router/keeper.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	ROUND_MS = 250,
	ROUND_ALONE_MS = 2000,
	COPIES_A_ROUND = 64,
	FORGET_SHARE = 4,
	SUGGEST_AGAIN_MS = 3000,
	MENDED_MS = 1000,
	REGAIN_AFTER_MS = 3000,
	REGAIN_AGAIN_MS = 1000,
	STUCK_MS = 20000,
	FAILURES_A_ROUND = 4
};

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
	uint64_t
	    mended_ns[FTS_ROUTER_PARTITION_COUNT]; /* when its copy met damage that is mended since; 0: it did not */
	uint64_t failing_ns[FTS_ROUTER_PARTITION_COUNT]; /* since when its copies fail; 0: they don't */
	uint64_t began_ns, regained_ns;                  /* regained: when the last try ended */
	uint32_t regain_at;
	uint32_t moving, lost, stuck; /* told last */
	bool alone;                   /* no other node is in the map: nothing moves, nobody differs */
};

static bool owns(const struct ftsi_round *round, uint32_t partition)
{
	return round->map->self >= 0 && (round->map->partitions[partition].owners >> round->map->self & 1);
}

/* ---- Copies that fail ---- */

static void note_copy(struct ftsi_keeper *keeper, uint32_t p, bool good)
{
	if (good)
		keeper->failing_ns[p] = 0;
	else if (keeper->failing_ns[p] == 0)
		keeper->failing_ns[p] = fts_clock_monotonic_ns();
}

/* What this node need not copy any more is not stuck. */
static void count_stuck(struct ftsi_keeper *keeper, const struct ftsi_round *round)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT; p++) {
		bool copies = round->map->self >= 0 && (round->map->partitions[p].to == round->map->self ||
							(owns(round, p) && owner->has_lost(owner->ctx, p)));
		if (!copies) keeper->failing_ns[p] = 0;
		if (keeper->failing_ns[p] != 0 && now_ns >= fts_clock_deadline_ns(keeper->failing_ns[p], STUCK_MS))
			count++;
	}
	if (count != keeper->stuck) FTS_LOG_WARN("kv.stuck", "partitions=%u", count);
	keeper->stuck = count;
	owner->note_stuck(owner->ctx, count);
}

/* ---- Moves ---- */

static void copy_one(struct ftsi_keeper *keeper, const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_owner *owner = keeper->router->options.owner;
	const struct fts_router_partition *partition = &round->map->partitions[p];
	uint64_t now_ns = fts_clock_monotonic_ns();
	bool copied = keeper->copied_since[p] == partition->changed;
	if (copied && now_ns < fts_clock_deadline_ns(keeper->copied_ns[p], SUGGEST_AGAIN_MS)) return;
	if (!copied && keeper->mended_ns[p] != 0 && now_ns < fts_clock_deadline_ns(keeper->mended_ns[p], MENDED_MS))
		return;
	enum fts_status status = copied ? FTS_OK : ftsi_copy_partition(round, p);
	keeper->mended_ns[p] = status == FTS_DATA_LOSS ? fts_clock_monotonic_ns() : 0;
	note_copy(keeper, p, status == FTS_OK);
	if (status != FTS_OK) return;
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

/* ---- What was lost ---- */

static bool regain_one(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	if (!ftsi_regain_partition(round, p)) return false;
	owner->regain(owner->ctx, p);
	return !owner->has_lost(owner->ctx, p);
}

/* An only owner has nobody to get it from: what it lost is gone, and it goes on with what comes. */
static void go_on_without(const struct ftsi_round *round)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT; p++) {
		if (!owns(round, p) || round->map->partitions[p].owner_count > 1 || !owner->has_lost(owner->ctx, p))
			continue;
		owner->regain(owner->ctx, p);
		count++;
	}
	if (count > 0) FTS_LOG_WARN("kv.lost_for_good", "partitions=%u", count);
}

static uint32_t count_lost(const struct ftsi_round *round)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT; p++)
		count += owns(round, p) && owner->has_lost(owner->ctx, p) ? 1 : 0;
	return count;
}

/* Not before all writes have ended that this node took before it was started: a coordinator that has its word for one
 * waits for others' no longer than FTSI_REMOTE_TIMEOUT_MS. What the others have then is on their disks. */
static void regain_what_was_lost(struct ftsi_keeper *keeper, const struct ftsi_round *round)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	go_on_without(round);
	uint32_t left = count_lost(round);
	if (left != keeper->lost) FTS_LOG_WARN("kv.lost", "partitions_left=%u", left);
	keeper->lost = left;
	if (left == 0 || fts_clock_monotonic_ns() < fts_clock_deadline_ns(keeper->began_ns, REGAIN_AFTER_MS) ||
	    (keeper->regained_ns != 0 &&
	     fts_clock_monotonic_ns() < fts_clock_deadline_ns(keeper->regained_ns, REGAIN_AGAIN_MS)))
		return;
	uint32_t tries = 0, failures = 0;
	for (uint32_t i = 0; i < FTS_ROUTER_PARTITION_COUNT && tries < COPIES_A_ROUND && failures < FAILURES_A_ROUND;
	     i++) {
		uint32_t p = keeper->regain_at;
		keeper->regain_at = (p + 1) % FTS_ROUTER_PARTITION_COUNT;
		if (atomic_load(&keeper->stopping) || !owns(round, p) || !owner->has_lost(owner->ctx, p)) continue;
		bool good = regain_one(round, p);
		note_copy(keeper, p, good);
		failures += good ? 0 : 1;
		tries++;
	}
	keeper->regained_ns = failures == 0 ? 0 : fts_clock_monotonic_ns();
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
		if (!owns(round, p) || owner->has_lost(owner->ctx, p)) continue;
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
	regain_what_was_lost(keeper, &round);
	count_stuck(keeper, &round);
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
	keeper->began_ns = fts_clock_monotonic_ns();
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
