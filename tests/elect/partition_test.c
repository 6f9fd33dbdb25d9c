/* Why this file exists: two masters' scripts never run at the same time when hosts are cut off from each other, one-way
 * too, and a standing mastership outlives the leader of the nodes. Nodes and agents are hosts in namespaces.
 *
 *   elect_partition [SECONDS [SEED]]: faults by the seed for so long (make chaos-elect); otherwise each fault once. */
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "beats.h"
#include "tests/harness/lab.h"

enum { NODE_COUNT = 3, AGENT_COUNT = 3, HOST_COUNT = NODE_COUNT + AGENT_COUNT, TAKEOVER_MS = 60000, FAULT_COUNT = 7 };

static struct {
	struct harness_lab net;
	struct harness_cluster cluster;
	struct harness_process agents[AGENT_COUNT];
	char dir[HARNESS_PATH_MAX], beats_path[HARNESS_PATH_MAX + 8], command[2 * HARNESS_PATH_MAX + 16];
	struct beats beats;
	uint64_t seed;
	uint32_t seconds; /* 0: each fault once */
} lab;

static const char *id_of(size_t agent)
{
	static const char *const ids[AGENT_COUNT] = {"a", "b", "c"};
	return ids[agent];
}

static size_t host_of(size_t agent)
{
	return NODE_COUNT + agent;
}

static void start_agent(size_t agent)
{
	const char *argv[] = {"fts-cli",    "elect",  "run",     "boss", "--endpoints", lab.cluster.endpoints, "--id",
			      id_of(agent), "--json", "--sleep", "50ms", "--on-master", lab.command,           NULL};
	const struct harness_place place = {.network_fd = lab.net.hosts[host_of(agent)].network_fd};
	harness_process_start_in(&lab.agents[agent], lab.dir, id_of(agent), argv, &place);
}

static void start_lab(void)
{
	char beat[HARNESS_PATH_MAX];
	harness_directory_make(lab.dir);
	harness_program_path("elect_beat", beat);
	(void)snprintf(lab.beats_path, sizeof(lab.beats_path), "%s/beats", lab.dir);
	(void)snprintf(lab.command, sizeof(lab.command), "%s %s", beat, lab.beats_path);
	harness_lab_init(&lab.net, HOST_COUNT, HARNESS_LAB_BRIDGE, lab.seed);
	harness_cluster_init(&lab.cluster, NODE_COUNT);
	harness_lab_settle(&lab.net, &lab.cluster);
	harness_cluster_start(&lab.cluster);
	for (size_t i = 0; i < AGENT_COUNT; i++)
		start_agent(i);
}

static void end_lab(void)
{
	for (size_t i = 0; i < AGENT_COUNT; i++)
		harness_process_kill(&lab.agents[i]);
	harness_cluster_fini(&lab.cluster);
	harness_lab_fini(&lab.net);
}

/* The mastership with the greatest fence whose script has begun. NULL: none. */
static const struct beats_run *newest(void)
{
	const struct beats_run *run = NULL;
	beats_read(lab.beats_path, &lab.beats);
	for (size_t i = 0; i < lab.beats.count; i++)
		if (run == NULL || lab.beats.runs[i].fence > run->fence) run = &lab.beats.runs[i];
	return run;
}

/* Until a script of a fence above `fence` beats, and beats still. Returns whose agent's. */
static size_t wait_master(uint64_t fence, uint64_t *out_fence)
{
	uint64_t until_ns = fts_clock_monotonic_ns() + TAKEOVER_MS * UINT64_C(1000000);
	for (uint64_t now_ns = 0; now_ns < until_ns; (void)poll(NULL, 0, 20)) {
		const struct beats_run *run = newest();
		now_ns = fts_clock_monotonic_ns();
		if (run == NULL || run->fence <= fence || now_ns > run->last_ns + 300000000) continue;
		for (size_t i = 0; i < AGENT_COUNT; i++)
			if (strcmp(run->member, id_of(i)) == 0) {
				*out_fence = run->fence;
				return i;
			}
	}
	for (size_t i = 0; i < AGENT_COUNT; i++)
		print_message("%s:\n%s%s", id_of(i), harness_process_stdout(&lab.agents[i]),
			      harness_process_stderr(&lab.agents[i]));
	fail_msg("seed %" PRIu64 ": no master's script with a fence above %" PRIu64 " within %d ms", lab.seed, fence,
		 TAKEOVER_MS);
	return 0;
}

static void cut_agent(size_t agent, bool from, bool to)
{
	for (size_t node = 0; node < NODE_COUNT; node++) {
		if (from) harness_lab_cut(&lab.net, host_of(agent), node);
		if (to) harness_lab_cut(&lab.net, node, host_of(agent));
	}
}

/* How often the history says that `member` was taken its mastership for silence. */
static size_t count_expired(const char *member)
{
	const char *argv[] = {
	    "fts-cli", "elect", "history", "boss", "--json", "--timeout", "30s", "--endpoints", lab.cluster.endpoints,
	    NULL};
	char *out = NULL, wanted[128];
	size_t count = 0;
	(void)snprintf(wanted, sizeof(wanted), "\"cause\":\"EXPIRED\",\"member\":\"%s\"", member);
	assert_int_equal(harness_run(argv, 60000, &out, NULL), 0);
	for (const char *at = out; (at = strstr(at, wanted)) != NULL; at++)
		count++;
	free(out);
	return count;
}

/* The node that leads is cut off from everybody: who renews keeps its lease. (An older member that is back may take the
 * mastership over meanwhile, in order.) */
static void leader_cut_off(size_t master, uint64_t *fence)
{
	uint64_t now = *fence;
	size_t expired = count_expired(id_of(master));
	size_t leader = harness_cluster_wait_leader(&lab.cluster, HARNESS_NOBODY, TAKEOVER_MS);
	harness_lab_isolate(&lab.net, leader, true);
	(void)harness_cluster_wait_leader(&lab.cluster, leader, TAKEOVER_MS);
	(void)wait_master(*fence - 1, &now);
	harness_lab_heal(&lab.net);
	assert_int_equal(count_expired(id_of(master)), expired);
	*fence = now;
}

/* Done to the master and what it hangs on. Returns once a script of a newer mastership runs, all healed. */
static void hurt(size_t fault, size_t master, uint64_t *fence)
{
	struct harness_process *agent = &lab.agents[master];
	switch (fault) {
	case 0: /* cut off from all nodes */
	case 1: /* its words are lost */
	case 2: /* the nodes' words to it are lost */
		cut_agent(master, fault != 2, fault != 1);
		(void)wait_master(*fence, fence);
		break;
	case 3:
		leader_cut_off(master, fence);
		break;
	case 4: /* the leader is cut off and the agent killed */
		harness_lab_isolate(&lab.net, harness_cluster_wait_leader(&lab.cluster, HARNESS_NOBODY, TAKEOVER_MS),
				    true);
		harness_process_kill(agent);
		(void)wait_master(*fence, fence);
		start_agent(master);
		break;
	case 5: /* cut off, and stopped until it is replaced */
		cut_agent(master, true, true);
		harness_process_signal(agent, SIGSTOP);
		(void)wait_master(*fence, fence);
		harness_process_signal(agent, SIGCONT);
		break;
	default: /* killed */
		harness_process_kill(agent);
		(void)wait_master(*fence, fence);
		start_agent(master);
		break;
	}
	harness_lab_heal(&lab.net);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void masters_scripts_never_overlap(void **state)
{
	uint64_t fence = 0, random = lab.seed, begun_ns = fts_clock_monotonic_ns();
	(void)state;
	if (!harness_lab_allowed()) return;
	start_lab();
	size_t round = 0, master = wait_master(0, &fence);
	for (; lab.seconds == 0 ? round < FAULT_COUNT
				: fts_clock_monotonic_ns() - begun_ns < lab.seconds * UINT64_C(1000000000);
	     round++) {
		hurt(lab.seconds == 0 ? round : next_random(&random) % FAULT_COUNT, master, &fence);
		(void)newest();
		beats_check(&lab.beats);
		master = wait_master(fence - 1, &fence);
	}
	print_message("%zu faults, %zu masterships, seed %" PRIu64 "\n", round, lab.beats.count, lab.seed);
	end_lab();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(masters_scripts_never_overlap)};
	lab.seconds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	lab.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
