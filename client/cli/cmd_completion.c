/* Why this file exists: what shells and the manual's maker need to know: the commands and flags there are, from the
 * table that the parser reads (`completion`), and names from a live node (`names`). */
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/elector/v1/elector.fts.h"
#include "fts/game/v1/game.fts.h"
#include "fts/lottery/v1/lottery.fts.h"

#define NAMES_MAX 1000

/* "lottery open|DRAW|--agencies --number": command, what it takes, its flags. */
static void print_row(const struct ftsi_command *command)
{
	printf("%s|", command->name);
	for (size_t i = 0; i < FTSI_POSITIONALS_MAX && command->positionals[i] != NULL; i++) {
		const char *name = command->positionals[i];
		printf("%s%.*s", i > 0 ? " " : "", (int)strcspn(name + (name[0] == '['), "]"), name + (name[0] == '['));
	}
	putchar('|');
	for (size_t i = 0; i < FTSI_FLAGS_MAX && command->flags[i].name != NULL; i++)
		printf("%s--%s", i > 0 ? " " : "", command->flags[i].name);
	putchar('\n');
}

enum ftsi_exit ftsi_run_completion(struct ftsi_cli *cli)
{
	const char *what = cli->args.positionals[0];
	bool words = strcmp(what, "words") == 0, table = strcmp(what, "table") == 0;

	if (strcmp(what, "globals") == 0) {
		for (size_t i = 0; ftsi_global_flags[i].name != NULL; i++)
			printf("%s--%s", i > 0 ? " " : "", ftsi_global_flags[i].name);
		putchar('\n');
		return FTSI_EXIT_DONE;
	}
	if (!words && !table) return ftsi_fail_usage(cli, "\"%s\": expected words, table or globals", what);
	for (size_t i = 0; i < ftsi_command_count; i++) {
		if (table)
			print_row(&ftsi_commands[i]);
		else
			printf("%s\n", ftsi_commands[i].name);
	}
	return FTSI_EXIT_DONE;
}

/* ---- Names ---- */

static enum fts_status print_draws(struct ftsi_cli *cli, const struct fts_call_options *options,
				   struct fts_error *error)
{
	Fts__Lottery__V1__ListRequest request = FTS__LOTTERY__V1__LIST_REQUEST__INIT;
	Fts__Lottery__V1__ListResponse *response = NULL;
	request.limit = NAMES_MAX;
	enum fts_status st = fts_lottery_list(cli->channel, &request, options, &response, error);
	for (size_t i = 0; st == FTS_OK && i < response->n_draws; i++)
		printf("%s\n", response->draws[i]->draw);
	if (response != NULL) fts__lottery__v1__list_response__free_unpacked(response, NULL);
	return st;
}

static enum fts_status print_elections(struct ftsi_cli *cli, const struct fts_call_options *options,
				       struct fts_error *error)
{
	Fts__Elector__V1__ListRequest request = FTS__ELECTOR__V1__LIST_REQUEST__INIT;
	Fts__Elector__V1__ListResponse *response = NULL;
	request.limit = NAMES_MAX;
	enum fts_status st = fts_elector_list(cli->channel, &request, options, &response, error);
	for (size_t i = 0; st == FTS_OK && i < response->n_elections; i++)
		printf("%s\n", response->elections[i]->election);
	if (response != NULL) fts__elector__v1__list_response__free_unpacked(response, NULL);
	return st;
}

static enum fts_status print_matches(struct ftsi_cli *cli, const struct fts_call_options *options,
				     struct fts_error *error)
{
	Fts__Game__V1__ListRequest request = FTS__GAME__V1__LIST_REQUEST__INIT;
	Fts__Game__V1__ListResponse *response = NULL;
	request.limit = NAMES_MAX;
	enum fts_status st = fts_game_list(cli->channel, &request, options, &response, error);
	for (size_t i = 0; st == FTS_OK && i < response->n_matches; i++)
		printf("%s\n", response->matches[i]->match);
	if (response != NULL) fts__game__v1__list_response__free_unpacked(response, NULL);
	return st;
}

enum ftsi_exit ftsi_run_names(struct ftsi_cli *cli)
{
	static const struct {
		const char *kind;
		enum fts_status (*print)(struct ftsi_cli *, const struct fts_call_options *, struct fts_error *);
	} kinds[] = {{"draws", print_draws}, {"elections", print_elections}, {"matches", print_matches}};
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	options.stale = true; /* names for completion need not be the last word */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].kind, cli->args.positionals[0]) != 0) continue;
		enum fts_status st = kinds[i].print(cli, &options, &error);
		return st == FTS_OK ? FTSI_EXIT_DONE : ftsi_fail(cli, &error);
	}
	return ftsi_fail_usage(cli, "\"%s\": expected draws, elections or matches", cli->args.positionals[0]);
}
