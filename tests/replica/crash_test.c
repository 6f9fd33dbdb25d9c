/* Why this file exists: exactly once, whatever happens to the process or the machine. A child answers clients from
 * its replica until it is killed with -9 at some moment; what was answered must be there afterwards, and each call
 * that was not is tried again under its identity. Client c adds 1 to its own counter, so the answer to its call number
 * n must be n: less means that something answered was lost, more that something ran twice.
 *
 * The second case also throws away all that was not synced, each time. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "driver.h"
#include "powerloss.h"

enum { CLIENTS = 8, KILLS = 50, LOG_BYTES = 48 * 1024, WRONG_ANSWER = 3, DEADLINE_S = 60 };

struct shared {
	atomic_ulong acked[CLIENTS];
	atomic_ulong total;
};

static void answer_clients(struct fts_replica *replica, struct shared *shared)
{
	struct add_result results[CLIENTS];
	char names[CLIENTS][16];
	for (uint64_t i = 0; i < CLIENTS; i++) {
		uint64_t sequence = atomic_load(&shared->acked[i]) + 1;
		struct add add = {.name = names[i],
				  .delta = 1,
				  .client_id = 100 + i,
				  .sequence = sequence,
				  .lowest_unanswered = sequence,
				  .ballast_bytes = 200,
				  .events = 1};
		(void)snprintf(names[i], sizeof names[i], "client%llu", (unsigned long long)i);
		if (add_start(replica, &add, &results[i]) != FTS_OK) _exit(4);
	}
	for (uint64_t i = 0; i < CLIENTS; i++) {
		add_wait(&results[i]);
		if (results[i].status != FTS_OK) _exit(5);
		if (results[i].value != (int64_t)atomic_load(&shared->acked[i]) + 1) _exit(WRONG_ANSWER);
		atomic_fetch_add(&shared->acked[i], 1);
		atomic_fetch_add(&shared->total, 1);
	}
}

static void be_child(const char *dir, const char *side, struct shared *shared)
{
	struct driver_options options = {.dir = dir, .log_bytes_before_snapshot = LOG_BYTES};
	struct fts_replica *replica;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (side != NULL) powerloss_watch(dir, side);
	replica = driver_ready(&options);
	for (;;)
		answer_clients(replica, shared);
}

static pid_t start_child(const char *dir, const char *side, struct shared *shared)
{
	pid_t child;
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) be_child(dir, side, shared);
	return child;
}

/* Until `more` further answers were given; a child that ends by itself fails the test. */
static void wait_for_answers(pid_t child, struct shared *shared, unsigned long more)
{
	unsigned long goal = atomic_load(&shared->total) + more;
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), DEADLINE_S * 1000);
	while (atomic_load(&shared->total) < goal) {
		int status = 0;
		struct timespec pause = {0, 200000};
		if (waitpid(child, &status, WNOHANG) == child)
			fail_msg("the child ended by itself: %x (exit 3: a wrong answer)", (unsigned)status);
		assert_true(fts_clock_monotonic_ns() < deadline_ns);
		(void)nanosleep(&pause, NULL);
	}
}

static void check_all(const char *dir, struct shared *shared)
{
	pid_t child = fork();
	int status = 0;
	assert_true(child >= 0);
	if (child == 0) {
		struct driver_options options = {.dir = dir};
		struct fts_replica *replica = driver_ready(&options);
		for (unsigned i = 0; i < CLIENTS; i++) {
			char name[16];
			int64_t value = -1, acked = (int64_t)atomic_load(&shared->acked[i]);
			(void)snprintf(name, sizeof name, "client%u", i);
			if (get_call(replica, name, 0, 5000, &value) != FTS_OK || value < acked || value > acked + 1)
				_exit(WRONG_ANSWER);
		}
		driver_stop(replica);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static struct shared *share(void)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	return shared;
}

static void kill_and_reap(pid_t child)
{
	int status;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static void kills(void **state)
{
	char *dir = make_dir();
	struct shared *shared = share();
	unsigned seed = 7;
	(void)state;
	for (int i = 0; i < KILLS; i++) {
		pid_t child = start_child(dir, NULL, shared);
		wait_for_answers(child, shared, (unsigned long)(rand_r(&seed) % 400));
		kill_and_reap(child);
	}
	check_all(dir, shared);
	print_message("%lu calls over %d kills\n", atomic_load(&shared->total), KILLS);
	(void)munmap(shared, sizeof *shared);
	remove_dir(dir);
}

static void power_losses(void **state)
{
	char *dir = make_dir();
	struct shared *shared = share();
	unsigned seed = 11;
	unsigned long syncs = 0;
	(void)state;
	for (int i = 0; i < KILLS / 2; i++) {
		char *side = make_dir();
		pid_t child = start_child(dir, side, shared);
		wait_for_answers(child, shared, (unsigned long)(rand_r(&seed) % 400));
		kill_and_reap(child);
		syncs += powerloss_strike(dir, side);
		remove_dir(side);
	}
	check_all(dir, shared);
	print_message("%lu calls over %d losses of power, %lu syncs\n", atomic_load(&shared->total), KILLS / 2, syncs);
	assert_true(syncs >= atomic_load(&shared->total) / CLIENTS); /* the replaced fsync was really the one called */
	(void)munmap(shared, sizeof *shared);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kills),
	    cmocka_unit_test(power_losses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
