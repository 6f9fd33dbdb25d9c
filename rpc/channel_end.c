/* Why this file exists: how a call's end reaches the caller (channel_internal.h): a blocked caller is filled in and
 * woken, an asynchronous one has its callback run on one of the runtime's threads, without the mutex.
 *
 * What an answer unpacks to is bounded: protobuf-c needs up to 52 times the message, so that 4 MiB from a hostile
 * server would be 200 MB. Asynchronous answers live in the connection's arena and are gone after the callback. */
#include "rpc/channel_internal.h"

#include "base/assert.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned callback_depth;

bool ftsi_channel_in_callback(void)
{
	return callback_depth > 0;
}

/* ---- Errors and info ---- */

void ftsi_call_set_error(struct ftsi_open_call *call, enum fts_status status, enum fts_executed executed,
			 const char *format, ...)
{
	bool is_doubtful = executed == FTS_EXECUTED_NO && call->may_have_run;
	call->error.status = status;
	call->error.executed = is_doubtful ? FTS_EXECUTED_UNKNOWN : executed;
	call->error.retry_after_ms = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(call->error.detail, sizeof call->error.detail, format, args);
	va_end(args);
}

void ftsi_call_note_answer(struct fts_channel *channel, struct ftsi_open_call *call,
			   const fts_rpc_v1_ReplyHeader *header)
{
	if (call->waiter == NULL) return;
	struct fts_call_info *info = &call->waiter->info;
	snprintf(info->node, sizeof info->node, "%s", header->node);
	snprintf(info->endpoint, sizeof info->endpoint, "%s", channel->links[call->link]->endpoint.text);
	info->term = header->term;
	info->index = header->index;
	info->age_ms = header->age_ms;
	info->server_us = header->server_us;
	info->wait_us = (fts_clock_monotonic_ns() - call->sent_ns) / 1000;
}

static void wake_waiter(struct fts_channel *channel, struct ftsi_open_call *call)
{
	struct ftsi_waiter *waiter = call->waiter;
	struct fts_call_info *info = &waiter->info;
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint64_t connected_ns = call->first_sent_ns != 0 ? call->first_sent_ns : now_ns;
	info->attempts = call->send_count;
	info->moves = call->retry.moves;
	if (call->send_count > 1) info->retry_us = (call->sent_ns - call->first_sent_ns) / 1000;
	info->connect_us = (connected_ns - call->began_ns) / 1000;
	info->total_us = (now_ns - call->began_ns) / 1000;
	if (info->endpoint[0] == '\0' && call->link != FTSI_NO_LINK)
		snprintf(info->endpoint, sizeof info->endpoint, "%s", channel->links[call->link]->endpoint.text);
	waiter->is_ended = true;
	pthread_cond_signal(&waiter->woken);
}

/* ---- Failure ---- */

static void ended_push(struct fts_channel *channel, struct ftsi_open_call *call)
{
	uint32_t at = (uint32_t)(call - channel->calls);
	call->next = FTSI_NO_CALL;
	if (channel->ended_head == FTSI_NO_CALL) {
		channel->ended_head = at;
	} else {
		channel->calls[channel->ended_tail].next = at;
	}
	channel->ended_tail = at;
}

void ftsi_call_end(struct fts_channel *channel, struct ftsi_open_call *call)
{
	FTS_ASSERT(call->error.status != FTS_OK);
	call->late = call->state == FTSI_CALL_SENT && call->request_id != 0;
	ftsi_call_end_search(channel, call);
	if (call->waiter != NULL) {
		call->waiter->error = call->error;
		wake_waiter(channel, call);
		ftsi_call_release(channel, call, call->late);
		return;
	}
	call->state = FTSI_CALL_ENDED;
	ended_push(channel, call);
	ftsi_timer_want(channel, 0);
}

/* Runs the callback of the call that was first in the list. */
static void deliver_one(struct fts_channel *channel, struct ftsi_open_call *call)
{
	fts_done_fn done = call->done;
	void *ctx = call->ctx;
	struct fts_error error = call->error;
	ftsi_call_release(channel, call, call->late);
	pthread_mutex_unlock(&channel->mutex);
	callback_depth++;
	done(ctx, error.status, NULL, &error);
	callback_depth--;
	pthread_mutex_lock(&channel->mutex);
}

void ftsi_channel_deliver(struct fts_channel *channel)
{
	while (channel->ended_head != FTSI_NO_CALL) {
		struct ftsi_open_call *call = &channel->calls[channel->ended_head];
		channel->ended_head = call->next;
		deliver_one(channel, call);
	}
}

/* ---- Unpacking ---- */

static void *arena_alloc(void *arena, size_t size_bytes)
{
	return fts_arena_alloc(arena, size_bytes);
}

static void arena_free(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

static void *capped_alloc(void *left, size_t size_bytes)
{
	size_t *left_bytes = left;
	if (size_bytes > *left_bytes) {
		*left_bytes = 0;
		return NULL;
	}
	*left_bytes -= size_bytes;
	return malloc(size_bytes > 0 ? size_bytes : 1);
}

static void capped_free(void *left, void *memory)
{
	(void)left;
	free(memory);
}

static enum fts_status unpack_failed(const struct fts_method *method, bool is_too_large, struct fts_error *out_error)
{
	enum fts_status status = is_too_large ? FTS_RESOURCE_EXHAUSTED : FTS_INTERNAL;
	fts_error_set(out_error, status,
		      is_too_large ? "the answer unpacks to more memory than allowed: %s"
				   : "the answer is not a %s message",
		      method->response->name);
	if (out_error != NULL) out_error->executed = FTS_EXECUTED_YES;
	return status;
}

enum fts_status ftsi_response_unpack(const struct fts_method *method, struct fts_bytes payload,
				     ProtobufCMessage **out_response, struct fts_error *out_error)
{
	size_t left_bytes = FTSI_UNPACKED_MAX_BYTES;
	ProtobufCAllocator capped = {capped_alloc, capped_free, &left_bytes};
	ProtobufCMessage *response =
	    protobuf_c_message_unpack(method->response, &capped, payload.size_bytes, payload.data);
	if (response == NULL) return unpack_failed(method, left_bytes == 0, out_error);
	*out_response = response;
	return FTS_OK;
}

/* ---- Success ---- */

static void run_done(const struct ftsi_link *link, const struct fts_method *method, fts_done_fn done, void *ctx,
		     struct fts_bytes payload)
{
	ProtobufCAllocator allocator = {arena_alloc, arena_free, link->arena};
	ProtobufCMessage *response =
	    protobuf_c_message_unpack(method->response, &allocator, payload.size_bytes, payload.data);
	struct fts_error error;
	enum fts_status status = FTS_OK;
	if (response == NULL) status = unpack_failed(method, fts_arena_exhausted(link->arena), &error);
	callback_depth++;
	done(ctx, status, response, response == NULL ? &error : NULL);
	callback_depth--;
	fts_arena_reset(link->arena);
}

/* Copies a large answer without the mutex; nothing ends the call meanwhile. */
static bool copy_large(struct fts_channel *channel, struct ftsi_open_call *call, struct fts_bytes payload)
{
	struct ftsi_waiter *waiter = call->waiter;
	call->state = FTSI_CALL_COPYING;
	pthread_mutex_unlock(&channel->mutex);
	uint8_t *copy = malloc(payload.size_bytes);
	if (copy != NULL) memcpy(copy, payload.data, payload.size_bytes);
	pthread_mutex_lock(&channel->mutex);
	waiter->payload = copy;
	return copy != NULL;
}

static void succeed_waiter(struct fts_channel *channel, struct ftsi_open_call *call,
			   const fts_rpc_v1_ReplyHeader *header, struct fts_bytes payload)
{
	struct ftsi_waiter *waiter = call->waiter;
	ftsi_call_note_answer(channel, call, header);
	waiter->payload = waiter->small;
	waiter->payload_size_bytes = payload.size_bytes;
	waiter->error.status = FTS_OK;
	if (payload.size_bytes > sizeof waiter->small) {
		if (!copy_large(channel, call, payload)) {
			fts_error_set(&waiter->error, FTS_RESOURCE_EXHAUSTED,
				      "out of memory for an answer of %zu bytes", payload.size_bytes);
			waiter->error.executed = FTS_EXECUTED_YES;
		}
	} else if (payload.size_bytes > 0) {
		memcpy(waiter->small, payload.data, payload.size_bytes);
	}
	wake_waiter(channel, call);
	ftsi_call_release(channel, call, false);
}

static void leader_answered(struct fts_channel *channel, uint64_t term)
{
	if (term > channel->leader_term) channel->leader_term = term;
	if (channel->parked_count == 0 || channel->is_leader_found) return;
	channel->is_leader_found = true;
	ftsi_timer_want(channel, 0);
}

void ftsi_call_succeed(struct fts_channel *channel, struct ftsi_open_call *call, struct ftsi_link *link,
		       const fts_rpc_v1_ReplyHeader *header, struct fts_bytes payload)
{
	channel->homes[call->method->route] = link->index;
	if (call->method->route == FTS_ROUTE_LEADER) leader_answered(channel, header->term);
	if (call->waiter != NULL) {
		succeed_waiter(channel, call, header, payload);
		pthread_mutex_unlock(&channel->mutex);
		return;
	}
	const struct fts_method *method = call->method;
	fts_done_fn done = call->done;
	void *ctx = call->ctx;
	ftsi_call_release(channel, call, false);
	pthread_mutex_unlock(&channel->mutex);
	run_done(link, method, done, ctx, payload);
}
