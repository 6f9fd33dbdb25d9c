/* Why this file exists: how refused rows are told; see refusals.h. */
#include "client/cli/refusals.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/output.h"

/* Opened without cutting it first: it may be what is read. */
static FILE *open_other_than(const char *path, int input_fd)
{
	struct stat input, output;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0) return NULL;
	bool known = fstat(fd, &output) == 0 && fstat(input_fd, &input) == 0;
	bool same = known && input.st_dev == output.st_dev && input.st_ino == output.st_ino;
	if (same && S_ISREG(input.st_mode))
		errno = EEXIST;
	else if (known && (!S_ISREG(output.st_mode) || ftruncate(fd, 0) == 0))
		return fdopen(fd, "w");
	int why = errno;
	close(fd);
	errno = why;
	return NULL;
}

bool ftsi_refusals_open(struct ftsi_refusals *refusals, const char *path, int input_fd)
{
	*refusals = (struct ftsi_refusals){0};
	if (!path) return true;
	refusals->file = open_other_than(path, input_fd);
	return refusals->file && fputs("line,reason,row\n", refusals->file) != EOF;
}

void ftsi_csv_write_field(FILE *out, const char *text, size_t size_bytes)
{
	bool quoted = false;

	for (size_t i = 0; i < size_bytes; i++)
		quoted = quoted || text[i] == '"' || text[i] == ',' || text[i] == '\r' || text[i] == '\n';
	if (!quoted) {
		fwrite(text, 1, size_bytes, out);
		return;
	}
	fputc('"', out);
	for (size_t i = 0; i < size_bytes; i++) {
		if (text[i] == '"') fputc('"', out);
		fputc(text[i], out);
	}
	fputc('"', out);
}

void ftsi_refusals_add(struct ftsi_refusals *refusals, uint64_t line, const char *reason, const char *raw,
		       size_t size_bytes)
{
	if (!refusals->file || refusals->count < FTSI_REFUSALS_SHOWN_MAX)
		ftsi_note("line %" PRIu64 ": %s", line, reason);
	refusals->count++;
	if (!refusals->file) return;
	fprintf(refusals->file, "%" PRIu64 ",", line);
	ftsi_csv_write_field(refusals->file, reason, strlen(reason));
	fputc(',', refusals->file);
	ftsi_csv_write_field(refusals->file, raw, size_bytes);
	fputc('\n', refusals->file);
}

bool ftsi_refusals_close(struct ftsi_refusals *refusals)
{
	if (!refusals->file) return true;
	if (refusals->count > FTSI_REFUSALS_SHOWN_MAX)
		ftsi_note("and %" PRIu64 " more refused rows, all in the errors file",
			  refusals->count - FTSI_REFUSALS_SHOWN_MAX);
	bool written = !ferror(refusals->file);
	bool closed = fclose(refusals->file) == 0;
	refusals->file = NULL;
	return written && closed;
}
