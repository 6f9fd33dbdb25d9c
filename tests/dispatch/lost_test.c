/* Why this file exists: many workers that are lost at once, with all their tickets, are gone whatever the memory of one
 * command; and what this node remembers of leases is what the log has, also when a command is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/ticket.h"
#include "dispatch/transition.h"
#include "world.h"

enum { WORKER_COUNT = 8, CAPACITY = 4096 };

static const char name[] = "the sum of all that is given, up to what is written down below..";
static const char address[] =
    "a-machine-far-away-in-the-third-room.of-the-second-house.in-the-first-street.example.org:7500";

static uint64_t come(struct world *world, uint64_t instance)
{
	Fts__Dispatch__V1__RegisterRequest request = FTS__DISPATCH__V1__REGISTER_REQUEST__INIT;
	Fts__Dispatch__V1__RegisterResponse response = FTS__DISPATCH__V1__REGISTER_RESPONSE__INIT;
	uint8_t key[FTS_TICKET_KEY_BYTES] = {1};
	request.name = (char *)name;
	request.address = (char *)address;
	request.instance = instance;
	request.capacity = CAPACITY;
	request.key = (ProtobufCBinaryData){sizeof key, key};
	assert_int_equal(world_apply(world, ftsi_dispatch_apply_register, &request.base, &response.base), FTS_OK);
	return response.worker;
}

static void acquire(struct world *world)
{
	Fts__Dispatch__V1__AcquireRequest request = FTS__DISPATCH__V1__ACQUIRE_REQUEST__INIT;
	Fts__Dispatch__V1__AcquireResponse response = FTS__DISPATCH__V1__ACQUIRE_RESPONSE__INIT;
	request.name = (char *)name;
	assert_int_equal(world_apply(world, ftsi_dispatch_apply_acquire, &request.base, &response.base), FTS_OK);
}

static bool is_renewed(struct world *world, uint64_t worker)
{
	char id[24];
	(void)snprintf(id, sizeof id, "%llu", (unsigned long long)worker);
	return fts_leases_renew(ftsi_dispatch_watch_leases(world->watch), "worker", id, worker, 1);
}

static void many_are_lost_at_once(void **state)
{
	struct world world;
	uint64_t workers[WORKER_COUNT];
	Fts__Dispatch__V1__ExpireRequest request = FTS__DISPATCH__V1__EXPIRE_REQUEST__INIT;
	Fts__Dispatch__V1__ExpireResponse response = FTS__DISPATCH__V1__EXPIRE_RESPONSE__INIT;
	Fts__Dispatch__V1__LostWorker items[WORKER_COUNT], *list[WORKER_COUNT];
	size_t left = WORKER_COUNT, commands = 0;
	(void)state;
	world_init(&world);
	for (size_t i = 0; i < WORKER_COUNT; i++)
		workers[i] = come(&world, i + 1);
	for (size_t i = 0; i < (size_t)WORKER_COUNT * CAPACITY; i++)
		acquire(&world);
	for (size_t i = 0; i < WORKER_COUNT; i++) {
		fts__dispatch__v1__lost_worker__init(&items[i]);
		items[i].worker = workers[i];
		list[i] = &items[i];
	}
	request.workers = list;
	request.n_workers = WORKER_COUNT;
	request.term = world.term;
	for (; left > 0 && commands < WORKER_COUNT; commands++) {
		enum fts_status status = world_apply(&world, ftsi_dispatch_apply_expire, &request.base, &response.base);
		assert_int_equal(status, FTS_OK);
		left = 0;
		for (size_t i = 0; i < WORKER_COUNT; i++)
			left += is_renewed(&world, workers[i]);
	}
	assert_int_equal(left, 0);
	world_fini(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_are_lost_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
