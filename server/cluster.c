/* Why this file exists: see server/cluster.h; here: how the cluster is. */
#include "server/cluster.h"

#include <string.h>

#include "server/release.h"

static char *text(const char *borrowed)
{
	return (char *)(uintptr_t)borrowed; /* protobuf-c's strings are not const */
}

static Fts__Cluster__V1__Role role_of(const struct ftsi_cluster_view *view,
				      const struct fts_replica_member_status *member)
{
	if (member->leader) return FTS__CLUSTER__V1__ROLE__LEADER;
	if (member->learner) return FTS__CLUSTER__V1__ROLE__LEARNER;
	if (!member->voter) return FTS__CLUSTER__V1__ROLE__EXPECTED;
	return member->self && view->replica.leader_name[0] == '\0' ? FTS__CLUSTER__V1__ROLE__CANDIDATE
								    : FTS__CLUSTER__V1__ROLE__FOLLOWER;
}

static void fill(struct ftsi_cluster_view *view, size_t place)
{
	const struct fts_replica_member_status *member = &view->members[place];
	Fts__Cluster__V1__NodeStatus *node = &view->nodes[place];
	fts__cluster__v1__node_status__init(node);
	node->name = text(member->name);
	node->address = text(member->address);
	node->role = role_of(view, member);
	node->alive = member->alive;
	node->applied = member->applied;
	node->digest_ok = member->digest_ok;
	node->version = text(member->version);
	node->format_max = member->format_max;
	node->stalls = member->stalls.count;
	node->stall_max_ms = member->stalls.max_ms;
	view->pointers[place] = node;
}

/* A node that is no member yet still tells of itself. */
static void fill_self(const struct ftsi_cluster *cluster, struct ftsi_cluster_view *view)
{
	Fts__Cluster__V1__NodeStatus *node = &view->nodes[0];
	fts__cluster__v1__node_status__init(node);
	node->name = text(cluster->name);
	node->address = text(cluster->address);
	node->alive = true;
	node->digest_ok = true;
	node->version = text(ftsi_release_version());
	node->format_max = ftsi_release_format_max();
	view->pointers[0] = node;
	view->count = 1;
}

void ftsi_cluster_look(struct ftsi_cluster *cluster, struct ftsi_cluster_view *out_view)
{
	fts_replica_status(cluster->replica, &out_view->replica);
	out_view->count = fts_replica_members(cluster->replica, out_view->members);
	for (size_t i = 0; i < out_view->count; i++)
		fill(out_view, i);
	if (out_view->count == 0) fill_self(cluster, out_view);
}

static void status(struct fts_call *call, const Fts__Cluster__V1__StatusRequest *request, void *ctx)
{
	Fts__Cluster__V1__StatusResponse response = FTS__CLUSTER__V1__STATUS_RESPONSE__INIT;
	struct ftsi_cluster_view view;
	(void)request;
	ftsi_cluster_look(ctx, &view);
	response.leader = view.replica.leader_name;
	response.term = view.replica.term;
	response.index = view.replica.commit_index;
	response.cluster_id = view.replica.cluster_id;
	response.format = view.replica.format;
	response.nodes = view.pointers;
	response.n_nodes = view.count;
	fts_cluster_status_reply(call, &response);
}

static void leader(struct fts_call *call, const Fts__Cluster__V1__LeaderRequest *request, void *ctx)
{
	Fts__Cluster__V1__LeaderResponse response = FTS__CLUSTER__V1__LEADER_RESPONSE__INIT;
	const struct ftsi_cluster *cluster = ctx;
	struct fts_replica_status replica;
	(void)request;
	fts_replica_status(cluster->replica, &replica);
	response.term = replica.term;
	response.name = replica.leader_name;
	response.address = replica.leader_address;
	fts_cluster_leader_reply(call, &response);
}

static void snapshot_read(struct fts_call *call, const Fts__Cluster__V1__SnapshotReadRequest *request, void *ctx)
{
	const struct ftsi_cluster *cluster = ctx;
	ftsi_snapshots_read(cluster->snapshots, call, request);
}

enum fts_status ftsi_cluster_serve(struct ftsi_cluster *cluster, struct fts_error *out_error)
{
	static const struct fts_cluster_handlers handlers = {
	    .status = status, .snapshot_read = snapshot_read,
	    .leader = leader,
	    .join = ftsi_cluster_join,
	    .member_add = ftsi_cluster_member_add,
	    .member_remove = ftsi_cluster_member_remove,
	    .member_replace = ftsi_cluster_member_replace,
	    .member_lead = ftsi_cluster_member_lead,
	};
	return fts_cluster_register(cluster->server, &handlers, cluster, out_error);
}
