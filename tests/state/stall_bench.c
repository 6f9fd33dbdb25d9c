/* Why this file exists: how long a copy of a large state keeps the loop from its work. Not a test: a figure.
 *
 * A state of N MiB is made, a node started on it, and one client writes as fast as it is answered, first alone, then
 * while the state is copied again and again. Prints the longest time between two answers of both. Usage: state_stall
 * MiB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/directory.h"
#include "driver.h"
#include "store/key.h"

enum { VALUE_BYTES = 4096, BATCH = 256, SECONDS = 5 };

static void fill(const char *dir, unsigned long mib)
{
	const struct fts_store_options options = {.create_if_missing = true};
	static uint8_t value[VALUE_BYTES];
	char path[600];
	struct fts_store *store = NULL;
	struct fts_error error;
	uint32_t random = 1;
	(void)snprintf(path, sizeof path, "%s/state", dir);
	assert_int_equal(fts_store_open(path, &options, &store, &error), FTS_OK);
	for (unsigned long i = 0; i < mib * (1024 * 1024 / VALUE_BYTES / BATCH); i++) {
		struct fts_txn *txn = NULL;
		assert_int_equal(fts_txn_begin(store, &txn), FTS_OK);
		for (unsigned long j = 0; j < BATCH; j++) {
			struct fts_key key;
			for (size_t at = 0; at < sizeof value; at += 4) {
				random = random * 1664525u + 1013904223u;
				memcpy(value + at, &random, 4);
			}
			fts_key_begin(&key, FTS_TABLE_DISPATCH + 1);
			fts_key_u64(&key, i * BATCH + j);
			assert_int_equal(fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){value, sizeof value}),
					 FTS_OK);
		}
		assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	}
	assert_int_equal(fts_store_flush(store), FTS_OK);
	fts_store_close(store);
}

struct copier {
	struct fts_replica *replica;
	const char *dir;
	atomic_bool stop;
	unsigned long count;
	uint64_t longest_ns;
};

static void *copy_again_and_again(void *data)
{
	struct copier *copier = data;
	while (!atomic_load(&copier->stop)) {
		char path[600];
		uint64_t index, began_ns = fts_clock_monotonic_ns(), took_ns;
		struct fts_error error;
		(void)snprintf(path, sizeof path, "%s/copy", copier->dir);
		if (fts_replica_copy_state(copier->replica, path, &index, &error) != FTS_OK) abort();
		took_ns = fts_clock_monotonic_ns() - began_ns;
		if (took_ns > copier->longest_ns) copier->longest_ns = took_ns;
		copier->count++;
		if (fts_directory_remove(path) != 0) abort();
	}
	return NULL;
}

struct writer {
	struct fts_replica *replica;
	atomic_bool stop;
	unsigned long count;
};

static void *write_on(void *data)
{
	struct writer *writer = data;
	static uint64_t sequence;
	while (!atomic_load(&writer->stop)) {
		struct add_result result;
		struct add add = {.name = "a", .delta = 1, .client_id = 5};
		add.sequence = add.lowest_unanswered = ++sequence;
		if (add_call(writer->replica, &add, &result) != FTS_OK) abort();
		writer->count++;
	}
	return NULL;
}

/* How long the loop takes until it looks at what was posted. */
struct probe {
	struct ftsi_post post; /* first */
	uint64_t ran_ns;
	sem_t ran;
};

static void run_probe(struct fts_replica *replica, struct ftsi_post *post)
{
	struct probe *probe = (struct probe *)(void *)post;
	(void)replica;
	probe->ran_ns = fts_clock_monotonic_ns();
	(void)sem_post(&probe->ran);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec at = {0};
	(void)clock_gettime(clock, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

/* Lateness by the clock on the wall has the machine's other work in it; that by the loop's own CPU time has not. */
static void measure(struct fts_replica *replica, const char *what)
{
	uint64_t end_ns = fts_clock_monotonic_ns() + SECONDS * 1000000000ull, longest_ns = 0, busiest_ns = 0;
	unsigned long late = 0, count = 0;
	struct writer writer = {.replica = replica};
	clockid_t loop_clock;
	pthread_t thread;
	if (pthread_getcpuclockid(replica->thread, &loop_clock) != 0) abort();
	if (pthread_create(&thread, NULL, write_on, &writer) != 0) abort();
	for (; fts_clock_monotonic_ns() < end_ns; count++) {
		const struct timespec pause = {0, 500000};
		struct probe probe = {.post.run = run_probe};
		uint64_t began_ns = fts_clock_monotonic_ns(), worked_ns = clock_ns(loop_clock);
		(void)sem_init(&probe.ran, 0, 0);
		if (!ftsi_mailbox_post(&replica->mailbox, &probe.post)) abort();
		(void)sem_wait(&probe.ran);
		if (probe.ran_ns - began_ns > longest_ns) longest_ns = probe.ran_ns - began_ns;
		if (clock_ns(loop_clock) - worked_ns > busiest_ns) busiest_ns = clock_ns(loop_clock) - worked_ns;
		late += probe.ran_ns - began_ns > 5000000;
		(void)nanosleep(&pause, NULL);
	}
	atomic_store(&writer.stop, true);
	(void)pthread_join(thread, NULL);
	print_message(
	    "%-8s %lu commands meanwhile; the loop was asked %lu times, was late by %.2f ms at most, %lu times by "
	    "more than 5 ms; of its own time it used %.2f ms at most before it looked\n",
	    what, writer.count, count, (double)longest_ns / 1e6, late, (double)busiest_ns / 1e6);
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 256;
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica;
	struct copier copier = {.dir = dir};
	pthread_t thread;
	fill(dir, mib);
	replica = driver_ready(&options);
	copier.replica = replica;
	measure(replica, "alone");
	if (pthread_create(&thread, NULL, copy_again_and_again, &copier) != 0) return 1;
	measure(replica, "copied");
	atomic_store(&copier.stop, true);
	(void)pthread_join(thread, NULL);
	print_message("%lu copies of %lu MiB, longest %.1f ms\n", copier.count, mib, (double)copier.longest_ns / 1e6);
	measure(replica, "alone");
	driver_stop(replica);
	remove_dir(dir);
	return 0;
}
