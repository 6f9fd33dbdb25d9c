/* Why this file exists: the disk fails at the n-th access, n rising until none fails any more. Whatever n is: the
 * replica tells on_fatal once or refuses to start, answers nothing OK that is not there afterwards, stops, and starts
 * again with all that was answered. The same for the n-th write into a batch, for which there is no memory: that is
 * never an answer, as other nodes would give another one.
 *
 * The last case fills a small disk: commands are refused before it is full, and taken again when there is room. */
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
#include "store/overlay.h"

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

/* ---- No memory for a write into a batch (linked with --wrap) ---- */

static struct fault *memory_fault; /* NULL: there is enough */

/* Once: a moment later there is enough again, and nothing else tells of it. */
static bool has_memory(void)
{
	if (memory_fault == NULL || atomic_fetch_sub(&memory_fault->left, 1) != 0) return true;
	atomic_store(&memory_fault->fired, true);
	return false;
}

bool __real_ftsi_overlay_put(struct ftsi_overlay *overlay, struct fts_bytes key, struct fts_bytes head,
			     struct fts_bytes tail);
bool __wrap_ftsi_overlay_put(struct ftsi_overlay *overlay, struct fts_bytes key, struct fts_bytes head,
			     struct fts_bytes tail);
bool __wrap_ftsi_overlay_put(struct ftsi_overlay *overlay, struct fts_bytes key, struct fts_bytes head,
			     struct fts_bytes tail)
{
	return has_memory() && __real_ftsi_overlay_put(overlay, key, head, tail);
}

/* ---- Sweeps ---- */

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
		enum fts_status status = add_call(replica, &add, &result);
		assert_int_not_equal(status, FTS_RESOURCE_EXHAUSTED); /* no caller has asked for too much */
		answered += status == FTS_OK;
	}
	driver_stop(replica);
	return answered;
}

static void sweep(void (*set)(struct fault *fault))
{
	long n = 0;
	bool fired = true;
	for (; fired; n++) {
		char *dir = make_dir();
		struct fault fault = {.left = n};
		struct fatal_seen fatal = {0};
		struct driver_options options = {.dir = dir};
		struct fts_replica *replica;
		int64_t answered, value = -1;
		set(&fault);
		answered = run_once(dir, &fatal);
		set(NULL);
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

static void set_disk_fault(struct fault *fault)
{
	ftsi_store_fault_set(fault == NULL ? NULL : fail_nth, fault);
}

static void failing_disk(void **state)
{
	(void)state;
	sweep(set_disk_fault);
}

static void set_memory_fault(struct fault *fault)
{
	memory_fault = fault;
}

static void no_memory(void **state)
{
	(void)state;
	sweep(set_memory_fault);
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
	    cmocka_unit_test(failing_disk),
	    cmocka_unit_test(no_memory),
	    cmocka_unit_test(full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
