/* Why this file exists: see base/checksum.h. */
#include "base/checksum.h"

#include <endian.h>
#include <string.h>

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9E3779B97F4A7C15u; /* odd, so this can be undone */
	return sum ^ sum >> 32;
}

/* The first count bytes, at most 8, little endian. */
static uint64_t word_at(const uint8_t *at, size_t count)
{
	uint64_t word = 0;
	if (count > 0) memcpy(&word, at, count);
	return le64toh(word);
}

uint64_t fts_checksum(struct fts_bytes bytes, uint64_t seed)
{
	uint64_t sum = mix(seed, bytes.size_bytes);
	size_t at = 0;
	for (; at + 8 <= bytes.size_bytes; at += 8)
		sum = mix(sum, word_at(bytes.data + at, 8));
	return mix(sum, word_at(bytes.data + at, bytes.size_bytes - at));
}
