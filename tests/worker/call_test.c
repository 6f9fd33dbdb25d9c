/* Why this file exists: workers and callers of libfts in one program, on one real node: calls that nobody waits for,
 * tickets for several runs, a ticket that is shown again, and a place that lies idle while others want it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

enum { PATIENCE_MS = 60000, CALL_COUNT = 120, OPEN_COUNT = 10, LONG_MS = 50000 };

static struct {
	struct harness_cluster cluster;
	struct fts_channel *channel;
	atomic_uint begun_count;
	_Atomic(struct fts_work *) held[OPEN_COUNT]; /* works that nobody answers yet */
} lab;

/* ---- Workers ---- */

static void echo(void *ctx, struct fts_work *work)
{
	(void)ctx;
	atomic_fetch_add(&lab.begun_count, 1);
	fts_work_answer(work, fts_work_input(work), 0);
}

static void hold(void *ctx, struct fts_work *work)
{
	(void)ctx;
	atomic_store(&lab.held[atomic_fetch_add(&lab.begun_count, 1) % OPEN_COUNT], work);
}

static struct fts_worker *start_worker(const char *name, uint32_t capacity, fts_work_fn run)
{
	const struct fts_worker_options options = {
	    .name = name, .capacity = capacity, .begins_only = true, .max_run_ms = LONG_MS, .run = run};
	struct fts_worker *worker = NULL;
	struct fts_error error;
	if (fts_worker_start(lab.channel, &options, &worker, &error) != FTS_OK) fail_msg("%s", error.detail);
	atomic_store(&lab.begun_count, 0);
	return worker;
}

static struct fts_caller *open_caller(uint32_t batch_runs)
{
	const struct fts_caller_options options = {.batch_runs = batch_runs};
	struct fts_caller *caller = NULL;
	assert_int_equal(fts_caller_open(lab.channel, &options, &caller, NULL), FTS_OK);
	return caller;
}

static const struct fts_caller_call patient = {.timeout_ms = PATIENCE_MS, .wait_ms = PATIENCE_MS};

static struct fts_bytes bytes_of(const char *text)
{
	return (struct fts_bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- Calls that nobody waits for ---- */

struct told {
	char text[16];
	atomic_uint count;
	enum fts_status status;
	enum fts_executed executed;
	bool mine;
	struct fts_caller *caller; /* to be called from the callback */
};

static void on_called(void *ctx, enum fts_status status, struct fts_outcome *outcome, const struct fts_error *error)
{
	struct told *told = ctx;
	told->status = (status == FTS_OK) == (error == NULL) ? status : FTS_INTERNAL;
	told->executed = error != NULL ? error->executed : FTS_EXECUTED_YES;
	told->mine = outcome->output != NULL && strcmp((const char *)outcome->output, told->text) == 0;
	atomic_fetch_add(&told->count, 1);
}

static void await_told(struct told *told, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); atomic_load(&told[i].count) == 0;)
			if (!harness_wait_more(&wait)) fail_msg("call %zu is not answered", i);
}

/* More than there are places: they stand in line, whatever their tickets are for. */
static void each_is_told_once(void **state)
{
	static const uint32_t batches[] = {0, 1, 5, 1000};
	struct fts_worker *worker = start_worker("echo", 3, echo);
	(void)state;
	for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
		struct fts_caller *caller = open_caller(batches[b]);
		struct told *told = calloc(CALL_COUNT, sizeof *told);
		assert_non_null(told);
		atomic_store(&lab.begun_count, 0);
		for (size_t i = 0; i < CALL_COUNT; i++) {
			(void)snprintf(told[i].text, sizeof told[i].text, "%zu", i);
			assert_int_equal(fts_caller_start(caller, "echo", bytes_of(told[i].text), &patient, on_called,
							  &told[i], NULL),
					 FTS_OK);
		}
		await_told(told, CALL_COUNT);
		fts_caller_close(caller);
		for (size_t i = 0; i < CALL_COUNT; i++) {
			assert_int_equal(told[i].status, FTS_OK);
			assert_true(told[i].mine);
			assert_int_equal(atomic_load(&told[i].count), 1);
		}
		assert_int_equal(atomic_load(&lab.begun_count), CALL_COUNT);
		free(told);
	}
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
}

static void wrong_ones_are_refused_at_once(void **state)
{
	struct fts_caller *caller = open_caller(0);
	struct told told = {.text = ""};
	struct fts_error error = {0};
	(void)state;
	assert_int_equal(fts_caller_start(caller, "", bytes_of(""), NULL, on_called, &told, &error),
			 FTS_INVALID_ARGUMENT);
	assert_non_null(strstr(error.detail, "1 to 64 bytes"));
	assert_int_equal(fts_caller_open(lab.channel, &(struct fts_caller_options){.batch_runs = 1001}, &caller, NULL),
			 FTS_INVALID_ARGUMENT);
	assert_int_equal(fts_caller_start(caller, "nobody", bytes_of(""), NULL, on_called, &told, NULL), FTS_OK);
	await_told(&told, 1);
	assert_int_equal(told.status, FTS_NOT_FOUND);
	assert_int_equal(told.executed, FTS_EXECUTED_NO);
	fts_caller_close(caller);
	assert_int_equal(atomic_load(&told.count), 1);
}

static void await_begun(unsigned count)
{
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); atomic_load(&lab.begun_count) < count;)
		if (!harness_wait_more(&wait)) fail_msg("%u of %u runs began", atomic_load(&lab.begun_count), count);
}

/* In line, and running: whoever waits is told, and nobody twice. */
static void closing_gives_open_calls_up(void **state)
{
	struct fts_worker *worker = start_worker("hold", OPEN_COUNT / 2, hold);
	struct fts_caller *caller = open_caller(0);
	struct told told[OPEN_COUNT] = {{.text = ""}};
	(void)state;
	for (size_t i = 0; i < OPEN_COUNT; i++)
		assert_int_equal(fts_caller_start(caller, "hold", bytes_of(""), &patient, on_called, &told[i], NULL),
				 FTS_OK);
	await_begun(OPEN_COUNT / 2);
	fts_caller_close(caller);
	for (size_t i = 0; i < OPEN_COUNT; i++) {
		assert_int_equal(atomic_load(&told[i].count), 1);
		assert_true(told[i].status == FTS_CANCELLED || told[i].status == FTS_UNAVAILABLE);
	}
	for (size_t i = 0; i < OPEN_COUNT; i++) {
		struct fts_work *work = atomic_exchange(&lab.held[i], NULL);
		if (work != NULL) fts_work_answer(work, bytes_of(""), 0);
	}
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
}

static void on_called_blocks(void *ctx, enum fts_status status, struct fts_outcome *outcome,
			     const struct fts_error *error)
{
	struct told *told = ctx;
	struct fts_outcome own;
	(void)status, (void)outcome, (void)error;
	told->status = fts_caller_call(told->caller, "echo", bytes_of(""), &patient, &own, NULL);
	told->mine = own.output == NULL;
	atomic_fetch_add(&told->count, 1);
}

static void a_blocking_call_in_a_callback_is_refused(void **state)
{
	struct fts_worker *worker = start_worker("echo", 1, echo);
	struct fts_caller *caller = open_caller(0);
	struct told told = {.caller = caller};
	(void)state;
	assert_int_equal(fts_caller_start(caller, "echo", bytes_of(""), &patient, on_called_blocks, &told, NULL),
			 FTS_OK);
	await_told(&told, 1);
	assert_int_equal(told.status, FTS_INVALID_ARGUMENT);
	fts_caller_close(caller);
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
}

/* A socket that nobody accepts at, so that a call to it stays open. */
static int listen_in_vain(char *out_endpoint, size_t size_bytes)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(listen_fd >= 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listen_fd, 8), 0);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &size), 0);
	(void)snprintf(out_endpoint, size_bytes, "127.0.0.1:%u", ntohs(address.sin_port));
	return listen_fd;
}

static void ignore(void *ctx, enum fts_status status, const Fts__Dispatch__V1__FateResponse *response,
		   const struct fts_error *error)
{
	(void)ctx, (void)status, (void)response, (void)error;
}

/* A call that can't even begin is told by the caller's own thread, for which the blocking one would wait. */
static void nor_may_it_wait_for_the_callers_own_thread(void **state)
{
	Fts__Dispatch__V1__FateRequest request = FTS__DISPATCH__V1__FATE_REQUEST__INIT;
	const struct fts_call_options long_one = {.timeout_ms = PATIENCE_MS};
	char endpoint[32];
	int listen_fd = listen_in_vain(endpoint, sizeof endpoint);
	const struct fts_channel_options options = {
	    .endpoints = endpoint, .connect_timeout_ms = PATIENCE_MS, .max_open_calls = 1};
	struct fts_channel *channel = NULL;
	struct told told = {.caller = NULL};
	(void)state;
	assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
	assert_int_equal(fts_dispatch_fate_start(channel, &request, &long_one, ignore, NULL, NULL), FTS_OK);
	assert_int_equal(fts_caller_open(channel, NULL, &told.caller, NULL), FTS_OK);
	assert_int_equal(fts_caller_start(told.caller, "echo", bytes_of(""), &patient, on_called_blocks, &told, NULL),
			 FTS_OK);
	await_told(&told, 1);
	assert_int_equal(told.status, FTS_INVALID_ARGUMENT);
	fts_caller_close(told.caller);
	fts_channel_close(channel);
	close(listen_fd);
}

/* ---- Tickets for several runs ---- */

/* One place, a ticket for a thousand runs, of which one is used: the next caller has the place all the same. */
static void nothing_lies_idle_while_others_wait(void **state)
{
	struct fts_worker *worker = start_worker("echo", 1, echo);
	struct fts_caller *holder = open_caller(1000), *other = open_caller(1);
	struct fts_outcome outcome;
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fts_caller_call(holder, "echo", bytes_of("a"), &patient, &outcome, NULL), FTS_OK);
		uint64_t number = outcome.number;
		fts_outcome_fini(&outcome);
		assert_int_equal(fts_caller_call(other, "echo", bytes_of("b"), &patient, &outcome, NULL), FTS_OK);
		assert_int_not_equal(outcome.number, number);
		fts_outcome_fini(&outcome);
	}
	assert_int_equal(atomic_load(&lab.begun_count), 6);
	fts_caller_close(holder);
	fts_caller_close(other);
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
}

static uint32_t running_count(void)
{
	Fts__Dispatch__V1__ListRequest request = FTS__DISPATCH__V1__LIST_REQUEST__INIT;
	Fts__Dispatch__V1__ListResponse *response = NULL;
	uint32_t count = 0;
	assert_int_equal(fts_dispatch_list(lab.channel, &request, NULL, &response, NULL), FTS_OK);
	for (size_t i = 0; i < response->n_workers; i++)
		count += response->workers[i]->running;
	fts__dispatch__v1__list_response__free_unpacked(response, NULL);
	return count;
}

static enum fts_status show(struct fts_channel *worker, const Fts__Dispatch__V1__AcquireResponse *ticket, uint32_t run,
			    struct fts_error *out_error)
{
	Fts__Dispatch__V1__RunRequest request = FTS__DISPATCH__V1__RUN_REQUEST__INIT;
	Fts__Dispatch__V1__RunResponse *response = NULL;
	const struct fts_call_options once = {.timeout_ms = PATIENCE_MS, .no_retry = true};
	request.ticket = ticket->ticket;
	request.run = run;
	enum fts_status status = fts_worker_run(worker, &request, &once, &response, out_error);
	if (status == FTS_OK) fts__dispatch__v1__run_response__free_unpacked(response, NULL);
	return status;
}

static void expect_refused(struct fts_channel *worker, const Fts__Dispatch__V1__AcquireResponse *ticket, uint32_t run,
			   enum fts_status wanted)
{
	struct fts_error error = {0};
	assert_int_equal(show(worker, ticket, run, &error), wanted);
	assert_int_equal(error.executed, FTS_EXECUTED_NO);
}

static void no_run_of_a_ticket_is_had_twice(void **state)
{
	struct fts_worker *worker = start_worker("echo", 2, echo);
	Fts__Dispatch__V1__AcquireRequest request = FTS__DISPATCH__V1__ACQUIRE_REQUEST__INIT;
	Fts__Dispatch__V1__AcquireResponse *ticket = NULL;
	struct fts_channel *direct = NULL;
	(void)state;
	request.name = (char *)(uintptr_t) "echo";
	request.runs = 3;
	assert_int_equal(fts_dispatch_acquire(lab.channel, &request, NULL, &ticket, NULL), FTS_OK);
	assert_int_equal(ticket->runs, 3);
	const struct fts_channel_options options = {.endpoints = ticket->address};
	assert_int_equal(fts_channel_open(&options, &direct, NULL), FTS_OK);
	expect_refused(direct, ticket, 4, FTS_FAILED_PRECONDITION); /* it has three */
	assert_int_equal(show(direct, ticket, 2, NULL), FTS_OK);
	expect_refused(direct, ticket, 2, FTS_FAILED_PRECONDITION);
	expect_refused(direct, ticket, 1, FTS_FAILED_PRECONDITION); /* left out is left out */
	ticket->ticket.data[35] ^= 8;                               /* for eleven runs, it says now */
	expect_refused(direct, ticket, 3, FTS_PERMISSION_DENIED);
	ticket->ticket.data[35] ^= 8;
	/* It lies idle: its worker gives its place back, and then has no more of it. */
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); running_count() > 0;)
		if (!harness_wait_more(&wait)) fail_msg("its place is not given back");
	expect_refused(direct, ticket, 3, FTS_FAILED_PRECONDITION);
	assert_int_equal(atomic_load(&lab.begun_count), 1);
	fts__dispatch__v1__acquire_response__free_unpacked(ticket, NULL);
	fts_channel_close(direct);
	assert_true(fts_worker_stop(worker, PATIENCE_MS));
}

/* ---- Life ---- */

static int begin(void **state)
{
	(void)state;
	harness_cluster_init(&lab.cluster, 1);
	harness_cluster_start(&lab.cluster);
	const struct fts_channel_options servers = {.endpoints = lab.cluster.endpoints};
	return fts_channel_open(&servers, &lab.channel, NULL) == FTS_OK ? 0 : 1;
}

static int end(void **state)
{
	(void)state;
	fts_channel_close(lab.channel);
	harness_cluster_fini(&lab.cluster);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_is_told_once),
	    cmocka_unit_test(wrong_ones_are_refused_at_once),
	    cmocka_unit_test(closing_gives_open_calls_up),
	    cmocka_unit_test(a_blocking_call_in_a_callback_is_refused),
	    cmocka_unit_test(nor_may_it_wait_for_the_callers_own_thread),
	    cmocka_unit_test(nothing_lies_idle_while_others_wait),
	    cmocka_unit_test(no_run_of_a_ticket_is_had_twice),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
