/* Why this file exists: members come and go by fts-cli while bets are stored, and nothing that was acknowledged is
 * lost; whoever is no member any more knows it; what can't be done is refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/chaos/bettors.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/harness/ports.h"

#define COUNT 3
#define READY_MS 30000
#define WORDS_MAX 8

/* ---- fts-cli ---- */

/* Run `fts-cli --json WORDS` (NULL-ended) against the cluster and expect code. Returned (json_decref). */
static json_t *run_json(struct harness_cluster *cluster, int code, const char *const *words)
{
	const char *argv[WORDS_MAX + 5] = {"fts-cli", "--endpoints", cluster->endpoints, "--json"};
	char *out = NULL, *err = NULL;
	size_t count = 4;
	for (size_t i = 0; words[i] != NULL; i++)
		argv[count++] = words[i];
	int got = harness_run(argv, 90000, &out, &err);
	json_t *json = json_loads(out, 0, NULL);
	if (got != code || json == NULL)
		fail_msg("fts-cli %s %s: exit %d (expected %d)\n%s%s", words[0], words[1] != NULL ? words[1] : "", got,
			 code, out, err);
	free(out);
	free(err);
	return json;
}

#define RUN(cluster, code, ...) run_json(cluster, code, (const char *const[]){__VA_ARGS__, NULL})
#define DO(cluster, code, ...) json_decref(RUN(cluster, code, __VA_ARGS__))

/* The member's role in an answer with nodes; "": it is not there. out: 16 bytes. */
static const char *role_in(const json_t *json, const char *name, char *out)
{
	size_t i;
	json_t *node;
	out[0] = '\0';
	json_array_foreach(json_object_get(json, "nodes"), i, node)
	{
		if (strcmp(json_string_value(json_object_get(node, "name")), name) == 0)
			snprintf(out, 16, "%s", json_string_value(json_object_get(node, "role")));
	}
	return out;
}

static void expect_role(struct harness_cluster *cluster, const char *name, const char *role)
{
	char got[16] = "";
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
		json_t *json = RUN(cluster, 0, "member", "list");
		bool same = strcmp(role_in(json, name, got), role) == 0;
		json_decref(json);
		if (same) return;
		if (!harness_wait_more(&wait)) fail_msg("%s is \"%s\", not \"%s\"", name, got, role);
	}
}

static bool votes(const char *role)
{
	return strcmp(role, "leader") == 0 || strcmp(role, "follower") == 0;
}

static void wait_votes(struct harness_cluster *cluster, const char *name)
{
	char role[16] = "";
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
		json_t *json = RUN(cluster, 0, "status");
		bool does = votes(role_in(json, name, role));
		json_decref(json);
		if (does) return;
		if (!harness_wait_more(&wait)) fail_msg("%s does not vote: \"%s\"", name, role);
	}
}

/* It says in one line that it was removed, ends with 1, and does not start again. */
static void expect_removed(struct harness_cluster *cluster, size_t member)
{
	struct harness_member *at = &cluster->members[member];
	char *err = NULL;
	if (!harness_process_wait(&at->process, READY_MS)) fail_msg("%s goes on", at->name);
	assert_int_equal(at->process.exit_code, 1);
	assert_int_equal(harness_member_count_in_log(at, "was removed from its cluster"), 1);
	const char *const argv[] = {"ftsd", "--data", at->data, NULL};
	assert_int_equal(harness_run(argv, 20000, NULL, &err), 2);
	if (strstr(err, "was removed from its cluster") == NULL || strstr(err, "--join") == NULL)
		fail_msg("it said \"%s\"", err);
	free(err);
}

static void start_three(struct harness_cluster *cluster)
{
	harness_cluster_init(cluster, COUNT);
	harness_cluster_start(cluster);
	(void)harness_cluster_wait_leader(cluster, HARNESS_NOBODY, READY_MS);
}

static void wait_bets(struct bettors *bettors, uint64_t more)
{
	uint64_t until = bettors_stored(bettors) + more;
	for (struct harness_wait wait = harness_wait_ms(READY_MS); bettors_stored(bettors) < until;)
		if (!harness_wait_more(&wait)) fail_msg("bets are not stored any more");
}

static void finish(struct harness_cluster *cluster, struct bettors *bettors)
{
	wait_bets(bettors, 200);
	struct bettors_counts counts = bettors_finish(bettors);
	assert_true(counts.stored > 0);
	(void)harness_cluster_wait_equal(cluster, READY_MS);
	harness_cluster_fini(cluster);
}

/* ---- Coming ---- */

static void join_under_load(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	start_three(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "join", 3);
	wait_bets(bettors, 500);
	for (int i = 0; i < 2; i++) {
		size_t place = harness_cluster_add(&cluster);
		harness_cluster_restart(&cluster, place);
		wait_votes(&cluster, cluster.members[place].name);
	}
	finish(&cluster, bettors);
}

/* The log that the newcomers would need is cut long since: they get the state. One of them is killed meanwhile. */
static void join_by_snapshot(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	harness_cluster_init(&cluster, COUNT);
	cluster.program = "fts-register-node";
	for (size_t i = 0; i < COUNT; i++)
		cluster.members[i].environment[0] = "FTS_TEST_LOG_BYTES=20000";
	harness_cluster_start(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "snapshot", 3);
	for (struct harness_wait wait = harness_wait_ms(READY_MS);
	     harness_cluster_count_in_logs(&cluster, "event=replica.snapshot") < 4 * COUNT;)
		if (!harness_wait_more(&wait)) fail_msg("no snapshots are taken");
	for (int i = 0; i < 2; i++) {
		size_t place = harness_cluster_add(&cluster);
		cluster.members[place].environment[0] = "FTS_TEST_LOG_BYTES=20000";
		harness_cluster_launch(&cluster, place);
		assert_true(harness_process_wait_stderr(&cluster.members[place].process, "how=joined", 0, READY_MS));
		if (i == 1) {
			harness_cluster_kill(&cluster, place);
			harness_cluster_launch(&cluster, place);
		}
		if (!harness_cluster_wait_ready(&cluster, place, READY_MS)) fail_msg("it is not ready");
		wait_votes(&cluster, cluster.members[place].name);
	}
	finish(&cluster, bettors);
}

/* Announced first, started later; a node that nobody announced comes in as well (above). */
static void announced(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	char role[16];
	(void)state;
	start_three(&cluster);
	size_t place = harness_cluster_add(&cluster);
	json_t *json = RUN(&cluster, 0, "member", "add", "n4", cluster.members[place].endpoint);
	assert_string_equal(role_in(json, "n4", role), "expected");
	json_decref(json);
	DO(&cluster, 0, "member", "add", "n4", cluster.members[place].endpoint); /* again: no error */
	expect_role(&cluster, "n4", "expected");
	DO(&cluster, 0, "health", "--wait", "4s"); /* it is not missed yet */
	harness_cluster_restart(&cluster, place);
	wait_votes(&cluster, "n4");
	json = RUN(&cluster, 0, "member", "add", "n4", cluster.members[place].endpoint);
	assert_true(votes(role_in(json, "n4", role)));
	json_decref(json);
	harness_cluster_kill(&cluster, place);
	json = RUN(&cluster, 3, "health");
	assert_int_equal(json_array_size(json_object_get(json, "missing")), 1);
	json_decref(json);
	harness_cluster_fini(&cluster);
}

/* A cluster of one grows to three. */
static void grown_from_one(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	harness_cluster_init(&cluster, 1);
	harness_cluster_start(&cluster);
	struct bettors *bettors = bettors_start(cluster.members[0].endpoint, "grown", 2);
	wait_bets(bettors, 300);
	for (int i = 0; i < 2; i++) {
		size_t place = harness_cluster_add(&cluster);
		harness_cluster_restart(&cluster, place);
		wait_votes(&cluster, cluster.members[place].name);
	}
	finish(&cluster, bettors);
}

/* A joining node that is killed again and again gets in all the same. */
static void join_through_kills(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	struct harness_random random = {4};
	(void)state;
	start_three(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "kills", 2);
	wait_bets(bettors, 200);
	size_t place = harness_cluster_add(&cluster);
	for (int i = 0; i < 6; i++) {
		harness_cluster_launch(&cluster, place);
		struct harness_wait moment = {harness_now_ns() + (20 + harness_random_below(&random, 300)) * 1000000u,
					      1000};
		while (harness_wait_more(&moment))
			continue;
		harness_cluster_kill(
		    &cluster, i % 3 == 2 ? harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS) : place);
		for (size_t k = 0; k < COUNT; k++)
			if (!harness_cluster_runs(&cluster, k)) harness_cluster_restart(&cluster, k);
		harness_cluster_kill(&cluster, place);
	}
	harness_cluster_restart(&cluster, place);
	wait_votes(&cluster, "n4");
	finish(&cluster, bettors);
}

/* ---- Going ---- */

static void remove_under_load(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	start_three(&cluster);
	size_t place = harness_cluster_add(&cluster);
	harness_cluster_restart(&cluster, place);
	wait_votes(&cluster, "n4");
	struct bettors *bettors = bettors_start(cluster.endpoints, "remove", 3);
	wait_bets(bettors, 300);
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS);
	size_t follower = leader == 0 ? 1 : 0;
	DO(&cluster, 0, "member", "remove", cluster.members[follower].name);
	DO(&cluster, 0, "member", "remove", cluster.members[follower].name); /* again: no error */
	expect_removed(&cluster, follower);
	wait_bets(bettors, 200);
	/* the leader itself */
	DO(&cluster, 0, "member", "remove", cluster.members[leader].name);
	expect_removed(&cluster, leader);
	(void)harness_cluster_wait_leader(&cluster, leader, READY_MS);
	finish(&cluster, bettors);
}

static void removed_while_away(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	char *err = NULL;
	(void)state;
	start_three(&cluster);
	size_t away = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS) == 2 ? 1 : 2;
	harness_cluster_kill(&cluster, away);
	DO(&cluster, 0, "member", "remove", cluster.members[away].name);
	const char *const argv[] = {"ftsd", "--data", cluster.members[away].data, NULL};
	for (int i = 0; i < 2; i++) { /* told by the others, then by its own directory */
		assert_int_equal(harness_run(argv, 20000, NULL, &err), 2);
		if (strstr(err, "was removed from its cluster") == NULL) fail_msg("it said \"%s\"", err);
		free(err);
	}
	harness_cluster_fini(&cluster);
}

static void replace_under_load(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	start_three(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "replace", 3);
	wait_bets(bettors, 300);
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS);
	size_t old = leader; /* the hardest one */
	size_t fresh = harness_cluster_add(&cluster);
	harness_cluster_launch(&cluster, fresh);
	DO(&cluster, 0, "member", "replace", cluster.members[old].name, "n4", cluster.members[fresh].endpoint);
	expect_removed(&cluster, old);
	wait_votes(&cluster, "n4");
	json_t *json = RUN(&cluster, 0, "member", "list");
	assert_int_equal(json_array_size(json_object_get(json, "nodes")), COUNT);
	json_decref(json);
	finish(&cluster, bettors);
}

/* ---- Leading, and what is refused ---- */

static void lead(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	start_three(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "lead", 2);
	for (size_t i = 0; i < 2 * COUNT; i++) {
		const char *name = cluster.members[i % COUNT].name;
		json_t *json = RUN(&cluster, 0, "member", "lead", name);
		json_decref(json);
		expect_role(&cluster, name, "leader");
		wait_bets(bettors, 50);
	}
	finish(&cluster, bettors);
}

static void expect_code(struct harness_cluster *cluster, const char *code, const char *const *words)
{
	json_t *json = run_json(cluster, 1, words);
	const char *got = json_string_value(json_object_get(json_object_get(json, "error"), "code"));
	if (got == NULL || strcmp(got, code) != 0) fail_msg("%s %s: %s, not %s", words[0], words[1], got, code);
	json_decref(json);
}

static void refusals(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	start_three(&cluster);
	const char *n2 = cluster.members[1].endpoint;
	expect_code(&cluster, "NOT_FOUND", (const char *const[]){"member", "remove", "n9", NULL});
	expect_code(&cluster, "ALREADY_EXISTS", (const char *const[]){"member", "add", "n2", "127.0.0.1:9", NULL});
	expect_code(&cluster, "ALREADY_EXISTS", (const char *const[]){"member", "add", "n9", n2, NULL});
	expect_code(&cluster, "NOT_FOUND", (const char *const[]){"member", "lead", "n9", NULL});
	expect_code(&cluster, "NOT_FOUND", (const char *const[]){"member", "replace", "n8", "n9", "127.0.0.1:9", NULL});
	expect_code(&cluster, "INVALID_ARGUMENT", (const char *const[]){"member", "add", "n9", "nowhere", NULL});
	/* with one of three away, nobody who is alive may go */
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, READY_MS);
	size_t away = (leader + 1) % COUNT, other = (leader + 2) % COUNT;
	harness_cluster_kill(&cluster, away);
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) { /* until the leader has noticed */
		json_t *json = RUN(&cluster, 0, "status");
		bool noticed = false;
		size_t i;
		json_t *node;
		json_array_foreach(json_object_get(json, "nodes"), i, node) noticed |=
		    !json_is_true(json_object_get(node, "alive"));
		json_decref(json);
		if (noticed) break;
		assert_true(harness_wait_more(&wait));
	}
	expect_code(&cluster, "FAILED_PRECONDITION",
		    (const char *const[]){"member", "remove", cluster.members[other].name, NULL});
	harness_cluster_fini(&cluster);
}

static void last_member(void **state)
{
	static struct harness_cluster cluster; /* outlives a test that fails */
	(void)state;
	harness_cluster_init(&cluster, 1);
	harness_cluster_start(&cluster);
	expect_code(&cluster, "FAILED_PRECONDITION", (const char *const[]){"member", "remove", "n1", NULL});
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(join_under_load),
	    cmocka_unit_test(join_by_snapshot),
	    cmocka_unit_test(announced),
	    cmocka_unit_test(grown_from_one),
	    cmocka_unit_test(join_through_kills),
	    cmocka_unit_test(remove_under_load),
	    cmocka_unit_test(removed_while_away),
	    cmocka_unit_test(replace_under_load),
	    cmocka_unit_test(lead),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(last_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
