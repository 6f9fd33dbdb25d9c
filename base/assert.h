/* Why this file exists: assertions of our own promises stay on in release builds. What comes from a socket,
 * a disk, a user, a script or an allocator is returned as a status, never asserted. */
#ifndef FTS_BASE_ASSERT_H
#define FTS_BASE_ASSERT_H

/* Writes `level=error event=assert.failed ...` to standard error and aborts. Thread: any. */
_Noreturn void fts_assert_failed(const char *expression, const char *file, int line);

#define FTS_ASSERT(expression) ((expression) ? (void)0 : fts_assert_failed(#expression, __FILE__, __LINE__))

#endif
