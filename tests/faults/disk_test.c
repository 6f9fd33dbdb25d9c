/* Why this file exists: disks that are slow or full: a slow leader hands over instead of holding everybody up; a full
 * one costs nobody what was acknowledged; with all full, writes are refused cleanly, reads go on, and everything comes
 * back with the space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/faults/registers.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/harness/disk.h"
#include "tests/register/clients.h"

#define LIMIT_S 280
#define SETTLE_MS 20000
#define CALLS_MAX 500000
#define DISK_MIB 200
#define LEFT_BYTES (8u << 20)
/* A leader is called slow when two appends in a row take longer than the election time, 500 ms (replica/transfer.c); a
 * disk whose syncs take 400 ms is below that, and keeps its leader. */
#define SLOW_SYNC_US 900000

static struct harness_cluster cluster;

static struct register_clients *start_clients(struct linear_history *history)
{
	struct register_clients_options options = {
	    .endpoints = cluster.endpoints, .client_count = 8, .seed = 3, .pause_us = 500, .history = history};
	return register_clients_start(&options);
}

static void slow_leader(void **state)
{
	static struct harness_slow_disk disks[3];
	struct linear_history *history = linear_history_create(CALLS_MAX);
	(void)state;
	harness_cluster_init(&cluster, 3);
	cluster.program = "fts-register-node";
	for (size_t i = 0; i < 3; i++) {
		harness_slow_disk_init(&disks[i], cluster.members[i].root);
		harness_slow_disk_use(&disks[i], cluster.members[i].environment);
	}
	harness_cluster_start(&cluster);
	struct register_clients *clients = start_clients(history);
	assert_true(register_clients_wait(clients, 200, SETTLE_MS));
	size_t old = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
	uint64_t from_ns = harness_now_ns();
	harness_slow_disk_set(&disks[old], SLOW_SYNC_US);
	size_t next = harness_cluster_wait_leader(&cluster, old, SETTLE_MS);
	print_message("%s handed over to %s %llu ms after its disk became slow\n", cluster.members[old].name,
		      cluster.members[next].name, (unsigned long long)((harness_now_ns() - from_ns) / 1000000u));
	assert_true(register_clients_wait(clients, 500, SETTLE_MS)); /* the others don't wait for it */
	harness_slow_disk_set(&disks[old], 0);
	struct register_counts counts = register_clients_stop(clients);
	print_message("longest time without an answer: %llu ms\n", (unsigned long long)counts.longest_gap_ms);
	register_judge(history);
	linear_history_destroy(history);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	harness_cluster_fini(&cluster);
	for (size_t i = 0; i < 3; i++)
		harness_slow_disk_fini(&disks[i]);
}

/* ---- Full ---- */

static char disk[HARNESS_PATH_MAX + 16], file[HARNESS_PATH_MAX + 32];

static void unmake_disk(void)
{
	if (disk[0] != '\0') harness_disk_unmake(disk);
	disk[0] = '\0';
}

/* The data of members from `first` on goes to a small disk of its own. */
static void start_on_small_disk(size_t first)
{
	harness_cluster_init(&cluster, 3);
	cluster.program = "fts-register-node";
	snprintf(disk, sizeof(disk), "%s/disk", cluster.members[first].root);
	snprintf(file, sizeof(file), "%s/other", disk);
	harness_disk_make(disk, DISK_MIB);
	for (size_t i = first; i < 3; i++)
		snprintf(cluster.members[i].data, sizeof(cluster.members[i].data), "%.480s/data-%zu", disk, i);
	harness_cluster_start(&cluster);
}

/* Write until the answer is as wanted. */
static void wait_for_write(struct fts_channel *channel, bool done)
{
	struct fts_error error = {0};
	int64_t value = 0;
	for (struct harness_wait wait = harness_wait_ms(SETTLE_MS);;) {
		enum fts_status status = registers_write(channel, 2, ++value, 2000, true, &error);
		if (!done && status == FTS_RESOURCE_EXHAUSTED && error.executed == FTS_EXECUTED_NO) return;
		if (done && status == FTS_OK) return;
		if (!harness_wait_more(&wait))
			fail_msg("writes are %s within %d ms: %s", done ? "not stored" : "not refused", SETTLE_MS,
				 status == FTS_OK ? "stored" : error.detail);
	}
}

static void all_full(void **state)
{
	(void)state;
	start_on_small_disk(0);
	struct fts_channel *channel = registers_open(cluster.endpoints);
	registers_must_write(channel, 1, 7);
	wait_for_write(channel, true);
	harness_disk_fill(file, LEFT_BYTES);
	wait_for_write(channel, false);
	assert_int_equal(registers_must_read(channel, 1), 7);
	assert_int_equal(unlink(file), 0);
	wait_for_write(channel, true);
	assert_int_equal(registers_must_read(channel, 1), 7);
	fts_channel_close(channel);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	unmake_disk();
	harness_cluster_fini(&cluster);
}

static void one_full(void **state)
{
	struct linear_history *history = linear_history_create(CALLS_MAX);
	(void)state;
	start_on_small_disk(2);
	struct register_clients *clients = start_clients(history);
	assert_true(register_clients_wait(clients, 200, SETTLE_MS));
	harness_disk_fill(file, LEFT_BYTES);
	for (int i = 0; i < 5; i++) /* whoever led: it goes on, and goes on going on */
		assert_true(register_clients_wait(clients, 200, SETTLE_MS));
	assert_int_equal(unlink(file), 0);
	assert_true(register_clients_wait(clients, 200, SETTLE_MS));
	(void)register_clients_stop(clients);
	register_judge(history);
	linear_history_destroy(history);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	unmake_disk();
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_leader),
	    cmocka_unit_test(all_full),
	    cmocka_unit_test(one_full),
	};
	alarm(LIMIT_S);
	atexit(unmake_disk);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
