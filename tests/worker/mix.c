/* Why this file exists: callers, workers and nodes that die and stall at random, and what must hold all the same:
 *  - no ticket is used twice, nor any run of a ticket for several; no request runs twice;
 *  - a call that was answered ran once; executed YES ran, executed NO did not;
 *  - no call takes longer than it may;
 *  - afterwards every worker is there again and free, and everybody is answered.
 *
 *   worker_mix SECONDS [SEED] */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "base/clock.h"
#include "tests/harness/cluster.h"

enum { WORKER_COUNT = 4, CALLER_COUNT = 12, CAPACITY = 2, CALL_MAX = 200000, CALL_MS = 12000, WAIT_MS = 6000 };
enum { MARGIN_MS = 20000, SETTLE_MS = 40000, STEP_MAX_MS = 400, PAUSE_MAX_MS = 2500 };

/* What a caller was told of a request. */
enum told { OPEN, ANSWERED, SAID_YES, SAID_NO, SAID_UNKNOWN };

static struct {
	struct harness_cluster cluster;
	struct harness_process workers[WORKER_COUNT];
	bool worker_paused[WORKER_COUNT];
	char dir[HARNESS_PATH_MAX], log_path[HARNESS_PATH_MAX + 8];
	uint64_t random;
	atomic_uint next_call;
	atomic_bool stop;
	atomic_uchar told[CALL_MAX];
	atomic_uchar ran[CALL_MAX];
	atomic_uint late_count;
	uint32_t counts[SAID_UNKNOWN + 1];
} mix;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016). */
static uint32_t pick(uint64_t *random, uint32_t below)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return (uint32_t)((*random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static void pause_ms(uint32_t ms)
{
	(void)poll(NULL, 0, (int)ms);
}

/* ---- Callers ---- */

static enum told ask(struct fts_caller *caller, uint32_t id, uint32_t run_ms)
{
	const struct fts_caller_call terms = {.timeout_ms = CALL_MS, .wait_ms = WAIT_MS};
	struct fts_outcome outcome;
	struct fts_error error = {0};
	char text[32], answer[32];
	int length = snprintf(text, sizeof text, "%u %u", id, run_ms);
	uint64_t begun_ns = fts_clock_monotonic_ns();
	enum fts_status status = fts_caller_call(caller, "mix", (struct fts_bytes){(uint8_t *)text, (size_t)length},
						 &terms, &outcome, &error);
	if (fts_clock_monotonic_ns() - begun_ns > (CALL_MS + MARGIN_MS) * UINT64_C(1000000))
		atomic_fetch_add(&mix.late_count, 1);
	(void)snprintf(answer, sizeof answer, "%u", id);
	bool mine = status == FTS_OK && strcmp((const char *)outcome.output, answer) == 0;
	fts_outcome_fini(&outcome);
	if (status == FTS_OK) {
		assert_true(mine); /* somebody else's answer */
		return ANSWERED;
	}
	if (error.executed == FTS_EXECUTED_YES) return SAID_YES;
	return error.executed == FTS_EXECUTED_NO ? SAID_NO : SAID_UNKNOWN;
}

static void *call_again(void *ctx)
{
	static const uint32_t batches[3] = {0, 1, 7}; /* runs of a ticket; 0: as libfts thinks best */
	uint64_t random = (uint64_t)(uintptr_t)ctx * UINT64_C(0x9e3779b97f4a7c15) + 1;
	const struct fts_channel_options servers = {.endpoints = mix.cluster.endpoints};
	struct fts_channel *channel = NULL;
	struct fts_caller *caller = NULL;
	struct fts_error error;
	assert_int_equal(fts_channel_open(&servers, &channel, &error), FTS_OK);
	const struct fts_caller_options options = {.batch_runs = batches[(uintptr_t)ctx % 3]};
	assert_int_equal(fts_caller_open(channel, &options, &caller, &error), FTS_OK);
	while (!atomic_load(&mix.stop)) {
		uint32_t id = atomic_fetch_add(&mix.next_call, 1);
		if (id >= CALL_MAX) break;
		static const uint32_t longest_ms[10] = {1500, 60, 60, 60, 60, 60, 60, 3, 3, 3}; /* slow, but moving */
		uint32_t run_ms = pick(&random, longest_ms[pick(&random, 10)]);
		atomic_store(&mix.told[id], (unsigned char)ask(caller, id, run_ms));
		if (pick(&random, 4) == 0) pause_ms(pick(&random, 50));
	}
	fts_caller_close(caller);
	fts_channel_close(channel);
	return NULL;
}

/* ---- Faults ---- */

static void start_worker(size_t worker)
{
	char label[16], capacity[8];
	(void)snprintf(label, sizeof label, "w%zu", worker);
	(void)snprintf(capacity, sizeof capacity, "%d", CAPACITY);
	const char *argv[] = {"work_log", mix.log_path, mix.cluster.endpoints, "mix", capacity, NULL};
	harness_process_start(&mix.workers[worker], mix.dir, label, argv);
}

static void hurt_worker(void)
{
	size_t worker = pick(&mix.random, WORKER_COUNT);
	struct harness_process *process = &mix.workers[worker];
	switch (pick(&mix.random, 3)) {
	case 0:
		harness_process_kill(process);
		start_worker(worker);
		break;
	case 1:
		harness_process_signal(process, SIGSTOP);
		pause_ms(pick(&mix.random, PAUSE_MAX_MS));
		harness_process_signal(process, SIGCONT);
		break;
	default:
		harness_process_signal(process, SIGTERM);
		(void)harness_process_wait(process, 20000);
		harness_process_kill(process);
		start_worker(worker);
		break;
	}
}

static void hurt_leader(void)
{
	size_t leader = harness_cluster_wait_leader(&mix.cluster, HARNESS_NOBODY, 30000);
	if (pick(&mix.random, 2) == 0) {
		harness_cluster_kill(&mix.cluster, leader);
		pause_ms(pick(&mix.random, STEP_MAX_MS));
		harness_cluster_restart(&mix.cluster, leader);
	} else {
		harness_cluster_pause(&mix.cluster, leader);
		pause_ms(pick(&mix.random, PAUSE_MAX_MS));
		harness_cluster_resume(&mix.cluster, leader);
	}
}

static void hurt(uint32_t seconds)
{
	uint64_t until_ns = fts_clock_monotonic_ns() + seconds * UINT64_C(1000000000);
	while (fts_clock_monotonic_ns() < until_ns) {
		pause_ms(pick(&mix.random, STEP_MAX_MS));
		if (pick(&mix.random, 4) == 0)
			hurt_leader();
		else
			hurt_worker();
	}
}

/* ---- Afterwards ---- */

/* All workers are there, free, and nobody waits. */
static bool is_calm(struct fts_channel *channel)
{
	Fts__Dispatch__V1__ListRequest request = FTS__DISPATCH__V1__LIST_REQUEST__INIT;
	Fts__Dispatch__V1__ListResponse *response = NULL;
	struct fts_error error;
	uint32_t free_count = 0;
	bool calm = true;
	if (fts_dispatch_list(channel, &request, NULL, &response, &error) != FTS_OK) return false;
	for (size_t i = 0; i < response->n_workers; i++) {
		const Fts__Dispatch__V1__WorkerInfo *info = response->workers[i];
		bool free_now = info->state == FTS__DISPATCH__V1__WORKER_STATE__FREE && info->running == 0;
		calm = calm && free_now && info->in_line == 0;
		free_count += info->capacity;
	}
	fts__dispatch__v1__list_response__free_unpacked(response, NULL);
	return calm && free_count == WORKER_COUNT * CAPACITY;
}

static void check_calm(void)
{
	const struct fts_channel_options servers = {.endpoints = mix.cluster.endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error;
	uint64_t until_ns = fts_clock_monotonic_ns() + SETTLE_MS * UINT64_C(1000000);
	assert_int_equal(fts_channel_open(&servers, &channel, &error), FTS_OK);
	bool calm;
	while (!(calm = is_calm(channel)) && fts_clock_monotonic_ns() < until_ns)
		pause_ms(50);
	fts_channel_close(channel);
	if (calm) return;
	const char *argv[] = {"fts-cli", "worker", "list", "--endpoints", mix.cluster.endpoints, NULL};
	char *shown = NULL;
	(void)harness_run(argv, 10000, &shown, NULL);
	for (size_t i = 0; i < WORKER_COUNT; i++)
		print_message("worker %zu, process %d, %s: %s", i, (int)mix.workers[i].pid,
			      harness_process_running(&mix.workers[i]) ? "runs" : "has ended",
			      harness_process_stderr(&mix.workers[i]));
	fail_msg("after %d ms not all workers are free again:\n%s", SETTLE_MS, shown);
}

/* Every line of the workers' log: a ticket with its run, and a request, each for the first time. */
static void check_log(void)
{
	size_t size_bytes, count = 0;
	char *text = harness_file_read(mix.log_path, &size_bytes), *at = text, *end;
	uint64_t *tickets = calloc(CALL_MAX, sizeof *tickets);
	assert_non_null(text);
	assert_non_null(tickets);
	for (; *at != 0 && count < CALL_MAX; at = end + 1) {
		uint64_t ticket = strtoull(at, &end, 10), run = strtoull(end, &end, 10);
		tickets[count] = ticket << 10 | run; /* at most 1,000 of them */
		unsigned long id = strtoul(end, &end, 10);
		assert_true(*end == '\n' && id < CALL_MAX);
		if (atomic_fetch_add(&mix.ran[id], 1) != 0) fail_msg("request %lu ran twice", id);
		count++;
	}
	for (size_t i = 0; i < count; i++) /* numbers grow, but for places in line: near each other at worst */
		for (size_t k = i + 1; k < count && k < i + 2000; k++)
			if (tickets[i] == tickets[k])
				fail_msg("run %" PRIu64 " of ticket %" PRIu64 " was used twice", tickets[i] & 1023,
					 tickets[i] >> 10);
	free(tickets);
	free(text);
}

static void check_told(void)
{
	uint32_t call_count = atomic_load(&mix.next_call);
	for (uint32_t id = 0; id < call_count && id < CALL_MAX; id++) {
		enum told told = (enum told)atomic_load(&mix.told[id]);
		bool ran = atomic_load(&mix.ran[id]) != 0;
		mix.counts[told]++;
		if ((told == ANSWERED || told == SAID_YES) && !ran)
			fail_msg("request %u: told that it ran, it did not", id);
		if (told == SAID_NO && ran) fail_msg("request %u: told that it did not run, it did", id);
	}
	assert_int_equal(atomic_load(&mix.late_count), 0);
	assert_int_equal(mix.counts[OPEN], 0);
	assert_true(mix.counts[ANSWERED] > 0);
	print_message("calls: %u answered, %u failed having run, %u not run, %u not known\n", mix.counts[ANSWERED],
		      mix.counts[SAID_YES], mix.counts[SAID_NO], mix.counts[SAID_UNKNOWN]);
}

static uint32_t mix_seconds;

static void nothing_runs_twice_and_nobody_is_lost(void **state)
{
	pthread_t callers[CALLER_COUNT];
	(void)state;
	harness_directory_make(mix.dir);
	(void)snprintf(mix.log_path, sizeof mix.log_path, "%s/log", mix.dir);
	harness_cluster_init(&mix.cluster, 3);
	harness_cluster_start(&mix.cluster);
	for (size_t i = 0; i < WORKER_COUNT; i++)
		start_worker(i);
	for (size_t i = 0; i < CALLER_COUNT; i++)
		assert_int_equal(pthread_create(&callers[i], NULL, call_again, (void *)(uintptr_t)(i + mix.random)), 0);
	hurt(mix_seconds);
	atomic_store(&mix.stop, true);
	for (size_t i = 0; i < CALLER_COUNT; i++)
		pthread_join(callers[i], NULL);
	check_calm();
	for (size_t i = 0; i < WORKER_COUNT; i++)
		harness_process_kill(&mix.workers[i]);
	check_log();
	check_told();
	harness_cluster_fini(&mix.cluster);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_runs_twice_and_nobody_is_lost)};
	mix_seconds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 8;
	mix.random = argc > 2 && argv[2][0] != 0 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
	if (mix.random == 0) mix.random = 1;
	print_message("worker_mix %u %" PRIu64 "\n", mix_seconds, mix.random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
