/* Why this file exists: keys and tokens lie in files, and a file that others can read or replace keeps no secret. One
 * rule for all of them: it is a plain file, it belongs to the user who runs the program, and nobody else may read,
 * write or execute it. Whoever reads a secret asks here first, with the file already open, so that what is checked is
 * what is read. Thread: any. */
#ifndef FTS_BASE_SECRET_FILE_H
#define FTS_BASE_SECRET_FILE_H

#include <stddef.h>

#include <fts/status.h>

/* path: borrowed, for the error. Errors: INVALID_ARGUMENT (what is wrong, and what to do). */
FTS_MUST_USE enum fts_status fts_secret_file_check(int fd, const char *path, struct fts_error *out_error);

/* Read a secret of at most size_bytes bytes from path (borrowed) into out (borrowed), white space at its end left out.
 * out_size_bytes: at least 1. what: how the error calls it, as "token" (borrowed).
 * Errors: INVALID_ARGUMENT (as above; can't be read; empty; too long). */
FTS_MUST_USE enum fts_status fts_secret_file_read(const char *path, const char *what, void *out, size_t size_bytes,
						  size_t *out_size_bytes, struct fts_error *out_error);

/* Write a new file of mode 0600, synced; one that is there already is not touched. text: borrowed.
 * Errors: ALREADY_EXISTS, INVALID_ARGUMENT (can't be written). */
FTS_MUST_USE enum fts_status fts_secret_file_make(const char *path, const void *text, size_t size_bytes,
						  struct fts_error *out_error);

#endif
