/* Why this file exists: what a call to a server does, from the bytes on the wire: every way to be answered and
 * every way to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "rpc/statistics.h"

static struct echo_server echo;

static int start(void **state)
{
	(void)state;
	echo_server_start(&echo, &(struct fts_server_options){.worker_count = 2});
	return 0;
}

static int stop(void **state)
{
	(void)state;
	echo_server_stop(&echo);
	return 0;
}

static struct caller_call call_of(enum echo_method method, const char *text)
{
	return (struct caller_call){.id = 77, .method_id = echo_method_id(method), .text = text};
}

static void answered_where_it_is_read(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_NOW, "hello");
	struct caller_reply reply;
	caller_exchange(fd, &call, &reply);
	assert_int_equal(reply.header.code, FTS_OK);
	assert_int_equal(reply.header.executed, FTS_EXECUTED_YES);
	assert_string_equal(reply.header.node, "n1");
	assert_string_equal(reply.text, "hello");
	assert_int_equal(reply.header.server_us, 0);
	close(fd);
}

static void devices_get_their_words_back(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_reply reply;
	struct caller_call call = call_of(ECHO_NOW, "from afar");
	for (call.device_count = 0; call.device_count <= 15; call.device_count++) {
		caller_exchange(fd, &call, &reply);
		assert_string_equal(reply.text, "from afar");
	}
	close(fd);
}

static void raw_handler_gets_the_bytes(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_RAW, "as it came");
	struct caller_reply reply;
	caller_exchange(fd, &call, &reply);
	assert_string_equal(reply.text, "as it came");
	close(fd);
}

static void header_says_all_that_was_set(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_FAIL, "");
	call.trace_id = 9;
	struct caller_reply reply;
	caller_exchange(fd, &call, &reply);
	assert_int_equal(reply.header.code, FTS_ABORTED);
	assert_int_equal(reply.header.executed, FTS_EXECUTED_UNKNOWN);
	assert_true(reply.header.term == 7 && reply.header.index == 41);
	assert_string_equal(reply.header.leader, "10.0.0.9:7400");
	assert_string_equal(reply.header.detail, "rule \"turn\", 100% refused");
	assert_int_equal(reply.header.retry_after_ms, 50);
	assert_int_equal(reply.header.age_ms, 12);
	assert_int_equal(reply.payload_bytes, 0);
	close(fd);
}

static void *answer_elsewhere(void *arg)
{
	echo_reply(arg, "from another thread");
	return NULL;
}

static void answered_later_from_another_thread(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_LATER, "");
	assert_true(caller_send(fd, &call));
	echo_wait_held(&echo, 1);
	caller_expect_echo(fd, "goes past"); /* answers leave in any order */
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, answer_elsewhere, echo_take_held(&echo)), 0);
	struct caller_reply reply;
	assert_true(caller_receive(fd, &reply));
	assert_int_equal(reply.id, 77);
	assert_string_equal(reply.text, "from another thread");
	pthread_join(thread, NULL);
	close(fd);
}

static void what_the_header_said_is_kept(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_LATER, "");
	call.trace_id = 0x1234;
	call.timeout_ms = 900;
	call.token = (struct fts_bytes){(const uint8_t *)"secret", 6};
	assert_true(caller_send(fd, &call));
	echo_wait_held(&echo, 1);
	struct caller_call next = call_of(ECHO_NOW, "overwrites the buffer");
	struct caller_reply reply;
	caller_exchange(fd, &next, &reply);
	struct fts_call *held = echo_take_held(&echo);
	assert_true(fts_call_trace_id(held) == 0x1234);
	assert_int_equal(fts_call_token(held).size_bytes, 6);
	assert_memory_equal(fts_call_token(held).data, "secret", 6);
	assert_string_equal(fts_call_method(held)->name, "Later");
	assert_false(fts_call_abandoned(held));
	assert_false(fts_call_stale(held));
	assert_true(fts_call_client_id(held) == 0 && fts_call_sequence(held) == 0 && fts_call_fence(held) == 0 &&
		    fts_call_lowest_unanswered(held) == 0);
	assert_non_null(fts_call_alloc(held, 1000));
	assert_null(fts_call_alloc(held, 1u << 30));
	echo_reply(held, "done");
	assert_true(caller_receive(fd, &reply));
	assert_true(reply.header.server_us > 0);
	close(fd);
}

static void caller_that_left_is_told_of(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_LATER, "");
	assert_true(caller_send(fd, &call));
	echo_wait_held(&echo, 1);
	struct fts_call *held = echo_take_held(&echo);
	assert_false(fts_call_abandoned(held));
	close(fd);
	struct fts_server_work work = {.open_count = 0};
	for (int i = 0; i < 20000 && !fts_call_abandoned(held); i++)
		usleep(1000);
	assert_true(fts_call_abandoned(held));
	echo_reply(held, "to nobody");
	fts_server_work(echo.server, &work);
	assert_int_equal(work.open_count, 0);
}

static void refusals_say_what_is_wrong(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = {.id = 5, .method_id = 0xdead, .text = ""};
	struct caller_reply reply;
	caller_exchange(fd, &call, &reply);
	assert_int_equal(reply.header.code, FTS_UNIMPLEMENTED);
	assert_int_equal(reply.header.executed, FTS_EXECUTED_NO);
	assert_non_null(strstr(reply.header.detail, "0x0000dead"));

	uint8_t bytes[8192];
	call = call_of(ECHO_NOW, "hello");
	size_t size = caller_encode(&call, bytes, sizeof bytes);
	bytes[size - 6] = 0x7f; /* the text claims more than there is */
	assert_true(caller_write(fd, bytes, size));
	assert_true(caller_receive(fd, &reply));
	assert_int_equal(reply.header.code, FTS_INVALID_ARGUMENT);
	assert_non_null(strstr(reply.header.detail, "echo.EchoRequest"));

	static const char bad_header[] = "\0\0\0\0\0\0\0\x8\x80\0\0\x9\3\x0d\1\2";
	assert_true(caller_write(fd, bad_header, sizeof bad_header - 1));
	assert_true(caller_receive(fd, &reply));
	assert_int_equal(reply.id, 9);
	assert_int_equal(reply.header.code, FTS_INVALID_ARGUMENT);
	caller_expect_echo(fd, "still here");
	close(fd);
}

static void no_request_id_closes_that_connection(void **state)
{
	(void)state;
	int other = caller_open(echo.port), fd = caller_open(echo.port);
	assert_true(caller_write(fd, "\0\0\0\0\0\0\0\4\0\0\0\1", 12));
	assert_true(caller_sees_close(fd, CALLER_PATIENCE_MS));
	close(fd);
	fd = caller_connect(echo.port);
	assert_true(caller_write(fd, "GET / HTTP/1.1\r\n\r\n", 18));
	assert_true(caller_sees_close(fd, CALLER_PATIENCE_MS));
	close(fd);
	caller_expect_echo(other, "unharmed");
	close(other);
}

/* However the bytes are cut on the way, the calls are the same. */
static void bytes_may_come_in_any_pieces(void **state)
{
	(void)state;
	uint8_t bytes[8192];
	size_t size = 0;
	int fd = caller_open(echo.port);
	for (uint32_t i = 1; i <= 3; i++) {
		struct caller_call call = call_of(ECHO_NOW, "pieces");
		call.id = i;
		size += caller_encode(&call, bytes + size, sizeof bytes - size);
	}
	for (size_t piece = 1; piece <= size; piece = piece * 2 + 1) {
		for (size_t at = 0; at < size; at += piece)
			assert_true(caller_write(fd, bytes + at, at + piece <= size ? piece : size - at));
		for (uint32_t i = 1; i <= 3; i++) {
			struct caller_reply reply;
			assert_true(caller_receive(fd, &reply));
			assert_int_equal(reply.id, i);
			assert_string_equal(reply.text, "pieces");
		}
	}
	close(fd);
}

static void blocking_calls_do_not_hold_others(void **state)
{
	(void)state;
	int fd = caller_open(echo.port);
	struct caller_call call = call_of(ECHO_BLOCKING, "slow");
	for (call.id = 1; call.id <= 3; call.id++)
		assert_true(caller_send(fd, &call));
	echo_wait_blocked(&echo, 2); /* both workers */
	caller_expect_echo(fd, "quick");
	struct caller_call late = call_of(ECHO_BLOCKING, "too late");
	late.id = 4;
	late.timeout_ms = 1;
	assert_true(caller_send(fd, &late));
	struct fts_server_work work = {.overrun = NULL};
	/* until the first is over its 100 ms: the watchdog's sign */
	for (int i = 0; i < CALLER_PATIENCE_MS && work.overrun == NULL; i++) {
		usleep(1000);
		fts_server_work(echo.server, &work);
	}
	assert_non_null(work.overrun);
	assert_string_equal(work.overrun->name, "Blocking");
	assert_true(work.overrun_ms >= 100 && work.oldest_ms >= 100);
	assert_int_equal(work.open_count, 4);
	echo_open_gate(&echo);
	for (int i = 0; i < 4; i++) {
		struct caller_reply reply;
		assert_true(caller_receive(fd, &reply));
		assert_int_equal(reply.header.code, reply.id == 4 ? FTS_DEADLINE_EXCEEDED : FTS_OK);
		if (reply.id == 4) assert_int_equal(reply.header.executed, FTS_EXECUTED_NO);
	}
	close(fd);
}

static void statistics_count(void **state)
{
	(void)state;
	struct ftsi_method_statistics now;
	struct ftsi_server_statistics all;
	size_t index = 0;
	while (strcmp((ftsi_server_method_statistics(echo.server, index, &now), now.method->full_name),
		      "echo.Echo/Now") != 0)
		index++;
	ftsi_server_statistics_reset(echo.server);
	int fd = caller_open(echo.port);
	for (int i = 0; i < 10; i++)
		caller_expect_echo(fd, "counted");
	struct caller_call call = call_of(ECHO_NOW, "hello");
	uint8_t bytes[8192];
	size_t size = caller_encode(&call, bytes, sizeof bytes);
	bytes[size - 6] = 0x7f;
	struct caller_reply reply;
	assert_true(caller_write(fd, bytes, size) && caller_receive(fd, &reply));
	ftsi_server_method_statistics(echo.server, index, &now);
	uint64_t bucket_sum = 0;
	for (size_t i = 0; i < FTSI_LATENCY_BUCKET_COUNT; i++)
		bucket_sum += now.latency_log2_us[i];
	assert_true(now.calls == 11 && now.errors == 1 && bucket_sum == 11);
	assert_true(now.request_bytes > 11 * 10 && now.response_bytes > 11 * 10);
	assert_int_equal(now.open, 0);
	ftsi_server_statistics(echo.server, &all);
	assert_true(all.inbound_bytes > now.request_bytes && all.outbound_bytes > now.response_bytes);
	assert_int_equal(all.malformed, 0);
	assert_true(all.connections >= 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(answered_where_it_is_read, start, stop),
	    cmocka_unit_test_setup_teardown(devices_get_their_words_back, start, stop),
	    cmocka_unit_test_setup_teardown(raw_handler_gets_the_bytes, start, stop),
	    cmocka_unit_test_setup_teardown(header_says_all_that_was_set, start, stop),
	    cmocka_unit_test_setup_teardown(answered_later_from_another_thread, start, stop),
	    cmocka_unit_test_setup_teardown(what_the_header_said_is_kept, start, stop),
	    cmocka_unit_test_setup_teardown(caller_that_left_is_told_of, start, stop),
	    cmocka_unit_test_setup_teardown(refusals_say_what_is_wrong, start, stop),
	    cmocka_unit_test_setup_teardown(no_request_id_closes_that_connection, start, stop),
	    cmocka_unit_test_setup_teardown(bytes_may_come_in_any_pieces, start, stop),
	    cmocka_unit_test_setup_teardown(blocking_calls_do_not_hold_others, start, stop),
	    cmocka_unit_test_setup_teardown(statistics_count, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
