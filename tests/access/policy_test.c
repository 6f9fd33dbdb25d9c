/* Why this file exists: what each role may, over all methods that a node offers, and against requests that are packed
 * to deceive: a bound role must be refused whenever any reading of the bytes names somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fts/access/v1/access.fts.h>
#include <fts/cluster/v1/cluster.fts.h>
#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/elector/v1/elector.fts.h>
#include <fts/game/v1/game.fts.h>
#include <fts/health/v1/health.fts.h>
#include <fts/kv/v1/kv.fts.h>
#include <fts/lottery/v1/lottery.fts.h>
#include <fts/rpc/v1/events.fts.h>
#include <fts/rpc/v1/reflection.fts.h>

#include "access/policy.h"
#include "credentials/token.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ROLE(name) FTS__ACCESS__V1__ROLE__##name
#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static const struct fts_service *const offered[] = {
    &fts_access_service, &fts_cluster_service,    &fts_dispatch_service,   &fts_elector_service, &fts_game_service,
    &fts_health_service, &fts_kv_service,         &fts_kv_admin_service,   &fts_kv_storage_service, &fts_lottery_service,
    &fts_events_service, &fts_reflection_service, &fts_game_tools_service,
};

static bool allows(Fts__Access__V1__Role role, const struct fts_method *method)
{
	return ftsi_policy_allows(role, "", method, (struct fts_bytes){NULL, 0});
}

/* A role above another may all that the other may, and nobody without a role may anything that needs one. */
static void roles_stand_above_each_other(void **state)
{
	static const Fts__Access__V1__Role order[] = {ROLE(ADMIN), ROLE(OPERATOR), ROLE(WRITER), ROLE(READER)};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(offered); i++) {
		for (size_t m = 0; m < offered[i]->method_count; m++) {
			const struct fts_method *method = &offered[i]->methods[m];
			enum ftsi_need need = ftsi_policy_need(method);
			if (need != FTSI_NEED_ANYBODY && allows(ROLE(ROLE_NONE), method))
				fail_msg("%s is open to everybody", method->full_name);
			for (size_t r = 1; r < COUNT_OF(order); r++)
				if (allows(order[r], method) && !allows(order[r - 1], method))
					fail_msg("%s: %d may and %d may not", method->full_name, order[r],
						 order[r - 1]);
			if (!allows(ROLE(NODE), method)) fail_msg("%s: no node may", method->full_name);
			if (need == FTSI_NEED_NODE && allows(ROLE(ADMIN), method))
				fail_msg("%s: an admin may what is for nodes alone", method->full_name);
			if (method->mutates && allows(ROLE(READER), method))
				fail_msg("%s: a reader may change", method->full_name);
		}
	}
}

/* What a bound role is compared with is there, and of a type that the check reads. */
static void bound_methods_name_their_subject(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(offered); i++) {
		for (size_t m = 0; m < offered[i]->method_count; m++) {
			const struct fts_method *method = &offered[i]->methods[m];
			const char *name = ftsi_policy_field(ftsi_policy_need(method));
			if (name == NULL) continue;
			const ProtobufCFieldDescriptor *field =
			    protobuf_c_message_descriptor_get_field_by_name(method->request, name);
			if (field == NULL ||
			    (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_UINT32))
				fail_msg("%s: no field %s to compare with", method->full_name, name);
		}
	}
}

static void some_that_matter(void **state)
{
	static const struct {
		const struct fts_method *const *method;
		Fts__Access__V1__Role role;
		bool may;
	} cases[] = {
	    {&fts_access_make_method, ROLE(OPERATOR), false},
	    {&fts_access_list_method, ROLE(READER), false},
	    {&fts_cluster_snapshot_read_method, ROLE(OPERATOR), false},
	    {&fts_cluster_member_remove_method, ROLE(OPERATOR), false},
	    {&fts_cluster_member_remove_method, ROLE(ADMIN), true},
	    {&fts_cluster_join_method, ROLE(OPERATOR), false},
	    {&fts_cluster_join_method, ROLE(ADMIN), true},
	    {&fts_lottery_winners_method, ROLE(WRITER), false},
	    {&fts_lottery_winners_method, ROLE(READER), false},
	    {&fts_lottery_winners_method, ROLE(OPERATOR), true},
	    {&fts_lottery_export_method, ROLE(READER), false},
	    {&fts_lottery_status_method, ROLE(READER), true},
	    {&fts_kv_set_method, ROLE(WRITER), true},
	    {&fts_kv_set_method, ROLE(READER), false},
	    {&fts_kv_get_method, ROLE(READER), true},
	    {&fts_kv_get_method, ROLE(AGENCY), false},
	    {&fts_kv_storage_put_method, ROLE(ADMIN), false},
	    {&fts_health_ping_method, ROLE(ROLE_NONE), true},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (allows(cases[i].role, *cases[i].method) != cases[i].may)
			fail_msg("%s: role %d %s", (*cases[i].method)->full_name, cases[i].role,
				 cases[i].may ? "may not" : "may");
}

/* Packed requests of Lottery/StoreBet (agency = 2) and Game/Move (match = 1). */
static void deceiving_requests(void **state)
{
	const struct {
		const char *name;
		const struct fts_method *const *method;
		Fts__Access__V1__Role role;
		const char *subject;
		const uint8_t *bytes;
		size_t size_bytes;
		bool may;
	} cases[] = {
	    {"its own", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10, 3), true},
	    {"another", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10, 4), false},
	    {"none", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x0a, 1, 'd'), false},
	    {"its own, then another", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10, 3, 0x10, 4), false},
	    {"another, then its own", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10, 4, 0x10, 3), false},
	    {"a number that wraps", &fts_lottery_store_bet_method, ROLE(AGENCY), "3",
	     BYTES(0x10, 0x83, 0x80, 0x80, 0x80, 0x10), false},
	    {"a number that wraps, of a token that says it", &fts_lottery_store_bet_method, ROLE(AGENCY), "4294967299",
	     BYTES(0x10, 0x83, 0x80, 0x80, 0x80, 0x10), false},
	    {"a long form of its own", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10, 0x83, 0x00), true},
	    {"as bytes", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x12, 1, 3), false},
	    {"as eight bytes", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x11, 3, 0, 0, 0, 0, 0, 0, 0),
	     false},
	    {"within a group", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x1b, 0x10, 3, 0x1c), false},
	    {"cut off behind", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10, 3, 0x0a, 9), false},
	    {"cut off within", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x10), false},
	    {"a length of 2^63", &fts_lottery_store_bet_method, ROLE(AGENCY), "3",
	     BYTES(0x10, 3, 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), false},
	    {"hidden in a string", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x0a, 2, 0x10, 3), false},
	    {"behind a string", &fts_lottery_store_bet_method, ROLE(AGENCY), "3", BYTES(0x0a, 1, 'd', 0x10, 3), true},
	    {"its match", &fts_game_move_method, ROLE(PLAYER), "m1", BYTES(0x0a, 2, 'm', '1'), true},
	    {"a longer one", &fts_game_move_method, ROLE(PLAYER), "m1", BYTES(0x0a, 3, 'm', '1', 0), false},
	    {"a shorter one", &fts_game_move_method, ROLE(PLAYER), "m1", BYTES(0x0a, 1, 'm'), false},
	    {"another role", &fts_game_move_method, ROLE(AGENCY), "m1", BYTES(0x0a, 2, 'm', '1'), false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (ftsi_policy_allows(cases[i].role, cases[i].subject, *cases[i].method,
				       (struct fts_bytes){cases[i].bytes, cases[i].size_bytes}) != cases[i].may)
			fail_msg("%s: %s", cases[i].name, cases[i].may ? "refused" : "allowed");
}

static void tokens(void **state)
{
	char one[FTS_TOKEN_TEXT_BYTES], two[FTS_TOKEN_TEXT_BYTES], id[FTS_TOKEN_ID_BYTES];
	uint8_t a[FTS_TOKEN_HASH_BYTES], b[FTS_TOKEN_HASH_BYTES];
	(void)state;
	assert_true(fts_token_make(one) && fts_token_make(two));
	assert_int_equal(strlen(one), FTS_TOKEN_TEXT_BYTES - 1);
	assert_string_not_equal(one, two);
	assert_true(fts_token_id(one, strlen(one), id));
	assert_memory_equal(one + 4, id, FTS_TOKEN_ID_BYTES - 1);
	fts_token_hash(one, strlen(one), a);
	fts_token_hash(two, strlen(two), b);
	assert_false(fts_token_equal(a, b, sizeof a));
	fts_token_hash(one, strlen(one), b);
	assert_true(fts_token_equal(a, b, sizeof a));
	assert_false(fts_token_id(one, strlen(one) - 1, id));
	one[0] = 'F';
	assert_false(fts_token_id(one, strlen(one), id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(roles_stand_above_each_other),
	    cmocka_unit_test(bound_methods_name_their_subject),
	    cmocka_unit_test(some_that_matter),
	    cmocka_unit_test(deceiving_requests),
	    cmocka_unit_test(tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
