/* Why this file exists: see world.h. It stands in for the replica: what the games ask of one is answered here. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/key.h"

#define TIME_MS INT64_C(1795219200000) /* 2026-11-21 */

enum { ENTROPY_BYTES = 32 };

/* ---- What the replica would do ---- */

static struct world *current; /* the world a call comes from */

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
	uint8_t *packed = malloc(protobuf_c_message_get_packed_size(event) + 1);
	size_t size = protobuf_c_message_pack(event, packed);
	(void)apply;
	assert_string_equal(topic, "game.match");
	if (current->event_count == WORLD_EVENT_MAX) {
		fts__game__v1__match_event__free_unpacked(current->events[0], NULL);
		memmove(&current->events[0], &current->events[1], sizeof current->events - sizeof current->events[0]);
		current->event_count--;
	}
	current->events[current->event_count] = fts__game__v1__match_event__unpack(NULL, size, packed);
	assert_non_null(current->events[current->event_count++]);
	free(packed);
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

enum fts_status fts_read_wait_key(struct fts_read *read, uint64_t key)
{
	assert_true(key != 0);
	read->wait_topic = "";
	read->wait_key = key;
	return FTS_UNAVAILABLE;
}

void fts_apply_wake(struct fts_apply *apply, uint64_t key)
{
	(void)apply;
	assert_true(key != 0);
}

enum fts_status fts_replica_propose(struct fts_replica *replica, const struct fts_method *method,
				    const ProtobufCMessage *request, fts_propose_fn done, void *ctx)
{
	struct world *world = (struct world *)(void *)replica;
	(void)done, (void)ctx;
	assert_int_equal(protobuf_c_message_get_packed_size(request), 0);
	assert_true(world->proposal_count < WORLD_PROPOSAL_MAX);
	world->proposals[world->proposal_count++] = method;
	return FTS_OK;
}

/* ---- Opening and closing ---- */

void world_open(struct world *world)
{
	struct fts_store_options options = {.create_if_missing = true, .write_buffer_bytes = 64 << 20};
	char state[HARNESS_PATH_MAX + 8];
	struct fts_error error;
	memset(world, 0, sizeof *world);
	harness_directory_make(world->data);
	(void)snprintf(state, sizeof state, "%s/state", world->data);
	assert_int_equal(fts_store_open(state, &options, &world->store, &error), FTS_OK);
	world->pool = fts_arena_pool_create((size_t)64 << 20);
	world->arena = fts_arena_acquire(world->pool, (size_t)32 << 20);
	world->index = 1;
	world->lead_index = 1;
	world->time_ms = TIME_MS;
	world->entropy = 1;
	assert_int_equal(fts_games_create(&world->games, &error), FTS_OK);
	fts_games_attach(world->games, (struct fts_replica *)(void *)world);
}

void world_forget_events(struct world *world)
{
	for (size_t i = 0; i < world->event_count; i++)
		fts__game__v1__match_event__free_unpacked(world->events[i], NULL);
	world->event_count = 0;
}

void world_close(struct world *world)
{
	fts_txn_abort(world->txn);
	fts_games_detach(world->games);
	fts_games_destroy(world->games);
	world_forget_events(world);
	fts_arena_release(world->arena);
	fts_arena_pool_destroy(world->pool);
	fts_store_close(world->store);
	harness_directory_remove(world->data);
}

/* ---- Commands and reads ---- */

static void *arena_alloc(void *arena, size_t size)
{
	return fts_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *pointer)
{
	(void)arena, (void)pointer;
}

static const struct fts_machine_method *method_of(struct world *world, const struct fts_method *method,
						  const struct fts_machine **out_machine)
{
	size_t count;
	const struct fts_machine *const *machines = fts_games_machines(world->games, &count);
	for (size_t i = 0; i < count; i++) {
		const struct fts_service *service = machines[i]->service;
		if (method >= service->methods && method < service->methods + service->method_count) {
			*out_machine = machines[i];
			return &machines[i]->methods[method - service->methods];
		}
	}
	fail_msg("no machine has %s", method->name);
	return NULL;
}

static ProtobufCMessage *response_of(struct world *world, const struct fts_method *method)
{
	ProtobufCMessage *response = fts_arena_alloc(world->arena, method->response->sizeof_message);
	method->response->message_init(response);
	return response;
}

/* Every event of a match follows the one before it. */
static void check_numbers(struct world *world, size_t from)
{
	for (size_t i = from; i < world->event_count; i++)
		for (size_t j = i; j-- > 0;) {
			if (strcmp(world->events[i]->match, world->events[j]->match) != 0) continue;
			assert_int_equal(world->events[i]->number, world->events[j]->number + 1);
			break;
		}
}

enum fts_status world_apply(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			    void *out_response)
{
	const struct fts_machine *machine = NULL;
	const struct fts_machine_method *code = method_of(world, method, &machine);
	ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = world->arena};
	size_t event_count = world->event_count, size;
	current = world;
	fts_arena_reset(world->arena);
	if (world->txn == NULL) assert_int_equal(fts_txn_begin(world->store, &world->txn), FTS_OK);
	uint8_t *packed = fts_arena_alloc(world->arena, protobuf_c_message_get_packed_size(request));
	size = protobuf_c_message_pack(request, packed);
	ProtobufCMessage *command = protobuf_c_message_unpack(method->request, &allocator, size, packed);
	ProtobufCMessage *response = response_of(world, method);
	struct fts_apply apply = {.txn = world->txn,
				  .index = world->index++,
				  .time_ms = world->time_ms,
				  .lead_index = world->lead_index,
				  .arena = world->arena,
				  .request_bytes = {packed, size}};
	assert_non_null(command);
	fts_txn_save(world->txn);
	enum fts_status status = code->apply(&apply, command, response, machine->ctx);
	if (status == FTS_OK)
		fts_txn_release(world->txn);
	else
		fts_txn_rollback(world->txn);
	assert_true(status != FTS_INTERNAL && status != FTS_DATA_LOSS);
	if (status != FTS_OK && event_count < WORLD_EVENT_MAX)
		assert_int_equal(world->event_count, event_count); /* nothing refused is told */
	check_numbers(world, event_count);
	memcpy(world->detail, apply.detail, sizeof world->detail);
	if (out_response != NULL) memcpy(out_response, &response, sizeof response);
	return status;
}

struct fts_bytes world_prepare(struct world *world, const struct fts_method *method, const ProtobufCMessage *request)
{
	const struct fts_machine *machine = NULL;
	const struct fts_machine_method *code = method_of(world, method, &machine);
	struct fts_error error;
	fts_arena_reset(world->arena);
	return code->prepare(request, world->arena, machine->ctx, &error);
}

static void write_applied(struct world *world)
{
	if (world->txn != NULL) assert_int_equal(fts_txn_commit(&world->txn, false), FTS_OK);
}

enum fts_status world_read(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			   void *out_response)
{
	const struct fts_machine *machine = NULL;
	const struct fts_machine_method *code = method_of(world, method, &machine);
	struct fts_read read = {.arena = world->arena};
	write_applied(world);
	fts_arena_reset(world->arena);
	assert_int_equal(fts_store_view(world->store, &read.view), FTS_OK);
	ProtobufCMessage *response = response_of(world, method);
	enum fts_status status = code->read(&read, request, response, machine->ctx);
	fts_txn_abort(read.view);
	world->waits = read.wait_topic != NULL;
	memcpy(world->detail, read.detail, sizeof world->detail);
	if (out_response != NULL) memcpy(out_response, &response, sizeof response);
	return status;
}

void world_turn(struct world *world, bool leader)
{
	size_t count;
	const struct fts_machine *machine = fts_games_machines(world->games, &count)[0];
	struct fts_txn *view = NULL;
	write_applied(world);
	assert_int_equal(fts_store_view(world->store, &view), FTS_OK);
	machine->on_turn(machine->ctx, view, leader, world->time_ms);
	fts_txn_abort(view);
}

size_t world_apply_proposals(struct world *world)
{
	size_t count = world->proposal_count;
	world->proposal_count = 0;
	for (size_t i = 0; i < count; i++) {
		Fts__Game__V1__TickRequest tick = FTS__GAME__V1__TICK_REQUEST__INIT;
		Fts__Game__V1__ResumeRequest resume = FTS__GAME__V1__RESUME_REQUEST__INIT;
		bool is_tick = world->proposals[i] == fts_game_clock_tick_method;
		assert_int_equal(world_apply(world, world->proposals[i], is_tick ? &tick.base : &resume.base, NULL),
				 FTS_OK);
	}
	return count;
}

void world_tick(struct world *world)
{
	world_turn(world, true);
	(void)world_apply_proposals(world);
}

uint64_t world_hash(struct world *world)
{
	struct fts_txn *view = NULL;
	uint64_t hash = 0;
	write_applied(world);
	assert_int_equal(fts_store_view(world->store, &view), FTS_OK);
	for (uint16_t table = FTS_TABLE_GAME; table < FTS_TABLE_GAME + 16; table++) {
		struct fts_cursor *cursor = NULL;
		struct fts_key prefix;
		struct fts_bytes key, value;
		fts_key_begin(&prefix, table);
		assert_int_equal(fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){0}, &cursor), FTS_OK);
		while (fts_cursor_next(cursor, &key, &value))
			hash = fts_hash64(value, fts_hash64(key, hash));
		fts_cursor_close(cursor);
	}
	fts_txn_abort(view);
	return hash;
}

/* ---- Shorter ---- */

static ProtobufCBinaryData entropy(struct world *world)
{
	static uint8_t bytes[ENTROPY_BYTES];
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, &world->entropy, sizeof world->entropy);
	world->entropy++;
	return (ProtobufCBinaryData){sizeof bytes, bytes};
}

static char *borrowed(const char *text)
{
	return (char *)(uintptr_t)text;
}

void world_create(struct world *world, const char *rules, uint32_t initial_ms, uint32_t increment_ms, char *out_match)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	const Fts__Game__V1__CreateResponse *response;
	request.rules = borrowed(rules);
	request.entropy = entropy(world);
	clock.initial_ms = initial_ms;
	clock.increment_ms = increment_ms;
	request.clock = &clock;
	assert_int_equal(world_apply(world, fts_game_create_method, &request.base, &response), FTS_OK);
	(void)snprintf(out_match, 16, "%s", response->match);
}

enum fts_status world_try_create(struct world *world, const char *rules, const char *label, uint32_t initial_ms,
				 uint32_t increment_ms, size_t entropy_bytes)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	uint8_t same[64] = {42};
	request.rules = borrowed(rules);
	request.label = borrowed(label);
	request.entropy = (ProtobufCBinaryData){entropy_bytes, same};
	clock.initial_ms = initial_ms;
	clock.increment_ms = increment_ms;
	if (initial_ms + increment_ms > 0) request.clock = &clock;
	return world_apply(world, fts_game_create_method, &request.base, NULL);
}

enum fts_status world_try_join(struct world *world, const char *match, const char *name, int seat,
			       struct player *out_player)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	const Fts__Game__V1__JoinResponse *response;
	request.match = borrowed(match);
	request.name = borrowed(name);
	request.seat = (uint32_t)(seat + 1);
	request.entropy = entropy(world);
	enum fts_status status = world_apply(world, fts_game_join_method, &request.base, &response);
	if (status != FTS_OK) return status;
	(void)snprintf(out_player->match, sizeof out_player->match, "%s", match);
	(void)snprintf(out_player->token, sizeof out_player->token, "%s", response->token);
	out_player->seat = response->seat;
	return FTS_OK;
}

void world_pair(struct world *world, const char *rules, uint32_t initial_ms, uint32_t increment_ms,
		struct player out_players[2])
{
	char match[16];
	world_create(world, rules, initial_ms, increment_ms, match);
	assert_int_equal(world_try_join(world, match, "ann", -1, &out_players[0]), FTS_OK);
	assert_int_equal(world_try_join(world, match, "bob", -1, &out_players[1]), FTS_OK);
}

enum fts_status world_try_move(struct world *world, const struct player *player, const char *move, uint32_t ply,
			       const Fts__Game__V1__MoveResponse **out_response)
{
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	request.match = borrowed(player->match);
	request.token = borrowed(player->token);
	request.move = borrowed(move);
	request.ply = ply;
	return world_apply(world, fts_game_move_method, &request.base, out_response);
}

void world_move(struct world *world, const struct player *player, const char *move)
{
	if (world_try_move(world, player, move, 0, NULL) != FTS_OK)
		fail_msg("%s by seat %u: %s", move, player->seat, world->detail);
}

enum fts_status world_try_resign(struct world *world, const struct player *player)
{
	Fts__Game__V1__ResignRequest request = FTS__GAME__V1__RESIGN_REQUEST__INIT;
	request.match = borrowed(player->match);
	request.token = borrowed(player->token);
	return world_apply(world, fts_game_resign_method, &request.base, NULL);
}

enum fts_status world_try_rematch(struct world *world, const struct player *player, char *out_match)
{
	Fts__Game__V1__RematchRequest request = FTS__GAME__V1__REMATCH_REQUEST__INIT;
	const Fts__Game__V1__RematchResponse *response;
	request.match = borrowed(player->match);
	request.token = borrowed(player->token);
	request.entropy = entropy(world);
	enum fts_status status = world_apply(world, fts_game_rematch_method, &request.base, &response);
	if (status == FTS_OK) (void)snprintf(out_match, 16, "%s", response->match);
	return status;
}

const Fts__Game__V1__ShowResponse *world_show(struct world *world, const char *match)
{
	Fts__Game__V1__ShowRequest request = FTS__GAME__V1__SHOW_REQUEST__INIT;
	const Fts__Game__V1__ShowResponse *response;
	request.match = borrowed(match);
	assert_int_equal(world_read(world, fts_game_show_method, &request.base, &response), FTS_OK);
	return response;
}

const Fts__Game__V1__RecordResponse *world_record(struct world *world, const char *match)
{
	Fts__Game__V1__RecordRequest request = FTS__GAME__V1__RECORD_REQUEST__INIT;
	const Fts__Game__V1__RecordResponse *response;
	request.match = borrowed(match);
	assert_int_equal(world_read(world, fts_game_record_method, &request.base, &response), FTS_OK);
	return response;
}

const Fts__Game__V1__WatchResponse *world_watch(struct world *world, const char *match, uint64_t from)
{
	Fts__Game__V1__WatchRequest request = FTS__GAME__V1__WATCH_REQUEST__INIT;
	const Fts__Game__V1__WatchResponse *response;
	request.match = borrowed(match);
	request.from = from;
	assert_int_equal(world_read(world, fts_game_watch_method, &request.base, &response), FTS_OK);
	return response;
}
