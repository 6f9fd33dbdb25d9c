/* Why this file exists: see tests/linear/memo.h. Open addressing; slot 0 of `hashes` means free, so a hash of 0 is
 * noted as 1. */
#include "tests/linear/memo.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 1024

struct linear_memo {
	size_t key_bytes, bytes_max;
	size_t slot_count, used_count; /* slot_count: a power of two */
	uint64_t *hashes;
	uint8_t *keys;
};

static bool make_slots(struct linear_memo *memo, size_t slot_count)
{
	memo->slot_count = slot_count;
	memo->used_count = 0;
	memo->hashes = calloc(slot_count, sizeof(*memo->hashes));
	memo->keys = malloc(slot_count * memo->key_bytes);
	return memo->hashes != NULL && memo->keys != NULL;
}

struct linear_memo *linear_memo_create(size_t key_bytes, size_t bytes_max)
{
	struct linear_memo *memo = calloc(1, sizeof(*memo));
	if (memo == NULL) return NULL;
	memo->key_bytes = key_bytes;
	memo->bytes_max = bytes_max;
	if (make_slots(memo, FIRST_SLOTS)) return memo;
	linear_memo_destroy(memo);
	return NULL;
}

/* The slot where key is, or where it would be. */
static size_t find_slot(const struct linear_memo *memo, const void *key, uint64_t hash)
{
	size_t slot = (size_t)hash & (memo->slot_count - 1);
	while (memo->hashes[slot] != 0 &&
	       (memo->hashes[slot] != hash || memcmp(memo->keys + slot * memo->key_bytes, key, memo->key_bytes) != 0))
		slot = (slot + 1) & (memo->slot_count - 1);
	return slot;
}

static void put(struct linear_memo *memo, size_t slot, const void *key, uint64_t hash)
{
	memo->hashes[slot] = hash;
	memcpy(memo->keys + slot * memo->key_bytes, key, memo->key_bytes);
	memo->used_count++;
}

/* False: no memory, or more than allowed. */
static bool grow(struct linear_memo *memo)
{
	struct linear_memo old = *memo;
	size_t slot_count = old.slot_count * 2;
	if (slot_count * (memo->key_bytes + sizeof(*memo->hashes)) > memo->bytes_max) return false;
	bool made = make_slots(memo, slot_count);
	for (size_t i = 0; made && i < old.slot_count; i++) {
		const uint8_t *key = old.keys + i * old.key_bytes;
		if (old.hashes[i] != 0) put(memo, find_slot(memo, key, old.hashes[i]), key, old.hashes[i]);
	}
	free(old.hashes);
	free(old.keys);
	return made;
}

enum linear_memo_answer linear_memo_add(struct linear_memo *memo, const void *key, uint64_t hash)
{
	if (hash == 0) hash = 1;
	size_t slot = find_slot(memo, key, hash);
	if (memo->hashes[slot] != 0) return LINEAR_MEMO_KNOWN;
	if (memo->used_count * 4 >= memo->slot_count * 3) {
		if (!grow(memo)) return LINEAR_MEMO_FULL;
		slot = find_slot(memo, key, hash);
	}
	put(memo, slot, key, hash);
	return LINEAR_MEMO_NEW;
}

void linear_memo_destroy(struct linear_memo *memo)
{
	if (memo == NULL) return;
	free(memo->hashes);
	free(memo->keys);
	free(memo);
}
