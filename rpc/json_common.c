/* Why this file exists: see json_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/json_internal.h"

static size_t path_append(char *buf, size_t size_bytes, size_t used_bytes, const char *format, const char *name,
			  size_t element_index)
{
	if (used_bytes >= size_bytes) return used_bytes;
	int n =
	    name ? snprintf(buf + used_bytes, size_bytes - used_bytes, "%s%.*s", format, FTSI_JSON_NAME_MAX_BYTES, name)
		 : snprintf(buf + used_bytes, size_bytes - used_bytes, "[%zu]", element_index);
	return n < 0 ? used_bytes : used_bytes + (size_t)n;
}

const char *ftsi_json_path_print(const struct ftsi_json_path *path, char *buf, size_t size_bytes)
{
	const struct ftsi_json_path *parts[2 * FTS_JSON_DEPTH_MAX + 2];
	size_t count = 0, used_bytes = 0;

	for (; path && count < sizeof parts / sizeof *parts; path = path->parent)
		parts[count++] = path;
	(void)snprintf(buf, size_bytes, "%s", count ? "" : "(message)");
	while (count-- > 0)
		used_bytes = path_append(buf, size_bytes, used_bytes, used_bytes ? "." : "", parts[count]->name,
					 parts[count]->element_index);
	return buf;
}

void ftsi_json_camel(const char *name, char *out, size_t size_bytes)
{
	size_t used_bytes = 0;
	bool raise = false;

	for (; *name && used_bytes + 1 < size_bytes; name++) {
		if (*name == '_') {
			raise = true;
			continue;
		}
		out[used_bytes++] = raise && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
		raise = false;
	}
	out[used_bytes] = 0;
}

const ProtobufCMessageDescriptor *ftsi_json_map_entry(const ProtobufCFieldDescriptor *field)
{
	if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE || !field->descriptor)
		return NULL;
	const ProtobufCMessageDescriptor *entry = field->descriptor;
	const char *name = entry->name ? entry->name : "";
	size_t length = strlen(name);
	bool named = length > 5 && strcmp(name + length - 5, "Entry") == 0;

	if (!named || entry->n_fields != 2 || entry->fields[0].id != 1 || entry->fields[1].id != 2 ||
	    strcmp(entry->fields[0].name, "key") != 0 || strcmp(entry->fields[1].name, "value") != 0)
		return NULL;
	ProtobufCType key = entry->fields[0].type;
	if (entry->fields[0].label == PROTOBUF_C_LABEL_REPEATED ||
	    entry->fields[1].label == PROTOBUF_C_LABEL_REPEATED || key == PROTOBUF_C_TYPE_MESSAGE ||
	    key == PROTOBUF_C_TYPE_BYTES || key == PROTOBUF_C_TYPE_ENUM || key == PROTOBUF_C_TYPE_FLOAT ||
	    key == PROTOBUF_C_TYPE_DOUBLE)
		return NULL;
	return entry;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *ftsi_base64_encode(const uint8_t *data, size_t size_bytes)
{
	char *text = size_bytes > SIZE_MAX / 2 ? NULL : malloc((size_bytes + 2) / 3 * 4 + 1);
	char *out = text;

	for (size_t i = 0; text && i < size_bytes; i += 3) {
		size_t left_bytes = size_bytes - i;
		uint32_t group = (uint32_t)data[i] << 16;
		group |= left_bytes > 1 ? (uint32_t)data[i + 1] << 8 : 0;
		group |= left_bytes > 2 ? data[i + 2] : 0;
		*out++ = base64_digits[group >> 18];
		*out++ = base64_digits[group >> 12 & 63];
		*out++ = left_bytes > 1 ? base64_digits[group >> 6 & 63] : '=';
		*out++ = left_bytes > 2 ? base64_digits[group & 63] : '=';
	}
	if (text) *out = 0;
	return text;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z') return c - 'A';
	if (c >= 'a' && c <= 'z') return c - 'a' + 26;
	if (c >= '0' && c <= '9') return c - '0' + 52;
	if (c == '+' || c == '-') return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

bool ftsi_base64_decode(const char *text, size_t size_bytes, uint8_t *out, size_t *out_size_bytes)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t used_bytes = 0, padding = 0;

	while (padding < 2 && padding < size_bytes && text[size_bytes - 1 - padding] == '=')
		padding++;
	if (padding && size_bytes % 4 != 0) return false;
	size_bytes -= padding;
	if (size_bytes % 4 == 1) return false;
	for (size_t i = 0; i < size_bytes; i++) {
		int value = base64_value(text[i]);
		if (value < 0) return false;
		bits = bits << 6 | (uint32_t)value;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[used_bytes++] = (uint8_t)(bits >> held);
		}
	}
	*out_size_bytes = used_bytes;
	return true;
}

size_t ftsi_json_type_size_bytes(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	}
	return 8;
}
