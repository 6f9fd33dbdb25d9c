/* Why this file exists: see stock.h. */
#include "rpc/stock.h"

#include <stdio.h>
#include <string.h>

#include "rpc/endpoint.h"
#include "rpc/stock_guard.h"
#include "rpc/tls_watch.h"

static enum fts_status print_url(const struct ftsi_endpoint *endpoint, uint32_t port, bool tls, char *out)
{
	int n = snprintf(out, FTSI_URL_MAX_BYTES, endpoint->ipv6 ? "%s://[%s]:%u" : "%s://%s:%u",
			 tls ? "tls+tcp" : "tcp", endpoint->host, (unsigned)port);

	return n > 0 && n < FTSI_URL_MAX_BYTES && port <= UINT16_MAX ? FTS_OK : FTS_INVALID_ARGUMENT;
}

/* Port 0 is for listeners only; an endpoint has a port that can be called. */
static enum fts_status parse_listen(const char *text, struct ftsi_endpoint *out, uint32_t *out_port,
				    struct fts_error *out_error)
{
	char made[FTSI_ENDPOINT_TEXT_BYTES];
	size_t length = strlen(text);
	bool any = length > 2 && length + 1 < sizeof made && strcmp(text + length - 2, ":0") == 0;

	memset(made, 0, sizeof made);
	if (any) {
		memcpy(made, text, length - 1);
		made[length - 1] = '1';
	}
	enum fts_status status = ftsi_endpoint_parse(any ? made : text, length, out, out_error);
	if (status == FTS_OK) *out_port = any ? 0 : out->port;
	return status;
}

static enum fts_status translate(int nng_error, const char *what, const char *url, struct fts_error *out_error)
{
	return fts_error_set(out_error, ftsi_nng_status(nng_error), "can't %s %s: %s", what, url,
			     nng_strerror(nng_error));
}

/* Both go by number: what has been closed meanwhile is then no more than unknown. */
static int set_listener_tls(void *id, nng_tls_config *config)
{
	return nng_listener_set_ptr((nng_listener){.id = (uint32_t)(uintptr_t)id}, NNG_OPT_TLS_CONFIG, config);
}

static int set_dialer_tls(void *id, nng_tls_config *config)
{
	return nng_dialer_set_ptr((nng_dialer){.id = (uint32_t)(uintptr_t)id}, NNG_OPT_TLS_CONFIG, config);
}

enum fts_status ftsi_stock_listen(nng_socket socket, const char *endpoint, const struct fts_tls *tls,
				  size_t receive_max_bytes, uint16_t *out_port, struct ftsi_stock_door *out_door,
				  struct fts_error *out_error)
{
	struct ftsi_endpoint parsed;
	struct ftsi_stock_door door = {.guard = NULL};
	nng_listener listener;
	uint32_t port = 0;
	int bound = 0, error = 0;
	char url[FTSI_URL_MAX_BYTES] = "";
	bool secure = ftsi_tls_wanted(tls);
	enum fts_status status = parse_listen(endpoint, &parsed, &port, out_error);

	if (status == FTS_OK) status = print_url(&parsed, port, secure, url);
	if (status != FTS_OK) return status;
	if ((door.guard = ftsi_stock_guard_create(socket)) == NULL)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory to listen on %s", url);
	if ((error = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, receive_max_bytes)) == 0)
		error = nng_listener_create(&listener, socket, url);
	if (error == 0 && secure)
		status = ftsi_tls_watch_create(tls, FTSI_ROLE_SERVER, NULL, set_listener_tls,
					       (void *)(uintptr_t)nng_listener_id(listener), &door.tls, out_error);
	if (error == 0 && status == FTS_OK) error = nng_listener_start(listener, 0);
	*out_door = door; /* to be closed after the socket, in any case */
	if (error != 0) return translate(error, "listen on", url, out_error);
	if (status != FTS_OK) return status;
	if (nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &bound) != 0) bound = (int)port;
	*out_port = (uint16_t)bound;
	ftsi_stock_guard_start(door.guard, *out_port);
	return FTS_OK;
}

enum fts_status ftsi_stock_dial(nng_socket socket, const char *endpoint, uint16_t port_offset,
				const struct fts_tls *tls, size_t receive_max_bytes, nng_dialer *out_dialer,
				struct ftsi_tls_watch **out_tls, struct fts_error *out_error)
{
	struct ftsi_endpoint parsed;
	struct ftsi_tls_watch *watch = NULL;
	char url[FTSI_URL_MAX_BYTES] = "";
	int error = 0;
	bool secure = ftsi_tls_wanted(tls);
	enum fts_status status = ftsi_endpoint_parse(endpoint, strlen(endpoint), &parsed, out_error);

	if (status == FTS_OK && print_url(&parsed, (uint32_t)parsed.port + port_offset, secure, url) != FTS_OK)
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: no port %u above it", endpoint,
				       (unsigned)port_offset);
	if (status != FTS_OK) return status;
	if ((error = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, receive_max_bytes)) != 0 ||
	    (error = nng_dialer_create(out_dialer, socket, url)) != 0)
		return translate(error, "dial", url, out_error);
	if (secure)
		status = ftsi_tls_watch_create(tls, FTSI_ROLE_CALLER, parsed.host, set_dialer_tls,
					       (void *)(uintptr_t)nng_dialer_id(*out_dialer), &watch, out_error);
	if (status != FTS_OK) return status;
	if ((error = nng_dialer_start(*out_dialer, NNG_FLAG_NONBLOCK)) != 0) {
		ftsi_stock_tls_free(watch);
		return translate(error, "dial", url, out_error);
	}
	*out_tls = watch;
	return FTS_OK;
}

void ftsi_stock_tls_free(struct ftsi_tls_watch *tls)
{
	ftsi_tls_watch_destroy(tls);
}

void ftsi_stock_door_close(struct ftsi_stock_door *door)
{
	ftsi_stock_guard_destroy(door->guard);
	ftsi_tls_watch_destroy(door->tls);
	*door = (struct ftsi_stock_door){.guard = NULL};
}
