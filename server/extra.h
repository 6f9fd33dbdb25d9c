/* Why this file exists: what a build of the daemon has beside ftsd's own services: nothing in ftsd (extra.c). A test
 * daemon links its own definition instead, and so runs its machine on the very node that users run: real disk, real
 * network, real start and end. */
#ifndef FTS_SERVER_EXTRA_H
#define FTS_SERVER_EXTRA_H

#include "replica/replica.h"

#define FTSI_EXTRA_MACHINE_MAX 4

struct ftsi_extra {
	const struct fts_machine *const *machines; /* static */
	size_t machine_count;                      /* at most FTSI_EXTRA_MACHINE_MAX */
	uint64_t log_bytes_before_snapshot;        /* 0: the replica's default */
	const char *version;                       /* of a later release; static. NULL: ftsd's */
	uint32_t format_max;                       /* of a later release (base/format.h); 0: ftsd's */
};

/* Borrowed for ever. Thread: any. */
const struct ftsi_extra *ftsi_extra(void);

#endif
