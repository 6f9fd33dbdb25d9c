/* Why this file exists: one write and one read through the coordinator, with owners that fail as they are told: silent,
 * slow, by another map, with damaged, old or newer records. Each is a real server of Storage with one record; what the
 * coordinator's own node keeps is hints. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "router/coordinate.h"
#include "router/recall.h"
#include "tests/harness/clock.h"

enum { OWNERS = 3, WAIT_MS = 30000, CALL_MS = 20000, HELD_MAX = 64, SELF_ID = 9 };

#define ONE FTS__KV__V1__CONSISTENCY__ONE
#define QUORUM FTS__KV__V1__CONSISTENCY__QUORUM
#define ALL FTS__KV__V1__CONSISTENCY__ALL
#define ANY FTS__KV__V1__CONSISTENCY__ANY

/* FULL: it takes nothing, and gives what it has. */
enum mood { GOOD, SILENT, DAMAGED, OLD_MAP, FULL };

struct world;

struct fake {
	struct world *world;
	struct fts_server *server;
	char address[64];
	pthread_mutex_t lock;
	enum mood mood; /* guarded by lock, as all below */
	uint64_t version_time, version_node, write_id;
	bool tombstone;
	char value[16];
	uint32_t put_count, read_count, refused_count;
	struct fts_call *held[HELD_MAX];
	size_t held_count;
};

struct world {
	struct fake fakes[OWNERS];
	struct ftsi_coordinator coordinator;
	struct fts_router_owner door;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const struct fts_router_map *map; /* guarded by lock, as all below */
	uint64_t clock, hinted[HELD_MAX];
	size_t hint_count, hint_room;
	bool hints_deletion;
};

/* ---- Owners ---- */

static uint64_t sum_of(const struct fts_router_record *record)
{
	return record->version_time * 31 + record->version_node * 7 + record->value.size_bytes;
}

static Fts__Kv__V1__MapResponse *make_message(const struct world *world, uint64_t epoch)
{
	Fts__Kv__V1__MapResponse map = FTS__KV__V1__MAP_RESPONSE__INIT;
	Fts__Kv__V1__MapNode nodes[OWNERS], *list[OWNERS];
	uint8_t owners[FTS_ROUTER_PARTITION_COUNT * OWNERS], packed[16384];
	uint64_t changed[FTS_ROUTER_PARTITION_COUNT];
	static char names[OWNERS][4] = {"n1", "n2", "n3"};
	for (size_t i = 0; i < OWNERS; i++) {
		fts__kv__v1__map_node__init(&nodes[i]);
		nodes[i].node_id = i + 1;
		nodes[i].name = names[i];
		nodes[i].address = (char *)(uintptr_t)world->fakes[i].address;
		list[i] = &nodes[i];
	}
	for (size_t i = 0; i < sizeof owners; i++)
		owners[i] = (uint8_t)(i % OWNERS);
	for (size_t i = 0; i < FTS_ROUTER_PARTITION_COUNT; i++)
		changed[i] = epoch;
	map.epoch = epoch;
	map.replicas = OWNERS;
	map.nodes = list;
	map.n_nodes = OWNERS;
	map.owners = (ProtobufCBinaryData){sizeof owners, owners};
	map.changed = changed;
	map.n_changed = FTS_ROUTER_PARTITION_COUNT;
	size_t size = fts__kv__v1__map_response__pack(&map, packed);
	return fts__kv__v1__map_response__unpack(NULL, size, packed);
}

/* True: the call is held, or was refused by the new map's epoch. Called with the lock held. */
static bool hold(struct fake *fake, struct fts_call *call)
{
	if (fake->mood != SILENT) return false;
	assert_true(fake->held_count < HELD_MAX);
	fake->held[fake->held_count++] = call;
	return true;
}

static void put(struct fts_call *call, const Fts__Kv__V1__PutRequest *request, void *ctx)
{
	struct fake *fake = ctx;
	Fts__Kv__V1__PutResponse response = FTS__KV__V1__PUT_RESPONSE__INIT;
	protobuf_c_boolean existed[16] = {0};
	uint64_t newer[16] = {0};
	pthread_mutex_lock(&fake->lock);
	bool held = hold(fake, call), refuses = fake->mood == OLD_MAP && request->epoch < 2;
	bool full = fake->mood == FULL;
	fake->put_count++;
	fake->refused_count += refuses ? 1 : 0;
	for (size_t i = 0; i < request->n_records && !held && !refuses && !full; i++) {
		const Fts__Kv__V1__Record *record = request->records[i];
		existed[i] = fake->version_time != 0;
		if (record->version_time < fake->version_time) newer[i] = fake->version_time;
		if (record->version_time <= fake->version_time) continue;
		fake->version_time = record->version_time;
		fake->version_node = record->version_node;
		fake->write_id = record->write_id;
		fake->tombstone = record->tombstone;
		(void)snprintf(fake->value, sizeof fake->value, "%.*s", (int)record->value.len,
			       record->value.len == 0 ? "" : (const char *)record->value.data);
		if (fake->mood == DAMAGED) fake->mood = GOOD;
	}
	pthread_mutex_unlock(&fake->lock);
	if (held) return;
	if (full) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "full");
		return;
	}
	if (refuses) response.map = make_message(fake->world, 2);
	response.existed = existed;
	response.newer = newer;
	response.n_existed = response.n_newer = refuses ? 0 : request->n_records;
	fts_kv_storage_put_reply(call, &response);
	if (refuses) fts__kv__v1__map_response__free_unpacked(response.map, NULL);
}

static void read_keys(struct fts_call *call, const Fts__Kv__V1__ReadRequest *request, void *ctx)
{
	struct fake *fake = ctx;
	Fts__Kv__V1__ReadResponse response = FTS__KV__V1__READ_RESPONSE__INIT;
	Fts__Kv__V1__Record record = FTS__KV__V1__RECORD__INIT, *list[] = {&record};
	uint32_t damaged = 0;
	char value[16];
	assert_int_equal(request->n_keys, 1);
	pthread_mutex_lock(&fake->lock);
	bool held = hold(fake, call), refuses = fake->mood == OLD_MAP && request->epoch < 2;
	fake->read_count++;
	fake->refused_count += refuses ? 1 : 0;
	memcpy(value, fake->value, sizeof value);
	record.version_time = fake->version_time;
	record.version_node = fake->version_node;
	record.tombstone = fake->tombstone;
	response.n_damaged = fake->mood == DAMAGED ? 1 : 0;
	pthread_mutex_unlock(&fake->lock);
	if (held) return;
	record.value = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
	record.checksum = sum_of(&(struct fts_router_record){.value = {(uint8_t *)value, strlen(value)},
							     .version_time = record.version_time,
							     .version_node = record.version_node});
	response.records = list;
	response.damaged = &damaged;
	response.n_records = refuses ? 0 : 1;
	if (refuses) response.map = make_message(fake->world, 2);
	fts_kv_storage_read_reply(call, &response);
	if (refuses) fts__kv__v1__map_response__free_unpacked(response.map, NULL);
}

static void recall(struct fts_call *call, const Fts__Kv__V1__RecallRequest *request, void *ctx)
{
	struct fake *fake = ctx;
	Fts__Kv__V1__RecallResponse response = FTS__KV__V1__RECALL_RESPONSE__INIT;
	pthread_mutex_lock(&fake->lock);
	bool held = hold(fake, call);
	if (fake->write_id == request->write_id) {
		response.version_time = fake->version_time;
		response.version_node = fake->version_node;
	}
	pthread_mutex_unlock(&fake->lock);
	if (!held) fts_kv_storage_recall_reply(call, &response);
}

static void start_fake(struct world *world, struct fake *fake)
{
	static const struct fts_kv_storage_handlers handlers = {.put = put, .read = read_keys, .recall = recall};
	const struct fts_server_options options = {.listen = "127.0.0.1:0", .node = "fake"};
	struct fts_error error;
	fake->world = world;
	pthread_mutex_init(&fake->lock, NULL);
	assert_int_equal(fts_server_create(&options, &fake->server, &error), FTS_OK);
	assert_int_equal(fts_kv_storage_register(fake->server, &handlers, fake, &error), FTS_OK);
	assert_int_equal(fts_server_start(fake->server, &error), FTS_OK);
	(void)snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", fts_server_port(fake->server));
}

static void answer_held(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	size_t count = fake->held_count;
	fake->held_count = 0;
	pthread_mutex_unlock(&fake->lock);
	for (size_t i = 0; i < count; i++)
		fts_call_fail(fake->held[i], FTS_UNAVAILABLE, "let go");
}

/* The puts it holds: taken after all. One record each. False: it holds none. */
static bool take_held(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	size_t count = fake->held_count;
	fake->held_count = 0;
	pthread_mutex_unlock(&fake->lock);
	for (size_t i = 0; i < count; i++) {
		Fts__Kv__V1__PutResponse response = FTS__KV__V1__PUT_RESPONSE__INIT;
		protobuf_c_boolean existed = false;
		uint64_t newer = 0;
		response.existed = &existed;
		response.newer = &newer;
		response.n_existed = response.n_newer = 1;
		fts_kv_storage_put_reply(fake->held[i], &response);
	}
	return count > 0;
}

static void kill_fake(struct fake *fake)
{
	answer_held(fake);
	fts_server_destroy(fake->server);
	fake->server = NULL;
}

static void be(struct world *world, size_t at, enum mood mood)
{
	pthread_mutex_lock(&world->fakes[at].lock);
	world->fakes[at].mood = mood;
	pthread_mutex_unlock(&world->fakes[at].lock);
}

static void has(struct world *world, size_t at, uint64_t version_time, const char *value)
{
	struct fake *fake = &world->fakes[at];
	pthread_mutex_lock(&fake->lock);
	fake->version_time = version_time;
	fake->version_node = 1;
	(void)snprintf(fake->value, sizeof fake->value, "%s", value);
	pthread_mutex_unlock(&fake->lock);
}

static void wait_has(struct world *world, size_t at, const char *value)
{
	struct fake *fake = &world->fakes[at];
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);;) {
		pthread_mutex_lock(&fake->lock);
		bool same = strcmp(fake->value, value) == 0 && fake->mood == GOOD;
		pthread_mutex_unlock(&fake->lock);
		if (same) return;
		if (!harness_wait_more(&wait)) fail_msg("n%zu has %s, not %s", at + 1, fake->value, value);
	}
}

/* ---- The coordinator's own node: no owner of anything ---- */

static uint32_t partition(uint32_t db, struct fts_bytes key)
{
	(void)db;
	(void)key;
	return 0;
}

static const struct fts_router_map *map_of(void *ctx)
{
	struct world *world = ctx;
	pthread_mutex_lock(&world->lock);
	const struct fts_router_map *map = fts_router_map_hold(world->map);
	pthread_mutex_unlock(&world->lock);
	return map;
}

static void set_map(struct world *world, uint64_t epoch)
{
	const struct fts_router_map *map = fts_router_map_create(make_message(world, epoch), SELF_ID);
	assert_non_null(map);
	pthread_mutex_lock(&world->lock);
	if (world->map != NULL) fts_router_map_release(world->map);
	world->map = map;
	pthread_mutex_unlock(&world->lock);
}

static uint64_t now(void *ctx)
{
	struct world *world = ctx;
	pthread_mutex_lock(&world->lock);
	uint64_t time = ++world->clock;
	pthread_mutex_unlock(&world->lock);
	return time;
}

static enum fts_status observe(void *ctx, uint64_t time)
{
	struct world *world = ctx;
	pthread_mutex_lock(&world->lock);
	if (time > world->clock) world->clock = time;
	pthread_mutex_unlock(&world->lock);
	return FTS_OK;
}

static int64_t clock_ahead_ms(void *ctx)
{
	(void)ctx;
	return 0;
}

static void observe_remote(void *ctx, uint64_t time)
{
	(void)!observe(ctx, time);
}

static void keep_hint(void *ctx, uint64_t node_id, const struct fts_router_record *record, fts_router_taken_fn done,
		      void *done_ctx)
{
	struct world *world = ctx;
	pthread_mutex_lock(&world->lock);
	bool room = world->hint_count < world->hint_room;
	if (room) {
		world->hints_deletion = record->tombstone;
		world->hinted[world->hint_count++] = node_id;
		pthread_cond_broadcast(&world->changed);
	}
	pthread_mutex_unlock(&world->lock);
	done(done_ctx, &(struct fts_router_taken){.status = room ? FTS_OK : FTS_RESOURCE_EXHAUSTED,
						  .detail = room ? NULL : "no room"});
}

static void read_hint(void *ctx, const uint64_t *node_ids, size_t count, uint32_t db, struct fts_bytes key,
		      fts_router_read_fn read, void *read_ctx)
{
	struct world *world = ctx;
	(void)node_ids;
	(void)count;
	(void)db;
	pthread_mutex_lock(&world->lock);
	bool any = world->hint_count > 0, deletion = world->hints_deletion;
	pthread_mutex_unlock(&world->lock);
	struct fts_router_read found = {.status = any ? FTS_OK : FTS_NOT_FOUND,
					.record = {.key = key,
						   .value = {(const uint8_t *)"hint", deletion ? 0 : 4},
						   .tombstone = deletion,
						   .version_time = 1,
						   .version_node = SELF_ID}};
	read(read_ctx, &found);
}

static void start(struct world *world)
{
	memset(world, 0, sizeof *world);
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	world->clock = 1000;
	world->hint_room = HELD_MAX;
	for (size_t i = 0; i < OWNERS; i++)
		start_fake(world, &world->fakes[i]);
	set_map(world, 1);
	world->door = (struct fts_router_owner){.ctx = world,
						.partition = partition,
						.checksum = sum_of,
						.map = map_of,
						.next_time = now,
						.now = now,
						.observe = observe,
						.clock_ahead_ms = clock_ahead_ms,
						.keep_hint = keep_hint,
						.read_hint = read_hint};
	world->coordinator.owner = &world->door;
	world->coordinator.hurries = ftsi_hurries_create();
	world->coordinator.remotes = ftsi_remotes_create(
	    &(struct ftsi_remotes_options){.checksum = sum_of, .observe = observe_remote, .ctx = world});
	assert_non_null(world->coordinator.hurries);
	assert_non_null(world->coordinator.remotes);
}

static void stop(struct world *world)
{
	for (size_t i = 0; i < OWNERS; i++)
		be(world, i, GOOD);
	for (size_t i = 0; i < OWNERS; i++)
		if (world->fakes[i].server != NULL) answer_held(&world->fakes[i]);
	ftsi_remotes_stop(world->coordinator.remotes);
	ftsi_hurries_destroy(world->coordinator.hurries);
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); atomic_load(&world->coordinator.open_count) > 0;)
		if (!harness_wait_more(&wait)) fail_msg("an operation is still open");
	ftsi_remotes_destroy(world->coordinator.remotes);
	for (size_t i = 0; i < OWNERS; i++) {
		if (world->fakes[i].server != NULL) fts_server_destroy(world->fakes[i].server);
		pthread_mutex_destroy(&world->fakes[i].lock);
	}
	fts_router_map_release(world->map);
	pthread_cond_destroy(&world->changed);
	pthread_mutex_destroy(&world->lock);
}

static void wait_hints(struct world *world, size_t count)
{
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);;) {
		pthread_mutex_lock(&world->lock);
		size_t have = world->hint_count;
		pthread_mutex_unlock(&world->lock);
		if (have == count) return;
		if (!harness_wait_more(&wait)) fail_msg("%zu hints, not %zu", have, count);
	}
}

/* ---- Operations ---- */

struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	uint32_t count; /* of ends: 1 in the end */
	struct ftsi_write_result write;
	struct ftsi_read_result read;
	struct ftsi_recalled recalled;
	char value[16];
};

static void end(struct outcome *outcome)
{
	outcome->count++;
	pthread_cond_broadcast(&outcome->ended);
	pthread_mutex_unlock(&outcome->lock);
}

static void written(void *ctx, const struct ftsi_write_result *result)
{
	struct outcome *outcome = ctx;
	pthread_mutex_lock(&outcome->lock);
	outcome->write = *result;
	end(outcome);
}

static void was_read(void *ctx, const struct ftsi_read_result *result)
{
	struct outcome *outcome = ctx;
	pthread_mutex_lock(&outcome->lock);
	outcome->read = *result;
	(void)snprintf(outcome->value, sizeof outcome->value, "%.*s", (int)result->record.value.size_bytes,
		       result->record.value.size_bytes == 0 ? "" : (const char *)result->record.value.data);
	end(outcome);
}

static void was_recalled(void *ctx, const struct ftsi_recalled *recalled)
{
	struct outcome *outcome = ctx;
	pthread_mutex_lock(&outcome->lock);
	outcome->recalled = *recalled;
	end(outcome);
}

static void begin(struct outcome *outcome)
{
	memset(outcome, 0, sizeof *outcome);
	pthread_mutex_init(&outcome->lock, NULL);
	pthread_cond_init(&outcome->ended, NULL);
}

static void wait_end(struct outcome *outcome)
{
	pthread_mutex_lock(&outcome->lock);
	while (outcome->count == 0) /* ctest's time limit is the deadline */
		pthread_cond_wait(&outcome->ended, &outcome->lock);
	assert_int_equal(outcome->count, 1);
	pthread_mutex_unlock(&outcome->lock);
	pthread_cond_destroy(&outcome->ended);
	pthread_mutex_destroy(&outcome->lock);
}

static bool has_ended(struct outcome *outcome)
{
	pthread_mutex_lock(&outcome->lock);
	bool ended = outcome->count > 0;
	pthread_mutex_unlock(&outcome->lock);
	return ended;
}

static const struct fts_bytes key = {(const uint8_t *)"k", 1};

static struct ftsi_write_result write_as(struct world *world, const struct ftsi_write *how, const char *value)
{
	struct outcome outcome;
	struct ftsi_write write = *how;
	begin(&outcome);
	write.record.key = key;
	write.record.value = (struct fts_bytes){(const uint8_t *)value, strlen(value)};
	if (write.deadline_ns == 0) write.deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), CALL_MS);
	write.done = written;
	write.ctx = &outcome;
	ftsi_write_start(&world->coordinator, &write);
	wait_end(&outcome);
	return outcome.write;
}

static struct ftsi_write_result set(struct world *world, Fts__Kv__V1__Consistency level, const char *value)
{
	return write_as(world, &(struct ftsi_write){.level = level}, value);
}

static struct ftsi_read_result get(struct world *world, Fts__Kv__V1__Consistency level, uint32_t timeout_ms,
				   char *out_value)
{
	struct outcome outcome;
	begin(&outcome);
	ftsi_read_start(&world->coordinator,
			&(struct ftsi_read){.key = key,
					    .level = level,
					    .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms),
					    .done = was_read,
					    .ctx = &outcome});
	wait_end(&outcome);
	memcpy(out_value, outcome.value, sizeof outcome.value);
	return outcome.read;
}

/* ---- Writes ---- */

static void each_level_waits_for_its_owners(void **state)
{
	const Fts__Kv__V1__Consistency levels[] = {ONE, QUORUM, ALL, ANY, 0};
	const uint32_t least[] = {1, 2, 3, 1, 2};
	struct world world;
	(void)state;
	start(&world);
	for (size_t i = 0; i < 5; i++) {
		struct ftsi_write_result result = set(&world, levels[i], "v");
		assert_int_equal(result.status, FTS_OK);
		assert_int_equal(result.executed, FTS_EXECUTED_YES);
		assert_true(result.acks >= least[i] && result.acks <= OWNERS);
		assert_int_equal(result.replicas, OWNERS);
		assert_false(result.kept_by_router);
	}
	for (size_t i = 0; i < OWNERS; i++)
		wait_has(&world, i, "v");
	assert_int_equal(world.hint_count, 0);
	stop(&world);
}

static void an_owner_that_is_away_gets_a_hint(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	kill_fake(&world.fakes[1]);
	struct ftsi_write_result result = set(&world, QUORUM, "v");
	assert_int_equal(result.status, FTS_OK);
	assert_int_equal(result.acks, 2);
	wait_hints(&world, 1);
	assert_int_equal(world.hinted[0], 2);
	result = set(&world, ALL, "w");
	assert_int_equal(result.status, FTS_UNAVAILABLE);
	assert_int_equal(result.executed, FTS_EXECUTED_UNKNOWN); /* two have it */
	assert_non_null(strstr(result.detail, "n2"));
	assert_null(strstr(result.detail, "n1,"));
	stop(&world);
}

static void a_silent_owner_holds_nobody_up(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	be(&world, 0, SILENT);
	assert_int_equal(set(&world, QUORUM, "v").status, FTS_OK);
	wait_hints(&world, 1);
	assert_int_equal(world.hinted[0], 1);
	assert_int_equal(set(&world, ONE, "w").status, FTS_OK);
	stop(&world);
}

static void nobody_is_there(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		kill_fake(&world.fakes[i]);
	struct ftsi_write_result result = set(&world, QUORUM, "v");
	assert_int_equal(result.status, FTS_UNAVAILABLE);
	assert_int_equal(result.executed, FTS_EXECUTED_NO);
	assert_non_null(strstr(result.detail, "n1, n2, n3"));
	assert_int_equal(world.hint_count, 0); /* it failed: nobody is to have it */
	assert_int_equal(get(&world, QUORUM, CALL_MS, value).status, FTS_UNAVAILABLE);
	result = set(&world, ANY, "v");
	assert_int_equal(result.status, FTS_OK);
	assert_true(result.kept_by_router && result.acks == 0 && result.hints == OWNERS);
	struct ftsi_read_result read = get(&world, QUORUM, CALL_MS, value);
	assert_int_equal(read.status, FTS_OK);
	assert_true(read.maybe_stale);
	assert_string_equal(value, "hint");
	stop(&world);
}

/* Their no is the answer: nobody would have it otherwise. */
static void any_is_not_kept_when_an_owner_says_no(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		be(&world, i, FULL);
	struct ftsi_write_result result = set(&world, ANY, "v");
	assert_int_equal(result.status, FTS_RESOURCE_EXHAUSTED);
	assert_false(result.kept_by_router);
	kill_fake(&world.fakes[1]);
	kill_fake(&world.fakes[2]);
	assert_int_equal(set(&world, ANY, "v").status, FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(world.hint_count, 0);
	stop(&world);
}

/* Nobody has it then, or only the hint that was kept. */
static void any_is_not_kept_without_room(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		kill_fake(&world.fakes[i]);
	world.hint_room = 0;
	struct ftsi_write_result result = set(&world, ANY, "v");
	assert_int_equal(result.status, FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(result.executed, FTS_EXECUTED_NO);
	assert_false(result.kept_by_router);
	assert_non_null(strstr(result.detail, "n1, n2, n3 can't be reached, and not kept for them: no room"));
	world.hint_room = 1;
	result = set(&world, ANY, "v");
	assert_int_equal(result.status, FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(result.executed, FTS_EXECUTED_UNKNOWN); /* n1 will get it */
	assert_int_equal(world.hint_count, 1);
	stop(&world);
}

static void who_is_away_gets_a_hint_though_another_says_no(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	kill_fake(&world.fakes[1]);
	be(&world, 2, FULL);
	assert_int_equal(set(&world, ONE, "v").status, FTS_OK);
	wait_hints(&world, 1);
	assert_int_equal(world.hinted[0], 2);
	stop(&world);
}

/* n1 answers, but later than its caller would wait. False: it took longer than a node may. */
static bool answers_late(struct world *world)
{
	struct outcome outcome;
	const uint64_t limit_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), 20);
	be(world, 0, SILENT);
	begin(&outcome);
	const struct ftsi_write write = {.record = {.key = key, .value = key},
					 .level = ALL,
					 .deadline_ns = limit_ns,
					 .done = written,
					 .ctx = &outcome};
	ftsi_write_start(&world->coordinator, &write);
	struct harness_wait wait = harness_wait_ms(WAIT_MS);
	while (fts_clock_monotonic_ns() < limit_ns + 20000000 && harness_wait_more(&wait)) {
	}
	be(world, 0, GOOD);
	/* What came so late that n1 was good again was taken at once; what never left has ended. */
	for (wait = harness_wait_ms(WAIT_MS); !take_held(&world->fakes[0]) && !has_ended(&outcome);)
		if (!harness_wait_more(&wait)) fail_msg("nothing came");
	wait_end(&outcome);
	return outcome.write.status == FTS_OK &&
	       ftsi_remote_is_answering(ftsi_remotes_find(world->coordinator.remotes, &world->map->nodes[0]));
}

/* A machine under load may take half a second for it, but not each time. */
static void a_caller_in_a_hurry_makes_nobody_silent(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	struct harness_wait wait = harness_wait_ms(WAIT_MS);
	while (!answers_late(&world))
		if (!harness_wait_more(&wait)) fail_msg("n1 is taken for silent");
	stop(&world);
}

static void what_stands_there_is_overtaken(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	has(&world, 1, 5000000, "newer"); /* its clock was ahead */
	struct ftsi_write_result result = set(&world, ALL, "v");
	assert_int_equal(result.status, FTS_OK);
	assert_true(result.version_time > 5000000);
	for (size_t i = 0; i < OWNERS; i++)
		wait_has(&world, i, "v");
	stop(&world);
}

static void an_old_map_is_redirected_once(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		be(&world, i, OLD_MAP);
	set_map(&world, 2); /* it comes between the look at the map and the answer: here, before */
	assert_int_equal(set(&world, QUORUM, "v").status, FTS_OK);
	set_map(&world, 1);
	struct outcome outcome;
	begin(&outcome);
	ftsi_read_start(&world.coordinator,
			&(struct ftsi_read){.key = key,
					    .level = QUORUM,
					    .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), CALL_MS),
					    .done = was_read,
					    .ctx = &outcome});
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);;) { /* all have refused it: it waits for the map */
		uint32_t refused = 0;
		for (size_t i = 0; i < OWNERS; i++) {
			pthread_mutex_lock(&world.fakes[i].lock);
			refused += world.fakes[i].refused_count;
			pthread_mutex_unlock(&world.fakes[i].lock);
		}
		if (refused == OWNERS) break;
		if (!harness_wait_more(&wait)) fail_msg("%u owners refused", refused);
	}
	set_map(&world, 2);
	wait_end(&outcome);
	assert_int_equal(outcome.read.status, FTS_OK);
	assert_string_equal(outcome.value, "v");
	for (size_t i = 0; i < OWNERS; i++)
		assert_int_equal(world.fakes[i].refused_count, 1);
	(void)value;
	stop(&world);
}

static void a_write_that_is_sent_again_is_the_same(void **state)
{
	struct world world;
	struct outcome outcome;
	(void)state;
	start(&world);
	struct ftsi_write_result first =
	    write_as(&world, &(struct ftsi_write){.level = ONE, .record = {.write_id = 77}}, "mine");
	assert_int_equal(first.status, FTS_OK);
	for (size_t i = 0; i < OWNERS; i++)
		wait_has(&world, i, "mine");
	begin(&outcome);
	ftsi_recall_start(&world.coordinator,
			  &(struct ftsi_recall){.key = key,
						.write_id = 77,
						.deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), CALL_MS),
						.done = was_recalled,
						.ctx = &outcome});
	wait_end(&outcome);
	assert_int_equal(outcome.recalled.version_time, first.version_time);
	assert_int_equal(set(&world, ALL, "theirs").status, FTS_OK);
	struct ftsi_write_result again = write_as(
	    &world,
	    &(struct ftsi_write){
		.level = ALL,
		.repeats = true,
		.record = {.write_id = 77, .version_time = first.version_time, .version_node = first.version_node}},
	    "mine");
	assert_int_equal(again.status, FTS_OK);
	assert_int_equal(again.version_time, first.version_time);
	for (size_t i = 0; i < OWNERS; i++)
		wait_has(&world, i, "theirs");
	stop(&world);
}

/* The first round reaches an owner that knows no newer map; the next one reaches nobody. */
static void what_an_earlier_round_left_is_not_denied(void **state)
{
	struct world world;
	struct outcome outcome;
	(void)state;
	start(&world);
	be(&world, 1, OLD_MAP);
	be(&world, 2, OLD_MAP);
	begin(&outcome);
	ftsi_write_start(&world.coordinator,
			 &(struct ftsi_write){.level = QUORUM,
					      .record = {.key = key, .value = {(const uint8_t *)"v", 1}},
					      .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), CALL_MS),
					      .done = written,
					      .ctx = &outcome});
	wait_has(&world, 0, "v");
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);;) { /* two have refused it: it waits for the map */
		uint32_t refused = 0;
		for (size_t i = 1; i < OWNERS; i++) {
			pthread_mutex_lock(&world.fakes[i].lock);
			refused += world.fakes[i].refused_count;
			pthread_mutex_unlock(&world.fakes[i].lock);
		}
		if (refused == 2) break;
		if (!harness_wait_more(&wait)) fail_msg("%u owners refused", refused);
	}
	for (size_t i = 0; i < OWNERS; i++)
		be(&world, i, FULL);
	set_map(&world, 2);
	wait_end(&outcome);
	assert_int_equal(outcome.write.status, FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(outcome.write.executed, FTS_EXECUTED_UNKNOWN); /* n1 has it */
	stop(&world);
}

/* ---- Reads ---- */

static void a_slow_owner_is_not_waited_for(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		has(&world, i, 10, "v");
	be(&world, 0, SILENT); /* the first that a read of level one asks */
	struct ftsi_read_result read = get(&world, ONE, CALL_MS, value);
	assert_int_equal(read.status, FTS_OK);
	assert_string_equal(value, "v");
	assert_int_equal(world.fakes[0].read_count, 1);
	assert_int_equal(get(&world, QUORUM, CALL_MS, value).status, FTS_OK);
	stop(&world);
}

static void what_is_old_or_missing_is_mended(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	has(&world, 0, 20, "new");
	has(&world, 1, 10, "old");
	struct ftsi_read_result read = get(&world, ALL, CALL_MS, value);
	assert_int_equal(read.status, FTS_OK);
	assert_string_equal(value, "new");
	assert_int_equal(read.acks, OWNERS);
	wait_has(&world, 1, "new");
	wait_has(&world, 2, "new");
	stop(&world);
}

static void what_is_damaged_is_never_given(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	has(&world, 0, 30, "torn");
	be(&world, 0, DAMAGED);
	has(&world, 1, 20, "good");
	has(&world, 2, 20, "good");
	struct ftsi_read_result read = get(&world, QUORUM, CALL_MS, value);
	assert_int_equal(read.status, FTS_OK);
	assert_string_equal(value, "good");
	for (size_t i = 0; i < OWNERS; i++)
		be(&world, i, DAMAGED);
	assert_int_equal(get(&world, QUORUM, CALL_MS, value).status, FTS_DATA_LOSS);
	stop(&world);
}

/* A node that kept a deletion for an owner, and was cut off from all of them since: what was written after the deletion
 * it can't know. */
static void a_deletion_that_is_kept_for_others_is_no_answer(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	be(&world, 0, SILENT);
	struct ftsi_write_result deleted =
	    write_as(&world, &(struct ftsi_write){.level = QUORUM, .record = {.tombstone = true}}, "");
	assert_int_equal(deleted.status, FTS_OK);
	wait_hints(&world, 1);
	assert_int_equal(get(&world, QUORUM, CALL_MS, value).status, FTS_NOT_FOUND); /* two owners say so */
	for (size_t i = 0; i < OWNERS; i++)
		kill_fake(&world.fakes[i]);
	assert_int_equal(get(&world, QUORUM, CALL_MS, value).status, FTS_UNAVAILABLE);
	assert_int_equal(get(&world, ONE, CALL_MS, value).status, FTS_UNAVAILABLE);
	stop(&world);
}

/* One owner knows of a deletion, and no other can be told: the next read may not ask that one. */
static void a_deletion_that_can_not_be_told_is_no_answer(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		has(&world, i, 10, "v");
	has(&world, 0, 20, "");
	world.fakes[0].tombstone = true;
	be(&world, 1, FULL);
	be(&world, 2, SILENT);
	struct ftsi_read_result read = get(&world, QUORUM, CALL_MS, value);
	assert_int_equal(read.status, FTS_UNAVAILABLE);
	assert_non_null(strstr(read.detail, "deleted"));
	be(&world, 1, GOOD);
	read = get(&world, QUORUM, CALL_MS, value);
	assert_int_equal(read.status, FTS_NOT_FOUND);
	stop(&world);
}

static void calls_keep_their_time_limit(void **state)
{
	struct world world;
	char value[16];
	(void)state;
	start(&world);
	for (size_t i = 0; i < OWNERS; i++)
		be(&world, i, SILENT);
	struct ftsi_read_result read = get(&world, QUORUM, 300, value);
	assert_int_equal(read.status, FTS_UNAVAILABLE);
	struct ftsi_write_result result = write_as(
	    &world,
	    &(struct ftsi_write){.level = QUORUM, .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), 300)},
	    "v");
	assert_int_equal(result.status, FTS_UNAVAILABLE);
	stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_level_waits_for_its_owners),
	    cmocka_unit_test(an_owner_that_is_away_gets_a_hint),
	    cmocka_unit_test(a_silent_owner_holds_nobody_up),
	    cmocka_unit_test(nobody_is_there),
	    cmocka_unit_test(any_is_not_kept_when_an_owner_says_no),
	    cmocka_unit_test(any_is_not_kept_without_room),
	    cmocka_unit_test(who_is_away_gets_a_hint_though_another_says_no),
	    cmocka_unit_test(a_caller_in_a_hurry_makes_nobody_silent),
	    cmocka_unit_test(what_stands_there_is_overtaken),
	    cmocka_unit_test(an_old_map_is_redirected_once),
	    cmocka_unit_test(a_write_that_is_sent_again_is_the_same),
	    cmocka_unit_test(what_an_earlier_round_left_is_not_denied),
	    cmocka_unit_test(a_slow_owner_is_not_waited_for),
	    cmocka_unit_test(what_is_old_or_missing_is_mended),
	    cmocka_unit_test(what_is_damaged_is_never_given),
	    cmocka_unit_test(a_deletion_that_is_kept_for_others_is_no_answer),
	    cmocka_unit_test(a_deletion_that_can_not_be_told_is_no_answer),
	    cmocka_unit_test(calls_keep_their_time_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
