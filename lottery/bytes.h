/* Why this file exists: reading and writing the byte layouts of this folder. Integers are big endian, so that what
 * is hashed and what is stored is the same everywhere and can be read in a hex dump.
 *
 * Invariants: a reader never passes its end: after the first read that would, `failed` stays set and zeros come
 * back. A writer is given enough room by its caller, who knows the sizes. */
#ifndef FTS_LOTTERY_BYTES_H
#define FTS_LOTTERY_BYTES_H

#include <stdbool.h>
#include <string.h>

#include <fts/api.h>

static inline uint8_t *ftsi_put_u8(uint8_t *at, uint8_t value)
{
	*at = value;
	return at + 1;
}

static inline uint8_t *ftsi_put_u16(uint8_t *at, uint16_t value)
{
	value = __builtin_bswap16(value);
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

static inline uint8_t *ftsi_put_u32(uint8_t *at, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

static inline uint8_t *ftsi_put_u64(uint8_t *at, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

static inline uint8_t *ftsi_put_bytes(uint8_t *at, const void *data, size_t size_bytes)
{
	if (size_bytes > 0) memcpy(at, data, size_bytes);
	return at + size_bytes;
}

/* A 2-byte length, then the bytes. */
static inline uint8_t *ftsi_put_text(uint8_t *at, const void *data, size_t size_bytes)
{
	return ftsi_put_bytes(ftsi_put_u16(at, (uint16_t)size_bytes), data, size_bytes);
}

struct ftsi_reader {
	const uint8_t *at, *end; /* borrowed */
	bool failed;
};

static inline struct ftsi_reader ftsi_reader_of(const uint8_t *data, size_t size_bytes)
{
	return (struct ftsi_reader){data, data + size_bytes, false};
}

/* size_bytes bytes, borrowed as the reader's; NULL: there are not so many. */
static inline const uint8_t *ftsi_get_bytes(struct ftsi_reader *reader, size_t size_bytes)
{
	const uint8_t *data = reader->at;
	if (reader->failed || (size_t)(reader->end - reader->at) < size_bytes) {
		reader->failed = true;
		return NULL;
	}
	reader->at += size_bytes;
	return data;
}

static inline uint8_t ftsi_get_u8(struct ftsi_reader *reader)
{
	const uint8_t *data = ftsi_get_bytes(reader, 1);
	return data == NULL ? 0 : *data;
}

static inline uint16_t ftsi_get_u16(struct ftsi_reader *reader)
{
	uint16_t value = 0;
	const uint8_t *data = ftsi_get_bytes(reader, sizeof value);
	if (data != NULL) memcpy(&value, data, sizeof value);
	return __builtin_bswap16(value);
}

static inline uint32_t ftsi_get_u32(struct ftsi_reader *reader)
{
	uint32_t value = 0;
	const uint8_t *data = ftsi_get_bytes(reader, sizeof value);
	if (data != NULL) memcpy(&value, data, sizeof value);
	return __builtin_bswap32(value);
}

static inline uint64_t ftsi_get_u64(struct ftsi_reader *reader)
{
	uint64_t value = 0;
	const uint8_t *data = ftsi_get_bytes(reader, sizeof value);
	if (data != NULL) memcpy(&value, data, sizeof value);
	return __builtin_bswap64(value);
}

static inline void ftsi_get_copy(struct ftsi_reader *reader, void *out, size_t size_bytes)
{
	const uint8_t *data = ftsi_get_bytes(reader, size_bytes);
	if (data != NULL)
		memcpy(out, data, size_bytes);
	else
		memset(out, 0, size_bytes);
}

/* A 2-byte length, then the bytes, borrowed as the reader's. */
static inline struct fts_bytes ftsi_get_text(struct ftsi_reader *reader)
{
	size_t size_bytes = ftsi_get_u16(reader);
	const uint8_t *data = ftsi_get_bytes(reader, size_bytes);
	return (struct fts_bytes){data, data == NULL ? 0 : size_bytes};
}

#endif
