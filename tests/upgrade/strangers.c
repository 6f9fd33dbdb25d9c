/* Why this file exists: see tests/upgrade/strangers.h. Bytes as docs/wire.md has them. */
#include "tests/upgrade/strangers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ctype.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fts/health/v1/health.fts.h>
#include <fts/replica/v1/peer.pb-c.h>

#define ANSWER_S 30

static int connect_to(uint16_t port, uint8_t protocol)
{
	const uint8_t hello[8] = {0, 'S', 'P', 0, 0, protocol, 0, 0};
	const struct timeval limit = {.tv_sec = ANSWER_S};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	uint8_t answer[8];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(send(fd, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
	assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), sizeof answer);
	return fd;
}

static void say(int fd, const uint8_t *bytes, size_t size_bytes)
{
	uint8_t length[8] = {0};
	for (unsigned i = 0; i < sizeof length; i++)
		length[i] = (uint8_t)(size_bytes >> (56 - 8 * i));
	assert_int_equal(send(fd, length, sizeof length, MSG_NOSIGNAL), sizeof length);
	assert_int_equal(send(fd, bytes, size_bytes, MSG_NOSIGNAL), (ssize_t)size_bytes);
}

void stranger_says_hello(uint16_t port, uint32_t format)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Hello hello = FTS__REPLICA__V1__HELLO__INIT;
	uint8_t packed[256];
	int fd = connect_to((uint16_t)(port + 3), 0x50);
	hello.name = (char *)(uintptr_t) "later";
	hello.address = (char *)(uintptr_t) "127.0.0.1:9";
	hello.version = (char *)(uintptr_t) "99.9.9";
	hello.format = hello.format_max = format;
	hello.formed = true;
	message.cluster_id = 77;
	message.from = 78;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO;
	message.hello = &hello;
	assert_true(fts__replica__v1__peer_message__get_packed_size(&message) <= sizeof packed);
	say(fd, packed, fts__replica__v1__peer_message__pack(&message, packed));
	(void)shutdown(fd, SHUT_WR); /* all of it arrives, and is read before the end is */
	close(fd);
}

void stranger_calls(uint16_t port, uint32_t frame, char *out_answer, size_t size_bytes)
{
	uint8_t call[16] = {0x80, 0, 0, 1, 0}, length[8];
	uint8_t *at = call + 5;
	int fd = connect_to(port, 0x30);
	*at++ = 0x0d; /* method */
	memcpy(at, &fts_health_ping_method->id, 4);
	at += 4;
	*at++ = 0x10; /* timeout_ms */
	*at++ = 100;
	*at++ = 0x58; /* frame */
	*at++ = (uint8_t)frame;
	call[4] = (uint8_t)(at - call - 5);
	say(fd, call, (size_t)(at - call));
	assert_int_equal(recv(fd, length, sizeof length, MSG_WAITALL), sizeof length);
	ssize_t size = (ssize_t)(length[6] << 8 | length[7]);
	assert_true(size > 0 && (size_t)size < size_bytes);
	assert_int_equal(recv(fd, out_answer, (size_t)size, MSG_WAITALL), size);
	for (ssize_t i = 0; i < size; i++)
		out_answer[i] = (char)(isprint((unsigned char)out_answer[i]) ? out_answer[i] : '.');
	out_answer[size] = '\0';
	close(fd);
}
