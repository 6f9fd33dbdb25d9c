/* Why this file exists: the disk fails at the n-th access, n rising until none fails any more. Whatever n is: the
 * replica tells on_fatal once or refuses to start, answers nothing OK that is not there afterwards, stops, and starts
 * again with all that was answered.
 *
 * The second case fills a small disk: commands are refused before it is full, and taken again when there is room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "driver.h"
#include "store/fault.h"

enum { COMMANDS = 12 };

struct fault {
	atomic_long left; /* accesses until the one that fails */
	atomic_bool fired;
};

static enum fts_status fail_nth(void *ctx, enum ftsi_store_access access)
{
	struct fault *fault = ctx;
	(void)access;
	if (atomic_fetch_sub(&fault->left, 1) > 0) return FTS_OK;
	atomic_store(&fault->fired, true);
	return FTS_RESOURCE_EXHAUSTED; /* as a disk that stays full */
}

/* Some commands, small snapshots among them. Returns how many were answered OK. */
static int64_t run_once(const char *dir, struct fatal_seen *fatal)
{
	struct driver_options options = {.dir = dir, .fatal = fatal, .log_bytes_before_snapshot = 2000};
	struct fts_replica *replica = NULL;
	struct fts_error error = {0};
	struct add_result result;
	int64_t answered = 0;
	if (driver_start(&options, &replica, &error) != FTS_OK) {
		assert_true(strlen(error.detail) > 0);
		return 0;
	}
	/* Ready, or failed: one of them within a minute, however slow the machine is. */
	for (int i = 0; i < 200 && atomic_load(&fatal->count) == 0; i++)
		if (fts_replica_wait_ready(replica, 300) == FTS_OK) break;
	if (fts_replica_wait_ready(replica, 1) != FTS_OK) assert_int_equal(atomic_load(&fatal->count), 1);
	for (uint64_t i = 0; i < COMMANDS; i++) {
		struct add add = {.name = "a", .delta = 1, .client_id = 1, .sequence = i + 1, .ballast_bytes = 500};
		answered += add_call(replica, &add, &result) == FTS_OK;
	}
	driver_stop(replica);
	return answered;
}

static void sweep(void **state)
{
	long n = 0;
	bool fired = true;
	(void)state;
	for (; fired; n++) {
		char *dir = make_dir();
		struct fault fault = {.left = n};
		struct fatal_seen fatal = {0};
		struct driver_options options = {.dir = dir};
		struct fts_replica *replica;
		int64_t answered, value = -1;
		ftsi_store_fault_set(fail_nth, &fault);
		answered = run_once(dir, &fatal);
		ftsi_store_fault_set(NULL, NULL);
		fired = atomic_load(&fault.fired);
		assert_true(atomic_load(&fatal.count) <= 1);
		if (!fired) assert_int_equal(answered, COMMANDS);
		replica = driver_ready(&options);
		assert_int_equal(get_call(replica, "a", 0, 5000, &value), FTS_OK);
		if (value < answered || value > answered + 1)
			fail_msg("n=%ld: %lld answered, %lld there", n, (long long)answered, (long long)value);
		driver_stop(replica);
		remove_dir(dir);
	}
	print_message("%ld accesses\n", n - 1);
	assert_true(n > COMMANDS * 2);
}

static bool wait_for_status(struct fts_replica *replica, enum fts_status wanted)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), 10000);
	struct add one = {.name = "a", .delta = 1};
	struct add_result result;
	while (add_call(replica, &one, &result) != wanted)
		if (fts_clock_monotonic_ns() > deadline_ns) return false;
	return true;
}

static void full_disk(void **state)
{
	char *dir = make_dir(), path[700];
	struct driver_options options = {.dir = dir, .log_bytes_before_snapshot = 4 * 1024 * 1024};
	struct fts_replica *replica;
	FILE *filler;
	int64_t before = 0, after = 0;
	static const char zeros[64 * 1024];
	(void)state;
	if (mount("tmpfs", dir, "tmpfs", 0, "size=128m") != 0) {
		print_message("skipped: a small disk can't be made (not root)\n");
		remove_dir(dir);
		skip();
	}
	replica = driver_ready(&options);
	assert_true(wait_for_status(replica, FTS_OK));
	(void)snprintf(path, sizeof path, "%s/filler", dir);
	filler = fopen(path, "w");
	assert_non_null(filler);
	for (int i = 0; i < 1200; i++) /* 75 MiB */
		assert_int_equal(fwrite(zeros, sizeof zeros, 1, filler), 1);
	assert_int_equal(fclose(filler), 0);
	assert_true(wait_for_status(replica, FTS_RESOURCE_EXHAUSTED));
	assert_int_equal(get_call(replica, "a", 0, 5000, &before), FTS_OK); /* reads go on */
	assert_int_equal(unlink(path), 0);
	assert_true(wait_for_status(replica, FTS_OK));
	assert_int_equal(get_call(replica, "a", 0, 5000, &after), FTS_OK);
	assert_int_equal(after, before + 1);
	driver_stop(replica);
	assert_int_equal(umount(dir), 0);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sweep),
	    cmocka_unit_test(full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
