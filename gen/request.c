/* Why this file exists: see request.h. protobuf-c unpacks nested messages without a limit, and message declarations
 * nest within each other in a request: their depth is looked at first, without recursion. */
#include "gen/request.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define REQUEST_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define DECLARATION_DEPTH_MAX 64

/* Field numbers on the way down to a declaration within a declaration. */
enum { REQUEST_PROTO_FILE = 15, FILE_MESSAGE_TYPE = 4, MESSAGE_NESTED_TYPE = 3 };

static const char *const not_a_request =
    "stdin does not hold a whole CodeGeneratorRequest: this program is run by protoc";

/* All of stream; NULL: it could not be read, as *out_why says. */
static uint8_t *read_all(struct ftsi_arena *arena, FILE *stream, size_t *out_size_bytes, const char **out_why)
{
	size_t capacity_bytes = 1u << 16, size_bytes = 0, n;
	uint8_t *data = ftsi_arena_alloc(arena, capacity_bytes, 1);

	while ((n = fread(data + size_bytes, 1, capacity_bytes - size_bytes, stream)) > 0) {
		size_bytes += n;
		if (size_bytes > REQUEST_MAX_BYTES) {
			*out_why = "the request is larger than 256 MiB: give protoc fewer files at once";
			return NULL;
		}
		if (size_bytes == capacity_bytes) {
			uint8_t *grown = ftsi_arena_alloc(arena, 2 * capacity_bytes, 1);

			memcpy(grown, data, size_bytes);
			data = grown;
			capacity_bytes *= 2;
		}
	}
	if (ferror(stream)) {
		*out_why = "stdin can't be read";
		return NULL;
	}
	*out_size_bytes = size_bytes;
	return data;
}

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *out_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*out_value = value;
			return true;
		}
	}
	return false;
}

/* Read one field's tag, and step over its value unless it is delimited: then *out_size_bytes is what follows. */
static bool read_field(const uint8_t **at, const uint8_t *end, uint64_t *out_number, uint64_t *out_size_bytes)
{
	uint64_t tag, ignored;
	size_t fixed_bytes;

	*out_size_bytes = 0;
	if (!read_varint(at, end, &tag)) return false;
	*out_number = tag >> 3;
	switch (tag & 7) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		*out_number = 0;
		return read_varint(at, end, &ignored);
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return read_varint(at, end, out_size_bytes) && *out_size_bytes <= (uint64_t)(end - *at);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		*out_number = 0;
		fixed_bytes = (tag & 7) == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4;
		if ((size_t)(end - *at) < fixed_bytes) return false;
		*at += fixed_bytes;
		return true;
	default:
		return false;
	}
}

/* Are the lengths sound, and do declarations nest less than DECLARATION_DEPTH_MAX deep? */
static bool is_sound(const uint8_t *data, size_t size_bytes)
{
	const uint8_t *ends[DECLARATION_DEPTH_MAX];
	const uint8_t *at = data;
	size_t depth = 0;

	ends[0] = data + size_bytes;
	for (;;) {
		uint64_t number, value_bytes;

		while (at == ends[depth]) {
			if (depth == 0) return true;
			depth--;
		}
		if (!read_field(&at, ends[depth], &number, &value_bytes)) return false;
		if (number == (depth == 0   ? REQUEST_PROTO_FILE
			       : depth == 1 ? FILE_MESSAGE_TYPE
					    : MESSAGE_NESTED_TYPE)) {
			if (depth + 1 == DECLARATION_DEPTH_MAX) return false;
			ends[++depth] = at + value_bytes;
		} else {
			at += value_bytes;
		}
	}
}

Google__Protobuf__Compiler__CodeGeneratorRequest *ftsi_request_read(struct ftsi_arena *arena, FILE *stream,
								    const char **out_why)
{
	Google__Protobuf__Compiler__CodeGeneratorRequest *request = NULL;
	size_t size_bytes = 0;
	uint8_t *data;

	*out_why = not_a_request;
	data = read_all(arena, stream, &size_bytes, out_why);
	if (data != NULL && size_bytes > 0 && is_sound(data, size_bytes))
		request = google__protobuf__compiler__code_generator_request__unpack(NULL, size_bytes, data);
	return request;
}
