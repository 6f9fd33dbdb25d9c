/* Why this file exists: see tests/harness/directory.h. */
#include "tests/harness/directory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define DIRECTORIES_MAX 256
#define FILE_BYTES_MAX (64u * 1024 * 1024)

static struct {
	pid_t owner;
	size_t count;
	char paths[DIRECTORIES_MAX][HARNESS_PATH_MAX];
} made;

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
	(void)about, (void)kind, (void)place;
	return remove(path);
}

void harness_directory_remove(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void remove_all(void)
{
	if (made.owner != getpid()) return; /* a forked child that failed to exec */
	for (size_t i = 0; i < made.count; i++)
		harness_directory_remove(made.paths[i]);
}

void harness_directory_make(char *out_path)
{
	const char *base = getenv("TMPDIR");
	if (made.count == 0) {
		made.owner = getpid();
		atexit(remove_all);
	}
	if (made.count == DIRECTORIES_MAX) fail_msg("more than %d directories in one test program", DIRECTORIES_MAX);
	snprintf(out_path, HARNESS_PATH_MAX, "%s/fts-test-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(out_path) == NULL) fail_msg("can't make %s", out_path);
	snprintf(made.paths[made.count++], HARNESS_PATH_MAX, "%s", out_path);
}

char *harness_file_read(const char *path, size_t *out_size_bytes)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;
	long size = -1;
	if (file == NULL) return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && size <= (long)FILE_BYTES_MAX)
		text = malloc((size_t)size + 1);
	if (text != NULL) {
		rewind(file);
		size_t got = fread(text, 1, (size_t)size, file);
		text[got] = '\0';
		if (out_size_bytes != NULL) *out_size_bytes = got;
	}
	fclose(file);
	return text;
}

void harness_file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");
	if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) fail_msg("can't write %s", path);
}
