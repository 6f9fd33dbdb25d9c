/* Why this file exists: a cluster forms whatever the order and the moment in which its nodes start or die; nodes that
 * do not belong to it are told so; one list never makes two clusters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/cluster/v1/cluster.fts.h>

#include "tests/chaos/bettors.h"
#include "tests/harness/certificates.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/harness/ports.h"

#define COUNT 3
#define READY_MS 60000

/* ---- Asking ---- */

static size_t lines_with(const char *log, const char *text)
{
	size_t count = 0;
	for (const char *at = log; (at = strstr(at, text)) != NULL; at += strlen(text))
		count++;
	return count;
}

static uint64_t cluster_id_of(struct harness_cluster *cluster, size_t member)
{
	static const struct fts_call_options options = {.timeout_ms = 5000};
	Fts__Cluster__V1__StatusRequest request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	Fts__Cluster__V1__StatusResponse *response = NULL;
	struct fts_channel_options to = {.endpoints = cluster->members[member].endpoint};
	struct fts_channel *channel = NULL;
	struct fts_error error;
	assert_int_equal(fts_channel_open(&to, &channel, &error), FTS_OK);
	if (fts_cluster_status(channel, &request, &options, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	uint64_t cluster_id = response->cluster_id;
	fts__cluster__v1__status_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
	return cluster_id;
}

/* Wait until the leader counts that many voters, all of them there. */
static void wait_voters(struct harness_cluster *cluster, size_t count)
{
	char *out = NULL;
	const char *const argv[] = {"fts-cli", "--endpoints", cluster->endpoints, "member", "list", NULL};
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
		assert_int_equal(harness_run(argv, 20000, &out, NULL), 0);
		size_t voters = lines_with(out, " follower ") + lines_with(out, " leader ");
		bool there = voters == count && strstr(out, " away") == NULL;
		if (there) break;
		if (!harness_wait_more(&wait)) fail_msg("not %zu voters:\n%s", count, out);
		free(out);
	}
	free(out);
}

/* It runs and answers, whether or not it is a member of anything yet. */
static void wait_answers(struct harness_cluster *cluster, size_t member)
{
	struct harness_member_report report;
	for (struct harness_wait wait = harness_wait_ms(READY_MS);
	     !harness_cluster_ask(cluster, member, 1000, &report);)
		if (!harness_wait_more(&wait)) fail_msg("n%zu does not answer", member + 1);
}

/* All are ready, of one cluster, and a command goes through it. */
static void check_formed(struct harness_cluster *cluster)
{
	char *out = NULL;
	for (size_t i = 0; i < cluster->count; i++)
		if (!harness_cluster_wait_ready(cluster, i, READY_MS)) fail_msg("n%zu is not ready", i + 1);
	uint64_t cluster_id = cluster_id_of(cluster, 0);
	assert_true(cluster_id != 0);
	for (size_t i = 1; i < cluster->count; i++)
		assert_true(cluster_id_of(cluster, i) == cluster_id);
	const char *const argv[] = {"fts-cli", "--endpoints", cluster->endpoints, "lottery", "open", "d", "--agencies",
				    "1",       NULL};
	assert_int_equal(harness_run(argv, 20000, &out, NULL), 0);
	free(out);
	(void)harness_cluster_wait_equal(cluster, 20000);
}

/* ---- Orders ---- */

static void every_order(void **state)
{
	static const size_t orders[][COUNT] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		static struct harness_cluster cluster; /* outlives a test that fails */
		harness_cluster_init(&cluster, COUNT);
		for (size_t k = 0; k < COUNT; k++) {
			harness_cluster_launch(&cluster, orders[i][k]);
			wait_answers(&cluster, orders[i][k]);
		}
		check_formed(&cluster);
		harness_cluster_fini(&cluster);
	}
}

static void at_the_same_instant(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		static struct harness_cluster cluster; /* outlives a test that fails */
		harness_cluster_init(&cluster, COUNT + (size_t)round % 2 * 2);
		harness_cluster_start(&cluster);
		check_formed(&cluster);
		harness_cluster_fini(&cluster);
	}
}

static void who_is_missing_is_told(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	char missing[128];
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_launch(&cluster, 0);
	harness_cluster_launch(&cluster, 1);
	snprintf(missing, sizeof(missing), "event=cluster.waiting node=n1 missing=n3@%s\n",
		 cluster.members[2].endpoint);
	if (!harness_process_wait_stderr(&cluster.members[0].process, missing, 0, 20000))
		fail_msg("no \"%s\"", missing);
	harness_cluster_launch(&cluster, 2);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* Peers, calls, events and health, all over TLS; a node without a certificate of the same authority stays outside. */
static void over_tls(void **state)
{
	static struct harness_cluster cluster;
	static struct harness_certificate ours, foreign;
	char *out = NULL;
	(void)state;
	harness_certificate_make(&ours);
	harness_certificate_make(&foreign);
	const char *const known[] = {"--tls-ca", ours.ca, "--tls-cert", ours.cert, "--tls-key", ours.key};
	const char *const stranger[] = {"--tls-ca", foreign.ca, "--tls-cert", foreign.cert, "--tls-key", foreign.key};
	harness_cluster_init(&cluster, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		memcpy(cluster.members[i].flags, i == 2 ? stranger : known, sizeof(known));
	for (size_t i = 0; i < COUNT; i++)
		harness_cluster_launch(&cluster, i);
	char missing[128];
	snprintf(missing, sizeof(missing), "missing=n3@%s\n", cluster.members[2].endpoint);
	assert_true(harness_process_wait_stderr(&cluster.members[0].process, missing, 0, 20000));
	harness_cluster_kill(&cluster, 2);
	memcpy(cluster.members[2].flags, known, sizeof(known));
	harness_cluster_launch(&cluster, 2);
	for (size_t i = 0; i < COUNT; i++)
		if (!harness_cluster_wait_ready(&cluster, i, READY_MS)) fail_msg("n%zu is not ready", i + 1);
	const char *const argv[] = {"fts-cli", "--endpoints", cluster.endpoints, "--tls-ca", ours.ca,  "--tls-cert",
				    ours.cert, "--tls-key",   ours.key,          "health",   "--wait", "4s",
				    NULL};
	bool well = false; /* who is ready may have lost its leader a moment ago, on a busy machine */
	for (struct harness_wait wait = harness_wait_ms(READY_MS); !well && harness_wait_more(&wait);) {
		well = harness_run(argv, READY_MS, &out, NULL) == 0 && strstr(out, "3 answered, 0 missing") != NULL;
		free(out);
	}
	assert_true(well);
	harness_cluster_fini(&cluster);
}

/* SIGTERM to all at once: nobody is left to hand over to, and all end well. */
static void stopped_at_once(void **state)
{
	static struct harness_cluster cluster;
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_start(&cluster);
	check_formed(&cluster);
	for (size_t i = 0; i < COUNT; i++)
		harness_process_signal(&cluster.members[i].process, SIGTERM);
	for (size_t i = 0; i < COUNT; i++) {
		assert_true(harness_process_wait(&cluster.members[i].process, 15000));
		assert_int_equal(cluster.members[i].process.exit_code, 0);
	}
	harness_cluster_start(&cluster);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* ---- Kills while it forms ---- */

static void kills_at_any_point(void **state)
{
	struct harness_random random = {20261121};
	(void)state;
	for (int round = 0; round < 8; round++) {
		static struct harness_cluster cluster; /* outlives a test that fails */
		harness_cluster_init(&cluster, COUNT);
		for (size_t i = 0; i < COUNT; i++)
			harness_cluster_launch(&cluster, i);
		for (int kill = 0; kill < 4; kill++) {
			size_t victim = harness_random_below(&random, COUNT);
			/* a moment within the forming, which takes some tens of milliseconds */
			struct harness_wait moment = {harness_now_ns() + harness_random_below(&random, 120) * 1000000u,
						      1000};
			while (harness_wait_more(&moment))
				continue;
			harness_cluster_kill(&cluster, victim);
			harness_cluster_launch(&cluster, victim);
		}
		check_formed(&cluster);
		assert_true(harness_cluster_count_in_logs(&cluster, "event=cluster.founded") <= 1);
		harness_cluster_fini(&cluster);
	}
}

/* The founder dies for long right after it has founded: whoever missed the form gets it later. */
static void founder_dies_and_comes_back(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		harness_cluster_launch(&cluster, i);
	assert_true(harness_process_wait_stderr(&cluster.members[0].process, "event=cluster.founded", 0, READY_MS));
	harness_cluster_kill(&cluster, 0);
	harness_cluster_launch(&cluster, 0);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* ---- Those that don't fit ---- */

static void lists_that_differ(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	char list[512], says[256];
	uint16_t elsewhere = harness_ports_reserve();
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_launch(&cluster, 0);
	wait_answers(&cluster, 0);
	snprintf(list, sizeof(list), "n1=%s,n2=%s,n3=127.0.0.1:%u", cluster.members[0].endpoint,
		 cluster.members[1].endpoint, elsewhere);
	const char *const argv[] = {"ftsd", "--name", "n2", "--data", cluster.members[1].data, "--cluster", list, NULL};
	char *err = NULL;
	assert_int_equal(harness_run(argv, 20000, NULL, &err), 2);
	/* as it is seen from either side */
	snprintf(says, sizeof(says), "ftsd: the lists of members differ: n3@");
	if (lines_with(err, "\n") != 1 || strstr(err, says) != err || strstr(err, cluster.members[2].endpoint) == NULL)
		fail_msg("it said \"%s\"", err);
	free(err);
	harness_directory_remove(cluster.members[1].data);
	assert_true(harness_cluster_runs(&cluster, 0)); /* who came first waits for those it knows of */
	harness_cluster_launch(&cluster, 1);
	harness_cluster_launch(&cluster, 2);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* A node that names members of a formed cluster in a list of its own. */
static void newcomer_without_join(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	char list[512], endpoint[64], data[HARNESS_PATH_MAX];
	char *err = NULL;
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_start(&cluster);
	harness_directory_make(data);
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", harness_ports_reserve());
	snprintf(list, sizeof(list), "n1=%s,n4=%s", cluster.members[0].endpoint, endpoint);
	const char *const argv[] = {"ftsd", "--name", "n4", "--data", data, "--cluster", list, NULL};
	assert_int_equal(harness_run(argv, 20000, NULL, &err), 2);
	if (strstr(err, "n4 at ") == NULL || strstr(err, "--join") == NULL) fail_msg("it said \"%s\"", err);
	free(err);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* Another cluster's node at a member's address: it is heard by nobody, and harms nobody. */
static void foreign_node(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	struct harness_process foreign = {0};
	char root[HARNESS_PATH_MAX], data[HARNESS_PATH_MAX + 16];
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_start(&cluster);
	check_formed(&cluster);
	harness_cluster_kill(&cluster, 2);
	harness_directory_make(root);
	snprintf(data, sizeof(data), "%s/data", root);
	const char *const argv[] = {"ftsd", "--name", "n3", "--data", data, "--listen", cluster.members[2].endpoint,
				    NULL};
	harness_process_start(&foreign, root, "foreign", argv);
	assert_true(harness_process_wait_stderr(&foreign, "event=node.ready", 0, READY_MS));
	assert_true(harness_process_wait_stderr(&foreign, "belongs to another cluster", 0, READY_MS));
	(void)harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS);
	harness_process_kill(&foreign);
	harness_cluster_restart(&cluster, 2);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* ---- Later starts ---- */

static void data_alone_is_enough(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	struct harness_process processes[COUNT] = {{0}};
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_start(&cluster);
	check_formed(&cluster);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(harness_cluster_stop(&cluster, i), 0);
	for (size_t i = 0; i < COUNT; i++) {
		const char *const argv[] = {"ftsd", "--data", cluster.members[i].data, NULL};
		harness_process_start(&processes[i], cluster.members[i].root, "again", argv);
	}
	for (size_t i = 0; i < COUNT; i++)
		assert_true(harness_process_wait_stderr(&processes[i], "event=node.ready", 0, READY_MS));
	for (size_t i = 0; i < COUNT; i++)
		harness_process_kill(&processes[i]);
	harness_cluster_fini(&cluster);
}

/* A node that was killed before it was a member of anything goes on waiting with --data alone. */
static void data_alone_goes_on_waiting(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	struct harness_process again = {0};
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_launch(&cluster, 1);
	wait_answers(&cluster, 1);
	harness_cluster_kill(&cluster, 1);
	const char *const argv[] = {"ftsd", "--data", cluster.members[1].data, NULL};
	harness_process_start(&again, cluster.members[1].root, "again", argv);
	harness_cluster_launch(&cluster, 0);
	harness_cluster_launch(&cluster, 2);
	assert_true(harness_process_wait_stderr(&again, "event=node.ready", 0, READY_MS));
	harness_process_kill(&again);
	harness_cluster_launch(&cluster, 1);
	check_formed(&cluster);
	harness_cluster_fini(&cluster);
}

/* One of three loses its directory, the leader or another, while bets are stored: it is let in again, and nothing that
 * was acknowledged is lost. */
static void lost_directory(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	harness_cluster_start(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "lost", 2);
	for (int round = 0; round < 2; round++) {
		size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS);
		size_t victim = round == 0 ? leader : (leader + 1) % COUNT;
		harness_cluster_kill(&cluster, victim);
		harness_directory_remove(cluster.members[victim].data);
		harness_cluster_restart(&cluster, victim);
		assert_true(harness_member_count_in_log(&cluster.members[victim], "how=joined") >= 1);
		wait_voters(&cluster, COUNT);
	}
	(void)bettors_finish(bettors);
	(void)harness_cluster_wait_equal(&cluster, 20000);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_order),
	    cmocka_unit_test(at_the_same_instant),
	    cmocka_unit_test(who_is_missing_is_told),
	    cmocka_unit_test(over_tls),
	    cmocka_unit_test(stopped_at_once),
	    cmocka_unit_test(kills_at_any_point),
	    cmocka_unit_test(founder_dies_and_comes_back),
	    cmocka_unit_test(lists_that_differ),
	    cmocka_unit_test(newcomer_without_join),
	    cmocka_unit_test(foreign_node),
	    cmocka_unit_test(data_alone_is_enough),
	    cmocka_unit_test(data_alone_goes_on_waiting),
	    cmocka_unit_test(lost_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
