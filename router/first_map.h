/* Why this file exists: calls that come before this node knows any map, or what time it is: they wait for it.
 *
 * Invariants: a node that has served before knows its map at once (DIR/kv); so this is for the first moments of a new
 * cluster or node. What the others' clocks say is waited for, too, a second at most after the node's start: a node whose
 * own is far ahead would store what it is the first to coordinate (router/owner.h, knows_time). At most FTSI_MAP_WAITERS_MAX calls wait, none beyond its time limit: the rest is refused with
 * UNAVAILABLE, and nothing of them was done. Thread: any. */
#ifndef FTS_ROUTER_FIRST_MAP_H
#define FTS_ROUTER_FIRST_MAP_H

#include "router/internal.h"

enum { FTSI_MAP_WAITERS_MAX = 4096 };

/* Serves a call: there is a map. request: the call's. */
typedef void (*ftsi_serve_fn)(struct fts_router *router, struct fts_call *call, const void *request);
/* serve it now or later, or refuse it. call: owned, as by a handler. */
void ftsi_with_map(struct fts_router *router, struct fts_call *call, const void *request, ftsi_serve_fn serve);
/* For handlers that may block: the map, held; NULL: the call has been refused. */
const struct fts_router_map *ftsi_wait_for_map(struct fts_router *router, struct fts_call *call);

#endif
