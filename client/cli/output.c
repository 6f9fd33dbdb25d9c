/* Why this file exists: the printers and the one mapping from status to exit code; see output.h. */
#include "client/cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_errno; /* of the first write to standard output that failed */

enum ftsi_exit ftsi_exit_of(enum fts_status status)
{
	switch (status) {
	case FTS_OK:
		return FTSI_EXIT_DONE;
	case FTS_UNAVAILABLE:
		return FTSI_EXIT_UNREACHABLE;
	case FTS_DEADLINE_EXCEEDED:
		return FTSI_EXIT_TIME;
	default:
		return FTSI_EXIT_NO;
	}
}

/* What a person must know besides the sentence: only where nobody answered is it a question whether it took place. */
static const char *in_doubt(const struct fts_error *error)
{
	bool lost = error->status == FTS_UNAVAILABLE || error->status == FTS_DEADLINE_EXCEEDED ||
		    error->status == FTS_CANCELLED;

	if (!lost || error->executed == FTS_EXECUTED_NO) return "";
	return error->executed == FTS_EXECUTED_YES ? ", it took place" : ", it may have taken place";
}

static void tell(const struct ftsi_cli *cli, const struct fts_error *error)
{
	if (cli->json) {
		ftsi_print_json(ftsi_json("{s:{s:s,s:s,s:s}}", "error", "code", fts_status_name(error->status),
					  "message", error->detail, "executed", fts_executed_name(error->executed)));
		return;
	}
	fflush(stdout);
	fprintf(stderr, "fts-cli: %s (%s%s)\n", error->detail, fts_status_name(error->status), in_doubt(error));
}

enum ftsi_exit ftsi_fail(const struct ftsi_cli *cli, const struct fts_error *error)
{
	tell(cli, error);
	return ftsi_exit_of(error->status);
}

enum ftsi_exit ftsi_fail_usage(const struct ftsi_cli *cli, const char *format, ...)
{
	struct fts_error error = {.status = FTS_INVALID_ARGUMENT, .executed = FTS_EXECUTED_NO};
	va_list list;

	va_start(list, format);
	vsnprintf(error.detail, sizeof(error.detail), format, list);
	va_end(list);
	if (cli->json)
		tell(cli, &error);
	else
		fprintf(stderr, "fts-cli: %s\n", error.detail);
	return FTSI_EXIT_USAGE;
}

static _Noreturn void die_of_memory(const char *why)
{
	fprintf(stderr, "fts-cli: %s\n", why);
	exit(FTSI_EXIT_NO);
}

static void remember_failure(void)
{
	if (!write_errno) write_errno = errno ? errno : EIO;
}

bool ftsi_print_json(json_t *json)
{
	if (!json) die_of_memory("no memory");
	if (json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) != 0 || fputc('\n', stdout) == EOF ||
	    fflush(stdout) != 0)
		remember_failure();
	json_decref(json);
	return write_errno == 0;
}

json_t *ftsi_json(const char *format, ...)
{
	json_error_t error;
	va_list list;

	va_start(list, format);
	json_t *json = json_vpack_ex(&error, 0, format, list);
	va_end(list);
	if (!json) die_of_memory(error.text);
	return json;
}

bool ftsi_output_open(void)
{
	if (ferror(stdout)) remember_failure();
	return write_errno == 0;
}

enum ftsi_exit ftsi_output_finish(enum ftsi_exit code)
{
	if (fflush(stdout) != 0 || ferror(stdout)) remember_failure();
	if (!write_errno || write_errno == EPIPE) return code;
	fprintf(stderr, "fts-cli: cannot write to standard output: %s\n", strerror(write_errno));
	return FTSI_EXIT_NO;
}

bool ftsi_is_terminal(FILE *stream)
{
	const char *term = getenv("TERM");

	return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

void ftsi_print_state(char state, int width, const char *text)
{
	const char *colour = state == 'g' ? "\033[32m" : (state == 'w' ? "\033[33m" : "\033[31m");

	if (ftsi_is_terminal(stdout) && !getenv("NO_COLOR"))
		printf("%s%-*s\033[0m", colour, width, text);
	else
		printf("%-*s", width, text);
}

void ftsi_note(const char *format, ...)
{
	char line[1024];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	fprintf(stderr, "fts-cli: %s\n", line);
}
