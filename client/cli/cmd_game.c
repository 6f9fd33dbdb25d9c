/* Why this file exists: the short `game` commands: one call, one answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/game_call.h"
#include "client/cli/game_text.h"
#include "client/cli/game_token.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/utf8.h"
#include "client/cli/value.h"

static char *match_of(const struct ftsi_cli *cli)
{
	return (char *)cli->args.positionals[0];
}

/* Text of a user's that travels; NULL: it was refused, and said so into out_error. */
static enum fts_status text_of(const struct ftsi_cli *cli, const char *flag, char **out_text,
			       struct fts_error *out_error)
{
	const char *text = ftsi_value_of(cli, flag)->text;

	if (text && !ftsi_utf8_valid(text, strlen(text)))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--%s is not UTF-8", flag);
	if (text) *out_text = (char *)text;
	return FTS_OK;
}

/* ---- rules ---- */

static void print_rules(const struct ftsi_cli *cli, const Fts__Game__V1__RulesResponse *response)
{
	char name[FTSI_GAME_TEXT_MAX], title[FTSI_GAME_TEXT_MAX], notation[FTSI_GAME_TEXT_MAX];
	json_t *rules = ftsi_json("[]");

	if (!cli->json) printf("%-12s %5s  %-26s %s\n", "RULES", "SEATS", "TITLE", "A MOVE IS");
	for (size_t i = 0; i < response->n_rules; i++) {
		const Fts__Game__V1__RulesInfo *info = response->rules[i];
		ftsi_game_clean(name, info->name);
		ftsi_game_clean(title, info->title);
		ftsi_game_clean(notation, info->notation);
		if (cli->json)
			json_array_append_new(rules,
					      ftsi_json("{s:s,s:I,s:s,s:s}", "name", name, "seats",
							(json_int_t)info->seats, "notation", notation, "title", title));
		else
			printf("%-12s %5" PRIu32 "  %-26s %s\n", name, info->seats, title, notation);
	}
	if (cli->json) ftsi_print_json(ftsi_json("{s:O}", "rules", rules));
	json_decref(rules);
}

enum ftsi_exit ftsi_run_game_rules(struct ftsi_cli *cli)
{
	Fts__Game__V1__RulesRequest request = FTS__GAME__V1__RULES_REQUEST__INIT;
	Fts__Game__V1__RulesResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_game_rules(cli->channel, &request, &options, &response, &error);

	ftsi_explain(cli, "Game/Rules", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_rules(cli, response);
	fts__game__v1__rules_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- new ---- */

/* "5m+3s", "5m", or "0" for none. */
static enum fts_status clock_parse(const char *text, Fts__Game__V1__ClockTerms *out, struct fts_error *out_error)
{
	char initial[32];
	const char *plus = strchr(text, '+');
	size_t length = plus ? (size_t)(plus - text) : strlen(text);

	if (strcmp(text, "0") == 0) return FTS_OK;
	if (length < sizeof(initial)) {
		memcpy(initial, text, length);
		initial[length] = '\0';
		if (ftsi_duration_parse(initial, &out->initial_ms, NULL) == FTS_OK &&
		    (!plus || ftsi_duration_parse(plus + 1, &out->increment_ms, NULL) == FTS_OK))
			return FTS_OK;
	}
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
			     "--clock \"%s\" is no clock: write 5m for each player's time, or 5m+3s for 3s more "
			     "after each move",
			     text);
}

enum ftsi_exit ftsi_run_game_new(struct ftsi_cli *cli)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	Fts__Game__V1__CreateResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	const struct ftsi_value *terms = ftsi_value_of(cli, "clock");

	if (terms->given && clock_parse(terms->text, &clock, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	if (text_of(cli, "label", &request.label, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	request.rules = (char *)ftsi_value_of(cli, "rules")->text;
	request.clock = clock.initial_ms > 0 ? &clock : NULL;
	request.if_fence = ftsi_value_of(cli, "if-fence")->number;
	enum fts_status st = fts_game_create(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Game/Create", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:o}", "match", ftsi_game_text_json(response->match)));
	else
		printf("%s\n", response->match);
	fts__game__v1__create_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- join ---- */

static void tell_seat(const struct ftsi_cli *cli, uint32_t seat, const char *token, const char *file)
{
	if (cli->json && file)
		ftsi_print_json(ftsi_json("{s:I,s:s}", "seat", (json_int_t)seat, "token_file", file));
	else if (cli->json)
		ftsi_print_json(ftsi_json("{s:I,s:o}", "seat", (json_int_t)seat, "token", ftsi_game_text_json(token)));
	else
		printf("seat  %" PRIu32 "\ntoken %s%s\n", seat, file ? "in " : "", file ? file : token);
}

enum ftsi_exit ftsi_run_game_join(struct ftsi_cli *cli)
{
	struct ftsi_game_join join = {.match = match_of(cli)};
	struct fts_error error = {0};
	const struct ftsi_value *seat = ftsi_value_of(cli, "seat");
	const char *keep = ftsi_value_of(cli, "keep")->text;
	char *name = NULL;

	if (text_of(cli, "name", &name, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	if (keep && ftsi_game_token_check(keep, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	join.name = name;
	join.wanted_seat = seat->given ? (uint32_t)seat->number + 1 : 0;
	if (ftsi_game_join(cli, &join, &error) != FTS_OK) return ftsi_fail(cli, &error);
	if (keep && ftsi_game_token_keep(keep, join.token, &error) != FTS_OK) {
		ftsi_note("%s; so here it is", error.detail);
		keep = NULL;
	}
	tell_seat(cli, join.seat, join.token, keep);
	return FTSI_EXIT_DONE;
}

/* ---- move ---- */

static void print_move(const struct ftsi_cli *cli, const Fts__Game__V1__MoveResponse *response)
{
	char board[FTSI_GAME_BOARD_BYTES];

	if (cli->json) {
		ftsi_print_json(
		    ftsi_json("{s:I,s:s,s:o,s:o,s:o,s:s}", "ply", (json_int_t)response->ply, "outcome",
			      ftsi_game_outcome(response->outcome), "winner", ftsi_game_seat_json(response->winner),
			      "board", ftsi_game_board_json(response->board), "turn",
			      ftsi_game_seat_json(response->turn), "reason", ftsi_game_reason(response->reason)));
		return;
	}
	ftsi_game_clean_board(board, sizeof(board), response->board);
	size_t length = strlen(board);
	printf("%s%s", board, length > 0 && board[length - 1] == '\n' ? "" : "\n");
	if (response->outcome == FTS__GAME__V1__OUTCOME__WON)
		printf("move %" PRIu32 ": seat %" PRId32 " has won\n", response->ply, response->winner);
	else if (response->outcome == FTS__GAME__V1__OUTCOME__DRAWN)
		printf("move %" PRIu32 ": drawn\n", response->ply);
	else
		printf("move %" PRIu32 ": seat %" PRId32 " is next\n", response->ply, response->turn);
}

enum ftsi_exit ftsi_run_game_move(struct ftsi_cli *cli)
{
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	Fts__Game__V1__MoveResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	char token[FTSI_GAME_TOKEN_BYTES];

	if (ftsi_game_token_take(ftsi_value_of(cli, "token")->text, token, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	request.match = match_of(cli);
	request.token = token;
	request.move = (char *)cli->args.positionals[1];
	request.ply = (uint32_t)ftsi_value_of(cli, "ply")->number;
	enum fts_status st = fts_game_move(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Game/Move", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_move(cli, response);
	fts__game__v1__move_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- resign, rematch ---- */

enum ftsi_exit ftsi_run_game_resign(struct ftsi_cli *cli)
{
	Fts__Game__V1__ResignRequest request = FTS__GAME__V1__RESIGN_REQUEST__INIT;
	Fts__Game__V1__ResignResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	char token[FTSI_GAME_TOKEN_BYTES];

	if (ftsi_game_token_take(ftsi_value_of(cli, "token")->text, token, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	request.match = match_of(cli);
	request.token = token;
	enum fts_status st = fts_game_resign(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Game/Resign", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:o}", "outcome", ftsi_game_outcome(response->outcome), "winner",
					  ftsi_game_seat_json(response->winner)));
	else
		printf("resigned: seat %" PRId32 " has won\n", response->winner);
	fts__game__v1__resign_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_game_rematch(struct ftsi_cli *cli)
{
	Fts__Game__V1__RematchRequest request = FTS__GAME__V1__REMATCH_REQUEST__INIT;
	Fts__Game__V1__RematchResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	char token[FTSI_GAME_TOKEN_BYTES];

	if (ftsi_game_token_take(ftsi_value_of(cli, "token")->text, token, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	request.match = match_of(cli);
	request.token = token;
	enum fts_status st = fts_game_rematch(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Game/Rematch", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	bool is_made = response->match[0] != '\0';
	if (cli->json)
		ftsi_print_json(
		    ftsi_json("{s:o}", "match", is_made ? ftsi_game_text_json(response->match) : json_null()));
	else
		printf("%s\n", is_made ? response->match : "asked; the other player has not yet");
	fts__game__v1__rematch_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}
