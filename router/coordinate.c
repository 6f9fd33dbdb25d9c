/* Why this file exists: see router/coordinate.h; here: what reads and writes share, and mending. */
#include "router/coordinate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

bool ftsi_operation_begin(struct ftsi_coordinator *coordinator, size_t size_bytes)
{
	uint32_t count = atomic_fetch_add(&coordinator->open_count, 1) + 1;
	size_t bytes = atomic_fetch_add(&coordinator->open_bytes, size_bytes) + size_bytes;
	return count <= FTSI_OPEN_MAX && bytes <= FTSI_OPEN_BYTES_MAX;
}

void ftsi_operation_end(struct ftsi_coordinator *coordinator, size_t size_bytes)
{
	atomic_fetch_sub(&coordinator->open_bytes, size_bytes);
	atomic_fetch_sub(&coordinator->open_count, 1);
}

bool ftsi_may_redirect(const struct ftsi_coordinator *coordinator, uint64_t epoch, uint64_t deadline_ns)
{
	const struct fts_router_owner *owner = coordinator->owner;
	const struct fts_router_map *map = owner->map(owner->ctx);
	bool knows = map == NULL || map->epoch >= epoch;
	fts_router_map_release(map);
	return knows || coordinator->hurries == NULL ||
	       (coordinator->stopping != NULL && atomic_load(coordinator->stopping)) ||
	       fts_clock_left_ms(fts_clock_monotonic_ns(), deadline_ns) <= FTSI_REDIRECT_SPARE_MS;
}

void ftsi_name_places(const struct fts_router_map *map, uint64_t places, char *out, size_t capacity_bytes)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < map->node_count && used < capacity_bytes; i++) {
		if (!(places >> i & 1)) continue;
		int size =
		    snprintf(out + used, capacity_bytes - used, "%s%s", used == 0 ? "" : ", ", map->nodes[i].name);
		used += size < 0 ? 0 : (size_t)size;
	}
	if (used == 0) (void)snprintf(out, capacity_bytes, "none");
}

/* ---- Mending: one record to one node, in the background ---- */

struct mend {
	struct ftsi_coordinator *coordinator;
	size_t size_bytes;
	struct fts_router_record record; /* own copies */
	struct ftsi_put_item item;
	uint8_t bytes[];
};

/* If it fails the next read, or the sweep, tries again. */
static void mend_done(void *ctx, const struct fts_router_taken *taken)
{
	struct mend *mend = ctx;
	struct ftsi_coordinator *coordinator = mend->coordinator;
	size_t size_bytes = mend->size_bytes;
	(void)taken;
	free(mend);
	ftsi_operation_end(coordinator, size_bytes);
}

static struct mend *make_mend(struct ftsi_coordinator *coordinator, const struct fts_router_record *record)
{
	size_t size_bytes = sizeof(struct mend) + record->key.size_bytes + record->value.size_bytes;
	struct mend *mend = ftsi_operation_begin(coordinator, size_bytes) ? malloc(size_bytes) : NULL;
	if (mend == NULL) {
		ftsi_operation_end(coordinator, size_bytes);
		return NULL;
	}
	mend->coordinator = coordinator;
	mend->size_bytes = size_bytes;
	mend->record = *record;
	if (record->key.size_bytes > 0) memcpy(mend->bytes, record->key.data, record->key.size_bytes);
	if (record->value.size_bytes > 0)
		memcpy(mend->bytes + record->key.size_bytes, record->value.data, record->value.size_bytes);
	mend->record.key.data = mend->bytes;
	mend->record.value.data = mend->bytes + record->key.size_bytes;
	return mend;
}

void ftsi_mend(struct ftsi_coordinator *coordinator, const struct fts_router_map *map, int place,
	       const struct fts_router_record *record, uint64_t as_of)
{
	const struct fts_router_owner *owner = coordinator->owner;
	struct mend *mend = make_mend(coordinator, record);
	if (mend == NULL) return;
	mend->item = (struct ftsi_put_item){
	    .record = &mend->record,
	    .stamp = {.epoch = map->epoch, .as_of = as_of, .background = true},
	    .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), FTSI_REMOTE_TIMEOUT_MS),
	    .done = mend_done,
	    .ctx = mend,
	};
	if (place == map->self) {
		owner->put(owner->ctx, &mend->record, &mend->item.stamp, mend_done, mend);
		return;
	}
	struct ftsi_remote *remote = ftsi_remotes_find(coordinator->remotes, &map->nodes[place]);
	if (remote == NULL)
		mend_done(mend, &(struct fts_router_taken){.status = FTS_UNAVAILABLE});
	else
		ftsi_remote_put(remote, &mend->item);
}
