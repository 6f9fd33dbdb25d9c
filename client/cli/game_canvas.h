/* Why this file exists: a screenful of text for a terminal, line by line, cut at its width, never wrapped; the bytes
 * are written in one go, so that nothing flickers. Pure.
 *
 * Invariant: what is put takes as many columns as counted here; bytes that do not fit are left out, and what was
 * begun is ended. */
#ifndef FTSI_GAME_CANVAS_H
#define FTSI_GAME_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fts/api.h>

#define FTSI_CANVAS_BYTES 65536u

enum ftsi_style {
	FTSI_PLAIN,
	FTSI_BOLD,
	FTSI_DIM,
	FTSI_GOOD,
	FTSI_WARN,
	FTSI_BAD,
	FTSI_FIRST,  /* pieces of seat 0 */
	FTSI_SECOND, /* of seat 1 */
	FTSI_STYLE_COUNT
};

struct ftsi_canvas {
	char bytes[FTSI_CANVAS_BYTES];
	size_t used;
	unsigned columns, rows; /* of the terminal */
	unsigned column;        /* taken in this line */
	unsigned row;           /* this line, from 0 */
	bool has_colour;        /* else weight and reverse only */
};

void ftsi_canvas_begin(struct ftsi_canvas *canvas, unsigned columns, unsigned rows, bool has_colour);
/* text (borrowed, UTF-8, no control characters) behind what stands in the line. */
void ftsi_canvas_put(struct ftsi_canvas *canvas, enum ftsi_style style, const char *text);
void ftsi_canvas_print(struct ftsi_canvas *canvas, enum ftsi_style style, const char *format, ...) FTS_PRINTF(3, 4);
/* The first character of text, in reverse when it is marked. Returns its bytes. */
size_t ftsi_canvas_put_character(struct ftsi_canvas *canvas, enum ftsi_style style, const char *text, bool is_marked);
/* Spaces up to column. */
void ftsi_canvas_pad(struct ftsi_canvas *canvas, unsigned column);
/* On to the next line; below the last one nothing is drawn any more. */
void ftsi_canvas_end_line(struct ftsi_canvas *canvas);
/* On to line row (from 0), emptying those between. */
void ftsi_canvas_go_down(struct ftsi_canvas *canvas, unsigned row);
/* Empty what is below, and leave the cursor at column of line row. */
void ftsi_canvas_end(struct ftsi_canvas *canvas, unsigned column, unsigned row);

/* Columns that text (borrowed) takes, up to its first line end. */
unsigned ftsi_text_columns(const char *text);

#endif
