/* Why this file exists: a call from its handler's side: what its header said, and how it is answered. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "rpc/server_internal.h"

/* The call whose reader is this thread: nobody else touches its state before the handler returns. */
static _Thread_local struct fts_call *inline_call;

void ftsi_call_set_inline(struct fts_call *call)
{
	inline_call = call;
}

void ftsi_call_run(struct fts_call *call)
{
	const struct ftsi_offer *offer = &call->entry->offer;
	const struct fts_method *method = call->entry->method;
	if (offer->raw != NULL)
		offer->raw(call, method, call->payload, offer->ctx);
	else
		method->invoke(offer->handlers, call, call->request, offer->ctx);
}

void ftsi_call_refuse(struct ftsi_server_conn *peer, struct fts_bytes route, enum fts_status status, const char *format,
		      ...)
{
	struct fts_error error = {.status = status};
	va_list args;
	va_start(args, format);
	vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	ftsi_call_refuse_error(peer, route, &error);
}

void ftsi_call_refuse_error(struct ftsi_server_conn *peer, struct fts_bytes route, const struct fts_error *error)
{
	struct ftsi_reply_fields reply = {.status = error->status,
					  .executed = FTS_EXECUTED_NO,
					  .node = peer->server->node,
					  .retry_after_ms = error->retry_after_ms,
					  .detail = error->detail};
	struct ftsi_outgoing outgoing = {.route = route, .reply = &reply};
	enum fts_status sent = ftsi_conn_send(peer->conn, &outgoing, NULL);
	if (sent == FTS_RESOURCE_EXHAUSTED) ftsi_conn_close(peer->conn, "no memory for a reply");
}

/* ---- Open calls ---- */

static void open_add(struct fts_call *call)
{
	struct ftsi_server_conn *peer = call->peer;
	atomic_fetch_add(&peer->ref_count, 1);
	pthread_mutex_lock(&peer->open_mutex);
	call->newer = NULL;
	call->older = peer->newest_open;
	if (call->older != NULL)
		call->older->newer = call;
	else
		peer->oldest_open = call;
	peer->newest_open = call;
	atomic_fetch_add_explicit(&peer->open_count, 1, memory_order_relaxed);
	pthread_mutex_unlock(&peer->open_mutex);
}

static void open_remove(struct fts_call *call)
{
	struct ftsi_server_conn *peer = call->peer;
	pthread_mutex_lock(&peer->open_mutex);
	if (call->older != NULL)
		call->older->newer = call->newer;
	else
		peer->oldest_open = call->newer;
	if (call->newer != NULL)
		call->newer->older = call->older;
	else
		peer->newest_open = call->older;
	atomic_fetch_sub_explicit(&peer->open_count, 1, memory_order_relaxed);
	pthread_mutex_unlock(&peer->open_mutex);
}

/* Free a detached call, its memory and its hold on the connection. */
static void detached_free(struct fts_call *call)
{
	struct ftsi_server_conn *peer = call->peer;
	open_remove(call);
	ftsi_budget_give(&peer->server->budget, call->charged_bytes);
	fts_arena_release(call->arena);
	ftsi_server_conn_release(peer);
}

bool ftsi_call_settle(struct fts_call *call)
{
	if (atomic_load_explicit(&call->state, memory_order_acquire) != FTSI_CALL_ANSWERED) {
		int running = FTSI_CALL_RUNNING;
		struct ftsi_server_conn *peer = call->peer;
		open_add(call);
		if (atomic_compare_exchange_strong(&call->state, &running, FTSI_CALL_DETACHED)) return false;
		open_remove(call); /* another thread has answered it meanwhile */
		ftsi_server_conn_release(peer);
	}
	ftsi_budget_give(&call->server->budget, call->charged_bytes);
	return true;
}

/* ---- Answering ---- */

/* Send what the call's reply fields say. Returns the bytes sent, and the status that was. */
static size_t send_reply(struct fts_call *call, const ProtobufCMessage *message, struct fts_bytes payload)
{
	struct ftsi_outgoing outgoing = {
	    .route = {call->route, call->route_bytes}, .reply = &call->reply, .message = message, .payload = payload};
	size_t size_bytes = 0;
	enum fts_status st = ftsi_conn_send(call->peer->conn, &outgoing, &size_bytes);
	if (st == FTS_OK || st == FTS_UNAVAILABLE) return size_bytes;
	call->reply.status = FTS_RESOURCE_EXHAUSTED;
	call->reply.detail = "the reply is larger than a message may be, or there is no memory for it: ask for less";
	outgoing.message = NULL;
	outgoing.payload = (struct fts_bytes){NULL, 0};
	st = ftsi_conn_send(call->peer->conn, &outgoing, &size_bytes);
	if (st != FTS_OK) ftsi_conn_close(call->peer->conn, "no memory for a reply");
	return size_bytes;
}

static void answer(struct fts_call *call, enum fts_status status, enum fts_executed executed,
		   const ProtobufCMessage *message, struct fts_bytes payload)
{
	bool here = inline_call == call;
	if (here) {
		FTS_ASSERT(!atomic_load_explicit(&call->answered, memory_order_relaxed));
		atomic_store_explicit(&call->answered, true, memory_order_relaxed);
	} else {
		FTS_ASSERT(!atomic_exchange(&call->answered, true));
	}
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint64_t latency_ns = now_ns > call->received_ns ? now_ns - call->received_ns : 0;
	call->reply.status = status;
	if (!call->executed_set) call->reply.executed = executed;
	/* A time in every header would make every header new: it is told to those who trace. */
	if (call->trace_id != 0) call->reply.server_us = (uint32_t)(latency_ns / 1000);
	size_t size_bytes = send_reply(call, message, payload);
	ftsi_statistics_count(call->server, call->entry, call->reply.status, call->request_bytes, size_bytes,
			      latency_ns);
	if (here) {
		call->peer->now_ns = now_ns;
		atomic_store_explicit(&call->state, FTSI_CALL_ANSWERED, memory_order_relaxed);
	} else if (atomic_exchange(&call->state, FTSI_CALL_ANSWERED) == FTSI_CALL_DETACHED) {
		detached_free(call);
	}
}

void fts_call_reply(struct fts_call *call, const ProtobufCMessage *response)
{
	FTS_ASSERT(response != NULL);
	answer(call, FTS_OK, FTS_EXECUTED_YES, response, (struct fts_bytes){NULL, 0});
}

void fts_call_reply_bytes(struct fts_call *call, struct fts_bytes payload)
{
	answer(call, FTS_OK, FTS_EXECUTED_YES, NULL, payload);
}

void fts_call_fail(struct fts_call *call, enum fts_status status, const char *format, ...)
{
	char detail[FTS_DETAIL_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	FTS_ASSERT(status != FTS_OK);
	call->reply.detail = detail;
	answer(call, status, FTS_EXECUTED_NO, NULL, (struct fts_bytes){NULL, 0});
}

void fts_call_fail_error(struct fts_call *call, const struct fts_error *error)
{
	FTS_ASSERT(error->status != FTS_OK);
	call->reply.detail = error->detail;
	call->reply.retry_after_ms = error->retry_after_ms;
	answer(call, error->status, error->executed, NULL, (struct fts_bytes){NULL, 0});
}

/* ---- What the reply will say ---- */

void fts_call_set_executed(struct fts_call *call, enum fts_executed executed)
{
	call->reply.executed = executed;
	call->executed_set = true;
}

void fts_call_set_log_position(struct fts_call *call, uint64_t term, uint64_t index)
{
	call->reply.term = term;
	call->reply.index = index;
}

void fts_call_set_leader(struct fts_call *call, const char *leader_endpoint)
{
	call->reply.leader =
	    fts_arena_copy(call->arena, leader_endpoint, strnlen(leader_endpoint, FTSI_LEADER_MAX_BYTES - 1));
}

void fts_call_set_age_ms(struct fts_call *call, uint32_t age_ms)
{
	call->reply.age_ms = age_ms;
}

/* ---- What the call said ---- */

const struct fts_method *fts_call_method(const struct fts_call *call)
{
	return call->entry->method;
}

uint64_t fts_call_deadline_ns(const struct fts_call *call)
{
	return call->deadline_ns;
}

uint64_t fts_call_client_id(const struct fts_call *call)
{
	return call->client_id;
}

uint64_t fts_call_sequence(const struct fts_call *call)
{
	return call->sequence;
}

bool fts_call_may_have_run(const struct fts_call *call)
{
	return call->may_have_run;
}

uint64_t fts_call_lowest_unanswered(const struct fts_call *call)
{
	return call->lowest_unanswered;
}

uint64_t fts_call_fence(const struct fts_call *call)
{
	return call->fence;
}

uint64_t fts_call_trace_id(const struct fts_call *call)
{
	return call->trace_id;
}

bool fts_call_stale(const struct fts_call *call)
{
	return call->stale;
}

struct fts_bytes fts_call_token(const struct fts_call *call)
{
	return call->token;
}

bool fts_call_abandoned(const struct fts_call *call)
{
	return ftsi_conn_is_closed(call->peer->conn);
}

void *fts_call_alloc(struct fts_call *call, size_t size_bytes)
{
	return fts_arena_alloc(call->arena, size_bytes);
}
