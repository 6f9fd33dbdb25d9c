/* Why this file exists: see worker.h. Nodes, workers and callers are separate processes; a caller is a thread that
 * makes blocking calls, as a program does. Payload: 100 bytes there, 20 back, as gearman's peer. */
#include "bench/worker.h"

#include <pthread.h>
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

/* ---- The callers' ---- */

struct load {
	struct fts_caller *caller;
	uint64_t end_ns;
	struct measure measure;
	pthread_t thread;
	bool runs;
};

static void *call_again(void *ctx)
{
	static const uint8_t request[REQUEST_BYTES] = "do";
	const struct fts_caller_call terms = {.timeout_ms = WAIT_MS, .wait_ms = WAIT_MS};
	struct load *load = ctx;
	for (uint64_t now; (now = measure_now_ns()) < load->end_ns;) {
		struct fts_outcome outcome;
		struct fts_error error;
		enum fts_status status = fts_caller_call(
		    load->caller, "bench", (struct fts_bytes){request, sizeof request}, &terms, &outcome, &error);
		if (status == FTS_OK)
			measure_add(&load->measure, measure_now_ns() - now);
		else if (load->measure.error_count++ == 0)
			fprintf(stderr, "fts-bench: %s\n", error.detail);
		fts_outcome_fini(&outcome);
	}
	return NULL;
}

static bool run(const struct bench_options *options, const char *endpoints, struct measure *out_measure)
{
	const struct fts_channel_options servers = {.endpoints = endpoints, .learn_members = true};
	const struct fts_caller_options terms = {.batch_runs = options->batch};
	struct load *loads = calloc(options->outstanding, sizeof *loads);
	struct fts_channel *channel = NULL;
	struct fts_caller *caller = NULL;
	struct fts_error error = {0};
	bool ok = loads != NULL && fts_channel_open(&servers, &channel, &error) == FTS_OK &&
		  fts_caller_open(channel, &terms, &caller, &error) == FTS_OK;
	for (uint32_t i = 0; ok && i < options->outstanding; i++) {
		loads[i].caller = caller;
		loads[i].end_ns = measure_now_ns() + options->seconds * 1000000000ull;
		loads[i].runs = pthread_create(&loads[i].thread, NULL, call_again, &loads[i]) == 0;
	}
	if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	for (uint32_t i = 0; ok && i < options->outstanding; i++) {
		if (loads[i].runs) pthread_join(loads[i].thread, NULL);
		measure_merge(out_measure, &loads[i].measure);
	}
	fts_caller_close(caller);
	fts_channel_close(channel);
	free(loads);
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
