/* Why this file exists: the one-file form of a copy of the state (`fts-cli snapshot save`), and what `snapshot restore`
 * leaves in a directory for the node that is started there. Numbers are big endian.
 *
 * | offset  | bytes | what                                                                                        |
 * | 0       | 8     | "FTSSNAP1"                                                                                  |
 * | 8       | 4     | size of the header, H, its checksum included                                                |
 * | 12      | 4     | count of files                                                                              |
 * | 16      | 8     | cluster id                                                                                  |
 * | 24      | 8     | index of the log: everything up to it is inside                                             |
 * | 32      | 8     | term                                                                                        |
 * | 40      | 8     | when it was made, Unix ms                                                                   |
 * | 48      | 4     | format of the state                                                                         |
 * | 52      | 64    | name of the node that made it, zeros behind it                                              |
 * | 116     |       | each file: length of its name 1, name, size 8                                               |
 * | H - 8   | 8     | checksum (base/checksum.h) of all before it: the identity of this snapshot                  |
 * | H       |       | the files, one behind the other, in blocks of 256 KiB (the last of a file may be shorter),  |
 * |         |       | each block followed by its checksum 8, seeded with identity + number of the block           |
 *
 * DIR/restored: "FTSREST1", identity 8, cluster id 8, index 8, term 8, checksum 8 of all before.
 *
 * Invariants: each byte of the file is under a checksum, and a block fits into one place of one snapshot only. A
 * decoded header was checked: names have no directories in them, sizes add up. Thread: any. */
#ifndef FTS_BASE_ARCHIVE_H
#define FTS_BASE_ARCHIVE_H

#include <stdbool.h>

#include <fts/status.h>

enum {
	FTS_ARCHIVE_BLOCK_BYTES = 256 * 1024,
	FTS_ARCHIVE_SUM_BYTES = 8,
	FTS_ARCHIVE_PREFIX_BYTES = 16, /* what tells the size of the header */
	FTS_ARCHIVE_HEADER_MAX = 8 * 1024 * 1024,
	FTS_ARCHIVE_NAME_BYTES = 64,
	FTS_ARCHIVE_FILE_COUNT_MAX = 65536,
	FTS_ARCHIVE_ORIGIN_BYTES = 48,
};
#define FTS_ARCHIVE_ORIGIN_NAME "restored"

struct fts_archive_file {
	char name[FTS_ARCHIVE_NAME_BYTES];
	uint64_t size_bytes;
	uint64_t start; /* of its bytes, when all files are laid one behind the other */
};

struct fts_archive {
	uint64_t cluster_id, index, term;
	int64_t time_ms;
	uint32_t format;
	char node[FTS_ARCHIVE_NAME_BYTES];
	uint32_t file_count;
	struct fts_archive_file *files; /* owned by who made it */
	uint64_t identity;              /* set by encode and decode */
	uint64_t header_bytes;          /* likewise */
	uint64_t total_bytes;           /* likewise: of the whole file */
};

/* One block of one file. */
struct fts_archive_block {
	uint32_t file;
	uint64_t offset; /* in that file */
	uint32_t size_bytes;
	uint64_t number; /* of the block, counted over all files */
	uint64_t at;     /* in the one file; its checksum lies at at + size_bytes */
};

/* A name that may stand in an archive: 1 to 63 of letters, digits and "._-", not beginning with a dot. */
bool fts_archive_is_name(const char *name, size_t size_bytes);

/* Fill archive->files and file_count with the data files in dir (borrowed), in the order of their names: RocksDB's own
 * log and lock are none. Errors: INTERNAL (can't be read), RESOURCE_EXHAUSTED, INVALID_ARGUMENT (too many). Blocks. */
FTS_MUST_USE enum fts_status fts_archive_scan(struct fts_archive *archive, const char *dir);

/* archive's header as bytes; sets identity, header_bytes, total_bytes. *out_header: returned (free).
 * Errors: INVALID_ARGUMENT (too many files, a name that may not be), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status fts_archive_encode(struct fts_archive *archive, uint8_t **out_header);
/* How large the header is of which prefix (FTS_ARCHIVE_PREFIX_BYTES, borrowed) is the beginning; 0: it is none. */
size_t fts_archive_header_bytes(const uint8_t *prefix);
/* header: borrowed, whole. out_archive: returned (fts_archive_fini). Errors: DATA_LOSS (*out_error says what is wrong),
 * RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status fts_archive_decode(struct fts_bytes header, struct fts_archive *out_archive,
						struct fts_error *out_error);
void fts_archive_fini(struct fts_archive *archive); /* zeroed: no-op */

/* The first block of archive. False: there is none. */
bool fts_archive_first(const struct fts_archive *archive, struct fts_archive_block *out_block);
/* The one behind block, in place. False: the end. */
bool fts_archive_next(const struct fts_archive *archive, struct fts_archive_block *block);
/* The block at offset of the one file (behind the header), its checksum included. False: behind the end. */
bool fts_archive_find(const struct fts_archive *archive, uint64_t offset, struct fts_archive_block *out_block);
/* data: borrowed, all of the block. */
void fts_archive_sum(const struct fts_archive *archive, const struct fts_archive_block *block, const uint8_t *data,
		     uint8_t out_sum[FTS_ARCHIVE_SUM_BYTES]);

/* Where a directory's state comes from. */
struct fts_archive_origin {
	uint64_t identity, cluster_id, index, term;
};
void fts_archive_origin_encode(const struct fts_archive_origin *origin, uint8_t out_bytes[FTS_ARCHIVE_ORIGIN_BYTES]);
/* DATA_LOSS: not such bytes. */
FTS_MUST_USE enum fts_status fts_archive_origin_decode(struct fts_bytes bytes, struct fts_archive_origin *out_origin);

#endif
