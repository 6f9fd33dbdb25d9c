/* Why this file exists: see server/cluster.h. */
#include "server/cluster.h"

#include <fts/cluster/v1/cluster.fts.h>

static char *text(const char *borrowed)
{
	return (char *)(uintptr_t)borrowed; /* protobuf-c's strings are not const */
}

static void status(struct fts_call *call, const Fts__Cluster__V1__StatusRequest *request, void *ctx)
{
	const struct ftsi_cluster *cluster = ctx;
	Fts__Cluster__V1__StatusResponse response = FTS__CLUSTER__V1__STATUS_RESPONSE__INIT;
	Fts__Cluster__V1__NodeStatus node = FTS__CLUSTER__V1__NODE_STATUS__INIT, *nodes[] = {&node};
	struct fts_replica_status replica;
	(void)request;
	fts_replica_status(cluster->replica, &replica);
	node.name = text(cluster->name);
	node.address = text(cluster->address);
	node.role = replica.leader ? FTS__CLUSTER__V1__ROLE__LEADER : FTS__CLUSTER__V1__ROLE__CANDIDATE;
	node.alive = true;
	node.applied = replica.applied_index;
	node.digest_ok = true; /* of one node: there is nobody to differ from */
	response.leader = text(replica.leader_name);
	response.term = replica.term;
	response.index = replica.commit_index;
	response.cluster_id = replica.cluster_id;
	response.nodes = nodes;
	response.n_nodes = 1;
	fts_cluster_status_reply(call, &response);
}

enum fts_status ftsi_cluster_serve(struct ftsi_cluster *cluster, struct fts_error *out_error)
{
	static const struct fts_cluster_handlers handlers = {.status = status};
	return fts_cluster_register(cluster->server, &handlers, cluster, out_error);
}
