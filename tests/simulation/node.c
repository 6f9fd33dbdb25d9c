/* Why this file exists: see simulation.h. A node is a real replica in stepped mode; its process is what lies between
 * start and kill. Killed, it is closed as it stands: nothing more reaches its disk, and nobody hears its last words. */
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

enum { STEP_MIN_US = 5, STEP_MAX_US = 60, WALL_START_S = 1700000000, STOP_TURNS_MAX = 100 };

struct wake {
	struct sim_event event; /* first */
	uint32_t node, incarnation;
};

/* ---- Its environment ---- */

static uint64_t monotonic_ns(void *ctx)
{
	return ((struct sim_node *)ctx)->sim->now_ns;
}

static int64_t wall_ms(void *ctx)
{
	struct sim_node *node = ctx;
	return (int64_t)WALL_START_S * 1000 + (int64_t)(node->sim->now_ns / SIM_MS) + node->wall_offset_ms;
}

static uint64_t random_word(void *ctx)
{
	return sim_random_next(&((struct sim_node *)ctx)->sim->random);
}

static void on_event(void *ctx, uint64_t index, uint32_t ordinal, const char *topic, struct fts_bytes payload)
{
	struct sim_node *node = ctx;
	if (!node->ending)
		sim_check_event(node, index, ordinal, (struct fts_bytes){(const uint8_t *)topic, strlen(topic)},
				payload);
}

static void on_fatal(void *ctx, const struct fts_error *error)
{
	struct sim_node *node = ctx;
	/* Who was removed is told so, and ends. */
	if (!node->ending && !node->leaving) sim_violation(node->sim, "node %s gave up: %s", node->name, error->detail);
}

void sim_node_init(struct simulation *sim, uint32_t number)
{
	struct sim_node *node = &sim->nodes[number];
	node->sim = sim;
	node->number = number;
	node->wake_ns = SIM_NEVER;
	(void)snprintf(node->name, sizeof node->name, "n%u", number + 1);
	(void)snprintf(node->address, sizeof node->address, "10.0.0.%u:7400", number + 1);
	(void)snprintf(node->dir, sizeof node->dir, "%s/n%u", sim->dir, number + 1);
	node->environment = (struct ftsi_environment){.monotonic_ns = monotonic_ns,
						      .wall_ms = wall_ms,
						      .random = random_word,
						      .submit = sim_disk_submit,
						      .transport = &node->transport,
						      .stepped = true,
						      .ctx = node};
	sim_network_init(node);
	sim_tally_init(node);
}

/* ---- Steps ---- */

static void wake_at(struct sim_node *node, uint64_t at_ns);

static void run_step(struct sim_node *node)
{
	uint64_t next_ns;
	node->sim->counts.steps++;
	ftsi_replica_step(node->replica);
	sim_check_step(node);
	next_ns = ftsi_replica_next_ns(node->replica);
	if (next_ns != SIM_NEVER)
		wake_at(node, next_ns > node->sim->now_ns + STEP_MIN_US * SIM_US
				  ? next_ns
				  : node->sim->now_ns + STEP_MIN_US * SIM_US);
}

static void run_wake(struct simulation *sim, struct sim_event *event)
{
	struct wake *wake = (struct wake *)(void *)event;
	struct sim_node *node = &sim->nodes[wake->node];
	if (!sim_node_runs(node) || wake->incarnation != node->incarnation || event->at_ns != node->wake_ns) {
		free(event);
		return;
	}
	if (sim_node_paused(node)) {
		event->at_ns = node->wake_ns = node->resume_ns;
		sim_schedule_add(&sim->schedule, event);
		return;
	}
	free(event);
	node->wake_ns = SIM_NEVER;
	run_step(node);
}

static void wake_at(struct sim_node *node, uint64_t at_ns)
{
	struct wake *wake;
	if (node->wake_ns <= at_ns) return;
	wake = sim_alloc(sizeof *wake);
	wake->node = node->number;
	wake->incarnation = node->incarnation;
	node->wake_ns = at_ns;
	sim_after(node->sim, at_ns - node->sim->now_ns, &wake->event, run_wake);
}

void sim_node_wake(struct sim_node *node)
{
	uint64_t delay_ns = sim_random_between(&node->sim->random, STEP_MIN_US, STEP_MAX_US) * SIM_US;
	if (sim_node_runs(node)) wake_at(node, node->sim->now_ns + delay_ns);
}

void sim_node_pause(struct sim_node *node, uint64_t for_ns)
{
	if (!sim_node_runs(node)) return;
	node->resume_ns = node->sim->now_ns + for_ns;
}

/* ---- Life ---- */

void sim_node_start(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	struct fts_replica_member members[SIM_NODE_MAX];
	struct fts_replica_options options = {.data = node->dir,
					      .name = node->name,
					      .address = node->address,
					      .members = members,
					      .join = node->joined,
					      .election_ms = sim->profile.election_ms,
					      .environment = &node->environment,
					      .machines = node->machines,
					      .on_event = on_event,
					      .on_fatal = on_fatal,
					      .ctx = node,
					      .log_bytes_before_snapshot = sim->profile.snapshot_bytes};
	struct fts_error error = {0};
	if (node->replica != NULL) return;
	for (uint32_t i = 0; i < sim->profile.node_count && !node->joined; i++)
		members[options.member_count++] =
		    (struct fts_replica_member){sim->nodes[i].name, sim->nodes[i].address};
	node->incarnation++;
	node->host_down = node->ending = false;
	node->used = true;
	node->resume_ns = 0;
	node->wake_ns = SIM_NEVER;
	memset(node->disks, 0, sizeof node->disks);
	sim_note(sim, "start", node->number, node->incarnation, node->joined);
	node->machine_count = 1;
	sim_lottery_create(node);
	sim_game_create(node);
	options.machine_count = node->machine_count;
	sim_network_started(node);
	if (fts_replica_start(&options, &node->replica, &error) != FTS_OK) {
		node->replica = NULL;
		sim_lottery_destroy(node);
		sim_game_destroy(node);
		if (node->leaving) return; /* it knows that it was removed */
		sim_violation(sim, "node %s does not start: %s", node->name, error.detail);
		return;
	}
	sim_lottery_attach(node);
	sim_game_attach(node);
	sim_check_started(node);
	sim_node_wake(node);
}

static void end(struct sim_node *node)
{
	struct fts_replica *replica = node->replica;
	fts_replica_stop(replica);
	node->replica = NULL;
	fts_replica_destroy(replica);
	sim_lottery_destroy(node);
	sim_game_destroy(node);
	node->ending = false;
	node->wake_ns = SIM_NEVER;
	node->resume_ns = 0;
}

void sim_node_kill(struct sim_node *node, bool silent)
{
	if (!sim_node_runs(node)) return;
	sim_note(node->sim, "kill", node->number, silent, 0);
	node->ending = true;
	node->host_down = silent;
	sim_network_gone(node, silent);
	atomic_store(&node->replica->failed, true); /* it does nothing more but end */
	sim_disk_crash(node);
	sim_check_ended(node);
	end(node);
}

void sim_node_stop(struct sim_node *node)
{
	if (!sim_node_runs(node)) return;
	sim_note(node->sim, "stop", node->number, 0, 0);
	ftsi_loop_begin_stop(node->replica);
	for (uint32_t turn = 0; turn < STOP_TURNS_MAX && (sim_disk_drain(node) || turn == 0); turn++) {
		ftsi_replica_step(node->replica);
		sim_check_step(node);
	}
	node->ending = true;
	/* What is in the log but has not committed would be waited for: the patience of who stops it is over. */
	if (!node->replica->ended) atomic_store(&node->replica->failed, true);
	sim_network_gone(node, false);
	sim_check_ended(node);
	end(node);
}

struct sim_node *sim_leader(struct simulation *sim)
{
	struct sim_node *leader = NULL;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		struct sim_node *node = &sim->nodes[i];
		if (!sim_node_runs(node) || !atomic_load(&node->replica->serving)) continue;
		if (leader == NULL || node->replica->raft.current_term > leader->replica->raft.current_term)
			leader = node;
	}
	return leader;
}
