/* Why this file exists: see bytes.h. Source of base64: RFC 4648, section 4. */
#include "client/cli/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *text_or_null(const uint8_t *data, size_t size_bytes)
{
	return size_bytes == 0 ? json_string("") : json_stringn((const char *)data, size_bytes);
}

/* Three bytes, or what is left of them, as four letters. */
static void encode_group(const uint8_t *data, size_t left_bytes, char *out)
{
	uint32_t group = (uint32_t)data[0] << 16;

	if (left_bytes > 1) group |= (uint32_t)data[1] << 8;
	if (left_bytes > 2) group |= data[2];
	out[0] = digits[group >> 18];
	out[1] = digits[group >> 12 & 63];
	out[2] = left_bytes > 1 ? digits[group >> 6 & 63] : '=';
	out[3] = left_bytes > 2 ? digits[group & 63] : '=';
}

static json_t *base64_json(const uint8_t *data, size_t size_bytes)
{
	size_t length = (size_bytes + 2) / 3 * 4;
	char *text = malloc(length + 1);
	json_t *json = NULL;

	for (size_t i = 0; text && i < size_bytes; i += 3)
		encode_group(data + i, size_bytes - i, text + i / 3 * 4);
	if (text) json = json_stringn_nocheck(text, length);
	free(text);
	return ftsi_json("o", json);
}

json_t *ftsi_bytes_json(const uint8_t *data, size_t size_bytes)
{
	json_t *text = text_or_null(data, size_bytes);

	return text ? text : ftsi_json("{s:o}", "base64", base64_json(data, size_bytes));
}

void ftsi_bytes_set(json_t *object, const char *name, const uint8_t *data, size_t size_bytes)
{
	json_t *text = text_or_null(data, size_bytes);
	char base64_name[64];

	if (text) {
		json_object_set_new(object, name, text);
		return;
	}
	snprintf(base64_name, sizeof(base64_name), "%s_base64", name);
	json_object_set_new(object, base64_name, base64_json(data, size_bytes));
}

bool ftsi_bytes_from_base64(const char *text, uint8_t *out, size_t *out_size_bytes)
{
	size_t length = strlen(text), padding = 0, used_bytes = 0;
	uint32_t bits = 0;
	unsigned held = 0;

	if (length % 4 != 0) return false;
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < length - padding; i++) {
		const char *digit = strchr(digits, text[i]);
		if (!digit) return false;
		bits = bits << 6 | (uint32_t)(digit - digits);
		held += 6;
		if (held < 8) continue;
		held -= 8;
		out[used_bytes++] = (uint8_t)(bits >> held);
	}
	*out_size_bytes = used_bytes;
	return true;
}
