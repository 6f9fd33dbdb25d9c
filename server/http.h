/* Why this file exists: the HTTP door (http/door.h) of this node: its listener, its channel to this very node, and what
 * /metrics and /readyz tell of the node.
 *
 *   listen before anything is started -> open once the server listens      end: close, before the server ends
 * Thread: main. */
#ifndef FTS_SERVER_HTTP_H
#define FTS_SERVER_HTTP_H

#include "access/access.h"
#include "replica/replica.h"
#include "server/kv.h"
#include "server/settings.h"

struct ftsi_http;

struct ftsi_http_options {
	const struct ftsi_settings *settings; /* as all below: borrowed until close */
	struct fts_tls tls;
	const char *endpoint; /* HOST:PORT by which this node reaches itself; copied */
	struct fts_server *server;
	struct fts_replica *replica;
	struct ftsi_kv *kv;
	struct fts_access *access;
};

/* Take the port of --http. out_fd: returned (open, or close(2)); -1 when there is to be no door. Errors: UNAVAILABLE,
 * INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_http_listen(const struct ftsi_settings *settings, int *out_fd,
					      struct fts_error *out_error);
/* listen_fd: owned, also on failure. out_http: returned (ftsi_http_close). Errors: as fts_door_open. */
FTS_MUST_USE enum fts_status ftsi_http_open(const struct ftsi_http_options *options, int listen_fd,
					    struct ftsi_http **out_http, struct fts_error *out_error);
/* Finish what is open, end the streams; blocks for some seconds at most. NULL: no-op. */
void ftsi_http_close(struct ftsi_http *http);

#endif
