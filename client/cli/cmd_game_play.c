/* Why this file exists: `game play`: who sits where, and which face it has: a board on a terminal, lines on a pipe. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/game_call.h"
#include "client/cli/game_play.h"
#include "client/cli/game_terminal.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/utf8.h"

static enum ftsi_exit join(struct ftsi_play *play, const char *name, const char *keep)
{
	struct ftsi_game_join join = {.match = play->match, .name = name};
	struct fts_error error = {0};

	if (keep && ftsi_game_token_check(keep, &error) != FTS_OK)
		return ftsi_fail_usage(play->cli, "%s", error.detail);
	if (ftsi_game_join(play->cli, &join, &error) != FTS_OK) return ftsi_fail(play->cli, &error);
	snprintf(play->token, sizeof(play->token), "%s", join.token);
	play->is_token_kept = keep && ftsi_game_token_keep(keep, join.token, &error) == FTS_OK;
	if (keep && !play->is_token_kept) ftsi_note("%s", error.detail);
	return FTSI_EXIT_DONE;
}

/* A token that is given, that a file has from an earlier time, or that comes with a seat. */
static enum ftsi_exit take_seat(struct ftsi_play *play)
{
	struct ftsi_cli *cli = play->cli;
	struct fts_error error = {0};
	const char *token = ftsi_value_of(cli, "token")->text, *name = ftsi_value_of(cli, "name")->text;
	const char *keep = ftsi_value_of(cli, "keep")->text;
	bool looks_on = ftsi_value_of(cli, "spectate")->given;
	char file[FTSI_GAME_TEXT_MAX + 1];

	if ((token != NULL) + (name != NULL) + looks_on > 1)
		return ftsi_fail_usage(cli, "only one of --token, --name and --spectate");
	if (keep && !name) return ftsi_fail_usage(cli, "--keep goes with --name");
	if (name && !ftsi_utf8_valid(name, strlen(name))) return ftsi_fail_usage(cli, "--name is not UTF-8");
	if (keep && snprintf(file, sizeof(file), "@%s", keep) >= (int)sizeof(file))
		return ftsi_fail_usage(cli, "--keep: the path is too long");
	if (keep && access(keep, F_OK) == 0) token = file;
	play->is_token_kept = token != NULL;
	if (token && ftsi_game_token_take(token, play->token, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	return name && !token ? join(play, name, keep) : FTSI_EXIT_DONE;
}

/* What is wrong from the start is told before the screen is taken. */
static enum ftsi_exit look(struct ftsi_play *play)
{
	Fts__Game__V1__ShowResponse *show = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(play->cli, &info);
	enum fts_status st = ftsi_game_show(play->cli->channel, play->match, play->token, &options, &show, &error);

	ftsi_explain(play->cli, "Game/Show", &info);
	if (st == FTS_OK && play->token[0] && show->you == 0 && !show->rematch[0])
		st = fts_error_set(&error, FTS_PERMISSION_DENIED, "the token opens no seat of %s", play->match);
	if (show) fts__game__v1__show_response__free_unpacked(show, NULL);
	return st == FTS_OK ? FTSI_EXIT_DONE : ftsi_fail(play->cli, &error);
}

static enum ftsi_exit run(struct ftsi_play *play)
{
	bool is_terminal = ftsi_terminal_is_there() && !play->cli->json;
	enum ftsi_exit code = is_terminal ? ftsi_play_on_terminal(play) : ftsi_play_by_lines(play);

	ftsi_play_tell_token(play);
	ftsi_play_stop(play);
	return code;
}

enum ftsi_exit ftsi_run_game_play(struct ftsi_cli *cli)
{
	struct ftsi_play *play = calloc(1, sizeof(*play)); /* with a view, which is large */
	enum ftsi_exit code;

	if (!play) return ftsi_fail_usage(cli, "no memory");
	play->cli = cli;
	if (strlen(cli->args.positionals[0]) < sizeof(play->match)) {
		snprintf(play->match, sizeof(play->match), "%s", cli->args.positionals[0]);
		code = take_seat(play);
		if (code == FTSI_EXIT_DONE) code = look(play);
		if (code == FTSI_EXIT_DONE) code = run(play);
	} else {
		code = ftsi_fail_usage(cli, "MATCH: no name of a match is that long");
	}
	free(play);
	return code;
}
