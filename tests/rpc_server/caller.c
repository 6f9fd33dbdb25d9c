/* Why this file exists: see caller.h. */
#include "caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.pb-c.h"

int caller_connect(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

int caller_open(uint16_t port)
{
	uint8_t hello[FTSI_HELLO_BYTES];
	int fd = caller_connect(port);
	ftsi_hello_write(FTSI_ROLE_CALLER, hello);
	assert_true(caller_write(fd, hello, sizeof hello));
	assert_true(caller_read(fd, hello, sizeof hello));
	assert_true(ftsi_hello_is(FTSI_ROLE_SERVER, hello));
	return fd;
}

bool caller_write(int fd, const void *data, size_t size_bytes)
{
	const uint8_t *at = data;
	while (size_bytes > 0) {
		ssize_t sent = send(fd, at, size_bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) continue;
		if (sent <= 0) return false;
		at += sent;
		size_bytes -= (size_t)sent;
	}
	return true;
}

bool caller_sees_bytes(int fd, int timeout_ms)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};
	return poll(&look, 1, timeout_ms) > 0;
}

bool caller_read(int fd, void *out, size_t size_bytes)
{
	uint8_t *at = out;
	while (size_bytes > 0) {
		if (!caller_sees_bytes(fd, CALLER_PATIENCE_MS)) fail_msg("nothing came");
		ssize_t got = recv(fd, at, size_bytes, 0);
		if (got < 0 && errno == EINTR) continue;
		if (got <= 0) return false;
		at += got;
		size_bytes -= (size_t)got;
	}
	return true;
}

bool caller_sees_close(int fd, int timeout_ms)
{
	char bytes[4096];
	while (caller_sees_bytes(fd, timeout_ms)) {
		if (recv(fd, bytes, sizeof bytes, 0) <= 0) return true;
	}
	return false;
}

size_t caller_encode(const struct caller_call *call, uint8_t *out, size_t size_bytes)
{
	struct ftsi_call_writer writer = {.slots = {{.size_bytes = 0}}};
	struct ftsi_call_fields fields = {.method_id = call->method_id,
					  .timeout_ms = call->timeout_ms == 0 ? 5000 : call->timeout_ms,
					  .trace_id = call->trace_id,
					  .token = call->token};
	Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
	request.text = (char *)(uintptr_t)(call->text == NULL ? "" : call->text);
	request.reply_bytes = call->reply_bytes;
	size_t at = FTSI_LENGTH_BYTES;
	assert_true(size_bytes >= 2048 + strlen(request.text));
	for (size_t i = 0; i < call->device_count; i++, at += 4)
		ftsi_put_be32(out + at, (uint32_t)i + 1);
	ftsi_put_be32(out + at, call->id | FTSI_REQUEST_ID_BIT);
	at += 4;
	at += ftsi_call_header_write(&writer, &fields, out + at);
	at += protobuf_c_message_pack(&request.base, out + at);
	ftsi_put_be64(out, at - FTSI_LENGTH_BYTES);
	return at;
}

bool caller_send(int fd, const struct caller_call *call)
{
	size_t size_bytes = 4096 + (call->text == NULL ? 0 : strlen(call->text));
	uint8_t *bytes = malloc(size_bytes);
	assert_non_null(bytes);
	bool sent = caller_write(fd, bytes, caller_encode(call, bytes, size_bytes));
	free(bytes);
	return sent;
}

static void read_payload(struct fts_bytes payload, struct caller_reply *out)
{
	Echo__EchoResponse *response = echo__echo_response__unpack(NULL, payload.size_bytes, payload.data);
	assert_non_null(response);
	strncpy(out->text, response->text, sizeof out->text - 1);
	out->filler_bytes = response->filler.len;
	echo__echo_response__free_unpacked(response, NULL);
}

bool caller_receive(int fd, struct caller_reply *out)
{
	uint8_t length[FTSI_LENGTH_BYTES];
	struct ftsi_reply_reader *reader = calloc(1, sizeof *reader);
	memset(out, 0, sizeof *out);
	if (!caller_read(fd, length, sizeof length)) {
		free(reader);
		return false;
	}
	struct fts_bytes message = {NULL, (size_t)ftsi_get_be64(length)};
	assert_true(message.size_bytes <= FTS_MESSAGE_MAX);
	uint8_t *bytes = malloc(message.size_bytes);
	assert_true(caller_read(fd, bytes, message.size_bytes));
	message.data = bytes;
	struct ftsi_frame frame;
	assert_int_equal(ftsi_frame_split(message, &frame), FTS_OK);
	const fts_rpc_v1_ReplyHeader *header = ftsi_reply_header_read(reader, frame.header);
	assert_non_null(header);
	out->id = frame.request_id & ~FTSI_REQUEST_ID_BIT;
	out->device_count = frame.route.size_bytes / 4 - 1;
	for (size_t i = 0; i < out->device_count; i++)
		assert_int_equal(ftsi_get_be32(frame.route.data + 4 * i), i + 1);
	out->header = *header;
	out->payload_bytes = frame.payload.size_bytes;
	read_payload(frame.payload, out);
	free(bytes);
	free(reader);
	return true;
}

void caller_exchange(int fd, const struct caller_call *call, struct caller_reply *out)
{
	assert_true(caller_send(fd, call));
	assert_true(caller_receive(fd, out));
	assert_int_equal(out->id, call->id);
	assert_int_equal(out->device_count, call->device_count);
}

void caller_expect_echo(int fd, const char *text)
{
	static _Thread_local uint32_t id;
	struct caller_call call = {.id = ++id & 0xffffff, .method_id = echo_method_id(ECHO_NOW), .text = text};
	struct caller_reply reply;
	caller_exchange(fd, &call, &reply);
	assert_int_equal(reply.header.code, FTS_OK);
	assert_string_equal(reply.text, text);
}
