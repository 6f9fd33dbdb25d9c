/* Why this file exists: see simulation.h. Members that come, go, and lose their disks, while everything else goes
 * wrong. A disk is lost only while all others have what was committed: more than that nobody promises to survive. */
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

enum { LOOK_MS = 150, CALL_MS = 2000, LINGER_MAX_MS = 2000 };

struct look {
	struct sim_event event; /* first */
};

static void done(void *ctx, enum fts_status status, const struct fts_error *error)
{
	struct sim_node *node = ctx;
	(void)error;
	sim_note(node->sim, "member done", node->number, status, 0);
}

/* ---- Who is a member ---- */

static const struct raft_server *server_of(const struct sim_node *leader, const struct sim_node *node)
{
	const struct raft_configuration *configuration = &leader->replica->raft.configuration;
	for (unsigned i = 0; i < configuration->n; i++)
		if (configuration->servers[i].id == node->seen.node_id) return &configuration->servers[i];
	return NULL;
}

static bool is_settled(const struct sim_node *leader)
{
	return leader->replica->raft.configuration_uncommitted_index == 0;
}

/* Every member is a voter, runs, and has everything: one of them may lose its disk. */
static bool all_are_well(struct simulation *sim, const struct sim_node *leader)
{
	const struct raft_configuration *configuration = &leader->replica->raft.configuration;
	unsigned well = 0;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		struct sim_node *node = &sim->nodes[i];
		const struct raft_server *server = server_of(leader, node);
		if (!sim_node_runs(node) || server == NULL || server->role != RAFT_VOTER) continue;
		well += node->replica->raft_running && node->replica->raft.last_stored >= sim->commit_index &&
			node->replica->raft.current_term == leader->replica->raft.current_term &&
			node->replica->append_worker.open_count == 0;
	}
	return is_settled(leader) && well == configuration->n && well >= 3;
}

bool sim_members_settled(struct simulation *sim)
{
	const struct sim_node *leader = sim_leader(sim);
	unsigned expected = 0;
	if (leader == NULL || !is_settled(leader)) return false;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		struct sim_node *node = &sim->nodes[i];
		const struct raft_server *server = server_of(leader, node);
		if (!node->used) continue;
		if (server == NULL || server->role != RAFT_VOTER) return false;
		expected++;
	}
	return leader->replica->raft.configuration.n == expected;
}

/* ---- One after another ---- */

static void forget(struct sim_node *node)
{
	sim_remove_dir(node->dir);
	free(node->seen.durable_terms);
	node->seen = (struct sim_seen){0};
}

static void ask_to_join(struct sim_node *leader, struct sim_node *node)
{
	struct fts_error error = {0};
	enum fts_status status;
	if (sim_node_paused(leader) || !sim_node_runs(node)) return;
	status = fts_replica_member_add(leader->replica, node->name, node->address, node->replica->identity.node_id,
					CALL_MS, done, leader, &error);
	sim_note(leader->sim, "join", node->number, leader->number, status);
	sim_node_wake(leader);
}

static void ask_to_leave(struct sim_node *leader, struct sim_node *node)
{
	struct fts_error error = {0};
	enum fts_status status;
	if (sim_node_paused(leader)) return;
	status = fts_replica_member_remove(leader->replica, node->name, CALL_MS, done, leader, &error);
	sim_note(leader->sim, "leave", node->number, leader->number, status);
	sim_node_wake(leader);
}

static void switch_off(struct sim_node *node)
{
	sim_note(node->sim, "switched off", node->number, 0, 0);
	sim_node_kill(node, false);
	node->incarnation++; /* whoever meant to start it again does not */
	node->used = node->leaving = false;
	forget(node);
}

static void look_at(struct simulation *sim, struct sim_node *leader, struct sim_node *node)
{
	const struct raft_server *server = server_of(leader, node);
	if (!node->used) return;
	if (node->joined && server == NULL && !node->leaving) ask_to_join(leader, node);
	if (!node->leaving || !is_settled(leader)) return;
	if (server == NULL && sim->now_ns >= node->linger_ns)
		switch_off(node);
	else if (server != NULL)
		ask_to_leave(leader, node);
}

static void run_look(struct simulation *sim, struct sim_event *event)
{
	struct sim_node *leader = sim_leader(sim);
	for (uint32_t i = 0; i < SIM_NODE_MAX && leader != NULL && sim_node_runs(leader); i++)
		look_at(sim, leader, &sim->nodes[i]);
	sim_after(sim, LOOK_MS * SIM_MS, event, run_look);
}

void sim_members_start(struct simulation *sim)
{
	sim_after(sim, LOOK_MS * SIM_MS, sim_alloc(sizeof(struct look)), run_look);
}

/* ---- Faults ---- */

static void grow(struct simulation *sim)
{
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		struct sim_node *node = &sim->nodes[i];
		if (node->used) continue;
		sim->counts.changes++;
		node->joined = true;
		sim_node_start(node);
		return;
	}
}

static void shrink(struct simulation *sim, struct sim_node *leader)
{
	struct sim_node *node = &sim->nodes[sim_random_below(&sim->random, SIM_NODE_MAX)];
	uint32_t staying = 0;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		staying += sim->nodes[i].used && !sim->nodes[i].leaving && server_of(leader, &sim->nodes[i]) != NULL;
	if (!node->used || node->leaving || staying <= 3) return;
	sim->counts.changes++;
	node->leaving = true;
	node->linger_ns = sim->now_ns + sim_random_below(&sim->random, LINGER_MAX_MS) * SIM_MS;
	sim_note(sim, "to leave", node->number, 0, 0);
}

static void lose_disk(struct simulation *sim, struct sim_node *leader)
{
	struct sim_node *node = &sim->nodes[sim_random_below(&sim->random, SIM_NODE_MAX)];
	if (!sim_node_runs(node) || sim_node_paused(node) || node->leaving || !all_are_well(sim, leader)) return;
	sim->counts.changes++;
	sim_note(sim, "disk lost", node->number, 0, 0);
	sim_node_kill(node, false);
	forget(node);
	sim_node_start(node);
}

void sim_members_change(struct simulation *sim)
{
	struct sim_node *leader = sim_leader(sim);
	uint64_t roll = sim_random_below(&sim->random, 3);
	if (leader == NULL || !sim->profile.member_changes) return;
	if (roll == 0)
		grow(sim);
	else if (roll == 1)
		shrink(sim, leader);
	else
		lose_disk(sim, leader);
}
