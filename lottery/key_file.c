/* Why this file exists: see key_file.h. */
#include "lottery/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret_file.h"

static enum fts_status failed(struct fts_error *error, const char *what, const char *path, int code)
{
	return fts_error_set(error, code == ENOSPC ? FTS_RESOURCE_EXHAUSTED : FTS_INTERNAL, "can't %s %s: %s", what,
			     path, strerror(code));
}

static enum fts_status read_key(int fd, const char *path, uint8_t out_key[FTSI_HASH_BYTES], struct fts_error *error)
{
	struct stat info;
	struct fts_error unsafe;
	ssize_t got;
	if (fstat(fd, &info) != 0) return failed(error, "read", path, errno);
	if (fts_secret_file_check(fd, path, &unsafe) != FTS_OK)
		return fts_error_set(error, FTS_FAILED_PRECONDITION, "%s", unsafe.detail);
	do
		got = pread(fd, out_key, FTSI_HASH_BYTES, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) return failed(error, "read", path, errno);
	if (got != FTSI_HASH_BYTES || info.st_size != FTSI_HASH_BYTES)
		return fts_error_set(
		    error, FTS_DATA_LOSS,
		    "%s is damaged: it must have %d bytes; restore it, or remove it when no draw is open", path,
		    FTSI_HASH_BYTES);
	return FTS_OK;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t wrote = write(fd, bytes, size_bytes);
		if (wrote < 0 && errno == EINTR) continue;
		if (wrote < 0) return false;
		bytes += wrote;
		size_bytes -= (size_t)wrote;
	}
	return fsync(fd) == 0;
}

static bool sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool synced = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0) (void)close(fd);
	return synced;
}

static enum fts_status make_key(const char *dir, const char *path, uint8_t out_key[FTSI_HASH_BYTES],
				struct fts_error *error)
{
	char temporary[PATH_MAX + 8];
	bool written;
	int fd, code;
	(void)snprintf(temporary, sizeof temporary, "%s.new", path);
	(void)unlink(temporary); /* of a start that was cut short */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) return failed(error, "create", path, errno);
	randombytes_buf(out_key, FTSI_HASH_BYTES);
	written = write_all(fd, out_key, FTSI_HASH_BYTES);
	code = errno;
	(void)close(fd);
	if (written && rename(temporary, path) == 0 && sync_dir(dir)) return FTS_OK;
	code = written ? errno : code;
	(void)unlink(temporary);
	return failed(error, "write", path, code);
}

enum fts_status ftsi_key_load(const char *dir, uint8_t out_key[FTSI_HASH_BYTES], struct fts_error *out_error)
{
	char path[PATH_MAX];
	enum fts_status status;
	int fd, length = snprintf(path, sizeof path, "%s/lottery.key", dir);
	if (length < 0 || (size_t)length >= sizeof path)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the directory's name is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) return make_key(dir, path, out_key, out_error);
	if (fd < 0) return failed(out_error, "read", path, errno);
	status = read_key(fd, path, out_key, out_error);
	(void)close(fd);
	return status;
}
