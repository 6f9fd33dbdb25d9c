/* Why this file exists: those who mean a node ill, in a process of their own that takes only the processors' time which
 * the node and its honest callers leave: elsewhere they would be on other machines. */
#ifndef FTS_BENCH_HOSTILE_CROWD_H
#define FTS_BENCH_HOSTILE_CROWD_H

#include <stdint.h>

enum hostile_kind {
	HOSTILE_NONE,
	HOSTILE_SILENT,    /* a thousand connections that say nothing */
	HOSTILE_HALF,      /* a thousand messages that are never finished */
	HOSTILE_GIBIBYTE,  /* a thousand headers that name 1 GiB */
	HOSTILE_GARBAGE,   /* frames that can't be read, as fast as they go */
	HOSTILE_TOKENS,    /* calls with tokens that nobody made, as fast as they go */
	HOSTILE_RECONNECT, /* connections, opened and closed as fast as they go */
	HOSTILE_CALLS,     /* calls with a good token, as fast as they go, from several connections */
	HOSTILE_QUOTA,     /* the same, with a token that may call so many times a second */
	HOSTILE_KIND_COUNT
};

struct hostile_target {
	uint16_t port;                  /* of calls, on loopback */
	uint32_t method_id;             /* a read that needs a token */
	const char *token, *slow_token; /* for HOSTILE_CALLS and HOSTILE_QUOTA; borrowed */
	uint32_t connections;           /* of a flood */
};

/* Begin; returns its process id, -1: it can't be started. out_done (borrowed for ever): counts what it did. */
int hostile_start(enum hostile_kind kind, const struct hostile_target *target, volatile uint64_t *out_done);
void hostile_stop(int pid);

#endif
