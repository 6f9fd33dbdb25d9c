/* Why this file exists: the other owners as the router reaches them: one channel a node, and what waits for it gathered
 * into one message while a few are under way, so that a message, a sync and an answer are shared by many calls.
 *
 * Invariants
 * - Nothing is sent twice below the coordinator. Each item ends exactly once: answered, failed, or out of time.
 * - A node that does not answer in time is silent: until it does, one message at a time tries it, and all else that
 *   would go there fails at once. In time: half a second at least, whatever time limit the callers have.
 * - Nothing queues without bound: past FTSI_REMOTE_ITEMS_MAX an item fails at once (RESOURCE_EXHAUSTED).
 * - Callbacks run without a lock held, on the channel's threads, or within the call that gave the item.
 * Thread: any. */
#ifndef FTS_ROUTER_REMOTE_H
#define FTS_ROUTER_REMOTE_H

#include <pthread.h>

#include "router/owner.h"

enum { FTSI_REMOTE_ITEMS_MAX = 65536, FTSI_REMOTE_TIMEOUT_MS = 2000 };

struct ftsi_remote;
struct ftsi_remotes;

struct ftsi_put_item {
	struct ftsi_put_item *next;             /* the remote's */
	const struct fts_router_record *record; /* borrowed until done */
	struct fts_router_stamp stamp;
	uint64_t deadline_ns;
	fts_router_taken_fn done;
	void *ctx;
};

struct ftsi_read_item {
	struct ftsi_read_item *next; /* the remote's */
	uint32_t db;
	struct fts_bytes key; /* borrowed until done */
	uint64_t epoch;
	uint64_t deadline_ns;
	fts_router_read_fn done;
	void *ctx;
};

struct ftsi_remotes_options {
	struct fts_tls tls; /* borrowed until destroy */
	size_t (*token_source)(void *ctx, uint8_t *out_token);
	void *token_ctx;
	uint64_t (*checksum)(const struct fts_router_record *record);
	void (*observe)(void *ctx, uint64_t time); /* an owner's clock */
	void *ctx;
};
/* Returned (ftsi_remotes_destroy). NULL: no memory. */
struct ftsi_remotes *ftsi_remotes_create(const struct ftsi_remotes_options *options);
/* End all that is under way (CANCELLED), close all channels. Blocks. NULL: no-op. */
void ftsi_remotes_stop(struct ftsi_remotes *remotes);
void ftsi_remotes_destroy(struct ftsi_remotes *remotes);

/* The remote for node. NULL: no memory, too many, or stopped. Borrowed until destroy. */
struct ftsi_remote *ftsi_remotes_find(struct ftsi_remotes *remotes, const struct fts_router_node *node);
/* Its channel, for calls of other kinds. Borrowed until stop. */
struct fts_channel *ftsi_remote_channel(struct ftsi_remote *remote);
/* item: owned until done, which is called exactly once. */
void ftsi_remote_put(struct ftsi_remote *remote, struct ftsi_put_item *item);
void ftsi_remote_read(struct ftsi_remote *remote, struct ftsi_read_item *item);
/* It answered last time, or was not asked yet. */
bool ftsi_remote_is_answering(struct ftsi_remote *remote);

#endif
