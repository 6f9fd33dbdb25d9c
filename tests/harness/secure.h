/* Why this file exists: a cluster with mutual TLS in a test, its certificates made by `fts-cli tls init` as a user
 * makes them, and fts-cli run against it with a client's certificate and, when there is one, a token. */
#ifndef FTS_TESTS_HARNESS_SECURE_H
#define FTS_TESTS_HARNESS_SECURE_H

#include "tests/harness/cluster.h"

#define HARNESS_SECURE_FILE_MAX (HARNESS_PATH_MAX + 32)

struct harness_secure {
	struct harness_cluster *cluster;
	char directory[HARNESS_PATH_MAX]; /* of the certificates */
	char nodes_ca[HARNESS_SECURE_FILE_MAX], clients_ca[HARNESS_SECURE_FILE_MAX];
	char client_cert[HARNESS_SECURE_FILE_MAX], client_key[HARNESS_SECURE_FILE_MAX];
	struct {
		char cert[HARNESS_SECURE_FILE_MAX], key[HARNESS_SECURE_FILE_MAX];
	} members[HARNESS_MEMBER_MAX];
	const char *token_file; /* borrowed; NULL: none is sent */
};

/* Certificates for cluster (initialised, not started; borrowed), put into its members' flags from the first free place
 * on. */
void harness_secure_init(struct harness_secure *secure, struct harness_cluster *cluster);
/* Take away the directory of certificates. */
void harness_secure_fini(struct harness_secure *secure);

struct harness_answer {
	int exit_code;
	char *out, *err; /* owned: harness_answer_free */
};
/* Run `fts-cli --endpoints ... --tls-... [--token-file ...]` with the arguments up to NULL, 60 s at most. */
struct harness_answer harness_secure_cli(const struct harness_secure *secure, ...) __attribute__((sentinel));
void harness_answer_free(struct harness_answer *answer);
/* The same; fails the test, with what was said, unless it exits with exit_code and its output or its complaint contains
 * text (NULL: any). */
void harness_secure_expect(const struct harness_secure *secure, int exit_code, const char *text, ...)
    __attribute__((sentinel));

/* `health` until everybody is well (exit code 0) and its answer contains text: who was started a moment ago has to find
 * a leader, and a busy machine is late. Fails the test after a minute. */
void harness_secure_await_health(const struct harness_secure *secure, const char *text);

#endif
