/* Why this file exists: our channel calls a stock nng REP socket that knows nothing of fts but the header's .proto,
 * read and written with nanopb: proof that the wire is nng's REQ/REP and nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <pthread.h>

#include "base/assert.h"
#include "fts/rpc/v1/frame.pb.h"
#include "support.h"

struct stock {
	nng_socket socket;
	uint16_t port;
	pthread_t thread;
	unsigned served_count;
};

/* Header length, header and payload of a reply to body, into out; returns its size. */
static size_t answer(const uint8_t *body, size_t size_bytes, uint8_t *out, size_t out_size_bytes)
{
	fts_rpc_v1_CallHeader call = fts_rpc_v1_CallHeader_init_zero;
	fts_rpc_v1_ReplyHeader reply = fts_rpc_v1_ReplyHeader_init_zero;
	pb_istream_t in = pb_istream_from_buffer(body, size_bytes);
	pb_ostream_t stream = pb_ostream_from_buffer(out, out_size_bytes);
	FTS_ASSERT(pb_decode_delimited(&in, fts_rpc_v1_CallHeader_fields, &call));
	FTS_ASSERT(call.method == read_method.id || call.method == write_method.id);
	FTS_ASSERT(call.timeout_ms > 0 && (call.method == read_method.id || call.sequence > 0));
	Fts__Rpc__V1__ReplayRequest *request =
	    fts__rpc__v1__replay_request__unpack(NULL, in.bytes_left, body + size_bytes - in.bytes_left);
	FTS_ASSERT(request != NULL);
	Fts__Rpc__V1__ReplayResponse response = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	response.next_index = request->from_index + 1;
	fts__rpc__v1__replay_request__free_unpacked(request, NULL);
	snprintf(reply.node, sizeof reply.node, "stock");
	reply.executed = FTS_EXECUTED_YES;
	if (response.next_index == 14) {
		reply.code = FTS_NOT_FOUND;
		snprintf(reply.detail, sizeof reply.detail, "thirteen is not served");
		FTS_ASSERT(pb_encode_delimited(&stream, fts_rpc_v1_ReplyHeader_fields, &reply));
		return stream.bytes_written;
	}
	FTS_ASSERT(pb_encode_delimited(&stream, fts_rpc_v1_ReplyHeader_fields, &reply));
	return stream.bytes_written + fts__rpc__v1__replay_response__pack(&response, out + stream.bytes_written);
}

static void *stock_run(void *arg)
{
	struct stock *stock = arg;
	for (;;) {
		nng_msg *message;
		uint8_t out[2048];
		if (nng_recvmsg(stock->socket, &message, 0) != 0) return NULL;
		size_t size_bytes = answer(nng_msg_body(message), nng_msg_len(message), out, sizeof out);
		nng_msg_clear(message);
		FTS_ASSERT(nng_msg_append(message, out, size_bytes) == 0);
		if (nng_sendmsg(stock->socket, message, 0) != 0) {
			nng_msg_free(message);
			return NULL;
		}
		stock->served_count++;
	}
}

static void stock_start(struct stock *stock)
{
	nng_listener listener;
	nng_sockaddr address;
	FTS_ASSERT(nng_rep0_open(&stock->socket) == 0);
	FTS_ASSERT(nng_listen(stock->socket, "tcp://127.0.0.1:0", &listener, 0) == 0);
	FTS_ASSERT(nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address) == 0);
	const uint8_t *port = (const uint8_t *)&address.s_in.sa_port;
	stock->port = (uint16_t)(port[0] << 8 | port[1]);
	FTS_ASSERT(pthread_create(&stock->thread, NULL, stock_run, stock) == 0);
}

static void stock_stop(struct stock *stock)
{
	nng_close(stock->socket);
	pthread_join(stock->thread, NULL);
}

static void a_stock_rep_socket_serves_us(void **state)
{
	struct stock stock = {.served_count = 0};
	struct fts_error error = {.status = FTS_OK};
	struct fts_call_info info;
	struct fts_call_options options = {.info = &info};
	(void)state;
	stock_start(&stock);
	struct fts_channel *channel = open_to(address_of(stock.port));
	for (uint64_t i = 100; i < 300; i++) {
		uint64_t next = 0;
		const struct fts_method *method = i % 2 == 0 ? &read_method : &write_method;
		assert_int_equal(echo(channel, method, i, &options, &next, &error), FTS_OK);
		assert_int_equal(next, i + 1);
		assert_string_equal(info.node, "stock");
	}
	assert_int_equal(echo(channel, &read_method, 13, NULL, NULL, &error), FTS_NOT_FOUND);
	assert_string_equal(error.detail, "thirteen is not served");
	assert_int_equal(error.executed, FTS_EXECUTED_YES);
	fts_channel_close(channel);
	stock_stop(&stock);
	assert_int_equal(stock.served_count, 201);
}

static void pipelined_to_a_stock_socket(void **state)
{
	struct stock stock = {.served_count = 0};
	static struct seen seen[200];
	(void)state;
	stock_start(&stock);
	struct fts_channel *channel = open_to(address_of(stock.port));
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_int_equal(start_echo(channel, &read_method, 1000 + i, 9000, &seen[i], NULL), FTS_OK);
	for (size_t i = 0; i < COUNT_OF(seen); i++) {
		assert_true(wait_seen(&seen[i]));
		assert_true(seen[i].status == FTS_OK && seen[i].next_index == 1001 + i);
	}
	fts_channel_close(channel);
	stock_stop(&stock);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stock_rep_socket_serves_us),
	    cmocka_unit_test(pipelined_to_a_stock_socket),
	};
	return cmocka_run_group_tests_name("rpc channel interop", tests, NULL, NULL);
}
