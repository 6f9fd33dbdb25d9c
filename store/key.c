/* Why this file exists: see store/key.h, which has the table of the byte format. */
#include "store/key.h"

#include <string.h>

#include "base/assert.h"

enum { TEXT_ESCAPE = 0xFF, TEXT_END = 0x01 };

static void append(struct fts_key *key, uint8_t byte)
{
	FTS_ASSERT(key->size_bytes < FTS_KEY_MAX);
	key->bytes[key->size_bytes++] = byte;
}

static void append_big_endian(struct fts_key *key, uint64_t value, unsigned width_bytes)
{
	for (unsigned i = width_bytes; i > 0; i--)
		append(key, (uint8_t)(value >> (8 * (i - 1))));
}

void fts_key_begin(struct fts_key *key, uint16_t table)
{
	key->size_bytes = 0;
	append_big_endian(key, table, 2);
}

void fts_key_u32(struct fts_key *key, uint32_t value)
{
	append_big_endian(key, value, 4);
}

void fts_key_u64(struct fts_key *key, uint64_t value)
{
	append_big_endian(key, value, 8);
}

void fts_key_text(struct fts_key *key, const void *text, size_t size_bytes)
{
	const uint8_t *bytes = text;
	for (size_t i = 0; i < size_bytes; i++) {
		append(key, bytes[i]);
		if (bytes[i] == 0) append(key, TEXT_ESCAPE);
	}
	append(key, 0);
	append(key, TEXT_END);
}

static int read_big_endian(struct fts_bytes *at, unsigned width_bytes, uint64_t *out_value)
{
	uint64_t value = 0;
	if (at->size_bytes < width_bytes) return -1;
	for (unsigned i = 0; i < width_bytes; i++)
		value = value << 8 | at->data[i];
	at->data += width_bytes;
	at->size_bytes -= width_bytes;
	*out_value = value;
	return 0;
}

int fts_key_read_u32(struct fts_bytes *at, uint32_t *out_value)
{
	uint64_t value;
	if (read_big_endian(at, 4, &value) != 0) return -1;
	*out_value = (uint32_t)value;
	return 0;
}

int fts_key_read_u64(struct fts_bytes *at, uint64_t *out_value)
{
	return read_big_endian(at, 8, out_value);
}

int fts_key_read_text(struct fts_bytes *at, char *out_text, size_t capacity_bytes, size_t *out_size_bytes)
{
	size_t used = 0;
	for (size_t i = 0; i < at->size_bytes; i++) {
		uint8_t byte = at->data[i];
		if (byte == 0) {
			if (++i >= at->size_bytes) return -1;
			if (at->data[i] == TEXT_END) {
				*out_size_bytes = used;
				at->data += i + 1;
				at->size_bytes -= i + 1;
				return 0;
			}
			if (at->data[i] != TEXT_ESCAPE) return -1;
		}
		if (used >= capacity_bytes) return -1;
		out_text[used++] = (char)byte;
	}
	return -1;
}
