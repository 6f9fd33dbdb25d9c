/* Why this file exists: who may call what on this node. Tokens lie in the replicated log (access/transition.h); a table
 * made from them answers for each call, on the thread that read it, whether its token allows its method.
 *
 * - While there is no token, nor an admin hash, everything is allowed (access is open). From the first one on a call
 *   without a token that allows it is refused: UNAUTHENTICATED when nobody is known by it, PERMISSION_DENIED when
 *   somebody is who may not.
 * - What a method needs is its role option; without one, reading needs a reader and changing an operator
 *   (access/policy.h).
 * - Nodes call each other with a token of their own, drawn by the leader, replaced once a day, never on disk in the
 *   clear outside DIR, never for people.
 * - What is refused, and what an admin may do alone, is told in the log as audit.*.
 *
 * Order: create -> fts_replica_start with the machines -> attach -> ... -> detach -> fts_replica_stop -> destroy. */
#ifndef FTS_ACCESS_ACCESS_H
#define FTS_ACCESS_ACCESS_H

#include "credentials/token.h"
#include "replica/replica.h"

struct fts_access;

/* admin_hash: of a token that is an admin's on this node whatever the log says, FTS_TOKEN_HASH_BYTES; NULL: none.
 * Borrowed for the call. out_access: returned (fts_access_destroy). Errors: RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_access_create(const uint8_t *admin_hash, struct fts_access **out_access,
					       struct fts_error *out_error);
/* Its machines, to be put into fts_replica_options. Borrowed until destroy. */
const struct fts_machine *const *fts_access_machines(const struct fts_access *access, size_t *out_count);
/* Read what the state holds; propose through replica (borrowed until detach) from now on. Errors: RESOURCE_EXHAUSTED,
 * DATA_LOSS. Thread: any, once. */
FTS_MUST_USE enum fts_status fts_access_attach(struct fts_access *access, struct fts_replica *replica,
					       struct fts_error *out_error);
/* Before the replica is stopped. Never attached, NULL: no-op. */
void fts_access_detach(struct fts_access *access);
void fts_access_destroy(struct fts_access *access); /* after the replica was destroyed. NULL: no-op */

/* May a call of method with token and payload (both borrowed) go on? As fts_authorize_fn; ctx: a struct fts_access.
 * Errors: UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE (this node doesn't know yet), RESOURCE_EXHAUSTED (more calls a
 * second than the token may; retry_after_ms is set). Thread: any. */
FTS_MUST_USE enum fts_status fts_access_check(void *ctx, const struct fts_method *method, struct fts_bytes token,
					      struct fts_bytes payload, struct fts_error *out_error);
/* Is anybody known who sends token (borrowed), as far as method asks for one? Asked by who calls for others, so that one
 * of them who is unknown does not count against all. ctx: a struct fts_access. Errors: UNAUTHENTICATED. Thread: any. */
FTS_MUST_USE enum fts_status fts_access_recognize(void *ctx, const struct fts_method *method, struct fts_bytes token,
						  struct fts_error *out_error);
/* The token by which this node calls others, as fts_token_source_fn; ctx: a struct fts_access. Returns its size; 0:
 * none is needed, or none is known yet. */
size_t fts_access_node_token(void *ctx, uint8_t *out_token);

/* Spend token (borrowed), which the node name (borrowed) joins with; for an admin's or a node's token nothing is spent.
 * While access is open there are no tokens: then it is let in only when local, which is that nobody outside this machine
 * can ask. Blocks for timeout_ms at most. On the leader. Errors: UNAVAILABLE (not leader), UNAUTHENTICATED,
 * PERMISSION_DENIED, FAILED_PRECONDITION (tokens have to be made first), DEADLINE_EXCEEDED. Thread: any but the loop. */
FTS_MUST_USE enum fts_status fts_access_admit(struct fts_access *access, struct fts_bytes token, const char *name,
					      uint64_t node_id, bool local, uint32_t timeout_ms,
					      struct fts_error *out_error);

#endif
