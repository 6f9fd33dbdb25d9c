/* Why this file exists: the tiny client against our server and against peers that are silent, rude or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fts/health/v1/health.fts.h>

#include "base/clock.h"
#include "client/tiny/fts_tiny.h"

#define PING "fts.health.v1.Health/Ping"
#define PATIENCE_MS 20000

struct fixture {
	struct fts_server *server;
	uint16_t port;
	struct fts_tiny tiny;
	_Atomic(struct fts_call *) held; /* of Check, which is never answered in time */
	atomic_uint_fast64_t client_id, sequence, trace_id;
	uint8_t buffer[64 * 1024];
};

/* Gives back what it got. */
static void ping(struct fts_call *call, const Fts__Health__V1__PingRequest *request, void *ctx)
{
	struct fixture *fixture = ctx;
	Fts__Health__V1__PingResponse response = FTS__HEALTH__V1__PING_RESPONSE__INIT;

	fixture->client_id = fts_call_client_id(call);
	fixture->sequence = fts_call_sequence(call);
	fixture->trace_id = fts_call_trace_id(call);
	response.payload = request->payload;
	fts_health_ping_reply(call, &response);
}

static void check(struct fts_call *call, const Fts__Health__V1__CheckRequest *request, void *ctx)
{
	struct fixture *fixture = ctx;

	(void)request;
	fixture->held = call;
}

static int set_up(void **state)
{
	static const struct fts_health_handlers handlers = {.ping = ping, .check = check};
	struct fixture *fixture = calloc(1, sizeof *fixture);
	struct fts_server_options options = {.listen = "127.0.0.1:0", .node = "n1"};

	fixture->tiny = (struct fts_tiny)FTS_TINY_CLOSED_INIT;
	if (fts_server_create(&options, &fixture->server, NULL) != FTS_OK ||
	    fts_health_register(fixture->server, &handlers, fixture, NULL) != FTS_OK ||
	    fts_server_start(fixture->server, NULL) != FTS_OK)
		return -1;
	fixture->port = fts_server_port(fixture->server);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fts_tiny_close(&fixture->tiny);
	struct fts_call *held = atomic_load(&fixture->held);
	if (held) fts_call_fail(held, FTS_CANCELLED, "the test is over");
	fts_server_destroy(fixture->server);
	free(fixture);
	return 0;
}

static enum fts_tiny_result call_ping(struct fixture *fixture, size_t payload_bytes, size_t buffer_bytes,
				      struct fts_tiny_reply *out)
{
	static uint8_t packed[70000];
	Fts__Health__V1__PingRequest request = FTS__HEALTH__V1__PING_REQUEST__INIT;
	static uint8_t payload[60000];
	struct fts_tiny_call call = {.method = PING,
				     .payload = packed,
				     .timeout_ms = PATIENCE_MS,
				     .client_id = 77,
				     .sequence = 3,
				     .trace_id = 99};

	for (size_t i = 0; i < payload_bytes; i++)
		payload[i] = (uint8_t)i;
	request.payload = (ProtobufCBinaryData){payload_bytes, payload};
	call.payload_bytes = fts__health__v1__ping_request__pack(&request, packed);
	return fts_tiny_call(&fixture->tiny, &call, fixture->buffer, buffer_bytes, out);
}

static void check_pong(const struct fts_tiny_reply *reply, size_t payload_bytes)
{
	assert_int_equal(reply->header.code, FTS_OK);
	assert_string_equal(reply->header.node, "n1");
	Fts__Health__V1__PingResponse *pong =
	    fts__health__v1__ping_response__unpack(NULL, reply->payload_bytes, reply->payload);
	assert_non_null(pong);
	assert_int_equal(pong->payload.len, payload_bytes);
	for (size_t i = 0; i < payload_bytes; i++)
		assert_int_equal(pong->payload.data[i], (uint8_t)i);
	fts__health__v1__ping_response__free_unpacked(pong, NULL);
}

static void open_tiny(struct fixture *fixture, const char *host)
{
	assert_int_equal(fts_tiny_open(&fixture->tiny, host, fixture->port, PATIENCE_MS), FTS_TINY_OK);
}

static void calls_of_all_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 127, 128, 5000, 60000};
	struct fixture *fixture = *state;
	struct fts_tiny_reply reply;

	open_tiny(fixture, "127.0.0.1");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(call_ping(fixture, sizes[i], sizeof fixture->buffer, &reply), FTS_TINY_OK);
		check_pong(&reply, sizes[i]);
	}
	assert_int_equal(fixture->client_id, 77);
	assert_int_equal(fixture->sequence, 3);
	assert_int_equal(fixture->trace_id, 99);
}

static void by_name(void **state)
{
	struct fixture *fixture = *state;
	struct fts_tiny_reply reply;

	open_tiny(fixture, "localhost");
	assert_int_equal(call_ping(fixture, 10, sizeof fixture->buffer, &reply), FTS_TINY_OK);
	check_pong(&reply, 10);
}

static void over_ipv6(void **state)
{
	struct fixture *fixture = *state;
	static const struct fts_health_handlers handlers = {.ping = ping};
	struct fts_server_options options = {.listen = "[::1]:0", .node = "n1"};
	struct fts_server *server = NULL;
	struct fts_tiny_reply reply;

	assert_int_equal(fts_server_create(&options, &server, NULL), FTS_OK);
	assert_int_equal(fts_health_register(server, &handlers, fixture, NULL), FTS_OK);
	bool has_ipv6 = fts_server_start(server, NULL) == FTS_OK;
	if (has_ipv6) {
		assert_int_equal(fts_tiny_open(&fixture->tiny, "::1", fts_server_port(server), PATIENCE_MS),
				 FTS_TINY_OK);
		assert_int_equal(call_ping(fixture, 10, sizeof fixture->buffer, &reply), FTS_TINY_OK);
	}
	fts_server_destroy(server);
	if (!has_ipv6) skip();
}

static void refusals_are_replies(void **state)
{
	struct fixture *fixture = *state;
	struct fts_tiny_call call = {.method = "fts.nowhere.v1.No/Thing", .timeout_ms = PATIENCE_MS};
	struct fts_tiny_reply reply;

	open_tiny(fixture, "127.0.0.1");
	assert_int_equal(fts_tiny_call(&fixture->tiny, &call, fixture->buffer, sizeof fixture->buffer, &reply),
			 FTS_TINY_OK);
	assert_int_equal(reply.header.code, FTS_UNIMPLEMENTED);
	assert_int_equal(reply.header.executed, FTS_EXECUTED_NO);
	assert_true(strlen(reply.header.detail) > 0);
	assert_int_equal(reply.payload_bytes, 0);
	assert_int_equal(call_ping(fixture, 10, sizeof fixture->buffer, &reply), FTS_TINY_OK);
	check_pong(&reply, 10);
}

static void wrong_calls(void **state)
{
	static const uint8_t token[129];
	struct fixture *fixture = *state;
	const struct fts_tiny_call calls[] = {
	    {.timeout_ms = 1},
	    {.method = PING},
	    {.method = PING, .timeout_ms = 1, .token = token, .token_bytes = sizeof token},
	    {.method = PING, .timeout_ms = 1, .payload = token, .payload_bytes = 4 * 1024 * 1024},
	};
	struct fts_tiny_reply reply;

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		open_tiny(fixture, "127.0.0.1");
		assert_int_equal(
		    fts_tiny_call(&fixture->tiny, &calls[i], fixture->buffer, sizeof fixture->buffer, &reply),
		    FTS_TINY_INVALID);
	}
}

static void a_buffer_too_small(void **state)
{
	struct fixture *fixture = *state;
	struct fts_tiny_reply reply;

	open_tiny(fixture, "127.0.0.1");
	assert_int_equal(call_ping(fixture, 5000, 1000, &reply), FTS_TINY_NO_SPACE);
	assert_int_equal(call_ping(fixture, 1, 1000, &reply), FTS_TINY_UNREACHABLE);
	open_tiny(fixture, "127.0.0.1");
	assert_int_equal(call_ping(fixture, 500, 1000, &reply), FTS_TINY_OK);
}

static void time_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct fts_tiny_call call = {.method = "fts.health.v1.Health/Check", .timeout_ms = 200};
	struct fts_tiny_reply reply;

	open_tiny(fixture, "127.0.0.1");
	uint64_t start_ns = fts_clock_monotonic_ns();
	assert_int_equal(fts_tiny_call(&fixture->tiny, &call, fixture->buffer, sizeof fixture->buffer, &reply),
			 FTS_TINY_DEADLINE);
	uint64_t took_ns = fts_clock_monotonic_ns() - start_ns;
	assert_true(took_ns >= 199000000u && took_ns < UINT64_C(10000000000));
}

static void nobody_there(void **state)
{
	struct fixture *fixture = *state;

	fts_server_destroy(fixture->server);
	fixture->server = NULL;
	assert_int_equal(fts_tiny_open(&fixture->tiny, "127.0.0.1", fixture->port, 1000), FTS_TINY_UNREACHABLE);
	assert_int_equal(fts_tiny_open(&fixture->tiny, "no.such.host.invalid", 1, 1000), FTS_TINY_UNREACHABLE);
	assert_int_equal(fixture->tiny.fd, -1);
}

/* ---- Rude peers: a socket that says these bytes to whoever connects, then closes or waits ---- */

struct rude {
	int listener;
	uint16_t port;
	const uint8_t *bytes; /* static */
	size_t size_bytes;
	bool silent; /* don't close, wait for the peer to */
	pthread_t thread;
};

static void *rude_main(void *ctx)
{
	struct rude *rude = ctx;
	uint8_t drain[256];
	int fd = accept(rude->listener, NULL, NULL);

	(void)!write(fd, rude->bytes, rude->size_bytes);
	if (!rude->silent) (void)shutdown(fd, SHUT_WR);
	while (read(fd, drain, sizeof drain) > 0)
		;
	(void)close(fd);
	return NULL;
}

static void rude_start(struct rude *rude, const void *bytes, size_t size_bytes, bool silent)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t address_bytes = sizeof address;

	*rude = (struct rude){.bytes = bytes, .size_bytes = size_bytes, .silent = silent};
	rude->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rude->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(rude->listener, 1), 0);
	assert_int_equal(getsockname(rude->listener, (struct sockaddr *)&address, &address_bytes), 0);
	rude->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&rude->thread, NULL, rude_main, rude), 0);
}

struct rudeness {
	const char *name, *bytes;
	size_t size_bytes;
	bool silent;
	enum fts_tiny_result open, call;
};

#define HELLO "\0SP\0\0\x31\0\0"
#define SAID(text) text, sizeof(text) - 1

static void rude_peers(void **state)
{
	static const struct rudeness cases[] = {
	    {"says nothing", SAID(""), true, FTS_TINY_DEADLINE, FTS_TINY_OK},
	    {"closes", SAID(""), false, FTS_TINY_CLOSED, FTS_TINY_OK},
	    {"half a hello", SAID("\0SP\0"), false, FTS_TINY_CLOSED, FTS_TINY_OK},
	    {"another protocol", SAID("HTTP/1.1 400 Bad"), true, FTS_TINY_MALFORMED, FTS_TINY_OK},
	    {"a REQ", SAID("\0SP\0\0\x30\0\0"), true, FTS_TINY_MALFORMED, FTS_TINY_OK},
	    {"no reply", SAID(HELLO), true, FTS_TINY_OK, FTS_TINY_DEADLINE},
	    {"half a length", SAID(HELLO "\0\0\0\0"), false, FTS_TINY_OK, FTS_TINY_CLOSED},
	    {"a length of 8 GiB", SAID(HELLO "\0\0\0\2\0\0\0\0"), true, FTS_TINY_OK, FTS_TINY_MALFORMED},
	    {"larger than the buffer", SAID(HELLO "\0\0\0\0\0\x20\0\0"), true, FTS_TINY_OK, FTS_TINY_NO_SPACE},
	    {"too short for an id", SAID(HELLO "\0\0\0\0\0\0\0\2ab"), true, FTS_TINY_OK, FTS_TINY_MALFORMED},
	    {"a foreign id", SAID(HELLO "\0\0\0\0\0\0\0\5\x80\1\1\1\0"), true, FTS_TINY_OK, FTS_TINY_MALFORMED},
	    {"a header that is longer than the message", SAID(HELLO "\0\0\0\0\0\0\0\5\x80\0\0\1\x7f"), true,
	     FTS_TINY_OK, FTS_TINY_MALFORMED},
	    {"a header that is none", SAID(HELLO "\0\0\0\0\0\0\0\7\x80\0\0\1\2\x1a\x7f"), true, FTS_TINY_OK,
	     FTS_TINY_MALFORMED},
	    {"an empty reply", SAID(HELLO "\0\0\0\0\0\0\0\5\x80\0\0\1\0"), true, FTS_TINY_OK, FTS_TINY_OK},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fts_tiny tiny = FTS_TINY_CLOSED_INIT;
		struct fts_tiny_call call = {.method = PING, .timeout_ms = 300};
		struct fts_tiny_reply reply;
		struct rude rude;
		rude_start(&rude, cases[i].bytes, cases[i].size_bytes, cases[i].silent);
		bool waits = cases[i].open == FTS_TINY_DEADLINE;
		enum fts_tiny_result result = fts_tiny_open(&tiny, "127.0.0.1", rude.port, waits ? 200 : PATIENCE_MS);
		if (result != cases[i].open) fail_msg("%s: open %d", cases[i].name, (int)result);
		call.timeout_ms = cases[i].call == FTS_TINY_DEADLINE ? 200 : PATIENCE_MS;
		if (result == FTS_TINY_OK)
			result = fts_tiny_call(&tiny, &call, fixture->buffer, sizeof fixture->buffer, &reply);
		if (cases[i].open == FTS_TINY_OK && result != cases[i].call)
			fail_msg("%s: call %d", cases[i].name, (int)result);
		fts_tiny_close(&tiny);
		pthread_join(rude.thread, NULL);
		(void)close(rude.listener);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(calls_of_all_sizes),   CASE(by_name),      CASE(over_ipv6),
	    CASE(refusals_are_replies), CASE(wrong_calls),  CASE(time_is_kept),
	    CASE(a_buffer_too_small),   CASE(nobody_there), CASE(rude_peers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
