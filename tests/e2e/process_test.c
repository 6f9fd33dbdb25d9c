/* Why this file exists: ftsd as an operator meets it: start, restart, stop, and every start that must fail with one
 * clear line and exit code 2. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/cli.h"
#include "tests/harness/clock.h"

#define LIMIT_S 280
#define ARGUMENTS_MAX 12

/* ---- Starts that fail ---- */

static size_t lines_in(const char *text)
{
	size_t lines = 0;
	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static void refuse(const char *name, const char *const *argv, const char *says)
{
	char *out = NULL, *err = NULL;
	int code = harness_run(argv, 20000, &out, &err);
	if (code != 2 || strstr(err, says) == NULL || lines_in(err) != 1 || out[0] != '\0')
		fail_msg("%s: exit %d, stdout \"%s\", stderr \"%s\" (expected \"%s\")", name, code, out, err, says);
	free(out);
	free(err);
}

static void starts_that_are_refused(void **state)
{
	struct harness_node node;
	char file[HARNESS_PATH_MAX + 32], foreign[HARNESS_PATH_MAX + 32], letter[HARNESS_PATH_MAX + 64];
	(void)state;
	harness_node_init(&node);
	snprintf(file, sizeof(file), "%s/ftsd.json", node.root);
	snprintf(foreign, sizeof(foreign), "%s/foreign", node.root);
	snprintf(letter, sizeof(letter), "%s/letter.txt", foreign);
	assert_int_equal(mkdir(foreign, 0700), 0);
	harness_file_write(letter, "dear\n");
	harness_file_write(file, "{\"name\": \"n1\", \"lsiten\": \"127.0.0.1:7400\"}");
	const struct {
		const char *name;
		const char *argv[ARGUMENTS_MAX];
		const char *says;
	} cases[] = {
	    {"unknown flag", {"ftsd", "--nmae", "x"}, "unknown argument \"--nmae\""},
	    {"flag without value", {"ftsd", "--data"}, "--data needs a value"},
	    {"several nodes",
	     {"ftsd", "--data", node.data, "--cluster", "n1=h:7400,n2=h:7500"},
	     "--cluster names 2 nodes: say with --name which one this is"},
	    {"join and list",
	     {"ftsd", "--data", node.data, "--join", node.endpoint, "--cluster", "n1=h:7400"},
	     "give one of them"},
	    {"http without a port",
	     {"ftsd", "--data", node.data, "--http", "127.0.0.1"},
	     "--http: \"127.0.0.1\": expected HOST:PORT"},
	    {"http on a port of the node",
	     {"ftsd", "--data", node.data, "--listen", node.endpoint, "--http", node.endpoint},
	     "is one of the node's own"},
	    {"http open to everybody",
	     {"ftsd", "--data", node.data, "--listen", node.endpoint, "--http", "0.0.0.0:1"},
	     "--http: 0.0.0.0:1 is not a loopback address"},
	    {"pages from nowhere",
	     {"ftsd", "--data", node.data, "--listen", node.endpoint, "--http", "127.0.0.1:1", "--http-origins",
	      "here"},
	     "--http-origins: \"here\": expected"},
	    {"open to everybody", {"ftsd", "--data", node.data, "--listen", "0.0.0.0:7400"}, "not a loopback address"},
	    {"foreign directory", {"ftsd", "--data", foreign, "--listen", node.endpoint}, "no node's directory"},
	    {"directory can't be made", {"ftsd", "--data", "/proc/nobody", "--listen", node.endpoint}, "can't be made"},
	    {"directory is a file", {"ftsd", "--data", letter, "--listen", node.endpoint}, "letter.txt"},
	    {"unknown field", {"ftsd", "--data", node.data, "--config", file}, "ftsd.json: lsiten"},
	    {"absent file", {"ftsd", "--config", "/no/such.json"}, "/no/such.json: can't be read: No such file"},
	    {"file is a directory", {"ftsd", "--config", foreign}, "foreign: not a file"},
	    {"TLS file is absent",
	     {"ftsd", "--data", node.data, "--listen", node.endpoint, "--tls-ca", "/no/ca.pem", "--tls-cert",
	      "/no/c.pem", "--tls-key", "/no/k.pem"},
	     "/no/"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuse(cases[i].name, cases[i].argv, cases[i].says);
	harness_node_fini(&node);
}

static int occupy(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1, socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(socket_fd, 1), 0);
	return socket_fd;
}

/* Each port a node needs; and afterwards the same command starts. */
static void ports_in_use(void **state)
{
	static const unsigned offsets[] = {0, 1, 2, 3, 4};
	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct harness_node node;
		char name[32], port[16];
		harness_node_init(&node);
		snprintf(name, sizeof(name), "port + %u", offsets[i]);
		snprintf(port, sizeof(port), ":%u", node.port + offsets[i]);
		int taken = occupy((uint16_t)(node.port + offsets[i]));
		const char *argv[] = {"ftsd",        "--data",         node.data,         "--listen",
				      node.endpoint, "--lottery-text", node.text_address, NULL};
		refuse(name, argv, port);
		close(taken);
		harness_node_start(&node);
		assert_int_equal(harness_node_stop(&node), 0);
		harness_node_fini(&node);
	}
}

static void directory_in_use(void **state)
{
	struct harness_node node;
	char other[32];
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	snprintf(other, sizeof(other), "127.0.0.1:%u", node.port + 4u);
	const char *argv[] = {"ftsd", "--data", node.data, "--listen", other, NULL};
	refuse("locked", argv, "is in use by another process (pid ");
	const char *renamed[] = {"ftsd", "--data", node.data, "--name", "n2", NULL};
	refuse("another name", renamed, "belongs to node n1, not n2");
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

static void damaged_directory(void **state)
{
	struct harness_node node;
	char path[HARNESS_PATH_MAX + 32];
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	assert_int_equal(harness_node_stop(&node), 0);
	snprintf(path, sizeof(path), "%s/log/CURRENT", node.data);
	harness_file_write(path, "nonsense");
	const char *argv[] = {"ftsd", "--data", node.data, "--log-level", "error", NULL};
	char *err = NULL;
	assert_int_equal(harness_run(argv, 20000, NULL, &err), 2);
	assert_non_null(strstr(err, "ftsd: "));
	free(err);
	harness_node_fini(&node);
}

/* ---- Starts that work ---- */

static void help_and_version(void **state)
{
	const char *help[] = {"ftsd", "--help", NULL}, *version[] = {"ftsd", "--version", NULL};
	char *out = NULL;
	(void)state;
	assert_int_equal(harness_run(help, 5000, &out, NULL), 0);
	assert_non_null(strstr(out, "--lottery-text-agencies"));
	assert_non_null(strstr(out, "example:"));
	assert_non_null(strstr(out, "--join"));
	assert_non_null(strstr(out, "--http HOST:PORT"));
	free(out);
	assert_int_equal(harness_run(version, 5000, &out, NULL), 0);
	assert_int_equal(strncmp(out, "ftsd ", 5), 0);
	free(out);
}

static void data_alone_is_enough_later(void **state)
{
	struct harness_node node;
	char config[HARNESS_PATH_MAX + 32], text[HARNESS_PATH_MAX + 256];
	(void)state;
	harness_node_init(&node);
	snprintf(config, sizeof(config), "%s/ftsd.json", node.root);
	snprintf(text, sizeof(text),
		 "{\"name\": \"n5\", \"data\": \"%s\", \"listen\": \"%s\", \"lottery-text\": \"%s\"}", node.data,
		 node.endpoint, node.text_address);
	harness_file_write(config, text);
	const char *first[] = {"ftsd", "--config", config, NULL}, *second[] = {"ftsd", "--data", node.data, NULL};
	const char *const *starts[] = {first, second, second};
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		char label[16];
		snprintf(label, sizeof(label), "start-%zu", i);
		harness_process_start(&node.process, node.root, label, starts[i]);
		assert_true(harness_node_wait_ready(&node, 0, 20000));
		char *err = harness_process_stderr(&node.process);
		assert_non_null(strstr(err, "name=n5"));
		assert_non_null(strstr(err, node.endpoint));
		assert_non_null(strstr(err, node.text_address));
		free(err);
		cli_do(&node, "status", NULL);
		harness_process_signal(&node.process, i == 1 ? SIGINT : SIGTERM);
		assert_true(harness_process_wait(&node.process, 20000));
		assert_int_equal(node.process.exit_code, 0);
	}
	harness_node_fini(&node);
}

static void insecure_warns_at_every_start(void **state)
{
	struct harness_node node;
	char everywhere[32];
	(void)state;
	harness_node_init(&node);
	snprintf(everywhere, sizeof(everywhere), "0.0.0.0:%u", node.port);
	const char *argv[] = {"ftsd",       "--data",      node.data, "--listen", everywhere,
			      "--insecure", "--log-level", "error",   NULL};
	for (int i = 0; i < 2; i++) {
		harness_process_start(&node.process, node.root, i == 0 ? "first" : "second", argv);
		assert_true(harness_process_wait_stderr(&node.process, "event=node.insecure", 0, 20000));
		assert_true(harness_node_wait_ready(&node, 0, 20000)); /* whatever the log level */
		cli_do(&node, "status", NULL);
		assert_int_equal(harness_node_stop(&node), 0);
	}
	harness_node_fini(&node);
}

static void kills_at_any_moment_of_a_start(void **state)
{
	struct harness_node node;
	struct harness_random random = {7};
	(void)state;
	harness_node_init(&node);
	for (int i = 0; i < 15; i++) {
		uint64_t until_ns = harness_now_ns() + (uint64_t)harness_random_below(&random, 60000) * 1000;
		(void)harness_node_launch(&node);
		for (struct harness_wait wait = harness_wait_ms(1000); harness_now_ns() < until_ns;)
			if (!harness_wait_more(&wait)) break;
		harness_node_kill(&node);
	}
	harness_node_start(&node);
	cli_do(&node, "lottery", "open", "d", "--agencies", "1", "--number", "1", NULL);
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(help_and_version),
	    cmocka_unit_test(starts_that_are_refused),
	    cmocka_unit_test(ports_in_use),
	    cmocka_unit_test(directory_in_use),
	    cmocka_unit_test(damaged_directory),
	    cmocka_unit_test(data_alone_is_enough_later),
	    cmocka_unit_test(insecure_warns_at_every_start),
	    cmocka_unit_test(kills_at_any_moment_of_a_start),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
