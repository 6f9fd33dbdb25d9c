/* Why this file exists: `elect run`, and `elect fence` as a member: from arguments to an agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/elect_agent.h"
#include "client/cli/elect_console.h"
#include "client/cli/elect_run.h"
#include "client/cli/elect_words.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

#define LEASE_MIN_MS 300u

/* False: it is none of these, so it is a command. */
static bool parse_rule(const char *text, Fts__Elector__V1__Rule *out_rule)
{
	static const struct {
		const char *name;
		Fts__Elector__V1__Rule rule;
	} rules[] = {{"oldest", FTS__ELECTOR__V1__RULE__OLDEST},
		     {"youngest", FTS__ELECTOR__V1__RULE__YOUNGEST},
		     {"priority", FTS__ELECTOR__V1__RULE__PRIORITY},
		     {"lowest-id", FTS__ELECTOR__V1__RULE__LOWEST_ID}};
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(text, rules[i].name) == 0) {
			*out_rule = rules[i].rule;
			return true;
		}
	return false;
}

/* false: it can't be understood. */
static bool take_command(const struct ftsi_cli *cli, const char *flag, char ***out_words)
{
	const struct ftsi_value *value = ftsi_value_of(cli, flag);
	*out_words = NULL;
	if (!value->given) return true;
	*out_words = ftsi_value_of(cli, "shell")->given ? ftsi_words_shell(value->text) : ftsi_words_split(value->text);
	return *out_words != NULL;
}

static void name_self(const struct ftsi_cli *cli, char *buf, size_t size_bytes)
{
	char host[41] = "";
	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == 0) (void)snprintf(host, sizeof(host), "member");
	(void)snprintf(buf, size_bytes, "%s-%d", host, (int)getpid());
	const struct ftsi_value *id = ftsi_value_of(cli, "id");
	if (id->given) (void)snprintf(buf, size_bytes, "%s", id->text);
}

/* A program of that name can be run. */
static bool is_program(const char *word)
{
	char path[4096];
	const char *at = getenv("PATH");
	if (strchr(word, '/') != NULL) return access(word, X_OK) == 0;
	for (size_t size; at != NULL && *at != 0; at += size + (at[size] == ':')) {
		size = strcspn(at, ":");
		(void)snprintf(path, sizeof(path), "%.*s/%s", (int)size, at, word);
		if (size > 0 && access(path, X_OK) == 0) return true;
	}
	return false;
}

/* NULL: it is right, as with all checks here. Otherwise what is wrong, for the user. */
static const char *check_rule(const struct ftsi_cli *cli, struct ftsi_agent_options *options)
{
	const char *text = ftsi_value_of(cli, "rule")->text;
	if (parse_rule(text, &options->rule)) return NULL;
	options->rule = FTS__ELECTOR__V1__RULE__COMMAND;
	options->rule_command = ftsi_words_split(text);
	if (options->rule_command == NULL || !is_program(options->rule_command[0]))
		return "--rule: oldest, youngest, priority, lowest-id, or a command that can be run";
	return NULL;
}

/* Scripts and how they are run. */
static const char *check_scripts(const struct ftsi_cli *cli, struct ftsi_agent_options *options)
{
	if (ftsi_value_of(cli, "loop")->given && !options->loop) return "--loop and --once: one of them";
	if (!take_command(cli, "on-master", &options->on_master))
		return "--on-master: no command, or a quote without end";
	if (!take_command(cli, "on-standby", &options->on_standby))
		return "--on-standby: no command, or a quote without end";
	if (!ftsi_script_fits(options->election, options->id, options->on_master) ||
	    !ftsi_script_fits(options->election, options->id, options->on_standby))
		return "a command is too long";
	return NULL;
}

static void set_membership(const struct ftsi_cli *cli, struct ftsi_agent_options *options, char *id, size_t size_bytes)
{
	name_self(cli, id, size_bytes);
	options->election = cli->args.positionals[0];
	options->id = id;
	options->priority = (int32_t)ftsi_value_of(cli, "priority")->number;
	options->lease_ms = (uint32_t)ftsi_value_of(cli, "lease")->number;
	options->min_members = (uint32_t)ftsi_value_of(cli, "min-members")->number;
}

static enum ftsi_exit take_part(struct ftsi_cli *cli, const struct ftsi_agent_options *options, bool console)
{
	static struct ftsi_agent agent;
	struct fts_error error = {0};
	enum ftsi_exit code;
	char name[143];
	(void)snprintf(name, sizeof(name), "%.70s/%.70s", options->election, options->id);
	/* First: what it starts later must not answer the watchdog in its place. */
	struct ftsi_presence *presence = ftsi_session_presence(cli, name);
	enum fts_status status = ftsi_agent_init(&agent, cli, options, &error);
	if (status != FTS_OK)
		code = ftsi_fail(cli, &error);
	else if (console)
		code = ftsi_console_run(&agent);
	else
		code = ftsi_agent_run(&agent, -1, NULL, NULL);
	ftsi_agent_fini(&agent);
	ftsi_session_presence_end(presence);
	return code;
}

static enum ftsi_exit finish(struct ftsi_cli *cli, struct ftsi_agent_options *options, const char *wrong, bool console)
{
	if (wrong == NULL && options->lease_ms < LEASE_MIN_MS) wrong = "--lease: at least 300ms";
	if (wrong == NULL) wrong = check_rule(cli, options);
	enum ftsi_exit code = wrong != NULL ? ftsi_fail_usage(cli, "%s", wrong) : take_part(cli, options, console);
	ftsi_words_free(options->rule_command);
	return code;
}

enum ftsi_exit ftsi_run_elect_run(struct ftsi_cli *cli)
{
	char id[256];
	struct ftsi_agent_options options = {
	    .loop = !ftsi_value_of(cli, "once")->given,
	    .sleep_ms = (uint32_t)ftsi_value_of(cli, "sleep")->number,
	};
	set_membership(cli, &options, id, sizeof(id));
	const char *wrong = check_scripts(cli, &options);
	enum ftsi_exit code = finish(cli, &options, wrong, ftsi_value_of(cli, "console")->given);
	ftsi_words_free(options.on_master);
	ftsi_words_free(options.on_standby);
	return code;
}

enum ftsi_exit ftsi_elect_take_part_fenced(struct ftsi_cli *cli)
{
	char id[256];
	bool limited = ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given;
	struct ftsi_agent_options options = {
	    .fenced = true, .patience_ms = limited ? cli->timeout_ms : 0, .on_master = (char **)cli->args.rest};
	set_membership(cli, &options, id, sizeof(id));
	return finish(cli, &options, NULL, false);
}
