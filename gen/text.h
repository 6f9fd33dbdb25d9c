/* Why this file exists: the text of a generated file while it grows: formatted lines, C comments and C string
 * literals, wrapped at 120 columns, whatever the .proto's comments hold. */
#ifndef FTS_GEN_TEXT_H
#define FTS_GEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "gen/arena.h"

#define FTSI_COLUMNS ((size_t)120)
#define FTSI_TAB_COLUMNS ((size_t)8)

struct ftsi_text {
	struct ftsi_arena *arena; /* borrowed until the text is no longer used; holds data */
	char *data;               /* NULL while empty; size_bytes bytes and a zero byte */
	size_t size_bytes;
	size_t capacity_bytes;
};

/* An empty text. arena: borrowed until the text is no longer used. */
struct ftsi_text ftsi_text_init(struct ftsi_arena *arena);

/* Append a formatted piece. */
void ftsi_text_add(struct ftsi_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append a C comment: body's lines (borrowed), wrapped, behind `indent` tabs, and a line end.
 * Nothing in body can end the comment early or raise a warning. An empty body: nothing is written. */
void ftsi_text_add_comment(struct ftsi_text *text, unsigned indent, const char *body);

/* Append value (borrowed) as C string literals, split at words so that no line passes 120 columns; the first starts
 * where the text stands, which must be `column` columns into its line; later ones behind `indent` tabs.
 * More than 4,000 bytes are cut with " [...]": ISO C promises no longer literals. */
void ftsi_text_add_literal(struct ftsi_text *text, unsigned indent, size_t column, const char *value);

/* Append `head` + items joined by ", " + `tail` and a line end: on one line if it fits, else the items go, filled,
 * onto lines of their own, one tab deeper than `indent`. All strings are borrowed. */
void ftsi_text_add_list(struct ftsi_text *text, unsigned indent, const char *head, const char *const *items,
			size_t item_count, const char *tail);

#endif
