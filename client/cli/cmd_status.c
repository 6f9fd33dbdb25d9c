/* Why this file exists: `status` and `health`: how the cluster is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/cli/interrupt.h"
#include "client/cli/nodes.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/utf8.h"
#include "fts/cluster/v1/cluster.fts.h"
#include "fts/health/v1/health.fts.h"
#include "fts/kv/v1/kv.fts.h"
#include "rpc/endpoint.h"

#define PROGRESS_MS 3000
#define WATCH_SPARE_MS 1000 /* for an answer that a watching terminal waits for */
#define TEXT_BYTES 512u

/* ---- status ---- */

static json_t *progress_json(const Fts__Kv__V1__ProgressResponse *progress)
{
	json_t *nodes = ftsi_json("[]");

	for (size_t i = 0; i < progress->n_nodes; i++) {
		const Fts__Kv__V1__NodeProgress *node = progress->nodes[i];
		json_array_append_new(
		    nodes, ftsi_json("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "name", node->name, "answered",
				     node->answered, "arriving", (json_int_t)node->arriving, "hints_pending",
				     (json_int_t)node->hints_pending, "hint_bytes", (json_int_t)node->hint_bytes,
				     "hints_dropped", (json_int_t)node->hints_dropped, "mended",
				     (json_int_t)node->mended, "damaged", (json_int_t)node->damaged, "lost",
				     (json_int_t)node->lost, "stuck", (json_int_t)node->stuck));
	}
	return ftsi_json("{s:I,s:I,s:o}", "epoch", (json_int_t)progress->epoch, "moving", (json_int_t)progress->moving,
			 "nodes", nodes);
}

/* kv: NULL: it could not be asked. */
static void print_status_json(const Fts__Cluster__V1__StatusResponse *response, const Fts__Kv__V1__ProgressResponse *kv)
{
	json_t *json =
	    ftsi_json("{s:s,s:I,s:I,s:o}", "leader", response->leader, "term", (json_int_t)response->term, "index",
		      (json_int_t)response->index, "nodes", ftsi_nodes_json(response->nodes, response->n_nodes));

	if (response->format) json_object_set_new(json, "format", json_integer(response->format));
	if (kv) json_object_set_new(json, "kv", progress_json(kv));
	ftsi_print_json(json);
}

/* Only what is under way, or was: nothing to say is the rule. */
static void print_progress(const Fts__Kv__V1__ProgressResponse *kv)
{
	if (kv->moving > 0) printf("\nkv: %" PRIu32 " replicas of partitions on their way\n", kv->moving);
	for (size_t i = 0; i < kv->n_nodes; i++) {
		const Fts__Kv__V1__NodeProgress *node = kv->nodes[i];
		if (node->arriving > 0) printf("kv: %s: %" PRIu32 " partitions come\n", node->name, node->arriving);
		if (node->hints_pending > 0)
			printf("kv: %s keeps %" PRIu64 " writes (%" PRIu64 " KiB) for owners that are away\n",
			       node->name, node->hints_pending, node->hint_bytes / 1024);
		if (node->hints_dropped > 0)
			printf("kv: %s had to drop %" PRIu64 " of them: those partitions are compared\n", node->name,
			       node->hints_dropped);
		if (node->damaged > 0)
			printf("kv: %s met %" PRIu64 " damaged records: look at its disk\n", node->name, node->damaged);
		if (node->lost > 0)
			printf("kv: %s has lost %" PRIu32 " partitions with its disk, and gets them from the others\n",
			       node->name, node->lost);
		if (node->stuck > 0)
			printf("kv: %s waits for owners of %" PRIu32
			       " partitions that do not answer: start them again, or, when they are gone for good, see "
			       "kv accept-loss\n",
			       node->name, node->stuck);
	}
}

/* While it is upgraded: who is of which version. */
static void print_versions(const Fts__Cluster__V1__StatusResponse *response)
{
	bool differs = false;

	for (size_t i = 1; i < response->n_nodes; i++)
		differs = differs || strcmp(response->nodes[i]->version, response->nodes[0]->version) != 0;
	if (!differs) return;
	printf("\nversions differ, the cluster writes format %" PRIu32 ":", response->format);
	for (size_t i = 0; i < response->n_nodes; i++) {
		const Fts__Cluster__V1__NodeStatus *node = response->nodes[i];
		printf("%s %s %s", i == 0 ? "" : ",", node->name, node->version[0] ? node->version : "(not heard yet)");
	}
	putchar('\n');
}

/* Whose loop was late, since its process began: nothing to say is the rule. */
static void print_stalls(const Fts__Cluster__V1__StatusResponse *response)
{
	const char *before = "\n";

	for (size_t i = 0; i < response->n_nodes; i++) {
		const Fts__Cluster__V1__NodeStatus *node = response->nodes[i];
		if (node->stalls == 0) continue;
		printf("%s%s: its loop was late %" PRIu32 " time%s, by %" PRIu32 " ms at most\n", before, node->name,
		       node->stalls, node->stalls == 1 ? "" : "s", node->stall_max_ms);
		before = "";
	}
}

static void print_status_table(const Fts__Cluster__V1__StatusResponse *response,
			       const Fts__Kv__V1__ProgressResponse *kv)
{
	printf("leader %s   term %" PRIu64 "   index %" PRIu64 "\n\n",
	       response->leader[0] ? response->leader : "(none)", response->term, response->index);
	ftsi_nodes_print(response->nodes, response->n_nodes);
	print_versions(response);
	print_stalls(response);
	if (kv) print_progress(kv);
}

/* NULL: no node that knows it answers in time; the rest of the status is told all the same. */
static Fts__Kv__V1__ProgressResponse *ask_progress(struct ftsi_cli *cli)
{
	Fts__Kv__V1__ProgressRequest request = FTS__KV__V1__PROGRESS_REQUEST__INIT;
	Fts__Kv__V1__ProgressResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	if (options.timeout_ms > PROGRESS_MS) options.timeout_ms = PROGRESS_MS;
	options.no_retry = true;
	return fts_kv_progress(cli->channel, &request, &options, &response, NULL) == FTS_OK ? response : NULL;
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
	Fts__Kv__V1__ProgressResponse *kv = ask_progress(cli);
	if (cli->json)
		print_status_json(response, kv);
	else
		print_status_table(response, kv);
	if (kv) fts__kv__v1__progress_response__free_unpacked(kv, NULL);
	fts__cluster__v1__status_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- health ---- */

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
		json_array_append_new(reasons, ftsi_text_json(report->reasons[i]));
	json_t *made = ftsi_json("{s:o,s:s,s:s,s:I,s:I,s:I,s:o}", "name", ftsi_text_json(report->name), "kind",
				 kind_name(report->kind), "state", state_name(report->state), "progress",
				 (json_int_t)report->progress, "oldest_call_ms", (json_int_t)report->oldest_call_ms,
				 "queue", (json_int_t)report->queue, "reasons", reasons);
	if (report->said_ms_ago > 0) /* it was not asked: it said this by itself */
		json_object_set_new(made, "said_ms_ago", json_integer(report->said_ms_ago));
	return made;
}

static void print_health_json(const Fts__Health__V1__SurveyResponse *survey)
{
	json_t *answered = ftsi_json("[]"), *missing = ftsi_json("[]");

	for (size_t i = 0; i < survey->n_answered; i++)
		json_array_append_new(answered, report_json(survey->answered[i]));
	for (size_t i = 0; i < survey->n_missing; i++)
		json_array_append_new(missing, ftsi_text_json(survey->missing[i]));
	ftsi_print_json(ftsi_json("{s:o,s:o,s:I}", "answered", answered, "missing", missing, "took_ms",
				  (json_int_t)survey->took_ms));
}

/* Whoever answers says what it is called: nothing of that steers a terminal. */
static void print_health_table(const Fts__Health__V1__SurveyResponse *survey)
{
	char text[TEXT_BYTES];

	printf("%-20s %-8s %-9s %14s %14s %8s\n", "NAME", "KIND", "STATE", "PROGRESS", "OLDEST CALL", "QUEUE");
	for (size_t i = 0; i < survey->n_answered; i++) {
		const Fts__Health__V1__Report *report = survey->answered[i];
		bool ready = report->state == FTS__HEALTH__V1__STATE__READY;
		printf("%-20s %-8s ", ftsi_utf8_clean(text, sizeof(text), report->name, false),
		       kind_name(report->kind));
		ftsi_print_state(ready ? 'g' : 'w', 9, state_name(report->state));
		printf(" %14" PRIu64 " %11" PRIu32 " ms %8" PRIu32, report->progress, report->oldest_call_ms,
		       report->queue);
		for (size_t k = 0; k < report->n_reasons; k++)
			printf("%s%s", k ? "; " : "  ", ftsi_utf8_clean(text, sizeof(text), report->reasons[k], false));
		putchar('\n');
	}
	for (size_t i = 0; i < survey->n_missing; i++) {
		printf("%-20s %-8s ", ftsi_utf8_clean(text, sizeof(text), survey->missing[i], false), "");
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
	struct ftsi_endpoint_list endpoints = {.count = 0};
	char *names[FTSI_ENDPOINT_COUNT_MAX];
	Fts__Health__V1__SurveyResponse nobody = FTS__HEALTH__V1__SURVEY_RESPONSE__INIT;

	if (ftsi_endpoint_list_parse(ftsi_endpoints(cli), &endpoints, NULL) != FTS_OK)
		endpoints.count = 0; /* the channel has read it before */
	for (; nobody.n_missing < endpoints.count; nobody.n_missing++)
		names[nobody.n_missing] = endpoints.items[nobody.n_missing].text;
	nobody.missing = names;
	nobody.took_ms = took_ms;
	if (cli->json)
		print_health_json(&nobody);
	else
		print_health_table(&nobody);
	(void)fflush(stdout); /* or the note would be wiped with the screen that comes behind it */
	ftsi_note("%s", error->detail);
}

/* cap_ms: no question takes longer, whatever the time limit is; who has not answered by then is missing. 0: none. */
static enum ftsi_exit survey_once(struct ftsi_cli *cli, uint64_t cap_ms)
{
	Fts__Health__V1__SurveyRequest request = FTS__HEALTH__V1__SURVEY_REQUEST__INIT;
	Fts__Health__V1__SurveyResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	uint64_t begin_ns = fts_clock_monotonic_ns();

	request.wait_ms = (uint32_t)ftsi_value_of(cli, "wait")->number;
	bool capped = cap_ms > 0 && cap_ms < options.timeout_ms;
	if (capped) options.timeout_ms = (uint32_t)cap_ms;
	enum fts_status st = fts_health_survey(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Health/Survey", &info);
	if (st == FTS_DEADLINE_EXCEEDED && capped)
		st = fts_error_set(&error, FTS_UNAVAILABLE, "nobody answers, for %" PRIu32 " ms now",
				   options.timeout_ms);
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
	uint32_t interval_ms = (uint32_t)ftsi_value_of(cli, "interval")->number;
	uint32_t wait_ms = (uint32_t)ftsi_value_of(cli, "wait")->number;
	uint64_t cap_ms = (uint64_t)(interval_ms > wait_ms ? interval_ms : wait_ms) + WATCH_SPARE_MS;

	ftsi_interrupt_claim(NULL, NULL);
	do {
		if (redraw) printf("\033[H\033[2J");
		survey_once(cli, cap_ms);
		fflush(stdout);
	} while (ftsi_output_open() && !ftsi_interrupt_wait(interval_ms));
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_health(struct ftsi_cli *cli)
{
	if (!ftsi_value_of(cli, "watch")->given) return survey_once(cli, 0);
	return watch(cli);
}
