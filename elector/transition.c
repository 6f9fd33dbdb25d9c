/* Why this file exists: see elector/transition.h. Each command changes the members, then settle() decides what follows
 * for the master. */
#include "elector/transition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <fts/elector/v1/elector.fts.h>

#include "elector/check.h"
#include "elector/rule.h"
#include "replica/fence.h"
#include "replica/leases.h"

/* Members that one Expire reads, but for the last election: some 7 KiB each at most, of the 96 MiB of a command. */
enum { EXPIRE_LOADED_MAX = 8000 };

/* One election while a command changes it. */
struct election {
	struct fts_apply *apply;
	struct fts_leases *leases;
	const char *name;
	Fts__Elector__V1__Election *record; /* in apply's arena */
	struct ftsi_members members;
};

static enum fts_status broken(struct fts_apply *apply, enum fts_status status, const char *what)
{
	if (status == FTS_OK || status == FTS_RESOURCE_EXHAUSTED) return status;
	return fts_apply_refuse(apply, FTS_INTERNAL, "%s: %s", what, fts_status_name(status));
}

static char *keep_text(struct fts_apply *apply, const char *text)
{
	return fts_arena_copy(apply->arena, text, strlen(text));
}

/* ---- Loading and storing ---- */

static enum fts_status load(struct fts_apply *apply, const char *name, void *ctx, struct election *out)
{
	*out = (struct election){.apply = apply, .leases = ctx, .name = name};
	enum fts_status status = ftsi_state_get_election(apply->txn, apply->arena, name, &out->record);
	if (status == FTS_NOT_FOUND) return fts_apply_refuse(apply, FTS_NOT_FOUND, "there is no election %s", name);
	if (status == FTS_OK) status = ftsi_state_get_members(apply->txn, apply->arena, name, &out->members);
	return broken(apply, status, "an election can't be read");
}

static enum fts_status store(struct election *election)
{
	struct fts_apply *apply = election->apply;
	return broken(apply, ftsi_state_put_election(apply->txn, apply->arena, election->name, election->record),
		      "an election can't be stored");
}

static Fts__Elector__V1__Member *find(const struct election *election, const char *id, uint64_t joined)
{
	for (size_t i = 0; i < election->members.count; i++) {
		Fts__Elector__V1__Member *member = election->members.items[i];
		if (strcmp(member->id, id) == 0 && (joined == 0 || member->joined == joined)) return member;
	}
	return NULL;
}

static enum fts_status reload_members(struct election *election)
{
	struct fts_apply *apply = election->apply;
	return broken(apply, ftsi_state_get_members(apply->txn, apply->arena, election->name, &election->members),
		      "members can't be read");
}

/* ---- Telling ---- */

static enum fts_status tell_master(struct election *election, Fts__Elector__V1__Cause cause)
{
	Fts__Elector__V1__MasterEvent event = FTS__ELECTOR__V1__MASTER_EVENT__INIT;
	event.election = (char *)election->name;
	event.master = election->record->master;
	event.fence = election->record->master[0] == 0 ? 0 : election->record->fence;
	event.cause = cause;
	event.stepping_down = election->record->stepping_down;
	return fts_apply_publish(election->apply, fts_elector_v1_master_event_topic.name, &event.base);
}

static enum fts_status tell_member(struct election *election, const char *id, bool joined,
				   Fts__Elector__V1__Cause cause)
{
	Fts__Elector__V1__MemberEvent event = FTS__ELECTOR__V1__MEMBER_EVENT__INIT;
	event.election = (char *)election->name;
	event.id = (char *)id;
	event.joined = joined;
	event.cause = cause;
	event.members = (uint32_t)election->members.count;
	return fts_apply_publish(election->apply, fts_elector_v1_member_event_topic.name, &event.base);
}

static enum fts_status keep_change(struct election *election, Fts__Elector__V1__Cause cause, const char *member)
{
	struct fts_apply *apply = election->apply;
	Fts__Elector__V1__Change change = FTS__ELECTOR__V1__CHANGE__INIT;
	change.index = apply->index;
	change.time_ms = apply->time_ms;
	change.master = election->record->master;
	change.fence = election->record->master[0] == 0 ? 0 : election->record->fence;
	change.cause = cause;
	change.member = (char *)member;
	return broken(
	    apply,
	    ftsi_state_put_change(apply->txn, apply->arena, election->name, ++election->record->change_count, &change),
	    "a change can't be stored");
}

/* ---- The master ---- */

static const char *owner_of(const struct election *election, char *out)
{
	(void)snprintf(out, FTS_FENCE_OWNER_MAX, "elector/%s", election->name);
	return out;
}

static enum fts_status end_mastership(struct election *election)
{
	char owner[FTS_FENCE_OWNER_MAX];
	struct fts_apply *apply = election->apply;
	election->record->master = keep_text(apply, "");
	election->record->master_joined = 0;
	election->record->stepping_down = false;
	if (election->record->master == NULL) return FTS_RESOURCE_EXHAUSTED;
	return broken(apply, fts_fence_revoke(apply->txn, election->record->fence, owner_of(election, owner)),
		      "a fence can't be revoked");
}

static enum fts_status make_master(struct election *election, const Fts__Elector__V1__Member *member)
{
	char owner[FTS_FENCE_OWNER_MAX];
	struct fts_apply *apply = election->apply;
	Fts__Elector__V1__Election *record = election->record;
	record->master = member->id;
	record->master_joined = member->joined;
	record->stepping_down = false;
	return broken(apply, fts_fence_grant(apply->txn, apply->index, owner_of(election, owner), &record->fence),
		      "a fence can't be granted");
}

/* Who should be master now. NULL: nobody. */
static const Fts__Elector__V1__Member *wanted(const struct election *election)
{
	const Fts__Elector__V1__Election *record = election->record;
	const Fts__Elector__V1__Member *nominee;
	if (election->members.count < record->min_members) return NULL;
	if (record->rule == FTS__ELECTOR__V1__RULE__COMMAND) {
		nominee = record->nominee[0] == 0 ? NULL : find(election, record->nominee, record->nominee_joined);
		return nominee != NULL && nominee->leaving ? NULL : nominee;
	}
	return ftsi_rule_best(record->rule, election->members.items, election->members.count);
}

static bool stands(const struct election *election)
{
	return election->record->master[0] != 0 &&
	       find(election, election->record->master, election->record->master_joined) != NULL;
}

static Fts__Elector__V1__Cause why(const struct election *election, const Fts__Elector__V1__Member *best,
				   Fts__Elector__V1__Cause cause)
{
	return best == NULL && election->members.count < election->record->min_members
		   ? FTS__ELECTOR__V1__CAUSE__TOO_FEW
		   : cause;
}

/* The members have changed by cause through `member`: what follows for the master? */
static enum fts_status settle(struct election *election, Fts__Elector__V1__Cause cause, const char *member)
{
	const Fts__Elector__V1__Member *best = wanted(election);
	bool had = election->record->master[0] != 0, changed = false;
	enum fts_status status = FTS_OK;
	if (had && stands(election)) {
		bool other = best == NULL || strcmp(best->id, election->record->master) != 0;
		if (other == election->record->stepping_down) return store(election);
		election->record->stepping_down = other;
		status = tell_master(election, why(election, best, cause));
		return status == FTS_OK ? store(election) : status;
	}
	if (had) {
		status = end_mastership(election);
		changed = true;
	}
	if (status == FTS_OK && best != NULL) {
		status = make_master(election, best);
		changed = true;
	}
	if (status == FTS_OK && changed) status = tell_master(election, why(election, best, cause));
	if (status == FTS_OK && changed) status = keep_change(election, why(election, best, cause), member);
	return status == FTS_OK ? store(election) : status;
}

/* ---- Elect ---- */

static enum fts_status load_or_make(struct fts_apply *apply, const Fts__Elector__V1__ElectRequest *request, void *ctx,
				    struct election *out)
{
	*out = (struct election){.apply = apply, .leases = ctx, .name = request->election};
	enum fts_status status = ftsi_state_get_election(apply->txn, apply->arena, request->election, &out->record);
	if (status == FTS_NOT_FOUND) {
		out->record = fts_arena_alloc(apply->arena, sizeof *out->record);
		if (out->record == NULL) return FTS_RESOURCE_EXHAUSTED;
		fts__elector__v1__election__init(out->record);
		status = FTS_OK;
	} else if (status == FTS_OK) {
		status = ftsi_state_get_members(apply->txn, apply->arena, out->name, &out->members);
	}
	if (status != FTS_OK) return broken(apply, status, "an election can't be read");
	if (out->members.count > 0) return FTS_OK;
	out->record->rule = request->rule; /* the first member makes the rule */
	out->record->min_members = request->min_members == 0 ? 2 : request->min_members;
	return FTS_OK;
}

static enum fts_status check_terms(struct election *election, const Fts__Elector__V1__ElectRequest *request)
{
	uint32_t min_members = request->min_members == 0 ? 2 : request->min_members;
	if (request->rule != election->record->rule)
		return fts_apply_refuse(election->apply, FTS_FAILED_PRECONDITION,
					"election %s goes by another rule: all members name the same one",
					election->name);
	if (min_members != election->record->min_members)
		return fts_apply_refuse(election->apply, FTS_FAILED_PRECONDITION,
					"election %s wants %u members: all members name the same number",
					election->name, election->record->min_members);
	return FTS_OK;
}

static enum fts_status put_member(struct election *election, const Fts__Elector__V1__Member *wanted_member,
				  uint64_t joined)
{
	struct fts_apply *apply = election->apply;
	Fts__Elector__V1__Member member = *wanted_member;
	const Fts__Elector__V1__Member *old = find(election, wanted_member->id, joined);
	member.joined = joined;
	member.leaving = old != NULL && old->leaving;
	return broken(apply, ftsi_state_put_member(apply->txn, apply->arena, election->name, &member),
		      "a member can't be stored");
}

static enum fts_status admit(struct election *election, const Fts__Elector__V1__ElectRequest *request,
			     uint64_t *out_joined)
{
	/* a member that was heard of and says something else of itself stays; one that started anew is another */
	const Fts__Elector__V1__Member *old = find(election, request->member->id, 0);
	bool same = old != NULL && old->started_ms == request->member->started_ms &&
		    (request->member->joined == 0 || request->member->joined == old->joined);
	enum fts_status status;
	if (old == NULL && election->members.count >= FTSI_ELECTION_MEMBER_MAX)
		return fts_apply_refuse(election->apply, FTS_RESOURCE_EXHAUSTED, "an election has at most %d members",
					FTSI_ELECTION_MEMBER_MAX);
	if (old != NULL && !same && strcmp(election->record->master, old->id) == 0)
		return fts_apply_refuse(election->apply, FTS_ALREADY_EXISTS,
					"%s is master in an earlier life: wait until its lease has ended", old->id);
	*out_joined = same ? old->joined : election->apply->index;
	status = put_member(election, request->member, *out_joined);
	if (status == FTS_OK) status = reload_members(election);
	if (status != FTS_OK || same) return status;
	election->record->generation++;
	return tell_member(election, request->member->id, true, FTS__ELECTOR__V1__CAUSE__JOINED);
}

enum fts_status ftsi_elector_apply_elect(struct fts_apply *apply, const ProtobufCMessage *request_base,
					 ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__ElectRequest *request = (const Fts__Elector__V1__ElectRequest *)request_base;
	Fts__Elector__V1__ElectResponse *response = (Fts__Elector__V1__ElectResponse *)response_base;
	struct election election;
	enum fts_status status = ftsi_check_elect(apply, request);
	if (status == FTS_OK) status = load_or_make(apply, request, ctx, &election);
	if (status == FTS_OK) status = check_terms(&election, request);
	if (status == FTS_OK) status = admit(&election, request, &response->joined);
	if (status == FTS_OK) status = settle(&election, FTS__ELECTOR__V1__CAUSE__JOINED, request->member->id);
	if (status != FTS_OK) return status;
	fts_leases_joined(election.leases, election.name, request->member->id, response->joined,
			  request->member->lease_ms);
	response->master = election.record->master;
	response->fence = election.record->master[0] == 0 ? 0 : election.record->fence;
	response->rule = election.record->rule;
	response->min_members = election.record->min_members;
	return FTS_OK;
}

/* ---- Leaving ---- */

static void take_out(struct ftsi_members *members, const Fts__Elector__V1__Member *member)
{
	size_t i = 0;
	while (members->items[i] != member)
		i++;
	members->count--;
	memmove(&members->items[i], &members->items[i + 1], (members->count - i) * sizeof(members->items[0]));
}

/* Leases are left as they are: nothing is sure until the whole command is. */
static enum fts_status remove_member(struct election *election, const Fts__Elector__V1__Member *member,
				     Fts__Elector__V1__Cause cause)
{
	struct fts_apply *apply = election->apply;
	const char *id = member->id;
	enum fts_status status =
	    broken(apply, ftsi_state_delete_member(apply->txn, election->name, id), "a member can't be removed");
	if (status != FTS_OK) return status;
	take_out(&election->members, member);
	election->record->generation++;
	status = tell_member(election, id, false, cause);
	return status == FTS_OK ? settle(election, cause, id) : status;
}

/* Somebody else wants it to go: it is told when it renews, since its script must be gone before it leaves. */
static enum fts_status ask_to_leave(struct election *election, Fts__Elector__V1__Member *member)
{
	struct fts_apply *apply = election->apply;
	if (member->leaving) return FTS_OK;
	member->leaving = true;
	election->record->generation++; /* whoever chooses has to choose among the others */
	enum fts_status status = broken(apply, ftsi_state_put_member(apply->txn, apply->arena, election->name, member),
					"a member can't be stored");
	return status == FTS_OK ? settle(election, FTS__ELECTOR__V1__CAUSE__RESIGNED, member->id) : status;
}

enum fts_status ftsi_elector_apply_resign(struct fts_apply *apply, const ProtobufCMessage *request_base,
					  ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__ResignRequest *request = (const Fts__Elector__V1__ResignRequest *)request_base;
	struct election election;
	(void)response_base;
	enum fts_status status = ftsi_check_name(apply, "election", request->election);
	if (status == FTS_OK) status = load(apply, request->election, ctx, &election);
	if (status != FTS_OK) return status;
	Fts__Elector__V1__Member *member = find(&election, request->id, request->joined);
	if (member == NULL)
		return fts_apply_refuse(apply, FTS_NOT_FOUND, "%s is no member of election %s", request->id,
					request->election);
	if (request->joined == 0) return ask_to_leave(&election, member);
	status = remove_member(&election, member, FTS__ELECTOR__V1__CAUSE__RESIGNED);
	if (status == FTS_OK) fts_leases_forget(election.leases, election.name, request->id);
	return status;
}

/* ---- Expiring ---- */

/* Who is to go, and whom the election has under this id afterwards (NULL: nobody). */
struct going {
	const Fts__Elector__V1__Expired *expired;
	const Fts__Elector__V1__Member *left;
};

/* One of them; *election is the one of the last. */
static enum fts_status expire_one(struct election *election, struct going *going)
{
	const Fts__Elector__V1__Member *member;
	going->left = NULL;
	if (election->record == NULL) return FTS_OK;
	member = find(election, going->expired->id, going->expired->joined);
	if (member != NULL) return remove_member(election, member, FTS__ELECTOR__V1__CAUSE__EXPIRED);
	going->left = find(election, going->expired->id, 0); /* gone, or joined again */
	return FTS_OK;
}

/* The memory of what is not so, or no more, goes too: it would be expired for ever. */
static void follow(struct fts_leases *leases, const struct going *going, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const Fts__Elector__V1__Expired *expired = going[i].expired;
		const Fts__Elector__V1__Member *left = going[i].left;
		if (left == NULL)
			fts_leases_forget(leases, expired->election, expired->id);
		else
			fts_leases_joined(leases, expired->election, left->id, left->joined, left->lease_ms);
	}
}

enum fts_status ftsi_elector_apply_expire(struct fts_apply *apply, const ProtobufCMessage *request_base,
					  ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__ExpireRequest *request = (const Fts__Elector__V1__ExpireRequest *)request_base;
	Fts__Elector__V1__ExpireResponse *response = (Fts__Elector__V1__ExpireResponse *)response_base;
	struct election election = {.name = NULL};
	struct going *going = fts_arena_alloc(apply->arena, request->n_members * sizeof *going);
	size_t done = 0, loaded_count = 0;
	enum fts_status status = FTS_OK;
	if (request->term != apply->term) return FTS_OK; /* another leader may have heard of them since */
	if (going == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (; done < request->n_members; done++) {
		const char *name = request->members[done]->election;
		if (election.name == NULL || strcmp(election.name, name) != 0) {
			if (loaded_count > EXPIRE_LOADED_MAX) break; /* the leader finds the others again */
			status = load(apply, name, ctx, &election);
			if (status != FTS_OK && status != FTS_NOT_FOUND) return status;
			loaded_count += election.members.count;
		}
		size_t before_count = election.members.count;
		going[done].expired = request->members[done];
		if ((status = expire_one(&election, &going[done])) != FTS_OK) return status;
		response->expired += (uint32_t)(before_count - election.members.count);
	}
	follow(ctx, going, done);
	return FTS_OK;
}

/* ---- Stepping down ---- */

enum fts_status ftsi_elector_apply_yield(struct fts_apply *apply, const ProtobufCMessage *request_base,
					 ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__YieldRequest *request = (const Fts__Elector__V1__YieldRequest *)request_base;
	Fts__Elector__V1__YieldResponse *response = (Fts__Elector__V1__YieldResponse *)response_base;
	struct election election;
	enum fts_status status = ftsi_check_name(apply, "election", request->election);
	if (status == FTS_OK) status = load(apply, request->election, ctx, &election);
	if (status != FTS_OK) return status;
	if (find(&election, request->id, request->joined) == NULL)
		return fts_apply_refuse(apply, FTS_NOT_FOUND, "%s is no member of election %s", request->id,
					request->election);
	if (strcmp(election.record->master, request->id) == 0 && election.record->fence == request->fence) {
		status = end_mastership(&election);
		if (status == FTS_OK && wanted(&election) == NULL) /* settle() sees no change then */
			status = tell_master(&election, FTS__ELECTOR__V1__CAUSE__YIELDED);
		if (status == FTS_OK && wanted(&election) == NULL)
			status = keep_change(&election, FTS__ELECTOR__V1__CAUSE__YIELDED, request->id);
		if (status == FTS_OK) status = settle(&election, FTS__ELECTOR__V1__CAUSE__YIELDED, request->id);
	}
	response->master = election.record->master;
	response->fence = election.record->master[0] == 0 ? 0 : election.record->fence;
	return status;
}

/* ---- Rule COMMAND ---- */

enum fts_status ftsi_elector_apply_nominate(struct fts_apply *apply, const ProtobufCMessage *request_base,
					    ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__NominateRequest *request = (const Fts__Elector__V1__NominateRequest *)request_base;
	Fts__Elector__V1__NominateResponse *response = (Fts__Elector__V1__NominateResponse *)response_base;
	struct election election;
	enum fts_status status = ftsi_check_name(apply, "election", request->election);
	if (status == FTS_OK) status = load(apply, request->election, ctx, &election);
	if (status != FTS_OK) return status;
	const Fts__Elector__V1__Member *nominee = find(&election, request->master, 0);
	if (election.record->rule != FTS__ELECTOR__V1__RULE__COMMAND)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "election %s does not go by a command",
					request->election);
	if (find(&election, request->id, request->joined) == NULL || nominee == NULL)
		return fts_apply_refuse(apply, FTS_NOT_FOUND, "%.64s is no member of election %s",
					nominee == NULL ? request->master : request->id, request->election);
	if (nominee->leaving)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "%s is asked to leave election %s", nominee->id,
					request->election);
	if (request->generation != election.record->generation)
		return fts_apply_refuse(apply, FTS_ABORTED, "the members of election %s have changed: choose again",
					request->election);
	election.record->nominee = nominee->id;
	election.record->nominee_joined = nominee->joined;
	election.record->chosen_generation = election.record->generation;
	status = settle(&election, FTS__ELECTOR__V1__CAUSE__NOMINATED, nominee->id);
	response->master = election.record->master;
	response->fence = election.record->master[0] == 0 ? 0 : election.record->fence;
	return status;
}

/* ---- Message ---- */

enum fts_status ftsi_elector_apply_message(struct fts_apply *apply, const ProtobufCMessage *request_base,
					   ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__MessageRequest *request = (const Fts__Elector__V1__MessageRequest *)request_base;
	Fts__Elector__V1__MessageEvent event = FTS__ELECTOR__V1__MESSAGE_EVENT__INIT;
	struct election election;
	(void)response_base;
	enum fts_status status = ftsi_check_message(apply, request);
	if (status == FTS_OK) status = load(apply, request->election, ctx, &election);
	if (status != FTS_OK) return status;
	event.election = request->election;
	event.sender = request->sender;
	event.text = request->text;
	event.time_ms = apply->time_ms;
	return fts_apply_publish(apply, fts_elector_v1_message_event_topic.name, &event.base);
}
