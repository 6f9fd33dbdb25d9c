/* Why this file exists: what happens next to a call (channel_internal.h): which server it goes to, and what a
 * refusal, a broken connection or a passed time limit does to it. retry.c decides, this file carries out.
 *
 * A server that can't be connected is left out for the rest of the try; when none is left the try has failed as
 * "unreachable". A dial that takes long does not hold a call back: after 100 ms the next server is asked, or dialed
 * too, and the first that comes up is used.
 *
 * While the servers have no leader, one of the calls that were told so is the scout: it asks again after each pause.
 * The others are parked: they go on as soon as any call to the leader is answered with OK, and ask themselves only
 * every 50 ms and ever less often. So a thousand open calls are no storm. */
#include "rpc/channel_internal.h"

#include "base/assert.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define SLOW_DIAL_NS (100 * NS_PER_MS)
#define PARKED_NS (50 * NS_PER_MS)
#define SILENCE_NS (100 * NS_PER_MS) /* as in channel_probe.c */

static uint64_t next_random(struct fts_channel *channel)
{
	uint64_t x = channel->random_state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return channel->random_state = x;
}

static void queue_call(struct fts_channel *channel, struct ftsi_open_call *call, uint32_t at, uint64_t now_ns)
{
	struct ftsi_link *link = channel->links[at];
	if (link->state == FTSI_LINK_IDLE) ftsi_link_dial(link, now_ns);
	call->state = FTSI_CALL_QUEUED;
	call->link = at;
	call->epoch = link->epoch;
	uint64_t look_at_ns = now_ns + SLOW_DIAL_NS;
	call->wake_ns = channel->link_count > 1 && look_at_ns < call->deadline_ns ? look_at_ns : call->deadline_ns;
	ftsi_timer_want(channel, call->wake_ns);
}

/* ---- Sending ---- */

/* token: room for FTSI_TOKEN_MAX_BYTES, the caller's: two tries of a call may be sent at the same time, and what the
 * source says may change between them. */
static void header_of(const struct fts_channel *channel, const struct ftsi_open_call *call, uint64_t now_ns,
		      uint8_t *token, struct ftsi_call_fields *out)
{
	uint32_t left_ms = fts_clock_left_ms(now_ns, call->deadline_ns);
	*out = (struct ftsi_call_fields){
	    .method_id = call->method->id,
	    .timeout_ms = left_ms > 0 ? left_ms : 1,
	    .fence = call->fence,
	    .trace_id = call->trace_id,
	    .token = {channel->token, channel->token_size_bytes},
	    .stale = call->stale,
	};
	if (call->token_size_bytes > 0) {
		out->token = (struct fts_bytes){call->token, call->token_size_bytes};
		out->token_of_call = true;
	} else if (channel->token_source != NULL) {
		out->token = (struct fts_bytes){token, channel->token_source(channel->token_ctx, token)};
		out->token_of_call = true;
	}
	if (!call->has_identity) return;
	out->client_id = call->is_passed_on ? call->client_id : channel->session.client_id;
	out->sequence = call->sequence;
	out->lowest_unanswered = call->is_passed_on ? call->lowest_unanswered : channel->session.lowest_unanswered;
	out->may_have_run = call->may_have_run;
}

static void mark_sent(struct fts_channel *channel, struct ftsi_open_call *call, const struct ftsi_link *link,
		      uint64_t now_ns)
{
	call->state = FTSI_CALL_SENT;
	call->link = link->index;
	call->epoch = link->epoch;
	call->answer_count = link->answer_count;
	call->asked |= ftsi_link_bit(link->index);
	call->unsent = false;
	call->send_count++;
	call->sent_ns = now_ns;
	if (call->first_sent_ns == 0) call->first_sent_ns = now_ns;
	call->wake_ns = call->deadline_ns;
	channel->send_count++;
}

/* The connection did not take it. When it is closed, its on_closed settles this call with all others. */
static void send_failed(struct fts_channel *channel, struct ftsi_open_call *call, enum fts_status status)
{
	call->unsent = true;
	if (status == FTS_UNAVAILABLE) return;
	ftsi_call_set_error(call, status, FTS_EXECUTED_NO, "%s: too much waits to be sent to it",
			    channel->links[call->link]->endpoint.text);
	ftsi_call_end(channel, call);
}

static void send_call(struct fts_channel *channel, struct ftsi_open_call *call, struct ftsi_link *link, uint64_t now_ns)
{
	uint32_t request_id = ftsi_call_new_request_id(channel, call);
	mark_sent(channel, call, link, now_ns);
	struct ftsi_call_fields header;
	uint8_t route[4], token[FTSI_TOKEN_MAX_BYTES];
	header_of(channel, call, now_ns, token, &header);
	ftsi_put_be32(route, request_id);
	struct ftsi_outgoing outgoing = {
	    .route = {route, sizeof route}, .call = &header, .payload = {call->payload, call->payload_size_bytes}};
	struct ftsi_conn *conn = ftsi_conn_hold(link->conn);
	ftsi_call_pin(call);
	uint64_t look_ns = ftsi_probe_first_look_ns(channel, now_ns);
	ftsi_timer_want(channel, look_ns < call->wake_ns ? look_ns : call->wake_ns);
	pthread_mutex_unlock(&channel->mutex);

	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	if (ftsi_conn_backlog_bytes(conn) < FTSI_BACKLOG_MAX_BYTES) status = ftsi_conn_send(conn, &outgoing, NULL);
	ftsi_conn_release(conn);

	pthread_mutex_lock(&channel->mutex);
	if (status != FTS_OK && call->state == FTSI_CALL_SENT && call->request_id == request_id)
		send_failed(channel, call, status);
	ftsi_call_unpin(channel, call);
}

/* ---- Failures ---- */

static void set_unreachable_error(struct fts_channel *channel, struct ftsi_open_call *call)
{
	char reasons[FTS_DETAIL_MAX];
	size_t at = 0;
	reasons[0] = '\0';
	for (uint32_t i = 0; i < channel->link_count && at < sizeof reasons; i++) {
		const struct ftsi_link *link = channel->links[i];
		at += (size_t)snprintf(reasons + at, sizeof reasons - at, "%s%s (%s)", i == 0 ? "" : ", ",
				       link->endpoint.text, link->reason[0] != '\0' ? link->reason : "not tried");
	}
	ftsi_call_set_error(call, FTS_UNAVAILABLE, FTS_EXECUTED_NO, "no server reachable: %s", reasons);
}

static void back_off(struct fts_channel *channel, struct ftsi_open_call *call, uint64_t delay_ns, uint64_t now_ns)
{
	call->state = FTSI_CALL_BACKOFF;
	call->asked = call->refused = 0;
	call->wake_ns = now_ns + delay_ns < call->deadline_ns ? now_ns + delay_ns : call->deadline_ns;
	ftsi_timer_want(channel, call->wake_ns);
}

/* No leader, for a short time: look for it, or leave that to the call that does. */
static void pause_call(struct fts_channel *channel, struct ftsi_open_call *call, uint64_t delay_ns, uint64_t now_ns)
{
	uint32_t at = (uint32_t)(call - channel->calls);
	if (call->method->route == FTS_ROUTE_LEADER) {
		if (channel->scout == FTSI_NO_CALL) channel->scout = at;
		if (channel->scout != at) {
			uint64_t parked_ns = PARKED_NS + call->retry.paused_ns;
			ftsi_retry_extend(&call->retry, parked_ns > delay_ns ? parked_ns - delay_ns : 0);
			delay_ns = parked_ns > delay_ns ? parked_ns : delay_ns;
			call->is_parked = true;
			channel->parked_count++;
		}
	}
	back_off(channel, call, delay_ns, now_ns);
}

void ftsi_engine_unpark(struct fts_channel *channel)
{
	channel->is_leader_found = false;
	for (uint32_t i = 0; i < channel->used_count && channel->parked_count > 0; i++) {
		struct ftsi_open_call *call = &channel->calls[i];
		if (call->state != FTSI_CALL_BACKOFF || !call->is_parked) continue;
		call->target = FTSI_NO_LINK;
		ftsi_call_go(channel, call, fts_clock_monotonic_ns());
	}
}

/* call->error says what happened; carry out what the policy says about it. */
static void settle(struct fts_channel *channel, struct ftsi_open_call *call, const struct ftsi_outcome *outcome)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint64_t left_ns = now_ns < call->deadline_ns ? call->deadline_ns - now_ns : 0;
	struct ftsi_decision decision = {.action = FTSI_RETRY_GIVE_UP};
	if (!call->no_retry && !channel->closing)
		decision = ftsi_retry_decide(&call->retry, outcome, left_ns, next_random(channel));
	if (decision.action == FTSI_RETRY_WAIT) ftsi_call_end_search(channel, call);
	switch (decision.action) {
	case FTSI_RETRY_PAUSE:
		pause_call(channel, call, decision.delay_ns, now_ns);
		return;
	case FTSI_RETRY_GIVE_UP:
		ftsi_call_end(channel, call);
		return;
	case FTSI_RETRY_WAIT:
		back_off(channel, call, decision.delay_ns, now_ns);
		return;
	case FTSI_RETRY_MOVE:
		call->refused = 0;
		ftsi_call_go(channel, call, now_ns);
		return;
	}
}

static void settle_unreachable(struct fts_channel *channel, struct ftsi_open_call *call)
{
	struct ftsi_outcome outcome = {.kind = FTSI_OUTCOME_UNREACHABLE, .status = FTS_UNAVAILABLE};
	set_unreachable_error(channel, call);
	call->target = FTSI_NO_LINK;
	settle(channel, call, &outcome);
}

static void settle_broken(struct fts_channel *channel, struct ftsi_open_call *call)
{
	const struct ftsi_link *link = channel->links[call->link];
	struct ftsi_outcome outcome = {.kind = FTSI_OUTCOME_BROKEN, .status = FTS_UNAVAILABLE};
	outcome.is_untried = ftsi_route_has_untried(channel, call, fts_clock_monotonic_ns());
	if (!call->unsent) call->may_have_run = true;
	ftsi_call_set_error(call, FTS_UNAVAILABLE, FTS_EXECUTED_NO, "the connection to %s broke before the answer (%s)",
			    link->endpoint.text, link->reason);
	call->target = FTSI_NO_LINK;
	settle(channel, call, &outcome);
}

void ftsi_call_go(struct fts_channel *channel, struct ftsi_open_call *call, uint64_t now_ns)
{
	uint32_t at = channel->closing ? FTSI_NO_LINK : ftsi_route_pick(channel, call, now_ns);
	ftsi_call_end_park(channel, call);
	if (at == FTSI_NO_LINK) {
		settle_unreachable(channel, call);
	} else if (channel->links[at]->state == FTSI_LINK_UP) {
		send_call(channel, call, channel->links[at], now_ns);
	} else {
		queue_call(channel, call, at, now_ns);
	}
}

/* ---- Answers that are not OK ---- */

static uint32_t target_after(struct fts_channel *channel, const struct ftsi_open_call *call,
			     const struct ftsi_outcome *outcome, uint32_t hinted)
{
	if (outcome->status == FTS_RESOURCE_EXHAUSTED) return call->link;
	uint32_t target = hinted != FTSI_NO_LINK ? hinted : ftsi_route_next(channel, call->link);
	uint32_t *home = &channel->homes[call->method->route];
	if (*home == call->link) *home = target;
	return target;
}

void ftsi_engine_refused(struct fts_channel *channel, struct ftsi_open_call *call, const fts_rpc_v1_ReplyHeader *header)
{
	struct ftsi_outcome outcome = {
	    .kind = FTSI_OUTCOME_ANSWERED,
	    .status = fts_status_from_wire((int32_t)header->code),
	    .executed = fts_executed_from_wire((int32_t)header->executed),
	    .retry_after_ms = header->retry_after_ms,
	};
	call->request_id = 0; /* answered */
	ftsi_call_note_answer(channel, call, header);
	/* The log has judged this identity, so no earlier try has run or will: its answer would have come instead. */
	bool is_passing = outcome.status == FTS_UNAVAILABLE || outcome.status == FTS_RESOURCE_EXHAUSTED;
	bool is_judged = call->has_identity && header->index > 0 && !is_passing;
	if (is_judged && outcome.executed == FTS_EXECUTED_NO) call->may_have_run = false;
	ftsi_call_set_error(call, outcome.status, outcome.executed, "%s", header->detail);
	call->error.retry_after_ms = header->retry_after_ms;
	if (outcome.executed != FTS_EXECUTED_NO) call->may_have_run = true;
	if (outcome.status == FTS_UNAVAILABLE || outcome.status == FTS_RESOURCE_EXHAUSTED) {
		uint32_t hinted = ftsi_route_learn(channel, header->leader);
		if (hinted == call->link) hinted = FTSI_NO_LINK;
		outcome.is_hinted = hinted != FTSI_NO_LINK;
		outcome.is_untried = outcome.is_hinted && !((call->asked | call->refused) & ftsi_link_bit(hinted));
		call->target = target_after(channel, call, &outcome, hinted);
	}
	settle(channel, call, &outcome);
}

/* ---- Connections that come and go ---- */

void ftsi_engine_up(struct fts_channel *channel, struct ftsi_link *link)
{
	for (uint32_t i = 0; i < channel->used_count && link->state == FTSI_LINK_UP; i++) {
		struct ftsi_open_call *call = &channel->calls[i];
		if (call->state != FTSI_CALL_QUEUED) continue;
		bool is_free_to_choose = call->target == FTSI_NO_LINK;
		if (call->link == link->index || is_free_to_choose)
			send_call(channel, call, link, fts_clock_monotonic_ns());
	}
}

void ftsi_engine_slow(struct fts_channel *channel, struct ftsi_open_call *call)
{
	uint32_t target = call->target;
	call->refused |= ftsi_link_bit(call->link);
	call->target = FTSI_NO_LINK;
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t other = ftsi_route_pick(channel, call, now_ns);
	if (other != FTSI_NO_LINK) {
		ftsi_call_go(channel, call, now_ns);
		return;
	}
	call->refused &= ~ftsi_link_bit(call->link);
	call->target = target;
	call->wake_ns = call->deadline_ns;
}

void ftsi_engine_down(struct fts_channel *channel, struct ftsi_link *link, uint32_t epoch)
{
	ftsi_route_leave(channel, link->index);
	for (uint32_t i = 0; i < channel->used_count; i++) {
		struct ftsi_open_call *call = &channel->calls[i];
		if (call->link != link->index || call->epoch != epoch) continue;
		if (call->state == FTSI_CALL_SENT) {
			settle_broken(channel, call);
		} else if (call->state == FTSI_CALL_QUEUED) {
			call->refused |= ftsi_link_bit(link->index);
			ftsi_call_go(channel, call, fts_clock_monotonic_ns());
		}
	}
}

void ftsi_engine_move(struct fts_channel *channel, struct ftsi_link *link, bool leader_calls, uint32_t to,
		      uint64_t until_ns)
{
	uint32_t epoch = link->epoch;
	for (uint32_t i = 0; i < channel->used_count; i++) {
		struct ftsi_open_call *call = &channel->calls[i];
		if (call->state != FTSI_CALL_SENT || call->link != link->index || call->epoch != epoch) continue;
		if ((call->method->route == FTS_ROUTE_LEADER) != leader_calls || call->sent_ns > until_ns) continue;
		if (call->no_retry || call->retry.moves >= FTSI_RETRY_MOVES_MAX) continue;
		call->retry.moves++;
		if (!call->unsent) call->may_have_run = true;
		call->refused = 0;
		call->target = to;
		ftsi_call_go(channel, call, fts_clock_monotonic_ns());
	}
}

/* ---- Time limits ---- */

static void expire_sent(struct fts_channel *channel, struct ftsi_open_call *call)
{
	const struct ftsi_link *link = channel->links[call->link];
	call->may_have_run = true;
	ftsi_call_set_error(call, FTS_DEADLINE_EXCEEDED, FTS_EXECUTED_NO,
			    "no answer from %s within the %u ms of the call", link->endpoint.text, call->timeout_ms);
	/* It has said nothing at all meanwhile, though it had time to: others first, until they point back to it. */
	bool had_time = call->deadline_ns >= call->sent_ns + SILENCE_NS;
	if (had_time && link->answer_count == call->answer_count) ftsi_route_leave(channel, link->index);
}

void ftsi_engine_expire(struct fts_channel *channel, struct ftsi_open_call *call)
{
	FTS_ASSERT(ftsi_call_is_pending(call));
	if (call->state == FTSI_CALL_SENT) {
		expire_sent(channel, call);
	} else if (call->state == FTSI_CALL_QUEUED) {
		ftsi_call_set_error(call, FTS_DEADLINE_EXCEEDED, FTS_EXECUTED_NO,
				    "not connected to %s within the %u ms of the call",
				    channel->links[call->link]->endpoint.text, call->timeout_ms);
	}
	ftsi_call_end(channel, call);
}
