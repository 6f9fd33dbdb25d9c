/* Why this file exists: see http/connect.h. */
#include "http/connect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

static const struct {
	const char *name;
	unsigned http_status;
} codes[] = {
    [FTS_OK] = {"ok", 200},
    [FTS_CANCELLED] = {"canceled", 499},
    [FTS_UNKNOWN] = {"unknown", 500},
    [FTS_INVALID_ARGUMENT] = {"invalid_argument", 400},
    [FTS_DEADLINE_EXCEEDED] = {"deadline_exceeded", 504},
    [FTS_NOT_FOUND] = {"not_found", 404},
    [FTS_ALREADY_EXISTS] = {"already_exists", 409},
    [FTS_PERMISSION_DENIED] = {"permission_denied", 403},
    [FTS_RESOURCE_EXHAUSTED] = {"resource_exhausted", 429},
    [FTS_FAILED_PRECONDITION] = {"failed_precondition", 400},
    [FTS_ABORTED] = {"aborted", 409},
    [FTS_OUT_OF_RANGE] = {"out_of_range", 400},
    [FTS_UNIMPLEMENTED] = {"unimplemented", 501},
    [FTS_INTERNAL] = {"internal", 500},
    [FTS_UNAVAILABLE] = {"unavailable", 503},
    [FTS_DATA_LOSS] = {"data_loss", 500},
    [FTS_UNAUTHENTICATED] = {"unauthenticated", 401},
};

static size_t place_of(enum fts_status status)
{
	return (size_t)status < sizeof(codes) / sizeof(codes[0]) ? (size_t)status : (size_t)FTS_UNKNOWN;
}

const char *ftsi_connect_code(enum fts_status status)
{
	return codes[place_of(status)].name;
}

unsigned ftsi_connect_http_status(enum fts_status status)
{
	return codes[place_of(status)].http_status;
}

/* The type itself, whatever parameters stand behind it. */
static bool type_is(const char *type, const char *wanted)
{
	size_t size = strcspn(type, "; ");
	return size == strlen(wanted) && strncasecmp(type, wanted, size) == 0;
}

const char *ftsi_connect_unary_name(enum ftsi_codec codec)
{
	return codec == FTSI_CODEC_JSON ? "application/json" : "application/proto";
}

const char *ftsi_connect_stream_name(enum ftsi_codec codec)
{
	return codec == FTSI_CODEC_JSON ? "application/connect+json" : "application/connect+proto";
}

static bool codec_of(const char *type, const char *(*name_of)(enum ftsi_codec), enum ftsi_codec *out_codec)
{
	for (enum ftsi_codec codec = FTSI_CODEC_JSON; type != NULL && codec <= FTSI_CODEC_PROTO; codec++) {
		if (!type_is(type, name_of(codec))) continue;
		*out_codec = codec;
		return true;
	}
	return false;
}

bool ftsi_connect_unary_type(const char *type, enum ftsi_codec *out_codec)
{
	return codec_of(type, ftsi_connect_unary_name, out_codec);
}

bool ftsi_connect_stream_type(const char *type, enum ftsi_codec *out_codec)
{
	return codec_of(type, ftsi_connect_stream_name, out_codec);
}

bool ftsi_connect_timeout(const char *text, uint32_t *out_timeout_ms)
{
	uint64_t value = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 10 || text[digits] != '\0') return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	*out_timeout_ms = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
	return true;
}

static int base64_value(char digit)
{
	if (digit >= 'A' && digit <= 'Z') return digit - 'A';
	if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9') return digit - '0' + 52;
	if (digit == '-' || digit == '+') return 62;
	if (digit == '_' || digit == '/') return 63;
	return -1;
}

size_t ftsi_connect_base64(const char *text, size_t size_bytes, uint8_t *out)
{
	size_t written = 0;
	uint32_t bits = 0, bit_count = 0;
	while (size_bytes > 0 && text[size_bytes - 1] == '=')
		size_bytes--;
	if (size_bytes % 4 == 1) return (size_t)-1;
	for (size_t i = 0; i < size_bytes; i++) {
		int value = base64_value(text[i]);
		if (value < 0) return (size_t)-1;
		bits = bits << 6 | (uint32_t)value;
		bit_count += 6;
		if (bit_count < 8) continue;
		bit_count -= 8;
		out[written++] = (uint8_t)(bits >> bit_count);
	}
	return written;
}

/* text may hold what somebody sent: only UTF-8 goes into JSON. */
static json_t *text_value(const char *text)
{
	json_t *value = json_string(text);
	return value != NULL ? value : json_string("(the reason is not UTF-8)");
}

char *ftsi_connect_error_json(const struct fts_error *error, bool as_end)
{
	json_t *root =
	    json_pack("{s:s, s:o}", "code", ftsi_connect_code(error->status), "message", text_value(error->detail));
	if (as_end && root != NULL) root = json_pack("{s:o}", "error", root);
	char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}
