/* Why this file exists: what a server knows about its calls, for Reflection (which tells anybody) and for health
 * (which tells the watchdog whether work is waiting and moving).
 *
 * Counters are kept in a shard for each thread, so that counting costs a plain add and no shared cache line;
 * reading sums the shards and may miss what is being counted at that moment. */
#ifndef FTS_RPC_STATISTICS_H
#define FTS_RPC_STATISTICS_H

#include <fts/rpc.h>

#define FTSI_LATENCY_BUCKET_COUNT 32u
#define FTSI_CODE_COUNT 17u /* statuses there are */

struct ftsi_method_statistics {
	const struct fts_method *method; /* static */
	uint64_t calls;                  /* answered */
	uint64_t errors;                 /* of them, with another status than OK */
	uint64_t refused[FTSI_CODE_COUNT]; /* errors by status */
	uint64_t request_bytes;
	uint64_t response_bytes;
	uint64_t latency_ns; /* sum over the calls */
	uint32_t open;
	uint32_t oldest_ms;                                  /* since the oldest open call was received */
	uint64_t latency_log2_us[FTSI_LATENCY_BUCKET_COUNT]; /* bucket i: answered within 2^i us; the last: all else */
};

struct ftsi_server_statistics {
	uint64_t uptime_ms; /* since start or reset */
	uint64_t connections;
	uint64_t malformed; /* frames refused before they were calls */
	uint64_t inbound_bytes;
	uint64_t outbound_bytes;
};

/* Offered services and methods, in the order of registration. Thread: any, after start. */
size_t ftsi_server_service_count(const struct fts_server *server);
const struct fts_service *ftsi_server_service(const struct fts_server *server, size_t index);
size_t ftsi_server_method_count(const struct fts_server *server);
void ftsi_server_method_statistics(struct fts_server *server, size_t index, struct ftsi_method_statistics *out);
void ftsi_server_statistics(struct fts_server *server, struct ftsi_server_statistics *out);
/* Count anew from here. */
void ftsi_server_statistics_reset(struct fts_server *server);

/* What a watchdog asks. */
struct fts_server_work {
	uint32_t open_count;     /* calls not yet answered, those that wait for a worker included */
	uint32_t oldest_ms;      /* since the oldest of them was received; 0: none is open */
	uint64_t answered_count; /* since start; never reset: it moves as long as work gets done */
	const struct fts_method
	    *overrun;        /* static; of a call whose handler runs longer than its method's longest run, or that is unanswered that long after its time
			limit; NULL: none */
	uint32_t overrun_ms; /* how long that call has been running */
};
void fts_server_work(struct fts_server *server, struct fts_server_work *out);

/* A method of which calls are open. */
struct fts_open_method {
	const struct fts_method *method; /* static */
	uint32_t open_count;
	uint32_t oldest_ms; /* since the oldest was received */
};
/* The max methods with the oldest open calls, oldest first. Returns how many there are. out_methods: the caller's.
 * Thread: any. */
size_t fts_server_open_methods(struct fts_server *server, struct fts_open_method *out_methods, size_t max);

#endif
