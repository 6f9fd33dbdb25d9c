/* Why this file exists: one read from where it comes in until it is answered: waiting for leadership to be confirmed,
 * run on a view, perhaps parked until something it waits for has changed.
 *
 * Invariants: finish is called exactly once. A read that parks has seen all events up to job->applied_before; when
 * newer ones were published before it arrives at the loop, it runs again at once: no change is missed. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "replica/allocator.h"
#include "replica/internal.h"
#include "replica/state.h"
#include "rpc/conn.h"

enum fts_status fts_read_refuse(struct fts_read *read, enum fts_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(read->detail, sizeof read->detail, format, args);
	va_end(args);
	return status;
}

enum fts_status fts_read_wait(struct fts_read *read, const char *topic)
{
	read->wait_topic = topic;
	return FTS_UNAVAILABLE;
}

enum fts_status fts_read_wait_key(struct fts_read *read, uint64_t key)
{
	read->wait_topic = "";
	read->wait_key = key;
	return FTS_UNAVAILABLE;
}

enum fts_status fts_replica_view(struct fts_replica *replica, struct fts_txn **out_view)
{
	return ftsi_state_view(replica, out_view);
}

static enum fts_route route_of(const struct ftsi_read_job *job)
{
	return job->target == NULL ? FTS_ROUTE_REPLICA : job->target->method->route;
}

static void push(struct ftsi_read_list *list, struct ftsi_read_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
	list->count++;
}

/* Take out what `leaves` picks; returns it, in order. */
struct ftsi_read_job *ftsi_read_take_if(struct ftsi_read_list *list, const void *ctx,
					bool (*leaves)(const struct ftsi_read_job *job, const void *ctx))
{
	struct ftsi_read_job *taken = NULL, **taken_last = &taken;
	struct ftsi_read_job **link = &list->first;
	while (*link != NULL) {
		struct ftsi_read_job *job = *link;
		if (!leaves(job, ctx)) {
			link = &job->next;
			continue;
		}
		*link = job->next;
		job->next = NULL;
		*taken_last = job;
		taken_last = &job->next;
		list->count--;
	}
	list->last = link;
	return taken;
}

/* ---- Ends ---- */

void ftsi_read_finish(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome)
{
	job->finish(replica, job, outcome);
	atomic_fetch_sub(&replica->read_count, 1);
}

void ftsi_read_refuse(struct fts_replica *replica, struct ftsi_read_job *job, enum fts_status status,
		      const char *detail)
{
	const struct ftsi_outcome outcome = {
	    .status = status,
	    .executed = FTS_EXECUTED_NO,
	    .retry_after_ms = status == FTS_UNAVAILABLE ? FTSI_LEADERLESS_RETRY_MS : 0,
	    .detail = detail,
	};
	ftsi_read_finish(replica, job, &outcome);
}

static void refuse_each(struct fts_replica *replica, struct ftsi_read_job *job, enum fts_status status,
			const char *detail)
{
	while (job != NULL) {
		struct ftsi_read_job *next = job->next;
		ftsi_read_refuse(replica, job, status, detail);
		job = next;
	}
}

static bool leaves_always(const struct ftsi_read_job *job, const void *ctx)
{
	(void)job;
	(void)ctx;
	return true;
}

void ftsi_read_refuse_all(struct fts_replica *replica)
{
	static const char detail[] = "this node is stopping";
	struct ftsi_read_list *const lists[] = {&replica->unconfirmed, &replica->rounds.confirming,
						&replica->rounds.waiting, &replica->parked};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		refuse_each(replica, ftsi_read_take_if(lists[i], NULL, leaves_always), FTS_UNAVAILABLE, detail);
}

static bool leaves_when_late(const struct ftsi_read_job *job, const void *ctx)
{
	return job->deadline_ns <= *(const uint64_t *)ctx;
}

static bool leaves_when_held_too_long(const struct ftsi_read_job *job, const void *ctx)
{
	const struct fts_replica *replica = ctx;
	return ftsi_is_held_too_long(replica, job->arrived_ns, replica->now_ns);
}

static bool leaves_for_leader(const struct ftsi_read_job *job, const void *ctx)
{
	(void)ctx;
	return route_of(job) == FTS_ROUTE_LEADER;
}

void ftsi_read_sort_out(struct fts_replica *replica)
{
	if (atomic_load(&replica->leads) != FTSI_LEADS_OTHER) return;
	refuse_each(replica, ftsi_read_take_if(&replica->unconfirmed, NULL, leaves_for_leader), FTS_UNAVAILABLE,
		    "another node leads the log");
}

void ftsi_read_expire(struct fts_replica *replica, uint64_t now_ns)
{
	static const char unknown[] = "the time limit passed before it was known how far to read";
	refuse_each(replica, ftsi_read_take_if(&replica->unconfirmed, &now_ns, leaves_when_late), FTS_DEADLINE_EXCEEDED,
		    unknown);
	refuse_each(replica, ftsi_read_take_if(&replica->rounds.confirming, &now_ns, leaves_when_late),
		    FTS_DEADLINE_EXCEEDED, unknown);
	refuse_each(replica, ftsi_read_take_if(&replica->rounds.waiting, &now_ns, leaves_when_late),
		    FTS_DEADLINE_EXCEEDED, "the time limit passed before this node had what is to be read");
	refuse_each(replica, ftsi_read_take_if(&replica->parked, &now_ns, leaves_when_late), FTS_DEADLINE_EXCEEDED,
		    "what the call waits for did not happen within its time limit");
	if (atomic_load(&replica->leads) != FTSI_LEADS_OTHER && !atomic_load(&replica->serving))
		refuse_each(replica, ftsi_read_take_if(&replica->unconfirmed, replica, leaves_when_held_too_long),
			    FTS_UNAVAILABLE, "no node is known to lead the log now");
}

/* ---- Running ---- */

static enum fts_status call_read(struct fts_read *read, const struct ftsi_read_job *job,
				 ProtobufCMessage **out_response)
{
	const struct ftsi_target *target = job->target;
	ProtobufCAllocator allocator = ftsi_arena_allocator(read->arena);
	ProtobufCMessage *request =
	    protobuf_c_message_unpack(target->method->request, &allocator, job->request.size_bytes, job->request.data);
	if (request == NULL && fts_arena_exhausted(read->arena))
		return fts_read_refuse(read, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	if (request == NULL)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "the request is not a %s",
				       target->method->request->name);
	*out_response = ftsi_message_new(target->method->response, read->arena);
	if (*out_response == NULL)
		return fts_read_refuse(read, FTS_RESOURCE_EXHAUSTED, "the request takes too much memory");
	return target->code->read(read, request, *out_response, target->machine->ctx);
}

static enum fts_status pack(struct fts_read *read, const ProtobufCMessage *response, struct fts_bytes *out_payload)
{
	size_t size = protobuf_c_message_get_packed_size(response);
	uint8_t *packed = size > FTS_MESSAGE_MAX - 4096 ? NULL : fts_arena_alloc(read->arena, size);
	if (packed == NULL)
		return fts_read_refuse(read, FTS_RESOURCE_EXHAUSTED, "the answer would be too large: ask for less");
	*out_payload = (struct fts_bytes){packed, protobuf_c_message_pack(response, packed)};
	return FTS_OK;
}

static void run_on_view(struct fts_replica *replica, struct ftsi_read_job *job, struct fts_read *read)
{
	ProtobufCMessage *response = NULL;
	struct ftsi_outcome outcome = {.executed = FTS_EXECUTED_YES, .index = job->applied_before};
	if (job->target == NULL) { /* only its turn was waited for */
		ftsi_read_finish(replica, job, &outcome);
		return;
	}
	outcome.status = call_read(read, job, &response);
	if (read->wait_topic != NULL) {
		job->wait_topic = read->wait_topic;
		job->wait_key = read->wait_key;
		return;
	}
	if (outcome.status == FTS_OK) outcome.status = pack(read, response, &outcome.payload);
	if (outcome.status != FTS_OK) outcome.executed = FTS_EXECUTED_NO; /* it had no effect, as every refusal says */
	outcome.detail = read->detail;
	ftsi_read_finish(replica, job, &outcome);
}

/* The only voter has applied and written all that it ever answered: what is there now is linearizable. */
static bool is_sole(const struct fts_replica *replica)
{
	return atomic_load(&replica->serving) && atomic_load(&replica->sole);
}

static void arrive(struct fts_replica *replica, struct ftsi_post *post);

static void ask(struct fts_replica *replica, struct ftsi_read_job *job)
{
	job->unasked = false;
	job->post.run = arrive;
	if (!ftsi_mailbox_post(&replica->mailbox, &job->post))
		ftsi_read_refuse(replica, job, FTS_UNAVAILABLE, "this node is stopping");
}

/* doubt_turns: as of before the view was taken. True: it was refused, job is gone. */
static bool refuse_at_once(struct fts_replica *replica, struct ftsi_read_job *job, unsigned doubt_turns)
{
	if (job->deadline_ns <= ftsi_now_ns(replica)) {
		ftsi_read_refuse(replica, job, FTS_DEADLINE_EXCEEDED,
				 "the time limit passed before the read's turn came");
		return true;
	}
	/* Doubt that has ended meanwhile has replaced what the view shows. */
	if (ftsi_state_may_serve(replica) && atomic_load(&replica->doubt_turns) == doubt_turns) return false;
	ftsi_read_refuse(replica, job, FTS_UNAVAILABLE, ftsi_state_refusal);
	return true;
}

/* Run job on look, whose view was taken when applied_before was applied. */
static void run_one(struct fts_replica *replica, struct ftsi_read_job *job, const struct fts_read *look,
		    uint64_t applied_before, unsigned doubt_turns)
{
	struct fts_read read = {.view = look->view, .arena = look->arena};
	if (refuse_at_once(replica, job, doubt_turns)) return;
	if (job->unasked && !is_sole(replica)) { /* it was, before the view was taken */
		ask(replica, job);
		return;
	}
	job->wait_topic = NULL;
	job->wait_key = 0;
	job->applied_before = applied_before;
	fts_arena_reset(read.arena);
	run_on_view(replica, job, &read);
	if (read.wait_topic != NULL) ftsi_read_park(replica, job); /* job is gone otherwise */
}

void ftsi_read_run_all(struct fts_replica *replica, struct ftsi_read_job *job)
{
	struct fts_read look = {0};
	uint64_t applied_before = atomic_load(&replica->applied_index);
	unsigned doubt_turns = atomic_load(&replica->doubt_turns);
	look.arena = fts_arena_acquire(replica->read_pool, FTSI_READ_ARENA_BYTES);
	if (look.arena != NULL && ftsi_state_view(replica, &look.view) != FTS_OK) look.view = NULL;
	ftsi_conn_gather_begin();
	while (job != NULL) {
		struct ftsi_read_job *next = job->next; /* job is gone once it has run */
		if (look.view != NULL)
			run_one(replica, job, &look, applied_before, doubt_turns);
		else
			ftsi_read_refuse(replica, job, FTS_RESOURCE_EXHAUSTED, "no memory for another read now");
		job = next;
	}
	ftsi_conn_gather_end();
	fts_txn_abort(look.view);
	fts_arena_release(look.arena);
}

void ftsi_read_run(struct fts_replica *replica, struct ftsi_read_job *job)
{
	job->next = NULL;
	ftsi_read_run_all(replica, job);
}

/* ---- Waiting for a change ---- */

static void park(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_read_job *job = (struct ftsi_read_job *)(void *)post;
	if (replica->stopping || atomic_load(&replica->failed))
		ftsi_read_refuse(replica, job, FTS_UNAVAILABLE, "this node is stopping");
	else if (replica->last_event_index > job->applied_before)
		ftsi_readers_give(replica, job);
	else
		push(&replica->parked, job);
}

void ftsi_read_park(struct fts_replica *replica, struct ftsi_read_job *job)
{
	job->post.run = park;
	if (!ftsi_mailbox_post(&replica->mailbox, &job->post))
		ftsi_read_refuse(replica, job, FTS_UNAVAILABLE, "this node is stopping");
}

static bool leaves_for_topic(const struct ftsi_read_job *job, const void *ctx)
{
	size_t wanted = strlen(job->wait_topic);
	if (job->wait_key != 0) return false;
	for (const struct ftsi_pending_event *at = ctx; at != NULL; at = at->next)
		if (at->event.topic.size_bytes >= wanted && memcmp(at->event.topic.data, job->wait_topic, wanted) == 0)
			return true;
	return false;
}

void ftsi_read_wake(struct fts_replica *replica, const struct ftsi_pending_event *first)
{
	struct ftsi_read_job *job = ftsi_read_take_if(&replica->parked, first, leaves_for_topic);
	ftsi_readers_give_all(replica, job);
}

static bool leaves_for_key(const struct ftsi_read_job *job, const void *ctx)
{
	const struct ftsi_wakes *wakes = ctx;
	uint64_t bit = ftsi_wake_bit(job->wait_key);
	return job->wait_key != 0 && (wakes->bits[bit / 64] >> bit % 64 & 1) != 0;
}

void ftsi_read_wake_keys(struct fts_replica *replica, const struct ftsi_wakes *wakes)
{
	ftsi_readers_give_all(replica, ftsi_read_take_if(&replica->parked, wakes, leaves_for_key));
}

void ftsi_read_wake_all(struct fts_replica *replica)
{
	struct ftsi_read_job *job = ftsi_read_take_if(&replica->parked, NULL, leaves_always);
	ftsi_readers_give_all(replica, job);
}

/* ---- Coming in ---- */

uint32_t ftsi_read_age_ms(const struct fts_replica *replica)
{
	uint64_t heard_ns = atomic_load(&replica->leader_heard_ns), now_ns = ftsi_now_ns(replica), age_ms;
	if (atomic_load(&replica->serving) || heard_ns >= now_ns) return 0;
	age_ms = (now_ns - heard_ns) / 1000000;
	return age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX;
}

static void arrive(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_read_job *job = (struct ftsi_read_job *)(void *)post;
	if (replica->stopping || atomic_load(&replica->failed))
		ftsi_read_refuse(replica, job, FTS_UNAVAILABLE, "this node is stopping");
	else if (atomic_load(&replica->leads) == FTSI_LEADS_OTHER && route_of(job) == FTS_ROUTE_LEADER)
		ftsi_read_refuse(replica, job, FTS_UNAVAILABLE, "another node leads the log");
	else {
		job->arrived_ns = replica->now_ns;
		push(&replica->unconfirmed, job);
	}
}

enum fts_status ftsi_read_post(struct fts_replica *replica, struct ftsi_read_job *job, struct fts_error *out_error)
{
	bool as_it_is = job->stale || route_of(job) == FTS_ROUTE_ANY;
	if (!atomic_load(&replica->accepting))
		return fts_error_set(out_error, FTS_UNAVAILABLE, "this node is stopping");
	if (!ftsi_state_may_serve(replica)) return fts_error_set(out_error, FTS_UNAVAILABLE, "%s", ftsi_state_refusal);
	if (!as_it_is && route_of(job) == FTS_ROUTE_LEADER && atomic_load(&replica->leads) == FTSI_LEADS_OTHER) {
		out_error->retry_after_ms = FTSI_LEADERLESS_RETRY_MS;
		return fts_error_set(out_error, FTS_UNAVAILABLE, "another node leads the log");
	}
	if (atomic_fetch_add(&replica->read_count, 1) >= FTSI_READ_COUNT_MAX) {
		atomic_fetch_sub(&replica->read_count, 1);
		out_error->retry_after_ms = FTSI_RETRY_MS;
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "too many reads wait on this node");
	}
	job->unasked = !as_it_is && is_sole(replica);
	if (!as_it_is && !job->unasked)
		ask(replica, job);
	else if (job->target != NULL && job->target->method->blocking)
		ftsi_readers_give(replica, job);
	else
		ftsi_read_run(replica, job); /* a short one need not leave the thread it came on */
	return FTS_OK;
}

/* ---- Waiting for a read's turn, without a read ---- */

struct turn {
	struct ftsi_read_job job; /* first */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over;
	struct fts_error *error; /* borrowed */
	enum fts_status status;
};

static void turn_ends(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome)
{
	struct turn *turn = (struct turn *)(void *)job;
	(void)replica;
	pthread_mutex_lock(&turn->lock);
	turn->status = outcome->status;
	if (outcome->status != FTS_OK)
		(void)fts_error_set(turn->error, outcome->status, "%s", outcome->detail == NULL ? "" : outcome->detail);
	turn->over = true;
	pthread_cond_signal(&turn->ended);
	pthread_mutex_unlock(&turn->lock);
}

enum fts_status fts_replica_catch_up(struct fts_replica *replica, uint32_t timeout_ms, struct fts_error *out_error)
{
	struct turn turn = {
	    .job = {.deadline_ns = ftsi_now_ns(replica) + (uint64_t)timeout_ms * 1000000, .finish = turn_ends},
	    .error = out_error};
	enum fts_status status;
	pthread_mutex_init(&turn.lock, NULL);
	pthread_cond_init(&turn.ended, NULL);
	status = ftsi_read_post(replica, &turn.job, out_error);
	if (status == FTS_OK) {
		pthread_mutex_lock(&turn.lock);
		while (!turn.over) /* the deadline is the job's: each read is finished */
			pthread_cond_wait(&turn.ended, &turn.lock);
		pthread_mutex_unlock(&turn.lock);
		status = turn.status;
	}
	pthread_cond_destroy(&turn.ended);
	pthread_mutex_destroy(&turn.lock);
	return status;
}
