/* Why this file exists: see router/keeper.h; here: owners compared, copies for moves, tombstones forgotten. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "router/keeper.h"
#include "router/sync.h"

enum { COPY_PAGE_BYTES = 512 * 1024, FORGET_BATCH = 256, COPY_BYTES_A_SECOND = 64 * 1024 * 1024 };

/* ---- Comparing ---- */

void ftsi_take_roots(const struct ftsi_round *round, struct ftsi_roots *out_roots)
{
	out_roots->epoch = round->map->epoch;
	for (size_t i = 0; i < round->map->node_count && !atomic_load(round->stopping); i++) {
		Fts__Kv__V1__TreeResponse *tree = NULL;
		memset(out_roots->by_place[i], 0, sizeof out_roots->by_place[i]);
		if (ftsi_ask_roots(round->router, &round->map->nodes[i], &tree) != FTS_OK) continue;
		if (tree->n_roots == FTS_ROUTER_PARTITION_COUNT)
			memcpy(out_roots->by_place[i], tree->roots, sizeof out_roots->by_place[i]);
		fts__kv__v1__tree_response__free_unpacked(tree, NULL);
	}
}

bool ftsi_roots_agree(const struct ftsi_roots *roots, const struct fts_router_map *map, uint32_t p)
{
	const struct fts_router_partition *partition = &map->partitions[p];
	uint64_t first = roots->by_place[partition->order[0]][p];
	if (roots->epoch != map->epoch || first == 0) return false;
	for (uint8_t i = 1; i < partition->owner_count; i++)
		if (roots->by_place[partition->order[i]][p] != first) return false;
	return true;
}

/* Each pair of owners is one's to look at: the earlier in the order. Whose own tree can't be trusted looks at all. */
void ftsi_compare_owners(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	const struct fts_router_partition *partition = &round->map->partitions[p];
	bool before = true, untrusted = !owner->is_tree_trusted(owner->ctx, p), all_good = true;
	if (partition->owner_count < 2) return; /* nobody to compare with */
	for (uint8_t i = 0; i < partition->owner_count && !atomic_load(round->stopping); i++) {
		struct ftsi_sync_result result;
		if (partition->order[i] == round->map->self) {
			before = false;
			continue;
		}
		if (before && !untrusted) continue;
		const struct ftsi_sync sync = {.router = round->router,
					       .map = round->map,
					       .partition = p,
					       .a = round->map->self,
					       .b = partition->order[i],
					       .repair = true};
		if (ftsi_sync_run(&sync, &result) != FTS_OK) {
			all_good = false;
			continue;
		}
		if (result.repaired > 0)
			FTS_LOG_INFO("kv.repaired", "partition=%u records=%llu", p,
				     (unsigned long long)result.repaired);
	}
	if (untrusted && all_good) owner->rebuild_tree(owner->ctx, p);
}

/* This node kept a hint for one of them, and gave it up. Who does not answer is compared by the owners' own sweep. */
void ftsi_repair_elsewhere(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_partition *partition = &round->map->partitions[p];
	for (uint8_t i = 0; i < partition->owner_count; i++)
		for (uint8_t k = (uint8_t)(i + 1); k < partition->owner_count && !atomic_load(round->stopping); k++) {
			struct ftsi_sync_result result;
			(void)!ftsi_sync_run(&(struct ftsi_sync){.router = round->router,
								 .map = round->map,
								 .partition = p,
								 .a = partition->order[i],
								 .b = partition->order[k],
								 .repair = true},
					     &result);
		}
}

/* ---- Copying ---- */

/* No faster than COPY_BYTES_A_SECOND: others use the disk and the network, too. */
static void throttle(const struct ftsi_round *round, uint64_t began_ns, size_t bytes)
{
	uint64_t wanted_ns = began_ns + (uint64_t)bytes * 1000000000 / COPY_BYTES_A_SECOND;
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (wanted_ns <= now_ns || atomic_load(round->stopping)) return;
	uint64_t left_ns = wanted_ns - now_ns;
	nanosleep(&(struct timespec){.tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)},
		  NULL);
}

static size_t size_of(const Fts__Kv__V1__ScanResponse *page)
{
	size_t bytes = 0;
	for (size_t i = 0; i < page->n_records; i++)
		bytes += page->records[i]->key.len + page->records[i]->value.len;
	return bytes;
}

/* All of partition from one owner, tombstones too: they are what keeps old values from coming back. DATA_LOSS: some of
 * it is damaged there; all else was copied. */
static enum fts_status copy_from(const struct ftsi_round *round, uint32_t partition, int place, bool what_is_left)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	Fts__Kv__V1__ScanRequest request = FTS__KV__V1__SCAN_REQUEST__INIT;
	Fts__Kv__V1__ScanResponse *page = NULL, *before = NULL;
	enum fts_status status = FTS_OK;
	uint64_t damaged = 0;
	bool end = false;
	request.partition = partition;
	request.limit_bytes = COPY_PAGE_BYTES;
	request.epoch = round->map->epoch;
	request.what_is_left = what_is_left;
	while (status == FTS_OK && !end) {
		uint64_t as_of = owner->now(owner->ctx), began_ns = fts_clock_monotonic_ns();
		status = atomic_load(round->stopping)
			     ? FTS_CANCELLED
			     : ftsi_ask_scan(round->router, &round->map->nodes[place], &request, &page);
		if (before != NULL) fts__kv__v1__scan_response__free_unpacked(before, NULL);
		before = status == FTS_OK ? page : NULL;
		if (status != FTS_OK) break;
		status = ftsi_push(round->router, round->map, round->map->self, page->records, page->n_records, as_of);
		request.after = page->last;
		end = page->end;
		damaged += page->damaged;
		throttle(round, began_ns, size_of(page));
	}
	if (before != NULL) fts__kv__v1__scan_response__free_unpacked(before, NULL);
	if (damaged > 0)
		FTS_LOG_WARN("kv.copy_damaged", "partition=%u node=%s records=%llu", partition,
			     round->map->nodes[place].name, (unsigned long long)damaged);
	return status == FTS_OK && damaged > 0 ? FTS_DATA_LOSS : status;
}

/* An operator takes what is left for all there is. Who answers at all is copied whole; who does not is passed over. */
static enum fts_status copy_what_is_left(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_partition *partition = &round->map->partitions[p];
	for (uint8_t i = 0; i < partition->owner_count; i++) {
		Fts__Kv__V1__TreeResponse *tree = NULL;
		int place = partition->order[i];
		if (place == round->map->self) continue;
		enum fts_status status = copy_from(round, p, place, true);
		if (status == FTS_OK || status == FTS_DATA_LOSS) continue;
		if (ftsi_ask_tree(round->router, &round->map->nodes[place], p, false, &tree) != FTS_OK) continue;
		fts__kv__v1__tree_response__free_unpacked(tree, NULL);
		return FTS_UNAVAILABLE; /* it is there: once more */
	}
	FTS_LOG_WARN("kv.loss_accepted", "partition=%u", p);
	return FTS_OK;
}

static bool is_loss_accepted(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	return owner->is_loss_accepted(owner->ctx, p);
}

/* An owner that has damage may be the one of a majority that had the newest: it counts once the others have mended it.
 */
enum fts_status ftsi_copy_partition(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_partition *partition = &round->map->partitions[p];
	uint8_t copied = 0, wanted = partition->owner_count / 2 + 1;
	bool damaged = false;
	if (is_loss_accepted(round, p)) return copy_what_is_left(round, p);
	for (uint8_t i = 0; i < partition->owner_count && copied < wanted; i++) {
		enum fts_status status = copy_from(round, p, partition->order[i], false);
		copied += status == FTS_OK ? 1 : 0;
		damaged = damaged || status == FTS_DATA_LOSS;
	}
	if (copied >= wanted) return FTS_OK;
	if (!damaged) return FTS_UNAVAILABLE;
	ftsi_repair_elsewhere(round, p);
	return FTS_DATA_LOSS;
}

/* By its own map it has been an owner all the time until now: nothing of what was copied was dropped there. */
static bool still_owns(const struct ftsi_round *round, uint32_t p, int place)
{
	Fts__Kv__V1__TreeResponse *tree = NULL;
	if (ftsi_ask_tree(round->router, &round->map->nodes[place], p, false, &tree) != FTS_OK) return false;
	bool same = tree->changed == round->map->partitions[p].changed;
	fts__kv__v1__tree_response__free_unpacked(tree, NULL);
	return same;
}

/* An acknowledged write is on a majority of the owners, and this node may have been one of them: so many others are
 * read that one of the rest of that majority is among them. An only owner never gets it. */
bool ftsi_regain_partition(const struct ftsi_round *round, uint32_t p)
{
	const struct fts_router_partition *partition = &round->map->partitions[p];
	uint8_t copied = 0, wanted = (uint8_t)(partition->owner_count - partition->owner_count / 2);
	if (is_loss_accepted(round, p)) return copy_what_is_left(round, p) == FTS_OK;
	for (uint8_t i = 0; i < partition->owner_count && copied < wanted; i++) {
		int place = partition->order[i];
		if (place != round->map->self && copy_from(round, p, place, false) == FTS_OK &&
		    still_owns(round, p, place))
			copied++;
	}
	return copied >= wanted;
}

/* ---- Forgetting ---- */

/* Tombstones of one page that are old enough. */
struct candidates {
	Fts__Kv__V1__Record *list[FORGET_BATCH];
	size_t count;
};

static void pick(const struct ftsi_round *round, Fts__Kv__V1__ScanResponse *page, size_t *at,
		 struct candidates *out_candidates)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	int64_t before_ms = owner->wall_ms(owner->ctx) - (int64_t)owner->tombstone_age_ms;
	out_candidates->count = 0;
	for (; *at < page->n_records && out_candidates->count < FORGET_BATCH; ++*at) {
		Fts__Kv__V1__Record *record = page->records[*at];
		if (record->tombstone && (int64_t)(record->version_time >> 16) < before_ms)
			out_candidates->list[out_candidates->count++] = record;
	}
}

/* Version time of the oldest hint any node keeps for the partition; 0: one did not answer. UINT64_MAX: there is none.
 */
static uint64_t oldest_hint(const struct ftsi_round *round, uint32_t partition)
{
	uint64_t oldest = UINT64_MAX;
	for (size_t i = 0; i < round->map->node_count; i++) {
		Fts__Kv__V1__TreeResponse *tree = NULL;
		if (ftsi_ask_tree(round->router, &round->map->nodes[i], partition, false, &tree) != FTS_OK) return 0;
		if (tree->oldest_hint != 0 && tree->oldest_hint < oldest) oldest = tree->oldest_hint;
		fts__kv__v1__tree_response__free_unpacked(tree, NULL);
	}
	return oldest;
}

/* Leave those that owner at place has, too. */
static enum fts_status confirm(const struct ftsi_round *round, int place, struct candidates *candidates)
{
	Fts__Kv__V1__ReadRequest request = FTS__KV__V1__READ_REQUEST__INIT;
	Fts__Kv__V1__ReadKey keys[FORGET_BATCH], *list[FORGET_BATCH];
	Fts__Kv__V1__ReadResponse *response = NULL;
	const struct fts_call_options once = {.timeout_ms = FTSI_SYNC_TIMEOUT_MS, .no_retry = true};
	struct ftsi_remote *remote = ftsi_remotes_find(round->router->coordinator.remotes, &round->map->nodes[place]);
	for (size_t i = 0; i < candidates->count; i++) {
		fts__kv__v1__read_key__init(&keys[i]);
		keys[i].db = candidates->list[i]->db;
		keys[i].key = candidates->list[i]->key;
		list[i] = &keys[i];
	}
	request.keys = list;
	request.n_keys = candidates->count;
	request.epoch = round->map->epoch;
	request.digests = true;
	request.for_node = round->map->nodes[place].node_id;
	enum fts_status status =
	    remote == NULL ? FTS_UNAVAILABLE
			   : fts_kv_storage_read(ftsi_remote_channel(remote), &request, &once, &response, NULL);
	if (status != FTS_OK) return status;
	size_t kept = 0;
	for (size_t i = 0; i < candidates->count && i < response->n_records; i++) {
		const Fts__Kv__V1__Record *theirs = response->records[i];
		Fts__Kv__V1__Record *ours = candidates->list[i];
		if (theirs->tombstone && theirs->version_time == ours->version_time &&
		    theirs->version_node == ours->version_node)
			candidates->list[kept++] = ours;
		else if (theirs->version_time < ours->version_time) /* it has not heard of the deletion */
			(void)!ftsi_push(round->router, round->map, place, &candidates->list[i], 1,
					 round->router->options.owner->now(round->router->options.owner->ctx));
	}
	candidates->count = kept;
	fts__kv__v1__read_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static void forget_at(const struct ftsi_round *round, int place, struct candidates *candidates)
{
	Fts__Kv__V1__ForgetRequest request = FTS__KV__V1__FORGET_REQUEST__INIT;
	Fts__Kv__V1__ForgetResponse *response = NULL;
	const struct fts_call_options once = {.timeout_ms = FTSI_SYNC_TIMEOUT_MS, .no_retry = true};
	struct ftsi_remote *remote = ftsi_remotes_find(round->router->coordinator.remotes, &round->map->nodes[place]);
	request.records = candidates->list;
	request.n_records = candidates->count;
	request.for_node = round->map->nodes[place].node_id;
	if (remote != NULL &&
	    fts_kv_storage_forget(ftsi_remote_channel(remote), &request, &once, &response, NULL) == FTS_OK)
		fts__kv__v1__forget_response__free_unpacked(response, NULL);
}

static void forget_page(const struct ftsi_round *round, uint32_t p, Fts__Kv__V1__ScanResponse *page)
{
	const struct fts_router_partition *partition = &round->map->partitions[p];
	struct candidates candidates;
	for (size_t at = 0; at < page->n_records && !atomic_load(round->stopping);) {
		pick(round, page, &at, &candidates);
		uint64_t oldest = candidates.count == 0 ? 0 : oldest_hint(round, p);
		size_t kept = 0;
		for (size_t i = 0; i < candidates.count; i++)
			if (candidates.list[i]->version_time < oldest) candidates.list[kept++] = candidates.list[i];
		candidates.count = kept;
		for (uint8_t i = 0; i < partition->order_count && candidates.count > 0; i++)
			if (confirm(round, partition->order[i], &candidates) != FTS_OK) candidates.count = 0;
		for (uint8_t i = 0; i < partition->order_count && candidates.count > 0; i++)
			forget_at(round, partition->order[i], &candidates);
	}
}

void ftsi_forget_tombstones(const struct ftsi_round *round, uint32_t p)
{
	Fts__Kv__V1__ScanRequest request = FTS__KV__V1__SCAN_REQUEST__INIT;
	Fts__Kv__V1__ScanResponse *page = NULL, *before = NULL;
	bool end = false;
	request.partition = p;
	request.keys_only = true;
	while (!end && !atomic_load(round->stopping) &&
	       ftsi_ask_scan(round->router, &round->map->nodes[round->map->self], &request, &page) == FTS_OK) {
		if (before != NULL) fts__kv__v1__scan_response__free_unpacked(before, NULL);
		before = page;
		forget_page(round, p, page);
		request.after = page->last;
		end = page->end;
	}
	if (before != NULL) fts__kv__v1__scan_response__free_unpacked(before, NULL);
}
