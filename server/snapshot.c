/* Why this file exists: see server/snapshot.h. */
#include "server/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/archive.h"
#include "base/clock.h"
#include "base/directory.h"
#include "base/log.h"

enum {
	SNAPSHOT_COUNT_MAX = 4,
	SNAPSHOT_IDLE_S = 60,
	CATCH_UP_MS = 10000,
	SNAPSHOT_TAKEN_MS = 2000, /* idle for so long, it may make room for another */
	RETRY_MS = 500,
	PIECE_BYTES = 1024 * 1024,
	NAME_BYTES = 192,
	PATH_BYTES = 4096,
};

struct snapshot {
	char name[NAME_BYTES]; /* "ADDRESS/NUMBER"; "": the place is free */
	char dir[PATH_BYTES];
	struct fts_archive archive;
	uint8_t *header;        /* owned */
	uint32_t reading_count; /* calls that look at it now */
	uint64_t used_ns;
	bool read; /* to its end: it goes as soon as nobody looks at it */
};

struct ftsi_snapshots {
	struct ftsi_snapshots_options options;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct snapshot each[SNAPSHOT_COUNT_MAX]; /* guarded by lock; what it points to, by reading_count */
	uint64_t counter;                         /* guarded by lock */
	bool stopping, sweeping;                  /* guarded by lock; sweeping: the thread runs */
	pthread_t sweeper;
};

/* ---- Copies that nobody reads ---- */

static void drop(struct snapshot *snapshot)
{
	if (snapshot->dir[0] != 0 && fts_directory_remove(snapshot->dir) != 0)
		FTS_LOG_WARN("snapshot.leftover", "dir=%s errno=%d", snapshot->dir, errno);
	fts_archive_fini(&snapshot->archive);
	free(snapshot->header);
	*snapshot = (struct snapshot){0};
}

/* How many are left. */
static unsigned drop_idle(struct ftsi_snapshots *snapshots, uint64_t now_ns)
{
	unsigned left = 0;
	for (unsigned i = 0; i < SNAPSHOT_COUNT_MAX; i++) {
		struct snapshot *snapshot = &snapshots->each[i];
		if (snapshot->name[0] == 0) continue;
		if (snapshot->reading_count == 0 && now_ns - snapshot->used_ns >= SNAPSHOT_IDLE_S * 1000000000ull)
			drop(snapshot);
		else
			left++;
	}
	return left;
}

/* Lives as long as there are copies: an idle node has no such thread. */
static void *sweep(void *data)
{
	struct ftsi_snapshots *snapshots = data;
	pthread_mutex_lock(&snapshots->lock);
	while (!snapshots->stopping && drop_idle(snapshots, fts_clock_monotonic_ns()) > 0) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += 5;
		(void)pthread_cond_timedwait(&snapshots->wake, &snapshots->lock, &until);
	}
	if (!snapshots->stopping) {
		snapshots->sweeping = false;
		pthread_detach(pthread_self());
	}
	pthread_mutex_unlock(&snapshots->lock);
	return NULL;
}

/* ---- Making one ---- */

static enum fts_status make_in(struct ftsi_snapshots *snapshots, struct snapshot *made, struct fts_error *out_error)
{
	struct fts_replica_status now;
	enum fts_status status;
	uint64_t index = 0;
	fts_replica_status(snapshots->options.replica, &now);
	status = fts_replica_copy_state(snapshots->options.replica, made->dir, &index, out_error);
	if (status != FTS_OK) return status;
	if ((status = fts_archive_scan(&made->archive, made->dir)) != FTS_OK)
		return fts_error_set(out_error, status, "the copy of the state can't be read");
	made->archive.cluster_id = now.cluster_id;
	made->archive.index = index;
	made->archive.term = now.term;
	made->archive.time_ms = fts_clock_wall_ms();
	made->archive.format = fts_replica_format(snapshots->options.replica);
	(void)snprintf(made->archive.node, sizeof made->archive.node, "%s", snapshots->options.name);
	status = fts_archive_encode(&made->archive, &made->header);
	return status == FTS_OK ? FTS_OK : fts_error_set(out_error, status, "the copy of the state has too many files");
}

static struct snapshot *free_place(struct ftsi_snapshots *snapshots)
{
	struct snapshot *oldest = NULL;
	(void)drop_idle(snapshots, fts_clock_monotonic_ns());
	for (unsigned i = 0; i < SNAPSHOT_COUNT_MAX; i++) {
		struct snapshot *snapshot = &snapshots->each[i];
		if (snapshot->name[0] == 0) return snapshot;
		if (snapshot->reading_count == 0 && (oldest == NULL || snapshot->used_ns < oldest->used_ns))
			oldest = snapshot;
	}
	return oldest != NULL && fts_clock_monotonic_ns() - oldest->used_ns > SNAPSHOT_TAKEN_MS * 1000000ull ? oldest
													     : NULL;
}

static void begin_sweeping(struct ftsi_snapshots *snapshots)
{
	if (snapshots->sweeping || snapshots->stopping) return;
	snapshots->sweeping = pthread_create(&snapshots->sweeper, NULL, sweep, snapshots) == 0;
	if (snapshots->sweeping) pthread_setname_np(snapshots->sweeper, "fts-snapshots");
}

/* Returns it, held by reading_count. NULL: *out_error says why. */
static struct snapshot *make(struct ftsi_snapshots *snapshots, struct fts_error *out_error)
{
	char outgoing[PATH_BYTES - NAME_BYTES];
	struct snapshot made = {0}, *place;
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	(void)snprintf(outgoing, sizeof outgoing, "%s/outgoing", snapshots->options.data);
	if (mkdir(outgoing, 0700) != 0 && errno != EEXIST) {
		(void)fts_error_set(out_error, FTS_INTERNAL, "%s can't be made: %s", outgoing, strerror(errno));
		return NULL;
	}
	pthread_mutex_lock(&snapshots->lock);
	place = snapshots->stopping ? NULL : free_place(snapshots);
	if (place == NULL) {
		(void)fts_error_set(out_error, status, "too many snapshots are being saved from this node: try again");
		out_error->retry_after_ms = RETRY_MS;
	} else {
		drop(place);
		(void)snprintf(made.name, sizeof made.name, "%s/%" PRIu64, snapshots->options.address,
			       ++snapshots->counter);
		(void)snprintf(made.dir, sizeof made.dir, "%s/save-%" PRIu64, outgoing, snapshots->counter);
		/* Under the lock: others wait meanwhile, as they would for the disk. */
		if ((status = make_in(snapshots, &made, out_error)) == FTS_OK) {
			made.reading_count = 1;
			*place = made;
			begin_sweeping(snapshots);
		} else {
			drop(&made);
		}
	}
	pthread_mutex_unlock(&snapshots->lock);
	return status == FTS_OK ? place : NULL;
}

/* ---- Reading ---- */

static bool read_at(const char *dir, const char *name, uint64_t offset, uint8_t *data, size_t size_bytes)
{
	char path[PATH_BYTES + FTS_ARCHIVE_NAME_BYTES];
	size_t done = 0;
	int fd;
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	while (done < size_bytes) {
		ssize_t got = pread(fd, data + done, size_bytes - done, (off_t)(offset + done));
		if (got <= 0) break;
		done += (size_t)got;
	}
	close(fd);
	return done == size_bytes;
}

/* A block with its checksum into block_data. */
static bool read_block(const struct snapshot *snapshot, const struct fts_archive_block *block, uint8_t *block_data)
{
	const struct fts_archive_file *file = &snapshot->archive.files[block->file];
	if (!read_at(snapshot->dir, file->name, block->offset, block_data, block->size_bytes)) return false;
	fts_archive_sum(&snapshot->archive, block, block_data, block_data + block->size_bytes);
	return true;
}

static size_t smaller(uint64_t a, uint64_t b)
{
	return (size_t)(a < b ? a : b);
}

/* What the one file has at offset, up to PIECE_BYTES, into out. Returns how much; -1: a file can't be read. */
static ssize_t read_piece(const struct snapshot *snapshot, uint64_t offset, uint8_t *out, uint8_t *block_data)
{
	const struct fts_archive *archive = &snapshot->archive;
	struct fts_archive_block block;
	size_t done = 0;
	bool more;
	if (offset < archive->header_bytes) {
		done = smaller(archive->header_bytes - offset, PIECE_BYTES);
		memcpy(out, snapshot->header + offset, done);
	}
	more = offset + done >= archive->header_bytes && fts_archive_find(archive, offset + done, &block);
	while (more && done < PIECE_BYTES) {
		uint64_t skip = offset + done - block.at;
		size_t size = smaller(block.size_bytes + FTS_ARCHIVE_SUM_BYTES - skip, PIECE_BYTES - done);
		if (!read_block(snapshot, &block, block_data)) return -1;
		memcpy(out + done, block_data + skip, size);
		done += size;
		more = fts_archive_next(archive, &block);
	}
	return (ssize_t)done;
}

/* Returns true when the end was read. */
static bool answer(const struct snapshot *snapshot, struct fts_call *call, uint64_t offset)
{
	Fts__Cluster__V1__SnapshotReadResponse response = FTS__CLUSTER__V1__SNAPSHOT_READ_RESPONSE__INIT;
	uint8_t *data = malloc(PIECE_BYTES), *block_data = malloc(FTS_ARCHIVE_BLOCK_BYTES + FTS_ARCHIVE_SUM_BYTES);
	ssize_t size = data == NULL || block_data == NULL ? -1 : read_piece(snapshot, offset, data, block_data);
	if (size < 0) {
		fts_call_fail(call, FTS_INTERNAL, "the copy of the state can't be read");
	} else {
		response.name = (char *)snapshot->name;
		response.total_bytes = snapshot->archive.total_bytes;
		response.index = snapshot->archive.index;
		response.data = (ProtobufCBinaryData){(size_t)size, data};
		fts_cluster_snapshot_read_reply(call, &response);
	}
	free(block_data);
	free(data);
	return size >= 0 && offset + (uint64_t)size == snapshot->archive.total_bytes;
}

/* Returns it, held by reading_count. NULL: not here. */
static struct snapshot *find(struct ftsi_snapshots *snapshots, const char *name)
{
	struct snapshot *found = NULL;
	pthread_mutex_lock(&snapshots->lock);
	for (unsigned i = 0; i < SNAPSHOT_COUNT_MAX; i++)
		if (strcmp(snapshots->each[i].name, name) == 0) found = &snapshots->each[i];
	if (found != NULL) found->reading_count++;
	pthread_mutex_unlock(&snapshots->lock);
	return found;
}

static void give_back(struct ftsi_snapshots *snapshots, struct snapshot *snapshot, bool read)
{
	pthread_mutex_lock(&snapshots->lock);
	snapshot->reading_count--;
	snapshot->used_ns = fts_clock_monotonic_ns();
	snapshot->read = snapshot->read || read;
	if (snapshot->read && snapshot->reading_count == 0) drop(snapshot);
	pthread_mutex_unlock(&snapshots->lock);
}

/* Another node holds it: the caller is sent there. */
static void send_on(struct ftsi_snapshots *snapshots, struct fts_call *call, const char *name)
{
	const char *slash = strchr(name, '/');
	char address[NAME_BYTES];
	size_t size = slash == NULL ? 0 : (size_t)(slash - name);
	if (size > 0 && size < sizeof address) {
		memcpy(address, name, size);
		address[size] = 0;
		if (strcmp(address, snapshots->options.address) != 0) {
			fts_call_set_leader(call, address);
			fts_call_fail(call, FTS_UNAVAILABLE, "that copy lies on the node at %s", address);
			return;
		}
	}
	fts_call_fail(call, FTS_NOT_FOUND,
		      "this copy is gone: it was not read from for a minute, or the node started anew");
}

void ftsi_snapshots_read(struct ftsi_snapshots *snapshots, struct fts_call *call,
			 const Fts__Cluster__V1__SnapshotReadRequest *request)
{
	struct fts_error error = {0};
	bool fresh = request->name[0] == 0;
	struct snapshot *snapshot;

	/* What was acknowledged before the call is inside. */
	if (fresh && !fts_call_stale(call) &&
	    fts_replica_catch_up(snapshots->options.replica, CATCH_UP_MS, &error) != FTS_OK) {
		error.executed = FTS_EXECUTED_NO;
		fts_call_fail_error(call, &error);
		return;
	}
	snapshot = fresh ? make(snapshots, &error) : find(snapshots, request->name);
	if (snapshot == NULL && fresh) {
		error.executed = FTS_EXECUTED_NO;
		fts_call_fail_error(call, &error);
	} else if (snapshot == NULL) {
		send_on(snapshots, call, request->name);
	} else {
		give_back(snapshots, snapshot, answer(snapshot, call, request->offset));
	}
}

/* ---- Life ---- */

struct ftsi_snapshots *ftsi_snapshots_create(const struct ftsi_snapshots_options *options)
{
	pthread_condattr_t attributes;
	struct ftsi_snapshots *snapshots = calloc(1, sizeof *snapshots);
	if (snapshots == NULL) return NULL;
	snapshots->options = *options;
	pthread_mutex_init(&snapshots->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&snapshots->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return snapshots;
}

void ftsi_snapshots_destroy(struct ftsi_snapshots *snapshots)
{
	bool running;
	if (snapshots == NULL) return;
	pthread_mutex_lock(&snapshots->lock);
	snapshots->stopping = true;
	running = snapshots->sweeping;
	pthread_cond_signal(&snapshots->wake);
	pthread_mutex_unlock(&snapshots->lock);
	if (running) (void)pthread_join(snapshots->sweeper, NULL);
	for (unsigned i = 0; i < SNAPSHOT_COUNT_MAX; i++)
		if (snapshots->each[i].name[0] != 0) drop(&snapshots->each[i]);
	pthread_cond_destroy(&snapshots->wake);
	pthread_mutex_destroy(&snapshots->lock);
	free(snapshots);
}
