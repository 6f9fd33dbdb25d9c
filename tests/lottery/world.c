/* Why this file exists: see world.h. It stands in for the replica: what the lottery asks of one is answered here. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TIME_MS INT64_C(1795219200000) /* 2026-11-21 */

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

static ProtobufCMessage *copy_of(const ProtobufCMessage *message)
{
	uint8_t *packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
	size_t size = protobuf_c_message_pack(message, packed);
	ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
	free(packed);
	assert_non_null(copy);
	return copy;
}

enum fts_status fts_apply_publish(struct fts_apply *apply, const char *topic, const ProtobufCMessage *event)
{
	(void)apply;
	if (current->event_count == WORLD_EVENT_MAX) {
		protobuf_c_message_free_unpacked(current->events[0].event, NULL);
		memmove(&current->events[0], &current->events[1], sizeof current->events - sizeof current->events[0]);
		current->event_count--;
	}
	struct world_event *kept = &current->events[current->event_count++];
	(void)snprintf(kept->topic, sizeof kept->topic, "%s", topic);
	kept->event = copy_of(event);
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

enum fts_status fts_read_wait(struct fts_read *read, const char *topic)
{
	read->wait_topic = topic;
	return FTS_UNAVAILABLE;
}

void fts_replica_suggest(struct fts_replica *replica, const struct fts_method *method, const ProtobufCMessage *request)
{
	struct world *world = (struct world *)(void *)replica;
	assert_true(world->proposal_count < WORLD_PROPOSAL_MAX);
	world->proposals[world->proposal_count++] = (struct world_proposal){method, copy_of(request)};
}

enum fts_status fts_replica_view(struct fts_replica *replica, struct fts_txn **out_view)
{
	return fts_store_view(((struct world *)(void *)replica)->store, out_view);
}

/* ---- Opening and closing ---- */

static void service_open(struct world *world)
{
	struct fts_lottery_options options = {.data = world->data, .node = "n1"};
	struct fts_error error;
	assert_int_equal(fts_lottery_create(&options, &world->lottery, &error), FTS_OK);
	fts_lottery_attach(world->lottery, (struct fts_replica *)(void *)world);
}

void world_open(struct world *world)
{
	struct fts_store_options options = {.create_if_missing = true, .write_buffer_bytes = 64 << 20};
	char state[HARNESS_PATH_MAX + 8];
	struct fts_error error;
	memset(world, 0, sizeof *world);
	harness_directory_make(world->data);
	(void)snprintf(state, sizeof state, "%s/state", world->data);
	assert_int_equal(fts_store_open(state, &options, &world->store, &error), FTS_OK);
	world->pool = fts_arena_pool_create((size_t)256 << 20);
	world->arena = fts_arena_acquire(world->pool, (size_t)96 << 20);
	world->index = 1;
	world->time_ms = TIME_MS;
	service_open(world);
}

void world_forget_events(struct world *world)
{
	for (size_t i = 0; i < world->event_count; i++)
		protobuf_c_message_free_unpacked(world->events[i].event, NULL);
	world->event_count = 0;
}

static void forget_proposals(struct world *world)
{
	for (size_t i = 0; i < world->proposal_count; i++)
		protobuf_c_message_free_unpacked(world->proposals[i].command, NULL);
	world->proposal_count = 0;
}

static void service_close(struct world *world)
{
	fts_lottery_detach(world->lottery);
	fts_lottery_destroy(world->lottery);
	forget_proposals(world);
}

void world_close(struct world *world)
{
	fts_txn_abort(world->txn);
	service_close(world);
	world_forget_events(world);
	fts_arena_release(world->arena);
	fts_arena_pool_destroy(world->pool);
	fts_store_close(world->store);
	harness_directory_remove(world->data);
}

void world_restart(struct world *world, bool forget_key)
{
	char key[HARNESS_PATH_MAX + 16];
	service_close(world);
	(void)snprintf(key, sizeof key, "%s/lottery.key", world->data);
	if (forget_key) assert_int_equal(unlink(key), 0);
	service_open(world);
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
	const struct fts_machine *const *machines = fts_lottery_machines(world->lottery, &count);
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

static struct fts_bytes pack(struct world *world, const struct fts_machine_method *code,
			     const struct fts_machine *machine, const ProtobufCMessage *request)
{
	struct fts_error error;
	uint8_t *packed;
	if (code->prepare != NULL) return code->prepare(request, world->arena, machine->ctx, &error);
	packed = fts_arena_alloc(world->arena, protobuf_c_message_get_packed_size(request));
	return (struct fts_bytes){packed, protobuf_c_message_pack(request, packed)};
}

enum fts_status world_apply(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			    void *out_response)
{
	const struct fts_machine *machine = NULL;
	const struct fts_machine_method *code = method_of(world, method, &machine);
	ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = world->arena};
	size_t event_count = world->event_count;
	current = world;
	fts_arena_reset(world->arena);
	if (world->txn == NULL) assert_int_equal(fts_txn_begin(world->store, &world->txn), FTS_OK);
	struct fts_apply apply = {
	    .txn = world->txn, .index = world->index++, .time_ms = world->time_ms, .arena = world->arena};
	apply.request_bytes = pack(world, code, machine, request);
	ProtobufCMessage *command = protobuf_c_message_unpack(method->request, &allocator,
							      apply.request_bytes.size_bytes, apply.request_bytes.data);
	ProtobufCMessage *response = response_of(world, method);
	assert_non_null(command);
	fts_txn_save(world->txn);
	enum fts_status status = code->apply(&apply, command, response, machine->ctx);
	if (status == FTS_OK)
		fts_txn_release(world->txn);
	else
		fts_txn_rollback(world->txn);
	if (status != FTS_OK && event_count < WORLD_EVENT_MAX)
		assert_int_equal(world->event_count, event_count); /* nothing refused is told */
	assert_true(status != FTS_INTERNAL && status != FTS_DATA_LOSS);
	memcpy(world->detail, apply.detail, sizeof world->detail);
	if (out_response != NULL) memcpy(out_response, &response, sizeof response);
	return status;
}

void world_commit(struct world *world)
{
	if (world->txn != NULL) assert_int_equal(fts_txn_commit(&world->txn, false), FTS_OK);
}

enum fts_status world_read(struct world *world, const struct fts_method *method, const ProtobufCMessage *request,
			   void *out_response)
{
	const struct fts_machine *machine = NULL;
	const struct fts_machine_method *code = method_of(world, method, &machine);
	struct fts_read read = {.arena = world->arena};
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
	const struct fts_machine *machine = fts_lottery_machines(world->lottery, &count)[0];
	struct fts_txn *view = NULL;
	assert_int_equal(fts_store_view(world->store, &view), FTS_OK);
	machine->on_turn(machine->ctx, view, leader, world->time_ms);
	fts_txn_abort(view);
}

void world_apply_proposals(struct world *world)
{
	for (size_t i = 0; i < world->proposal_count; i++)
		assert_int_equal(world_apply(world, world->proposals[i].method, world->proposals[i].command, NULL),
				 FTS_OK);
	forget_proposals(world);
}

/* ---- Shorter ---- */

enum fts_status world_draw_open(struct world *world, const char *draw, uint32_t agencies, int32_t fixed_number)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	request.draw = (char *)(uintptr_t)draw;
	request.agencies = agencies;
	request.fixed = fixed_number >= 0;
	request.number = fixed_number >= 0 ? (uint32_t)fixed_number : 0;
	return world_apply(world, fts_lottery_open_method, &request.base, NULL);
}

Fts__Lottery__V1__Bet *world_bet_make(const char *text)
{
	Fts__Lottery__V1__Bet *bet = malloc(sizeof *bet);
	char *copy = strdup(text), *rest = copy;
	fts__lottery__v1__bet__init(bet);
	bet->first_name = strdup(strsep(&rest, ";"));
	bet->last_name = strdup(strsep(&rest, ";"));
	bet->document = strdup(strsep(&rest, ";"));
	bet->birthdate = strdup(strsep(&rest, ";"));
	bet->number = (uint32_t)strtoul(rest, NULL, 10);
	free(copy);
	return bet;
}

void world_bet_free(Fts__Lottery__V1__Bet *bet)
{
	fts__lottery__v1__bet__free_unpacked(bet, NULL);
}

enum fts_status world_bet(struct world *world, const char *draw, uint32_t agency, const char *bet, uint64_t *out_ticket)
{
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	const Fts__Lottery__V1__StoreBetResponse *response;
	request.draw = (char *)(uintptr_t)draw;
	request.agency = agency;
	request.bet = world_bet_make(bet);
	enum fts_status status = world_apply(world, fts_lottery_store_bet_method, &request.base, &response);
	if (out_ticket != NULL) *out_ticket = response->ticket;
	world_bet_free(request.bet);
	return status;
}

enum fts_status world_agency_close(struct world *world, const char *draw, uint32_t agency, const char *entropy)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	request.draw = (char *)(uintptr_t)draw;
	request.agency = agency;
	request.entropy = (ProtobufCBinaryData){strlen(entropy), (uint8_t *)(uintptr_t)entropy};
	return world_apply(world, fts_lottery_agency_close_method, &request.base, NULL);
}

const Fts__Lottery__V1__StatusResponse *world_status(struct world *world, const char *draw)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	const Fts__Lottery__V1__StatusResponse *response;
	request.draw = (char *)(uintptr_t)draw;
	world_commit(world);
	assert_int_equal(world_read(world, fts_lottery_status_method, &request.base, &response), FTS_OK);
	return response;
}
