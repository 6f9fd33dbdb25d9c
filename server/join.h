/* Why this file exists: a node that was started with --join asks to be let in: it calls Cluster/Join, at the address it
 * was given and wherever that points it, until a member has taken it in (replica/forming.h) or it is told that it never
 * will be. */
#ifndef FTS_SERVER_JOIN_H
#define FTS_SERVER_JOIN_H

#include "replica/replica.h"

struct ftsi_join;

/* All borrowed until ftsi_join_stop. */
struct ftsi_join_options {
	const char *endpoint; /* HOST:PORT of any member */
	struct fts_tls tls;
	struct fts_bytes token; /* to join with; empty: none */
	const char *name, *address; /* of this node */
	struct fts_replica *replica;
};

/* Ask on a thread of its own. out_join: returned (_stop). Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_join_start(const struct ftsi_join_options *options, struct ftsi_join **out_join,
					     struct fts_error *out_error);
/* Give up, free (owned; NULL: no-op). Blocks for the call that is open, which is cut short. */
void ftsi_join_stop(struct ftsi_join *join);

#endif
