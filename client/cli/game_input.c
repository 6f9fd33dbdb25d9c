/* Why this file exists: see game_input.h. */
#include "client/cli/game_input.h"

#include <stdio.h>
#include <string.h>

enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_SEQUENCE };

#define CONTROL(letter) ((letter)&0x1f)

static void remove_bytes(struct ftsi_input *input, size_t from, size_t to)
{
	memmove(input->line + from, input->line + to, input->length - to + 1);
	input->length -= to - from;
	input->cursor = from;
}

static void insert(struct ftsi_input *input, char byte)
{
	if (input->length + 1 >= sizeof(input->line)) return;
	memmove(input->line + input->cursor + 1, input->line + input->cursor, input->length - input->cursor + 1);
	input->line[input->cursor++] = byte;
	input->length++;
}

static size_t word_begin(const struct ftsi_input *input)
{
	size_t at = input->cursor;

	while (at > 0 && input->line[at - 1] == ' ')
		at--;
	while (at > 0 && input->line[at - 1] != ' ')
		at--;
	return at;
}

/* The last byte of a sequence such as ESC [ A, or ESC [ 3 ~. */
static void end_sequence(struct ftsi_input *input, unsigned char byte)
{
	switch (byte) {
	case 'A':
		if (input->former[0]) ftsi_input_set(input, input->former);
		break;
	case 'B':
		ftsi_input_set(input, "");
		break;
	case 'C':
		if (input->cursor < input->length) input->cursor++;
		break;
	case 'D':
		if (input->cursor > 0) input->cursor--;
		break;
	case 'H':
		input->cursor = 0;
		break;
	case 'F':
		input->cursor = input->length;
		break;
	default: /* keys that mean nothing here */
		break;
	}
}

static void escape(struct ftsi_input *input, unsigned char byte)
{
	if (input->escape == ESCAPE_BEGUN) {
		input->escape = byte == '[' || byte == 'O' ? ESCAPE_SEQUENCE : ESCAPE_NONE;
		return;
	}
	if (byte < 0x40) return; /* parameters */
	input->escape = ESCAPE_NONE;
	end_sequence(input, byte);
}

static enum ftsi_key edit(struct ftsi_input *input, unsigned char byte)
{
	switch (byte) {
	case 0x7f:
	case CONTROL('H'):
		if (input->cursor > 0) remove_bytes(input, input->cursor - 1, input->cursor);
		break;
	case CONTROL('A'):
		input->cursor = 0;
		break;
	case CONTROL('E'):
		input->cursor = input->length;
		break;
	case CONTROL('U'):
		remove_bytes(input, 0, input->cursor);
		break;
	case CONTROL('K'):
		remove_bytes(input, input->cursor, input->length);
		break;
	case CONTROL('W'):
		remove_bytes(input, word_begin(input), input->cursor);
		break;
	case CONTROL('D'):
		if (input->length == 0) return FTSI_KEY_LEAVE;
		if (input->cursor < input->length) remove_bytes(input, input->cursor, input->cursor + 1);
		break;
	default:
		if (byte >= 0x20 && byte < 0x7f) insert(input, (char)byte);
		break;
	}
	return FTSI_KEY_NONE;
}

enum ftsi_key ftsi_input_key(struct ftsi_input *input, unsigned char byte)
{
	if (byte == CONTROL('C')) return FTSI_KEY_LEAVE;
	if (byte == 0x1b) {
		input->escape = ESCAPE_BEGUN;
		return FTSI_KEY_NONE;
	}
	if (input->escape != ESCAPE_NONE) {
		escape(input, byte);
		return FTSI_KEY_NONE;
	}
	switch (byte) {
	case '\r':
	case '\n':
		return FTSI_KEY_ENTER;
	case '\t':
		return FTSI_KEY_TAB;
	case CONTROL('Z'):
		return FTSI_KEY_SUSPEND;
	case CONTROL('L'):
		return FTSI_KEY_REDRAW;
	default:
		return edit(input, byte);
	}
}

void ftsi_input_take(struct ftsi_input *input, char *out_line)
{
	size_t from = strspn(input->line, " "), to = input->length;

	while (to > from && input->line[to - 1] == ' ')
		to--;
	memcpy(out_line, input->line + from, to - from);
	out_line[to - from] = '\0';
	if (to > from) memcpy(input->former, out_line, to - from + 1);
	ftsi_input_set(input, "");
}

void ftsi_input_set(struct ftsi_input *input, const char *text)
{
	snprintf(input->line, sizeof(input->line), "%s", text);
	input->length = input->cursor = strlen(input->line);
}
