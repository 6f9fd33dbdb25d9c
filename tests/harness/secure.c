/* Why this file exists: see tests/harness/secure.h. */
#include "tests/harness/secure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/clock.h"

#define ARGUMENTS_MAX 48
#define CLI_TIMEOUT_MS 60000

static void file_of(const struct harness_secure *secure, const char *name, const char *ending, char *out)
{
	(void)snprintf(out, HARNESS_SECURE_FILE_MAX, "%s/%s.%s", secure->directory, name, ending);
}

static void make_certificates(const struct harness_secure *secure)
{
	const char *argv[] = {"fts-cli", "tls", "init", secure->directory, "--nodes", secure->cluster->list, NULL};
	char *err = NULL;
	if (harness_run(argv, CLI_TIMEOUT_MS, NULL, &err) != 0) fail_msg("tls init: %s", err);
	free(err);
}

static void add_flags(struct harness_secure *secure, size_t place)
{
	struct harness_member *member = &secure->cluster->members[place];
	const char *flags[] = {"--tls-ca",        secure->nodes_ca,
			       "--tls-client-ca", secure->clients_ca,
			       "--tls-cert",      secure->members[place].cert,
			       "--tls-key",       secure->members[place].key};
	size_t at = 0, count = sizeof flags / sizeof *flags;
	while (member->flags[at] != NULL)
		at++;
	assert_true(at + count <= HARNESS_MEMBER_FLAGS_MAX);
	memcpy(&member->flags[at], flags, sizeof flags);
	member->flags[at + count] = NULL;
}

void harness_secure_init(struct harness_secure *secure, struct harness_cluster *cluster)
{
	*secure = (struct harness_secure){.cluster = cluster};
	harness_directory_make(secure->directory);
	file_of(secure, "nodes-ca", "pem", secure->nodes_ca);
	file_of(secure, "clients-ca", "pem", secure->clients_ca);
	file_of(secure, "client", "pem", secure->client_cert);
	file_of(secure, "client", "key", secure->client_key);
	make_certificates(secure);
	for (size_t i = 0; i < cluster->count; i++) {
		file_of(secure, cluster->members[i].name, "pem", secure->members[i].cert);
		file_of(secure, cluster->members[i].name, "key", secure->members[i].key);
		add_flags(secure, i);
	}
}

void harness_secure_fini(struct harness_secure *secure)
{
	harness_directory_remove(secure->directory);
}

static struct harness_answer run(const struct harness_secure *secure, va_list more)
{
	const char *argv[ARGUMENTS_MAX] = {"fts-cli",           "--endpoints",    secure->cluster->endpoints,
					   "--tls-ca",          secure->nodes_ca, "--tls-cert",
					   secure->client_cert, "--tls-key",      secure->client_key};
	struct harness_answer answer = {.exit_code = -1};
	size_t count = 9;
	if (secure->token_file != NULL) {
		argv[count++] = "--token-file";
		argv[count++] = secure->token_file;
	}
	bool has_limit = false;
	while (count < ARGUMENTS_MAX - 3 && (argv[count] = va_arg(more, const char *)) != NULL)
		has_limit = strcmp(argv[count++], "--timeout") == 0 || has_limit;
	if (!has_limit) { /* five seconds are not enough for a machine that does five other things */
		memmove(&argv[3], &argv[1], (count - 1) * sizeof *argv);
		argv[1] = "--timeout";
		argv[2] = "30s";
		count += 2;
	}
	argv[count] = NULL;
	answer.exit_code = harness_run(argv, CLI_TIMEOUT_MS, &answer.out, &answer.err);
	return answer;
}

struct harness_answer harness_secure_cli(const struct harness_secure *secure, ...)
{
	va_list more;
	va_start(more, secure);
	struct harness_answer answer = run(secure, more);
	va_end(more);
	return answer;
}

void harness_answer_free(struct harness_answer *answer)
{
	free(answer->out);
	free(answer->err);
	*answer = (struct harness_answer){.exit_code = -1};
}

void harness_secure_expect(const struct harness_secure *secure, int exit_code, const char *text, ...)
{
	va_list more;
	va_start(more, text);
	struct harness_answer answer = run(secure, more);
	va_end(more);
	bool said = text == NULL || strstr(answer.out, text) != NULL || strstr(answer.err, text) != NULL;
	if (answer.exit_code != exit_code || !said)
		fail_msg("exit %d, wanted %d with \"%s\":\n%s%s", answer.exit_code, exit_code, text ? text : "",
			 answer.out, answer.err);
	harness_answer_free(&answer);
}

void harness_secure_await_health(const struct harness_secure *secure, const char *text)
{
	for (struct harness_wait wait = harness_wait_ms(CLI_TIMEOUT_MS);;) {
		struct harness_answer answer = harness_secure_cli(secure, "health", "--wait", "4s", NULL);
		bool well = answer.exit_code == 0 && strstr(answer.out, text) != NULL;
		if (!well && !harness_wait_more(&wait))
			fail_msg("exit %d, wanted 0 with \"%s\":\n%s%s", answer.exit_code, text, answer.out,
				 answer.err);
		harness_answer_free(&answer);
		if (well) return;
	}
}
