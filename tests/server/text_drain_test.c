/* Why this file exists: the end of the text protocol's gateway while its cluster stores nothing: when it is drained it
 * lets go of its channel, whatever its clients have sent meanwhile. The lottery is the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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

#include <fts/lottery/v1/lottery.fts.h>

#include "server/lottery_text.h"
#include "tests/harness/clock.h"

#define BET "StoreBet:1;A;B;12345678;1980-01-01;1\n"

enum { PATIENCE_MS = 60000, ROUNDS = 5, BETS = 200 };

static struct {
	struct fts_server *server;
	atomic_uint store_count;
} fake;

static void open_draw(struct fts_call *call, const Fts__Lottery__V1__OpenRequest *request, void *ctx)
{
	static const Fts__Lottery__V1__OpenResponse response = FTS__LOTTERY__V1__OPEN_RESPONSE__INIT;
	(void)request, (void)ctx;
	fts_lottery_open_reply(call, &response);
}

static void store_bet(struct fts_call *call, const Fts__Lottery__V1__StoreBetRequest *request, void *ctx)
{
	(void)request, (void)ctx;
	atomic_fetch_add(&fake.store_count, 1);
	fts_call_fail(call, FTS_UNAVAILABLE, "nobody leads");
}

static int listen_somewhere(uint16_t *out_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(listen_fd >= 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listen_fd, 8), 0);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &size), 0);
	*out_port = ntohs(address.sin_port);
	return listen_fd;
}

/* A client that sends many bets at once and reads what comes. */
static int send_bets(uint16_t port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	int client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client_fd >= 0);
	assert_int_equal(setsockopt(client_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(client_fd, (struct sockaddr *)&address, sizeof address), 0);
	for (unsigned i = 0; i < BETS; i++)
		assert_int_equal(send(client_fd, BET, strlen(BET), MSG_NOSIGNAL), strlen(BET));
	return client_fd;
}

static void one_end(void)
{
	char endpoint[32], answers[256];
	uint16_t port;
	struct fts_channel *channel = NULL;
	struct ftsi_text_gateway *gateway = NULL;
	(void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", fts_server_port(fake.server));
	const struct fts_channel_options to_it = {.endpoints = endpoint};
	assert_int_equal(fts_channel_open(&to_it, &channel, NULL), FTS_OK);
	const struct ftsi_text_options options = {
	    .listen_fd = listen_somewhere(&port), .channel = channel, .agencies = 1};
	assert_int_equal(ftsi_text_gateway_start(&options, &gateway, NULL), FTS_OK);
	atomic_store(&fake.store_count, 0);
	int client_fd = send_bets(port);
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); atomic_load(&fake.store_count) == 0;)
		if (!harness_wait_more(&wait)) fail_msg("no bet has come");
	ftsi_text_gateway_drain(gateway, 1);
	fts_channel_close(channel);
	/* Its thread still reads what the client has sent: every bet is refused, or the connection is closed. */
	ssize_t size;
	while ((size = recv(client_fd, answers, sizeof answers, 0)) > 0)
		assert_null(memchr(answers, '0', (size_t)size));
	ftsi_text_gateway_destroy(gateway);
	close(client_fd);
}

static void calls_end_with_the_channel(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++)
		one_end();
}

static int set_up(void **state)
{
	static const struct fts_lottery_handlers handlers = {.open = open_draw, .store_bet = store_bet};
	const struct fts_server_options options = {.listen = "127.0.0.1:0"};
	(void)state;
	if (fts_server_create(&options, &fake.server, NULL) != FTS_OK ||
	    fts_lottery_register(fake.server, &handlers, NULL, NULL) != FTS_OK)
		return -1;
	return fts_server_start(fake.server, NULL) == FTS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	fts_server_destroy(fake.server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(calls_end_with_the_channel)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
