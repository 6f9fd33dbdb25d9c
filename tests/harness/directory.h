/* Why this file exists: directories of a test's own, removed when the test program ends, however it ends by itself. */
#ifndef FTS_TESTS_HARNESS_DIRECTORY_H
#define FTS_TESTS_HARNESS_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#define HARNESS_PATH_MAX 512

/* Make a directory below $TMPDIR or /tmp that is removed at exit. out_path: HARNESS_PATH_MAX bytes. */
void harness_directory_make(char *out_path);
/* Remove path and everything in it; symbolic links are not followed. Nothing there: no-op. */
void harness_directory_remove(const char *path);
/* The whole file with a zero byte behind it: returned (free()). NULL: can't be read, or above 64 MiB. */
char *harness_file_read(const char *path, size_t *out_size_bytes);
void harness_file_write(const char *path, const char *text);

#endif
