/* Why this file exists: the check of UTF-8, by the table of well-formed sequences (Unicode 15, table 3-7). */
#include "client/cli/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What may follow a first byte: how many bytes, and the range of the first of them. */
struct lead {
	uint8_t first, last, following, second_min, second_max;
};

static const struct lead leads[] = {
    {0x00, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

static const struct lead *find_lead(uint8_t byte)
{
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
		if (byte >= leads[i].first && byte <= leads[i].last) return &leads[i];
	return NULL;
}

size_t ftsi_utf8_character(const char *text, size_t size_bytes)
{
	const uint8_t *at = (const uint8_t *)text;
	const struct lead *lead = size_bytes > 0 ? find_lead(at[0]) : NULL;

	if (!lead || size_bytes <= lead->following) return 0;
	if (lead->following > 0 && (at[1] < lead->second_min || at[1] > lead->second_max)) return 0;
	for (size_t k = 2; k <= lead->following; k++)
		if ((at[k] & 0xc0) != 0x80) return 0;
	return lead->following + 1u;
}

bool ftsi_utf8_valid(const char *text, size_t size_bytes)
{
	for (size_t i = 0, step; i < size_bytes; i += step) {
		step = ftsi_utf8_character(text + i, size_bytes - i);
		if (step == 0) return false;
	}
	return true;
}

static bool is_control(const char *at)
{
	unsigned char c = (unsigned char)*at;

	/* C1 controls are U+0080 to U+009F: c2 80 to c2 9f. */
	return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] <= 0x9f);
}

const char *ftsi_utf8_clean(char *buf, size_t size_bytes, const char *text, bool keeps_lines)
{
	size_t used = 0, length = strlen(text);

	if (!ftsi_utf8_valid(text, length)) {
		snprintf(buf, size_bytes, "?");
		return buf;
	}
	while (*text && used + 5 < size_bytes) {
		bool is_line_end = keeps_lines && *text == '\n';
		if (is_control(text) && !is_line_end) {
			text += (unsigned char)*text == 0xc2 ? 2 : 1;
			buf[used++] = '?';
			continue;
		}
		do /* a whole character, so that a cut leaves UTF-8 */
			buf[used++] = *text++;
		while (((unsigned char)*text & 0xc0) == 0x80);
	}
	buf[used] = '\0';
	return buf;
}
