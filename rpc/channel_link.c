/* Why this file exists: the connections of a channel (channel_internal.h): dialing, the callbacks of rpc/conn.h, and
 * how soon a server that failed is dialed again.
 *
 * A connection that breaks is dialed again at once; one that could not be made, or breaks again and again within
 * 100 ms, after 10 ms doubling to 200 ms. That is shorter than what a call waits in its four tries, so that a
 * call always dials each server at least once, however long that was away.
 *
 * nng's dialer tries the first address of a name only, so names have two: IPv4, then IPv6. */
#include "rpc/channel_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "rpc/tls_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define REDIAL_FIRST_NS (10 * NS_PER_MS)
#define REDIAL_LONGEST_NS (200 * NS_PER_MS)
#define STABLE_NS (100 * NS_PER_MS)

/* ---- States ---- */

static void set_reason(struct ftsi_link *link, const char *reason)
{
	snprintf(link->reason, sizeof link->reason, "%s", reason);
}

static void set_idle(struct ftsi_link *link)
{
	link->state = FTSI_LINK_IDLE;
	pthread_cond_broadcast(&link->channel->changed);
}

static void count_failure(struct ftsi_link *link, uint64_t now_ns)
{
	uint64_t wait_ns = REDIAL_FIRST_NS << (link->failure_count < 8 ? link->failure_count : 8);
	link->retry_at_ns = now_ns + (wait_ns < REDIAL_LONGEST_NS ? wait_ns : REDIAL_LONGEST_NS);
	link->failure_count++;
}

/* ---- Callbacks of the connection ---- */

static void on_ready(void *ctx, struct ftsi_conn *conn)
{
	struct ftsi_link *link = ctx;
	struct fts_channel *channel = link->channel;
	(void)conn;
	pthread_mutex_lock(&channel->mutex);
	if (link->state == FTSI_LINK_GREETING) {
		link->state = FTSI_LINK_UP;
		link->began_ns = fts_clock_monotonic_ns();
		link->reason[0] = '\0';
		ftsi_probe_reset(link, link->began_ns);
		ftsi_warm_want(channel, link->began_ns);
		ftsi_engine_up(channel, link);
	}
	ftsi_channel_deliver(channel);
	pthread_mutex_unlock(&channel->mutex);
}

/* An answer whose header can't be read, or that is too large to be taken. */
static void fail_answer(struct ftsi_link *link, uint32_t request_id, enum fts_status status, const char *what)
{
	struct fts_channel *channel = link->channel;
	pthread_mutex_lock(&channel->mutex);
	struct ftsi_open_call *call = ftsi_call_find(channel, link, request_id);
	if (call != NULL) {
		call->request_id = 0;
		ftsi_call_set_error(call, status, FTS_EXECUTED_UNKNOWN, "%s: %s", link->endpoint.text, what);
		ftsi_call_end(channel, call);
	}
	ftsi_channel_deliver(channel);
	pthread_mutex_unlock(&channel->mutex);
}

static void on_message(void *ctx, struct ftsi_conn *conn, struct fts_bytes message)
{
	struct ftsi_link *link = ctx;
	struct fts_channel *channel = link->channel;
	struct ftsi_frame frame;
	const fts_rpc_v1_ReplyHeader *header = NULL;
	if (ftsi_frame_split(message, &frame) == FTS_OK) {
		header = ftsi_reply_header_read(&link->reader, frame.header);
	} else if (frame.route.size_bytes == 0) {
		ftsi_conn_close(conn, "it sent what is not a reply");
		return;
	}
	if (header == NULL) {
		fail_answer(link, frame.request_id, FTS_INTERNAL, "the header of the answer is malformed");
		return;
	}
	pthread_mutex_lock(&channel->mutex);
	ftsi_probe_heard(link, conn);
	if (link->node[0] == '\0') snprintf(link->node, sizeof link->node, "%s", header->node);
	struct ftsi_open_call *call = ftsi_call_find(channel, link, frame.request_id);
	bool is_question = call == NULL && ftsi_probe_answered(channel, link, frame.request_id, header, frame.payload);
	if (!is_question) link->answer_count++;
	if (call != NULL && header->code == FTS_OK) {
		ftsi_call_succeed(channel, call, link, header, frame.payload);
		return;
	}
	if (call != NULL) ftsi_engine_refused(channel, call, header);
	if (call != NULL || is_question) ftsi_channel_deliver(channel);
	pthread_mutex_unlock(&channel->mutex);
}

static void on_refused(void *ctx, struct ftsi_conn *conn, struct fts_bytes start, uint64_t size_bytes)
{
	struct ftsi_frame frame;
	(void)size_bytes;
	if (ftsi_frame_split(start, &frame) != FTS_OK && frame.route.size_bytes == 0) {
		ftsi_conn_close(conn, "it sent what is not a reply");
		return;
	}
	fail_answer(ctx, frame.request_id, FTS_RESOURCE_EXHAUSTED, "the answer is larger than 4 MiB");
}

static void on_closed(void *ctx, struct ftsi_conn *conn, const char *reason)
{
	struct ftsi_link *link = ctx;
	struct fts_channel *channel = link->channel;
	pthread_mutex_lock(&channel->mutex);
	uint64_t now_ns = fts_clock_monotonic_ns();
	bool was_up = link->state == FTSI_LINK_UP;
	if (link->state == FTSI_LINK_GREETING) {
		snprintf(link->reason, sizeof link->reason, "%shandshake: %s", link->tls != NULL ? "TLS " : "", reason);
	} else if (link->state == FTSI_LINK_UP) {
		set_reason(link, reason);
	}
	if (was_up && now_ns - link->began_ns >= STABLE_NS) link->failure_count = 0;
	count_failure(link, now_ns);
	if (was_up && link->failure_count == 1) link->retry_at_ns = 0;
	link->conn = NULL;
	set_idle(link);
	ftsi_warm_want(channel, now_ns);
	channel->settling_count++; /* the mutex is dropped below; the link may be dialed again meanwhile */
	ftsi_engine_down(channel, link, link->epoch);
	ftsi_channel_deliver(channel);
	channel->settling_count--;
	pthread_cond_broadcast(&channel->changed);
	pthread_mutex_unlock(&channel->mutex);
	ftsi_conn_release(conn);
}

/* ---- Dialing ---- */

static void dial_failed(struct ftsi_link *link, const char *reason)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	bool is_time_left = now_ns - link->began_ns < link->channel->connect_timeout_ms * NS_PER_MS;
	if (link->dialer_at + 1 < link->dialer_count && is_time_left && !link->channel->closing) {
		link->dialer_at++;
		nng_stream_dialer_dial(link->dialers[link->dialer_at], link->dial);
		return;
	}
	set_reason(link, reason);
	count_failure(link, now_ns);
	set_idle(link);
	ftsi_engine_down(link->channel, link, link->epoch);
}

static enum fts_status connection_made(struct ftsi_link *link, nng_stream *stream)
{
	struct ftsi_conn_options options = {
	    .role = FTSI_ROLE_CALLER,
	    .tls = link->tls != NULL,
	    .on_message = on_message,
	    .on_refused = on_refused,
	    .on_ready = on_ready,
	    .on_closed = on_closed,
	    .ctx = link,
	};
	enum fts_status status = ftsi_conn_create(stream, &options, &link->conn);
	if (status != FTS_OK) return status;
	link->state = FTSI_LINK_GREETING;
	ftsi_timer_want(link->channel, link->began_ns + link->channel->connect_timeout_ms * NS_PER_MS);
	return FTS_OK;
}

/* Give the end of a dial its effect; returns the connection to be started (held), or NULL. */
static struct ftsi_conn *dial_ended(struct ftsi_link *link)
{
	int result = nng_aio_result(link->dial);
	nng_stream *stream = result == 0 ? nng_aio_get_output(link->dial, 0) : NULL;
	if (stream != NULL && link->channel->closing) {
		nng_stream_free(stream);
		dial_failed(link, "the channel is closing");
	} else if (stream == NULL) {
		dial_failed(link, nng_strerror(result));
	} else if (connection_made(link, stream) != FTS_OK) {
		dial_failed(link, "out of memory");
	} else {
		return ftsi_conn_hold(link->conn);
	}
	return NULL;
}

static void dialed(void *arg)
{
	struct ftsi_link *link = arg;
	struct fts_channel *channel = link->channel;
	pthread_mutex_lock(&channel->mutex);
	struct ftsi_conn *conn = dial_ended(link);
	ftsi_channel_deliver(channel);
	pthread_mutex_unlock(&channel->mutex);
	if (conn == NULL) return;
	ftsi_conn_start(conn);
	ftsi_conn_release(conn);
}

void ftsi_link_dial(struct ftsi_link *link, uint64_t now_ns)
{
	link->state = FTSI_LINK_DIALING;
	link->epoch++;
	link->began_ns = now_ns;
	link->dialer_at = 0;
	if (link->reason[0] == '\0') set_reason(link, "still connecting");
	nng_stream_dialer_dial(link->dialers[0], link->dial);
}

/* ---- Looking after it ---- */

static uint64_t greeting_due_ns(const struct ftsi_link *link)
{
	return link->began_ns + link->channel->connect_timeout_ms * NS_PER_MS;
}

void ftsi_link_check(struct ftsi_link *link, bool is_round, uint64_t now_ns)
{
	if (link->state == FTSI_LINK_GREETING && now_ns >= greeting_due_ns(link)) {
		set_reason(link, "connected, but it said nothing in time");
		link->state = FTSI_LINK_CLOSING;
		ftsi_conn_close(link->conn, "no hello in time");
	} else if (is_round && link->conn != NULL) {
		ftsi_conn_check(link->conn, now_ns);
	}
}

uint64_t ftsi_link_due_ns(const struct ftsi_link *link, uint64_t next_round_ns)
{
	if (link->conn == NULL) return UINT64_MAX;
	if (link->state == FTSI_LINK_GREETING && greeting_due_ns(link) < next_round_ns) return greeting_due_ns(link);
	return next_round_ns;
}

void ftsi_link_shut(struct ftsi_link *link, const char *reason)
{
	if (link->state == FTSI_LINK_DIALING) {
		nng_aio_abort(link->dial, NNG_ECANCELED);
	} else if (link->conn != NULL && link->state != FTSI_LINK_CLOSING) {
		set_reason(link, reason);
		link->state = FTSI_LINK_CLOSING;
		ftsi_conn_close(link->conn, reason);
	}
}

/* ---- Making and freeing ---- */

static struct fts_tls tls_of(const struct fts_channel *channel)
{
	char *const *paths = channel->tls_paths;
	return (struct fts_tls){.ca_file = paths[0], .cert_file = paths[1], .key_file = paths[2]};
}

static bool is_secure(const struct fts_channel *channel)
{
	struct fts_tls tls = tls_of(channel);
	return ftsi_tls_wanted(&tls);
}

static enum fts_status add_dialer(struct ftsi_link *link, const char *family, struct fts_error *out_error)
{
	const struct ftsi_endpoint *endpoint = &link->endpoint;
	char url[FTSI_ENDPOINT_TEXT_BYTES + 16];
	nng_stream_dialer *dialer = NULL;
	snprintf(url, sizeof url, "%s%s://%s", is_secure(link->channel) ? "tls+tcp" : "tcp", family, endpoint->text);
	int result = nng_stream_dialer_alloc(&dialer, url);
	if (result != 0)
		return fts_error_set(out_error, ftsi_nng_status(result), "endpoint %s: %s", endpoint->text,
				     nng_strerror(result));
	link->dialers[link->dialer_count++] = dialer;
	result = nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
	if (result == 0) return FTS_OK;
	return fts_error_set(out_error, ftsi_nng_status(result), "endpoint %s: %s", endpoint->text,
			     nng_strerror(result));
}

static bool is_ipv4(const char *host)
{
	return strspn(host, "0123456789.") == strlen(host);
}

static enum fts_status add_dialers(struct ftsi_link *link, struct fts_error *out_error)
{
	if (link->endpoint.ipv6) return add_dialer(link, "6", out_error);
	enum fts_status status = add_dialer(link, "4", out_error);
	if (status != FTS_OK || is_ipv4(link->endpoint.host)) return status;
	return add_dialer(link, "6", out_error);
}

static int set_tls(void *ctx, nng_tls_config *config)
{
	struct ftsi_link *link = ctx;
	int result = 0;
	for (uint32_t i = 0; i < link->dialer_count && result == 0; i++)
		result = nng_stream_dialer_set_ptr(link->dialers[i], NNG_OPT_TLS_CONFIG, config);
	return result;
}

static enum fts_status load_tls(struct ftsi_link *link, struct fts_error *out_error)
{
	struct fts_tls tls = tls_of(link->channel);
	if (!ftsi_tls_wanted(&tls)) return FTS_OK;
	return ftsi_tls_watch_create(&tls, FTSI_ROLE_CALLER, link->endpoint.host, set_tls, link, &link->tls, out_error);
}

static enum fts_status link_init(struct ftsi_link *link, struct fts_error *out_error)
{
	enum fts_status status = add_dialers(link, out_error);
	if (status == FTS_OK) status = load_tls(link, out_error);
	if (status != FTS_OK) return status;
	link->arena = fts_arena_acquire(link->channel->pool, FTSI_UNPACKED_MAX_BYTES);
	if (link->arena == NULL || nng_aio_alloc(&link->dial, dialed, link) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	nng_aio_set_timeout(link->dial, (nng_duration)link->channel->connect_timeout_ms);
	return FTS_OK;
}

enum fts_status ftsi_link_create(struct fts_channel *channel, const struct ftsi_endpoint *endpoint,
				 struct fts_error *out_error)
{
	if (channel->link_count == FTSI_ENDPOINT_COUNT_MAX)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "more than %u endpoints",
				     FTSI_ENDPOINT_COUNT_MAX);
	struct ftsi_link *link = calloc(1, sizeof *link);
	if (link == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	link->channel = channel;
	link->index = channel->link_count;
	link->endpoint = *endpoint;
	enum fts_status status = link_init(link, out_error);
	if (status != FTS_OK) {
		ftsi_link_destroy(link);
		return status;
	}
	channel->links[channel->link_count++] = link;
	return FTS_OK;
}

void ftsi_link_destroy(struct ftsi_link *link)
{
	if (link == NULL) return;
	if (link->dial != NULL) nng_aio_stop(link->dial);
	ftsi_tls_watch_stop(link->tls);
	for (uint32_t i = 0; i < link->dialer_count; i++) {
		nng_stream_dialer_close(link->dialers[i]);
		nng_stream_dialer_free(link->dialers[i]);
	}
	if (link->dial != NULL) nng_aio_free(link->dial);
	ftsi_tls_watch_destroy(link->tls);
	fts_arena_release(link->arena);
	free(link);
}
