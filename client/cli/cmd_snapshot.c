/* Why this file exists: `snapshot save`, `verify` and `restore`: a copy of the whole state as one file, and back.
 *
 * Invariants: FILE is either what it was or a whole snapshot that was verified: pieces go to FILE.part (whole_file.h).
 * `restore` writes into an empty directory only, and DIR/restored, which makes it a node's directory,
 * last. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fts/cluster/v1/cluster.fts.h>

#include "base/directory.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/session.h"
#include "client/cli/snapshot_file.h"
#include "client/cli/whole_file.h"

#define PATH_BYTES_MAX 4096u
#define NAME_BYTES_MAX 256u
#define CALL_TIMEOUT_MS 60000u /* unless the user says otherwise: the first answer waits for the copy */
#define TRY_COUNT 3

/* ---- What all three say ---- */

static void print_about(const struct ftsi_cli *cli, const char *file, const struct fts_archive *archive,
			const char *behind)
{
	char cluster[17], identity[17], when[32] = "";
	time_t seconds = (time_t)(archive->time_ms / 1000);
	struct tm parts;

	snprintf(cluster, sizeof(cluster), "%016" PRIx64, archive->cluster_id);
	snprintf(identity, sizeof(identity), "%016" PRIx64, archive->identity);
	if (gmtime_r(&seconds, &parts)) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:o,s:s,s:s,s:I,s:I,s:s,s:s,s:I,s:I}", "file", ftsi_text_json(file),
					  "snapshot", identity, "cluster", cluster, "index", (json_int_t)archive->index,
					  "term", (json_int_t)archive->term, "time", when, "node", archive->node,
					  "files", (json_int_t)archive->file_count, "bytes",
					  (json_int_t)archive->total_bytes));
	else
		printf("%s: snapshot %s of cluster %s up to index %" PRIu64 ", made %s by %s, %u files, %" PRIu64
		       " bytes%s\n",
		       file, identity, cluster, archive->index, when, archive->node, archive->file_count,
		       archive->total_bytes, behind);
}

/* What is wrong with a file is a clear "no". */
static enum ftsi_exit fail_file(const struct ftsi_cli *cli, const struct fts_error *error)
{
	enum ftsi_exit code = ftsi_fail(cli, error);
	return code == FTSI_EXIT_USAGE ? code : FTSI_EXIT_NO;
}

/* ---- save ---- */

struct save {
	struct ftsi_cli *cli;
	const char *path;
	struct ftsi_whole_file file;
	char name[NAME_BYTES_MAX]; /* of the copy on its node; "": none yet */
	uint64_t offset, total_bytes;
	struct ftsi_progress progress;
};

static enum fts_status write_error(const struct save *save, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_INTERNAL, "%s can't be written: %s", save->file.fresh_path,
			     strerror(errno));
}

static enum fts_status fetch_piece(struct save *save, Fts__Cluster__V1__SnapshotReadResponse **out_piece,
				   struct fts_error *out_error)
{
	Fts__Cluster__V1__SnapshotReadRequest request = FTS__CLUSTER__V1__SNAPSHOT_READ_REQUEST__INIT;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(save->cli, &info);

	if (!ftsi_global_of(save->cli, FTSI_GLOBAL_TIMEOUT)->given) options.timeout_ms = CALL_TIMEOUT_MS;
	options.stale = ftsi_value_of(save->cli, "stale")->given;
	request.name = save->name;
	request.offset = save->offset;
	enum fts_status st = fts_cluster_snapshot_read(save->cli->channel, &request, &options, out_piece, out_error);
	ftsi_explain(save->cli, "Cluster/SnapshotRead", &info);
	return st;
}

static enum fts_status take_piece(struct save *save, const Fts__Cluster__V1__SnapshotReadResponse *piece,
				  struct fts_error *out_error)
{
	if (piece->data.len == 0 || strlen(piece->name) >= sizeof(save->name) ||
	    piece->data.len > piece->total_bytes - save->offset)
		return fts_error_set(out_error, FTS_INTERNAL, "the server's snapshot ends before its end");
	if (fwrite(piece->data.data, 1, piece->data.len, save->file.out) != piece->data.len)
		return write_error(save, out_error);
	memcpy(save->name, piece->name, strlen(piece->name) + 1);
	save->total_bytes = piece->total_bytes;
	save->offset += piece->data.len;
	ftsi_progress_show_bytes(&save->progress, save->offset, save->total_bytes);
	return FTS_OK;
}

static enum fts_status fetch_all(struct save *save, struct fts_error *out_error)
{
	enum fts_status st = FTS_OK;

	save->name[0] = '\0';
	save->offset = save->total_bytes = 0;
	if (fseek(save->file.out, 0, SEEK_SET) != 0 || ftruncate(fileno(save->file.out), 0) != 0)
		return write_error(save, out_error);
	do {
		Fts__Cluster__V1__SnapshotReadResponse *piece = NULL;
		st = fetch_piece(save, &piece, out_error);
		if (st != FTS_OK) return st;
		st = take_piece(save, piece, out_error);
		fts__cluster__v1__snapshot_read_response__free_unpacked(piece, NULL);
	} while (st == FTS_OK && save->offset < save->total_bytes);
	if (st == FTS_OK && (fflush(save->file.out) != 0 || fsync(fileno(save->file.out)) != 0))
		st = write_error(save, out_error);
	return st;
}

/* A copy lives on one node: when that goes, another one is begun elsewhere. */
static enum fts_status fetch(struct save *save, struct fts_error *out_error)
{
	enum fts_status st = FTS_UNAVAILABLE;

	for (int i = 0; i < TRY_COUNT; i++) {
		st = fetch_all(save, out_error);
		if (save->name[0] == '\0' || (st != FTS_UNAVAILABLE && st != FTS_NOT_FOUND)) break;
		ftsi_progress_clear(&save->progress);
		ftsi_note("the node that was read from is gone (%s): from the beginning", out_error->detail);
	}
	ftsi_progress_clear(&save->progress);
	return st;
}

static enum fts_status put_in_place(struct save *save, struct fts_archive *out_archive, struct fts_error *out_error)
{
	struct ftsi_snapshot_file file;
	enum fts_status st = ftsi_snapshot_open(save->file.fresh_path, &file, out_error);

	if (st == FTS_OK) st = ftsi_snapshot_walk(&file, NULL, NULL, out_error);
	if (st == FTS_OK) {
		*out_archive = file.archive;
		file.archive = (struct fts_archive){0};
	}
	ftsi_snapshot_close(&file);
	return st == FTS_OK ? ftsi_whole_file_commit(&save->file, out_error) : st;
}

enum ftsi_exit ftsi_run_snapshot_save(struct ftsi_cli *cli)
{
	struct save save = {.cli = cli, .path = cli->args.positionals[0]};
	struct fts_archive archive = {0};
	struct fts_error error = {0};

	if (ftsi_whole_file_open(&save.file, save.path, ".part", &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	ftsi_progress_start(&save.progress);
	enum fts_status st = fetch(&save, &error);
	if (st == FTS_OK) st = put_in_place(&save, &archive, &error);
	ftsi_whole_file_abandon(&save.file);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_about(cli, save.path, &archive, "");
	fts_archive_fini(&archive);
	return FTSI_EXIT_DONE;
}

/* ---- verify ---- */

enum ftsi_exit ftsi_run_snapshot_verify(struct ftsi_cli *cli)
{
	struct ftsi_snapshot_file file;
	struct fts_error error = {0};
	enum fts_status st = ftsi_snapshot_open(cli->args.positionals[0], &file, &error);

	if (st == FTS_OK) st = ftsi_snapshot_walk(&file, NULL, NULL, &error);
	if (st == FTS_OK) print_about(cli, file.path, &file.archive, ": whole");
	ftsi_snapshot_close(&file);
	return st == FTS_OK ? FTSI_EXIT_DONE : fail_file(cli, &error);
}

/* ---- restore ---- */

struct restore {
	const char *dir;
	char state_dir[PATH_BYTES_MAX];
	bool made_dir;
	int fd; /* of the file being written; -1: none */
	struct ftsi_progress progress;
};

static enum fts_status restore_error(const struct restore *restore, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_INTERNAL, "%s can't be written: %s", restore->dir, strerror(errno));
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	bool empty = dir != NULL;

	if (!dir) return false;
	for (struct dirent *entry = readdir(dir); entry && empty; entry = readdir(dir))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			strcmp(entry->d_name, "lost+found") == 0;
	closedir(dir);
	return empty;
}

static enum fts_status make_dirs(struct restore *restore, struct fts_error *out_error)
{
	int length = snprintf(restore->state_dir, sizeof(restore->state_dir), "%s/state", restore->dir);

	if (length < 0 || (size_t)length >= sizeof(restore->state_dir) - FTS_ARCHIVE_NAME_BYTES - 1)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--data: the path is too long");
	restore->made_dir = mkdir(restore->dir, 0750) == 0;
	if (!restore->made_dir && errno != EEXIST) return restore_error(restore, out_error);
	if (!restore->made_dir && !is_empty(restore->dir))
		return fts_error_set(
		    out_error, FTS_FAILED_PRECONDITION,
		    "%s is not empty: a snapshot becomes a new node's directory, never part of another", restore->dir);
	return mkdir(restore->state_dir, 0700) == 0 ? FTS_OK : restore_error(restore, out_error);
}

static bool write_whole(int fd, const uint8_t *data, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t put = write(fd, data, size_bytes);
		if (put < 0 && errno == EINTR) continue;
		if (put <= 0) return false;
		data += put;
		size_bytes -= (size_t)put;
	}
	return true;
}

static bool make_file(const char *dir, const char *name, int *out_fd)
{
	char path[PATH_BYTES_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	*out_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return *out_fd >= 0;
}

static bool close_file(int *fd)
{
	bool synced = *fd < 0 || fsync(*fd) == 0;

	if (*fd >= 0) close(*fd);
	*fd = -1;
	return synced;
}

static enum fts_status write_block(void *ctx, const struct ftsi_snapshot_file *file,
				   const struct fts_archive_block *block, const uint8_t *data,
				   struct fts_error *out_error)
{
	struct restore *restore = ctx;
	const struct fts_archive_file *about = &file->archive.files[block->file];

	if (block->offset == 0 &&
	    (!close_file(&restore->fd) || !make_file(restore->state_dir, about->name, &restore->fd)))
		return restore_error(restore, out_error);
	if (!write_whole(restore->fd, data, block->size_bytes)) return restore_error(restore, out_error);
	ftsi_progress_show_bytes(&restore->progress, block->at, file->archive.total_bytes);
	return FTS_OK;
}

/* Files without a byte have no block. */
static bool make_empty_files(const struct restore *restore, const struct fts_archive *archive)
{
	for (uint32_t i = 0; i < archive->file_count; i++) {
		int fd = -1;
		if (archive->files[i].size_bytes > 0) continue;
		if (!make_file(restore->state_dir, archive->files[i].name, &fd) || !close_file(&fd)) return false;
	}
	return true;
}

static enum fts_status write_origin(struct restore *restore, const struct fts_archive *archive,
				    struct fts_error *out_error)
{
	const struct fts_archive_origin origin = {archive->identity, archive->cluster_id, archive->index,
						  archive->term};
	uint8_t bytes[FTS_ARCHIVE_ORIGIN_BYTES];
	int fd = -1;

	fts_archive_origin_encode(&origin, bytes);
	if (fts_directory_sync(restore->state_dir) != 0 || !make_file(restore->dir, FTS_ARCHIVE_ORIGIN_NAME, &fd))
		return restore_error(restore, out_error);
	bool written = write_whole(fd, bytes, sizeof(bytes));
	if (!close_file(&fd) || !written || fts_directory_sync(restore->dir) != 0)
		return restore_error(restore, out_error);
	return FTS_OK;
}

static void take_back(const struct restore *restore)
{
	char origin[PATH_BYTES_MAX];

	snprintf(origin, sizeof(origin), "%s/%s", restore->dir, FTS_ARCHIVE_ORIGIN_NAME);
	(void)unlink(origin);
	(void)fts_directory_remove(restore->state_dir);
	if (restore->made_dir) (void)fts_directory_remove(restore->dir);
}

static enum fts_status restore_all(struct restore *restore, struct ftsi_snapshot_file *file,
				   struct fts_error *out_error)
{
	enum fts_status st = make_dirs(restore, out_error);

	if (st != FTS_OK) return st;
	ftsi_progress_start(&restore->progress);
	st = ftsi_snapshot_walk(file, write_block, restore, out_error);
	ftsi_progress_clear(&restore->progress);
	if (!close_file(&restore->fd) && st == FTS_OK) st = restore_error(restore, out_error);
	if (st == FTS_OK && !make_empty_files(restore, &file->archive)) st = restore_error(restore, out_error);
	if (st == FTS_OK) st = write_origin(restore, &file->archive, out_error);
	if (st != FTS_OK) take_back(restore);
	return st;
}

enum ftsi_exit ftsi_run_snapshot_restore(struct ftsi_cli *cli)
{
	struct restore restore = {.dir = ftsi_value_of(cli, "data")->text, .fd = -1};
	struct ftsi_snapshot_file file;
	struct fts_error error = {0};
	char behind[PATH_BYTES_MAX + 128];
	enum fts_status st = ftsi_snapshot_open(cli->args.positionals[0], &file, &error);

	if (st == FTS_OK) st = restore_all(&restore, &file, &error);
	if (st == FTS_OK) {
		snprintf(behind, sizeof(behind), "; restored into %s: start a new cluster with ftsd --data %s",
			 restore.dir, restore.dir);
		print_about(cli, file.path, &file.archive, behind);
	}
	ftsi_snapshot_close(&file);
	return st == FTS_OK ? FTSI_EXIT_DONE : fail_file(cli, &error);
}
