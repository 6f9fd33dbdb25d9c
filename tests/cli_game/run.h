/* Why this file exists: fts-cli as these tests run it: through a shell, so that input can be piped into it. */
#ifndef FTS_TESTS_CLI_GAME_RUN_H
#define FTS_TESTS_CLI_GAME_RUN_H

#include <jansson.h>

#include "tests/harness/process.h"

#define RUN_MS 30000u

struct said {
	int code;
	char *out; /* owned: said_free */
	char *err;
};

/* Run `INPUT | fts-cli --endpoints ENDPOINTS ARGUMENTS`; input: what printf prints, NULL: none (end at once). */
struct said run_cli(const char *endpoints, const char *input, const char *arguments);
void said_free(struct said *said);

/* The same, with what has to come of it: parts of the outputs, NULL: anything. */
void expect(const char *endpoints, const char *input, const char *arguments, int code, const char *out,
	    const char *err);
/* `--json ARGUMENTS`: exactly one JSON object on standard output. Returned (json_decref). */
json_t *run_json(const char *endpoints, const char *arguments, int code);
/* The same, compared. */
void expect_json(const char *endpoints, const char *arguments, int code, const char *expected);

/* How often part stands in text. */
unsigned count_of(const char *text, const char *part);

#endif
