/* Why this file exists: fts.rpc.v1.Events/Replay, as one more machine that only reads. */
#include <string.h>

#include "fts/rpc/v1/events.fts.h"
#include "fts/rpc/v1/events.pb-c.h"
#include "replica/internal.h"

enum { LIMIT_DEFAULT = 1000, LIMIT_MAX = 10000, ANSWER_BYTES_MAX = 2 * 1024 * 1024, EVENT_OVERHEAD_BYTES = 48 };

struct replay {
	struct fts_read *read;
	const Fts__Rpc__V1__ReplayRequest *request;
	Fts__Rpc__V1__ReplayResponse *response;
	uint32_t limit;
	size_t size_bytes;
};

static bool wanted(const Fts__Rpc__V1__ReplayRequest *request, const struct ftsi_event *event)
{
	size_t size = strlen(request->topic);
	return event->topic.size_bytes >= size && memcmp(event->topic.data, request->topic, size) == 0;
}

static enum fts_status add_event(struct replay *replay, const struct ftsi_event *event)
{
	struct fts_arena *arena = replay->read->arena;
	Fts__Rpc__V1__Event *message = fts_arena_alloc(arena, sizeof *message);
	char *topic = fts_arena_copy(arena, event->topic.data, event->topic.size_bytes);
	char *payload = fts_arena_copy(arena, event->payload.data, event->payload.size_bytes);
	if (message == NULL || topic == NULL || payload == NULL)
		return fts_read_refuse(replay->read, FTS_RESOURCE_EXHAUSTED, "too many events at once: ask for fewer");
	fts__rpc__v1__event__init(message);
	message->index = event->index;
	message->ordinal = event->ordinal;
	message->topic = topic;
	message->payload = (ProtobufCBinaryData){event->payload.size_bytes, (uint8_t *)payload};
	replay->response->events[replay->response->n_events++] = message;
	replay->size_bytes += event->payload.size_bytes + event->topic.size_bytes + EVENT_OVERHEAD_BYTES;
	return FTS_OK;
}

static bool is_full(const struct replay *replay)
{
	return replay->response->n_events == replay->limit || replay->size_bytes > ANSWER_BYTES_MAX;
}

/* The events of one record from from_ordinal on; next_* is the first that was not looked at. */
static enum fts_status walk_record(struct replay *replay, struct ftsi_event_walk *walk, uint32_t from_ordinal)
{
	enum fts_status status = FTS_OK;
	int found = ftsi_event_walk_next(walk);
	for (; found == 1 && status == FTS_OK; found = ftsi_event_walk_next(walk)) {
		if (walk->event.ordinal < from_ordinal) continue;
		replay->response->next_ordinal = walk->event.ordinal;
		if (is_full(replay)) {
			replay->response->end = false;
			return FTS_OK;
		}
		if (wanted(replay->request, &walk->event)) status = add_event(replay, &walk->event);
		replay->response->next_ordinal++;
	}
	return found >= 0 ? status : fts_read_refuse(replay->read, FTS_DATA_LOSS, "a kept event can't be read");
}

static enum fts_status walk_all(struct replay *replay, struct fts_cursor *cursor)
{
	struct fts_bytes key, value;
	struct ftsi_event_walk walk;
	enum fts_status status = FTS_OK;
	replay->response->end = true;
	while (status == FTS_OK && replay->response->end && fts_cursor_next(cursor, &key, &value)) {
		uint32_t from_ordinal = 0;
		if (ftsi_event_walk_begin(&walk, key, value) != 0)
			return fts_read_refuse(replay->read, FTS_DATA_LOSS, "a kept event can't be read");
		if (walk.event.index == replay->response->next_index) from_ordinal = replay->response->next_ordinal;
		replay->response->next_index = walk.event.index;
		replay->response->next_ordinal = from_ordinal;
		status = walk_record(replay, &walk, from_ordinal);
	}
	return status == FTS_OK ? fts_cursor_status(cursor) : status;
}

static enum fts_status replay_read(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				   void *ctx)
{
	struct fts_replica *replica = ctx;
	struct replay replay = {.read = read,
				.request = (const Fts__Rpc__V1__ReplayRequest *)(const void *)request,
				.response = (Fts__Rpc__V1__ReplayResponse *)(void *)response};
	uint64_t oldest = ftsi_event_log_oldest(replica->events);
	uint64_t from = replay.request->from_index;
	uint32_t ordinal = replay.request->from_ordinal;
	struct fts_cursor *cursor = NULL;
	enum fts_status status;
	if (from == 0) {
		/* Asked where the log stands now: everything up to here is the past for who begins to listen. */
		replay.response->oldest_index = ftsi_event_log_gone_before(replica->events);
		replay.response->next_index = atomic_load(&replica->applied_index) + 1;
		replay.response->end = true;
		return FTS_OK;
	}
	replay.limit = replay.request->limit == 0 ? LIMIT_DEFAULT : replay.request->limit;
	replay.limit = replay.limit > LIMIT_MAX ? LIMIT_MAX : replay.limit;
	replay.response->events = fts_arena_alloc(read->arena, replay.limit * sizeof *replay.response->events);
	if (replay.response->events == NULL)
		return fts_read_refuse(read, FTS_RESOURCE_EXHAUSTED, "too many events at once: ask for fewer");
	if (from < oldest) {
		from = oldest;
		ordinal = 0;
	}
	replay.response->oldest_index = ftsi_event_log_gone_before(replica->events);
	replay.response->next_index = from;
	replay.response->next_ordinal = ordinal;
	status = ftsi_event_scan(read->view, from, &cursor);
	if (status == FTS_OK) status = walk_all(&replay, cursor);
	fts_cursor_close(cursor);
	return status;
}

void ftsi_replay_init(struct fts_replica *replica)
{
	replica->events_methods[0].read = replay_read;
	replica->events_machine = (struct fts_machine){
	    .service = &fts_events_service,
	    .methods = replica->events_methods,
	    .ctx = replica,
	};
}
