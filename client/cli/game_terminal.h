/* Why this file exists: the terminal is taken over for a board and given back as it was, whichever way the program
 * leaves: end, error, exit(), Ctrl-C, SIGTERM.
 *
 * Invariant: between enter and leave standard input is raw and standard output shows the other screen; leave may be
 * called from any thread and any number of times, and the first one does it. */
#ifndef FTSI_GAME_TERMINAL_H
#define FTSI_GAME_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard input and output are a terminal that can be drawn on. */
bool ftsi_terminal_is_there(void);

/* False: the terminal refuses (errno). */
bool ftsi_terminal_enter(void);
void ftsi_terminal_leave(void);

/* Give the terminal back, stop as Ctrl-Z does, and take it again once continued. */
void ftsi_terminal_suspend(void);

/* Columns and rows as of now; 80 by 24 when it does not say. */
void ftsi_terminal_size(unsigned *out_columns, unsigned *out_rows);

/* All of bytes (borrowed) to the terminal. False: it is gone. */
bool ftsi_terminal_write(const char *bytes, size_t size_bytes);

#endif
