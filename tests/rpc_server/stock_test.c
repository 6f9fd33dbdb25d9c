/* Why this file exists: a stock nng REQ socket, in any language, is a valid caller of our server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <string.h>

#include "caller.h"

#define CONTEXT_COUNT 16

static struct echo_server echo;

/* nng writes the length and the request id itself: the rest of a call. */
static nng_msg *message_of(const char *text)
{
	uint8_t bytes[8192];
	struct caller_call call = {.id = 1, .method_id = echo_method_id(ECHO_NOW), .text = text};
	size_t size = caller_encode(&call, bytes, sizeof bytes);
	nng_msg *message = NULL;
	assert_int_equal(nng_msg_alloc(&message, 0), 0);
	assert_int_equal(nng_msg_append(message, bytes + 12, size - 12), 0);
	return message;
}

/* text is the last thing in an EchoResponse that has nothing else. */
static void expect_text(nng_msg *message, const char *text)
{
	size_t size = strlen(text);
	assert_true(nng_msg_len(message) > size);
	assert_memory_equal((const char *)nng_msg_body(message) + nng_msg_len(message) - size, text, size);
	nng_msg_free(message);
}

static nng_socket open_req(const char *address)
{
	nng_socket socket;
	char url[64];
	snprintf(url, sizeof url, "tcp://%s", address);
	assert_int_equal(nng_req0_open(&socket), 0);
	nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
	nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, CALLER_PATIENCE_MS);
	nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, CALLER_PATIENCE_MS);
	assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
	return socket;
}

static void stock_socket_calls(void **state)
{
	(void)state;
	nng_socket socket = open_req(echo.address);
	for (int i = 0; i < 200; i++) {
		char text[32];
		nng_msg *message = NULL;
		snprintf(text, sizeof text, "call %d of many", i);
		assert_int_equal(nng_sendmsg(socket, message_of(text), 0), 0);
		assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
		expect_text(message, text);
	}
	nng_close(socket);
}

static void contexts_call_side_by_side(void **state)
{
	(void)state;
	nng_socket socket = open_req(echo.address);
	nng_ctx contexts[CONTEXT_COUNT];
	nng_aio *aios[CONTEXT_COUNT];
	for (size_t i = 0; i < CONTEXT_COUNT; i++) {
		char text[32];
		snprintf(text, sizeof text, "context %zu", i);
		assert_int_equal(nng_ctx_open(&contexts[i], socket), 0);
		assert_int_equal(nng_aio_alloc(&aios[i], NULL, NULL), 0);
		nng_aio_set_timeout(aios[i], CALLER_PATIENCE_MS);
		nng_aio_set_msg(aios[i], message_of(text));
		nng_ctx_send(contexts[i], aios[i]);
	}
	for (size_t i = 0; i < CONTEXT_COUNT; i++) {
		char text[32];
		snprintf(text, sizeof text, "context %zu", i);
		nng_aio_wait(aios[i]);
		assert_int_equal(nng_aio_result(aios[i]), 0);
		nng_ctx_recv(contexts[i], aios[i]);
		nng_aio_wait(aios[i]);
		assert_int_equal(nng_aio_result(aios[i]), 0);
		expect_text(nng_aio_get_msg(aios[i]), text);
	}
	for (size_t i = 0; i < CONTEXT_COUNT; i++) {
		nng_aio_free(aios[i]);
		nng_ctx_close(contexts[i]);
	}
	nng_close(socket);
}

/* A raw REP and a raw REQ joined back to back are nng's device: it puts its own word before the request id. */
static void stock_device_stands_between(void **state)
{
	(void)state;
	nng_socket front, back, socket;
	char url[64];
	assert_int_equal(nng_rep0_open_raw(&front), 0);
	assert_int_equal(nng_req0_open_raw(&back), 0);
	assert_int_equal(nng_listen(front, "inproc://rpc_server_stock", NULL, 0), 0);
	snprintf(url, sizeof url, "tcp://%s", echo.address);
	assert_int_equal(nng_dial(back, url, NULL, 0), 0);
	assert_int_equal(nng_req0_open(&socket), 0);
	assert_int_equal(nng_dial(socket, "inproc://rpc_server_stock", NULL, 0), 0);
	nng_socket_set_ms(front, NNG_OPT_RECVTIMEO, CALLER_PATIENCE_MS);
	nng_socket_set_ms(back, NNG_OPT_RECVTIMEO, CALLER_PATIENCE_MS);
	nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, CALLER_PATIENCE_MS);
	for (int i = 0; i < 20; i++) {
		nng_msg *message = NULL;
		assert_int_equal(nng_sendmsg(socket, message_of("through a device"), 0), 0);
		assert_int_equal(nng_recvmsg(front, &message, 0), 0);
		assert_int_equal(nng_sendmsg(back, message, 0), 0);
		assert_int_equal(nng_recvmsg(back, &message, 0), 0);
		assert_int_equal(nng_sendmsg(front, message, 0), 0);
		assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
		expect_text(message, "through a device");
	}
	nng_close(socket);
	nng_close(front);
	nng_close(back);
}

static int start(void **state)
{
	(void)state;
	echo_server_start(&echo, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	echo_server_stop(&echo);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(stock_socket_calls, start, stop),
	    cmocka_unit_test_setup_teardown(contexts_call_side_by_side, start, stop),
	    cmocka_unit_test_setup_teardown(stock_device_stands_between, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
