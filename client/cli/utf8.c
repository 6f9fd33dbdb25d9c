/* Why this file exists: the check of UTF-8, by the table of well-formed sequences (Unicode 15, table 3-7). */
#include "client/cli/utf8.h"

#include <stdint.h>

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

bool ftsi_utf8_valid(const char *text, size_t size_bytes)
{
	const uint8_t *at = (const uint8_t *)text;

	for (size_t i = 0; i < size_bytes;) {
		const struct lead *lead = find_lead(at[i]);
		if (!lead || size_bytes - i <= lead->following) return false;
		if (lead->following > 0 && (at[i + 1] < lead->second_min || at[i + 1] > lead->second_max)) return false;
		for (size_t k = 2; k <= lead->following; k++)
			if ((at[i + k] & 0xc0) != 0x80) return false;
		i += lead->following + 1u;
	}
	return true;
}
