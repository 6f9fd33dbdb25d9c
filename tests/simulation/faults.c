/* Why this file exists: see simulation.h. What goes wrong, one thing after another, each for a while. Every seed has
 * its own mix: a world in which everything happens at once hides what a single kind of fault would show. Source: Groce
 * et al., "Swarm testing" (2012). */
#include <stdlib.h>

#include "simulation.h"

struct end_of_fault {
	struct sim_event event; /* first */
	uint32_t node, incarnation;
};

static struct sim_node *any_node(struct simulation *sim)
{
	return &sim->nodes[sim_random_below(&sim->random, sim->profile.node_count)];
}

/* The leader more often than not: that is where it hurts. */
static struct sim_node *victim(struct simulation *sim)
{
	struct sim_node *leader = sim_leader(sim);
	return leader != NULL && sim_random_chance(&sim->random, 500) ? leader : any_node(sim);
}

static void later(struct sim_node *node, uint64_t delay_ns,
		  void (*run)(struct simulation *sim, struct sim_event *event))
{
	struct end_of_fault *end = sim_alloc(sizeof *end);
	end->node = node->number;
	end->incarnation = node->incarnation;
	sim_after(node->sim, delay_ns, &end->event, run);
}

static uint64_t span_ns(struct simulation *sim, uint64_t low_ms, uint64_t high_ms)
{
	return sim_random_between(&sim->random, low_ms, high_ms) * SIM_MS;
}

/* ---- Processes ---- */

static void run_restart(struct simulation *sim, struct sim_event *event)
{
	struct end_of_fault end = *(struct end_of_fault *)(void *)event;
	struct sim_node *node = &sim->nodes[end.node];
	free(event);
	if (node->replica != NULL || node->incarnation != end.incarnation || sim_violated(sim)) return;
	sim->counts.restarts++;
	sim_node_start(node);
}

static void restart_later(struct sim_node *node)
{
	bool soon = sim_random_chance(&node->sim->random, 500);
	later(node, soon ? span_ns(node->sim, 1, 60) : span_ns(node->sim, 100, 4000), run_restart);
}

static void kill_one(struct simulation *sim)
{
	struct sim_node *node = victim(sim);
	bool silent = sim_random_chance(&sim->random, 250);
	if (!sim_node_runs(node)) return;
	sim->counts.kills++;
	sim_node_kill(node, silent);
	restart_later(node);
}

/* Everybody at once, as a power cut does. */
static void kill_all(struct simulation *sim)
{
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		if (!sim_node_runs(&sim->nodes[i])) continue;
		sim->counts.kills++;
		sim_node_kill(&sim->nodes[i], true);
		restart_later(&sim->nodes[i]);
	}
}

static void stop_one(struct simulation *sim)
{
	struct sim_node *node = victim(sim);
	if (!sim_node_runs(node) || sim_node_paused(node)) return;
	sim_node_stop(node);
	restart_later(node);
}

static void run_resume(struct simulation *sim, struct sim_event *event)
{
	struct end_of_fault end = *(struct end_of_fault *)(void *)event;
	free(event);
	sim_network_resume(&sim->nodes[end.node]);
}

static void pause_one(struct simulation *sim)
{
	struct sim_node *node = victim(sim);
	uint64_t for_ns = sim_random_chance(&sim->random, 500) ? span_ns(sim, 5, 300) : span_ns(sim, 300, 4000);
	if (!sim_node_runs(node) || sim_node_paused(node)) return;
	sim->counts.pauses++;
	sim_note(sim, "pause", node->number, for_ns, 0);
	sim_node_pause(node, for_ns);
	later(node, for_ns, run_resume);
}

/* ---- The network ---- */

static void run_heal(struct simulation *sim, struct sim_event *event)
{
	free(event);
	sim_note(sim, "heal", 0, 0, 0);
	sim_network_heal(sim);
}

/* Cut off group (a bit a node) from the rest, in one direction or both. */
static void partition(struct simulation *sim, uint32_t group)
{
	uint64_t how = sim_random_below(&sim->random, 4); /* 0: nothing in, 1: nothing out, else both */
	bool breaks = sim_random_chance(&sim->random, 300);
	sim->counts.partitions++;
	sim_note(sim, "partition", group, how, breaks);
	for (uint32_t a = 0; a < SIM_NODE_MAX; a++)
		for (uint32_t b = 0; b < SIM_NODE_MAX; b++) {
			if ((group >> a & 1u) == 0 || (group >> b & 1u) != 0) continue;
			if (how != 0) sim_network_block(sim, a, b, true);
			if (how != 1) sim_network_block(sim, b, a, true);
			if (breaks) sim_network_break(sim, a, b);
		}
	later(any_node(sim), span_ns(sim, 20, 3000), run_heal);
}

static void partition_some(struct simulation *sim)
{
	struct sim_node *alone = victim(sim);
	uint32_t all = (1u << sim->profile.node_count) - 1;
	partition(sim, sim_random_chance(&sim->random, 500) ? 1u << alone->number
							    : (uint32_t)sim_random_between(&sim->random, 1, all - 1));
}

static void break_one(struct simulation *sim)
{
	struct sim_node *a = victim(sim), *b = any_node(sim);
	if (a == b) return;
	sim->counts.breaks++;
	sim_note(sim, "break", a->number, b->number, 0);
	sim_network_break(sim, a->number, b->number);
}

static void slow_line(struct simulation *sim)
{
	struct sim_node *a = victim(sim), *b = any_node(sim);
	if (a == b) return;
	sim->links[a->number][b->number].slow_ns = span_ns(sim, 1, 200);
	sim_note(sim, "slow line", a->number, b->number, sim->links[a->number][b->number].slow_ns);
	later(a, span_ns(sim, 100, 2000), run_heal);
}

/* ---- Disks and clocks ---- */

static void slow_disk(struct simulation *sim)
{
	struct sim_node *node = victim(sim);
	node->slow_until_ns = sim->now_ns + span_ns(sim, 50, 3000);
	sim_note(sim, "slow disk", node->number, node->slow_until_ns, 0);
}

static void jump_clock(struct simulation *sim)
{
	struct sim_node *node = any_node(sim);
	/* The log's time never goes back, and a draw may wait for its time limit. */
	int64_t most_ms = sim->profile.fixed_number ? 3600000 : 2000;
	node->wall_offset_ms = (int64_t)sim_random_below(&sim->random, (uint64_t)most_ms * 2) - most_ms;
	sim_note(sim, "clock", node->number, (uint64_t)node->wall_offset_ms, 0);
}

/* ---- Members ---- */

static void member_done(void *ctx, enum fts_status status, const struct fts_error *error)
{
	struct sim_node *node = ctx;
	(void)error;
	sim_note(node->sim, "member done", node->number, status, 0);
}

static void hand_over(struct simulation *sim)
{
	struct sim_node *leader = sim_leader(sim), *to = any_node(sim);
	struct fts_error error = {0};
	enum fts_status status;
	bool named = sim_random_chance(&sim->random, 700);
	if (leader == NULL || sim_node_paused(leader) || (named && to == leader)) return;
	status = fts_replica_member_lead(leader->replica, named ? to->name : NULL, 1000, member_done, leader, &error);
	sim->counts.changes++;
	sim_note(sim, "lead", leader->number, named ? to->number : SIM_NODE_MAX, status);
	sim_node_wake(leader);
}

/* ---- One after another ---- */

struct kind {
	uint32_t weight;
	void (*happen)(struct simulation *sim);
};

static const struct kind kinds[] = {
    {30, kill_one},  {3, kill_all},   {10, stop_one},  {20, pause_one}, {25, partition_some},     {15, break_one},
    {10, slow_line}, {10, slow_disk}, {5, jump_clock}, {10, hand_over}, {20, sim_members_change},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

struct next_fault {
	struct sim_event event; /* first */
	uint32_t mix;           /* a bit a kind */
};

static void happen(struct simulation *sim, uint32_t mix)
{
	uint64_t total = 0, roll;
	for (uint32_t i = 0; i < KIND_COUNT; i++)
		total += (mix >> i & 1u) != 0 ? kinds[i].weight : 0;
	roll = sim_random_below(&sim->random, total);
	for (uint32_t i = 0; i < KIND_COUNT; i++) {
		uint64_t weight = (mix >> i & 1u) != 0 ? kinds[i].weight : 0;
		if (roll < weight) {
			kinds[i].happen(sim);
			return;
		}
		roll -= weight;
	}
}

static void run_fault(struct simulation *sim, struct sim_event *event)
{
	struct next_fault *next = (struct next_fault *)(void *)event;
	if (sim->healed) {
		free(event);
		return;
	}
	happen(sim, next->mix);
	sim_after(sim, sim_random_below(&sim->random, 2 * sim->profile.fault_gap_ns), event, run_fault);
}

void sim_faults_start(struct simulation *sim)
{
	struct next_fault *next = sim_alloc(sizeof *next);
	next->mix = (uint32_t)sim_random_below(&sim->random, 1u << KIND_COUNT) | 1u; /* somebody always dies */
	sim_after(sim, 500 * SIM_MS, &next->event, run_fault);
}
