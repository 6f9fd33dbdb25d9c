/* Why this file exists: `worker call` and `worker list`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "client/cli/bytes.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

enum { RUN_DEFAULT_MS = 60000 };

/* ---- call ---- */

/* All of standard input. NULL: more than a worker takes, or no memory. */
static uint8_t *read_input(size_t *out_size_bytes)
{
	uint8_t *bytes = malloc(FTS_WORK_MAX + 1);
	size_t used = 0, got;
	while (bytes != NULL && used <= FTS_WORK_MAX &&
	       (got = fread(bytes + used, 1, FTS_WORK_MAX + 1 - used, stdin)) > 0)
		used += got;
	if (bytes != NULL && used <= FTS_WORK_MAX) {
		*out_size_bytes = used;
		return bytes;
	}
	free(bytes);
	return NULL;
}

static void print_outcome(const struct ftsi_cli *cli, const struct fts_outcome *outcome)
{
	if (!cli->json) {
		(void)fwrite(outcome->output, 1, outcome->output_size_bytes, stdout);
		if (outcome->exit_code != 0) ftsi_note("the worker's command ended with %d", outcome->exit_code);
		return;
	}
	json_t *object = ftsi_json("{s:s}", "worker", outcome->worker);
	ftsi_bytes_set(object, "answer", outcome->output, outcome->output_size_bytes);
	json_t *rest = ftsi_json("{s:i,s:I,s:I,s:I,s:I}", "exit", outcome->exit_code, "queued_ms",
				 (json_int_t)(outcome->queued_us / 1000), "run_ms", (json_int_t)outcome->run_ms,
				 "ticket", (json_int_t)outcome->number, "attempts", (json_int_t)outcome->attempts);
	(void)json_object_update(object, rest);
	json_decref(rest);
	(void)ftsi_print_json(object);
}

static enum ftsi_exit call(struct ftsi_cli *cli, struct fts_bytes input)
{
	uint32_t wait_ms = (uint32_t)ftsi_value_of(cli, "wait")->number;
	bool limited = ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given;
	const struct fts_caller_options options = {.tls = ftsi_tls(cli)};
	const struct fts_caller_call terms = {.timeout_ms = limited ? cli->timeout_ms : wait_ms + RUN_DEFAULT_MS,
					      .wait_ms = wait_ms};
	struct fts_caller *caller = NULL;
	struct fts_outcome outcome;
	struct fts_error error = {0};
	if (fts_caller_open(cli->channel, &options, &caller, &error) != FTS_OK) return ftsi_fail(cli, &error);
	enum fts_status status = fts_caller_call(caller, cli->args.positionals[0], input, &terms, &outcome, &error);
	enum ftsi_exit code = outcome.exit_code == 0 ? FTSI_EXIT_DONE : FTSI_EXIT_NO;
	if (status == FTS_OK)
		print_outcome(cli, &outcome);
	else
		code = ftsi_fail(cli, &error);
	if (cli->explain)
		ftsi_note("worker %s, ticket %" PRIu64 ", attempts %u, queued %" PRIu64 " us, ran %u ms",
			  outcome.worker, outcome.number, outcome.attempts, outcome.queued_us, outcome.run_ms);
	fts_outcome_fini(&outcome);
	fts_caller_close(caller);
	return code;
}

enum ftsi_exit ftsi_run_worker_call(struct ftsi_cli *cli)
{
	const char *data = ftsi_value_of(cli, "data")->text;
	struct fts_bytes input = {(const uint8_t *)data, strlen(data)};
	uint8_t *read_bytes = NULL;
	if (strcmp(data, "-") == 0) {
		read_bytes = read_input(&input.size_bytes);
		input.data = read_bytes;
		if (read_bytes == NULL)
			return ftsi_fail_usage(cli, "standard input: at most %u bytes are expected", FTS_WORK_MAX);
	}
	if (input.size_bytes > FTS_WORK_MAX) return ftsi_fail_usage(cli, "-d: at most %u bytes", FTS_WORK_MAX);
	enum ftsi_exit code = call(cli, input);
	free(read_bytes);
	return code;
}

/* ---- list ---- */

static const char *state_of(Fts__Dispatch__V1__WorkerState state)
{
	const ProtobufCEnumValue *value =
	    protobuf_c_enum_descriptor_get_value(&fts__dispatch__v1__worker_state__descriptor, (int)state);
	return value == NULL ? "UNKNOWN" : value->name;
}

static void print_json(const Fts__Dispatch__V1__ListResponse *response)
{
	json_t *workers = ftsi_json("[]");
	for (size_t i = 0; i < response->n_workers; i++) {
		const Fts__Dispatch__V1__WorkerInfo *info = response->workers[i];
		json_array_append_new(
		    workers, ftsi_json("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "name", info->name, "address",
				       info->address, "state", state_of(info->state), "running_ms",
				       (json_int_t)info->running_ms, "running", (json_int_t)info->running, "capacity",
				       (json_int_t)info->capacity, "done", (json_int_t)info->done, "in_line",
				       (json_int_t)info->in_line, "worker", (json_int_t)info->worker));
	}
	(void)ftsi_print_json(ftsi_json("{s:o}", "workers", workers));
}

static void print_table(const Fts__Dispatch__V1__ListResponse *response)
{
	if (response->n_workers == 0) printf("no workers\n");
	for (size_t i = 0; i < response->n_workers; i++) {
		const Fts__Dispatch__V1__WorkerInfo *info = response->workers[i];
		bool well = info->state == FTS__DISPATCH__V1__WORKER_STATE__FREE ||
			    info->state == FTS__DISPATCH__V1__WORKER_STATE__BUSY;
		printf("%-20s %-22s ", info->name, info->address);
		ftsi_print_state(well ? 'g' : 'w', 8, state_of(info->state));
		printf(" %u of %u running", info->running, info->capacity);
		if (info->running > 0) printf(" for %" PRIu32 " ms", info->running_ms);
		printf(", %" PRIu64 " done", info->done);
		if (info->in_line > 0) printf(", %u in line", info->in_line);
		putchar('\n');
	}
}

enum ftsi_exit ftsi_run_worker_list(struct ftsi_cli *cli)
{
	Fts__Dispatch__V1__ListRequest request = FTS__DISPATCH__V1__LIST_REQUEST__INIT;
	Fts__Dispatch__V1__ListResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	if (cli->args.positional_count > 0) request.name = (char *)cli->args.positionals[0];
	enum fts_status status = fts_dispatch_list(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Dispatch/List", &info);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		print_json(response);
	else
		print_table(response);
	fts__dispatch__v1__list_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}
