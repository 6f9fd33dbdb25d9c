/* Why this file exists: the CSV reader of `lottery import`.
 *
 * A window slides over the file. A row is read from its first byte each time; when the window ends in the middle
 * of one, the caller is asked for more and the row is begun again. Every decision is made from the row's bytes
 * alone, with one byte of look-ahead that is waited for, so the cut of the input can't matter. */
#include "client/cli/csv.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/utf8.h"

struct ftsi_csv {
	size_t begin; /* of the bytes not yet handed out */
	size_t end;
	uint64_t line; /* of begin */
	bool ended;
	bool started;  /* past the place of a BOM */
	bool skipping; /* behind an overlong line: up to its end */
	char text[FTSI_CSV_ROW_MAX + FTSI_CSV_FIELDS_MAX + 1];
	char window[FTSI_CSV_WINDOW];
};

/* One attempt at one row. */
struct scan {
	const char *at;
	size_t size_bytes; /* of what may be looked at */
	size_t place;
	char *out; /* in csv->text */
	bool short_of_bytes;
	const char *reason;
	uint64_t lines; /* line ends within quotes */
};

static const char too_long[] = "the row is longer than 16384 bytes";

struct ftsi_csv *ftsi_csv_create(void)
{
	struct ftsi_csv *csv = calloc(1, sizeof(*csv));
	if (csv) csv->line = 1;
	return csv;
}

void ftsi_csv_destroy(struct ftsi_csv *csv)
{
	free(csv);
}

char *ftsi_csv_space(struct ftsi_csv *csv, size_t *out_size_bytes)
{
	if (csv->begin > 0) {
		memmove(csv->window, csv->window + csv->begin, csv->end - csv->begin);
		csv->end -= csv->begin;
		csv->begin = 0;
	}
	*out_size_bytes = sizeof(csv->window) - csv->end;
	return csv->window + csv->end;
}

void ftsi_csv_filled(struct ftsi_csv *csv, size_t size_bytes)
{
	csv->end += size_bytes;
}

void ftsi_csv_end(struct ftsi_csv *csv)
{
	csv->ended = true;
}

static bool ahead(struct scan *scan, bool ended)
{
	if (scan->place < scan->size_bytes) return true;
	if (scan->size_bytes >= FTSI_CSV_ROW_MAX)
		scan->reason = too_long;
	else if (!ended)
		scan->short_of_bytes = true;
	return false;
}

/* At a CR: true when the LF behind it is there, otherwise why not is noted. */
static bool carriage_return_ends(struct scan *scan, bool ended)
{
	scan->place++;
	if (!ahead(scan, ended)) {
		if (!scan->short_of_bytes && !scan->reason)
			scan->reason = "a carriage return without a line feed behind it";
		return false;
	}
	if (scan->at[scan->place] == '\n') return true;
	scan->reason = "a carriage return without a line feed behind it";
	return false;
}

/* Behind a field. True: another field follows. */
static bool field_ends(struct scan *scan, bool ended)
{
	if (!ahead(scan, ended)) return false;
	switch (scan->at[scan->place]) {
	case ',':
		scan->place++;
		return true;
	case '\r':
		if (carriage_return_ends(scan, ended)) scan->place++;
		return false;
	case '\n':
		scan->place++;
		return false;
	default:
		scan->reason = "text behind a closing quote";
		return false;
	}
}

static void read_quoted(struct scan *scan, bool ended)
{
	for (scan->place++; ahead(scan, ended); scan->place++) {
		char c = scan->at[scan->place];
		if (c == '\n') scan->lines++;
		if (c != '"') {
			*scan->out++ = c;
			continue;
		}
		scan->place++;
		if (!ahead(scan, ended) || scan->at[scan->place] != '"') return;
		*scan->out++ = '"';
	}
	if (!scan->short_of_bytes) scan->reason = "a quote is opened and never closed";
}

static void read_plain(struct scan *scan, bool ended)
{
	for (; ahead(scan, ended); scan->place++) {
		char c = scan->at[scan->place];
		if (c == ',' || c == '\n' || c == '\r') return;
		if (c == '"') {
			scan->reason = "a quote inside a field that does not begin with one";
			return;
		}
		*scan->out++ = c;
	}
}

/* Reads one row into row and csv->text. False: scan says why. */
static bool read_row(struct ftsi_csv *csv, struct scan *scan, struct ftsi_csv_row *row)
{
	bool more = true;
	row->field_count = 0;
	while (more) {
		char *begin = scan->out;
		bool quoted = ahead(scan, csv->ended) && scan->at[scan->place] == '"';
		if (quoted)
			read_quoted(scan, csv->ended);
		else if (!scan->reason && !scan->short_of_bytes)
			read_plain(scan, csv->ended);
		if (scan->reason || scan->short_of_bytes) return false;
		if (row->field_count < FTSI_CSV_FIELDS_MAX) {
			row->fields[row->field_count] = begin;
			*scan->out++ = '\0';
		} else {
			scan->out = begin;
		}
		row->field_count++;
		more = field_ends(scan, csv->ended);
	}
	return !scan->reason && !scan->short_of_bytes;
}

/* size_bytes from the window, without a line end at its end. */
static void set_raw(struct ftsi_csv *csv, struct ftsi_csv_row *row, size_t size_bytes)
{
	row->raw = csv->window + csv->begin;
	if (size_bytes > 0 && row->raw[size_bytes - 1] == '\n') size_bytes--;
	if (size_bytes > 0 && row->raw[size_bytes - 1] == '\r') size_bytes--;
	row->raw_size_bytes = size_bytes;
}

static void consume(struct ftsi_csv *csv, size_t size_bytes, uint64_t lines)
{
	csv->begin += size_bytes;
	csv->line += lines;
}

/* The row can't be read: hand out its first line, go on behind it. */
static enum ftsi_csv_event refuse(struct ftsi_csv *csv, const struct scan *scan, struct ftsi_csv_row *row)
{
	size_t available = csv->end - csv->begin;
	size_t limit = available < FTSI_CSV_ROW_MAX ? available : FTSI_CSV_ROW_MAX;
	const char *at = csv->window + csv->begin;
	const char *line_end = memchr(at, '\n', limit);
	size_t size_bytes = line_end ? (size_t)(line_end - at) + 1 : limit;

	row->field_count = 0;
	row->reason = scan->reason;
	set_raw(csv, row, size_bytes);
	csv->skipping = !line_end;
	consume(csv, size_bytes, line_end ? 1 : 0);
	return FTSI_CSV_FAULT;
}

/* A fault before the end of its line is told only once that line (or the limit) is in the window. */
static bool line_is_here(const struct ftsi_csv *csv)
{
	size_t available = csv->end - csv->begin;
	size_t limit = available < FTSI_CSV_ROW_MAX ? available : FTSI_CSV_ROW_MAX;
	return csv->ended || available >= FTSI_CSV_ROW_MAX || memchr(csv->window + csv->begin, '\n', limit);
}

static enum ftsi_csv_event accept(struct ftsi_csv *csv, const struct scan *scan, struct ftsi_csv_row *row)
{
	row->reason = NULL;
	set_raw(csv, row, scan->place);
	if (memchr(row->raw, '\0', row->raw_size_bytes))
		row->reason = "a 0 byte";
	else if (!ftsi_utf8_valid(row->raw, row->raw_size_bytes))
		row->reason = "not UTF-8";
	consume(csv, scan->place, scan->lines + (scan->at[scan->place - 1] == '\n' ? 1 : 0));
	return row->reason ? FTSI_CSV_FAULT : FTSI_CSV_ROW;
}

/* True: more bytes are needed to know whether the file begins with a BOM. */
static bool skip_bom(struct ftsi_csv *csv)
{
	static const char bom[] = "\xef\xbb\xbf";
	size_t available = csv->end - csv->begin;
	size_t compared = available < 3 ? available : 3;
	bool same = memcmp(csv->window + csv->begin, bom, compared) == 0;

	if (same && compared < 3 && !csv->ended) return true;
	if (same && compared == 3) csv->begin += 3;
	csv->started = true;
	return false;
}

/* True: the end of an overlong line has not been seen yet. */
static bool skip_line(struct ftsi_csv *csv)
{
	const char *at = csv->window + csv->begin;
	const char *line_end = memchr(at, '\n', csv->end - csv->begin);

	if (!line_end) {
		csv->begin = csv->end;
		return true;
	}
	consume(csv, (size_t)(line_end - at) + 1, 1);
	csv->skipping = false;
	return false;
}

/* Steps over line ends that stand alone. True: more bytes are needed to know. */
static bool skip_empty(struct ftsi_csv *csv)
{
	while (csv->begin < csv->end) {
		const char *at = csv->window + csv->begin;
		size_t available = csv->end - csv->begin;
		if (at[0] == '\r' && available == 1 && !csv->ended) return true;
		if (at[0] == '\n')
			consume(csv, 1, 1);
		else if (at[0] == '\r' && available > 1 && at[1] == '\n')
			consume(csv, 2, 1);
		else
			return false;
	}
	return false;
}

enum ftsi_csv_event ftsi_csv_next(struct ftsi_csv *csv, struct ftsi_csv_row *out_row)
{
	enum ftsi_csv_event short_event = csv->ended ? FTSI_CSV_END : FTSI_CSV_MORE;

	if (!csv->started && skip_bom(csv)) return FTSI_CSV_MORE;
	if (csv->skipping && skip_line(csv)) return short_event;
	if (skip_empty(csv) || csv->begin == csv->end) return short_event;

	size_t available = csv->end - csv->begin;
	struct scan scan = {.at = csv->window + csv->begin,
			    .size_bytes = available < FTSI_CSV_ROW_MAX ? available : FTSI_CSV_ROW_MAX,
			    .out = csv->text};
	struct ftsi_csv_row row = {.line = csv->line};
	enum ftsi_csv_event event;
	if (read_row(csv, &scan, &row))
		event = accept(csv, &scan, &row);
	else if (scan.short_of_bytes || !line_is_here(csv))
		return FTSI_CSV_MORE;
	else
		event = refuse(csv, &scan, &row);
	*out_row = row;
	return event;
}
