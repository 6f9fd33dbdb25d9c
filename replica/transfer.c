/* Why this file exists: leadership handed to another node: because somebody asks for it, because this node stops, or
 * because its disk is slow or full while another one's is not.
 *
 * | phase | what happens                                                                                             |
 * | QUIET | no command goes into the log any more; what is in it is finished                                         |
 * | ASKED | the target was told to stand for election (TimeoutNow); libraft takes no commands                        |
 * | OVER  | this node has stepped down; it waits until it hears who leads                                            |
 *
 * Invariants: commands that come meanwhile wait, and go on here when the target does not take over. A transfer ends by
 * its deadline. Each call is answered exactly once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replica/guards.h"

enum { SLOW_MIN_MS = 300, STUCK_FACTOR = 3, SLOW_AFTER_MS = 10000, RETRY_MS = 5000 };

struct ftsi_lead_call {
	struct ftsi_post post; /* first: how it comes to the loop */
	struct ftsi_lead_call *next;
	fts_member_fn done;
	void *ctx;
	uint64_t deadline_ns;
	char name[64]; /* "": whoever is best placed */
};

bool ftsi_transfer_holds(const struct fts_replica *replica)
{
	return replica->transfer.phase == FTSI_HANDING_QUIET || replica->transfer.phase == FTSI_HANDING_ASKED;
}

/* ---- Ends ---- */

static void answer(struct ftsi_lead_call *call, enum fts_status status, const char *detail)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_UNKNOWN};
	(void)snprintf(error.detail, sizeof error.detail, "%s", detail);
	if (call->done != NULL) call->done(call->ctx, status, status == FTS_OK ? NULL : &error);
	free(call);
}

static void finish(struct fts_replica *replica, enum fts_status status, const char *detail)
{
	struct ftsi_lead_call *call = replica->transfer.calls;
	replica->transfer.calls = NULL;
	replica->transfer.phase = FTSI_HANDING_NOT;
	while (call != NULL) {
		struct ftsi_lead_call *next = call->next;
		answer(call, status, detail);
		call = next;
	}
}

void ftsi_transfer_end(struct fts_replica *replica, const char *detail)
{
	if (replica->transfer.phase != FTSI_HANDING_NOT) finish(replica, FTS_UNAVAILABLE, detail);
}

/* ---- To whom ---- */

static bool is_voter(const struct fts_replica *replica, const struct ftsi_member *member)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	for (unsigned i = 0; i < configuration->n; i++)
		if (configuration->servers[i].id == member->node_id)
			return configuration->servers[i].role == RAFT_VOTER;
	return false;
}

static bool is_fit(const struct fts_replica *replica, const struct ftsi_member *member)
{
	return member->configured && member->connected && !member->disk_full && !member->disk_slow &&
	       !member->doubted && is_voter(replica, member);
}

/* The live voter that has most of the log; the lowest id of several. NULL: none. */
static const struct ftsi_member *best(struct fts_replica *replica)
{
	const struct ftsi_member *found = NULL;
	uint64_t found_match = 0;
	for (size_t i = 0; i < replica->members.count; i++) {
		const struct ftsi_member *member = &replica->members.each[i];
		uint64_t match = ftsi_member_match_index(replica, member);
		if (!is_fit(replica, member)) continue;
		if (found != NULL &&
		    (match < found_match || (match == found_match && member->node_id > found->node_id)))
			continue;
		found = member;
		found_match = match;
	}
	return found;
}

static const struct ftsi_member *by_name(struct fts_replica *replica, const char *name)
{
	for (size_t i = 0; i < replica->members.count; i++)
		if (replica->members.each[i].configured && strcmp(replica->members.each[i].name, name) == 0)
			return &replica->members.each[i];
	return NULL;
}

/* ---- Steps ---- */

static void begin(struct fts_replica *replica, const struct ftsi_member *target, uint64_t deadline_ns, bool hurry)
{
	struct ftsi_transfer *transfer = &replica->transfer;
	transfer->phase = FTSI_HANDING_QUIET;
	transfer->target = target->node_id;
	transfer->deadline_ns = deadline_ns;
	transfer->hurry = hurry;
	FTS_LOG_INFO("replica.handing_over", "node=%s to=%s term=%llu", replica->name, target->name,
		     replica->raft.current_term);
}

static void ask_target(struct fts_replica *replica)
{
	struct ftsi_transfer *transfer = &replica->transfer;
	if (!transfer->hurry && (replica->inflight.active || replica->append_worker.open_count > 0)) return;
	if (raft_transfer(&replica->raft, &transfer->request, transfer->target, NULL) == 0)
		transfer->phase = FTSI_HANDING_ASKED;
	else
		finish(replica, FTS_UNAVAILABLE, "the node to lead can't be asked now");
}

void ftsi_transfer_turn(struct fts_replica *replica)
{
	struct ftsi_transfer *transfer = &replica->transfer;
	bool leads = raft_state(&replica->raft) == RAFT_LEADER;
	if (transfer->phase == FTSI_HANDING_NOT) return;
	if (!leads && transfer->phase != FTSI_HANDING_OVER) transfer->phase = FTSI_HANDING_OVER;
	if (transfer->phase == FTSI_HANDING_QUIET) ask_target(replica);
	if (transfer->phase == FTSI_HANDING_ASKED && replica->raft.transfer == NULL) /* libraft gave it up */
		finish(replica, FTS_UNAVAILABLE, "the node to lead did not take over in time");
	if (transfer->phase == FTSI_HANDING_OVER && atomic_load(&replica->leads) == FTSI_LEADS_OTHER)
		finish(replica, replica->elections.leader_id == transfer->target ? FTS_OK : FTS_UNAVAILABLE,
		       "another node than the one to lead has taken over");
	if (transfer->phase == FTSI_HANDING_OVER && atomic_load(&replica->serving))
		finish(replica, FTS_UNAVAILABLE, "the node to lead did not take over");
	if (transfer->phase != FTSI_HANDING_NOT && replica->now_ns >= transfer->deadline_ns) {
		replica->raft.transfer = NULL;
		finish(replica, FTS_UNAVAILABLE, "the node to lead did not take over in time");
	}
}

/* ---- A leader that leads badly ---- */

static uint64_t slow_ns(const struct fts_replica *replica)
{
	return (uint64_t)(replica->election_ms > SLOW_MIN_MS ? replica->election_ms : SLOW_MIN_MS) * 1000000;
}

void ftsi_transfer_appended(struct fts_replica *replica)
{
	bool slow = replica->now_ns - replica->append_began_ns > slow_ns(replica);
	replica->slow_append_count = slow ? replica->slow_append_count + 1 : 0;
}

/* One slow append is a hiccup, of a busy processor perhaps; the second is a slow disk, and so is one that does not end.
 */
static bool appends_are_slow(const struct fts_replica *replica, uint64_t now_ns)
{
	uint64_t waited_ns = replica->append_began_ns == 0 ? 0 : now_ns - replica->append_began_ns;
	return waited_ns > slow_ns(replica) * (replica->slow_append_count > 0 ? 1 : STUCK_FACTOR);
}

static void note_slowness(struct fts_replica *replica, uint64_t now_ns)
{
	bool was_slow = atomic_load(&replica->disk_slow), slow;
	if (appends_are_slow(replica, now_ns)) replica->disk_slow_ns = now_ns;
	slow = replica->disk_slow_ns != 0 && now_ns - replica->disk_slow_ns < (uint64_t)SLOW_AFTER_MS * 1000000;
	if (slow == was_slow) return;
	atomic_store(&replica->disk_slow, slow);
	if (slow)
		FTS_LOG_WARN("replica.disk_slow", "node=%s waited_ms=%llu", replica->name,
			     (unsigned long long)((now_ns - replica->append_began_ns) / 1000000));
	else
		FTS_LOG_INFO("replica.disk_fast", "node=%s", replica->name);
}

void ftsi_transfer_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_transfer *transfer = &replica->transfer;
	const struct ftsi_member *target;
	bool slow, full = atomic_load(&replica->disk_full);
	note_slowness(replica, now_ns);
	slow = atomic_load(&replica->disk_slow);
	if (!(slow || full) || transfer->phase != FTSI_HANDING_NOT || !atomic_load(&replica->serving) ||
	    (transfer->tried_ns != 0 && now_ns - transfer->tried_ns < (uint64_t)RETRY_MS * 1000000))
		return;
	target = best(replica);
	/* Slow: only to one that has stored what this node has not. */
	if (target == NULL || ftsi_member_match_index(replica, target) < replica->raft.last_stored) return;
	transfer->tried_ns = now_ns;
	begin(replica, target, now_ns + 2 * (uint64_t)replica->election_ms * 1000000, slow);
}

/* ---- Asked for ---- */

/* This node leads. */
static void start_leading_call(struct fts_replica *replica, struct ftsi_lead_call *call)
{
	const struct ftsi_member *target = call->name[0] == 0 ? best(replica) : by_name(replica, call->name);
	if (strcmp(call->name, replica->name) == 0)
		answer(call, FTS_OK, "");
	else if (target == NULL && call->name[0] == 0)
		answer(call, FTS_FAILED_PRECONDITION, "there is no other voter that could lead now");
	else if (target == NULL)
		answer(call, FTS_NOT_FOUND, "there is no member of this name");
	else if (!is_voter(replica, target))
		answer(call, FTS_FAILED_PRECONDITION, "that member does not vote yet");
	else if (!target->connected)
		answer(call, FTS_UNAVAILABLE, "that member is not there now");
	else if (replica->transfer.phase != FTSI_HANDING_NOT)
		answer(call, FTS_UNAVAILABLE, "leadership is being handed over already");
	else {
		call->next = replica->transfer.calls;
		replica->transfer.calls = call;
		begin(replica, target, call->deadline_ns, false);
	}
}

static void start_call(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_lead_call *call = (struct ftsi_lead_call *)(void *)post;
	if (replica->stopping || atomic_load(&replica->failed)) /* raft may be closed already: it is not looked at */
		answer(call, FTS_UNAVAILABLE, "this node is stopping");
	else if (!atomic_load(&replica->serving))
		answer(call, FTS_UNAVAILABLE, "this node does not lead the log now");
	else
		start_leading_call(replica, call);
}

enum fts_status fts_replica_member_lead(struct fts_replica *replica, const char *name, uint32_t timeout_ms,
					fts_member_fn done, void *ctx, struct fts_error *out_error)
{
	struct ftsi_lead_call *call;
	if (name != NULL && (name[0] == 0 || strlen(name) >= sizeof call->name))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a node's name has 1 to %zu bytes",
				     sizeof call->name - 1);
	call = calloc(1, sizeof *call);
	if (call == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for another call now");
	call->post.run = start_call;
	call->done = done;
	call->ctx = ctx;
	call->deadline_ns = ftsi_now_ns(replica) + (uint64_t)timeout_ms * 1000000;
	if (name != NULL) memcpy(call->name, name, strlen(name) + 1);
	if (ftsi_mailbox_post(&replica->mailbox, &call->post)) return FTS_OK;
	free(call);
	return fts_error_set(out_error, FTS_UNAVAILABLE, "this node is stopping");
}
