/* Why this file exists: see storage/map_leave.h. */
#include "storage/map_leave.h"

static bool stays(const struct ftsi_map *map, uint64_t owner, const uint64_t *staying, size_t staying_count)
{
	const struct ftsi_map_node *node = ftsi_map_node_find(map, owner);
	if (node == NULL || node->leaving) return false;
	for (size_t i = 0; i < staying_count; i++)
		if (staying[i] == owner) return true;
	return false;
}

/* A write is on owners / 2 + 1 of the owners: all but that many must stay to have one that knows it. Where others take
 * the places of who left, more than half must be there to be asked. */
static uint32_t enough_of(uint32_t owners, bool shrinks)
{
	uint32_t quorum = owners / 2 + 1, meets = owners - quorum + 1;
	return shrinks || meets > quorum ? meets : quorum;
}

uint32_t ftsi_map_needs(const struct ftsi_map *map, uint64_t node_id, const uint64_t *staying, size_t staying_count)
{
	uint32_t needs = 0;
	bool shrinks = staying_count < map->placement.replicas;
	for (uint32_t p = 0; map->epoch != 0 && p < FTSI_PARTITION_COUNT; p++) {
		uint32_t owners = 0, left = 0;
		for (uint32_t i = 0; i < map->placement.replicas; i++) {
			uint64_t owner = map->placement.owners[p][i];
			owners += owner != 0 ? 1 : 0;
			left += owner != 0 && stays(map, owner, staying, staying_count) ? 1 : 0;
		}
		if (ftsi_placement_owns(&map->placement, p, node_id) && left < enough_of(owners, shrinks)) needs++;
	}
	return needs;
}
