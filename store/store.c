/* Why this file exists: opening, closing, flushing and copying a store, with every size bounded: RocksDB's own
 * defaults are unbounded open files and logs, and memory for machines larger than ours.
 *
 * What is written collects in small parts (RocksDB's memtables), which are merged when they are written to a table: a
 * skip list of 16 MiB costs each write some seventeen steps from one cache miss to the next, those of 2 MiB stay in the
 * processor's cache. Tables, memory in all and the work of compactions are as with one part; a look at a key that is in
 * none of them asks a bloom filter each.
 *
 * Invariants: nothing on disk is thrown away to make an open succeed. A directory that holds tables or a log but
 * no CURRENT is damaged, not new: RocksDB itself would start afresh on top of it. */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/directory.h"
#include "base/log.h"
#include "store/fault.h"
#include "store/internal.h"

enum {
	BACKGROUND_JOBS = 2,
	OPEN_FILES_MAX = 128,
	INFO_LOG_COUNT = 2,
	INFO_LOG_BYTES = 1024 * 1024,
	MANIFEST_BYTES = 4 * 1024 * 1024,
	WRITE_BUFFER_COUNT = 3, /* one is filled, one is written to a table, one more before writers wait */
	BUFFER_PART_BYTES = 2 * 1024 * 1024,
	ARENA_BLOCKS_PER_PART = 8,
	BLOOM_BITS_PER_KEY = 10,
	INFO_LOG_WARN = 2,
	WAL_RECOVERY_TOLERATE_TORN_TAIL = 0,
};
#define PART_BLOOM_RATIO 0.02 /* of a part's bytes: some thirty bits a key of 200 bytes */
#define DEFAULT_BUFFER_BYTES ((size_t)8 * 1024 * 1024)

static void set_table_options(struct fts_store *store, size_t cache_bytes)
{
	store->cache = rocksdb_cache_create_lru(cache_bytes);
	store->table_options = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_block_cache(store->table_options, store->cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(store->table_options, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(store->table_options, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(store->table_options, 1);
	rocksdb_block_based_options_set_filter_policy(store->table_options,
						      rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
	/* Filter and index in small blocks: those of a large table are half a megabyte in one piece otherwise, more
	 * than a shard of so small a cache holds, and would be read from the file for every look at a key. */
	rocksdb_block_based_options_set_index_type(store->table_options,
						   rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(store->table_options, 1);
	rocksdb_options_set_block_based_table_factory(store->options, store->table_options);
}

/* Options that the C API has only as text; what was set before is lost. */
static void set_by_text(rocksdb_options_t *options, const char *text)
{
	rocksdb_options_t *base = rocksdb_options_create();
	char *message = NULL;
	rocksdb_get_options_from_string(base, text, options, &message);
	FTS_ASSERT(message == NULL); /* the text is ours */
	rocksdb_options_destroy(base);
}

static void set_first_options(rocksdb_options_t *options, bool write_ahead_log)
{
	/* Without a write-ahead log a close must leave what a crash at that moment would leave: a flush that nobody
	 * asked for would put into the tables what their owner did not want there. */
	const char *close_quietly = write_ahead_log ? "" : "avoid_flush_during_shutdown=true;";
	char text[128];
	if (!write_ahead_log) set_by_text(options, close_quietly);
	if (!ftsi_store_is_still()) return;
	(void)snprintf(text, sizeof text, "%sallow_fallocate=false;disable_auto_compactions=true;", close_quietly);
	set_by_text(options, text);
}

static size_t buffer_bytes_of(const struct fts_store_options *options)
{
	return options->write_buffer_bytes == 0 ? DEFAULT_BUFFER_BYTES : options->write_buffer_bytes;
}

/* How many parts make a table. In a simulation one: its files are the same for the same seed. */
static int part_count_of(const struct fts_store_options *options)
{
	size_t count = buffer_bytes_of(options) / BUFFER_PART_BYTES;
	return count < 2 || options->read_only || ftsi_store_is_still() ? 1 : (int)count;
}

static void set_buffer_options(rocksdb_options_t *rocksdb, const struct fts_store_options *options)
{
	int part_count = part_count_of(options);
	rocksdb_options_set_write_buffer_size(rocksdb, buffer_bytes_of(options));
	rocksdb_options_set_max_write_buffer_number(rocksdb, WRITE_BUFFER_COUNT * part_count);
	if (part_count == 1) return;
	rocksdb_options_set_min_write_buffer_number_to_merge(rocksdb, part_count);
	rocksdb_options_set_arena_block_size(rocksdb, BUFFER_PART_BYTES / ARENA_BLOCKS_PER_PART);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(rocksdb, PART_BLOOM_RATIO);
	rocksdb_options_set_memtable_whole_key_filtering(rocksdb, 1);
}

/* Once it is open: while the write-ahead log is read, each part that is full would become a table of its own. RocksDB
 * goes by it also when it can't write down its options, as on a full disk. */
static void divide_buffer(struct fts_store *store, const struct fts_store_options *options)
{
	char bytes[24], *message = NULL;
	const char *const keys[] = {"write_buffer_size"}, *const values[] = {bytes};
	if (part_count_of(options) == 1) return;
	(void)snprintf(bytes, sizeof bytes, "%d", BUFFER_PART_BYTES);
	rocksdb_set_options(store->db, 1, keys, values, &message);
	(void)ftsi_store_status(message, "store.options_not_kept", store->dir);
}

static void set_options(struct fts_store *store, const struct fts_store_options *options)
{
	size_t cache = options->block_cache_bytes == 0 ? DEFAULT_BUFFER_BYTES : options->block_cache_bytes;
	store->options = rocksdb_options_create();
	set_first_options(store->options, options->write_ahead_log);
	rocksdb_options_set_create_if_missing(store->options, options->create_if_missing);
	set_buffer_options(store->options, options);
	rocksdb_options_set_max_background_jobs(store->options, BACKGROUND_JOBS);
	rocksdb_options_set_max_open_files(store->options, OPEN_FILES_MAX);
	rocksdb_options_set_keep_log_file_num(store->options, INFO_LOG_COUNT);
	rocksdb_options_set_max_log_file_size(store->options, INFO_LOG_BYTES);
	rocksdb_options_set_max_manifest_file_size(store->options, MANIFEST_BYTES);
	rocksdb_options_set_info_log_level(store->options, INFO_LOG_WARN);
	rocksdb_options_set_stats_dump_period_sec(store->options, 0);
	rocksdb_options_set_stats_persist_period_sec(store->options, 0);
	rocksdb_options_set_compression(store->options, rocksdb_no_compression);
	rocksdb_options_set_paranoid_checks(store->options, 1);
	/* A torn tail is what a crash leaves and is dropped; damage anywhere else must stop the open, where
	 * RocksDB's default would silently forget everything behind it. */
	rocksdb_options_set_wal_recovery_mode(store->options, WAL_RECOVERY_TOLERATE_TORN_TAIL);
	set_table_options(store, cache);

	store->read_options = rocksdb_readoptions_create();
	store->write_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(store->write_options, !options->write_ahead_log);
	if (options->write_ahead_log) {
		store->sync_options = rocksdb_writeoptions_create();
		rocksdb_writeoptions_set_sync(store->sync_options, 1);
	}
}

static bool ends_with(const char *name, const char *end)
{
	size_t name_size = strlen(name), end_size = strlen(end);
	return name_size > end_size && strcmp(name + name_size - end_size, end) == 0;
}

/* Whether dir has CURRENT, and whether it has files that only a database with CURRENT can have made. */
static enum fts_status look_at_dir(const char *dir, bool *out_present, bool *out_remains)
{
	DIR *handle = opendir(dir);
	*out_present = false;
	*out_remains = false;
	if (handle == NULL) return errno == ENOENT ? FTS_OK : errno == ENOSPC ? FTS_RESOURCE_EXHAUSTED : FTS_INTERNAL;
	for (struct dirent *entry = readdir(handle); entry != NULL; entry = readdir(handle)) {
		if (strcmp(entry->d_name, "CURRENT") == 0) *out_present = true;
		if (ends_with(entry->d_name, ".sst") || ends_with(entry->d_name, ".log")) *out_remains = true;
	}
	closedir(handle);
	return FTS_OK;
}

static enum fts_status check_dir(const char *dir, bool create_if_missing, struct fts_error *out_error)
{
	bool present, remains;
	enum fts_status status = look_at_dir(dir, &present, &remains);
	if (status != FTS_OK)
		return fts_error_set(out_error, status, "can't read the directory %s: %s", dir, strerror(errno));
	if (present) return FTS_OK;
	if (remains)
		return fts_error_set(out_error, FTS_DATA_LOSS,
				     "%s is damaged: it holds data but its file CURRENT is gone; restore the directory "
				     "from a copy, or move it away to start empty",
				     dir);
	if (!create_if_missing) return fts_error_set(out_error, FTS_NOT_FOUND, "there is no store in %s", dir);
	return FTS_OK;
}

static enum fts_status explain_open(char *message, const char *dir, struct fts_error *out_error)
{
	enum fts_status status = ftsi_store_classify(message);
	if (status == FTS_UNAVAILABLE)
		fts_error_set(out_error, status, "%s is in use by another process", dir);
	else if (status == FTS_RESOURCE_EXHAUSTED)
		fts_error_set(out_error, status, "no space left on the disk of %s", dir);
	else
		fts_error_set(out_error, status,
			      "%s can't be opened: %.300s; nothing was changed: restore the directory from a copy, or "
			      "move it away to start empty",
			      dir, message);
	rocksdb_free(message);
	return status;
}

static void free_store(struct fts_store *store)
{
	if (store->db != NULL) rocksdb_close(store->db);
	if (store->sync_options != NULL) rocksdb_writeoptions_destroy(store->sync_options);
	if (store->write_options != NULL) rocksdb_writeoptions_destroy(store->write_options);
	if (store->read_options != NULL) rocksdb_readoptions_destroy(store->read_options);
	if (store->table_options != NULL) rocksdb_block_based_options_destroy(store->table_options);
	if (store->cache != NULL) rocksdb_cache_destroy(store->cache);
	if (store->options != NULL) rocksdb_options_destroy(store->options);
	if (atomic_load(&store->discarded) && fts_directory_remove(store->dir) != 0)
		FTS_LOG_WARN("store.remove_failed", "dir=%s errno=%d", store->dir, errno);
	ftsi_recent_destroy(store->recent);
	free(store->dir);
	free(store);
}

enum fts_status fts_store_open(const char *dir, const struct fts_store_options *options, struct fts_store **out_store,
			       struct fts_error *out_error)
{
	char *message = NULL;
	struct fts_store *store = NULL;
	enum fts_status status = check_dir(dir, options->create_if_missing, out_error);
	if (status != FTS_OK) return status;
	store = calloc(1, sizeof *store);
	if (store == NULL || (store->dir = strdup(dir)) == NULL ||
	    (options->one_writer && (store->recent = ftsi_recent_create()) == NULL)) {
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory to open %s", dir);
		goto out;
	}
	atomic_init(&store->holder_count, 1);
	set_options(store, options);
	store->db = options->read_only ? rocksdb_open_for_read_only(store->options, dir, 0, &message)
				       : rocksdb_open(store->options, dir, &message);
	if (message != NULL) {
		status = explain_open(message, dir, out_error);
		goto out;
	}
	divide_buffer(store, options);
	*out_store = store;
	return FTS_OK;
out:
	if (store != NULL) free_store(store);
	return status;
}

void fts_store_hold(struct fts_store *store)
{
	(void)atomic_fetch_add_explicit(&store->holder_count, 1, memory_order_relaxed);
}

void fts_store_discard(struct fts_store *store)
{
	atomic_store(&store->discarded, true);
}

const char *fts_store_dir(const struct fts_store *store)
{
	return store->dir;
}

void fts_store_close(struct fts_store *store)
{
	if (store == NULL) return;
	/* Acquire and release: who closes sees everything that all others did with it. */
	if (atomic_fetch_sub_explicit(&store->holder_count, 1, memory_order_acq_rel) == 1) free_store(store);
}

enum fts_status fts_store_flush(struct fts_store *store)
{
	char *message = NULL;
	rocksdb_flushoptions_t *options;
	enum fts_status status = ftsi_store_fault(FTSI_STORE_FLUSH);
	if (status != FTS_OK) return status;
	options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 1);
	rocksdb_flush(store->db, options, &message);
	rocksdb_flushoptions_destroy(options);
	return ftsi_store_status(message, "store.flush_failed", store->dir);
}

enum fts_status fts_store_checkpoint(struct fts_store *store, const char *dir)
{
	char *message = NULL;
	rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(store->db, &message);
	if (message == NULL) rocksdb_checkpoint_create(checkpoint, dir, 0, &message);
	if (checkpoint != NULL) rocksdb_checkpoint_object_destroy(checkpoint);
	return ftsi_store_status(message, "store.checkpoint_failed", store->dir);
}

uint64_t fts_store_disk_bytes(struct fts_store *store)
{
	uint64_t bytes = 0;
	if (rocksdb_property_int(store->db, "rocksdb.total-sst-files-size", &bytes) != 0) return 0;
	return bytes;
}
