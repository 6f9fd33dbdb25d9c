/* Why this file exists: tokens and the nodes' secret as they lie in the replicated state.
 *
 * | key                  | value                                    |
 * | TOKEN, text id       | fts.access.v1.Token                      |
 * | SECRET               | fts.access.v1.NodeSecret                 |
 *
 * Invariant: at most FTSI_TOKEN_MAX tokens. */
#ifndef FTS_ACCESS_STATE_H
#define FTS_ACCESS_STATE_H

#include <fts/access/v1/access.pb-c.h>

#include "replica/replica.h"

#define FTSI_TABLE_TOKEN (FTS_TABLE_ACCESS + 0)
#define FTSI_TABLE_SECRET (FTS_TABLE_ACCESS + 1)
#define FTSI_TOKEN_MAX 4096
#define FTSI_TOKEN_ID_MAX 16 /* bytes */
#define FTSI_TOKEN_SUBJECT_MAX 64
#define FTSI_TOKEN_LABEL_MAX 64
#define FTSI_NODE_SECRET_BYTES 32

/* out_*: from arena. Errors: NOT_FOUND, RESOURCE_EXHAUSTED, DATA_LOSS. Thread: as txn's. */
enum fts_status ftsi_access_get_token(struct fts_txn *txn, struct fts_arena *arena, const char *id,
				      Fts__Access__V1__Token **out_token);
enum fts_status ftsi_access_put_token(struct fts_txn *txn, struct fts_arena *arena,
				      const Fts__Access__V1__Token *token);
enum fts_status ftsi_access_delete_token(struct fts_txn *txn, const char *id);
/* Visit tokens (borrowed for the visit) in the order of their ids, behind after ("": from the first), until visit
 * returns false. */
typedef bool (*ftsi_token_visit_fn)(void *ctx, const Fts__Access__V1__Token *token);
enum fts_status ftsi_access_visit_tokens(struct fts_txn *txn, const char *after, ftsi_token_visit_fn visit, void *ctx);
enum fts_status ftsi_access_get_secret(struct fts_txn *txn, struct fts_arena *arena,
				       Fts__Access__V1__NodeSecret **out_secret);
enum fts_status ftsi_access_put_secret(struct fts_txn *txn, struct fts_arena *arena,
				       const Fts__Access__V1__NodeSecret *secret);

#endif
