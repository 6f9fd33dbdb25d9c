/* Why this file exists: service Kv on every node: any node coordinates calls on keys, wherever they lie
 * (router/coordinate.h); docs/kv.md says what each consistency promises.
 *
 *   start: create -> serve -> (the server starts) -> start      end: stop (answers all that is open) -> destroy
 */
#ifndef FTS_ROUTER_ROUTER_H
#define FTS_ROUTER_ROUTER_H

#include "router/owner.h"

struct fts_router;

struct fts_router_options {
	const struct fts_router_owner *owner; /* borrowed until destroy */
	struct fts_tls tls;                   /* borrowed until destroy */
	const char *endpoint;                 /* HOST:PORT of this node's own calls; borrowed until destroy */
	size_t (*token_source)(void *ctx,
			       uint8_t *out_token); /* as fts_channel_options has it: how nodes know each other */
	void *token_ctx;
};

/* out_router: returned (stop, destroy). Errors: RESOURCE_EXHAUSTED, INVALID_ARGUMENT (TLS). */
FTS_MUST_USE enum fts_status fts_router_create(const struct fts_router_options *options, struct fts_router **out_router,
					       struct fts_error *out_error);
/* Offer fts.kv.v1.Kv on server (borrowed). */
FTS_MUST_USE enum fts_status fts_router_serve(struct fts_router *router, struct fts_server *server,
					      struct fts_error *out_error);
/* Begin what it does of itself (router/keeper.h), once calls can be served. Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status fts_router_start(struct fts_router *router, struct fts_error *out_error);
/* End all that is under way, for good. The owner must still finish what it was given. Blocks. */
void fts_router_stop(struct fts_router *router);
void fts_router_destroy(struct fts_router *router); /* NULL: no-op */

#endif
