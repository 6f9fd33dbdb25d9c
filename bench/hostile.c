/* Why this file exists: see hostile.h. Latencies of one run are compared with each other alone: the machine is the
 * same, and the honest callers alone, at the beginning and at the end, are the measure. */
#include "bench/hostile.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <fts/access/v1/access.fts.h>
#include <fts/kv/v1/kv.fts.h>

#include "bench/hostile_crowd.h"
#include "bench/measure.h"
#include "bench/node.h"
#include "credentials/token.h"

#define HONEST_MAX 16
#define SLOW_CALLS_PER_S 1000
#define PAUSE_NS 1000000 /* between two calls of one honest caller */
#define SETTLE_S 1       /* before a phase is measured */
#define RECOVER_S 2      /* behind one, without mischief */

static const char *const names[HOSTILE_KIND_COUNT] = {
    "alone",
    "1,000 silent connections",
    "1,000 half messages",
    "1,000 headers of 1 GiB",
    "garbage frames",
    "refused tokens",
    "reconnecting",
    "calls of one good token",
    "the same, 1,000/s allowed",
};

struct honest {
	pthread_t thread;
	struct fts_channel *channel;
	struct measure measure;
	atomic_int phase; /* -1: rest; otherwise: measure */
	atomic_bool stop;
};

struct phase {
	enum hostile_kind kind;
	struct measure measure;
	uint64_t done;
	double seconds, cpu_s;
	long grown_kb;
};

static struct bench_node node;
static struct honest honest[HONEST_MAX];
static uint32_t honest_count;
static char token[FTS_TOKEN_TEXT_BYTES], slow_token[FTS_TOKEN_TEXT_BYTES];

/* ---- The honest ---- */

static void *be_honest(void *ctx)
{
	struct honest *self = ctx;
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	request.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
	while (!atomic_load(&self->stop)) {
		Fts__Kv__V1__GetResponse *response = NULL;
		uint64_t began_ns = measure_now_ns();
		const struct fts_call_options options = {.timeout_ms = 30000};
		enum fts_status status = fts_kv_get(self->channel, &request, &options, &response, NULL);
		uint64_t took_ns = measure_now_ns() - began_ns;
		if (status == FTS_OK) fts__kv__v1__get_response__free_unpacked(response, NULL);
		if (atomic_load(&self->phase) >= 0) {
			measure_add(&self->measure, took_ns);
			if (status != FTS_OK) self->measure.error_count++;
		}
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static bool honest_start(void)
{
	struct fts_channel_options options = {.endpoints = node.endpoint,
					      .token = {(const uint8_t *)token, strlen(token)}};
	for (uint32_t i = 0; i < honest_count; i++) {
		atomic_init(&honest[i].phase, -1);
		if (fts_channel_open(&options, &honest[i].channel, NULL) != FTS_OK ||
		    pthread_create(&honest[i].thread, NULL, be_honest, &honest[i]) != 0)
			return false;
	}
	return true;
}

static void honest_stop(void)
{
	for (uint32_t i = 0; i < honest_count; i++) {
		atomic_store(&honest[i].stop, true);
		if (honest[i].channel == NULL) continue;
		pthread_join(honest[i].thread, NULL);
		fts_channel_close(honest[i].channel);
	}
}

/* ---- The node ---- */

static long resident_kb(void)
{
	char path[64], line[256];
	long kb = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/status", node.pid);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1) break;
	if (file != NULL) fclose(file);
	return kb;
}

/* Draw a token and make it known. */
static bool make_token(struct fts_channel *channel, char *out_text, uint32_t calls_per_s, struct fts_error *out_error)
{
	const struct fts_call_options call = {.timeout_ms = 10000, .token = {(const uint8_t *)token, strlen(token)}};
	uint8_t hash[FTS_TOKEN_HASH_BYTES];
	char id[FTS_TOKEN_ID_BYTES], text[FTS_TOKEN_TEXT_BYTES];
	Fts__Access__V1__MakeRequest make = FTS__ACCESS__V1__MAKE_REQUEST__INIT;
	Fts__Access__V1__MakeResponse *made = NULL;
	if (!fts_token_make(text) || !fts_token_id(text, strlen(text), id)) return false;
	fts_token_hash(text, strlen(text), hash);
	make.id = id;
	make.hash = (ProtobufCBinaryData){sizeof hash, hash};
	make.role = FTS__ACCESS__V1__ROLE__ADMIN;
	make.calls_per_s = calls_per_s;
	if (fts_access_make(channel, &make, &call, &made, out_error) != FTS_OK) return false;
	fts__access__v1__make_response__free_unpacked(made, NULL);
	memcpy(out_text, text, sizeof text);
	return true;
}

/* A key to read, and tokens without which nobody reads it. */
static bool prepare(struct fts_error *out_error)
{
	struct fts_channel *channel = NULL;
	const struct fts_channel_options options = {.endpoints = node.endpoint};
	const struct fts_call_options call = {.timeout_ms = 10000};
	Fts__Kv__V1__SetRequest set = FTS__KV__V1__SET_REQUEST__INIT;
	Fts__Kv__V1__SetResponse *was_set = NULL;
	set.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
	set.value = (ProtobufCBinaryData){1, (uint8_t *)"v"};
	if (fts_channel_open(&options, &channel, out_error) != FTS_OK) return false;
	bool done = fts_kv_set(channel, &set, &call, &was_set, out_error) == FTS_OK &&
		    make_token(channel, token, 0, out_error) &&
		    make_token(channel, slow_token, SLOW_CALLS_PER_S, out_error);
	if (was_set != NULL) fts__kv__v1__set_response__free_unpacked(was_set, NULL);
	fts_channel_close(channel);
	return done;
}

/* ---- Phases ---- */

static void rest(double seconds)
{
	const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
	nanosleep(&time, NULL);
}

static void measure_phase(struct phase *phase, uint32_t seconds, volatile uint64_t *done)
{
	double cpu_s = measure_cpu_s(node.pid) - measure_cpu_s(0);
	uint64_t began_ns = measure_now_ns(), before = *done;
	for (uint32_t i = 0; i < honest_count; i++) {
		memset(&honest[i].measure, 0, sizeof honest[i].measure);
		atomic_store(&honest[i].phase, 0);
	}
	rest(seconds);
	for (uint32_t i = 0; i < honest_count; i++)
		atomic_store(&honest[i].phase, -1);
	phase->seconds = (double)(measure_now_ns() - began_ns) / 1e9;
	phase->done = *done - before;
	phase->cpu_s = measure_cpu_s(node.pid) - measure_cpu_s(0) - cpu_s;
	rest(0.05); /* the last call of each has come to its end */
	for (uint32_t i = 0; i < honest_count; i++)
		measure_merge(&phase->measure, &honest[i].measure);
}

static void run_phase(struct phase *phase, const struct hostile_target *target, uint32_t seconds,
		      volatile uint64_t *done)
{
	long before_kb = resident_kb();
	int pid = phase->kind == HOSTILE_NONE ? 0 : hostile_start(phase->kind, target, done);
	rest(SETTLE_S);
	measure_phase(phase, seconds, done);
	phase->grown_kb = resident_kb() - before_kb;
	hostile_stop(pid);
	if (pid > 0) rest(RECOVER_S);
}

static void print_phase(const struct phase *phase, double alone_us, bool json)
{
	double p50_us = measure_percentile_us(&phase->measure, 0.5),
	       p99_us = measure_percentile_us(&phase->measure, 0.99);
	if (json)
		printf("{\"phase\":\"%s\",\"calls\":%" PRIu64 ",\"errors\":%" PRIu64
		       ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p99_ratio\":%.2f,\"mischief_per_s\":%.0f,\"grown_kib\":%ld,"
		       "\"node_cpu\":%.2f}\n",
		       names[phase->kind], phase->measure.op_count, phase->measure.error_count, p50_us, p99_us,
		       p99_us / alone_us, (double)phase->done / phase->seconds, phase->grown_kb,
		       phase->cpu_s / phase->seconds);
	else
		printf("%-26s %7" PRIu64 " calls %4" PRIu64
		       " failed  p50 %6.0f us  p99 %7.0f us  x %5.2f  %9.0f/s  %6ld KiB "
		       "more  %.2f cores\n",
		       names[phase->kind], phase->measure.op_count, phase->measure.error_count, p50_us, p99_us,
		       p99_us / alone_us, (double)phase->done / phase->seconds, phase->grown_kb,
		       phase->cpu_s / phase->seconds);
	fflush(stdout);
}

static void run_all(uint32_t seconds, volatile uint64_t *done, bool json)
{
	const struct hostile_target target = {.port = (uint16_t)strtoul(strrchr(node.endpoint, ':') + 1, NULL, 10),
					      .method_id = fts_kv_get_method->id,
					      .token = token,
					      .slow_token = slow_token,
					      .connections = 16};
	static struct phase phases[HOSTILE_KIND_COUNT];
	for (int i = HOSTILE_NONE + 1; i < HOSTILE_KIND_COUNT; i++) {
		struct phase alone = {.kind = HOSTILE_NONE};
		run_phase(&alone, &target, seconds, done); /* before each, as a machine is never the same for long */
		measure_merge(&phases[HOSTILE_NONE].measure, &alone.measure);
		phases[HOSTILE_NONE].seconds += alone.seconds;
		phases[HOSTILE_NONE].cpu_s += alone.cpu_s;
		phases[i].kind = (enum hostile_kind)i;
		run_phase(&phases[i], &target, seconds, done);
	}
	for (int i = 0; i < HOSTILE_KIND_COUNT; i++)
		print_phase(&phases[i], measure_percentile_us(&phases[HOSTILE_NONE].measure, 0.99), json);
}

int bench_hostile(const struct bench_options *options)
{
	struct fts_error error = {0};
	int code = 1;
	volatile uint64_t *done = mmap(NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	honest_count = options->clients > HONEST_MAX ? HONEST_MAX : options->clients;
	if (done == MAP_FAILED || !bench_node_start(&node)) return 1;
	if (!prepare(&error))
		fprintf(stderr, "fts-bench: %s\n", error.detail);
	else if (!honest_start())
		fprintf(stderr, "fts-bench: no honest callers: out of memory or threads\n");
	else
		code = 0;
	if (code == 0) run_all(options->seconds, done, options->json);
	honest_stop();
	bench_node_stop(&node);
	return code;
}
