/* Why this file exists: elections under random orders of events, by seed: members that come, renew, fall silent, step
 * down and leave; leaders that change and stand still; operators. One virtual clock; the leases are the leader's own.
 *
 * Checked after each step:
 * - no member takes itself for master while another does (it counts its lease from when it sent its renewal);
 * - the master's fence stands, and no other one ever granted; fences grow;
 * - who renewed within its lease, as long as a leader lived, is not expired.
 * FTS_ELECTION_SEED=N runs that seed alone. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "elector/transition.h"
#include "world.h"

enum { MEMBER_COUNT = 5, SEED_COUNT = 40, STEP_COUNT = 600, LEASE_MS = 1000, LOOK_MS = 50, LATE_MAX = 16 };
#define MS_NS 1000000ull

struct member {
	char id[8];
	int64_t started_ms;
	uint64_t joined; /* 0: it is no member, as far as it knows */
	uint64_t lease_from_ms;
	uint64_t fence;  /* of the mastership it believes in; 0: none */
	bool silent;     /* it does not renew: stopped, cut off */
	bool in_cluster; /* as the log has it */
};

struct model {
	struct world world;
	struct member members[MEMBER_COUNT];
	uint64_t now_ms, last_fence, random, seed;
	uint64_t leaderless_until_ms; /* nobody answers until then */
};

static uint64_t roll(struct model *model, uint64_t below)
{
	model->random ^= model->random << 13; /* Marsaglia, "Xorshift RNGs" (2003) */
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return model->random % below;
}

static bool has_leader(const struct model *model)
{
	return model->now_ms >= model->leaderless_until_ms;
}

static bool counts_itself_master(const struct model *model, const struct member *member)
{
	return member->joined != 0 && member->fence != 0 && member->lease_from_ms != 0 &&
	       model->now_ms < member->lease_from_ms + LEASE_MS;
}

static void learn(struct member *member, const char *master, uint64_t fence)
{
	bool is_mine = strcmp(master, member->id) == 0 && fence >= member->joined;
	member->fence = is_mine ? fence : 0;
}

/* ---- Steps ---- */

static void join(struct model *model, struct member *member)
{
	Fts__Elector__V1__ElectRequest request = FTS__ELECTOR__V1__ELECT_REQUEST__INIT;
	Fts__Elector__V1__ElectResponse response = FTS__ELECTOR__V1__ELECT_RESPONSE__INIT;
	Fts__Elector__V1__Member self = FTS__ELECTOR__V1__MEMBER__INIT;
	if (member->started_ms == 0 || roll(model, 3) == 0) { /* a new life: it knows nothing of the last one */
		member->started_ms = (int64_t)(1000 + model->now_ms);
		member->joined = member->fence = 0;
	}
	self.id = member->id;
	self.started_ms = member->started_ms;
	self.lease_ms = LEASE_MS;
	request.election = (char *)"boss";
	request.member = &self;
	enum fts_status status = world_apply(&model->world, ftsi_elector_apply_elect, &request.base, &response.base);
	if (status == FTS_ALREADY_EXISTS) return;
	assert_int_equal(status, FTS_OK);
	member->joined = response.joined;
	member->lease_from_ms = 0; /* only an answered renewal is a lease: an expiry may be on its way */
	member->in_cluster = true;
	member->silent = false;
	learn(member, response.master, response.fence);
}

static void yield(struct model *model, struct member *member)
{
	Fts__Elector__V1__YieldRequest request = FTS__ELECTOR__V1__YIELD_REQUEST__INIT;
	Fts__Elector__V1__YieldResponse response = FTS__ELECTOR__V1__YIELD_RESPONSE__INIT;
	request.election = (char *)"boss";
	request.id = member->id;
	request.joined = member->joined;
	request.fence = member->fence;
	member->fence = 0; /* its script is gone before it says so */
	assert_int_equal(world_apply(&model->world, ftsi_elector_apply_yield, &request.base, &response.base), FTS_OK);
}

static void resign(struct model *model, struct member *member)
{
	Fts__Elector__V1__ResignRequest request = FTS__ELECTOR__V1__RESIGN_REQUEST__INIT;
	Fts__Elector__V1__ResignResponse response = FTS__ELECTOR__V1__RESIGN_RESPONSE__INIT;
	request.election = (char *)"boss";
	request.id = member->id;
	request.joined = member->joined;
	member->fence = 0;
	enum fts_status status = world_apply(&model->world, ftsi_elector_apply_resign, &request.base, &response.base);
	assert_true(status == FTS_OK || status == FTS_NOT_FOUND); /* it has expired, and does not know yet */
	member->joined = 0;
	member->in_cluster = false;
}

static void ask_to_leave(struct model *model, const struct member *member)
{
	Fts__Elector__V1__ResignRequest request = FTS__ELECTOR__V1__RESIGN_REQUEST__INIT;
	Fts__Elector__V1__ResignResponse response = FTS__ELECTOR__V1__RESIGN_RESPONSE__INIT;
	request.election = (char *)"boss";
	request.id = (char *)member->id;
	enum fts_status status = world_apply(&model->world, ftsi_elector_apply_resign, &request.base, &response.base);
	if (status != FTS_OK && status != FTS_NOT_FOUND)
		fail_msg("%s %s", fts_status_name(status), model->world.detail);
}

/* The read asks the wall clock; here its parts are put together with the model's. */
static void renew(struct model *model, struct member *member)
{
	Fts__Elector__V1__Election *election;
	Fts__Elector__V1__Member *record;
	struct fts_txn *view = NULL;
	assert_int_equal(fts_store_view(model->world.store, &view), FTS_OK);
	fts_arena_reset(model->world.arena);
	assert_int_equal(ftsi_state_get_election(view, model->world.arena, "boss", &election), FTS_OK);
	enum fts_status status = ftsi_state_get_member(view, model->world.arena, "boss", member->id, &record);
	fts_txn_abort(view);
	if (status == FTS_NOT_FOUND || record->joined != member->joined) {
		member->joined = member->fence = 0;
		return;
	}
	if (!fts_leases_renew(model->world.leases, "boss", member->id, member->joined, model->now_ms * MS_NS)) return;
	member->lease_from_ms = model->now_ms;
	learn(member, election->master, election->fence);
	bool step_down = member->fence != 0 && election->stepping_down, leave = record->leaving;
	if (leave)
		resign(model, member);
	else if (step_down)
		yield(model, member);
}

static void expire(struct model *model, const struct fts_late_lease *late)
{
	Fts__Elector__V1__ExpireRequest request = FTS__ELECTOR__V1__EXPIRE_REQUEST__INIT;
	Fts__Elector__V1__ExpireResponse response = FTS__ELECTOR__V1__EXPIRE_RESPONSE__INIT;
	Fts__Elector__V1__Expired item = FTS__ELECTOR__V1__EXPIRED__INIT, *list[] = {&item};
	item.election = (char *)late->group;
	item.id = (char *)late->id;
	item.joined = late->joined;
	request.members = list;
	request.n_members = 1;
	request.term = model->world.term;
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		struct member *member = &model->members[i];
		if (strcmp(member->id, late->id) != 0 || member->joined != late->joined) continue;
		if (model->now_ms < member->lease_from_ms + LEASE_MS)
			fail_msg("seed %" PRIu64 ": %s is expired %" PRIu64 " ms after its renewal", model->seed,
				 member->id, model->now_ms - member->lease_from_ms);
		member->in_cluster = false;
	}
	assert_int_equal(world_apply(&model->world, ftsi_elector_apply_expire, &request.base, &response.base), FTS_OK);
}

static void look(struct model *model)
{
	size_t count = 0;
	uint64_t next_ns;
	fts_leases_lead(model->world.leases, true, model->world.term, model->now_ms * MS_NS);
	struct fts_late_lease *late =
	    fts_leases_late(model->world.leases, model->now_ms * MS_NS, LATE_MAX, &count, &next_ns);
	for (size_t i = 0; i < count; i++)
		expire(model, &late[i]);
	free(late);
}

static void change_leader(struct model *model)
{
	model->world.term++;
	model->leaderless_until_ms = model->now_ms + roll(model, 2 * LEASE_MS);
}

/* ---- Checks ---- */

static void check(struct model *model)
{
	Fts__Elector__V1__Election *election;
	struct fts_txn *view = NULL;
	const struct member *master = NULL;
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		if (!counts_itself_master(model, &model->members[i])) continue;
		if (master != NULL)
			fail_msg("seed %" PRIu64 ": %s and %s are master at once", model->seed, master->id,
				 model->members[i].id);
		master = &model->members[i];
		if (!world_fence_stands(&model->world, master->fence))
			fail_msg("seed %" PRIu64 ": the fence of %s does not stand", model->seed, master->id);
	}
	assert_int_equal(fts_store_view(model->world.store, &view), FTS_OK);
	fts_arena_reset(model->world.arena);
	enum fts_status status = ftsi_state_get_election(view, model->world.arena, "boss", &election);
	fts_txn_abort(view);
	if (status == FTS_NOT_FOUND) return;
	assert_true(election->fence >= model->last_fence);
	if (election->fence > model->last_fence && model->last_fence != 0)
		assert_false(world_fence_stands(&model->world, model->last_fence));
	model->last_fence = election->fence;
	if (election->fence != 0)
		assert_int_equal(world_fence_stands(&model->world, election->fence), election->master[0] != 0);
}

/* ---- Runs ---- */

static void step_member(struct model *model, struct member *member)
{
	bool due = model->now_ms >= member->lease_from_ms + LEASE_MS / 3;
	if (roll(model, 150) == 0) member->silent = !member->silent;
	if (!has_leader(model)) return;
	if (member->joined == 0 && roll(model, 8) == 0)
		join(model, member);
	else if (member->joined != 0 && !member->silent && due)
		renew(model, member);
	else if (member->joined != 0 && member->in_cluster && !member->silent && roll(model, 250) == 0)
		resign(model, member);
	else if (member->in_cluster && roll(model, 250) == 0)
		ask_to_leave(model, member);
	else if (member->silent && roll(model, 40) == 0)
		join(model, member); /* killed and started again, or back in time */
}

static void run_seed(uint64_t seed)
{
	static struct model model;
	model = (struct model){.seed = seed, .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .now_ms = 10000};
	world_init(&model.world);
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		(void)snprintf(model.members[i].id, sizeof(model.members[i].id), "m%zu", i);
	for (size_t step = 0; step < STEP_COUNT; step++) {
		model.now_ms += LOOK_MS;
		if (roll(&model, 120) == 0) change_leader(&model);
		if (roll(&model, 200) == 0) model.now_ms += roll(&model, 3 * LEASE_MS); /* all stand still */
		if (has_leader(&model)) look(&model);
		for (size_t i = 0; i < MEMBER_COUNT; i++) {
			step_member(&model, &model.members[i]);
			check(&model);
		}
	}
	assert_true(model.last_fence > 0);
	world_fini(&model.world);
}

static void orders_of_many_kinds(void **state)
{
	const char *one = getenv("FTS_ELECTION_SEED");
	(void)state;
	if (one != NULL) {
		run_seed(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= SEED_COUNT; seed++)
		run_seed(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(orders_of_many_kinds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
