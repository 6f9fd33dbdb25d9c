/* Why this file exists: `game export`: a match as a record that can be played again; and `game replay`, which does.
 *
 *   {"fts_game_record":1,"record":RECORD}   RECORD: canonical JSON of RecordResponse
 *
 * Invariant: FILE is either what it was or the whole record: it is written beside, synced and renamed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/game_text.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/game/v1/game.fts.h"
#include "rpc/json.h"

#define PATH_BYTES_MAX 4096u
#define RECORD_BYTES_MAX (1024u * 1024)
#define FORMAT 1

/* ---- export ---- */

static enum fts_status write_error(const char *path, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_DATA_LOSS, "%s can't be written: %s", path, strerror(errno));
}

/* text (borrowed) into path, wholly or not at all. */
static enum fts_status write_file(const char *path, const char *text, struct fts_error *out_error)
{
	char tmp_path[PATH_BYTES_MAX];
	int length = snprintf(tmp_path, sizeof(tmp_path), "%s.tmp", path);

	if (length < 0 || (size_t)length >= sizeof(tmp_path))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--out: the path is too long");
	FILE *out = fopen(tmp_path, "we");
	if (!out) return write_error(tmp_path, out_error);
	bool written = fprintf(out, "%s\n", text) > 0 && fflush(out) == 0 && fsync(fileno(out)) == 0;
	bool closed = fclose(out) == 0;
	if (written && closed && rename(tmp_path, path) == 0) return FTS_OK;
	enum fts_status st = write_error(path, out_error);
	unlink(tmp_path);
	return st;
}

static enum fts_status put_record(const struct ftsi_cli *cli, const Fts__Game__V1__RecordResponse *record,
				  const char *path, struct fts_error *out_error)
{
	struct fts_json_options options = {.print_defaults = true};
	json_t *value = NULL;
	enum fts_status st = fts_json_value(&record->base, &options, &value, out_error);

	if (st != FTS_OK) return st;
	json_t *whole = ftsi_json("{s:i,s:o}", "fts_game_record", FORMAT, "record", value);
	if (!path) {
		ftsi_print_json(whole);
		return FTS_OK;
	}
	char *text = json_dumps(whole, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(whole);
	if (!text) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	st = write_file(path, text, out_error);
	free(text);
	if (st == FTS_OK && cli->json)
		ftsi_print_json(ftsi_json("{s:o,s:s,s:I}", "match", ftsi_game_text_json(record->match), "file", path,
					  "moves", (json_int_t)record->n_moves));
	else if (st == FTS_OK)
		printf("%s: %zu moves; play them again with: fts-cli game replay %s\n", path, record->n_moves, path);
	return st;
}

enum ftsi_exit ftsi_run_game_export(struct ftsi_cli *cli)
{
	Fts__Game__V1__RecordRequest request = FTS__GAME__V1__RECORD_REQUEST__INIT;
	Fts__Game__V1__RecordResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	request.match = (char *)cli->args.positionals[0];
	enum fts_status st = fts_game_record(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Game/Record", &info);
	if (st == FTS_OK) st = put_record(cli, response, ftsi_value_of(cli, "out")->text, &error);
	if (response) fts__game__v1__record_response__free_unpacked(response, NULL);
	return st == FTS_OK ? FTSI_EXIT_DONE : ftsi_fail(cli, &error);
}
