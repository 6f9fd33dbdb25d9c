/* Why this file exists: see client/kv_map.h. Which of its owners is asked for a partition follows from its number: so
 * each node coordinates its share, and a partition's calls meet at one node, where they share messages and syncs. */
#include "client/kv_map.h"

#include <string.h>

#include "base/hash.h"

#define NS_PER_MS UINT64_C(1000000)

enum { NO_OWNER = 255, SEED_PARTITION = 1 };

uint32_t fts_kv_partition(uint32_t db, struct fts_bytes key)
{
	return (uint32_t)(fts_hash64(key, (uint64_t)db << 8 | SEED_PARTITION) % FTS_KV_PARTITION_COUNT);
}

void ftsi_kv_map_init(struct ftsi_kv_map *map)
{
	memset(map, 0, sizeof *map);
	pthread_mutex_init(&map->lock, NULL);
}

void ftsi_kv_map_fini(struct ftsi_kv_map *map)
{
	pthread_mutex_destroy(&map->lock);
}

static bool is_sound(const Fts__Kv__V1__MapResponse *message)
{
	if (message->epoch == 0 || message->n_nodes > FTSI_KV_NODES_MAX || message->replicas > FTSI_KV_OWNERS_MAX ||
	    message->owners.len != (size_t)FTS_KV_PARTITION_COUNT * message->replicas)
		return false;
	for (size_t i = 0; i < message->owners.len; i++)
		if (message->owners.data[i] != NO_OWNER && message->owners.data[i] >= message->n_nodes) return false;
	for (size_t i = 0; i < message->n_nodes; i++)
		if (strlen(message->nodes[i]->address) >= FTSI_KV_ADDRESS_MAX) return false;
	return true;
}

/* Called with lock held. */
static void replace(struct ftsi_kv_map *map, const Fts__Kv__V1__MapResponse *message)
{
	map->epoch = message->epoch;
	map->older_ns = 0;
	map->replicas = message->replicas;
	map->node_count = message->n_nodes;
	for (size_t i = 0; i < message->n_nodes; i++)
		memcpy(map->addresses[i], message->nodes[i]->address, strlen(message->nodes[i]->address) + 1);
	memcpy(map->owners, message->owners.data, message->owners.len);
}

void ftsi_kv_map_take(struct ftsi_kv_map *map, const Fts__Kv__V1__MapResponse *message, uint64_t now_ns)
{
	if (message != NULL && !is_sound(message)) return;
	pthread_mutex_lock(&map->lock);
	if (message == NULL || message->epoch == map->epoch)
		map->older_ns = 0;
	else if (message->epoch < map->epoch && map->older_ns == 0)
		map->older_ns = now_ns;
	else if (message->epoch > map->epoch || now_ns - map->older_ns >= FTSI_KV_OLDER_MS * NS_PER_MS)
		replace(map, message);
	pthread_mutex_unlock(&map->lock);
}

uint64_t ftsi_kv_map_owner(struct ftsi_kv_map *map, uint32_t partition, char *out_address)
{
	uint64_t epoch = 0;
	pthread_mutex_lock(&map->lock);
	for (uint32_t i = 0; i < map->replicas && epoch == 0; i++) {
		uint8_t place = map->owners[partition * map->replicas + (partition + i) % map->replicas];
		if (place == NO_OWNER) continue;
		memcpy(out_address, map->addresses[place], FTSI_KV_ADDRESS_MAX);
		epoch = map->epoch;
	}
	pthread_mutex_unlock(&map->lock);
	return epoch;
}
