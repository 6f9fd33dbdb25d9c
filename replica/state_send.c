/* Why this file exists: the files of a copy on their way to members that lag, or whose state is doubted: read in pieces
 * by the state worker, never as a whole in memory.
 *
 * Invariants
 * - Of each stream at most FTSI_WINDOW_BYTES are on their way to the receiver's disk, one piece is being read, and
 *   nothing is read while the transport has as much waiting for that member: entries and heartbeats go before.
 * - The receiver says where to go on (StateAsk), so a broken connection costs what was on its way.
 * - A stream whose receiver is silent for STREAM_IDLE_NS ends. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/log.h"
#include "replica/configuration.h"
#include "replica/state_internal.h"

enum { MESSAGE_ROOM_BYTES = 512 };
#define STREAM_IDLE_NS ((uint64_t)15 * 1000000000u)
#define MOVING_NS ((uint64_t)3 * 1000000000u)
#define FRESH_NS ((uint64_t)5 * 1000000000u) /* of a copy that is asked for without a name */

/* ---- raft asks for a snapshot to send ---- */

int ftsi_state_get(struct fts_replica *replica, struct raft_io_snapshot_get *request, raft_io_snapshot_get_cb done)
{
	struct ftsi_state *keeper = replica->keeper;
	if (keeper->stopping || atomic_load(&replica->doubted)) return RAFT_NOTFOUND;
	for (unsigned i = 0; i < FTSI_GET_COUNT_MAX; i++) {
		if (keeper->gets[i].request != NULL) continue;
		keeper->gets[i] = (struct ftsi_get){request, done};
		return 0; /* answered in ftsi_send_turn: never inside the call */
	}
	return RAFT_BUSY;
}

static struct raft_snapshot *make_snapshot(const struct ftsi_mark *mark, const struct ftsi_copy *copy)
{
	struct raft_snapshot *snapshot = raft_calloc(1, sizeof *snapshot);
	struct raft_buffer *bufs = raft_malloc(sizeof *bufs);
	size_t size = strlen(copy->name);
	void *name = raft_malloc(size);
	if (snapshot == NULL || bufs == NULL || name == NULL ||
	    ftsi_configuration_decode(mark->conf, &snapshot->configuration) != FTS_OK) {
		raft_free(name);
		raft_free(bufs);
		raft_free(snapshot);
		return NULL;
	}
	memcpy(name, copy->name, size);
	*bufs = (struct raft_buffer){name, size};
	snapshot->index = mark->index;
	snapshot->term = mark->term;
	snapshot->configuration_index = mark->conf_index;
	snapshot->bufs = bufs;
	snapshot->n_bufs = 1;
	return snapshot;
}

/* Answer what raft asked, once a copy holds what its last snapshot names. */
static void answer_gets(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_mark mark;
	struct fts_value value = {0};
	const struct ftsi_copy *copy;
	if (keeper->gets[0].request == NULL) return;
	if (ftsi_log_read_mark(replica->log, &mark, &value) == FTS_OK &&
	    (copy = ftsi_copy_find(replica, mark.index, UINT64_MAX)) != NULL) {
		struct ftsi_get gets[FTSI_GET_COUNT_MAX];
		memcpy(gets, keeper->gets, sizeof gets);
		memset(keeper->gets, 0, sizeof keeper->gets);
		for (unsigned i = 0; i < FTSI_GET_COUNT_MAX && gets[i].request != NULL; i++) {
			struct raft_snapshot *snapshot = make_snapshot(&mark, copy);
			gets[i].done(gets[i].request, snapshot, snapshot == NULL ? RAFT_NOMEM : 0);
		}
	}
	fts_value_release(&value);
}

/* ---- Streams ---- */

static struct ftsi_stream *stream_of(struct ftsi_state *keeper, uint64_t to)
{
	for (unsigned i = 0; i < FTSI_STREAM_COUNT_MAX; i++)
		if (keeper->streams[i].to == to) return &keeper->streams[i];
	return NULL;
}

static void end_stream(struct ftsi_stream *stream)
{
	uint64_t epoch = stream->epoch;
	free(stream->held);
	/* A piece that is still being read finds no stream of its epoch. */
	*stream = (struct ftsi_stream){.epoch = epoch + 1};
}

static void refuse(struct fts_replica *replica, uint64_t to, ProtobufCBinaryData name)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__StateTaken taken = FTS__REPLICA__V1__STATE_TAKEN__INIT;
	if (name.len >= FTSI_COPY_NAME_BYTES) return;
	taken.name = name;
	taken.failed = true;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_TAKEN;
	message.state_taken = &taken;
	(void)ftsi_state_tell(replica, to, &message);
}

/* Put stream where the receiver wants it. False: there is no such place. */
static bool set_place(struct ftsi_stream *stream, uint32_t file, uint64_t offset)
{
	const struct ftsi_copy *copy = stream->copy;
	if (file > copy->file_count || (file == copy->file_count && offset > 0)) return false;
	if (file < copy->file_count && offset > copy->files[file].size_bytes) return false;
	stream->file = file;
	stream->offset = offset;
	stream->sent = stream->taken = file == copy->file_count ? copy->total_bytes : copy->files[file].start + offset;
	return true;
}

void ftsi_send_ask(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateAsk *ask)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_stream *stream = stream_of(keeper, from);
	struct ftsi_copy *copy = ftsi_copy_named(replica, (struct fts_bytes){ask->name.data, ask->name.len});
	if (stream == NULL) stream = stream_of(keeper, 0);
	if (stream == NULL || atomic_load(&replica->doubted) || (copy == NULL && ask->name.len > 0)) {
		refuse(replica, from, ask->name);
		return;
	}
	end_stream(stream);
	stream->to = from;
	stream->copy = copy;
	stream->heard_ns = replica->now_ns;
	if (copy == NULL) return; /* the newest there is: ftsi_send_turn looks for it */
	copy->used_ns = replica->now_ns;
	if (!set_place(stream, ask->file, ask->offset)) {
		end_stream(stream);
		refuse(replica, from, ask->name);
	}
}

void ftsi_send_taken(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateTaken *taken)
{
	struct ftsi_stream *stream = stream_of(replica->keeper, from);
	uint64_t at;
	if (stream == NULL || stream->copy == NULL ||
	    stream->copy != ftsi_copy_named(replica, (struct fts_bytes){taken->name.data, taken->name.len}))
		return;
	if (taken->file > stream->copy->file_count) return;
	at = taken->file == stream->copy->file_count ? stream->copy->total_bytes
						     : stream->copy->files[taken->file].start + taken->offset;
	if (at > stream->sent) return;
	if (at > stream->taken) stream->taken = at;
	stream->heard_ns = stream->copy->used_ns = replica->now_ns;
	if (taken->file == stream->copy->file_count) end_stream(stream); /* all of it is there */
}

/* ---- Reading a piece ---- */

struct piece {
	struct ftsi_job job;    /* first */
	struct ftsi_copy *copy; /* counted by reading_count */
	uint64_t to, epoch;
	char path[FTSI_STATE_PATH_BYTES + FTS_ARCHIVE_NAME_BYTES];
	Fts__Replica__V1__StateChunk chunk;
	uint64_t cluster_id, from;
	char file_name[FTS_ARCHIVE_NAME_BYTES];
	char copy_name[FTSI_COPY_NAME_BYTES];
	uint8_t *packed; /* owned */
	size_t packed_bytes, data_bytes;
	uint8_t data[FTSI_CHUNK_BYTES];
};

static bool read_whole(const char *path, uint64_t offset, uint8_t *data, size_t size_bytes)
{
	size_t done = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	while (done < size_bytes) {
		ssize_t got = pread(fd, data + done, size_bytes - done, (off_t)(offset + done));
		if (got <= 0) break;
		done += (size_t)got;
	}
	close(fd);
	return done == size_bytes;
}

static enum fts_status piece_work(struct ftsi_job *job)
{
	struct piece *piece = (struct piece *)(void *)job;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	if (!read_whole(piece->path, piece->chunk.offset, piece->data, piece->data_bytes)) return FTS_INTERNAL;
	piece->chunk.data = (ProtobufCBinaryData){piece->data_bytes, piece->data};
	piece->chunk.checksum =
	    fts_checksum((struct fts_bytes){piece->data, piece->data_bytes}, piece->chunk.offset ^ piece->chunk.file);
	message.cluster_id = piece->cluster_id;
	message.from = piece->from;
	message.to = piece->to;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_CHUNK;
	message.state_chunk = &piece->chunk;
	piece->packed = malloc(piece->data_bytes + MESSAGE_ROOM_BYTES);
	if (piece->packed == NULL) return FTS_RESOURCE_EXHAUSTED;
	FTS_ASSERT(fts__replica__v1__peer_message__get_packed_size(&message) <= piece->data_bytes + MESSAGE_ROOM_BYTES);
	piece->packed_bytes = fts__replica__v1__peer_message__pack(&message, piece->packed);
	return FTS_OK;
}

static void piece_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct piece *piece = (struct piece *)(void *)job;
	struct ftsi_stream *stream = stream_of(replica->keeper, piece->to);
	piece->copy->reading_count--;
	if (stream != NULL && stream->epoch == piece->epoch) {
		stream->reading = false;
		if (status == FTS_OK) {
			stream->held = piece->packed;
			stream->held_bytes = piece->packed_bytes;
			stream->held_data_bytes = piece->data_bytes;
			piece->packed = NULL;
		} else {
			FTS_LOG_WARN("replica.copy_unreadable", "node=%s file=%s status=%s", replica->name,
				     piece->file_name, fts_status_name(status));
			refuse(replica, piece->to, piece->chunk.name);
			end_stream(stream);
		}
	}
	free(piece->packed);
	free(piece);
}

static void describe_piece(const struct fts_replica *replica, const struct ftsi_stream *stream, struct piece *piece)
{
	const struct ftsi_copy *copy = stream->copy;
	const struct fts_archive_file *file = &copy->files[stream->file];
	uint64_t left = file->size_bytes - stream->offset;
	fts__replica__v1__state_chunk__init(&piece->chunk);
	memcpy(piece->file_name, file->name, sizeof piece->file_name);
	memcpy(piece->copy_name, copy->name, sizeof piece->copy_name);
	(void)snprintf(piece->path, sizeof piece->path, "%s/%s", copy->dir, file->name);
	piece->chunk.name = (ProtobufCBinaryData){strlen(piece->copy_name), (uint8_t *)piece->copy_name};
	piece->chunk.file = stream->file;
	piece->chunk.file_count = copy->file_count;
	piece->chunk.file_name = piece->file_name;
	piece->chunk.file_size = file->size_bytes;
	piece->chunk.offset = stream->offset;
	piece->chunk.applied_index = copy->applied_index;
	piece->chunk.total_bytes = copy->total_bytes;
	piece->cluster_id = replica->identity.cluster_id;
	piece->from = replica->identity.node_id;
	piece->to = stream->to;
	piece->epoch = stream->epoch;
	piece->data_bytes = left > FTSI_CHUNK_BYTES ? FTSI_CHUNK_BYTES : (size_t)left;
}

static void begin_piece(struct fts_replica *replica, struct ftsi_stream *stream)
{
	struct piece *piece = malloc(sizeof *piece);
	if (piece == NULL) return; /* tried again at the next turn */
	memset(piece, 0, offsetof(struct piece, data));
	describe_piece(replica, stream, piece);
	piece->copy = stream->copy;
	piece->copy->reading_count++;
	piece->job.work = piece_work;
	piece->job.done = piece_done;
	stream->reading = true;
	ftsi_worker_submit(&replica->state_worker, &piece->job);
}

/* ---- Moving on ---- */

/* True: what was held has left. */
static bool send_held(struct fts_replica *replica, struct ftsi_stream *stream)
{
	const struct fts_archive_file *file = &stream->copy->files[stream->file];
	if (stream->held == NULL) return true;
	if (!ftsi_state_tell_packed(replica, stream->to, (struct fts_bytes){stream->held, stream->held_bytes}))
		return false;
	free(stream->held);
	stream->held = NULL;
	stream->sent += stream->held_data_bytes;
	stream->offset += stream->held_data_bytes;
	if (stream->offset == file->size_bytes) {
		stream->file++;
		stream->offset = 0;
	}
	return true;
}

static void go_on(struct fts_replica *replica, struct ftsi_stream *stream)
{
	if (stream->copy == NULL) {
		stream->copy = ftsi_copy_find(replica, 0, FRESH_NS);
		if (stream->copy == NULL || !set_place(stream, 0, 0)) return;
	}
	if (!send_held(replica, stream) || stream->reading || stream->file == stream->copy->file_count) return;
	if (stream->sent - stream->taken + FTSI_CHUNK_BYTES > FTSI_WINDOW_BYTES) return;
	if (ftsi_state_backlog_bytes(replica, stream->to) > FTSI_WINDOW_BYTES) return;
	begin_piece(replica, stream);
}

void ftsi_send_turn(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	answer_gets(replica);
	for (unsigned i = 0; i < FTSI_STREAM_COUNT_MAX; i++)
		if (keeper->streams[i].to != 0) go_on(replica, &keeper->streams[i]);
}

void ftsi_send_tick(struct fts_replica *replica, uint64_t now_ns)
{
	for (unsigned i = 0; i < FTSI_STREAM_COUNT_MAX; i++) {
		struct ftsi_stream *stream = &replica->keeper->streams[i];
		if (stream->to == 0 || now_ns - stream->heard_ns < STREAM_IDLE_NS) continue;
		FTS_LOG_INFO("replica.stream_ended", "node=%s to=%016llx", replica->name,
			     (unsigned long long)stream->to);
		end_stream(stream);
	}
}

bool ftsi_send_is_moving(const struct fts_replica *replica, uint64_t now_ns)
{
	for (unsigned i = 0; i < FTSI_STREAM_COUNT_MAX; i++) {
		const struct ftsi_stream *stream = &replica->keeper->streams[i];
		if (stream->to != 0 && now_ns - stream->heard_ns < MOVING_NS) return true;
	}
	return false;
}

void ftsi_send_drop(struct fts_replica *replica)
{
	for (unsigned i = 0; i < FTSI_STREAM_COUNT_MAX; i++)
		end_stream(&replica->keeper->streams[i]);
}
