/* Why this file exists: the flags that fts-bench and its peers share (cli.md, bench). */
#ifndef FTS_BENCH_OPTIONS_H
#define FTS_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_options {
	uint32_t clients;     /* connections */
	uint32_t outstanding; /* calls in flight, all clients together */
	uint32_t seconds;
	uint32_t batch;       /* bets a batch */
	uint32_t keys;        /* kv: how many there are */
	uint32_t value_bytes; /* kv */
	uint32_t get_percent; /* kv: calls of a hundred that read */
	bool skewed;          /* kv: few keys are used much */
	bool filled;          /* kv: the keys are there already */
	uint32_t pipeline;    /* of redis: calls that a client sends at once */
	bool linearizable;    /* kv: through the replicated log */
	bool reads;           /* linearizable reads instead of changes */
	bool json;
	const char *pids;        /* "PID,PID" of servers whose CPU time counts too; NULL: none */
	const char *endpoints;   /* NULL: start a server of its own */
	const char *tls_dir;     /* holds ca.pem, cert.pem, key.pem; NULL: no TLS */
};

/* Parse argv from `first` on into *options, which holds the defaults. Exits 2 with a clear line on wrong usage;
 * exits 0 after --help. */
void bench_options_parse(struct bench_options *options, int argc, char **argv, int first);

#ifdef __cplusplus
}
#endif
#endif
