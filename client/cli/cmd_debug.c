/* Why this file exists: `debug hang`: a fault in one node, for tests and demonstrations. The node refuses it unless it
 * was started with --debug-hooks. */
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/debug/v1/debug.fts.h"

#define ANSWER_MS 500 /* a handler that hangs answers nobody: it is asked, and left */

static const struct {
	const char *name;
	Fts__Debug__V1__Fault fault;
} faults[] = {
    {"loop", FTS__DEBUG__V1__FAULT__LOOP_HANGS},
    {"disk", FTS__DEBUG__V1__FAULT__DISK_HANGS},
    {"handler", FTS__DEBUG__V1__FAULT__HANDLER_HANGS},
    {"slow-loop", FTS__DEBUG__V1__FAULT__LOOP_SLOW},
};

static Fts__Debug__V1__Fault fault_of(const char *name)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (strcmp(faults[i].name, name) == 0) return faults[i].fault;
	return FTS__DEBUG__V1__FAULT__FAULT_UNKNOWN;
}

/* One node and no other: a call that moves on would break the next one too. */
static enum fts_status open_one(const struct ftsi_cli *cli, struct fts_channel **out_channel,
				struct fts_error *out_error)
{
	struct fts_channel_options options = {.endpoints = ftsi_endpoints(cli), .tls = ftsi_tls(cli)};

	if (strchr(options.endpoints, ','))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "name the one node that is to hang: --endpoints HOST:PORT");
	return fts_channel_open(&options, out_channel, out_error);
}

enum ftsi_exit ftsi_run_debug_hang(struct ftsi_cli *cli)
{
	Fts__Debug__V1__CauseRequest request = FTS__DEBUG__V1__CAUSE_REQUEST__INIT;
	Fts__Debug__V1__CauseResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info = {0};
	struct fts_call_options options = {.timeout_ms = cli->timeout_ms, .no_retry = true, .info = &info};

	request.fault = fault_of(cli->args.positionals[0]);
	request.duration_ms = (uint32_t)ftsi_value_of(cli, "for")->number;
	if (request.fault == FTS__DEBUG__V1__FAULT__FAULT_UNKNOWN)
		return ftsi_fail_usage(cli, "%s: expected loop, disk, handler or slow-loop", cli->args.positionals[0]);
	if (open_one(cli, &cli->channel, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	bool answers = request.fault != FTS__DEBUG__V1__FAULT__HANDLER_HANGS;
	if (!answers) options.timeout_ms = ANSWER_MS;
	enum fts_status st = fts_debug_cause(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Debug/Cause", &info);
	if (st == FTS_OK) fts__debug__v1__cause_response__free_unpacked(response, NULL);
	if (st != FTS_OK && (answers || st != FTS_DEADLINE_EXCEEDED)) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:I}", "hangs", cli->args.positionals[0], "for_ms",
					  (json_int_t)request.duration_ms));
	else
		printf("%s hangs for %u ms\n", cli->args.positionals[0], request.duration_ms);
	return FTSI_EXIT_DONE;
}
