/* Why this file exists: the HTTP door of a node (ftsd --http): every service the node offers, by the Connect protocol
 * (https://connectrpc.com/docs/protocol) over HTTP/1.1; events as a server stream; /metrics, /livez, /readyz; the page
 * at /. docs/http.md tells it from outside.
 *
 * The HTTP itself is GNU libmicrohttpd's: it has limits on connections, on their memory and on their idle time, streams
 * both ways and suspends a request while its call is under way. nng's own server has no time limits, reads whole bodies
 * before anybody is asked, and can stream nothing.
 *
 * Invariants
 * - A call goes in as a frame like any other, through a channel to this very node: the same dispatch, access check,
 *   limits, retries and way to the leader as for every client of libfts. Nothing is served a second time here.
 * - Bounded: connections, header bytes, bytes of bodies, time for a request to come in, streams. Past a limit there is
 *   an answer that says so, or the connection ends.
 * - A page of a foreign site gets nothing: requests with an Origin that is not allowed are refused, and so is a Host
 *   that is not this machine when the door is open to this machine only (http/origin.h). */
#ifndef FTS_HTTP_DOOR_H
#define FTS_HTTP_DOOR_H

#include <stdbool.h>

#include <fts/rpc.h>

#include "http/metrics.h"

struct fts_door;

struct fts_door_options {
	int listen_fd;               /* owned, also on failure; a listening socket that does not block */
	struct fts_channel *channel; /* calls go through it; borrowed until drain has returned. Closed before destroy */
	struct fts_server *server;   /* whose services are offered; started; borrowed until destroy */
	const char *endpoint;        /* HOST:PORT of this node's calls, for events; borrowed until destroy */
	struct fts_tls tls;          /* of the node: with one the door speaks HTTPS and wants a client's certificate.
					Borrowed until destroy */
	const char *origins; /* "ORIGIN,ORIGIN", "*" or NULL: of pages allowed beside our own. Borrowed until destroy */
	bool local;          /* it listens on loopback: only this machine's names are good for Host */
	/* Is anybody known by this token (borrowed), as far as method asks for one? UNAUTHENTICATED: no, the call is
	 * not sent on. NULL: the server says so. Thread: the door's. */
	enum fts_status (*recognize)(void *ctx, const struct fts_method *method, struct fts_bytes token,
				     struct fts_error *out_error);
	/* What /metrics shows beside the door's own. Thread: the door's. */
	void (*on_metrics)(void *ctx, struct fts_metrics *metrics);
	/* Does the node serve? If not, out_reason (FTS_DOOR_REASON_BYTES, borrowed) says why. Thread: the door's. */
	bool (*is_ready)(void *ctx, char *out_reason);
	void *ctx;
	uint32_t connection_count_max; /* 0: 1,024 */
	uint32_t stream_count_max;     /* 0: 64 */
	uint32_t receive_timeout_ms;   /* for a request to come in whole; 0: 30,000 */
};
#define FTS_DOOR_REASON_BYTES 160

/* Is text a list as options.origins wants it? Thread: any. */
bool fts_door_origins_valid(const char *text);
/* Open it. out_door: returned (fts_door_destroy). Errors: INVALID_ARGUMENT (TLS files, origins), RESOURCE_EXHAUSTED.
 * Thread: any. */
FTS_MUST_USE enum fts_status fts_door_open(const struct fts_door_options *options, struct fts_door **out_door,
					   struct fts_error *out_error);
/* Take no new connections, end the streams, wait for the answers of what is open, timeout_ms at most. When
 * it returns no call begins any more, and the channel may be closed. NULL: no-op. */
void fts_door_drain(struct fts_door *door, uint32_t timeout_ms);
/* Once its channel is closed: close all connections and free it (owned; NULL: no-op). */
void fts_door_destroy(struct fts_door *door);

#endif
