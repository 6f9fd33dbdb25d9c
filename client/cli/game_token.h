/* Why this file exists: the right to act from a seat is a token, told once. It may be given and kept in a file, so
 * that it need not stand on a command line, where others of the machine can read it. */
#ifndef FTSI_GAME_TOKEN_H
#define FTSI_GAME_TOKEN_H

#include "client/cli/command.h"

#define FTSI_GAME_TOKEN_BYTES 256u /* with the 0 */

/* What --token says: the token itself, or @FILE that holds it. out_token: borrowed, FTSI_GAME_TOKEN_BYTES.
 * Errors: INVALID_ARGUMENT (empty, too long, the file: see ftsi_token_read). */
FTS_MUST_USE enum fts_status ftsi_game_token_take(const char *text, char *out_token, struct fts_error *out_error);

/* Keep token in a new file at path that only its owner can read. Both borrowed.
 * Errors: INVALID_ARGUMENT (it exists, or can't be written). */
FTS_MUST_USE enum fts_status ftsi_game_token_keep(const char *path, const char *token, struct fts_error *out_error);

/* Whether the file path could be made for a token: nothing stands there, and its directory can be written. Asked
 * before a seat is taken, as a token that can't be kept is lost. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_game_token_check(const char *path, struct fts_error *out_error);

#endif
