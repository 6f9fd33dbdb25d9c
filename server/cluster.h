/* Why this file exists: fts.cluster.v1.Cluster: the nodes as this one sees them (cluster.c), and how members come and
 * go (cluster_member.c). */
#ifndef FTS_SERVER_CLUSTER_H
#define FTS_SERVER_CLUSTER_H

#include <pthread.h>
#include <stdatomic.h>

#include <fts/cluster/v1/cluster.fts.h>

#include "access/access.h"
#include "replica/replica.h"
#include "server/kv.h"
#include "server/snapshot.h"

struct ftsi_cluster {
	const char *name;            /* of this node: borrowed */
	const char *address;         /* HOST:PORT of its calls: borrowed */
	struct fts_server *server;   /* borrowed */
	struct fts_replica *replica; /* borrowed */
	struct ftsi_snapshots *snapshots; /* borrowed */
	struct fts_access *access;   /* borrowed */
	struct ftsi_kv *kv;          /* borrowed */
	pthread_mutex_t drop_lock;   /* members leave one after the other */
	atomic_uint change_count;    /* calls about members that are open */
};

/* Offer the service on cluster->server. cluster: borrowed until the server is destroyed. */
FTS_MUST_USE enum fts_status ftsi_cluster_serve(struct ftsi_cluster *cluster, struct fts_error *out_error);

/* ---- Shared by the two files ---- */

/* All members as this node sees them, with the memory they lie in. Don't copy it: nodes points into it. */
struct ftsi_cluster_view {
	struct fts_replica_status replica;
	struct fts_replica_member_status members[FTS_REPLICA_MEMBER_MAX];
	Fts__Cluster__V1__NodeStatus nodes[FTS_REPLICA_MEMBER_MAX];
	Fts__Cluster__V1__NodeStatus *pointers[FTS_REPLICA_MEMBER_MAX];
	size_t count;
};
void ftsi_cluster_look(struct ftsi_cluster *cluster, struct ftsi_cluster_view *out_view);

/* Handlers, on a worker's thread: they block. */
void ftsi_cluster_join(struct fts_call *call, const Fts__Cluster__V1__JoinRequest *request, void *ctx);
void ftsi_cluster_member_add(struct fts_call *call, const Fts__Cluster__V1__MemberAddRequest *request, void *ctx);
void ftsi_cluster_member_remove(struct fts_call *call, const Fts__Cluster__V1__MemberRemoveRequest *request, void *ctx);
void ftsi_cluster_member_replace(struct fts_call *call, const Fts__Cluster__V1__MemberReplaceRequest *request,
				 void *ctx);
void ftsi_cluster_member_lead(struct fts_call *call, const Fts__Cluster__V1__MemberLeadRequest *request, void *ctx);

#endif
