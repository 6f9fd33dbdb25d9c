/* Why this file exists: the console of a member, fed from a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/cluster.h"

/* The shell is the pipe: a line, then time for what it brings about. */
static void lines_are_commands(void **state)
{
	static struct harness_cluster cluster;
	char program[HARNESS_PATH_MAX], script[4 * HARNESS_PATH_MAX];
	char *out = NULL, *err = NULL;
	(void)state;
	harness_cluster_init(&cluster, 1);
	harness_cluster_start(&cluster);
	harness_program_path("fts-cli", program);
	(void)snprintf(script, sizeof(script),
		       "(sleep 1; printf -- '-h\\n-m\\n-t\\n-cn\\n-cl\\n-msg hello all\\n-loop 0\\n-sslp 0.1\\n"
		       "-ms echo \"I  lead\" twice\\nnonsense\\n'; sleep 1; printf 'quit\\n') | '%s' --endpoints %s "
		       "elect run boss --id a --min-members 1 --console",
		       program, cluster.endpoints);
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	assert_int_equal(harness_run(argv, 30000, &out, &err), 0);
	static const char *const wanted[] = {"-sslp SECONDS", "role MASTER, master a", "members: 1",
					     "a (master)",    "message of a at ",      "hello all",
					     "started: ",     "I  lead twice"};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strstr(out, wanted[i]) == NULL) fail_msg("no \"%s\" in:\n%s%s", wanted[i], out, err);
	const char *first = strstr(out, "I  lead");
	assert_null(strstr(first + 1, "I  lead")); /* -loop 0 */
	assert_non_null(strstr(err, "unknown command nonsense"));
	free(out);
	free(err);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_commands)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
