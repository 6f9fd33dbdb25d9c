/* Why this file exists: a reader of RFC 4180 CSV that never holds more than one window of the file, and that
 * loses one line, not the file, when a line can't be read.
 *
 *   while (!done) switch (ftsi_csv_next(csv, &row)) {
 *   case FTSI_CSV_ROW:   row.fields[0 .. row.field_count)
 *   case FTSI_CSV_FAULT: row.reason, row.raw; reading goes on behind that line
 *   case FTSI_CSV_MORE:  fill ftsi_csv_space(), then ftsi_csv_filled() or ftsi_csv_end()
 *   case FTSI_CSV_END:
 *   }
 *
 * Invariants: what comes out does not depend on how the bytes were cut when they were fed. Memory is constant.
 * A row is at most FTSI_CSV_ROW_MAX bytes. After a fault reading goes on behind the end of the line (a quote that
 * was never closed costs its own line only). Lines end with LF or CRLF; an empty line is no row; a BOM is skipped.
 * Rows are UTF-8 without 0 bytes, or they are faults. */
#ifndef FTSI_CSV_H
#define FTSI_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTSI_CSV_ROW_MAX (16u * 1024)
#define FTSI_CSV_WINDOW (128u * 1024)
#define FTSI_CSV_FIELDS_MAX 16u

enum ftsi_csv_event { FTSI_CSV_ROW, FTSI_CSV_FAULT, FTSI_CSV_MORE, FTSI_CSV_END };

/* Everything in it is borrowed until the next call on the reader. */
struct ftsi_csv_row {
	uint64_t line;                           /* of the file, where it begins, from 1 */
	const char *fields[FTSI_CSV_FIELDS_MAX]; /* unquoted, 0 behind each */
	size_t field_count; /* as in the file; above FTSI_CSV_FIELDS_MAX the rest is counted only */
	const char *reason; /* FTSI_CSV_FAULT: why it can't be read; NULL otherwise */
	const char *raw;    /* the row's bytes as in the file, without its line end */
	size_t raw_size_bytes;
};

struct ftsi_csv;

/* A reader at the start of a file. Returned (ftsi_csv_destroy); NULL: no memory. Thread: one at a time. */
struct ftsi_csv *ftsi_csv_create(void);
/* csv: owned; NULL: no-op. */
void ftsi_csv_destroy(struct ftsi_csv *csv);

/* Where the next bytes of the file go: borrowed until the next call. out_size_bytes: > 0 after FTSI_CSV_MORE. */
char *ftsi_csv_space(struct ftsi_csv *csv, size_t *out_size_bytes);
/* size_bytes have been put there. */
void ftsi_csv_filled(struct ftsi_csv *csv, size_t size_bytes);
/* The file has no more bytes. */
void ftsi_csv_end(struct ftsi_csv *csv);

/* The next thing in the file. out_row: filled on ROW and FAULT. */
enum ftsi_csv_event ftsi_csv_next(struct ftsi_csv *csv, struct ftsi_csv_row *out_row);

#endif
