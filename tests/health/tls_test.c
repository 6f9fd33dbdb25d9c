/* Why this file exists: health where everybody speaks TLS: an agent has a client's certificate, which names no address;
 * it can't be asked, and surveys tell how it is all the same, by any node; one that is stopped is named as missing. A
 * worker has a certificate of its own, and is asked. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/secure.h"

#define PATIENCE_MS 60000

static struct harness_cluster cluster;
static struct harness_secure secure;
static struct harness_process agent, worker;

/* fts-cli with the client's certificate at the member, and words up to NULL behind that. argv: 24. */
static void set_argv(const char **argv, size_t member, const char *const *words)
{
	const char *const first[] = {"fts-cli",          "--endpoints",   cluster.members[member].endpoint,
				     "--tls-ca",         secure.nodes_ca, "--tls-cert",
				     secure.client_cert, "--tls-key",     secure.client_key};
	size_t count = sizeof(first) / sizeof(first[0]);
	memcpy(argv, first, sizeof(first));
	while (*words != NULL)
		argv[count++] = *words++;
	argv[count] = NULL;
}

/* Until a survey by the second node, to which nobody said a word, ends with code and tells of text. */
static void await_survey(int code, const char *text)
{
	static const char *const words[] = {"--json", "health", "--wait", "4s", NULL};
	const char *argv[24];
	char *out = NULL, *err = NULL;
	int last = -1;
	set_argv(argv, 1, words);
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); harness_wait_more(&wait);) {
		free(out);
		free(err);
		out = err = NULL;
		last = harness_run(argv, PATIENCE_MS, &out, &err);
		if (last == code && strstr(out, text) != NULL) {
			free(out);
			free(err);
			return;
		}
	}
	fail_msg("exit %d, not %d with %s: %s%s\nagent: %s\nworker: %s", last, code, text, out, err,
		 harness_process_stderr(&agent), harness_process_stderr(&worker));
}

static void start_cli(struct harness_process *process, const char *label, const char *const *words)
{
	const char *argv[24];
	set_argv(argv, 0, words);
	harness_process_start(process, secure.directory, label, argv);
}

static void who_cannot_be_asked_says_how_it_is(void **state)
{
	static const char *const elect[] = {"elect", "run", "boss", "--id", "a", NULL};
	char cert[HARNESS_SECURE_FILE_MAX], key[HARNESS_SECURE_FILE_MAX];
	const char *make[] = {"fts-cli", "tls", "node", secure.directory, "w1", "--hosts", "127.0.0.1", NULL};
	const char *work[] = {
	    "worker", "run", "echo", "--serve-cert", cert, "--serve-key", key, "--serve-client-ca", secure.clients_ca,
	    "--",     "cat", NULL};
	(void)state;
	assert_int_equal(harness_run(make, PATIENCE_MS, NULL, NULL), 0);
	(void)snprintf(cert, sizeof(cert), "%.500s/w1.pem", secure.directory);
	(void)snprintf(key, sizeof(key), "%.500s/w1.key", secure.directory);
	/* The cluster takes writes: an agent that can't join within its time limit ends. */
	harness_secure_expect(&secure, 0, NULL, "--timeout", "60s", "kv", "set", "a", "b", NULL);
	harness_secure_expect(&secure, 0, NULL, "--timeout", "60s", "lottery", "open", "first", "--agencies", "1",
			      "--number", "7", NULL);
	start_cli(&agent, "agent", elect);
	start_cli(&worker, "worker", work);
	await_survey(0, "\"name\":\"boss/a\",\"kind\":\"agent\",\"state\":\"READY\"");
	await_survey(0, "\"kind\":\"worker\",\"state\":\"READY\"");
	harness_process_signal(&agent, SIGSTOP); /* it hangs */
	await_survey(3, "\"missing\":[\"boss/a\"]");
	harness_process_signal(&agent, SIGCONT);
	await_survey(0, "\"name\":\"boss/a\",\"kind\":\"agent\",\"state\":\"READY\"");
	harness_process_signal(&worker, SIGTERM);
	assert_true(harness_process_wait(&worker, PATIENCE_MS));
	await_survey(0, "\"missing\":[]");
	harness_process_kill(&agent);
	await_survey(3, "\"missing\":[\"boss/a\"]");
}

static int start(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, 2);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(who_cannot_be_asked_says_how_it_is)};
	return cmocka_run_group_tests(tests, start, stop);
}
