/* Why this file exists: the parser of the command line over the real table: what is understood, what is refused and
 * with which suggestion; and that each row of the table can be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/args.h"
#include "client/cli/help.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ARGS_MAX 16

static const struct ftsi_table *table(void)
{
	static struct ftsi_table made;
	made = (struct ftsi_table){ftsi_commands, ftsi_command_count, ftsi_global_flags};
	return &made;
}

/* line: words separated by '|'. */
static enum fts_status parse_by(const struct ftsi_table *by, const char *line, struct ftsi_args *args,
				struct fts_error *error)
{
	static struct ftsi_value globals[FTSI_GLOBAL_COUNT];
	static char copy[512];
	static char program[] = "fts-cli";
	static char *argv[ARGS_MAX + 1];
	int argc = 1;

	memset(globals, 0, sizeof(globals));
	memset(argv, 0, sizeof(argv));
	argv[0] = program;
	*error = (struct fts_error){0};
	assert_true(strlen(line) < sizeof(copy));
	memcpy(copy, line, strlen(line) + 1);
	for (char *at = copy; *line && at; argc++) {
		argv[argc] = at;
		at = strchr(at, '|');
		if (at) *at++ = '\0';
	}
	return ftsi_args_parse(by, argc, argv, 1000, globals, args, error);
}

static enum fts_status parse(const char *line, struct ftsi_args *args, struct fts_error *error)
{
	return parse_by(table(), line, args, error);
}

static const struct ftsi_value *value_of(const struct ftsi_args *args, const char *flag)
{
	for (size_t i = 0; i < FTSI_FLAGS_MAX && args->command->flags[i].name; i++)
		if (strcmp(args->command->flags[i].name, flag) == 0) return &args->values[i];
	fail_msg("no flag %s", flag);
	return NULL;
}

static void test_refused(void **state)
{
	static const struct {
		const char *line;
		const char *says;
	} cases[] = {
	    {"", "which command?"},
	    {"stauts", "did you mean \"status\"?"},
	    {"lotery", "did you mean \"lottery\"?"},
	    {"lotery|open", "did you mean \"lottery open\"?"},
	    {"lottery|opne", "did you mean \"lottery open\"?"},
	    {"lottery|win", "did you mean \"lottery winners\"?"},
	    {"desc", "did you mean \"describe\"?"},
	    {"xyzzyxyzzy", "unknown command \"xyzzyxyzzy\": see fts-cli --help"},
	    {"kv", "kv needs a command: see fts-cli kv --help"},
	    {"lottery", "lottery needs a command"},
	    {"status|--jsn", "did you mean --json?"},
	    {"--timeuot|5s|status", "did you mean --timeout?"},
	    {"lottery|import|d|f|--agenc|1", "did you mean --agency?"},
	    {"status|--qqqqqqqq", "see fts-cli status --help"},
	    {"status|-x", "unknown flag -x"},
	    {"status|-json", "did you mean --json?"},
	    {"status|--d|x", "unknown flag --d"},
	    {"status|extra", "one argument too many"},
	    {"describe", "describe needs NAME"},
	    {"lottery|open|d", "needs --agencies N"},
	    {"lottery|open|--agencies|5", "needs DRAW"},
	    {"lottery|open|d|--agencies", "--agencies needs a value"},
	    {"lottery|open|d|--agencies|many", "--agencies: \"many\" is not a whole number"},
	    {"lottery|open|d|--agencies|5|--agencies|6", "given twice"},
	    {"lottery|import|d|f|--agency|0", "--agency: 0 is not from 1"},
	    {"lottery|import|d|f|--agency|1|--batch|4097", "--batch: 4097 is not from 1 to 4096"},
	    {"status|--timeout|5", "write 5s"},
	    {"status|--json=yes", "takes no value"},
	    {"lottery|open|d|--agencies|5|--close-by|soon", "is not a time"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ftsi_args args;
		struct fts_error error;
		enum fts_status st = parse(cases[i].line, &args, &error);
		if (st != FTS_INVALID_ARGUMENT || !strstr(error.detail, cases[i].says))
			fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].line, error.detail, cases[i].says);
	}
}

static void test_understood(void **state)
{
	struct ftsi_args args;
	struct fts_error error;

	(void)state;
	assert_int_equal(parse("--json|lottery|open|--timeout=2m|christmas|--agencies|5|--close-by|+1s", &args, &error),
			 FTS_OK);
	assert_string_equal(args.command->name, "lottery open");
	assert_string_equal(args.positionals[0], "christmas");
	assert_int_equal(value_of(&args, "agencies")->number, 5);
	assert_int_equal(value_of(&args, "close-by")->number, 2000);
	assert_false(value_of(&args, "number")->given);
	assert_int_equal(args.globals[FTSI_GLOBAL_TIMEOUT].number, 120000);
	assert_true(args.globals[FTSI_GLOBAL_JSON].given);
}

static void test_defaults_and_letters(void **state)
{
	struct ftsi_args args;
	struct fts_error error;

	(void)state;
	assert_int_equal(parse("call|a.B/C|-d|{}", &args, &error), FTS_OK);
	assert_string_equal(value_of(&args, "data")->text, "{}");
	assert_true(value_of(&args, "data")->given);
	assert_int_equal(args.globals[FTSI_GLOBAL_TIMEOUT].number, 5000);
	assert_false(args.globals[FTSI_GLOBAL_TIMEOUT].given);
	assert_string_equal(args.globals[FTSI_GLOBAL_ENDPOINTS].text, "127.0.0.1:7400");
	assert_int_equal(parse("call|a.B/C|-d|-", &args, &error), FTS_OK);
	assert_string_equal(value_of(&args, "data")->text, "-");
	assert_int_equal(parse("lottery|import|d|f.csv|--agency|1", &args, &error), FTS_OK);
	assert_int_equal(value_of(&args, "batch")->number, 200);
	assert_int_equal(value_of(&args, "patience")->number, 60000);
	assert_int_equal(parse("events", &args, &error), FTS_OK);
	assert_int_equal(args.positional_count, 0);
	assert_int_equal(parse("describe|--|--help", &args, &error), FTS_OK);
	assert_string_equal(args.positionals[0], "--help");
}

static void test_help_needs_nothing_else(void **state)
{
	static const char *const lines[] = {
	    "--help", "help", "lottery|--help", "help|lottery", "lottery|open|-h", "help|lottery|open", "--version"};
	struct ftsi_args args;
	struct fts_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		if (parse(lines[i], &args, &error) != FTS_OK) fail_msg("%s: %s", lines[i], error.detail);
	assert_int_equal(parse("lottery|--hlep", &args, &error), FTS_INVALID_ARGUMENT);
}

static void test_json_is_seen_behind_a_fault(void **state)
{
	struct ftsi_args args;
	struct fts_error error;

	(void)state;
	assert_int_equal(parse("nonsense|--json", &args, &error), FTS_INVALID_ARGUMENT);
	assert_true(args.globals[FTSI_GLOBAL_JSON].given);
	assert_int_equal(parse("nonsense|--|--json", &args, &error), FTS_INVALID_ARGUMENT);
	assert_false(args.globals[FTSI_GLOBAL_JSON].given);
}

/* Every row of the table shows its purpose, flags with defaults, and an example that parses as that command. */
static void test_every_command_can_be_shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ftsi_command_count; i++) {
		const struct ftsi_command *command = &ftsi_commands[i];
		char *text = NULL;
		size_t size_bytes = 0;
		FILE *out = open_memstream(&text, &size_bytes);
		ftsi_help_command(out, table(), command);
		fclose(out);
		assert_non_null(strstr(text, "Usage: fts-cli "));
		assert_non_null(strstr(text, command->name));
		assert_non_null(strstr(text, "Example:\n  fts-cli "));
		assert_non_null(strstr(text, command->example));
		assert_non_null(strstr(text, "(default: 5s)"));
		assert_memory_equal(text, command->purpose, 10);
		assert_true(strncmp(command->example, command->name, strlen(command->name)) == 0);
		for (size_t k = 0; k < FTSI_FLAGS_MAX && command->flags[k].name; k++) {
			assert_non_null(strstr(text, command->flags[k].name));
			assert_non_null(command->flags[k].purpose);
			assert_true(command->flags[k].kind == FTSI_BOOL || command->flags[k].value_name);
		}
		free(text);
	}
}

/* What stands behind -- is another program's, whatever it looks like. */
static void test_rest_is_kept(void **state)
{
	static const struct ftsi_command row = {
	    .name = "run", .positionals = {"NAME", "[MORE]"}, .rest = "COMMAND ARG…", .flags = {{.name = "shell"}}};
	const struct ftsi_table own = {&row, 1, ftsi_global_flags};
	struct ftsi_args args;
	struct fts_error error;
	(void)state;
	assert_int_equal(parse_by(&own, "run|it|--shell|--|sh|-c|--json|--|--help|run", &args, &error), FTS_OK);
	assert_int_equal(args.positional_count, 1);
	assert_int_equal(args.rest_count, 6);
	assert_string_equal(args.rest[0], "sh");
	assert_string_equal(args.rest[3], "--");
	assert_string_equal(args.rest[5], "run");
	assert_null(args.rest[6]);
	assert_true(args.values[0].given);
	assert_false(args.globals[FTSI_GLOBAL_JSON].given);
	assert_false(args.globals[FTSI_GLOBAL_HELP].given);
	assert_int_equal(parse_by(&own, "run|it|--", &args, &error), FTS_INVALID_ARGUMENT);
	assert_non_null(strstr(error.detail, "run needs -- COMMAND ARG…"));
	assert_int_equal(parse_by(&own, "run|it", &args, &error), FTS_INVALID_ARGUMENT);
	assert_int_equal(parse_by(&own, "run|it|more|over|--|x", &args, &error), FTS_INVALID_ARGUMENT);
}

static void test_edit_distance(void **state)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} cases[] = {{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"open", "open", 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(ftsi_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_understood),
	    cmocka_unit_test(test_defaults_and_letters),
	    cmocka_unit_test(test_help_needs_nothing_else),
	    cmocka_unit_test(test_json_is_seen_behind_a_fault),
	    cmocka_unit_test(test_every_command_can_be_shown),
	    cmocka_unit_test(test_rest_is_kept),
	    cmocka_unit_test(test_edit_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
