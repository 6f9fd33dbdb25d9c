/* Why this file exists: fts-bench and the peers it is compared with measure alike: one latency histogram, one
 * clock, one form of output (cli.md, bench). Included by C and C++. Thread: a measure belongs to one thread;
 * merge them at the end. */
#ifndef FTS_BENCH_MEASURE_H
#define FTS_BENCH_MEASURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Latencies in log-linear buckets: 2^e microseconds split in 16, error below 7 %. */
#define MEASURE_BUCKET_COUNT (40 * 16)

struct measure {
	uint64_t op_count;
	uint64_t error_count;
	uint64_t buckets[MEASURE_BUCKET_COUNT];
};

uint64_t measure_now_ns(void);
void measure_add(struct measure *m, uint64_t latency_ns);
void measure_merge(struct measure *into, const struct measure *from);
/* The latency in microseconds below which `share` (0 to 1) of the operations lie. */
double measure_percentile_us(const struct measure *m, double share);
/* CPU seconds used by this process and by the process server_pid (0: none) so far. */
double measure_cpu_s(int server_pid);

/* CPU seconds used so far by the processes of a list "PID,PID"; NULL: none. */
double measure_cpu_of_s(const char *pids);

/* One line: {"ops_per_s":…,"p50_us":…,"p99_us":…,"errors":0,"cpu_s_per_million":…}, or the same for people. */
void measure_print(const struct measure *m, const char *name, double seconds, double cpu_s, int json);

#ifdef __cplusplus
}
#endif
#endif
