/* Why this file exists: memory of one request. An arena is a bump allocator with a cap, its blocks come from a
 * pool that is reserved once at start-up, so that nothing between receive and reply calls malloc.
 *
 * Invariants: an arena is used by one thread at a time; a pool by any. What an arena gave is valid until reset
 * or release. A pool never grows past what it reserved: full means NULL, never a wait. Reserved memory that was
 * never touched is not resident, and blocks above 64 KiB are given back to the kernel when released. */
#ifndef FTS_BASE_ARENA_H
#define FTS_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct fts_arena_pool;
struct fts_arena;

/* Reserve address space for arenas of at most total_bytes together. Returned (fts_arena_pool_destroy);
 * NULL: no address space. Thread: any. */
struct fts_arena_pool *fts_arena_pool_create(size_t total_bytes);
/* All arenas must have been released. NULL: no-op. */
void fts_arena_pool_destroy(struct fts_arena_pool *pool);
/* Bytes of blocks now lent to arenas. */
size_t fts_arena_pool_used_bytes(const struct fts_arena_pool *pool);

/* An empty arena that may give cap_bytes in all. Returned (fts_arena_release); NULL: the pool is full. */
struct fts_arena *fts_arena_acquire(struct fts_arena_pool *pool, size_t cap_bytes);
/* 16-byte aligned, not zeroed. NULL: past the cap, or the pool is full. size_bytes 0 gives a valid pointer. */
void *fts_arena_alloc(struct fts_arena *arena, size_t size_bytes);
/* size_bytes zeroed bytes; otherwise as fts_arena_alloc. */
void *fts_arena_calloc(struct fts_arena *arena, size_t size_bytes);
/* Copies of size_bytes bytes at data (borrowed), with a 0 byte behind them. NULL as fts_arena_alloc. */
char *fts_arena_copy(struct fts_arena *arena, const void *data, size_t size_bytes);
/* True when an allocation has failed since acquire or reset: tells "no memory" from "malformed". */
int fts_arena_exhausted(const struct fts_arena *arena);
/* Forget everything, keep the first block. */
void fts_arena_reset(struct fts_arena *arena);
/* Give all blocks back to the pool. NULL: no-op. */
void fts_arena_release(struct fts_arena *arena);

#endif
