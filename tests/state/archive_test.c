/* Why this file exists: what base/archive.h promises: a header comes back as it was written, blocks lie where they are
 * looked for, and no changed bit goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/archive.h"
#include "base/directory.h"

enum { BLOCK = FTS_ARCHIVE_BLOCK_BYTES, SUM = FTS_ARCHIVE_SUM_BYTES };

static struct fts_archive sample(struct fts_archive_file *files, uint32_t count)
{
	struct fts_archive archive = {.cluster_id = 7, .index = 812, .term = 3, .time_ms = 1234567, .format = 1};
	(void)snprintf(archive.node, sizeof archive.node, "n1");
	archive.files = files;
	archive.file_count = count;
	return archive;
}

static void header_comes_back(void **state)
{
	struct fts_archive_file files[] = {
	    {"000012.sst", 3 * (uint64_t)BLOCK + 5, 0}, {"CURRENT", 16, 0}, {"empty", 0, 0}};
	struct fts_archive archive = sample(files, 3), read = {0};
	uint8_t *header = NULL;
	struct fts_error error;
	(void)state;
	assert_int_equal(fts_archive_encode(&archive, &header), FTS_OK);
	assert_int_equal(fts_archive_header_bytes(header), archive.header_bytes);
	assert_int_equal(fts_archive_decode((struct fts_bytes){header, archive.header_bytes}, &read, &error), FTS_OK);
	assert_true(read.cluster_id == 7 && read.index == 812 && read.term == 3 && read.time_ms == 1234567);
	assert_true(read.identity == archive.identity && read.total_bytes == archive.total_bytes);
	assert_int_equal(read.file_count, 3);
	assert_string_equal(read.node, "n1");
	assert_string_equal(read.files[1].name, "CURRENT");
	assert_true(read.files[1].start == 3 * (uint64_t)BLOCK + 5);
	assert_true(read.total_bytes == read.header_bytes + 3 * (uint64_t)BLOCK + 5 + 16 + 5 * (uint64_t)SUM);
	fts_archive_fini(&read);
	for (size_t bit = 0; bit < 8 * archive.header_bytes; bit++) {
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(fts_archive_decode((struct fts_bytes){header, archive.header_bytes}, &read, &error),
				 FTS_DATA_LOSS);
		header[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(header);
}

static void refuses_names(void **state)
{
	static const char *const bad[] = {"", "..", "../x", "a/b", ".hidden", "a b", "a\n"};
	struct fts_archive_file file = {"", 1, 0};
	struct fts_archive archive = sample(&file, 1);
	uint8_t *header = NULL;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(file.name, sizeof file.name, "%s", bad[i]);
		assert_int_equal(fts_archive_encode(&archive, &header), FTS_INVALID_ARGUMENT);
	}
}

/* Walking and finding agree at every block, also at its last byte and within its checksum. */
static void blocks_are_found(void **state)
{
	static const uint64_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 0, 5 * (uint64_t)BLOCK + 77, 0};
	enum { COUNT = sizeof sizes / sizeof sizes[0] };
	struct fts_archive_file files[COUNT] = {0};
	struct fts_archive archive;
	struct fts_archive_block block, found;
	uint8_t *header = NULL;
	uint64_t at, number = 0;
	(void)state;
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(files[i].name, sizeof files[i].name, "f%d", i);
		files[i].size_bytes = sizes[i];
	}
	archive = sample(files, COUNT);
	assert_int_equal(fts_archive_encode(&archive, &header), FTS_OK);
	at = archive.header_bytes;
	for (bool more = fts_archive_first(&archive, &block); more; more = fts_archive_next(&archive, &block)) {
		const uint64_t offsets[] = {0, 1, block.size_bytes - 1, block.size_bytes, block.size_bytes + SUM - 1};
		assert_true(block.at == at && block.number == number++);
		for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
			assert_true(fts_archive_find(&archive, at + offsets[i], &found));
			assert_true(found.file == block.file && found.offset == block.offset &&
				    found.size_bytes == block.size_bytes && found.number == block.number &&
				    found.at == block.at);
		}
		at += block.size_bytes + SUM;
	}
	assert_true(at == archive.total_bytes);
	assert_false(fts_archive_find(&archive, at, &found));
	free(header);
}

/* A block fits into its own place of its own snapshot only. */
static void sums_are_of_one_place(void **state)
{
	struct fts_archive_file files[] = {{"a", 8, 0}, {"b", 8, 0}};
	struct fts_archive one = sample(files, 2), other = sample(files, 2);
	struct fts_archive_block first, second;
	uint8_t *header = NULL, sums[3][SUM];
	const uint8_t data[8] = "content";
	(void)state;
	assert_int_equal(fts_archive_encode(&one, &header), FTS_OK);
	free(header);
	other.index++;
	assert_int_equal(fts_archive_encode(&other, &header), FTS_OK);
	free(header);
	assert_true(fts_archive_first(&one, &first));
	second = first;
	assert_true(fts_archive_next(&one, &second));
	fts_archive_sum(&one, &first, data, sums[0]);
	fts_archive_sum(&one, &second, data, sums[1]);
	fts_archive_sum(&other, &first, data, sums[2]);
	assert_memory_not_equal(sums[0], sums[1], SUM);
	assert_memory_not_equal(sums[0], sums[2], SUM);
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[300];
	FILE *file;
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void scans_a_directory(void **state)
{
	char dir[] = "/tmp/fts-archive-XXXXXX";
	struct fts_archive archive = {0};
	(void)state;
	assert_non_null(mkdtemp(dir));
	put_file(dir, "CURRENT", "MANIFEST-000004\n");
	put_file(dir, "000007.sst", "tables");
	put_file(dir, "LOG", "what RocksDB says");
	put_file(dir, "LOG.old.1", "what it said");
	put_file(dir, "LOCK", "");
	assert_int_equal(fts_archive_scan(&archive, dir), FTS_OK);
	assert_int_equal(archive.file_count, 2);
	assert_string_equal(archive.files[0].name, "000007.sst");
	assert_true(archive.files[1].size_bytes == 16 && archive.files[1].start == 6);
	fts_archive_fini(&archive);
	assert_int_equal(fts_directory_remove(dir), 0);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(fts_directory_remove(dir), 0); /* nothing there: done */
	assert_int_equal(fts_archive_scan(&archive, dir), FTS_INTERNAL);
}

static void origin_comes_back(void **state)
{
	const struct fts_archive_origin origin = {1, 2, 3, 4};
	struct fts_archive_origin read;
	uint8_t bytes[FTS_ARCHIVE_ORIGIN_BYTES];
	(void)state;
	fts_archive_origin_encode(&origin, bytes);
	assert_int_equal(fts_archive_origin_decode((struct fts_bytes){bytes, sizeof bytes}, &read), FTS_OK);
	assert_memory_equal(&read, &origin, sizeof read);
	for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(fts_archive_origin_decode((struct fts_bytes){bytes, sizeof bytes}, &read),
				 FTS_DATA_LOSS);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(fts_archive_origin_decode((struct fts_bytes){bytes, sizeof bytes - 1}, &read), FTS_DATA_LOSS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header_comes_back), cmocka_unit_test(refuses_names),
	    cmocka_unit_test(blocks_are_found),  cmocka_unit_test(sums_are_of_one_place),
	    cmocka_unit_test(scans_a_directory), cmocka_unit_test(origin_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
