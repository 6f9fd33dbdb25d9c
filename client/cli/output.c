/* Why this file exists: the printers and the one mapping from status to exit code; see output.h. */
#include "client/cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/utf8.h"

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

json_t *ftsi_error_json(const struct fts_error *error)
{
	return ftsi_json("{s:s,s:o,s:s}", "code", fts_status_name(error->status), "message",
			 ftsi_text_json(error->detail), "executed", fts_executed_name(error->executed));
}

static void tell(const struct ftsi_cli *cli, const struct fts_error *error)
{
	if (cli->json) {
		ftsi_print_json(ftsi_json("{s:o}", "error", ftsi_error_json(error)));
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

static void remember_failure(int number)
{
	if (!write_errno) write_errno = number ? number : EIO;
}

/* A write failed some time ago, and errno has been used for other things since: only whether the reader is gone can
 * still be told. */
static void remember_earlier_failure(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

	remember_failure(poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) ? EPIPE : EIO);
}

bool ftsi_print_json(json_t *json)
{
	if (!json) die_of_memory("no memory");
	if (json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) != 0 || fputc('\n', stdout) == EOF ||
	    fflush(stdout) != 0)
		remember_failure(errno);
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

json_t *ftsi_text_json(const char *text)
{
	size_t size_bytes = strlen(text), step;
	char *clean = ftsi_utf8_valid(text, size_bytes) ? NULL : strdup(text);

	for (size_t i = 0; clean && i < size_bytes; i += step) {
		step = ftsi_utf8_character(clean + i, size_bytes - i);
		if (step == 0) clean[i] = '?', step = 1;
	}
	json_t *json = ftsi_json("s", clean ? clean : text);
	free(clean);
	return json;
}

bool ftsi_output_open(void)
{
	if (ferror(stdout)) remember_earlier_failure();
	return write_errno == 0;
}

enum ftsi_exit ftsi_output_finish(enum ftsi_exit code)
{
	if (fflush(stdout) != 0) remember_failure(errno);
	if (ferror(stdout)) remember_earlier_failure();
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
