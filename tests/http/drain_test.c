/* Why this file exists: the end of a door while somebody has sent half a request: once it is drained it lets go of its
 * channel, and the rest of the request begins no call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include <fts/health/v1/health.fts.h>

#include "http/door.h"

static void ping(struct fts_call *call, const Fts__Health__V1__PingRequest *request, void *ctx)
{
	static const Fts__Health__V1__PingResponse response = FTS__HEALTH__V1__PING_RESPONSE__INIT;
	(void)request, (void)ctx;
	fts_health_ping_reply(call, &response);
}

static struct fts_server *start_server(char *out_endpoint, size_t size_bytes)
{
	static const struct fts_health_handlers handlers = {.ping = ping};
	const struct fts_server_options options = {.listen = "127.0.0.1:0"};
	struct fts_server *server = NULL;
	assert_int_equal(fts_server_create(&options, &server, NULL), FTS_OK);
	assert_int_equal(fts_health_register(server, &handlers, NULL, NULL), FTS_OK);
	assert_int_equal(fts_server_start(server, NULL), FTS_OK);
	(void)snprintf(out_endpoint, size_bytes, "127.0.0.1:%u", fts_server_port(server));
	return server;
}

static int listen_somewhere(struct sockaddr_in *out_address)
{
	socklen_t size = sizeof *out_address;
	int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*out_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_true(listen_fd >= 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)out_address, size), 0);
	assert_int_equal(listen(listen_fd, 8), 0);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *)out_address, &size), 0);
	return listen_fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Read on until part has come. */
static void expect(int fd, const char *part)
{
	char text[4096] = "";
	size_t size_bytes = 0;
	while (strstr(text, part) == NULL) {
		ssize_t got = recv(fd, text + size_bytes, sizeof text - 1 - size_bytes, 0);
		if (got <= 0) fail_msg("%s did not come, but: %s", part, text);
		size_bytes += (size_t)got;
		text[size_bytes] = '\0';
	}
}

static void half_a_request_begins_no_call(void **state)
{
	const struct timeval patience = {.tv_sec = 60};
	char endpoint[32];
	struct sockaddr_in address;
	struct fts_server *server = start_server(endpoint, sizeof endpoint);
	struct fts_channel *channel = NULL;
	struct fts_door *door = NULL;
	(void)state;
	const struct fts_channel_options to_it = {.endpoints = endpoint};
	assert_int_equal(fts_channel_open(&to_it, &channel, NULL), FTS_OK);
	const struct fts_door_options options = {.listen_fd = listen_somewhere(&address),
						 .channel = channel,
						 .server = server,
						 .endpoint = endpoint,
						 .local = true};
	assert_int_equal(fts_door_open(&options, &door, NULL), FTS_OK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	say(fd, "POST /fts.health.v1.Health/Ping HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
		"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	expect(fd, "100 Continue\r\n\r\n");
	say(fd, "{");
	fts_door_drain(door, 1);
	fts_channel_close(channel);
	say(fd, "}");
	expect(fd, "this node is stopping");
	close(fd);
	fts_door_destroy(door);
	fts_server_destroy(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(half_a_request_begins_no_call)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
