/* Why this file exists: see proof.h. */
#include "verify/proof.h"

#include <string.h>

/* ---- Pieces ---- */

void hash_begin(hash_state *state)
{
	crypto_generichash_init(state, NULL, 0, HASH_BYTES);
}

static void hash_integer(hash_state *state, uint64_t value, size_t size_bytes)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = (uint8_t)(value >> (8 * (size_bytes - 1 - i)));
	crypto_generichash_update(state, bytes, size_bytes);
}

void hash_u8(hash_state *state, uint8_t value)
{
	hash_integer(state, value, 1);
}

void hash_u16(hash_state *state, uint16_t value)
{
	hash_integer(state, value, 2);
}

void hash_u32(hash_state *state, uint32_t value)
{
	hash_integer(state, value, 4);
}

void hash_u64(hash_state *state, uint64_t value)
{
	hash_integer(state, value, 8);
}

void hash_bytes(hash_state *state, const void *data, size_t size_bytes)
{
	if (size_bytes > 0) crypto_generichash_update(state, data, size_bytes);
}

void hash_text(hash_state *state, struct text text)
{
	hash_u16(state, (uint16_t)text.size_bytes);
	hash_bytes(state, text.data, text.size_bytes);
}

void hash_end(hash_state *state, uint8_t out[HASH_BYTES])
{
	crypto_generichash_final(state, out, HASH_BYTES);
}

/* ---- Leaves and the tree ---- */

bool bet_has_bytes(const struct bet *bet)
{
	return bet->number < NUMBER_COUNT && bet->document.size_bytes <= UINT8_MAX && bet->birthdate.size_bytes == 10 &&
	       bet->first_name.size_bytes <= UINT16_MAX && bet->last_name.size_bytes <= UINT16_MAX;
}

void leaf_hash(struct text draw, uint64_t ticket, uint32_t agency, const struct bet *bet, uint8_t out[HASH_BYTES])
{
	hash_state state;
	hash_begin(&state);
	hash_u8(&state, 0x00);
	hash_text(&state, draw);
	hash_u64(&state, ticket);
	hash_u32(&state, agency);
	hash_u16(&state, (uint16_t)bet->number);
	hash_u8(&state, (uint8_t)bet->document.size_bytes);
	hash_bytes(&state, bet->document.data, bet->document.size_bytes);
	hash_bytes(&state, bet->birthdate.data, bet->birthdate.size_bytes);
	hash_text(&state, bet->first_name);
	hash_text(&state, bet->last_name);
	hash_end(&state, out);
}

static void node_hash(const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES])
{
	hash_state state;
	hash_begin(&state);
	hash_u8(&state, 0x01);
	hash_bytes(&state, left, HASH_BYTES);
	hash_bytes(&state, right, HASH_BYTES);
	hash_end(&state, out);
}

void tree_add(struct tree *tree, const uint8_t leaf[HASH_BYTES])
{
	uint8_t hash[HASH_BYTES];
	int height = 0;
	memcpy(hash, leaf, HASH_BYTES);
	for (; (tree->count >> height & 1) != 0; height++)
		node_hash(tree->whole[height], hash, hash);
	memcpy(tree->whole[height], hash, HASH_BYTES);
	tree->count++;
}

void tree_root(const struct tree *tree, uint8_t out[HASH_BYTES])
{
	bool any = false;
	for (int height = 0; height < 64; height++) {
		if ((tree->count >> height & 1) == 0) continue;
		if (any)
			node_hash(tree->whole[height], out, out);
		else
			memcpy(out, tree->whole[height], HASH_BYTES);
		any = true;
	}
	if (!any) crypto_generichash(out, HASH_BYTES, NULL, 0, NULL, 0);
}

/* ---- The chain and the number ---- */

void chain_step(uint8_t head[HASH_BYTES], struct text draw, const struct record *record,
		const uint8_t digest[HASH_BYTES])
{
	hash_state state;
	hash_begin(&state);
	hash_u8(&state, 0x02);
	hash_bytes(&state, head, HASH_BYTES);
	hash_text(&state, draw);
	hash_u8(&state, (uint8_t)record->kind);
	hash_u64(&state, record->index);
	hash_u64(&state, (uint64_t)record->time_ms);
	hash_u32(&state, (uint32_t)record->agency);
	hash_u32(&state, (uint32_t)record->number);
	hash_u32(&state, (uint32_t)record->agencies);
	hash_u8(&state, record->fixed ? 1 : 0);
	hash_u64(&state, (uint64_t)record->close_by_ms);
	hash_u64(&state, record->first_ticket);
	hash_u32(&state, record->bet_count);
	hash_text(&state, record->node);
	hash_u16(&state, (uint16_t)record->entropy.size_bytes);
	hash_bytes(&state, record->entropy.data, record->entropy.size_bytes);
	hash_bytes(&state, digest, HASH_BYTES);
	hash_end(&state, head);
}

uint32_t number_of_seed(const uint8_t seed[HASH_BYTES])
{
	for (uint32_t counter = 0;; counter++) {
		uint8_t block[HASH_BYTES];
		hash_state state;
		hash_begin(&state);
		hash_u8(&state, 0x04);
		hash_bytes(&state, seed, HASH_BYTES);
		hash_u32(&state, counter);
		hash_end(&state, block);
		for (int i = 0; i < HASH_BYTES; i += 2) {
			uint32_t word = (uint32_t)(block[i] << 8 | block[i + 1]);
			if (word < 60000) return word % NUMBER_COUNT;
		}
	}
}
