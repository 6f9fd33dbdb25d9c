/* Why this file exists: what a node lets in as an owner, and what it knows after a start: maps, clocks that jump, hints
 * within their limit, writes it remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "storage/owner.h"
#include "tests/harness/clock.h"
#include "tests/harness/directory.h"

enum { WAIT_MS = 30000, SECOND_MS = 1000, AGE_MS = 60 * 1000, HINT_BYTES = 64 * 1024 };

struct world {
	char dir[HARNESS_PATH_MAX];
	struct fts_storage *storage;
	struct ftsi_map_cache *maps;
	struct fts_owner *owner;
};

static void open_world(struct world *world)
{
	struct fts_error error;
	if (fts_storage_open(&(struct fts_storage_options){.data = world->dir}, &world->storage, &error) != FTS_OK)
		fail_msg("%s", error.detail);
	world->maps = ftsi_map_cache_create();
	world->owner = fts_owner_create(
	    &(struct fts_owner_options){.storage = world->storage, .maps = world->maps, .tombstone_age_ms = AGE_MS});
	assert_true(world->maps != NULL && world->owner != NULL);
	fts_owner_set_node(world->owner, 1);
}

static void close_world(struct world *world)
{
	fts_storage_close(world->storage);
	fts_owner_destroy(world->owner);
	ftsi_map_cache_destroy(world->maps);
}

static void start(struct world *world)
{
	memset(world, 0, sizeof *world);
	harness_directory_make(world->dir);
	open_world(world);
}

static void stop(struct world *world)
{
	close_world(world);
	harness_directory_remove(world->dir);
}

/* A map of n1, n2, n3, as another life of this node might have kept it. */
static void keep_map(struct world *world, uint64_t epoch)
{
	static struct ftsi_map map;
	struct ftsi_map_node nodes[3] = {
	    {1, "n1", "127.0.0.1:1", false}, {2, "n2", "127.0.0.1:2", false}, {3, "n3", "127.0.0.1:3", false}};
	memset(&map, 0, sizeof map);
	assert_true(ftsi_map_assign(&map, nodes, 3));
	while (map.epoch < epoch)
		ftsi_map_renew(&map);
	uint8_t *packed = malloc(ftsi_map_packed_size(&map));
	size_t size = ftsi_map_pack(&map, packed);
	assert_int_equal(fts_storage_keep_map(world->storage, (struct fts_bytes){packed, size}, true), FTS_OK);
	free(packed);
}

static uint64_t epoch_of(struct world *world)
{
	const struct ftsi_map_shared *shared = ftsi_map_take(world->maps);
	uint64_t epoch = shared->map.epoch;
	ftsi_map_release(shared);
	return epoch;
}

/* ---- Puts ---- */

struct waiting_put {
	struct fts_storage_put put; /* first */
	atomic_bool is_done;
};

static void on_done(struct fts_storage_put *put)
{
	atomic_store(&((struct waiting_put *)(void *)put)->is_done, true);
}

static enum fts_status put(struct world *world, const struct ftsi_record *record, uint64_t epoch, uint64_t as_of,
			   bool background, struct fts_error *out_error)
{
	struct waiting_put waiting = {
	    .put = {.records = record, .count = 1, .background = background, .done = on_done}};
	const struct fts_owner_stamp stamp = {epoch, as_of};
	enum fts_status status = fts_owner_put(world->owner, &stamp, &waiting.put, out_error);
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); status == FTS_OK && !atomic_load(&waiting.is_done);)
		if (!harness_wait_more(&wait)) fail_msg("a put was not done");
	return status == FTS_OK ? waiting.put.status : status;
}

static struct ftsi_record record_at(int64_t wall_ms, uint64_t node)
{
	return (struct ftsi_record){.key = {(const uint8_t *)"k", 1},
				    .value = {(const uint8_t *)"v", 1},
				    .version = {(uint64_t)wall_ms << 16, node}};
}

/* ---- Maps ---- */

static void a_map_outlives_its_node(void **state)
{
	struct world world;
	(void)state;
	start(&world);
	assert_int_equal(ftsi_map_cache_recall(world.maps, world.storage), FTS_NOT_FOUND);
	assert_int_equal(fts_owner_confirm_map(world.owner, 1), FTS_UNAVAILABLE); /* it does not know it */
	keep_map(&world, 5);
	assert_int_equal(ftsi_map_cache_recall(world.maps, world.storage), FTS_OK);
	assert_int_equal(epoch_of(&world), 5);
	keep_map(&world, 3); /* an older one is not taken */
	assert_int_equal(ftsi_map_cache_recall(world.maps, world.storage), FTS_OK);
	assert_int_equal(epoch_of(&world), 5);
	assert_int_equal(fts_owner_confirm_map(world.owner, 6), FTS_UNAVAILABLE);
	assert_int_equal(fts_owner_confirm_map(world.owner, 5), FTS_OK); /* now it is on disk, too */
	close_world(&world);
	open_world(&world);
	assert_int_equal(ftsi_map_cache_recall(world.maps, world.storage), FTS_OK);
	assert_int_equal(epoch_of(&world), 5);
	stop(&world);
}

static void an_old_map_is_refused(void **state)
{
	struct world world;
	struct fts_error error;
	struct fts_storage_found found = {0};
	int64_t wall_ms = fts_clock_wall_ms();
	struct ftsi_record record = record_at(wall_ms, 2);
	(void)state;
	start(&world);
	keep_map(&world, 5);
	assert_int_equal(ftsi_map_cache_recall(world.maps, world.storage), FTS_OK);
	assert_int_equal(put(&world, &record, 4, record.version.time, false, &error), FTS_ABORTED);
	assert_int_equal(fts_owner_read(world.owner, 4, 0, record.key, &found), FTS_ABORTED);
	assert_int_equal(put(&world, &record, 5, record.version.time, false, &error), FTS_OK);
	assert_int_equal(fts_owner_read(world.owner, 5, 0, record.key, &found), FTS_OK);
	fts_storage_release(&found);
	stop(&world);
}

/* ---- Clocks ---- */

static void a_clock_far_ahead_is_refused_and_named(void **state)
{
	struct world world;
	struct fts_error error = {0};
	(void)state;
	start(&world);
	keep_map(&world, 1);
	assert_int_equal(ftsi_map_cache_recall(world.maps, world.storage), FTS_OK);
	int64_t wall_ms = fts_clock_wall_ms();
	struct ftsi_record far = record_at(wall_ms + 3600 * SECOND_MS, 2);
	assert_int_equal(put(&world, &far, 1, far.version.time, false, &error), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(error.detail, "the clock of n2 is"));
	assert_non_null(strstr(error.detail, "ahead of n1's"));
	uint64_t now = fts_owner_next_time(world.owner);
	assert_true(fts_hlc_wall_ms(now) < wall_ms + 1800 * SECOND_MS); /* it is not followed */
	struct ftsi_record near = record_at(wall_ms + 5 * SECOND_MS, 2);
	assert_int_equal(put(&world, &near, 1, near.version.time, false, &error), FTS_OK);
	assert_true(fts_owner_next_time(world.owner) > near.version.time); /* this one is */
	stop(&world);
}

static void a_clock_that_jumped_back_changes_nothing(void **state)
{
	struct world world;
	struct fts_error error = {0};
	(void)state;
	start(&world);
	int64_t wall_ms = fts_clock_wall_ms();
	struct ftsi_record ahead = record_at(wall_ms + 20 * SECOND_MS, 2);
	assert_int_equal(put(&world, &ahead, 0, ahead.version.time, false, &error), FTS_OK);
	/* as after a jump of 20 s back: what this node gives is newer all the same, and always newer than before */
	uint64_t first = fts_owner_next_time(world.owner), second = fts_owner_next_time(world.owner);
	assert_true(first > ahead.version.time && second > first);
	stop(&world);
}

/* A process that was stopped for longer than tombstones are kept must not bring back what was deleted. */
static void what_was_known_long_ago_is_refused(void **state)
{
	struct world world;
	struct fts_error error = {0};
	int64_t wall_ms = fts_clock_wall_ms();
	(void)state;
	start(&world);
	struct ftsi_record old = record_at(wall_ms - 2 * AGE_MS, 2);
	assert_int_equal(put(&world, &old, 0, old.version.time, true, &error), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(error.detail, "tombstones"));
	/* an old record that is known to be so now is a repair */
	assert_int_equal(put(&world, &old, 0, (uint64_t)wall_ms << 16, true, &error), FTS_OK);
	stop(&world);
}

/* ---- Hints ---- */

/* False: it was dropped, and says so. */
static bool keep_hint_for(struct world *world, uint64_t owner, uint32_t number, size_t value_size_bytes, uint64_t time)
{
	static uint8_t value[8192];
	char key[16];
	(void)snprintf(key, sizeof key, "h%u", number);
	const struct ftsi_record record = {
	    .key = {(const uint8_t *)key, strlen(key)}, .value = {value, value_size_bytes}, .version = {time, 1}};
	struct waiting_put waiting = {.put = {.records = &record, .count = 1, .hint_owner = owner, .done = on_done}};
	assert_int_equal(fts_storage_put(world->storage, &waiting.put), FTS_OK);
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); !atomic_load(&waiting.is_done);)
		if (!harness_wait_more(&wait)) fail_msg("a hint was not kept");
	assert_int_equal(waiting.put.status, FTS_OK);
	return !waiting.put.hint_dropped;
}

static bool keep_hint(struct world *world, uint32_t number, size_t value_size_bytes, uint64_t time)
{
	return keep_hint_for(world, 7, number, value_size_bytes, time);
}

static uint32_t count_marks(struct world *world)
{
	uint32_t count = 0;
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		count += fts_hints_wants_repair(world->storage, p, false) ? 1 : 0;
	return count;
}

static void hints_stay_within_their_limit(void **state)
{
	struct world world;
	uint64_t bytes, dropped, told = 0;
	(void)state;
	start(&world);
	fts_hints_limit(world.storage, HINT_BYTES);
	assert_true(keep_hint(&world, 0, 1000, 10));
	assert_true(keep_hint(&world, 0, 2000, 20)); /* the newest of a key alone is kept */
	assert_true(keep_hint(&world, 0, 3000, 15));
	assert_int_equal(fts_hints_count(world.storage), 1);
	fts_hints_measure(world.storage, &bytes, &dropped);
	assert_true(bytes > 2000 && bytes < 3000 && dropped == 0);
	assert_int_equal(count_marks(&world), 0);
	for (uint32_t i = 1; i < 64; i++)
		told += keep_hint(&world, i, 4000, 30) ? 0 : 1;
	fts_hints_measure(world.storage, &bytes, &dropped);
	assert_true(bytes <= HINT_BYTES && dropped > 0 && dropped == told);
	assert_true(fts_hints_count(world.storage) < 64);
	assert_true(count_marks(&world) > 0); /* what was dropped is to be repaired */
	uint64_t count = fts_hints_count(world.storage);
	close_world(&world);
	open_world(&world);
	assert_int_equal(fts_hints_count(world.storage), count); /* they are durable */
	stop(&world);
}

/* Of whomever it is for; other partitions' are not read for it. */
static void the_oldest_hint_of_a_partition_is_known(void **state)
{
	static const uint64_t owners[] = {1, 7, UINT64_MAX};
	struct world world;
	uint64_t oldest[FTSI_PARTITION_COUNT] = {0};
	char key[16];
	(void)state;
	start(&world);
	for (uint32_t i = 0; i < 60; i++) {
		uint64_t time = 100 + i * 37 % 61;
		(void)snprintf(key, sizeof key, "h%u", i);
		uint32_t p = ftsi_record_partition(0, (struct fts_bytes){(const uint8_t *)key, strlen(key)});
		if (oldest[p] == 0 || time < oldest[p]) oldest[p] = time;
		assert_true(keep_hint_for(&world, owners[i % 3], i, 10, time));
		assert_true(keep_hint_for(&world, owners[(i + 1) % 3], i, 10, time + 1));
	}
	for (uint32_t p = 0; p < FTSI_PARTITION_COUNT; p++)
		assert_int_equal(fts_hints_oldest(world.storage, p), oldest[p]);
	stop(&world);
}

/* ---- Writes that are remembered ---- */

static void lately_taken_writes_are_known(void **state)
{
	struct ftsi_taken taken;
	struct ftsi_taken_write found;
	(void)state;
	ftsi_taken_init(&taken);
	assert_false(ftsi_taken_find(&taken, 1, &found));
	ftsi_taken_note(&taken, &(struct ftsi_taken_write){.version = {1, 1}}); /* nobody's */
	assert_false(ftsi_taken_find(&taken, 0, &found));
	for (uint64_t id = 1; id <= 200000; id++)
		ftsi_taken_note(&taken, &(struct ftsi_taken_write){
					    .write_id = id * 2654435761u, .version = {id, 1}, .existed = id % 2 == 0});
	for (uint64_t id = 190000; id <= 200000; id++) { /* the newest are there, with what was told of them */
		assert_true(ftsi_taken_find(&taken, id * 2654435761u, &found));
		assert_true(found.version.time == id && found.existed == (id % 2 == 0));
	}
	ftsi_taken_note(&taken, &(struct ftsi_taken_write){.write_id = 200000 * 2654435761u, .version = {300000, 2}});
	ftsi_taken_note(&taken, &(struct ftsi_taken_write){.write_id = 200000 * 2654435761u, .version = {250000, 2}});
	assert_true(ftsi_taken_find(&taken, 200000 * 2654435761u, &found));
	assert_int_equal(found.version.time, 300000);
	ftsi_taken_fini(&taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_map_outlives_its_node),
	    cmocka_unit_test(an_old_map_is_refused),
	    cmocka_unit_test(a_clock_far_ahead_is_refused_and_named),
	    cmocka_unit_test(a_clock_that_jumped_back_changes_nothing),
	    cmocka_unit_test(what_was_known_long_ago_is_refused),
	    cmocka_unit_test(hints_stay_within_their_limit),
	    cmocka_unit_test(the_oldest_hint_of_a_partition_is_known),
	    cmocka_unit_test(lately_taken_writes_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
