/* Why this file exists: see server/health.h. */
#include "server/health.h"

#include <stdio.h>
#include <unistd.h>

#include <fts/health/v1/health.fts.h>

#include "rpc/statistics.h"

static char *add_reason(struct ftsi_health_report *report)
{
	size_t place = report->message.n_reasons++;
	report->reasons[place] = report->texts[place];
	return report->texts[place];
}

void ftsi_health_look(struct ftsi_health *health, struct ftsi_health_report *out_report)
{
	Fts__Health__V1__Report *message = &out_report->message;
	struct fts_replica_status replica;
	struct fts_server_work work;
	fts_replica_status(health->replica, &replica);
	fts_server_work(health->server, &work);
	fts__health__v1__report__init(message);
	message->name = (char *)(uintptr_t)health->name;
	message->progress = replica.progress + work.answered_count;
	message->oldest_call_ms = work.oldest_ms;
	message->queue = work.open_count; /* commands that wait are calls as well */
	message->pid = (uint64_t)getpid();
	message->reasons = out_report->reasons;
	if (replica.disk_full)
		snprintf(add_reason(out_report), sizeof(out_report->texts[0]),
			 "the disk is nearly full: writes are refused, reads go on");
	if (work.overrun != NULL)
		snprintf(add_reason(out_report), sizeof(out_report->texts[0]), "%s has been running for %u ms",
			 work.overrun->full_name, work.overrun_ms);
	message->state = !replica.ready           ? FTS__HEALTH__V1__STATE__LIVE
			 : message->n_reasons > 0 ? FTS__HEALTH__V1__STATE__DEGRADED
						  : FTS__HEALTH__V1__STATE__READY;
}

static void ping(struct fts_call *call, const Fts__Health__V1__PingRequest *request, void *ctx)
{
	Fts__Health__V1__PingResponse response = FTS__HEALTH__V1__PING_RESPONSE__INIT;
	(void)ctx;
	response.payload = request->payload;
	fts_health_ping_reply(call, &response);
}

static void check(struct fts_call *call, const Fts__Health__V1__CheckRequest *request, void *ctx)
{
	Fts__Health__V1__CheckResponse response = FTS__HEALTH__V1__CHECK_RESPONSE__INIT;
	struct ftsi_health_report report;
	(void)request;
	ftsi_health_look(ctx, &report);
	report.message.queue -= report.message.queue > 0; /* this call itself */
	response.report = &report.message;
	fts_health_check_reply(call, &response);
}

enum fts_status ftsi_health_serve(struct ftsi_health *health, struct fts_error *out_error)
{
	static const struct fts_health_handlers handlers = {.ping = ping, .check = check};
	return fts_health_register(health->server, &handlers, health, out_error);
}
