/* Why this file exists: fts.cluster.v1.Cluster: the nodes as this one sees them. */
#ifndef FTS_SERVER_CLUSTER_H
#define FTS_SERVER_CLUSTER_H

#include "replica/replica.h"

struct ftsi_cluster {
	const char *name;            /* of this node: borrowed */
	const char *address;         /* HOST:PORT of its calls: borrowed */
	struct fts_server *server;   /* borrowed */
	struct fts_replica *replica; /* borrowed */
};

/* Offer the service on cluster->server. cluster: borrowed until the server is destroyed. */
FTS_MUST_USE enum fts_status ftsi_cluster_serve(struct ftsi_cluster *cluster, struct fts_error *out_error);

#endif
