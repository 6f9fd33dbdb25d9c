/* Why this file exists: elections by their rules, one command at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "elector/read.h"
#include "elector/transition.h"
#include "replica/fence.h"
#include "world.h"

struct joiner {
	const char *id;
	int64_t started_ms;
	int32_t priority;
	Fts__Elector__V1__Rule rule;
	uint32_t min_members;
	uint32_t attribute_count; /* at most 8 */
};

static enum fts_status join(struct world *world, const struct joiner *joiner, Fts__Elector__V1__ElectResponse *out)
{
	Fts__Elector__V1__ElectRequest request = FTS__ELECTOR__V1__ELECT_REQUEST__INIT;
	Fts__Elector__V1__Member member = FTS__ELECTOR__V1__MEMBER__INIT;
	Fts__Elector__V1__Attribute attribute = FTS__ELECTOR__V1__ATTRIBUTE__INIT, *attributes[8];
	attribute.name = (char *)"where";
	attribute.value = (char *)"in the third room on the left, behind the door that says it is none, in the rack";
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
		attributes[i] = &attribute;
	member.attributes = attributes;
	member.n_attributes = joiner->attribute_count;
	member.id = (char *)joiner->id;
	member.started_ms = joiner->started_ms;
	member.priority = joiner->priority;
	member.lease_ms = 1000;
	request.election = (char *)"boss";
	request.member = &member;
	request.rule = joiner->rule;
	request.min_members = joiner->min_members;
	*out = (Fts__Elector__V1__ElectResponse)FTS__ELECTOR__V1__ELECT_RESPONSE__INIT;
	return world_apply(world, ftsi_elector_apply_elect, &request.base, &out->base);
}

static uint64_t joined(struct world *world, struct joiner joiner)
{
	Fts__Elector__V1__ElectResponse response;
	enum fts_status status = join(world, &joiner, &response);
	if (status != FTS_OK) fail_msg("%s", world->detail);
	return response.joined;
}

struct standing {
	char master[65];
	uint64_t fence;
	bool stepping_down;
	size_t member_count;
};

static struct standing look(struct world *world)
{
	Fts__Elector__V1__StatusRequest request = FTS__ELECTOR__V1__STATUS_REQUEST__INIT;
	Fts__Elector__V1__StatusResponse response = FTS__ELECTOR__V1__STATUS_RESPONSE__INIT;
	struct standing standing = {.master = ""};
	request.election = (char *)"boss";
	assert_int_equal(world_read(world, ftsi_elector_read_status, &request.base, &response.base), FTS_OK);
	(void)snprintf(standing.master, sizeof standing.master, "%s", response.master);
	standing.fence = response.fence;
	standing.stepping_down = response.stepping_down;
	standing.member_count = response.n_members;
	return standing;
}

static enum fts_status yield(struct world *world, const char *id, uint64_t at, uint64_t fence)
{
	Fts__Elector__V1__YieldRequest request = FTS__ELECTOR__V1__YIELD_REQUEST__INIT;
	Fts__Elector__V1__YieldResponse response = FTS__ELECTOR__V1__YIELD_RESPONSE__INIT;
	request.election = (char *)"boss";
	request.id = (char *)id;
	request.joined = at;
	request.fence = fence;
	return world_apply(world, ftsi_elector_apply_yield, &request.base, &response.base);
}

static enum fts_status resign(struct world *world, const char *id, uint64_t at)
{
	Fts__Elector__V1__ResignRequest request = FTS__ELECTOR__V1__RESIGN_REQUEST__INIT;
	Fts__Elector__V1__ResignResponse response = FTS__ELECTOR__V1__RESIGN_RESPONSE__INIT;
	request.election = (char *)"boss";
	request.id = (char *)id;
	request.joined = at;
	return world_apply(world, ftsi_elector_apply_resign, &request.base, &response.base);
}

static uint32_t expire(struct world *world, const char *id, uint64_t at, uint64_t term)
{
	Fts__Elector__V1__ExpireRequest request = FTS__ELECTOR__V1__EXPIRE_REQUEST__INIT;
	Fts__Elector__V1__ExpireResponse response = FTS__ELECTOR__V1__EXPIRE_RESPONSE__INIT;
	Fts__Elector__V1__Expired expired = FTS__ELECTOR__V1__EXPIRED__INIT, *list[] = {&expired};
	expired.election = (char *)"boss";
	expired.id = (char *)id;
	expired.joined = at;
	request.members = list;
	request.n_members = 1;
	request.term = term;
	assert_int_equal(world_apply(world, ftsi_elector_apply_expire, &request.base, &response.base), FTS_OK);
	return response.expired;
}

static int begin(void **state)
{
	struct world *world = malloc(sizeof *world);
	world_init(world);
	*state = world;
	return 0;
}

static int end(void **state)
{
	world_fini(*state);
	free(*state);
	return 0;
}

static void a_lone_member_is_nobodys_master(void **state)
{
	struct world *world = *state;
	joined(world, (struct joiner){.id = "a", .started_ms = 1});
	assert_string_equal(look(world).master, "");
	uint64_t b = joined(world, (struct joiner){.id = "b", .started_ms = 2});
	struct standing standing = look(world);
	assert_string_equal(standing.master, "a");
	assert_true(world_fence_stands(world, standing.fence));
	assert_int_equal(resign(world, "b", b), FTS_OK); /* alone again: asked to step down, master until it has */
	standing = look(world);
	assert_string_equal(standing.master, "a");
	assert_true(standing.stepping_down);
	assert_int_equal(yield(world, "a", 0, standing.fence), FTS_OK);
	assert_string_equal(look(world).master, "");
	assert_false(world_fence_stands(world, standing.fence));
}

static void min_members_of_one(void **state)
{
	struct world *world = *state;
	joined(world, (struct joiner){.id = "a", .min_members = 1});
	assert_string_equal(look(world).master, "a");
}

static void each_rule_picks_its_best(void **state)
{
	static const struct {
		Fts__Elector__V1__Rule rule;
		const char *best;
	} cases[] = {
	    {FTS__ELECTOR__V1__RULE__OLDEST, "old"},
	    {FTS__ELECTOR__V1__RULE__YOUNGEST, "young"},
	    {FTS__ELECTOR__V1__RULE__PRIORITY, "strong"},
	    {FTS__ELECTOR__V1__RULE__LOWEST_ID, "alpha"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct world world;
		world_init(&world);
		joined(&world, (struct joiner){.id = "old", .started_ms = 1, .rule = cases[i].rule, .min_members = 4});
		joined(&world,
		       (struct joiner){.id = "young", .started_ms = 9, .rule = cases[i].rule, .min_members = 4});
		joined(&world,
		       (struct joiner){
			   .id = "strong", .started_ms = 5, .priority = 3, .rule = cases[i].rule, .min_members = 4});
		assert_string_equal(look(&world).master, "");
		joined(&world,
		       (struct joiner){.id = "alpha", .started_ms = 5, .rule = cases[i].rule, .min_members = 4});
		assert_string_equal(look(&world).master, cases[i].best);
		world_fini(&world);
	}
}

static void a_better_one_takes_over_in_order(void **state)
{
	struct world *world = *state;
	joined(world, (struct joiner){.id = "b", .started_ms = 5});
	uint64_t c = joined(world, (struct joiner){.id = "c", .started_ms = 7});
	uint64_t first = look(world).fence;
	joined(world, (struct joiner){.id = "a", .started_ms = 1});
	struct standing standing = look(world);
	assert_string_equal(standing.master, "b"); /* its script still runs */
	assert_true(standing.stepping_down);
	assert_true(world_fence_stands(world, first));
	assert_int_equal(yield(world, "c", c, first), FTS_OK); /* not the master: nothing */
	assert_string_equal(look(world).master, "b");
	assert_int_equal(yield(world, "b", 0, first - 1), FTS_OK); /* an earlier mastership: nothing */
	assert_string_equal(look(world).master, "b");
	assert_int_equal(yield(world, "b", 0, first), FTS_OK);
	standing = look(world);
	assert_string_equal(standing.master, "a");
	assert_true(standing.fence > first);
	assert_false(world_fence_stands(world, first));
	assert_true(world_fence_stands(world, standing.fence));
}

static void who_is_gone_is_replaced_at_once(void **state)
{
	struct world *world = *state;
	uint64_t a = joined(world, (struct joiner){.id = "a", .started_ms = 1});
	joined(world, (struct joiner){.id = "b", .started_ms = 2});
	joined(world, (struct joiner){.id = "c", .started_ms = 3});
	uint64_t first = look(world).fence;
	assert_int_equal(expire(world, "a", a, world->term + 1), 0); /* of another leader: void */
	assert_int_equal(expire(world, "a", a + 1, world->term), 0); /* of another life: void */
	assert_string_equal(look(world).master, "a");
	assert_int_equal(expire(world, "a", a, world->term), 1);
	struct standing standing = look(world);
	assert_string_equal(standing.master, "b");
	assert_true(standing.fence > first);
	assert_int_equal(standing.member_count, 2);
	assert_int_equal(expire(world, "a", a, world->term), 0);
}

static void a_new_life_of_the_master_waits_for_its_lease(void **state)
{
	struct world *world = *state;
	Fts__Elector__V1__ElectResponse response;
	uint64_t a = joined(world, (struct joiner){.id = "a", .started_ms = 1});
	joined(world, (struct joiner){.id = "b", .started_ms = 2});
	assert_true(joined(world, (struct joiner){.id = "a", .started_ms = 1}) == a); /* the same life: no change */
	assert_int_equal(join(world, &(struct joiner){.id = "a", .started_ms = 9}, &response), FTS_ALREADY_EXISTS);
	assert_int_equal(expire(world, "a", a, world->term), 1);
	assert_true(joined(world, (struct joiner){.id = "a", .started_ms = 9}) > a);
	assert_string_equal(look(world).master, "b"); /* once b was alone it was asked to go; now it may stay */
}

static void an_operator_asks_the_master_to_leave(void **state)
{
	struct world *world = *state;
	uint64_t a = joined(world, (struct joiner){.id = "a", .started_ms = 1});
	joined(world, (struct joiner){.id = "b", .started_ms = 2});
	joined(world, (struct joiner){.id = "c", .started_ms = 3});
	uint64_t fence = look(world).fence;
	assert_int_equal(resign(world, "nobody", 0), FTS_NOT_FOUND);
	assert_int_equal(resign(world, "a", 0), FTS_OK);
	assert_string_equal(look(world).master, "a");
	assert_true(look(world).stepping_down);
	assert_int_equal(yield(world, "a", a, fence), FTS_OK);
	assert_string_equal(look(world).master, "b");
	assert_int_equal(resign(world, "a", a), FTS_OK);
	assert_string_equal(look(world).master, "b");
}

static struct fts_txn *begin_txn(struct world *world)
{
	struct fts_txn *txn = NULL;
	assert_int_equal(fts_txn_begin(world->store, &txn), FTS_OK);
	return txn;
}

/* Masters of several elections that one command makes have one log index, and fences of their own all the same. */
static void a_fence_is_one_owners_alone(void **state)
{
	struct world world;
	uint64_t a = 0, b = 0, a_again = 0;
	char why[FTS_DETAIL_MAX];
	(void)state;
	world_init(&world);
	struct fts_txn *txn = begin_txn(&world);
	assert_int_equal(fts_fence_grant(txn, 40, "elector/a", &a), FTS_OK);
	assert_int_equal(fts_fence_grant(txn, 40, "elector/b", &b), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	assert_true(a == 40 && b == 41);
	txn = begin_txn(&world);
	assert_int_equal(fts_fence_revoke(txn, a, "elector/a"), FTS_OK);
	fts_fence_explain(txn, a, why, sizeof why);
	assert_string_equal(why, "fence 40 of elector/a no longer stands: there is no master now");
	assert_int_equal(fts_fence_grant(txn, 41, "elector/a", &a_again), FTS_OK);
	assert_int_equal(a_again, 42);
	assert_int_equal(fts_fence_check(txn, a), FTS_FAILED_PRECONDITION);
	assert_int_equal(fts_fence_check(txn, b), FTS_OK);
	assert_int_equal(fts_fence_check(txn, a_again), FTS_OK);
	fts_fence_explain(txn, a, why, sizeof why);
	assert_string_equal(why, "fence 40 of elector/a no longer stands: the fence is 42 now");
	assert_int_equal(fts_fence_revoke(txn, a_again, "elector/a"), FTS_OK);
	fts_fence_explain(txn, a, why, sizeof why);
	assert_string_equal(why, "fence 40 does not stand: its holder was replaced long ago, or it never was one");
	fts_txn_abort(txn);
	world_fini(&world);
}

/* A rack goes dark: all of them are gone, whatever the memory of one command. */
static void many_end_at_once(void **state)
{
	enum { COUNT = 300, GONE_COUNT = 256 };
	struct world *world = *state;
	static char ids[COUNT][8];
	static uint64_t at[COUNT];
	static Fts__Elector__V1__Expired items[GONE_COUNT], *list[GONE_COUNT];
	Fts__Elector__V1__ExpireRequest request = FTS__ELECTOR__V1__EXPIRE_REQUEST__INIT;
	Fts__Elector__V1__ExpireResponse response = FTS__ELECTOR__V1__EXPIRE_RESPONSE__INIT;
	for (size_t i = 0; i < COUNT; i++) {
		(void)snprintf(ids[i], sizeof ids[i], "m%03zu", i);
		at[i] = joined(world, (struct joiner){.id = ids[i], .started_ms = (int64_t)i, .attribute_count = 8});
	}
	assert_string_equal(look(world).master, "m000");
	for (size_t i = 0; i < GONE_COUNT; i++) {
		fts__elector__v1__expired__init(&items[i]);
		items[i].election = (char *)"boss";
		items[i].id = ids[i];
		items[i].joined = at[i];
		list[i] = &items[i];
	}
	request.members = list;
	request.n_members = GONE_COUNT;
	request.term = world->term;
	assert_int_equal(world_apply(world, ftsi_elector_apply_expire, &request.base, &response.base), FTS_OK);
	assert_int_equal(response.expired, GONE_COUNT);
	assert_int_equal(look(world).member_count, COUNT - GONE_COUNT);
	assert_string_equal(look(world).master, ids[GONE_COUNT]);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(fts_leases_renew(world->leases, "boss", ids[i], at[i], 1), i >= GONE_COUNT);
}

/* Its expiry is in the log already when it says again that it is there: no renewal until the log has decided. */
static void who_is_being_expired_is_not_renewed(void **state)
{
	const uint64_t lease_ns = 1000000000;
	struct world *world = *state;
	size_t count = 0;
	uint64_t next_ns;
	uint64_t a = joined(world, (struct joiner){.id = "a", .started_ms = 1});
	fts_leases_lead(world->leases, true, world->term, 1);
	struct fts_late_lease *late = fts_leases_late(world->leases, 1 + lease_ns, 8, &count, &next_ns);
	assert_int_equal(count, 1);
	assert_int_equal(joined(world, (struct joiner){.id = "a", .started_ms = 1}), a);
	assert_false(fts_leases_renew(world->leases, "boss", "a", a, 2 + lease_ns));
	fts_leases_spare(world->leases, late, count); /* the log did not take it */
	assert_true(fts_leases_renew(world->leases, "boss", "a", a, 2 + lease_ns));
	free(late);
}

/* What this node remembers of a life that is over is not what the log has. */
static void a_lease_of_an_earlier_life_is_forgotten(void **state)
{
	struct world *world = *state;
	uint64_t a = joined(world, (struct joiner){.id = "a", .started_ms = 1});
	fts_leases_joined(world->leases, "boss", "a", a - 1, 1000);
	assert_false(fts_leases_renew(world->leases, "boss", "a", a, 1));
	assert_int_equal(expire(world, "a", a - 1, world->term), 0);
	assert_true(fts_leases_renew(world->leases, "boss", "a", a, 1));
	fts_leases_joined(world->leases, "boss", "b", a, 1000);
	assert_int_equal(expire(world, "b", a, world->term), 0);
	assert_false(fts_leases_renew(world->leases, "boss", "b", a, 1));
}

static void wrong_requests_name_their_field(void **state)
{
	struct world *world = *state;
	Fts__Elector__V1__ElectResponse response;
	char long_id[70];
	memset(long_id, 'x', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = 0;
	assert_int_equal(join(world, &(struct joiner){.id = ""}, &response), FTS_INVALID_ARGUMENT);
	assert_non_null(strstr(world->detail, "member.id"));
	assert_int_equal(join(world, &(struct joiner){.id = long_id}, &response), FTS_INVALID_ARGUMENT);
	assert_int_equal(join(world, &(struct joiner){.id = "a\nb"}, &response), FTS_INVALID_ARGUMENT);
	joined(world, (struct joiner){.id = "a"});
	assert_int_equal(join(world, &(struct joiner){.id = "b", .rule = FTS__ELECTOR__V1__RULE__YOUNGEST}, &response),
			 FTS_FAILED_PRECONDITION);
	assert_int_equal(join(world, &(struct joiner){.id = "b", .min_members = 3}, &response),
			 FTS_FAILED_PRECONDITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_lone_member_is_nobodys_master, begin, end),
	    cmocka_unit_test_setup_teardown(min_members_of_one, begin, end),
	    cmocka_unit_test(each_rule_picks_its_best),
	    cmocka_unit_test_setup_teardown(a_better_one_takes_over_in_order, begin, end),
	    cmocka_unit_test_setup_teardown(who_is_gone_is_replaced_at_once, begin, end),
	    cmocka_unit_test_setup_teardown(a_new_life_of_the_master_waits_for_its_lease, begin, end),
	    cmocka_unit_test_setup_teardown(an_operator_asks_the_master_to_leave, begin, end),
	    cmocka_unit_test(a_fence_is_one_owners_alone),
	    cmocka_unit_test_setup_teardown(many_end_at_once, begin, end),
	    cmocka_unit_test_setup_teardown(who_is_being_expired_is_not_renewed, begin, end),
	    cmocka_unit_test_setup_teardown(a_lease_of_an_earlier_life_is_forgotten, begin, end),
	    cmocka_unit_test_setup_teardown(wrong_requests_name_their_field, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
