/* Why this file exists: `status` and `health`: how the cluster is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/cli/interrupt.h"
#include "client/cli/nodes.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/cluster/v1/cluster.fts.h"
#include "fts/health/v1/health.fts.h"

static void print_status_json(const Fts__Cluster__V1__StatusResponse *response)
{
	ftsi_print_json(ftsi_json("{s:s,s:I,s:I,s:o}", "leader", response->leader, "term", (json_int_t)response->term,
				  "index", (json_int_t)response->index, "nodes",
				  ftsi_nodes_json(response->nodes, response->n_nodes)));
}

static void print_status_table(const Fts__Cluster__V1__StatusResponse *response)
{
	printf("leader %s   term %" PRIu64 "   index %" PRIu64 "\n\n",
	       response->leader[0] ? response->leader : "(none)", response->term, response->index);
	ftsi_nodes_print(response->nodes, response->n_nodes);
}

enum ftsi_exit ftsi_run_status(struct ftsi_cli *cli)
{
	Fts__Cluster__V1__StatusRequest request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	Fts__Cluster__V1__StatusResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_cluster_status(cli->channel, &request, &options, &response, &error);

	ftsi_explain(cli, "Cluster/Status", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		print_status_json(response);
	else
		print_status_table(response);
	fts__cluster__v1__status_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

static const char *state_name(Fts__Health__V1__State state)
{
	switch (state) {
	case FTS__HEALTH__V1__STATE__LIVE:
		return "LIVE";
	case FTS__HEALTH__V1__STATE__READY:
		return "READY";
	case FTS__HEALTH__V1__STATE__DEGRADED:
		return "DEGRADED";
	default:
		return "UNKNOWN";
	}
}

static const char *kind_name(Fts__Health__V1__Kind kind)
{
	static const char *const names[] = {"unknown", "node", "worker", "agent", "watchdog"};

	return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : names[0];
}

static json_t *report_json(const Fts__Health__V1__Report *report)
{
	json_t *reasons = ftsi_json("[]");

	for (size_t i = 0; i < report->n_reasons; i++)
		json_array_append_new(reasons, ftsi_json("s", report->reasons[i]));
	return ftsi_json("{s:s,s:s,s:s,s:I,s:I,s:I,s:o}", "name", report->name, "kind", kind_name(report->kind), "state",
			 state_name(report->state),
			 "progress", (json_int_t)report->progress, "oldest_call_ms", (json_int_t)report->oldest_call_ms,
			 "queue", (json_int_t)report->queue, "reasons", reasons);
}

static void print_health_json(const Fts__Health__V1__SurveyResponse *survey)
{
	json_t *answered = ftsi_json("[]"), *missing = ftsi_json("[]");

	for (size_t i = 0; i < survey->n_answered; i++)
		json_array_append_new(answered, report_json(survey->answered[i]));
	for (size_t i = 0; i < survey->n_missing; i++)
		json_array_append_new(missing, ftsi_json("s", survey->missing[i]));
	ftsi_print_json(ftsi_json("{s:o,s:o,s:I}", "answered", answered, "missing", missing, "took_ms",
				  (json_int_t)survey->took_ms));
}

static void print_health_table(const Fts__Health__V1__SurveyResponse *survey)
{
	printf("%-20s %-8s %-9s %14s %14s %8s\n", "NAME", "KIND", "STATE", "PROGRESS", "OLDEST CALL", "QUEUE");
	for (size_t i = 0; i < survey->n_answered; i++) {
		const Fts__Health__V1__Report *report = survey->answered[i];
		bool ready = report->state == FTS__HEALTH__V1__STATE__READY;
		printf("%-20s %-8s ", report->name, kind_name(report->kind));
		ftsi_print_state(ready ? 'g' : 'w', 9, state_name(report->state));
		printf(" %14" PRIu64 " %11" PRIu32 " ms %8" PRIu32, report->progress, report->oldest_call_ms,
		       report->queue);
		for (size_t k = 0; k < report->n_reasons; k++)
			printf("%s%s", k ? "; " : "  ", report->reasons[k]);
		putchar('\n');
	}
	for (size_t i = 0; i < survey->n_missing; i++) {
		printf("%-20s %-8s ", survey->missing[i], "");
		ftsi_print_state('b', 9, "MISSING");
		putchar('\n');
	}
	printf("%zu answered, %zu missing, took %" PRIu32 " ms\n", survey->n_answered, survey->n_missing,
	       survey->took_ms);
}

static enum ftsi_exit judge(const Fts__Health__V1__SurveyResponse *survey)
{
	if (survey->n_answered == 0) return FTSI_EXIT_UNREACHABLE;
	if (survey->n_missing > 0) return FTSI_EXIT_PARTLY;
	for (size_t i = 0; i < survey->n_answered; i++)
		if (survey->answered[i]->state != FTS__HEALTH__V1__STATE__READY) return FTSI_EXIT_NO;
	return FTSI_EXIT_DONE;
}

/* No server could be asked: everybody the user named is missing, told in the shape of a survey. */
static void print_nobody(const struct ftsi_cli *cli, uint32_t took_ms, const struct fts_error *error)
{
	char endpoints[1024];
	char *names[16], *rest = NULL;
	Fts__Health__V1__SurveyResponse nobody = FTS__HEALTH__V1__SURVEY_RESPONSE__INIT;

	snprintf(endpoints, sizeof(endpoints), "%s", ftsi_endpoints(cli));
	for (char *name = strtok_r(endpoints, ",", &rest); name && nobody.n_missing < 16;
	     name = strtok_r(NULL, ",", &rest))
		names[nobody.n_missing++] = name;
	nobody.missing = names;
	nobody.took_ms = took_ms;
	if (cli->json)
		print_health_json(&nobody);
	else
		print_health_table(&nobody);
	ftsi_note("%s", error->detail);
}

static enum ftsi_exit survey_once(struct ftsi_cli *cli)
{
	Fts__Health__V1__SurveyRequest request = FTS__HEALTH__V1__SURVEY_REQUEST__INIT;
	Fts__Health__V1__SurveyResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	uint64_t begin_ns = fts_clock_monotonic_ns();

	request.wait_ms = (uint32_t)ftsi_value_of(cli, "wait")->number;
	enum fts_status st = fts_health_survey(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Health/Survey", &info);
	if (st == FTS_UNAVAILABLE) {
		print_nobody(cli, (uint32_t)((fts_clock_monotonic_ns() - begin_ns) / 1000000), &error);
		return FTSI_EXIT_UNREACHABLE;
	}
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		print_health_json(response);
	else
		print_health_table(response);
	enum ftsi_exit code = judge(response);
	fts__health__v1__survey_response__free_unpacked(response, NULL);
	return code;
}

/* Until stopped; the end by Ctrl-C is the intended one. */
static enum ftsi_exit watch(struct ftsi_cli *cli)
{
	bool redraw = !cli->json && ftsi_is_terminal(stdout);

	ftsi_interrupt_claim(NULL, NULL);
	do {
		if (redraw) printf("\033[H\033[2J");
		survey_once(cli);
		fflush(stdout);
	} while (ftsi_output_open() && !ftsi_interrupt_wait((uint32_t)ftsi_value_of(cli, "interval")->number));
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_health(struct ftsi_cli *cli)
{
	if (!ftsi_value_of(cli, "watch")->given) return survey_once(cli);
	return watch(cli);
}
