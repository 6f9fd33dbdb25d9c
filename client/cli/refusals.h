/* Why this file exists: rows that were refused are told in one way, whoever refused them: a line on standard error
 * (bounded when there is a file), and a row line,reason,row of the errors file. */
#ifndef FTSI_REFUSALS_H
#define FTSI_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FTSI_REFUSALS_SHOWN_MAX 20u /* on standard error, when a file has them all */

struct ftsi_refusals {
	FILE *file; /* owned; NULL: none was asked for */
	uint64_t count;
};

/* path: borrowed; NULL: no file. input_fd: what the rows are read from (borrowed), which must be another file.
 * False: it can't be written (errno; EEXIST: it is the input). */
bool ftsi_refusals_open(struct ftsi_refusals *refusals, const char *path, int input_fd);

/* One row. raw: its text as in the file, size_bytes of it; borrowed, as reason. */
void ftsi_refusals_add(struct ftsi_refusals *refusals, uint64_t line, const char *reason, const char *raw,
		       size_t size_bytes);

/* Tell what was not shown, close the file. False: it could not be written (errno). */
bool ftsi_refusals_close(struct ftsi_refusals *refusals);

/* One field of CSV, quoted when it must be. out: borrowed. */
void ftsi_csv_write_field(FILE *out, const char *text, size_t size_bytes);

#endif
