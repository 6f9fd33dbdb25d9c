/* Why this file exists: a caller over plain BSD sockets, so that the server is tested against the bytes on the wire
 * and not against our own connection code. It can do everything a right caller must not do. */
#ifndef FTS_TESTS_RPC_SERVER_CALLER_H
#define FTS_TESTS_RPC_SERVER_CALLER_H

#include "echo.h"
#include "rpc/wire.h"

#define CALLER_PATIENCE_MS 20000

/* A connected socket, hello sent or not. */
int caller_connect(uint16_t port);
int caller_open(uint16_t port); /* ... hellos exchanged */

/* Send all bytes; false: the peer closed. */
bool caller_write(int fd, const void *data, size_t size_bytes);
/* Read exactly size_bytes; false: the peer closed. Fails the test after CALLER_PATIENCE_MS. */
bool caller_read(int fd, void *out, size_t size_bytes);
/* True when the peer closes within timeout_ms. */
bool caller_sees_close(int fd, int timeout_ms);
/* True when something can be read within timeout_ms. */
bool caller_sees_bytes(int fd, int timeout_ms);

/* What a call is made of; zero values take the obvious. */
struct caller_call {
	uint32_t id; /* top bit is added */
	uint32_t method_id;
	uint32_t timeout_ms; /* 0: 5,000 */
	const char *text;
	uint32_t reply_bytes;
	uint64_t trace_id;
	struct fts_bytes token;
	size_t device_count; /* words in front of the request id */
};

/* The call's bytes, length included, into out. Returns their number. */
size_t caller_encode(const struct caller_call *call, uint8_t *out, size_t size_bytes);
bool caller_send(int fd, const struct caller_call *call);

/* A reply. text: of an EchoResponse. */
struct caller_reply {
	uint32_t id; /* without the top bit */
	size_t device_count;
	fts_rpc_v1_ReplyHeader header;
	char text[256];
	size_t filler_bytes;
	size_t payload_bytes;
};
/* False: the peer closed. */
bool caller_receive(int fd, struct caller_reply *out);

/* Send and receive; the reply must be this call's. */
void caller_exchange(int fd, const struct caller_call *call, struct caller_reply *out);
/* One ECHO_NOW call that must succeed. */
void caller_expect_echo(int fd, const char *text);

#endif
