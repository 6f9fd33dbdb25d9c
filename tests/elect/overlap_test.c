/* Why this file exists: two masters' scripts never run at the same time, whatever is done to agents and nodes; and a
 * lease whose holder renews is not taken from it while a majority of the nodes lives. */
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
#include "tests/harness/cluster.h"

enum { AGENT_COUNT = 3, ROUND_COUNT = 12, TAKEOVER_MS = 20000 };

struct lab {
	struct harness_cluster cluster;
	struct harness_process agents[AGENT_COUNT];
	char dir[HARNESS_PATH_MAX], beats_path[HARNESS_PATH_MAX + 8], command[2 * HARNESS_PATH_MAX + 16];
	struct beats beats;
};

static struct lab lab;

static const char *id_of(size_t agent)
{
	static const char *const ids[AGENT_COUNT] = {"a", "b", "c"};
	return ids[agent];
}

static void start_agent(size_t agent, const char *lease)
{
	const char *argv[] = {"fts-cli", "elect",       "run",       "boss", "--endpoints", lab.cluster.endpoints,
			      "--id",    id_of(agent),  "--lease",   lease,  "--json",      "--sleep",
			      "100ms",   "--on-master", lab.command, NULL};
	harness_process_start(&lab.agents[agent], lab.dir, id_of(agent), argv);
}

static void start_lab(const char *lease)
{
	char beat[HARNESS_PATH_MAX];
	lab = (struct lab){.beats.count = 0};
	harness_directory_make(lab.dir);
	harness_program_path("elect_beat", beat);
	(void)snprintf(lab.beats_path, sizeof(lab.beats_path), "%s/beats", lab.dir);
	(void)snprintf(lab.command, sizeof(lab.command), "%s %s", beat, lab.beats_path);
	harness_cluster_init(&lab.cluster, 3);
	harness_cluster_start(&lab.cluster);
	for (size_t i = 0; i < AGENT_COUNT; i++)
		start_agent(i, lease);
}

static void end_lab(void)
{
	for (size_t i = 0; i < AGENT_COUNT; i++)
		harness_process_kill(&lab.agents[i]);
	harness_cluster_fini(&lab.cluster);
}

/* The mastership whose script began last. */
static const struct beats_run *newest(void)
{
	const struct beats_run *run = NULL;
	beats_read(lab.beats_path, &lab.beats);
	for (size_t i = 0; i < lab.beats.count; i++)
		if (run == NULL || lab.beats.runs[i].fence > run->fence) run = &lab.beats.runs[i];
	return run;
}

/* Until a script of a greater fence than `fence` runs. Returns whose agent's. */
static size_t wait_master(uint64_t fence, uint64_t *out_fence)
{
	uint64_t until_ns = fts_clock_monotonic_ns() + TAKEOVER_MS * UINT64_C(1000000);
	while (fts_clock_monotonic_ns() < until_ns) {
		const struct beats_run *run = newest();
		for (size_t i = 0; run != NULL && run->fence > fence && i < AGENT_COUNT; i++)
			if (strcmp(run->member, id_of(i)) == 0) {
				*out_fence = run->fence;
				return i;
			}
		(void)poll(NULL, 0, 20);
	}
	for (size_t i = 0; i < AGENT_COUNT; i++)
		print_message("%s:\n%s%s", id_of(i), harness_process_stdout(&lab.agents[i]),
			      harness_process_stderr(&lab.agents[i]));
	fail_msg("no master's script with a fence above %" PRIu64 " within %d ms", fence, TAKEOVER_MS);
	return 0;
}

static void ask_to_resign(size_t agent)
{
	const char *argv[] = {"fts-cli", "elect",      "resign", "boss", "--endpoints", lab.cluster.endpoints,
			      "--id",    id_of(agent), NULL};
	assert_int_equal(harness_run(argv, 10000, NULL, NULL), 0);
}

/* What is done to the master's agent; it is there again afterwards. Returns when another has taken over. */
static void hurt(size_t round, size_t master, uint64_t *fence)
{
	struct harness_process *agent = &lab.agents[master];
	switch (round % 4) {
	case 0:
		harness_process_kill(agent);
		(void)wait_master(*fence, fence);
		start_agent(master, "1s");
		return;
	case 1:
		harness_process_signal(agent, SIGSTOP);
		(void)wait_master(*fence, fence);
		harness_process_signal(agent, SIGCONT);
		return;
	case 2:
		ask_to_resign(master);
		(void)wait_master(*fence, fence);
		assert_true(harness_process_wait(agent, 10000));
		assert_int_equal(agent->exit_code, 0);
		start_agent(master, "1s");
		return;
	default:
		harness_process_signal(agent, SIGTERM);
		(void)wait_master(*fence, fence);
		assert_true(harness_process_wait(agent, 10000));
		assert_int_equal(agent->exit_code, 0);
		start_agent(master, "1s");
		return;
	}
}

static void masters_scripts_never_overlap(void **state)
{
	uint64_t fence = 0;
	(void)state;
	start_lab("1s");
	size_t master = wait_master(0, &fence);
	for (size_t round = 0; round < ROUND_COUNT; round++) {
		size_t leader = HARNESS_NOBODY;
		if (round % 5 == 4) {
			leader = harness_cluster_wait_leader(&lab.cluster, HARNESS_NOBODY, 10000);
			harness_cluster_kill(&lab.cluster, leader);
		}
		hurt(round, master, &fence);
		if (leader != HARNESS_NOBODY) harness_cluster_restart(&lab.cluster, leader);
		(void)newest();
		beats_check(&lab.beats);
		master = wait_master(fence - 1, &fence);
	}
	print_message("%zu masterships\n", lab.beats.count);
	end_lab();
}

/* {"causes": how often} of the history. */
static size_t count_in_history(const char *cause)
{
	const char *argv[] = {"fts-cli", "elect", "history", "boss", "--json", "--endpoints", lab.cluster.endpoints,
			      NULL};
	char *out = NULL;
	size_t count = 0;
	assert_int_equal(harness_run(argv, 20000, &out, NULL), 0);
	for (const char *at = out; (at = strstr(at, cause)) != NULL; at++)
		count++;
	free(out);
	return count;
}

static void a_lease_that_is_renewed_is_not_taken(void **state)
{
	uint64_t fence = 0;
	(void)state;
	start_lab("1s");
	(void)wait_master(0, &fence);
	for (size_t round = 0; round < 3; round++) {
		size_t leader = harness_cluster_wait_leader(&lab.cluster, HARNESS_NOBODY, 10000);
		harness_cluster_kill(&lab.cluster, leader);
		(void)harness_cluster_wait_leader(&lab.cluster, leader, 10000);
		(void)poll(NULL, 0, 1500); /* longer than the lease: who was not heard of would be expired by then */
		harness_cluster_restart(&lab.cluster, leader);
	}
	assert_int_equal(count_in_history("EXPIRED"), 0);
	(void)newest();
	beats_check(&lab.beats);
	end_lab();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(masters_scripts_never_overlap),
	    cmocka_unit_test(a_lease_that_is_renewed_is_not_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
