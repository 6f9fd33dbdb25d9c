/* Why this file exists: nodes that die at any moment, and nothing that was acknowledged is lost, done twice, or seen
 * and then unseen: the histories of clients that never stop are held against a register. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/register/clients.h"

#define CALLS_MAX 2000000
#define LIMIT_S 110
#define SETTLE_MS 30000

static const char *const small_snapshots = "FTS_TEST_LOG_BYTES=16384";

static void cluster_of(struct harness_cluster *cluster, size_t count)
{
	harness_cluster_init(cluster, count);
	cluster->program = "fts-register-node";
	for (size_t i = 0; i < count; i++)
		cluster->members[i].environment[0] = small_snapshots;
	harness_cluster_start(cluster);
}

static void a_node_alone(void **state)
{
	struct harness_cluster cluster;
	struct harness_random random = {11};
	struct linear_history *history = linear_history_create(CALLS_MAX);
	(void)state;
	cluster_of(&cluster, 1);
	struct register_clients_options options = {
	    .endpoints = cluster.endpoints, .client_count = 4, .seed = 1, .history = history};
	struct register_clients *clients = register_clients_start(&options);
	for (int i = 0; i < 5; i++) {
		assert_true(register_clients_wait(clients, 200 + harness_random_below(&random, 800), SETTLE_MS));
		harness_cluster_kill(&cluster, 0);
		harness_cluster_restart(&cluster, 0);
	}
	assert_true(register_clients_wait(clients, 500, SETTLE_MS));
	struct register_counts counts = register_clients_stop(clients);
	size_t judged = register_judge(history);
	print_message("%zu calls judged, %llu of unknown outcome\n", judged, (unsigned long long)counts.unknown);
	linear_history_destroy(history);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_node_alone),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
