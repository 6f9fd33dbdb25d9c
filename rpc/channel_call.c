/* Why this file exists: the table of open calls (channel_internal.h). Slots are reused last in, first out, so that
 * few are warm; a slot whose answer may still come goes to the end of the line, so that its request ids are not
 * reused before that. */
#include "rpc/channel_internal.h"

#include "base/assert.h"

#include <stdlib.h>

static uint32_t index_of(const struct fts_channel *channel, const struct ftsi_open_call *call)
{
	return (uint32_t)(call - channel->calls);
}

static struct ftsi_open_call *free_pop(struct fts_channel *channel)
{
	if (channel->free_head == FTSI_NO_CALL) {
		if (channel->used_count == channel->call_count_max) return NULL;
		return &channel->calls[channel->used_count++];
	}
	struct ftsi_open_call *call = &channel->calls[channel->free_head];
	channel->free_head = call->next;
	if (channel->free_head == FTSI_NO_CALL) channel->free_tail = FTSI_NO_CALL;
	return call;
}

static void free_push(struct fts_channel *channel, struct ftsi_open_call *call, bool last)
{
	uint32_t at = index_of(channel, call);
	if (channel->free_head == FTSI_NO_CALL) {
		call->next = FTSI_NO_CALL;
		channel->free_head = channel->free_tail = at;
	} else if (last) {
		call->next = FTSI_NO_CALL;
		channel->calls[channel->free_tail].next = at;
		channel->free_tail = at;
	} else {
		call->next = channel->free_head;
		channel->free_head = at;
	}
}

struct ftsi_open_call *ftsi_call_acquire(struct fts_channel *channel)
{
	struct ftsi_open_call *call = free_pop(channel);
	if (call == NULL) return NULL;
	FTS_ASSERT(call->state == FTSI_CALL_FREE && call->pin_count == 0);
	channel->open_count++;
	call->state = FTSI_CALL_ENDED;
	call->generation++;
	call->request_id = 0;
	call->link = call->target = FTSI_NO_LINK;
	call->send_count = 0;
	call->retry = (struct ftsi_retry){0};
	call->has_identity = call->may_have_run = call->unsent = call->late = false;
	call->is_released = call->is_parked = call->is_passed_on = false;
	call->asked = call->refused = 0;
	call->first_sent_ns = call->sequence = 0;
	call->error.status = FTS_OK;
	return call;
}

void ftsi_call_end_park(struct fts_channel *channel, struct ftsi_open_call *call)
{
	if (!call->is_parked) return;
	call->is_parked = false;
	channel->parked_count--;
}

void ftsi_call_end_search(struct fts_channel *channel, struct ftsi_open_call *call)
{
	ftsi_call_end_park(channel, call);
	if (channel->scout == index_of(channel, call)) channel->scout = FTSI_NO_CALL;
}

static void slot_free(struct fts_channel *channel, struct ftsi_open_call *call)
{
	if (call->payload != call->inline_bytes) {
		free(call->payload);
		channel->held_bytes -= call->payload_size_bytes;
	}
	call->payload = NULL;
	call->state = FTSI_CALL_FREE;
	free_push(channel, call, call->late);
	channel->open_count--;
}

void ftsi_call_release(struct fts_channel *channel, struct ftsi_open_call *call, bool late)
{
	FTS_ASSERT(!call->is_released);
	ftsi_call_end_search(channel, call);
	if (call->has_identity && !call->is_passed_on) ftsi_session_end(&channel->session, call->sequence);
	call->state = FTSI_CALL_ENDED;
	call->is_released = true;
	call->late = late;
	call->waiter = NULL;
	if (call->pin_count == 0) slot_free(channel, call);
	if (channel->waiting_count > 0) pthread_cond_broadcast(&channel->changed);
}

void ftsi_call_pin(struct ftsi_open_call *call)
{
	call->pin_count++;
}

void ftsi_call_unpin(struct fts_channel *channel, struct ftsi_open_call *call)
{
	FTS_ASSERT(call->pin_count > 0);
	if (--call->pin_count > 0 || !call->is_released) return;
	slot_free(channel, call);
	if (channel->waiting_count > 0) pthread_cond_broadcast(&channel->changed);
}

uint32_t ftsi_call_new_request_id(struct fts_channel *channel, struct ftsi_open_call *call)
{
	uint32_t id = ++call->try_generation << channel->slot_bits | index_of(channel, call);
	call->request_id = id | FTSI_REQUEST_ID_BIT;
	return call->request_id;
}

struct ftsi_open_call *ftsi_call_find(struct fts_channel *channel, const struct ftsi_link *link, uint32_t request_id)
{
	uint32_t at = request_id & ((1u << channel->slot_bits) - 1);
	if (at >= channel->used_count) return NULL;
	struct ftsi_open_call *call = &channel->calls[at];
	if (call->state != FTSI_CALL_SENT || call->request_id != request_id || call->link != link->index) return NULL;
	return call->epoch == link->epoch ? call : NULL;
}

struct fts_call_id ftsi_call_id_of(const struct fts_channel *channel, const struct ftsi_open_call *call)
{
	return (struct fts_call_id){(uint64_t)call->generation << 32 | (index_of(channel, call) + 1)};
}

struct ftsi_open_call *ftsi_call_by_id(struct fts_channel *channel, struct fts_call_id id)
{
	uint64_t at = (id.value & UINT32_MAX) - 1;
	if (at >= channel->used_count) return NULL;
	struct ftsi_open_call *call = &channel->calls[at];
	return call->state != FTSI_CALL_FREE && call->generation == id.value >> 32 ? call : NULL;
}

bool ftsi_call_is_pending(const struct ftsi_open_call *call)
{
	return call->state == FTSI_CALL_QUEUED || call->state == FTSI_CALL_SENT || call->state == FTSI_CALL_BACKOFF;
}
