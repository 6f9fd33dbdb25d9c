/* Why this file exists: snapshot save, verify, restore: what was saved is what a new cluster has, nothing altered
 * passes, and whatever is killed leaves nothing that looks like a snapshot or a node's directory. */
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
#include "town.h"

enum { NO = 1, USAGE = 2, FLIPS = 60, KILLS = 8 };

static struct town town, copy;
static char file[HARNESS_PATH_MAX + 32];

static void begin(unsigned rows)
{
	town_init(&town, 3, rows);
	(void)snprintf(file, sizeof file, "%s/saved.snap", town.files);
	harness_cluster_start(&town.cluster);
	town_open(&town, "d");
	for (unsigned agency = 1; agency <= 4; agency++)
		town_import(&town, "d", agency);
}

static void restore(const char *from, const char *data)
{
	town_do(&town, "snapshot", "restore", from, "--data", data, NULL);
}

static void what_is_saved_is_restored(void **state)
{
	char *before, *after, *out = NULL;
	(void)state;
	begin(20000);
	town_do(&town, "snapshot", "save", file, NULL);
	town_do(&town, "snapshot", "verify", file, NULL);
	(void)harness_cluster_wait_equal(&town.cluster, 30000);
	before = town_status(&town, 0, "d");
	harness_cluster_init(&copy.cluster, 3);
	for (size_t i = 0; i < 3; i++)
		restore(file, copy.cluster.members[i].data);
	harness_cluster_start(&copy.cluster);
	(void)harness_cluster_wait_equal(&copy.cluster, 30000);
	after = town_status(&copy, 1, "d");
	assert_string_equal(before, after);
	/* It goes on as any cluster: new bets, kills, no node that differs. */
	town_do(&copy, "lottery", "bet", "d", "--agency", "1", "--first-name", "Ada", "--last-name", "Byron",
		"--document", "30904465", "--birthdate", "1999-03-17", "--number", "7574", NULL);
	harness_cluster_kill(&copy.cluster, 1);
	harness_cluster_restart(&copy.cluster, 1);
	town_check_equal(&copy, "d");
	assert_int_equal(town_cli(&copy, &out, NULL, "status", "--json", NULL), 0);
	free(out);
	free(before);
	free(after);
	harness_cluster_fini(&copy.cluster);
	harness_cluster_fini(&town.cluster);
}

/* On a node alone, too, and from it again. */
static void a_node_alone(void **state)
{
	char *before, *after;
	(void)state;
	begin(2000);
	town_do(&town, "snapshot", "save", file, NULL);
	before = town_status(&town, 0, "d");
	harness_cluster_init(&copy.cluster, 1);
	restore(file, copy.cluster.members[0].data);
	harness_cluster_start(&copy.cluster);
	after = town_status(&copy, 0, "d");
	assert_string_equal(before, after);
	town_do(&copy, "snapshot", "save", file, NULL);
	town_do(&copy, "snapshot", "verify", file, NULL);
	free(before);
	free(after);
	harness_cluster_fini(&copy.cluster);
	harness_cluster_fini(&town.cluster);
}

static void put(const char *path, const char *data, size_t size_bytes)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, size_bytes, out), size_bytes);
	assert_int_equal(fclose(out), 0);
}

static void nothing_altered_passes(void **state)
{
	char altered[HARNESS_PATH_MAX + 32], dir[HARNESS_PATH_MAX + 32], *data, *err = NULL;
	struct harness_random random = {11};
	size_t size_bytes = 0;
	(void)state;
	begin(4000);
	town_do(&town, "snapshot", "save", file, NULL);
	(void)snprintf(altered, sizeof altered, "%s/altered.snap", town.files);
	(void)snprintf(dir, sizeof dir, "%s/never", town.files);
	data = harness_file_read(file, &size_bytes);
	assert_non_null(data);
	for (int i = 0; i < FLIPS; i++) {
		size_t at = i < 20 ? (size_t)i * 12 : harness_random_below(&random, (uint32_t)size_bytes);
		char bit = (char)(1 << harness_random_below(&random, 8));
		data[at] ^= bit;
		put(altered, data, size_bytes);
		data[at] ^= bit;
		if (town_cli(&town, NULL, &err, "snapshot", "verify", altered, NULL) != NO) fail_msg("byte %zu", at);
		assert_non_null(strstr(err, "DATA_LOSS"));
		free(err);
	}
	assert_int_equal(town_cli(&town, NULL, NULL, "snapshot", "restore", altered, "--data", dir, NULL), NO);
	assert_int_equal(access(dir, F_OK), -1);
	put(altered, data, size_bytes - 1);
	assert_int_equal(town_cli(&town, NULL, &err, "snapshot", "verify", altered, NULL), NO);
	assert_non_null(strstr(err, "cut off"));
	free(err);
	put(altered, data, 9);
	assert_int_equal(town_cli(&town, NULL, &err, "snapshot", "verify", altered, NULL), NO);
	free(err);
	assert_int_equal(town_cli(&town, NULL, &err, "snapshot", "verify", "/nowhere/at/all", NULL), NO);
	free(err);
	free(data);
	harness_cluster_fini(&town.cluster);
}

/* Directories that are not for it, and nodes that don't fit together. */
static void refusals(void **state)
{
	char other[HARNESS_PATH_MAX + 32];
	struct harness_process *late;
	(void)state;
	begin(2000);
	town_do(&town, "snapshot", "save", file, NULL);
	(void)snprintf(other, sizeof other, "%s/other.snap", town.files);
	town_do(&town, "snapshot", "save", other, NULL);
	assert_int_equal(town_cli(&town, NULL, NULL, "snapshot", "restore", file, "--data", town.files, NULL), NO);
	harness_cluster_init(&copy.cluster, 2);
	restore(file, copy.cluster.members[0].data);
	restore(other, copy.cluster.members[1].data);
	harness_cluster_expect(&copy.cluster, "was restored from snapshot");
	harness_cluster_launch(&copy.cluster, 0);
	harness_cluster_launch(&copy.cluster, 1);
	late = &copy.cluster.members[1].process;
	for (struct harness_wait wait = harness_wait_ms(15000);
	     harness_process_running(&copy.cluster.members[0].process) && harness_process_running(late);)
		if (!harness_wait_more(&wait)) fail_msg("neither of the two gave way");
	harness_cluster_fini(&copy.cluster);
	harness_cluster_fini(&town.cluster);
}

/* Killed while it saves: FILE is not there, or whole. */
static void killed_while_it_saves(void **state)
{
	(void)state;
	begin(60000);
	for (int i = 0; i < KILLS; i++) {
		struct harness_process save = {0};
		const char *argv[] = {"fts-cli", "--endpoints", town.cluster.endpoints, "snapshot", "save", file, NULL};
		(void)unlink(file);
		harness_process_start(&save, town.files, "save", argv);
		(void)harness_process_wait(&save, (uint32_t)(1 + 5 * i));
		harness_process_kill(&save);
		if (access(file, F_OK) == 0) town_do(&town, "snapshot", "verify", file, NULL);
	}
	/* The node that is read from goes: another one takes its place. */
	for (int i = 0; i < 2; i++) {
		struct harness_process save = {0};
		size_t gone = (size_t)i;
		const char *argv[] = {"fts-cli", "--endpoints", town.cluster.endpoints, "snapshot", "save", file, NULL};
		harness_process_start(&save, town.files, "save", argv);
		(void)harness_process_wait(&save, 10);
		harness_cluster_kill(&town.cluster, gone);
		assert_true(harness_process_wait(&save, 60000));
		if (save.exit_code != 0) fail_msg("%d: %s", save.exit_code, harness_process_stderr(&save));
		town_do(&town, "snapshot", "verify", file, NULL);
		harness_cluster_restart(&town.cluster, gone);
	}
	harness_cluster_fini(&town.cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_saved_is_restored), cmocka_unit_test(a_node_alone),
	    cmocka_unit_test(nothing_altered_passes),    cmocka_unit_test(refusals),
	    cmocka_unit_test(killed_while_it_saves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
