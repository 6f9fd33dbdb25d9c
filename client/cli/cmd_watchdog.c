/* Why this file exists: `watchdog status|start|stop|restart`: what fts-watchdog supervises, and what it is told. It is
 * asked itself, at --watchdog or FTS_WATCHDOG, not by way of the nodes: it is wanted most when they are down. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/watchdog/v1/watchdog.fts.h"

static const char *endpoint_of(const struct ftsi_cli *cli)
{
	const struct ftsi_value *flag = ftsi_value_of(cli, "watchdog");
	const char *environment = getenv("FTS_WATCHDOG");

	return !flag->given && environment && *environment ? environment : flag->text;
}

static enum fts_status connect_to(struct ftsi_cli *cli, struct fts_error *out_error)
{
	return ftsi_session_channel_to(cli, endpoint_of(cli), &cli->channel, out_error);
}

/* ---- Status ---- */

static const char *state_name(Fts__Watchdog__V1__ProcessState state)
{
	static const char *const names[] = {"UNKNOWN", "STARTING",    "RUNNING", "STOPPING",
					    "BACKOFF", "QUARANTINED", "STOPPED"};

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : names[0];
}

static json_t *process_json(const Fts__Watchdog__V1__Process *process)
{
	return ftsi_json("{s:s,s:I,s:s,s:I,s:s,s:s,s:I,s:I,s:s,s:s}", "name", process->name, "pid",
			 (json_int_t)process->pid, "state", state_name(process->state), "restarts",
			 (json_int_t)process->restarts, "last_reason", process->last_reason, "detail", process->detail,
			 "uptime_ms", (json_int_t)process->uptime_ms, "next_start_ms",
			 (json_int_t)process->next_start_ms, "capture", process->capture, "held", process->held);
}

static void print_json(const Fts__Watchdog__V1__StatusResponse *response)
{
	json_t *processes = ftsi_json("[]");

	for (size_t i = 0; i < response->n_processes; i++)
		json_array_append_new(processes, process_json(response->processes[i]));
	ftsi_print_json(ftsi_json("{s:s,s:I,s:I,s:o}", "name", response->name, "pid", (json_int_t)response->pid,
				  "index", (json_int_t)response->index, "processes", processes));
}

static char colour_of(const Fts__Watchdog__V1__Process *process)
{
	if (process->held[0] || process->state == FTS__WATCHDOG__V1__PROCESS_STATE__QUARANTINED) return 'b';
	return process->state == FTS__WATCHDOG__V1__PROCESS_STATE__RUNNING ? 'g' : 'w';
}

static void print_process(const Fts__Watchdog__V1__Process *process)
{
	printf("%-16s %8" PRIu64 " ", process->name, process->pid);
	ftsi_print_state(colour_of(process), 11, state_name(process->state));
	printf(" %8" PRIu32 " %10" PRIu64 " s  %-8s", process->restarts, process->uptime_ms / 1000,
	       process->last_reason);
	if (process->held[0])
		printf(" held: %s", process->held);
	else if (process->next_start_ms)
		printf(" next start in %" PRIu64 " ms; %s", process->next_start_ms, process->detail);
	else
		printf(" %s", process->detail);
	putchar('\n');
	if (process->capture[0]) printf("%16s what it was doing: %s\n", "", process->capture);
}

static void print_table(const Fts__Watchdog__V1__StatusResponse *response)
{
	printf("watchdog %s   pid %" PRIu64 "\n\n%-16s %8s %-11s %8s %12s  %-8s %s\n", response->name, response->pid,
	       "PROCESS", "PID", "STATE", "RESTARTS", "UP", "LAST END", "DETAIL");
	for (size_t i = 0; i < response->n_processes; i++)
		print_process(response->processes[i]);
}

/* Every process that is wanted runs, and none is stuck. */
static enum ftsi_exit judge(const Fts__Watchdog__V1__StatusResponse *response)
{
	for (size_t i = 0; i < response->n_processes; i++)
		if (colour_of(response->processes[i]) == 'b') return FTSI_EXIT_NO;
	return FTSI_EXIT_DONE;
}

static enum ftsi_exit status_once(struct ftsi_cli *cli)
{
	Fts__Watchdog__V1__StatusRequest request = FTS__WATCHDOG__V1__STATUS_REQUEST__INIT;
	Fts__Watchdog__V1__StatusResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_watchdog_status(cli->channel, &request, &options, &response, &error);

	ftsi_explain(cli, "Watchdog/Status", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		print_json(response);
	else
		print_table(response);
	enum ftsi_exit code = judge(response);
	fts__watchdog__v1__status_response__free_unpacked(response, NULL);
	return code;
}

/* Until stopped; the end by Ctrl-C is the intended one. */
static enum ftsi_exit watch(struct ftsi_cli *cli)
{
	bool redraw = !cli->json && ftsi_is_terminal(stdout);

	ftsi_interrupt_claim(NULL, NULL);
	do {
		if (redraw) printf("\033[H\033[2J");
		(void)status_once(cli);
		fflush(stdout);
	} while (ftsi_output_open() && !ftsi_interrupt_wait((uint32_t)ftsi_value_of(cli, "interval")->number));
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_watchdog_status(struct ftsi_cli *cli)
{
	struct fts_error error = {0};

	if (connect_to(cli, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	return ftsi_value_of(cli, "watch")->given ? watch(cli) : status_once(cli);
}

/* ---- Control ---- */

static enum ftsi_exit control(struct ftsi_cli *cli, Fts__Watchdog__V1__Command command, const char *done)
{
	Fts__Watchdog__V1__ControlRequest request = FTS__WATCHDOG__V1__CONTROL_REQUEST__INIT;
	Fts__Watchdog__V1__ControlResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	if (connect_to(cli, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	request.name = (char *)(uintptr_t)cli->args.positionals[0];
	request.command = command;
	enum fts_status st = fts_watchdog_control(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Watchdog/Control", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	fts__watchdog__v1__control_response__free_unpacked(response, NULL);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:s}", "process", request.name, "asked", done));
	else
		printf("%s: %s\n", request.name, done);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_watchdog_start(struct ftsi_cli *cli)
{
	return control(cli, FTS__WATCHDOG__V1__COMMAND__START, "start");
}

enum ftsi_exit ftsi_run_watchdog_stop(struct ftsi_cli *cli)
{
	return control(cli, FTS__WATCHDOG__V1__COMMAND__STOP, "stop");
}

enum ftsi_exit ftsi_run_watchdog_restart(struct ftsi_cli *cli)
{
	return control(cli, FTS__WATCHDOG__V1__COMMAND__RESTART, "restart");
}
