/* Why this file exists: the one parser of the command line, over any table of commands, so that it can be
 * tested with tables of its own.
 *
 * `--name value`, `--name=value`, `-d value`, `--` ends flags; global flags may stand anywhere. For a command that
 * runs another program (its row has `rest`), what stands behind `--` is that program's and is kept untouched; argv
 * has to be NULL-ended for it, as main()'s is. Nothing is printed here. */
#ifndef FTSI_ARGS_H
#define FTSI_ARGS_H

#include "client/cli/command.h"

struct ftsi_table {
	const struct ftsi_command *commands; /* borrowed */
	size_t command_count;
	const struct ftsi_flag *globals; /* borrowed; ended by a NULL name */
};

/* Parse argv (borrowed until out_args is no more used) by table. globals: borrowed likewise, one for each of
 * table->globals; out_args->globals becomes it. now_ms: Unix ms, for times such as +10m.
 * help_asked: index of the global that makes missing arguments no error.
 * Errors: INVALID_ARGUMENT, with a sentence for the user that suggests the nearest name; what was understood
 * until then (globals above all) is in out_args also then. Thread: any. */
FTS_MUST_USE enum fts_status ftsi_args_parse(const struct ftsi_table *table, int argc, char *const *argv,
					     int64_t now_ms, struct ftsi_value *globals, struct ftsi_args *out_args,
					     struct fts_error *out_error);

/* Number of single-character changes from a to b (both borrowed; at most 63 bytes are looked at). */
size_t ftsi_edit_distance(const char *a, const char *b);

#endif
