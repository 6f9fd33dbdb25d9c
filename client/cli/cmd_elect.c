/* Why this file exists: the `elect` commands for those who look on, talk or ask a member to leave. */
#include <inttypes.h>
#include <stdio.h>

#include <fts/elector/v1/elector.fts.h>
#include <fts/events.h>

#include "client/cli/elect_tell.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/value.h"

static char *election_of(const struct ftsi_cli *cli)
{
	return (char *)cli->args.positionals[0];
}

/* ---- status ---- */

static void print_status_json(const Fts__Elector__V1__StatusResponse *status)
{
	json_t *members = ftsi_json("[]");
	for (size_t i = 0; i < status->n_members; i++) {
		const Fts__Elector__V1__Member *member = status->members[i];
		char started[24];
		json_array_append_new(members,
				      ftsi_json("{s:s,s:s,s:i,s:I,s:s,s:b,s:I}", "id", member->id, "started",
						ftsi_time_format(started, sizeof(started), member->started_ms),
						"priority", (int)member->priority, "lease_ms",
						(json_int_t)member->lease_ms, "address", member->address, "leaving",
						member->leaving, "joined", (json_int_t)member->joined));
	}
	ftsi_print_json(ftsi_json("{s:s,s:o,s:I,s:o,s:s,s:I,s:b}", "election", status->election, "master",
				  ftsi_elect_name(status->master), "fence", (json_int_t)status->fence, "members",
				  members, "rule", ftsi_elect_rule(status->rule), "min_members",
				  (json_int_t)status->min_members, "stepping_down", status->stepping_down));
}

static void print_status(const Fts__Elector__V1__StatusResponse *status)
{
	printf("%s: master %s, fence %" PRIu64 "%s; rule %s, at least %" PRIu32 " members\n", status->election,
	       status->master[0] == 0 ? "none" : status->master, status->fence,
	       status->stepping_down ? ", stepping down" : "", ftsi_elect_rule(status->rule), status->min_members);
	for (size_t i = 0; i < status->n_members; i++) {
		const Fts__Elector__V1__Member *member = status->members[i];
		char started[24];
		printf("  %-24s since %s  priority %" PRId32 "  lease %" PRIu32 " ms%s\n", member->id,
		       ftsi_time_format(started, sizeof(started), member->started_ms), member->priority,
		       member->lease_ms, member->leaving ? "  leaving" : "");
	}
}

enum ftsi_exit ftsi_run_elect_status(struct ftsi_cli *cli)
{
	Fts__Elector__V1__StatusRequest request = FTS__ELECTOR__V1__STATUS_REQUEST__INIT;
	Fts__Elector__V1__StatusResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	request.election = election_of(cli);
	enum fts_status status = fts_elector_status(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Elector/Status", &info);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		print_status_json(response);
	else
		print_status(response);
	fts__elector__v1__status_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- history ---- */

static void print_change(const struct ftsi_cli *cli, const Fts__Elector__V1__Change *change)
{
	char when[24];
	const char *cause = ftsi_elect_cause(change->cause);
	ftsi_time_format(when, sizeof(when), change->time_ms);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:I,s:s,s:I,s:o,s:I,s:s,s:s}", "index", (json_int_t)change->index, "time",
					  when, "time_ms", (json_int_t)change->time_ms, "master",
					  ftsi_elect_name(change->master), "fence", (json_int_t)change->fence, "cause",
					  cause, "member", change->member));
	else
		printf("%8" PRIu64 "  %s  master %-24s fence %-8" PRIu64 " %s of %s\n", change->index, when,
		       change->master[0] == 0 ? "none" : change->master, change->fence, cause, change->member);
}

enum ftsi_exit ftsi_run_elect_history(struct ftsi_cli *cli)
{
	Fts__Elector__V1__HistoryRequest request = FTS__ELECTOR__V1__HISTORY_REQUEST__INIT;
	Fts__Elector__V1__HistoryResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	request.election = election_of(cli);
	enum fts_status status = fts_elector_history(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Elector/History", &info);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	for (size_t i = 0; i < response->n_changes; i++)
		print_change(cli, response->changes[i]);
	fts__elector__v1__history_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- message, resign ---- */

enum ftsi_exit ftsi_run_elect_message(struct ftsi_cli *cli)
{
	Fts__Elector__V1__MessageRequest request = FTS__ELECTOR__V1__MESSAGE_REQUEST__INIT;
	Fts__Elector__V1__MessageResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	request.election = election_of(cli);
	request.sender = (char *)ftsi_value_of(cli, "sender")->text;
	request.text = (char *)cli->args.positionals[1];
	enum fts_status status = fts_elector_message(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Elector/Message", &info);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	fts__elector__v1__message_response__free_unpacked(response, NULL);
	if (cli->json) ftsi_print_json(ftsi_json("{s:s,s:b}", "election", request.election, "sent", 1));
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_elect_resign(struct ftsi_cli *cli)
{
	Fts__Elector__V1__ResignRequest request = FTS__ELECTOR__V1__RESIGN_REQUEST__INIT;
	Fts__Elector__V1__ResignResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	request.election = election_of(cli);
	request.id = (char *)ftsi_value_of(cli, "id")->text;
	request.joined = ftsi_value_of(cli, "joined")->number;
	enum fts_status status = fts_elector_resign(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Elector/Resign", &info);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	fts__elector__v1__resign_response__free_unpacked(response, NULL);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:s,s:b}", "election", request.election, "id", request.id, "asked", 1));
	else
		printf("%s %s %s\n", request.id, request.joined == 0 ? "is asked to leave" : "has left",
		       request.election);
	return FTSI_EXIT_DONE;
}

/* ---- watch ---- */

struct watch {
	const struct ftsi_cli *cli;
	uint64_t left_count;
};

static bool on_event(void *ctx, const struct fts_event *event, uint64_t lost_count)
{
	struct watch *watch = ctx;
	struct ftsi_elect_news news;
	if (lost_count > 0) ftsi_note("%" PRIu64 " indexes before this are no longer kept", lost_count);
	if (event == NULL || !ftsi_elect_news_read(event, election_of(watch->cli), &news)) return true;
	bool goes_on = ftsi_elect_tell_news(watch->cli, &news) && --watch->left_count > 0;
	ftsi_elect_news_free(&news);
	if (!goes_on) ftsi_interrupt_wake();
	return goes_on;
}

enum ftsi_exit ftsi_run_elect_watch(struct ftsi_cli *cli)
{
	const struct ftsi_value *count = ftsi_value_of(cli, "count");
	struct watch watch = {cli, count->given ? count->number : UINT64_MAX};
	bool limited = ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given;
	struct fts_subscription *subscription = NULL;
	struct fts_error error = {0};
	struct fts_subscribe_options options = {
	    .endpoints = ftsi_endpoints(cli), .tls = ftsi_tls(cli), .topic = "elector."};
	uint8_t token[FTSI_TOKEN_MAX_BYTES + 2];
	if (ftsi_session_token(cli, token, &options.token, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	ftsi_interrupt_claim(NULL, NULL);
	options.stay_local = ftsi_session_stays_local(cli, options.token);
	if (fts_subscribe(&options, cli->timeout_ms, on_event, &watch, &subscription, &error) != FTS_OK)
		return ftsi_fail(cli, &error);
	enum ftsi_exit code = FTSI_EXIT_DONE;
	while (code == FTSI_EXIT_DONE && !ftsi_interrupt_wait(limited ? cli->timeout_ms : UINT32_MAX))
		if (limited) code = FTSI_EXIT_TIME;
	fts_subscription_close(subscription);
	return code;
}
