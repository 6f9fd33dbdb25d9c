/* Why this file exists: what a request asks for, told from its first line and headers: a method, the stream of events,
 * a file of the page, a number; or nothing that may be had, and then why. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "rpc/statistics.h"

#define BODY_MAX_PROTO_BYTES ((size_t)FTS_MESSAGE_MAX)
#define BODY_MAX_JSON_BYTES ((size_t)FTS_MESSAGE_MAX * 2) /* base64 and names take their room */
#define STREAM_PATH "/fts.http.v1.Events/Subscribe"

static void refuse(struct ftsi_exchange *exchange, unsigned http_status, enum fts_status status, const char *format,
		   const char *what)
{
	exchange->kind = FTSI_HTTP_REFUSED;
	exchange->http_status = http_status;
	(void)fts_error_set(&exchange->error, status, format, what);
}

/* ---- Headers of a call ---- */

static bool read_token(struct ftsi_exchange *exchange)
{
	static const char scheme[] = "Bearer ";
	const char *text = ftsi_header(exchange, MHD_HTTP_HEADER_AUTHORIZATION);
	if (text == NULL) return true;
	size_t skip = sizeof(scheme) - 1;
	size_t size = strlen(text) > skip ? strlen(text + skip) : 0;
	if (strncasecmp(text, scheme, skip) != 0 || size == 0 || size > FTSI_HTTP_TOKEN_MAX_BYTES) {
		refuse(exchange, 0, FTS_UNAUTHENTICATED, "Authorization: expected Bearer TOKEN of at most %s bytes",
		       "128");
		return false;
	}
	exchange->token = (struct fts_bytes){(const uint8_t *)text + skip, size};
	return true;
}

static bool read_fence(struct ftsi_exchange *exchange)
{
	char *end = NULL;
	const char *text = ftsi_header(exchange, "Fts-Fence");
	if (text == NULL) return true;
	exchange->fence = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0') return true;
	refuse(exchange, 0, FTS_INVALID_ARGUMENT, "Fts-Fence: \"%.60s\" is not a number", text);
	return false;
}

static bool read_headers(struct ftsi_exchange *exchange)
{
	const char *version = ftsi_header(exchange, "Connect-Protocol-Version");
	const char *timeout = ftsi_header(exchange, "Connect-Timeout-Ms");
	const char *encoding =
	    ftsi_header(exchange, exchange->kind == FTSI_HTTP_STREAM ? "Connect-Content-Encoding"
								     : MHD_HTTP_HEADER_CONTENT_ENCODING);
	const char *stale = ftsi_header(exchange, "Fts-Stale");
	if (version != NULL && strcmp(version, "1") != 0)
		refuse(exchange, 0, FTS_INVALID_ARGUMENT, "Connect-Protocol-Version: \"%.20s\": expected 1", version);
	else if (timeout != NULL && !ftsi_connect_timeout(timeout, &exchange->timeout_ms))
		refuse(exchange, 0, FTS_INVALID_ARGUMENT, "Connect-Timeout-Ms: \"%.20s\": expected 1 to 10 digits",
		       timeout);
	else if (timeout != NULL && exchange->timeout_ms == 0)
		refuse(exchange, 0, FTS_DEADLINE_EXCEEDED, "Connect-Timeout-Ms: %s ms leave no time", "0");
	else if (encoding != NULL && strcmp(encoding, "identity") != 0)
		refuse(exchange, 0, FTS_UNIMPLEMENTED,
		       "compression \"%.20s\" is not known here: supported encodings are identity", encoding);
	exchange->stale = stale != NULL && strcmp(stale, "1") == 0;
	return exchange->kind != FTSI_HTTP_REFUSED && read_token(exchange) && read_fence(exchange);
}

/* ---- Methods ---- */

/* path: "/fts.lottery.v1.Lottery/StoreBet". NULL: not offered here. */
static const struct fts_method *find_method(const struct fts_server *server, const char *path)
{
	for (size_t i = 0; i < ftsi_server_service_count(server); i++) {
		const struct fts_service *service = ftsi_server_service(server, i);
		size_t size = strlen(service->name);
		if (strncmp(path + 1, service->name, size) != 0 || path[1 + size] != '/') continue;
		for (size_t k = 0; k < service->method_count; k++)
			if (strcmp(path + size + 2, service->methods[k].name) == 0) return &service->methods[k];
	}
	return NULL;
}

static const char *argument(const struct ftsi_exchange *exchange, const char *name)
{
	return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* ?connect=v1&encoding=json&message=...[&base64=1]: the message becomes the body. */
static void read_query(struct ftsi_exchange *exchange)
{
	const char *encoding = argument(exchange, "encoding"), *compression = argument(exchange, "compression");
	const char *version = argument(exchange, "connect"), *base64 = argument(exchange, "base64"), *message = "";
	size_t size = 0;
	if (version != NULL && strcmp(version, "v1") != 0) {
		refuse(exchange, 0, FTS_INVALID_ARGUMENT, "connect=%.20s: expected v1", version);
	} else if (encoding == NULL || (strcmp(encoding, "json") != 0 && strcmp(encoding, "proto") != 0)) {
		refuse(exchange, encoding == NULL ? 0 : MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, FTS_INVALID_ARGUMENT,
		       "encoding=%.20s: expected json or proto", encoding == NULL ? "" : encoding);
	} else if (compression != NULL && compression[0] != '\0' && strcmp(compression, "identity") != 0) {
		refuse(exchange, 0, FTS_UNIMPLEMENTED,
		       "compression \"%.20s\" is not known here: supported encodings are identity", compression);
	} else if (MHD_lookup_connection_value_n(exchange->connection, MHD_GET_ARGUMENT_KIND, "message", 7, &message,
						 &size) == MHD_NO) {
		refuse(exchange, 0, FTS_INVALID_ARGUMENT, "the query lacks %s", "message=");
	}
	if (exchange->kind == FTSI_HTTP_REFUSED) return;
	exchange->codec = strcmp(encoding, "json") == 0 ? FTSI_CODEC_JSON : FTSI_CODEC_PROTO;
	exchange->body = malloc(size + 1); /* bounded by the memory of a connection's headers */
	if (exchange->body == NULL) {
		refuse(exchange, 0, FTS_RESOURCE_EXHAUSTED, "%s", "out of memory");
		return;
	}
	exchange->body_bytes = size;
	if (base64 == NULL || strcmp(base64, "1") != 0) {
		if (size > 0) memcpy(exchange->body, message, size);
	} else if ((exchange->body_bytes = ftsi_connect_base64(message, size, exchange->body)) == (size_t)-1) {
		refuse(exchange, 0, FTS_INVALID_ARGUMENT, "%s", "message= is not base64, and base64=1 says it is");
	}
}

static void route_post(struct ftsi_exchange *exchange)
{
	const char *type = ftsi_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE);
	bool stream = exchange->kind == FTSI_HTTP_STREAM;
	if (stream ? ftsi_connect_stream_type(type, &exchange->codec)
		   : ftsi_connect_unary_type(type, &exchange->codec)) {
		exchange->body_max_bytes =
		    exchange->codec == FTSI_CODEC_JSON ? BODY_MAX_JSON_BYTES : BODY_MAX_PROTO_BYTES;
		(void)read_headers(exchange);
		return;
	}
	refuse(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, FTS_INVALID_ARGUMENT, "Content-Type: expected %s",
	       stream ? "application/connect+json or application/connect+proto (it is a stream)"
		      : "application/json or application/proto");
}

static void route_method(struct ftsi_exchange *exchange, const char *url, const char *method)
{
	bool is_stream = strcmp(url, STREAM_PATH) == 0;
	exchange->method = is_stream ? NULL : find_method(exchange->door->options.server, url);
	exchange->kind = is_stream ? FTSI_HTTP_STREAM : FTSI_HTTP_UNARY;
	bool get_allowed = exchange->method != NULL && exchange->method->no_side_effects;
	if (!is_stream && exchange->method == NULL) {
		refuse(exchange, MHD_HTTP_NOT_FOUND, FTS_UNIMPLEMENTED,
		       "%.120s is not served here: a call's path is /package.Service/Method", url);
	} else if (strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
		route_post(exchange);
	} else if (exchange->is_get && get_allowed) {
		if (read_headers(exchange)) read_query(exchange);
	} else {
		exchange->allow = get_allowed ? "GET, POST" : "POST";
		refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, FTS_UNIMPLEMENTED, "%.20s: this method is asked by POST",
		       method);
	}
}

/* ---- All the rest ---- */

static bool is_allowed_here(struct ftsi_exchange *exchange)
{
	const struct ftsi_origin_rules *rules = &exchange->door->rules;
	const char *origin = ftsi_header(exchange, MHD_HTTP_HEADER_ORIGIN);
	const char *host = ftsi_header(exchange, MHD_HTTP_HEADER_HOST);
	if (!ftsi_host_allowed(rules, host)) {
		refuse(exchange, MHD_HTTP_FORBIDDEN, FTS_PERMISSION_DENIED,
		       "Host: %.100s is no name of this machine; if it is meant to be, start ftsd with --http-origins "
		       "http://NAME",
		       host);
		return false;
	}
	if (ftsi_origin_allowed(rules, origin, host)) {
		exchange->cross_origin = origin;
		return true;
	}
	refuse(exchange, MHD_HTTP_FORBIDDEN, FTS_PERMISSION_DENIED,
	       "Origin: pages of %.100s may not call this node; ftsd --http-origins lets them", origin);
	return false;
}

static bool route_fixed(struct ftsi_exchange *exchange, const char *url)
{
	static const struct {
		const char *path;
		enum ftsi_http_kind kind;
	} fixed[] = {{"/metrics", FTSI_HTTP_METRICS}, {"/livez", FTSI_HTTP_LIVE}, {"/readyz", FTSI_HTTP_READY}};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(url, fixed[i].path) != 0) continue;
		exchange->kind = fixed[i].kind;
		return true;
	}
	exchange->file = ftsi_page_find(url);
	exchange->kind = FTSI_HTTP_FILE;
	return exchange->file != NULL;
}

void ftsi_route(struct ftsi_exchange *exchange, const char *url, const char *method)
{
	exchange->is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	exchange->is_get = exchange->is_head || strcmp(method, MHD_HTTP_METHOD_GET) == 0;
	if (!is_allowed_here(exchange)) return;
	if (atomic_load(&exchange->door->draining)) {
		refuse(exchange, 0, FTS_UNAVAILABLE, "%s", "this node is stopping: go to another one");
		exchange->close_after = true;
		return;
	}
	if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0) {
		exchange->kind = FTSI_HTTP_PREFLIGHT;
		return;
	}
	bool is_fixed = route_fixed(exchange, url);
	if (!is_fixed) {
		route_method(exchange, url, method);
	} else if (!exchange->is_get) {
		exchange->allow = "GET, HEAD";
		refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, FTS_UNIMPLEMENTED, "%s is asked by GET", url);
	}
}
