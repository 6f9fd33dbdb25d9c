/* Why this file exists: see server/kv.h; here: what the router needs of this node (router/owner.h), from storage/. */
#include "server/kv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "router/router.h"
#include "server/address.h"
#include "storage/log_machine.h"
#include "storage/lost.h"
#include "storage/map_leave.h"
#include "storage/owner.h"

enum {
	CLOCK_AHEAD_MAX_MS = 30 * 1000,
	CLOCKS_WAIT_MS = 1000,
	TOMBSTONE_AGE_MS = 3600 * 1000,
	HINT_AGE_MS = 2 * 3600 * 1000,
	SWEEP_MS = 10 * 1000
};

struct ftsi_kv {
	char endpoint[FTSI_ADDRESS_MAX];
	struct ftsi_map_cache *maps;
	struct ftsi_kv_log log;
	struct fts_storage *storage;
	struct fts_owner *owner;
	struct fts_router *router;
	struct fts_router_owner door;
	uint64_t opened_ns;
	pthread_mutex_t lock;
	const struct fts_router_map *map;     /* guarded by lock, as all below; NULL: none yet */
	const struct ftsi_map_shared *source; /* what it was made of; held */
};

/* ---- The map, as the router uses it ---- */

/* A copy of the message, which the router's map keeps. NULL: no memory. */
static Fts__Kv__V1__MapResponse *copy_message(const Fts__Kv__V1__MapResponse *message)
{
	size_t size = fts__kv__v1__map_response__get_packed_size(message);
	uint8_t *packed = malloc(size + 1);
	if (packed == NULL) return NULL;
	(void)fts__kv__v1__map_response__pack(message, packed);
	Fts__Kv__V1__MapResponse *copy = fts__kv__v1__map_response__unpack(NULL, size, packed);
	free(packed);
	return copy;
}

/* Called with the lock held. Without memory the old one stays: its owners refuse what is sent by it. */
static void renew_map(struct ftsi_kv *kv, const struct ftsi_map_shared *shared)
{
	struct fts_replica *replica = atomic_load(&kv->log.replica);
	struct fts_replica_status status = {0};
	Fts__Kv__V1__MapResponse *message = shared->message == NULL ? NULL : copy_message(shared->message);
	if (message == NULL || replica == NULL) {
		if (message != NULL) fts__kv__v1__map_response__free_unpacked(message, NULL);
		return;
	}
	fts_replica_status(replica, &status);
	const struct fts_router_map *map = fts_router_map_create(message, status.node_id);
	if (map == NULL) return;
	fts_owner_set_node(kv->owner, status.node_id);
	fts_router_map_release(kv->map);
	if (kv->source != NULL) ftsi_map_release(kv->source);
	kv->map = map;
	kv->source = ftsi_map_hold(shared);
	/* What is routed by is known after a kill, too. Not synced: what hangs on it is (storage/owner.h). */
	if (ftsi_map_cache_keep(kv->maps, kv->storage, false) != FTS_OK)
		FTS_LOG_WARN("kv.map_not_kept", "epoch=%llu", (unsigned long long)map->epoch);
}

static const struct fts_router_map *newest_map(void *ctx)
{
	struct ftsi_kv *kv = ctx;
	const struct ftsi_map_shared *shared = ftsi_map_take(kv->maps);
	pthread_mutex_lock(&kv->lock);
	if (shared != kv->source) renew_map(kv, shared);
	const struct fts_router_map *map = kv->map == NULL ? NULL : fts_router_map_hold(kv->map);
	pthread_mutex_unlock(&kv->lock);
	ftsi_map_release(shared);
	return map;
}

/* ---- Records ---- */

static struct ftsi_record record_of(const struct fts_router_record *record)
{
	return (struct ftsi_record){.db = record->db,
				    .key = record->key,
				    .value = record->value,
				    .version = {record->version_time, record->version_node},
				    .tombstone = record->tombstone,
				    .write_id = record->write_id};
}

static struct fts_router_record router_record_of(const struct ftsi_record *record)
{
	return (struct fts_router_record){.db = record->db,
					  .key = record->key,
					  .value = record->value,
					  .version_time = record->version.time,
					  .version_node = record->version.node,
					  .tombstone = record->tombstone};
}

static uint64_t checksum(const struct fts_router_record *record)
{
	struct ftsi_record own = record_of(record);
	return ftsi_record_checksum(&own);
}

static uint64_t now(void *ctx)
{
	return fts_owner_now(((struct ftsi_kv *)ctx)->owner);
}

static uint64_t next_time(void *ctx)
{
	return fts_owner_next_time(((struct ftsi_kv *)ctx)->owner);
}

static enum fts_status observe(void *ctx, uint64_t time)
{
	struct ftsi_kv *kv = ctx;
	int64_t ahead_ms, wall_ms = fts_owner_wall_ms(kv->owner, &ahead_ms);
	return fts_hlc_observe(fts_storage_clock(kv->storage), time, wall_ms, CLOCK_AHEAD_MAX_MS);
}

static int64_t others_clock_ms(void *ctx)
{
	struct ftsi_kv *kv = ctx;
	struct fts_replica *replica = atomic_load(&kv->log.replica);
	return replica == NULL ? INT64_MIN : fts_replica_others_clock_ms(replica);
}

/* Alone it has nobody to ask, and cut off it would wait in vain. */
static bool knows_time(void *ctx)
{
	struct ftsi_kv *kv = ctx;
	const struct ftsi_map_shared *shared = ftsi_map_take(kv->maps);
	bool alone = shared->map.node_count < 2;
	ftsi_map_release(shared);
	return alone || others_clock_ms(kv) != INT64_MIN ||
	       fts_clock_monotonic_ns() >= fts_clock_deadline_ns(kv->opened_ns, CLOCKS_WAIT_MS);
}

static int64_t clock_ahead_ms(void *ctx)
{
	int64_t ahead_ms;
	(void)fts_owner_wall_ms(((struct ftsi_kv *)ctx)->owner, &ahead_ms);
	return ahead_ms;
}

/* One record on its way to the disk. */
struct pending {
	struct fts_storage_put put; /* first */
	struct ftsi_record record;
	bool existed;
	uint64_t newer;
	fts_router_taken_fn done;
	void *done_ctx;
};

static void put_done(struct fts_storage_put *put)
{
	struct pending *pending = (struct pending *)put;
	const struct fts_router_taken taken = {.status = put->hint_dropped ? FTS_RESOURCE_EXHAUSTED : put->status,
					       .existed = pending->existed,
					       .newer_time = pending->newer,
					       .detail = put->hint_dropped ? "this node keeps no more writes for others"
									   : NULL,
					       .unsure = fts_storage_may_have_stored(put->status)};
	pending->done(pending->done_ctx, &taken);
	free(pending);
}

static struct pending *make_pending(const struct fts_router_record *record, fts_router_taken_fn done, void *done_ctx)
{
	struct pending *pending = calloc(1, sizeof *pending);
	if (pending == NULL) return NULL;
	pending->record = record_of(record);
	pending->put = (struct fts_storage_put){.records = &pending->record,
						.count = 1,
						.existed = &pending->existed,
						.newer = &pending->newer,
						.done = put_done};
	pending->done = done;
	pending->done_ctx = done_ctx;
	return pending;
}

static void refuse(struct pending *pending, enum fts_status status, const char *detail, fts_router_taken_fn done,
		   void *done_ctx)
{
	const struct fts_router_taken taken = {.status = status, .detail = detail};
	free(pending);
	done(done_ctx, &taken);
}

static void put(void *ctx, const struct fts_router_record *record, const struct fts_router_stamp *stamp,
		fts_router_taken_fn done, void *done_ctx)
{
	struct ftsi_kv *kv = ctx;
	struct fts_error error = {.detail = "no memory"};
	struct pending *pending = make_pending(record, done, done_ctx);
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	if (pending != NULL) {
		pending->put.background = stamp->background;
		status = fts_owner_put(kv->owner, &(struct fts_owner_stamp){stamp->epoch, stamp->as_of}, &pending->put,
				       &error);
	}
	if (status != FTS_OK) refuse(pending, status, error.detail, done, done_ctx);
}

static void keep_hint(void *ctx, uint64_t node_id, const struct fts_router_record *record, fts_router_taken_fn done,
		      void *done_ctx)
{
	struct ftsi_kv *kv = ctx;
	struct pending *pending = make_pending(record, done, done_ctx);
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	if (pending != NULL) {
		pending->put.hint_owner = node_id;
		status = fts_storage_put(kv->storage, &pending->put);
	}
	if (status != FTS_OK) refuse(pending, status, NULL, done, done_ctx);
}

static void give(enum fts_status status, struct fts_storage_found *found, fts_router_read_fn read, void *read_ctx)
{
	struct fts_router_read result = {.status = status};
	if (status == FTS_OK) result.record = router_record_of(&found->record);
	read(read_ctx, &result);
	if (status == FTS_OK) fts_storage_release(found);
}

static void read_own(void *ctx, uint64_t epoch, uint32_t db, struct fts_bytes key, fts_router_read_fn read,
		     void *read_ctx)
{
	struct ftsi_kv *kv = ctx;
	struct fts_storage_found found = {0};
	give(fts_owner_read(kv->owner, epoch, db, key, &found), &found, read, read_ctx);
}

static bool recall(void *ctx, uint64_t write_id, struct fts_router_recalled *out_recalled)
{
	struct ftsi_kv *kv = ctx;
	struct ftsi_taken_write write;
	if (!ftsi_taken_find(fts_storage_taken(kv->storage), write_id, &write)) return false;
	*out_recalled = (struct fts_router_recalled){write.version.time, write.version.node, write.existed};
	return true;
}

static void read_hint(void *ctx, const uint64_t *node_ids, size_t count, uint32_t db, struct fts_bytes key,
		      fts_router_read_fn read, void *read_ctx)
{
	struct ftsi_kv *kv = ctx;
	struct fts_storage_found found = {0};
	give(fts_hints_read(kv->storage, node_ids, count, db, key, &found), &found, read, read_ctx);
}

/* ---- For the keeper ---- */

static uint64_t hint_count(void *ctx)
{
	return fts_hints_count(((struct ftsi_kv *)ctx)->storage);
}

struct visit {
	fts_router_hint_fn visit;
	void *ctx;
};

static bool visit_hint(void *ctx, const struct fts_hint *hint, struct fts_bytes stored_key)
{
	const struct visit *visit = ctx;
	struct fts_router_record record = router_record_of(&hint->record);
	(void)stored_key;
	return visit->visit(visit->ctx, hint->owner, hint->kept_ms, &record);
}

static void visit_hints(void *ctx, uint64_t node_id, fts_router_hint_fn visit, void *visit_ctx)
{
	struct ftsi_kv *kv = ctx;
	struct visit both = {visit, visit_ctx};
	if (fts_hints_visit(kv->storage, node_id, (struct fts_bytes){0}, visit_hint, &both) != FTS_OK)
		FTS_LOG_WARN("kv.hints_unreadable", "count=%llu", (unsigned long long)fts_hints_count(kv->storage));
}

/* One that could not be removed is delivered again. */
static void remove_hint(void *ctx, uint64_t node_id, const struct fts_router_record *record, bool given_up)
{
	struct ftsi_kv *kv = ctx;
	const struct ftsi_version version = {record->version_time, record->version_node};
	if (given_up)
		(void)!fts_hints_drop(kv->storage, node_id, record->db, record->key, version);
	else
		(void)!fts_hints_remove(kv->storage, node_id, record->db, record->key, version);
}

static bool wants_repair(void *ctx, uint32_t partition)
{
	return fts_hints_wants_repair(((struct ftsi_kv *)ctx)->storage, partition, true);
}

static bool is_tree_trusted(void *ctx, uint32_t partition)
{
	uint64_t root, records;
	return ftsi_tree_read(fts_storage_tree(((struct ftsi_kv *)ctx)->storage), partition, &root, NULL, &records);
}

static void rebuild_tree(void *ctx, uint32_t partition)
{
	if (fts_storage_rebuild_tree(((struct ftsi_kv *)ctx)->storage, partition) != FTS_OK)
		FTS_LOG_WARN("kv.tree_unreadable", "partition=%u", partition);
}

/* A node that has just started may know an old map: until the replica has caught up nothing is dropped. */
static bool drop_partition(void *ctx, uint32_t partition)
{
	struct ftsi_kv *kv = ctx;
	struct fts_replica *replica = atomic_load(&kv->log.replica);
	struct fts_replica_status status = {0};
	if (replica == NULL) return false;
	fts_replica_status(replica, &status);
	if (!status.ready || status.syncing || status.node_id == 0) return false;
	return fts_owner_drop(kv->owner, status.node_id, partition) == FTS_OK;
}

static bool has_lost(void *ctx, uint32_t partition)
{
	return fts_storage_has_lost(((struct ftsi_kv *)ctx)->storage, partition);
}

static void regain(void *ctx, uint32_t partition)
{
	if (fts_storage_regain(((struct ftsi_kv *)ctx)->storage, partition) != FTS_OK)
		FTS_LOG_WARN("kv.regain_failed", "partition=%u", partition);
}

static bool is_loss_accepted(void *ctx, uint32_t partition)
{
	return fts_owner_is_loss_accepted(((struct ftsi_kv *)ctx)->owner, partition);
}

static void note_stuck(void *ctx, uint32_t count)
{
	fts_owner_note_stuck(((struct ftsi_kv *)ctx)->owner, count);
}

static void suggest_moved(void *ctx, uint32_t partition, uint64_t from_node, uint64_t to_node, uint64_t since)
{
	struct ftsi_kv *kv = ctx;
	struct fts_replica *replica = atomic_load(&kv->log.replica);
	Fts__Kv__V1__MovedRequest request = FTS__KV__V1__MOVED_REQUEST__INIT;
	request.partition = partition;
	request.from_node = from_node;
	request.to_node = to_node;
	request.since = since;
	if (replica != NULL) fts_replica_suggest(replica, fts_kv_placement_moved_method, &request.base);
}

static int64_t wall_ms(void *ctx)
{
	(void)ctx;
	return fts_clock_wall_ms();
}

/* ---- Life ---- */

/* The log is made after DIR/kv: once it is there, a DIR/kv that is blank is not the first one. */
static bool was_here(const char *data)
{
	char path[4096];
	int length = snprintf(path, sizeof path, "%s/log", data);
	return length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0;
}

/* Opened, with the map that was known before this start: it is served by at once, and owners refuse it if there is a
 * newer one. */
static enum fts_status open_storage(struct ftsi_kv *kv, const struct ftsi_kv_options *options,
				    struct fts_error *out_error)
{
	const struct fts_storage_options storage = {.data = options->data,
						    .was_here = was_here(options->data),
						    .on_fatal = options->on_fatal,
						    .ctx = options->ctx};
	enum fts_status status = fts_storage_open(&storage, &kv->storage, out_error);
	if (status != FTS_OK) return status;
	status = ftsi_map_cache_recall(kv->maps, kv->storage);
	if (status != FTS_OK && status != FTS_NOT_FOUND)
		return fts_error_set(out_error, status, "%s/kv: the map in it can't be read", options->data);
	return FTS_OK;
}

/* Is there a partition that nobody else owns, or may there be one? */
static bool may_be_alone(struct ftsi_kv *kv)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(kv->maps);
	bool alone = shared->map.epoch == 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT && !alone; p++) {
		uint32_t count = 0;
		for (uint32_t i = 0; i < shared->map.placement.replicas; i++)
			count += shared->map.placement.owners[p][i] != 0 ? 1 : 0;
		alone = count < 2;
	}
	ftsi_map_release(shared);
	return alone;
}

/* One whose engine met damage would meet it again: it begins anew, and the others give it what it had. One that is
 * alone goes on with what it has. */
static enum fts_status open_sound(struct ftsi_kv *kv, const struct ftsi_kv_options *options,
				  struct fts_error *out_error)
{
	enum fts_status status = open_storage(kv, options, out_error);
	if (status != FTS_OK || !fts_storage_is_damaged(options->data) || may_be_alone(kv)) return status;
	fts_storage_close(kv->storage);
	kv->storage = NULL;
	status = fts_storage_set_aside(options->data, out_error);
	return status == FTS_OK ? open_storage(kv, options, out_error) : status;
}

static enum fts_status open_parts(struct ftsi_kv *kv, const struct ftsi_kv_options *options,
				  struct fts_error *out_error)
{
	const struct fts_router_options router = {.owner = &kv->door,
						  .tls = options->tls,
						  .endpoint = kv->endpoint,
						  .token_source = options->token_source,
						  .token_ctx = options->token_ctx};
	kv->maps = ftsi_map_cache_create();
	if (kv->maps == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the map");
	ftsi_kv_log_init(&kv->log, kv->maps);
	enum fts_status status = open_sound(kv, options, out_error);
	if (status != FTS_OK) return status;
	if (options->hint_bytes_max != 0) fts_hints_limit(kv->storage, options->hint_bytes_max);
	kv->owner = fts_owner_create(&(struct fts_owner_options){.storage = kv->storage,
								 .maps = kv->maps,
								 .tombstone_age_ms = kv->door.tombstone_age_ms,
								 .clock_ahead_max_ms = CLOCK_AHEAD_MAX_MS,
								 .others_clock_ms = others_clock_ms,
								 .ctx = kv});
	if (kv->owner == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the owner");
	return fts_router_create(&router, &kv->router, out_error);
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

enum fts_status ftsi_kv_open(const struct ftsi_kv_options *options, struct ftsi_kv **out_kv,
			     struct fts_error *out_error)
{
	struct ftsi_kv *kv = calloc(1, sizeof *kv);
	if (kv == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the key-value store");
	kv->opened_ns = fts_clock_monotonic_ns();
	pthread_mutex_init(&kv->lock, NULL);
	(void)snprintf(kv->endpoint, sizeof kv->endpoint, "%s", options->endpoint);
	kv->door =
	    (struct fts_router_owner){.ctx = kv,
				      .partition = ftsi_record_partition,
				      .checksum = checksum,
				      .map = newest_map,
				      .next_time = next_time,
				      .now = now,
				      .observe = observe,
				      .knows_time = knows_time,
				      .clock_ahead_ms = clock_ahead_ms,
				      .put = put,
				      .read = read_own,
				      .recall = recall,
				      .keep_hint = keep_hint,
				      .read_hint = read_hint,
				      .hint_count = hint_count,
				      .visit_hints = visit_hints,
				      .remove_hint = remove_hint,
				      .wants_repair = wants_repair,
				      .is_tree_trusted = is_tree_trusted,
				      .rebuild_tree = rebuild_tree,
				      .drop_partition = drop_partition,
				      .has_lost = has_lost,
				      .regain = regain,
				      .is_loss_accepted = is_loss_accepted,
				      .note_stuck = note_stuck,
				      .suggest_moved = suggest_moved,
				      .wall_ms = wall_ms,
				      .tombstone_age_ms = or_default(options->tombstone_age_ms, TOMBSTONE_AGE_MS),
				      .hint_age_ms = or_default(options->hint_age_ms, HINT_AGE_MS),
				      .sweep_ms = or_default(options->sweep_ms, SWEEP_MS)};
	enum fts_status status = open_parts(kv, options, out_error);
	if (status == FTS_OK)
		*out_kv = kv;
	else
		ftsi_kv_close(kv);
	return status;
}

const struct fts_machine *const *ftsi_kv_machines(const struct ftsi_kv *kv, size_t *out_count)
{
	*out_count = FTSI_KV_MACHINE_COUNT;
	return kv->log.machine_list;
}

/* What the state says, should DIR/kv have been lost: the newer of both is taken. */
static void load_map(struct ftsi_kv *kv, struct fts_replica *replica)
{
	struct fts_txn *view = NULL;
	if (fts_replica_view(replica, &view) == FTS_OK) (void)!ftsi_map_cache_load(kv->maps, view);
	fts_txn_abort(view);
}

void ftsi_kv_attach(struct ftsi_kv *kv, struct fts_replica *replica)
{
	load_map(kv, replica);
	atomic_store(&kv->log.replica, replica);
}

uint64_t ftsi_kv_hint_count(struct ftsi_kv *kv)
{
	return fts_hints_count(kv->storage);
}

bool ftsi_kv_has_map(struct ftsi_kv *kv)
{
	const struct fts_router_map *map = newest_map(kv);
	fts_router_map_release(map);
	return map != NULL;
}

uint32_t ftsi_kv_needs(struct ftsi_kv *kv, uint64_t node_id, const uint64_t *staying, size_t staying_count)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(kv->maps);
	uint32_t needs = ftsi_map_needs(&shared->map, node_id, staying, staying_count);
	ftsi_map_release(shared);
	return needs;
}

enum fts_status ftsi_kv_serve(struct ftsi_kv *kv, struct fts_server *server, struct fts_error *out_error)
{
	enum fts_status status = fts_owner_serve(kv->owner, server, out_error);
	return status == FTS_OK ? fts_router_serve(kv->router, server, out_error) : status;
}

enum fts_status ftsi_kv_start(struct ftsi_kv *kv, struct fts_error *out_error)
{
	return fts_router_start(kv->router, out_error);
}

void ftsi_kv_stop(struct ftsi_kv *kv)
{
	if (kv == NULL) return;
	fts_router_stop(kv->router);
	atomic_store(&kv->log.replica, NULL);
}

void ftsi_kv_close(struct ftsi_kv *kv)
{
	if (kv == NULL) return;
	fts_storage_close(kv->storage);
	fts_router_destroy(kv->router);
	fts_owner_destroy(kv->owner);
	fts_router_map_release(kv->map);
	if (kv->source != NULL) ftsi_map_release(kv->source);
	ftsi_map_cache_destroy(kv->maps);
	pthread_mutex_destroy(&kv->lock);
	free(kv);
}
