/* Why this file exists: names and labels come from anybody and are shown to everybody: they must be text, short, and
 * nothing that moves a terminal's cursor. */
#include "game/match.h"

#include <string.h>

/* Bytes of the sequence that starts at text (a 0 ends it), its character in *out; 0: not well-formed. */
static size_t decode(const unsigned char *text, uint32_t *out)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size_bytes = text[0] < 0x80 ? 1 : text[0] < 0xC2 ? 0 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : 4;
	uint32_t character = size_bytes == 1 ? text[0] : text[0] & (0x7Fu >> size_bytes);
	if (size_bytes == 0 || text[0] > 0xF4) return 0;
	for (size_t i = 1; i < size_bytes; i++) {
		if ((text[i] & 0xC0) != 0x80) return 0;
		character = character << 6 | (text[i] & 0x3Fu);
	}
	if (character < smallest[size_bytes] || character > 0x10FFFF || (character >= 0xD800 && character < 0xE000))
		return 0;
	*out = character;
	return size_bytes;
}

static bool is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7F && character < 0xA0) || character == 0x2028 ||
	       character == 0x2029 || (character >= 0x202A && character <= 0x202E) || /* direction overrides */
	       (character >= 0x2066 && character <= 0x2069);
}

bool ftsi_match_text_valid(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	if (strlen(text) > FTSI_MATCH_TEXT_BYTES_MAX) return false;
	while (*at != 0) {
		uint32_t character = 0;
		size_t size_bytes = decode(at, &character);
		if (size_bytes == 0 || is_control(character)) return false;
		at += size_bytes;
	}
	return true;
}
