/* Why this file exists: single disasters that a mix does not aim at: a clock that is wrong by minutes, a disk that
 * turns bytes over while its node runs, an owner that comes back blank as the only one of a majority, all disks full;
 * and the three errors of the original, which are never mistaken for each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/disk.h"
#include "tests/harness/wrong_clock.h"
#include "tests/kv_faults/damage.h"
#include "tests/kv_faults/load.h"

#define LIMIT_S 580
#define READY_MS 60000
#define AHEAD_MS 120000 /* others follow 30 s */
#define DISK_MIB 260
#define FULL_LEFT_BYTES (1u << 20)

enum {
	LARGE_BYTES = 65536,
	LARGE_COUNT = 320,
	LARGE_WRITES_MAX = 4000
}; /* together more than is kept in memory before tables are written */

static struct harness_cluster cluster; /* outlives a test that fails */
static struct harness_wrong_clock clocks[4];
static char disk[HARNESS_PATH_MAX + 16];

static void unmake_disk(void)
{
	if (disk[0] != '\0') harness_disk_unmake(disk);
	disk[0] = '\0';
}

static void start_with(size_t count, const char *sweep_s)
{
	harness_cluster_init(&cluster, count);
	cluster.flags[0] = "--kv-sweep-s";
	cluster.flags[1] = sweep_s;
	for (size_t i = 0; i < count; i++) {
		harness_wrong_clock_init(&clocks[i], cluster.members[i].root);
		harness_wrong_clock_use(&clocks[i], cluster.members[i].environment);
	}
}

static void start(const char *sweep_s)
{
	start_with(3, sweep_s);
}

static void wait_placed(void)
{
	for (size_t i = 0; i < cluster.count; i++)
		kv_wait_map(&cluster, i, cluster.count, READY_MS);
}

static void finish(void)
{
	size_t count = cluster.count;
	for (size_t i = 0; i < count; i++)
		harness_cluster_kill(&cluster, i);
	unmake_disk();
	harness_cluster_fini(&cluster);
	for (size_t i = 0; i < count; i++)
		harness_wrong_clock_fini(&clocks[i]);
}

static void must_set(size_t via, const char *key, const char *value)
{
	struct kv_answer answer = kv_set(&cluster, (struct kv_call){.via = via, .key = key, .value = value});
	if (answer.status != FTS_OK) fail_msg("set %s at n%zu: %s", key, via + 1, answer.error.detail);
}

static void must_get(size_t via, const char *key, const char *value)
{
	struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = via, .key = key});
	if (answer.status != FTS_OK || strcmp(answer.value, value) != 0 || answer.maybe_stale)
		fail_msg("get %s at n%zu: %s \"%s\" instead of \"%s\" (%s)", key, via + 1,
			 fts_status_name(answer.status), answer.value, value, answer.error.detail);
}

/* It answers for key itself again. */
static void wait_regained(size_t node, const char *key)
{
	for (struct harness_wait wait = harness_wait_ms(READY_MS); kv_look(&cluster, node, 0, key).status != FTS_OK;)
		if (!harness_wait_more(&wait)) fail_msg("n%zu has not got %s again", node + 1, key);
}

/* A node whose clock is minutes ahead is refused and named, and what it tried hinders nobody. */
static void a_clock_far_ahead(void **state)
{
	char key[32];
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	must_set(1, "clock", "before");
	harness_wrong_clock_set(&clocks[0], AHEAD_MS);
	for (int i = 0; i < 10; i++) {
		(void)snprintf(key, sizeof key, i == 0 ? "clock" : "clock-%d", i);
		struct kv_answer answer = kv_set(&cluster, (struct kv_call){.via = 0, .key = key, .value = "far"});
		assert_int_equal(answer.status, FTS_FAILED_PRECONDITION);
		if (strstr(answer.error.detail, "clock of n1") == NULL) fail_msg("it says %s", answer.error.detail);
	}
	must_get(1, "clock", "before");
	must_set(2, "clock", "meanwhile");
	must_get(0, "clock", "meanwhile");
	harness_wrong_clock_set(&clocks[0], 0);
	must_set(0, "clock", "after");
	must_get(1, "clock", "after");
	must_set(1, "clock-1", "after");
	must_get(2, "clock-1", "after");
	finish();
}

/* Before anybody wrote through it: it knows the others' clocks all the same, and stores nothing by its own. */
static void a_clock_far_ahead_at_the_start(void **state)
{
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	must_set(1, "clock", "before");
	harness_cluster_kill(&cluster, 0);
	harness_wrong_clock_set(&clocks[0], AHEAD_MS);
	harness_cluster_restart(&cluster, 0);
	(void)harness_cluster_wait_equal(&cluster, READY_MS);
	struct kv_answer answer = kv_set(&cluster, (struct kv_call){.via = 0, .key = "clock", .value = "far"});
	assert_int_equal(answer.status, FTS_FAILED_PRECONDITION);
	if (answer.error.executed != FTS_EXECUTED_NO) fail_msg("stored all the same: %s", answer.error.detail);
	if (strstr(answer.error.detail, "clock of n1") == NULL) fail_msg("it says %s", answer.error.detail);
	must_get(0, "clock", "before");
	must_set(1, "clock", "after");
	harness_wrong_clock_set(&clocks[0], 0);
	must_set(0, "clock", "right");
	must_get(2, "clock", "right");
	finish();
}

/* As after a suspend, or when time comes late to all: nobody is ahead of the others then, nor for ever. */
static void set_all_clocks(int64_t ahead_ms)
{
	for (size_t i = 0; i < cluster.count; i++)
		harness_wrong_clock_set(&clocks[i], ahead_ms);
	for (size_t i = 0; i < cluster.count; i++)
		for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
			struct kv_answer answer =
			    kv_set(&cluster, (struct kv_call){.via = i, .key = "all", .value = "v"});
			if (answer.status == FTS_OK) break;
			if (!harness_wait_more(&wait)) fail_msg("n%zu: %s", i + 1, answer.error.detail);
		}
}

static void all_clocks_are_set_together(void **state)
{
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	must_set(0, "all", "before");
	set_all_clocks(2 * (int64_t)AHEAD_MS);
	set_all_clocks(0);
	must_set(1, "all", "after");
	must_get(2, "all", "after");
	finish();
}

static const char *const damage_events[] = {"event=storage.damaged",   "event=storage.failed",
					    "event=storage.tree",      "event=store.read_failed",
					    "event=store.scan_failed", "event=store.write_failed"};

static void set_large(size_t via, char *value, int i)
{
	char key[32];
	(void)snprintf(key, sizeof key, "large-%03d", i);
	(void)snprintf(value, 16, "%015d", i);
	value[15] = 'x';
	must_set(via, key, value);
}

/* Or the node has ended, since its engine has. */
static bool finds_damage(void)
{
	Fts__Kv__V1__VerifyResponse sum;
	return !kv_verify(&cluster, 0, false, &sum) || sum.damaged > 0;
}

/* The engine writes its tables anew now and then, and meets the damage at the latest when there are a few: then the
 * node ends. */
static void write_until_it_ends(char *value)
{
	for (int i = 0; harness_process_running(&cluster.members[1].process); i++) {
		set_large(0, value, LARGE_COUNT + i % LARGE_COUNT);
		if (i == LARGE_WRITES_MAX) fail_msg("the engine of n2 never met the damage");
	}
}

/* A table of a node that runs is damaged on its disk: what anybody is given is right. Its engine meets the damage at
 * some time: then the node ends, and says why. Started again, it gets what it had from the others. */
static void bytes_turn_over_while_it_runs(void **state)
{
	static char value[LARGE_BYTES + 1];
	struct harness_random random = {5};
	char key[32], aside[HARNESS_PATH_MAX + 16];
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	for (size_t i = 0; i < LARGE_BYTES; i++)
		value[i] = (char)('a' + harness_random_below(&random, 26));
	for (int i = 0; i < LARGE_COUNT; i++)
		set_large(0, value, i);
	size_t count = 0;
	for (struct harness_wait wait = harness_wait_ms(READY_MS);
	     (count = damage_tables(&cluster.members[1], "000000000000100x", 16)) == 0;)
		if (!harness_wait_more(&wait)) fail_msg("the record is in no table");
	for (size_t i = 0; i < sizeof damage_events / sizeof *damage_events; i++)
		harness_cluster_expect(&cluster, damage_events[i]);
	for (struct harness_wait wait = harness_wait_ms(READY_MS); !finds_damage();)
		if (!harness_wait_more(&wait)) fail_msg("verify reads nothing from the disk");
	for (int i = 95; i < 105; i++)
		for (size_t via = 0; via < 3; via++) {
			(void)snprintf(key, sizeof key, "large-%03d", i);
			struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = via, .key = key});
			bool may_have_ended = via == 1 && answer.status == FTS_UNAVAILABLE;
			if (!may_have_ended && (answer.status != FTS_OK || strtol(answer.value, NULL, 10) != i))
				fail_msg("get %s at n%zu: %s \"%.15s\" (%s)", key, via + 1,
					 fts_status_name(answer.status), answer.value, answer.error.detail);
		}
	write_until_it_ends(value);
	harness_cluster_restart(&cluster, 1);
	(void)snprintf(aside, sizeof aside, "%s/kv.damaged", cluster.members[1].data);
	assert_int_equal(access(aside, F_OK), 0);
	wait_regained(1, "large-100");
	kv_wait_clean(&cluster, 0, READY_MS);
	finish();
}

/* n1 and n2 have a write, n3 missed it; n1 comes back with its log, and without DIR/kv: with n3 it would be a majority
 * that knows nothing. It takes writes and says nothing until it has got all of it again. */
static void a_lost_store_is_no_owner(void **state)
{
	char key[32], path[HARNESS_PATH_MAX + 8];
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	harness_cluster_kill(&cluster, 2);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "lost-%d", i);
		must_set(0, key, "here");
	}
	harness_cluster_kill(&cluster, 0);
	(void)snprintf(path, sizeof path, "%s/kv", cluster.members[0].data);
	harness_directory_remove(path);
	harness_cluster_restart(&cluster, 2);
	harness_cluster_launch(&cluster, 0);
	int found = 0;
	for (struct harness_wait wait = harness_wait_ms(READY_MS); found < 300;) {
		(void)snprintf(key, sizeof key, "lost-%d", found % 50);
		struct kv_answer answer =
		    kv_get(&cluster, (struct kv_call){.via = (size_t)found % 3, .key = key, .timeout_ms = 1000});
		if (answer.status == FTS_NOT_FOUND) fail_msg("%s is lost at n%d", key, found % 3 + 1);
		if (answer.status == FTS_OK) found++;
		if (answer.status != FTS_OK && !harness_wait_more(&wait))
			fail_msg("%s is not read any more: %s", key, answer.error.detail);
	}
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "lost-%d", i);
		wait_regained(0, key);
	}
	kv_wait_clean(&cluster, 0, READY_MS);
	must_set(0, "afterwards", "taken");
	must_get(2, "afterwards", "taken");
	finish();
}

/* n1 and n2 have a write, n3 missed it; n1 comes back blank: with n3 it would be a majority that knows nothing. */
static void a_blank_node_is_no_owner(void **state)
{
	char key[32];
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	harness_cluster_kill(&cluster, 2);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(key, sizeof key, "blank-%d", i);
		must_set(0, key, "here");
	}
	harness_cluster_kill(&cluster, 0);
	harness_directory_remove(cluster.members[0].data);
	harness_cluster_restart(&cluster, 2);
	harness_cluster_launch(&cluster, 0);
	int found = 0;
	for (struct harness_wait wait = harness_wait_ms(READY_MS); found < 300;) {
		(void)snprintf(key, sizeof key, "blank-%d", found % 50);
		struct kv_answer answer =
		    kv_get(&cluster, (struct kv_call){.via = (size_t)found % 3, .key = key, .timeout_ms = 1000});
		if (answer.status == FTS_NOT_FOUND) fail_msg("%s is lost at n%d", key, found % 3 + 1);
		if (answer.status == FTS_OK) found++;
		if (answer.status != FTS_OK && !harness_wait_more(&wait))
			fail_msg("%s is not read any more: %s", key, answer.error.detail);
	}
	finish();
}

static uint32_t partition_of(size_t via, const char *key)
{
	Fts__Kv__V1__WhereRequest request = FTS__KV__V1__WHERE_REQUEST__INIT;
	Fts__Kv__V1__WhereResponse *response = NULL;
	request.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
	assert_int_equal(fts_kv_where(kv_channel(&cluster, via), &request, NULL, &response, NULL), FTS_OK);
	uint32_t partition = response->partition;
	fts__kv__v1__where_response__free_unpacked(response, NULL);
	return partition;
}

/* The place of the one of four that does not own key. */
static size_t outsider(const size_t *owners)
{
	for (size_t i = 0; i < 4; i++)
		if (owners[0] != i && owners[1] != i && owners[2] != i) return i;
	fail_msg("all own it");
	return 0;
}

static uint32_t lost_at(size_t via)
{
	Fts__Kv__V1__ProgressRequest request = FTS__KV__V1__PROGRESS_REQUEST__INIT;
	Fts__Kv__V1__ProgressResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = 5000, .no_retry = true};
	uint32_t count = 0;
	if (fts_kv_progress(kv_channel(&cluster, via), &request, &options, &response, NULL) != FTS_OK) return 0;
	for (size_t i = 0; i < response->n_nodes; i++)
		count += response->nodes[i]->lost;
	fts__kv__v1__progress_response__free_unpacked(response, NULL);
	return count;
}

/* Two of three have lost theirs: nobody can say whether the third knows of all that was acknowledged. Nothing is read
 * until an operator says that it is all there is. */
static void a_loss_is_accepted(void **state)
{
	const char *argv[] = {"fts-cli", "--endpoints", NULL, "kv", "accept-loss", "--all", NULL};
	char path[HARNESS_PATH_MAX + 8];
	(void)state;
	start("2");
	harness_cluster_start(&cluster);
	wait_placed();
	must_set(0, "left", "over");
	kv_wait_has(&cluster, 2, 0, "left", "over", READY_MS);
	for (size_t i = 0; i < 2; i++) {
		harness_cluster_kill(&cluster, i);
		(void)snprintf(path, sizeof path, "%s/kv", cluster.members[i].data);
		harness_directory_remove(path);
	}
	for (size_t i = 0; i < 2; i++)
		harness_cluster_launch(&cluster, i);
	for (struct harness_wait wait = harness_wait_ms(READY_MS); lost_at(2) < 512;)
		if (!harness_wait_more(&wait)) fail_msg("n1 and n2 don't notice it");
	for (size_t via = 0; via < 3; via++) {
		struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = via, .key = "left"});
		if (answer.status != FTS_DATA_LOSS && answer.status != FTS_UNAVAILABLE)
			fail_msg("n%zu says %s: %s", via + 1, fts_status_name(answer.status), answer.error.detail);
	}
	argv[2] = cluster.members[2].endpoint;
	assert_int_equal(harness_run(argv, READY_MS, NULL, NULL), 0);
	for (struct harness_wait wait = harness_wait_ms(READY_MS); lost_at(2) > 0;)
		if (!harness_wait_more(&wait)) fail_msg("%u partitions stay lost", lost_at(2));
	for (size_t via = 0; via < 3; via++)
		must_get(via, "left", "over");
	kv_wait_clean(&cluster, 0, READY_MS);
	finish();
}

/* Two of three owners have a record damaged when a fourth node takes a place: it must not count as an owner before it
 * has the record, too. Nobody sweeps. */
static void a_copy_of_damage_is_none(void **state)
{
	char partition[16], name[64];
	const char *argv[] = {"fts-cli", "--endpoints", NULL, "kv", "move", partition, name, NULL};
	size_t owners[3];
	(void)state;
	start_with(4, "1000");
	harness_cluster_expect(&cluster, "event=storage.damaged");
	harness_cluster_start(&cluster);
	wait_placed();
	must_set(0, "moved", "whole");
	assert_int_equal(kv_owners(&cluster, 0, 0, "moved", owners), 3);
	for (size_t i = 0; i < 3; i++)
		kv_wait_has(&cluster, owners[i], 0, "moved", "whole", READY_MS);
	size_t to = outsider(owners);
	for (size_t i = 0; i < 2; i++) {
		harness_cluster_kill(&cluster, owners[i]);
		assert_true(damage_record(&cluster.members[owners[i]], "moved"));
		harness_cluster_restart(&cluster, owners[i]);
	}
	(void)snprintf(partition, sizeof partition, "%u", partition_of(to, "moved"));
	(void)snprintf(name, sizeof name, "%.60s", cluster.members[to].name);
	argv[2] = cluster.members[to].endpoint;
	assert_int_equal(harness_run(argv, READY_MS, NULL, NULL), 0);
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
		assert_int_equal(kv_owners(&cluster, to, 0, "moved", owners), 3);
		if (outsider(owners) != to) break;
		if (!harness_wait_more(&wait)) fail_msg("the move does not end");
	}
	assert_string_equal(kv_look(&cluster, to, 0, "moved").value, "whole");
	finish();
}

/* How many via keeps, and has given up since its start. */
static uint64_t hints_at(size_t via, uint64_t *out_given_up)
{
	Fts__Kv__V1__ProgressRequest request = FTS__KV__V1__PROGRESS_REQUEST__INIT;
	Fts__Kv__V1__ProgressResponse *response = NULL;
	uint64_t count = 0;
	*out_given_up = 0;
	assert_int_equal(fts_kv_progress(kv_channel(&cluster, via), &request, NULL, &response, NULL), FTS_OK);
	for (size_t i = 0; i < response->n_nodes; i++) {
		count += response->nodes[i]->hints_pending;
		*out_given_up += response->nodes[i]->hints_dropped;
	}
	fts__kv__v1__progress_response__free_unpacked(response, NULL);
	return count;
}

/* Hints for a node that stays away grow old and are given up, those of deletions, too; and what was deleted meanwhile
 * does not come back with that node. */
static void old_hints_are_given_up(void **state)
{
	char key[32];
	uint64_t given_up = 0;
	(void)state;
	start("2");
	cluster.flags[2] = "--kv-hint-s";
	cluster.flags[3] = "3";
	harness_cluster_start(&cluster);
	wait_placed();
	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof key, "old-%d", i);
		must_set(0, key, "before");
	}
	kv_wait_has(&cluster, 2, 0, "old-0", "before", READY_MS);
	harness_cluster_kill(&cluster, 2);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof key, "old-%d", i);
		if (i % 2 == 0)
			must_set(0, key, "after");
		else
			assert_int_equal(kv_delete(&cluster, (struct kv_call){.via = 0, .key = key}).status, FTS_OK);
	}
	for (struct harness_wait wait = harness_wait_ms(READY_MS); hints_at(0, &given_up) > 0 || given_up < 20;)
		if (!harness_wait_more(&wait)) fail_msg("hints are kept for ever");
	harness_cluster_restart(&cluster, 2);
	kv_wait_clean(&cluster, 0, READY_MS);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof key, "old-%d", i);
		struct kv_answer answer = kv_get(&cluster, (struct kv_call){.via = 2, .key = key});
		assert_int_equal(answer.status, i % 2 == 0 ? FTS_OK : FTS_NOT_FOUND);
	}
	finish();
}

/* NOT_FOUND: no such key. UNAVAILABLE: no owner, and which. Nobody at all: exit 4. */
static void three_errors(void **state)
{
	const char *argv[] = {"fts-cli", "--endpoints", NULL, "--timeout", "3s", "kv", "get", "nothing", NULL};
	char *err = NULL;
	(void)state;
	start("1000");
	harness_cluster_start(&cluster);
	wait_placed();
	argv[2] = cluster.members[0].endpoint;
	assert_int_equal(harness_run(argv, READY_MS, NULL, &err), 1);
	assert_non_null(strstr(err, "NOT_FOUND"));
	free(err);
	harness_cluster_kill(&cluster, 1);
	harness_cluster_kill(&cluster, 2);
	assert_int_equal(harness_run(argv, READY_MS, NULL, &err), 4);
	if (strstr(err, "UNAVAILABLE") == NULL || strstr(err, "n2") == NULL || strstr(err, "n3") == NULL)
		fail_msg("it says %s", err);
	free(err);
	harness_cluster_kill(&cluster, 0);
	assert_int_equal(harness_run(argv, READY_MS, NULL, &err), 4);
	if (strstr(err, "no server reachable") == NULL) fail_msg("it says %s", err);
	free(err);
	finish();
}

/* Refused cleanly, read all the same, and stored again when there is room. A node whose log finds no room for what it
 * must write ends, and says why; it is started again, as its watchdog would. */
static void all_disks_full(void **state)
{
	char file[sizeof disk + 8];
	struct kv_answer answer = {0};
	(void)state;
	start("2");
	(void)snprintf(disk, sizeof disk, "%s/disk", cluster.members[0].root);
	(void)snprintf(file, sizeof file, "%s/other", disk);
	harness_disk_make(disk, DISK_MIB);
	for (size_t i = 0; i < 3; i++)
		(void)snprintf(cluster.members[i].data, sizeof cluster.members[i].data, "%.480s/data-%zu", disk, i);
	harness_cluster_expect(&cluster, "event=storage.failed");
	harness_cluster_expect(&cluster, "event=store.write_failed");
	harness_cluster_start(&cluster);
	wait_placed();
	must_set(0, "full", "before");
	harness_disk_fill(file, FULL_LEFT_BYTES);
	static char value[LARGE_BYTES + 1];
	memset(value, 'f', LARGE_BYTES);
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
		answer = kv_set(&cluster, (struct kv_call){.via = 0, .key = "fill", .value = value});
		if (answer.status == FTS_RESOURCE_EXHAUSTED) break;
		if (!harness_wait_more(&wait)) fail_msg("writes are not refused: %s", answer.error.detail);
	}
	assert_non_null(strstr(answer.error.detail, "make room"));
	/* Nobody is away: the router has nothing to keep for anybody. */
	answer = kv_set(&cluster,
			(struct kv_call){.via = 0, .key = "any", .value = "v", .level = FTS__KV__V1__CONSISTENCY__ANY});
	assert_int_equal(answer.status, FTS_RESOURCE_EXHAUSTED);
	must_get(1, "full", "before");
	assert_int_equal(unlink(file), 0);
	for (size_t i = 0; i < 3; i++)
		if (!harness_process_running(&cluster.members[i].process)) harness_cluster_restart(&cluster, i);
	for (struct harness_wait wait = harness_wait_ms(READY_MS);;) {
		answer = kv_set(&cluster, (struct kv_call){.via = 1, .key = "full", .value = "after"});
		if (answer.status == FTS_OK) break;
		if (!harness_wait_more(&wait)) fail_msg("writes are refused for ever: %s", answer.error.detail);
	}
	must_get(2, "full", "after");
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_clock_far_ahead),
	    cmocka_unit_test(a_clock_far_ahead_at_the_start),
	    cmocka_unit_test(all_clocks_are_set_together),
	    cmocka_unit_test(bytes_turn_over_while_it_runs),
	    cmocka_unit_test(a_blank_node_is_no_owner),
	    cmocka_unit_test(a_lost_store_is_no_owner),
	    cmocka_unit_test(a_loss_is_accepted),
	    cmocka_unit_test(a_copy_of_damage_is_none),
	    cmocka_unit_test(old_hints_are_given_up),
	    cmocka_unit_test(three_errors),
	    cmocka_unit_test(all_disks_full),
	};
	alarm(LIMIT_S);
	(void)atexit(unmake_disk);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
