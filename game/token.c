/* Why this file exists: see token.h. */
#include "game/token.h"

#include <sodium.h>
#include <string.h>

static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
_Static_assert(sizeof letters == 32 + 1, "five bits a letter");

/* What a hash is for stands in front of what is hashed, so that no name can be a token. */
static void letters_of(const char *purpose, const uint8_t *entropy, const void *more, size_t more_bytes, char *out_text,
		       size_t letter_count)
{
	uint8_t hash[crypto_generichash_BYTES];
	crypto_generichash_state state;
	(void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
	(void)crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose) + 1);
	(void)crypto_generichash_update(&state, entropy, FTSI_GAME_ENTROPY_BYTES);
	(void)crypto_generichash_update(&state, more, more_bytes);
	(void)crypto_generichash_final(&state, hash, sizeof hash);
	for (size_t i = 0; i < letter_count; i++)
		out_text[i] = letters[hash[i] % 32];
	out_text[letter_count] = '\0';
}

void ftsi_game_name_make(const uint8_t *entropy, uint32_t attempt, struct ftsi_match_name *out_name)
{
	const uint8_t number = (uint8_t)attempt;
	letters_of("match", entropy, &number, sizeof number, out_name->text, FTSI_MATCH_NAME_BYTES);
}

bool ftsi_game_name_take(const char *text, struct ftsi_match_name *out_name)
{
	if (strspn(text, letters) != FTSI_MATCH_NAME_BYTES || text[FTSI_MATCH_NAME_BYTES] != '\0') return false;
	memcpy(out_name->text, text, sizeof out_name->text);
	return true;
}

void ftsi_game_token_make(const uint8_t *entropy, const struct ftsi_match_name *match, char *out_text)
{
	letters_of("token", entropy, match->text, strlen(match->text), out_text, FTSI_MATCH_TOKEN_BYTES);
}

void ftsi_game_token_hash(const char *text, uint8_t *out_hash)
{
	(void)crypto_generichash(out_hash, FTSI_MATCH_TOKEN_HASH_BYTES, (const uint8_t *)text, strlen(text), NULL, 0);
}
