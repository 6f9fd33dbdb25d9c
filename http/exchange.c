/* Why this file exists: one HTTP exchange: a request comes in piece by piece, within limits, and goes out as an answer.
 * libmicrohttpd calls ftsi_on_request once for the headers, then for each piece of the body, then with no piece for
 * its end, and once more after each resume. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/internal.h"

#define BODY_FIRST_BYTES 4096u
#define READ_ANYWAY_BYTES 65536u                     /* of a refused request, to keep its connection */
#define DROPPED_MAX_BYTES ((size_t)16 * 1024 * 1024) /* of a body that turned out too long */
#define ALLOWED_HEADERS                                                                                                \
	"Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, Authorization, X-User-Agent, User-Agent, "        \
	"Fts-Fence, Fts-Stale"
#define EXPOSED_HEADERS "Fts-Executed, Retry-After"

const char *ftsi_header(const struct ftsi_exchange *exchange, const char *name)
{
	return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

/* ---- Answers ---- */

void ftsi_answer_headers(const struct ftsi_exchange *exchange, struct MHD_Response *response)
{
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (exchange->close_after) MHD_add_response_header(response, "Connection", "close");
	if (exchange->cross_origin == NULL) return;
	MHD_add_response_header(response, "Access-Control-Allow-Origin", exchange->cross_origin);
	MHD_add_response_header(response, "Vary", "Origin");
	MHD_add_response_header(response, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

static void add_error_headers(const struct ftsi_exchange *exchange, struct MHD_Response *response)
{
	char seconds[16];
	const struct fts_error *error = &exchange->error;
	if (exchange->allow != NULL) MHD_add_response_header(response, "Allow", exchange->allow);
	if (error->status == FTS_OK) return;
	MHD_add_response_header(response, "Fts-Executed", fts_executed_name(error->executed));
	if (error->retry_after_ms == 0) return;
	snprintf(seconds, sizeof(seconds), "%u", (error->retry_after_ms + 999u) / 1000u);
	MHD_add_response_header(response, "Retry-After", seconds);
}

static enum MHD_Result queue(struct ftsi_exchange *exchange, unsigned http_status, const char *type,
			     struct MHD_Response *response)
{
	if (response == NULL) return MHD_NO;
	if (type != NULL) MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	ftsi_answer_headers(exchange, response);
	add_error_headers(exchange, response);
	enum MHD_Result queued = MHD_queue_response(exchange->connection, http_status, response);
	MHD_destroy_response(response);
	return queued;
}

enum MHD_Result ftsi_answer(struct ftsi_exchange *exchange, unsigned http_status, const char *type, uint8_t *body,
			    size_t size_bytes)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size_bytes, body, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) free(body);
	return queue(exchange, http_status, type, response);
}

enum MHD_Result ftsi_answer_text(struct ftsi_exchange *exchange, unsigned http_status, const char *type,
				 const char *text)
{
	/* MUST_COPY: libmicrohttpd does not write into it. */
	return queue(exchange, http_status, type,
		     MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY));
}

enum MHD_Result ftsi_answer_error(struct ftsi_exchange *exchange)
{
	const struct fts_error *error = &exchange->error;
	unsigned http_status =
	    exchange->http_status != 0 ? exchange->http_status : ftsi_connect_http_status(error->status);
	char *text = ftsi_connect_error_json(error, false);
	if (text == NULL) return MHD_NO;
	return ftsi_answer(exchange, http_status, "application/json", (uint8_t *)text, strlen(text));
}

static enum MHD_Result answer_preflight(struct ftsi_exchange *exchange)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (response == NULL) return MHD_NO;
	MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST");
	MHD_add_response_header(response, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
	MHD_add_response_header(response, "Access-Control-Max-Age", "7200");
	return queue(exchange, MHD_HTTP_NO_CONTENT, NULL, response);
}

static enum MHD_Result answer(struct ftsi_exchange *exchange)
{
	switch (exchange->kind) {
	case FTSI_HTTP_REFUSED:
		break;
	case FTSI_HTTP_UNARY:
		return ftsi_unary_answer(exchange);
	case FTSI_HTTP_STREAM:
		return ftsi_stream_answer(exchange);
	case FTSI_HTTP_FILE:
		return ftsi_page_answer(exchange);
	case FTSI_HTTP_METRICS:
		return ftsi_metrics_answer(exchange);
	case FTSI_HTTP_LIVE:
		return ftsi_live_answer(exchange);
	case FTSI_HTTP_READY:
		return ftsi_ready_answer(exchange);
	case FTSI_HTTP_PREFLIGHT:
		return answer_preflight(exchange);
	}
	return ftsi_answer_error(exchange);
}

/* ---- The body ---- */

static void refuse_body(struct ftsi_exchange *exchange, const char *why, size_t limit_bytes)
{
	(void)fts_error_set(&exchange->error, FTS_RESOURCE_EXHAUSTED, why, limit_bytes);
	exchange->kind = FTSI_HTTP_REFUSED;
	exchange->close_after = true; /* the rest of it is not worth reading */
}

/* Make room for size_bytes in all. */
static bool grow(struct ftsi_exchange *exchange, size_t size_bytes)
{
	size_t capacity = exchange->body_capacity_bytes == 0 ? BODY_FIRST_BYTES : exchange->body_capacity_bytes;
	while (capacity < size_bytes)
		capacity *= 2;
	size_t more = capacity - exchange->body_capacity_bytes;
	if (more == 0) return true;
	if (!ftsi_door_take_bytes(exchange->door, more)) return false;
	uint8_t *body = realloc(exchange->body, capacity);
	if (body == NULL) {
		ftsi_door_give_bytes(exchange->door, more);
		return false;
	}
	exchange->body = body;
	exchange->body_capacity_bytes = capacity;
	return true;
}

/* What can't be taken is read and dropped: libmicrohttpd sends an answer only once the request has ended. False: that
 * would be too much, too. */
static bool take_piece(struct ftsi_exchange *exchange, const char *piece, size_t size_bytes)
{
	exchange->received_bytes += size_bytes;
	if (exchange->kind == FTSI_HTTP_REFUSED) return exchange->received_bytes <= DROPPED_MAX_BYTES;
	/* What came with a GET's query may be more than a body may have: that is 0. */
	if (exchange->body_bytes + size_bytes > exchange->body_max_bytes) {
		refuse_body(exchange, "a request's body may have at most %zu bytes", exchange->body_max_bytes);
	} else if (!grow(exchange, exchange->body_bytes + size_bytes)) {
		refuse_body(exchange, "the door holds as many bytes of requests as it may: try later", 0);
	} else {
		memcpy(exchange->body + exchange->body_bytes, piece, size_bytes);
		exchange->body_bytes += size_bytes;
	}
	return true;
}

static void drop_body(struct ftsi_exchange *exchange)
{
	free(exchange->body);
	ftsi_door_give_bytes(exchange->door, exchange->body_capacity_bytes);
	exchange->body = NULL;
	exchange->body_bytes = exchange->body_capacity_bytes = 0;
}

/* A length that is too large is refused before a byte of it is read; and nobody has to send much that is refused. */
static void look_at_length(struct ftsi_exchange *exchange)
{
	const char *text = ftsi_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
	bool chunked = ftsi_header(exchange, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
	/* libmicrohttpd has checked that it is a number. */
	unsigned long long length = text == NULL ? 0 : strtoull(text, NULL, 10);
	if (exchange->kind == FTSI_HTTP_REFUSED)
		exchange->close_after |= chunked || length > READ_ANYWAY_BYTES;
	else if (length > exchange->body_max_bytes)
		refuse_body(exchange, "a request's body may have at most %zu bytes", exchange->body_max_bytes);
}

/* ---- From libmicrohttpd ---- */

static struct ftsi_http_conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info == NULL ? NULL : info->socket_context;
}

/* Begin or end to wait for the other side. */
static void set_waiting(struct ftsi_exchange *exchange, bool waits)
{
	struct ftsi_http_conn *conn = conn_of(exchange->connection);
	if (conn == NULL) return;
	pthread_mutex_lock(&exchange->door->lock);
	conn->waits_since_ns = waits ? fts_clock_monotonic_ns() : 0;
	pthread_mutex_unlock(&exchange->door->lock);
}

static bool is_trusted(struct ftsi_exchange *exchange)
{
	struct ftsi_http_conn *conn = conn_of(exchange->connection);
	if (!exchange->door->rules.https) return true;
	if (conn == NULL) return false;
	if (!conn->is_trusted) conn->is_trusted = ftsi_certificate_is_good(exchange->door, exchange->connection);
	return conn->is_trusted;
}

static enum MHD_Result begin(struct fts_door *door, struct MHD_Connection *connection, const char *url,
			     const char *method, void **ctx)
{
	struct ftsi_exchange *exchange = calloc(1, sizeof(*exchange));
	if (exchange == NULL) return MHD_NO;
	*ctx = exchange;
	exchange->door = door;
	exchange->connection = connection;
	atomic_fetch_add(&door->exchange_count, 1);
	atomic_fetch_add(&door->request_count, 1);
	if (is_trusted(exchange)) {
		ftsi_route(exchange, url, method);
	} else {
		(void)fts_error_set(
		    &exchange->error, FTS_UNAUTHENTICATED,
		    "this door wants a client's certificate of its own authority: give one (curl --cert "
		    "FILE --key FILE --cacert FILE)");
		exchange->close_after = true;
	}
	look_at_length(exchange);
	/* A connection that is to go on is answered once its request has come in whole. */
	return exchange->close_after ? answer(exchange) : MHD_YES;
}

enum MHD_Result ftsi_on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
				const char *version, const char *upload_data, size_t *upload_data_size,
				void **request_ctx)
{
	struct ftsi_exchange *exchange = *request_ctx;
	(void)version;
	if (exchange == NULL) return begin(ctx, connection, url, method, request_ctx);
	if (*upload_data_size > 0) {
		bool taken = take_piece(exchange, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	bool starts = exchange->kind == FTSI_HTTP_UNARY || exchange->kind == FTSI_HTTP_STREAM;
	if (starts && !exchange->is_called) {
		exchange->is_called = true;
		set_waiting(exchange, false);
		bool suspended =
		    exchange->kind == FTSI_HTTP_UNARY ? ftsi_unary_start(exchange) : ftsi_stream_start(exchange);
		drop_body(exchange);
		if (suspended) return MHD_YES;
	}
	if (exchange->kind != FTSI_HTTP_STREAM) set_waiting(exchange, true); /* until the answer is taken */
	return answer(exchange);
}

void ftsi_on_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
		       enum MHD_RequestTerminationCode code)
{
	struct ftsi_exchange *exchange = *request_ctx;
	struct fts_door *door = ctx;
	(void)connection;
	(void)code;
	if (exchange == NULL) return;
	*request_ctx = NULL;
	set_waiting(exchange, true); /* for the next request */
	if (exchange->error.status != FTS_OK) atomic_fetch_add(&door->refused_count, 1);
	if (exchange->stream != NULL) ftsi_stream_leave(exchange->stream);
	drop_body(exchange);
	free(exchange->packed);
	free(exchange);
	atomic_fetch_sub(&door->exchange_count, 1);
	ftsi_door_wake(door);
}
