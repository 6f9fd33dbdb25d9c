/* Why this file exists: the `kv` commands against three nodes, some of them away: what is still answered, and which of
 * the errors says why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/cli_game/run.h"
#include "tests/harness/cluster.h"

#define WAIT_MS 30000u

static struct harness_cluster cluster;

static int setup(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, 3);
	harness_cluster_start(&cluster);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	return 0;
}

/* Run arguments until they end with code and print out (NULL: anything); fails the test after WAIT_MS. */
static void wait_said(const char *arguments, int code, const char *out)
{
	uint64_t end_ns = fts_clock_monotonic_ns() + WAIT_MS * 1000000ull;

	for (;;) {
		struct said said = run_cli(cluster.endpoints, NULL, arguments);
		bool good = said.code == code && (!out || strstr(said.out, out));
		if (!good && fts_clock_monotonic_ns() > end_ns)
			fail_msg("%s\n  exit %d, not %d\n  stdout: %s\n  stderr: %s", arguments, said.code, code,
				 said.out, said.err);
		said_free(&said);
		if (good) return;
	}
}

static void wait_placed(void)
{
	wait_said("--json kv set placed yes --consistency all", 0, "\"acks\":3,\"replicas\":3");
}

/* The scenario of the storage seed: set while one owner is off, then the other off. */
static void test_owners_come_and_go(void **state)
{
	(void)state;
	wait_placed();
	json_t *json = run_json(cluster.endpoints, "kv where k", 0);
	assert_int_equal(json_array_size(json_object_get(json, "replicas")), 3);
	json_decref(json);
	harness_cluster_kill(&cluster, 0);
	wait_said("--json kv set k while-one-is-off", 0, "\"replicas\":3");
	harness_cluster_restart(&cluster, 0);
	harness_cluster_kill(&cluster, 1);
	wait_said("kv get k", 0, "while-one-is-off");
	harness_cluster_restart(&cluster, 1);
	wait_said("--json kv verify --timeout 20s", 0, "\"divergent\":0");
}

/* A quorum is not there: told at once and by name; a read of one replica is answered all the same. */
static void test_no_quorum(void **state)
{
	wait_placed();
	(void)state;
	harness_cluster_kill(&cluster, 0);
	harness_cluster_kill(&cluster, 1);
	wait_said("kv get placed --consistency one", 0, "yes");
	json_t *json = run_json(cluster.endpoints, "kv set placed no --timeout 3s", 4);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")), "UNAVAILABLE");
	json_decref(json);
	harness_cluster_kill(&cluster, 2);
	expect(cluster.endpoints, NULL, "kv get placed", 4, NULL, "no server reachable");
	for (size_t i = 0; i < 3; i++)
		harness_cluster_launch(&cluster, i);
	for (size_t i = 0; i < 3; i++)
		assert_true(harness_cluster_wait_ready(&cluster, i, WAIT_MS));
	wait_said("kv get placed", 0, NULL);
}

/* Keys of all nodes in one list, each once, in order; the same whoever is asked. */
static void test_keys_of_all(void **state)
{
	(void)state;
	wait_placed();
	const char *make = "seq -f 'key%04.0f' 1 1500 | sed 's/$/\tv/'";
	char command[1024];
	snprintf(command, sizeof(command), "kv load /dev/fd/3 --db 5 3<<END\n$(%s)\nEND\n", make);
	expect(cluster.endpoints, NULL, command, 0, "1500 stored", NULL);
	for (size_t i = 0; i < 3; i++) {
		struct said said = run_cli(cluster.members[i].endpoint, NULL, "kv keys --db 5");
		assert_int_equal(said.code, 0);
		assert_int_equal(count_of(said.out, "\n"), 1500);
		assert_memory_equal(said.out, "key0001\nkey0002\n", 16);
		said_free(&said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys_of_all),
					   cmocka_unit_test(test_owners_come_and_go), cmocka_unit_test(test_no_quorum)};

	return cmocka_run_group_tests_name("cli_kv.cluster", tests, setup, teardown);
}
