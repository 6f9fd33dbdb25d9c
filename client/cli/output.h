/* Why this file exists: what fts-cli says, and how it ends: one printer of errors, one of JSON, one place where a
 * status becomes an exit code. Results go to standard output, everything else to standard error.
 *
 * Thread: the main one, unless told otherwise. */
#ifndef FTSI_OUTPUT_H
#define FTSI_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "client/cli/command.h"

/* The exit code of a command that ended with status. */
enum ftsi_exit ftsi_exit_of(enum fts_status status);

/* Tell error (borrowed): a sentence on standard error, or {"error":{…}} on standard output with --json.
 * Returns its exit code. */
enum ftsi_exit ftsi_fail(const struct ftsi_cli *cli, const struct fts_error *error);

/* The same for a mistake of the user's that only the command could see: exit 2. */
enum ftsi_exit ftsi_fail_usage(const struct ftsi_cli *cli, const char *format, ...) FTS_PRINTF(2, 3);

/* One line of JSON on standard output. json: owned; NULL (no memory) ends the program with a line.
 * False: standard output is closed. */
bool ftsi_print_json(json_t *json);

/* Where JSON objects are built: json_pack() that ends the program when there is no memory or a text is not UTF-8. */
json_t *ftsi_json(const char *format, ...);

/* text (borrowed) as a JSON string: what a user wrote may be no UTF-8; '?' stands for each byte that is none. Returned.
 */
json_t *ftsi_text_json(const char *text);

/* {"code":…,"message":…,"executed":…} of error (borrowed). Returned. */
json_t *ftsi_error_json(const struct fts_error *error);

/* Standard output reaches its reader. False once a write has failed. */
bool ftsi_output_open(void);

/* Flush standard output. Returns code, unless it could not be written: a reader that went away (EPIPE) is no
 * error, a full disk is. */
enum ftsi_exit ftsi_output_finish(enum ftsi_exit code);

/* Whether to draw progress and colours on stream (borrowed): a terminal, not TERM=dumb; colours not with NO_COLOR. */
bool ftsi_is_terminal(FILE *stream);

/* text in a colour when stdout is a terminal; state: 'g' good, 'w' warn, 'b' bad. Prints to standard output,
 * padded to width. */
void ftsi_print_state(char state, int width, const char *text);

/* A line on standard error: "fts-cli: …". Thread: any. */
void ftsi_note(const char *format, ...) FTS_PRINTF(1, 2);

#endif
