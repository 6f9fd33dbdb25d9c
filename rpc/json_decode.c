/* Why this file exists: JSON -> message. jansson reads the text (syntax, UTF-8, duplicate keys); this file gives it
 * a meaning by the descriptor, field by field, and says what is wrong where.
 *
 * Invariants
 * - A message under construction is always one that protobuf_c_message_free_unpacked can free.
 * - No more than FTS_JSON_MEMORY_MAX_BYTES are taken for the message, and no more for the tree that jansson makes of
 * the text, whatever text and descriptor say together.
 * - Numbers are taken exactly or refused: none is cut, wrapped or rounded to fit. */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/json_internal.h"

#define FIELD_COUNT_MAX 4096

struct decoder {
	ProtobufCAllocator *allocator; /* NULL: malloc */
	size_t left_bytes;
	struct fts_error *error;
	enum fts_status status;
};

/* One value to be read and where it goes. */
struct slot {
	const ProtobufCFieldDescriptor *field;
	const struct ftsi_json_path *path;
	void *at;
	unsigned depth; /* of the message the field is in */
};

static bool decode_fields(struct decoder *decoder, ProtobufCMessage *message, const json_t *object,
			  const struct ftsi_json_path *path, unsigned depth);

static bool refuse(struct decoder *decoder, const struct ftsi_json_path *path, const char *format, ...)
    FTS_PRINTF(3, 4);
static bool refuse(struct decoder *decoder, const struct ftsi_json_path *path, const char *format, ...)
{
	char where[256], what[256];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	decoder->status = fts_error_set(decoder->error, FTS_INVALID_ARGUMENT, "%s: %s",
					ftsi_json_path_print(path, where, sizeof where), what);
	return false;
}

static const char *kind_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		break;
	}
	return "null";
}

static bool refuse_kind(struct decoder *decoder, const struct ftsi_json_path *path, const char *expected,
			const json_t *value)
{
	if (json_is_string(value))
		return refuse(decoder, path, "expected %s, got \"%.40s\"", expected, json_string_value(value));
	return refuse(decoder, path, "expected %s, got %s", expected, kind_of(value));
}

static void *take(struct decoder *decoder, size_t size_bytes)
{
	void *memory = NULL;

	if (size_bytes <= decoder->left_bytes)
		memory = decoder->allocator ? decoder->allocator->alloc(decoder->allocator->allocator_data, size_bytes)
					    : malloc(size_bytes ? size_bytes : 1);
	if (!memory) {
		decoder->status =
		    fts_error_set(decoder->error, FTS_RESOURCE_EXHAUSTED, "the message needs more memory than allowed");
		return NULL;
	}
	decoder->left_bytes -= size_bytes;
	return memory;
}

static void give_back(struct decoder *decoder, void *memory)
{
	if (decoder->allocator)
		decoder->allocator->free(decoder->allocator->allocator_data, memory);
	else
		free(memory);
}

/* ---- Numbers ---- */

/* A number as JSON may write it: an integer with its sign apart, so that the whole of uint64 fits. */
struct whole {
	bool negative;
	uint64_t magnitude;
};

static bool whole_from_real(double value, struct whole *out)
{
	if (!isfinite(value) || value != floor(value) || fabs(value) > 9007199254740992.0) return false;
	*out = (struct whole){.negative = value < 0, .magnitude = (uint64_t)fabs(value)};
	return true;
}

static bool whole_from_text(const char *text, struct whole *out)
{
	bool negative = *text == '-';
	const char *digits = text + negative;
	char *end = NULL;

	if (strpbrk(text, ".eE")) {
		if (strspn(digits, "0123456789.eE+-") != strlen(digits) || *digits < '0' || *digits > '9') return false;
		double value = strtod(text, &end);
		return *end == 0 && whole_from_real(value, out);
	}
	if (!*digits || strspn(digits, "0123456789") != strlen(digits)) return false;
	errno = 0;
	unsigned long long magnitude = strtoull(digits, &end, 10);
	if (errno) return false;
	*out = (struct whole){.negative = negative && magnitude, .magnitude = magnitude};
	return true;
}

static bool whole_from_json(const json_t *value, struct whole *out)
{
	if (json_is_string(value)) return whole_from_text(json_string_value(value), out);
	if (json_is_real(value)) return whole_from_real(json_real_value(value), out);
	if (!json_is_integer(value)) return false;
	json_int_t number = json_integer_value(value);
	*out =
	    (struct whole){.negative = number < 0, .magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number};
	return true;
}

static bool decode_signed(struct decoder *decoder, const struct slot *slot, const json_t *value, int64_t min,
			  int64_t max, int64_t *out)
{
	struct whole whole;
	bool fits = whole_from_json(value, &whole) &&
		    whole.magnitude <= (whole.negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX);
	int64_t number = 0;

	if (fits) number = whole.negative ? (int64_t)(0 - whole.magnitude) : (int64_t)whole.magnitude;
	if (!fits || number < min || number > max) {
		char expected[96];
		(void)snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, min, max);
		return refuse_kind(decoder, slot->path, expected, value);
	}
	*out = number;
	return true;
}

static bool decode_unsigned(struct decoder *decoder, const struct slot *slot, const json_t *value, uint64_t max,
			    uint64_t *out)
{
	struct whole whole;

	if (!whole_from_json(value, &whole) || whole.negative || whole.magnitude > max) {
		char expected[64];
		(void)snprintf(expected, sizeof expected, "a whole number from 0 to %" PRIu64, max);
		return refuse_kind(decoder, slot->path, expected, value);
	}
	*out = whole.magnitude;
	return true;
}

static bool real_from_text(const char *text, double *out)
{
	char *end = NULL;

	if (strcmp(text, "NaN") == 0)
		*out = (double)NAN;
	else if (strcmp(text, "Infinity") == 0)
		*out = (double)INFINITY;
	else if (strcmp(text, "-Infinity") == 0)
		*out = -(double)INFINITY;
	else if (!*text || strspn(text, "0123456789.eE+-") != strlen(text))
		return false;
	else
		*out = strtod(text, &end);
	return !end || (*end == 0 && isfinite(*out));
}

static bool decode_real(struct decoder *decoder, const struct slot *slot, const json_t *value, double *out)
{
	double number = 0;
	bool ok = json_is_number(value);

	if (ok)
		number = json_number_value(value);
	else if (json_is_string(value))
		ok = real_from_text(json_string_value(value), &number);
	if (!ok) return refuse_kind(decoder, slot->path, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", value);
	if (slot->field->type == PROTOBUF_C_TYPE_FLOAT && isfinite(number) && fabs(number) > (double)FLT_MAX)
		return refuse(decoder, slot->path, "is too large for a float");
	*out = number;
	return true;
}

/* ---- Other values ---- */

static bool decode_enum(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	const ProtobufCEnumDescriptor *type = slot->field->descriptor;
	char expected[200] = "";
	size_t used_bytes = 0;
	int64_t number = 0;

	if (json_is_number(value)) {
		if (!decode_signed(decoder, slot, value, INT32_MIN, INT32_MAX, &number)) return false;
		*(int32_t *)slot->at = (int32_t)number;
		return true;
	}
	const ProtobufCEnumValue *named =
	    json_is_string(value) ? protobuf_c_enum_descriptor_get_value_by_name(type, json_string_value(value)) : NULL;
	if (named) {
		*(int32_t *)slot->at = named->value;
		return true;
	}
	for (unsigned i = 0; i < type->n_values && used_bytes < sizeof expected; i++)
		used_bytes += (size_t)snprintf(expected + used_bytes, sizeof expected - used_bytes, "%s%s",
					       i ? ", " : "one of ", type->values[i].name);
	return refuse_kind(decoder, slot->path, expected, value);
}

static bool decode_string(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	if (!json_is_string(value)) return refuse_kind(decoder, slot->path, "a string", value);
	size_t size_bytes = json_string_length(value) + 1;
	char *copy = take(decoder, size_bytes);
	if (!copy) return false;
	memcpy(copy, json_string_value(value), size_bytes);
	*(char **)slot->at = copy;
	return true;
}

static bool decode_bytes(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	ProtobufCBinaryData *bytes = slot->at;

	if (!json_is_string(value)) return refuse_kind(decoder, slot->path, "base64 in a string", value);
	size_t length = json_string_length(value);
	if (!length) return true;
	uint8_t *data = take(decoder, length);
	if (!data) return false;
	if (!ftsi_base64_decode(json_string_value(value), length, data, &bytes->len)) {
		give_back(decoder, data);
		return refuse(decoder, slot->path, "expected base64");
	}
	bytes->data = data;
	if (bytes->len == 0) {
		give_back(decoder, data);
		bytes->data = NULL;
	}
	return true;
}

static void init_message(const ProtobufCMessageDescriptor *type, ProtobufCMessage *message)
{
	if (type->message_init) {
		type->message_init(message);
		return;
	}
	memset(message, 0, type->sizeof_message);
	message->descriptor = type;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		bool plain = field->label != PROTOBUF_C_LABEL_REPEATED && !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
		if (plain && field->type == PROTOBUF_C_TYPE_STRING && field->default_value)
			memcpy((uint8_t *)message + field->offset, &(const void *){field->default_value},
			       sizeof(void *));
	}
}

static ProtobufCMessage *new_message(struct decoder *decoder, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = take(decoder, type->sizeof_message);

	if (message) init_message(type, message);
	return message;
}

static bool decode_submessage(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	if (!json_is_object(value)) return refuse_kind(decoder, slot->path, "an object", value);
	if (slot->depth >= FTS_JSON_DEPTH_MAX) return refuse(decoder, slot->path, "is nested too deeply");
	ProtobufCMessage *message = new_message(decoder, slot->field->descriptor);
	if (!message) return false;
	*(ProtobufCMessage **)slot->at = message;
	return decode_fields(decoder, message, value, slot->path, slot->depth + 1);
}

static bool decode_narrow(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	bool is_signed = slot->field->type != PROTOBUF_C_TYPE_UINT32 && slot->field->type != PROTOBUF_C_TYPE_FIXED32;
	int64_t number = 0;
	uint64_t natural = 0;

	if (is_signed ? !decode_signed(decoder, slot, value, INT32_MIN, INT32_MAX, &number)
		      : !decode_unsigned(decoder, slot, value, UINT32_MAX, &natural))
		return false;
	if (is_signed)
		*(int32_t *)slot->at = (int32_t)number;
	else
		*(uint32_t *)slot->at = (uint32_t)natural;
	return true;
}

static bool decode_float(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	double number = 0;

	if (!decode_real(decoder, slot, value, &number)) return false;
	if (slot->field->type == PROTOBUF_C_TYPE_FLOAT)
		*(float *)slot->at = (float)number;
	else
		*(double *)slot->at = number;
	return true;
}

static bool decode_bool(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	if (!json_is_boolean(value)) return refuse_kind(decoder, slot->path, "true or false", value);
	*(protobuf_c_boolean *)slot->at = json_is_true(value);
	return true;
}

/* One value, never null, never a list. On false slot->at is as before, or holds something that can be freed. */
static bool decode_value(struct decoder *decoder, const struct slot *slot, const json_t *value)
{
	switch (slot->field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return decode_narrow(decoder, slot, value);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return decode_signed(decoder, slot, value, INT64_MIN, INT64_MAX, slot->at);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return decode_unsigned(decoder, slot, value, UINT64_MAX, slot->at);
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return decode_float(decoder, slot, value);
	case PROTOBUF_C_TYPE_BOOL:
		return decode_bool(decoder, slot, value);
	case PROTOBUF_C_TYPE_ENUM:
		return decode_enum(decoder, slot, value);
	case PROTOBUF_C_TYPE_STRING:
		return decode_string(decoder, slot, value);
	case PROTOBUF_C_TYPE_BYTES:
		return decode_bytes(decoder, slot, value);
	case PROTOBUF_C_TYPE_MESSAGE:
		return decode_submessage(decoder, slot, value);
	}
	return refuse(decoder, slot->path, "is of a type this version does not know");
}

/* ---- Lists and maps ---- */

/* An array for count values in the message; its quantifier grows as they are filled in. */
static uint8_t *new_array(struct decoder *decoder, const struct slot *slot, size_t count)
{
	size_t size_bytes = ftsi_json_type_size_bytes(slot->field->type);

	if (count > decoder->left_bytes / size_bytes) {
		(void)take(decoder, SIZE_MAX);
		return NULL;
	}
	uint8_t *array = take(decoder, count * size_bytes);
	if (array) {
		memset(array, 0, count * size_bytes);
		*(uint8_t **)slot->at = array;
	}
	return array;
}

static bool decode_list(struct decoder *decoder, const struct slot *slot, size_t *count, const json_t *value)
{
	size_t size_bytes = ftsi_json_type_size_bytes(slot->field->type), wanted = json_array_size(value);

	if (!json_is_array(value)) return refuse_kind(decoder, slot->path, "a list", value);
	uint8_t *array = wanted ? new_array(decoder, slot, wanted) : NULL;
	bool ok = array || !wanted;
	for (size_t i = 0; ok && i < wanted; i++) {
		struct ftsi_json_path here = {.parent = slot->path, .element_index = i};
		struct slot element = {slot->field, &here, array + i * size_bytes, slot->depth};
		*count = i + 1;
		ok = decode_value(decoder, &element, json_array_get(value, i));
	}
	return ok;
}

static bool decode_key(struct decoder *decoder, const struct slot *slot, const char *key)
{
	if (slot->field->type == PROTOBUF_C_TYPE_BOOL) {
		*(protobuf_c_boolean *)slot->at = strcmp(key, "true") == 0;
		if (strcmp(key, "true") == 0 || strcmp(key, "false") == 0) return true;
		return refuse(decoder, slot->path, "expected true or false as key");
	}
	json_t *text = json_string(key);
	if (!text) return take(decoder, SIZE_MAX) != NULL;
	bool ok = decode_value(decoder, slot, text);
	json_decref(text);
	return ok;
}

static bool decode_entry(struct decoder *decoder, ProtobufCMessage *entry, const struct ftsi_json_path *path,
			 unsigned depth, const json_t *value)
{
	const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
	struct slot key = {&fields[0], path, (uint8_t *)entry + fields[0].offset, depth};
	struct slot held = {&fields[1], path, (uint8_t *)entry + fields[1].offset, depth};

	return decode_key(decoder, &key, path->name) && decode_value(decoder, &held, value);
}

static bool decode_map(struct decoder *decoder, const struct slot *slot, size_t *count, const json_t *value)
{
	const ProtobufCMessageDescriptor *type = slot->field->descriptor;

	if (!json_is_object(value)) return refuse_kind(decoder, slot->path, "an object (a map)", value);
	if (slot->depth >= FTS_JSON_DEPTH_MAX) return refuse(decoder, slot->path, "is nested too deeply");
	size_t wanted = json_object_size(value);
	ProtobufCMessage **entries = wanted ? (ProtobufCMessage **)(void *)new_array(decoder, slot, wanted) : NULL;
	bool ok = entries || !wanted;
	json_t *object = json_incref((json_t *)(uintptr_t)value), *item;
	const char *key;

	json_object_foreach(object, key, item)
	{
		struct ftsi_json_path here = {.parent = slot->path, .name = key};
		ok = ok && (entries[*count] = new_message(decoder, type)) != NULL;
		if (!ok) break;
		ok = decode_entry(decoder, entries[(*count)++], &here, slot->depth + 1, item);
	}
	json_decref(object);
	return ok;
}

/* ---- Messages ---- */

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, const char *name)
{
	char camel[FTSI_JSON_NAME_MAX_BYTES];

	for (unsigned i = 0; i < type->n_fields; i++) {
		if (strcmp(type->fields[i].name, name) == 0) return &type->fields[i];
		ftsi_json_camel(type->fields[i].name, camel, sizeof camel);
		if (strcmp(camel, name) == 0) return &type->fields[i];
	}
	return NULL;
}

static bool mark_seen(struct decoder *decoder, const ProtobufCMessageDescriptor *type,
		      const ProtobufCFieldDescriptor *field, uint8_t *seen, const struct ftsi_json_path *path)
{
	size_t place = (size_t)(field - type->fields);

	if (seen[place / 8] & 1u << place % 8) return refuse(decoder, path, "is given twice");
	seen[place / 8] |= (uint8_t)(1u << place % 8);
	return true;
}

static const char *oneof_taken(const ProtobufCMessage *message, uint32_t id)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(message->descriptor, id);

	return field ? field->name : "another field";
}

static bool decode_field(struct decoder *decoder, ProtobufCMessage *message, const struct slot *slot,
			 const json_t *value)
{
	const ProtobufCFieldDescriptor *field = slot->field;
	void *quantifier = (uint8_t *)message + field->quantifier_offset;
	bool oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return ftsi_json_map_entry(field) ? decode_map(decoder, slot, quantifier, value)
						  : decode_list(decoder, slot, quantifier, value);
	if (oneof && *(uint32_t *)quantifier)
		return refuse(decoder, slot->path, "excludes %s, which is given too",
			      oneof_taken(message, *(uint32_t *)quantifier));
	if (oneof) {
		memset(slot->at, 0, ftsi_json_type_size_bytes(field->type));
		*(uint32_t *)quantifier = field->id; /* before the value: a half-made one is freed by it */
	}
	if (!decode_value(decoder, slot, value)) return false;
	bool has = field->label == PROTOBUF_C_LABEL_OPTIONAL && !oneof && field->type != PROTOBUF_C_TYPE_STRING &&
		   field->type != PROTOBUF_C_TYPE_MESSAGE;
	if (has) *(protobuf_c_boolean *)quantifier = 1;
	return true;
}

static bool decode_fields(struct decoder *decoder, ProtobufCMessage *message, const json_t *object,
			  const struct ftsi_json_path *path, unsigned depth)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	uint8_t seen[FIELD_COUNT_MAX / 8] = {0};
	json_t *held = json_incref((json_t *)(uintptr_t)object), *value;
	const char *name;
	bool ok = type->n_fields <= FIELD_COUNT_MAX || refuse(decoder, path, "has too many fields");

	json_object_foreach(held, name, value)
	{
		if (!ok) break;
		const ProtobufCFieldDescriptor *field = find_field(type, name);
		struct ftsi_json_path here = {.parent = path, .name = field ? field->name : name};
		if (!field) {
			ok = refuse(decoder, &here, "%s has no such field", type->name);
			break;
		}
		struct slot slot = {field, &here, (uint8_t *)message + field->offset, depth};
		ok = mark_seen(decoder, type, field, seen, &here) &&
		     (json_is_null(value) || decode_field(decoder, message, &slot, value));
	}
	json_decref(held);
	return ok;
}

/* More than what jansson takes for the tree of text: two bytes of it, an empty object, cost a hundred times as much, so
 * the size of the text alone bounds nothing. Each sign outside of strings stands for what it brings into being. */
static size_t tree_bytes(struct fts_bytes text)
{
	static const uint16_t costs[256] = {['{'] = 256, ['['] = 160, ['"'] = 80, [':'] = 96, [','] = 64};
	size_t sum_bytes = 0;
	bool in_string = false;

	for (size_t i = 0; i < text.size_bytes; i++) {
		uint8_t sign = text.data[i];
		if (in_string && sign == '\\') {
			i++;
			continue;
		}
		if (!in_string) sum_bytes += costs[sign];
		in_string ^= sign == '"';
	}
	return sum_bytes + text.size_bytes;
}

static enum fts_status parse_text(struct fts_bytes text, json_t **out_root, struct fts_error *out_error)
{
	json_error_t fault;

	if (text.size_bytes > FTS_JSON_TEXT_MAX_BYTES)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "JSON of %zu bytes; at most %u are taken",
				     text.size_bytes, FTS_JSON_TEXT_MAX_BYTES);
	if (tree_bytes(text) > FTS_JSON_MEMORY_MAX_BYTES)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
				     "the JSON holds more values than one request may have: send fewer");
	json_t *root =
	    json_loadb(text.data ? (const char *)text.data : "", text.size_bytes, JSON_REJECT_DUPLICATES, &fault);
	if (!root) {
		bool wide = json_error_code(&fault) == json_error_numeric_overflow;
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "not JSON: line %d, column %d: %s%s", fault.line,
				     fault.column, fault.text,
				     wide ? " (whole numbers from 2^63 on are written as strings)" : "");
	}
	*out_root = root;
	return FTS_OK;
}

enum fts_status fts_json_decode(struct fts_bytes text, const ProtobufCMessageDescriptor *type,
				ProtobufCAllocator *allocator, ProtobufCMessage **out_message,
				struct fts_error *out_error)
{
	struct decoder decoder = {
	    .allocator = allocator, .left_bytes = FTS_JSON_MEMORY_MAX_BYTES, .error = out_error, .status = FTS_OK};
	ProtobufCMessage *message = NULL;
	json_t *root = NULL;
	enum fts_status status = parse_text(text, &root, out_error);

	if (status != FTS_OK) return status;
	if (!json_is_object(root))
		(void)refuse_kind(&decoder, NULL, "an object", root);
	else if ((message = new_message(&decoder, type)) && decode_fields(&decoder, message, root, NULL, 1)) {
		*out_message = message;
		message = NULL;
	}
	if (message) protobuf_c_message_free_unpacked(message, allocator);
	json_decref(root);
	return decoder.status;
}
