/* Why this file exists: faults that a test asks a real node for, from inside: what no signal and no network can do. A
 * loop or a disk hangs while everything else, health's answers too, goes on. ftsd offers them only when it was started
 * with --debug-hooks (server/debug.h). */
#ifndef FTS_REPLICA_DEBUG_H
#define FTS_REPLICA_DEBUG_H

#include "replica/replica.h"

enum fts_debug_fault {
	FTS_DEBUG_LOOP_HANGS, /* the loop does nothing */
	FTS_DEBUG_LOOP_SLOW,  /* each turn of the loop takes 100 ms: busy, and moving */
	FTS_DEBUG_DISK_HANGS, /* appends wait behind one that does not end */
};

/* Bring the fault about for duration_ms. Returns at once. Errors: UNAVAILABLE (stopping), RESOURCE_EXHAUSTED.
 * Thread: any. */
FTS_MUST_USE enum fts_status fts_debug_fault_begin(struct fts_replica *replica, enum fts_debug_fault fault,
						   uint32_t duration_ms, struct fts_error *out_error);

#endif
