/* Why this file exists: the machines of the key-value store put together, and what the leader does of itself: the map
 * follows the members (storage/map.h).
 *
 * A member has a say once it votes: who is still catching up may never come. */
#include <string.h>

#include <fts/kv/v1/kv.fts.h>

#include "base/assert.h"
#include "storage/log_machine.h"

/* The members as the map would have them; 0: not known well enough. */
static size_t list_members(struct fts_replica *replica, Fts__Kv__V1__MapNode *out_nodes,
			   struct fts_replica_member_status *members)
{
	size_t count = fts_replica_members(replica, members), used = 0;
	for (size_t i = 0; i < count; i++) {
		if (!members[i].voter || members[i].node_id == 0) continue;
		Fts__Kv__V1__MapNode *node = &out_nodes[used++];
		fts__kv__v1__map_node__init(node);
		node->node_id = members[i].node_id;
		node->name = members[i].name;
		node->address = members[i].address;
	}
	return used;
}

static bool stands_in(const struct ftsi_map *map, const Fts__Kv__V1__MapNode *node)
{
	for (size_t i = 0; i < map->node_count; i++)
		if (map->nodes[i].node_id == node->node_id)
			return !map->nodes[i].leaving && strcmp(map->nodes[i].address, node->address) == 0;
	return false;
}

static bool is_map_of(const struct ftsi_map *map, const Fts__Kv__V1__MapNode *nodes, size_t count)
{
	size_t staying = 0;
	for (size_t i = 0; i < map->node_count; i++)
		staying += map->nodes[i].leaving ? 0 : 1;
	for (size_t i = 0; i < count; i++)
		if (!stands_in(map, &nodes[i])) return false;
	return map->epoch != 0 && staying == count;
}

static void follow_members(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms)
{
	struct ftsi_kv_log *log = ctx;
	struct fts_replica *replica = atomic_load(&log->replica);
	struct fts_replica_member_status members[FTS_REPLICA_MEMBER_MAX];
	Fts__Kv__V1__MapNode nodes[FTS_REPLICA_MEMBER_MAX], *list[FTS_REPLICA_MEMBER_MAX];
	Fts__Kv__V1__AssignRequest request = FTS__KV__V1__ASSIGN_REQUEST__INIT;
	(void)view;
	(void)now_ms;
	if (!leader || replica == NULL) return;
	size_t count = list_members(replica, nodes, members);
	const struct ftsi_map_shared *shared = ftsi_map_take(log->maps);
	bool same = count == 0 || is_map_of(&shared->map, nodes, count);
	ftsi_map_release(shared);
	if (same) return;
	for (size_t i = 0; i < count; i++)
		list[i] = &nodes[i];
	request.nodes = list;
	request.n_nodes = count;
	/* It may be lost: the next turn looks again. */
	(void)!fts_replica_propose(replica, &fts_kv_placement_service.methods[0], &request.base, NULL, NULL);
}

/* What was derived from the old state is read anew. Without memory the map stays old: its owners refuse it then. */
static void load_map(void *ctx, struct fts_txn *view)
{
	struct ftsi_kv_log *log = ctx;
	(void)!ftsi_map_cache_load(log->maps, view);
}

void ftsi_kv_log_init(struct ftsi_kv_log *log, struct ftsi_map_cache *maps)
{
	const struct fts_machine_method admin[] = {
	    {.apply = ftsi_kv_apply_create_database},
	    {.apply = ftsi_kv_apply_move},
	    {.apply = ftsi_kv_apply_set},
	    {.apply = ftsi_kv_apply_delete},
	    {.apply = ftsi_kv_apply_batch},
	    {.read = ftsi_kv_read_get},
	    {.read = ftsi_kv_read_keys},
	    {.read = ftsi_kv_read_fence},
	};
	const struct fts_machine_method placement[] = {{.apply = ftsi_kv_apply_assign}, {.apply = ftsi_kv_apply_moved}};
	_Static_assert(sizeof admin == sizeof log->admin_methods, "one a method, in the service's order");
	_Static_assert(sizeof placement == sizeof log->placement_methods, "one a method, in the service's order");
	FTS_ASSERT(fts_kv_admin_service.method_count == FTSI_KV_ADMIN_METHOD_COUNT);
	FTS_ASSERT(fts_kv_placement_service.method_count == FTSI_KV_PLACEMENT_METHOD_COUNT);
	*log = (struct ftsi_kv_log){.maps = maps};
	memcpy(log->admin_methods, admin, sizeof admin);
	memcpy(log->placement_methods, placement, sizeof placement);
	log->machines[0] = (struct fts_machine){
	    .service = &fts_kv_admin_service, .methods = log->admin_methods, .ctx = log, .on_replaced = load_map};
	log->machines[1] = (struct fts_machine){.service = &fts_kv_placement_service,
						.methods = log->placement_methods,
						.internal = true,
						.ctx = log,
						.on_turn = follow_members};
	for (size_t i = 0; i < FTSI_KV_MACHINE_COUNT; i++)
		log->machine_list[i] = &log->machines[i];
}
