/* Why this file exists: see replica/membership.h.
 *
 * Three things can ask for a change: a call (add, remove), a member that has lost its directory, and a role that is not
 * the last one yet. All end in the same place: one step, chosen anew from raft's configuration each time, until there
 * is none left to take. So whoever leads after a failure goes on without being told what was under way. */
#include "replica/membership.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replica/forming_internal.h"
#include "replica/guards.h"

#define JOB_MAX 16u
#define GONE_MAX 16u
#define GONE_JUST_NOW_NS 10000000000ull
#define HEARD_MAX FTS_REPLICA_MEMBER_MAX
#define HEARD_FRESH_NS 3000000000ull
#define RETRY_NS 1000000000ull /* after a promotion that came to nothing */
#define HAND_OVER_MS 5000
#define NEARLY_THERE 4096u /* entries that a learner may lack when it is promoted */

enum wish { WISH_ADD, WISH_REMOVE };

/* A call that waits for its change. */
struct job {
	struct ftsi_post post; /* first */
	struct job *next;
	enum wish wish;
	char name[FTSI_MEMBER_NAME_BYTES], address[FTSI_MEMBER_ADDRESS_BYTES];
	uint64_t node_id; /* 0: not started yet */
	uint64_t deadline_ns;
	fts_member_fn done;
	void *ctx;
};

enum step_kind { STEP_NONE, STEP_ADD, STEP_ASSIGN, STEP_REMOVE };

/* What to do next. */
struct step {
	enum step_kind kind;
	uint64_t node_id;
	int role;
	char text[FTSI_MEMBER_TEXT_BYTES];
};

struct ftsi_membership {
	struct raft_change change;
	bool changing;
	struct step step; /* under way while changing; wanted while holds */
	bool holds;       /* no entry may go to the disk until the step has been taken */
	uint64_t not_before_ns;
	struct job *first, **last;
	uint32_t job_count;
	struct {
		uint64_t node_id, heard_ns;
	} heard[HEARD_MAX]; /* who has said Hello lately */
	size_t next_heard;
	struct {
		char name[FTSI_MEMBER_NAME_BYTES], address[FTSI_MEMBER_ADDRESS_BYTES];
		uint64_t node_id, heard_ns;
	} lost; /* a member without its directory; heard_ns 0: none */
	struct gone {
		char text[FTSI_MEMBER_TEXT_BYTES];
		uint64_t since_ns;
	} gone[GONE_MAX]; /* who was removed while this node looked on */
	size_t next_gone;
	char members[FTS_REPLICA_MEMBER_MAX][FTSI_MEMBER_TEXT_BYTES]; /* as last looked at */
	size_t member_count;
};

static struct ftsi_membership *get(struct fts_replica *replica)
{
	struct ftsi_membership *membership = replica->membership;
	if (membership != NULL) return membership;
	membership = calloc(1, sizeof *membership);
	if (membership == NULL) return NULL;
	membership->last = &membership->first;
	membership->change.data = replica;
	replica->membership = membership;
	return membership;
}

void ftsi_membership_destroy(struct fts_replica *replica)
{
	free(replica->membership);
	replica->membership = NULL;
}

/* ---- Jobs ---- */

static void end_job(struct job *job, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);
static void end_job(struct job *job, enum fts_status status, const char *format, ...)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_UNKNOWN};
	va_list args;
	va_start(args, format);
	(void)vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	if (status == FTS_OK || status == FTS_NOT_FOUND || status == FTS_ALREADY_EXISTS ||
	    status == FTS_FAILED_PRECONDITION)
		error.executed = FTS_EXECUTED_NO;
	job->done(job->ctx, status, status == FTS_OK ? NULL : &error);
	free(job);
}

/* Take the first job off the list. */
static struct job *take_first(struct ftsi_membership *membership)
{
	struct job *job = membership->first;
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
	struct job **at = &membership->first;
	while (*at != NULL) {
		struct job *job = *at;
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

/* ---- Who is who ---- */

static const struct raft_configuration *configuration_of(const struct fts_replica *replica)
{
	return &replica->raft.configuration;
}

/* The member with this name or this address (either may be NULL); NULL: none. */
static const struct raft_server *find(const struct fts_replica *replica, const char *name, const char *address)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	for (unsigned i = 0; i < configuration->n; i++) {
		char its_name[FTSI_MEMBER_NAME_BYTES], its_address[FTSI_MEMBER_ADDRESS_BYTES];
		ftsi_member_split(configuration->servers[i].address, its_name, its_address);
		if (name != NULL && strcmp(its_name, name) == 0) return &configuration->servers[i];
		if (address != NULL && strcmp(its_address, address) == 0) return &configuration->servers[i];
	}
	return NULL;
}

static bool has_text(const struct raft_server *server, const char *name, const char *address)
{
	char text[FTSI_MEMBER_TEXT_BYTES];
	return strcmp(server->address, ftsi_member_text(name, address, text)) == 0;
}

static bool is_alive(struct fts_replica *replica, uint64_t node_id)
{
	const struct ftsi_member *member;
	if (node_id == replica->identity.node_id) return true;
	member = ftsi_member_by_id(replica, node_id);
	return member != NULL && ftsi_member_is_alive(replica, member);
}

static bool was_heard(const struct ftsi_membership *membership, uint64_t node_id, uint64_t now_ns)
{
	for (size_t i = 0; i < HEARD_MAX; i++) {
		if (membership->heard[i].node_id == node_id && membership->heard[i].heard_ns != 0)
			return now_ns - membership->heard[i].heard_ns < HEARD_FRESH_NS;
	}
	return false;
}

void ftsi_membership_heard(struct fts_replica *replica, uint64_t node_id)
{
	struct ftsi_membership *membership = get(replica);
	size_t at = 0;
	if (membership == NULL) return;
	while (at < HEARD_MAX && membership->heard[at].node_id != node_id)
		at++;
	if (at == HEARD_MAX) at = membership->next_heard++ % HEARD_MAX;
	membership->heard[at].node_id = node_id;
	membership->heard[at].heard_ns = ftsi_now_ns(replica);
}

void ftsi_membership_hello(struct fts_replica *replica, const char *name, const char *address, uint64_t node_id)
{
	struct ftsi_membership *membership = get(replica);
	if (membership == NULL) return;
	(void)snprintf(membership->lost.name, sizeof membership->lost.name, "%s", name);
	(void)snprintf(membership->lost.address, sizeof membership->lost.address, "%s", address);
	membership->lost.node_id = node_id;
	membership->lost.heard_ns = ftsi_now_ns(replica);
	ftsi_membership_heard(replica, node_id);
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
		alive += is_alive(replica, server->id) ? 1 : 0;
	}
	return voters > 0 && alive > voters / 2;
}

/* ---- Who was there ---- */

static bool is_configured(const struct fts_replica *replica, const char *text)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	for (unsigned i = 0; i < configuration->n; i++)
		if (strcmp(configuration->servers[i].address, text) == 0) return true;
	return false;
}

/* Who stood in the configuration and does so no more: so that a removal asked for twice is told from a mistake, and a
 * member whose new id has yet to come from a stranger. */
void ftsi_membership_configured(struct fts_replica *replica)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	struct ftsi_membership *membership = get(replica);
	if (membership == NULL) return;
	for (size_t i = 0; i < membership->member_count; i++) {
		if (is_configured(replica, membership->members[i])) continue;
		struct gone *gone = &membership->gone[membership->next_gone++ % GONE_MAX];
		(void)snprintf(gone->text, sizeof gone->text, "%s", membership->members[i]);
		gone->since_ns = ftsi_now_ns(replica);
	}
	membership->member_count = 0;
	for (unsigned i = 0; i < configuration->n && membership->member_count < FTS_REPLICA_MEMBER_MAX; i++)
		(void)snprintf(membership->members[membership->member_count++], FTSI_MEMBER_TEXT_BYTES, "%s",
			       configuration->servers[i].address);
}

static bool is_gone(const struct ftsi_membership *membership, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = 0; i < GONE_MAX; i++)
		if (strncmp(membership->gone[i].text, name, size) == 0 && membership->gone[i].text[size] == '=')
			return true;
	return false;
}

bool ftsi_membership_left_just_now(struct fts_replica *replica, const char *text)
{
	const struct ftsi_membership *membership = replica->membership;
	uint64_t now_ns = ftsi_now_ns(replica);
	for (size_t i = 0; i < GONE_MAX && membership != NULL; i++)
		if (strcmp(membership->gone[i].text, text) == 0 &&
		    now_ns - membership->gone[i].since_ns < GONE_JUST_NOW_NS)
			return true;
	return false;
}

/* ---- Choosing the next step ---- */

static struct step step_add(struct fts_replica *replica, const char *name, const char *address, uint64_t node_id)
{
	/* Who is not started yet has no id: one that nobody has holds its place. */
	struct step step = {.kind = STEP_ADD, .node_id = node_id != 0 ? node_id : ftsi_forming_random(replica)};
	(void)ftsi_member_text(name, address, step.text);
	return step;
}

static struct step step_remove(const struct raft_server *server)
{
	struct step step = {.kind = STEP_REMOVE, .node_id = server->id};
	(void)snprintf(step.text, sizeof step.text, "%s", server->address);
	return step;
}

/* True: job has ended. Otherwise *out_step is what it needs next (none: it waits). */
static bool judge_add(struct fts_replica *replica, struct job *job, struct step *out_step)
{
	const struct raft_server *server = find(replica, job->name, job->address);
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
	if (other && server->role != RAFT_SPARE && is_alive(replica, server->id)) {
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
		     (server->role == RAFT_STANDBY || was_heard(membership, server->id, now_ns));
	if (waits) return false;
	end_job(job, FTS_OK, "%s", "");
	return true;
}

static void nobody_waits(void *ctx, enum fts_status status, const struct fts_error *error)
{
	(void)ctx, (void)status, (void)error; /* the next leader is asked again */
}

static bool judge_remove(struct fts_replica *replica, struct job *job, struct step *out_step)
{
	const struct raft_server *server = find(replica, job->name, NULL);
	if (server == NULL) {
		if (is_gone(replica->membership, job->name))
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
static struct step step_for_lost(struct fts_replica *replica, struct ftsi_membership *membership, uint64_t now_ns)
{
	struct step none = {.kind = STEP_NONE};
	if (membership->lost.heard_ns == 0) return none;
	if (now_ns - membership->lost.heard_ns > HEARD_FRESH_NS) {
		membership->lost.heard_ns = 0;
		return none;
	}
	char text[FTSI_MEMBER_TEXT_BYTES];
	bool left_just_now = ftsi_membership_left_just_now(
	    replica, ftsi_member_text(membership->lost.name, membership->lost.address, text));
	const struct raft_server *server = find(replica, membership->lost.name, membership->lost.address);
	if (server == NULL && !left_just_now) return none;
	if (server == NULL) /* its old id has gone */
		return step_add(replica, membership->lost.name, membership->lost.address, membership->lost.node_id);
	if (!has_text(server, membership->lost.name, membership->lost.address) ||
	    server->id == membership->lost.node_id) {
		membership->lost.heard_ns = 0;
		return none;
	}
	if (is_alive(replica, server->id)) return none;
	if (server->role == RAFT_VOTER && !may_go(replica, server->id)) return none;
	FTS_LOG_WARN("cluster.member_lost_its_directory", "node=%s member=%s old=%016llx new=%016llx", replica->name,
		     server->address, server->id, (unsigned long long)membership->lost.node_id);
	return step_remove(server);
}

static struct step step_assign(const struct raft_server *server, int role)
{
	struct step step = {.kind = STEP_ASSIGN, .node_id = server->id, .role = role};
	(void)snprintf(step.text, sizeof step.text, "%s", server->address);
	return step;
}

/* Roles that are not the last ones. */
static struct step step_for_roles(struct fts_replica *replica, struct ftsi_membership *membership, uint64_t now_ns)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		const struct ftsi_member *member = ftsi_member_by_id(replica, server->id);
		if (server->role == RAFT_SPARE && was_heard(membership, server->id, now_ns))
			return step_assign(server, RAFT_STANDBY);
		if (server->role != RAFT_STANDBY || member == NULL || !ftsi_member_is_alive(replica, member)) continue;
		if (now_ns < membership->not_before_ns || member->applied == 0) continue;
		if (member->applied + NEARLY_THERE >= replica->raft.commit_index)
			return step_assign(server, RAFT_VOTER);
	}
	return (struct step){.kind = STEP_NONE};
}

static struct step step_for_jobs(struct fts_replica *replica, struct ftsi_membership *membership)
{
	struct step step = {.kind = STEP_NONE};
	struct job **at = &membership->first;
	if (*at != NULL) ftsi_members_tell(replica); /* who is answered sees the members as they are */
	while (*at != NULL) {
		struct job *job = *at, *next = job->next;
		bool ended = job->wish == WISH_ADD ? judge_add(replica, job, &step) : judge_remove(replica, job, &step);
		if (step.kind != STEP_NONE) return step;
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

static struct step next_step(struct fts_replica *replica, struct ftsi_membership *membership)
{
	uint64_t now_ns = ftsi_now_ns(replica);
	struct step step = step_for_jobs(replica, membership);
	if (step.kind == STEP_NONE) step = step_for_lost(replica, membership, now_ns);
	if (step.kind == STEP_NONE) step = step_for_roles(replica, membership, now_ns);
	return step;
}

/* ---- Taking it ---- */

static const char *describe(const struct step *step)
{
	if (step->kind == STEP_ADD) return "added";
	if (step->kind == STEP_REMOVE) return "removed";
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
	if (membership->step.kind == STEP_REMOVE)
		ftsi_forming_tell_removed(replica, membership->step.text, membership->step.node_id);
}

static int take_step(struct fts_replica *replica, struct ftsi_membership *membership)
{
	const struct step *step = &membership->step;
	struct raft *raft = &replica->raft;
	switch (step->kind) {
	case STEP_ADD:
		return raft_add(raft, &membership->change, step->node_id, step->text, changed);
	case STEP_ASSIGN:
		return raft_assign(raft, &membership->change, step->node_id, step->role, changed);
	case STEP_REMOVE:
		return raft_remove(raft, &membership->change, step->node_id, changed);
	case STEP_NONE:
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
	struct step step = next_step(replica, membership);
	if (step.kind == STEP_NONE) return;
	membership->step = step;
	membership->holds = true; /* taken at the end of the turn in which nothing is on its way to the disk */
}

void ftsi_membership_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_membership *membership = get(replica);
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
	struct job *job = (struct job *)(void *)post;
	struct ftsi_membership *membership = get(replica);
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

static enum fts_status give_job(struct fts_replica *replica, const struct job *wanted, uint32_t timeout_ms,
				struct fts_error *out_error)
{
	struct job *job = malloc(sizeof *job);
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
	struct job job = {.wish = WISH_ADD, .node_id = node_id, .done = done, .ctx = ctx};
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
	struct job job = {.wish = WISH_REMOVE, .done = done, .ctx = ctx};
	if (name[0] == '\0' || strlen(name) >= sizeof job.name)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a member's name has 1 to %zu bytes",
				     sizeof job.name - 1);
	(void)snprintf(job.name, sizeof job.name, "%s", name);
	return give_job(replica, &job, timeout_ms, out_error);
}
