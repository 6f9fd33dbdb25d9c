/* Why this file exists: who may leave when, by the map (storage/map_leave.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "storage/map_leave.h"

static size_t pick_nodes(const uint64_t *ids, size_t count, struct ftsi_map_node *out_nodes)
{
	for (size_t i = 0; i < count; i++) {
		out_nodes[i] = (struct ftsi_map_node){.node_id = ids[i]};
		(void)snprintf(out_nodes[i].name, sizeof out_nodes[i].name, "n%llu", (unsigned long long)ids[i]);
		(void)snprintf(out_nodes[i].address, sizeof out_nodes[i].address, "10.0.0.%llu:7400",
			       (unsigned long long)ids[i]);
	}
	return count;
}

static bool assign(struct ftsi_map *map, const uint64_t *ids, size_t count)
{
	struct ftsi_map_node nodes[FTSI_MAP_NODES_MAX];
	return ftsi_map_assign(map, nodes, pick_nodes(ids, count, nodes));
}

/* A second member may go once the copies of the first one's partitions are there. */
static void two_do_not_leave_at_once(void **state)
{
	static struct ftsi_map map;
	uint64_t ids[] = {1, 2, 3, 4, 5}, left[] = {1, 2, 3, 4}, staying[] = {1, 2, 3};
	uint32_t shared = 0;
	(void)state;
	memset(&map, 0, sizeof map);
	assert_int_equal(ftsi_map_needs(&map, 5, left, 4), 0); /* no map, nothing to lose */
	assert_true(assign(&map, ids, 5));
	assert_int_equal(ftsi_map_needs(&map, 5, left, 4), 0);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		shared +=
		    ftsi_placement_owns(&map.placement, p, 4) && ftsi_placement_owns(&map.placement, p, 5) ? 1 : 0;
	assert_true(shared > 0);
	/* The log has let 5 go; the map does not say so yet, and then it does. */
	assert_int_equal(ftsi_map_needs(&map, 4, staying, 3), shared);
	assert_true(assign(&map, left, 4));
	assert_int_equal(ftsi_map_needs(&map, 4, staying, 3), shared);
	assert_int_equal(ftsi_map_needs(&map, 9, left, 4), 0); /* it owns nothing */
	while (map.move_count > 0) {
		struct ftsi_map_move move = map.moves[0];
		assert_true(ftsi_map_moved(&map, &move, map.changed[move.partition]));
	}
	assert_int_equal(ftsi_map_needs(&map, 4, staying, 3), 0);
}

/* From three to one, where nobody takes the places; and while one becomes three. */
static void few_members_leave(void **state)
{
	static struct ftsi_map map;
	uint64_t ids[] = {1, 2, 3}, two[] = {1, 2};
	(void)state;
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, 3));
	assert_int_equal(ftsi_map_needs(&map, 3, ids, 2), 0);
	assert_int_equal(ftsi_map_needs(&map, 2, ids, 1), FTSI_PARTITION_COUNT); /* 3 has just gone */
	assert_true(assign(&map, two, 2));
	assert_int_equal(ftsi_map_needs(&map, 2, ids, 1), 0);
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, 1));
	assert_true(assign(&map, ids, 3));
	assert_int_equal(ftsi_map_needs(&map, 1, ids + 1, 2), FTSI_PARTITION_COUNT); /* it alone has anything */
	assert_int_equal(ftsi_map_needs(&map, 2, (uint64_t[]){1, 3}, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(two_do_not_leave_at_once),
	    cmocka_unit_test(few_members_leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
