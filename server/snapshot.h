/* Why this file exists: fts.cluster.v1.Cluster/SnapshotRead: a copy of the state as one file (base/archive.h), made
 * when somebody asks and read piece by piece: the file itself exists nowhere on this node.
 *
 * Invariants: at most SNAPSHOT_COUNT_MAX copies at a time; one that nobody reads for a minute goes away. A copy is
 * named after the node that holds it, so that whoever asks another is sent there. Thread: any; calls block. */
#ifndef FTS_SERVER_SNAPSHOT_H
#define FTS_SERVER_SNAPSHOT_H

#include <fts/cluster/v1/cluster.fts.h>

#include "replica/replica.h"

struct ftsi_snapshots;

struct ftsi_snapshots_options {
	const char *data;            /* DIR: copies lie in DIR/outgoing. Borrowed. */
	const char *name;            /* of this node; borrowed */
	const char *address;         /* HOST:PORT of its calls; borrowed */
	struct fts_replica *replica; /* borrowed */
};

/* Returned (ftsi_snapshots_destroy). NULL: no memory. */
struct ftsi_snapshots *ftsi_snapshots_create(const struct ftsi_snapshots_options *options);
/* Answer call. */
void ftsi_snapshots_read(struct ftsi_snapshots *snapshots, struct fts_call *call,
			 const Fts__Cluster__V1__SnapshotReadRequest *request);
/* No call is open any more. NULL: no-op. */
void ftsi_snapshots_destroy(struct ftsi_snapshots *snapshots);

#endif
