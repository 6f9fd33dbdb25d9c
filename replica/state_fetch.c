/* Why this file exists: the receiving side of a state: pieces go straight to files in DIR/incoming; when all are there
 * they are synced, become a generation of their own, and are opened and read, all by the state worker.
 *
 * Invariants
 * - One fetch at a time. A state with everything up to its applied index serves every snapshot up to that index: what
 *   is on its way is not thrown away because the leader changed or took another snapshot meanwhile.
 * - Pieces are taken in order; a gap is asked for again from its beginning.
 * - Nothing here touches what is in use: state_install.c does that, with what this file leaves in keeper->fetched. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/archive.h"
#include "base/assert.h"
#include "base/checksum.h"
#include "base/directory.h"
#include "base/log.h"
#include "replica/configuration.h"
#include "replica/message.h"
#include "replica/state_internal.h"

#define ASK_AGAIN_NS ((uint64_t)1000 * 1000000u)
#define GIVE_UP_NS ((uint64_t)20 * 1000000000u)
#define TELL_NS ((uint64_t)5 * 1000000000u)

static void incoming_path(const struct fts_replica *replica, char *out, size_t capacity_bytes)
{
	(void)snprintf(out, capacity_bytes, "%.3900s/incoming", replica->data);
}

/* ---- What the sender hears ---- */

static void ask(struct fts_replica *replica)
{
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__StateAsk request = FTS__REPLICA__V1__STATE_ASK__INIT;
	request.name = (ProtobufCBinaryData){strlen(fetch->name), (uint8_t *)fetch->name};
	request.file = fetch->file;
	request.offset = fetch->offset;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_ASK;
	message.state_ask = &request;
	(void)ftsi_state_tell(replica, fetch->from, &message);
	fetch->asked_ns = replica->now_ns;
}

static void tell_taken(struct fts_replica *replica, uint32_t file, uint64_t offset)
{
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__StateTaken taken = FTS__REPLICA__V1__STATE_TAKEN__INIT;
	taken.name = (ProtobufCBinaryData){strlen(fetch->name), (uint8_t *)fetch->name};
	taken.file = file;
	taken.offset = offset;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_TAKEN;
	message.state_taken = &taken;
	(void)ftsi_state_tell(replica, fetch->from, &message);
}

/* ---- Begin, end ---- */

static void begin(struct fts_replica *replica, uint64_t from, struct fts_bytes name)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_fetch *fetch = &keeper->fetch;
	ftsi_fetch_drop(replica);
	if (name.size_bytes >= sizeof fetch->name || fetch->job_count > 0) return;
	*fetch = (struct ftsi_fetch){.active = true, .from = from};
	if (name.size_bytes > 0) memcpy(fetch->name, name.data, name.size_bytes);
	fetch->heard_ns = fetch->begun_ns = fetch->told_ns = replica->now_ns;
	fetch->generation = keeper->next_generation++;
	atomic_store(&keeper->syncing, true);
	FTS_LOG_INFO("replica.fetch_begun", "node=%s from=%016llx copy=%s", replica->name, (unsigned long long)from,
		     fetch->name);
	ask(replica);
}

/* With jobs open, the file is theirs: the last one to end finds the fetch gone and closes it. */
static void close_file(struct ftsi_state *keeper)
{
	if (keeper->fetch.job_count > 0 || keeper->fetch_fd < 0) return;
	close(keeper->fetch_fd);
	keeper->fetch_fd = -1;
}

void ftsi_fetch_drop(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_fetch *fetch = &keeper->fetch;
	*fetch = (struct ftsi_fetch){.job_count = fetch->job_count, .asked_ns = fetch->asked_ns};
	close_file(keeper);
	atomic_store(&keeper->syncing, false);
}

static void fail(struct fts_replica *replica, const char *why)
{
	FTS_LOG_WARN("replica.fetch_failed", "node=%s detail=\"%s\"", replica->name, why);
	ftsi_fetch_drop(replica);
}

void ftsi_fetched_drop(struct ftsi_fetched *fetched)
{
	if (fetched->store != NULL) fts_store_discard(fetched->store);
	fts_store_close(fetched->store);
	ftsi_sessions_destroy(fetched->sessions);
	ftsi_event_log_destroy(fetched->events);
	*fetched = (struct ftsi_fetched){0};
}

/* ---- An offer of raft's ---- */

static bool keep_offer(struct ftsi_state *keeper, const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__InstallSnapshot *install = message->install_snapshot;
	uint8_t *conf;
	if (install->name.len >= sizeof keeper->offer.name || (conf = malloc(install->configuration.len + 1)) == NULL)
		return false;
	if (install->configuration.len > 0) memcpy(conf, install->configuration.data, install->configuration.len);
	free(keeper->offer.conf);
	keeper->offer = (struct ftsi_offer){.open = true,
					    .from = message->from,
					    .term = install->term,
					    .last_index = install->last_index,
					    .last_term = install->last_term,
					    .conf_index = install->configuration_index,
					    .conf = conf,
					    .conf_bytes = install->configuration.len};
	if (install->name.len > 0) memcpy(keeper->offer.name, install->name.data, install->name.len);
	return true;
}

/* Whoever sends has gone, or has said nothing for as long as a leader may be silent. */
static bool is_stuck(struct fts_replica *replica)
{
	const struct ftsi_fetch *fetch = &replica->keeper->fetch;
	const struct ftsi_member *sender = ftsi_member_by_id(replica, fetch->from);
	if (fetch->finishing) return false;
	return sender == NULL || !sender->connected ||
	       replica->now_ns - fetch->heard_ns > (uint64_t)replica->election_ms * 1000000;
}

/* What is here or on its way holds enough for the offer. */
static bool have_enough(struct fts_replica *replica, const struct ftsi_offer *offer)
{
	const struct ftsi_state *keeper = replica->keeper;
	const struct ftsi_fetch *fetch = &keeper->fetch;
	if (keeper->fetched.store != NULL) return keeper->fetched.applied.index >= offer->last_index;
	if (!fetch->active) return false;
	if (strcmp(fetch->name, offer->name) == 0) return true;
	if (fetch->from != offer->from && is_stuck(replica)) return false;
	return fetch->file_count > 0 && fetch->applied_index >= offer->last_index;
}

/* It has the entries already: raft answers so by itself. */
static bool is_needless(const struct fts_replica *replica, const struct ftsi_offer *offer)
{
	return !atomic_load(&replica->doubted) && offer->last_index <= replica->raft.commit_index;
}

void ftsi_fetch_follow(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_offer *offer = &keeper->offer;
	if (!offer->open || keeper->fetch.finishing) return; /* see ftsi_install_turn */
	if (have_enough(replica, offer) || is_needless(replica, offer)) return;
	ftsi_fetched_drop(&keeper->fetched);
	begin(replica, offer->from, (struct fts_bytes){(const uint8_t *)offer->name, strlen(offer->name)});
	offer->begun = keeper->fetch.active; /* not while pieces of another are being written */
}

void ftsi_fetch_offer(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__InstallSnapshot *install = message->install_snapshot;
	struct ftsi_state *keeper = replica->keeper;
	if (install->term < replica->raft.current_term || install->term > FTSI_TERM_MAX || keeper->installing) return;
	/* What is nearly there serves the offer it was fetched for, unless that is of a leader who leads no more. */
	if (keeper->fetch.finishing && keeper->offer.open && keeper->offer.term == install->term) return;
	if (keep_offer(keeper, message)) ftsi_fetch_follow(replica);
}

/* ---- A piece goes to disk: state worker ---- */

struct write_job {
	struct ftsi_job job; /* first */
	int *fd;             /* of the fetch; only one job runs at a time */
	char dir[FTSI_STATE_PATH_BYTES];
	char file_name[FTS_ARCHIVE_NAME_BYTES];
	uint64_t generation; /* of the fetch it belongs to */
	uint32_t file;
	uint64_t file_size, offset, checksum;
	uint64_t total_bytes;
	bool first;
	size_t size_bytes;
	uint8_t data[];
};

static bool write_whole(int fd, const uint8_t *data, size_t size_bytes, uint64_t offset)
{
	size_t done = 0;
	while (done < size_bytes) {
		ssize_t put = pwrite(fd, data + done, size_bytes - done, (off_t)(offset + done));
		if (put < 0 && errno == EINTR) continue;
		if (put <= 0) return false;
		done += (size_t)put;
	}
	return true;
}

static bool has_room(const char *dir, uint64_t size_bytes)
{
	struct statvfs about;
	if (statvfs(dir, &about) != 0) return false;
	uint64_t free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
	return free_bytes > FTSI_DISK_RESERVE_BYTES && free_bytes - FTSI_DISK_RESERVE_BYTES > size_bytes;
}

static enum fts_status begin_directory(const struct write_job *write)
{
	if (fts_directory_remove(write->dir) != 0 || mkdir(write->dir, 0700) != 0) return FTS_INTERNAL;
	return has_room(write->dir, write->total_bytes) ? FTS_OK : FTS_RESOURCE_EXHAUSTED;
}

static enum fts_status write_work(struct ftsi_job *job)
{
	struct write_job *write = (struct write_job *)(void *)job;
	char path[FTSI_STATE_PATH_BYTES + FTS_ARCHIVE_NAME_BYTES];
	enum fts_status status;
	if (fts_checksum((struct fts_bytes){write->data, write->size_bytes}, write->offset ^ write->file) !=
	    write->checksum)
		return FTS_DATA_LOSS;
	if (write->first && (status = begin_directory(write)) != FTS_OK) return status;
	if (*write->fd < 0) {
		(void)snprintf(path, sizeof path, "%s/%s", write->dir, write->file_name);
		*write->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	}
	if (*write->fd < 0 || !write_whole(*write->fd, write->data, write->size_bytes, write->offset))
		return errno == ENOSPC ? FTS_RESOURCE_EXHAUSTED : FTS_INTERNAL;
	if (write->offset + write->size_bytes < write->file_size) return FTS_OK;
	if (fsync(*write->fd) != 0) return FTS_INTERNAL;
	close(*write->fd);
	*write->fd = -1;
	return FTS_OK;
}

static void begin_finish(struct fts_replica *replica);

static void tell_progress(struct fts_replica *replica)
{
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	if (replica->now_ns - fetch->told_ns < TELL_NS) return;
	fetch->told_ns = replica->now_ns;
	FTS_LOG_INFO("replica.fetching", "node=%s bytes=%llu of=%llu", replica->name,
		     (unsigned long long)fetch->received_bytes, (unsigned long long)fetch->total_bytes);
}

static void write_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct write_job *write = (struct write_job *)(void *)job;
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	bool last = write->offset + write->size_bytes == write->file_size;
	bool current = fetch->active && fetch->generation == write->generation;
	fetch->job_count--;
	if (!current) {
		close_file(replica->keeper);
	} else if (status != FTS_OK) {
		fail(replica, status == FTS_DATA_LOSS            ? "a piece does not match its checksum"
			      : status == FTS_RESOURCE_EXHAUSTED ? "the disk has no room for another state"
								 : "a file can't be written");
	} else {
		tell_taken(replica, last ? write->file + 1 : write->file, last ? 0 : write->offset + write->size_bytes);
		tell_progress(replica);
		if (fetch->file == fetch->file_count && fetch->job_count == 0) begin_finish(replica);
	}
	free(write);
}

static bool is_sound(const struct ftsi_fetch *fetch, const Fts__Replica__V1__StateChunk *chunk)
{
	if (chunk->file_count == 0 || chunk->file_count > FTS_ARCHIVE_FILE_COUNT_MAX ||
	    chunk->file >= chunk->file_count)
		return false;
	if (chunk->file_size > chunk->total_bytes || chunk->offset > chunk->file_size ||
	    chunk->data.len > chunk->file_size - chunk->offset || chunk->data.len > FTSI_CHUNK_BYTES)
		return false;
	if (chunk->data.len == 0 && chunk->file_size > 0) return false;
	if (fetch->file_count > 0 && fetch->file_count != chunk->file_count) return false;
	if (chunk->offset > 0 && chunk->file_size != fetch->file_size) return false;
	return fts_archive_is_name(chunk->file_name, strlen(chunk->file_name));
}

/* Whose chunk it is. An ask for the newest learns its name from the first one. */
static bool is_ours(struct ftsi_fetch *fetch, uint64_t from, const Fts__Replica__V1__StateChunk *chunk)
{
	if (!fetch->active || fetch->finishing || from != fetch->from) return false;
	if (fetch->name[0] == 0 && chunk->name.len > 0 && chunk->name.len < sizeof fetch->name && chunk->file == 0 &&
	    chunk->offset == 0)
		memcpy(fetch->name, chunk->name.data, chunk->name.len);
	return strlen(fetch->name) == chunk->name.len && memcmp(fetch->name, chunk->name.data, chunk->name.len) == 0;
}

static struct write_job *make_write(struct fts_replica *replica, const Fts__Replica__V1__StateChunk *chunk)
{
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	struct write_job *write = calloc(1, sizeof *write + chunk->data.len);
	if (write == NULL) return NULL;
	incoming_path(replica, write->dir, sizeof write->dir);
	(void)snprintf(write->file_name, sizeof write->file_name, "%s", chunk->file_name);
	write->fd = &replica->keeper->fetch_fd;
	write->generation = fetch->generation;
	write->file = chunk->file;
	write->file_size = chunk->file_size;
	write->offset = chunk->offset;
	write->checksum = chunk->checksum;
	write->total_bytes = chunk->total_bytes;
	write->first = chunk->file == 0 && chunk->offset == 0;
	write->size_bytes = chunk->data.len;
	if (chunk->data.len > 0) memcpy(write->data, chunk->data.data, chunk->data.len);
	write->job.work = write_work;
	write->job.done = write_done;
	return write;
}

void ftsi_fetch_chunk(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateChunk *chunk)
{
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	struct write_job *write;
	if (!is_ours(fetch, from, chunk)) return;
	fetch->heard_ns = replica->now_ns;
	if (chunk->file != fetch->file || chunk->offset != fetch->offset) return; /* of an earlier ask */
	if (!is_sound(fetch, chunk)) {
		fail(replica, "a piece that can't be");
		return;
	}
	if ((write = make_write(replica, chunk)) == NULL) return; /* asked for again */
	fetch->file_count = chunk->file_count;
	fetch->file_size = chunk->file_size;
	fetch->applied_index = chunk->applied_index;
	fetch->total_bytes = chunk->total_bytes;
	fetch->received_bytes += chunk->data.len;
	fetch->offset += chunk->data.len;
	if (fetch->offset == chunk->file_size) {
		fetch->file++;
		fetch->offset = 0;
	}
	fetch->job_count++;
	ftsi_worker_submit(&replica->state_worker, &write->job);
}

void ftsi_fetch_gone(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateTaken *taken)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_fetch *fetch = &keeper->fetch;
	if (!fetch->active || fetch->finishing || from != fetch->from) return;
	if (strlen(fetch->name) != taken->name.len || memcmp(fetch->name, taken->name.data, taken->name.len) != 0)
		return;
	if (fetch->name[0] != 0 && keeper->offer.open && keeper->offer.from == from)
		begin(replica, from, (struct fts_bytes){NULL, 0}); /* it has a newer one, or makes it */
	else
		fail(replica, "the sender has this copy no more");
}

/* ---- All files are here: state worker ---- */

struct finish_job {
	struct ftsi_job job;         /* first */
	struct fts_replica *replica; /* options and names only */
	char incoming[FTSI_STATE_PATH_BYTES], place[FTSI_STATE_PATH_BYTES], data[FTSI_STATE_PATH_BYTES];
	struct ftsi_fetched fetched;
	struct fts_error error;
};

static enum fts_status read_fetched(struct finish_job *finish)
{
	struct ftsi_fetched *fetched = &finish->fetched;
	struct fts_txn *view = NULL;
	enum fts_status status = fts_store_view(fetched->store, &view);
	if (status == FTS_OK) status = ftsi_applied_read(view, &fetched->applied);
	if (status == FTS_OK && !ftsi_state_is_of(finish->replica, fetched->applied.cluster_id))
		status = fts_error_set(&finish->error, FTS_FAILED_PRECONDITION, "it is of another cluster");
	if (status == FTS_OK && fetched->applied.format > finish->replica->format_max)
		status = fts_error_set(&finish->error, FTS_FAILED_PRECONDITION,
				       "it has format %u, and this is ftsd %s, which reads up to %u: start the newer "
				       "version here",
				       fetched->applied.format, finish->replica->version, finish->replica->format_max);
	fetched->sessions = ftsi_sessions_create();
	fetched->events = ftsi_event_log_create();
	if (fetched->sessions == NULL || fetched->events == NULL) status = FTS_RESOURCE_EXHAUSTED;
	if (status == FTS_OK) status = ftsi_sessions_load(fetched->sessions, view);
	if (status == FTS_OK) status = ftsi_event_log_load(fetched->events, view);
	fts_txn_abort(view);
	return status;
}

static enum fts_status finish_work(struct ftsi_job *job)
{
	struct finish_job *finish = (struct finish_job *)(void *)job;
	enum fts_status status;
	if (fts_directory_sync(finish->incoming) != 0 || rename(finish->incoming, finish->place) != 0 ||
	    fts_directory_sync(finish->data) != 0)
		return fts_error_set(&finish->error, FTS_INTERNAL, "its directory can't be put in place: %s",
				     strerror(errno));
	status = ftsi_state_open_at(finish->replica, finish->fetched.generation, false, &finish->fetched.store,
				    &finish->error);
	if (status == FTS_OK) status = read_fetched(finish);
	if (status != FTS_OK && finish->fetched.store == NULL) (void)fts_directory_remove(finish->place);
	return status;
}

static void finish_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct finish_job *finish = (struct finish_job *)(void *)job;
	struct ftsi_state *keeper = replica->keeper;
	bool wanted = keeper->fetch.active && keeper->fetch.generation == finish->fetched.generation;
	keeper->fetch.job_count--;
	if (status == FTS_OK && wanted) {
		FTS_LOG_INFO("replica.fetched", "node=%s index=%llu bytes=%llu ms=%llu", replica->name,
			     (unsigned long long)finish->fetched.applied.index,
			     (unsigned long long)keeper->fetch.total_bytes,
			     (unsigned long long)((replica->now_ns - keeper->fetch.begun_ns) / 1000000));
		keeper->fetched = finish->fetched;
		ftsi_fetch_drop(replica);
	} else {
		ftsi_fetched_drop(&finish->fetched);
		if (wanted)
			fail(replica, finish->error.detail[0] != 0 ? finish->error.detail : fts_status_name(status));
	}
	free(finish);
}

static void begin_finish(struct fts_replica *replica)
{
	struct ftsi_fetch *fetch = &replica->keeper->fetch;
	struct finish_job *finish = calloc(1, sizeof *finish);
	if (finish == NULL) {
		fail(replica, "no memory");
		return;
	}
	finish->replica = replica;
	incoming_path(replica, finish->incoming, sizeof finish->incoming);
	ftsi_state_path(replica, fetch->generation, finish->place);
	(void)snprintf(finish->data, sizeof finish->data, "%s", replica->data);
	finish->fetched.generation = fetch->generation;
	finish->job.work = finish_work;
	finish->job.done = finish_done;
	fetch->finishing = true;
	fetch->job_count++;
	ftsi_worker_submit(&replica->state_worker, &finish->job);
}

/* ---- Time ---- */

void ftsi_fetch_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_fetch *fetch = &keeper->fetch;
	uint64_t leader = ftsi_state_leader(replica);
	if (fetch->active && !fetch->finishing) {
		if (keeper->offer.from != fetch->from) ftsi_fetch_follow(replica);
		if (now_ns - fetch->heard_ns > GIVE_UP_NS)
			fail(replica, "the sender is silent");
		else if (now_ns - fetch->heard_ns > ASK_AGAIN_NS && now_ns - fetch->asked_ns > ASK_AGAIN_NS &&
			 fetch->job_count == 0)
			ask(replica);
		return;
	}
	/* A state that is doubted comes from the leader: a leader that differs hands over first. */
	if (!atomic_load(&replica->doubted) || fetch->active || fetch->job_count > 0 || keeper->installing ||
	    keeper->fetched.store != NULL || keeper->replay_next != 0 || leader == 0 ||
	    now_ns - fetch->asked_ns < ASK_AGAIN_NS)
		return;
	begin(replica, leader, (struct fts_bytes){NULL, 0});
}
