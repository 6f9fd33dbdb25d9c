/* Why this file exists: see text.h. Comments in a .proto are anyone's text; what is made of them must compile under
 * any warning: no comment ends early, no trigraph, no stray control character, no right-to-left override. */
#include "gen/text.h"

#include <stdio.h>
#include <string.h>

#define LITERAL_MAX_BYTES 4000

struct ftsi_text ftsi_text_init(struct ftsi_arena *arena)
{
	return (struct ftsi_text){.arena = arena};
}

static void append(struct ftsi_text *text, const char *data, size_t size_bytes)
{
	size_t needed = text->size_bytes + size_bytes + 1;

	if (needed > text->capacity_bytes) {
		size_t capacity_bytes = needed < 1024 ? 1024 : needed * 2;
		char *grown = ftsi_arena_alloc(text->arena, capacity_bytes, 1);

		if (text->size_bytes > 0) memcpy(grown, text->data, text->size_bytes);
		text->data = grown;
		text->capacity_bytes = capacity_bytes;
	}
	memcpy(text->data + text->size_bytes, data, size_bytes);
	text->size_bytes += size_bytes;
	text->data[text->size_bytes] = '\0';
}

static void append_string(struct ftsi_text *text, const char *string)
{
	append(text, string, strlen(string));
}

static void append_tabs(struct ftsi_text *text, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		append(text, "\t", 1);
}

void ftsi_text_add(struct ftsi_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_string(text, ftsi_arena_vformat(text->arena, format, args));
	va_end(args);
}

/* ---- UTF-8 ---- */

/* Length in bytes of the character at s, 1 to 4; 0: not UTF-8. The zero byte at the end bounds every look ahead. */
static size_t character_size_bytes(const unsigned char *s)
{
	size_t size_bytes = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;

	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4) return 0;
	for (size_t i = 1; i < size_bytes; i++)
		if ((s[i] & 0xc0) != 0x80) return 0;
	return size_bytes;
}

/* May a character stand in a comment as it is? Controls and the marks that turn the direction of text may not:
 * they can make code look like what it is not, and compilers warn of them. */
static bool is_plain(const unsigned char *s, size_t size_bytes)
{
	if (size_bytes == 1) return s[0] >= 0x20 && s[0] != 0x7f;
	if (size_bytes == 2) return s[0] != 0xc2 || s[1] >= 0xa0;
	if (size_bytes == 3 && s[0] == 0xe2)
		return !(s[1] == 0x80 && ((s[2] >= 0x8e && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae))) &&
		       !(s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
	return size_bytes != 0;
}

/* ---- Comments ---- */

/* A copy of line that may stand within a comment. */
static char *comment_safe(struct ftsi_arena *arena, const char *line, size_t size_bytes)
{
	const unsigned char *s = (const unsigned char *)ftsi_arena_copy(arena, line, size_bytes);
	char *safe = ftsi_arena_alloc(arena, 2 * size_bytes + 1, 1);
	size_t out = 0;

	while (*s != '\0') {
		size_t n = character_size_bytes(s);

		if (!is_plain(s, n)) {
			safe[out++] = *s == '\t' ? ' ' : '?';
			s += n == 0 ? 1 : n;
			continue;
		}
		if (out > 0 && ((safe[out - 1] == '*' && *s == '/') || (safe[out - 1] == '/' && *s == '*')))
			safe[out++] = ' ';
		memcpy(safe + out, s, n);
		out += n;
		s += n;
	}
	while (out > 0 && (safe[out - 1] == ' ' || safe[out - 1] == '\\'))
		out--;
	safe[out] = '\0';
	return safe;
}

/* How many bytes of s go on a line of `columns`: all, or up to the last space that fits, or the first one after. */
static size_t fitting(const char *s, size_t columns)
{
	size_t length = strlen(s);
	size_t space = 0;

	if (length <= columns) return length;
	for (size_t i = 1; i < length && (i <= columns || space == 0); i++)
		if (s[i] == ' ') space = i;
	return space == 0 ? length : space;
}

static void add_comment_line(struct ftsi_text *text, unsigned indent, const char *line, bool *first)
{
	size_t columns = FTSI_COLUMNS - indent * FTSI_TAB_COLUMNS - strlen(" *  */");

	do {
		size_t n = fitting(line, columns);

		if (!*first) append(text, "\n", 1);
		append_tabs(text, indent);
		append_string(text, *first ? "/*" : " *");
		if (n > 0) append(text, " ", 1);
		append(text, line, n);
		*first = false;
		line += n;
		line += strspn(line, " ");
	} while (*line != '\0');
}

void ftsi_text_add_comment(struct ftsi_text *text, unsigned indent, const char *body)
{
	bool first = true;

	if (*body == '\0') return;
	while (*body != '\0') {
		size_t n = strcspn(body, "\n");

		add_comment_line(text, indent, comment_safe(text->arena, body, n), &first);
		body += n;
		if (*body == '\n') body++;
	}
	append_string(text, " */\n");
}

/* ---- String literals ---- */

/* Write the byte at s as it must stand in a literal (out: at least 5 bytes). Return its length. */
static size_t escape(const char *s, char *out, size_t out_size_bytes)
{
	unsigned char c = (unsigned char)*s;
	const char *plain = "\n\t\"\\", *escaped = "nt\"\\", *found = strchr(plain, c);
	int n;

	if (found != NULL)
		n = snprintf(out, out_size_bytes, "\\%c", escaped[found - plain]);
	else if (c == '?')
		n = snprintf(out, out_size_bytes, s[1] == '?' ? "?\\" : "?");
	else
		n = snprintf(out, out_size_bytes, c < 0x20 || c >= 0x7f ? "\\%03o" : "%c", c);
	return (size_t)n;
}

/* The value, cut to what a literal may hold, at the end of a character. */
static const char *cut(struct ftsi_arena *arena, const char *value)
{
	size_t size_bytes = strlen(value);

	if (size_bytes <= LITERAL_MAX_BYTES) return value;
	size_bytes = LITERAL_MAX_BYTES;
	while (size_bytes > 0 && ((unsigned char)value[size_bytes] & 0xc0) == 0x80)
		size_bytes--;
	return ftsi_arena_format(arena, "%.*s [...]", (int)size_bytes, value);
}

void ftsi_text_add_literal(struct ftsi_text *text, unsigned indent, size_t column, const char *value)
{
	const size_t last_column = FTSI_COLUMNS - 4; /* room for the closing quote and what follows it */
	char piece[8];

	value = cut(text->arena, value);
	append(text, "\"", 1);
	column++;
	for (const char *s = value; *s != '\0'; s++) {
		size_t n = escape(s, piece, sizeof(piece));
		size_t word = strcspn(s, " \n");

		/* A new word that would not fit, or a word longer than a line: close this literal, open another. */
		bool starts = s > value && (s[-1] == ' ' || s[-1] == '\n');
		if ((starts && column + word > last_column) || column + n > last_column) {
			append_string(text, "\"\n");
			append_tabs(text, indent);
			append(text, "\"", 1);
			column = indent * FTSI_TAB_COLUMNS + 1;
		}
		append(text, piece, n);
		column += n;
	}
	append(text, "\"", 1);
}

/* ---- Lists of parameters or members ---- */

void ftsi_text_add_list(struct ftsi_text *text, unsigned indent, const char *head, const char *const *items,
			size_t item_count, const char *tail)
{
	size_t columns = indent * FTSI_TAB_COLUMNS + strlen(head) + strlen(tail);

	for (size_t i = 0; i < item_count; i++)
		columns += strlen(items[i]) + (i > 0 ? 2 : 0);
	append_tabs(text, indent);
	append_string(text, head);
	bool wrap = columns > FTSI_COLUMNS;
	columns = FTSI_COLUMNS; /* so that a wrapped list's first item starts a line */
	for (size_t i = 0; i < item_count; i++) {
		size_t n = strlen(items[i]) + (i + 1 < item_count ? 1 : strlen(tail));

		if (wrap && columns + 1 + n > FTSI_COLUMNS) {
			append(text, "\n", 1);
			append_tabs(text, indent + 1);
			columns = (indent + 1) * FTSI_TAB_COLUMNS + n;
		} else {
			append_string(text, i > 0 ? " " : "");
			columns += 1 + n;
		}
		append_string(text, items[i]);
		append_string(text, i + 1 < item_count ? "," : "");
	}
	append_string(text, tail);
	append(text, "\n", 1);
}
