/* Why this file exists: see router/keeper.h; here: hints delivered. Source: DeCandia et al., "Dynamo" (2007), 4.6.
 *
 * A hint goes to the node it is for, as long as that is an owner; the partition may have moved, then it goes to the
 * owners as a write of its own. One that grew too old may be the only copy: it is given up once a quorum of the owners
 * has it or better, a deletion like a value, and brought to them when they have not. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "router/keeper.h"
#include "router/sync.h"

enum { TAKE_MAX = 256, RETRY_MS = 1000, STRAY_MS = 5000, BATCHES_A_TURN = 16 };
#define TAKE_BYTES_MAX ((size_t)1024 * 1024)

struct taken_hint {
	uint64_t node_id;
	int64_t kept_ms;
	struct fts_router_record record; /* own copies */
};

/* Hints of one node, or of none that owns them. */
struct taking {
	const struct ftsi_round *round;
	uint64_t *retry_ns;
	int place; /* NODES_MAX: hints for nodes that don't own them any more */
	size_t count, bytes;
	struct taken_hint hints[TAKE_MAX];
};

static int place_for(const struct taking *taking, uint64_t node_id, const struct fts_router_record *record)
{
	const struct fts_router_map *map = taking->round->map;
	const struct fts_router_owner *owner = taking->round->router->options.owner;
	const struct fts_router_partition *partition = &map->partitions[owner->partition(record->db, record->key)];
	int place = fts_router_map_place(map, node_id);
	if (place < 0 || !((partition->owners | partition->next) >> place & 1)) return FTS_ROUTER_NODES_MAX;
	return place;
}

static bool copy_record(const struct fts_router_record *record, struct fts_router_record *out_copy)
{
	uint8_t *bytes = malloc(record->key.size_bytes + record->value.size_bytes + 1);
	if (bytes == NULL) return false;
	*out_copy = *record;
	if (record->key.size_bytes > 0) memcpy(bytes, record->key.data, record->key.size_bytes);
	out_copy->key.data = bytes;
	if (record->value.size_bytes > 0)
		memcpy(bytes + record->key.size_bytes, record->value.data, record->value.size_bytes);
	out_copy->value.data = bytes + record->key.size_bytes;
	return true;
}

static bool take_hint(void *ctx, uint64_t node_id, int64_t kept_ms, const struct fts_router_record *record)
{
	struct taking *taking = ctx;
	if (place_for(taking, node_id, record) != taking->place) return true; /* another turn's */
	struct taken_hint *hint = &taking->hints[taking->count];
	if (!copy_record(record, &hint->record)) return false;
	hint->node_id = node_id;
	hint->kept_ms = kept_ms;
	taking->bytes += record->key.size_bytes + record->value.size_bytes;
	return ++taking->count < TAKE_MAX && taking->bytes < TAKE_BYTES_MAX;
}

/* ---- To the node itself ---- */

static enum fts_status push_all(const struct taking *taking, uint64_t as_of)
{
	static _Thread_local Fts__Kv__V1__Record records[TAKE_MAX];
	Fts__Kv__V1__Record *list[TAKE_MAX];
	const struct fts_router_owner *owner = taking->round->router->options.owner;
	for (size_t i = 0; i < taking->count; i++) {
		const struct fts_router_record *record = &taking->hints[i].record;
		fts__kv__v1__record__init(&records[i]);
		records[i].db = record->db;
		records[i].key = (ProtobufCBinaryData){record->key.size_bytes, (uint8_t *)(uintptr_t)record->key.data};
		records[i].value =
		    (ProtobufCBinaryData){record->value.size_bytes, (uint8_t *)(uintptr_t)record->value.data};
		records[i].tombstone = record->tombstone;
		records[i].version_time = record->version_time;
		records[i].version_node = record->version_node;
		records[i].checksum = owner->checksum(record);
		list[i] = &records[i];
	}
	return ftsi_push(taking->round->router, taking->round->map, taking->place, list, taking->count, as_of);
}

/* ---- To whoever owns it now, and: do they have it? ---- */

struct wait {
	sem_t done;
	bool good;
	uint64_t at_least; /* version time */
};

static void written(void *ctx, const struct ftsi_write_result *result)
{
	struct wait *wait = ctx;
	wait->good = result->status == FTS_OK;
	(void)sem_post(&wait->done);
}

/* NOT_FOUND: a deletion that a quorum has, with its version; nothing at all has none. */
static void was_read(void *ctx, const struct ftsi_read_result *result)
{
	struct wait *wait = ctx;
	wait->good = (result->status == FTS_OK || result->status == FTS_NOT_FOUND) && !result->maybe_stale &&
		     result->record.version_time >= wait->at_least;
	(void)sem_post(&wait->done);
}

static bool wait_for(struct wait *wait)
{
	while (sem_wait(&wait->done) != 0) {
	} /* a signal; every operation ends in time */
	sem_destroy(&wait->done);
	return wait->good;
}

static bool write_to_owners(const struct ftsi_round *round, const struct fts_router_record *record, uint64_t as_of)
{
	struct wait wait = {.good = false};
	if (sem_init(&wait.done, 0, 0) != 0) return false;
	ftsi_write_start(&round->router->coordinator,
			 &(struct ftsi_write){
			     .record = *record,
			     .level = FTS__KV__V1__CONSISTENCY__QUORUM,
			     .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), FTSI_SYNC_TIMEOUT_MS),
			     .as_of = as_of,
			     .background = true,
			     .as_it_is = true,
			     .done = written,
			     .ctx = &wait,
			 });
	return wait_for(&wait);
}

static bool owners_have_it(const struct ftsi_round *round, const struct fts_router_record *record)
{
	struct wait wait = {.good = false, .at_least = record->version_time};
	if (sem_init(&wait.done, 0, 0) != 0) return false;
	ftsi_read_start(&round->router->coordinator,
			&(struct ftsi_read){
			    .db = record->db,
			    .key = record->key,
			    .level = FTS__KV__V1__CONSISTENCY__QUORUM,
			    .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), FTSI_SYNC_TIMEOUT_MS),
			    .done = was_read,
			    .ctx = &wait,
			});
	return wait_for(&wait);
}

/* ---- A round ---- */

static void give_up_old(const struct ftsi_round *round, const struct taken_hint *hint, uint64_t as_of)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	if (owner->wall_ms(owner->ctx) - hint->kept_ms < (int64_t)owner->hint_age_ms) return;
	if (owners_have_it(round, &hint->record) || write_to_owners(round, &hint->record, as_of))
		owner->remove_hint(owner->ctx, hint->node_id, &hint->record, true);
}

static void deliver(struct taking *taking, uint64_t as_of)
{
	const struct ftsi_round *round = taking->round;
	const struct fts_router_owner *owner = round->router->options.owner;
	bool to_node = taking->place < FTS_ROUTER_NODES_MAX;
	bool sent = to_node && push_all(taking, as_of) == FTS_OK;
	if (to_node && !sent)
		taking->retry_ns[taking->place] = fts_clock_deadline_ns(fts_clock_monotonic_ns(), RETRY_MS);
	for (size_t i = 0; i < taking->count && !atomic_load(round->stopping); i++) {
		const struct taken_hint *hint = &taking->hints[i];
		if (sent || (!to_node && write_to_owners(round, &hint->record, as_of)))
			owner->remove_hint(owner->ctx, hint->node_id, &hint->record, false);
		else
			give_up_old(round, hint, as_of);
	}
}

/* True: there may be more of them, and they were taken. */
static bool take_batch(struct taking *taking, const struct ftsi_round *round, uint64_t *retry_ns, int place)
{
	const struct fts_router_owner *owner = round->router->options.owner;
	uint64_t node_id = place < FTS_ROUTER_NODES_MAX ? round->map->nodes[place].node_id : 0;
	*taking = (struct taking){.round = round, .retry_ns = retry_ns, .place = place};
	uint64_t as_of = owner->now(owner->ctx);
	owner->visit_hints(owner->ctx, node_id, take_hint, taking);
	if (taking->count > 0) deliver(taking, as_of);
	for (size_t i = 0; i < taking->count; i++)
		free((void *)(uintptr_t)taking->hints[i].record.key.data);
	return taking->count == TAKE_MAX && retry_ns[place] <= fts_clock_monotonic_ns();
}

static void take_turn(struct taking *taking, const struct ftsi_round *round, uint64_t *retry_ns, int place)
{
	for (int i = 0; i < BATCHES_A_TURN && !atomic_load(round->stopping); i++)
		if (!take_batch(taking, round, retry_ns, place)) return;
}

/* A few batches a node and round, so that all nodes have their turn; low priority, by the pause between rounds. Those
 * for nodes that own nothing any more are few, and looked for now and then: all hints are read for it. */
void ftsi_deliver_hints(const struct ftsi_round *round, uint64_t *retry_ns)
{
	struct taking *taking = malloc(sizeof *taking);
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (taking == NULL) return;
	for (size_t i = 0; i < round->map->node_count && !atomic_load(round->stopping); i++)
		if (retry_ns[i] <= now_ns) take_turn(taking, round, retry_ns, (int)i);
	if (retry_ns[FTS_ROUTER_NODES_MAX] <= now_ns && !atomic_load(round->stopping)) {
		retry_ns[FTS_ROUTER_NODES_MAX] = fts_clock_deadline_ns(now_ns, STRAY_MS);
		take_turn(taking, round, retry_ns, FTS_ROUTER_NODES_MAX);
	}
	free(taking);
}
