/* Why this file exists: see measure.h. */
#include "bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SUB_BUCKETS 16
/* Buckets count in units of 1/16 microsecond, so that single microseconds are told apart. */
#define UNIT_NS 62.5

uint64_t measure_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static unsigned bucket_of(uint64_t latency_ns)
{
	uint64_t units = (uint64_t)((double)latency_ns / UNIT_NS);
	if (units < SUB_BUCKETS) return (unsigned)units;
	unsigned exponent = 63u - (unsigned)__builtin_clzll(units);
	unsigned sub = (unsigned)(units >> (exponent - 4)) & (SUB_BUCKETS - 1);
	unsigned bucket = (exponent - 3) * SUB_BUCKETS + sub;
	return bucket < MEASURE_BUCKET_COUNT ? bucket : MEASURE_BUCKET_COUNT - 1;
}

static double bucket_middle_us(unsigned bucket)
{
	if (bucket < SUB_BUCKETS) return (bucket + 0.5) * UNIT_NS / 1000;
	unsigned exponent = bucket / SUB_BUCKETS + 3;
	double width = (double)(1ull << (exponent - 4));
	double low = (double)(1ull << exponent) + width * (bucket % SUB_BUCKETS);
	return (low + width / 2) * UNIT_NS / 1000;
}

void measure_add(struct measure *m, uint64_t latency_ns)
{
	m->op_count++;
	m->buckets[bucket_of(latency_ns)]++;
}

void measure_merge(struct measure *into, const struct measure *from)
{
	into->op_count += from->op_count;
	into->error_count += from->error_count;
	for (unsigned i = 0; i < MEASURE_BUCKET_COUNT; i++) into->buckets[i] += from->buckets[i];
}

double measure_percentile_us(const struct measure *m, double share)
{
	uint64_t total = 0, seen = 0;
	for (unsigned i = 0; i < MEASURE_BUCKET_COUNT; i++) total += m->buckets[i];
	uint64_t wanted = (uint64_t)((double)total * share);
	for (unsigned i = 0; i < MEASURE_BUCKET_COUNT; i++) {
		seen += m->buckets[i];
		if (seen > wanted) return bucket_middle_us(i);
	}
	return 0;
}

/* utime and stime of another process, from /proc/PID/stat (fields 14 and 15, proc(5)). */
static double process_cpu_s(int pid)
{
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL) return 0;
	size_t size = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[size] = 0;
	unsigned long user = 0, system = 0;
	const char *after_name = strrchr(text, ')');
	if (after_name == NULL ||
	    sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		return 0;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double measure_cpu_s(int server_pid)
{
	struct rusage own;
	getrusage(RUSAGE_SELF, &own);
	double cpu_s = (double)own.ru_utime.tv_sec + (double)own.ru_utime.tv_usec / 1e6 + (double)own.ru_stime.tv_sec +
	               (double)own.ru_stime.tv_usec / 1e6;
	return server_pid > 0 ? cpu_s + process_cpu_s(server_pid) : cpu_s;
}

double measure_cpu_of_s(const char *pids)
{
	double cpu_s = 0;
	while (pids != NULL && *pids != 0) {
		char *end;
		long pid = strtol(pids, &end, 10);
		if (end == pids) break;
		cpu_s += process_cpu_s((int)pid);
		pids = *end == ',' ? end + 1 : end;
	}
	return cpu_s;
}

void measure_print(const struct measure *m, const char *name, double seconds, double cpu_s, int json)
{
	double rate = (double)m->op_count / seconds;
	double cpu = m->op_count > 0 ? cpu_s * 1e6 / (double)m->op_count : 0;
	double p50 = measure_percentile_us(m, 0.50), p99 = measure_percentile_us(m, 0.99);
	unsigned long long errors = m->error_count;
	if (json)
		printf("{\"name\":\"%s\",\"ops_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%llu,"
		       "\"cpu_s_per_million\":%.2f}\n",
		       name, rate, p50, p99, errors, cpu);
	else
		printf("%-32s %10.0f/s  p50 %8.1f us  p99 %9.1f us  errors %llu  CPU s per million %.2f\n", name, rate,
		       p50, p99, errors, cpu);
	fflush(stdout);
}
