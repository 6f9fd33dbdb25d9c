/* Why this file exists: see world.h. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "replica/fence.h"

enum { ARENA_BYTES = 96 * 1024 * 1024 }; /* as the log's */

static struct world *current; /* the world a call comes from */

enum fts_status fts_apply_refuse(struct fts_apply *apply, enum fts_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(apply->detail, sizeof apply->detail, format, args);
	va_end(args);
	return status;
}

enum fts_status fts_apply_publish(struct fts_apply *apply, const char *topic, const ProtobufCMessage *event)
{
	(void)apply;
	assert_true(strncmp(topic, "elector.", 8) == 0);
	assert_true(protobuf_c_message_check(event));
	current->event_count++;
	return FTS_OK;
}

enum fts_status fts_read_refuse(struct fts_read *read, enum fts_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(read->detail, sizeof read->detail, format, args);
	va_end(args);
	return status;
}

void world_init(struct world *world)
{
	const struct fts_store_options options = {.create_if_missing = true};
	*world = (struct world){.index = 10, .term = 1, .time_ms = 1795219200000};
	harness_directory_make(world->dir);
	char path[HARNESS_PATH_MAX + 8];
	(void)snprintf(path, sizeof path, "%s/state", world->dir);
	assert_int_equal(fts_store_open(path, &options, &world->store, NULL), FTS_OK);
	world->pool = fts_arena_pool_create(2 * ARENA_BYTES);
	world->arena = fts_arena_acquire(world->pool, ARENA_BYTES);
	world->leases = fts_leases_create();
	assert_non_null(world->arena);
	assert_non_null(world->leases);
}

void world_fini(struct world *world)
{
	fts_leases_destroy(world->leases);
	fts_arena_release(world->arena);
	fts_arena_pool_destroy(world->pool);
	fts_store_close(world->store);
}

enum fts_status world_apply(struct world *world, fts_apply_fn apply_fn, const ProtobufCMessage *request,
			    ProtobufCMessage *response)
{
	struct fts_apply apply = {
	    .index = ++world->index, .term = world->term, .time_ms = ++world->time_ms, .arena = world->arena};
	fts_arena_reset(world->arena);
	current = world;
	assert_int_equal(fts_txn_begin(world->store, &apply.txn), FTS_OK);
	enum fts_status status = apply_fn(&apply, request, response, world->leases);
	(void)snprintf(world->detail, sizeof world->detail, "%s", apply.detail);
	if (status == FTS_OK)
		assert_int_equal(fts_txn_commit(&apply.txn, false), FTS_OK);
	else
		fts_txn_abort(apply.txn);
	return status;
}

enum fts_status world_read(struct world *world, fts_read_fn read_fn, const ProtobufCMessage *request,
			   ProtobufCMessage *response)
{
	struct fts_read read = {.arena = world->arena};
	fts_arena_reset(world->arena);
	assert_int_equal(fts_store_view(world->store, &read.view), FTS_OK);
	enum fts_status status = read_fn(&read, request, response, world->leases);
	(void)snprintf(world->detail, sizeof world->detail, "%s", read.detail);
	fts_txn_abort(read.view);
	return status;
}

bool world_fence_stands(struct world *world, uint64_t fence)
{
	struct fts_txn *view = NULL;
	assert_int_equal(fts_store_view(world->store, &view), FTS_OK);
	enum fts_status status = fts_fence_check(view, fence);
	fts_txn_abort(view);
	return status == FTS_OK;
}
