/* Why this file exists: a node alone that dies at any moment, and nothing that was acknowledged is lost, done twice, or
 * seen and then unseen; and a register that forgets, to see that such a thing is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/register/clients.h"

#define CALLS_MAX 500000
#define LIMIT_S 280
#define SETTLE_MS 60000

static void a_node_alone(void **state)
{
	static struct harness_cluster cluster;
	struct harness_random random = {11};
	struct linear_history *history = linear_history_create(CALLS_MAX);
	(void)state;
	harness_cluster_init(&cluster, 1);
	cluster.program = "fts-register-node";
	cluster.members[0].environment[0] = "FTS_TEST_LOG_BYTES=16384";
	harness_cluster_start(&cluster);
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

/* The judge, the clients and their histories have teeth: a register that forgets a write is found out. */
static void a_forgetful_node(void **state)
{
	static struct harness_cluster cluster;
	struct linear_history *history = linear_history_create(CALLS_MAX);
	struct linear_report report;
	(void)state;
	harness_cluster_init(&cluster, 1);
	cluster.program = "fts-register-node";
	cluster.members[0].environment[0] = "FTS_TEST_FORGETS=20";
	harness_cluster_start(&cluster);
	struct register_clients_options options = {
	    .endpoints = cluster.endpoints, .client_count = 4, .seed = 1, .history = history};
	struct register_clients *clients = register_clients_start(&options);
	assert_true(register_clients_wait(clients, 3000, SETTLE_MS));
	(void)register_clients_stop(clients);
	assert_int_equal(register_verdict(history, &report), LINEAR_VIOLATION);
	linear_history_destroy(history);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_node_alone),
	    cmocka_unit_test(a_forgetful_node),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
