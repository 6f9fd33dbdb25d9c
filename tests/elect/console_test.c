/* Why this file exists: the console of a member, fed from a pipe. */
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

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define PATIENCE_MS 60000

static struct harness_process console;

/* Until the console has said text. */
static void await_said(const char *text, bool on_stderr)
{
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS);;) {
		char *said = on_stderr ? harness_process_stderr(&console) : harness_process_stdout(&console);
		bool is_there = strstr(said, text) != NULL;
		if (!is_there && !harness_wait_more(&wait)) fail_msg("no \"%s\" in:\n%s", text, said);
		free(said);
		if (is_there) return;
	}
}

static void type(int fd, const char *lines)
{
	assert_int_equal(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
}

/* Its standard input is a pipe with a name; each next line comes once the one before has brought about what it should.
 */
static void lines_are_commands(void **state)
{
	static struct harness_cluster cluster;
	char directory[HARNESS_PATH_MAX], pipe[HARNESS_PATH_MAX + 8], program[HARNESS_PATH_MAX];
	(void)state;
	harness_directory_make(directory);
	(void)snprintf(pipe, sizeof(pipe), "%s/pipe", directory);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	int fd = open(pipe, O_RDWR | O_CLOEXEC); /* it stays open whoever reads it */
	harness_cluster_init(&cluster, 1);
	harness_cluster_start(&cluster);
	harness_program_path("fts-cli", program);
	const char *argv[] = {"/bin/sh",
			      "-c",
			      "exec \"$1\" --endpoints \"$2\" elect run boss --id a --min-members 1 --console < \"$0\"",
			      pipe,
			      program,
			      cluster.endpoints,
			      NULL};
	harness_process_start(&console, directory, "console", argv);
	await_said("MASTER", false);
	type(fd, "-h\n-m\n-t\n-cn\n-cl\n-msg hello all\n-loop 0\n-sslp 0.1\n-ms echo \"I  lead\" twice\nnonsense\n");
	static const char *const wanted[] = {"-sslp SECONDS", "role MASTER, master a", "members: 1",
					     "a (master)",    "message of a at ",      "hello all",
					     "started: ",     "I  lead twice"};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		await_said(wanted[i], false);
	await_said("unknown command nonsense", true);
	type(fd, "quit\n");
	assert_true(harness_process_wait(&console, PATIENCE_MS));
	assert_int_equal(console.exit_code, 0);
	char *out = harness_process_stdout(&console);
	assert_null(strstr(strstr(out, "I  lead") + 1, "I  lead")); /* -loop 0 */
	free(out);
	close(fd);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_commands)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
