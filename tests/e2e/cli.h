/* Why this file exists: fts-cli as these tests use it: run against one node, output kept, exit code told. */
#ifndef FTS_TESTS_E2E_CLI_H
#define FTS_TESTS_E2E_CLI_H

#include "tests/harness/node.h"

struct cli_result {
	int exit_code;
	char *out; /* owned: cli_free */
	char *err;
};

/* Run `fts-cli --endpoints NODE ...` with the arguments up to NULL, 30 s at most. */
struct cli_result cli_run(const struct harness_node *node, ...) __attribute__((sentinel));
void cli_free(struct cli_result *result);
/* The same when only its success matters: fails the test otherwise. */
void cli_do(const struct harness_node *node, ...) __attribute__((sentinel));
/* Its standard output; fails the test unless it exits 0. Returned (free()). */
char *cli_read(const struct harness_node *node, ...) __attribute__((sentinel));

/* Number behind "key": in a JSON text; fails the test when it isn't there. */
uint64_t json_number(const char *text, const char *key);

/* Start `fts-cli lottery import DRAW --agency A FILE --batch BATCH` without waiting. */
void import_start(struct harness_process *process, const struct harness_node *node, const char *draw, unsigned agency,
		  const char *directory, const char *batch);
/* Close agencies 1 to count. */
void agencies_close(const struct harness_node *node, const char *draw, unsigned count);
/* Winners of agency as the node tells them equal those a plain scan of its file gives, in file order. */
void winners_check(const struct harness_node *node, const char *draw, unsigned agency, const char *directory);

#endif
