/* Why this file exists: see secret_file.h. */
#include "base/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"

enum fts_status fts_secret_file_check(int fd, const char *path, struct fts_error *out_error)
{
	struct stat about;
	if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.300s is not a file", path);
	if (about.st_uid != geteuid())
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "%.300s belongs to another user (%u, and this is %u): chown it", path,
				     (unsigned)about.st_uid, (unsigned)geteuid());
	if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "%.300s can be read by others (mode %03o): chmod 600 it, or make a new one", path,
				     (unsigned)(about.st_mode & 0777));
	return FTS_OK;
}

enum fts_status fts_secret_file_read(const char *path, const char *what, void *out, size_t size_bytes,
				     size_t *out_size_bytes, struct fts_error *out_error)
{
	char spare;
	enum fts_status status = FTS_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s file %.300s: %s", what, path,
				     strerror(errno));
	if ((status = fts_secret_file_check(fd, path, out_error)) != FTS_OK) goto out;
	ssize_t got = read(fd, out, size_bytes);
	bool more = got == (ssize_t)size_bytes && read(fd, &spare, 1) > 0 && strchr(" \t\r\n", spare) == NULL;
	while (got > 0 && strchr(" \t\r\n", ((const char *)out)[got - 1]) != NULL)
		got--;
	if (got <= 0 || more)
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s file %.300s holds no %s of 1 to %zu bytes",
				       what, path, what, size_bytes);
	else
		*out_size_bytes = (size_t)got;
out:
	close(fd);
	return status;
}

static bool write_all(int fd, const char *text, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t count = write(fd, text, size_bytes);
		if (count < 0 && errno == EINTR) continue;
		if (count < 0) return false;
		text += count;
		size_bytes -= (size_t)count;
	}
	return fsync(fd) == 0;
}

enum fts_status fts_secret_file_make(const char *path, const void *text, size_t size_bytes, struct fts_error *out_error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fts_error_set(out_error, errno == EEXIST ? FTS_ALREADY_EXISTS : FTS_INVALID_ARGUMENT,
				     "%.300s can't be made: %s", path, strerror(errno));
	bool written = write_all(fd, text, size_bytes) && fts_directory_sync_parent(path) == 0;
	int wrong = errno;
	close(fd);
	if (written) return FTS_OK;
	(void)unlink(path);
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.300s can't be written: %s", path, strerror(wrong));
}
