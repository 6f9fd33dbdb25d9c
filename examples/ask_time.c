/* A caller: asks a worker for the time.
 *   ask_time [HOST:PORT,...] */
#include <fts/worker.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	const struct fts_channel_options servers = {.endpoints = argc > 1 ? argv[1] : NULL, .learn_members = true};
	const struct fts_caller_call terms = {.timeout_ms = 10000, .wait_ms = 5000};
	struct fts_channel *channel = NULL;
	struct fts_caller *caller = NULL;
	struct fts_outcome outcome = {0};
	struct fts_error error = {0};
	enum fts_status status = fts_channel_open(&servers, &channel, &error);
	if (status == FTS_OK) status = fts_caller_open(channel, NULL, &caller, &error);
	if (status == FTS_OK) status = fts_caller_call(caller, "time", (struct fts_bytes){0}, &terms, &outcome, &error);
	if (status == FTS_OK)
		printf("%s says %s", outcome.worker, outcome.output);
	else
		fprintf(stderr, "ask_time: %s (%s, executed %s)\n", error.detail, fts_status_name(status),
			fts_executed_name(error.executed));
	fts_outcome_fini(&outcome);
	fts_caller_close(caller);
	fts_channel_close(channel);
	return status == FTS_OK ? 0 : 1;
}
