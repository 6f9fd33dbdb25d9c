/* Why this file exists: members are added, replaced and removed, and a partition is moved by hand, while many write and
 * read: nothing acknowledged is lost, and not one call of those that ask the nodes that stay fails; a newcomer that is
 * killed while partitions move to it goes on when it is back. Two members that leave in a row take nothing with them;
 * two that are gone for good at once leave moves that only an operator can end. Keys are listed whole meanwhile. */
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

static void write_keys_via(size_t node_count)
{
	char name[24];
	for (size_t key = 0; key < KEYS; key++) {
		name_key(key, name, sizeof name);
		struct kv_answer answer =
		    kv_set(&cluster, (struct kv_call){.via = key % node_count, .key = name, .value = name});
		if (answer.status != FTS_OK) fail_msg("%s: %s", name, answer.error.detail);
	}
}

static void write_keys(void)
{
	write_keys_via(5);
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

/* ---- Two that are gone at once ---- */

static uint32_t moving_at(size_t via)
{
	Fts__Kv__V1__ProgressRequest request = FTS__KV__V1__PROGRESS_REQUEST__INIT;
	Fts__Kv__V1__ProgressResponse *response = NULL;
	struct fts_error error;
	if (fts_kv_progress(kv_channel(&cluster, via), &request, NULL, &response, &error) != FTS_OK)
		fail_msg("progress: %s", error.detail);
	uint32_t moving = response->moving;
	fts__kv__v1__progress_response__free_unpacked(response, NULL);
	return moving;
}

/* Partitions that both owned have one owner left: what it has may be old, and nobody but an operator can take it for
 * all there is. After that the second one can be taken out, too. */
static void two_are_gone_at_once(void **state)
{
	(void)state;
	start(5);
	write_keys();
	kv_wait_clean(&cluster, 0, READY_MS);
	CLI("member", "lead", "n1");
	harness_cluster_kill(&cluster, 3);
	harness_cluster_kill(&cluster, 4);
	CLI("member", "remove", "n5");
	uint32_t left = 0, before = 257;
	for (struct harness_wait wait = harness_wait_ms(MOVED_MS); left == 0 || left != before;) {
		before = left; /* the same twice, a while apart: what can be moved without an operator has been */
		for (struct harness_wait pause = harness_wait_ms(3000); harness_wait_more(&pause);) {
		}
		left = moving_at(0);
		if (!harness_wait_more(&wait)) fail_msg("%u, then %u partitions on their way", before, left);
	}
	CLI("kv", "accept-loss", "--all");
	CLI("member", "remove", "n4"); /* waits until nothing of n5 hangs on it any more */
	wait_moved(0, "n4", false);
	wait_moved(0, "n5", false);
	for (size_t via = 0; via < 3; via++)
		read_keys(via);
	kv_wait_clean(&cluster, 0, READY_MS);
	harness_cluster_fini(&cluster);
}

/* ---- Keys listed while they move ---- */

/* One page behind *last; false: it was the end. seen: how many have come. */
static bool list_page(size_t via, char *last, size_t *seen)
{
	Fts__Kv__V1__KeysRequest request = FTS__KV__V1__KEYS_REQUEST__INIT;
	Fts__Kv__V1__KeysResponse *page = NULL;
	struct fts_error error;
	request.limit = 37;
	request.has_after = *seen > 0;
	request.after = (ProtobufCBinaryData){strlen(last), (uint8_t *)last};
	if (fts_kv_keys(kv_channel(&cluster, via), &request, NULL, &page, &error) != FTS_OK)
		fail_msg("keys behind %s: %s", last, error.detail);
	for (size_t i = 0; i < page->n_keys; i++, ++*seen) {
		char key[24] = "";
		assert_true(page->keys[i].len < sizeof key);
		memcpy(key, page->keys[i].data, page->keys[i].len);
		if (strcmp(key, last) <= 0) fail_msg("%s comes behind %s", key, last);
		memcpy(last, key, sizeof key);
	}
	bool more = !page->end;
	fts__kv__v1__keys_response__free_unpacked(page, NULL);
	return more;
}

static void list_all(size_t via)
{
	char last[24] = "";
	size_t seen = 0;
	while (list_page(via, last, &seen)) {
	}
	if (seen != KEYS) fail_msg("%zu keys instead of %d", seen, KEYS);
}

static void list_while_moving(const char *name, bool in)
{
	uint64_t id = 0;
	for (struct harness_wait wait = harness_wait_ms(MOVED_MS);
	     !kv_map_rests(&cluster, 0, name, &id) || (id != 0) != in;) {
		list_all(0);
		list_all(1);
		if (!harness_wait_more(&wait)) fail_msg("partitions do not come to rest");
	}
	list_all(2);
}

static void keys_are_listed_while_they_move(void **state)
{
	(void)state;
	start(3);
	write_keys_via(3);
	size_t fourth = harness_cluster_add(&cluster);
	harness_cluster_launch(&cluster, fourth);
	list_while_moving("n4", true);
	CLI("member", "remove", "n4");
	list_while_moving("n4", false);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(partitions_move_under_load),
	    cmocka_unit_test(two_leave_in_a_row),
	    cmocka_unit_test(two_are_gone_at_once),
	    cmocka_unit_test(keys_are_listed_while_they_move),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
