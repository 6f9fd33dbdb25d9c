/* Why this file exists: one run of fts-cli from arguments to exit code; the only place that knows the order. */
#include "client/cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/cli/args.h"
#include "client/cli/elect_script.h"
#include "client/cli/help.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/work_keeper.h"

const struct ftsi_value *ftsi_value_of(const struct ftsi_cli *cli, const char *flag)
{
	for (size_t i = 0; i < FTSI_FLAGS_MAX && cli->args.command->flags[i].name; i++)
		if (strcmp(cli->args.command->flags[i].name, flag) == 0) return &cli->args.values[i];
	FTS_ASSERT(!"the flag is declared in the command's row");
	return NULL;
}

const struct ftsi_value *ftsi_global_of(const struct ftsi_cli *cli, enum ftsi_global global)
{
	return &cli->args.globals[global];
}

static enum ftsi_exit run_command(struct ftsi_cli *cli)
{
	struct fts_error error = {0};
	enum ftsi_exit code;

	ftsi_interrupt_start(); /* without it the signals just end the program */
	if (!cli->args.command->local && ftsi_session_open(cli, &error) != FTS_OK)
		return error.status == FTS_INVALID_ARGUMENT ? ftsi_fail_usage(cli, "%s", error.detail)
							    : ftsi_fail(cli, &error);
	code = cli->args.command->run(cli);
	ftsi_session_close(cli);
	return code;
}

static void show_help(const struct ftsi_table *table, const struct ftsi_args *args, FILE *out)
{
	if (args->command)
		ftsi_help_command(out, table, args->command);
	else
		ftsi_help_overview(out, table, args->group[0] ? args->group : NULL);
}

static enum ftsi_exit dispatch(int argc, char *const *argv)
{
	static struct ftsi_value globals[FTSI_GLOBAL_COUNT];
	const struct ftsi_table table = {ftsi_commands, ftsi_command_count, ftsi_global_flags};
	struct ftsi_cli cli = {0};
	struct fts_error error = {0};
	enum fts_status st = ftsi_args_parse(&table, argc, argv, fts_clock_wall_ms(), globals, &cli.args, &error);

	cli.json = globals[FTSI_GLOBAL_JSON].given;
	cli.explain = globals[FTSI_GLOBAL_EXPLAIN].given;
	cli.timeout_ms = (uint32_t)globals[FTSI_GLOBAL_TIMEOUT].number;
	if (st != FTS_OK) {
		if (argc < 2) show_help(&table, &cli.args, stderr);
		return ftsi_fail_usage(&cli, "%s", error.detail);
	}
	if (globals[FTSI_GLOBAL_VERSION].given) {
		if (cli.json)
			ftsi_print_json(ftsi_json("{s:s}", "version", FTSI_VERSION));
		else
			printf("fts-cli %s\n", FTSI_VERSION);
		return FTSI_EXIT_DONE;
	}
	if (globals[FTSI_GLOBAL_HELP].given) {
		show_help(&table, &cli.args, stdout);
		return FTSI_EXIT_DONE;
	}
	return run_command(&cli);
}

#define GUARDIAN_LINK_FD 3 /* as elect_script.c leaves it */

int ftsi_run(int argc, char *const *argv)
{
	signal(SIGCHLD, SIG_DFL); /* who ran this may have ignored it, and then nothing is told of children's ends */
	if (argc >= 2 && strcmp(argv[1], FTSI_GUARDIAN_WORD) == 0)
		return ftsi_guardian_run(GUARDIAN_LINK_FD,
					 argc == 3 && strcmp(argv[2], FTSI_GUARDIAN_DIRECT_WORD) == 0);
	if (argc > 2 && strcmp(argv[1], FTSI_WORK_KEEPER_WORD) == 0)
		return ftsi_work_keeper_run(FTSI_WORK_KEEPER_FD, argv + 2);
	signal(SIGPIPE, SIG_IGN); /* a closed reader is seen as EPIPE, see ftsi_output_finish */
	fts_log_set_level(FTS_LOG_LEVEL_ERROR);
	return (int)ftsi_output_finish(dispatch(argc, argv));
}
