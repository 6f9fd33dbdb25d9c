/* Why this file exists: see worker.h. Nodes, workers and callers are separate processes; a caller is a thread that
 * makes blocking calls, as a program does. Payload: 100 bytes there, 20 back, as gearman's peer. */
#include "bench/worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fts/worker.h>

#include "bench/measure.h"
#include "bench/node.h"
#include "bench/process.h"

enum { REQUEST_BYTES = 100, ANSWER_BYTES = 20, WORKER_MAX = 64, WAIT_MS = 10000 };

/* ---- The workers' process ---- */

static void work(void *ctx, struct fts_work *work)
{
	static const uint8_t answer[ANSWER_BYTES] = "done";
	(void)ctx;
	fts_work_answer(work, (struct fts_bytes){answer, sizeof answer}, 0);
}

int bench_worker_serve(const struct bench_options *options)
{
	const struct fts_channel_options servers = {.endpoints = options->endpoints, .learn_members = true};
	const struct fts_worker_options offer = {
	    .name = "bench", .capacity = options->outstanding, .begins_only = true, .run = work};
	struct fts_worker *workers[WORKER_MAX] = {NULL};
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};
	bool ok = fts_channel_open(&servers, &channel, &error) == FTS_OK;
	for (uint32_t i = 0; ok && i < options->clients && i < WORKER_MAX; i++)
		ok = fts_worker_start(channel, &offer, &workers[i], &error) == FTS_OK;
	if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	if (ok) printf("1\n"); /* workers have ports of their own: any number says that they are there */
	fflush(stdout);
	char byte;
	while (ok && read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	for (uint32_t i = 0; i < WORKER_MAX; i++)
		(void)fts_worker_stop(workers[i], 1000);
	fts_channel_close(channel);
	return ok ? 0 : 1;
}

/* ---- One after the other ---- */

static const uint8_t request_bytes[REQUEST_BYTES] = "do";

static bool run_blocking(const struct bench_options *options, struct fts_channel *channel, struct measure *out_measure)
{
	const struct fts_caller_options terms = {.batch_runs = options->batch};
	const struct fts_caller_call limits = {.timeout_ms = WAIT_MS, .wait_ms = WAIT_MS};
	struct fts_caller *caller = NULL;
	struct fts_error error;
	uint64_t end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	if (fts_caller_open(channel, &terms, &caller, &error) != FTS_OK) return false;
	for (uint64_t now; (now = measure_now_ns()) < end_ns;) {
		struct fts_outcome outcome;
		if (fts_caller_call(caller, "bench", (struct fts_bytes){request_bytes, sizeof request_bytes}, &limits,
				    &outcome, &error) == FTS_OK)
			measure_add(out_measure, measure_now_ns() - now);
		else
			out_measure->error_count++;
		fts_outcome_fini(&outcome);
	}
	fts_caller_close(caller);
	return true;
}

/* ---- Many at once ---- */

struct load {
	struct fts_caller *caller;
	uint64_t end_ns;
	atomic_uint running; /* chains that have not ended */
};

/* Calls of which each is begun when the one before has ended. */
struct chain {
	struct load *load;
	uint64_t sent_ns;
	struct measure measure;
};

static void call_next(struct chain *chain);

static void on_called(void *ctx, enum fts_status status, struct fts_outcome *outcome, const struct fts_error *error)
{
	struct chain *chain = ctx;
	uint64_t now_ns = measure_now_ns();
	(void)outcome;
	if (status == FTS_OK) {
		measure_add(&chain->measure, now_ns - chain->sent_ns);
	} else {
		if (chain->measure.error_count++ == 0) fprintf(stderr, "fts-bench: %s\n", error->detail);
	}
	if (now_ns >= chain->load->end_ns)
		atomic_fetch_sub(&chain->load->running, 1);
	else
		call_next(chain);
}

static void call_next(struct chain *chain)
{
	static const struct fts_caller_call limits = {.timeout_ms = WAIT_MS, .wait_ms = WAIT_MS};
	struct fts_error error;
	chain->sent_ns = measure_now_ns();
	if (fts_caller_start(chain->load->caller, "bench", (struct fts_bytes){request_bytes, sizeof request_bytes},
			     &limits, on_called, chain, &error) == FTS_OK)
		return;
	chain->measure.error_count++;
	atomic_fetch_sub(&chain->load->running, 1);
}

static bool run_many(const struct bench_options *options, struct fts_channel *channel, struct measure *out_measure)
{
	static struct load load;
	const struct fts_caller_options terms = {.batch_runs = options->batch};
	struct chain *chains = calloc(options->outstanding, sizeof *chains);
	bool ok = chains != NULL && fts_caller_open(channel, &terms, &load.caller, NULL) == FTS_OK;
	load.end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	atomic_store(&load.running, ok ? options->outstanding : 0);
	for (uint32_t i = 0; ok && i < options->outstanding; i++) {
		chains[i].load = &load;
		call_next(&chains[i]);
	}
	while (atomic_load(&load.running) > 0)
		usleep(1000);
	for (uint32_t i = 0; ok && i < options->outstanding; i++)
		measure_merge(out_measure, &chains[i].measure);
	fts_caller_close(load.caller);
	free(chains);
	return ok;
}

static bool run(const struct bench_options *options, const char *endpoints, struct measure *out_measure)
{
	const struct fts_channel_options servers = {.endpoints = endpoints, .learn_members = true};
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};
	bool ok = fts_channel_open(&servers, &channel, &error) == FTS_OK;
	if (ok && options->outstanding == 1)
		ok = run_blocking(options, channel, out_measure);
	else if (ok)
		ok = run_many(options, channel, out_measure);
	if (!ok)
		fprintf(stderr, "fts-bench: %s\n", error.detail[0] == 0 ? "the workers can't be called" : error.detail);
	fts_channel_close(channel);
	return ok;
}

int bench_worker(const struct bench_options *options)
{
	struct bench_node node = {0};
	struct bench_process workers = {0};
	struct measure measure = {0};
	char outstanding[16], clients[16];
	if (options->endpoints == NULL && !bench_node_start(&node)) return 1;
	const char *endpoints = options->endpoints == NULL ? node.endpoint : options->endpoints;
	(void)snprintf(outstanding, sizeof outstanding, "%u", options->outstanding);
	(void)snprintf(clients, sizeof clients, "%u", options->clients);
	const char *args[] = {"worker-serve", "--endpoints", endpoints, "--outstanding",
			      outstanding,    "--clients",   clients,   NULL};
	bool ok = bench_process_start(&workers, "fts-bench", args);
	double cpu_before_s = measure_cpu_s(workers.pid);
	ok = ok && run(options, endpoints, &measure);
	double cpu_s = measure_cpu_s(workers.pid) - cpu_before_s;
	bench_process_stop(&workers);
	if (node.pid != 0) bench_node_stop(&node);
	if (ok) measure_print(&measure, "fts", options->seconds, cpu_s, options->json);
	return ok && measure.error_count == 0 ? 0 : 1;
}
