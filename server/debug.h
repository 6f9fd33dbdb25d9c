/* Why this file exists: fts.debug.v1.Debug: faults that tests ask a real node for (replica/debug.h), and an endless
 * loop in a handler. Refused unless ftsd was started with --debug-hooks. */
#ifndef FTS_SERVER_DEBUG_H
#define FTS_SERVER_DEBUG_H

#include "replica/replica.h"

struct ftsi_debug {
	bool allowed;                /* --debug-hooks */
	struct fts_replica *replica; /* borrowed */
};

/* Offer the service on server. debug: borrowed until the server is destroyed. */
FTS_MUST_USE enum fts_status ftsi_debug_serve(struct ftsi_debug *debug, struct fts_server *server,
					      struct fts_error *out_error);

#endif
