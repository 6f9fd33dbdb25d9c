/* Why this file exists: message -> JSON. Values go through jansson's tree rather than straight to text, because
 * callers put messages into objects of their own (`{"index":…,"event":{…}}`).
 *
 * Invariant: every function that returns a json_t returns a new reference, or NULL with the fault in the state. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/json_internal.h"

struct encoder {
	struct fts_json_options options;
	struct fts_error *error;
	enum fts_status status;
};

static json_t *encode_message(struct encoder *encoder, const ProtobufCMessage *message,
			      const struct ftsi_json_path *path, unsigned depth);

static json_t *refuse(struct encoder *encoder, const struct ftsi_json_path *path, const char *what)
{
	char where[256];

	encoder->status = fts_error_set(encoder->error, FTS_INVALID_ARGUMENT, "%s: %s",
					ftsi_json_path_print(path, where, sizeof where), what);
	return NULL;
}

static json_t *exhausted(struct encoder *encoder)
{
	if (encoder->status == FTS_OK)
		encoder->status = fts_error_set(encoder->error, FTS_RESOURCE_EXHAUSTED, "no memory for JSON");
	return NULL;
}

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
	return (const uint8_t *)message + offset;
}

static json_t *encode_real(double value)
{
	if (isnan(value)) return json_string("NaN");
	if (isinf(value)) return json_string(value > 0 ? "Infinity" : "-Infinity");
	return json_real(value);
}

static json_t *encode_enum(const ProtobufCEnumDescriptor *type, int32_t number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

	return value ? json_string(value->name) : json_integer(number);
}

static json_t *encode_bytes(const ProtobufCBinaryData *bytes)
{
	char *text = ftsi_base64_encode(bytes->data, bytes->len);
	json_t *value = text ? json_string(text) : NULL;

	free(text);
	return value;
}

/* 64-bit numbers are strings: JavaScript's numbers end at 2^53. */
static json_t *encode_wide(ProtobufCType type, const void *at)
{
	char text[24];

	if (type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_FIXED64)
		(void)snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)at);
	else
		(void)snprintf(text, sizeof text, "%" PRId64, *(const int64_t *)at);
	return json_string(text);
}

static json_t *encode_string(struct encoder *encoder, const char *text, const struct ftsi_json_path *path)
{
	json_t *value = json_string(text ? text : "");

	return value ? value : refuse(encoder, path, "holds bytes that are not UTF-8");
}

static json_t *encode_scalar(struct encoder *encoder, const ProtobufCFieldDescriptor *field, const void *at,
			     const struct ftsi_json_path *path, unsigned depth)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return encode_wide(field->type, at);
	case PROTOBUF_C_TYPE_FLOAT:
		return encode_real((double)*(const float *)at);
	case PROTOBUF_C_TYPE_DOUBLE:
		return encode_real(*(const double *)at);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return encode_enum(field->descriptor, *(const int32_t *)at);
	case PROTOBUF_C_TYPE_STRING:
		return encode_string(encoder, *(const char *const *)at, path);
	case PROTOBUF_C_TYPE_BYTES:
		return encode_bytes(at);
	case PROTOBUF_C_TYPE_MESSAGE:
		return encode_message(encoder, *(const ProtobufCMessage *const *)at, path, depth + 1);
	}
	return refuse(encoder, path, "is of a type this version does not know");
}

static void print_key(const ProtobufCFieldDescriptor *field, const void *at, char *out, size_t size_bytes)
{
	switch (ftsi_json_type_size_bytes(field->type)) {
	case 8:
		if (field->type == PROTOBUF_C_TYPE_UINT64 || field->type == PROTOBUF_C_TYPE_FIXED64)
			(void)snprintf(out, size_bytes, "%" PRIu64, *(const uint64_t *)at);
		else
			(void)snprintf(out, size_bytes, "%" PRId64, *(const int64_t *)at);
		break;
	default:
		if (field->type == PROTOBUF_C_TYPE_BOOL)
			(void)snprintf(out, size_bytes, "%s", *(const protobuf_c_boolean *)at ? "true" : "false");
		else if (field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_FIXED32)
			(void)snprintf(out, size_bytes, "%" PRIu32, *(const uint32_t *)at);
		else
			(void)snprintf(out, size_bytes, "%" PRId32, *(const int32_t *)at);
	}
}

static bool encode_entry(struct encoder *encoder, const ProtobufCMessage *entry, json_t *object,
			 const struct ftsi_json_path *path, unsigned depth)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0], *value = &entry->descriptor->fields[1];
	const void *key_at = member(entry, key->offset), *value_at = member(entry, value->offset);
	char number[24];
	const char *text = number;

	if (key->type == PROTOBUF_C_TYPE_STRING)
		text = *(const char *const *)key_at ? *(const char *const *)key_at : "";
	else
		print_key(key, key_at, number, sizeof number);
	struct ftsi_json_path here = {.parent = path, .name = text};
	bool empty = value->type == PROTOBUF_C_TYPE_MESSAGE && !*(const ProtobufCMessage *const *)value_at;
	json_t *json = empty ? json_object() : encode_scalar(encoder, value, value_at, &here, depth);
	if (!json) return exhausted(encoder) != NULL;
	if (json_object_set_new(object, text, json) == 0) return true;
	return refuse(encoder, path, "has a key that is not UTF-8") != NULL;
}

static json_t *encode_map(struct encoder *encoder, const void *const *entries, size_t count,
			  const struct ftsi_json_path *path, unsigned depth)
{
	json_t *object = json_object();
	bool ok = object != NULL;

	for (size_t i = 0; ok && i < count; i++)
		ok = encode_entry(encoder, entries[i], object, path, depth + 1);
	if (ok) return object;
	json_decref(object);
	return exhausted(encoder);
}

static json_t *encode_list(struct encoder *encoder, const ProtobufCFieldDescriptor *field, const uint8_t *elements,
			   size_t count, const struct ftsi_json_path *path, unsigned depth)
{
	size_t size_bytes = ftsi_json_type_size_bytes(field->type);
	json_t *list = json_array();
	bool ok = list != NULL;

	for (size_t i = 0; ok && i < count; i++) {
		struct ftsi_json_path here = {.parent = path, .element_index = i};
		json_t *value = encode_scalar(encoder, field, elements + i * size_bytes, &here, depth);
		ok = value && json_array_append_new(list, value) == 0;
	}
	if (ok) return list;
	json_decref(list);
	return exhausted(encoder);
}

static bool is_zero(ProtobufCType type, const void *at)
{
	static const uint8_t zeros[sizeof(ProtobufCBinaryData)];

	if (type == PROTOBUF_C_TYPE_STRING) return !*(const char *const *)at || !**(const char *const *)at;
	if (type == PROTOBUF_C_TYPE_BYTES) return ((const ProtobufCBinaryData *)at)->len == 0;
	return memcmp(at, zeros, ftsi_json_type_size_bytes(type)) == 0;
}

enum presence { ABSENT, AT_DEFAULT, PRESENT };

static enum presence field_presence(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const void *at = member(message, field->offset);
	const void *quantifier = member(message, field->quantifier_offset);
	bool pointer = field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) return *(const size_t *)quantifier ? PRESENT : AT_DEFAULT;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)quantifier != field->id) return ABSENT;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) return *(const void *const *)at ? PRESENT : ABSENT;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || field->label == PROTOBUF_C_LABEL_REQUIRED) return PRESENT;
	if (field->label == PROTOBUF_C_LABEL_NONE) return is_zero(field->type, at) ? AT_DEFAULT : PRESENT;
	if (pointer)
		return *(const void *const *)at && *(const void *const *)at != field->default_value ? PRESENT : ABSENT;
	return *(const protobuf_c_boolean *)quantifier ? PRESENT : ABSENT;
}

static json_t *encode_field(struct encoder *encoder, const ProtobufCMessage *message,
			    const ProtobufCFieldDescriptor *field, const struct ftsi_json_path *path, unsigned depth)
{
	const void *at = member(message, field->offset);
	size_t count =
	    field->label == PROTOBUF_C_LABEL_REPEATED ? *(const size_t *)member(message, field->quantifier_offset) : 0;

	if (field->label != PROTOBUF_C_LABEL_REPEATED) return encode_scalar(encoder, field, at, path, depth);
	if (ftsi_json_map_entry(field)) return encode_map(encoder, *(const void *const *const *)at, count, path, depth);
	return encode_list(encoder, field, *(const uint8_t *const *)at, count, path, depth);
}

static json_t *encode_message(struct encoder *encoder, const ProtobufCMessage *message,
			      const struct ftsi_json_path *path, unsigned depth)
{
	if (depth > FTS_JSON_DEPTH_MAX) return refuse(encoder, path, "is nested too deeply");
	json_t *object = json_object();
	bool ok = object != NULL;

	for (unsigned i = 0; ok && i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		enum presence presence = field_presence(message, field);
		if (presence == ABSENT || (presence == AT_DEFAULT && !encoder->options.print_defaults)) continue;
		char camel[FTSI_JSON_NAME_MAX_BYTES];
		ftsi_json_camel(field->name, camel, sizeof camel);
		struct ftsi_json_path here = {.parent = path, .name = field->name};
		json_t *value = encode_field(encoder, message, field, &here, depth);
		ok = value &&
		     json_object_set_new(object, encoder->options.proto_names ? field->name : camel, value) == 0;
	}
	if (ok) return object;
	json_decref(object);
	return exhausted(encoder);
}

enum fts_status fts_json_value(const ProtobufCMessage *message, const struct fts_json_options *options,
			       struct json_t **out_value, struct fts_error *out_error)
{
	struct encoder encoder = {.error = out_error, .status = FTS_OK};

	if (options) encoder.options = *options;
	json_t *value = encode_message(&encoder, message, NULL, 1);
	if (value) *out_value = value;
	return value ? FTS_OK : encoder.status;
}

enum fts_status fts_json_encode(const ProtobufCMessage *message, const struct fts_json_options *options,
				char **out_text, size_t *out_size_bytes, struct fts_error *out_error)
{
	json_t *value = NULL;
	enum fts_status status = fts_json_value(message, options, &value, out_error);

	if (status != FTS_OK) return status;
	char *text = json_dumps(value, options && options->pretty ? JSON_INDENT(2) : JSON_COMPACT);
	json_decref(value);
	if (!text) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for JSON");
	*out_text = text;
	if (out_size_bytes) *out_size_bytes = strlen(text);
	return FTS_OK;
}

/* protobuf-c's unpack takes up to fifty times a message's size, of hostile types much more. */
struct capped {
	size_t left_bytes;
	bool exhausted;
};

static void *capped_alloc(void *ctx, size_t size_bytes)
{
	struct capped *capped = ctx;

	if (size_bytes > capped->left_bytes) {
		capped->exhausted = true;
		return NULL;
	}
	capped->left_bytes -= size_bytes;
	return malloc(size_bytes ? size_bytes : 1);
}

static void capped_free(void *ctx, void *memory)
{
	(void)ctx;
	free(memory);
}

enum fts_status fts_json_value_of_bytes(const ProtobufCMessageDescriptor *type, struct fts_bytes packed,
					const struct fts_json_options *options, struct json_t **out_value,
					struct fts_error *out_error)
{
	struct capped capped = {.left_bytes = FTS_JSON_MEMORY_MAX_BYTES};
	ProtobufCAllocator allocator = {capped_alloc, capped_free, &capped};
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, packed.size_bytes, packed.data);

	if (!message && capped.exhausted)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "a %s that needs too much memory", type->name);
	if (!message) return fts_error_set(out_error, FTS_DATA_LOSS, "bytes that are not a %s", type->name);
	enum fts_status status = fts_json_value(message, options, out_value, out_error);
	protobuf_c_message_free_unpacked(message, &allocator);
	return status;
}
