/* Why this file exists: a file that a command writes is either what it was, or whole and on the disk: it is written
 * beside its place, synced and renamed, and the directory is synced behind it.
 *
 * Invariants
 * - What is at the place and no regular file (a device, a pipe, a directory) is refused, never replaced: a rename would
 *   put a file where /dev/stdout was.
 * - A symbolic link stays; the file it names is replaced.
 *
 * Thread: one at a time. */
#ifndef FTSI_WHOLE_FILE_H
#define FTSI_WHOLE_FILE_H

#include <stdio.h>

#include <fts/status.h>

#define FTSI_WHOLE_PATH_BYTES 4096u

struct ftsi_whole_file {
	FILE *out; /* to be written to, and read; NULL: not open */
	char path[FTSI_WHOLE_PATH_BYTES];
	char fresh_path[FTSI_WHOLE_PATH_BYTES]; /* where it lies until it is whole */
};

/* Begin to write path (borrowed); until then it lies in path with ending (borrowed, ".tmp") behind it.
 * Errors: INVALID_ARGUMENT (it can't be made there). */
FTS_MUST_USE enum fts_status ftsi_whole_file_open(struct ftsi_whole_file *file, const char *path, const char *ending,
						  struct fts_error *out_error);

/* It is whole: sync it and put it into its place. The file is closed in any case; on failure nothing is left of it.
 * Errors: DATA_LOSS (it can't be written). */
FTS_MUST_USE enum fts_status ftsi_whole_file_commit(struct ftsi_whole_file *file, struct fts_error *out_error);

/* Close it and leave nothing of it. Not open: no-op. */
void ftsi_whole_file_abandon(struct ftsi_whole_file *file);

#endif
