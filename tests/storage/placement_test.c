/* Why this file exists: placement's promises as properties, over clusters that grow, shrink and change at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "storage/placement.h"
#include "tests/harness/clock.h"

static uint32_t load_of(const struct ftsi_placement *placement, uint64_t node_id)
{
	uint32_t load = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		load += ftsi_placement_owns(placement, p, node_id) ? 1 : 0;
	return load;
}

static void check(const struct ftsi_placement *placement, const uint64_t *nodes, size_t count)
{
	uint32_t least = UINT32_MAX, most = 0, total = 0;
	assert_int_equal(placement->replicas, count < 3 ? count : 3);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		for (uint32_t i = 0; i < placement->replicas; i++)
			for (uint32_t j = 0; j < i; j++)
				assert_true(placement->owners[p][i] != placement->owners[p][j]);
	for (size_t i = 0; i < count; i++) {
		uint32_t load = load_of(placement, nodes[i]);
		least = load < least ? load : least;
		most = load > most ? load : most;
		total += load;
	}
	assert_true(most <= least + 1);
	assert_int_equal(total, FTSI_PARTITION_COUNT * placement->replicas); /* nobody else owns anything */
}

static uint32_t moved(const struct ftsi_placement *before, const struct ftsi_placement *after)
{
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		for (uint32_t i = 0; i < after->replicas; i++)
			count += ftsi_placement_owns(before, p, after->owners[p][i]) ? 0 : 1;
	return count;
}

static void clusters_that_grow_move_the_least(void **state)
{
	uint64_t nodes[12];
	struct ftsi_placement now = {0}, next;
	(void)state;
	for (size_t count = 1; count <= 12; count++) {
		nodes[count - 1] = count * 0x9E3779B97F4A7C15u;
		ftsi_placement_assign(&now, nodes, count, &next);
		check(&next, nodes, count);
		if (count > 3) { /* the newcomer's share moves, and nothing else */
			assert_int_equal(moved(&now, &next), load_of(&next, nodes[count - 1]));
		}
		now = next;
	}
}

static void who_leaves_takes_only_its_own(void **state)
{
	uint64_t nodes[] = {11, 22, 33, 44, 55, 66}, left[] = {11, 22, 44, 55, 66};
	struct ftsi_placement before = {0}, after;
	(void)state;
	ftsi_placement_assign(&before, nodes, 6, &before);
	ftsi_placement_assign(&before, left, 5, &after);
	check(&after, left, 5);
	assert_true(moved(&before, &after) <= load_of(&before, 33) + 5);
}

static void nothing_changes_nothing(void **state)
{
	uint64_t nodes[] = {1, 2, 3, 4, 5}, turned[] = {5, 3, 1, 2, 4};
	struct ftsi_placement before = {0}, after;
	(void)state;
	ftsi_placement_assign(&before, nodes, 5, &before);
	ftsi_placement_assign(&before, turned, 5, &after);
	assert_memory_equal(&before, &after, sizeof after);
}

static void any_change_keeps_the_promises(void **state)
{
	struct harness_random random = {7};
	struct ftsi_placement placement = {0};
	(void)state;
	for (int step = 0; step < 200; step++) {
		uint64_t nodes[9];
		size_t count = 0;
		for (uint64_t id = 1; id <= 9; id++)
			if (harness_random_below(&random, 3) > 0) nodes[count++] = id;
		if (count == 0) continue;
		ftsi_placement_assign(&placement, nodes, count, &placement);
		check(&placement, nodes, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clusters_that_grow_move_the_least),
	    cmocka_unit_test(who_leaves_takes_only_its_own),
	    cmocka_unit_test(nothing_changes_nothing),
	    cmocka_unit_test(any_change_keeps_the_promises),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
