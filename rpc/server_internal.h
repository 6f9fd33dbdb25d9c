/* Why this file exists: the state of a server and of its calls, shared by server.c (life), server_conn.c (from a
 * received message to a handler), call.c (from an answer to the wire), worker.c and statistics.c.
 *
 * Life of a call: it is made in an arena that its connection keeps ready, and handled where it was read. Answered
 * before the handler returns, it leaves no trace and the arena serves the next call: no lock, no reference, no
 * allocation. Otherwise it is detached: put on its connection's list of open calls, holding its connection and
 * the server, until somebody answers. */
#ifndef FTS_RPC_SERVER_INTERNAL_H
#define FTS_RPC_SERVER_INTERNAL_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "rpc/conn.h"
#include "rpc/statistics.h"
#include "rpc/tls_watch.h"

#define FTSI_SHARD_COUNT 16u
#define FTSI_NODE_MAX_BYTES 64u
#define FTSI_LEADER_MAX_BYTES 128u

/* A service that was added. */
struct ftsi_offer {
	const struct fts_service *service;
	const void *handlers;
	fts_raw_handler_fn raw;
	void *ctx;
};

struct ftsi_entry {
	const struct fts_method *method; /* NULL: an empty place of the table */
	struct ftsi_offer offer;
	uint32_t index; /* in order of registration */
};

struct ftsi_method_counts {
	atomic_uint_fast64_t calls;
	atomic_uint_fast64_t errors;
	atomic_uint_fast64_t refused[FTSI_CODE_COUNT]; /* errors by status */
	atomic_uint_fast64_t request_bytes;
	atomic_uint_fast64_t response_bytes;
	atomic_uint_fast64_t latency_ns; /* sum */
	atomic_uint_fast64_t latency[FTSI_LATENCY_BUCKET_COUNT];
};

/* Calls of one method that are open, while they are counted. */
struct ftsi_open_method {
	uint32_t count;
	uint64_t oldest_ns; /* when it was received; unset while there is none */
};

enum ftsi_call_state {
	FTSI_CALL_RUNNING,  /* the reader is within the handler, or hands the call to a worker */
	FTSI_CALL_DETACHED, /* the reader has let go of it: whoever answers frees it */
	FTSI_CALL_ANSWERED, /* while running: the reader frees it */
};

struct ftsi_server_conn;

struct fts_call {
	struct fts_server *server;
	struct ftsi_server_conn *peer;
	struct fts_arena *arena; /* this call lies in it */
	const struct ftsi_entry *entry;
	atomic_int state;
	atomic_bool answered;
	uint64_t received_ns;
	uint64_t deadline_ns;
	uint64_t client_id;
	uint64_t sequence;
	bool may_have_run;
	uint64_t lowest_unanswered;
	uint64_t fence;
	uint64_t trace_id;
	bool stale;
	bool executed_set;
	struct fts_bytes token; /* in the arena */
	size_t request_bytes;
	size_t charged_bytes;            /* to the server's budget */
	const ProtobufCMessage *request; /* in the arena; NULL for a raw handler */
	struct fts_bytes payload;        /* in the arena, for a raw handler */
	struct ftsi_reply_fields reply;
	struct fts_call *older; /* in the connection's list of open calls; guarded by its open_mutex */
	struct fts_call *newer;
	size_t route_bytes;
	uint8_t route[FTSI_ROUTE_MAX_BYTES];
};

struct ftsi_server_conn {
	struct fts_server *server;
	struct ftsi_conn *conn;
	atomic_uint ref_count;                /* the connection, and each detached call */
	nng_sockaddr remote;                  /* without its port; NNG_AF_UNSPEC: not known */
	struct ftsi_server_conn *next, *prev; /* guarded by the server's mutex */

	/* Belong to the reader. */
	struct ftsi_call_reader reader;
	struct fts_arena *arena; /* ready for the next call; NULL: to be acquired */
	uint64_t batch;          /* the receive that now_ns was read in */
	uint64_t now_ns;
	uint32_t bad_count;      /* frames that could not be read and tokens that were refused, in a row */
	uint64_t token_mark;     /* of the last token seen; 0: none yet */
	bool many_tokens;        /* somebody calls for others here */
	atomic_bool slowed;      /* nothing is read from it until the next tick */

	/* The call that runs where it was read, for the watchdog. */
	_Atomic(const struct ftsi_entry *) inline_entry;
	atomic_uint_fast64_t inline_since_ns;

	pthread_mutex_t open_mutex;
	/* Guarded by open_mutex. */
	struct fts_call *oldest_open;
	struct fts_call *newest_open;
	atomic_uint open_count; /* written under open_mutex */
};

struct ftsi_worker_pool;

struct fts_server {
	struct fts_server_options options; /* pointers in it are not kept */
	char listen[256];
	char node[FTSI_NODE_MAX_BYTES];
	bool tls;
	struct ftsi_tls_watch *tls_watch; /* NULL: no TLS */
	nng_tls_config *tls_config;       /* the watch's; guarded by mutex */
	nng_stream_listener *listener;
	nng_aio *accept_aio;
	nng_aio *tick_aio;
	struct fts_strand *ticks; /* while it ticks: nng's threads do what they are given */
	uint16_t port;
	atomic_uint ref_count; /* the owner, each connection, each detached call through its connection */
	atomic_bool started, draining, stopping;
	atomic_bool accept_stalled; /* out of descriptors: the tick tries again */

	/* Fixed at start. */
	struct ftsi_entry *entries; /* open addressing by method id */
	size_t entry_capacity;
	const struct ftsi_entry **methods; /* in order of registration */
	size_t method_count;
	struct ftsi_offer *offers;
	size_t offer_count;

	struct fts_arena_pool *arenas;
	struct ftsi_budget budget;
	struct ftsi_worker_pool *workers; /* NULL: no method is blocking */

	pthread_mutex_t mutex;
	pthread_cond_t changed; /* a connection or call is gone */
	/* Guarded by mutex. */
	struct ftsi_server_conn *conns;
	uint32_t conn_count;
	uint64_t past_inbound_bytes; /* of connections that are gone */
	uint64_t past_outbound_bytes;
	struct ftsi_server_statistics base; /* to be taken off since the last reset */
	uint64_t since_ns;
	struct ftsi_method_statistics *method_base;
	struct ftsi_open_method *open_methods; /* one a method: room to count in */

	atomic_uint_fast64_t malformed;
	struct ftsi_method_counts *shards[FTSI_SHARD_COUNT]; /* each of method_count */
};

/* ---- server.c ---- */
void ftsi_server_hold(struct fts_server *server);
void ftsi_server_release(struct fts_server *server);
const struct ftsi_entry *ftsi_server_find(const struct fts_server *server, uint32_t method_id);

/* ---- server_conn.c ---- */
/* Serve stream (owned). */
void ftsi_server_conn_open(struct fts_server *server, nng_stream *stream);
void ftsi_server_conn_release(struct ftsi_server_conn *peer);
/* Read on from it when it was slowed down. At each tick. */
void ftsi_server_conn_go_on(struct ftsi_server_conn *peer);

/* ---- call.c ---- */
/* Refuse a message that is no call yet. error: borrowed. */
void ftsi_call_refuse_error(struct ftsi_server_conn *peer, struct fts_bytes route, const struct fts_error *error);
/* The same. */
void ftsi_call_refuse(struct ftsi_server_conn *peer, struct fts_bytes route, enum fts_status status, const char *format,
		      ...) FTS_PRINTF(4, 5);
/* Run the handler of call now. */
void ftsi_call_run(struct fts_call *call);
/* The reader is done with call: free it when it is answered, else detach it. True: the arena is free again. */
bool ftsi_call_settle(struct fts_call *call);
/* The call that this thread runs as its reader, whose answer needs no atomics. NULL: none. */
void ftsi_call_set_inline(struct fts_call *call);

/* ---- worker.c ---- */
/* A handler that runs in the pool. entry NULL: none. */
struct ftsi_running {
	const struct ftsi_entry *entry;
	uint64_t since_ns;
};
/* What its thread of that place runs; false: there is no such place. Thread: any. */
bool ftsi_worker_pool_running(const struct ftsi_worker_pool *pool, uint32_t place, struct ftsi_running *out_running);
/* Returned (ftsi_worker_pool_destroy); NULL: no memory or no threads. */
struct ftsi_worker_pool *ftsi_worker_pool_create(uint32_t thread_count, uint32_t idle_ms, uint32_t queue_max);
/* Let the running handlers end, refuse what waits, join. NULL: no-op. */
void ftsi_worker_pool_destroy(struct ftsi_worker_pool *pool);
/* False: the queue is full. */
bool ftsi_worker_pool_push(struct ftsi_worker_pool *pool, struct fts_call *call);

/* ---- statistics.c ---- */
bool ftsi_statistics_create(struct fts_server *server);
void ftsi_statistics_destroy(struct fts_server *server);
void ftsi_statistics_count(struct fts_server *server, const struct ftsi_entry *entry, enum fts_status status,
			   size_t request_bytes, size_t response_bytes, uint64_t latency_ns);

#endif
