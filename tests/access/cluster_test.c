/* Why this file exists: tokens on three real nodes with TLS, as an admin and callers live with them: nobody is refused
 * before the first one, everybody without one afterwards; roles, bounds, expiry and revocation; nodes go on talking to
 * each other, also when they were started again; a node joins with a token, once; and the logs hold what an auditor
 * wants, and no document and no token. */
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
#include "tests/harness/secure.h"

#define LIMIT_S 280
#define WAIT_MS 40000
#define PATH_BYTES (HARNESS_PATH_MAX + 32)
#define DOCUMENT "90817263545"
#define FIRST_NAME "Quirinzulema"
#define LAST_NAME "Xochiquetzalez"

static struct harness_cluster cluster;
static struct harness_secure secure;
static char directory[HARNESS_PATH_MAX], admin[PATH_BYTES], agency[PATH_BYTES], writer[PATH_BYTES], reader[PATH_BYTES];

static void file_of(const char *name, char *out_path)
{
	(void)snprintf(out_path, PATH_BYTES, "%s/%s", directory, name);
}

/* The id of a token in a file. */
static void id_of(const char *path, char out_id[17])
{
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "fts_%16[0-9a-f]_", out_id), 1);
	fclose(file);
}

#define AS(token, exit_code, text, ...)                                                                                \
	do {                                                                                                           \
		secure.token_file = (token);                                                                           \
		harness_secure_expect(&secure, exit_code, text, __VA_ARGS__, NULL);                                    \
	} while (0)
#define BET(number)                                                                                                    \
	"lottery", "bet", "draw", "--agency", number, "--first-name", FIRST_NAME, "--last-name", LAST_NAME,            \
	    "--document", DOCUMENT, "--birthdate", "1999-01-01", "--number", "7"

static void the_first_is_an_admins(void **state)
{
	(void)state;
	AS(NULL, 0, NULL, "kv", "set", "key", "value");
	AS(NULL, 1, "FAILED_PRECONDITION", "token", "make", "--role", "reader", "--out", reader);
	assert_int_not_equal(access(reader, F_OK), 0); /* a token that nobody knows is not left behind */
	AS(NULL, 1, "FAILED_PRECONDITION", "token", "make", "--role", "admin", "--expires", "1h", "--out", admin);
	AS(NULL, 2, "is no role", "token", "make", "--role", "agency", "--out", admin);
	AS(NULL, 0, "expires never", "token", "make", "--role", "admin", "--out", admin);
	struct stat about;
	assert_int_equal(stat(admin, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
}

static void roles_are_kept_apart(void **state)
{
	(void)state;
	AS(admin, 0, NULL, "--timeout", "30s", "kv", "set", "key", "other"); /* nodes know each other at once */
	AS(NULL, 1, "UNAUTHENTICATED", "kv", "get", "key");
	AS(NULL, 1, "UNAUTHENTICATED", "status");
	secure.token_file = NULL;
	harness_secure_await_health(&secure, "3 answered");
	AS(admin, 0, NULL, "lottery", "open", "draw", "--agencies", "3", "--number", "7");
	AS(admin, 0, NULL, "token", "make", "--role", "agency:3", "--label", "the third", "--out", agency);
	AS(admin, 0, NULL, "token", "make", "--role", "writer", "--out", writer);
	AS(admin, 0, NULL, "token", "make", "--role", "reader", "--expires", "2s", "--out", reader);
	AS(agency, 0, NULL, BET("3"));
	AS(agency, 1, "PERMISSION_DENIED", BET("1"));
	AS(agency, 0, "OPEN", "lottery", "status", "draw", "--json");
	AS(agency, 1, "PERMISSION_DENIED", "kv", "get", "key");
	AS(agency, 1, "PERMISSION_DENIED", "lottery", "winners", "draw", "--agency", "1", "--no-wait");
	AS(writer, 0, NULL, "kv", "set", "mine", "1");
	AS(writer, 1, "PERMISSION_DENIED", BET("1"));
	AS(writer, 1, "PERMISSION_DENIED", "member", "remove", "n3");
	AS(writer, 1, "PERMISSION_DENIED", "token", "list");
	AS(writer, 0, "MADE", "--timeout", "30s", "events", "access.token", "--from", "1", "--count", "1");
	AS(NULL, 1, "UNAUTHENTICATED", "--timeout", "30s", "events", "access.token", "--from", "1", "--count", "1");
}

/* A token that is made and can't be printed would be nobody's: of the first one's loss nobody recovers. */
static void what_cannot_be_printed_is_kept(void **state)
{
	static const char *const forms[] = {"", "--json "};
	char program[HARNESS_PATH_MAX], command[8 * PATH_BYTES], kept[PATH_BYTES];
	(void)state;
	harness_program_path("fts-cli", program);
	for (size_t i = 0; i < 2; i++) {
		char *err = NULL, id[17];
		(void)snprintf(command, sizeof command,
			       "cd %s && exec %s --endpoints %s --tls-ca %s --tls-cert %s --tls-key %s --token-file %s "
			       "%stoken make --role reader >/dev/full",
			       directory, program, cluster.endpoints, secure.nodes_ca, secure.client_cert,
			       secure.client_key, admin, forms[i]);
		const char *const argv[] = {"/bin/sh", "-c", command, NULL};
		assert_int_equal(harness_run(argv, WAIT_MS, NULL, &err), 1);
		const char *name = strstr(err, "the file fts_");
		assert_non_null(name);
		assert_int_equal(sscanf(name, "the file fts_%16[0-9a-f].token", id), 1);
		free(err);
		(void)snprintf(kept, sizeof kept, "%s/fts_%s.token", directory, id);
		AS(kept, 0, "other", "kv", "get", "key");
	}
}

static void tokens_end(void **state)
{
	char id[17];
	(void)state;
	bool refused = false;
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); !refused && harness_wait_more(&wait);) {
		secure.token_file = reader;
		struct harness_answer answer = harness_secure_cli(&secure, "kv", "get", "key", NULL);
		refused = answer.exit_code == 1 && strstr(answer.err, "UNAUTHENTICATED") != NULL;
		harness_answer_free(&answer);
	}
	assert_true(refused); /* it has expired */
	id_of(writer, id);
	AS(admin, 0, "the third", "token", "list");
	AS(admin, 0, "revoked", "token", "revoke", id);
	AS(admin, 1, "NOT_FOUND", "token", "revoke", id);
	AS(writer, 1, "UNAUTHENTICATED", "kv", "set", "mine", "2");
	id_of(admin, id);
	AS(admin, 1, "FAILED_PRECONDITION", "token", "revoke", id);
	assert_int_equal(chmod(agency, 0640), 0);
	AS(agency, 2, "can be read by others", "lottery", "status", "draw");
	assert_int_equal(chmod(agency, 0600), 0);
}

/* What was told before is known from the first call on after kill -9, of one node and of all. */
static void nodes_remember(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		harness_cluster_kill(&cluster, i);
	for (size_t i = 0; i < 3; i++)
		harness_cluster_launch(&cluster, i);
	for (size_t i = 0; i < 3; i++)
		assert_true(harness_cluster_wait_ready(&cluster, i, WAIT_MS));
	AS(NULL, 1, "UNAUTHENTICATED", "kv", "get", "key");
	AS(writer, 1, "UNAUTHENTICATED", "kv", "get", "key");
	AS(admin, 0, "other", "--timeout", "30s", "kv", "get", "key", "--consistency", "all");
}

/* Who lost most of the nodes saves what the last one has: it lets an admin in, though no admin asked it anything
 * before. */
static void the_last_one_is_saved(void **state)
{
	char path[PATH_BYTES];
	(void)state;
	file_of("saved", path);
	harness_cluster_kill(&cluster, 0);
	harness_cluster_kill(&cluster, 1);
	AS(writer, 1, "UNAUTHENTICATED", "snapshot", "save", path, "--stale");
	AS(admin, 0, "up to index", "--timeout", "30s", "snapshot", "save", path, "--stale");
	for (size_t i = 0; i < 2; i++)
		harness_cluster_launch(&cluster, i);
	for (size_t i = 0; i < 3; i++)
		assert_true(harness_cluster_wait_ready(&cluster, i, WAIT_MS));
}

static void joining_takes_a_token(void **state)
{
	static char cert[HARNESS_SECURE_FILE_MAX], key[HARNESS_SECURE_FILE_MAX];
	char token[PATH_BYTES], other[PATH_BYTES];
	(void)state;
	file_of("n4.token", token);
	file_of("other.token", other);
	(void)snprintf(cert, sizeof cert, "%s/n4.pem", secure.directory);
	(void)snprintf(key, sizeof key, "%s/n4.key", secure.directory);
	const char *argv[] = {"fts-cli", "tls", "node", secure.directory, "n4", "--hosts", "127.0.0.1", NULL};
	assert_int_equal(harness_run(argv, WAIT_MS, NULL, NULL), 0);
	AS(admin, 0, NULL, "token", "join", "n4", "--out", token);
	AS(admin, 0, NULL, "token", "join", "n9", "--out", other);
	AS(token, 1, "PERMISSION_DENIED", "kv", "get", "key");

	size_t fourth = harness_cluster_add(&cluster);
	struct harness_member *member = &cluster.members[fourth];
	const char *flags[] = {"--tls-ca",
			       secure.nodes_ca,
			       "--tls-client-ca",
			       secure.clients_ca,
			       "--tls-cert",
			       cert,
			       "--tls-key",
			       key,
			       "--join-token-file",
			       other,
			       NULL};
	memcpy(member->flags, flags, sizeof flags);
	harness_cluster_launch(&cluster, fourth); /* with the token of another name */
	assert_true(harness_process_wait_stderr(&member->process, "status=PERMISSION_DENIED", 0, WAIT_MS));
	harness_cluster_kill(&cluster, fourth);
	member->flags[9] = token;
	harness_cluster_launch(&cluster, fourth);
	assert_true(harness_cluster_wait_ready(&cluster, fourth, WAIT_MS));
	AS(admin, 0, "(spent)", "token", "list");
}

/* The secret that a node commits to a draw with, in DIR/lottery.key, as it might be printed. */
static void secret_of(size_t member, char out_text[129])
{
	char path[PATH_BYTES];
	uint8_t secret[64];
	(void)snprintf(path, sizeof path, "%s/lottery.key", cluster.members[member].data);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t size = fread(secret, 1, sizeof secret, file);
	fclose(file);
	assert_true(size >= 16);
	for (size_t i = 0; i < 16; i++) /* its beginning is enough */
		(void)snprintf(out_text + 2 * i, 3, "%02x", secret[i]);
}

static void logs_say_enough_and_no_more(void **state)
{
	static const char *const wanted[] = {
	    "event=audit.token change=made",
	    "event=audit.token change=revoked",
	    "event=audit.token change=spent",
	    "event=audit.refused status=UNAUTHENTICATED method=fts.kv.v1.Kv/Get",
	    "event=audit.refused status=PERMISSION_DENIED method=fts.lottery.v1.Lottery/StoreBet",
	    "event=audit.call method=fts.access.v1.Access/Make",
	    "event=audit.member action=join name=n4",
	};
	(void)state;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (harness_cluster_count_in_logs(&cluster, wanted[i]) == 0) fail_msg("no log has %s", wanted[i]);
	static const char *const personal[] = {DOCUMENT, FIRST_NAME, LAST_NAME};
	for (size_t i = 0; i < sizeof personal / sizeof *personal; i++)
		assert_int_equal(harness_cluster_count_in_logs(&cluster, personal[i]), 0);
	for (size_t i = 0; i < 3; i++) {
		char secret[129];
		secret_of(i, secret);
		assert_int_equal(harness_cluster_count_in_logs(&cluster, secret), 0);
	}
	assert_int_equal(harness_cluster_count_in_logs(&cluster, "fts_"), 0); /* as every token begins */
}

static int start(void **state)
{
	static const char *const flags[] = {"--log-level", "debug"};
	(void)state;
	harness_directory_make(directory);
	file_of("admin", admin);
	file_of("agency", agency);
	file_of("writer", writer);
	file_of("reader", reader);
	harness_cluster_init(&cluster, 3);
	memcpy(cluster.flags, flags, sizeof flags);
	harness_secure_init(&secure, &cluster);
	harness_cluster_start(&cluster);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	harness_secure_fini(&secure);
	harness_directory_remove(directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_is_an_admins),
	    cmocka_unit_test(roles_are_kept_apart),
	    cmocka_unit_test(what_cannot_be_printed_is_kept),
	    cmocka_unit_test(tokens_end),
	    cmocka_unit_test(nodes_remember),
	    cmocka_unit_test(the_last_one_is_saved),
	    cmocka_unit_test(joining_takes_a_token),
	    cmocka_unit_test(logs_say_enough_and_no_more),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
