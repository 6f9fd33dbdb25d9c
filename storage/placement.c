/* Why this file exists: see storage/placement.h. Ties are broken by rendezvous hashing (Thaler and Ravishankar, "Using
 * name-based mappings to increase hit rates", 1998), so that which partitions move does not depend on the order of
 * the nodes. */
#include "storage/placement.h"

#include <string.h>

#include "base/hash.h"

struct work {
	struct ftsi_placement *after;
	const uint64_t *nodes;
	size_t node_count;
	uint32_t loads[FTSI_MAP_NODES_MAX];
};

static uint64_t affinity(uint32_t partition, uint64_t node_id)
{
	uint8_t id[8];
	for (unsigned i = 0; i < sizeof id; i++)
		id[i] = (uint8_t)(node_id >> (8 * i));
	return fts_hash64((struct fts_bytes){id, sizeof id}, partition);
}

static size_t place_of(const struct work *work, uint64_t node_id)
{
	size_t i = 0;
	while (i < work->node_count && work->nodes[i] != node_id)
		i++;
	return i;
}

bool ftsi_placement_owns(const struct ftsi_placement *placement, uint32_t partition, uint64_t node_id)
{
	for (uint32_t i = 0; i < placement->replicas; i++)
		if (placement->owners[partition][i] == node_id) return true;
	return false;
}

/* Owners whose node is still there, in their order. */
static void keep_owners(struct work *work, const struct ftsi_placement *before, uint32_t partition)
{
	uint64_t kept[FTSI_REPLICAS_MAX] = {0};
	uint32_t count = 0;
	for (uint32_t i = 0; i < before->replicas && count < work->after->replicas; i++) {
		size_t place = place_of(work, before->owners[partition][i]);
		if (place == work->node_count) continue;
		kept[count++] = before->owners[partition][i];
		work->loads[place]++;
	}
	memcpy(work->after->owners[partition], kept, sizeof kept);
}

/* The least loaded node that does not own partition yet; among equals the one it likes best. */
static size_t best_newcomer(const struct work *work, uint32_t partition)
{
	size_t best = work->node_count;
	for (size_t i = 0; i < work->node_count; i++) {
		if (ftsi_placement_owns(work->after, partition, work->nodes[i])) continue;
		if (best == work->node_count || work->loads[i] < work->loads[best] ||
		    (work->loads[i] == work->loads[best] &&
		     affinity(partition, work->nodes[i]) > affinity(partition, work->nodes[best])))
			best = i;
	}
	return best;
}

static void fill_up(struct work *work, uint32_t partition)
{
	for (uint32_t i = 0; i < work->after->replicas; i++) {
		if (work->after->owners[partition][i] != 0) continue;
		size_t place = best_newcomer(work, partition);
		work->after->owners[partition][i] = work->nodes[place];
		work->loads[place]++;
	}
}

/* The partition that node `from` gives to node `to`: the one that likes `to` best. False: none can be given. */
static bool choose_gift(const struct work *work, size_t from, size_t to, uint32_t *out_partition, uint32_t *out_slot)
{
	bool found = false;
	uint64_t best = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		uint64_t liking = affinity(p, work->nodes[to]);
		if (ftsi_placement_owns(work->after, p, work->nodes[to]) || (found && liking <= best)) continue;
		for (uint32_t i = 0; i < work->after->replicas; i++) {
			if (work->after->owners[p][i] != work->nodes[from]) continue;
			*out_partition = p;
			*out_slot = i;
			best = liking;
			found = true;
		}
	}
	return found;
}

/* One step towards equal loads. False: they are equal to within one, or nothing can be given. */
static bool balance(struct work *work)
{
	size_t most = 0, least = 0;
	uint32_t partition = 0, slot = 0;
	for (size_t i = 1; i < work->node_count; i++) {
		if (work->loads[i] > work->loads[most]) most = i;
		if (work->loads[i] < work->loads[least]) least = i;
	}
	if (work->loads[most] <= work->loads[least] + 1 || !choose_gift(work, most, least, &partition, &slot))
		return false;
	work->after->owners[partition][slot] = work->nodes[least];
	work->loads[most]--;
	work->loads[least]++;
	return true;
}

void ftsi_placement_assign(const struct ftsi_placement *before, const uint64_t *node_ids, size_t node_count,
			   struct ftsi_placement *out_after)
{
	const struct ftsi_placement old = *before; /* out_after may be the same */
	struct work work = {.after = out_after, .nodes = node_ids, .node_count = node_count};
	out_after->replicas = node_count < FTSI_REPLICAS_MAX ? (uint32_t)node_count : FTSI_REPLICAS_MAX;
	memset(out_after->owners, 0, sizeof out_after->owners);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		keep_owners(&work, &old, p);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		fill_up(&work, p);
	while (balance(&work))
		continue;
}
