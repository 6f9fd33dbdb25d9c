/* Why this file exists: see rpc.h. One outstanding: blocking calls, as a program makes them. More: asynchronous
 * calls, each started from the callback of the one before, over --clients channels. Server and client are
 * separate processes. */
#include "bench/rpc.h"

#include "bench/measure.h"
#include "bench/process.h"

#include <fts/rpc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fts/bench/v1/echo.fts.h"

static void echo(struct fts_call *call, const Fts__Bench__V1__EchoRequest *request, void *ctx)
{
	(void)ctx;
	Fts__Bench__V1__EchoResponse response = FTS__BENCH__V1__ECHO_RESPONSE__INIT;
	response.sequence = request->sequence;
	response.sum = request->padding.len + request->number;
	fts_bench_echo_echo_reply(call, &response);
}

static void set_tls(struct fts_tls *tls, const char *dir, char paths[3][512])
{
	static const char *const names[3] = {"ca.pem", "cert.pem", "key.pem"};
	if (dir == NULL) return;
	for (int i = 0; i < 3; i++) snprintf(paths[i], 512, "%s/%s", dir, names[i]);
	*tls = (struct fts_tls){.ca_file = paths[0], .cert_file = paths[1], .key_file = paths[2]};
}

int bench_rpc_serve(const struct bench_options *options)
{
	static const struct fts_bench_echo_handlers handlers = {.echo = echo};
	struct fts_server_options server_options = {.listen = "127.0.0.1:0", .node = "bench"};
	char paths[3][512];
	struct fts_server *server = NULL;
	struct fts_error error;
	set_tls(&server_options.tls, options->tls_dir, paths);
	if (fts_server_create(&server_options, &server, &error) != FTS_OK ||
	    fts_bench_echo_register(server, &handlers, NULL, &error) != FTS_OK ||
	    fts_server_start(server, &error) != FTS_OK) {
		fprintf(stderr, "fts-bench: %s\n", error.detail);
		fts_server_destroy(server);
		return 1;
	}
	printf("%u\n", fts_server_port(server));
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0) continue;
	fts_server_destroy(server);
	return 0;
}

/* ---- The client ---- */

struct load {
	struct fts_channel *channel;
	uint64_t end_ns;
	atomic_uint running; /* chains of calls not yet ended */
	pthread_mutex_t lock;
	struct measure measure; /* guarded by lock */
};

struct chain {
	struct load *load;
	uint64_t sent_ns;
	struct fts_call_id id;
};

static const uint8_t padding_bytes[40];

static void fill_request(Fts__Bench__V1__EchoRequest *request, uint64_t sequence)
{
	fts__bench__v1__echo_request__init(request);
	request->sequence = sequence;
	request->first_name = (char *)"Santiago Lionel";
	request->last_name = (char *)"Lorca";
	request->document = (char *)"30904465";
	request->birthdate = (char *)"1999-03-17";
	request->number = 2201;
	request->padding.data = (uint8_t *)padding_bytes;
	request->padding.len = sizeof padding_bytes;
}

static void on_done(void *ctx, enum fts_status status, const Fts__Bench__V1__EchoResponse *response,
                    const struct fts_error *error);

static void chain_next(struct chain *chain)
{
	Fts__Bench__V1__EchoRequest request;
	fill_request(&request, chain->sent_ns);
	chain->sent_ns = measure_now_ns();
	if (chain->sent_ns < chain->load->end_ns &&
	    fts_bench_echo_echo_start(chain->load->channel, &request, NULL, on_done, chain, &chain->id) == FTS_OK)
		return;
	atomic_fetch_sub(&chain->load->running, 1);
}

static void on_done(void *ctx, enum fts_status status, const Fts__Bench__V1__EchoResponse *response,
                    const struct fts_error *error)
{
	(void)response, (void)error;
	struct chain *chain = ctx;
	uint64_t latency_ns = measure_now_ns() - chain->sent_ns;
	pthread_mutex_lock(&chain->load->lock);
	if (status == FTS_OK)
		measure_add(&chain->load->measure, latency_ns);
	else
		chain->load->measure.error_count++;
	pthread_mutex_unlock(&chain->load->lock);
	chain_next(chain);
}

static void run_blocking(struct load *load)
{
	for (uint64_t sequence = 0, now; (now = measure_now_ns()) < load->end_ns; sequence++) {
		Fts__Bench__V1__EchoRequest request;
		Fts__Bench__V1__EchoResponse *response = NULL;
		fill_request(&request, sequence);
		if (fts_bench_echo_echo(load->channel, &request, NULL, &response, NULL) == FTS_OK)
			measure_add(&load->measure, measure_now_ns() - now);
		else
			load->measure.error_count++;
		fts__bench__v1__echo_response__free_unpacked(response, NULL);
	}
}

/* Returns false when a channel can't be opened. */
static bool run(const struct bench_options *options, const char *endpoint, struct measure *out_measure)
{
	struct load *loads = calloc(options->clients, sizeof *loads);
	struct chain *chains = calloc(options->outstanding, sizeof *chains);
	struct fts_channel_options channel_options = {.endpoints = endpoint};
	char paths[3][512];
	struct fts_error error;
	bool ok = loads != NULL && chains != NULL;
	set_tls(&channel_options.tls, options->tls_dir, paths);
	for (uint32_t i = 0; ok && i < options->clients; i++) {
		pthread_mutex_init(&loads[i].lock, NULL);
		ok = fts_channel_open(&channel_options, &loads[i].channel, &error) == FTS_OK;
		loads[i].end_ns = measure_now_ns() + options->seconds * 1000000000ull;
		if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	}
	if (ok && options->outstanding == 1) {
		run_blocking(&loads[0]);
	} else if (ok) {
		for (uint32_t i = 0; i < options->outstanding; i++) {
			chains[i].load = &loads[i % options->clients];
			atomic_fetch_add(&chains[i].load->running, 1);
			chain_next(&chains[i]);
		}
	}
	for (uint32_t i = 0; ok && i < options->clients; i++) {
		while (atomic_load(&loads[i].running) > 0) usleep(1000);
		measure_merge(out_measure, &loads[i].measure);
	}
	for (uint32_t i = 0; loads != NULL && i < options->clients; i++) fts_channel_close(loads[i].channel);
	free(chains);
	free(loads);
	return ok;
}

int bench_rpc(const struct bench_options *options)
{
	struct bench_process server = {0};
	char endpoint[64];
	const char *args[] = {"rpc-serve", options->tls_dir ? "--tls-dir" : NULL, options->tls_dir, NULL};
	if (options->endpoints == NULL && !bench_process_start(&server, "fts-bench", args)) return 1;
	snprintf(endpoint, sizeof endpoint, "%s:%u", options->tls_dir ? "localhost" : "127.0.0.1", server.port);
	struct measure measure = {0};
	double cpu_before_s = measure_cpu_s(server.pid);
	bool ok = run(options, options->endpoints ? options->endpoints : endpoint, &measure);
	double cpu_s = measure_cpu_s(server.pid) - cpu_before_s;
	bench_process_stop(&server);
	if (ok) measure_print(&measure, "fts", options->seconds, cpu_s, options->json);
	return ok && measure.error_count == 0 ? 0 : 1;
}
