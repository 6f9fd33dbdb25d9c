/* Why this file exists: see storage/map.h. */
#include "storage/map.h"

#include <stdio.h>
#include <string.h>

const struct ftsi_map_node *ftsi_map_node_find(const struct ftsi_map *map, uint64_t node_id)
{
	for (size_t i = 0; i < map->node_count; i++)
		if (map->nodes[i].node_id == node_id) return &map->nodes[i];
	return NULL;
}

static bool is_in(const struct ftsi_map_node *nodes, size_t count, uint64_t node_id)
{
	for (size_t i = 0; i < count; i++)
		if (nodes[i].node_id == node_id) return true;
	return false;
}

static bool owns_anything(const struct ftsi_placement *placement, uint64_t node_id)
{
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		if (ftsi_placement_owns(placement, p, node_id)) return true;
	return false;
}

/* ---- Assigning ---- */

static bool same_nodes(const struct ftsi_map *map, const struct ftsi_map_node *nodes, size_t node_count)
{
	size_t staying = 0;
	for (size_t i = 0; i < map->node_count; i++) {
		if (map->nodes[i].leaving) continue;
		staying++;
		bool same = false;
		for (size_t j = 0; j < node_count; j++)
			same = same || (map->nodes[i].node_id == nodes[j].node_id &&
					strcmp(map->nodes[i].address, nodes[j].address) == 0);
		if (!same) return false;
	}
	return map->epoch != 0 && staying == node_count;
}

/* The first map; or none of its nodes is a member any more, as in a cluster that was restored from a snapshot: nobody
 * is left to copy from, and to wait for them would be for ever. */
static bool begins(const struct ftsi_map *map, const struct ftsi_map_node *nodes, size_t node_count)
{
	for (size_t i = 0; i < map->node_count; i++)
		if (is_in(nodes, node_count, map->nodes[i].node_id)) return false;
	return true;
}

/* The members, and of those that were, who still owns something. */
static void set_nodes(struct ftsi_map *map, const struct ftsi_map_node *nodes, size_t node_count)
{
	struct ftsi_map_node merged[FTSI_MAP_NODES_MAX];
	size_t count = node_count;
	memcpy(merged, nodes, node_count * sizeof *nodes);
	for (size_t i = 0; i < map->node_count && count < FTSI_MAP_NODES_MAX; i++) {
		if (is_in(nodes, node_count, map->nodes[i].node_id) ||
		    !owns_anything(&map->placement, map->nodes[i].node_id))
			continue;
		merged[count] = map->nodes[i];
		merged[count++].leaving = true;
	}
	memcpy(map->nodes, merged, count * sizeof *merged);
	map->node_count = count;
}

/* The moves that lead partition from its owners to those it is to have. */
static void plan_moves(struct ftsi_map *map, uint32_t partition, const struct ftsi_placement *target)
{
	uint64_t going[FTSI_REPLICAS_MAX], coming[FTSI_REPLICAS_MAX];
	uint32_t going_count = 0, coming_count = 0;
	for (uint32_t i = 0; i < map->placement.replicas; i++)
		if (!ftsi_placement_owns(target, partition, map->placement.owners[partition][i]))
			going[going_count++] = map->placement.owners[partition][i];
	for (uint32_t i = 0; i < target->replicas; i++)
		if (!ftsi_placement_owns(&map->placement, partition, target->owners[partition][i]))
			coming[coming_count++] = target->owners[partition][i];
	for (uint32_t i = 0; i < coming_count; i++)
		map->moves[map->move_count++] = (struct ftsi_map_move){
		    .partition = partition, .from_node = i < going_count ? going[i] : 0, .to_node = coming[i]};
}

static void set_owner(struct ftsi_map *map, uint32_t partition, uint64_t from_node, uint64_t to_node)
{
	uint64_t *owners = map->placement.owners[partition];
	for (uint32_t i = 0; i < FTSI_REPLICAS_MAX; i++)
		if (owners[i] == from_node) {
			owners[i] = to_node;
			return;
		}
}

/* Fewer nodes than replicas: nobody is there to take the place of who left. */
static void drop_owners(struct ftsi_map *map, const struct ftsi_placement *target)
{
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		uint64_t kept[FTSI_REPLICAS_MAX] = {0};
		uint32_t count = 0;
		for (uint32_t i = 0; i < map->placement.replicas; i++)
			if (ftsi_placement_owns(target, p, map->placement.owners[p][i]) && count < target->replicas)
				kept[count++] = map->placement.owners[p][i];
		memcpy(map->placement.owners[p], kept, sizeof kept);
	}
	map->placement.replicas = target->replicas;
}

/* ---- What has changed ---- */

const struct ftsi_map_move *ftsi_map_move_under_way(const struct ftsi_map *map, uint32_t partition)
{
	for (size_t i = 0; i < map->move_count; i++)
		if (map->moves[i].partition == partition) return &map->moves[i];
	return NULL;
}

/* Who takes part in a partition's reads and writes: its owners, and the move under way. */
struct takers {
	uint64_t owners[FTSI_REPLICAS_MAX];
	uint64_t from_node, to_node;
};

static void list_takers(const struct ftsi_map *map, struct takers *out_takers)
{
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++) {
		const struct ftsi_map_move *move = ftsi_map_move_under_way(map, p);
		memcpy(out_takers[p].owners, map->placement.owners[p], sizeof out_takers[p].owners);
		out_takers[p].from_node = move == NULL ? 0 : move->from_node;
		out_takers[p].to_node = move == NULL ? 0 : move->to_node;
	}
}

/* One epoch more; before: the takers as they were. */
static void turn_over(struct ftsi_map *map, const struct takers *before)
{
	struct takers after[FTSI_PARTITION_COUNT];
	list_takers(map, after);
	map->epoch++;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		if (map->epoch == 1 || memcmp(&before[p], &after[p], sizeof after[p]) != 0)
			map->changed[p] = map->epoch;
}

void ftsi_map_renew(struct ftsi_map *map)
{
	if (map->epoch == 0) return;
	map->epoch++;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		map->changed[p] = map->epoch;
}

bool ftsi_map_assign(struct ftsi_map *map, const struct ftsi_map_node *nodes, size_t node_count)
{
	uint64_t ids[FTSI_MAP_NODES_MAX];
	struct ftsi_placement target;
	struct takers before[FTSI_PARTITION_COUNT];
	if (same_nodes(map, nodes, node_count)) return false;
	for (size_t i = 0; i < node_count; i++)
		ids[i] = nodes[i].node_id;
	list_takers(map, before);
	ftsi_placement_assign(&map->placement, ids, node_count, &target);
	map->move_count = 0;
	if (begins(map, nodes, node_count)) {
		map->placement = target;
	} else if (target.replicas < map->placement.replicas) {
		drop_owners(map, &target);
	}
	if (map->placement.replicas < target.replicas) map->placement.replicas = target.replicas; /* some are 0 yet */
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		plan_moves(map, p, &target);
	set_nodes(map, nodes, node_count);
	turn_over(map, before);
	return true;
}

/* ---- Moving ---- */

static void forget_nodes_without_places(struct ftsi_map *map)
{
	size_t count = 0;
	for (size_t i = 0; i < map->node_count; i++)
		if (!map->nodes[i].leaving || owns_anything(&map->placement, map->nodes[i].node_id))
			map->nodes[count++] = map->nodes[i];
	map->node_count = count;
}

/* The others keep their order: which of a partition's moves is under way hangs on it. */
static void end_move(struct ftsi_map *map, const struct ftsi_map_move *move)
{
	size_t at = (size_t)(move - map->moves);
	map->move_count--;
	memmove(&map->moves[at], &map->moves[at + 1], (map->move_count - at) * sizeof *map->moves);
}

bool ftsi_map_moved(struct ftsi_map *map, const struct ftsi_map_move *move, uint64_t since)
{
	struct takers before[FTSI_PARTITION_COUNT];
	if (move->partition >= FTSI_PARTITION_COUNT || map->changed[move->partition] != since) return false;
	const struct ftsi_map_move *known = ftsi_map_move_under_way(map, move->partition);
	if (known == NULL || known->from_node != move->from_node || known->to_node != move->to_node) return false;
	list_takers(map, before);
	set_owner(map, known->partition, known->from_node, known->to_node);
	end_move(map, known);
	forget_nodes_without_places(map);
	turn_over(map, before);
	return true;
}

static uint32_t load_of(const struct ftsi_map *map, uint64_t node_id)
{
	uint32_t load = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		load += ftsi_placement_owns(&map->placement, p, node_id) ? 1 : 0;
	return load;
}

enum fts_status ftsi_map_move(struct ftsi_map *map, uint32_t partition, const char *node)
{
	struct takers before[FTSI_PARTITION_COUNT];
	const struct ftsi_map_node *to = NULL;
	uint64_t from = 0;
	uint32_t most = 0;
	if (partition >= FTSI_PARTITION_COUNT) return FTS_INVALID_ARGUMENT;
	for (size_t i = 0; i < map->node_count; i++)
		if (strcmp(map->nodes[i].name, node) == 0 && !map->nodes[i].leaving) to = &map->nodes[i];
	if (to == NULL) return FTS_NOT_FOUND;
	if (ftsi_placement_owns(&map->placement, partition, to->node_id)) return FTS_ALREADY_EXISTS;
	for (size_t i = 0; i < map->move_count; i++)
		if (map->moves[i].partition == partition)
			return map->moves[i].to_node == to->node_id ? FTS_ALREADY_EXISTS : FTS_FAILED_PRECONDITION;
	for (uint32_t i = 0; i < map->placement.replicas; i++) {
		uint64_t owner = map->placement.owners[partition][i];
		if (owner == 0 || load_of(map, owner) <= most) continue;
		from = owner;
		most = load_of(map, owner);
	}
	list_takers(map, before);
	map->moves[map->move_count++] =
	    (struct ftsi_map_move){.partition = partition, .from_node = from, .to_node = to->node_id};
	turn_over(map, before);
	return FTS_OK;
}

uint32_t ftsi_map_future_owners(const struct ftsi_map *map, uint32_t partition, uint64_t *out_owners)
{
	uint32_t count = 0;
	uint64_t owners[FTSI_REPLICAS_MAX];
	memcpy(owners, map->placement.owners[partition], sizeof owners);
	for (size_t i = 0; i < map->move_count; i++) {
		const struct ftsi_map_move *move = &map->moves[i];
		if (move->partition != partition) continue;
		for (uint32_t j = 0; j < FTSI_REPLICAS_MAX; j++)
			if (owners[j] == move->from_node) {
				owners[j] = move->to_node;
				break;
			}
	}
	for (uint32_t i = 0; i < map->placement.replicas; i++)
		if (owners[i] != 0) out_owners[count++] = owners[i];
	return count;
}

/* ---- As a message ---- */

/* A message whose parts point into it and into the map it tells of. */
struct message {
	Fts__Kv__V1__MapResponse base;
	Fts__Kv__V1__MapNode nodes[FTSI_MAP_NODES_MAX], *node_list[FTSI_MAP_NODES_MAX];
	Fts__Kv__V1__MapMove moves[FTSI_MOVES_MAX], *move_list[FTSI_MOVES_MAX];
	uint8_t owners[FTSI_PARTITION_COUNT * FTSI_REPLICAS_MAX];
};

enum { NO_OWNER = 255 };

static uint8_t place_of(const struct ftsi_map *map, uint64_t node_id)
{
	for (size_t i = 0; node_id != 0 && i < map->node_count; i++)
		if (map->nodes[i].node_id == node_id) return (uint8_t)i;
	return NO_OWNER;
}

static void describe_nodes(const struct ftsi_map *map, struct message *out)
{
	for (size_t i = 0; i < map->node_count; i++) {
		fts__kv__v1__map_node__init(&out->nodes[i]);
		out->nodes[i].node_id = map->nodes[i].node_id;
		out->nodes[i].name = (char *)map->nodes[i].name;
		out->nodes[i].address = (char *)map->nodes[i].address;
		out->nodes[i].leaving = map->nodes[i].leaving;
		out->node_list[i] = &out->nodes[i];
	}
	out->base.nodes = out->node_list;
	out->base.n_nodes = map->node_count;
}

static void describe(const struct ftsi_map *map, struct message *out)
{
	size_t at = 0;
	fts__kv__v1__map_response__init(&out->base);
	describe_nodes(map, out);
	for (size_t i = 0; i < map->move_count; i++) {
		fts__kv__v1__map_move__init(&out->moves[i]);
		out->moves[i].partition = map->moves[i].partition;
		out->moves[i].from_node = map->moves[i].from_node;
		out->moves[i].to_node = map->moves[i].to_node;
		out->move_list[i] = &out->moves[i];
	}
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		for (uint32_t i = 0; i < map->placement.replicas; i++)
			out->owners[at++] = place_of(map, map->placement.owners[p][i]);
	out->base.moves = out->move_list;
	out->base.n_moves = map->move_count;
	out->base.moving = (uint32_t)map->move_count;
	out->base.owners = (ProtobufCBinaryData){at, out->owners};
	out->base.epoch = map->epoch;
	out->base.changed = (uint64_t *)(uintptr_t)map->changed;
	out->base.n_changed = FTSI_PARTITION_COUNT;
	out->base.replicas = map->placement.replicas;
}

size_t ftsi_map_packed_size(const struct ftsi_map *map)
{
	static _Thread_local struct message message;
	describe(map, &message);
	return fts__kv__v1__map_response__get_packed_size(&message.base);
}

size_t ftsi_map_pack(const struct ftsi_map *map, uint8_t *out)
{
	static _Thread_local struct message message;
	describe(map, &message);
	return fts__kv__v1__map_response__pack(&message.base, out);
}

static bool copy_text(char *out, size_t capacity_bytes, const char *text)
{
	size_t size = strlen(text);
	if (size >= capacity_bytes) return false;
	memcpy(out, text, size + 1);
	return true;
}

static bool read_nodes(const Fts__Kv__V1__MapResponse *message, struct ftsi_map *map)
{
	for (size_t i = 0; i < message->n_nodes; i++) {
		struct ftsi_map_node *node = &map->nodes[i];
		if (!copy_text(node->name, sizeof node->name, message->nodes[i]->name) ||
		    !copy_text(node->address, sizeof node->address, message->nodes[i]->address))
			return false;
		node->node_id = message->nodes[i]->node_id;
		node->leaving = message->nodes[i]->leaving;
	}
	map->node_count = message->n_nodes;
	return true;
}

static bool read_owners(const Fts__Kv__V1__MapResponse *message, struct ftsi_map *map)
{
	size_t at = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		for (uint32_t i = 0; i < message->replicas; i++) {
			uint8_t place = message->owners.data[at++];
			if (place != NO_OWNER && place >= map->node_count) return false;
			map->placement.owners[p][i] = place == NO_OWNER ? 0 : map->nodes[place].node_id;
		}
	map->placement.replicas = message->replicas;
	return true;
}

enum fts_status ftsi_map_from_message(const Fts__Kv__V1__MapResponse *message, struct ftsi_map *out_map)
{
	memset(out_map, 0, sizeof *out_map);
	if (message->n_nodes > FTSI_MAP_NODES_MAX || message->n_moves > FTSI_MOVES_MAX ||
	    message->replicas > FTSI_REPLICAS_MAX ||
	    message->owners.len != (size_t)FTSI_PARTITION_COUNT * message->replicas ||
	    message->n_changed != FTSI_PARTITION_COUNT || !read_nodes(message, out_map) ||
	    !read_owners(message, out_map))
		return FTS_DATA_LOSS;
	for (size_t i = 0; i < message->n_moves; i++) {
		const Fts__Kv__V1__MapMove *move = message->moves[i];
		if (move->partition >= FTSI_PARTITION_COUNT) return FTS_DATA_LOSS;
		out_map->moves[i] = (struct ftsi_map_move){move->partition, move->from_node, move->to_node};
	}
	out_map->move_count = message->n_moves;
	memcpy(out_map->changed, message->changed, sizeof out_map->changed);
	out_map->epoch = message->epoch;
	return FTS_OK;
}

enum fts_status ftsi_map_unpack(struct fts_bytes packed, struct ftsi_map *out_map)
{
	Fts__Kv__V1__MapResponse *message = fts__kv__v1__map_response__unpack(NULL, packed.size_bytes, packed.data);
	if (message == NULL) return FTS_DATA_LOSS;
	enum fts_status status = ftsi_map_from_message(message, out_map);
	fts__kv__v1__map_response__free_unpacked(message, NULL);
	return status;
}
