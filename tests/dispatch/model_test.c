/* Why this file exists: thousands of random commands with a seed upon the dispatcher's state, beside a model that knows
 * only the rules: who holds what, who stands where. After each command both must say the same.
 *
 *   dispatch_model [SEED] */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/ticket.h"
#include "dispatch/read.h"
#include "dispatch/transition.h"
#include "world.h"

enum { STEP_COUNT = 6000, WORKER_MAX = 6, TICKET_MAX = STEP_COUNT + 1, NAME_COUNT = 2, CAPACITY_MAX = 3, RUNS_MAX = 9 };

struct model_worker {
	uint64_t id, instance;
	uint32_t capacity, running;
	int name;
	bool there, leaving, hung, unreachable;
};

struct model_ticket {
	uint64_t number;
	int name;
	enum { LINE, HELD, ENDED } standing;
	int worker;
	bool known;
	uint32_t runs, ran;
	int64_t due_ms; /* of a place */
	uint8_t bytes[FTS_TICKET_BYTES];
};

struct model {
	struct world world;
	uint64_t random, instance_count;
	struct model_worker workers[WORKER_MAX];
	struct model_ticket tickets[TICKET_MAX];
	size_t ticket_count;
	bool offered[NAME_COUNT];
};

static struct model model;
static uint64_t seed = 1;
static const char *const names[NAME_COUNT] = {"sum", "sum of all"};

static uint32_t pick(uint32_t below)
{
	model.random ^= model.random >> 12;
	model.random ^= model.random << 25;
	model.random ^= model.random >> 27;
	return (uint32_t)((model.random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static void fill_key(const struct model_worker *worker, uint8_t *out_key)
{
	memset(out_key, (int)worker->instance, FTS_TICKET_KEY_BYTES);
}

/* ---- The rules, as the model has them ---- */

static bool may_take(const struct model_worker *worker)
{
	return worker->there && !worker->leaving && !worker->hung && !worker->unreachable &&
	       worker->running < worker->capacity;
}

/* The first in line of name; -1: nobody. */
static long first_in_line(int name)
{
	for (size_t i = 0; i < model.ticket_count; i++)
		if (model.tickets[i].standing == LINE && model.tickets[i].name == name) return (long)i;
	return -1;
}

static bool somebody_is_free(int name)
{
	for (int i = 0; i < WORKER_MAX; i++)
		if (model.workers[i].name == name && may_take(&model.workers[i])) return true;
	return false;
}

static int worker_of(uint64_t id)
{
	for (int i = 0; i < WORKER_MAX; i++)
		if (model.workers[i].there && model.workers[i].id == id) return i;
	return -1;
}

/* For how many runs a ticket is: with others behind it in line, its share of what was asked for. */
static uint32_t runs_due(const struct model_ticket *ticket)
{
	uint32_t waiting = 0;
	for (size_t i = 0; ticket->standing == LINE && i < model.ticket_count; i++)
		waiting += model.tickets[i].standing == LINE && model.tickets[i].name == ticket->name;
	return waiting > 1 && ticket->runs > waiting ? ticket->runs / waiting : waiting > 1 ? 1 : ticket->runs;
}

/* The ticket that was given says who has it; the model checks that this one was among the least loaded. */
static void take_gift(struct model_ticket *ticket, const Fts__Dispatch__V1__AcquireResponse *response)
{
	uint8_t key[FTS_TICKET_KEY_BYTES];
	struct fts_ticket shown = {0};
	for (int i = 0; i < WORKER_MAX; i++) {
		struct model_worker *worker = &model.workers[i];
		fill_key(worker, key);
		struct fts_bytes bytes = {response->ticket.data, response->ticket.len};
		if (!worker->there || fts_ticket_read(bytes, key, &shown) != FTS_OK) continue;
		assert_int_equal(shown.number, ticket->number);
		assert_int_equal(shown.runs, runs_due(ticket));
		ticket->runs = shown.runs;
		assert_int_equal(worker_of(shown.worker), i);
		assert_int_equal(worker->name, ticket->name);
		assert_true(may_take(worker));
		for (int k = 0; k < WORKER_MAX; k++)
			if (model.workers[k].name == ticket->name && may_take(&model.workers[k]))
				assert_true(model.workers[k].running >= worker->running);
		ticket->worker = i;
		ticket->standing = HELD;
		worker->running++;
		memcpy(ticket->bytes, response->ticket.data, sizeof ticket->bytes);
		return;
	}
	fail_msg("seed %" PRIu64 ": a ticket of nobody's", seed);
}

static enum fts_status await(const struct model_ticket *ticket, Fts__Dispatch__V1__AcquireResponse *response)
{
	Fts__Dispatch__V1__AwaitRequest request = FTS__DISPATCH__V1__AWAIT_REQUEST__INIT;
	request.number = ticket->number;
	*response = (Fts__Dispatch__V1__AcquireResponse)FTS__DISPATCH__V1__ACQUIRE_RESPONSE__INIT;
	return world_read(&model.world, ftsi_dispatch_read_await, &request.base, &response->base);
}

/* After a change: whoever could be served was, in order; nobody else. */
static void serve_lines(void)
{
	for (int name = 0; name < NAME_COUNT; name++)
		for (long first; (first = first_in_line(name)) >= 0;) {
			struct model_ticket *ticket = &model.tickets[first];
			Fts__Dispatch__V1__AcquireResponse response;
			enum fts_status status = await(ticket, &response);
			assert_int_equal(status == FTS_OK, somebody_is_free(name));
			if (status != FTS_OK) {
				assert_true(model.world.waits);
				break;
			}
			take_gift(ticket, &response);
		}
}

static void end_model(struct model_ticket *ticket, bool known, uint32_t ran)
{
	if (ticket->standing == HELD) model.workers[ticket->worker].running--;
	ticket->standing = ENDED;
	ticket->known = known;
	ticket->ran = ran;
}

/* ---- Steps ---- */

static void step_register(void)
{
	struct model_worker *worker = &model.workers[pick(WORKER_MAX)];
	Fts__Dispatch__V1__RegisterRequest request = FTS__DISPATCH__V1__REGISTER_REQUEST__INIT;
	Fts__Dispatch__V1__RegisterResponse response = FTS__DISPATCH__V1__REGISTER_RESPONSE__INIT;
	uint8_t key[FTS_TICKET_KEY_BYTES];
	bool again = worker->there;
	if (!again) {
		*worker = (struct model_worker){
		    .there = true, .name = (int)pick(NAME_COUNT), .instance = ++model.instance_count};
	}
	worker->capacity = 1 + pick(CAPACITY_MAX);
	worker->leaving = false;
	fill_key(worker, key);
	request.name = (char *)names[worker->name];
	request.address = (char *)"127.0.0.1:1";
	request.capacity = worker->capacity;
	request.max_run_ms = 1000;
	request.instance = worker->instance;
	request.key.data = key;
	request.key.len = sizeof key;
	assert_int_equal(world_apply(&model.world, ftsi_dispatch_apply_register, &request.base, &response.base),
			 FTS_OK);
	if (again) assert_int_equal(response.worker, worker->id);
	worker->id = response.worker;
	model.offered[worker->name] = true;
	serve_lines();
}

static void step_acquire(void)
{
	struct model_ticket *ticket = &model.tickets[model.ticket_count];
	Fts__Dispatch__V1__AcquireRequest request = FTS__DISPATCH__V1__ACQUIRE_REQUEST__INIT;
	Fts__Dispatch__V1__AcquireResponse response = FTS__DISPATCH__V1__ACQUIRE_RESPONSE__INIT;
	*ticket = (struct model_ticket){.name = (int)pick(NAME_COUNT), .runs = 1 + pick(RUNS_MAX)};
	request.name = (char *)names[ticket->name];
	request.wait_ms = pick(3) * 2000;
	request.runs = ticket->runs;
	bool is_free = somebody_is_free(ticket->name);
	enum fts_status status = world_apply(&model.world, ftsi_dispatch_apply_acquire, &request.base, &response.base);
	if (!model.offered[ticket->name]) {
		assert_int_equal(status, FTS_NOT_FOUND);
		return;
	}
	if (!is_free && request.wait_ms == 0) {
		assert_int_equal(status, FTS_RESOURCE_EXHAUSTED);
		return;
	}
	assert_int_equal(status, FTS_OK);
	assert_int_equal(response.address[0] != 0, is_free);
	ticket->number = response.number;
	ticket->due_ms = model.world.time_ms + request.wait_ms;
	model.ticket_count++;
	if (is_free) take_gift(ticket, &response);
}

static struct model_ticket *any_ticket(void)
{
	return model.ticket_count == 0 ? NULL
				       : &model.tickets[model.ticket_count - 1 -
							pick((uint32_t)model.ticket_count) % 20 % model.ticket_count];
}

static void step_release(void)
{
	struct model_ticket *ticket = any_ticket();
	Fts__Dispatch__V1__ReleaseRequest request = FTS__DISPATCH__V1__RELEASE_REQUEST__INIT;
	Fts__Dispatch__V1__ReleaseResponse response = FTS__DISPATCH__V1__RELEASE_RESPONSE__INIT;
	bool foreign = pick(4) == 0;
	uint8_t bytes[FTS_TICKET_BYTES];
	if (ticket == NULL) return;
	memcpy(bytes, ticket->bytes, sizeof bytes);
	bytes[pick(sizeof bytes)] ^= foreign ? 1 : 0;
	request.number = ticket->number;
	request.ticket.data = bytes;
	request.ticket.len = sizeof bytes;
	request.unreachable = pick(2);
	enum fts_status status = world_apply(&model.world, ftsi_dispatch_apply_release, &request.base, &response.base);
	if (ticket->standing == HELD && foreign) {
		assert_int_equal(status, FTS_PERMISSION_DENIED);
		return;
	}
	assert_int_equal(status, FTS_OK);
	if (ticket->standing == ENDED) return;
	if (ticket->standing == HELD && request.unreachable) model.workers[ticket->worker].unreachable = true;
	end_model(ticket, true, 0);
	serve_lines();
}

static void step_finish(void)
{
	struct model_ticket *ticket = any_ticket();
	Fts__Dispatch__V1__FinishRequest request = FTS__DISPATCH__V1__FINISH_REQUEST__INIT;
	Fts__Dispatch__V1__FinishResponse response = FTS__DISPATCH__V1__FINISH_RESPONSE__INIT;
	Fts__Dispatch__V1__EndedTicket ended = FTS__DISPATCH__V1__ENDED_TICKET__INIT, *list[] = {&ended, &ended};
	const struct model_worker *worker = &model.workers[pick(WORKER_MAX)];
	if (ticket == NULL || !worker->there) return;
	bool foreign = pick(8) == 0;
	ended.number = ticket->number;
	ended.ran = pick(ticket->runs + 1);
	request.worker = worker->id;
	request.instance = worker->instance + foreign;
	request.ended = list;
	request.n_ended = 2; /* told twice: once is enough */
	enum fts_status status = world_apply(&model.world, ftsi_dispatch_apply_finish, &request.base, &response.base);
	assert_int_equal(status, foreign ? FTS_PERMISSION_DENIED : FTS_OK);
	if (foreign || ticket->standing != HELD || &model.workers[ticket->worker] != worker) return;
	end_model(ticket, true, ended.ran);
	serve_lines();
}

static void lose(struct model_worker *worker, bool known)
{
	worker->leaving = true;
	for (size_t i = 0; i < model.ticket_count; i++)
		if (model.tickets[i].standing == HELD && &model.workers[model.tickets[i].worker] == worker)
			end_model(&model.tickets[i], known, 0);
	assert_int_equal(worker->running, 0);
	worker->there = false;
}

static void step_leave(void)
{
	struct model_worker *worker = &model.workers[pick(WORKER_MAX)];
	Fts__Dispatch__V1__LeaveRequest request = FTS__DISPATCH__V1__LEAVE_REQUEST__INIT;
	Fts__Dispatch__V1__LeaveResponse response = FTS__DISPATCH__V1__LEAVE_RESPONSE__INIT;
	if (!worker->there) return;
	request.worker = worker->id;
	request.instance = worker->instance;
	request.gone = pick(2);
	assert_int_equal(world_apply(&model.world, ftsi_dispatch_apply_leave, &request.base, &response.base), FTS_OK);
	worker->leaving = true;
	if (request.gone) lose(worker, true);
	serve_lines();
}

static void step_expire(void)
{
	struct model_worker *worker = &model.workers[pick(WORKER_MAX)];
	struct model_ticket *ticket = any_ticket();
	Fts__Dispatch__V1__ExpireRequest request = FTS__DISPATCH__V1__EXPIRE_REQUEST__INIT;
	Fts__Dispatch__V1__ExpireResponse response = FTS__DISPATCH__V1__EXPIRE_RESPONSE__INIT;
	Fts__Dispatch__V1__LostWorker lost = FTS__DISPATCH__V1__LOST_WORKER__INIT, *list[] = {&lost};
	uint32_t kind = pick(4);
	uint64_t number = ticket == NULL ? 0 : ticket->number;
	bool stale = pick(3) == 0; /* of an earlier term */
	if (!worker->there || ticket == NULL) return;
	lost.worker = worker->id;
	request.term = model.world.term - stale;
	request.workers = list;
	request.n_workers = kind == 0;
	request.numbers = &number;
	request.n_numbers = kind == 1;
	request.hung = &worker->id;
	request.n_hung = kind == 2;
	request.recovered = &worker->id;
	request.n_recovered = kind == 3;
	if (kind == 1 && pick(2) == 0) model.world.time_ms += 20000;
	assert_int_equal(world_apply(&model.world, ftsi_dispatch_apply_expire, &request.base, &response.base), FTS_OK);
	if (kind == 0 && !stale) lose(worker, false);
	if (kind == 1) {
		bool due = ticket->standing == LINE ? ticket->due_ms <= model.world.time_ms : false;
		Fts__Dispatch__V1__FateRequest fate = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
		Fts__Dispatch__V1__FateResponse told = FTS__DISPATCH__V1__FATE_RESPONSE__INIT;
		fate.number = number;
		bool ended = world_read(&model.world, ftsi_dispatch_read_fate, &fate.base, &told.base) == FTS_OK;
		if (ticket->standing == LINE) assert_int_equal(ended, due);
		if (ticket->standing == HELD && ended) end_model(ticket, false, 0);
		if (ticket->standing == LINE && ended) end_model(ticket, true, 0);
	}
	if (kind == 2) worker->hung = true;
	if (kind == 3) worker->hung = worker->unreachable = false;
	serve_lines();
}

/* ---- What must be the same ---- */

static void check_fate(void)
{
	const struct model_ticket *ticket = any_ticket();
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	Fts__Dispatch__V1__FateResponse response = FTS__DISPATCH__V1__FATE_RESPONSE__INIT;
	if (ticket == NULL) return;
	request.number = ticket->number;
	request.run = 1 + pick(ticket->runs);
	enum fts_status status = world_read(&model.world, ftsi_dispatch_read_fate, &request.base, &response.base);
	if (status == FTS_NOT_FOUND) return; /* forgotten long after its end */
	assert_int_equal(status == FTS_OK, ticket->standing == ENDED);
	if (ticket->standing != ENDED) return;
	Fts__Dispatch__V1__Fate known =
	    request.run <= ticket->ran ? FTS__DISPATCH__V1__FATE__RAN : FTS__DISPATCH__V1__FATE__NOT_RUN;
	assert_int_equal(response.fate, ticket->known ? known : FTS__DISPATCH__V1__FATE__FATE_UNKNOWN);
}

static void check_list(void)
{
	Fts__Dispatch__V1__ListRequest request = FTS__DISPATCH__V1__LIST_REQUEST__INIT;
	Fts__Dispatch__V1__ListResponse response = FTS__DISPATCH__V1__LIST_RESPONSE__INIT;
	size_t there_count = 0;
	assert_int_equal(world_read(&model.world, ftsi_dispatch_read_list, &request.base, &response.base), FTS_OK);
	for (size_t i = 0; i < response.n_workers; i++) {
		int at = worker_of(response.workers[i]->worker);
		assert_true(at >= 0);
		assert_int_equal(response.workers[i]->running, model.workers[at].running);
		assert_int_equal(response.workers[i]->capacity, model.workers[at].capacity);
	}
	for (int i = 0; i < WORKER_MAX; i++)
		there_count += model.workers[i].there;
	assert_int_equal(response.n_workers, there_count);
}

/* From where a worker's tickets are looked for, none is left out. A read: it has the state at hand. */
static enum fts_status look_from_both(struct fts_read *read, const ProtobufCMessage *request,
				      ProtobufCMessage *response, void *ctx)
{
	const struct ftsi_place place = {read->view, read->arena};
	uint64_t all[16], from[16];
	size_t all_count, from_count;
	(void)request, (void)response, (void)ctx;
	for (int i = 0; i < WORKER_MAX; i++) {
		Fts__Dispatch__V1__WorkerRecord *record;
		if (!model.workers[i].there) continue;
		assert_int_equal(ftsi_worker_get(place, model.workers[i].id, &record), FTS_OK);
		assert_int_equal(ftsi_held_list(place, model.workers[i].id, 0, all, 16, &all_count), FTS_OK);
		assert_int_equal(ftsi_held_list(place, model.workers[i].id, record->held_from, from, 16, &from_count),
				 FTS_OK);
		assert_int_equal(all_count, from_count);
		assert_int_equal(all_count, model.workers[i].running);
	}
	return FTS_OK;
}

static void state_and_model_agree(void **state)
{
	static void (*const steps[])(void) = {step_register, step_acquire, step_acquire, step_acquire, step_release,
					      step_finish,   step_finish,  step_finish,  step_leave,   step_expire};
	(void)state;
	model.random = seed;
	world_init(&model.world);
	for (int i = 0; i < STEP_COUNT; i++) {
		steps[pick(sizeof steps / sizeof steps[0])]();
		check_fate();
		if (i % 16 == 0) check_list();
		Fts__Dispatch__V1__ListRequest nothing = FTS__DISPATCH__V1__LIST_REQUEST__INIT;
		assert_int_equal(world_read(&model.world, look_from_both, &nothing.base, NULL), FTS_OK);
	}
	assert_true(model.ticket_count > STEP_COUNT / 10);
	world_fini(&model.world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(state_and_model_agree)};
	if (argc > 1) seed = strtoull(argv[1], NULL, 10);
	if (seed == 0) seed = 1;
	print_message("dispatch_model %" PRIu64 "\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
