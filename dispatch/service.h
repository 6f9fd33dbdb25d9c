/* Why this file exists: the dispatcher as the server sees it: two machines for the replicated log (one for workers and
 * callers, one for what the leader says of itself) and the thread that sees time go by.
 *
 * Order: fts_dispatch_create -> fts_replica_start with the machines -> fts_dispatch_attach -> ... ->
 * fts_dispatch_detach -> fts_replica_stop -> fts_replica_destroy -> fts_dispatch_destroy. */
#ifndef FTS_DISPATCH_SERVICE_H
#define FTS_DISPATCH_SERVICE_H

#include "replica/replica.h"

struct fts_dispatch;

/* out_dispatch: returned (fts_dispatch_destroy). Errors: RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_dispatch_create(struct fts_dispatch **out_dispatch, struct fts_error *out_error);
/* Its machines, to be put into fts_replica_options. Borrowed until destroy. */
const struct fts_machine *const *fts_dispatch_machines(const struct fts_dispatch *dispatch, size_t *out_count);
/* Start to watch through replica (borrowed until detach). Thread: any, once. Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status fts_dispatch_attach(struct fts_dispatch *dispatch, struct fts_replica *replica,
						 struct fts_error *out_error);
/* Nothing is proposed any more once it returns. Before the replica is stopped. Never attached: no-op. */
void fts_dispatch_detach(struct fts_dispatch *dispatch);
/* After the replica was destroyed. NULL: no-op. */
void fts_dispatch_destroy(struct fts_dispatch *dispatch);

#endif
