/* Why this file exists: see whole_file.h. */
#include "client/cli/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"

static enum fts_status refuse(const char *path, const char *why, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.400s: %s", path, why);
}

/* Where the file really lies, when there is one. */
static enum fts_status resolve(struct ftsi_whole_file *file, const char *path, struct fts_error *out_error)
{
	struct stat about;
	bool there = stat(path, &about) == 0;

	if (there && !S_ISREG(about.st_mode))
		return refuse(path, S_ISDIR(about.st_mode) ? strerror(EISDIR) : "not a regular file", out_error);
	char *real = there ? realpath(path, NULL) : NULL;
	if (there && !real) return refuse(path, strerror(errno), out_error);
	int length = snprintf(file->path, sizeof(file->path), "%s", real ? real : path);
	free(real);
	return (size_t)length < sizeof(file->path) ? FTS_OK : refuse(path, strerror(ENAMETOOLONG), out_error);
}

enum fts_status ftsi_whole_file_open(struct ftsi_whole_file *file, const char *path, const char *ending,
				     struct fts_error *out_error)
{
	file->out = NULL;
	enum fts_status st = resolve(file, path, out_error);
	if (st != FTS_OK) return st;
	size_t length = strlen(file->path), room = sizeof(file->fresh_path) - length;
	memcpy(file->fresh_path, file->path, length);
	if ((size_t)snprintf(file->fresh_path + length, room, "%s", ending) >= room)
		return refuse(path, strerror(ENAMETOOLONG), out_error);
	int fd = open(file->fresh_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd >= 0) file->out = fdopen(fd, "w+");
	if (file->out) return FTS_OK;
	st = refuse(file->fresh_path, strerror(errno), out_error);
	if (fd >= 0) close(fd);
	return st;
}

enum fts_status ftsi_whole_file_commit(struct ftsi_whole_file *file, struct fts_error *out_error)
{
	bool written = !ferror(file->out) && fflush(file->out) == 0 && fsync(fileno(file->out)) == 0;
	int why = errno;
	bool closed = fclose(file->out) == 0;

	file->out = NULL;
	if (written && closed && rename(file->fresh_path, file->path) == 0 &&
	    fts_directory_sync_parent(file->path) == 0)
		return FTS_OK;
	if (written) why = errno;
	(void)unlink(file->fresh_path);
	return fts_error_set(out_error, FTS_DATA_LOSS, "%.400s can't be written: %s", file->path, strerror(why));
}

void ftsi_whole_file_abandon(struct ftsi_whole_file *file)
{
	if (!file->out) return;
	(void)fclose(file->out);
	file->out = NULL;
	(void)unlink(file->fresh_path);
}
