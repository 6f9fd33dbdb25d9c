/* Why this file exists: every server tells what it offers (fts.rpc.v1.Reflection). */
#ifndef FTS_RPC_REFLECTION_H
#define FTS_RPC_REFLECTION_H

#include <fts/rpc.h>

/* Offer Reflection on server (borrowed). Called by fts_server_create. Errors: as fts_server_add. */
enum fts_status ftsi_reflection_register(struct fts_server *server);

#endif
