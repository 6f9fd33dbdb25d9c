/* Why this file exists: see options.h.
 * An unknown field as protobuf-c keeps it: tag, wire type, and the bytes behind the tag, which for
 * length-delimited fields begin with the length. */
#include "gen/options.h"

#include <string.h>

#define PB_C_FILE_OPTION 1019
#define PB_C_NO_GENERATE 1
#define PB_C_C_PACKAGE 6

/* Bytes still to read. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

static bool read_varint(struct cursor *cursor, uint64_t *out_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
		uint8_t byte = *cursor->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*out_value = value;
			return true;
		}
	}
	return false;
}

/* Step over a length and its bytes, which become *out_body. */
static bool read_delimited(struct cursor *cursor, struct cursor *out_body)
{
	uint64_t size_bytes;

	if (!read_varint(cursor, &size_bytes) || size_bytes > (uint64_t)(cursor->end - cursor->at)) return false;
	out_body->at = cursor->at;
	out_body->end = cursor->at + size_bytes;
	cursor->at = out_body->end;
	return true;
}

static struct cursor field_bytes(const ProtobufCMessageUnknownField *field)
{
	return (struct cursor){field->data, field->data + field->len};
}

/* The last unknown field of this number, as for any repeated scalar option the last one counts; NULL: none. */
static const ProtobufCMessageUnknownField *find(const ProtobufCMessage *options, uint32_t number)
{
	for (unsigned i = options == NULL ? 0 : options->n_unknown_fields; i > 0; i--)
		if (options->unknown_fields[i - 1].tag == number) return &options->unknown_fields[i - 1];
	return NULL;
}

enum ftsi_option_found ftsi_option_uint(const ProtobufCMessage *options, enum ftsi_option option, uint64_t *out_value)
{
	const ProtobufCMessageUnknownField *field = find(options, (uint32_t)option);

	if (field == NULL) return FTSI_OPTION_ABSENT;
	struct cursor cursor = field_bytes(field);
	if (field->wire_type != PROTOBUF_C_WIRE_TYPE_VARINT || !read_varint(&cursor, out_value))
		return FTSI_OPTION_MALFORMED;
	return FTSI_OPTION_PRESENT;
}

enum ftsi_option_found ftsi_option_string(struct ftsi_arena *arena, const ProtobufCMessage *options,
					  enum ftsi_option option, const char **out_value)
{
	const ProtobufCMessageUnknownField *field = find(options, (uint32_t)option);
	struct cursor body;

	if (field == NULL) return FTSI_OPTION_ABSENT;
	struct cursor cursor = field_bytes(field);
	if (field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED || !read_delimited(&cursor, &body))
		return FTSI_OPTION_MALFORMED;
	size_t size_bytes = (size_t)(body.end - body.at);
	if (size_bytes > 0 && memchr(body.at, 0, size_bytes) != NULL) return FTSI_OPTION_MALFORMED;
	*out_value = ftsi_arena_copy(arena, (const char *)body.at, size_bytes);
	return FTSI_OPTION_PRESENT;
}

uint32_t ftsi_option_unknown(const ProtobufCMessage *options)
{
	static const uint32_t known[] = {
	    FTSI_OPTION_MUTATES, FTSI_OPTION_ROUTE,          FTSI_OPTION_TIMEOUT_MS,   FTSI_OPTION_LONGEST_RUN_MS,
	    FTSI_OPTION_ROLE,    FTSI_OPTION_BLOCKING,       FTSI_OPTION_C_PREFIX,     FTSI_OPTION_TOPIC,
	    FTSI_OPTION_C_ENUM,  FTSI_OPTION_C_VALUE_PREFIX, FTSI_OPTION_C_NAME_STRIP,
	};
	uint32_t lowest = 0;

	for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
		uint32_t number = options->unknown_fields[i].tag;
		bool is_known = number < FTSI_OPTION_FIRST || number > FTSI_OPTION_LAST;

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			is_known = is_known || known[k] == number;
		if (!is_known && (lowest == 0 || number < lowest)) lowest = number;
	}
	return lowest;
}

/* One field of protobuf-c's file options; false: the bytes end or are not a field of a kind used there. */
static bool read_pb_c_field(struct ftsi_arena *arena, struct cursor *cursor, struct ftsi_pb_c_options *options)
{
	uint64_t tag, value;
	struct cursor body;

	if (!read_varint(cursor, &tag)) return false;
	if ((tag & 7) == PROTOBUF_C_WIRE_TYPE_VARINT) {
		if (!read_varint(cursor, &value)) return false;
		if (tag >> 3 == PB_C_NO_GENERATE) options->no_generate = value != 0;
		return true;
	}
	if ((tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED || !read_delimited(cursor, &body)) return false;
	if (tag >> 3 == PB_C_C_PACKAGE)
		options->c_package = ftsi_arena_copy(arena, (const char *)body.at, (size_t)(body.end - body.at));
	return true;
}

struct ftsi_pb_c_options ftsi_option_pb_c(struct ftsi_arena *arena, const ProtobufCMessage *options)
{
	struct ftsi_pb_c_options result = {0};

	/* Each `option (pb_c_file).x = ...` may be a record of its own: they merge. */
	for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
		struct cursor cursor = field_bytes(field), body;

		if (field->tag != PB_C_FILE_OPTION || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED ||
		    !read_delimited(&cursor, &body))
			continue;
		while (body.at < body.end && read_pb_c_field(arena, &body, &result))
			continue;
	}
	return result;
}
