/* Why this file exists: names of matches and tokens of seats are made by the transition from entropy that the serving
 * node put into the command, so that all nodes make the same, and nobody who does not see the log can guess them.
 *
 * Both are of 32 letters and digits that are hard to mistake for each other (no 0, 1, l, o). The state holds a token's
 * hash alone; the log and the kept answers hold what makes it. Thread: any. */
#ifndef FTS_GAME_TOKEN_H
#define FTS_GAME_TOKEN_H

#include "game/match.h"

enum { FTSI_GAME_ENTROPY_BYTES = 32 };

/* The attempt-th name from entropy (FTSI_GAME_ENTROPY_BYTES, borrowed). */
void ftsi_game_name_make(const uint8_t *entropy, uint32_t attempt, struct ftsi_match_name *out_name);
/* Whether text (borrowed) could be a name; what is not is NOT_FOUND without a look. */
bool ftsi_game_name_take(const char *text, struct ftsi_match_name *out_name);
/* out_text: FTSI_MATCH_TOKEN_BYTES + 1. */
void ftsi_game_token_make(const uint8_t *entropy, const struct ftsi_match_name *match, char *out_text);
/* out_hash: FTSI_MATCH_TOKEN_HASH_BYTES. text: anything, borrowed. */
void ftsi_game_token_hash(const char *text, uint8_t *out_hash);

#endif
