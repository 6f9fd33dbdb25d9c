/* Why this file exists: one connection, the same for server and client: an nng stream (TCP or TLS) on which
 * messages are parsed as far as the received bytes go, and everything appended leaves in one write at a time.
 *
 * Invariants
 * - At most one receive and one send are in flight. Callbacks of one connection never run side by side.
 * - Nothing is allocated for a message: both directions have buffers that belong to the connection, grow to what
 *   one message needs and shrink again.
 * - What is appended inside on_message leaves when all that was received is parsed; what is appended elsewhere
 *   leaves at once, unless a write is in flight or has just been made: then together with what gathers until one of
 *   nng's threads gets to it; or unless its thread said that more follows. No timer gathers anything.
 * - Reading stops while more than backlog_high_bytes wait to be written.
 * - on_closed fires exactly once for each started connection, is the last callback, and never fires inside
 *   ftsi_conn_close or ftsi_conn_send.
 * - A connection lives until its last reference is dropped; nng's callbacks hold their own. */
#ifndef FTS_RPC_CONN_H
#define FTS_RPC_CONN_H

#include <nng/nng.h>
#include <stdatomic.h>

#include "rpc/wire.h"

struct ftsi_conn;

/* Bytes held for what is being received, shared by all connections of a server. */
struct ftsi_budget {
	atomic_size_t used_bytes;
	size_t max_bytes;
};

/* Take size_bytes out of budget (NULL: unlimited); false: that is not left, nothing was taken. Thread: any. */
bool ftsi_budget_take(struct ftsi_budget *budget, size_t size_bytes);
void ftsi_budget_give(struct ftsi_budget *budget, size_t size_bytes);

/* message: borrowed until the callback returns (what follows the 8-byte length). Runs on one of nng's threads:
 * be short, don't block. ftsi_conn_send and ftsi_conn_close may be called. */
typedef void (*ftsi_message_fn)(void *ctx, struct ftsi_conn *conn, struct fts_bytes message);
/* A message that is not taken: larger than message_max_bytes, or the budget is used up. start: borrowed, its
 * first bytes (up to FTSI_ROUTE_MAX_BYTES); the rest is skipped. May be NULL: then the connection is closed. */
typedef void (*ftsi_refused_fn)(void *ctx, struct ftsi_conn *conn, struct fts_bytes start, uint64_t size_bytes);
/* The peer's hello is complete and right: from now on messages flow. May be NULL. */
typedef void (*ftsi_ready_fn)(void *ctx, struct ftsi_conn *conn);
/* The connection is gone; reason is for people and the log. */
typedef void (*ftsi_closed_fn)(void *ctx, struct ftsi_conn *conn, const char *reason);

struct ftsi_conn_options {
	enum ftsi_role role;        /* ours */
	bool tls;                   /* stream is tls+tcp */
	size_t message_max_bytes;   /* of one message, either way; 0: FTS_MESSAGE_MAX */
	size_t backlog_high_bytes;  /* reading stops above; 0: 1 MiB */
	size_t backlog_max_bytes;   /* the connection is closed above; 0: 64 MiB */
	uint32_t idle_timeout_ms;   /* for a handshake, and for the next byte of a half-sent message; 0: 10,000 */
	struct ftsi_budget *budget; /* borrowed until on_closed; NULL: none */
	ftsi_message_fn on_message;
	ftsi_refused_fn on_refused;
	ftsi_ready_fn on_ready;
	ftsi_closed_fn on_closed;
	void *ctx;
};

/* Make a connection of stream (owned, also on failure). out_conn: returned (ftsi_conn_release).
 * Errors: RESOURCE_EXHAUSTED. */
enum fts_status ftsi_conn_create(nng_stream *stream, const struct ftsi_conn_options *options,
				 struct ftsi_conn **out_conn);

/* Send hello, begin to receive. Once. Callbacks may run before this returns. */
void ftsi_conn_start(struct ftsi_conn *conn);

/* Stop: nothing more is parsed; on_closed follows on another thread (or, called within a callback of this
 * connection, when that returns). Any number of times. reason: static text. Thread: any. */
void ftsi_conn_close(struct ftsi_conn *conn, const char *reason);

struct ftsi_conn *ftsi_conn_hold(struct ftsi_conn *conn);
/* NULL: no-op. The last release frees. Thread: any, also a callback's. */
void ftsi_conn_release(struct ftsi_conn *conn);

/* A message to be sent. Everything borrowed for the call. One of call and reply; neither: one-way, without a header. */
struct ftsi_outgoing {
	struct fts_bytes route; /* request id and what stands before it, as it goes onto the wire */
	const struct ftsi_call_fields *call;
	const struct ftsi_reply_fields *reply;
	const ProtobufCMessage *message; /* packed straight into the buffer; NULL: payload is sent instead */
	struct fts_bytes payload;
};

/* Append a message and see to it that it leaves. May be called before the peer's hello has come.
 * out_size_bytes: of the message, may be NULL. Thread: any.
 * Errors: UNAVAILABLE (closed; nothing was or will be sent), RESOURCE_EXHAUSTED (message above message_max_bytes,
 * or no memory; nothing was appended), INVALID_ARGUMENT (header fields out of bounds). */
enum fts_status ftsi_conn_send(struct ftsi_conn *conn, const struct ftsi_outgoing *outgoing, size_t *out_size_bytes);

/* Between the two, what this thread appends to connections that are idle waits for _end, which sends it: one write a
 * connection for all answers of a batch. The same thread calls both, holds no lock, and does nothing long between
 * them. They may nest: the outermost end sends. */
void ftsi_conn_gather_begin(void);
void ftsi_conn_gather_end(void);

/* Have run(ctx) called once this thread has handed on all messages that it has read (or some of them, when they are
 * many); at once, within the call, when it is not in an on_message. Asked for again before that: once. So that a wake-up,
 * a message or a sync is shared by all calls that came together. ctx: borrowed until the connection that is read here is
 * closed; run: short, and it must not block. */
typedef void (*ftsi_after_fn)(void *ctx);
void ftsi_conn_after_reading(ftsi_after_fn run, void *ctx);

/* Stop reading: from within on_message, which is the last one until ftsi_conn_read_on. Meanwhile the end of the peer is
 * not noticed here. */
void ftsi_conn_stop_reading(struct ftsi_conn *conn);
/* Read on, on another thread. Not stopped: no-op. Thread: any. */
void ftsi_conn_read_on(struct ftsi_conn *conn);

/* Bytes appended that nng has not taken yet. */
size_t ftsi_conn_backlog_bytes(struct ftsi_conn *conn);
bool ftsi_conn_is_closed(const struct ftsi_conn *conn);
/* Nothing is waiting to be written or being written. */
bool ftsi_conn_is_flushed(struct ftsi_conn *conn);
/* Changes with each receive: what was timed in one on_message holds for the next of the same batch. Only within
 * a callback. */
uint64_t ftsi_conn_batch(const struct ftsi_conn *conn);

/* To be called now and then (every 100 ms to 1 s) for each connection: closes it when its handshake or the
 * next byte of a half-sent message is overdue, notices a TLS peer that went away unseen, gives idle buffers
 * back. Thread: any. */
void ftsi_conn_check(struct ftsi_conn *conn, uint64_t now_ns);

/* Bytes received and sent since the start. */
struct ftsi_conn_bytes {
	uint64_t received_bytes;
	uint64_t sent_bytes;
};
struct ftsi_conn_bytes ftsi_conn_bytes(const struct ftsi_conn *conn);

#endif
