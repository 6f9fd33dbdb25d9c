/* Why this file exists: every server tells what it offers (fts.rpc.v1.Reflection), so that tools need no .proto. */
#ifndef FTS_RPC_REFLECTION_H
#define FTS_RPC_REFLECTION_H

#include <fts/rpc.h>

/* Offer the service on server (borrowed until destroy); called by fts_server_create, before any other service.
 * What is described is all that is offered when the question comes. Errors: as fts_server_add. */
FTS_MUST_USE enum fts_status ftsi_reflection_register(struct fts_server *server);

#endif
