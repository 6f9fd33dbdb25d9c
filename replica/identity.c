/* Why this file exists: whose directory DIR is. A directory of another node, or one that a newer version wrote, is
 * refused with words, before anything in it is changed. */
#include "replica/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static enum fts_status random_id(uint64_t *out_id)
{
	do {
		if (getrandom(out_id, sizeof *out_id, 0) != (ssize_t)sizeof *out_id) return FTS_INTERNAL;
	} while (*out_id == 0);
	return FTS_OK;
}

enum fts_status ftsi_identity_make(const char *name, const char *address, struct ftsi_identity *out_identity,
				   struct fts_error *out_error)
{
	*out_identity = (struct ftsi_identity){.format = FTS_FORMAT_FIRST};
	(void)snprintf(out_identity->name, sizeof out_identity->name, "%s", name);
	(void)snprintf(out_identity->address, sizeof out_identity->address, "%s", address);
	if (random_id(&out_identity->node_id) != FTS_OK || random_id(&out_identity->cluster_id) != FTS_OK)
		return fts_error_set(out_error, FTS_INTERNAL, "the kernel gives no random bytes");
	return FTS_OK;
}

enum fts_status ftsi_identity_check(const struct ftsi_identity *identity, const struct fts_replica *replica,
				    struct fts_error *out_error)
{
	const char *dir = replica->data, *name = replica->name;
	if (identity->format > replica->format_max)
		return fts_error_set(
		    out_error, FTS_FAILED_PRECONDITION,
		    "%s has format %u, and this is ftsd %s, which reads up to %u: start the version that "
		    "wrote it (ftsd %s) or a newer one; for the older one there is a snapshot from before "
		    "the upgrade, or nothing",
		    dir, identity->format, replica->version, replica->format_max,
		    identity->version[0] == '\0' ? "of a later release" : identity->version);
	if (strcmp(identity->name, name) != 0)
		return fts_error_set(
		    out_error, FTS_FAILED_PRECONDITION,
		    "%s belongs to node %s, and this one is called %s: use that name or another directory", dir,
		    identity->name, name);
	return FTS_OK;
}

enum fts_status ftsi_dir_make(const char *dir, struct fts_error *out_error)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST) return FTS_OK;
	return fts_error_set(out_error, errno == ENOSPC ? FTS_RESOURCE_EXHAUSTED : FTS_INVALID_ARGUMENT,
			     "the directory %s can't be made: %s", dir, strerror(errno));
}

static int sync_one(const char *path)
{
	int result, dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return -1;
	result = fsync(dir);
	close(dir);
	return result;
}

enum fts_status ftsi_dir_sync(const char *dir, struct fts_error *out_error)
{
	char parent[4096];
	int length = snprintf(parent, sizeof parent, "%s/..", dir);
	if (length > 0 && (size_t)length < sizeof parent && sync_one(dir) == 0 && sync_one(parent) == 0) return FTS_OK;
	return fts_error_set(out_error, FTS_INTERNAL, "the directory %s can't be synced: %s", dir, strerror(errno));
}
