/* Why this file exists: see inbox.h.
 *
 * The queue is two buffers: the connection appends to one, the subscription reads the other, and they change places
 * when that is empty. In a buffer: size (8 bytes), message, filled up to 8 bytes. */
#include "rpc/inbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "rpc/conn.h"
#include "rpc/endpoint.h"
#include "rpc/stock.h"
#include "rpc/tls.h"

#define BUFFER_BYTES (FTS_MESSAGE_MAX + 64u * 1024)
#define ALIGN_BYTES 8u

struct buffer {
	uint8_t *data; /* resident as far as it was used */
	size_t used_bytes;
};

struct ftsi_inbox {
	nng_tls_config *tls;
	struct ftsi_conn *conn; /* held until on_closed */
	size_t read_bytes;      /* of the buffer that is read */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* guarded by lock; buffers[!filling] belongs to the reader */
	struct buffer buffers[2];
	unsigned filling;
	bool ready, closed, woken;
};

/* ---- The connection's callbacks ---- */

static void on_ready(void *ctx, struct ftsi_conn *conn)
{
	struct ftsi_inbox *inbox = ctx;

	(void)conn;
	pthread_mutex_lock(&inbox->lock);
	inbox->ready = true;
	pthread_cond_signal(&inbox->changed);
	pthread_mutex_unlock(&inbox->lock);
}

static void on_closed(void *ctx, struct ftsi_conn *conn, const char *reason)
{
	struct ftsi_inbox *inbox = ctx;

	(void)reason;
	ftsi_conn_release(conn);
	pthread_mutex_lock(&inbox->lock);
	inbox->closed = true;
	pthread_cond_signal(&inbox->changed);
	pthread_mutex_unlock(&inbox->lock);
}

static size_t padded(size_t size_bytes)
{
	return (size_bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

static void on_message(void *ctx, struct ftsi_conn *conn, struct fts_bytes message)
{
	struct ftsi_inbox *inbox = ctx;
	uint64_t size_bytes = message.size_bytes;

	(void)conn;
	pthread_mutex_lock(&inbox->lock);
	struct buffer *buffer = &inbox->buffers[inbox->filling];
	size_t needed_bytes = sizeof size_bytes + padded(message.size_bytes);
	if (needed_bytes <= BUFFER_BYTES - buffer->used_bytes) {
		memcpy(buffer->data + buffer->used_bytes, &size_bytes, sizeof size_bytes);
		if (size_bytes)
			memcpy(buffer->data + buffer->used_bytes + sizeof size_bytes, message.data, message.size_bytes);
		if (buffer->used_bytes == 0) pthread_cond_signal(&inbox->changed);
		buffer->used_bytes += needed_bytes;
	}
	pthread_mutex_unlock(&inbox->lock);
}

/* ---- Opening and closing ---- */

/* Dial url. Returned (owned by the caller); NULL: error says why. */
static nng_stream *dial(struct ftsi_inbox *inbox, const char *url, uint32_t timeout_ms, int *out_error)
{
	nng_stream_dialer *dialer = NULL;
	nng_stream *stream = NULL;
	nng_aio *aio = NULL;
	int error = nng_stream_dialer_alloc(&dialer, url);

	if (error == 0 && inbox->tls) error = nng_stream_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, inbox->tls);
	if (error == 0) error = nng_aio_alloc(&aio, NULL, NULL);
	if (error == 0) {
		nng_aio_set_timeout(aio, (nng_duration)timeout_ms);
		nng_stream_dialer_dial(dialer, aio);
		nng_aio_wait(aio);
		error = nng_aio_result(aio);
	}
	if (error == 0) stream = nng_aio_get_output(aio, 0);
	if (dialer) nng_stream_dialer_free(dialer);
	if (aio) nng_aio_free(aio);
	*out_error = error;
	return stream;
}

/* nng tries the first address of a name only, so a name is dialed as IPv4, then as IPv6. */
static nng_stream *dial_families(struct ftsi_inbox *inbox, const struct ftsi_endpoint *endpoint, uint64_t deadline_ns,
				 struct fts_error *out_error)
{
	const char *scheme = inbox->tls ? "tls+tcp" : "tcp";
	uint32_t port = (uint32_t)endpoint->port + FTSI_EVENTS_PORT_OFFSET;
	char url[FTSI_URL_MAX_BYTES];
	nng_stream *stream = NULL;
	int error = 0;

	bool literal = strspn(endpoint->host, "0123456789.") == strlen(endpoint->host);
	int last = literal ? 4 : 6;
	for (int family = endpoint->ipv6 ? 6 : 4; family <= last && !stream && port <= UINT16_MAX; family += 2) {
		uint32_t left_ms = fts_clock_left_ms(fts_clock_monotonic_ns(), deadline_ns);
		(void)snprintf(url, sizeof url, endpoint->ipv6 ? "%s%d://[%s]:%u" : "%s%d://%s:%u", scheme, family,
			       endpoint->host, (unsigned)port);
		stream = dial(inbox, url, left_ms ? left_ms : 1, &error);
	}
	if (!stream)
		(void)fts_error_set(out_error, FTS_UNAVAILABLE, "no events from %s (its port + %d): %s", endpoint->text,
				    FTSI_EVENTS_PORT_OFFSET, error ? nng_strerror(error) : "no such port");
	return stream;
}

/* out_closed: it hung up. */
static bool wait_ready(struct ftsi_inbox *inbox, uint64_t deadline_ns, bool *out_closed)
{
	struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
				 .tv_nsec = (long)(deadline_ns % 1000000000u)};
	int waited = 0;

	pthread_mutex_lock(&inbox->lock);
	while (!inbox->ready && !inbox->closed && waited == 0)
		waited = pthread_cond_timedwait(&inbox->changed, &inbox->lock, &until);
	bool ready = inbox->ready && !inbox->closed;
	*out_closed = inbox->closed;
	pthread_mutex_unlock(&inbox->lock);
	return ready;
}

static enum fts_status start(struct ftsi_inbox *inbox, nng_stream *stream, const char *endpoint, uint64_t deadline_ns,
			     struct fts_error *out_error)
{
	struct ftsi_conn_options options = {
	    .role = FTSI_ROLE_SUBSCRIBER,
	    .tls = inbox->tls != NULL,
	    .on_message = on_message,
	    .on_ready = on_ready,
	    .on_closed = on_closed,
	    .ctx = inbox,
	};
	struct ftsi_conn *conn = NULL;
	bool closed;

	if (ftsi_conn_create(stream, &options, &conn) != FTS_OK)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for events");
	inbox->conn = ftsi_conn_hold(conn);
	inbox->ready = inbox->closed = false;
	ftsi_conn_start(conn);
	if (wait_ready(inbox, deadline_ns, &closed)) return FTS_OK;
	return fts_error_set(out_error, FTS_UNAVAILABLE,
			     closed ? "what answers at %s + %d sends no events"
				    : "%s + %d has taken the connection and not answered in time",
			     endpoint, FTSI_EVENTS_PORT_OFFSET);
}

enum fts_status ftsi_inbox_open(struct ftsi_inbox *inbox, const char *endpoint, const struct fts_tls *tls,
				uint32_t timeout_ms, struct fts_error *out_error)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	struct ftsi_endpoint parsed;
	enum fts_status status = ftsi_endpoint_parse(endpoint, strlen(endpoint), &parsed, out_error);

	ftsi_inbox_close(inbox);
	if (status == FTS_OK && ftsi_tls_wanted(tls))
		status = ftsi_tls_config_create(tls, FTSI_ROLE_CALLER, parsed.host, &inbox->tls, out_error);
	if (status == FTS_OK) {
		nng_stream *stream = dial_families(inbox, &parsed, deadline_ns, out_error);
		status = stream ? start(inbox, stream, endpoint, deadline_ns, out_error) : FTS_UNAVAILABLE;
	}
	if (status != FTS_OK) ftsi_inbox_close(inbox);
	return status;
}

void ftsi_inbox_close(struct ftsi_inbox *inbox)
{
	if (inbox->conn) {
		ftsi_conn_close(inbox->conn, "the subscription moves on");
		pthread_mutex_lock(&inbox->lock);
		while (!inbox->closed)
			pthread_cond_wait(&inbox->changed, &inbox->lock);
		pthread_mutex_unlock(&inbox->lock);
		ftsi_conn_release(inbox->conn);
	}
	inbox->conn = NULL;
	if (inbox->tls) nng_tls_config_free(inbox->tls);
	inbox->tls = NULL;
	inbox->buffers[0].used_bytes = inbox->buffers[1].used_bytes = 0;
	inbox->read_bytes = 0;
}

/* ---- Reading ---- */

static bool take_filled(struct ftsi_inbox *inbox)
{
	inbox->buffers[!inbox->filling].used_bytes = 0;
	inbox->read_bytes = 0;
	inbox->filling = !inbox->filling;
	return inbox->buffers[!inbox->filling].used_bytes > 0;
}

bool ftsi_inbox_next(struct ftsi_inbox *inbox, struct fts_bytes *out_message)
{
	bool any = true;

	pthread_mutex_lock(&inbox->lock);
	if (inbox->read_bytes == inbox->buffers[!inbox->filling].used_bytes) any = take_filled(inbox);
	const uint8_t *at = inbox->buffers[!inbox->filling].data + inbox->read_bytes;
	pthread_mutex_unlock(&inbox->lock);
	if (!any) return false;
	uint64_t size_bytes;
	memcpy(&size_bytes, at, sizeof size_bytes);
	*out_message = (struct fts_bytes){at + sizeof size_bytes, (size_t)size_bytes};
	inbox->read_bytes += sizeof size_bytes + padded((size_t)size_bytes);
	return true;
}

static bool has_message(const struct ftsi_inbox *inbox)
{
	return inbox->read_bytes < inbox->buffers[!inbox->filling].used_bytes ||
	       inbox->buffers[inbox->filling].used_bytes > 0;
}

bool ftsi_inbox_wait(struct ftsi_inbox *inbox, uint32_t timeout_ms)
{
	uint64_t now_ns = fts_clock_monotonic_ns(), deadline_ns = fts_clock_deadline_ns(now_ns, timeout_ms);
	struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
				 .tv_nsec = (long)(deadline_ns % 1000000000u)};
	int waited = 0;

	if (inbox->conn) ftsi_conn_check(inbox->conn, now_ns);
	pthread_mutex_lock(&inbox->lock);
	bool over = inbox->conn && inbox->closed;
	while (!has_message(inbox) && !over && !inbox->woken && waited == 0) {
		waited = pthread_cond_timedwait(&inbox->changed, &inbox->lock, &until);
		over = inbox->conn && inbox->closed;
	}
	inbox->woken = false;
	bool alive = has_message(inbox) || !over;
	pthread_mutex_unlock(&inbox->lock);
	return alive;
}

void ftsi_inbox_wake(struct ftsi_inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->woken = true;
	pthread_cond_signal(&inbox->changed);
	pthread_mutex_unlock(&inbox->lock);
}

/* ---- Life ---- */

struct ftsi_inbox *ftsi_inbox_create(void)
{
	struct ftsi_inbox *inbox = calloc(1, sizeof *inbox);
	pthread_condattr_t monotonic;

	if (!inbox) return NULL;
	pthread_mutex_init(&inbox->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&inbox->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	inbox->buffers[0].data = malloc(BUFFER_BYTES);
	inbox->buffers[1].data = malloc(BUFFER_BYTES);
	if (inbox->buffers[0].data && inbox->buffers[1].data) return inbox;
	ftsi_inbox_destroy(inbox);
	return NULL;
}

void ftsi_inbox_destroy(struct ftsi_inbox *inbox)
{
	if (!inbox) return;
	pthread_cond_destroy(&inbox->changed);
	pthread_mutex_destroy(&inbox->lock);
	free(inbox->buffers[0].data);
	free(inbox->buffers[1].data);
	free(inbox);
}
