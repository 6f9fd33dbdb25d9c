/* Why this file exists: see elect_agent.h. */
#include "client/cli/elect_agent.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fts/elector/v1/elector.fts.h>

#include "base/clock.h"
#include "client/cli/elect_calls.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

#define MS_NS 1000000ull
#define AGAIN_MS 50u /* after a call that failed */
#define SUBSCRIBE_AGAIN_MS 2000u
#define LINE_MAX_BYTES 4096u

void ftsi_agent_wake(struct ftsi_agent *agent)
{
	uint64_t one = 1;
	ssize_t ignored = write(agent->wake_fd, &one, sizeof(one));
	(void)ignored; /* EAGAIN: it is awake already */
}

void ftsi_agent_stop(struct ftsi_agent *agent)
{
	pthread_mutex_lock(&agent->lock);
	agent->stop_asked = true;
	pthread_mutex_unlock(&agent->lock);
	ftsi_agent_wake(agent);
}

static void on_interrupt(void *ctx)
{
	ftsi_agent_stop(ctx);
}

/* ---- Events: another thread ---- */

static bool on_event(void *ctx, const struct fts_event *event, uint64_t lost_count)
{
	struct ftsi_agent *agent = ctx;
	struct ftsi_elect_news news;
	bool is_news = event != NULL && ftsi_elect_news_read(event, agent->options.election, &news);
	if (!is_news && lost_count == 0) return true;
	pthread_mutex_lock(&agent->lock);
	bool kept = is_news && agent->news_count < FTSI_AGENT_NEWS_MAX;
	if (kept) agent->news[agent->news_count++] = news;
	if (lost_count != 0 || !kept) agent->news_lost = true;
	pthread_mutex_unlock(&agent->lock);
	if (is_news && !kept) ftsi_elect_news_free(&news);
	ftsi_agent_wake(agent);
	return true;
}

/* ---- What has come ---- */

static void learn(struct ftsi_agent *agent, const char *master, uint64_t fence)
{
	if (fence != 0 && fence < agent->fence) return; /* older than what is known */
	if (fence != 0) agent->fence = fence;
	(void)snprintf(agent->master, sizeof(agent->master), "%s", master);
}

static void take_elected(struct ftsi_agent *agent, const struct ftsi_agent_answer *answer)
{
	const struct ftsi_cli *cli = agent->cli;
	if (answer->status == FTS_OK) {
		agent->joined = answer->joined;
		agent->was_member = true;
		agent->step_down = agent->leave = false;
		/* No lease yet: this may be the second answer to one life, whose expiry is on its way. A renewal tells.
		 */
		agent->sent_ns = 0;
		learn(agent, answer->master, answer->fence);
		return;
	}
	agent->next_ns = ftsi_script_now_ns() + AGAIN_MS * MS_NS;
	bool wrong = answer->status == FTS_INVALID_ARGUMENT || answer->status == FTS_FAILED_PRECONDITION ||
		     answer->status == FTS_PERMISSION_DENIED || answer->status == FTS_UNAUTHENTICATED;
	bool hopeless = !agent->was_member && !agent->patient && answer->status != FTS_ALREADY_EXISTS &&
			ftsi_script_now_ns() - agent->begun_ns > cli->timeout_ms * MS_NS;
	if (!wrong && !hopeless) return;
	agent->code = ftsi_fail(cli, &answer->error);
	agent->stopping = true;
}

static void take_renewed(struct ftsi_agent *agent, const struct ftsi_agent_answer *answer)
{
	if (answer->status == FTS_OK) {
		agent->lease_from_ns = agent->sent_ns;
		agent->members = answer->members;
		agent->step_down = answer->step_down;
		agent->leave = answer->leave;
		agent->choose = answer->choose;
		ftsi_script_renewed(&agent->script, agent->sent_ns, agent->options.lease_ms);
		learn(agent, answer->master, answer->fence);
	} else if (answer->status == FTS_NOT_FOUND) {
		agent->joined = 0; /* expired: join again */
		agent->lease_from_ns = 0;
		agent->master[0] = 0;
	} else {
		agent->next_ns = ftsi_script_now_ns() + AGAIN_MS * MS_NS;
	}
}

static void take_members(struct ftsi_agent *agent, const struct ftsi_agent_answer *answer)
{
	if (answer->voters != NULL)
		ftsi_choice_start(&agent->choice, agent->options.rule_command, answer->voters, agent->options.id);
	else
		ftsi_choice_later(&agent->choice);
}

static void take_nominated(struct ftsi_agent *agent, const struct ftsi_agent_answer *answer)
{
	agent->hurry = answer->status == FTS_OK; /* ask at once who is master now */
	agent->choose = false;                   /* the next renewal says whether there is still something to choose */
	if (answer->status != FTS_OK && answer->status != FTS_ABORTED)
		ftsi_note("the rule's command chose %s: %s", agent->choice.chosen, answer->error.detail);
	if (answer->status == FTS_OK || answer->status == FTS_ABORTED)
		ftsi_choice_forget(&agent->choice);
	else
		ftsi_choice_later(&agent->choice);
}

static void take_answer(struct ftsi_agent *agent)
{
	struct ftsi_agent_answer answer;
	pthread_mutex_lock(&agent->lock);
	answer = agent->answer;
	agent->answer.ready = false;
	agent->stopping = agent->stopping || agent->stop_asked;
	pthread_mutex_unlock(&agent->lock);
	if (!answer.ready) return;
	enum ftsi_agent_call call = agent->open;
	agent->open = FTSI_AGENT_IDLE;
	agent->next_ns = 0;
	if (call == FTSI_AGENT_ELECT) take_elected(agent, &answer);
	if (call == FTSI_AGENT_RENEW) take_renewed(agent, &answer);
	if (call == FTSI_AGENT_YIELD) agent->sent_ns = 0; /* ask at once who is master now */
	if (call == FTSI_AGENT_YIELD && answer.status == FTS_OK) agent->step_down = false;
	if (call == FTSI_AGENT_LOOK) take_members(agent, &answer);
	if (call == FTSI_AGENT_NOMINATE) take_nominated(agent, &answer);
	if (call == FTSI_AGENT_RESIGN) {
		agent->joined = 0;
		agent->lease_from_ns = 0;
		agent->master[0] = 0;
		agent->finished = agent->next_endpoint[0] == 0 || agent->stopping;
	}
}

/* An event about this one's own mastership and the answer to a renewal may come in either order, and the older of the
 * two must not stand until the next renewal, a third of a lease later: so it asks at once. */
static void take_master(struct ftsi_agent *agent, const Fts__Elector__V1__MasterEvent *event)
{
	if (strcmp(event->master, agent->options.id) == 0 || strcmp(agent->master, agent->options.id) == 0)
		agent->hurry = true;
	learn(agent, event->master, event->fence);
	if (event->stepping_down && event->fence == agent->fence && strcmp(event->master, agent->options.id) == 0)
		agent->step_down = true;
}

static void take_news(struct ftsi_agent *agent)
{
	struct ftsi_elect_news news[FTSI_AGENT_NEWS_MAX];
	pthread_mutex_lock(&agent->lock);
	size_t count = agent->news_count;
	memcpy(news, agent->news, count * sizeof(news[0]));
	agent->news_count = 0;
	if (agent->news_lost) agent->hurry = true; /* what was in them, a renewal tells */
	agent->news_lost = false;
	pthread_mutex_unlock(&agent->lock);
	for (size_t i = 0; i < count; i++) {
		if (news[i].master != NULL)
			take_master(agent, news[i].master);
		else if (!agent->options.fenced)
			(void)ftsi_elect_tell_news(agent->cli, &news[i]);
		if (news[i].member != NULL && agent->options.rule_command != NULL)
			agent->hurry = true; /* it may be this one's to choose */
		ftsi_elect_news_free(&news[i]);
	}
}

static void on_output(void *ctx, const struct ftsi_script_output *output)
{
	const struct ftsi_agent *agent = ctx;
	(void)ftsi_elect_tell_output(agent->cli, output->stream == 2, output->lost_count, output->text,
				     output->size_bytes);
}

/* ---- What follows ---- */

static bool lease_stands(const struct ftsi_agent *agent)
{
	return agent->joined != 0 && agent->lease_from_ns != 0 &&
	       ftsi_script_now_ns() < agent->lease_from_ns + agent->options.lease_ms * MS_NS;
}

bool ftsi_agent_is_master(const struct ftsi_agent *agent)
{
	return lease_stands(agent) && strcmp(agent->master, agent->options.id) == 0 && agent->fence >= agent->joined &&
	       agent->fence > agent->yielded_fence && !agent->step_down && !agent->leave && !agent->stopping &&
	       agent->next_endpoint[0] == 0;
}

/* Tell the role, and wish its script, when either has changed. */
static void follow_role(struct ftsi_agent *agent)
{
	bool is_master = ftsi_agent_is_master(agent);
	bool quiet = agent->leave || agent->stopping || agent->next_endpoint[0] != 0;
	const char *master = lease_stands(agent) ? agent->master : "";
	uint64_t fence = master[0] == 0 ? 0 : agent->fence;
	struct ftsi_script_run terms = {.fence = fence,
					.edition = agent->options.edition,
					.master = is_master,
					.loop = agent->options.loop,
					.sleep_ms = agent->options.sleep_ms};
	bool role_is_news = !agent->told_role || is_master != agent->shown_as_master || fence != agent->shown_fence ||
			    strcmp(master, agent->shown_master) != 0;
	bool script_is_news = !agent->told_role || is_master != agent->shown_as_master || quiet != agent->shown_quiet ||
			      agent->options.edition != agent->shown_edition ||
			      (is_master && fence != agent->shown_fence) || agent->terms_changed;
	agent->terms_changed = false;
	if (script_is_news) {
		char *const *words = is_master ? agent->options.on_master : agent->options.on_standby;
		if (!is_master) terms.fence = 0;
		agent->wish = ftsi_script_wish(&agent->script, &terms, agent->options.election, agent->options.id,
					       quiet ? NULL : words);
	}
	if (role_is_news && !agent->stopping && !agent->options.fenced)
		(void)ftsi_elect_tell_role(agent->cli, is_master ? "MASTER" : "STANDBY", master, fence);
	agent->told_role = true;
	agent->shown_as_master = is_master;
	agent->shown_fence = fence;
	agent->shown_quiet = quiet;
	agent->shown_edition = agent->options.edition;
	(void)snprintf(agent->shown_master, sizeof(agent->shown_master), "%s", master);
}

/* It has left: go on at another server, perhaps of another cluster, whose fences begin anew. */
static void arrive(struct ftsi_agent *agent)
{
	struct fts_error error;
	struct fts_channel *channel = NULL;
	if (ftsi_session_channel_to(agent->cli, agent->next_endpoint, &channel, &error) == FTS_OK) {
		fts_subscription_close(agent->subscription);
		agent->subscription = NULL;
		agent->subscribe_ns = 0;
		fts_channel_close(agent->cli->channel);
		agent->cli->channel = channel;
		agent->fence = agent->yielded_fence = 0;
		(void)snprintf(agent->endpoint, sizeof(agent->endpoint), "%s", agent->next_endpoint);
	} else {
		ftsi_note("%s", error.detail);
	}
	agent->next_endpoint[0] = 0;
}

void ftsi_agent_move(struct ftsi_agent *agent, const char *endpoint)
{
	(void)snprintf(agent->next_endpoint, sizeof(agent->next_endpoint), "%s", endpoint);
}

static uint64_t renew_at_ns(const struct ftsi_agent *agent)
{
	return agent->hurry ? 0 : agent->sent_ns + agent->options.lease_ms * MS_NS / 3;
}

/* The next call, if it is time for one. */
static void next_call(struct ftsi_agent *agent)
{
	uint64_t now_ns = ftsi_script_now_ns();
	bool settled = ftsi_script_settled(&agent->script, agent->wish);
	if (agent->finished || agent->open != FTSI_AGENT_IDLE || now_ns < agent->next_ns) return;
	if (agent->stopping && agent->joined == 0)
		agent->finished = settled;
	else if (agent->joined == 0 && agent->next_endpoint[0] != 0)
		arrive(agent);
	else if (agent->joined == 0)
		ftsi_agent_elect(agent);
	else if ((agent->stopping || agent->leave || agent->next_endpoint[0] != 0) && settled)
		ftsi_agent_resign(agent);
	else if (agent->step_down && settled && agent->fence > agent->yielded_fence)
		ftsi_agent_yield(agent);
	else if (now_ns >= renew_at_ns(agent))
		ftsi_agent_renew(agent);
	else if (agent->choose && agent->options.rule_command != NULL && ftsi_choice_is_idle(&agent->choice, now_ns))
		ftsi_agent_look(agent);
	else if (agent->choice.is_made)
		ftsi_agent_nominate(agent);
}

static int wait_ms(const struct ftsi_agent *agent)
{
	uint64_t now_ns = ftsi_script_now_ns(), until_ns = now_ns + 1000 * MS_NS;
	uint64_t lease_end_ns = agent->lease_from_ns + agent->options.lease_ms * MS_NS;
	uint64_t call_ns = agent->next_ns;
	if (agent->joined != 0 && renew_at_ns(agent) > call_ns) call_ns = renew_at_ns(agent);
	if (agent->open == FTSI_AGENT_IDLE && call_ns < until_ns) until_ns = call_ns;
	if (agent->choice.next_ns > now_ns && agent->choice.next_ns < until_ns) until_ns = agent->choice.next_ns;
	if (agent->joined != 0 && lease_end_ns > now_ns && lease_end_ns < until_ns) until_ns = lease_end_ns;
	return until_ns <= now_ns ? 1 : (int)((until_ns - now_ns + MS_NS - 1) / MS_NS);
}

/* Without a guardian nobody watches a script: what it had becomes ours, and is ended. */
static void replace_guardian(struct ftsi_agent *agent)
{
	ftsi_note("the scripts' guardian is gone: ending what it left, and leaving");
	ftsi_script_sweep(&agent->script);
	agent->stopping = true;
	agent->code = FTSI_EXIT_NO;
}

/* ---- The one command of `elect fence` ---- */

static void end_fenced(struct ftsi_agent *agent, int code)
{
	agent->code = (enum ftsi_exit)code;
	agent->stopping = true;
}

static void follow_fenced(struct ftsi_agent *agent)
{
	const struct ftsi_script_state *state = &agent->script.state;
	uint64_t waited_ns = ftsi_script_now_ns() - agent->begun_ns;
	if (agent->fenced_told) return;
	if (state->ended_count > 0 && state->pid == 0) {
		agent->fenced_told = true;
		bool lost = state->was_cut && !agent->stopping;
		if (lost)
			ftsi_note("%s is no longer %s's: the command was ended", agent->options.election,
				  agent->options.id);
		end_fenced(agent, lost ? FTSI_FENCE_LOST : ftsi_script_exit_code(state->wait_status));
	} else if (agent->options.patience_ms != 0 && state->started_count == 0 && !agent->stopping &&
		   waited_ns > agent->options.patience_ms * MS_NS) {
		ftsi_note("%s did not become master of %s in time: nothing was run", agent->options.id,
			  agent->options.election);
		end_fenced(agent, FTSI_EXIT_TIME);
	} else if (agent->stopping && state->started_count == 0 && agent->code == FTSI_EXIT_DONE) {
		agent->code = FTSI_EXIT_NO; /* nothing was run */
	}
}

/* What its guardian is to say when the agent dies: that this life of it is over. */
static void make_will(struct ftsi_agent *agent)
{
	char joined[24];
	const struct fts_tls tls = ftsi_tls(agent->cli);
	const struct ftsi_value *token_file = ftsi_global_of(agent->cli, FTSI_GLOBAL_TOKEN_FILE);
	const char *words[FTSI_SCRIPT_WILL_WORDS_MAX] = {
	    "elect",     "resign", agent->options.election, "--id",         agent->options.id, "--joined", joined,
	    "--timeout", "3s",     "--endpoints",           agent->endpoint};
	size_t count = 11;
	const char *const more[][2] = {{"--tls-ca", tls.ca_file},
				       {"--tls-cert", tls.cert_file},
				       {"--tls-key", tls.key_file},
				       {"--token-file", token_file->text}};
	if (agent->willed == agent->joined) return;
	agent->willed = agent->joined;
	(void)snprintf(joined, sizeof(joined), "%" PRIu64, agent->joined);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (more[i][1] != NULL && more[i][1][0] != 0) {
			words[count++] = more[i][0];
			words[count++] = more[i][1];
		}
	if (ftsi_global_of(agent->cli, FTSI_GLOBAL_INSECURE)->given) words[count++] = "--insecure";
	ftsi_script_will(&agent->script, agent->joined == 0 ? NULL : words);
}

/* ---- Lines ---- */

struct input {
	int fd; /* -1: none */
	size_t used;
	char bytes[LINE_MAX_BYTES];
	ftsi_agent_line_fn on_line;
	void *ctx;
};

static void take_input(struct input *input)
{
	ssize_t got = read(input->fd, input->bytes + input->used, sizeof(input->bytes) - 1 - input->used);
	if (got <= 0) {
		input->fd = -1;
		input->on_line(input->ctx, NULL);
		return;
	}
	input->used += (size_t)got;
	for (char *end; (end = memchr(input->bytes, '\n', input->used)) != NULL;) {
		*end = 0;
		input->on_line(input->ctx, input->bytes);
		input->used -= (size_t)(end + 1 - input->bytes);
		memmove(input->bytes, end + 1, input->used);
	}
	if (input->used == sizeof(input->bytes) - 1) input->used = 0; /* too long for a line: thrown away */
}

/* ---- Life ---- */

static void turn(struct ftsi_agent *agent, struct input *input)
{
	uint64_t count;
	struct pollfd fds[] = {{agent->wake_fd, POLLIN, 0},
			       {agent->script.link_fd, POLLIN, 0},
			       {input->fd, POLLIN, 0},
			       {agent->choice.out_fd, POLLIN, 0}};
	(void)poll(fds, 4, wait_ms(agent));
	if (fds[0].revents != 0 && read(agent->wake_fd, &count, sizeof(count)) < 0) return;
	if (fds[1].revents != 0) ftsi_script_receive(&agent->script, on_output, agent);
	if (agent->script.failed) replace_guardian(agent);
	if (fds[2].revents != 0) take_input(input);
	take_answer(agent);
	take_news(agent);
	ftsi_choice_drive(&agent->choice, ftsi_script_now_ns());
	if (agent->options.fenced) follow_fenced(agent);
	make_will(agent);
	follow_role(agent);
	next_call(agent);
	if (!ftsi_output_open()) agent->stopping = true;
}

/* Once it is a member; until then, and when no server answers quickly, renewals tell what is new. */
static void subscribe(struct ftsi_agent *agent)
{
	struct fts_error error;
	uint64_t now_ns = ftsi_script_now_ns();
	struct fts_subscribe_options options = {
	    .endpoints = agent->endpoint, .tls = ftsi_tls(agent->cli), .topic = "elector."};
	if (agent->subscription != NULL || agent->joined == 0 || now_ns < agent->subscribe_ns) return;
	agent->subscribe_ns = now_ns + SUBSCRIBE_AGAIN_MS * MS_NS;
	uint8_t token[FTSI_TOKEN_MAX_BYTES + 2];
	if (ftsi_session_token(agent->cli, token, &options.token, &error) != FTS_OK) return; /* calls tell of it */
	options.stay_local = ftsi_session_stays_local(agent->cli, options.token);
	if (fts_subscribe(&options, agent->options.lease_ms / 4, on_event, agent, &agent->subscription, &error) !=
	    FTS_OK)
		agent->subscription = NULL;
}

enum ftsi_exit ftsi_agent_run(struct ftsi_agent *agent, int input_fd, ftsi_agent_line_fn on_line, void *ctx)
{
	struct input input = {.fd = input_fd, .on_line = on_line, .ctx = ctx};
	ftsi_interrupt_claim(on_interrupt, agent);
	agent->begun_ns = ftsi_script_now_ns();
	while (!agent->finished) {
		subscribe(agent);
		turn(agent, &input);
	}
	ftsi_interrupt_release();
	return agent->code;
}

enum fts_status ftsi_agent_init(struct ftsi_agent *agent, struct ftsi_cli *cli,
				const struct ftsi_agent_options *options, struct fts_error *out_error)
{
	*agent = (struct ftsi_agent){.cli = cli, .options = *options, .started_ms = fts_clock_wall_ms()};
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* of what a guardian that dies leaves behind */
	pthread_mutex_init(&agent->lock, NULL);
	(void)snprintf(agent->endpoint, sizeof(agent->endpoint), "%s", ftsi_endpoints(cli));
	agent->script.link_fd = -1;
	ftsi_choice_init(&agent->choice);
	agent->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (agent->wake_fd < 0) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no descriptors left");
	return ftsi_script_open(&agent->script, options->fenced, out_error);
}

void ftsi_agent_fini(struct ftsi_agent *agent)
{
	ftsi_script_close(&agent->script);
	fts_subscription_close(agent->subscription);
	ftsi_session_close(agent->cli); /* its callbacks end here */
	ftsi_choice_fini(&agent->choice);
	ftsi_choice_drop(agent->answer.voters);
	for (size_t i = 0; i < agent->news_count; i++)
		ftsi_elect_news_free(&agent->news[i]);
	if (agent->wake_fd >= 0) close(agent->wake_fd);
	pthread_mutex_destroy(&agent->lock);
}
