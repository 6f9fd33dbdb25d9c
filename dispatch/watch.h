/* Why this file exists: what the leader sees of workers and tickets as time goes by: workers that were not heard of, or
 * whose run is past its longest, and tickets and places whose time is over. It says so through the log (Expire).
 *
 * Invariants: what is proposed may be proposed twice or late; the transitions take it once. Everything here is a hint
 * in memory: another leader finds it again. Thread: any. */
#ifndef FTS_DISPATCH_WATCH_H
#define FTS_DISPATCH_WATCH_H

#include "replica/leases.h"
#include "replica/replica.h"

struct ftsi_dispatch_watch;

/* Returned (ftsi_dispatch_watch_destroy). NULL: no memory. */
struct ftsi_dispatch_watch *ftsi_dispatch_watch_create(void);
void ftsi_dispatch_watch_destroy(struct ftsi_dispatch_watch *watch); /* NULL: no-op */
/* Borrowed. */
struct fts_leases *ftsi_dispatch_watch_leases(struct ftsi_dispatch_watch *watch);
/* A worker's beat shows that it is hung, or no longer. */
void ftsi_dispatch_watch_mark(struct ftsi_dispatch_watch *watch, uint64_t worker, bool hung);
/* All workers of view hold a lease: after a start, or when the state was replaced. */
void ftsi_dispatch_watch_load(struct ftsi_dispatch_watch *watch, struct fts_txn *view);

/* Look through replica (borrowed until stop) from when there is something to see, until stopped.
 * Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_dispatch_watch_start(struct ftsi_dispatch_watch *watch, struct fts_replica *replica);
/* As on_turn of a machine whose ctx is the watch: a node without workers and lines has no thread for them. */
void ftsi_dispatch_watch_turn(void *watch, struct fts_txn *view, bool leader, int64_t now_ms);
void ftsi_dispatch_watch_stop(struct ftsi_dispatch_watch *watch); /* never started: no-op */

#endif
