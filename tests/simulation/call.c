/* Why this file exists: see simulation.h. A caller has one call open at a time; it retries it, under the same sequence
 * number, at other nodes until it has an answer, or gives it up for good. */
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

enum { ATTEMPT_MIN_MS = 100, ATTEMPT_MAX_MS = 1500, PREPARED_MORE_BYTES = 512 };

/* A request on its way to a node. */
struct request {
	struct sim_event event; /* first */
	uint32_t caller, attempt, node;
	const struct fts_method *method;
	uint64_t client_id, sequence;
	uint32_t timeout_ms;
	size_t size_bytes;
	uint8_t payload[];
};

/* A request while a replica has it; ends as a reply. */
struct served {
	union {
		struct ftsi_slot slot;
		struct ftsi_read_job job;
	} as; /* first */
	struct simulation *sim;
	uint32_t caller, attempt, node;
	uint8_t payload[];
};

struct reply {
	struct sim_event event; /* first */
	uint32_t caller, attempt, node;
	uint32_t hint; /* SIM_NODE_MAX: none */
	enum fts_status status;
	enum fts_executed executed;
	uint64_t index;
	size_t size_bytes;
	uint8_t payload[];
};

struct alarm {
	struct sim_event event; /* first */
	uint32_t caller, attempt;
};

static uint64_t travel_ns(struct simulation *sim)
{
	return sim_random_between(&sim->random, 30 * SIM_US, 400 * SIM_US);
}

static uint32_t anybody(struct simulation *sim)
{
	return (uint32_t)sim_random_below(&sim->random, sim->profile.node_count);
}

static void send_attempt(struct simulation *sim, struct sim_caller *caller);

/* ---- Replies ---- */

static void end_call(struct simulation *sim, struct sim_caller *caller, const struct sim_answer *answer)
{
	caller->busy = false;
	caller->attempt++; /* what still comes for this call is not listened to */
	caller->answered(sim, caller, answer);
}

static void run_alarm(struct simulation *sim, struct sim_event *event)
{
	struct alarm alarm = *(struct alarm *)(void *)event;
	struct sim_caller *caller = sim->callers[alarm.caller];
	free(event);
	if (!caller->busy || caller->attempt != alarm.attempt) return;
	if (sim->now_ns >= caller->give_up_ns) {
		sim_note(sim, "abandon", caller->number, caller->sequence, 0);
		end_call(sim, caller, NULL);
		return;
	}
	if (!caller->hinted) caller->target = anybody(sim);
	send_attempt(sim, caller);
}

static void set_alarm(struct simulation *sim, struct sim_caller *caller, uint64_t delay_ns)
{
	struct alarm *alarm = sim_alloc(sizeof *alarm);
	alarm->caller = caller->number;
	alarm->attempt = caller->attempt;
	sim_after(sim, delay_ns, &alarm->event, run_alarm);
}

static bool worth_a_retry(enum fts_status status)
{
	return status == FTS_UNAVAILABLE || status == FTS_DEADLINE_EXCEEDED || status == FTS_RESOURCE_EXHAUSTED;
}

static void run_reply(struct simulation *sim, struct sim_event *event)
{
	struct reply *reply = (struct reply *)(void *)event;
	struct sim_caller *caller = sim->callers[reply->caller];
	struct sim_answer answer = {.status = reply->status,
				    .node = reply->node,
				    .index = reply->index,
				    .payload = {reply->payload, reply->size_bytes}};
	if (!caller->busy || caller->attempt != reply->attempt) {
		free(event);
		return;
	}
	sim_note(sim, "reply", reply->caller, reply->status, reply->index);
	if (worth_a_retry(reply->status)) {
		caller->attempt++;
		caller->hinted = reply->hint != SIM_NODE_MAX;
		if (caller->hinted) caller->target = reply->hint;
		set_alarm(sim, caller, sim_random_between(&sim->random, SIM_MS, 30 * SIM_MS));
	} else {
		end_call(sim, caller, &answer);
	}
	free(event);
}

static uint32_t hint_of(struct sim_node *node)
{
	struct fts_replica_status status;
	fts_replica_status(node->replica, &status);
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		if (i != node->number && strcmp(status.leader_address, node->sim->nodes[i].address) == 0) return i;
	return SIM_NODE_MAX;
}

/* answer: borrowed. node: who says it; NULL: the host, for a process that is not there. */
static void send_reply(struct simulation *sim, uint32_t caller, uint32_t attempt, const struct sim_answer *answer,
		       struct sim_node *node)
{
	struct reply *reply = sim_alloc(sizeof *reply + answer->payload.size_bytes);
	reply->caller = caller;
	reply->attempt = attempt;
	reply->node = answer->node;
	reply->status = answer->status;
	reply->index = answer->index;
	reply->size_bytes = answer->payload.size_bytes;
	if (reply->size_bytes > 0) memcpy(reply->payload, answer->payload.data, reply->size_bytes);
	reply->hint = node != NULL && answer->status != FTS_OK ? hint_of(node) : SIM_NODE_MAX;
	sim_after(sim, travel_ns(sim), &reply->event, run_reply);
}

static void finish(struct served *served, const struct ftsi_outcome *outcome)
{
	struct simulation *sim = served->sim;
	struct sim_node *node = &sim->nodes[served->node];
	struct sim_answer answer = {.status = outcome->status, .node = served->node, .index = outcome->index};
	if (outcome->status == FTS_OK) answer.payload = outcome->payload;
	sim->open_calls--;
	if (!node->ending) send_reply(sim, served->caller, served->attempt, &answer, node);
	free(served);
}

static void finish_slot(struct fts_replica *replica, struct ftsi_slot *slot)
{
	struct ftsi_outcome outcome = slot->outcome;
	(void)replica;
	finish((struct served *)(void *)slot, &outcome);
}

static void finish_job(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome)
{
	(void)replica;
	finish((struct served *)(void *)job, outcome);
}

/* ---- Requests ---- */

/* What the server does with a call before it goes into the log: the machine may put in what only its node knows. */
static size_t prepare(struct sim_node *node, const struct request *request, uint8_t *out)
{
	const struct ftsi_target *target = ftsi_target_find(node->replica, request->method->id);
	struct fts_bytes bytes = {request->payload, request->size_bytes};
	struct fts_error error = {0};
	ProtobufCMessage *message;
	if (target->code->prepare != NULL) {
		struct fts_arena *arena = fts_arena_acquire(node->replica->read_pool, 65536);
		message = protobuf_c_message_unpack(request->method->request, NULL, bytes.size_bytes, bytes.data);
		bytes = target->code->prepare(message, arena, target->machine->ctx, &error);
		if (bytes.size_bytes > request->size_bytes + PREPARED_MORE_BYTES) abort();
		memcpy(out, bytes.data, bytes.size_bytes);
		protobuf_c_message_free_unpacked(message, NULL);
		fts_arena_release(arena);
	} else {
		memcpy(out, bytes.data, bytes.size_bytes);
	}
	return bytes.size_bytes;
}

static enum fts_status give(struct sim_node *node, const struct request *request, struct served *served,
			    struct fts_error *error)
{
	struct fts_bytes payload = {served->payload, prepare(node, request, served->payload)};
	uint64_t deadline_ns = node->sim->now_ns + request->timeout_ms * SIM_MS;
	if (request->method->mutates) {
		served->as.slot = (struct ftsi_slot){.finish = finish_slot,
						     .deadline_ns = deadline_ns,
						     .command = {.method = request->method->id,
								 .client_id = request->client_id,
								 .sequence = request->sequence,
								 .lowest_unanswered = request->sequence,
								 .payload = payload}};
		return ftsi_propose_post(node->replica, &served->as.slot, error);
	}
	served->as.job = (struct ftsi_read_job){.finish = finish_job,
						.deadline_ns = deadline_ns,
						.target = ftsi_target_find(node->replica, request->method->id),
						.request = payload};
	return ftsi_read_post(node->replica, &served->as.job, error);
}

static void give_or_refuse(struct sim_node *node, const struct request *request)
{
	struct simulation *sim = node->sim;
	struct served *served = sim_alloc(sizeof *served + request->size_bytes + PREPARED_MORE_BYTES);
	struct fts_error error = {0};
	struct sim_answer refused = {.node = request->node};
	served->sim = sim;
	served->caller = request->caller;
	served->attempt = request->attempt;
	served->node = request->node;
	sim_note(sim, "call", request->caller, request->node, request->sequence);
	sim->open_calls++;
	refused.status = give(node, request, served, &error);
	if (refused.status != FTS_OK) { /* served was not taken */
		sim->open_calls--;
		free(served);
		send_reply(sim, request->caller, request->attempt, &refused, node);
	}
	sim_node_wake(node);
}

static void run_request(struct simulation *sim, struct sim_event *event)
{
	struct request *request = (struct request *)(void *)event;
	struct sim_node *node = &sim->nodes[request->node];
	const struct sim_answer nobody = {.status = FTS_UNAVAILABLE, .node = request->node};
	if (sim_node_runs(node) && sim_node_paused(node)) {
		event->at_ns = node->resume_ns;
		sim_schedule_add(&sim->schedule, event);
		return;
	}
	if (sim_node_runs(node))
		give_or_refuse(node, request);
	else if (!node->host_down)
		send_reply(sim, request->caller, request->attempt, &nobody, NULL);
	free(request);
}

static void send_attempt(struct simulation *sim, struct sim_caller *caller)
{
	struct request *request = sim_alloc(sizeof *request + caller->size_bytes);
	caller->attempt++;
	caller->hinted = false;
	request->caller = caller->number;
	request->attempt = caller->attempt;
	request->node = caller->target;
	request->method = caller->method;
	request->client_id = caller->id;
	request->sequence = caller->sequence;
	request->timeout_ms = (uint32_t)sim_random_between(&sim->random, ATTEMPT_MIN_MS, ATTEMPT_MAX_MS);
	request->size_bytes = caller->size_bytes;
	memcpy(request->payload, caller->payload, caller->size_bytes);
	set_alarm(sim, caller, request->timeout_ms * SIM_MS);
	sim_after(sim, travel_ns(sim), &request->event, run_request);
}

void sim_call(struct simulation *sim, struct sim_caller *caller, const struct fts_method *method,
	      const ProtobufCMessage *request)
{
	size_t size = protobuf_c_message_get_packed_size(request);
	if (size > sizeof caller->payload) abort();
	caller->method = method;
	caller->size_bytes = protobuf_c_message_pack(request, caller->payload);
	caller->busy = true;
	if (method->mutates) caller->sequence++;
	if (method->route == FTS_ROUTE_REPLICA) caller->target = anybody(sim);
	send_attempt(sim, caller);
}

void sim_caller_init(struct simulation *sim, struct sim_caller *caller,
		     void (*answered)(struct simulation *sim, struct sim_caller *caller,
				      const struct sim_answer *answer))
{
	if (sim->caller_count == SIM_CALLER_MAX) abort();
	caller->number = sim->caller_count++;
	sim->callers[caller->number] = caller;
	caller->id = 1000 + caller->number;
	caller->target = anybody(sim);
	caller->give_up_ns = SIM_NEVER;
	caller->answered = answered;
}
