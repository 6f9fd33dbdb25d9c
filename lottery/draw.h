/* Why this file exists: the draw itself: nodes' secrets, the seed made of them, the number made of the seed.
 *
 *   commitment = BLAKE2b-256(secret), published while bets are taken; the secret itself only after the seal
 *   seed       = BLAKE2b-256(03, root, chain head at the seal,
 *                            4-byte count, then by node's name:  2-byte length, name, secret
 *                            4-byte count, then by agency:       4-byte agency, 2-byte length, entropy)
 *   number     = first of the 2-byte words of BLAKE2b-256(04, seed, 4-byte counter), counter from 0, that is below
 *                60,000, modulo 10,000: every number has six words, none is favoured
 *
 * Nobody who can still change the bets knows the number, and whoever knows a secret can't change it any more. What is
 * left to the last one to reveal is to keep silent, which everybody sees. Pure.
 * Source: Blum, "Coin flipping by telephone", 1981. */
#ifndef FTS_LOTTERY_DRAW_H
#define FTS_LOTTERY_DRAW_H

#include <sodium.h>

#include "lottery/chain.h"

/* This node's secret for a draw: keyed BLAKE2b-256 of the draw's name, so that nothing has to be stored for it. */
void ftsi_secret_make(const uint8_t key[FTSI_HASH_BYTES], const char *draw, uint8_t out_secret[FTSI_HASH_BYTES]);
/* What a node publishes of it. */
void ftsi_secret_hash(const uint8_t secret[FTSI_HASH_BYTES], uint8_t out_hash[FTSI_HASH_BYTES]);

/* Calls in this order: begin, count, secret ... by node's name, count, entropy ... by agency, end. */
struct ftsi_seed {
	crypto_generichash_state state;
};
void ftsi_seed_begin(struct ftsi_seed *seed, const uint8_t root[FTSI_HASH_BYTES],
		     const uint8_t seal_head[FTSI_HASH_BYTES]);
void ftsi_seed_count(struct ftsi_seed *seed, uint32_t count);
void ftsi_seed_secret(struct ftsi_seed *seed, const char *node, const uint8_t secret[FTSI_HASH_BYTES]);
void ftsi_seed_entropy(struct ftsi_seed *seed, uint32_t agency, struct fts_bytes entropy);
void ftsi_seed_end(struct ftsi_seed *seed, uint8_t out_seed[FTSI_HASH_BYTES]);

/* 0 to 9999, each equally likely for a seed nobody chose. */
uint32_t ftsi_number_of(const uint8_t seed[FTSI_HASH_BYTES]);

#endif
