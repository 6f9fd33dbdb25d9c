/* Why this file exists: see tests/e2e/cli.h. */
#include "tests/e2e/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/csv.h"

#define ARGUMENTS_MAX 32
#define RUN_TIMEOUT_MS 30000

static struct cli_result run(const struct harness_node *node, va_list arguments)
{
	const char *argv[ARGUMENTS_MAX + 4] = {"fts-cli", "--endpoints", node->endpoint};
	struct cli_result result;
	size_t count = 3;
	for (const char *argument; (argument = va_arg(arguments, const char *)) != NULL;) {
		assert_true(count < ARGUMENTS_MAX);
		argv[count++] = argument;
	}
	result.exit_code = harness_run(argv, RUN_TIMEOUT_MS, &result.out, &result.err);
	return result;
}

struct cli_result cli_run(const struct harness_node *node, ...)
{
	va_list arguments;
	va_start(arguments, node);
	struct cli_result result = run(node, arguments);
	va_end(arguments);
	return result;
}

void cli_free(struct cli_result *result)
{
	free(result->out);
	free(result->err);
}

void cli_do(const struct harness_node *node, ...)
{
	va_list arguments;
	va_start(arguments, node);
	struct cli_result result = run(node, arguments);
	va_end(arguments);
	if (result.exit_code != 0) fail_msg("fts-cli: exit %d: %s", result.exit_code, result.err);
	cli_free(&result);
}

char *cli_read(const struct harness_node *node, ...)
{
	va_list arguments;
	va_start(arguments, node);
	struct cli_result result = run(node, arguments);
	va_end(arguments);
	if (result.exit_code != 0) fail_msg("fts-cli: exit %d: %s", result.exit_code, result.err);
	free(result.err);
	return result.out;
}

uint64_t json_number(const char *text, const char *key)
{
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	const char *at = strstr(text, quoted);
	if (at == NULL) {
		fail_msg("no %s in %s", quoted, text);
		return 0;
	}
	at += strlen(quoted);
	while (*at == ' ' || *at == '"') /* 64-bit numbers are strings in protobuf's JSON */
		at++;
	return strtoull(at, NULL, 10);
}

void import_start(struct harness_process *process, const struct harness_node *node, const char *draw, unsigned agency,
		  const char *directory, const char *batch)
{
	char number[16], file[HARNESS_PATH_MAX + 32], label[32];
	snprintf(number, sizeof(number), "%u", agency);
	snprintf(file, sizeof(file), "%s/agency-%u.csv", directory, agency);
	snprintf(label, sizeof(label), "import-%u", agency);
	const char *argv[] = {"fts-cli",  "--endpoints", node->endpoint, "--json",  "lottery", "import", draw,
			      "--agency", number,        file,           "--batch", batch,     NULL};
	harness_process_start(process, node->root, label, argv);
}

void agencies_close(const struct harness_node *node, const char *draw, unsigned count)
{
	char number[16];
	for (unsigned agency = 1; agency <= count; agency++) {
		snprintf(number, sizeof(number), "%u", agency);
		cli_do(node, "lottery", "close", draw, "--agency", number, NULL);
	}
}

void winners_check(const struct harness_node *node, const char *draw, unsigned agency, const char *directory)
{
	char number[16], file[HARNESS_PATH_MAX + 32];
	snprintf(number, sizeof(number), "%u", agency);
	snprintf(file, sizeof(file), "%s/agency-%u.csv", directory, agency);
	char *expected = harness_csv_winners(file, 7574);
	char *told = cli_read(node, "lottery", "winners", draw, "--agency", number, NULL);
	assert_string_equal(told, expected);
	free(expected);
	free(told);
}
