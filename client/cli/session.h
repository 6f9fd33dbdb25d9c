/* Why this file exists: from global flags to a channel, and from a finished call to --explain. */
#ifndef FTSI_SESSION_H
#define FTSI_SESSION_H

#include "client/cli/command.h"

/* The endpoints the user named: flag, FTS_ENDPOINTS, default. Borrowed for the program's life. */
const char *ftsi_endpoints(const struct ftsi_cli *cli);

/* TLS files the user named; borrowed for the program's life. */
struct fts_tls ftsi_tls(const struct ftsi_cli *cli);

#define FTSI_TOKEN_MAX_BYTES 128u

/* The token in the file path, without white space behind it. path: borrowed. buf: borrowed, FTSI_TOKEN_MAX_BYTES + 2.
 * Errors: INVALID_ARGUMENT (unreadable, readable by others, empty, too long). */
FTS_MUST_USE enum fts_status ftsi_token_read(const char *path, uint8_t *buf, size_t *out_size_bytes,
					     struct fts_error *out_error);

/* The token the user named (--token-file, FTS_TOKEN_FILE), in buf (FTSI_TOKEN_MAX_BYTES + 2); empty: none.
 * Errors: as ftsi_token_read. */
FTS_MUST_USE enum fts_status ftsi_session_token(const struct ftsi_cli *cli, uint8_t *buf, struct fts_bytes *out_token,
						struct fts_error *out_error);

/* Is this token (borrowed) to be sent to this machine alone? Without TLS it could be read on its way. */
bool ftsi_session_stays_local(const struct ftsi_cli *cli, struct fts_bytes token);

/* Open cli->channel. Errors: INVALID_ARGUMENT (endpoints, TLS or token file: wrong usage). */
FTS_MUST_USE enum fts_status ftsi_session_open(struct ftsi_cli *cli, struct fts_error *out_error);
/* Open another one to the same servers. out_channel: returned (fts_channel_close). Errors: as above. */
FTS_MUST_USE enum fts_status ftsi_session_channel(const struct ftsi_cli *cli, struct fts_channel **out_channel,
						  struct fts_error *out_error);
/* The same to the servers at endpoints (borrowed). */
FTS_MUST_USE enum fts_status ftsi_session_channel_to(const struct ftsi_cli *cli, const char *endpoints,
						     struct fts_channel **out_channel, struct fts_error *out_error);
/* Close cli->channel; NULL: no-op. */
void ftsi_session_close(struct ftsi_cli *cli);

/* Answer health surveys, and the watchdog if one started this program, as an agent called name (borrowed), until the
 * end: returned (ftsi_session_presence_end). NULL: it can't be had, which is told and is no reason not to go on. */
struct ftsi_presence *ftsi_session_presence(const struct ftsi_cli *cli, const char *name);
void ftsi_session_presence_end(struct ftsi_presence *presence); /* NULL: no-op */

/* Options of a blocking call that fills info (borrowed until the call has ended). */
struct fts_call_options ftsi_call_options(const struct ftsi_cli *cli, struct fts_call_info *info);

/* With --explain: how the call went, a line on standard error. method, info: borrowed. */
void ftsi_explain(const struct ftsi_cli *cli, const char *method, const struct fts_call_info *info);

#endif
