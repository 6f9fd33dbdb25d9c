/* Why this file exists: see snapshot_file.h. */
#include "client/cli/snapshot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/format.h"

static enum fts_status read_header(struct ftsi_snapshot_file *file, struct fts_error *out_error)
{
	uint8_t prefix[FTS_ARCHIVE_PREFIX_BYTES], *header;
	size_t size = 0;
	enum fts_status status;

	if (fread(prefix, 1, sizeof(prefix), file->in) == sizeof(prefix)) size = fts_archive_header_bytes(prefix);
	if (size == 0)
		return fts_error_set(out_error, FTS_DATA_LOSS, "%s is not a snapshot, or its first bytes are damaged",
				     file->path);
	header = malloc(size);
	if (!header) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the header");
	memcpy(header, prefix, sizeof(prefix));
	if (fread(header + sizeof(prefix), 1, size - sizeof(prefix), file->in) != size - sizeof(prefix))
		status = fts_error_set(out_error, FTS_DATA_LOSS, "%s is cut off within its header (%zu bytes)",
				       file->path, size);
	else
		status = fts_archive_decode((struct fts_bytes){header, size}, &file->archive, out_error);
	free(header);
	if (status == FTS_OK && file->archive.format > FTS_FORMAT)
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION,
				     "%s has format %" PRIu32 ", and this fts-cli reads up to %d: use the version that "
				     "made it, or a newer one",
				     file->path, file->archive.format, FTS_FORMAT);
	return status;
}

enum fts_status ftsi_snapshot_open(const char *path, struct ftsi_snapshot_file *out_file, struct fts_error *out_error)
{
	*out_file = (struct ftsi_snapshot_file){.path = path};
	out_file->in = fopen(path, "rbe");
	if (!out_file->in)
		return fts_error_set(out_error, errno == ENOENT ? FTS_NOT_FOUND : FTS_PERMISSION_DENIED, "%s: %s", path,
				     strerror(errno));
	out_file->block = malloc(FTS_ARCHIVE_BLOCK_BYTES + FTS_ARCHIVE_SUM_BYTES);
	if (!out_file->block) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a block");
	return read_header(out_file, out_error);
}

static enum fts_status read_block(struct ftsi_snapshot_file *file, const struct fts_archive_block *block,
				  struct fts_error *out_error)
{
	uint8_t sum[FTS_ARCHIVE_SUM_BYTES];
	const char *name = file->archive.files[block->file].name;
	size_t size = block->size_bytes + FTS_ARCHIVE_SUM_BYTES;

	if (fread(file->block, 1, size, file->in) != size)
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "%s is cut off: it should have %" PRIu64 " bytes, and ends behind byte %" PRIu64
				     ", within %s",
				     file->path, file->archive.total_bytes, block->at, name);
	fts_archive_sum(&file->archive, block, file->block, sum);
	if (memcmp(sum, file->block + block->size_bytes, sizeof(sum)) == 0) return FTS_OK;
	return fts_error_set(out_error, FTS_DATA_LOSS,
			     "%s is damaged between its bytes %" PRIu64 " and %" PRIu64
			     ": %s does not match its checksum",
			     file->path, block->at, block->at + size, name);
}

enum fts_status ftsi_snapshot_walk(struct ftsi_snapshot_file *file, ftsi_snapshot_block_fn each, void *ctx,
				   struct fts_error *out_error)
{
	struct fts_archive_block block;
	bool more = fts_archive_first(&file->archive, &block);
	enum fts_status status = FTS_OK;

	for (; status == FTS_OK && more; more = fts_archive_next(&file->archive, &block)) {
		status = read_block(file, &block, out_error);
		if (status == FTS_OK && each) status = each(ctx, file, &block, file->block, out_error);
	}
	if (status == FTS_OK && fgetc(file->in) != EOF)
		status = fts_error_set(out_error, FTS_DATA_LOSS, "%s goes on behind its end, byte %" PRIu64, file->path,
				       file->archive.total_bytes);
	return status;
}

void ftsi_snapshot_close(struct ftsi_snapshot_file *file)
{
	if (file->in) (void)fclose(file->in);
	fts_archive_fini(&file->archive);
	free(file->block);
	*file = (struct ftsi_snapshot_file){0};
}
