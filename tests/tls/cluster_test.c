/* Why this file exists: three nodes with mutual TLS on every socket, as `fts-cli tls init` sets them up: they form a
 * cluster, serve calls, events and health, live through kill -9 of the leader; who has no certificate, a foreign one or
 * only a client's gets no further than it may; certificates are renewed under their feet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/secure.h"

#define LIMIT_S 280
#define WAIT_MS 40000
#define HTTP_OFFSET 5

static struct harness_cluster cluster;
static struct harness_secure secure;
static char door[32]; /* the first node's --http */

/* The place of the leader, as fts-cli tells; waits for one other than `but`. */
static size_t leader_but(size_t but)
{
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); harness_wait_more(&wait);) {
		struct harness_answer answer = harness_secure_cli(&secure, "--json", "status", NULL);
		const char *at = answer.exit_code == 0 ? strstr(answer.out, "\"leader\"") : NULL;
		size_t place = HARNESS_NOBODY;
		for (size_t i = 0; at != NULL && i < cluster.count; i++) {
			char wanted[32];
			(void)snprintf(wanted, sizeof wanted, "\"leader\":\"%s\"", cluster.members[i].name);
			if (strstr(answer.out, wanted) != NULL && i != but) place = i;
		}
		harness_answer_free(&answer);
		if (place != HARNESS_NOBODY) return place;
	}
	fail_msg("nobody leads");
	return HARNESS_NOBODY;
}

static void everything_works(void **state)
{
	(void)state;
	harness_secure_await_health(&secure, "3 answered");
	harness_secure_expect(&secure, 0, NULL, "lottery", "open", "safe", "--agencies", "1", "--number", "7", NULL);
	harness_secure_expect(&secure, 0, NULL, "kv", "set", "key", "value", NULL);
	harness_secure_expect(&secure, 0, "lottery.draw", "--timeout", "30s", "events", "lottery.draw", "--from", "1",
			      "--count", "1", NULL);
}

static void a_dead_leader_is_replaced(void **state)
{
	(void)state;
	size_t first = leader_but(HARNESS_NOBODY);
	harness_cluster_kill(&cluster, first);
	harness_secure_expect(&secure, 0, NULL, "--timeout", "30s", "lottery", "bet", "safe", "--agency", "1",
			      "--first-name", "A", "--last-name", "B", "--document", "1", "--birthdate", "1999-01-01",
			      "--number", "7", NULL);
	harness_secure_expect(&secure, 0, "value", "--timeout", "30s", "kv", "get", "key", NULL);
	(void)leader_but(first);
	harness_cluster_restart(&cluster, first);
	harness_secure_await_health(&secure, "3 answered");
}

/* Run fts-cli with other files than the right ones against the first node. */
static void expect_refused(const char *ca, const char *cert, const char *key)
{
	const char *argv[14] = {"fts-cli", "--timeout", "400ms", "--endpoints", cluster.members[0].endpoint};
	size_t count = 5;
	if (ca != NULL) argv[count++] = "--tls-ca", argv[count++] = ca;
	if (cert != NULL) {
		argv[count++] = "--tls-cert", argv[count++] = cert;
		argv[count++] = "--tls-key", argv[count++] = key;
	}
	argv[count] = "status";
	char *out = NULL;
	int exit_code = harness_run(argv, WAIT_MS, &out, NULL);
	assert_true(exit_code == 4 || exit_code == 5);
	assert_string_equal(out, "");
	free(out);
}

static void others_do_not_get_in(void **state)
{
	struct harness_secure foreign;
	(void)state;
	harness_secure_init(&foreign, &(struct harness_cluster){.list = "n1=127.0.0.1,other=example.org"});
	char foreign_cert[HARNESS_SECURE_FILE_MAX], foreign_key[HARNESS_SECURE_FILE_MAX];
	(void)snprintf(foreign_cert, sizeof foreign_cert, "%s/n1.pem", foreign.directory);
	(void)snprintf(foreign_key, sizeof foreign_key, "%s/n1.key", foreign.directory);
	expect_refused(NULL, NULL, NULL);
	expect_refused(secure.nodes_ca, NULL, NULL);
	expect_refused(secure.nodes_ca, foreign.client_cert, foreign.client_key);
	expect_refused(secure.nodes_ca, foreign_cert, foreign_key);
	/* who takes the clients' authority for that of nodes believes no node */
	expect_refused(secure.clients_ca, secure.client_cert, secure.client_key);
	expect_refused(foreign.nodes_ca, secure.client_cert, secure.client_key);
	harness_secure_fini(&foreign);
}

/* What openssl says of a handshake with port offset above the first node's, by script, which is told the port, a
 * certificate and its key. Returned (free()). */
static char *openssl(const char *script, unsigned offset, const char *cert, const char *key)
{
	char port[8], *out = NULL;
	(void)snprintf(port, sizeof port, "%u", cluster.members[0].port + offset);
	const char *argv[] = {"/bin/sh", "-c", script, "sh", port, cert, key, NULL};
	assert_int_equal(harness_run(argv, WAIT_MS, &out, NULL), 0);
	return out;
}

static char *shake_hands(unsigned offset, const char *cert, const char *key)
{
	return openssl("sleep 0.3 | openssl s_client -connect 127.0.0.1:$1 -cert $2 -key $3 2>&1; true", offset, cert,
		       key);
}

/* The first node's HTTP door answers with status. It ends the connection itself, however long that takes. */
static void expect_door(const char *cert, const char *key, const char *status)
{
	char *said = openssl("printf 'GET /livez HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n' | "
			     "openssl s_client -ign_eof -connect 127.0.0.1:$1 -cert $2 -key $3 2>&1; true",
			     HTTP_OFFSET, cert, key);
	if (strstr(said, status) == NULL) fail_msg("expected %s, got:\n%s", status, said);
	free(said);
}

static void a_client_is_no_peer(void **state)
{
	(void)state;
	char *peers = shake_hands(3, secure.client_cert, secure.client_key);
	char *calls = shake_hands(0, secure.client_cert, secure.client_key);
	char *node = shake_hands(3, secure.members[1].cert, secure.members[1].key);
	assert_non_null(strstr(peers, "alert unknown ca"));
	assert_null(strstr(calls, "alert"));
	assert_null(strstr(node, "alert"));
	free(peers);
	free(calls);
	free(node);
}

static void certificates_are_renewed(void **state)
{
	(void)state;
	char *before = shake_hands(0, secure.client_cert, secure.client_key);
	const char *from = strstr(before, "-----BEGIN CERTIFICATE-----");
	assert_non_null(from);
	char old[600];
	(void)snprintf(old, sizeof old, "%.500s", from);
	free(before);
	const char *argv[] = {"fts-cli", "tls", "node", secure.directory, "n1", "--hosts", "127.0.0.1", NULL};
	assert_int_equal(harness_run(argv, WAIT_MS, NULL, NULL), 0);
	static const unsigned offsets[] = {0, 1, 2, 3, HTTP_OFFSET};
	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		unsigned offset = offsets[i];
		bool renewed = false;
		for (struct harness_wait wait = harness_wait_ms(WAIT_MS); !renewed && harness_wait_more(&wait);) {
			char *said = shake_hands(offset, secure.members[1].cert, secure.members[1].key);
			renewed = strstr(said, "-----BEGIN CERTIFICATE-----") != NULL && strstr(said, old) == NULL;
			free(said);
		}
		if (!renewed) fail_msg("port %u above goes on showing the old certificate", offset);
	}
	harness_secure_await_health(&secure, "3 answered");
	expect_door(secure.client_cert, secure.client_key, "200 OK");
	expect_door(secure.client_cert, secure.client_key,
		    "clients-ca"); /* a browser offers what it is asked for alone */
	/* one that can't be used is told of, and the one in use stays */
	harness_file_write(secure.members[0].cert, "no certificate\n");
	assert_true(harness_process_wait_stderr(&cluster.members[0].process, "event=tls.not_renewed", 0, WAIT_MS));
	harness_secure_await_health(&secure, "3 answered");
	expect_door(secure.client_cert, secure.client_key, "200 OK");
}

static int start(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, 3);
	(void)snprintf(door, sizeof door, "127.0.0.1:%u", cluster.members[0].port + HTTP_OFFSET);
	cluster.members[0].flags[0] = "--http";
	cluster.members[0].flags[1] = door;
	harness_secure_init(&secure, &cluster);
	harness_cluster_start(&cluster);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	harness_secure_fini(&secure);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_works),         cmocka_unit_test(a_dead_leader_is_replaced),
	    cmocka_unit_test(others_do_not_get_in),     cmocka_unit_test(a_client_is_no_peer),
	    cmocka_unit_test(certificates_are_renewed),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
