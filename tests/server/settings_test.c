/* Why this file exists: what ftsd makes of flags, file, memory and defaults, and how it says no: each refusal names
 * the flag, or the file and field. */
#include <fcntl.h>
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

#include "server/directory.h"
#include "tests/harness/directory.h"

#define FLAGS_MAX 8

static char root[HARNESS_PATH_MAX];

static enum ftsi_flags read_flags(const char *const *flags, struct ftsi_settings *out_settings, const char **out_config,
				  struct fts_error *out_error)
{
	char *argv[FLAGS_MAX + 2] = {(char *)(uintptr_t) "ftsd"};
	int argc = 1;
	for (; flags[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)flags[argc - 1];
	return ftsi_settings_read_flags(argc, argv, out_settings, out_config, out_error);
}

/* Flags, file (NULL: none) and defaults, as main does it; what was wrong is in out_error->detail. */
static bool settle(const char *const *flags, const char *file, struct ftsi_settings *settings,
		   struct fts_error *out_error)
{
	const char *config = NULL;
	char path[HARNESS_PATH_MAX + 16];
	out_error->detail[0] = '\0';
	if (read_flags(flags, settings, &config, out_error) != FTSI_FLAGS_RUN) return false;
	if (file != NULL) {
		snprintf(path, sizeof(path), "%s/ftsd.json", root);
		harness_file_write(path, file);
		if (ftsi_settings_read_file(settings, path, out_error) != FTS_OK) return false;
	}
	return ftsi_settings_complete(settings, out_error) == FTS_OK;
}

static void data_set(struct ftsi_settings *settings, const char *name)
{
	memset(settings, 0, sizeof(*settings));
	snprintf(settings->data, sizeof(settings->data), "%s/%s", root, name);
}

static enum fts_status open_directory(struct ftsi_settings *settings, int *out_lock_fd, struct fts_error *out_error)
{
	enum fts_status status = ftsi_directory_recall(settings, out_error);
	return status == FTS_OK ? ftsi_directory_claim(settings, out_lock_fd, out_error) : status;
}

static void refusals(void **state)
{
	static const struct {
		const char *flags[FLAGS_MAX];
		const char *file;
		const char *says; /* part of the detail */
	} cases[] = {
	    {{"--nme", "n1"}, NULL, "unknown argument \"--nme\""},
	    {{"n1"}, NULL, "unknown argument \"n1\""},
	    {{"--name"}, NULL, "--name needs a value"},
	    {{"--config"}, NULL, "--config needs a value"},
	    {{"--name", "a", "--name=b"}, NULL, "--name is given twice"},
	    {{"--name", "a b"}, NULL, "--name: \"a b\": expected 1 to 63 of"},
	    {{"--name="}, NULL, "--name: \"\": expected"},
	    {{"--data="}, NULL, "--data: \"\": expected a path"},
	    {{"--listen", "7400"}, NULL, "--listen: \"7400\": expected HOST:PORT"},
	    {{"--listen", "127.0.0.1:0"}, NULL, "--listen: \"127.0.0.1:0\": expected HOST:PORT"},
	    {{"--listen", "127.0.0.1:70000"}, NULL, "expected HOST:PORT"},
	    {{"--listen", " 127.0.0.1:7400"}, NULL, "--listen: \" 127.0.0.1:7400\": expected HOST:PORT"},
	    {{"--http", "127.0.0.1:80 "}, NULL, "--http: \"127.0.0.1:80 \": expected HOST:PORT"},
	    {{"--cluster", "n1= 127.0.0.1:7400"}, NULL, "expected NAME=HOST:PORT"},
	    {{"--listen", "127.0.0.1:65533"}, NULL, "at most 65532"},
	    {{"--listen", "0.0.0.0:7400"}, NULL, "is not a loopback address"},
	    {{"--listen", "node-1.example:7400"}, NULL, "is not a loopback address"},
	    {{"--lottery-text", "0.0.0.0:9000"}, NULL, "this protocol has no TLS"},
	    {{"--lottery-text", "127.0.0.1:7402"}, NULL, "port 7402 is one of the node's own (7400 to 7403)"},
	    {{"--lottery-text-agencies", "0"}, NULL, "expected a number of 1 to 10000"},
	    {{"--lottery-text-agencies", "many"}, NULL, "--lottery-text-agencies: \"many\""},
	    {{"--log-level", "loud"}, NULL, "expected error, warn, info or debug"},
	    {{"--tls-ca", "ca.pem"}, NULL, "--tls-cert is missing"},
	    {{"--tls-client-ca", "ca.pem"}, NULL, "--tls-client-ca goes with --tls-ca"},
	    {{"--cluster", "n1=127.0.0.1:7400,n2=10.0.0.1:7400", "--name", "n1"},
	     NULL,
	     "10.0.0.1:7400 is not a loopback"},
	    {{"--join", "10.0.0.1:7400"}, NULL, "10.0.0.1:7400 is not a loopback"},
	    {{"--tls-ca", "ca.pem", "--tls-cert", "c.pem"}, NULL, "--tls-key is missing"},
	    {{"--insecure=yes"}, NULL, "--insecure: takes no value"},
	    {{"--join", "7400"}, NULL, "--join: \"7400\": expected HOST:PORT"},
	    {{"--join", "127.0.0.1:7400", "--cluster", "n1=127.0.0.1:7500"}, NULL, "give one of them"},
	    {{"--join", "127.0.0.1:7400", "--listen", "0.0.0.0:7500", "--insecure"},
	     NULL,
	     "nothing that other members could"},
	    {{"--election-ms", "49"}, NULL, "--election-ms: \"49\": expected 50 to 10000"},
	    {{"--election-ms", "0"}, NULL, "--election-ms: \"0\": expected a number"},
	    {{"--http=0.0.0.0:80"}, NULL, "--http: 0.0.0.0:80 is not a loopback address"},
	    {{"--cluster", "n1=127.0.0.1:7400,n2=127.0.0.1:7500"}, NULL, "names 2 nodes: say with --name which"},
	    {{"--cluster", "n1"}, NULL, "expected NAME=HOST:PORT"},
	    {{"--cluster", "n1=127.0.0.1:7400,"}, NULL, "expected NAME=HOST:PORT behind the last comma"},
	    {{"--cluster", "n1=127.0.0.1:7400,n1=127.0.0.1:7500"}, NULL, "a name stands there twice"},
	    {{"--cluster", "n1=127.0.0.1:7400,n2=127.0.0.1:7400"}, NULL, "an address stands there twice"},
	    {{"--cluster", "n2=127.0.0.1:7400", "--name", "n1"}, NULL, "--cluster does not name this node, n1"},
	    {{"--cluster", "n1=127.0.0.1:7400", "--listen", "0.0.0.0:7500", "--insecure"},
	     NULL,
	     "--cluster puts n1 at"},
	    {{"--cluster", "n1=127.0.0.1:7400", "--listen", "127.0.0.1:7500"}, NULL, "--cluster puts n1 at"},
	    {{NULL}, "{\"nmae\": \"n1\"}", "ftsd.json: nmae"},
	    {{NULL}, "{\"name\": 5}", "ftsd.json: name"},
	    {{NULL}, "{\"name\": \"a b\"}", "ftsd.json: name: \"a b\": expected 1 to 63"},
	    {{NULL}, "{\"lottery_text_agencies\": \"x\"}", "ftsd.json: lottery_text_agencies"},
	    {{NULL}, "{\"lottery_text_agencies\": 10001}", "ftsd.json: lottery_text_agencies: \"10001\": expected"},
	    {{NULL}, "{\"election-ms\": 0}", "ftsd.json: election_ms: \"0\": expected a number of 1 to 10000"},
	    {{NULL}, "{\"insecure\": \"yes\"}", "ftsd.json: insecure"},
	    {{NULL}, "{\"listen\": \"7400\"}", "ftsd.json: listen: \"7400\": expected HOST:PORT"},
	    {{NULL}, "{\"http\": \"nowhere\"}", "ftsd.json: http: "},
	    {{NULL}, "{\"name\": \"a\", \"name\": \"b\"}", "ftsd.json: line 1"},
	    {{NULL}, "{\"tls-ca\": \"a\", \"tls_ca\": \"b\"}", "stands there twice"},
	    {{NULL}, "{\n\"name\": }", "ftsd.json: line 2"},
	    {{NULL}, "[]", "expected a JSON object"},
	    {{NULL}, "", "ftsd.json: line"},
	    {{"--listen", "127.0.0.1:7400"}, "{\"listen\": \"wrong\"}", "ftsd.json: listen"},
	};
	struct ftsi_settings settings;
	struct fts_error error;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (settle(cases[i].flags, cases[i].file, &settings, &error))
			fail_msg("case %zu (%s) was not refused", i, cases[i].says);
		if (strstr(error.detail, cases[i].says) == NULL)
			fail_msg("case %zu: \"%s\" lacks \"%s\"", i, error.detail, cases[i].says);
		assert_null(strchr(error.detail, '\n'));
	}
}

static void defaults(void **state)
{
	static const char *const flags[] = {NULL};
	struct ftsi_settings settings;
	struct fts_error error;
	(void)state;
	assert_true(settle(flags, NULL, &settings, &error));
	assert_string_equal(settings.name, "n1");
	assert_string_equal(settings.data, "fts-data");
	assert_string_equal(settings.listen, "127.0.0.1:7400");
	assert_string_equal(settings.lottery_text, "");
	assert_int_equal(settings.lottery_text_agencies, 5);
	assert_string_equal(settings.log_level, "info");
	assert_false(settings.insecure);
}

static void flags_win_over_the_file(void **state)
{
	static const char *const flags[] = {"--name", "a", "--listen=127.0.0.1:7500", NULL};
	static const char file[] = "{\"name\": \"b\", \"data\": \"d\", \"lottery-text\": \"127.0.0.1:9000\",\n"
				   " \"lottery_text_agencies\": 7, \"log-level\": \"debug\", \"insecure\": true}";
	struct ftsi_settings settings;
	struct fts_error error;
	(void)state;
	assert_true(settle(flags, file, &settings, &error));
	assert_string_equal(settings.name, "a");
	assert_string_equal(settings.data, "d");
	assert_string_equal(settings.listen, "127.0.0.1:7500");
	assert_string_equal(settings.lottery_text, "127.0.0.1:9000");
	assert_int_equal(settings.lottery_text_agencies, 7);
	assert_string_equal(settings.log_level, "debug");
	assert_true(settings.insecure);
}

static void cluster_of_itself_names_the_node(void **state)
{
	static const char *const flags[] = {"--cluster", "n7=127.0.0.1:7700", NULL};
	struct ftsi_settings settings;
	struct fts_error error;
	(void)state;
	assert_true(settle(flags, NULL, &settings, &error));
	assert_string_equal(settings.name, "n7");
	assert_string_equal(settings.listen, "127.0.0.1:7700");
}

/* The list says where the node is; it may listen everywhere, and others call it by the list. */
static void cluster_of_several(void **state)
{
	static const char list[] = "n3=127.0.0.1:7700,n1=10.0.0.1:7400,n2=127.0.0.1:7500";
	static const char *const second[] = {"--cluster", list, "--name", "n2", "--insecure", NULL};
	static const char *const wide[] = {"--cluster", list,           "--name",     "n1",
					   "--listen",  "0.0.0.0:7400", "--insecure", NULL};
	struct ftsi_settings settings;
	struct ftsi_cluster_list parsed;
	struct fts_error error;
	(void)state;
	assert_true(settle(second, NULL, &settings, &error));
	assert_string_equal(settings.listen, "127.0.0.1:7500");
	assert_string_equal(settings.address, "127.0.0.1:7500");
	assert_int_equal(settings.election_ms, 500);
	assert_true(settle(wide, NULL, &settings, &error));
	assert_string_equal(settings.listen, "0.0.0.0:7400");
	assert_string_equal(settings.address, "10.0.0.1:7400");
	assert_null(ftsi_cluster_list_parse(settings.cluster, &parsed));
	assert_int_equal(parsed.count, 3);
	assert_string_equal(parsed.members[0].name, "n3");
	assert_string_equal(parsed.members[2].address, "127.0.0.1:7500");
}

/* What DIR remembers of the first start gives way to what is said now. */
static void join_and_cluster_are_remembered(void **state)
{
	struct ftsi_settings settings;
	struct fts_error error;
	int lock_fd;
	(void)state;
	data_set(&settings, "joined");
	snprintf(settings.name, sizeof(settings.name), "n2");
	snprintf(settings.cluster, sizeof(settings.cluster), "n1=127.0.0.1:7400,n2=127.0.0.1:7500");
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_OK);
	close(lock_fd);
	data_set(&settings, "joined");
	assert_int_equal(ftsi_directory_recall(&settings, &error), FTS_OK);
	assert_string_equal(settings.cluster, "n1=127.0.0.1:7400,n2=127.0.0.1:7500");
	data_set(&settings, "joined");
	snprintf(settings.join, sizeof(settings.join), "127.0.0.1:7400");
	assert_int_equal(ftsi_directory_recall(&settings, &error), FTS_OK);
	assert_string_equal(settings.cluster, "");
	assert_string_equal(settings.join, "127.0.0.1:7400");
}

static void loopback_and_insecure(void **state)
{
	static const char *const fine[] = {"127.0.0.1:7400", "127.1.2.3:7400", "localhost:7400", "[::1]:7400"};
	static const char *const open[] = {"--listen", "0.0.0.0:7400", "--insecure", NULL};
	struct ftsi_settings settings;
	struct fts_error error;
	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		const char *const flags[] = {"--listen", fine[i], NULL};
		if (!settle(flags, NULL, &settings, &error)) fail_msg("%s: %s", fine[i], error.detail);
	}
	assert_true(settle(open, NULL, &settings, &error));
}

static void help_and_version(void **state)
{
	static const char *const help[] = {"--name", "n1", "--help", NULL}, *const version[] = {"--version", NULL};
	struct ftsi_settings settings;
	struct fts_error error;
	const char *config;
	(void)state;
	assert_int_equal(read_flags(help, &settings, &config, &error), FTSI_FLAGS_HELP);
	assert_int_equal(read_flags(version, &settings, &config, &error), FTSI_FLAGS_VERSION);
}

static void unreadable_files(void **state)
{
	char path[HARNESS_PATH_MAX + 16];
	struct ftsi_settings settings = {0};
	struct fts_error error;
	(void)state;
	snprintf(path, sizeof(path), "%s/absent.json", root);
	assert_int_equal(ftsi_settings_read_file(&settings, path, &error), FTS_NOT_FOUND);
	assert_non_null(strstr(error.detail, "absent.json: can't be read: No such file"));
	assert_int_equal(ftsi_settings_read_file(&settings, root, &error), FTS_PERMISSION_DENIED);
}

/* ---- DIR ---- */

static void directory_remembers(void **state)
{
	struct ftsi_settings settings;
	struct fts_error error;
	int lock_fd;
	(void)state;
	data_set(&settings, "memory/");
	snprintf(settings.name, sizeof(settings.name), "n9");
	snprintf(settings.listen, sizeof(settings.listen), "127.0.0.1:7900");
	snprintf(settings.lottery_text, sizeof(settings.lottery_text), "127.0.0.1:9900");
	settings.lottery_text_agencies = 3;
	settings.insecure = true;
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_OK);
	assert_int_equal(ftsi_directory_remember(&settings, &error), FTS_OK);
	close(lock_fd);

	data_set(&settings, "memory");
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_OK);
	assert_string_equal(settings.name, "n9");
	assert_string_equal(settings.listen, "127.0.0.1:7900");
	assert_string_equal(settings.lottery_text, "127.0.0.1:9900");
	assert_int_equal(settings.lottery_text_agencies, 3);
	assert_false(settings.insecure); /* to be open to everybody is said at every start */

	struct ftsi_settings second;
	int second_fd;
	data_set(&second, "memory");
	assert_int_equal(open_directory(&second, &second_fd, &error), FTS_UNAVAILABLE);
	assert_non_null(strstr(error.detail, "is in use by another process (pid "));
	close(lock_fd);

	data_set(&settings, "memory");
	snprintf(settings.name, sizeof(settings.name), "n1");
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(error.detail, "belongs to node n9, not n1"));
}

static void directory_of_others(void **state)
{
	struct ftsi_settings settings;
	struct fts_error error;
	char path[HARNESS_PATH_MAX + 32];
	int lock_fd;
	(void)state;
	snprintf(path, sizeof(path), "%s/foreign", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/foreign/letter.txt", root);
	harness_file_write(path, "dear\n");
	data_set(&settings, "foreign");
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(error.detail, "is no node's directory"));
	snprintf(path, sizeof(path), "%s/foreign/lock", root);
	assert_int_not_equal(access(path, F_OK), 0); /* nothing was left in it */

	snprintf(settings.data, sizeof(settings.data), "%s/foreign/letter.txt", root);
	assert_int_not_equal(open_directory(&settings, &lock_fd, &error), FTS_OK);
	snprintf(settings.data, sizeof(settings.data), "%s/no/such/parent", root);
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_UNAVAILABLE);
	assert_non_null(strstr(error.detail, "can't be made: No such file"));
}

static void directory_with_damaged_memory(void **state)
{
	struct ftsi_settings settings;
	struct fts_error error;
	char path[HARNESS_PATH_MAX + 32];
	int lock_fd;
	(void)state;
	snprintf(path, sizeof(path), "%s/damaged", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/damaged/node.json", root);
	harness_file_write(path, "{\"name\": \"n1\"");
	data_set(&settings, "damaged");
	assert_int_equal(open_directory(&settings, &lock_fd, &error), FTS_INVALID_ARGUMENT);
	assert_non_null(strstr(error.detail, "damaged/node.json: line 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(flags_win_over_the_file),
	    cmocka_unit_test(cluster_of_itself_names_the_node),
	    cmocka_unit_test(cluster_of_several),
	    cmocka_unit_test(join_and_cluster_are_remembered),
	    cmocka_unit_test(loopback_and_insecure),
	    cmocka_unit_test(help_and_version),
	    cmocka_unit_test(unreadable_files),
	    cmocka_unit_test(directory_remembers),
	    cmocka_unit_test(directory_of_others),
	    cmocka_unit_test(directory_with_damaged_memory),
	};
	harness_directory_make(root);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
