/* Why this file exists: reading and writing the records of this folder. Integers are big endian, so that what is hashed
 * and stored is the same on every machine.
 *
 * Invariants: a reader never passes its end: after the first read that would, `failed` stays set and zeros come back.
 * A writer is given enough room by its caller, who knows the sizes. */
#ifndef FTS_GAME_BYTES_H
#define FTS_GAME_BYTES_H

#include <stdbool.h>
#include <string.h>

#include <fts/api.h>

/* Number in size_bytes (1 to 8) bytes; returns where it stopped. */
static inline uint8_t *ftsi_game_put_number(uint8_t *at, uint64_t value, size_t size_bytes)
{
	for (size_t i = size_bytes; i-- > 0; value >>= 8)
		at[i] = (uint8_t)value;
	return at + size_bytes;
}

static inline uint8_t *ftsi_game_put_bytes(uint8_t *at, const void *data, size_t size_bytes)
{
	memcpy(at, data, size_bytes);
	return at + size_bytes;
}

/* A length of one byte, then the text (0 to 255 bytes). */
static inline uint8_t *ftsi_game_put_text(uint8_t *at, const char *text)
{
	size_t size_bytes = strlen(text);
	return ftsi_game_put_bytes(ftsi_game_put_number(at, size_bytes, 1), text, size_bytes);
}

struct ftsi_game_reader {
	const uint8_t *at, *end; /* borrowed */
	bool failed;
};

static inline struct ftsi_game_reader ftsi_game_reader_of(const uint8_t *data, size_t size_bytes)
{
	return (struct ftsi_game_reader){data, data + size_bytes, false};
}

static inline const uint8_t *ftsi_game_get(struct ftsi_game_reader *reader, size_t size_bytes)
{
	const uint8_t *data = reader->at;
	if (reader->failed || (size_t)(reader->end - reader->at) < size_bytes) {
		reader->failed = true;
		return NULL;
	}
	reader->at += size_bytes;
	return data;
}

static inline uint64_t ftsi_game_get_number(struct ftsi_game_reader *reader, size_t size_bytes)
{
	const uint8_t *data = ftsi_game_get(reader, size_bytes);
	uint64_t value = 0;
	for (size_t i = 0; data != NULL && i < size_bytes; i++)
		value = value << 8 | data[i];
	return value;
}

static inline void ftsi_game_get_bytes(struct ftsi_game_reader *reader, void *out, size_t size_bytes)
{
	const uint8_t *data = ftsi_game_get(reader, size_bytes);
	if (data != NULL)
		memcpy(out, data, size_bytes);
	else
		memset(out, 0, size_bytes);
}

/* A text of at most capacity_bytes - 1 bytes, with a 0 behind it. */
static inline void ftsi_game_get_text(struct ftsi_game_reader *reader, char *out, size_t capacity_bytes)
{
	size_t size_bytes = (size_t)ftsi_game_get_number(reader, 1);
	if (size_bytes >= capacity_bytes) reader->failed = true;
	if (reader->failed) size_bytes = 0;
	ftsi_game_get_bytes(reader, out, size_bytes);
	out[size_bytes] = '\0';
}

#endif
