/* Why this file exists: see router/coordinate.h; here: writes.
 *
 * An operation is one round: one version, sent by one map. A round that has to be made again (an owner has something
 * newer, or the map has changed) hands its caller on to the next one and ends in silence. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "router/coordinate.h"

struct write_op {
	struct ftsi_hurry hurry; /* first: while it waits for the map by which it was refused */
	struct ftsi_coordinator *coordinator;
	struct ftsi_write write; /* record: own copies */
	const struct fts_router_map *map;
	const struct fts_router_partition *partition;
	uint32_t redirect_count, newer_count;
	bool left_traces; /* of an earlier round somebody has it, or may have it */
	size_t size_bytes;
	struct slot {
		struct write_op *op;
		int place;
		struct ftsi_put_item item;
	} slots[FTS_ROUTER_OWNERS_MAX];
	pthread_mutex_t lock;
	uint64_t taken, failed, unsure; /* guarded by lock, as all below; unsure: it may have it all the same */
	uint64_t refusers;              /* they are there, and said no */
	uint64_t newer_time, newer_epoch;
	uint32_t open_count; /* answers that have not come, and whoever is inside */
	bool existed, old_map, answered, handed_on;
	enum fts_status refusal;
	uint32_t hint_count, hint_failed;
	bool hint_unsure; /* one that failed may be kept all the same */
	char detail[160];
	uint8_t bytes[];
};

struct round {
	uint32_t redirect_count, newer_count;
	bool left_traces;
};

static void start_round(struct ftsi_coordinator *coordinator, const struct ftsi_write *write, struct round round);

static void free_op(struct write_op *op)
{
	struct ftsi_coordinator *coordinator = op->coordinator;
	size_t size_bytes = op->size_bytes;
	fts_router_map_release(op->map);
	pthread_mutex_destroy(&op->lock);
	free(op);
	ftsi_operation_end(coordinator, size_bytes);
}

/* ---- Answers ---- */

static void answer(struct write_op *op, const struct ftsi_write_result *result)
{
	op->write.done(op->write.ctx, result);
}

static struct ftsi_write_result result_of(const struct write_op *op, enum fts_status status)
{
	return (struct ftsi_write_result){.status = status,
					  .executed = FTS_EXECUTED_YES,
					  .version_time = op->write.record.version_time,
					  .version_node = op->write.record.version_node,
					  .acks = (uint32_t)__builtin_popcountll(op->taken),
					  .replicas = op->partition->owner_count,
					  .existed = op->existed};
}

static bool has_left_traces(const struct write_op *op)
{
	return op->left_traces || op->taken != 0 || op->unsure != 0;
}

static void answer_failure(struct write_op *op)
{
	struct ftsi_write_result result = result_of(op, op->refusers != 0 ? op->refusal : FTS_UNAVAILABLE);
	char names[160];
	ftsi_name_places(op->map, op->failed, names, sizeof names);
	result.executed = has_left_traces(op) ? FTS_EXECUTED_UNKNOWN : FTS_EXECUTED_NO;
	if (op->refusers != 0)
		(void)snprintf(result.detail, sizeof result.detail, "%s", op->detail);
	else
		(void)snprintf(result.detail, sizeof result.detail,
			       "%u of %u owners have it, too few: %s can't be reached", result.acks, result.replicas,
			       names);
	answer(op, &result);
}

/* ---- Hints ---- */

static void finish(struct write_op *op);

/* Called with the lock held. */
static void note_unkept(struct write_op *op, const struct fts_router_taken *taken)
{
	op->hint_failed++;
	op->hint_unsure = op->hint_unsure || taken->unsure;
	op->refusal = taken->status;
	(void)snprintf(op->detail, sizeof op->detail, "%.120s",
		       taken->detail == NULL ? fts_status_name(taken->status) : taken->detail);
}

static void hint_done(void *ctx, const struct fts_router_taken *taken)
{
	struct write_op *op = ctx;
	pthread_mutex_lock(&op->lock);
	if (taken->status != FTS_OK) note_unkept(op, taken);
	bool last = --op->open_count == 0;
	pthread_mutex_unlock(&op->lock);
	if (last) finish(op);
}

/* All owners are away, and not all their hints were kept: those that were bring it to their owners later. */
static void answer_unkept(struct write_op *op)
{
	struct ftsi_write_result result = result_of(op, op->refusal);
	char names[160];
	ftsi_name_places(op->map, op->failed, names, sizeof names);
	bool left_traces = has_left_traces(op) || op->hint_unsure || op->hint_failed < op->hint_count;
	result.executed = left_traces ? FTS_EXECUTED_UNKNOWN : FTS_EXECUTED_NO;
	(void)snprintf(result.detail, sizeof result.detail, "%.80s can't be reached, and not kept for them: %.120s",
		       names, op->detail);
	answer(op, &result);
}

/* All hints are on disk. Only a write that nobody has taken waits for this. */
static void finish(struct write_op *op)
{
	if (!op->answered) {
		struct ftsi_write_result result = result_of(op, FTS_OK);
		op->answered = true;
		result.hints = op->hint_count;
		result.kept_by_router = true;
		if (op->hint_failed > 0)
			answer_unkept(op);
		else
			answer(op, &result);
	}
	free_op(op);
}

/* Every owner has answered or failed. Without a caller any more, or with one that takes the router's word: which it
 * gives when all owners are away, and none of them said no. */
static void settle(struct write_op *op)
{
	const struct fts_router_owner *owner = op->coordinator->owner;
	bool keeps = op->write.level == FTS__KV__V1__CONSISTENCY__ANY && !op->answered && op->refusers == 0 &&
		     !op->old_map && op->failed != 0;
	uint64_t missing = op->failed & ~op->refusers;
	if (!op->answered && !keeps) {
		op->answered = true;
		answer_failure(op);
	}
	if ((op->taken == 0 && !keeps) || op->old_map || op->handed_on || op->write.as_it_is) missing = 0;
	op->hint_count = (uint32_t)__builtin_popcountll(missing);
	op->open_count = op->hint_count + 1;
	for (int place = 0; place < FTS_ROUTER_NODES_MAX; place++)
		if (missing >> place & 1)
			owner->keep_hint(owner->ctx, op->map->nodes[place].node_id, &op->write.record, hint_done, op);
	hint_done(op, &(struct fts_router_taken){.status = FTS_OK});
}

/* ---- Rounds ---- */

static void refuse(const struct ftsi_write *write, struct round round, enum fts_status status, const char *detail)
{
	struct ftsi_write_result result = {.status = status,
					   .executed = round.left_traces ? FTS_EXECUTED_UNKNOWN : FTS_EXECUTED_NO};
	(void)snprintf(result.detail, sizeof result.detail, "%s", detail);
	write->done(write->ctx, &result);
}

/* The same write once more; this operation has no caller any more. Called without the lock. */
static void again(struct write_op *op, bool newer)
{
	const struct fts_router_owner *owner = op->coordinator->owner;
	struct ftsi_write write = op->write;
	pthread_mutex_lock(&op->lock);
	const uint64_t newer_time = op->newer_time;
	const struct round round = {.redirect_count = op->redirect_count + (newer ? 0 : 1),
				    .newer_count = op->newer_count + (newer ? 1 : 0),
				    .left_traces = has_left_traces(op)};
	op->handed_on = true;
	pthread_mutex_unlock(&op->lock);
	if (newer && owner->observe(owner->ctx, newer_time) != FTS_OK) {
		refuse(&write, round, FTS_FAILED_PRECONDITION,
		       "what stands there has a time far ahead of this node's clock: set the clocks right");
		return;
	}
	if (newer) write.record.version_time = 0;
	start_round(op->coordinator, &write, round);
}

enum next { WAIT, ANSWER, NEWER, REDIRECT, SETTLE };

/* Called with the lock held. What is chosen is done by the caller alone: `answered` says so to the others. */
static enum next choose(struct write_op *op)
{
	enum ftsi_verdict verdict = ftsi_quorum_judge(op->partition, op->write.level, op->taken, op->failed);
	bool all_in = op->open_count == 0;
	if (op->answered) return all_in ? SETTLE : WAIT;
	if (verdict == FTSI_ENOUGH) {
		op->answered = true;
		return op->newer_time != 0 && !op->write.as_it_is && !op->write.repeats &&
			       op->newer_count < FTSI_NEWER_MAX
			   ? NEWER
			   : ANSWER;
	}
	if (!all_in) return WAIT;
	if (op->old_map && op->redirect_count < FTSI_REDIRECTS_MAX) {
		op->answered = true;
		return REDIRECT;
	}
	return SETTLE;
}

static void step(struct write_op *op);

/* The operation is held by whoever calls this. */
static void redirect(struct ftsi_hurry *hurry)
{
	struct write_op *op = (struct write_op *)hurry;
	if (!ftsi_may_redirect(op->coordinator, op->newer_epoch, op->write.deadline_ns)) {
		ftsi_hurry_add(op->coordinator->hurries, hurry);
		return;
	}
	again(op, false);
	step(op);
}

/* One thing has happened; op may be gone when it returns. */
static void step(struct write_op *op)
{
	pthread_mutex_lock(&op->lock);
	op->open_count--;
	enum next next = choose(op);
	if (next != WAIT && next != SETTLE) op->open_count++; /* it stays while this thread speaks for it */
	struct ftsi_write_result result = result_of(op, FTS_OK);
	pthread_mutex_unlock(&op->lock);
	switch (next) {
	case WAIT:
		return;
	case SETTLE:
		settle(op);
		return;
	case ANSWER:
		answer(op, &result);
		break;
	case NEWER:
		again(op, true);
		break;
	case REDIRECT:
		redirect(&op->hurry);
		return;
	}
	step(op);
}

static void slot_done(void *ctx, const struct fts_router_taken *taken)
{
	struct slot *slot = ctx;
	struct write_op *op = slot->op;
	uint64_t bit = (uint64_t)1 << slot->place;
	pthread_mutex_lock(&op->lock);
	if (taken->status == FTS_OK) {
		op->taken |= bit;
		op->existed = op->existed || taken->existed;
		if (taken->newer_time > op->newer_time) op->newer_time = taken->newer_time;
	} else {
		op->failed |= bit;
		if (taken->status == FTS_ABORTED) op->old_map = true;
		if (taken->epoch > op->newer_epoch) op->newer_epoch = taken->epoch;
		if (taken->unsure) op->unsure |= bit;
		if (taken->status == FTS_FAILED_PRECONDITION || taken->status == FTS_RESOURCE_EXHAUSTED ||
		    taken->status == FTS_INVALID_ARGUMENT) {
			op->refusers |= bit;
			op->refusal = taken->status;
			(void)snprintf(op->detail, sizeof op->detail, "%.63s: %.90s", op->map->nodes[slot->place].name,
				       taken->detail == NULL ? fts_status_name(taken->status) : taken->detail);
		}
	}
	pthread_mutex_unlock(&op->lock);
	step(op);
}

static void send_to(struct write_op *op, struct slot *slot, int place)
{
	const struct fts_router_owner *owner = op->coordinator->owner;
	const struct fts_router_stamp stamp = {
	    .epoch = op->map->epoch,
	    .as_of = op->write.as_of != 0 ? op->write.as_of : op->write.record.version_time,
	    .background = op->write.background,
	};
	*slot = (struct slot){.op = op, .place = place};
	if (place == op->map->self) {
		owner->put(owner->ctx, &op->write.record, &stamp, slot_done, slot);
		return;
	}
	struct ftsi_remote *remote = ftsi_remotes_find(op->coordinator->remotes, &op->map->nodes[place]);
	slot->item = (struct ftsi_put_item){.record = &op->write.record,
					    .stamp = stamp,
					    .deadline_ns = op->write.deadline_ns,
					    .done = slot_done,
					    .ctx = slot};
	if (remote == NULL)
		slot_done(slot, &(struct fts_router_taken){.status = FTS_UNAVAILABLE});
	else
		ftsi_remote_put(remote, &slot->item);
}

/* ---- Beginning ---- */

static struct write_op *make_op(struct ftsi_coordinator *coordinator, const struct ftsi_write *write)
{
	const struct fts_router_record *record = &write->record;
	size_t size_bytes = sizeof(struct write_op) + record->key.size_bytes + record->value.size_bytes;
	struct write_op *op = ftsi_operation_begin(coordinator, size_bytes) ? malloc(size_bytes) : NULL;
	if (op == NULL) {
		ftsi_operation_end(coordinator, size_bytes);
		return NULL;
	}
	memset(op, 0, sizeof *op);
	op->hurry.look = redirect;
	op->coordinator = coordinator;
	op->write = *write;
	op->size_bytes = size_bytes;
	if (record->key.size_bytes > 0) memcpy(op->bytes, record->key.data, record->key.size_bytes);
	if (record->value.size_bytes > 0)
		memcpy(op->bytes + record->key.size_bytes, record->value.data, record->value.size_bytes);
	op->write.record.key.data = op->bytes;
	op->write.record.value.data = op->bytes + record->key.size_bytes;
	pthread_mutex_init(&op->lock, NULL);
	return op;
}

/* A version by a clock that is far ahead would win over all later writes until the others have caught up. */
static void refuse_clock(const struct ftsi_write *write, struct round round, const struct fts_router_map *map,
			 int64_t ahead_ms)
{
	char detail[200];
	(void)snprintf(detail, sizeof detail,
		       "the clock of %.64s is %" PRId64
		       " s ahead of the others': set it right, or write through another node",
		       map->self < 0 ? "this node" : map->nodes[map->self].name, ahead_ms / 1000);
	refuse(write, round, FTS_FAILED_PRECONDITION, detail);
}

static void start_round(struct ftsi_coordinator *coordinator, const struct ftsi_write *write, struct round round)
{
	const struct fts_router_owner *owner = coordinator->owner;
	const struct fts_router_map *map = owner->map(owner->ctx);
	int64_t ahead_ms = write->record.version_time == 0 ? owner->clock_ahead_ms(owner->ctx) : 0;
	if (map == NULL) {
		refuse(write, round, FTS_UNAVAILABLE, "the cluster has no map yet: try again soon");
		return;
	}
	/* It became one while the write was under way, or before this node heard of it: the caller goes to the log. */
	if (!write->as_it_is && fts_router_map_is_linearizable(map, write->record.db)) {
		fts_router_map_release(map);
		refuse(write, round, FTS_ABORTED, "the database is linearizable now");
		return;
	}
	if (ahead_ms > 0) {
		refuse_clock(write, round, map, ahead_ms);
		fts_router_map_release(map);
		return;
	}
	struct write_op *op = make_op(coordinator, write);
	if (op == NULL) {
		fts_router_map_release(map);
		refuse(write, round, FTS_RESOURCE_EXHAUSTED, "too many writes are under way at this node");
		return;
	}
	op->map = map;
	op->partition = &map->partitions[owner->partition(write->record.db, write->record.key)];
	op->redirect_count = round.redirect_count;
	op->newer_count = round.newer_count;
	op->left_traces = round.left_traces;
	if (op->write.record.version_time == 0) {
		op->write.record.version_time = owner->next_time(owner->ctx);
		op->write.record.version_node = map->self < 0 ? 0 : map->nodes[map->self].node_id;
	}
	uint8_t count = op->partition->order_count;
	op->open_count = count + 1u; /* and this thread */
	for (uint8_t i = 0; i < count; i++)
		send_to(op, &op->slots[i], op->partition->order[i]);
	step(op);
}

void ftsi_write_start(struct ftsi_coordinator *coordinator, const struct ftsi_write *write)
{
	struct ftsi_write first = *write;
	first.level = ftsi_quorum_level(write->level);
	start_round(coordinator, &first, (struct round){0});
}
