/* Why this file exists: see draw.h. */
#include "lottery/draw.h"

enum { SEED_TAG = 0x03, NUMBER_TAG = 0x04, WORD_LIMIT = 60000 };
_Static_assert(WORD_LIMIT % FTSI_NUMBER_COUNT == 0 && WORD_LIMIT + FTSI_NUMBER_COUNT > UINT16_MAX,
	       "as many words for each number as there can be");

void ftsi_secret_make(const uint8_t key[FTSI_HASH_BYTES], const char *draw, uint8_t out_secret[FTSI_HASH_BYTES])
{
	(void)crypto_generichash(out_secret, FTSI_HASH_BYTES, (const uint8_t *)draw, strlen(draw), key,
				 FTSI_HASH_BYTES);
}

void ftsi_secret_hash(const uint8_t secret[FTSI_HASH_BYTES], uint8_t out_hash[FTSI_HASH_BYTES])
{
	(void)crypto_generichash(out_hash, FTSI_HASH_BYTES, secret, FTSI_HASH_BYTES, NULL, 0);
}

static void add(struct ftsi_seed *seed, const uint8_t *bytes, size_t size_bytes)
{
	(void)crypto_generichash_update(&seed->state, bytes, size_bytes);
}

void ftsi_seed_begin(struct ftsi_seed *seed, const uint8_t root[FTSI_HASH_BYTES],
		     const uint8_t seal_head[FTSI_HASH_BYTES])
{
	const uint8_t tag = SEED_TAG;
	(void)crypto_generichash_init(&seed->state, NULL, 0, FTSI_HASH_BYTES);
	add(seed, &tag, 1);
	add(seed, root, FTSI_HASH_BYTES);
	add(seed, seal_head, FTSI_HASH_BYTES);
}

void ftsi_seed_count(struct ftsi_seed *seed, uint32_t count)
{
	uint8_t bytes[4];
	ftsi_put_u32(bytes, count);
	add(seed, bytes, sizeof bytes);
}

void ftsi_seed_secret(struct ftsi_seed *seed, const char *node, const uint8_t secret[FTSI_HASH_BYTES])
{
	uint8_t bytes[2 + FTSI_NODE_NAME_MAX + FTSI_HASH_BYTES];
	uint8_t *at = ftsi_put_text(bytes, node, strnlen(node, FTSI_NODE_NAME_MAX));
	at = ftsi_put_bytes(at, secret, FTSI_HASH_BYTES);
	add(seed, bytes, (size_t)(at - bytes));
}

void ftsi_seed_entropy(struct ftsi_seed *seed, uint32_t agency, struct fts_bytes entropy)
{
	uint8_t bytes[4 + 2 + FTSI_ENTROPY_BYTES_MAX];
	uint8_t *at = ftsi_put_text(ftsi_put_u32(bytes, agency), entropy.data, entropy.size_bytes);
	add(seed, bytes, (size_t)(at - bytes));
}

void ftsi_seed_end(struct ftsi_seed *seed, uint8_t out_seed[FTSI_HASH_BYTES])
{
	(void)crypto_generichash_final(&seed->state, out_seed, FTSI_HASH_BYTES);
}

uint32_t ftsi_number_of(const uint8_t seed[FTSI_HASH_BYTES])
{
	uint8_t input[1 + FTSI_HASH_BYTES + 4], words[FTSI_HASH_BYTES];
	input[0] = NUMBER_TAG;
	memcpy(input + 1, seed, FTSI_HASH_BYTES);
	for (uint32_t counter = 0;; counter++) { /* ends: a block has no word below the limit once in 10^17 */
		ftsi_put_u32(input + 1 + FTSI_HASH_BYTES, counter);
		(void)crypto_generichash(words, sizeof words, input, sizeof input, NULL, 0);
		for (size_t i = 0; i < sizeof words; i += 2) {
			uint32_t word = (uint32_t)words[i] << 8 | words[i + 1];
			if (word < WORD_LIMIT) return word % FTSI_NUMBER_COUNT;
		}
	}
}
