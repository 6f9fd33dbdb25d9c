/* Why this file exists: see elector/read.h. */
#include "elector/read.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "elector/state.h"
#include "replica/leases.h"

enum { LIST_DEFAULT = 100, LIST_MAX = 1000 };

static enum fts_status failed(struct fts_read *read, enum fts_status status)
{
	if (status == FTS_RESOURCE_EXHAUSTED) return fts_read_refuse(read, status, "no memory for the answer");
	return fts_read_refuse(read, FTS_INTERNAL, "the elections can't be read: %s", fts_status_name(status));
}

static enum fts_status load(struct fts_read *read, const char *name, Fts__Elector__V1__Election **out_election)
{
	if (name[0] == 0 || strlen(name) > FTSI_ELECTION_NAME_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "election: 1 to %d bytes are expected",
				       FTSI_ELECTION_NAME_MAX);
	enum fts_status status = ftsi_state_get_election(read->view, read->arena, name, out_election);
	if (status == FTS_NOT_FOUND) return fts_read_refuse(read, status, "there is no election %s", name);
	return status == FTS_OK ? FTS_OK : failed(read, status);
}

static uint64_t standing_fence(const Fts__Elector__V1__Election *election)
{
	return election->master[0] == 0 ? 0 : election->fence;
}

/* ---- Renew ---- */

/* The member that joined first runs the rule's command, whenever the members have changed since it last chose. */
static bool has_to_choose(const Fts__Elector__V1__Election *election, const struct ftsi_members *members,
			  uint64_t joined)
{
	if (election->rule != FTS__ELECTOR__V1__RULE__COMMAND || election->chosen_generation == election->generation)
		return false;
	for (size_t i = 0; i < members->count; i++)
		if (members->items[i]->joined < joined) return false;
	return true;
}

enum fts_status ftsi_elector_read_renew(struct fts_read *read, const ProtobufCMessage *request_base,
					ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__RenewRequest *request = (const Fts__Elector__V1__RenewRequest *)request_base;
	Fts__Elector__V1__RenewResponse *response = (Fts__Elector__V1__RenewResponse *)response_base;
	Fts__Elector__V1__Election *election;
	Fts__Elector__V1__Member *member = NULL;
	struct ftsi_members members;
	enum fts_status status = load(read, request->election, &election);
	if (status != FTS_OK) return status;
	if (strlen(request->id) <= FTSI_ELECTION_NAME_MAX)
		status = ftsi_state_get_member(read->view, read->arena, request->election, request->id, &member);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return failed(read, status);
	if (member == NULL || member->joined != request->joined)
		return fts_read_refuse(read, FTS_NOT_FOUND,
				       "%.64s is no member of election %s any more: its lease has ended", request->id,
				       request->election);
	if (!fts_leases_renew(ctx, request->election, request->id, request->joined, fts_clock_monotonic_ns()))
		return fts_read_refuse(read, FTS_UNAVAILABLE, "the lease of %s is being ended", request->id);
	status = ftsi_state_get_members(read->view, read->arena, request->election, &members);
	if (status != FTS_OK) return failed(read, status);
	response->master = election->master;
	response->fence = standing_fence(election);
	response->step_down = election->stepping_down && strcmp(election->master, request->id) == 0;
	response->choose = has_to_choose(election, &members, request->joined);
	response->members = (uint32_t)members.count;
	response->leave = member->leaving;
	return FTS_OK;
}

/* ---- Status, List ---- */

static void describe(const char *name, const Fts__Elector__V1__Election *election,
		     Fts__Elector__V1__StatusResponse *out)
{
	out->election = (char *)name;
	out->master = election->master;
	out->fence = standing_fence(election);
	out->rule = election->rule;
	out->min_members = election->min_members;
	out->stepping_down = election->stepping_down;
	out->generation = election->generation;
}

enum fts_status ftsi_elector_read_status(struct fts_read *read, const ProtobufCMessage *request_base,
					 ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__StatusRequest *request = (const Fts__Elector__V1__StatusRequest *)request_base;
	Fts__Elector__V1__StatusResponse *response = (Fts__Elector__V1__StatusResponse *)response_base;
	Fts__Elector__V1__Election *election;
	struct ftsi_members members;
	(void)ctx;
	enum fts_status status = load(read, request->election, &election);
	if (status != FTS_OK) return status;
	status = ftsi_state_get_members(read->view, read->arena, request->election, &members);
	if (status != FTS_OK) return failed(read, status);
	describe(request->election, election, response);
	response->members = members.items;
	response->n_members = members.count;
	return FTS_OK;
}

struct listing {
	struct fts_arena *arena;
	Fts__Elector__V1__StatusResponse **items;
	size_t count, limit;
	bool more, exhausted;
};

static bool list_one(void *ctx, const char *name, const Fts__Elector__V1__Election *election)
{
	struct listing *listing = ctx;
	if (listing->count == listing->limit) {
		listing->more = true;
		return false;
	}
	Fts__Elector__V1__StatusResponse *item = fts_arena_alloc(listing->arena, sizeof *item);
	char *name_copy = fts_arena_copy(listing->arena, name, strlen(name));
	char *master = fts_arena_copy(listing->arena, election->master, strlen(election->master));
	listing->exhausted = item == NULL || name_copy == NULL || master == NULL;
	if (listing->exhausted) return false;
	fts__elector__v1__status_response__init(item);
	describe(name_copy, election, item);
	item->master = master;
	listing->items[listing->count++] = item;
	return true;
}

enum fts_status ftsi_elector_read_list(struct fts_read *read, const ProtobufCMessage *request_base,
				       ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__ListRequest *request = (const Fts__Elector__V1__ListRequest *)request_base;
	Fts__Elector__V1__ListResponse *response = (Fts__Elector__V1__ListResponse *)response_base;
	struct listing listing = {.arena = read->arena, .limit = request->limit == 0 ? LIST_DEFAULT : request->limit};
	(void)ctx;
	if (listing.limit > LIST_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "limit: at most %d, not %u", LIST_MAX,
				       request->limit);
	if (strlen(request->after) > FTSI_ELECTION_NAME_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "after: at most %d bytes", FTSI_ELECTION_NAME_MAX);
	listing.items = fts_arena_alloc(read->arena, listing.limit * sizeof *listing.items);
	if (listing.items == NULL) return failed(read, FTS_RESOURCE_EXHAUSTED);
	enum fts_status status = ftsi_state_visit_elections(read->view, request->after, list_one, &listing);
	if (status == FTS_OK && listing.exhausted) status = FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK) return failed(read, status);
	response->elections = listing.items;
	response->n_elections = listing.count;
	response->more = listing.more;
	return FTS_OK;
}

/* ---- History, Check ---- */

enum fts_status ftsi_elector_read_history(struct fts_read *read, const ProtobufCMessage *request_base,
					  ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__HistoryRequest *request = (const Fts__Elector__V1__HistoryRequest *)request_base;
	Fts__Elector__V1__HistoryResponse *response = (Fts__Elector__V1__HistoryResponse *)response_base;
	Fts__Elector__V1__Election *election;
	(void)ctx;
	enum fts_status status = load(read, request->election, &election);
	if (status != FTS_OK) return status;
	status = ftsi_state_get_changes(read->view, read->arena, request->election, &response->changes,
					&response->n_changes);
	return status == FTS_OK ? FTS_OK : failed(read, status);
}

enum fts_status ftsi_elector_read_check(struct fts_read *read, const ProtobufCMessage *request_base,
					ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Elector__V1__CheckRequest *request = (const Fts__Elector__V1__CheckRequest *)request_base;
	Fts__Elector__V1__CheckResponse *response = (Fts__Elector__V1__CheckResponse *)response_base;
	Fts__Elector__V1__Election *election;
	enum fts_status status = load(read, request->election, &election);
	if (status != FTS_OK) return status;
	if (standing_fence(election) != request->fence || request->fence == 0)
		return fts_read_refuse(read, FTS_FAILED_PRECONDITION,
				       "fence %" PRIu64 " of election %s no longer stands: the fence is %" PRIu64
				       " now",
				       request->fence, request->election, standing_fence(election));
	response->master = election->master;
	response->remaining_ms =
	    fts_leases_remaining_ms(ctx, request->election, election->master, election->master_joined,
				    fts_clock_monotonic_ns(), &response->lease_ms);
	return FTS_OK;
}
