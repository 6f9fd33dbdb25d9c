/* Why this file exists: what a node is told of tokens by its settings: the hash of an admin's, and the file with the
 * one it joins with. Thread: main. */
#ifndef FTS_SERVER_CREDENTIALS_H
#define FTS_SERVER_CREDENTIALS_H

#include "access/access.h"
#include "server/settings.h"

/* Access control as settings (borrowed) say. out_access: returned (fts_access_destroy). Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_access_open(const struct ftsi_settings *settings, struct fts_access **out_access,
					      struct fts_error *out_error);
/* The token to join with, FTS_TOKEN_TEXT_BYTES of room; empty when settings name none. Errors: INVALID_ARGUMENT (the
 * file is not for this user's eyes only, or holds no token). */
FTS_MUST_USE enum fts_status ftsi_join_token(const struct ftsi_settings *settings, char *out_token,
					     struct fts_error *out_error);

#endif
