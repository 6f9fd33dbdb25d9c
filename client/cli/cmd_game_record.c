/* Why this file exists: `game export`: a match as a record that can be played again; `game replay`, which does; and
 * `game perft`. The rules live at the servers: any of them plays the record, none keeps anything of it.
 *
 *   {"fts_game_record":1,"record":RECORD}   RECORD: canonical JSON of RecordResponse
 *
 * Invariant: FILE is either what it was or the whole record (whole_file.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/game_text.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/value.h"
#include "client/cli/whole_file.h"
#include "fts/game/v1/game.fts.h"
#include "rpc/json.h"

#define RECORD_BYTES_MAX ((size_t)1024 * 1024)
#define FORMAT 1

/* ---- export ---- */

/* text (borrowed) into path, wholly or not at all. */
static enum fts_status write_file(const char *path, const char *text, struct fts_error *out_error)
{
	struct ftsi_whole_file file;
	enum fts_status st = ftsi_whole_file_open(&file, path, ".tmp", out_error);

	if (st != FTS_OK) return st;
	(void)fprintf(file.out, "%s\n", text); /* commit tells */
	return ftsi_whole_file_commit(&file, out_error);
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
		ftsi_print_json(ftsi_json("{s:o,s:o,s:I}", "match", ftsi_game_text_json(record->match), "file",
					  ftsi_text_json(path), "moves", (json_int_t)record->n_moves));
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

/* ---- replay ---- */

/* The file as text: returned (free()). */
static enum fts_status read_file(const char *path, char **out_text, size_t *out_size_bytes, struct fts_error *out_error)
{
	char *text = malloc(RECORD_BYTES_MAX + 1);
	FILE *in = fopen(path, "re");
	enum fts_status st = FTS_OK;

	if (!text || !in) {
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %s", path, strerror(errno));
		goto out;
	}
	*out_size_bytes = fread(text, 1, RECORD_BYTES_MAX + 1, in);
	if (ferror(in))
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %s", path, strerror(errno));
	else if (*out_size_bytes > RECORD_BYTES_MAX)
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s is no record: above 1 MiB", path);
out:
	if (in) fclose(in);
	if (st != FTS_OK)
		free(text);
	else
		*out_text = text;
	return st;
}

/* The record in a file's text (borrowed). out_record: returned. */
static enum fts_status parse_record(const char *text, size_t size_bytes, Fts__Game__V1__RecordResponse **out_record,
				    struct fts_error *out_error)
{
	ProtobufCMessage *message = NULL;
	json_error_t where;
	json_t *whole = json_loadb(text, size_bytes, 0, &where);
	char *inner = NULL;
	enum fts_status st;

	if (!whole) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "line %d: %s", where.line, where.text);
	if (json_integer_value(json_object_get(whole, "fts_game_record")) == FORMAT)
		inner = json_dumps(json_object_get(whole, "record"), JSON_COMPACT);
	json_decref(whole);
	if (!inner) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "no record of a match");
	st = fts_json_decode((struct fts_bytes){(uint8_t *)inner, strlen(inner)},
			     &fts__game__v1__record_response__descriptor, NULL, &message, out_error);
	free(inner);
	if (st == FTS_OK) *out_record = (Fts__Game__V1__RecordResponse *)message;
	return st;
}

static enum fts_status load_record(const char *path, Fts__Game__V1__RecordResponse **out_record,
				   struct fts_error *out_error)
{
	char *text = NULL;
	size_t size_bytes = 0;
	struct fts_error reason = {0};
	enum fts_status st = read_file(path, &text, &size_bytes, out_error);

	if (st != FTS_OK) return st;
	st = parse_record(text, size_bytes, out_record, &reason);
	free(text);
	return st == FTS_OK ? st : fts_error_set(out_error, FTS_DATA_LOSS, "%s: %s", path, reason.detail);
}

static void print_replay(const struct ftsi_cli *cli, const Fts__Game__V1__RecordResponse *record,
			 const Fts__Game__V1__ReplayResponse *replay)
{
	char hash[20], board[FTSI_GAME_BOARD_BYTES];

	snprintf(hash, sizeof(hash), "%016" PRIx64, replay->hash);
	if (cli->json) {
		ftsi_print_json(ftsi_json(
		    "{s:o,s:b,s:I,s:s,s:o,s:s,s:s}", "match", ftsi_game_text_json(record->match), "same", replay->same,
		    "ply", (json_int_t)replay->ply, "outcome", ftsi_game_outcome(replay->outcome), "winner",
		    ftsi_game_seat_json(replay->winner), "reason", ftsi_game_reason(replay->reason), "hash", hash));
		return;
	}
	if (replay->n_boards > 0)
		printf("%s\n", ftsi_game_clean_board(board, sizeof(board), replay->boards[replay->n_boards - 1]));
	printf("%" PRIu32 " moves, %s, hash %s: %s\n", replay->ply, ftsi_game_outcome(replay->outcome), hash,
	       replay->same ? "as recorded" : "NOT as recorded");
	if (!replay->same)
		ftsi_note("the record says hash %016" PRIx64 ", %s, winner %" PRId32, record->hash,
			  ftsi_game_outcome(record->outcome), record->winner);
}

enum ftsi_exit ftsi_run_game_replay(struct ftsi_cli *cli)
{
	Fts__Game__V1__ReplayRequest request = FTS__GAME__V1__REPLAY_REQUEST__INIT;
	Fts__Game__V1__RecordResponse *record = NULL;
	Fts__Game__V1__ReplayResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = load_record(cli->args.positionals[0], &record, &error);

	if (st == FTS_INVALID_ARGUMENT) return ftsi_fail_usage(cli, "%s", error.detail);
	if (st != FTS_OK || !record) return ftsi_fail(cli, &error);
	request.record = record;
	st = fts_game_tools_replay(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "GameTools/Replay", &info);
	enum ftsi_exit code = st == FTS_OK ? (response->same ? FTSI_EXIT_DONE : FTSI_EXIT_NO) : ftsi_fail(cli, &error);
	if (st == FTS_OK) print_replay(cli, record, response);
	if (response) fts__game__v1__replay_response__free_unpacked(response, NULL);
	fts__game__v1__record_response__free_unpacked(record, NULL);
	return code;
}

/* ---- perft ---- */

enum ftsi_exit ftsi_run_game_perft(struct ftsi_cli *cli)
{
	Fts__Game__V1__PerftRequest request = FTS__GAME__V1__PERFT_REQUEST__INIT;
	Fts__Game__V1__PerftResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	uint64_t depth = 0;

	if (ftsi_number_parse(cli->args.positionals[1], 0, 256, &depth, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "DEPTH: %s", error.detail);
	if (!ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given) options.timeout_ms = 0; /* the method's own, longer one */
	request.rules = (char *)cli->args.positionals[0];
	request.depth = (uint32_t)depth;
	request.positions = ftsi_value_of(cli, "positions")->given;
	enum fts_status st = fts_game_tools_perft(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "GameTools/Perft", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	json_t *json = ftsi_json("{s:I}", "nodes", (json_int_t)response->nodes);
	if (request.positions) json_object_set_new(json, "positions", json_integer((json_int_t)response->positions));
	if (cli->json)
		ftsi_print_json(json_incref(json));
	else if (request.positions)
		printf("%" PRIu64 " nodes, %" PRIu64 " positions\n", response->nodes, response->positions);
	else
		printf("%" PRIu64 "\n", response->nodes);
	json_decref(json);
	fts__game__v1__perft_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}
