/* Why this file exists: writes this node has taken lately, by who made them: so that one that is repeated, because its
 * answer was lost, is found to be the same.
 *
 * Invariants: in memory alone, and bounded: 131,072 writes, of which old ones go first (4 MiB, from the first write
 * on). A write that is not found may have been taken all the same: long ago, or before a start. Thread: any. */
#ifndef FTS_STORAGE_TAKEN_H
#define FTS_STORAGE_TAKEN_H

#include <pthread.h>

#include "storage/record.h"

struct ftsi_taken {
	pthread_mutex_t lock;
	struct ftsi_taken_write *writes; /* guarded by lock; NULL: there was none yet, or no memory */
};

struct ftsi_taken_write {
	uint64_t write_id; /* 0: free */
	struct ftsi_version version;
	bool existed; /* a live value stood there before */
};

void ftsi_taken_init(struct ftsi_taken *taken);
void ftsi_taken_fini(struct ftsi_taken *taken);
/* write: borrowed; one without an id is nothing to note. The newer version of one write stays. */
void ftsi_taken_note(struct ftsi_taken *taken, const struct ftsi_taken_write *write);
/* False: not known. */
bool ftsi_taken_find(struct ftsi_taken *taken, uint64_t write_id, struct ftsi_taken_write *out_write);

#endif
