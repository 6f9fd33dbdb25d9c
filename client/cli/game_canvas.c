/* Why this file exists: see game_canvas.h. Escape sequences: ECMA-48 (CUP, EL, ED, SGR). */
#include "client/cli/game_canvas.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SPARE_BYTES 64u /* kept for the sequences that end what was begun */

static const char *const colours[FTSI_STYLE_COUNT] = {
    [FTSI_PLAIN] = "",    [FTSI_BOLD] = "1",   [FTSI_DIM] = "2",      [FTSI_GOOD] = "1;32",
    [FTSI_WARN] = "1;33", [FTSI_BAD] = "1;31", [FTSI_FIRST] = "1;36", [FTSI_SECOND] = "1;33",
};
static const char *const weights[FTSI_STYLE_COUNT] = {
    [FTSI_PLAIN] = "", [FTSI_BOLD] = "1", [FTSI_DIM] = "",   [FTSI_GOOD] = "1",
    [FTSI_WARN] = "1", [FTSI_BAD] = "1",  [FTSI_FIRST] = "", [FTSI_SECOND] = "",
};

/* ---- Characters ---- */

/* The character at *at, moved behind it. Source: RFC 3629. */
static uint32_t next_character(const char **at)
{
	const unsigned char *p = (const unsigned char *)*at;
	uint32_t character = *p < 0x80 ? *p : (*p < 0xe0 ? *p & 0x1fu : (*p < 0xf0 ? *p & 0x0fu : *p & 0x07u));

	for (p++; (*p & 0xc0) == 0x80; p++)
		character = character << 6 | (*p & 0x3fu);
	*at = (const char *)p;
	return character;
}

/* Columns of a character: none for combining marks, two for what East Asian Width (UAX 11) calls wide. */
static unsigned columns_of(uint32_t character)
{
	static const struct {
		uint32_t first, last;
	} wide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},  {0xfe30, 0xfe6f},
		    {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};

	if ((character >= 0x300 && character <= 0x36f) || (character >= 0x200b && character <= 0x200f)) return 0;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (character >= wide[i].first && character <= wide[i].last) return 2;
	return 1;
}

unsigned ftsi_text_columns(const char *text)
{
	unsigned columns = 0;

	while (*text && *text != '\n')
		columns += columns_of(next_character(&text));
	return columns;
}

/* ---- Bytes ---- */

static bool has_room(const struct ftsi_canvas *canvas, size_t bytes)
{
	return canvas->used + bytes + SPARE_BYTES < sizeof(canvas->bytes);
}

static void add(struct ftsi_canvas *canvas, const char *bytes, size_t count)
{
	if (canvas->used + count > sizeof(canvas->bytes)) return;
	memcpy(canvas->bytes + canvas->used, bytes, count);
	canvas->used += count;
}

static void add_sequence(struct ftsi_canvas *canvas, const char *format, ...) FTS_PRINTF(2, 3);
static void add_sequence(struct ftsi_canvas *canvas, const char *format, ...)
{
	char text[SPARE_BYTES / 2];
	va_list list;

	va_start(list, format);
	int length = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (length > 0 && (size_t)length < sizeof(text)) add(canvas, text, (size_t)length);
}

/* True: it has to be ended. */
static bool begin_style(struct ftsi_canvas *canvas, enum ftsi_style style, bool is_marked)
{
	const char *code = canvas->has_colour ? colours[style] : weights[style];

	if (!code[0] && !is_marked) return false;
	add_sequence(canvas, "\033[%s%s%sm", code, code[0] && is_marked ? ";" : "", is_marked ? "7" : "");
	return true;
}

static bool is_below(const struct ftsi_canvas *canvas)
{
	return canvas->row >= canvas->rows;
}

/* As much of text as fits; returns the bytes taken. count: at most so many characters. */
static size_t put(struct ftsi_canvas *canvas, enum ftsi_style style, const char *text, size_t count, bool is_marked)
{
	const char *at = text, *end = text;

	if (is_below(canvas)) return 0;
	while (*at && count-- > 0) {
		unsigned columns = columns_of(next_character(&at));
		if (canvas->column + columns > canvas->columns || !has_room(canvas, (size_t)(at - text))) break;
		canvas->column += columns;
		end = at;
	}
	if (end == text) return 0;
	bool is_styled = begin_style(canvas, style, is_marked);
	add(canvas, text, (size_t)(end - text));
	if (is_styled) add_sequence(canvas, "\033[0m");
	return (size_t)(end - text);
}

void ftsi_canvas_begin(struct ftsi_canvas *canvas, unsigned columns, unsigned rows, bool has_colour)
{
	canvas->used = 0;
	canvas->columns = columns;
	canvas->rows = rows;
	canvas->column = canvas->row = 0;
	canvas->has_colour = has_colour;
	add_sequence(canvas, "\033[?25l\033[H");
}

void ftsi_canvas_put(struct ftsi_canvas *canvas, enum ftsi_style style, const char *text)
{
	(void)put(canvas, style, text, SIZE_MAX, false);
}

void ftsi_canvas_print(struct ftsi_canvas *canvas, enum ftsi_style style, const char *format, ...)
{
	char text[2048];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	ftsi_canvas_put(canvas, style, text);
}

size_t ftsi_canvas_put_character(struct ftsi_canvas *canvas, enum ftsi_style style, const char *text, bool is_marked)
{
	const char *behind = text;

	if (!*text) return 0;
	(void)next_character(&behind);
	(void)put(canvas, style, text, 1, is_marked);
	return (size_t)(behind - text);
}

void ftsi_canvas_pad(struct ftsi_canvas *canvas, unsigned column)
{
	while (canvas->column < column && put(canvas, FTSI_PLAIN, " ", 1, false) > 0)
		;
}

void ftsi_canvas_end_line(struct ftsi_canvas *canvas)
{
	if (is_below(canvas)) return;
	if (has_room(canvas, 0)) add_sequence(canvas, "\033[K");
	canvas->row++;
	canvas->column = 0;
	if (!is_below(canvas) && has_room(canvas, 0)) add_sequence(canvas, "\033[%u;1H", canvas->row + 1);
}

void ftsi_canvas_go_down(struct ftsi_canvas *canvas, unsigned row)
{
	while (canvas->row < row && !is_below(canvas))
		ftsi_canvas_end_line(canvas);
}

void ftsi_canvas_end(struct ftsi_canvas *canvas, unsigned column, unsigned row)
{
	if (!is_below(canvas)) add_sequence(canvas, "\033[J");
	add_sequence(canvas, "\033[%u;%uH\033[?25h", row + 1, column + 1);
}
