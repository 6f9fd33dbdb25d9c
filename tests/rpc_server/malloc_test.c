/* Why this file exists: between receive and reply, fts allocates nothing; and an allocation that fails, whichever it
 * is, is an answer and never a crash. The linker sends every malloc, calloc, realloc and free that fts code calls
 * (it is linked statically; nng and protobuf-c are not) through here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"

#define WARM_COUNT 500
#define COUNTED_COUNT 20000
#define WINDOW 32

static atomic_bool counting;
static atomic_uint_fast64_t allocation_count;
static atomic_int_fast64_t fail_countdown; /* 1: the next allocation fails; 0: none does */
static _Thread_local bool exempt;          /* this thread's allocations are the test's own */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *data);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *data);

static void note(void)
{
	if (atomic_load(&counting)) atomic_fetch_add(&allocation_count, 1);
}

static bool fails(void)
{
	note();
	if (exempt || atomic_load(&fail_countdown) <= 0) return false;
	return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
	return fails() ? NULL : __real_realloc(data, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

void __wrap_free(void *data)
{
	note();
	__real_free(data);
}

static struct echo_server echo;

/* Calls in windows, as bytes that are made beforehand, so that this side allocates nothing either. */
static void run(int fd, enum echo_method method, size_t count)
{
	uint8_t bytes[8192], replies[16384];
	struct caller_call call = {.method_id = echo_method_id(method),
				   .text = "about one hundred bytes of text, as a"
					   " bet would have, with names and a number"};
	size_t size = 0;
	for (call.id = 1; call.id <= WINDOW; call.id++)
		size += caller_encode(&call, bytes + size, sizeof bytes - size);
	for (size_t done = 0; done < count; done += WINDOW) {
		assert_true(caller_write(fd, bytes, size));
		if (method == ECHO_LATER) echo_wait_held(&echo, WINDOW);
		if (method == ECHO_LATER) echo_answer_held(&echo);
		for (size_t i = 0; i < WINDOW; i++) {
			uint8_t length[FTSI_LENGTH_BYTES];
			assert_true(caller_read(fd, length, sizeof length));
			assert_true(caller_read(fd, replies, (size_t)ftsi_get_be64(length)));
		}
	}
}

static void nothing_is_allocated(void **state)
{
	static const struct {
		const char *name;
		enum echo_method method;
	} cases[] = {{"inline", ECHO_NOW}, {"raw", ECHO_RAW}, {"answered later", ECHO_LATER}, {"pool", ECHO_BLOCKING}};
	(void)state;
	echo_server_start(&echo, NULL);
	echo_open_gate(&echo);
	int fd = caller_open(echo.port);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		run(fd, cases[i].method, WARM_COUNT); /* buffers grow to what this traffic needs */
		atomic_store(&allocation_count, 0);
		atomic_store(&counting, true);
		run(fd, cases[i].method, COUNTED_COUNT);
		atomic_store(&counting, false);
		if (atomic_load(&allocation_count) > 0)
			fail_msg("%s: %llu allocations in %d calls", cases[i].name,
				 (unsigned long long)atomic_load(&allocation_count), COUNTED_COUNT);
	}
	close(fd);
	echo_server_stop(&echo);
}

/* A server's life while the n-th allocation fails, n rising until all of it passes. Returns whether it passed. */
static bool live_while_failing(int64_t n)
{
	struct fts_server_options options = {.listen = "127.0.0.1:0"};
	struct fts_server *server = NULL;
	bool served = false;
	exempt = false;
	atomic_store(&fail_countdown, n);
	enum fts_status st = fts_server_create(&options, &server, NULL);
	if (st == FTS_OK) st = echo_server_add(server, &echo);
	if (st == FTS_OK) st = fts_server_start(server, NULL);
	exempt = true;
	if (st != FTS_OK) assert_int_equal(st, FTS_RESOURCE_EXHAUSTED);
	for (int i = 0; st == FTS_OK && i < 2 && !served; i++) {
		struct caller_call call = {.id = 1, .method_id = echo_method_id(ECHO_BLOCKING), .text = "x"};
		struct caller_reply reply;
		uint8_t hello[FTSI_HELLO_BYTES];
		int fd = caller_connect(fts_server_port(server));
		ftsi_hello_write(FTSI_ROLE_CALLER, hello);
		if (caller_write(fd, hello, sizeof hello) && caller_read(fd, hello, sizeof hello) &&
		    caller_send(fd, &call) && caller_receive(fd, &reply))
			served = reply.header.code == FTS_OK;
		close(fd);
	}
	exempt = false;
	fts_server_destroy(server);
	bool untouched = atomic_load(&fail_countdown) > 0;
	atomic_store(&fail_countdown, 0);
	if (st == FTS_OK && !served) fail_msg("allocation %lld failed, and the next caller with it", (long long)n);
	return untouched;
}

static void failing_allocations_are_survived(void **state)
{
	int64_t n = 1;
	(void)state;
	pthread_mutex_init(&echo.mutex, NULL);
	pthread_cond_init(&echo.changed, NULL);
	echo_open_gate(&echo);
	while (!live_while_failing(n))
		n++;
	print_message("%lld allocations in a server's life\n", (long long)n - 1);
	assert_true(n > 20);
}

/* The count itself works. */
static void counting_counts(void **state)
{
	(void)state;
	atomic_store(&allocation_count, 0);
	atomic_store(&counting, true);
	void *volatile data = malloc(10);
	free(data);
	atomic_store(&counting, false);
	assert_int_equal(atomic_load(&allocation_count), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(counting_counts), cmocka_unit_test(nothing_is_allocated),
					   cmocka_unit_test(failing_allocations_are_survived)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
