/* Why this file exists: from a committed entry to its effects, answers and events in DIR/state, all in one batch.
 *
 * Invariants: what a command does follows from the entry and the state alone, memory limits included: they are
 * counted by entry, so that all nodes refuse alike. A command that is refused leaves nothing but its answer. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "replica/allocator.h"
#include "replica/applied.h"
#include "replica/digest.h"
#include "replica/fence.h"
#include "replica/format.h"
#include "replica/state.h"

enum { EVENT_ENTRY_MAX = 65536 };

/* From one entry to the next the idle clock goes on by no more: a leader whose wall clock is ahead must not make all
 * clients idle at once, or the calls that are on their way again would run twice. */
enum { IDLE_STEP_MAX_MS = 60000 };

/* One entry while it is applied. */
struct entry {
	struct fts_replica *replica;
	uint64_t index;
	struct ftsi_batch_head head;
	uint32_t ordinal;
	size_t answer_bytes;    /* packed so far */
	size_t repeated_bytes;  /* of kept answers given again */
	struct ftsi_slot *slot; /* of the next command; NULL: not proposed here */
};

static enum fts_status halt(struct fts_replica *replica, enum fts_status status, uint64_t index, const char *what)
{
	ftsi_loop_fail(replica, status, "entry %" PRIu64 " can't be applied: %s", index, what);
	return status;
}

/* ---- What a transition may call ---- */

enum fts_status fts_apply_refuse(struct fts_apply *apply, enum fts_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(apply->detail, sizeof apply->detail, format, args);
	va_end(args);
	return status;
}

static uint8_t *copy_of(struct fts_replica *replica, const void *data, size_t size_bytes)
{
	uint8_t *copy = fts_arena_alloc(replica->answer_arena, size_bytes);
	if (copy != NULL && size_bytes > 0) memcpy(copy, data, size_bytes);
	return copy;
}

enum fts_status fts_apply_publish(struct fts_apply *apply, const char *topic, const ProtobufCMessage *event)
{
	struct fts_apply_events *events = apply->events;
	struct fts_replica *replica = events->replica;
	size_t topic_size = strlen(topic), size = protobuf_c_message_get_packed_size(event);
	struct ftsi_pending_event *pending;
	uint8_t *payload, *topic_copy;
	FTS_ASSERT(topic_size <= FTSI_EVENT_TOPIC_MAX);
	if (events->entry_count >= EVENT_ENTRY_MAX || size > FTSI_ENTRY_ANSWER_BYTES_MAX - events->entry_bytes)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "too many events in one entry of the log");
	events->entry_count++; /* not taken back when the command is refused: the memory is not either */
	events->entry_bytes += size;
	pending = fts_arena_alloc(replica->answer_arena, sizeof *pending);
	payload = fts_arena_alloc(replica->answer_arena, size);
	topic_copy = copy_of(replica, topic, topic_size);
	if (pending == NULL || payload == NULL || topic_copy == NULL)
		return fts_apply_refuse(apply, FTS_INTERNAL, "no memory for an event");
	protobuf_c_message_pack(event, payload);
	pending->next = NULL;
	pending->event =
	    (struct ftsi_event){events->index, events->next_ordinal, {topic_copy, topic_size}, {payload, size}};
	*events->last = pending;
	events->last = &pending->next;
	events->next_ordinal++;
	return FTS_OK;
}

void fts_apply_wake(struct fts_apply *apply, uint64_t key)
{
	struct ftsi_wakes *wakes = &apply->events->wakes;
	uint64_t bit = ftsi_wake_bit(key);
	wakes->any = true; /* not taken back when the command is refused: who wakes for nothing waits again */
	wakes->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* ---- One command ---- */

static enum fts_status run_transition(const struct ftsi_target *target, struct fts_apply *apply,
				      ProtobufCMessage **out_response)
{
	ProtobufCAllocator allocator = ftsi_arena_allocator(apply->arena);
	ProtobufCMessage *request = protobuf_c_message_unpack(
	    target->method->request, &allocator, apply->request_bytes.size_bytes, apply->request_bytes.data);
	if (request == NULL && fts_arena_exhausted(apply->arena))
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	if (request == NULL)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "the request is not a %s",
					target->method->request->name);
	*out_response = ftsi_message_new(target->method->response, apply->arena);
	if (*out_response == NULL)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	return target->code->apply(apply, request, *out_response, target->machine->ctx);
}

static enum fts_status pack_response(struct entry *entry, struct fts_apply *apply, const ProtobufCMessage *response,
				     struct fts_bytes *out_payload)
{
	size_t size = protobuf_c_message_get_packed_size(response);
	uint8_t *packed;
	if (size > FTSI_ENTRY_ANSWER_BYTES_MAX - entry->answer_bytes || size > FTS_MESSAGE_MAX - 4096)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "the answer would be too large");
	packed = fts_arena_alloc(entry->replica->answer_arena, size);
	if (packed == NULL) return fts_apply_refuse(apply, FTS_INTERNAL, "no memory for an answer");
	entry->answer_bytes += size;
	*out_payload = (struct fts_bytes){packed, protobuf_c_message_pack(response, packed)};
	return FTS_OK;
}

/* Run the command between two marks; *outcome has its answer. Not OK: this replica has to stop. */
static enum fts_status execute(struct entry *entry, const struct ftsi_target *target,
			       const struct ftsi_command *command, struct ftsi_outcome *outcome)
{
	struct fts_replica *replica = entry->replica;
	struct fts_apply_events *events = &replica->pending;
	struct ftsi_pending_event **last = events->last;
	uint32_t ordinal = events->next_ordinal;
	ProtobufCMessage *response = NULL;
	struct fts_apply apply = {.txn = replica->txn,
				  .index = entry->index,
				  .ordinal = entry->ordinal,
				  .time_ms = entry->head.time_ms,
				  .term = entry->head.term,
				  .lead_index = entry->head.lead_index,
				  .format = atomic_load(&replica->format),
				  .arena = replica->apply_arena,
				  .request_bytes = command->payload,
				  .events = events};
	apply.detail[0] = 0;
	fts_arena_reset(replica->apply_arena);
	fts_txn_save(replica->txn);
	outcome->status = fts_apply_check_fence(&apply, command->fence);
	if (outcome->status == FTS_OK) outcome->status = run_transition(target, &apply, &response);
	if (outcome->status == FTS_OK) outcome->status = pack_response(entry, &apply, response, &outcome->payload);
	if (outcome->status == FTS_INTERNAL || outcome->status == FTS_DATA_LOSS) {
		fts_txn_rollback(replica->txn);
		return halt(replica, outcome->status, entry->index, apply.detail);
	}
	if (outcome->status == FTS_OK) {
		fts_txn_release(replica->txn);
		outcome->executed = FTS_EXECUTED_YES;
		outcome->detail = "";
		return FTS_OK;
	}
	fts_txn_rollback(replica->txn);
	*last = NULL;
	events->last = last;
	events->next_ordinal = ordinal;
	outcome->payload = (struct fts_bytes){NULL, 0};
	outcome->executed = FTS_EXECUTED_NO;
	outcome->detail = fts_arena_copy(replica->answer_arena, apply.detail, strlen(apply.detail));
	return outcome->detail == NULL ? halt(replica, FTS_INTERNAL, entry->index, "no memory for an answer") : FTS_OK;
}

static enum fts_status keep_answer(struct entry *entry, const struct ftsi_command *command,
				   const struct ftsi_outcome *outcome)
{
	struct ftsi_session_record record = {
	    .client_id = command->client_id,
	    .sequence = command->sequence,
	    .lowest_unanswered = command->lowest_unanswered,
	    .index = entry->index,
	    .ordinal = entry->ordinal,
	    .time_ms = entry->replica->idle_ms,
	    .status = outcome->status,
	    .payload = outcome->payload,
	    .detail = outcome->detail,
	};
	enum fts_status status = ftsi_session_keep(entry->replica->sessions, entry->replica->txn, &record);
	return status == FTS_OK ? FTS_OK : halt(entry->replica, status, entry->index, "its answer can't be kept");
}

/* A retry: the first answer again. */
static enum fts_status repeat_answer(struct entry *entry, const struct ftsi_command *command,
				     struct ftsi_outcome *outcome)
{
	struct fts_replica *replica = entry->replica;
	struct ftsi_answer answer;
	enum fts_status status =
	    ftsi_session_answer(replica->sessions, replica->txn, command->client_id, command->sequence, &answer);
	if (status != FTS_OK) return halt(replica, status, entry->index, "a kept answer can't be read");
	if (entry->slot != NULL && answer.payload.size_bytes > FTSI_ENTRY_ANSWER_BYTES_MAX - entry->repeated_bytes) {
		/* only this node's memory is short: the caller asks again, the log is not concerned */
		fts_value_release(&answer.value);
		*outcome = (struct ftsi_outcome){.status = FTS_UNAVAILABLE,
						 .executed = FTS_EXECUTED_YES,
						 .index = answer.index,
						 .retry_after_ms = FTSI_RETRY_MS,
						 .detail = "too many large answers are asked for again at once"};
		return FTS_OK;
	}
	if (entry->slot != NULL) {
		uint8_t *payload = copy_of(replica, answer.payload.data, answer.payload.size_bytes);
		outcome->detail = fts_arena_copy(replica->answer_arena, answer.detail, strlen(answer.detail));
		if (payload == NULL || outcome->detail == NULL)
			status = halt(replica, FTS_INTERNAL, entry->index, "no memory for an answer");
		outcome->payload = (struct fts_bytes){payload, answer.payload.size_bytes};
		entry->repeated_bytes += answer.payload.size_bytes;
	}
	outcome->status = answer.status;
	outcome->index = answer.index;
	outcome->executed = answer.status == FTS_OK ? FTS_EXECUTED_YES : FTS_EXECUTED_NO;
	fts_value_release(&answer.value);
	return status;
}

static enum fts_status apply_command(struct entry *entry, const struct ftsi_command *command,
				     struct ftsi_outcome *outcome)
{
	struct fts_replica *replica = entry->replica;
	const struct ftsi_target *target = ftsi_target_find(replica, command->method);
	enum ftsi_session_verdict verdict = FTSI_SESSION_NEW;
	enum fts_status status;
	if (target == NULL || !target->method->mutates)
		return halt(replica, FTS_INTERNAL, entry->index,
			    "it holds a command this version does not know; start the version that wrote it");
	if (command->client_id != 0)
		verdict = ftsi_session_check(replica->sessions, command->client_id, command->sequence);
	if (verdict == FTSI_SESSION_ANSWERED) return repeat_answer(entry, command, outcome);
	if (verdict == FTSI_SESSION_TOO_OLD) {
		outcome->status = FTS_ABORTED;
		outcome->executed = FTS_EXECUTED_UNKNOWN;
		outcome->detail =
		    "the answer to this call is no longer kept: its client has long gone on; read the state to "
		    "learn whether it ran";
		return FTS_OK;
	}
	status = execute(entry, target, command, outcome);
	if (status != FTS_OK || command->client_id == 0) return status;
	return keep_answer(entry, command, outcome);
}

/* ---- One entry ---- */

static struct ftsi_slot *next_slot(struct entry *entry, const struct ftsi_outcome *outcome)
{
	struct ftsi_slot *slot = entry->slot, *next;
	if (slot == NULL) return NULL;
	next = slot->next;
	slot->outcome = *outcome;
	slot->outcome.term = entry->replica->inflight.term;
	ftsi_slots_push(&entry->replica->answered, slot);
	return next;
}

static enum fts_status apply_commands(struct entry *entry, struct fts_bytes bytes)
{
	struct ftsi_command command;
	int found = ftsi_batch_next(&bytes, &command);
	for (; found == 1; found = ftsi_batch_next(&bytes, &command)) {
		struct ftsi_outcome outcome = {.index = entry->index};
		enum fts_status status = apply_command(entry, &command, &outcome);
		if (status != FTS_OK) return status;
		entry->slot = next_slot(entry, &outcome);
		/* what is not yet answered of a batch in flight stays there */
		if (entry->replica->inflight.active && entry->replica->inflight.index == entry->index)
			entry->replica->inflight.first = entry->slot;
		entry->ordinal++;
	}
	return found == 0 ? FTS_OK : halt(entry->replica, FTS_DATA_LOSS, entry->index, "it is not a batch of commands");
}

static enum fts_status keep_events(struct fts_replica *replica)
{
	enum fts_status status = ftsi_event_log_keep(replica->events, replica->txn, *replica->pending.entry);
	replica->pending.entry = replica->pending.last;
	return status;
}

static enum fts_status put_applied(struct fts_replica *replica, struct fts_txn *txn, uint64_t index)
{
	const struct ftsi_applied applied = {.index = index,
					     .time_ms = replica->time_ms,
					     .cluster_id = replica->identity.cluster_id,
					     .format = atomic_load(&replica->format),
					     .idle_ms = replica->idle_ms,
					     .writes = replica->writes};
	return ftsi_applied_put(txn, &applied);
}

static enum fts_status begin_batch(struct fts_replica *replica, uint64_t index)
{
	enum fts_status status;
	if (replica->txn != NULL) return FTS_OK;
	if ((status = fts_txn_begin(replica->state, &replica->txn)) != FTS_OK)
		return halt(replica, status, index, "no memory for a batch");
	fts_txn_watch(replica->txn, ftsi_digest_note, replica);
	return FTS_OK;
}

/* The log's time goes on. */
static void advance(struct fts_replica *replica, struct ftsi_batch_head *head)
{
	if (head->time_ms < replica->time_ms) head->time_ms = replica->time_ms;
	int64_t passed_ms = head->time_ms - replica->time_ms;
	if (replica->time_ms == 0)
		replica->idle_ms = head->time_ms; /* the first entry of all */
	else
		replica->idle_ms += passed_ms < IDLE_STEP_MAX_MS ? passed_ms : IDLE_STEP_MAX_MS;
	replica->time_ms = head->time_ms;
}

static enum fts_status begin_entry(struct entry *entry, struct fts_bytes bytes)
{
	struct fts_replica *replica = entry->replica;
	enum fts_status status;
	if (ftsi_batch_read_head(bytes, &entry->head) != 0)
		return halt(replica, FTS_DATA_LOSS, entry->index, "it is not a batch of commands");
	if (entry->head.format > replica->format_max) {
		ftsi_loop_fail(replica, FTS_FAILED_PRECONDITION,
			       "entry %" PRIu64 " is written in format %u, and this is ftsd %s, which reads up to %u: "
			       "start the version that wrote it",
			       entry->index, entry->head.format, replica->version, replica->format_max);
		return FTS_FAILED_PRECONDITION;
	}
	advance(replica, &entry->head);
	if ((status = begin_batch(replica, entry->index)) != FTS_OK) return status;
	replica->pending.index = entry->index;
	replica->pending.next_ordinal = 0;
	replica->pending.entry_bytes = 0;
	replica->pending.entry_count = 0;
	if (replica->inflight.active && replica->inflight.index == entry->index) entry->slot = replica->inflight.first;
	return FTS_OK;
}

enum fts_status ftsi_apply_entry(struct fts_replica *replica, uint64_t index, struct fts_bytes bytes)
{
	struct entry entry = {.replica = replica, .index = index};
	enum fts_status status = begin_entry(&entry, bytes);
	if (status == FTS_OK) status = apply_commands(&entry, bytes);
	if (status != FTS_OK) return status;
	if ((status = keep_events(replica)) != FTS_OK ||
	    (status = ftsi_sessions_expire(replica->sessions, replica->txn, replica->idle_ms)) != FTS_OK ||
	    (status = put_applied(replica, replica->txn, index)) != FTS_OK)
		return halt(replica, status, index, "its batch can't be built");
	if (replica->inflight.active && replica->inflight.index == index) {
		FTS_ASSERT(replica->inflight.first == NULL);
		replica->inflight.active = false;
	}
	replica->txn_index = index;
	replica->txn_log_bytes +=
	    bytes.size_bytes + entry.answer_bytes + entry.repeated_bytes + replica->pending.entry_bytes;
	if (ftsi_digest_is_due(replica)) return ftsi_digest_look(replica, index);
	/* Only a replay applies more than an entry at a time: it must not gather all of the log in memory. */
	return replica->txn_log_bytes > FTSI_REPLAY_BYTES ? ftsi_apply_commit(replica) : FTS_OK;
}

/* ---- Writing ---- */

static void wake(struct fts_replica *replica)
{
	if (!replica->pending.wakes.any) return;
	replica->last_event_index = replica->txn_index;
	ftsi_read_wake_keys(replica, &replica->pending.wakes);
	replica->pending.wakes = (struct ftsi_wakes){.any = false};
}

static void publish(struct fts_replica *replica)
{
	const struct ftsi_pending_event *first = replica->pending.first;
	for (const struct ftsi_pending_event *at = first; at != NULL; at = at->next) {
		char topic[FTSI_EVENT_TOPIC_MAX + 1];
		memcpy(topic, at->event.topic.data, at->event.topic.size_bytes);
		topic[at->event.topic.size_bytes] = 0;
		replica->last_event_index = at->event.index;
		if (replica->options.on_event != NULL)
			replica->options.on_event(replica->options.ctx, at->event.index, at->event.ordinal, topic,
						  at->event.payload);
	}
	if (first == NULL) return;
	replica->events_published = true;
	ftsi_read_wake(replica, first);
}

enum fts_status ftsi_apply_commit(struct fts_replica *replica)
{
	enum fts_status status;
	if (replica->txn == NULL) return FTS_OK;
	status = fts_txn_commit(&replica->txn, false);
	if (status != FTS_OK) return halt(replica, status, replica->txn_index, "its batch can't be written");
	atomic_store(&replica->applied_index, replica->txn_index);
	replica->txn_log_bytes = 0;
	publish(replica);
	wake(replica);
	ftsi_propose_answer(replica);
	replica->pending.first = NULL;
	replica->pending.last = replica->pending.entry = &replica->pending.first;
	fts_arena_reset(replica->answer_arena);
	return FTS_OK;
}

enum fts_status ftsi_apply_mark(struct fts_replica *replica, uint64_t index)
{
	enum fts_status status = ftsi_apply_commit(replica);
	struct fts_txn *txn = NULL;
	if (status != FTS_OK || index <= atomic_load(&replica->applied_index)) return status;
	if ((status = fts_txn_begin(replica->state, &txn)) == FTS_OK &&
	    (status = put_applied(replica, txn, index)) == FTS_OK)
		status = fts_txn_commit(&txn, false);
	fts_txn_abort(txn);
	if (status != FTS_OK) return halt(replica, status, index, "its place can't be written");
	atomic_store(&replica->applied_index, index);
	return FTS_OK;
}

/* ---- Start ---- */

static enum fts_status read_applied(struct fts_replica *replica, struct fts_txn *view, struct fts_error *out_error)
{
	struct ftsi_applied applied;
	enum fts_status status = ftsi_applied_read(view, &applied);
	const char *dir = fts_store_dir(replica->state);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK)
		return fts_error_set(out_error, FTS_DATA_LOSS, "%s is damaged: it does not tell how far it is", dir);
	if (applied.format > replica->format_max)
		return fts_error_set(
		    out_error, FTS_FAILED_PRECONDITION,
		    "%s has format %u, and this is ftsd %s, which reads up to %u: start the version that "
		    "wrote it",
		    dir, applied.format, replica->version, replica->format_max);
	if (!ftsi_state_is_of(replica, applied.cluster_id))
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "%s and %s/log belong to different clusters: restore the whole directory from "
				     "one copy",
				     dir, replica->data);
	atomic_store(&replica->applied_index, applied.index);
	replica->time_ms = applied.time_ms;
	replica->idle_ms = applied.idle_ms;
	replica->writes = applied.writes;
	status = ftsi_format_take(replica, applied.format, NULL);
	return status == FTS_OK ? FTS_OK : fts_error_set(out_error, status, "%s/log can't be written", replica->data);
}

enum fts_status ftsi_apply_load(struct fts_replica *replica, struct fts_error *out_error)
{
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(replica->state, &view);
	if (status != FTS_OK) return fts_error_set(out_error, status, "no memory to read %s/state", replica->data);
	status = read_applied(replica, view, out_error);
	if (status == FTS_OK && (status = ftsi_sessions_load(replica->sessions, view)) != FTS_OK)
		fts_error_set(out_error, status, "%s is damaged: the kept answers can't be read",
			      fts_store_dir(replica->state));
	if (status == FTS_OK && (status = ftsi_event_log_load(replica->events, view)) != FTS_OK)
		fts_error_set(out_error, status, "%s is damaged: the kept events can't be read",
			      fts_store_dir(replica->state));
	fts_txn_abort(view);
	replica->pending.replica = replica;
	replica->pending.last = replica->pending.entry = &replica->pending.first;
	return status;
}
