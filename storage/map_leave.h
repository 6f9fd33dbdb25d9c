/* Why this file exists: may a member leave now, by the map? One that is removed ends at once, and what it owned is
 * copied from the others: so enough of them must have it, with who left before already counted out. Pure. */
#ifndef FTS_STORAGE_MAP_LEAVE_H
#define FTS_STORAGE_MAP_LEAVE_H

#include "storage/map.h"

/* In how many partitions must node not leave yet? Without it, and with those alone that are in `staying`, too few of
 * the owners would be left to meet every write that was acknowledged, or to be copied from. staying: ids, without
 * node's. Moves that are under way give it free, one after the other. */
uint32_t ftsi_map_needs(const struct ftsi_map *map, uint64_t node_id, const uint64_t *staying, size_t staying_count);

#endif
