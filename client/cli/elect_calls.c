/* Why this file exists: see elect_calls.h. */
#include "client/cli/elect_calls.h"

#include <stdio.h>
#include <unistd.h>

#include <fts/elector/v1/elector.fts.h>

#include "client/cli/session.h"

#define MS_NS 1000000ull
#define AGAIN_MS 50u      /* after a call that could not be made */
#define RENEW_MIN_MS 250u /* time limit of a renewal */
#define CHOOSE_MIN_MS 50u
#define RESIGN_MS 3000u
#define ELECT_MS 2000u

/* ---- Answers: other threads ---- */

static void post_answer(struct ftsi_agent *agent, struct ftsi_agent_answer *answer, enum fts_status status,
			const struct fts_error *error)
{
	answer->ready = true;
	answer->status = status;
	if (error != NULL) answer->error = *error;
	pthread_mutex_lock(&agent->lock);
	agent->answer = *answer;
	pthread_mutex_unlock(&agent->lock);
	ftsi_agent_wake(agent);
}

static void on_elected(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	const Fts__Elector__V1__ElectResponse *response = (const Fts__Elector__V1__ElectResponse *)base;
	struct ftsi_agent_answer answer = {.ready = true};
	if (response != NULL) {
		answer.joined = response->joined;
		answer.fence = response->fence;
		(void)snprintf(answer.master, sizeof(answer.master), "%s", response->master);
	}
	post_answer(ctx, &answer, status, error);
}

static void on_renewed(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	const Fts__Elector__V1__RenewResponse *response = (const Fts__Elector__V1__RenewResponse *)base;
	struct ftsi_agent_answer answer = {.ready = true};
	if (response != NULL) {
		answer.fence = response->fence;
		answer.members = response->members;
		answer.step_down = response->step_down;
		answer.leave = response->leave;
		answer.choose = response->choose;
		(void)snprintf(answer.master, sizeof(answer.master), "%s", response->master);
	}
	post_answer(ctx, &answer, status, error);
}

static void on_looked(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	const Fts__Elector__V1__StatusResponse *response = (const Fts__Elector__V1__StatusResponse *)base;
	struct ftsi_agent_answer answer = {.ready = true};
	if (response != NULL) answer.voters = ftsi_choice_copy(response);
	post_answer(ctx, &answer, status, error);
}

static void on_done(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_agent_answer answer = {.ready = true};
	(void)base;
	post_answer(ctx, &answer, status, error);
}

/* ---- Calls ---- */

static void open_call(struct ftsi_agent *agent, enum ftsi_agent_call call, const struct fts_method *method,
		      const ProtobufCMessage *request, uint32_t timeout_ms, fts_done_fn done)
{
	struct fts_call_options options = {.timeout_ms = timeout_ms};
	uint64_t now_ns = ftsi_script_now_ns();
	if (call != FTSI_AGENT_LOOK && call != FTSI_AGENT_NOMINATE) agent->sent_ns = now_ns; /* these renew nothing */
	enum fts_status status = fts_channel_start(agent->cli->channel, method, request, &options, done, agent, NULL);
	if (status == FTS_OK)
		agent->open = call;
	else
		agent->next_ns = now_ns + AGAIN_MS * MS_NS;
}

void ftsi_agent_elect(struct ftsi_agent *agent)
{
	Fts__Elector__V1__ElectRequest request = FTS__ELECTOR__V1__ELECT_REQUEST__INIT;
	Fts__Elector__V1__Member member = FTS__ELECTOR__V1__MEMBER__INIT;
	char address[256];
	if (gethostname(address, sizeof(address)) != 0) address[0] = 0;
	address[64] = 0;
	member.id = (char *)agent->options.id;
	member.started_ms = agent->started_ms;
	member.priority = agent->options.priority;
	member.lease_ms = agent->options.lease_ms;
	member.address = address;
	request.election = (char *)agent->options.election;
	request.member = &member;
	request.rule = agent->options.rule;
	request.min_members = agent->options.min_members;
	open_call(agent, FTSI_AGENT_ELECT, fts_elector_elect_method, &request.base, ELECT_MS, on_elected);
}

void ftsi_agent_renew(struct ftsi_agent *agent)
{
	Fts__Elector__V1__RenewRequest request = FTS__ELECTOR__V1__RENEW_REQUEST__INIT;
	uint32_t timeout_ms = agent->options.lease_ms / 2;
	request.election = (char *)agent->options.election;
	request.id = (char *)agent->options.id;
	request.joined = agent->joined;
	agent->hurry = false;
	open_call(agent, FTSI_AGENT_RENEW, fts_elector_renew_method, &request.base,
		  timeout_ms < RENEW_MIN_MS ? RENEW_MIN_MS : timeout_ms, on_renewed);
}

void ftsi_agent_yield(struct ftsi_agent *agent)
{
	Fts__Elector__V1__YieldRequest request = FTS__ELECTOR__V1__YIELD_REQUEST__INIT;
	request.election = (char *)agent->options.election;
	request.id = (char *)agent->options.id;
	request.joined = agent->joined;
	request.fence = agent->yielded_fence = agent->fence; /* from here on it is not ours, whatever comes back */
	open_call(agent, FTSI_AGENT_YIELD, fts_elector_yield_method, &request.base, agent->options.lease_ms, on_done);
}

void ftsi_agent_resign(struct ftsi_agent *agent)
{
	Fts__Elector__V1__ResignRequest request = FTS__ELECTOR__V1__RESIGN_REQUEST__INIT;
	request.election = (char *)agent->options.election;
	request.id = (char *)agent->options.id;
	request.joined = agent->joined;
	open_call(agent, FTSI_AGENT_RESIGN, fts_elector_resign_method, &request.base, RESIGN_MS, on_done);
}

/* Time limit of the calls about a choice: a renewal that becomes due meanwhile must not wait long. */
static uint32_t choose_ms(const struct ftsi_agent *agent)
{
	return agent->options.lease_ms / 8 < CHOOSE_MIN_MS ? CHOOSE_MIN_MS : agent->options.lease_ms / 8;
}

void ftsi_agent_look(struct ftsi_agent *agent)
{
	Fts__Elector__V1__StatusRequest request = FTS__ELECTOR__V1__STATUS_REQUEST__INIT;
	request.election = (char *)agent->options.election;
	open_call(agent, FTSI_AGENT_LOOK, fts_elector_status_method, &request.base, choose_ms(agent), on_looked);
}

void ftsi_agent_nominate(struct ftsi_agent *agent)
{
	Fts__Elector__V1__NominateRequest request = FTS__ELECTOR__V1__NOMINATE_REQUEST__INIT;
	request.election = (char *)agent->options.election;
	request.id = (char *)agent->options.id;
	request.joined = agent->joined;
	request.master = agent->choice.chosen;
	request.generation = agent->choice.generation;
	open_call(agent, FTSI_AGENT_NOMINATE, fts_elector_nominate_method, &request.base, choose_ms(agent), on_done);
}
