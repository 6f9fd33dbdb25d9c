/* Why this file exists: everything is bounded: what is too large, too many, too slow or half done is refused or
 * closed, and others notice nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "caller.h"
#include "rpc/server_internal.h"

static struct echo_server echo;

static int start(void **state)
{
	(void)state;
	echo_server_start(&echo, &(struct fts_server_options){.idle_timeout_ms = 400, .inbound_bytes_max = 8u << 20});
	return 0;
}

static int stop(void **state)
{
	(void)state;
	echo_server_stop(&echo);
	return 0;
}

/* A message of size_bytes whose payload is no message: only its length matters. */
static uint8_t *padded_call(uint32_t id, size_t size_bytes, size_t *out_bytes)
{
	uint8_t *bytes = calloc(1, size_bytes + FTSI_LENGTH_BYTES);
	struct caller_call call = {.id = id, .method_id = echo_method_id(ECHO_RAW)};
	assert_non_null(bytes);
	caller_encode(&call, bytes, 4096);
	ftsi_put_be64(bytes, size_bytes);
	*out_bytes = size_bytes + FTSI_LENGTH_BYTES;
	return bytes;
}

static void a_gibibyte_is_refused_unread(void **state)
{
	(void)state;
	int other = caller_open(echo.port), fd = caller_open(echo.port);
	uint8_t length[FTSI_LENGTH_BYTES];
	static const uint64_t sizes[] = {1u << 30, UINT64_MAX, 1ull << 63, UINT64_MAX - 7};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		ftsi_put_be64(length, sizes[i]);
		assert_true(caller_write(fd, length, sizeof length));
		assert_true(caller_sees_close(fd, CALLER_PATIENCE_MS));
		close(fd);
		fd = caller_open(echo.port);
	}
	assert_int_equal(atomic_load(&echo.server->budget.used_bytes), 0);
	caller_expect_echo(other, "unharmed");
	close(fd);
	close(other);
}

static void too_large_is_refused_by_name(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	size_t size;
	struct caller_reply reply;
	uint8_t *bytes = padded_call(6, FTS_MESSAGE_MAX + 1, &size);
	assert_true(caller_write(fd, bytes, size));
	free(bytes);
	assert_true(caller_receive(fd, &reply));
	assert_int_equal(reply.id, 6);
	assert_int_equal(reply.header.code, FTS_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(reply.header.detail, "4194304"));
	caller_expect_echo(fd, "the rest was skipped");
	close(fd);
}

static void largest_message_passes_both_ways(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	size_t size;
	uint8_t *bytes = padded_call(7, FTS_MESSAGE_MAX - 64, &size);
	assert_true(caller_write(fd, bytes, size));
	uint8_t length[FTSI_LENGTH_BYTES];
	assert_true(caller_read(fd, length, sizeof length));
	size_t reply_bytes = (size_t)ftsi_get_be64(length);
	assert_true(reply_bytes > FTS_MESSAGE_MAX - 128 && reply_bytes <= FTS_MESSAGE_MAX);
	assert_true(caller_read(fd, bytes, reply_bytes));
	free(bytes);
	caller_expect_echo(fd, "and small again");
	close(fd);
}

static void reply_too_large_is_an_error(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = {.id = 1, .method_id = echo_method_id(ECHO_NOW), .reply_bytes = FTS_MESSAGE_MAX};
	struct caller_reply reply;
	caller_exchange(fd, &call, &reply);
	assert_int_equal(reply.header.code, FTS_RESOURCE_EXHAUSTED);
	assert_int_equal(reply.header.executed, FTS_EXECUTED_YES);
	caller_expect_echo(fd, "goes on");
	close(fd);
}

static void open_calls_are_limited(void **state)
{
	(void)state;
	int fd = caller_open(echo.port), other = caller_open(echo.port);
	struct caller_call call = {.method_id = echo_method_id(ECHO_LATER)};
	for (call.id = 1; call.id <= 4096; call.id++)
		assert_true(caller_send(fd, &call));
	echo_wait_held(&echo, 4096);
	struct caller_reply reply;
	for (int i = 0; i < 3; i++, call.id++) {
		caller_exchange(fd, &call, &reply);
		assert_int_equal(reply.header.code, FTS_RESOURCE_EXHAUSTED);
		assert_int_equal(reply.header.executed, FTS_EXECUTED_NO);
	}
	caller_expect_echo(other, "has its own limit");
	echo_answer_held(&echo);
	for (int i = 0; i < 4096; i++) {
		assert_true(caller_receive(fd, &reply));
		assert_int_equal(reply.header.code, FTS_OK);
	}
	caller_expect_echo(fd, "free again");
	close(fd);
	close(other);
}

static void memory_of_open_calls_is_limited(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	char *text = calloc(1, 1u << 20);
	memset(text, 'x', (1u << 20) - 1);
	struct caller_call call = {.method_id = echo_method_id(ECHO_LATER), .text = text};
	struct caller_reply reply = {.id = 0};
	for (call.id = 1; call.id <= 9; call.id++)
		assert_true(caller_send(fd, &call));
	assert_true(caller_receive(fd, &reply)); /* of 9 MiB, 8 fit: at least one is refused at once */
	assert_int_equal(reply.header.code, FTS_RESOURCE_EXHAUSTED);
	free(text);
	close(fd);
}

static void silent_and_half_way_connections_are_closed(void **state)
{
	(void)state;
	int healthy = caller_open(echo.port);
	int silent = caller_connect(echo.port), half = caller_open(echo.port), body = caller_open(echo.port);
	assert_true(caller_write(half, "\0\0\0", 3));
	assert_true(caller_write(body, "\0\0\0\0\0\1\0\0\x80\0\0\1", 12));
	assert_true(caller_sees_close(silent, CALLER_PATIENCE_MS));
	assert_true(caller_sees_close(half, CALLER_PATIENCE_MS));
	assert_true(caller_sees_close(body, CALLER_PATIENCE_MS));
	caller_expect_echo(healthy, "idle, not half done");
	close(healthy);
	close(silent);
	close(half);
	close(body);
}

/* A message that arrives slowly, but arrives, is not cut off. */
static void slow_message_is_waited_for(void **state)
{
	(void)state;
	uint8_t bytes[8192];
	struct caller_call call = {.id = 3, .method_id = echo_method_id(ECHO_NOW), .text = "slowly, byte by byte"};
	size_t size = caller_encode(&call, bytes, sizeof bytes);
	int fd = caller_open(echo.port);
	uint64_t begin_ns = fts_clock_monotonic_ns();
	for (size_t i = 0; i < size; i++) {
		while (fts_clock_monotonic_ns() < begin_ns + i * 1000000000u / size)
			usleep(1000);
		assert_true(caller_write(fd, bytes + i, 1));
	}
	struct caller_reply reply;
	assert_true(caller_receive(fd, &reply));
	assert_string_equal(reply.text, "slowly, byte by byte");
	close(fd);
}

/* Calls are written as long as the server takes them, answers are not read. */
static size_t flood(int fd, uint32_t reply_bytes)
{
	static char text[2000]; /* so that few calls fill what the kernel holds */
	memset(text, 't', sizeof text - 1);
	uint8_t bytes[8192];
	size_t call_count = 0, quiet = 0;
	struct caller_call call = {
	    .id = 1, .method_id = echo_method_id(ECHO_NOW), .text = text, .reply_bytes = reply_bytes};
	size_t size = caller_encode(&call, bytes, sizeof bytes), at = 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (quiet < 100 && call_count < 2000000) {
		ssize_t sent = send(fd, bytes + at, size - at, MSG_NOSIGNAL);
		if (sent > 0) {
			at = (at + (size_t)sent) % size;
			call_count += at == 0;
			quiet = 0;
			continue;
		}
		quiet++; /* 100 ms without room: the server has stopped reading */
		usleep(1000);
	}
	fcntl(fd, F_SETFL, 0);
	return call_count;
}

static size_t backlog_max(struct fts_server *server)
{
	size_t max = 0;
	pthread_mutex_lock(&server->mutex);
	for (struct ftsi_server_conn *peer = server->conns; peer != NULL; peer = peer->next) {
		size_t backlog = ftsi_conn_backlog_bytes(peer->conn);
		if (backlog > max) max = backlog;
	}
	pthread_mutex_unlock(&server->mutex);
	return max;
}

static void slow_reader_stops_only_itself(void **state)
{
	(void)state;
	int slow = caller_open(echo.port), other = caller_open(echo.port);
	size_t call_count = flood(slow, 10000);
	assert_true(call_count < 2000000);
	assert_true(backlog_max(echo.server) > 1u << 20);
	assert_true(backlog_max(echo.server) < 3u << 20);
	for (int i = 0; i < 100; i++)
		caller_expect_echo(other, "unaffected");
	struct caller_reply reply; /* everything that was taken is answered once it reads */
	for (size_t i = 0; i < call_count; i++) {
		assert_true(caller_receive(slow, &reply));
		assert_int_equal(reply.filler_bytes, 10000);
	}
	close(slow);
	close(other);
}

static void worker_queue_is_limited(void **state)
{
	(void)state;
	int fd = caller_open(echo.port), second = caller_open(echo.port);
	struct caller_call call = {.method_id = echo_method_id(ECHO_BLOCKING), .timeout_ms = 60000};
	for (call.id = 1; call.id <= 4096; call.id++)
		assert_true(caller_send(fd, &call));
	struct fts_server_work work = {.open_count = 0};
	for (int i = 0; i < CALLER_PATIENCE_MS && work.open_count < 4096; i++) {
		usleep(1000);
		fts_server_work(echo.server, &work);
	}
	assert_int_equal(work.open_count, 4096);
	echo_wait_blocked(&echo, 4);
	struct caller_reply reply = {.header = {.code = 0}};
	for (call.id = 1; call.id <= 5; call.id++)
		assert_true(caller_send(second, &call));
	assert_true(caller_receive(second, &reply));
	assert_int_equal(reply.header.code, FTS_RESOURCE_EXHAUSTED);
	caller_expect_echo(second, "quick ones pass");
	echo_open_gate(&echo);
	for (int i = 0; i < 4096; i++) {
		assert_true(caller_receive(fd, &reply));
		assert_int_equal(reply.header.code, FTS_OK);
	}
	close(fd);
	close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_gibibyte_is_refused_unread, start, stop),
	    cmocka_unit_test_setup_teardown(too_large_is_refused_by_name, start, stop),
	    cmocka_unit_test_setup_teardown(largest_message_passes_both_ways, start, stop),
	    cmocka_unit_test_setup_teardown(reply_too_large_is_an_error, start, stop),
	    cmocka_unit_test_setup_teardown(open_calls_are_limited, start, stop),
	    cmocka_unit_test_setup_teardown(memory_of_open_calls_is_limited, start, stop),
	    cmocka_unit_test_setup_teardown(silent_and_half_way_connections_are_closed, start, stop),
	    cmocka_unit_test_setup_teardown(slow_message_is_waited_for, start, stop),
	    cmocka_unit_test_setup_teardown(slow_reader_stops_only_itself, start, stop),
	    cmocka_unit_test_setup_teardown(worker_queue_is_limited, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
