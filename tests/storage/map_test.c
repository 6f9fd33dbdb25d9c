/* Why this file exists: the map under members that come and go at random, with moves that end in any order: at every
 * step a write that was acknowledged stays on a quorum of the owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/map.h"
#include "tests/harness/clock.h"

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

static void the_first_map_moves_nothing(void **state)
{
	static struct ftsi_map map;
	uint64_t ids[] = {1, 2, 3}, more[] = {1, 2, 3, 4}, owners[FTSI_REPLICAS_MAX];
	(void)state;
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, 3));
	assert_int_equal(map.epoch, 1);
	assert_int_equal(map.move_count, 0);
	assert_false(assign(&map, ids, 3));
	assert_int_equal(map.epoch, 1);
	assert_true(assign(&map, more, 4)); /* a fourth node: its share moves, owners stay until then */
	assert_int_equal(map.move_count, 192);
	struct ftsi_map_move move = map.moves[17];
	assert_int_equal(move.to_node, 4);
	assert_true(ftsi_placement_owns(&map.placement, move.partition, move.from_node));
	assert_int_equal(ftsi_map_future_owners(&map, move.partition, owners), 3);
	assert_true(owners[0] == 4 || owners[1] == 4 || owners[2] == 4);
	assert_true(ftsi_map_moved(&map, &move, map.changed[move.partition]));
	assert_false(ftsi_map_moved(&map, &move, map.changed[move.partition]));
	assert_true(ftsi_placement_owns(&map.placement, move.partition, 4));
	assert_false(ftsi_placement_owns(&map.placement, move.partition, move.from_node));
	assert_int_equal(map.epoch, 3);
}

static void who_leaves_owns_until_replaced(void **state)
{
	static struct ftsi_map map;
	uint64_t ids[] = {1, 2, 3, 4}, left[] = {1, 2, 4};
	(void)state;
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, 4));
	assert_true(assign(&map, left, 3));
	assert_int_equal(map.node_count, 4);
	assert_true(ftsi_map_node_find(&map, 3)->leaving);
	while (map.move_count > 0) {
		struct ftsi_map_move move = map.moves[0];
		assert_true(ftsi_map_moved(&map, &move, map.changed[move.partition]));
	}
	assert_int_equal(map.node_count, 3);
	assert_null(ftsi_map_node_find(&map, 3));
}

/* A cluster restored from a snapshot: the map names nodes that nobody will ever hear of again. */
static void with_none_left_it_begins_anew(void **state)
{
	static struct ftsi_map map;
	uint64_t ids[] = {1, 2, 3}, others[] = {14, 15, 16}, alone[] = {27};
	(void)state;
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, 3));
	assert_true(assign(&map, others, 3));
	assert_int_equal(map.epoch, 2); /* what was sent by the old one is refused */
	assert_true(assign(&map, alone, 1));
	assert_int_equal(map.move_count, 0);
	assert_int_equal(map.node_count, 1);
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		uint64_t owners[FTSI_REPLICAS_MAX];
		assert_int_equal(ftsi_map_future_owners(&map, p, owners), 1);
		assert_true(ftsi_placement_owns(&map.placement, p, 27));
		assert_int_equal(map.changed[p], 3);
	}
}

static void an_operator_moves_a_partition(void **state)
{
	static struct ftsi_map map;
	uint64_t ids[] = {1, 2, 3, 4, 5};
	uint32_t partition = 0;
	(void)state;
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, 5));
	while (ftsi_placement_owns(&map.placement, partition, 5))
		partition++;
	assert_int_equal(ftsi_map_move(&map, FTSI_PARTITION_COUNT, "n5"), FTS_INVALID_ARGUMENT);
	assert_int_equal(ftsi_map_move(&map, partition, "n9"), FTS_NOT_FOUND);
	assert_int_equal(ftsi_map_move(&map, partition, "n5"), FTS_OK);
	assert_int_equal(ftsi_map_move(&map, partition, "n5"), FTS_ALREADY_EXISTS);
	struct ftsi_map_move move = map.moves[0];
	assert_true(ftsi_map_moved(&map, &move, map.changed[move.partition]));
	assert_true(ftsi_placement_owns(&map.placement, partition, 5));
}

/* ---- A model of what is written where ---- */

enum { NODE_MAX = 7, STEPS = 30000 };

/* Who has the one write that was acknowledged for a partition, as bits by node id. */
static uint32_t holders[FTSI_PARTITION_COUNT];
/* The partition's epoch under which its new owner has copied it; 0: it has not. */
static uint64_t copied[FTSI_PARTITION_COUNT];

/* Owners as they will be once the move under way is done. */
static uint32_t next_owners(const struct ftsi_map *map, uint32_t partition, uint64_t *out_owners)
{
	const struct ftsi_map_move *move = ftsi_map_move_under_way(map, partition);
	uint32_t count = 0;
	bool placed = move == NULL;
	for (uint32_t i = 0; i < map->placement.replicas; i++) {
		uint64_t owner = map->placement.owners[partition][i];
		if (!placed && owner == move->from_node) {
			owner = move->to_node;
			placed = true;
		}
		if (owner != 0) out_owners[count++] = owner;
	}
	return count;
}

static uint32_t quorum_of(const struct ftsi_map *map, uint32_t partition)
{
	uint32_t owners = 0;
	for (uint32_t i = 0; i < map->placement.replicas; i++)
		owners += map->placement.owners[partition][i] != 0 ? 1 : 0;
	return owners / 2 + 1;
}

static uint32_t count_in(uint32_t bits, const uint64_t *owners, uint32_t count)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < count; i++)
		found += owners[i] != 0 && (bits >> owners[i] & 1) ? 1 : 0;
	return found;
}

/* A write goes to the fewest nodes that acknowledge it: a quorum of the owners, and of the owners to be. */
static void write_fewest(const struct ftsi_map *map, uint32_t partition, struct harness_random *random)
{
	uint64_t future[FTSI_REPLICAS_MAX];
	uint32_t future_count = next_owners(map, partition, future), bits = 0;
	const uint64_t *owners = map->placement.owners[partition];
	while (count_in(bits, owners, map->placement.replicas) < quorum_of(map, partition) ||
	       count_in(bits, future, future_count) < future_count / 2 + 1) {
		uint32_t at = harness_random_below(random, 2 * FTSI_REPLICAS_MAX);
		uint64_t node = at < FTSI_REPLICAS_MAX ? (at < map->placement.replicas ? owners[at] : 0)
						       : (at - 3 < future_count ? future[at - 3] : 0);
		if (node != 0) bits |= 1u << node;
	}
	holders[partition] = bits;
}

/* The new owner copies from some majority of the owners. */
static void copy(const struct ftsi_map *map, const struct ftsi_map_move *move, struct harness_random *random)
{
	uint32_t asked = 0, found = 0;
	const uint64_t *owners = map->placement.owners[move->partition];
	while (count_in(asked, owners, map->placement.replicas) < quorum_of(map, move->partition)) {
		uint64_t owner = owners[harness_random_below(random, map->placement.replicas)];
		if (owner != 0) asked |= 1u << owner;
	}
	found = asked & holders[move->partition];
	assert_true(found != 0); /* a majority always meets the write */
	holders[move->partition] |= 1u << move->to_node;
	copied[move->partition] = map->changed[move->partition];
}

/* Only a copy made under the partition's present epoch counts. */
static void end_move(struct ftsi_map *map, const struct ftsi_map_move *move)
{
	bool counts = copied[move->partition] == map->changed[move->partition];
	assert_int_equal(ftsi_map_moved(map, move, copied[move->partition]), counts);
}

static void check_quorums(const struct ftsi_map *map)
{
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		assert_true(count_in(holders[p], map->placement.owners[p], map->placement.replicas) >=
			    quorum_of(map, p));
}

static void acknowledged_writes_stay_on_a_quorum(void **state)
{
	static struct ftsi_map map, again;
	struct harness_random random = {11};
	uint64_t ids[NODE_MAX] = {1, 2, 3};
	size_t count = 3;
	(void)state;
	memset(&map, 0, sizeof map);
	assert_true(assign(&map, ids, count));
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		write_fewest(&map, p, &random);
	for (int step = 0; step < STEPS; step++) {
		uint32_t what = harness_random_below(&random, 100);
		if (what < 60 && map.move_count > 0) { /* writes come between the copy and its end */
			uint32_t at = harness_random_below(&random, (uint32_t)map.move_count);
			struct ftsi_map_move move = *ftsi_map_move_under_way(&map, map.moves[at].partition);
			if (what < 30)
				copy(&map, &move, &random);
			else
				end_move(&map, &move);
		} else if (what < 97) {
			write_fewest(&map, harness_random_below(&random, FTSI_PARTITION_COUNT), &random);
		} else { /* members change, also while partitions move; three stay */
			uint64_t id = 1 + harness_random_below(&random, NODE_MAX);
			size_t at = 0;
			while (at < count && ids[at] != id)
				at++;
			if (at == count)
				ids[count++] = id;
			else if (count > 3)
				ids[at] = ids[--count];
			(void)assign(&map, ids, count);
		}
		check_quorums(&map);
	}
	uint8_t *packed = malloc(ftsi_map_packed_size(&map));
	size_t size = ftsi_map_pack(&map, packed);
	assert_int_equal(ftsi_map_unpack((struct fts_bytes){packed, size}, &again), FTS_OK);
	assert_int_equal(again.epoch, map.epoch);
	assert_int_equal(again.placement.replicas, map.placement.replicas);
	assert_memory_equal(again.placement.owners, map.placement.owners, sizeof map.placement.owners);
	assert_int_equal(again.move_count, map.move_count);
	assert_int_equal(ftsi_map_unpack((struct fts_bytes){packed, size - 1}, &again), FTS_DATA_LOSS);
	free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_map_moves_nothing),          cmocka_unit_test(who_leaves_owns_until_replaced),
	    cmocka_unit_test(with_none_left_it_begins_anew),        cmocka_unit_test(an_operator_moves_a_partition),
	    cmocka_unit_test(acknowledged_writes_stay_on_a_quorum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
