/* Why this file exists: a node that takes part in an election by configuration (--elect NAME --on-master …), with the
 * scripts of its role.
 *
 * The work is done by the same program as `fts-cli elect run` does it, with the same guardian: a process of its own
 * beside the node, so that a fault there is none of the node's.
 *
 * Invariants: the member's id is the node's name; it starts when the node serves and leaves in order, its script ended,
 * before the node stops; when the node is killed it is told to leave by the kernel; when it ends by itself it is
 * started again a second later. Thread: main. */
#ifndef FTS_SERVER_ELECTION_H
#define FTS_SERVER_ELECTION_H

#include "server/settings.h"

struct ftsi_election;

/* settings: borrowed until stop. out_election: returned (stop); NULL when no election is configured.
 * Errors: FAILED_PRECONDITION (fts-cli does not lie beside this program), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_election_start(const struct ftsi_settings *settings,
						 struct ftsi_election **out_election, struct fts_error *out_error);
/* Leave and wait for it: 15 s at most. NULL: no-op. */
void ftsi_election_stop(struct ftsi_election *election);

#endif
