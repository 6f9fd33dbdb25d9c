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
	uint64_t write_id; /* kv.proto, Record; 0: nobody's */
};

/* A write that was taken lately. */
struct fts_router_recalled {
	uint64_t version_time, version_node;
	bool existed; /* a live value stood there before */
};

/* How an owner took a record. */
struct fts_router_taken {
	enum fts_status status; /* OK: it is on its disk, or something newer; ABORTED: the map has changed */
	bool existed;           /* a live value stood there */
	uint64_t newer_time;    /* of what stands there when it is newer than the record; else 0 */
	bool unsure;            /* not OK: it may have it all the same */
	uint64_t epoch;         /* ABORTED: of the map by which it was refused; 0: this node's own */
	const char *detail;     /* borrowed for the call; NULL: nothing to say */
};
typedef void (*fts_router_taken_fn)(void *ctx, const struct fts_router_taken *taken);

/* What an owner has of a key. */
struct fts_router_read {
	enum fts_status status;          /* OK; NOT_FOUND: nothing; DATA_LOSS: damaged; ABORTED: the map has changed */
	struct fts_router_record record; /* OK: borrowed for the call */
	uint64_t epoch;                  /* ABORTED: of the map by which it was refused; 0: this node's own */
	const char *detail;              /* borrowed for the call; NULL: nothing to say */
};
typedef void (*fts_router_read_fn)(void *ctx, const struct fts_router_read *read);

struct fts_router_stamp {
	uint64_t epoch; /* of the map by which it is sent */
	uint64_t as_of; /* hybrid logical clock: when it was known */
	bool background;
};

/* A hint kept here for a node. visit: false ends it; record: borrowed for the call. */
typedef bool (*fts_router_hint_fn)(void *ctx, uint64_t node_id, int64_t kept_ms,
				   const struct fts_router_record *record);

struct fts_router_owner {
	void *ctx;
	uint32_t (*partition)(uint32_t db, struct fts_bytes key);
	uint64_t (*checksum)(const struct fts_router_record *record);
	/* The newest map, held (fts_router_map_release); NULL: there is none yet. */
	const struct fts_router_map *(*map)(void *ctx);
	/* The time of a new version, later than every one before; and what time it is, for all else. */
	uint64_t (*next_time)(void *ctx);
	uint64_t (*now)(void *ctx);
	/* Another node's time. FAILED_PRECONDITION: too far ahead of this node's clock. */
	enum fts_status (*observe)(void *ctx, uint64_t time);
	/* This node knows what time most others have, or has waited for it long enough. */
	bool (*knows_time)(void *ctx);
	/* By how much this node's clock is further ahead of all others' than they follow; 0: it is not. */
	int64_t (*clock_ahead_ms)(void *ctx);
	/* As this node is an owner. record: borrowed until done, which is called exactly once, now or later. */
	void (*put)(void *ctx, const struct fts_router_record *record, const struct fts_router_stamp *stamp,
		    fts_router_taken_fn done, void *done_ctx);
	/* read is called before it returns. */
	void (*read)(void *ctx, uint64_t epoch, uint32_t db, struct fts_bytes key, fts_router_read_fn read,
		     void *read_ctx);
	/* As this node is an owner: does it remember a write? */
	bool (*recall)(void *ctx, uint64_t write_id, struct fts_router_recalled *out_recalled);
	/* Keep record (borrowed until done) for another node. */
	void (*keep_hint)(void *ctx, uint64_t node_id, const struct fts_router_record *record, fts_router_taken_fn done,
			  void *done_ctx);
	/* The newest hint kept here for any of these nodes. read is called before it returns. */
	void (*read_hint)(void *ctx, const uint64_t *node_ids, size_t count, uint32_t db, struct fts_bytes key,
			  fts_router_read_fn read, void *read_ctx);

	/* ---- For the keeper (router/keeper.h), whose thread may block ---- */
	uint64_t (*hint_count)(void *ctx);
	/* node_id 0: those of all nodes. */
	void (*visit_hints)(void *ctx, uint64_t node_id, fts_router_hint_fn visit, void *visit_ctx);
	/* Delivered, if it is this version; given_up: its partition is to be repaired. */
	void (*remove_hint)(void *ctx, uint64_t node_id, const struct fts_router_record *record, bool given_up);
	/* A hint of partition was given up since the last time this was asked. */
	bool (*wants_repair)(void *ctx, uint32_t partition);
	bool (*is_tree_trusted)(void *ctx, uint32_t partition);
	/* Count the tree of partition anew: damage in it was mended. */
	void (*rebuild_tree)(void *ctx, uint32_t partition);
	/* Remove all of a partition that this node has no part in. False: it has, or it can't be known yet. */
	bool (*drop_partition)(void *ctx, uint32_t partition);
	/* This node owned partition before it lost its disk, and has not got it again. */
	bool (*has_lost)(void *ctx, uint32_t partition);
	void (*regain)(void *ctx, uint32_t partition); /* it has now */
	/* An operator has said that what can be reached of partition is all there is. */
	bool (*is_loss_accepted)(void *ctx, uint32_t partition);
	/* So many copies wait for owners that do not answer. */
	void (*note_stuck)(void *ctx, uint32_t count);
	/* This node has copied a partition (MovedRequest): tell the leader. It may be lost. */
	void (*suggest_moved)(void *ctx, uint32_t partition, uint64_t from_node, uint64_t to_node, uint64_t since);
	int64_t (*wall_ms)(void *ctx);
	uint32_t tombstone_age_ms, hint_age_ms, sweep_ms;
};

#endif
