/* Why this file exists: the line that is being typed while the board around it is redrawn: keys in, a line out.
 * Pure; the terminal is somebody else's. */
#ifndef FTSI_GAME_INPUT_H
#define FTSI_GAME_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#define FTSI_INPUT_BYTES 128u

enum ftsi_key {
	FTSI_KEY_NONE,    /* the line may have changed */
	FTSI_KEY_ENTER,   /* the line is complete: take it with ftsi_input_take */
	FTSI_KEY_TAB,     /* wants it completed */
	FTSI_KEY_LEAVE,   /* Ctrl-C, or Ctrl-D on an empty line */
	FTSI_KEY_SUSPEND, /* Ctrl-Z */
	FTSI_KEY_REDRAW,  /* Ctrl-L */
};

struct ftsi_input {
	char line[FTSI_INPUT_BYTES]; /* printable ASCII, 0-terminated */
	size_t length;
	size_t cursor;                 /* 0 .. length */
	char former[FTSI_INPUT_BYTES]; /* the last line taken, for the up arrow */
	int escape;                    /* how much of an escape sequence has come */
};

/* One byte from the terminal. */
enum ftsi_key ftsi_input_key(struct ftsi_input *input, unsigned char byte);

/* The line without spaces around it into out_line (FTSI_INPUT_BYTES); the input is empty then. */
void ftsi_input_take(struct ftsi_input *input, char *out_line);

/* Put text (borrowed) in place of the line, the cursor behind it. */
void ftsi_input_set(struct ftsi_input *input, const char *text);

#endif
