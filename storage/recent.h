/* Why this file exists: writes this node has taken lately, by who made them: so that one that is repeated, because its
 * answer was lost, is found to be the same.
 *
 * Invariants: in memory alone, and bounded: 131,072 writes, of which old ones go first (4 MiB, from the first write
 * on). A write that is not found may have been taken all the same: long ago, or before a start. Thread: any. */
#ifndef FTS_STORAGE_RECENT_H
#define FTS_STORAGE_RECENT_H

#include <pthread.h>

#include "storage/record.h"

struct ftsi_recent {
	pthread_mutex_t lock;
	struct ftsi_recent_write *writes; /* guarded by lock; NULL: there was none yet, or no memory */
};

struct ftsi_recent_write {
	uint64_t write_id; /* 0: free */
	struct ftsi_version version;
	bool existed; /* a live value stood there before */
};

void ftsi_recent_init(struct ftsi_recent *recent);
void ftsi_recent_fini(struct ftsi_recent *recent);
/* write: borrowed; one without an id is nothing to note. The newer version of one write stays. */
void ftsi_recent_note(struct ftsi_recent *recent, const struct ftsi_recent_write *write);
/* False: not known. */
bool ftsi_recent_write_find(struct ftsi_recent *recent, uint64_t write_id, struct ftsi_recent_write *out_write);

#endif
