/* Why this file exists: what a token is. Whoever makes one draws it here, at random, shows it once, and lets only its
 * hash go to the cluster: no node ever knows a token that it was not sent by its owner.
 *
 *   fts_ID_SECRET    ID: 16 hexadecimal digits, known to all, names it in lists
 *                    SECRET: 64 hexadecimal digits, 256 random bits
 *   hash             SHA-256 of the whole text
 *
 * A secret of 256 random bits needs no slow hash. Thread: any. Foreign library: mbedTLS. */
#ifndef FTS_CREDENTIALS_TOKEN_H
#define FTS_CREDENTIALS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include <fts/status.h>

#define FTS_TOKEN_ID_BYTES 17   /* of an id, with its 0 byte */
#define FTS_TOKEN_TEXT_BYTES 86 /* of a token, with its 0 byte */
#define FTS_TOKEN_HASH_BYTES 32

/* A new token. out_text: FTS_TOKEN_TEXT_BYTES, the caller's, who wipes it. False: no randomness to be had. */
FTS_MUST_USE bool fts_token_make(char *out_text);
/* The id in a token (borrowed, size_bytes bytes). out_id: FTS_TOKEN_ID_BYTES. False: it is no token. */
FTS_MUST_USE bool fts_token_id(const void *text, size_t size_bytes, char *out_id);
/* text: borrowed. out_hash: FTS_TOKEN_HASH_BYTES. */
void fts_token_hash(const void *text, size_t size_bytes, uint8_t *out_hash);
/* Takes as long whether they are equal or not. */
FTS_MUST_USE bool fts_token_equal(const uint8_t *a, const uint8_t *b, size_t size_bytes);

#endif
