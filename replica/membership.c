/* Why this file exists: see replica/membership.h.
 *
 * Three things can ask for a change: a call (add, remove), a member that has lost its directory, and a role that is not
 * the last one yet. All end in the same place: one step, chosen anew from raft's configuration each time, until there
 * is none left to take. So whoever leads after a failure goes on without being told what was under way. */
#include "replica/membership_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replica/guards.h"

#define JOB_MAX 16u
#define RETRY_NS 1000000000ull /* after a promotion that came to nothing */
#define HAND_OVER_MS 5000
#define NEARLY_THERE 4096u /* entries that a learner may lack when it is promoted */

enum wish { WISH_ADD, WISH_REMOVE };

/* A call that waits for its change. */
struct ftsi_member_job {
	struct ftsi_post post; /* first */
	struct ftsi_member_job *next;
	enum wish wish;
	char name[FTSI_MEMBER_NAME_BYTES], address[FTSI_MEMBER_ADDRESS_BYTES];
	uint64_t node_id; /* 0: not started yet */
	uint64_t deadline_ns;
	bool begun; /* a step was taken for it */
	fts_member_fn done;
	void *ctx;
};

/* ---- Jobs ---- */

static void end_job(struct ftsi_member_job *job, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);
static void end_job(struct ftsi_member_job *job, enum fts_status status, const char *format, ...)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_UNKNOWN};
	va_list args;
	va_start(args, format);
	(void)vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	if (!job->begun || status == FTS_OK || status == FTS_NOT_FOUND || status == FTS_ALREADY_EXISTS ||
	    status == FTS_FAILED_PRECONDITION)
		error.executed = FTS_EXECUTED_NO;
	job->done(job->ctx, status, status == FTS_OK ? NULL : &error);
	free(job);
}

/* Take the first job off the list. */
static struct ftsi_member_job *take_first(struct ftsi_membership *membership)
{
	struct ftsi_member_job *job = membership->first;
	membership->first = job->next;
	if (membership->first == NULL) membership->last = &membership->first;
	membership->job_count--;
	return job;
}

static void end_all(struct ftsi_membership *membership, const char *detail)
{
	while (membership->first != NULL)
		end_job(take_first(membership), FTS_UNAVAILABLE, "%s", detail);
}

static void expire(struct ftsi_membership *membership, uint64_t now_ns)
{
	struct ftsi_member_job **at = &membership->first;
	while (*at != NULL) {
		struct ftsi_member_job *job = *at;
		if (job->deadline_ns > now_ns) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		if (*at == NULL) membership->last = at;
		membership->job_count--;
		end_job(job, FTS_DEADLINE_EXCEEDED,
			"%s: the change was not done in time; it goes on, and asking again waits for it", job->name);
	}
}

/* ---- Choosing the next step ---- */

static const struct raft_configuration *configuration_of(const struct fts_replica *replica)
{
	return &replica->raft.configuration;
}

static bool has_text(const struct raft_server *server, const char *name, const char *address)
{
	char text[FTSI_MEMBER_TEXT_BYTES];
	return strcmp(server->address, ftsi_member_text(name, address, text)) == 0;
}

/* Without node_id, and what is alive now, would there be a majority? */
static bool may_go(struct fts_replica *replica, uint64_t node_id)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	unsigned voters = 0, alive = 0;
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		if (server->role != RAFT_VOTER || server->id == node_id) continue;
		voters++;
		alive += ftsi_membership_is_alive(replica, server->id) ? 1 : 0;
	}
	return voters > 0 && alive > voters / 2;
}

static struct ftsi_step step_add(struct fts_replica *replica, const char *name, const char *address, uint64_t node_id)
{
	/* Who is not started yet has no id: one that nobody has holds its place. */
	struct ftsi_step step = {.kind = FTSI_STEP_ADD,
				 .node_id = node_id != 0 ? node_id : ftsi_forming_random(replica)};
	(void)ftsi_member_text(name, address, step.text);
	return step;
}

static struct ftsi_step step_remove(const struct raft_server *server)
{
	struct ftsi_step step = {.kind = FTSI_STEP_REMOVE, .node_id = server->id};
	(void)snprintf(step.text, sizeof step.text, "%s", server->address);
	return step;
}

/* True: job has ended. Otherwise *out_step is what it needs next (none: it waits). */
static bool judge_add(struct fts_replica *replica, struct ftsi_member_job *job, struct ftsi_step *out_step)
{
	const struct raft_server *server = ftsi_membership_find(replica, job->name, job->address);
	struct ftsi_membership *membership = replica->membership;
	uint64_t now_ns = ftsi_now_ns(replica);
	if (server == NULL && configuration_of(replica)->n >= FTS_REPLICA_MEMBER_MAX) {
		end_job(job, FTS_FAILED_PRECONDITION, "a cluster has at most %d members", FTS_REPLICA_MEMBER_MAX);
		return true;
	}
	if (server == NULL) {
		*out_step = step_add(replica, job->name, job->address, job->node_id);
		return false;
	}
	if (!has_text(server, job->name, job->address)) {
		end_job(job, FTS_ALREADY_EXISTS, "%s@%s: there is %s already, by name or address", job->name,
			job->address, server->address);
		return true;
	}
	bool other = job->node_id != 0 && server->id != job->node_id;
	if (other && server->role != RAFT_SPARE && ftsi_membership_is_alive(replica, server->id)) {
		end_job(job, FTS_ALREADY_EXISTS, "%s runs already, with another directory", server->address);
		return true;
	}
	if (other) {
		if (server->role == RAFT_VOTER && !may_go(replica, server->id)) return false;
		*out_step = step_remove(server);
		return false;
	}
	/* It has its place. Who has asked for itself gets to know by Form; who is not there yet is expected. */
	bool waits = job->node_id == 0 && server->role != RAFT_VOTER &&
		     (server->role == RAFT_STANDBY || ftsi_membership_was_heard(membership, server->id, now_ns));
	if (waits) return false;
	end_job(job, FTS_OK, "%s", "");
	return true;
}

static void nobody_waits(void *ctx, enum fts_status status, const struct fts_error *error)
{
	(void)ctx, (void)status, (void)error; /* the next leader is asked again */
}

static bool judge_remove(struct fts_replica *replica, struct ftsi_member_job *job, struct ftsi_step *out_step)
{
	const struct raft_server *server = ftsi_membership_find(replica, job->name, NULL);
	if (server == NULL) {
		ftsi_membership_configured(replica); /* it may have gone in this very turn */
		if (job->begun || ftsi_membership_is_gone(replica->membership, job->name))
			end_job(job, FTS_OK, "%s", "");
		else
			end_job(job, FTS_NOT_FOUND, "there is no member %s", job->name);
		return true;
	}
	if (server->role == RAFT_VOTER && !may_go(replica, server->id)) {
		end_job(
		    job, FTS_FAILED_PRECONDITION,
		    "without %s the members that are alive would be no majority: start the others, or add one first",
		    job->name);
		return true;
	}
	if (server->id == replica->identity.node_id) {
		struct fts_error error;
		enum fts_status ignored =
		    fts_replica_member_lead(replica, NULL, HAND_OVER_MS, nobody_waits, NULL, &error);
		(void)ignored;
		end_job(job, FTS_UNAVAILABLE, "%s leads: it hands leadership over first", job->name);
		return true;
	}
	*out_step = step_remove(server);
	return false;
}

/* A member that is back without its directory: its old id goes, its new one comes. */
static struct ftsi_step step_for_lost(struct fts_replica *replica, struct ftsi_membership *membership, uint64_t now_ns)
{
	struct ftsi_step none = {.kind = FTSI_STEP_NONE};
	if (membership->lost.heard_ns == 0) return none;
	if (now_ns - membership->lost.heard_ns > FTSI_HEARD_FRESH_NS) {
		membership->lost.heard_ns = 0;
		return none;
	}
	char text[FTSI_MEMBER_TEXT_BYTES];
	bool left_just_now = ftsi_membership_left_just_now(
	    replica, ftsi_member_text(membership->lost.name, membership->lost.address, text));
	const struct raft_server *server =
	    ftsi_membership_find(replica, membership->lost.name, membership->lost.address);
	if (server == NULL && !left_just_now) return none;
	if (server == NULL) /* its old id has gone */
		return step_add(replica, membership->lost.name, membership->lost.address, membership->lost.node_id);
	if (!has_text(server, membership->lost.name, membership->lost.address) ||
	    server->id == membership->lost.node_id) {
		membership->lost.heard_ns = 0;
		return none;
	}
	if (ftsi_membership_is_alive(replica, server->id)) return none;
	if (server->role == RAFT_VOTER && !may_go(replica, server->id)) return none;
	FTS_LOG_WARN("cluster.member_lost_its_directory", "node=%s member=%s old=%016llx new=%016llx", replica->name,
		     server->address, server->id, (unsigned long long)membership->lost.node_id);
	return step_remove(server);
}

static struct ftsi_step step_assign(const struct raft_server *server, int role)
{
	struct ftsi_step step = {.kind = FTSI_STEP_ASSIGN, .node_id = server->id, .role = role};
	(void)snprintf(step.text, sizeof step.text, "%s", server->address);
	return step;
}

/* Roles that are not the last ones. */
static struct ftsi_step step_for_roles(struct fts_replica *replica, struct ftsi_membership *membership, uint64_t now_ns)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		const struct ftsi_member *member = ftsi_member_by_id(replica, server->id);
		if (server->role == RAFT_SPARE && ftsi_membership_was_heard(membership, server->id, now_ns))
			return step_assign(server, RAFT_STANDBY);
		if (server->role != RAFT_STANDBY || member == NULL || !ftsi_member_is_alive(replica, member)) continue;
		if (now_ns < membership->not_before_ns || member->applied == 0) continue;
		if (member->applied + NEARLY_THERE >= replica->raft.commit_index)
			return step_assign(server, RAFT_VOTER);
	}
	return (struct ftsi_step){.kind = FTSI_STEP_NONE};
}

static struct ftsi_step step_for_jobs(struct fts_replica *replica, struct ftsi_membership *membership)
{
	struct ftsi_step step = {.kind = FTSI_STEP_NONE};
	struct ftsi_member_job **at = &membership->first;
	if (*at != NULL) ftsi_members_tell(replica); /* who is answered sees the members as they are */
	while (*at != NULL) {
		struct ftsi_member_job *job = *at, *next = job->next;
		bool ended = job->wish == WISH_ADD ? judge_add(replica, job, &step) : judge_remove(replica, job, &step);
		if (step.kind != FTSI_STEP_NONE) {
			job->begun = true;
			return step;
		}
		if (!ended) {
			at = &job->next;
			continue;
		}
		*at = next;
		if (next == NULL) membership->last = at;
		membership->job_count--;
	}
	return step;
}

static struct ftsi_step next_step(struct fts_replica *replica, struct ftsi_membership *membership)
{
	uint64_t now_ns = ftsi_now_ns(replica);
	struct ftsi_step step = step_for_jobs(replica, membership);
	if (step.kind == FTSI_STEP_NONE) step = step_for_lost(replica, membership, now_ns);
	if (step.kind == FTSI_STEP_NONE) step = step_for_roles(replica, membership, now_ns);
	return step;
}

/* ---- Taking it ---- */

static const char *describe(const struct ftsi_step *step)
{
	if (step->kind == FTSI_STEP_ADD) return "added";
	if (step->kind == FTSI_STEP_REMOVE) return "removed";
	return step->role == RAFT_VOTER ? "voter" : "learner";
}

static void changed(struct raft_change *change, int status)
{
	struct fts_replica *replica = change->data;
	struct ftsi_membership *membership = replica->membership;
	membership->changing = false;
	if (status != 0) {
		membership->not_before_ns = ftsi_now_ns(replica) + RETRY_NS;
		FTS_LOG_INFO("cluster.change_failed", "node=%s member=%s to=%s reason=\"%s\"", replica->name,
			     membership->step.text, describe(&membership->step), raft_strerror(status));
		return;
	}
	FTS_LOG_INFO("cluster.changed", "node=%s member=%s id=%016llx to=%s index=%llu", replica->name,
		     membership->step.text, (unsigned long long)membership->step.node_id, describe(&membership->step),
		     replica->raft.commit_index);
	if (membership->step.kind == FTSI_STEP_REMOVE)
		ftsi_forming_tell_removed(replica, membership->step.text, membership->step.node_id);
}

static int take_step(struct fts_replica *replica, struct ftsi_membership *membership)
{
	const struct ftsi_step *step = &membership->step;
	struct raft *raft = &replica->raft;
	switch (step->kind) {
	case FTSI_STEP_ADD:
		return raft_add(raft, &membership->change, step->node_id, step->text, changed);
	case FTSI_STEP_ASSIGN:
		return raft_assign(raft, &membership->change, step->node_id, step->role, changed);
	case FTSI_STEP_REMOVE:
		return raft_remove(raft, &membership->change, step->node_id, changed);
	case FTSI_STEP_NONE:
		break;
	}
	return 0;
}

static void begin_step(struct fts_replica *replica, struct ftsi_membership *membership)
{
	membership->changing = true;
	int result = take_step(replica, membership);
	if (result == 0) return;
	membership->changing = false;
	membership->not_before_ns = ftsi_now_ns(replica) + RETRY_NS;
	/* raft_assign leaves its request behind when it fails, to be ended by whatever commits next. */
	if (replica->raft.state == RAFT_LEADER && replica->raft.leader_state.change == &membership->change)
		replica->raft.leader_state.change = NULL;
	FTS_LOG_INFO("cluster.change_failed", "node=%s member=%s to=%s reason=\"%s\"", replica->name,
		     membership->step.text, describe(&membership->step), raft_strerror(result));
}

/* raft takes one change at a time, from a leader that is not handing over. */
static bool may_change(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	return raft->state == RAFT_LEADER && raft->transfer == NULL && raft->configuration_uncommitted_index == 0 &&
	       raft->leader_state.promotee_id == 0 && raft->leader_state.change == NULL;
}

void ftsi_membership_turn(struct fts_replica *replica)
{
	struct ftsi_membership *membership = replica->membership;
	if (membership == NULL || !membership->holds) return;
	if (!atomic_load(&replica->serving) || !may_change(replica)) {
		membership->holds = false;
		return;
	}
	if (!ftsi_guard_may_append(replica)) return;
	membership->holds = false;
	begin_step(replica, membership);
}

bool ftsi_membership_holds(const struct fts_replica *replica)
{
	return replica->membership != NULL && replica->membership->holds;
}

static void look(struct fts_replica *replica, struct ftsi_membership *membership)
{
	if (membership->changing || membership->holds || !may_change(replica)) return;
	struct ftsi_step step = next_step(replica, membership);
	if (step.kind == FTSI_STEP_NONE) return;
	membership->step = step;
	membership->holds = true; /* taken at the end of the turn in which nothing is on its way to the disk */
}

void ftsi_membership_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_membership *membership = ftsi_membership_get(replica);
	if (membership == NULL) return;
	if (!atomic_load(&replica->serving)) {
		end_all(membership, "this node does not lead");
		return;
	}
	look(replica, membership);
	expire(membership, now_ns);
}

void ftsi_membership_stop(struct fts_replica *replica, const char *detail)
{
	if (replica->membership != NULL) end_all(replica->membership, detail);
}

/* ---- Calls ---- */

static void take_job(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_member_job *job = (struct ftsi_member_job *)(void *)post;
	struct ftsi_membership *membership = ftsi_membership_get(replica);
	if (membership == NULL || replica->stopping || !atomic_load(&replica->serving)) {
		end_job(job, FTS_UNAVAILABLE, "this node does not lead");
		return;
	}
	if (membership->job_count == JOB_MAX) {
		end_job(job, FTS_RESOURCE_EXHAUSTED, "%u changes of members are waiting already: try later", JOB_MAX);
		return;
	}
	job->next = NULL;
	*membership->last = job;
	membership->last = &job->next;
	membership->job_count++;
	look(replica, membership);
}

static enum fts_status give_job(struct fts_replica *replica, const struct ftsi_member_job *wanted, uint32_t timeout_ms,
				struct fts_error *out_error)
{
	struct ftsi_member_job *job = malloc(sizeof *job);
	if (job == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a change of members");
	*job = *wanted;
	job->post.run = take_job;
	job->deadline_ns = ftsi_now_ns(replica) + (uint64_t)timeout_ms * 1000000u;
	if (atomic_load(&replica->serving) && ftsi_mailbox_post(&replica->mailbox, &job->post)) return FTS_OK;
	free(job);
	return fts_error_set(out_error, FTS_UNAVAILABLE, "this node does not lead");
}

enum fts_status fts_replica_member_add(struct fts_replica *replica, const char *name, const char *address,
				       uint64_t node_id, uint32_t timeout_ms, fts_member_fn done, void *ctx,
				       struct fts_error *out_error)
{
	struct ftsi_member_job job = {.wish = WISH_ADD, .node_id = node_id, .done = done, .ctx = ctx};
	if (name[0] == '\0' || strlen(name) >= sizeof job.name || strchr(name, '=') != NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a member's name has 1 to %zu bytes",
				     sizeof job.name - 1);
	if (address[0] == '\0' || strlen(address) >= sizeof job.address)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a member's address is HOST:PORT");
	(void)snprintf(job.name, sizeof job.name, "%s", name);
	(void)snprintf(job.address, sizeof job.address, "%s", address);
	return give_job(replica, &job, timeout_ms, out_error);
}

enum fts_status fts_replica_member_remove(struct fts_replica *replica, const char *name, uint32_t timeout_ms,
					  fts_member_fn done, void *ctx, struct fts_error *out_error)
{
	struct ftsi_member_job job = {.wish = WISH_REMOVE, .done = done, .ctx = ctx};
	if (name[0] == '\0' || strlen(name) >= sizeof job.name)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a member's name has 1 to %zu bytes",
				     sizeof job.name - 1);
	(void)snprintf(job.name, sizeof job.name, "%s", name);
	return give_job(replica, &job, timeout_ms, out_error);
}
