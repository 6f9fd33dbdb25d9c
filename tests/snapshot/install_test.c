/* Why this file exists: a node that is further behind than the log reaches gets the state itself, under load, through
 * kills at any moment, and from whoever leads by then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
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

/* Killed at any moment of fetching and installing, again and again; and its sender too. */
static void killed_while_it_installs(void **state)
{
	enum { KILLS = 12, STEP_MS = 12 };
	size_t away, leader;
	(void)state;
	town_init(&town, 3, 80000);
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	away = town_follower(&town);
	harness_cluster_kill(&town.cluster, away);
	for (unsigned agency = 1; agency <= 3; agency++)
		town_import(&town, "d", agency);
	for (int i = 0; i < KILLS; i++) {
		harness_cluster_launch(&town.cluster, away);
		(void)harness_process_wait(&town.cluster.members[away].process, (uint32_t)(40 + i * STEP_MS));
		harness_cluster_kill(&town.cluster, away);
	}
	harness_cluster_launch(&town.cluster, away);
	leader = harness_cluster_wait_leader(&town.cluster, HARNESS_NOBODY, 20000);
	harness_cluster_kill(&town.cluster, leader);
	harness_cluster_restart(&town.cluster, leader);
	town_check_equal(&town, "d");
	assert_true(installs_of(away) > 0);
	harness_cluster_fini(&town.cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lags_and_comes_back_under_load),
	    cmocka_unit_test(lags_a_little),
	    cmocka_unit_test(killed_while_it_installs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
