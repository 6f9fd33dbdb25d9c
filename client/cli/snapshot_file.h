/* Why this file exists: a snapshot file (base/archive.h) as it is read: every byte is looked at, and what is wrong is
 * told with its place. */
#ifndef FTSI_SNAPSHOT_FILE_H
#define FTSI_SNAPSHOT_FILE_H

#include <stdio.h>

#include "base/archive.h"

struct ftsi_snapshot_file {
	FILE *in;
	const char *path; /* borrowed */
	struct fts_archive archive;
	uint8_t *block; /* owned: FTS_ARCHIVE_BLOCK_BYTES and a checksum */
};

/* Called for each block that is right; data: borrowed for the call. Not OK ends the walk. */
typedef enum fts_status (*ftsi_snapshot_block_fn)(void *ctx, const struct ftsi_snapshot_file *file,
						  const struct fts_archive_block *block, const uint8_t *data,
						  struct fts_error *out_error);

/* Open path (borrowed until closed) and read its header. out_file: returned (_close), also on failure.
 * Errors: NOT_FOUND (no such file), DATA_LOSS (no snapshot, or damaged), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_snapshot_open(const char *path, struct ftsi_snapshot_file *out_file,
						struct fts_error *out_error);
/* All blocks in order. each: NULL: only look. Errors: DATA_LOSS (says which file, and which byte), each's. */
FTS_MUST_USE enum fts_status ftsi_snapshot_walk(struct ftsi_snapshot_file *file, ftsi_snapshot_block_fn each, void *ctx,
						struct fts_error *out_error);
void ftsi_snapshot_close(struct ftsi_snapshot_file *file); /* zeroed: no-op */

#endif
