/* Why this file exists: members are added, replaced and removed, and a partition is moved by hand, while many write and
 * read: nothing acknowledged is lost, and not one call of those that ask the nodes that stay fails; a newcomer that is
 * killed while partitions move to it goes on when it is back. Two members that leave in a row take nothing with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/kv_faults/load.h"

#define LIMIT_S 580
#define READY_MS 60000
#define MOVED_MS 120000
#define CLI_MS 90000

static struct harness_cluster cluster; /* outlives a test that fails */

static void cli(const char *const *words)
{
	const char *argv[12] = {"fts-cli", "--endpoints", cluster.endpoints, "--timeout", "60s"};
	char *out = NULL, *err = NULL;
	size_t count = 5;
	for (size_t i = 0; words[i] != NULL; i++)
		argv[count++] = words[i];
	int code = harness_run(argv, CLI_MS, &out, &err);
	if (code != 0) fail_msg("fts-cli %s %s: exit %d\n%s%s", words[0], words[1], code, out, err);
	free(out);
	free(err);
}
#define CLI(...) cli((const char *const[]){__VA_ARGS__, NULL})

static void start(size_t count)
{
	static const char *const flags[] = {"--kv-sweep-s", "2", NULL};
	harness_cluster_init(&cluster, count);
	memcpy(cluster.flags, flags, sizeof flags);
	harness_cluster_start(&cluster);
	for (size_t i = 0; i < count; i++)
		kv_wait_map(&cluster, i, count, READY_MS);
}

static struct kv_load *start_load(const char *prefix)
{
	const struct kv_load_options options = {
	    .cluster = &cluster, .prefix = prefix, .writer_count = 4, .reader_count = 4, .pause_us = 300, .seed = 1};
	struct kv_load *load = kv_load_start(&options);
	assert_true(kv_load_wait(load, 100, READY_MS));
	return load;
}

static void must_not_fail(struct kv_load *load, const char *while_what)
{
	assert_true(kv_load_wait(load, 200, READY_MS));
	struct kv_load_counts counts = kv_load_counts(load);
	if (counts.unknown + counts.refused + counts.unread > 0)
		fail_msg("%s: %llu writes and %llu reads failed: %s", while_what,
			 (unsigned long long)(counts.unknown + counts.refused), (unsigned long long)counts.unread,
			 counts.failure);
}

/* Until all that is to move has moved, with the node in the map, or without it. */
static void wait_moved(size_t via, const char *name, bool in)
{
	uint64_t id = 0;
	for (struct harness_wait wait = harness_wait_ms(MOVED_MS);
	     !kv_map_rests(&cluster, via, name, &id) || (id != 0) != in;)
		if (!harness_wait_more(&wait))
			fail_msg("partitions do not come to rest with %s %s", name, in ? "in" : "out");
}

static void partitions_move_under_load(void **state)
{
	(void)state;
	start(3);
	struct kv_load *load = start_load("m");
	size_t fourth = harness_cluster_add(&cluster);
	harness_cluster_restart(&cluster, fourth);
	wait_moved(0, "n4", true);
	kv_load_use(load, fourth, true);
	must_not_fail(load, "a member was added");
	CLI("kv", "move", "7", "n4");
	must_not_fail(load, "a partition was moved");
	kv_load_use(load, 0, false);
	must_not_fail(load, "before");
	size_t fifth = harness_cluster_add(&cluster);
	harness_cluster_launch(&cluster, fifth);
	CLI("member", "replace", "n1", "n5", cluster.members[fifth].endpoint);
	wait_moved(1, "n5", true);
	wait_moved(fifth, "n1", false);
	kv_load_use(load, fifth, true);
	must_not_fail(load, "a member was replaced");
	kv_load_use(load, 1, false);
	must_not_fail(load, "before");
	CLI("member", "remove", "n2");
	wait_moved(2, "n2", false);
	must_not_fail(load, "a member was removed");
	(void)kv_load_stop(load);
	harness_cluster_fini(&cluster);
}

/* ---- Two that leave in a row ---- */

#define KEYS 300

static void name_key(size_t key, char *out, size_t capacity_bytes)
{
	(void)snprintf(out, capacity_bytes, "row-%zu", key);
}

static void write_keys(void)
{
	char name[24];
	for (size_t key = 0; key < KEYS; key++) {
		name_key(key, name, sizeof name);
		struct kv_answer answer =
		    kv_set(&cluster, (struct kv_call){.via = key % 5, .key = name, .value = name});
		if (answer.status != FTS_OK) fail_msg("%s: %s", name, answer.error.detail);
	}
}

static void read_keys(size_t via)
{
	char name[24];
	for (size_t key = 0; key < KEYS; key++) {
		name_key(key, name, sizeof name);
		struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = via, .key = name});
		if (answer.status != FTS_OK || strcmp(answer.value, name) != 0)
			fail_msg("%s at node %zu: %s %s", name, via, fts_status_name(answer.status),
				 answer.error.detail);
	}
}

/* While one of those that stay is silent nothing can be copied: there are no two others to copy from. */
static void two_leave_in_a_row(void **state)
{
	char *err = NULL;
	(void)state;
	start(5);
	write_keys();
	CLI("member", "lead", "n1");
	harness_cluster_pause(&cluster, 1);
	CLI("member", "remove", "n5");
	const char *const argv[] = {
	    "fts-cli", "--endpoints", cluster.members[0].endpoint, "--timeout", "3s", "member", "remove", "n4", NULL};
	int code = harness_run(argv, CLI_MS, NULL, &err);
	if (code == 0 || strstr(err, "partitions are being moved") == NULL)
		fail_msg("two members may leave at once: exit %d, %s", code, err);
	free(err);
	harness_cluster_resume(&cluster, 1);
	CLI("member", "remove", "n4"); /* waits until the first one's partitions have been copied */
	wait_moved(0, "n4", false);
	for (size_t via = 0; via < 3; via++)
		read_keys(via);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(partitions_move_under_load),
	    cmocka_unit_test(two_leave_in_a_row),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
