/* Why this file exists: see conn.h; here: the life of a connection. */
#include "rpc/conn_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define DEFAULT_BACKLOG_HIGH_BYTES (1024u * 1024)
#define DEFAULT_BACKLOG_MAX_BYTES (64u * 1024 * 1024)
#define DEFAULT_IDLE_TIMEOUT_MS 10000u
#define IDLE_CHECKS_TO_FREE 16u
#define STALLED_READER_FACTOR 6u /* times the idle timeout */

bool ftsi_budget_take(struct ftsi_budget *budget, size_t size_bytes)
{
	if (budget == NULL || size_bytes == 0) return true;
	size_t used = atomic_fetch_add(&budget->used_bytes, size_bytes);
	if (used + size_bytes <= budget->max_bytes) return true;
	atomic_fetch_sub(&budget->used_bytes, size_bytes);
	return false;
}

void ftsi_budget_give(struct ftsi_budget *budget, size_t size_bytes)
{
	if (budget == NULL || size_bytes == 0) return;
	size_t used = atomic_fetch_sub(&budget->used_bytes, size_bytes);
	FTS_ASSERT(used >= size_bytes);
}

bool ftsi_buffer_resize(struct ftsi_buffer *buffer, size_t capacity_bytes)
{
	size_t held_bytes = buffer->end - buffer->begin;
	FTS_ASSERT(capacity_bytes >= held_bytes);
	uint8_t *data = malloc(capacity_bytes);
	if (data == NULL) return false;
	if (held_bytes > 0) memcpy(data, buffer->data + buffer->begin, held_bytes);
	free(buffer->data);
	*buffer = (struct ftsi_buffer){.data = data, .end = held_bytes, .capacity_bytes = capacity_bytes};
	return true;
}

void ftsi_buffer_free(struct ftsi_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct ftsi_buffer){.data = NULL};
}

static void set_defaults(struct ftsi_conn_options *options)
{
	if (options->message_max_bytes == 0) options->message_max_bytes = FTS_MESSAGE_MAX;
	if (options->backlog_high_bytes == 0) options->backlog_high_bytes = DEFAULT_BACKLOG_HIGH_BYTES;
	if (options->backlog_max_bytes == 0) options->backlog_max_bytes = DEFAULT_BACKLOG_MAX_BYTES;
	if (options->idle_timeout_ms == 0) options->idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
}

static void destroy(struct ftsi_conn *conn)
{
	nng_aio_reap(conn->recv_aio);
	nng_aio_reap(conn->send_aio);
	nng_aio_reap(conn->sent_aio);
	nng_stream_free(conn->stream);
	ftsi_buffer_free(&conn->in);
	ftsi_buffer_free(&conn->pending);
	ftsi_buffer_free(&conn->flying);
	pthread_mutex_destroy(&conn->out_mutex);
	free(conn);
}

enum fts_status ftsi_conn_create(nng_stream *stream, const struct ftsi_conn_options *options,
				 struct ftsi_conn **out_conn)
{
	struct ftsi_conn *conn = calloc(1, sizeof *conn);
	if (conn == NULL) {
		nng_stream_free(stream);
		return FTS_RESOURCE_EXHAUSTED;
	}
	conn->options = *options;
	set_defaults(&conn->options);
	conn->stream = stream;
	atomic_init(&conn->ref_count, 1);
	pthread_mutex_init(&conn->out_mutex, NULL);
	conn->sending = true; /* until start */
	if (!ftsi_buffer_resize(&conn->in, FTSI_IN_IDLE_BYTES) ||
	    !ftsi_buffer_resize(&conn->pending, FTSI_IN_IDLE_BYTES) ||
	    nng_aio_alloc(&conn->recv_aio, ftsi_conn_on_received, conn) != 0 ||
	    nng_aio_alloc(&conn->send_aio, NULL, NULL) != 0 ||
	    nng_aio_alloc(&conn->sent_aio, ftsi_conn_on_sent, conn) != 0) {
		destroy(conn);
		return FTS_RESOURCE_EXHAUSTED;
	}
	/* A peer that lost its power never says so. */
	nng_stream_set_bool(stream, NNG_OPT_TCP_KEEPALIVE, true);
	nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
	ftsi_hello_write(conn->options.role, conn->hello);
	memcpy(conn->pending.data, conn->hello, FTSI_HELLO_BYTES);
	conn->pending.end = FTSI_HELLO_BYTES;
	*out_conn = conn;
	return FTS_OK;
}

void ftsi_conn_start(struct ftsi_conn *conn)
{
	ftsi_conn_hold(conn); /* by the reader role */
	atomic_store(&conn->waits_for_rest, true);
	pthread_mutex_lock(&conn->out_mutex);
	FTS_ASSERT(conn->sending && conn->flying.data == NULL);
	conn->sending = false;
	pthread_mutex_unlock(&conn->out_mutex);
	ftsi_conn_hold(conn); /* the reader role is gone once it receives */
	ftsi_conn_read(conn);
	ftsi_conn_release(conn);
}

void ftsi_conn_close(struct ftsi_conn *conn, const char *reason)
{
	const char *none = NULL;
	atomic_compare_exchange_strong(&conn->close_reason, &none, reason);
	if (atomic_exchange(&conn->closed, true)) return;
	nng_stream_close(conn->stream);
	ftsi_conn_read_on(conn); /* to its end */
}

struct ftsi_conn *ftsi_conn_hold(struct ftsi_conn *conn)
{
	unsigned count = atomic_fetch_add_explicit(&conn->ref_count, 1, memory_order_relaxed);
	FTS_ASSERT(count > 0);
	return conn;
}

void ftsi_conn_release(struct ftsi_conn *conn)
{
	if (conn == NULL) return;
	unsigned count = atomic_fetch_sub_explicit(&conn->ref_count, 1, memory_order_acq_rel);
	FTS_ASSERT(count > 0);
	if (count == 1) destroy(conn);
}

bool ftsi_conn_is_closed(const struct ftsi_conn *conn)
{
	return atomic_load_explicit(&conn->closed, memory_order_relaxed);
}

size_t ftsi_conn_backlog_bytes(struct ftsi_conn *conn)
{
	return atomic_load_explicit(&conn->backlog_bytes, memory_order_relaxed);
}

struct ftsi_conn_bytes ftsi_conn_bytes(const struct ftsi_conn *conn)
{
	return (struct ftsi_conn_bytes){
	    .received_bytes = atomic_load_explicit(&conn->received_bytes, memory_order_relaxed),
	    .sent_bytes = atomic_load_explicit(&conn->sent_bytes, memory_order_relaxed),
	};
}

/* A connection that has been idle for long keeps no output buffers. */
static void check_output(struct ftsi_conn *conn)
{
	pthread_mutex_lock(&conn->out_mutex);
	bool idle = !conn->out_used && !conn->sending && conn->pending.end == 0;
	conn->out_used = false;
	conn->out_idle_checks = idle ? conn->out_idle_checks + 1 : 0;
	if (conn->out_idle_checks == IDLE_CHECKS_TO_FREE) {
		ftsi_buffer_free(&conn->pending);
		ftsi_buffer_free(&conn->flying);
	}
	pthread_mutex_unlock(&conn->out_mutex);
}

/* nng 1.5.2 loses the news that a TLS peer is gone when it comes while no receive waits. The socket knows. */
static bool tls_peer_is_gone(struct ftsi_conn *conn)
{
	nng_sockaddr address;
	return conn->options.tls && nng_stream_get_addr(conn->stream, NNG_OPT_REMADDR, &address) != 0;
}

/* How long the peer may keep still in what it is doing now; 0: for ever. */
static uint64_t patience_ns(const struct ftsi_conn *conn)
{
	uint64_t idle_timeout_ns = conn->options.idle_timeout_ms * 1000000ull;
	if (ftsi_conn_backlog_is_high(conn)) return idle_timeout_ns * STALLED_READER_FACTOR;
	return atomic_load_explicit(&conn->waits_for_rest, memory_order_relaxed) ? idle_timeout_ns : 0;
}

void ftsi_conn_check(struct ftsi_conn *conn, uint64_t now_ns)
{
	if (ftsi_conn_is_closed(conn)) return;
	struct ftsi_conn_bytes bytes = ftsi_conn_bytes(conn);
	uint64_t moved_bytes = bytes.received_bytes + bytes.sent_bytes, allowed_ns = patience_ns(conn);
	if (allowed_ns == 0 || conn->checked_since_ns == 0 || moved_bytes != conn->checked_moved_bytes) {
		conn->checked_since_ns = now_ns;
		conn->checked_moved_bytes = moved_bytes;
	}
	if (allowed_ns > 0 && now_ns - conn->checked_since_ns >= allowed_ns)
		ftsi_conn_close(conn, "peer keeps still in the middle of a message");
	else if (tls_peer_is_gone(conn))
		ftsi_conn_close(conn, "peer is gone");
	else
		check_output(conn);
}
