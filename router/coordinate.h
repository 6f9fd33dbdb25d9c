/* Why this file exists: one write and one read of the sharded store, from the key to the answer: sent to all who own
 * it, answered when as many as the caller wants have answered.
 *
 * Invariants
 * - A write that is answered is newer than every write of its key that was answered before it began: an owner that has
 *   something newer says so, and the write is made again with a later version, whatever the clocks of the nodes say.
 * - A read that finds its owners of different minds first brings as many as it asked to the newest, so that no later
 *   read of the same consistency sees less.
 * - An operation on a database that is linearizable by the newest map ends with ABORTED: it belongs to the log.
 * - An operation that owners refuse by a newer map is made again once this node knows that map, within its time limit.
 * - An owner that could not be reached gets a hint, once somebody has the write.
 * - done is called exactly once, on any thread, also within the call that began it.
 * Source: Attiya, Bar-Noy, Dolev, "Sharing memory robustly in message-passing systems" (1995); DeCandia et al.,
 * "Dynamo" (2007), sections 4.5 and 4.6. Thread: any. */
#ifndef FTS_ROUTER_COORDINATE_H
#define FTS_ROUTER_COORDINATE_H

#include "router/hurry.h"
#include "router/quorum.h"
#include "router/remote.h"

struct ftsi_coordinator {
	const struct fts_router_owner *owner; /* borrowed */
	struct ftsi_remotes *remotes;         /* borrowed */
	struct ftsi_hurries *hurries;         /* borrowed; NULL: reads of level one never ask twice */
	atomic_uint open_count;               /* of operations; none is open once it is 0 */
	atomic_size_t open_bytes;
	const atomic_bool *stopping; /* borrowed; NULL: it never does */
};

struct ftsi_write_result {
	enum fts_status status;
	enum fts_executed executed;
	uint64_t version_time, version_node;
	uint32_t acks, replicas, hints;
	bool existed, kept_by_router;
	char detail[256];
};
typedef void (*ftsi_write_fn)(void *ctx, const struct ftsi_write_result *result);

struct ftsi_write {
	struct fts_router_record record; /* version 0: the next of this node's clock. Copied */
	Fts__Kv__V1__Consistency level;
	uint64_t deadline_ns;
	uint64_t as_of; /* when it was known; 0: its version says so */
	bool background;
	bool as_it_is; /* a repair: an older version is no reason to make it newer, or to keep hints of it */
	bool repeats;  /* its version was given before, and stays: an older one is no reason to make it newer */
	ftsi_write_fn done;
	void *ctx;
};
void ftsi_write_start(struct ftsi_coordinator *coordinator, const struct ftsi_write *write);

struct ftsi_read_result {
	enum fts_status status;
	struct fts_router_record record; /* OK: borrowed for the call */
	uint32_t acks, replicas;
	bool maybe_stale;
	char detail[256];
};
typedef void (*ftsi_read_fn)(void *ctx, const struct ftsi_read_result *result);

struct ftsi_read {
	uint32_t db;
	struct fts_bytes key; /* copied */
	Fts__Kv__V1__Consistency level;
	uint64_t deadline_ns;
	ftsi_read_fn done;
	void *ctx;
};
void ftsi_read_start(struct ftsi_coordinator *coordinator, const struct ftsi_read *read);

/* Put record (copied) at one node in the background. done may be NULL. */
void ftsi_mend(struct ftsi_coordinator *coordinator, const struct fts_router_map *map, int place,
	       const struct fts_router_record *record, uint64_t as_of);

/* ---- Shared by both ---- */

enum { FTSI_OPEN_MAX = 65536, FTSI_REDIRECTS_MAX = 3, FTSI_NEWER_MAX = 4, FTSI_REDIRECT_SPARE_MS = 100 };
#define FTSI_OPEN_BYTES_MAX ((size_t)128 * 1024 * 1024)

/* False: too much is open. */
bool ftsi_operation_begin(struct ftsi_coordinator *coordinator, size_t size_bytes);
void ftsi_operation_end(struct ftsi_coordinator *coordinator, size_t size_bytes);
/* Has this node the map of that epoch, or no time left to wait for it? */
bool ftsi_may_redirect(const struct ftsi_coordinator *coordinator, uint64_t epoch, uint64_t deadline_ns);
/* "n2, n3" of places; out: capacity_bytes. */
void ftsi_name_places(const struct fts_router_map *map, uint64_t places, char *out, size_t capacity_bytes);

#endif
