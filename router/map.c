/* Why this file exists: see router/map.h. */
#include "router/map.h"

#include <stdio.h>
#include <stdlib.h>

enum { NO_OWNER = 255 };

const struct fts_router_map *fts_router_map_hold(const struct fts_router_map *map)
{
	struct fts_router_map *own = (struct fts_router_map *)(uintptr_t)map; /* its count alone changes */
	(void)atomic_fetch_add(&own->holder_count, 1);
	return map;
}

void fts_router_map_release(const struct fts_router_map *map)
{
	struct fts_router_map *own = (struct fts_router_map *)(uintptr_t)map;
	if (map == NULL || atomic_fetch_sub(&own->holder_count, 1) != 1) return;
	fts__kv__v1__map_response__free_unpacked(own->message, NULL);
	free(own);
}

bool fts_router_map_is_linearizable(const struct fts_router_map *map, uint32_t db)
{
	for (size_t i = 0; i < map->message->n_linearizable; i++)
		if (map->message->linearizable[i] == db) return true;
	return false;
}

int fts_router_map_place(const struct fts_router_map *map, uint64_t node_id)
{
	for (size_t i = 0; node_id != 0 && i < map->node_count; i++)
		if (map->nodes[i].node_id == node_id) return (int)i;
	return -1;
}

static void add_place(struct fts_router_partition *partition, int place)
{
	for (uint8_t i = 0; i < partition->order_count; i++)
		if (partition->order[i] == place) return;
	if (partition->order_count < FTS_ROUTER_OWNERS_MAX) partition->order[partition->order_count++] = (uint8_t)place;
}

static void read_owners(struct fts_router_map *map)
{
	const Fts__Kv__V1__MapResponse *message = map->message;
	size_t at = 0;
	for (uint32_t p = 0; p < FTS_ROUTER_PARTITION_COUNT; p++) {
		struct fts_router_partition *partition = &map->partitions[p];
		partition->from = partition->to = -1;
		partition->changed = message->changed[p];
		for (uint32_t i = 0; i < message->replicas; i++) {
			uint8_t place = message->owners.data[at++];
			if (place == NO_OWNER) continue;
			partition->owners |= (uint64_t)1 << place;
			add_place(partition, place);
		}
		partition->next = partition->owners;
		partition->owner_count = partition->order_count;
	}
}

/* The first of a partition's moves is the one under way. */
static void read_moves(struct fts_router_map *map)
{
	for (size_t i = 0; i < map->message->n_moves; i++) {
		const Fts__Kv__V1__MapMove *move = map->message->moves[i];
		struct fts_router_partition *partition = &map->partitions[move->partition];
		int from = fts_router_map_place(map, move->from_node), to = fts_router_map_place(map, move->to_node);
		if (to < 0 || partition->to >= 0) continue;
		partition->from = (int8_t)from;
		partition->to = (int8_t)to;
		if (from >= 0) partition->next &= ~((uint64_t)1 << from);
		partition->next |= (uint64_t)1 << to;
		add_place(partition, to);
	}
}

static bool is_sound(const Fts__Kv__V1__MapResponse *message)
{
	if (message->epoch == 0 || message->n_nodes > FTS_ROUTER_NODES_MAX ||
	    message->replicas >= FTS_ROUTER_OWNERS_MAX || message->n_changed != FTS_ROUTER_PARTITION_COUNT ||
	    message->owners.len != (size_t)FTS_ROUTER_PARTITION_COUNT * message->replicas)
		return false;
	for (size_t i = 0; i < message->owners.len; i++)
		if (message->owners.data[i] != NO_OWNER && message->owners.data[i] >= message->n_nodes) return false;
	for (size_t i = 0; i < message->n_moves; i++)
		if (message->moves[i]->partition >= FTS_ROUTER_PARTITION_COUNT) return false;
	return true;
}

const struct fts_router_map *fts_router_map_create(Fts__Kv__V1__MapResponse *message, uint64_t self_id)
{
	struct fts_router_map *map = is_sound(message) ? calloc(1, sizeof *map) : NULL;
	if (map == NULL) {
		fts__kv__v1__map_response__free_unpacked(message, NULL);
		return NULL;
	}
	atomic_init(&map->holder_count, 1);
	map->message = message;
	map->epoch = message->epoch;
	map->node_count = message->n_nodes;
	for (size_t i = 0; i < message->n_nodes; i++) {
		struct fts_router_node *node = &map->nodes[i];
		node->node_id = message->nodes[i]->node_id;
		node->leaving = message->nodes[i]->leaving;
		(void)snprintf(node->name, sizeof node->name, "%s", message->nodes[i]->name);
		(void)snprintf(node->address, sizeof node->address, "%s", message->nodes[i]->address);
	}
	map->self = fts_router_map_place(map, self_id);
	read_owners(map);
	read_moves(map);
	return map;
}
