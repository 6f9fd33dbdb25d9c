/* Why this file exists: programs that need a terminal get one: a tmux server of the test's own, whose screens are read
 * and waited for, and whose keys are typed. It runs as a child of the test program, so that it ends with it, and the
 * programs in it end with the server. */
#ifndef FTS_TESTS_TMUX_TMUX_H
#define FTS_TESTS_TMUX_TMUX_H

#include "tests/harness/process.h"

#define TMUX_WAIT_MS 20000u

struct tmux {
	struct harness_process server;
	char root[HARNESS_PATH_MAX];
	char socket[HARNESS_PATH_MAX + 16];
};

void tmux_start(struct tmux *tmux);
void tmux_stop(struct tmux *tmux);

/* Run command (for a shell) in a new screen called name, so large. What it leaves stays to be read. */
void tmux_open(struct tmux *tmux, const char *name, unsigned columns, unsigned rows, const char *command);
void tmux_resize(struct tmux *tmux, const char *name, unsigned columns, unsigned rows);
/* Type text as it is; tmux_key: a key by its name, as "Enter", "C-c". */
void tmux_type(struct tmux *tmux, const char *name, const char *text);
void tmux_key(struct tmux *tmux, const char *name, const char *key);
/* text and Enter. */
void tmux_enter(struct tmux *tmux, const char *name, const char *text);

/* What stands on the screen; with escapes: colours too. Returned (free()). */
char *tmux_screen(struct tmux *tmux, const char *name, bool with_escapes);
/* Wait until text stands there, or no longer does; fails the test with the screen after TMUX_WAIT_MS. */
void tmux_await(struct tmux *tmux, const char *name, const char *text);
void tmux_await_gone(struct tmux *tmux, const char *name, const char *text);
/* End the program with its screen. */
void tmux_close(struct tmux *tmux, const char *name);

#endif
