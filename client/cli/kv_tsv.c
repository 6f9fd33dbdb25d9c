/* Why this file exists: see kv_tsv.h. */
#include "client/cli/kv_tsv.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/kv_call.h"

/* Escaped, each byte may take two. */
#define LINE_MAX_BYTES (2 * (FTSI_KV_KEY_MAX_BYTES + FTSI_KV_VALUE_MAX_BYTES) + 1)
#define RAW_SHOWN_BYTES 64u

struct ftsi_tsv {
	FILE *in;
	bool escaped;
	uint64_t number;
	uint64_t end_bytes;
	char reason[96];
	char raw[RAW_SHOWN_BYTES];
	uint8_t line[LINE_MAX_BYTES];
};

struct ftsi_tsv *ftsi_tsv_create(FILE *in, bool escaped)
{
	struct ftsi_tsv *tsv = malloc(sizeof(*tsv));

	if (!tsv) return NULL;
	tsv->in = in;
	tsv->escaped = escaped;
	tsv->number = tsv->end_bytes = 0;
	return tsv;
}

void ftsi_tsv_destroy(struct ftsi_tsv *tsv)
{
	free(tsv);
}

/* The bytes up to the end of the line; those beyond LINE_MAX_BYTES are counted only. False: there is no line. */
static bool read_line(struct ftsi_tsv *tsv, size_t *out_size_bytes)
{
	size_t size_bytes = 0;
	int c = getc_unlocked(tsv->in);

	if (c == EOF) return false;
	for (; c != EOF && c != '\n'; c = getc_unlocked(tsv->in)) {
		if (size_bytes < LINE_MAX_BYTES) tsv->line[size_bytes] = (uint8_t)c;
		size_bytes++;
	}
	tsv->number++;
	tsv->end_bytes += size_bytes + (c == '\n');
	*out_size_bytes = size_bytes;
	return !ferror(tsv->in);
}

static int unescape_one(uint8_t letter)
{
	switch (letter) {
	case '\\':
		return '\\';
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case '0':
		return '\0';
	default:
		return -1;
	}
}

/* In place. False: a backslash with nothing known behind it. */
static bool unescape(uint8_t *bytes, size_t *size_bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < *size_bytes; i++) {
		int byte = bytes[i];
		if (byte == '\\') byte = ++i < *size_bytes ? unescape_one(bytes[i]) : -1;
		if (byte < 0) return false;
		bytes[used++] = (uint8_t)byte;
	}
	*size_bytes = used;
	return true;
}

static const char *too_long(struct ftsi_tsv *tsv, const char *what, size_t most_bytes, size_t size_bytes)
{
	snprintf(tsv->reason, sizeof(tsv->reason), "%s: at most %zu bytes, not %zu", what, most_bytes, size_bytes);
	return tsv->reason;
}

/* Key and value of a line of size_bytes. NULL, or why it is none. */
static const char *split(struct ftsi_tsv *tsv, size_t size_bytes, struct ftsi_tsv_line *line)
{
	if (size_bytes > LINE_MAX_BYTES) return too_long(tsv, "line", LINE_MAX_BYTES, size_bytes);
	uint8_t *tab = memchr(tsv->line, '\t', size_bytes);
	if (!tab) return "no tab between a key and a value";
	line->key = tsv->line;
	line->key_size_bytes = (size_t)(tab - tsv->line);
	line->value = tab + 1;
	line->value_size_bytes = size_bytes - line->key_size_bytes - 1;
	if (tsv->escaped &&
	    (!unescape(line->key, &line->key_size_bytes) || !unescape(line->value, &line->value_size_bytes)))
		return "a backslash stands before \\, t, n, r or 0 only";
	if (line->key_size_bytes > FTSI_KV_KEY_MAX_BYTES)
		return too_long(tsv, "key", FTSI_KV_KEY_MAX_BYTES, line->key_size_bytes);
	if (line->value_size_bytes > FTSI_KV_VALUE_MAX_BYTES)
		return too_long(tsv, "value", FTSI_KV_VALUE_MAX_BYTES, line->value_size_bytes);
	return NULL;
}

bool ftsi_tsv_next(struct ftsi_tsv *tsv, struct ftsi_tsv_line *out_line)
{
	size_t size_bytes;

	do
		if (!read_line(tsv, &size_bytes)) return false;
	while (size_bytes == 0);
	size_t shown_bytes = size_bytes < RAW_SHOWN_BYTES ? size_bytes : RAW_SHOWN_BYTES;
	memcpy(tsv->raw, tsv->line, shown_bytes);
	*out_line = (struct ftsi_tsv_line){
	    .number = tsv->number, .end_bytes = tsv->end_bytes, .raw = tsv->raw, .raw_size_bytes = shown_bytes};
	out_line->reason = split(tsv, size_bytes, out_line);
	return true;
}

/* ---- writing ---- */

static bool has(const uint8_t *bytes, size_t size_bytes, char byte)
{
	return size_bytes > 0 && memchr(bytes, byte, size_bytes);
}

bool ftsi_tsv_fits(const uint8_t *key, size_t key_size_bytes, const uint8_t *value, size_t value_size_bytes,
		   bool escaped)
{
	return escaped || (!has(key, key_size_bytes, '\t') && !has(key, key_size_bytes, '\n') &&
			   !has(value, value_size_bytes, '\n'));
}

static void write_escaped(FILE *out, const uint8_t *bytes, size_t size_bytes)
{
	static const char plain[] = "\\\t\n\r", letters[] = "\\tnr";

	for (size_t i = 0; i < size_bytes; i++) {
		const char *special = bytes[i] ? strchr(plain, bytes[i]) : NULL;
		if (special || !bytes[i]) putc_unlocked('\\', out);
		putc_unlocked(special ? letters[special - plain] : (bytes[i] ? bytes[i] : '0'), out);
	}
}

void ftsi_tsv_write(FILE *out, const uint8_t *key, size_t key_size_bytes, const uint8_t *value, size_t value_size_bytes,
		    bool escaped)
{
	if (escaped)
		write_escaped(out, key, key_size_bytes);
	else if (key_size_bytes > 0)
		fwrite(key, 1, key_size_bytes, out);
	putc_unlocked('\t', out);
	if (escaped)
		write_escaped(out, value, value_size_bytes);
	else if (value_size_bytes > 0)
		fwrite(value, 1, value_size_bytes, out);
	putc_unlocked('\n', out);
}
