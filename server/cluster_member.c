/* Why this file exists: see server/cluster.h; here: how members come and go. Each handler blocks on a worker until the
 * leader has done it (replica/membership.h), so only two of them run at a time: the other workers are for others.
 *
 * A member leaves only when the others have enough copies of what it owns (storage/map_leave.h): until then its removal
 * waits.
 *
 * Asked again after a failure, each goes on where the first one stopped: the configuration tells how far that was. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/address.h"
#include "server/cluster.h"
#include "server/release.h"

#define CHANGE_MAX 2u
#define LOOK_MS 20
#define SPARE_MS 500 /* of a time limit, for the answer */

/* One change that is waited for. */
struct wait {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done; /* guarded by lock */
	struct fts_error error;
};

static void on_done(void *ctx, enum fts_status status, const struct fts_error *error)
{
	struct wait *wait = ctx;
	pthread_mutex_lock(&wait->lock);
	if (error != NULL) wait->error = *error;
	wait->error.status = status;
	wait->done = true;
	pthread_cond_signal(&wait->wake);
	pthread_mutex_unlock(&wait->lock);
}

/* started: what the replica's call returned; wait->error is its error. The end always comes, with its deadline. */
static enum fts_status finish(struct wait *wait, enum fts_status started)
{
	if (started == FTS_OK) {
		pthread_mutex_lock(&wait->lock);
		while (!wait->done)
			pthread_cond_wait(&wait->wake, &wait->lock);
		pthread_mutex_unlock(&wait->lock);
	}
	return wait->error.status;
}

static uint32_t left_ms(const struct fts_call *call)
{
	uint32_t left = fts_clock_left_ms(fts_clock_monotonic_ns(), fts_call_deadline_ns(call));
	return left > 200 ? left - 100 : left / 2 + 1; /* so that the answer is there in time */
}

#define WAIT_INIT                                                                                                      \
	{                                                                                                              \
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER                                    \
	}

static enum fts_status add(struct ftsi_cluster *cluster, struct fts_call *call, const char *name, const char *address,
			   uint64_t node_id, struct fts_error *out_error)
{
	struct wait wait = WAIT_INIT;
	struct ftsi_endpoint endpoint;
	if (!ftsi_address_parse(address, &endpoint) || ftsi_address_is_wildcard(&endpoint))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.100s is no HOST:PORT that others can call",
				     address);
	enum fts_status status = finish(&wait, fts_replica_member_add(cluster->replica, name, address, node_id,
								      left_ms(call), on_done, &wait, &wait.error));
	*out_error = wait.error;
	return status;
}

/* Partitions for which name is needed still; 0 also when this node does not lead: the leader is asked again. */
static uint32_t count_needs(struct ftsi_cluster *cluster, const char *name)
{
	struct ftsi_cluster_view view;
	uint64_t leaves = 0, staying[FTS_REPLICA_MEMBER_MAX];
	size_t count = 0;
	ftsi_cluster_look(cluster, &view);
	for (size_t i = 0; i < view.count; i++) {
		if (!view.members[i].voter) continue;
		if (strcmp(view.members[i].name, name) == 0)
			leaves = view.members[i].node_id;
		else
			staying[count++] = view.members[i].node_id;
	}
	if (count == 0) return 0; /* the last one can't leave at all (replica/membership.h) */
	return view.replica.leader && leaves != 0 ? ftsi_kv_needs(cluster->kv, leaves, staying, count) : 0;
}

static enum fts_status wait_until_spared(struct ftsi_cluster *cluster, struct fts_call *call, const char *name,
					 struct fts_error *out_error)
{
	const struct timespec pause = {0, LOOK_MS * 1000000L};
	uint32_t needs;
	while ((needs = count_needs(cluster, name)) > 0) {
		if (fts_clock_left_ms(fts_clock_monotonic_ns(), fts_call_deadline_ns(call)) > SPARE_MS) {
			nanosleep(&pause, NULL);
			continue;
		}
		(void)fts_error_set(
		    out_error, FTS_FAILED_PRECONDITION,
		    "partitions are being moved, and %s is needed for %u of them: try again when fts-cli status "
		    "shows none on their way; members that are away hold that up: start them",
		    name, needs);
		out_error->executed = FTS_EXECUTED_NO;
		return FTS_FAILED_PRECONDITION;
	}
	return FTS_OK;
}

static enum fts_status drop(struct ftsi_cluster *cluster, struct fts_call *call, const char *name,
			    struct fts_error *out_error)
{
	struct wait wait = WAIT_INIT;
	pthread_mutex_lock(&cluster->drop_lock); /* who left just now is no member any more: the next one looks then */
	enum fts_status status = wait_until_spared(cluster, call, name, out_error);
	if (status == FTS_OK) {
		status = finish(&wait, fts_replica_member_remove(cluster->replica, name, left_ms(call), on_done, &wait,
								 &wait.error));
		*out_error = wait.error;
	}
	pthread_mutex_unlock(&cluster->drop_lock);
	return status;
}

/* ---- Answers ---- */

static void answer(struct ftsi_cluster *cluster, struct fts_call *call, enum fts_status status,
		   const struct fts_error *error)
{
	Fts__Cluster__V1__MemberResponse response = FTS__CLUSTER__V1__MEMBER_RESPONSE__INIT;
	struct ftsi_cluster_view view;
	ftsi_cluster_look(cluster, &view);
	atomic_fetch_sub(&cluster->change_count, 1);
	if (status != FTS_OK) {
		if (status == FTS_UNAVAILABLE && view.replica.leader_address[0] != '\0' && !view.replica.leader)
			fts_call_set_leader(call, view.replica.leader_address);
		fts_call_fail_error(call, error);
		return;
	}
	response.cluster_id = view.replica.cluster_id;
	response.nodes = view.pointers;
	response.n_nodes = view.count;
	fts_call_reply(call, &response.base);
}

/* Take one of the few places. False: the call was refused. */
static bool enter(struct ftsi_cluster *cluster, struct fts_call *call)
{
	if (atomic_fetch_add(&cluster->change_count, 1) < CHANGE_MAX) return true;
	atomic_fetch_sub(&cluster->change_count, 1);
	fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "%u changes of members are under way here: try later", CHANGE_MAX);
	return false;
}

/* Who comes and goes, for the audit log; UNAVAILABLE says only that somebody else was to be asked. */
static void audit(const char *action, const char *name, const char *address, enum fts_status status)
{
	char quoted_name[80], quoted_address[FTSI_ADDRESS_MAX + 16];
	if (status == FTS_UNAVAILABLE) return;
	FTS_LOG_INFO("audit.member", "action=%s name=%s address=%s status=%s", action,
		     fts_log_quote(quoted_name, sizeof quoted_name, name),
		     fts_log_quote(quoted_address, sizeof quoted_address, address), fts_status_name(status));
}

/* ---- Handlers ---- */

/* Members of a cluster of one that listens everywhere could not find it. */
static bool can_be_joined(const struct ftsi_cluster *cluster)
{
	struct ftsi_endpoint self;
	return ftsi_address_parse(cluster->address, &self) && !ftsi_address_is_wildcard(&self);
}

/* Only this machine can call it. */
static bool is_local(const struct ftsi_cluster *cluster)
{
	struct ftsi_endpoint self;
	return ftsi_address_parse(cluster->address, &self) && ftsi_endpoint_is_loopback(&self);
}

/* Before its token is spent: who can't read what this cluster writes would stop at the first entry. */
static bool reads_enough(const struct ftsi_cluster *cluster, struct fts_call *call,
			 const Fts__Cluster__V1__JoinRequest *request)
{
	uint32_t format = fts_replica_format(cluster->replica);
	uint32_t reads = request->format_max < FTS_FORMAT_FIRST ? FTS_FORMAT_FIRST : request->format_max;
	if (reads >= format) return true;
	fts_call_fail(call, FTS_FAILED_PRECONDITION,
		      "the cluster writes format %u, and %.64s is ftsd %.23s, which reads up to %u: start ftsd %s there",
		      format, request->name, request->version, reads, ftsi_release_version());
	return false;
}

void ftsi_cluster_join(struct fts_call *call, const Fts__Cluster__V1__JoinRequest *request, void *ctx)
{
	struct ftsi_cluster *cluster = ctx;
	struct fts_error error;
	if (request->node_id == 0) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "node_id: a node that joins tells its own");
		return;
	}
	if (!can_be_joined(cluster)) {
		fts_call_fail(call, FTS_FAILED_PRECONDITION,
			      "%s is at %s, which no other node can call: start it anew with an address of its own",
			      cluster->name, cluster->address);
		return;
	}
	if (!reads_enough(cluster, call, request) || !enter(cluster, call)) return;
	enum fts_status status = fts_access_admit(cluster->access, fts_call_token(call), request->name,
						  request->node_id, is_local(cluster), left_ms(call), &error);
	if (status == FTS_OK) status = add(cluster, call, request->name, request->address, request->node_id, &error);
	audit("join", request->name, request->address, status);
	answer(cluster, call, status, &error);
}

void ftsi_cluster_member_add(struct fts_call *call, const Fts__Cluster__V1__MemberAddRequest *request, void *ctx)
{
	struct ftsi_cluster *cluster = ctx;
	struct fts_error error;
	if (!enter(cluster, call)) return;
	enum fts_status status = add(cluster, call, request->name, request->address, 0, &error);
	audit("add", request->name, request->address, status);
	answer(cluster, call, status, &error);
}

void ftsi_cluster_member_remove(struct fts_call *call, const Fts__Cluster__V1__MemberRemoveRequest *request, void *ctx)
{
	struct ftsi_cluster *cluster = ctx;
	struct fts_error error;
	if (!enter(cluster, call)) return;
	enum fts_status status = drop(cluster, call, request->name, &error);
	audit("remove", request->name, "", status);
	answer(cluster, call, status, &error);
}

/* Wait until name votes. */
static enum fts_status wait_voter(struct ftsi_cluster *cluster, struct fts_call *call, const char *name,
				  struct fts_error *out_error)
{
	struct ftsi_cluster_view view;
	const struct timespec pause = {0, LOOK_MS * 1000000L};
	for (;;) {
		ftsi_cluster_look(cluster, &view);
		if (!view.replica.leader) return fts_error_set(out_error, FTS_UNAVAILABLE, "this node does not lead");
		for (size_t i = 0; i < view.count; i++)
			if (view.members[i].voter && strcmp(view.members[i].name, name) == 0) return FTS_OK;
		if (fts_clock_monotonic_ns() >= fts_call_deadline_ns(call))
			return fts_error_set(out_error, FTS_DEADLINE_EXCEEDED,
					     "%s does not vote yet: start it with --join; asking again waits for it",
					     name);
		nanosleep(&pause, NULL);
	}
}

static bool is_member(struct ftsi_cluster *cluster, const char *name)
{
	struct ftsi_cluster_view view;
	ftsi_cluster_look(cluster, &view);
	for (size_t i = 0; i < view.count; i++)
		if (strcmp(view.nodes[i].name, name) == 0) return true;
	return false;
}

static enum fts_status replace(struct ftsi_cluster *cluster, struct fts_call *call,
			       const Fts__Cluster__V1__MemberReplaceRequest *request, struct fts_error *out_error)
{
	enum fts_status status;
	bool old_is_there = is_member(cluster, request->old_name);
	if (!old_is_there && !is_member(cluster, request->new_name))
		return fts_error_set(out_error, FTS_NOT_FOUND, "there is no member %s", request->old_name);
	if (strcmp(request->old_name, request->new_name) == 0) { /* it moves: its name is free only once it has gone */
		struct ftsi_cluster_view view;
		ftsi_cluster_look(cluster, &view);
		for (size_t i = 0; i < view.count; i++) {
			bool moves = strcmp(view.members[i].name, request->old_name) == 0 &&
				     strcmp(view.members[i].address, request->new_address) != 0;
			if (moves && (status = drop(cluster, call, request->old_name, out_error)) != FTS_OK)
				return status;
		}
		old_is_there = false;
	}
	status = add(cluster, call, request->new_name, request->new_address, 0, out_error);
	if (status == FTS_OK) status = wait_voter(cluster, call, request->new_name, out_error);
	if (status == FTS_OK && old_is_there) status = drop(cluster, call, request->old_name, out_error);
	return status;
}

void ftsi_cluster_member_replace(struct fts_call *call, const Fts__Cluster__V1__MemberReplaceRequest *request,
				 void *ctx)
{
	struct ftsi_cluster *cluster = ctx;
	struct fts_error error;
	if (!enter(cluster, call)) return;
	enum fts_status status = replace(cluster, call, request, &error);
	audit("replace", request->new_name, request->new_address, status);
	answer(cluster, call, status, &error);
}

void ftsi_cluster_member_lead(struct fts_call *call, const Fts__Cluster__V1__MemberLeadRequest *request, void *ctx)
{
	struct ftsi_cluster *cluster = ctx;
	struct wait wait = WAIT_INIT;
	const char *name = request->name[0] == '\0' ? NULL : request->name;
	if (!enter(cluster, call)) return;
	enum fts_status status =
	    finish(&wait, fts_replica_member_lead(cluster->replica, name, left_ms(call), on_done, &wait, &wait.error));
	audit("lead", request->name, "", status);
	answer(cluster, call, status, &wait.error);
}
