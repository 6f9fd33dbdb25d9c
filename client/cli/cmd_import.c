/* Why this file exists: `lottery import`: from a CSV file to the importer of libfts, and the account of it.
 *
 * Rows are numbered by data row (a header and empty lines are none), so the same file gives the same numbers
 * whenever it is started again. What a row can't be sent with (columns, quotes, UTF-8, a number) is refused here,
 * everything else by the server; the account is the same. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fts/lottery.h>

#include "base/clock.h"
#include "client/cli/csv.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/refusals.h"
#include "client/cli/session.h"
#include "client/cli/value.h"

#define COLUMNS 5u
#define WAIT_NOTE_NS 5000000000u

struct import {
	struct ftsi_cli *cli;
	const char *path;
	int fd;
	bool regular; /* a file: reading it never waits */
	uint64_t size_bytes;
	uint64_t taken_bytes; /* of the rows so far */
	uint64_t row_count;   /* data rows so far */
	uint64_t refused_here;
	uint64_t noted_ns; /* when the last note on waiting was written */
	bool first_row_seen;
	struct ftsi_csv *csv;
	struct ftsi_refusals refusals;
	struct ftsi_progress progress;
	struct fts_lottery_importer *importer;
};

/* ---- what the importer tells ---- */

static void print_bet(FILE *out, const Fts__Lottery__V1__Bet *bet)
{
	const char *fields[] = {bet->first_name, bet->last_name, bet->document, bet->birthdate};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		ftsi_csv_write_field(out, fields[i], strlen(fields[i]));
		fputc(',', out);
	}
	fprintf(out, "%" PRIu32, bet->number);
}

static void on_refused(void *ctx, const struct fts_lottery_refusal *refusal)
{
	struct import *import = ctx;
	char *text = NULL;
	size_t size_bytes = 0;
	FILE *out = open_memstream(&text, &size_bytes);

	if (out) {
		print_bet(out, refusal->bet);
		fclose(out);
	}
	ftsi_progress_clear(&import->progress);
	ftsi_refusals_add(&import->refusals, refusal->tag, refusal->reason, text ? text : "", size_bytes);
	free(text);
}

static void on_waiting(void *ctx, const struct fts_error *error, uint64_t waited_ms)
{
	struct import *import = ctx;
	uint64_t now_ns = fts_clock_monotonic_ns();

	if (!error) {
		if (import->noted_ns) {
			ftsi_progress_clear(&import->progress);
			ftsi_note("the import goes on");
		}
		import->noted_ns = 0;
		return;
	}
	if (import->noted_ns && now_ns - import->noted_ns < WAIT_NOTE_NS) return;
	import->noted_ns = now_ns;
	ftsi_progress_clear(&import->progress);
	ftsi_note("%s (%s); trying again, %" PRIu64 " s without progress", error->detail,
		  fts_status_name(error->status), waited_ms / 1000);
}

static void on_interrupt(void *ctx)
{
	fts_lottery_importer_stop(ctx);
}

/* ---- rows ---- */

static bool has_digit(const char *text)
{
	return strpbrk(text, "0123456789") != NULL;
}

/* Names of columns: where documents, dates and numbers stand there is not one digit. */
static bool is_header(const struct ftsi_csv_row *row)
{
	if (row->reason || row->field_count != COLUMNS) return false;
	for (size_t i = 2; i < COLUMNS; i++)
		if (!row->fields[i][0] || has_digit(row->fields[i])) return false;
	return true;
}

static void refuse_here(struct import *import, const struct ftsi_csv_row *row, const char *reason)
{
	import->refused_here++;
	ftsi_progress_clear(&import->progress);
	ftsi_refusals_add(&import->refusals, row->line, reason, row->raw, row->raw_size_bytes);
}

static enum fts_status take_row(struct import *import, const struct ftsi_csv_row *row, struct fts_error *out_error)
{
	struct fts_error why;
	uint64_t number;
	char reason[FTS_DETAIL_MAX + 16];

	if (!import->first_row_seen) {
		import->first_row_seen = true;
		if (is_header(row)) return FTS_OK;
	}
	import->row_count++;
	import->taken_bytes += row->raw_size_bytes + 2;
	if (row->reason) {
		refuse_here(import, row, row->reason);
		return FTS_OK;
	}
	if (row->field_count != COLUMNS) {
		snprintf(reason, sizeof(reason), "%zu columns, not 5 (first,last,document,birthdate,number)",
			 row->field_count);
		refuse_here(import, row, reason);
		return FTS_OK;
	}
	if (ftsi_number_parse(row->fields[4], 0, UINT32_MAX, &number, &why) != FTS_OK) {
		snprintf(reason, sizeof(reason), "number: %s", why.detail);
		refuse_here(import, row, reason);
		return FTS_OK;
	}
	struct fts_lottery_bet bet = {row->fields[0], row->fields[1], row->fields[2], row->fields[3], (uint32_t)number};
	return fts_lottery_importer_add(import->importer, import->row_count, row->line, &bet, out_error);
}

/* ---- the file ---- */

/* A pipe may keep us waiting: until bytes come or somebody interrupts. */
static bool wait_for_input(struct import *import)
{
	struct pollfd wanted = {.fd = import->fd, .events = POLLIN};

	while (!import->regular && !ftsi_interrupted())
		if (poll(&wanted, 1, 200) != 0) break;
	return !ftsi_interrupted();
}

static enum fts_status fill(struct import *import, struct fts_error *out_error)
{
	size_t room;
	char *space = ftsi_csv_space(import->csv, &room);
	ssize_t got;

	if (!wait_for_input(import)) return fts_error_set(out_error, FTS_CANCELLED, "stopped");
	do
		got = read(import->fd, space, room);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fts_error_set(out_error, FTS_DATA_LOSS, "%s can't be read: %s", import->path, strerror(errno));
	if (got == 0) ftsi_csv_end(import->csv);
	ftsi_csv_filled(import->csv, (size_t)got);
	return FTS_OK;
}

static void show_progress(struct import *import)
{
	struct fts_lottery_import_counts counts = fts_lottery_importer_counts(import->importer);
	uint64_t refused = counts.refused + import->refused_here;
	uint64_t judged = counts.stored + counts.already + refused;
	uint64_t judged_bytes = import->row_count ? import->taken_bytes * judged / import->row_count : 0;

	ftsi_progress_show(&import->progress, judged_bytes, import->size_bytes, judged, refused);
}

static enum fts_status read_all(struct import *import, struct fts_error *out_error)
{
	struct ftsi_csv_row row;
	enum fts_status st = FTS_OK;

	while (st == FTS_OK) {
		switch (ftsi_csv_next(import->csv, &row)) {
		case FTSI_CSV_ROW:
		case FTSI_CSV_FAULT:
			st = take_row(import, &row, out_error);
			show_progress(import);
			break;
		case FTSI_CSV_MORE:
			st = fill(import, out_error);
			break;
		case FTSI_CSV_END:
			return fts_lottery_importer_finish(import->importer, out_error);
		}
	}
	return st;
}

/* ---- the account ---- */

static json_t *account_json(const struct import *import, const struct fts_lottery_import_counts *counts)
{
	return ftsi_json("{s:I,s:I,s:I,s:I}", "rows", (json_int_t)import->row_count, "stored",
			 (json_int_t)counts->stored, "already", (json_int_t)counts->already, "refused",
			 (json_int_t)(counts->refused + import->refused_here));
}

static void print_account(const struct import *import, const struct fts_lottery_import_counts *counts)
{
	double seconds = ftsi_progress_seconds(&import->progress);

	printf("%s: %" PRIu64 " rows, %" PRIu64 " stored, %" PRIu64 " already, %" PRIu64 " refused in %.2f s "
	       "(%.0f rows/s)\n",
	       import->path, import->row_count, counts->stored, counts->already, counts->refused + import->refused_here,
	       seconds, (double)import->row_count / seconds);
}

static enum ftsi_exit report_failure(const struct import *import, const struct fts_lottery_import_counts *counts,
				     const struct fts_error *error)
{
	bool interrupted = error->status == FTS_CANCELLED;

	if (import->cli->json) {
		json_t *account = account_json(import, counts);
		if (interrupted)
			json_object_set_new(account, "interrupted", json_true());
		else
			json_object_set_new(account, "error", ftsi_error_json(error));
		ftsi_print_json(account);
	} else if (!interrupted) {
		ftsi_fail(import->cli, error);
	}
	bool goes_on = interrupted || ftsi_exit_of(error->status) != FTSI_EXIT_NO;
	ftsi_note("stopped after %" PRIu64 " rows (%" PRIu64 " stored, %" PRIu64 " already, %" PRIu64 " refused)%s",
		  counts->stored + counts->already + counts->refused + import->refused_here, counts->stored,
		  counts->already, counts->refused + import->refused_here,
		  goes_on ? "; the same command goes on from there and stores nothing twice" : "");
	return interrupted ? FTSI_EXIT_PARTLY : ftsi_exit_of(error->status);
}

static enum ftsi_exit report(const struct import *import, const struct fts_lottery_import_counts *counts)
{
	if (import->cli->json)
		ftsi_print_json(account_json(import, counts));
	else
		print_account(import, counts);
	return counts->refused + import->refused_here > 0 ? FTSI_EXIT_PARTLY : FTSI_EXIT_DONE;
}

static void explain(const struct import *import, const struct fts_lottery_import_counts *counts)
{
	if (import->cli->explain)
		fprintf(stderr, "explain: Lottery/StoreBatch calls=%" PRIu64 " retries=%" PRIu64 " total_us=%.0f\n",
			counts->calls, counts->retries, ftsi_progress_seconds(&import->progress) * 1e6);
}

/* ---- the command ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Everything that can be wrong before a call is made. FTSI_EXIT_DONE: nothing is. */
static enum ftsi_exit open_files(struct import *import)
{
	const char *errors = ftsi_value_of(import->cli, "errors")->text;
	struct stat about;

	if (strcmp(import->path, "-") == 0)
		import->fd = dup(STDIN_FILENO);
	else
		import->fd = open(import->path, O_RDONLY | O_CLOEXEC);
	if (import->fd < 0 || fstat(import->fd, &about) != 0)
		return ftsi_fail_usage(import->cli, "%s: %s", import->path, strerror(errno));
	if (S_ISDIR(about.st_mode)) return ftsi_fail_usage(import->cli, "%s: is a directory", import->path);
	import->regular = S_ISREG(about.st_mode);
	import->size_bytes = import->regular ? (uint64_t)about.st_size : 0;
	if (!ftsi_refusals_open(&import->refusals, errors, import->fd))
		return ftsi_fail_usage(import->cli, "%s: %s", errors, strerror(errno));
	return FTSI_EXIT_DONE;
}

static enum ftsi_exit open_importer(struct import *import)
{
	struct ftsi_cli *cli = import->cli;
	const char *name = ftsi_value_of(cli, "import-id")->text;
	bool patience_given = ftsi_value_of(cli, "patience")->given;
	uint32_t patience_ms = (uint32_t)ftsi_value_of(cli, "patience")->number;
	struct fts_lottery_import_observer observer = {import, on_refused, on_waiting};
	struct fts_error error = {0};

	if (!name && strcmp(import->path, "-") == 0)
		return ftsi_fail_usage(cli, "standard input has no name: --import-id NAME");
	struct fts_lottery_import_options options = {
	    .draw = cli->args.positionals[0],
	    .agency = (uint32_t)ftsi_value_of(cli, "agency")->number,
	    .import = name ? name : base_name(import->path),
	    .batch_rows = (uint32_t)ftsi_value_of(cli, "batch")->number,
	    .timeout_ms = cli->timeout_ms,
	    .patience_ms = patience_ms,
	    /* A server that was never there is soon told; one that went away is waited for. */
	    .first_patience_ms = patience_given ? patience_ms : cli->timeout_ms,
	};
	if (fts_lottery_importer_create(cli->channel, &options, &observer, &import->importer, &error) != FTS_OK)
		return error.status == FTS_INVALID_ARGUMENT ? ftsi_fail_usage(cli, "%s", error.detail)
							    : ftsi_fail(cli, &error);
	return FTSI_EXIT_DONE;
}

static enum ftsi_exit import_file(struct import *import)
{
	struct fts_error error = {0};
	enum ftsi_exit code;

	ftsi_progress_start(&import->progress);
	ftsi_interrupt_claim(on_interrupt, import->importer);
	enum fts_status st = read_all(import, &error);
	ftsi_interrupt_release();
	ftsi_progress_clear(&import->progress);
	struct fts_lottery_import_counts counts = fts_lottery_importer_counts(import->importer);
	explain(import, &counts);
	if (!ftsi_refusals_close(&import->refusals)) ftsi_note("the errors file is not complete: %s", strerror(errno));
	code = st == FTS_OK ? report(import, &counts) : report_failure(import, &counts, &error);
	return code;
}

enum ftsi_exit ftsi_run_lottery_import(struct ftsi_cli *cli)
{
	struct import import = {.cli = cli, .path = cli->args.positionals[1], .fd = -1};
	enum ftsi_exit code = open_files(&import);

	if (code != FTSI_EXIT_DONE) goto out;
	code = open_importer(&import);
	if (code != FTSI_EXIT_DONE) goto out;
	import.csv = ftsi_csv_create();
	if (!import.csv) {
		struct fts_error error;
		fts_error_set(&error, FTS_RESOURCE_EXHAUSTED, "no memory");
		code = ftsi_fail(cli, &error);
		goto out;
	}
	code = import_file(&import);
out:
	fts_lottery_importer_destroy(import.importer);
	ftsi_csv_destroy(import.csv);
	ftsi_refusals_close(&import.refusals);
	if (import.fd >= 0) close(import.fd);
	return code;
}
