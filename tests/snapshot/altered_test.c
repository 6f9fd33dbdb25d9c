/* Why this file exists: a node whose state is not that of the others finds out within 15 s, stops serving, fetches the
 * state anew and serves again; where nobody can tell who is right, everybody says so and nobody acts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "state_files.h"
#include "tests/harness/clock.h"
#include "town.h"

enum { FOUND_MS = 15000 };

static struct town town;

static void begin(void)
{
	town_init(&town, 3, 4000);
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	for (unsigned agency = 1; agency <= 4; agency++)
		town_import(&town, "d", agency);
}

/* Found, fetched and served again, all in time. */
static void check_healed(size_t member)
{
	town_wait_log(&town, member, "event=replica.state_differs", FOUND_MS);
	town_wait_log(&town, member, "event=replica.state_trusted", FOUND_MS);
	town_check_equal(&town, "d");
}

static void follower(void **state)
{
	size_t altered;
	(void)state;
	begin();
	altered = town_follower(&town);
	assert_int_equal(harness_cluster_stop(&town.cluster, altered), 0);
	state_files_alter(town.cluster.members[altered].data, 0);
	harness_cluster_restart(&town.cluster, altered);
	check_healed(altered);
	/* And so it stays. */
	harness_cluster_kill(&town.cluster, altered);
	harness_cluster_restart(&town.cluster, altered);
	town_check_equal(&town, "d");
	assert_int_equal(harness_member_count_in_log(&town.cluster.members[altered], "event=replica.state_differs"), 1);
	harness_cluster_fini(&town.cluster);
}

static void leader(void **state)
{
	size_t altered;
	(void)state;
	begin();
	altered = town_follower(&town);
	assert_int_equal(harness_cluster_stop(&town.cluster, altered), 0);
	state_files_alter(town.cluster.members[altered].data, 0);
	harness_cluster_restart(&town.cluster, altered);
	assert_true(harness_cluster_lead(&town.cluster, altered));
	check_healed(altered);
	harness_cluster_fini(&town.cluster);
}

/* What went on meanwhile is applied from its own log. Nobody's log is cut: a node that comes back late would be given
 * a new state at once, and nothing would be left to find. */
static void under_load(void **state)
{
	struct harness_process import;
	size_t altered;
	(void)state;
	town_init(&town, 3, 60000);
	town.cluster.flags[1] = "64";
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	town_import(&town, "d", 1);
	altered = town_follower(&town);
	assert_int_equal(harness_cluster_stop(&town.cluster, altered), 0);
	state_files_alter(town.cluster.members[altered].data, 0);
	harness_cluster_launch(&town.cluster, altered);
	for (unsigned agency = 2; agency <= 4; agency++) {
		town_import_begin(&town, "d", agency, &import);
		assert_true(harness_process_wait(&import, 60000));
		assert_int_equal(import.exit_code, 0);
	}
	check_healed(altered);
	harness_cluster_fini(&town.cluster);
}

/* Killed while it is doubted: it does not serve from it after the restart either. */
static void killed_while_doubted(void **state)
{
	size_t altered;
	(void)state;
	begin();
	altered = town_follower(&town);
	assert_int_equal(harness_cluster_stop(&town.cluster, altered), 0);
	state_files_alter(town.cluster.members[altered].data, 0);
	harness_cluster_restart(&town.cluster, altered);
	for (int i = 0; i < 5; i++) {
		town_wait_log(&town, altered, i == 0 ? "event=replica.state_doubted" : "event=", FOUND_MS);
		harness_cluster_kill(&town.cluster, altered);
		harness_cluster_launch(&town.cluster, altered);
	}
	town_check_equal(&town, "d");
	assert_true(harness_member_count_in_log(&town.cluster.members[altered], "event=replica.state_trusted") > 0);
	harness_cluster_fini(&town.cluster);
}

static void state_is_gone(void **state)
{
	char path[HARNESS_PATH_MAX];
	size_t poor;
	(void)state;
	town_init(&town, 3, 80000); /* enough that the log was cut: the state can't be made again from it */
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	for (unsigned agency = 1; agency <= 3; agency++)
		town_import(&town, "d", agency);
	poor = town_follower(&town);
	assert_int_equal(harness_cluster_stop(&town.cluster, poor), 0);
	state_files_find(town.cluster.members[poor].data, path);
	harness_directory_remove(path);
	harness_cluster_launch(&town.cluster, poor);
	town_wait_log(&town, poor, "event=replica.state_doubted", FOUND_MS);
	town_wait_log(&town, poor, "event=replica.state_trusted", FOUND_MS);
	town_check_equal(&town, "d");
	harness_cluster_fini(&town.cluster);
}

static bool says_it_differs(size_t member)
{
	struct harness_member_report report;
	return harness_cluster_ask(&town.cluster, member, 2000, &report) && !report.digest_ok;
}

static void no_majority(void **state)
{
	struct harness_wait wait;
	size_t told = 0;
	(void)state;
	begin();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(harness_cluster_stop(&town.cluster, i), 0);
	state_files_alter(town.cluster.members[0].data, 0);
	state_files_alter(town.cluster.members[1].data, 1);
	harness_cluster_expect(&town.cluster, "event=replica.states_differ");
	harness_cluster_start(&town.cluster);
	wait = harness_wait_ms(FOUND_MS);
	do {
		told = 0;
		for (size_t i = 0; i < 3; i++)
			told += says_it_differs(i);
	} while (told < 3 && harness_wait_more(&wait));
	assert_int_equal(told, 3);
	assert_int_equal(harness_cluster_count_in_logs(&town.cluster, "event=replica.state_doubted"), 0);
	town_do(&town, "lottery", "status", "d", NULL); /* they serve on */
	harness_cluster_fini(&town.cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(follower),      cmocka_unit_test(leader),
	    cmocka_unit_test(under_load),    cmocka_unit_test(killed_while_doubted),
	    cmocka_unit_test(state_is_gone), cmocka_unit_test(no_majority),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
