/* Why this file exists: see base/directory.h. */
#include "base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_MAX_COUNT = 16 };

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
	(void)about;
	(void)kind;
	(void)place;
	return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

int fts_directory_remove(const char *path)
{
	if (nftw(path, remove_one, OPEN_MAX_COUNT, FTW_DEPTH | FTW_PHYS) == 0) return 0;
	return errno == ENOENT ? 0 : -1;
}

int fts_directory_sync(const char *path)
{
	int result, saved, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) return -1;
	result = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

int fts_directory_sync_parent(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int length = slash == NULL || slash == path ? 1 : (int)(slash - path);
	if ((size_t)snprintf(parent, sizeof parent, "%.*s", length, slash == NULL ? "." : path) >= sizeof parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int result = fts_directory_sync(parent);
	return result != 0 && (errno == EACCES || errno == EINVAL) ? 0 : result;
}
