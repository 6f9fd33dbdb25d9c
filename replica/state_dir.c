/* Why this file exists: the directories of the state: which generation lies where, what a crash left behind, and what
 * `snapshot restore` put there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/archive.h"
#include "base/assert.h"
#include "base/directory.h"
#include "base/log.h"
#include "replica/configuration.h"
#include "replica/state_internal.h"

enum { STATE_BUFFER_BYTES = 8 * 1024 * 1024, STATE_CACHE_BYTES = 8 * 1024 * 1024 };

void ftsi_state_path(const struct fts_replica *replica, uint64_t generation, char *out)
{
	int length = generation == 0 ? snprintf(out, FTSI_STATE_PATH_BYTES, "%s/state", replica->data)
				     : snprintf(out, FTSI_STATE_PATH_BYTES, "%s/state-%llu", replica->data,
						(unsigned long long)generation);
	FTS_ASSERT(length > 0 && length < FTSI_STATE_PATH_BYTES); /* checked when the log was opened */
}

/* True: name is that of a state's directory. */
static bool read_generation(const char *name, uint64_t *out_generation)
{
	char *end = NULL;
	if (strcmp(name, "state") == 0) {
		*out_generation = 0;
		return true;
	}
	if (strncmp(name, "state-", 6) != 0 || name[6] < '1' || name[6] > '9') return false;
	errno = 0;
	*out_generation = strtoull(name + 6, &end, 10);
	return errno == 0 && *end == 0;
}

uint64_t ftsi_state_last_generation(const struct fts_replica *replica)
{
	uint64_t last = 0, generation;
	DIR *dir = opendir(replica->data);
	if (dir == NULL) return 0;
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		if (read_generation(entry->d_name, &generation) && generation > last) last = generation;
	closedir(dir);
	return last;
}

static void remove_in(const struct fts_replica *replica, const char *name)
{
	char path[FTSI_STATE_PATH_BYTES];
	int length = snprintf(path, sizeof path, "%s/%s", replica->data, name);
	if (length > 0 && (size_t)length < sizeof path && fts_directory_remove(path) != 0)
		FTS_LOG_WARN("replica.leftover", "node=%s dir=%s errno=%d", replica->name, name, errno);
}

void ftsi_state_remove_leftovers(const struct fts_replica *replica, uint64_t keep, uint64_t spare)
{
	uint64_t generation;
	DIR *dir;
	remove_in(replica, "incoming");
	remove_in(replica, "outgoing");
	dir = opendir(replica->data);
	if (dir == NULL) return;
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (!read_generation(entry->d_name, &generation) || generation == keep || generation == spare) continue;
		FTS_LOG_INFO("replica.leftover_removed", "node=%s dir=%s", replica->name, entry->d_name);
		remove_in(replica, entry->d_name);
	}
	closedir(dir);
}

enum fts_status ftsi_state_open_at(struct fts_replica *replica, uint64_t generation, bool create,
				   struct fts_store **out_store, struct fts_error *out_error)
{
	const struct fts_store_options options = {.write_ahead_log = false,
						  .write_buffer_bytes = STATE_BUFFER_BYTES,
						  .block_cache_bytes = STATE_CACHE_BYTES,
						  .create_if_missing = create,
						  .one_writer = true};
	char path[FTSI_STATE_PATH_BYTES];
	ftsi_state_path(replica, generation, path);
	return fts_store_open(path, &options, out_store, out_error);
}

/* ---- What `snapshot restore` left ---- */

static ssize_t read_origin(const struct fts_replica *replica, uint8_t *bytes, size_t capacity_bytes)
{
	char path[FTSI_STATE_PATH_BYTES];
	ssize_t got;
	int fd, length = snprintf(path, sizeof path, "%s/" FTS_ARCHIVE_ORIGIN_NAME, replica->data);
	if (length < 0 || (size_t)length >= sizeof path) return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return errno == ENOENT ? 0 : -1;
	got = read(fd, bytes, capacity_bytes);
	close(fd);
	return got == 0 ? -1 : got;
}

enum fts_status ftsi_state_read_restored(struct fts_replica *replica, struct fts_error *out_error)
{
	uint8_t bytes[FTS_ARCHIVE_ORIGIN_BYTES + 1];
	struct fts_archive_origin origin;
	ssize_t size = read_origin(replica, bytes, sizeof bytes);
	if (size == 0) return FTS_OK;
	if (size < 0 || fts_archive_origin_decode((struct fts_bytes){bytes, (size_t)size}, &origin) != FTS_OK)
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "%s/" FTS_ARCHIVE_ORIGIN_NAME
				     " can't be read: restore the snapshot again, into an "
				     "empty directory",
				     replica->data);
	replica->keeper->restored =
	    (struct ftsi_restored){origin.identity, origin.cluster_id, origin.index, origin.term};
	return FTS_OK;
}

enum fts_status ftsi_state_settle_restored(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_restored *restored = &replica->keeper->restored;
	struct ftsi_applied applied;
	struct fts_txn *view = NULL;
	char path[FTSI_STATE_PATH_BYTES];
	enum fts_status status;
	if (restored->identity == 0) return FTS_OK;
	if (replica->identity.cluster_id == 0 && replica->options.join)
		return fts_error_set(
		    out_error, FTS_FAILED_PRECONDITION,
		    "%s was restored from a snapshot: it begins a new cluster and can't join one; use an "
		    "empty directory",
		    replica->data);
	/* A member's state that can't be opened comes from the others, wherever it came from once. */
	if (replica->identity.cluster_id != 0 && atomic_load(&replica->doubted)) return FTS_OK;
	if ((status = fts_store_view(replica->state, &view)) != FTS_OK)
		return fts_error_set(out_error, status, "no memory to read the state");
	status = ftsi_applied_read(view, &applied);
	fts_txn_abort(view);
	if (status != FTS_OK || (replica->identity.cluster_id == 0 && applied.index != restored->index))
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "%s does not hold what was restored into it: restore the snapshot again, into an "
				     "empty directory",
				     fts_store_dir(replica->state));
	if (applied.cluster_id != replica->identity.cluster_id) return FTS_OK;
	(void)snprintf(path, sizeof path, "%s/" FTS_ARCHIVE_ORIGIN_NAME, replica->data);
	if (unlink(path) == 0) *restored = (struct ftsi_restored){0};
	return FTS_OK;
}

uint64_t ftsi_state_restored(const struct fts_replica *replica)
{
	return replica->keeper->restored.identity;
}

/* The members begin behind what they all hold, as if they had just taken a snapshot there. */
static enum fts_status bootstrap_behind(struct fts_replica *replica, const struct raft_configuration *configuration)
{
	const struct ftsi_restored *restored = &replica->keeper->restored;
	struct ftsi_mark mark = {.index = restored->index, .term = restored->term, .conf_index = restored->index};
	uint8_t *conf = NULL;
	enum fts_status status = ftsi_configuration_encode(configuration, &conf, &mark.conf.size_bytes);
	if (status != FTS_OK) return status;
	mark.conf.data = conf;
	status = ftsi_log_bootstrap_at(replica->log, &replica->identity, &mark);
	free(conf);
	if (status == FTS_OK)
		FTS_LOG_INFO("replica.restored", "node=%s snapshot=%016llx index=%llu", replica->name,
			     (unsigned long long)restored->identity, (unsigned long long)restored->index);
	return status;
}

enum fts_status ftsi_state_bootstrap(struct fts_replica *replica, const struct raft_configuration *configuration)
{
	struct raft_buffer encoded;
	enum fts_status status;
	if (replica->keeper->restored.identity != 0) return bootstrap_behind(replica, configuration);
	if (raft_configuration_encode(configuration, &encoded) != 0) return FTS_RESOURCE_EXHAUSTED;
	status = ftsi_log_bootstrap(replica->log, &replica->identity, &encoded);
	raft_free(encoded.base);
	return status;
}
