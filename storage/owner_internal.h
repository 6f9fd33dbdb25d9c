/* Why this file exists: the inside of an owner, shared by owner.c, serve.c and owned_keys.c. */
#ifndef FTS_STORAGE_OWNER_INTERNAL_H
#define FTS_STORAGE_OWNER_INTERNAL_H

#include "storage/lost.h"
#include "storage/owner.h"

struct fts_owner {
	struct fts_owner_options options;
	atomic_uint_fast64_t node_id;
	/* Read-locked from the look at the map until the put is queued; write-locked for a moment by who needs all that
	 * was let in before to be queued. */
	pthread_rwlock_t door;
	atomic_uint_fast64_t
	    accepted[FTSI_PARTITION_COUNT]; /* changed, as it was when the loss was accepted; 0: never */
	atomic_uint stuck_count;
	atomic_uint_fast64_t newest_epoch[FTSI_PARTITION_COUNT]; /* under which something was taken */
};

#endif
