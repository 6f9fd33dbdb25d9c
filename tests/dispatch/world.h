/* Why this file exists: the dispatcher on a store without a log: what a transition asks of the replica is answered
 * here, so that a test can run thousands of commands with a clock of its own. */
#ifndef FTS_TESTS_DISPATCH_WORLD_H
#define FTS_TESTS_DISPATCH_WORLD_H

#include "base/arena.h"
#include "dispatch/state.h"
#include "dispatch/watch.h"
#include "tests/harness/directory.h"

struct world {
	char dir[HARNESS_PATH_MAX];
	struct fts_store *store;
	struct fts_arena_pool *pool;
	struct fts_arena *arena;
	struct ftsi_dispatch_watch *watch;
	uint64_t index, term;
	int64_t time_ms;
	uint32_t wake_count;
	bool waits;                  /* the last read has to wait */
	char detail[FTS_DETAIL_MAX]; /* of the last refusal */
};

void world_init(struct world *world);
void world_fini(struct world *world);

/* Run one command as the log would: rolled back when it is refused. response: initialised; what it points to is valid
 * until the next call. */
enum fts_status world_apply(struct world *world, fts_apply_fn apply, const ProtobufCMessage *request,
			    ProtobufCMessage *response);
enum fts_status world_read(struct world *world, fts_read_fn read, const ProtobufCMessage *request,
			   ProtobufCMessage *response);

#endif
