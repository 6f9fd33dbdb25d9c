/* Why this file exists: a node that is further behind than the log reaches gets the state itself, under load, through
 * kills at any moment, and from whoever leads by then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/replica/powerloss.h"
#include "town.h"

static struct town town;

static unsigned installs_of(size_t member)
{
	return (unsigned)harness_member_count_in_log(&town.cluster.members[member], "event=replica.state_replaced");
}

/* Three agencies' bets while it is away: some MiB of log, of which little is kept. */
static void lags_and_comes_back_under_load(void **state)
{
	struct harness_process import;
	size_t away;
	(void)state;
	town_init(&town, 3, 100000);
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	away = town_follower(&town);
	harness_cluster_kill(&town.cluster, away);
	for (unsigned agency = 1; agency <= 3; agency++)
		town_import(&town, "d", agency);
	town_import_begin(&town, "d", 4, &import);
	harness_cluster_launch(&town.cluster, away);
	town_wait_log(&town, away, "event=replica.state_replaced", 60000);
	assert_true(harness_process_wait(&import, 60000));
	assert_int_equal(import.exit_code, 0);
	town_check_equal(&town, "d");
	/* It goes on as anybody: restarted, and leading. */
	harness_cluster_kill(&town.cluster, away);
	harness_cluster_restart(&town.cluster, away);
	town_check_equal(&town, "d");
	assert_true(harness_cluster_lead(&town.cluster, away));
	for (unsigned agency = 1; agency <= 4; agency++) {
		char number[16];
		(void)snprintf(number, sizeof number, "%u", agency);
		town_do(&town, "lottery", "close", "d", "--agency", number, NULL);
	}
	town_do(&town, "lottery", "winners", "d", "--agency", "1", NULL);
	town_check_equal(&town, "d");
	harness_cluster_fini(&town.cluster);
}

/* A node that was away for a moment gets entries, not a state. */
static void lags_a_little(void **state)
{
	size_t away;
	(void)state;
	town_init(&town, 3, 40000);
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	town_import(&town, "d", 1);
	town_import(&town, "d", 2); /* some log was cut by now */
	away = town_follower(&town);
	harness_cluster_kill(&town.cluster, away);
	town_do(&town, "lottery", "bet", "d", "--agency", "3", "--first-name", "Ada", "--last-name", "Byron",
		"--document", "30904465", "--birthdate", "1999-03-17", "--number", "7574", NULL);
	harness_cluster_restart(&town.cluster, away);
	town_check_equal(&town, "d");
	assert_int_equal(installs_of(away), 0);
	harness_cluster_fini(&town.cluster);
}

/* ---- A node that falls behind, again and again ---- */

struct lagging {
	struct harness_member *node;
	size_t member;
	unsigned draw_count;
	uint64_t goal_index;
};

static void begin(struct lagging *lagging)
{
	*lagging = (struct lagging){0};
	town_init(&town, 3, 80000);
	harness_cluster_start(&town.cluster);
	lagging->member = town_follower(&town);
	lagging->node = &town.cluster.members[lagging->member];
	harness_cluster_kill(&town.cluster, lagging->member);
}

/* Another draw while it is away: more log than is kept. */
static void leave_behind(struct lagging *lagging)
{
	struct harness_member_report report;
	size_t leader = harness_cluster_wait_leader(&town.cluster, HARNESS_NOBODY, 20000);
	char draw[16];
	(void)snprintf(draw, sizeof draw, "d%u", lagging->draw_count++);
	town_open(&town, draw);
	for (unsigned agency = 1; agency <= 3; agency++)
		town_import(&town, draw, agency);
	assert_true(harness_cluster_ask(&town.cluster, leader, 5000, &report));
	lagging->goal_index = report.commit_index;
}

/* Started on what a crash left, it reaches the others. */
static void check_catches_up(const struct lagging *lagging)
{
	struct harness_wait wait = harness_wait_ms(30000);
	struct harness_member_report report = {0};
	harness_cluster_launch(&town.cluster, lagging->member);
	while (!harness_cluster_ask(&town.cluster, lagging->member, 2000, &report) ||
	       report.applied_index < lagging->goal_index)
		if (!harness_wait_more(&wait))
			fail_msg("it stays behind: %llu", (unsigned long long)report.applied_index);
}

/* Killed at any moment of fetching and installing; and its sender too. */
static void killed_while_it_installs(void **state)
{
	enum { KILLS = 12, STEP_MS = 15 };
	struct lagging lagging;
	size_t leader;
	(void)state;
	begin(&lagging);
	for (int i = 0; i < KILLS; i++) {
		leave_behind(&lagging);
		harness_cluster_launch(&town.cluster, lagging.member);
		(void)harness_process_wait(&lagging.node->process, (uint32_t)(30 + i * STEP_MS));
		harness_cluster_kill(&town.cluster, lagging.member);
		check_catches_up(&lagging);
		harness_cluster_kill(&town.cluster, lagging.member);
	}
	leave_behind(&lagging);
	harness_cluster_launch(&town.cluster, lagging.member);
	town_wait_log(&town, lagging.member, "event=replica.fetch_begun", 20000);
	leader = harness_cluster_wait_leader(&town.cluster, HARNESS_NOBODY, 20000);
	harness_cluster_kill(&town.cluster, leader);
	harness_cluster_restart(&town.cluster, leader);
	town_wait_log(&town, lagging.member, "event=replica.state_replaced", 30000);
	town_check_equal(&town, "d0");
	harness_cluster_fini(&town.cluster);
}

/* Its notes of what is on the disk are whole: from now on a kill is a loss of power. */
static void wait_until_watched(const char *side)
{
	char path[HARNESS_PATH_MAX + 16];
	struct harness_wait wait = harness_wait_ms(20000);
	(void)snprintf(path, sizeof path, "%s/watching", side);
	while (access(path, F_OK) != 0)
		if (!harness_wait_more(&wait)) fail_msg("nobody watches %s", side);
}

/* The power goes at any moment of fetching and installing: what was said to be in place is. */
static void power_is_lost_while_it_installs(void **state)
{
	enum { LOSSES = 12, STEP_MS = 15 };
	char dir[HARNESS_PATH_MAX + 32], side[HARNESS_PATH_MAX], variable[HARNESS_PATH_MAX + 32];
	struct lagging lagging;
	unsigned long syncs = 0;
	(void)state;
	begin(&lagging);
	(void)snprintf(side, sizeof side, "%.480s-side", lagging.node->data);
	(void)snprintf(dir, sizeof dir, "FTS_POWER_LOSS_DIR=%s", lagging.node->data);
	(void)snprintf(variable, sizeof variable, "FTS_POWER_LOSS_SIDE=%s", side);
	lagging.node->environment[1] = dir;
	lagging.node->environment[2] = variable;
	lagging.node->environment[3] = "ASAN_OPTIONS=verify_asan_link_order=0";
	for (int i = 0; i < LOSSES; i++) {
		leave_behind(&lagging);
		assert_int_equal(mkdir(side, 0700), 0);
		lagging.node->environment[0] = "LD_PRELOAD=" FTS_POWER_LOSS;
		harness_cluster_launch(&town.cluster, lagging.member);
		wait_until_watched(side);
		if (i % 4 == 3)
			town_wait_log(&town, lagging.member, "event=replica.state_replaced", 30000);
		else
			(void)harness_process_wait(&lagging.node->process, (uint32_t)(30 + i * STEP_MS));
		harness_cluster_kill(&town.cluster, lagging.member);
		syncs += powerloss_strike(lagging.node->data, side);
		harness_directory_remove(side);
		lagging.node->environment[0] = NULL;
		check_catches_up(&lagging);
		harness_cluster_kill(&town.cluster, lagging.member);
	}
	print_message("%d losses of power, %lu syncs\n", LOSSES, syncs);
	assert_true(syncs > LOSSES);
	harness_cluster_restart(&town.cluster, lagging.member);
	town_check_equal(&town, "d0");
	harness_cluster_fini(&town.cluster);
}

/* Who leads is itself a newcomer at its address, and the log from the beginning, which takes many messages, tells of
 * whom was there before: whoever is given that log goes on listening to the leader. */
static void a_log_older_than_its_leader(void **state)
{
	(void)state;
	town_init(&town, 3, 100000);
	town.cluster.flags[1] = "64"; /* nothing is cut: it is the log that is given */
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	for (unsigned agency = 1; agency <= 4; agency++)
		town_import(&town, "d", agency);
	for (size_t victim = 0; victim < 2; victim++) {
		harness_cluster_kill(&town.cluster, victim);
		harness_directory_remove(town.cluster.members[victim].data);
		harness_cluster_restart(&town.cluster, victim);
		harness_cluster_wait_voters(&town.cluster, 3, 60000);
		assert_true(harness_cluster_lead(&town.cluster, victim));
	}
	town_check_equal(&town, "d");
	assert_int_equal(installs_of(1), 0);
	harness_cluster_fini(&town.cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lags_and_comes_back_under_load),  cmocka_unit_test(lags_a_little),
	    cmocka_unit_test(a_log_older_than_its_leader),     cmocka_unit_test(killed_while_it_installs),
	    cmocka_unit_test(power_is_lost_while_it_installs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
