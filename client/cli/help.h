/* Why this file exists: --help is printed from the table alone, by one printer, so that it can't be wrong. */
#ifndef FTSI_HELP_H
#define FTSI_HELP_H

#include <stdio.h>

#include "client/cli/args.h"

/* All commands of table (borrowed), or those of group ("lottery"; NULL: all), to out (borrowed). */
void ftsi_help_overview(FILE *out, const struct ftsi_table *table, const char *group);

/* Purpose, usage, flags with defaults, and the example of one command. */
void ftsi_help_command(FILE *out, const struct ftsi_table *table, const struct ftsi_command *command);

#endif
