/* Why this file exists: the console of a member; see elect_console.h. On a terminal a thread edits lines (libedit keeps
 * history and keys) and hands them to the agent's loop through a pipe; a pipe is read by the loop itself.
 *
 * Invariant: what a command does, it does on the loop; the editing thread only reads. */
#include "client/cli/elect_console.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <fts/elector/v1/elector.fts.h>

#include "client/cli/elect_words.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/value.h"
#include "rpc/endpoint.h"

#define HISTORY_LINES 1000
#define SLEEP_MAX_S 86400.0

struct console {
	struct ftsi_agent *agent;
	int pipe_fds[2]; /* from the editing thread */
	pthread_t editor;
};

struct command {
	const char *word, *arguments, *purpose;
	void (*run)(struct console *console, const char *rest);
};

/* ---- Commands ---- */

static void show_help(struct console *console, const char *rest);

static void show_master(struct console *console, const char *rest)
{
	struct ftsi_agent *agent = console->agent;
	(void)rest;
	(void)ftsi_elect_tell_role(agent->cli, ftsi_agent_is_master(agent) ? "MASTER" : "STANDBY", agent->shown_master,
				   agent->shown_fence);
}

static void show_time(struct console *console, const char *rest)
{
	char started[24];
	(void)rest;
	(void)ftsi_elect_tell_text(console->agent->cli, "started", "time",
				   ftsi_time_format(started, sizeof(started), console->agent->started_ms));
}

/* The members, as the cluster knows them. Returned (free_unpacked); NULL: told why not. */
static Fts__Elector__V1__StatusResponse *ask_members(struct console *console)
{
	Fts__Elector__V1__StatusRequest request = FTS__ELECTOR__V1__STATUS_REQUEST__INIT;
	Fts__Elector__V1__StatusResponse *response = NULL;
	struct fts_call_options options = {.timeout_ms = console->agent->options.lease_ms / 4, .stale = true};
	struct fts_error error = {0};
	request.election = (char *)console->agent->options.election;
	if (fts_elector_status(console->agent->cli->channel, &request, &options, &response, &error) != FTS_OK) {
		ftsi_note("%s", error.detail);
		return NULL;
	}
	return response;
}

static void show_count(struct console *console, const char *rest)
{
	char count[24];
	(void)rest;
	Fts__Elector__V1__StatusResponse *members = ask_members(console);
	if (members == NULL) return;
	(void)snprintf(count, sizeof(count), "%zu", members->n_members);
	(void)ftsi_elect_tell_text(console->agent->cli, "members", "count", count);
	fts__elector__v1__status_response__free_unpacked(members, NULL);
}

static void show_list(struct console *console, const char *rest)
{
	(void)rest;
	Fts__Elector__V1__StatusResponse *members = ask_members(console);
	if (members == NULL) return;
	for (size_t i = 0; i < members->n_members; i++) {
		const Fts__Elector__V1__Member *member = members->members[i];
		char line[256], started[24];
		(void)snprintf(line, sizeof(line), "%s%s at %s since %s", member->id,
			       strcmp(member->id, members->master) == 0 ? " (master)" : "", member->address,
			       ftsi_time_format(started, sizeof(started), member->started_ms));
		(void)ftsi_elect_tell_text(console->agent->cli, "member", "line", line);
	}
	fts__elector__v1__status_response__free_unpacked(members, NULL);
}

static void on_sent(void *ctx, enum fts_status status, const ProtobufCMessage *response, const struct fts_error *error)
{
	(void)ctx;
	(void)response;
	if (status != FTS_OK) ftsi_note("the message was not sent: %s", error->detail);
}

static void send_message(struct console *console, const char *rest)
{
	Fts__Elector__V1__MessageRequest request = FTS__ELECTOR__V1__MESSAGE_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = console->agent->cli->timeout_ms};
	request.election = (char *)console->agent->options.election;
	request.sender = (char *)console->agent->options.id;
	request.text = (char *)rest;
	if (fts_channel_start(console->agent->cli->channel, fts_elector_message_method, &request.base, &options,
			      on_sent, NULL, NULL) != FTS_OK)
		ftsi_note("the message was not sent: too much is under way");
}

static void set_script(struct console *console, char ***words, const char *rest)
{
	struct ftsi_agent_options *options = &console->agent->options;
	char **taken = rest[0] == 0 ? NULL : ftsi_words_split(rest);
	if (rest[0] != 0 && (taken == NULL || !ftsi_script_fits(options->election, options->id, taken))) {
		ftsi_note("no command, a quote without end, or too long");
		ftsi_words_free(taken);
		return;
	}
	ftsi_words_free(*words);
	*words = taken;
	options->edition++;
}

static void set_standby(struct console *console, const char *rest)
{
	set_script(console, &console->agent->options.on_standby, rest);
}

static void set_master(struct console *console, const char *rest)
{
	set_script(console, &console->agent->options.on_master, rest);
}

static void set_loop(struct console *console, const char *rest)
{
	if (strcmp(rest, "0") != 0 && strcmp(rest, "1") != 0) {
		ftsi_note("-loop 1 or -loop 0");
		return;
	}
	console->agent->options.loop = rest[0] == '1';
	console->agent->terms_changed = true;
}

static void set_sleep(struct console *console, const char *rest)
{
	char *end;
	double seconds = strtod(rest, &end);
	if (end == rest || *end != 0 || !(seconds >= 0 && seconds <= SLEEP_MAX_S)) {
		ftsi_note("-sslp SECONDS, as 0.5");
		return;
	}
	console->agent->options.sleep_ms = (uint32_t)(seconds * 1000);
	console->agent->terms_changed = true;
}

static void connect_to(struct console *console, const char *rest)
{
	char host[128], port[16], extra, endpoint[160];
	struct ftsi_endpoint parsed;
	struct fts_error error;
	if (sscanf(rest, "%127s %15s %c", host, port, &extra) != 2) {
		ftsi_note("-c HOST PORT");
		return;
	}
	(void)snprintf(endpoint, sizeof(endpoint), strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
	/* Before anything is left: a slip of the finger must not cost a mastership. */
	if (ftsi_endpoint_parse(endpoint, strlen(endpoint), &parsed, &error) != FTS_OK) {
		ftsi_note("%s", error.detail);
		return;
	}
	ftsi_agent_move(console->agent, endpoint);
}

static void quit(struct console *console, const char *rest)
{
	(void)rest;
	ftsi_agent_stop(console->agent);
}

static const struct command commands[] = {
    {"-h", "", "this list", show_help},
    {"-c", " HOST PORT", "take part through the node there; it leads on to the right one", connect_to},
    {"-m", "", "is this the master?", show_master},
    {"-t", "", "when this member was started", show_time},
    {"-cn", "", "how many members there are", show_count},
    {"-cl", "", "list the members", show_list},
    {"-msg", " TEXT", "send TEXT to all members", send_message},
    {"-ds", " SCRIPT ARGS", "run this while not master; without SCRIPT: nothing", set_standby},
    {"-ms", " SCRIPT ARGS", "run this while master; without SCRIPT: nothing", set_master},
    {"-loop", " 1|0", "run a script that ended again, or not", set_loop},
    {"-sslp", " SECONDS", "pause between two runs", set_sleep},
    {"quit", "", "stop the script, leave, end", quit},
};

static void show_help(struct console *console, const char *rest)
{
	(void)rest;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char line[160];
		(void)snprintf(line, sizeof(line), "%s%s  %s", commands[i].word, commands[i].arguments,
			       commands[i].purpose);
		(void)ftsi_elect_tell_text(console->agent->cli, "help", "line", line);
	}
}

static void on_line(void *ctx, char *line)
{
	struct console *console = ctx;
	if (line == NULL) { /* the end of the input */
		quit(console, "");
		return;
	}
	line += strspn(line, " \t");
	for (size_t length = strlen(line); length > 0 && strchr(" \t\r", line[length - 1]) != NULL; length--)
		line[length - 1] = 0;
	size_t length = strcspn(line, " \t");
	const char *rest = line + length + strspn(line + length, " \t");
	for (size_t i = 0; length > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strlen(commands[i].word) == length && memcmp(commands[i].word, line, length) == 0) {
			commands[i].run(console, rest);
			return;
		}
	if (length > 0) ftsi_note("unknown command %.*s: -h lists them", (int)length, line);
}

/* ---- A terminal ---- */

static char *prompt(EditLine *editor)
{
	static char text[] = "> ";
	(void)editor;
	return text;
}

static void *edit(void *ctx)
{
	struct console *console = ctx;
	EditLine *editor = el_init("fts-cli", stdin, stdout, stderr);
	History *past = history_init();
	HistEvent event;
	const char *line;
	int count;
	if (editor == NULL || past == NULL) goto out;
	(void)history(past, &event, H_SETSIZE, HISTORY_LINES);
	el_set(editor, EL_PROMPT, prompt);
	el_set(editor, EL_EDITOR, "emacs");
	el_set(editor, EL_HIST, history, past);
	while ((line = el_gets(editor, &count)) != NULL && count > 0) {
		if (count > 1) (void)history(past, &event, H_ENTER, line);
		if (write(console->pipe_fds[1], line, (size_t)count) != count) break;
	}
out:
	if (past != NULL) history_end(past);
	if (editor != NULL) el_end(editor);
	close(console->pipe_fds[1]);
	return NULL;
}

/* The terminal is given back as it was: the thread may be in the middle of a line. */
static enum ftsi_exit run_on_terminal(struct console *console)
{
	struct termios before;
	bool known = tcgetattr(STDIN_FILENO, &before) == 0;
	enum ftsi_exit code = FTSI_EXIT_NO;
	if (pipe2(console->pipe_fds, O_CLOEXEC) != 0) return code;
	if (pthread_create(&console->editor, NULL, edit, console) == 0) {
		code = ftsi_agent_run(console->agent, console->pipe_fds[0], on_line, console);
		pthread_detach(console->editor); /* it waits for a key; the process ends */
	}
	if (known) (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	return code;
}

enum ftsi_exit ftsi_console_run(struct ftsi_agent *agent)
{
	static struct console console; /* the editing thread may outlive the call */
	console.agent = agent;
	agent->patient = true; /* -c may name other servers */
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) return run_on_terminal(&console);
	return ftsi_agent_run(agent, STDIN_FILENO, on_line, &console);
}
