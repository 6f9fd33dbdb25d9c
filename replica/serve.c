/* Why this file exists: calls from the network become commands and reads, and outcomes become answers.
 *
 * Invariant: what a call needs while it waits lies in the call's own memory, so nothing is allocated here. */
#include <string.h>

#include "replica/allocator.h"
#include "replica/internal.h"

enum { PREPARE_ARENA_BYTES = 16 * 1024 * 1024 };

struct served_command {
	struct ftsi_slot slot; /* first */
	struct fts_call *call;
};

struct served_read {
	struct ftsi_read_job job; /* first */
	struct fts_call *call;
};

/* Whom to ask instead goes with every refusal. */
static void set_hint(struct fts_replica *replica, struct fts_call *call, enum fts_status status)
{
	char leader[sizeof((struct fts_replica_status *)0)->leader_address];
	if (status == FTS_UNAVAILABLE && ftsi_leader_hint(replica, leader)) fts_call_set_leader(call, leader);
}

static void answer(struct fts_replica *replica, struct fts_call *call, const struct ftsi_outcome *outcome)
{
	struct fts_error error;
	fts_call_set_executed(call, outcome->executed);
	fts_call_set_log_position(call, outcome->term, outcome->index);
	if (outcome->status == FTS_OK) {
		fts_call_reply_bytes(call, outcome->payload);
		return;
	}
	set_hint(replica, call, outcome->status);
	fts_error_set(&error, outcome->status, "%s", outcome->detail);
	error.executed = outcome->executed;
	error.retry_after_ms = outcome->retry_after_ms;
	fts_call_fail_error(call, &error);
}

static void finish_command(struct fts_replica *replica, struct ftsi_slot *slot)
{
	struct served_command *served = (struct served_command *)(void *)slot;
	struct ftsi_outcome outcome = slot->outcome; /* the slot goes with the call */
	answer(replica, served->call, &outcome);
}

static void finish_read(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome)
{
	struct served_read *served = (struct served_read *)(void *)job;
	if (job->stale) fts_call_set_age_ms(served->call, ftsi_read_age_ms(replica));
	answer(replica, served->call, outcome);
}

/* Let the machine put in what only this node knows; *payload becomes memory of the call. */
static enum fts_status prepare(struct fts_replica *replica, const struct ftsi_target *target, struct fts_call *call,
			       struct fts_bytes *payload, struct fts_error *error)
{
	struct fts_arena *arena = fts_arena_acquire(replica->read_pool, PREPARE_ARENA_BYTES);
	ProtobufCAllocator allocator;
	ProtobufCMessage *request;
	struct fts_bytes prepared;
	uint8_t *copy = NULL;
	enum fts_status status;
	if (arena == NULL) return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "no memory for another call now");
	allocator = ftsi_arena_allocator(arena);
	request = protobuf_c_message_unpack(target->method->request, &allocator, payload->size_bytes, payload->data);
	if (request == NULL) {
		status = fts_arena_exhausted(arena)
			     ? fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory")
			     : fts_error_set(error, FTS_INVALID_ARGUMENT, "the request is not a %s",
					     target->method->request->name);
		goto out;
	}
	error->status = FTS_OK;
	prepared = target->code->prepare(request, arena, target->machine->ctx, error);
	status = error->status;
	if (status == FTS_OK && prepared.size_bytes > 0 && (copy = fts_call_alloc(call, prepared.size_bytes)) == NULL)
		status = fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	if (copy != NULL) memcpy(copy, prepared.data, prepared.size_bytes);
	if (status == FTS_OK) *payload = (struct fts_bytes){copy, prepared.size_bytes};
out:
	fts_arena_release(arena);
	return status;
}

static enum fts_status take_command(struct fts_replica *replica, const struct ftsi_target *target,
				    struct fts_call *call, struct fts_bytes payload, struct fts_error *error)
{
	struct served_command *served = fts_call_alloc(call, sizeof *served);
	enum fts_status status = FTS_OK;
	if (served == NULL) return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	if (fts_call_client_id(call) != 0 && fts_call_sequence(call) == 0)
		return fts_error_set(error, FTS_INVALID_ARGUMENT,
				     "a call with a client id needs a sequence number above 0");
	if (target->code->prepare != NULL && (status = prepare(replica, target, call, &payload, error)) != FTS_OK)
		return status;
	memset(served, 0, sizeof *served);
	served->call = call;
	served->slot.finish = finish_command;
	served->slot.deadline_ns = fts_call_deadline_ns(call);
	served->slot.command = (struct ftsi_command){
	    .method = target->method->id,
	    .client_id = fts_call_client_id(call),
	    .sequence = fts_call_sequence(call),
	    .lowest_unanswered = fts_call_lowest_unanswered(call),
	    .fence = fts_call_fence(call),
	    .payload = payload,
	};
	return ftsi_propose_post(replica, &served->slot, error);
}

static enum fts_status take_read(struct fts_replica *replica, const struct ftsi_target *target, struct fts_call *call,
				 struct fts_bytes payload, struct fts_error *error)
{
	struct served_read *served = fts_call_alloc(call, sizeof *served);
	if (served == NULL) return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	memset(served, 0, sizeof *served);
	served->call = call;
	served->job.finish = finish_read;
	served->job.target = target;
	served->job.request = payload;
	served->job.deadline_ns = fts_call_deadline_ns(call);
	served->job.stale = fts_call_stale(call);
	return ftsi_read_post(replica, &served->job, error);
}

static void handle(struct fts_call *call, const struct fts_method *method, struct fts_bytes payload, void *ctx)
{
	struct fts_replica *replica = ctx;
	const struct ftsi_target *target = ftsi_target_find(replica, method->id);
	struct fts_error error = {0};
	enum fts_status status = method->mutates ? take_command(replica, target, call, payload, &error)
						 : take_read(replica, target, call, payload, &error);
	if (status == FTS_OK) return; /* the call may be gone already */
	error.executed = FTS_EXECUTED_NO;
	set_hint(replica, call, status);
	fts_call_set_executed(call, FTS_EXECUTED_NO);
	fts_call_fail_error(call, &error);
}

enum fts_status fts_replica_serve(struct fts_replica *replica, struct fts_server *server, struct fts_error *out_error)
{
	enum fts_status status = FTS_OK;
	for (size_t i = 0; i < replica->machine_count && status == FTS_OK; i++) {
		const struct fts_machine *machine = replica->machines[i];
		if (!machine->internal)
			status = fts_server_add_raw(server, machine->service, handle, replica, out_error);
	}
	return status;
}
