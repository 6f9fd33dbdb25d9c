/* Why this file exists: see run.h. */
#include "tests/cli_game/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct said run_cli(const char *endpoints, const char *input, const char *arguments)
{
	char program[HARNESS_PATH_MAX], command[4096];
	struct said said;

	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "%s%s%s%s --endpoints %s %s", input ? "printf '" : "", input ? input : "",
		 input ? "' | " : "", program, endpoints, arguments);
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	said.code = harness_run(argv, RUN_MS, &said.out, &said.err);
	return said;
}

void said_free(struct said *said)
{
	free(said->out);
	free(said->err);
}

static void fail_said(const char *arguments, const struct said *said, int code)
{
	fail_msg("%s\n  exit %d, not %d\n  stdout: %s\n  stderr: %s", arguments, said->code, code, said->out,
		 said->err);
}

void expect(const char *endpoints, const char *input, const char *arguments, int code, const char *out, const char *err)
{
	struct said said = run_cli(endpoints, input, arguments);

	if (said.code != code || (out && !strstr(said.out, out)) || (err && !strstr(said.err, err)))
		fail_said(arguments, &said, code);
	said_free(&said);
}

json_t *run_json(const char *endpoints, const char *arguments, int code)
{
	char line[2048];

	snprintf(line, sizeof(line), "--json %s", arguments);
	struct said said = run_cli(endpoints, NULL, line);
	json_t *json = json_loads(said.out, 0, NULL);
	size_t length = strlen(said.out);
	if (said.code != code || !json || length == 0 || strchr(said.out, '\n') != said.out + length - 1)
		fail_said(arguments, &said, code);
	said_free(&said);
	return json;
}

void expect_json(const char *endpoints, const char *arguments, int code, const char *expected)
{
	json_t *json = run_json(endpoints, arguments, code);
	json_t *wanted = json_loads(expected, 0, NULL);
	char *text = json_dumps(json, JSON_COMPACT);

	assert_non_null(wanted);
	if (!json_equal(json, wanted)) fail_msg("%s\n  says     %s\n  expected %s", arguments, text, expected);
	free(text);
	json_decref(json);
	json_decref(wanted);
}

unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
		count++;
	return count;
}
