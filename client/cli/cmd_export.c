/* Why this file exists: `lottery export`: the proof of a sealed draw as lines of JSON.
 *
 *   line 1      {"fts_draw_bundle":1,"status":STATUS}   STATUS: canonical JSON of StatusResponse
 *   every other one ChainRecord in canonical JSON, in the order of the chain
 *
 * Invariant: FILE is either what it was or the whole bundle (whole_file.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/lottery.h>

#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/whole_file.h"
#include "rpc/json.h"

struct export
{
	struct ftsi_cli *cli;
	const char *path;
	struct ftsi_whole_file file;
	uint64_t record_count;
};

static enum fts_status write_error(const struct export *export, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_DATA_LOSS, "%s can't be written: %s", export->path, strerror(errno));
}

static enum fts_status write_message(struct export *export, const char *before, const ProtobufCMessage *message,
				     const char *behind, struct fts_error *out_error)
{
	char *text = NULL;
	enum fts_status st = fts_json_encode(message, NULL, &text, NULL, out_error);

	if (st == FTS_OK && fprintf(export->file.out, "%s%s%s\n", before, text, behind) < 0)
		st = write_error(export, out_error);
	free(text);
	return st;
}

static enum fts_status write_page(struct export *export, const Fts__Lottery__V1__ExportResponse *page,
				  struct fts_error *out_error)
{
	enum fts_status st = FTS_OK;

	if (export->record_count == 0 && !page->status)
		return fts_error_set(out_error, FTS_INTERNAL, "the server's proof has no status");
	if (export->record_count == 0)
		st = write_message(export, "{\"fts_draw_bundle\":1,\"status\":", &page->status->base, "}", out_error);
	for (size_t i = 0; st == FTS_OK && i < page->n_records; i++) {
		st = write_message(export, "", &page->records[i]->base, "", out_error);
		export->record_count++;
	}
	return st;
}

static enum fts_status fetch_page(struct export *export, Fts__Lottery__V1__ExportResponse **out_page,
				  struct fts_error *out_error)
{
	Fts__Lottery__V1__ExportRequest request = FTS__LOTTERY__V1__EXPORT_REQUEST__INIT;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(export->cli, &info);

	request.draw = (char *)export->cli->args.positionals[0];
	request.from_record = export->record_count;
	enum fts_status st = fts_lottery_export(export->cli->channel, &request, &options, out_page, out_error);
	ftsi_explain(export->cli, "Lottery/Export", &info);
	return st;
}

static enum fts_status write_all(struct export *export, struct fts_error *out_error)
{
	bool end = false;
	enum fts_status st = FTS_OK;

	while (st == FTS_OK && !end) {
		Fts__Lottery__V1__ExportResponse *page = NULL;
		st = fetch_page(export, &page, out_error);
		if (st != FTS_OK) return st;
		end = page->end;
		if (!end && page->n_records == 0)
			st = fts_error_set(out_error, FTS_INTERNAL, "the server sent an empty page of the proof");
		else
			st = write_page(export, page, out_error);
		fts__lottery__v1__export_response__free_unpacked(page, NULL);
	}
	return st;
}

static void report(const struct export *export)
{
	if (export->cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:o,s:I}", "draw", export->cli->args.positionals[0], "file",
					  ftsi_text_json(export->path), "records", (json_int_t) export->record_count));
	else
		printf("%s: %" PRIu64 " records; check them with: fts-verify %s\n", export->path, export->record_count,
		       export->path);
}

enum ftsi_exit ftsi_run_lottery_export(struct ftsi_cli *cli)
{
	struct export export = {.cli = cli, .path = ftsi_value_of(cli, "out")->text};
	struct fts_error error = {0};

	if (ftsi_whole_file_open(&export.file, export.path, ".tmp", &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	enum fts_status st = write_all(&export, &error);
	if (st == FTS_OK) st = ftsi_whole_file_commit(&export.file, &error);
	ftsi_whole_file_abandon(&export.file);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	report(&export);
	return FTSI_EXIT_DONE;
}
