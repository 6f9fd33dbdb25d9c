/* Why this file exists: the elector as the server sees it: two machines for the replicated log (one for callers, one
 * for what the leader says of itself) and the thread that sees leases end: it begins with the first member.
 *
 * Order: fts_elector_create -> fts_replica_start with the machines -> fts_elector_attach -> ... -> fts_elector_detach
 * -> fts_replica_stop -> fts_replica_destroy -> fts_elector_destroy. */
#ifndef FTS_ELECTOR_SERVICE_H
#define FTS_ELECTOR_SERVICE_H

#include "replica/replica.h"

struct fts_elector;

/* out_elector: returned (fts_elector_destroy). Errors: RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_elector_create(struct fts_elector **out_elector, struct fts_error *out_error);
/* Its machines, to be put into fts_replica_options. Borrowed until destroy. */
const struct fts_machine *const *fts_elector_machines(const struct fts_elector *elector, size_t *out_count);
/* Start to watch leases through replica (borrowed until detach). Thread: any, once. Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status fts_elector_attach(struct fts_elector *elector, struct fts_replica *replica,
						struct fts_error *out_error);
/* Nothing is proposed any more once it returns. Before the replica is stopped. Never attached, NULL: no-op. */
void fts_elector_detach(struct fts_elector *elector);
/* After the replica was destroyed. NULL: no-op. */
void fts_elector_destroy(struct fts_elector *elector);

#endif
