/* Why this file exists: see server/health.h. */
#include "server/health.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fts/health/v1/health.fts.h>

#include "base/clock.h"
#include "rpc/statistics.h"

#define SURVEY_WAIT_MS 500
#define SURVEY_WAIT_MS_MAX 4000 /* below the call's time limit */
#define SURVEY_NODES_MAX 64
#define QUESTION_MEMORY_BYTES 1024

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
	uint32_t watching_count = atomic_load(&health->watching_count);
	message->queue = work.open_count > watching_count ? work.open_count - watching_count : 0;
	message->oldest_call_ms = message->queue > 0 ? work.oldest_ms : 0;
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
	struct ftsi_health *health = ctx;
	(void)request;
	atomic_fetch_add(&health->watching_count, 1);
	ftsi_health_look(health, &report);
	atomic_fetch_sub(&health->watching_count, 1);
	response.report = &report.message;
	fts_health_check_reply(call, &response);
}

/* ---- Answering a survey ---- */

struct memory {
	size_t used_bytes;
	_Alignas(16) uint8_t bytes[QUESTION_MEMORY_BYTES];
};

static void *take(void *ctx, size_t size_bytes)
{
	struct memory *memory = ctx;
	size_t padded_bytes = (size_bytes + 15) / 16 * 16;
	if (size_bytes > sizeof(memory->bytes) || padded_bytes > sizeof(memory->bytes) - memory->used_bytes)
		return NULL;
	memory->used_bytes += padded_bytes;
	return memory->bytes + memory->used_bytes - padded_bytes;
}

static void give(void *ctx, void *pointer)
{
	(void)ctx, (void)pointer; /* it goes with the memory it lies in */
}

size_t ftsi_health_respond(void *ctx, struct fts_bytes question, uint8_t *out)
{
	struct ftsi_health_report report;
	struct memory memory = {.used_bytes = 0};
	ProtobufCAllocator allocator = {take, give, &memory};
	Fts__Health__V1__Question *asked =
	    fts__health__v1__question__unpack(&allocator, question.size_bytes, question.data);
	if (asked == NULL) return 0;
	ftsi_health_look(ctx, &report);
	report.message.question_id = asked->id;
	if (fts__health__v1__report__get_packed_size(&report.message) > FTS_SURVEY_ANSWER_MAX_BYTES) return 0;
	return fts__health__v1__report__pack(&report.message, out);
}

/* ---- Asking everybody: a worker's thread ---- */

struct round {
	struct fts_call *call; /* whose memory the answers lie in */
	uint64_t question_id;
	size_t answered_count;
	Fts__Health__V1__Report *answered[SURVEY_NODES_MAX];
};

static void *take_of_call(void *ctx, size_t size_bytes)
{
	return fts_call_alloc(ctx, size_bytes);
}

static void on_answer(void *ctx, struct fts_bytes answer)
{
	struct round *round = ctx;
	ProtobufCAllocator allocator = {take_of_call, give, round->call};
	Fts__Health__V1__Report *report = fts__health__v1__report__unpack(&allocator, answer.size_bytes, answer.data);
	if (report != NULL && report->question_id == round->question_id && round->answered_count < SURVEY_NODES_MAX)
		round->answered[round->answered_count++] = report;
}

static bool has_answered(const struct round *round, const char *name)
{
	for (size_t i = 0; i < round->answered_count; i++)
		if (strcmp(round->answered[i]->name, name) == 0) return true;
	return false;
}

static void reply_to_survey(struct ftsi_health *health, struct round *round, uint64_t took_ns)
{
	Fts__Health__V1__SurveyResponse response = FTS__HEALTH__V1__SURVEY_RESPONSE__INIT;
	char *missing[SURVEY_NODES_MAX];
	response.answered = round->answered;
	response.n_answered = round->answered_count;
	response.missing = missing;
	for (size_t i = 0; i < health->name_count && i < SURVEY_NODES_MAX; i++)
		if (!has_answered(round, health->names[i]))
			missing[response.n_missing++] = (char *)(uintptr_t)health->names[i];
	response.took_ms = (uint32_t)(took_ns / 1000000u);
	fts_health_survey_reply(round->call, &response);
}

static void survey(struct fts_call *call, const Fts__Health__V1__SurveyRequest *request, void *ctx)
{
	struct ftsi_health *health = ctx;
	uint64_t start_ns = fts_clock_monotonic_ns();
	struct round round = {.call = call, .question_id = start_ns};
	Fts__Health__V1__Question question = FTS__HEALTH__V1__QUESTION__INIT;
	uint8_t packed[32];
	uint32_t wait_ms = request->wait_ms == 0 ? SURVEY_WAIT_MS : request->wait_ms, count;
	struct fts_error error;
	question.id = round.question_id;
	struct fts_bytes bytes = {packed, fts__health__v1__question__pack(&question, packed)};
	if (wait_ms > SURVEY_WAIT_MS_MAX) wait_ms = SURVEY_WAIT_MS_MAX;
	atomic_fetch_add(&health->watching_count, 1);
	enum fts_status status = fts_surveyor_ask(health->surveyor, bytes, wait_ms, on_answer, &round, &count, &error);
	atomic_fetch_sub(&health->watching_count, 1);
	if (status == FTS_OK)
		reply_to_survey(health, &round, fts_clock_monotonic_ns() - start_ns);
	else
		fts_call_fail_error(call, &error);
}

enum fts_status ftsi_health_serve(struct ftsi_health *health, struct fts_error *out_error)
{
	static const struct fts_health_handlers handlers = {.ping = ping, .check = check, .survey = survey};
	return fts_health_register(health->server, &handlers, health, out_error);
}
