/* Why this file exists: a node with mutual TLS: those whom the CA knows get in, others don't, events and health
 * included; the node's own gateway goes the same way; a key that others can read is refused. Certificates are made
 * anew for each run, so that none can expire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/cli.h"
#include "tests/e2e/text_client.h"

#define LIMIT_S 280

static struct harness_node node;
static char ca[HARNESS_PATH_MAX + 32], cert[HARNESS_PATH_MAX + 32], key[HARNESS_PATH_MAX + 32],
    stranger[HARNESS_PATH_MAX + 32], stranger_key[HARNESS_PATH_MAX + 32];

static const char script[] =
    "set -e; cd \"$1\"; umask 077\n"
    "ca() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key\n"
    " openssl req -x509 -new -key $1.key -subj /CN=$1 -days 2 -out $1.pem; }\n"
    "cert() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key\n"
    " openssl req -new -key $1.key -subj /CN=$1 -out $1.csr\n"
    " printf 'subjectAltName=IP:127.0.0.1,DNS:127.0.0.1,DNS:localhost\\n' >$1.ext\n"
    " openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
    "{ ca ours; ca theirs; cert node ours; cert stranger theirs; } 2>/dev/null\n";

static void make_certificates(void)
{
	const char *argv[] = {"/bin/sh", "-c", script, "sh", node.root, NULL};
	assert_int_equal(harness_run(argv, 30000, NULL, NULL), 0);
	snprintf(ca, sizeof(ca), "%s/ours.pem", node.root);
	snprintf(cert, sizeof(cert), "%s/node.pem", node.root);
	snprintf(key, sizeof(key), "%s/node.key", node.root);
	snprintf(stranger, sizeof(stranger), "%s/stranger.pem", node.root);
	snprintf(stranger_key, sizeof(stranger_key), "%s/stranger.key", node.root);
}

static void only_those_the_ca_knows(void **state)
{
	(void)state;
	harness_node_init(&node);
	make_certificates();
	const char *flags[] = {"--tls-ca",
			       ca,
			       "--tls-cert",
			       cert,
			       "--tls-key",
			       key,
			       "--lottery-text",
			       node.text_address,
			       "--lottery-text-agencies",
			       "1",
			       NULL};
	memcpy(node.flags, flags, sizeof(flags));
	harness_node_start(&node);
	cli_do(&node, "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key, "status", NULL);
	char *health = cli_read(&node, "--json", "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key, "health",
				"--wait", "4s", NULL);
	assert_non_null(strstr(health, "READY"));
	free(health);

	struct cli_result result = cli_run(&node, "--timeout", "1s", "status", NULL); /* no TLS at all */
	assert_true(result.exit_code == 4 || result.exit_code == 5);
	cli_free(&result);
	result = cli_run(&node, "--timeout", "1s", "--tls-ca", ca, "status", NULL); /* no certificate */
	assert_true(result.exit_code == 4 || result.exit_code == 5);
	cli_free(&result);
	result = cli_run(&node, "--timeout", "1s", "--tls-ca", ca, "--tls-cert", stranger, "--tls-key", stranger_key,
			 "status", NULL);
	assert_true(result.exit_code == 4 || result.exit_code == 5);
	cli_free(&result);

	text_ask((uint16_t)(node.port + 4), "StoreBet:1;Juan;Perez;1;1980-01-01;7574\n", "StoreResponse:0");
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

static void a_key_that_others_can_read(void **state)
{
	(void)state;
	harness_node_init(&node);
	make_certificates();
	assert_int_equal(chmod(key, 0644), 0);
	const char *argv[] = {"ftsd", "--data",     node.data, "--listen",  node.endpoint, "--tls-ca",
			      ca,     "--tls-cert", cert,      "--tls-key", key,           NULL};
	char *err = NULL;
	assert_int_equal(harness_run(argv, 20000, NULL, &err), 2);
	assert_non_null(strstr(err, "node.key"));
	free(err);
	harness_node_fini(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_those_the_ca_knows),
	    cmocka_unit_test(a_key_that_others_can_read),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
