/* Why this file exists: a directory that can't be trusted is refused with words, before anything in it is changed.
 *
 * Flipped bits: at many places of what a killed process left. Either the replica refuses to start, or it comes up
 * with every answered command in it: never with less. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver.h"

enum { COMMANDS = 40, FLIPS = 60, REFUSED = 10, LESS = 11 };

/* A directory as kill -9 leaves it: entries only in the write-ahead log. */
static char *make_killed_dir(void)
{
	char *dir = make_dir();
	pid_t child;
	int status;
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct driver_options options = {.dir = dir};
		struct fts_replica *replica = driver_ready(&options);
		struct add one = {.name = "a", .delta = 1, .ballast_bytes = 300};
		struct add_result result;
		for (int i = 0; i < COMMANDS; i++)
			if (add_call(replica, &one, &result) != FTS_OK) _exit(1);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return dir;
}

/* The largest file of dir/log that ends so. */
static bool find_file(const char *dir, const char *end, char *out_path, size_t capacity_bytes, long *out_size)
{
	char command[700];
	FILE *found;
	struct stat about;
	(void)snprintf(command, sizeof command, "ls -S %s/log/*%s 2>/dev/null | head -1", dir, end);
	found = popen(command, "r");
	assert_non_null(found);
	if (fgets(out_path, (int)capacity_bytes, found) == NULL) out_path[0] = 0;
	(void)pclose(found);
	out_path[strcspn(out_path, "\n")] = 0;
	if (stat(out_path, &about) != 0) return false;
	*out_size = about.st_size;
	return true;
}

static void flip_bit(const char *path, long at, int bit)
{
	FILE *file = fopen(path, "r+b");
	int byte;
	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_equal(fputc(byte ^ 1 << bit, file), byte ^ 1 << bit);
	assert_int_equal(fclose(file), 0);
}

/* In a child: damage may take libraries down a path that ends the process. Its exit says how it went. */
static int try_start(const char *dir, const char *name, struct fts_error *out_error)
{
	pid_t child;
	int status, pipes[2];
	assert_int_equal(pipe(pipes), 0);
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct fatal_seen fatal = {0};
		struct driver_options options = {.dir = dir, .name = name, .fatal = &fatal};
		struct fts_replica *replica = NULL;
		struct fts_error error = {0};
		int64_t value = -1;
		if (driver_start(&options, &replica, &error) != FTS_OK) {
			(void)!write(pipes[1], &error, sizeof error);
			_exit(REFUSED);
		}
		if (fts_replica_wait_ready(replica, 10000) != FTS_OK) _exit(12);
		if (get_call(replica, "a", 0, 5000, &value) != FTS_OK || value != COMMANDS) _exit(LESS);
		driver_stop(replica);
		_exit(0);
	}
	close(pipes[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
		assert_int_equal(read(pipes[0], out_error, sizeof *out_error), sizeof *out_error);
	close(pipes[0]);
	return status;
}

static void flipped_bits(void **state)
{
	char *dir = make_killed_dir();
	unsigned seed = 5;
	int refused = 0;
	(void)state;
	for (int i = 0; i < FLIPS; i++) {
		char *copy = copy_dir(dir);
		char path[700];
		long size = 0, at;
		struct fts_error error = {0};
		int status, bit = rand_r(&seed) % 8;
		assert_true(find_file(copy, ".log", path, sizeof path, &size));
		at = rand_r(&seed) % (size - 1024); /* not in the last records: a torn tail looks the same */
		flip_bit(path, at, bit);
		status = try_start(copy, NULL, &error);
		if (!WIFEXITED(status) || (WEXITSTATUS(status) != REFUSED && WEXITSTATUS(status) != 0))
			fail_msg("bit %d of byte %ld of %ld: ended with %x", bit, at, size, (unsigned)status);
		if (WEXITSTATUS(status) == REFUSED) {
			assert_int_equal(error.status, FTS_DATA_LOSS);
			assert_true(strlen(error.detail) > 20);
			refused++;
		}
		remove_dir(copy);
	}
	print_message("%d of %d refused\n", refused, FLIPS);
	assert_true(refused > FLIPS / 2);
	remove_dir(dir);
}

static void expect_refusal(const char *dir, const char *name, enum fts_status wanted, const char *words)
{
	struct fts_error error = {0};
	int status = try_start(dir, name, &error);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), REFUSED);
	if (error.status != wanted || strstr(error.detail, words) == NULL)
		fail_msg("%s: %s", fts_status_name(error.status), error.detail);
}

static void remove_part(const char *dir, const char *part)
{
	char path[700];
	(void)snprintf(path, sizeof path, "%s/%s", dir, part);
	remove_dir(strdup(path));
}

static void stop_cleanly(const char *dir)
{
	struct fts_error error = {0};
	assert_int_equal(try_start(dir, NULL, &error), 0);
}

static void missing_parts(void **state)
{
	static const struct {
		const char *label, *part;
		bool stopped; /* the state was flushed before */
		const char *words;
	} cases[] = {
	    {"CURRENT of the log", "log/CURRENT", false, "CURRENT is gone"},
	    {"CURRENT of the state", "state/CURRENT", true, "CURRENT is gone"},
	    {"the log", "log", true, "different clusters"},
	};
	char *dir = make_killed_dir();
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *copy = copy_dir(dir);
		print_message("%s\n", cases[i].label);
		if (cases[i].stopped) stop_cleanly(copy);
		remove_part(copy, cases[i].part);
		expect_refusal(copy, NULL, FTS_DATA_LOSS, cases[i].words);
		expect_refusal(copy, NULL, FTS_DATA_LOSS, cases[i].words); /* and nothing was made whole by trying */
		remove_dir(copy);
	}
	remove_dir(dir);
}

static void add_more(const char *dir)
{
	pid_t child;
	int status;
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct driver_options options = {.dir = dir};
		struct fts_replica *replica = driver_ready(&options);
		struct add one = {.name = "a", .delta = 1};
		struct add_result result;
		for (int i = 0; i < 5; i++)
			if (add_call(replica, &one, &result) != FTS_OK) _exit(1);
		driver_stop(replica);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The state of one moment under the log of an earlier one. */
static void parts_of_different_age(void **state)
{
	char *dir = make_killed_dir(), *copy, old_log[700], new_log[700];
	(void)state;
	copy = copy_dir(dir);
	add_more(copy);
	remove_part(copy, "log");
	(void)snprintf(old_log, sizeof old_log, "%s/log", dir);
	(void)snprintf(new_log, sizeof new_log, "%s/log", copy);
	assert_int_equal(rename(old_log, new_log), 0);
	expect_refusal(copy, NULL, FTS_DATA_LOSS, "do not fit together");
	remove_dir(copy);
	remove_dir(dir);
}

static void foreign_directories(void **state)
{
	char *dir = make_killed_dir();
	struct fts_store_options store_options = {.write_ahead_log = true};
	struct fts_store *log = NULL;
	struct ftsi_identity identity;
	struct raft_configuration conf;
	struct raft_buffer encoded;
	char path[700];
	(void)state;
	expect_refusal(dir, "n2", FTS_FAILED_PRECONDITION, "belongs to node n1");

	(void)snprintf(path, sizeof path, "%s/log", dir);
	assert_int_equal(fts_store_open(path, &store_options, &log, NULL), FTS_OK);
	assert_int_equal(ftsi_log_read_identity(log, &identity), FTS_OK);
	identity.format = FTS_FORMAT + 1;
	raft_configuration_init(&conf);
	assert_int_equal(raft_configuration_add(&conf, 1, "a", RAFT_VOTER), 0);
	assert_int_equal(raft_configuration_encode(&conf, &encoded), 0);
	assert_int_equal(ftsi_log_bootstrap(log, &identity, &encoded), FTS_OK);
	raft_free(encoded.base);
	raft_configuration_close(&conf);
	fts_store_close(log);
	expect_refusal(dir, NULL, FTS_FAILED_PRECONDITION, "start the version that wrote it");
	remove_dir(dir);
}

static void used_directory(void **state)
{
	char *dir = make_dir();
	struct driver_options options = {.dir = dir};
	struct fts_replica *replica = driver_ready(&options), *second = NULL;
	struct fts_error error = {0};
	(void)state;
	assert_int_equal(driver_start(&options, &second, &error), FTS_UNAVAILABLE);
	assert_non_null(strstr(error.detail, "in use by another process"));
	driver_stop(replica);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flipped_bits),           cmocka_unit_test(missing_parts),
	    cmocka_unit_test(parts_of_different_age), cmocka_unit_test(foreign_directories),
	    cmocka_unit_test(used_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
