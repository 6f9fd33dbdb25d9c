/* Why this file exists: the text protocol against a real node: every packet, and every kind of bad company: nobody who
 * behaves well may notice. The half-line limit of 30 s is waited for once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/cli.h"
#include "tests/e2e/text_client.h"
#include "tests/harness/clock.h"

#define BET "Juan;Perez;12345678;1980-01-01;"
#define LIMIT_S 280
#define SLOW_CLIENTS 2000

static struct harness_node node;
static uint16_t port;

static void start_node(const char *agencies)
{
	harness_node_init(&node);
	node.flags[0] = "--lottery-text";
	node.flags[1] = node.text_address;
	node.flags[2] = "--lottery-text-agencies";
	node.flags[3] = agencies;
	harness_node_start(&node);
	port = (uint16_t)(node.port + 4);
}

static void stop_node(void)
{
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

static uint64_t bets_stored(void)
{
	char *status = cli_read(&node, "--json", "lottery", "status", "text", NULL);
	uint64_t bets = json_number(status, "bets");
	free(status);
	return bets;
}

static void close_agency(unsigned agency)
{
	char packet[32];
	int socket_fd = text_connect(port);
	snprintf(packet, sizeof(packet), "AgencyClose:%u\n", agency);
	text_send(socket_fd, packet);
	close(socket_fd); /* at once: a whole packet counts whoever is still there */
}

/* ---- The packets ---- */

static void a_draw_from_open_to_winners(void **state)
{
	(void)state;
	start_node("2");
	int first = text_connect(port);
	text_send(first, "StoreBet:1;" BET "7574\n");
	text_expect(first, "StoreResponse:0");
	text_send(first,
		  "StoreBatch:1;" BET "1234:Ana;Núñez;87654321;1999-10-25;7574:100%s;%n%d;3;1999-10-25;7574\r\n");
	text_expect(first, "StoreResponse:0");
	text_ask(port, "StoreBet:2;" BET "1\n", "StoreResponse:0");

	int waiting = text_connect(port);
	text_send(waiting, "WinnersRequest:1\n");
	text_send(first, "AgencyClose:1\n");
	text_send(first, "StoreBet:1;" BET "7574\n"); /* closed: refused; and the close came first */
	text_expect(first, "StoreResponse:1");
	text_expect_quiet(waiting);
	close_agency(2);
	text_expect(waiting, "WinnersResponse:12345678;87654321;3");
	close(waiting);
	text_send(first, "WinnersRequest:2\n");
	text_expect(first, "WinnersResponse:");
	close(first);
	assert_int_equal(bets_stored(), 5);

	char *bundle = cli_read(&node, "--json", "lottery", "winners", "text", "--agency", "1", NULL);
	assert_non_null(strstr(bundle, "\"87654321\""));
	free(bundle);
	harness_node_kill(&node); /* the draw is there after a kill, and the gateway finds it open */
	harness_node_start(&node);
	text_ask(port, "WinnersRequest:1\n", "WinnersResponse:12345678;87654321;3");
	stop_node();
}

static void refused_bets(void **state)
{
	static const struct {
		const char *packet, *answer;
	} cases[] = {
	    {"StoreBet:1;Juan;Perez;12345678;1999-02-30;1\n", "StoreResponse:1"},
	    {"StoreBet:1;Juan;Perez;12345678;1999-02-28;10000\n", "StoreResponse:1"},
	    {"StoreBet:1;Juan;Perez;12345678;1999-02-28;x\n", "StoreResponse:1"},
	    {"StoreBet:1;;Perez;12345678;1999-02-28;1\n", "StoreResponse:1"},
	    {"StoreBet:1;Juan;Perez;12x;1999-02-28;1\n", "StoreResponse:1"},
	    {"StoreBet:6;Juan;Perez;12345678;1999-02-28;1\n", "StoreResponse:1"},
	    {"StoreBet:0;Juan;Perez;12345678;1999-02-28;1\n", "StoreResponse:1"},
	    {"StoreBet:1;Ju\tan;Perez;12345678;1999-02-28;1\n", "StoreResponse:1"},
	    {"StoreBatch:1;" BET "1:" BET "2:Juan;Perez;12345678;1999-02-30;1\n", "StoreResponse:1"},
	    {"StoreBet:1;" BET "1\n", "StoreResponse:0"},
	    {"StoreBet:1;" BET "1\n", "StoreResponse:0"}, /* the same bet twice is two bets */
	};
	(void)state;
	start_node("5");
	int one = text_connect(port); /* all over one connection, and each over its own */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text_send(one, cases[i].packet);
		text_expect(one, cases[i].answer);
		text_ask(port, cases[i].packet, cases[i].answer);
	}
	close(one);
	assert_int_equal(bets_stored(), 4); /* of the batch nothing, of the last two four */
	stop_node();
}

/* ---- Bad company ---- */

static void unreadable_lines_close_only_their_connection(void **state)
{
	static const char *const lines[] = {
	    "\n",
	    "hello\n",
	    "StoreBet:1;Juan\n",
	    "WinnersRequest:one\n",
	    "AgencyClose:\n",
	    "StoreBet:1;\xff;b;1;2000-01-01;1\n",
	    "\r\n",
	    "GET / HTTP/1.1\r\n",
	    "StoreBatch:1;" BET "1:\n",
	    "AgencyClose:6\n",
	    "WinnersRequest:6\n",
	};
	(void)state;
	start_node("5");
	int good = text_connect(port);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int bad = text_connect(port);
		text_send(bad, lines[i]);
		text_expect_closed(bad, 5000);
		text_send(good, "StoreBet:1;" BET "1\n");
		text_expect(good, "StoreResponse:0");
	}
	int zero = text_connect(port);
	text_send_bytes(zero, "StoreBet:1;a\0b;c;1;2000-01-01;1\n", 33);
	text_expect_closed(zero, 5000);
	close(good);
	stop_node();
}

static void lines_at_the_limit(void **state)
{
	static char line[8193];
	(void)state;
	start_node("5");
	size_t size = (size_t)snprintf(line, sizeof(line), "StoreBatch:1;" BET "1");
	while (size + sizeof(":" BET "1") + 1 <= 8192 - 64)
		size += (size_t)snprintf(line + size, sizeof(line) - size, ":" BET "1");
	/* one more bet, with a first name that fills the line up to its last byte */
	size += (size_t)snprintf(line + size, sizeof(line) - size, ":");
	size_t name = 8192 - 1 - size - strlen(";P;1;1980-01-01;1");
	memset(line + size, 'x', name);
	size += name;
	size += (size_t)snprintf(line + size, sizeof(line) - size, ";P;1;1980-01-01;1\n");
	assert_int_equal(size, 8192);
	int fits = text_connect(port);
	text_send_bytes(fits, line, size);
	text_expect(fits, name <= 64 ? "StoreResponse:0" : "StoreResponse:1");
	close(fits);
	memset(line, 'x', sizeof(line));
	int oversize = text_connect(port);
	text_send_bytes(oversize, line, 8192);
	text_expect_closed(oversize, 5000);
	stop_node();
}

static void pieces_and_ends(void **state)
{
	const char *packet = "StoreBet:1;" BET "1\n";
	(void)state;
	start_node("5");
	int piecemeal = text_connect(port);
	for (const char *at = packet; *at != '\0'; at++)
		text_send_bytes(piecemeal, at, 1);
	text_expect(piecemeal, "StoreResponse:0");
	close(piecemeal);

	int many = text_connect(port); /* three in one piece: answered one after another, in order */
	text_send(many, "StoreBet:1;" BET "1\nStoreBet:1;" BET "99999\nStoreBet:1;" BET "1\n");
	text_expect(many, "StoreResponse:0");
	text_expect(many, "StoreResponse:1");
	text_expect(many, "StoreResponse:0");
	close(many);

	int half_closed = text_connect(port); /* sends no more, and still gets its answer */
	text_send(half_closed, packet);
	shutdown(half_closed, SHUT_WR);
	text_expect(half_closed, "StoreResponse:0");
	text_expect_closed(half_closed, 5000);

	int no_newline = text_connect(port); /* a half line is never run */
	text_send_bytes(no_newline, packet, strlen(packet) - 1);
	shutdown(no_newline, SHUT_WR);
	text_expect_closed(no_newline, 5000);
	assert_int_equal(bets_stored(), 4);
	stop_node();
}

static void waiters_that_vanish(void **state)
{
	int waiting[40];
	(void)state;
	start_node("1");
	text_ask(port, "StoreBet:1;" BET "7574\n", "StoreResponse:0");
	for (size_t i = 0; i < 40; i++) {
		waiting[i] = text_connect(port);
		text_send(waiting[i], "WinnersRequest:1\n");
	}
	for (size_t i = 0; i < 40; i += 2) {
		if (i % 4 == 0)
			text_reset(waiting[i]);
		else
			close(waiting[i]);
	}
	close_agency(1);
	for (size_t i = 1; i < 40; i += 2) {
		text_expect(waiting[i], "WinnersResponse:12345678");
		close(waiting[i]);
	}
	stop_node();
}

/* More than the gateway keeps at once in any older form: each sends half a packet, then the other half. */
static void thousands_of_slow_clients(void **state)
{
	static int slow[SLOW_CLIENTS];
	struct rlimit limit;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < SLOW_CLIENTS + 100) skip();
	start_node("5");
	for (size_t i = 0; i < SLOW_CLIENTS; i++) {
		slow[i] = text_connect(port);
		text_send(slow[i], "StoreBet:1;Juan;Pe");
	}
	for (size_t i = 0; i < 50; i++) /* those who are quick are not kept waiting */
		text_ask(port, "StoreBet:2;" BET "1\n", "StoreResponse:0");
	for (size_t i = 0; i < SLOW_CLIENTS; i++)
		text_send(slow[i], "rez;12345678;1980-01-01;1\n");
	for (size_t i = 0; i < SLOW_CLIENTS; i++) {
		text_expect(slow[i], "StoreResponse:0");
		close(slow[i]);
	}
	assert_int_equal(bets_stored(), SLOW_CLIENTS + 50);
	stop_node();
}

static void silent_clients_are_let_go(void **state)
{
	(void)state;
	start_node("5");
	uint64_t start_ns = harness_now_ns();
	int silent = text_connect(port), half = text_connect(port), between = text_connect(port),
	    waiter = text_connect(port);
	text_send(half, "StoreBet:1;Ju");
	text_send(between, "StoreBet:1;" BET "1\n");
	text_expect(between, "StoreResponse:0");
	text_send(waiter, "WinnersRequest:1\n");
	text_expect_closed(silent, 40000);
	text_expect_closed(half, 40000);
	assert_true(harness_now_ns() - start_ns > 29ull * 1000000000);
	text_send(between, "StoreBet:1;" BET "1\n"); /* between packets there is time */
	text_expect(between, "StoreResponse:0");
	text_expect_quiet(waiter);
	close(between);
	for (unsigned agency = 1; agency <= 5; agency++)
		close_agency(agency);
	text_expect(waiter, "WinnersResponse:");
	close(waiter);
	stop_node();
}

/* What is being stored when SIGTERM comes is answered; waiters are let go; the node ends. */
static void a_drain_answers_what_it_stores(void **state)
{
	(void)state;
	start_node("5");
	int waiter = text_connect(port), idle = text_connect(port), busy = text_connect(port);
	text_send(waiter, "WinnersRequest:1\n");
	text_send(busy, "StoreBet:1;" BET "1\n");
	text_expect(busy, "StoreResponse:0");
	assert_int_equal(harness_node_stop(&node), 0);
	text_expect_closed(waiter, 1000);
	text_expect_closed(idle, 1000);
	text_expect_closed(busy, 1000);
	harness_node_start(&node);
	assert_int_equal(bets_stored(), 1);
	stop_node();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_draw_from_open_to_winners),
	    cmocka_unit_test(refused_bets),
	    cmocka_unit_test(unreadable_lines_close_only_their_connection),
	    cmocka_unit_test(lines_at_the_limit),
	    cmocka_unit_test(pieces_and_ends),
	    cmocka_unit_test(waiters_that_vanish),
	    cmocka_unit_test(thousands_of_slow_clients),
	    cmocka_unit_test(silent_clients_are_let_go),
	    cmocka_unit_test(a_drain_answers_what_it_stores),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
