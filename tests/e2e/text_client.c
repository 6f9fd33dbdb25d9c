/* Why this file exists: see tests/e2e/text_client.h. */
#include "tests/e2e/text_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"

#define ANSWER_TIMEOUT_MS 10000

int text_connect(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (struct harness_wait wait = harness_wait_ms(5000);;) {
		int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(socket_fd >= 0);
		if (connect(socket_fd, (struct sockaddr *)&address, sizeof(address)) == 0) return socket_fd;
		close(socket_fd);
		if (!harness_wait_more(&wait)) fail_msg("can't connect to port %u: %s", port, strerror(errno));
	}
}

void text_send_bytes(int socket_fd, const void *bytes, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes;) {
		ssize_t count = send(socket_fd, (const char *)bytes + at, size_bytes - at, MSG_NOSIGNAL);
		if (count < 0 && errno != EINTR)
			return; /* closed by the server: what the test expects to see is read, not sent */
		at += count > 0 ? (size_t)count : 0;
	}
}

void text_send(int socket_fd, const char *text)
{
	text_send_bytes(socket_fd, text, strlen(text));
}

/* One byte at most: 1 read, 0 closed, -1 nothing in time. */
static int read_byte(int socket_fd, char *out, uint32_t timeout_ms)
{
	struct pollfd ready = {socket_fd, POLLIN, 0};
	if (poll(&ready, 1, (int)timeout_ms) != 1) return -1;
	return recv(socket_fd, out, 1, 0) == 1 ? 1 : 0;
}

bool text_read_line(int socket_fd, char *line, size_t capacity_bytes, uint32_t timeout_ms)
{
	size_t size = 0;
	char byte;
	while (size + 1 < capacity_bytes) {
		if (read_byte(socket_fd, &byte, timeout_ms) != 1) return false;
		line[size] = '\0';
		if (byte == '\n') return true;
		line[size++] = byte;
	}
	return false;
}

void text_expect(int socket_fd, const char *line)
{
	static char got[256 * 1024];
	if (!text_read_line(socket_fd, got, sizeof(got), ANSWER_TIMEOUT_MS))
		fail_msg("no answer where \"%s\" was expected", line);
	assert_string_equal(got, line);
}

void text_expect_closed(int socket_fd, uint32_t timeout_ms)
{
	char byte;
	int got = read_byte(socket_fd, &byte, timeout_ms);
	if (got < 0) fail_msg("the connection was not closed within %u ms", timeout_ms);
	if (got > 0) fail_msg("a byte came where an end was expected");
	close(socket_fd);
}

void text_expect_quiet(int socket_fd)
{
	char byte;
	assert_int_equal(recv(socket_fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

void text_ask(uint16_t port, const char *packet, const char *answer)
{
	int socket_fd = text_connect(port);
	text_send(socket_fd, packet);
	text_expect(socket_fd, answer);
	close(socket_fd);
}

void text_reset(int socket_fd)
{
	struct linger at_once = {1, 0};
	setsockopt(socket_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(socket_fd);
}
