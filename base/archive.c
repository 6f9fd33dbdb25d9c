/* Why this file exists: see base/archive.h, which has the table of the byte format. */
#include "base/archive.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checksum.h"

enum { FIXED_BYTES = 116, SIZE_AT = 8, COUNT_AT = 12, NODE_AT = 52 };
static const char magic[8] = {'F', 'T', 'S', 'S', 'N', 'A', 'P', '1'};
static const char origin_magic[8] = {'F', 'T', 'S', 'R', 'E', 'S', 'T', '1'};

static void put_number(uint8_t *at, uint64_t value, unsigned size_bytes)
{
	for (unsigned i = 0; i < size_bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (size_bytes - 1 - i));
}

static uint64_t get_number(const uint8_t *at, unsigned size_bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < size_bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

bool fts_archive_is_name(const char *name, size_t size_bytes)
{
	if (size_bytes == 0 || size_bytes >= FTS_ARCHIVE_NAME_BYTES || name[0] == '.') return false;
	for (size_t i = 0; i < size_bytes; i++)
		if (!is_letter(name[i])) return false;
	return true;
}

static uint64_t block_count(uint64_t size_bytes)
{
	return (size_bytes + FTS_ARCHIVE_BLOCK_BYTES - 1) / FTS_ARCHIVE_BLOCK_BYTES;
}

/* What a file takes, its checksums included. */
static uint64_t stored_bytes(const struct fts_archive_file *file)
{
	return file->size_bytes + block_count(file->size_bytes) * FTS_ARCHIVE_SUM_BYTES;
}

static void set_total(struct fts_archive *archive)
{
	uint64_t start = 0;
	archive->total_bytes = archive->header_bytes;
	for (uint32_t i = 0; i < archive->file_count; i++) {
		archive->files[i].start = start;
		start += archive->files[i].size_bytes;
		archive->total_bytes += stored_bytes(&archive->files[i]);
	}
}

/* ---- A directory ---- */

static int by_name(const void *left, const void *right)
{
	const struct fts_archive_file *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static bool is_data(const char *name)
{
	return strncmp(name, "LOG", 3) != 0 && strcmp(name, "LOCK") != 0 && fts_archive_is_name(name, strlen(name));
}

static enum fts_status add_file(struct fts_archive *archive, uint32_t *capacity, const char *dir, const char *name)
{
	char path[4096];
	struct stat about;
	struct fts_archive_file *file;
	int length = snprintf(path, sizeof path, "%s/%s", dir, name);
	if (length < 0 || (size_t)length >= sizeof path || stat(path, &about) != 0) return FTS_INTERNAL;
	if (archive->file_count == FTS_ARCHIVE_FILE_COUNT_MAX) return FTS_INVALID_ARGUMENT;
	if (archive->file_count == *capacity) {
		struct fts_archive_file *grown;
		*capacity = *capacity == 0 ? 64 : 2 * *capacity;
		grown = realloc(archive->files, *capacity * sizeof *grown);
		if (grown == NULL) return FTS_RESOURCE_EXHAUSTED;
		archive->files = grown;
	}
	file = &archive->files[archive->file_count++];
	*file = (struct fts_archive_file){.size_bytes = (uint64_t)about.st_size};
	memcpy(file->name, name, strlen(name) + 1); /* is_data has looked at its length */
	return FTS_OK;
}

enum fts_status fts_archive_scan(struct fts_archive *archive, const char *dir)
{
	uint32_t capacity = 0;
	enum fts_status status = FTS_OK;
	DIR *handle = opendir(dir);
	if (handle == NULL) return FTS_INTERNAL;
	archive->files = NULL;
	archive->file_count = 0;
	for (struct dirent *entry = readdir(handle); status == FTS_OK && entry != NULL; entry = readdir(handle))
		if (is_data(entry->d_name)) status = add_file(archive, &capacity, dir, entry->d_name);
	closedir(handle);
	if (status != FTS_OK) {
		fts_archive_fini(archive);
		return status;
	}
	if (archive->file_count > 0) qsort(archive->files, archive->file_count, sizeof *archive->files, by_name);
	set_total(archive);
	return FTS_OK;
}

/* ---- The header ---- */

static size_t measure(const struct fts_archive *archive)
{
	size_t size = FIXED_BYTES + FTS_ARCHIVE_SUM_BYTES;
	for (uint32_t i = 0; i < archive->file_count; i++) {
		size_t name_bytes = strnlen(archive->files[i].name, FTS_ARCHIVE_NAME_BYTES);
		if (!fts_archive_is_name(archive->files[i].name, name_bytes)) return 0;
		size += 1 + name_bytes + 8;
	}
	return size > FTS_ARCHIVE_HEADER_MAX ? 0 : size;
}

static void write_header(const struct fts_archive *archive, uint8_t *header)
{
	uint8_t *at = header + FIXED_BYTES;
	memcpy(header, magic, sizeof magic);
	put_number(header + SIZE_AT, archive->header_bytes, 4);
	put_number(header + COUNT_AT, archive->file_count, 4);
	put_number(header + 16, archive->cluster_id, 8);
	put_number(header + 24, archive->index, 8);
	put_number(header + 32, archive->term, 8);
	put_number(header + 40, (uint64_t)archive->time_ms, 8);
	put_number(header + 48, archive->format, 4);
	memcpy(header + NODE_AT, archive->node, strnlen(archive->node, FTS_ARCHIVE_NAME_BYTES - 1));
	for (uint32_t i = 0; i < archive->file_count; i++) {
		size_t name_bytes = strlen(archive->files[i].name);
		*at++ = (uint8_t)name_bytes;
		memcpy(at, archive->files[i].name, name_bytes);
		put_number(at + name_bytes, archive->files[i].size_bytes, 8);
		at += name_bytes + 8;
	}
}

enum fts_status fts_archive_encode(struct fts_archive *archive, uint8_t **out_header)
{
	size_t size = archive->file_count > FTS_ARCHIVE_FILE_COUNT_MAX ? 0 : measure(archive);
	uint8_t *header;
	if (size == 0) return FTS_INVALID_ARGUMENT;
	header = calloc(1, size);
	if (header == NULL) return FTS_RESOURCE_EXHAUSTED;
	archive->header_bytes = size;
	write_header(archive, header);
	archive->identity = fts_checksum((struct fts_bytes){header, size - FTS_ARCHIVE_SUM_BYTES}, 0);
	put_number(header + size - FTS_ARCHIVE_SUM_BYTES, archive->identity, FTS_ARCHIVE_SUM_BYTES);
	set_total(archive);
	*out_header = header;
	return FTS_OK;
}

size_t fts_archive_header_bytes(const uint8_t *prefix)
{
	uint64_t size = get_number(prefix + SIZE_AT, 4);
	if (memcmp(prefix, magic, sizeof magic) != 0) return 0;
	return size < FIXED_BYTES + FTS_ARCHIVE_SUM_BYTES || size > FTS_ARCHIVE_HEADER_MAX ? 0 : (size_t)size;
}

static enum fts_status damaged(struct fts_error *out_error, const char *what)
{
	return fts_error_set(out_error, FTS_DATA_LOSS, "the header is damaged: %s", what);
}

static enum fts_status read_files(struct fts_bytes rest, struct fts_archive *archive, struct fts_error *out_error)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < archive->file_count; i++) {
		struct fts_archive_file *file = &archive->files[i];
		size_t name_bytes = rest.size_bytes == 0 ? 0 : rest.data[0];
		if (rest.size_bytes < 1 + name_bytes + 8) return damaged(out_error, "its table of files is cut off");
		if (!fts_archive_is_name((const char *)rest.data + 1, name_bytes))
			return damaged(out_error, "a file has a name that may not be");
		memcpy(file->name, rest.data + 1, name_bytes);
		file->size_bytes = get_number(rest.data + 1 + name_bytes, 8);
		if (file->size_bytes > (uint64_t)1 << 50 || (total += file->size_bytes) > (uint64_t)1 << 50)
			return damaged(out_error, "a file of an impossible size");
		rest.data += 1 + name_bytes + 8;
		rest.size_bytes -= 1 + name_bytes + 8;
	}
	return rest.size_bytes == 0 ? FTS_OK : damaged(out_error, "bytes behind its table of files");
}

static void read_fixed(const uint8_t *header, struct fts_archive *archive)
{
	archive->file_count = (uint32_t)get_number(header + COUNT_AT, 4);
	archive->cluster_id = get_number(header + 16, 8);
	archive->index = get_number(header + 24, 8);
	archive->term = get_number(header + 32, 8);
	archive->time_ms = (int64_t)get_number(header + 40, 8);
	archive->format = (uint32_t)get_number(header + 48, 4);
	memcpy(archive->node, header + NODE_AT, FTS_ARCHIVE_NAME_BYTES - 1);
}

enum fts_status fts_archive_decode(struct fts_bytes header, struct fts_archive *out_archive,
				   struct fts_error *out_error)
{
	struct fts_archive archive = {0};
	size_t body = header.size_bytes - FTS_ARCHIVE_SUM_BYTES;
	enum fts_status status;
	if (header.size_bytes < FIXED_BYTES + FTS_ARCHIVE_SUM_BYTES ||
	    fts_archive_header_bytes(header.data) != header.size_bytes)
		return damaged(out_error, "it is not that of a snapshot");
	archive.header_bytes = header.size_bytes;
	archive.identity = fts_checksum((struct fts_bytes){header.data, body}, 0);
	if (get_number(header.data + body, FTS_ARCHIVE_SUM_BYTES) != archive.identity)
		return damaged(out_error, "it does not match its checksum");
	read_fixed(header.data, &archive);
	if (archive.file_count > FTS_ARCHIVE_FILE_COUNT_MAX) return damaged(out_error, "too many files");
	archive.files = calloc((size_t)archive.file_count + 1, sizeof *archive.files);
	if (archive.files == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a snapshot");
	status = read_files((struct fts_bytes){header.data + FIXED_BYTES, body - FIXED_BYTES}, &archive, out_error);
	if (status != FTS_OK) {
		fts_archive_fini(&archive);
		return status;
	}
	set_total(&archive);
	*out_archive = archive;
	return FTS_OK;
}

void fts_archive_fini(struct fts_archive *archive)
{
	free(archive->files);
	archive->files = NULL;
}

/* ---- Blocks ---- */

static uint32_t size_at(const struct fts_archive *archive, uint32_t file, uint64_t offset)
{
	uint64_t left = archive->files[file].size_bytes - offset;
	return left > FTS_ARCHIVE_BLOCK_BYTES ? FTS_ARCHIVE_BLOCK_BYTES : (uint32_t)left;
}

/* Move block to the first byte there is at or behind where it stands. */
static bool settle(const struct fts_archive *archive, struct fts_archive_block *block)
{
	while (block->file < archive->file_count && block->offset == archive->files[block->file].size_bytes) {
		block->file++;
		block->offset = 0;
	}
	if (block->file == archive->file_count) return false;
	block->size_bytes = size_at(archive, block->file, block->offset);
	return true;
}

bool fts_archive_first(const struct fts_archive *archive, struct fts_archive_block *out_block)
{
	*out_block = (struct fts_archive_block){.at = archive->header_bytes};
	return settle(archive, out_block);
}

bool fts_archive_next(const struct fts_archive *archive, struct fts_archive_block *block)
{
	block->offset += block->size_bytes;
	block->at += block->size_bytes + FTS_ARCHIVE_SUM_BYTES;
	block->number++;
	return settle(archive, block);
}

bool fts_archive_find(const struct fts_archive *archive, uint64_t offset, struct fts_archive_block *out_block)
{
	struct fts_archive_block block = {.at = archive->header_bytes};
	for (; block.file < archive->file_count; block.file++) {
		const struct fts_archive_file *file = &archive->files[block.file];
		uint64_t nth;
		if (offset >= block.at + stored_bytes(file)) {
			block.at += stored_bytes(file);
			block.number += block_count(file->size_bytes);
			continue;
		}
		nth = (offset - block.at) / (FTS_ARCHIVE_BLOCK_BYTES + FTS_ARCHIVE_SUM_BYTES);
		block.offset = nth * FTS_ARCHIVE_BLOCK_BYTES;
		block.at += nth * (FTS_ARCHIVE_BLOCK_BYTES + FTS_ARCHIVE_SUM_BYTES);
		block.number += nth;
		block.size_bytes = size_at(archive, block.file, block.offset);
		*out_block = block;
		return true;
	}
	return false;
}

void fts_archive_sum(const struct fts_archive *archive, const struct fts_archive_block *block, const uint8_t *data,
		     uint8_t out_sum[FTS_ARCHIVE_SUM_BYTES])
{
	uint64_t sum = fts_checksum((struct fts_bytes){data, block->size_bytes}, archive->identity + block->number);
	put_number(out_sum, sum, FTS_ARCHIVE_SUM_BYTES);
}

/* ---- Where a directory comes from ---- */

void fts_archive_origin_encode(const struct fts_archive_origin *origin, uint8_t out_bytes[FTS_ARCHIVE_ORIGIN_BYTES])
{
	const size_t body = FTS_ARCHIVE_ORIGIN_BYTES - FTS_ARCHIVE_SUM_BYTES;
	memcpy(out_bytes, origin_magic, sizeof origin_magic);
	put_number(out_bytes + 8, origin->identity, 8);
	put_number(out_bytes + 16, origin->cluster_id, 8);
	put_number(out_bytes + 24, origin->index, 8);
	put_number(out_bytes + 32, origin->term, 8);
	put_number(out_bytes + body, fts_checksum((struct fts_bytes){out_bytes, body}, 0), FTS_ARCHIVE_SUM_BYTES);
}

enum fts_status fts_archive_origin_decode(struct fts_bytes bytes, struct fts_archive_origin *out_origin)
{
	const size_t body = FTS_ARCHIVE_ORIGIN_BYTES - FTS_ARCHIVE_SUM_BYTES;
	if (bytes.size_bytes != FTS_ARCHIVE_ORIGIN_BYTES ||
	    memcmp(bytes.data, origin_magic, sizeof origin_magic) != 0 ||
	    get_number(bytes.data + body, FTS_ARCHIVE_SUM_BYTES) !=
		fts_checksum((struct fts_bytes){bytes.data, body}, 0))
		return FTS_DATA_LOSS;
	out_origin->identity = get_number(bytes.data + 8, 8);
	out_origin->cluster_id = get_number(bytes.data + 16, 8);
	out_origin->index = get_number(bytes.data + 24, 8);
	out_origin->term = get_number(bytes.data + 32, 8);
	return FTS_OK;
}
