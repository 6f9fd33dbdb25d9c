/* Why this file exists: see storage/owner.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "storage/internal.h"
#include "storage/owner_internal.h"

enum { TOMBSTONE_AGE_MS = 3600 * 1000, CLOCK_AHEAD_MAX_MS = 30 * 1000 };

struct fts_owner *fts_owner_create(const struct fts_owner_options *options)
{
	struct fts_owner *owner = calloc(1, sizeof *owner);
	if (owner == NULL) return NULL;
	owner->options = *options;
	if (options->tombstone_age_ms == 0) owner->options.tombstone_age_ms = TOMBSTONE_AGE_MS;
	if (options->clock_ahead_max_ms == 0) owner->options.clock_ahead_max_ms = CLOCK_AHEAD_MAX_MS;
	pthread_rwlock_init(&owner->door, NULL);
	return owner;
}

void fts_owner_destroy(struct fts_owner *owner)
{
	if (owner == NULL) return;
	pthread_rwlock_destroy(&owner->door);
	free(owner);
}

void fts_owner_set_node(struct fts_owner *owner, uint64_t node_id)
{
	atomic_store(&owner->node_id, node_id);
}

uint32_t fts_owner_tombstone_age_ms(const struct fts_owner *owner)
{
	return owner->options.tombstone_age_ms;
}

/* ---- The clock ---- */

static int64_t monotonic_ms(void)
{
	return (int64_t)(fts_clock_monotonic_ns() / 1000000);
}

static int64_t others_clock_ms(const struct fts_owner *owner)
{
	return owner->options.others_clock_ms == NULL ? INT64_MIN : owner->options.others_clock_ms(owner->options.ctx);
}

int64_t fts_owner_wall_ms(struct fts_owner *owner, int64_t *out_ahead_ms)
{
	int64_t wall_ms = fts_clock_wall_ms(), offset_ms = others_clock_ms(owner);
	int64_t follow_ms = (int64_t)owner->options.clock_ahead_max_ms;
	*out_ahead_ms = 0;
	if (offset_ms == INT64_MIN) return wall_ms;
	int64_t ahead_ms = wall_ms - (offset_ms + monotonic_ms());
	if (ahead_ms <= follow_ms) return wall_ms;
	*out_ahead_ms = ahead_ms;
	return wall_ms - ahead_ms + follow_ms / 2; /* what is sent by it is still followed */
}

static int64_t believed_wall_ms(struct fts_owner *owner)
{
	int64_t ahead_ms;
	return fts_owner_wall_ms(owner, &ahead_ms);
}

uint64_t fts_owner_now(struct fts_owner *owner)
{
	return fts_hlc_look(fts_storage_clock(owner->options.storage), believed_wall_ms(owner));
}

uint64_t fts_owner_next_time(struct fts_owner *owner)
{
	return fts_hlc_now(fts_storage_clock(owner->options.storage), believed_wall_ms(owner));
}

/* ---- The door ---- */

static bool is_old(const struct ftsi_map *map, uint64_t epoch, uint32_t partition)
{
	return epoch != 0 && epoch < map->changed[partition];
}

static enum fts_status check_map(struct fts_owner *owner, uint64_t epoch, const struct fts_storage_put *put)
{
	enum fts_status status = FTS_OK;
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	for (size_t i = 0; i < put->count; i++) {
		uint32_t partition = ftsi_record_partition(put->records[i].db, put->records[i].key);
		if (is_old(&shared->map, epoch, partition)) status = FTS_ABORTED;
		uint64_t known = atomic_load(&owner->newest_epoch[partition]);
		while (known < epoch && !atomic_compare_exchange_weak(&owner->newest_epoch[partition], &known, epoch)) {
		}
	}
	ftsi_map_release(shared);
	return status;
}

static const char *name_of(const struct ftsi_map *map, uint64_t node_id)
{
	const struct ftsi_map_node *node = ftsi_map_node_find(map, node_id);
	return node == NULL ? "a node that is gone" : node->name;
}

static enum fts_status refuse_clock(struct fts_owner *owner, struct ftsi_version version, struct fts_error *out_error)
{
	int64_t ahead_ms = fts_hlc_wall_ms(version.time) - believed_wall_ms(owner);
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	enum fts_status status = fts_error_set(
	    out_error, FTS_FAILED_PRECONDITION,
	    "the clock of %s is %" PRId64 " s ahead of %s's: set it right, or write through another node",
	    name_of(&shared->map, version.node), ahead_ms / 1000, name_of(&shared->map, atomic_load(&owner->node_id)));
	ftsi_map_release(shared);
	return status;
}

static enum fts_status check_clocks(struct fts_owner *owner, const struct fts_owner_stamp *stamp,
				    const struct fts_storage_put *put, struct fts_error *out_error)
{
	struct fts_hlc *clock = fts_storage_clock(owner->options.storage);
	int64_t wall_ms = believed_wall_ms(owner);
	int64_t age_ms = fts_hlc_wall_ms(fts_hlc_look(clock, wall_ms)) - fts_hlc_wall_ms(stamp->as_of);
	if (age_ms > (int64_t)owner->options.tombstone_age_ms)
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION,
				     "it was known %" PRId64 " ms ago: tombstones may be gone since", age_ms);
	for (size_t i = 0; !put->background && i < put->count; i++) {
		struct ftsi_version version = put->records[i].version;
		if (fts_hlc_observe(clock, version.time, wall_ms, owner->options.clock_ahead_max_ms) != FTS_OK)
			return refuse_clock(owner, version, out_error);
	}
	return FTS_OK;
}

static enum fts_status refuse_put(struct fts_owner *owner, enum fts_status status, struct fts_error *out_error)
{
	if (status == FTS_ABORTED) return fts_error_set(out_error, status, "the map has changed");
	if (status != FTS_RESOURCE_EXHAUSTED) return fts_error_set(out_error, status, "%s", fts_status_name(status));
	if (!fts_storage_is_full(owner->options.storage))
		return fts_error_set(out_error, status, "too much waits to be written there: try again");
	return fts_error_set(out_error, status, "its disk has less than %d MiB left: make room",
			     (int)(FTSI_STORAGE_RESERVE_BYTES >> 20));
}

enum fts_status fts_owner_put(struct fts_owner *owner, const struct fts_owner_stamp *stamp, struct fts_storage_put *put,
			      struct fts_error *out_error)
{
	enum fts_status status = check_clocks(owner, stamp, put, out_error);
	if (status != FTS_OK) return status;
	pthread_rwlock_rdlock(&owner->door);
	status = check_map(owner, stamp->epoch, put);
	if (status == FTS_OK) status = fts_storage_put(owner->options.storage, put);
	pthread_rwlock_unlock(&owner->door);
	return status == FTS_OK ? FTS_OK : refuse_put(owner, status, out_error);
}

enum fts_status fts_owner_read(struct fts_owner *owner, uint64_t epoch, uint32_t db, struct fts_bytes key,
			       struct fts_storage_found *out_found)
{
	enum fts_status status = FTS_DATA_LOSS;
	if (!fts_storage_has_lost(owner->options.storage, ftsi_record_partition(db, key)))
		status = fts_storage_read(owner->options.storage, db, key, out_found);
	/* The map is looked at after the record: what was still here by a map that is known now may be dropped since.
	 */
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	bool old = is_old(&shared->map, epoch, ftsi_record_partition(db, key));
	ftsi_map_release(shared);
	if (!old) return status;
	if (status == FTS_OK) fts_storage_release(out_found);
	return FTS_ABORTED;
}

enum fts_status fts_owner_confirm_map(struct fts_owner *owner, uint64_t epoch)
{
	pthread_rwlock_wrlock(&owner->door);
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	bool knows = shared->map.epoch >= epoch;
	ftsi_map_release(shared);
	pthread_rwlock_unlock(&owner->door);
	if (!knows) return FTS_UNAVAILABLE;
	/* The copy counts on this node to refuse what is sent by an older map, also after it was started again. */
	enum fts_status status = ftsi_map_cache_keep(owner->options.maps, owner->options.storage, true);
	return status == FTS_OK ? fts_storage_flush(owner->options.storage) : status;
}

/* ---- What was lost for good ---- */

bool fts_owner_is_loss_accepted(struct fts_owner *owner, uint32_t partition)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	uint64_t accepted = atomic_load(&owner->accepted[partition]);
	bool is = accepted != 0 && accepted == shared->map.changed[partition];
	ftsi_map_release(shared);
	return is;
}

void fts_owner_note_stuck(struct fts_owner *owner, uint32_t count)
{
	atomic_store(&owner->stuck_count, count);
}

/* ---- What it has no part in any more ---- */

static bool takes_part(const struct ftsi_map *map, uint64_t node_id, uint32_t partition)
{
	if (ftsi_placement_owns(&map->placement, partition, node_id)) return true;
	for (size_t i = 0; i < map->move_count; i++)
		if (map->moves[i].partition == partition && map->moves[i].to_node == node_id) return true;
	return false;
}

/* By its own map, and by all under which something was sent to it. Called with the door shut. */
static bool has_no_part(struct fts_owner *owner, uint64_t node_id, uint32_t partition)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(owner->options.maps);
	bool none = shared->map.epoch != 0 && atomic_load(&owner->newest_epoch[partition]) <= shared->map.epoch &&
		    !takes_part(&shared->map, node_id, partition);
	ftsi_map_release(shared);
	return none;
}

/* What was let in by an old map is written first, with the door open: the writer's callbacks come through it, too.
 * Nothing of the partition is let in after that by a map that is known here; by a newer one, and it stays. */
enum fts_status fts_owner_drop(struct fts_owner *owner, uint64_t node_id, uint32_t partition)
{
	pthread_rwlock_wrlock(&owner->door);
	bool none = has_no_part(owner, node_id, partition);
	pthread_rwlock_unlock(&owner->door);
	if (!none) return FTS_FAILED_PRECONDITION;
	enum fts_status status = fts_storage_flush(owner->options.storage);
	if (status != FTS_OK) return status;
	pthread_rwlock_wrlock(&owner->door);
	status = has_no_part(owner, node_id, partition) ? fts_storage_drop_partition(owner->options.storage, partition)
							: FTS_FAILED_PRECONDITION;
	if (status == FTS_OK) status = fts_storage_regain(owner->options.storage, partition);
	pthread_rwlock_unlock(&owner->door);
	return status;
}
