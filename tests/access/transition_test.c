/* Why this file exists: each command on the tokens, on a store without a log: what is refused, with which status, and
 * that what was refused changed nothing; joining once and only once; the nodes' token and its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/table.h"
#include "access/transition.h"
#include "tests/harness/directory.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ROLE(name) FTS__ACCESS__V1__ROLE__##name
#define ARENA_BYTES (16 * 1024 * 1024)
#define HOUR_MS (3600 * 1000)

static struct {
	char dir[HARNESS_PATH_MAX];
	struct fts_store *store;
	struct fts_arena_pool *pool;
	struct fts_arena *arena;
	int64_t time_ms;
	unsigned event_count;
} world;

/* ---- What the replica would do ---- */

enum fts_status fts_apply_refuse(struct fts_apply *apply, enum fts_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(apply->detail, sizeof apply->detail, format, args);
	va_end(args);
	return status;
}

enum fts_status fts_apply_publish(struct fts_apply *apply, const char *topic, const ProtobufCMessage *event)
{
	(void)apply;
	assert_true(strncmp(topic, "access.", 7) == 0);
	assert_true(protobuf_c_message_check(event));
	world.event_count++;
	return FTS_OK;
}

enum fts_status fts_read_refuse(struct fts_read *read, enum fts_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(read->detail, sizeof read->detail, format, args);
	va_end(args);
	return status;
}

static enum fts_status run(fts_apply_fn apply_fn, const void *request, void *response)
{
	struct fts_apply apply = {.index = 1, .term = 1, .time_ms = world.time_ms, .arena = world.arena};
	fts_arena_reset(world.arena);
	assert_int_equal(fts_txn_begin(world.store, &apply.txn), FTS_OK);
	enum fts_status status = apply_fn(&apply, request, response, NULL);
	if (status == FTS_OK)
		assert_int_equal(fts_txn_commit(&apply.txn, false), FTS_OK);
	else
		fts_txn_abort(apply.txn);
	if (status != FTS_OK) assert_int_not_equal(apply.detail[0], '\0');
	return status;
}

/* ---- Commands ---- */

static uint8_t hash_of_a[FTS_TOKEN_HASH_BYTES] = {'a'}, hash_of_b[FTS_TOKEN_HASH_BYTES] = {'b'};

static enum fts_status make(const char *id, Fts__Access__V1__Role role, const char *subject, uint64_t lifetime_ms)
{
	Fts__Access__V1__MakeRequest request = FTS__ACCESS__V1__MAKE_REQUEST__INIT;
	Fts__Access__V1__MakeResponse response = FTS__ACCESS__V1__MAKE_RESPONSE__INIT;
	request.id = (char *)(uintptr_t)id;
	request.hash = (ProtobufCBinaryData){sizeof hash_of_a, hash_of_a};
	request.role = role;
	request.subject = (char *)(uintptr_t)subject;
	request.lifetime_ms = lifetime_ms;
	return run(ftsi_access_apply_make, &request, &response);
}

static enum fts_status revoke(const char *id)
{
	Fts__Access__V1__RevokeRequest request = FTS__ACCESS__V1__REVOKE_REQUEST__INIT;
	Fts__Access__V1__RevokeResponse response = FTS__ACCESS__V1__REVOKE_RESPONSE__INIT;
	request.id = (char *)(uintptr_t)id;
	return run(ftsi_access_apply_revoke, &request, &response);
}

static enum fts_status spend(const char *id, uint8_t *hash, const char *name, uint64_t node_id)
{
	Fts__Access__V1__SpendCommand command = FTS__ACCESS__V1__SPEND_COMMAND__INIT;
	Fts__Access__V1__SpendResult result = FTS__ACCESS__V1__SPEND_RESULT__INIT;
	command.id = (char *)(uintptr_t)id;
	command.hash = (ProtobufCBinaryData){FTS_TOKEN_HASH_BYTES, hash};
	command.name = (char *)(uintptr_t)name;
	command.node_id = node_id;
	return run(ftsi_access_apply_spend, &command, &result);
}

static enum fts_status rotate(uint8_t first_byte, uint64_t generation)
{
	uint8_t secret[FTSI_NODE_SECRET_BYTES] = {first_byte};
	Fts__Access__V1__RotateCommand command = FTS__ACCESS__V1__ROTATE_COMMAND__INIT;
	Fts__Access__V1__RotateResult result = FTS__ACCESS__V1__ROTATE_RESULT__INIT;
	command.secret = (ProtobufCBinaryData){sizeof secret, secret};
	command.generation = generation;
	return run(ftsi_access_apply_rotate, &command, &result);
}

#define ID(digit) "000000000000000" digit

/* ---- Tests ---- */

static void what_a_token_may_be(void **state)
{
	static const struct {
		const char *id, *subject;
		Fts__Access__V1__Role role;
		uint64_t lifetime_ms;
		enum fts_status status;
	} cases[] = {
	    {ID("1"), "", ROLE(READER), 0, FTS_FAILED_PRECONDITION},      /* the first is an admin's */
	    {ID("1"), "", ROLE(ADMIN), HOUR_MS, FTS_FAILED_PRECONDITION}, /* that lasts */
	    {ID("0"), "", ROLE(ADMIN), 0, FTS_INVALID_ARGUMENT},          /* the nodes' own id */
	    {"1", "", ROLE(ADMIN), 0, FTS_INVALID_ARGUMENT},
	    {ID("G"), "", ROLE(ADMIN), 0, FTS_INVALID_ARGUMENT},
	    {ID("1"), "", ROLE(ADMIN), 0, FTS_OK},
	    {ID("1"), "", ROLE(ADMIN), 0, FTS_OK}, /* again */
	    {ID("1"), "", ROLE(READER), 0, FTS_ALREADY_EXISTS},
	    {ID("2"), "", ROLE(ROLE_NONE), 0, FTS_INVALID_ARGUMENT},
	    {ID("2"), "", ROLE(NODE), 0, FTS_INVALID_ARGUMENT},
	    {ID("2"), "x", ROLE(READER), 0, FTS_INVALID_ARGUMENT},
	    {ID("2"), "", ROLE(AGENCY), 0, FTS_INVALID_ARGUMENT},
	    {ID("2"), "03", ROLE(AGENCY), 0, FTS_INVALID_ARGUMENT},
	    {ID("2"), "3", ROLE(AGENCY), 0, FTS_OK},
	    {ID("3"), "n4", ROLE(JOIN), 0, FTS_INVALID_ARGUMENT}, /* for ever */
	    {ID("3"), "n4", ROLE(JOIN), 8ull * 24 * HOUR_MS, FTS_INVALID_ARGUMENT},
	    {ID("3"), "n4", ROLE(JOIN), HOUR_MS, FTS_OK},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum fts_status status = make(cases[i].id, cases[i].role, cases[i].subject, cases[i].lifetime_ms);
		if (status != cases[i].status) fail_msg("case %zu: %s", i, fts_status_name(status));
	}
}

static void an_admin_is_left(void **state)
{
	(void)state;
	assert_int_equal(revoke(ID("9")), FTS_NOT_FOUND);
	assert_int_equal(revoke("x"), FTS_INVALID_ARGUMENT);
	assert_int_equal(revoke(ID("1")), FTS_FAILED_PRECONDITION);
	assert_int_equal(make(ID("4"), ROLE(ADMIN), "", HOUR_MS), FTS_OK);
	assert_int_equal(revoke(ID("1")), FTS_FAILED_PRECONDITION); /* that one will end */
	assert_int_equal(make(ID("5"), ROLE(ADMIN), "", 0), FTS_OK);
	assert_int_equal(revoke(ID("1")), FTS_OK);
	assert_int_equal(revoke(ID("5")), FTS_FAILED_PRECONDITION);
}

static void joining_is_once(void **state)
{
	(void)state;
	assert_int_equal(spend(ID("9"), hash_of_a, "n4", 7), FTS_UNAUTHENTICATED);
	assert_int_equal(spend(ID("3"), hash_of_b, "n4", 7), FTS_UNAUTHENTICATED);
	assert_int_equal(spend(ID("5"), hash_of_a, "n4", 7), FTS_UNAUTHENTICATED); /* an admin's is none */
	assert_int_equal(spend(ID("3"), hash_of_a, "n5", 7), FTS_PERMISSION_DENIED);
	unsigned events = world.event_count;
	assert_int_equal(spend(ID("3"), hash_of_a, "n4", 7), FTS_OK);
	assert_int_equal(spend(ID("3"), hash_of_a, "n4", 7), FTS_OK); /* it asks again */
	assert_int_equal(world.event_count, events + 1);
	assert_int_equal(spend(ID("3"), hash_of_a, "n4", 8), FTS_PERMISSION_DENIED); /* another that calls itself so */
	assert_int_equal(make(ID("6"), ROLE(JOIN), "n6", HOUR_MS), FTS_OK);
	world.time_ms += HOUR_MS;
	assert_int_equal(spend(ID("6"), hash_of_a, "n6", 9), FTS_UNAUTHENTICATED);
}

/* What the table says of a token's text. */
static bool knows(struct ftsi_table *table, const char *text, struct ftsi_holder *out_holder)
{
	return ftsi_table_find(table, (struct fts_bytes){(const uint8_t *)text, strlen(text)}, world.time_ms,
			       out_holder);
}

static void load(struct ftsi_table *table)
{
	struct fts_txn *view = NULL;
	assert_int_equal(fts_store_view(world.store, &view), FTS_OK);
	assert_int_equal(ftsi_table_load(table, view), FTS_OK);
	fts_txn_abort(view);
}

static void nodes_change_their_token(void **state)
{
	char first[FTS_TOKEN_TEXT_BYTES], second[FTS_TOKEN_TEXT_BYTES], third[FTS_TOKEN_TEXT_BYTES];
	struct ftsi_holder holder;
	struct ftsi_table *table = ftsi_table_create(NULL);
	(void)state;
	assert_true(ftsi_table_is_open(table));
	load(table);
	assert_false(ftsi_table_is_open(table));
	assert_int_equal(ftsi_table_node_token(table, first), 0);
	assert_int_equal(rotate(1, 0), FTS_OK);
	assert_int_equal(rotate(2, 0), FTS_OK); /* somebody was faster: nothing */
	load(table);
	assert_int_equal(ftsi_table_node_token(table, first), FTS_TOKEN_TEXT_BYTES - 1);
	assert_true(knows(table, first, &holder));
	assert_int_equal(holder.role, ROLE(NODE));
	assert_int_equal(rotate(2, 1), FTS_OK);
	load(table);
	(void)ftsi_table_node_token(table, second);
	assert_string_not_equal(first, second);
	assert_true(knows(table, first, &holder) && knows(table, second, &holder)); /* until the next */
	assert_int_equal(rotate(3, 2), FTS_OK);
	load(table);
	(void)ftsi_table_node_token(table, third);
	assert_false(knows(table, first, &holder));
	assert_true(knows(table, second, &holder) && knows(table, third, &holder));
	ftsi_table_destroy(table);
}

/* A token whose text is known here; its hash goes where fts-cli would send it. */
static void the_table_finds_holders(void **state)
{
	char text[FTS_TOKEN_TEXT_BYTES], id[FTS_TOKEN_ID_BYTES];
	struct ftsi_holder holder;
	struct ftsi_table *table = ftsi_table_create(NULL);
	(void)state;
	assert_true(fts_token_make(text));
	assert_true(fts_token_id(text, strlen(text), id));
	load(table);
	assert_false(knows(table, text, &holder));
	fts_token_hash(text, strlen(text), hash_of_a);
	assert_int_equal(make(id, ROLE(PLAYER), "m1", HOUR_MS), FTS_OK);
	load(table);
	assert_true(knows(table, text, &holder));
	assert_int_equal(holder.role, ROLE(PLAYER));
	assert_string_equal(holder.subject, "m1");
	text[FTS_TOKEN_TEXT_BYTES - 2] ^= 1; /* the same id, another secret */
	assert_false(knows(table, text, &holder));
	text[FTS_TOKEN_TEXT_BYTES - 2] ^= 1;
	world.time_ms += HOUR_MS;
	assert_false(knows(table, text, &holder)); /* remembered by this thread, expired all the same */
	world.time_ms -= HOUR_MS;
	assert_true(knows(table, text, &holder));
	assert_int_equal(revoke(id), FTS_OK);
	load(table);
	assert_false(knows(table, text, &holder)); /* remembered by this thread, revoked all the same */
	ftsi_table_destroy(table);
}

/* What one token may call is counted over all who have it, and goes on when others change. */
static void calls_are_counted(void **state)
{
	enum { CALLS_PER_S = 4 };
	const uint64_t began_ns = 1000000000000u, share_ns = 1000000000u / CALLS_PER_S;
	char text[FTS_TOKEN_TEXT_BYTES], id[FTS_TOKEN_ID_BYTES];
	struct ftsi_holder holder;
	struct ftsi_table *table = ftsi_table_create(NULL);
	Fts__Access__V1__MakeRequest request = FTS__ACCESS__V1__MAKE_REQUEST__INIT;
	Fts__Access__V1__MakeResponse response = FTS__ACCESS__V1__MAKE_RESPONSE__INIT;
	(void)state;
	assert_true(fts_token_make(text) && fts_token_id(text, strlen(text), id));
	fts_token_hash(text, strlen(text), hash_of_a);
	request.id = id;
	request.hash = (ProtobufCBinaryData){sizeof hash_of_a, hash_of_a};
	request.role = ROLE(READER);
	request.calls_per_s = 1000001;
	assert_int_equal(run(ftsi_access_apply_make, &request, &response), FTS_INVALID_ARGUMENT);
	request.calls_per_s = CALLS_PER_S;
	assert_int_equal(run(ftsi_access_apply_make, &request, &response), FTS_OK);
	load(table);
	assert_true(knows(table, text, &holder));
	assert_int_equal(holder.calls_per_s, CALLS_PER_S);
	for (int i = 0; i < CALLS_PER_S; i++) /* a second's worth at once */
		assert_int_equal(ftsi_table_charge(table, &holder, began_ns), 0);
	assert_int_equal(ftsi_table_charge(table, &holder, began_ns), 1000 / CALLS_PER_S + 1);
	load(table);
	assert_int_not_equal(ftsi_table_charge(table, &holder, began_ns), 0);
	assert_int_equal(ftsi_table_charge(table, &holder, began_ns + share_ns), 0);
	assert_int_not_equal(ftsi_table_charge(table, &holder, began_ns + share_ns), 0);
	holder.calls_per_s = 0; /* of a token without a limit */
	assert_int_equal(ftsi_table_charge(table, &holder, began_ns), 0);
	assert_int_equal(revoke(id), FTS_OK);
	ftsi_table_destroy(table);
}

static int start(void **state)
{
	const struct fts_store_options options = {.create_if_missing = true};
	char path[HARNESS_PATH_MAX + 8];
	(void)state;
	world.time_ms = 1795219200000;
	harness_directory_make(world.dir);
	(void)snprintf(path, sizeof path, "%s/state", world.dir);
	assert_int_equal(fts_store_open(path, &options, &world.store, NULL), FTS_OK);
	world.pool = fts_arena_pool_create(2 * ARENA_BYTES);
	world.arena = fts_arena_acquire(world.pool, ARENA_BYTES);
	return world.arena == NULL ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	fts_arena_release(world.arena);
	fts_arena_pool_destroy(world.pool);
	fts_store_close(world.store);
	harness_directory_remove(world.dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_token_may_be),     cmocka_unit_test(an_admin_is_left),
	    cmocka_unit_test(joining_is_once),         cmocka_unit_test(nodes_change_their_token),
	    cmocka_unit_test(the_table_finds_holders), cmocka_unit_test(calls_are_counted),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
