/* Why this file exists: see router/coordinate.h; here: reads, and what they mend.
 *
 * A read of level one asks one owner, this node if it is one, and the others when that one is slow or has failed. All
 * other levels ask every owner at once: those that answer too late for the caller are compared all the same.
 *
 * NOT_FOUND is an error and carries no maybe_stale: it is said only of what enough owners agree on. A deletion that is
 * in doubt is UNAVAILABLE. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "router/coordinate.h"

struct read_op {
	struct ftsi_hurry hurry; /* first: of a read of level one */
	struct map_wait {
		struct ftsi_hurry hurry; /* first: while it waits for the map by which it was refused */
		struct read_op *op;
	} map_wait;
	struct ftsi_coordinator *coordinator;
	struct ftsi_read read; /* key: own copy */
	const struct fts_router_map *map;
	const struct fts_router_partition *partition;
	uint32_t redirect_count;
	uint64_t as_of;
	size_t size_bytes;
	struct read_slot {
		struct read_op *op;
		int place;
		struct ftsi_read_item item;
		uint64_t version_time, version_node; /* of what it has; 0: nothing, or damaged */
	} slots[FTS_ROUTER_OWNERS_MAX];
	pthread_mutex_t lock;
	uint8_t slot_count; /* guarded by lock, as all below; of those that were asked */
	uint64_t answered_places, failed, damaged, newer_epoch;
	uint32_t open_count;
	uint64_t asked; /* places */
	bool answered, old_map, hurry_held;
	struct fts_router_record newest; /* its value: own copy; version 0: nothing was found */
	uint8_t bytes[];
};

static void start_round(struct ftsi_coordinator *coordinator, const struct ftsi_read *read, uint32_t redirect_count);
static void step(struct read_op *op);
static void ask(struct read_op *op, struct read_slot *slot);

static void free_op(struct read_op *op)
{
	struct ftsi_coordinator *coordinator = op->coordinator;
	size_t size_bytes = op->size_bytes;
	free((void *)(uintptr_t)op->newest.value.data);
	fts_router_map_release(op->map);
	pthread_mutex_destroy(&op->lock);
	free(op);
	ftsi_operation_end(coordinator, size_bytes);
}

/* ---- Mending ---- */

/* Everybody who will answer has: bring those that have something else to the newest. A deleted key that somebody has
 * forgotten altogether is no difference. */
static void mend_all(struct read_op *op)
{
	if (op->newest.version_time == 0) return;
	for (uint8_t i = 0; i < op->slot_count; i++) {
		const struct read_slot *slot = &op->slots[i];
		uint64_t bit = (uint64_t)1 << slot->place;
		bool has_it =
		    slot->version_time == op->newest.version_time && slot->version_node == op->newest.version_node;
		bool has_nothing = slot->version_time == 0 && !(op->damaged & bit);
		if (!((op->answered_places | op->damaged) & bit) || has_it || (has_nothing && op->newest.tombstone))
			continue;
		ftsi_mend(op->coordinator, op->map, slot->place, &op->newest, op->as_of);
	}
}

/* ---- Answers ---- */

static void answer_with(struct read_op *op, enum fts_status status, bool maybe_stale)
{
	struct ftsi_read_result result = {.status = status,
					  .record = op->newest,
					  .acks = (uint32_t)__builtin_popcountll(op->answered_places),
					  .replicas = op->partition->owner_count,
					  .maybe_stale = maybe_stale};
	if (status == FTS_OK && (op->newest.version_time == 0 || op->newest.tombstone)) result.status = FTS_NOT_FOUND;
	if (result.status == FTS_NOT_FOUND) (void)snprintf(result.detail, sizeof result.detail, "no such key");
	op->read.done(op->read.ctx, &result);
}

static void take_hint(void *ctx, const struct fts_router_read *read)
{
	struct read_op *op = ctx;
	if (read->status != FTS_OK || read->record.tombstone) return;
	struct ftsi_read_result result = {
	    .status = FTS_OK, .record = read->record, .replicas = op->partition->owner_count, .maybe_stale = true};
	op->answered = true;
	op->read.done(op->read.ctx, &result);
}

/* Nobody who owns it is there: perhaps this router keeps it for them. */
static bool answer_from_hints(struct read_op *op)
{
	const struct fts_router_owner *owner = op->coordinator->owner;
	uint64_t ids[FTS_ROUTER_OWNERS_MAX];
	for (uint8_t i = 0; i < op->partition->order_count; i++)
		ids[i] = op->map->nodes[op->partition->order[i]].node_id;
	op->answered = false;
	owner->read_hint(owner->ctx, ids, op->partition->order_count, op->read.db, op->read.key, take_hint, op);
	return op->answered;
}

static void answer_failure(struct read_op *op)
{
	struct ftsi_read_result result = {.status = FTS_UNAVAILABLE,
					  .acks = (uint32_t)__builtin_popcountll(op->answered_places),
					  .replicas = op->partition->owner_count};
	char names[160];
	ftsi_name_places(op->map, op->failed & ~op->damaged, names, sizeof names);
	if (op->answered_places == 0 && op->damaged == 0 && answer_from_hints(op)) return;
	op->answered = true;
	if (op->damaged != 0 && (op->failed & ~op->damaged) == 0) {
		result.status = FTS_DATA_LOSS;
		(void)snprintf(result.detail, sizeof result.detail,
			       "%d of %u owners have damage in this record, or have lost it and not got it again yet",
			       __builtin_popcountll(op->damaged), result.replicas);
	} else {
		(void)snprintf(result.detail, sizeof result.detail,
			       "%u of %u owners answered, too few: %s can't be reached", result.acks, result.replicas,
			       names);
	}
	op->read.done(op->read.ctx, &result);
}

/* The newest is a deletion that too few owners know of: the next read may find the value again. */
static void answer_in_doubt(struct read_op *op)
{
	struct ftsi_read_result result = {.status = FTS_UNAVAILABLE,
					  .acks = (uint32_t)__builtin_popcountll(op->answered_places),
					  .replicas = op->partition->owner_count};
	(void)snprintf(result.detail, sizeof result.detail,
		       "it was deleted, but too few owners know of it yet, and not enough can be told: try again");
	op->read.done(op->read.ctx, &result);
}

/* The newest is where the caller wants it, or is not: then what was read may be gone again. */
static void agreed(void *ctx, const struct ftsi_write_result *result)
{
	struct read_op *op = ctx;
	if (result->status != FTS_OK && op->newest.tombstone)
		answer_in_doubt(op);
	else
		answer_with(op, FTS_OK, result->status != FTS_OK);
	step(op);
}

/* Owners are of different minds. op stays open until that is settled. */
static void agree(struct read_op *op)
{
	const struct ftsi_write write = {.record = op->newest,
					 .level = op->read.level,
					 .deadline_ns = op->read.deadline_ns,
					 .as_of = op->as_of,
					 .as_it_is = true,
					 .done = agreed,
					 .ctx = op};
	ftsi_write_start(op->coordinator, &write);
}

/* ---- Steps ---- */

enum next { WAIT, ANSWER, AGREE, FAIL, REDIRECT, WIDEN, SETTLE };

/* Called with the lock held. As few as the level wants have this very version? */
static bool is_agreed(const struct read_op *op)
{
	uint64_t same = 0;
	for (uint8_t i = 0; i < op->slot_count; i++)
		if (op->slots[i].version_time == op->newest.version_time &&
		    op->slots[i].version_node == op->newest.version_node)
			same |= (uint64_t)1 << op->slots[i].place;
	return ftsi_quorum_judge(op->partition, op->read.level, same & op->answered_places, 0) == FTSI_ENOUGH;
}

static bool can_widen(const struct read_op *op)
{
	return op->slot_count < op->partition->order_count;
}

static enum next choose(struct read_op *op)
{
	enum ftsi_verdict verdict = ftsi_quorum_judge(op->partition, op->read.level, op->answered_places, op->failed);
	bool all_in = op->open_count == (op->hurry_held ? 1 : 0);
	if (op->answered) return op->open_count == 0 ? SETTLE : WAIT;
	if (verdict == FTSI_ENOUGH) {
		op->answered = true;
		bool bare = op->newest.version_time == 0 || op->read.level == FTS__KV__V1__CONSISTENCY__ONE;
		return bare || is_agreed(op) ? ANSWER : AGREE;
	}
	if (!all_in) return WAIT;
	if (can_widen(op)) return WIDEN;
	op->answered = true;
	return op->old_map && op->redirect_count < FTSI_REDIRECTS_MAX ? REDIRECT : FAIL;
}

static void widen(struct read_op *op)
{
	struct read_slot *more[FTS_ROUTER_OWNERS_MAX];
	uint8_t count = 0;
	pthread_mutex_lock(&op->lock);
	for (uint8_t i = 0; i < op->partition->order_count && !op->answered; i++) {
		int place = op->partition->order[i];
		if (op->asked >> place & 1) continue;
		struct read_slot *slot = &op->slots[op->slot_count++];
		*slot = (struct read_slot){.op = op, .place = place};
		op->asked |= (uint64_t)1 << place;
		op->open_count++;
		more[count++] = slot;
	}
	pthread_mutex_unlock(&op->lock);
	for (uint8_t i = 0; i < count; i++)
		ask(op, more[i]);
}

/* The operation is held by whoever calls this. */
static void redirect(struct ftsi_hurry *hurry)
{
	struct read_op *op = ((struct map_wait *)hurry)->op;
	if (!ftsi_may_redirect(op->coordinator, op->newer_epoch, op->read.deadline_ns)) {
		ftsi_hurry_add(op->coordinator->hurries, hurry);
		return;
	}
	start_round(op->coordinator, &op->read, op->redirect_count + 1);
	step(op);
}

/* One thing has happened; op may be gone when it returns. */
static void step(struct read_op *op)
{
	pthread_mutex_lock(&op->lock);
	op->open_count--;
	enum next next = choose(op);
	if (next != WAIT && next != SETTLE) op->open_count++; /* it stays while this thread, or agreed, speaks for it */
	pthread_mutex_unlock(&op->lock);
	switch (next) {
	case WAIT:
		return;
	case SETTLE:
		mend_all(op);
		free_op(op);
		return;
	case AGREE:
		agree(op);
		return;
	case ANSWER:
		answer_with(op, FTS_OK, false);
		break;
	case FAIL:
		answer_failure(op);
		break;
	case REDIRECT:
		redirect(&op->map_wait.hurry);
		return;
	case WIDEN:
		widen(op);
		break;
	}
	step(op);
}

/* Called with the lock held. False: no memory. */
static bool keep_newest(struct read_op *op, const struct fts_router_record *record)
{
	const struct fts_router_record *newest = &op->newest;
	bool newer = record->version_time > newest->version_time ||
		     (record->version_time == newest->version_time && record->version_node > newest->version_node);
	if (!newer || op->answered) return true; /* the caller has been told something already: keep to it */
	uint8_t *copy = malloc(record->value.size_bytes + 1);
	if (copy == NULL) return false;
	if (record->value.size_bytes > 0) memcpy(copy, record->value.data, record->value.size_bytes);
	free((void *)(uintptr_t)newest->value.data);
	op->newest = *record;
	op->newest.key = op->read.key;
	op->newest.value = (struct fts_bytes){copy, record->value.size_bytes};
	return true;
}

static void slot_done(void *ctx, const struct fts_router_read *read)
{
	struct read_slot *slot = ctx;
	struct read_op *op = slot->op;
	uint64_t bit = (uint64_t)1 << slot->place;
	pthread_mutex_lock(&op->lock);
	bool good = read->status == FTS_NOT_FOUND || (read->status == FTS_OK && keep_newest(op, &read->record));
	if (good)
		op->answered_places |= bit;
	else
		op->failed |= bit;
	if (good && read->status == FTS_OK) {
		slot->version_time = read->record.version_time;
		slot->version_node = read->record.version_node;
	}
	if (read->status == FTS_DATA_LOSS) op->damaged |= bit;
	if (read->status == FTS_ABORTED) op->old_map = true;
	if (read->status == FTS_ABORTED && read->epoch > op->newer_epoch) op->newer_epoch = read->epoch;
	pthread_mutex_unlock(&op->lock);
	step(op);
}

static void ask(struct read_op *op, struct read_slot *slot)
{
	const struct fts_router_owner *owner = op->coordinator->owner;
	if (slot->place == op->map->self) {
		owner->read(owner->ctx, op->map->epoch, op->read.db, op->read.key, slot_done, slot);
		return;
	}
	struct ftsi_remote *remote = ftsi_remotes_find(op->coordinator->remotes, &op->map->nodes[slot->place]);
	slot->item = (struct ftsi_read_item){.db = op->read.db,
					     .key = op->read.key,
					     .epoch = op->map->epoch,
					     .deadline_ns = op->read.deadline_ns,
					     .done = slot_done,
					     .ctx = slot};
	if (remote == NULL)
		slot_done(slot, &(struct fts_router_read){.status = FTS_UNAVAILABLE});
	else
		ftsi_remote_read(remote, &slot->item);
}

/* ---- Beginning ---- */

static struct read_op *make_op(struct ftsi_coordinator *coordinator, const struct ftsi_read *read)
{
	size_t size_bytes = sizeof(struct read_op) + read->key.size_bytes;
	struct read_op *op = ftsi_operation_begin(coordinator, size_bytes) ? malloc(size_bytes) : NULL;
	if (op == NULL) {
		ftsi_operation_end(coordinator, size_bytes);
		return NULL;
	}
	memset(op, 0, sizeof *op);
	op->map_wait = (struct map_wait){.hurry = {.look = redirect}, .op = op};
	op->coordinator = coordinator;
	op->read = *read;
	op->size_bytes = size_bytes;
	if (read->key.size_bytes > 0) memcpy(op->bytes, read->key.data, read->key.size_bytes);
	op->read.key.data = op->bytes;
	pthread_mutex_init(&op->lock, NULL);
	return op;
}

static void refuse(const struct ftsi_read *read, enum fts_status status, const char *detail)
{
	struct ftsi_read_result result = {.status = status};
	(void)snprintf(result.detail, sizeof result.detail, "%s", detail);
	read->done(read->ctx, &result);
}

/* Whom a read of level one asks first: this node, then one that answers. */
static uint8_t first_choice(const struct read_op *op)
{
	for (uint8_t i = 0; i < op->partition->owner_count; i++)
		if (op->partition->order[i] == op->map->self) return i;
	for (uint8_t i = 0; i < op->partition->owner_count; i++) {
		struct ftsi_remote *remote =
		    ftsi_remotes_find(op->coordinator->remotes, &op->map->nodes[op->partition->order[i]]);
		if (remote != NULL && ftsi_remote_is_answering(remote)) return i;
	}
	return 0;
}

/* The hurry holds the operation, too, until it has looked at it. */
static void look_again(struct ftsi_hurry *hurry)
{
	struct read_op *op = (struct read_op *)hurry;
	pthread_mutex_lock(&op->lock);
	op->hurry_held = false;
	pthread_mutex_unlock(&op->lock);
	widen(op);
	step(op);
}

static void ask_first(struct read_op *op)
{
	int place = op->partition->order[first_choice(op)];
	bool hurries = place != op->map->self && op->coordinator->hurries != NULL;
	op->slots[0] = (struct read_slot){.op = op, .place = place};
	op->slot_count = 1;
	op->asked = (uint64_t)1 << place;
	op->open_count = hurries ? 3 : 2;
	op->hurry_held = hurries;
	op->hurry.look = look_again;
	ask(op, &op->slots[0]);
	if (hurries) ftsi_hurry_add(op->coordinator->hurries, &op->hurry);
}

static void start_round(struct ftsi_coordinator *coordinator, const struct ftsi_read *read, uint32_t redirect_count)
{
	const struct fts_router_owner *owner = coordinator->owner;
	const struct fts_router_map *map = owner->map(owner->ctx);
	if (map == NULL) {
		refuse(read, FTS_UNAVAILABLE, "the cluster has no map yet: try again soon");
		return;
	}
	if (fts_router_map_is_linearizable(map, read->db)) { /* as of a write: the caller goes to the log */
		fts_router_map_release(map);
		refuse(read, FTS_ABORTED, "the database is linearizable now");
		return;
	}
	struct read_op *op = make_op(coordinator, read);
	if (op == NULL) {
		fts_router_map_release(map);
		refuse(read, FTS_RESOURCE_EXHAUSTED, "too many reads are under way at this node");
		return;
	}
	op->map = map;
	op->partition = &map->partitions[owner->partition(read->db, read->key)];
	op->redirect_count = redirect_count;
	op->as_of = owner->now(owner->ctx);
	op->open_count = 1; /* this thread */
	if (read->level == FTS__KV__V1__CONSISTENCY__ONE && op->partition->owner_count > 0) {
		ask_first(op);
	} else {
		widen(op);
	}
	step(op);
}

void ftsi_read_start(struct ftsi_coordinator *coordinator, const struct ftsi_read *read)
{
	struct ftsi_read first = *read;
	first.level = ftsi_quorum_level(read->level);
	if (first.level == FTS__KV__V1__CONSISTENCY__ANY) {
		refuse(read, FTS_INVALID_ARGUMENT, "consistency: any is for writes only");
		return;
	}
	start_round(coordinator, &first, 0);
}
