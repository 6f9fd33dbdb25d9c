/* Why this file exists: see world.h. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ARENA_BYTES = 16 * 1024 * 1024 };

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
	assert_true(strncmp(topic, "dispatch.", 9) == 0);
	assert_true(protobuf_c_message_check(event));
	(void)current;
	return FTS_OK;
}

void fts_apply_wake(struct fts_apply *apply, uint64_t key)
{
	(void)apply;
	assert_true(key != 0);
	current->wake_count++;
}

enum fts_status fts_read_wait_key(struct fts_read *read, uint64_t key)
{
	read->wait_topic = "";
	read->wait_key = key;
	return FTS_UNAVAILABLE;
}

/* The watch's own thread does not run here. */
enum fts_status fts_replica_propose(struct fts_replica *replica, const struct fts_method *method,
				    const ProtobufCMessage *request, fts_propose_fn done, void *ctx)
{
	(void)replica, (void)method, (void)request, (void)done, (void)ctx;
	return FTS_UNAVAILABLE;
}

enum fts_status fts_replica_view(struct fts_replica *replica, struct fts_txn **out_view)
{
	(void)replica, (void)out_view;
	return FTS_UNAVAILABLE;
}

void fts_replica_status(struct fts_replica *replica, struct fts_replica_status *out_status)
{
	(void)replica;
	*out_status = (struct fts_replica_status){.ready = false};
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
	world->watch = ftsi_dispatch_watch_create();
	assert_non_null(world->arena);
	assert_non_null(world->watch);
}

void world_fini(struct world *world)
{
	ftsi_dispatch_watch_destroy(world->watch);
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
	enum fts_status status = apply_fn(&apply, request, response, world->watch);
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
	enum fts_status status = read_fn(&read, request, response, world->watch);
	(void)snprintf(world->detail, sizeof world->detail, "%s", read.detail);
	world->waits = read.wait_key != 0;
	fts_txn_abort(read.view);
	return status;
}
