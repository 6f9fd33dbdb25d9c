/* Why this file exists: keys whose bytes sort as their parts do. A key is a table number, then parts.
 *
 * | part        | bytes                                                             |
 * | table       | 2, big endian                                                     |
 * | u32, u64    | 4 or 8, big endian                                                |
 * | text        | the bytes with 00 written as 00 FF, then 00 01: sorts as the text |
 *
 * Invariant: no key is a prefix of another of the same shape. A key that would pass FTS_KEY_MAX is an assertion:
 * callers bound their parts first. */
#ifndef FTS_STORE_KEY_H
#define FTS_STORE_KEY_H

#include <fts/api.h>

#define FTS_KEY_MAX 2304

struct fts_key {
	size_t size_bytes;
	uint8_t bytes[FTS_KEY_MAX];
};

void fts_key_begin(struct fts_key *key, uint16_t table);
void fts_key_u32(struct fts_key *key, uint32_t value);
void fts_key_u64(struct fts_key *key, uint64_t value);
void fts_key_text(struct fts_key *key, const void *text, size_t size_bytes);

static inline struct fts_bytes fts_key_bytes(const struct fts_key *key)
{
	return (struct fts_bytes){key->bytes, key->size_bytes};
}

/* Reading parts back: at is moved past the part; 0 on success, -1 when the bytes are not such a part. */
int fts_key_read_u32(struct fts_bytes *at, uint32_t *out_value);
int fts_key_read_u64(struct fts_bytes *at, uint64_t *out_value);
int fts_key_read_text(struct fts_bytes *at, char *out_text, size_t capacity_bytes, size_t *out_size_bytes);

#endif
