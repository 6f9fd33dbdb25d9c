/* Why this file exists: what the router needs of the node it runs on: its own records, its hints, its clock and the
 * map. server/kv.c supplies them with storage/; tests, with something that fails as they like.
 *
 * Thread: any, unless said otherwise. Nothing here blocks. */
#ifndef FTS_ROUTER_OWNER_H
#define FTS_ROUTER_OWNER_H

#include <stdbool.h>

#include <fts/status.h>

#include "router/map.h"

struct fts_router_record {
	uint32_t db;
	struct fts_bytes key, value; /* borrowed */
	uint64_t version_time, version_node;
	bool tombstone;
};

/* How an owner took a record. */
struct fts_router_taken {
	enum fts_status status; /* OK: it is on its disk, or something newer; ABORTED: the map has changed */
	bool existed;           /* a live value stood there */
	uint64_t newer_time;    /* of what stands there when it is newer than the record; else 0 */
	bool unsure;            /* not OK: it may have it all the same */
	const char *detail;     /* borrowed for the call; NULL: nothing to say */
};
typedef void (*fts_router_taken_fn)(void *ctx, const struct fts_router_taken *taken);

/* What an owner has of a key. */
struct fts_router_read {
	enum fts_status status;          /* OK; NOT_FOUND: nothing; DATA_LOSS: damaged; ABORTED: the map has changed */
	struct fts_router_record record; /* OK: borrowed for the call */
	const char *detail;              /* borrowed for the call; NULL: nothing to say */
};
typedef void (*fts_router_read_fn)(void *ctx, const struct fts_router_read *read);

struct fts_router_stamp {
	uint64_t epoch; /* of the map by which it is sent */
	uint64_t as_of; /* hybrid logical clock: when it was known */
	bool background;
};

struct fts_router_owner {
	void *ctx;
	uint32_t (*partition)(uint32_t db, struct fts_bytes key);
	uint64_t (*checksum)(const struct fts_router_record *record);
	/* The newest map, held (fts_router_map_release); NULL: there is none yet. */
	const struct fts_router_map *(*map)(void *ctx);
	uint64_t (*now)(void *ctx);
	/* FAILED_PRECONDITION: too far ahead of this node's clock. */
	enum fts_status (*observe)(void *ctx, uint64_t time);
	/* As this node is an owner. record: borrowed until done, which is called exactly once, now or later. */
	void (*put)(void *ctx, const struct fts_router_record *record, const struct fts_router_stamp *stamp,
		    fts_router_taken_fn done, void *done_ctx);
	/* read is called before it returns. */
	void (*read)(void *ctx, uint64_t epoch, uint32_t db, struct fts_bytes key, fts_router_read_fn read,
		     void *read_ctx);
	/* Keep record (borrowed until done) for another node. */
	void (*keep_hint)(void *ctx, uint64_t node_id, const struct fts_router_record *record, fts_router_taken_fn done,
			  void *done_ctx);
	/* The newest hint kept here for any of these nodes. read is called before it returns. */
	void (*read_hint)(void *ctx, const uint64_t *node_ids, size_t count, uint32_t db, struct fts_bytes key,
			  fts_router_read_fn read, void *read_ctx);
};

#endif
