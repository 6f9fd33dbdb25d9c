/* Why this file exists: what docs/security.md promises of a node that others can reach, tried from another host:
 * nothing listens in the open unless told to; certificates of another name, another time or another use open nothing,
 * whoever shows them; a node joins with a token only, also while there are none. */
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

#include "tests/harness/clock.h"
#include "tests/harness/lab.h"
#include "tests/harness/secure.h"

#define LIMIT_S 280
#define WAIT_MS 60000
#define PATH_BYTES (HARNESS_PATH_MAX + 32)
#define FOUNDERS 2
#define JOINER 2 /* its place among members and hosts */
#define ODD 3    /* the host where what is wrong is started */

static struct harness_lab lab;
static struct harness_cluster cluster;
static struct harness_secure secure;
static char directory[HARNESS_PATH_MAX];

/* ---- Odd nodes ---- */

struct odd_flags {
	const char *flags[16]; /* beside --name, --data and --listen; NULL-ended */
};

static const char *address_of_odd(char out[32])
{
	(void)snprintf(out, 32, "%s:7400", lab.hosts[ODD].address);
	return out;
}

static size_t odd_arguments(const char **argv, const char *data, const char *listen, const struct odd_flags *flags)
{
	static const char *const first[] = {"ftsd", "--name", "odd", "--data"};
	size_t count = sizeof first / sizeof *first;
	memcpy(argv, first, sizeof first);
	argv[count++] = data;
	argv[count++] = "--listen";
	argv[count++] = listen;
	for (size_t i = 0; flags->flags[i] != NULL; i++)
		argv[count++] = flags->flags[i];
	argv[count] = NULL;
	return count;
}

/* A start that must be refused with exit code 2 and a line that contains text. */
static void expect_no_start(const char *text, const struct odd_flags *flags)
{
	const struct harness_place place = {.network_fd = lab.hosts[ODD].network_fd};
	const char *argv[32];
	char listen[32], data[PATH_BYTES], *err = NULL;
	(void)snprintf(data, sizeof data, "%s/refused", directory);
	(void)odd_arguments(argv, data, address_of_odd(listen), flags);
	assert_int_equal(harness_run_in(argv, &place, WAIT_MS, NULL, &err), 2);
	if (strstr(err, text) == NULL) fail_msg("expected %s, got:\n%s", text, err);
	free(err);
}

static void nothing_listens_in_the_open(void **state)
{
	char http[32], token[PATH_BYTES];
	(void)state;
	(void)snprintf(http, sizeof http, "%s:7480", lab.hosts[ODD].address);
	(void)snprintf(token, sizeof token, "%s/n1.key", secure.directory);
	expect_no_start("--listen: 10.77.0.14:7400 is not a loopback address", &(struct odd_flags){{NULL}});
	expect_no_start("this protocol has no TLS",
			&(struct odd_flags){{"--tls-ca", secure.nodes_ca, "--tls-cert", secure.members[0].cert,
					     "--tls-key", secure.members[0].key, "--lottery-text", http}});
	assert_int_equal(chmod(token, 0640), 0);
	expect_no_start("can be read by others", &(struct odd_flags){{"--tls-ca", secure.nodes_ca, "--tls-cert",
								      secure.members[0].cert, "--tls-key", token}});
	assert_int_equal(chmod(token, 0600), 0);
	expect_no_start("is not the key of",
			&(struct odd_flags){{"--tls-ca", secure.nodes_ca, "--tls-cert", secure.members[0].cert,
					     "--tls-key", secure.members[1].key}});
}

/* It says so at each start, and has to be told so at each. */
static void the_open_is_asked_for_each_time(void **state)
{
	const struct harness_place place = {.network_fd = lab.hosts[ODD].network_fd};
	struct harness_process process = {0};
	const char *argv[32];
	char listen[32], data[PATH_BYTES], *err = NULL;
	(void)state;
	(void)snprintf(data, sizeof data, "%s/open", directory);
	(void)odd_arguments(argv, data, address_of_odd(listen), &(struct odd_flags){{"--insecure"}});
	harness_process_start_in(&process, directory, "open", argv, &place);
	assert_true(harness_process_wait_stderr(&process, "event=node.ready", 0, WAIT_MS));
	assert_true(harness_process_wait_stderr(&process, "event=node.insecure", 0, WAIT_MS));
	harness_process_kill(&process);
	const char *again[] = {"ftsd", "--data", data, NULL};
	assert_int_equal(harness_run_in(again, &place, WAIT_MS, NULL, &err), 2);
	assert_non_null(strstr(err, "is not a loopback address"));
	free(err);
}

/* ---- Certificates ---- */

static void run_script(const char *script, const char *first)
{
	const char *argv[] = {"/bin/sh", "-ec", script, "sh", secure.directory, first, NULL};
	char *err = NULL;
	if (harness_run(argv, WAIT_MS, NULL, &err) != 0) fail_msg("%s", err);
	free(err);
}

/* A pair of host that ended yesterday, by the nodes' or the clients' authority. */
static void make_expired(const char *authority)
{
	static const char script[] =
	    "cd \"$1\"\n"
	    "openssl ecparam -name prime256v1 -genkey -noout -out $2-old.key 2>&1\n"
	    "chmod 600 $2-old.key\n"
	    "openssl req -new -key $2-old.key -subj /CN=old -out old.csr 2>&1\n"
	    "printf 'subjectAltName=DNS:10.77.0.14,IP:10.77.0.14\\nextendedKeyUsage=clientAuth,serverAuth\\n' "
	    ">old.ext\n"
	    "openssl x509 -req -in old.csr -CA $2.pem -CAkey $2.key -days -1 -extfile old.ext -out $2-old.pem 2>&1\n";
	run_script(script, authority);
}

/* A node that shows this pair is believed by nobody; the same host with a right one is (the last case). */
static void expect_node(const char *name, bool believed)
{
	const struct harness_place place = {.network_fd = lab.hosts[ODD].network_fd};
	struct harness_process process = {0};
	const char *argv[32];
	char listen[32], data[PATH_BYTES], cert[PATH_BYTES], key[PATH_BYTES];
	(void)snprintf(data, sizeof data, "%s/data-%s", directory, name);
	(void)snprintf(cert, sizeof cert, "%s/%s.pem", secure.directory, name);
	(void)snprintf(key, sizeof key, "%s/%s.key", secure.directory, name);
	(void)odd_arguments(argv, data, address_of_odd(listen),
			    &(struct odd_flags){{"--tls-ca", secure.nodes_ca, "--tls-client-ca", secure.clients_ca,
						 "--tls-cert", cert, "--tls-key", key}});
	harness_process_start_in(&process, directory, name, argv, &place);
	assert_true(harness_process_wait_stderr(&process, "event=node.ready", 0, WAIT_MS)); /* it listens in any case */
	const char *ask[] = {
	    "fts-cli",         "--endpoints",   listen,       "--timeout",        believed ? "30s" : "2s",
	    "--tls-ca",        secure.nodes_ca, "--tls-cert", secure.client_cert, "--tls-key",
	    secure.client_key, "status",        NULL};
	char *out = NULL;
	int exit_code = harness_run(ask, WAIT_MS, &out, NULL);
	if (believed ? exit_code != 0 : (exit_code != 4 && exit_code != 5))
		fail_msg("%s: exit %d: %s", name, exit_code, out);
	free(out);
	harness_process_kill(&process);
}

static void only_the_right_certificate_is_a_nodes(void **state)
{
	(void)state;
	const char *other[] = {"fts-cli", "tls", "node", secure.directory, "elsewhere", "--hosts", "example.org", NULL};
	const char *right[] = {"fts-cli", "tls", "node", secure.directory, "right", "--hosts", "10.77.0.14", NULL};
	assert_int_equal(harness_run(other, WAIT_MS, NULL, NULL), 0);
	assert_int_equal(harness_run(right, WAIT_MS, NULL, NULL), 0);
	make_expired("nodes-ca");
	expect_node("elsewhere", false);    /* of another host */
	expect_node("nodes-ca-old", false); /* of another time */
	expect_node("client", false);       /* of another use */
	expect_node("right", true);
}

static void only_the_right_certificate_calls(void **state)
{
	char cert[PATH_BYTES], key[PATH_BYTES];
	(void)state;
	make_expired("clients-ca");
	(void)snprintf(cert, sizeof cert, "%s/clients-ca-old.pem", secure.directory);
	(void)snprintf(key, sizeof key, "%s/clients-ca-old.key", secure.directory);
	const char *ask[] = {
	    "fts-cli",    "--endpoints", cluster.endpoints, "--timeout", "2s",     "--tls-ca", secure.nodes_ca,
	    "--tls-cert", cert,          "--tls-key",       key,         "status", NULL};
	int exit_code = harness_run(ask, WAIT_MS, NULL, NULL);
	assert_true(exit_code == 4 || exit_code == 5);
	harness_secure_expect(&secure, 0, NULL, "--timeout", "30s", "status", NULL);
}

/* ---- Joining ---- */

static void joining_takes_a_token(void **state)
{
	static char cert[PATH_BYTES], key[PATH_BYTES], admin[PATH_BYTES], token[PATH_BYTES];
	struct harness_member *member = &cluster.members[JOINER];
	(void)state;
	(void)snprintf(cert, sizeof cert, "%s/n3.pem", secure.directory);
	(void)snprintf(key, sizeof key, "%s/n3.key", secure.directory);
	(void)snprintf(admin, sizeof admin, "%s/admin", directory);
	(void)snprintf(token, sizeof token, "%s/n3.token", directory);
	const char *flags[] = {
	    "--tls-ca", secure.nodes_ca, "--tls-client-ca", secure.clients_ca, "--tls-cert", cert, "--tls-key", key};
	memcpy(member->flags, flags, sizeof flags);
	harness_cluster_launch(&cluster, JOINER); /* there are no tokens at all yet */
	assert_true(harness_process_wait_stderr(&member->process, "event=cluster.not_let_in", 0, WAIT_MS));
	assert_true(harness_process_wait_stderr(&member->process, "joining takes a join token", 0, WAIT_MS));
	harness_cluster_kill(&cluster, JOINER);
	harness_secure_expect(&secure, 0, NULL, "--timeout", "30s", "token", "make", "--role", "admin", "--out", admin,
			      NULL);
	secure.token_file = admin;
	harness_secure_expect(&secure, 0, NULL, "--timeout", "30s", "token", "join", "n3", "--out", token, NULL);
	member->flags[8] = "--join-token-file";
	member->flags[9] = token;
	harness_cluster_launch(&cluster, JOINER);
	assert_true(harness_cluster_wait_ready(&cluster, JOINER, WAIT_MS));
	harness_secure_expect(&secure, 0, "(spent)", "token", "list", NULL);
}

/* ---- Life ---- */

static int start(void **state)
{
	(void)state;
	harness_directory_make(directory);
	harness_lab_init(&lab, ODD + 1, HARNESS_LAB_BRIDGE, 0);
	harness_cluster_init(&cluster, FOUNDERS);
	for (size_t i = 0; i < FOUNDERS; i++) {
		cluster.members[i].network_fd = lab.hosts[i].network_fd;
		harness_cluster_place(&cluster, i, lab.hosts[i].address, HARNESS_LAB_PORT);
	}
	harness_secure_init(&secure, &cluster);
	const char *argv[] = {"fts-cli", "tls", "node", secure.directory, "n3", "--hosts", lab.hosts[JOINER].address,
			      NULL};
	assert_int_equal(harness_run(argv, WAIT_MS, NULL, NULL), 0);
	harness_cluster_start(&cluster);
	assert_int_equal(harness_cluster_add(&cluster), JOINER);
	cluster.members[JOINER].network_fd = lab.hosts[JOINER].network_fd;
	harness_cluster_place(&cluster, JOINER, lab.hosts[JOINER].address, HARNESS_LAB_PORT);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	harness_secure_fini(&secure);
	harness_lab_fini(&lab);
	harness_directory_remove(directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_listens_in_the_open),
	    cmocka_unit_test(the_open_is_asked_for_each_time),
	    cmocka_unit_test(only_the_right_certificate_is_a_nodes),
	    cmocka_unit_test(only_the_right_certificate_calls),
	    cmocka_unit_test(joining_takes_a_token),
	};
	if (!harness_lab_allowed()) return 0;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
