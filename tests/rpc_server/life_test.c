/* Why this file exists: how a server begins and ends, with calls open and callers in the middle of things. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "caller.h"
#include "rpc/statistics.h"

static struct echo_server echo;

static void options_are_checked(void **state)
{
	(void)state;
	static const char *const listens[] = {
	    NULL, "", "7400", ":7400", "host:", "host:70000", "host:-1", "host:1x", "::1:7400"};
	struct fts_server *server = NULL;
	struct fts_error error;
	for (size_t i = 0; i < sizeof listens / sizeof listens[0]; i++) {
		struct fts_server_options options = {.listen = listens[i]};
		assert_int_equal(fts_server_create(&options, &server, &error), FTS_INVALID_ARGUMENT);
		assert_null(server);
	}
	char node[65];
	memset(node, 'n', 64);
	node[64] = '\0';
	struct fts_server_options options = {.listen = "127.0.0.1:0", .node = node};
	assert_int_equal(fts_server_create(&options, &server, &error), FTS_INVALID_ARGUMENT);
	node[63] = '\0';
	assert_int_equal(fts_server_create(&options, &server, &error), FTS_OK);
	fts_server_destroy(server);
	fts_server_destroy(NULL);
}

static void address_in_use_is_named(void **state)
{
	(void)state;
	echo_server_start(&echo, NULL);
	struct fts_server_options options = {.listen = echo.address};
	struct fts_server *server = NULL;
	struct fts_error error;
	assert_int_equal(fts_server_create(&options, &server, &error), FTS_OK);
	assert_int_equal(fts_server_start(server, &error), FTS_UNAVAILABLE);
	assert_non_null(strstr(error.detail, echo.address));
	assert_non_null(strstr(error.detail, "in use"));
	fts_server_destroy(server);
	echo_server_stop(&echo);
}

static void services_are_added_once_and_before_start(void **state)
{
	(void)state;
	static const struct fts_method method = {.name = "X", .full_name = "x.X/X", .id = 0x10};
	static const struct fts_service twin = {.name = "x.X", .methods = &method, .method_count = 1};
	struct fts_server_options options = {.listen = "127.0.0.1:0"};
	struct fts_server *server = NULL;
	struct fts_error error;
	assert_int_equal(fts_server_create(&options, &server, &error), FTS_OK);
	assert_int_equal(fts_server_add(server, &twin, NULL, NULL, &error), FTS_OK);
	assert_int_equal(fts_server_add(server, &twin, NULL, NULL, &error), FTS_ALREADY_EXISTS);
	static const struct fts_service same_id = {.name = "y.Y", .methods = &method, .method_count = 1};
	assert_int_equal(fts_server_add(server, &same_id, NULL, NULL, &error), FTS_ALREADY_EXISTS);
	assert_int_equal(fts_server_start(server, &error), FTS_OK);
	static const struct fts_service later = {.name = "z.Z"};
	assert_int_equal(fts_server_add(server, &later, NULL, NULL, &error), FTS_FAILED_PRECONDITION);
	assert_int_equal(fts_server_start(server, &error), FTS_FAILED_PRECONDITION);
	fts_server_destroy(server);
}

static void drain_waits_for_answers(void **state)
{
	(void)state;
	echo_server_start(&echo, NULL);
	int fd = caller_open(echo.port);
	struct caller_call call = {.id = 1, .method_id = echo_method_id(ECHO_LATER)};
	struct caller_reply reply;
	assert_true(caller_send(fd, &call));
	echo_wait_held(&echo, 1);
	assert_int_equal(fts_server_drain(echo.server, 30), FTS_DEADLINE_EXCEEDED);
	call.method_id = echo_method_id(ECHO_NOW);
	call.id = 2;
	caller_exchange(fd, &call, &reply);
	assert_int_equal(reply.header.code, FTS_UNAVAILABLE);
	assert_int_equal(reply.header.executed, FTS_EXECUTED_NO);
	echo_answer_held(&echo);
	assert_int_equal(fts_server_drain(echo.server, CALLER_PATIENCE_MS), FTS_OK);
	assert_true(caller_receive(fd, &reply));
	assert_int_equal(reply.id, 1);
	assert_string_equal(reply.text, "later");
	close(fd);
	echo_server_stop(&echo);
}

static void calls_outlive_their_server(void **state)
{
	(void)state;
	echo_server_start(&echo, NULL);
	int fd = caller_open(echo.port);
	struct caller_call call = {.method_id = echo_method_id(ECHO_LATER), .text = "stays"};
	for (call.id = 1; call.id <= 20; call.id++)
		assert_true(caller_send(fd, &call));
	echo_wait_held(&echo, 20);
	fts_server_destroy(echo.server);
	echo.server = NULL;
	assert_true(caller_sees_close(fd, CALLER_PATIENCE_MS));
	for (size_t i = 0; i < 20; i++) {
		assert_true(fts_call_abandoned(echo.held[i]));
		assert_non_null(fts_call_alloc(echo.held[i], 100));
	}
	echo_answer_held(&echo); /* to nobody; ASan watches */
	close(fd);
	echo_server_stop(&echo);
}

static void waiting_workers_end_with_the_server(void **state)
{
	(void)state;
	echo_server_start(&echo, &(struct fts_server_options){.worker_count = 1});
	int fd = caller_open(echo.port);
	struct caller_call call = {.method_id = echo_method_id(ECHO_BLOCKING), .text = "x"};
	for (call.id = 1; call.id <= 50; call.id++)
		assert_true(caller_send(fd, &call));
	echo_wait_blocked(&echo, 1);
	echo_server_stop(&echo); /* opens the gate: one handler runs to its end, the others are refused */
	close(fd);
}

/* Threads of this process that run blocking calls. */
static size_t worker_threads(void)
{
	size_t count = 0;
	DIR *tasks = opendir("/proc/self/task");
	assert_non_null(tasks);
	for (struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
		FILE *file = fopen(path, "r");
		if (file == NULL) continue; /* "." and "..", or one that has just ended */
		count += fgets(name, sizeof name, file) != NULL && strcmp(name, "fts:worker\n") == 0;
		fclose(file);
	}
	closedir(tasks);
	return count;
}

/* A rush makes threads; when it is over they end, all but one, and come again with the next. */
static void workers_end_after_a_rush(void **state)
{
	enum { WORKERS = 3 };
	struct caller_call call = {.method_id = echo_method_id(ECHO_BLOCKING), .text = "rush"};
	(void)state;
	echo_server_start(&echo, &(struct fts_server_options){.worker_count = WORKERS, .worker_idle_ms = 20});
	int fd = caller_open(echo.port);
	for (int round = 0; round < 5; round++) {
		pthread_mutex_lock(&echo.mutex);
		echo.gate_open = false;
		echo.blocked_count = 0;
		pthread_mutex_unlock(&echo.mutex);
		for (call.id = 1; call.id <= WORKERS; call.id++)
			assert_true(caller_send(fd, &call));
		echo_wait_blocked(&echo, WORKERS);
		echo_open_gate(&echo);
		for (int i = 0; i < WORKERS; i++) {
			struct caller_reply reply;
			assert_true(caller_receive(fd, &reply));
			assert_int_equal(reply.header.code, FTS_OK);
		}
		for (int i = 0; i < CALLER_PATIENCE_MS && worker_threads() > 1; i++)
			usleep(1000);
		assert_int_equal(worker_threads(), 1);
	}
	echo_server_stop(&echo);
	close(fd);
}

static void connections_are_limited(void **state)
{
	(void)state;
	echo_server_start(&echo, &(struct fts_server_options){.connection_count_max = 3});
	int fds[3];
	for (size_t i = 0; i < 3; i++)
		fds[i] = caller_open(echo.port);
	int extra = caller_connect(echo.port);
	assert_true(caller_sees_close(extra, CALLER_PATIENCE_MS));
	close(extra);
	for (size_t i = 0; i < 3; i++)
		caller_expect_echo(fds[i], "in");
	close(fds[0]);
	struct ftsi_server_statistics statistics;
	ftsi_server_statistics(echo.server, &statistics);
	for (int i = 0; i < CALLER_PATIENCE_MS && statistics.connections > 2; i++) {
		usleep(1000);
		ftsi_server_statistics(echo.server, &statistics);
	}
	assert_int_equal(statistics.connections, 2);
	fds[0] = caller_open(echo.port);
	caller_expect_echo(fds[0], "room again");
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	echo_server_stop(&echo);
}

/* Idle connections are cheap, in memory and in what others feel. */
static void a_thousand_idle_connections_are_cheap(void **state)
{
	(void)state;
	enum { COUNT = 1000 };
	static int fds[COUNT];
	echo_server_start(&echo, &(struct fts_server_options){.idle_timeout_ms = 400});
	int fd = caller_open(echo.port);
	caller_expect_echo(fd, "warm");
	size_t before = mallinfo2().uordblks;
	for (size_t i = 0; i < COUNT; i++)
		fds[i] = caller_open(echo.port);
	for (size_t i = 0; i < COUNT; i++)
		caller_expect_echo(fds[i], "once");
	uint64_t begin_ns = fts_clock_monotonic_ns();
	size_t each_bytes = SIZE_MAX;
	while (each_bytes >= 12 * 1024 && fts_clock_monotonic_ns() - begin_ns < 20000000000u) {
		caller_expect_echo(fd, "others"); /* idle buffers go with time */
		each_bytes = (mallinfo2().uordblks - before) / COUNT;
	}
	assert_true(each_bytes < 12 * 1024);
	for (size_t i = 0; i < COUNT; i++) {
		caller_expect_echo(fds[i], "still there");
		close(fds[i]);
	}
	close(fd);
	echo_server_stop(&echo);
}

/* Servers come and go under callers that don't care: no hang, no leak, no use after free. */
static void many_lives(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		echo_server_start(&echo, NULL);
		int fds[8];
		for (size_t k = 0; k < 8; k++) {
			fds[k] = k % 2 == 0 ? caller_connect(echo.port) : caller_open(echo.port);
			struct caller_call call = {.id = 1, .method_id = echo_method_id(ECHO_NOW), .text = "hi"};
			if (k % 2 == 1) assert_true(caller_send(fds[k], &call));
		}
		if (i % 2 == 0) close(fds[0]);
		if (i % 3 == 0) shutdown(fds[1], SHUT_WR);
		echo_server_stop(&echo);
		for (size_t k = i % 2 == 0; k < 8; k++)
			close(fds[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_are_checked),
	    cmocka_unit_test(address_in_use_is_named),
	    cmocka_unit_test(services_are_added_once_and_before_start),
	    cmocka_unit_test(drain_waits_for_answers),
	    cmocka_unit_test(calls_outlive_their_server),
	    cmocka_unit_test(waiting_workers_end_with_the_server),
	    cmocka_unit_test(workers_end_after_a_rush),
	    cmocka_unit_test(connections_are_limited),
	    cmocka_unit_test(a_thousand_idle_connections_are_cheap),
	    cmocka_unit_test(many_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
