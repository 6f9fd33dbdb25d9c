/* Why this file exists: a generator runs once and ends, so everything it makes lives in one arena that is freed
 * as a whole. Running out of memory ends the process with a line on stderr: there is nothing to save. */
#ifndef FTS_GEN_ARENA_H
#define FTS_GEN_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct ftsi_arena; /* not thread-safe */

/* Make an empty arena. Returned: ftsi_arena_destroy. Never NULL. */
struct ftsi_arena *ftsi_arena_create(void);

/* Free the arena (owned; NULL: no-op) and everything allocated from it. */
void ftsi_arena_destroy(struct ftsi_arena *arena);

/* Zeroed memory for `count` things of `size_bytes` each, aligned for any type; borrowed until destroy. Never NULL. */
void *ftsi_arena_alloc(struct ftsi_arena *arena, size_t count, size_t size_bytes);

/* A copy of size_bytes bytes of data (borrowed) with a zero byte behind them; borrowed until destroy. */
char *ftsi_arena_copy(struct ftsi_arena *arena, const char *data, size_t size_bytes);

/* A formatted string, of any length; borrowed until destroy. */
char *ftsi_arena_format(struct ftsi_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *ftsi_arena_vformat(struct ftsi_arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
