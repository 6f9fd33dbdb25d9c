/* Why this file exists: see arena.h.
 *
 * The pool is a buddy allocator over one reserved mapping, in units of 4 KiB. Its lists are indexes in arrays beside
 * the mapping, so that free memory is never touched and never becomes resident. Single units, which nearly every
 * request needs and nothing else, go through a list of their own that is merged back only when a larger block
 * can't be had. */
#include "base/arena.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT_BYTES 4096u
#define ORDER_COUNT 20u /* up to 2 GiB a block */
#define KEEP_MAX_BYTES 65536u
#define ALIGNMENT 16u
#define NONE UINT32_MAX
#define LENT 0xffu  /* state of a block's first unit while it is lent, and of all units inside blocks */
#define QUICK 0xfeu /* state of a unit on the quick list */

#if defined(__SANITIZE_ADDRESS__)
#define FTS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FTS_ASAN 1
#endif
#endif
#ifdef FTS_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(data, size_bytes) ASAN_POISON_MEMORY_REGION((data), (size_bytes))
#define UNPOISON(data, size_bytes) ASAN_UNPOISON_MEMORY_REGION((data), (size_bytes))
#else
#define POISON(data, size_bytes) ((void)(data), (void)(size_bytes))
#define UNPOISON(data, size_bytes) ((void)(data), (void)(size_bytes))
#endif

struct fts_arena_pool {
	pthread_mutex_t mutex;
	uint8_t *memory;
	uint32_t unit_count;
	/* guarded by mutex: */
	uint32_t free_head[ORDER_COUNT];
	uint32_t quick_head;
	uint32_t *next; /* of a free block's first unit */
	uint32_t *prev;
	uint8_t *state; /* order of the free block that begins here, LENT or QUICK */
	size_t used_bytes;
};

struct block {
	struct block *older;
	size_t size_bytes; /* all of it, this struct included */
};

struct fts_arena {
	struct block first;
	struct fts_arena_pool *pool;
	struct block *current;
	uint8_t *at;
	uint8_t *end;
	size_t left_bytes; /* of the cap */
	size_t cap_bytes;
	bool exhausted;
};

static size_t align_up(size_t size_bytes)
{
	return (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* ---- The pool: all static functions here are called with its mutex held ---- */

static void list_push(struct fts_arena_pool *pool, uint32_t unit, uint32_t order)
{
	uint32_t head = pool->free_head[order];
	pool->state[unit] = (uint8_t)order;
	pool->prev[unit] = NONE;
	pool->next[unit] = head;
	if (head != NONE) pool->prev[head] = unit;
	pool->free_head[order] = unit;
}

static void list_remove(struct fts_arena_pool *pool, uint32_t unit, uint32_t order)
{
	uint32_t next = pool->next[unit], prev = pool->prev[unit];
	if (next != NONE) pool->prev[next] = prev;
	if (prev != NONE)
		pool->next[prev] = next;
	else
		pool->free_head[order] = next;
	pool->state[unit] = LENT;
}

/* Free a block, together with every free buddy. */
static void buddy_free(struct fts_arena_pool *pool, uint32_t unit, uint32_t order)
{
	for (; order + 1 < ORDER_COUNT; order++) {
		uint32_t buddy = unit ^ (1u << order);
		if (buddy >= pool->unit_count || pool->state[buddy] != order) break;
		list_remove(pool, buddy, order);
		unit &= ~(1u << order);
	}
	list_push(pool, unit, order);
}

static void quick_merge(struct fts_arena_pool *pool)
{
	while (pool->quick_head != NONE) {
		uint32_t unit = pool->quick_head;
		pool->quick_head = pool->next[unit];
		pool->state[unit] = LENT;
		buddy_free(pool, unit, 0);
	}
}

static uint32_t buddy_take(struct fts_arena_pool *pool, uint32_t order)
{
	uint32_t have = order;
	while (have < ORDER_COUNT && pool->free_head[have] == NONE)
		have++;
	if (have == ORDER_COUNT) return NONE;
	uint32_t unit = pool->free_head[have];
	list_remove(pool, unit, have);
	while (have > order) {
		have--;
		list_push(pool, unit + (1u << have), have);
	}
	return unit;
}

static uint32_t take(struct fts_arena_pool *pool, uint32_t order)
{
	uint32_t unit = pool->quick_head;
	if (order == 0 && unit != NONE) {
		pool->quick_head = pool->next[unit];
		pool->state[unit] = LENT;
		return unit;
	}
	unit = buddy_take(pool, order);
	if (unit != NONE || pool->quick_head == NONE) return unit;
	quick_merge(pool);
	return buddy_take(pool, order);
}

static void give(struct fts_arena_pool *pool, uint32_t unit, uint32_t order)
{
	FTS_ASSERT(pool->state[unit] == LENT);
	if (order > 0) {
		buddy_free(pool, unit, order);
		return;
	}
	pool->state[unit] = QUICK;
	pool->next[unit] = pool->quick_head;
	pool->quick_head = unit;
}

/* Cut the whole mapping into the largest aligned blocks. */
static void pool_fill(struct fts_arena_pool *pool)
{
	memset(pool->state, LENT, pool->unit_count);
	for (uint32_t i = 0; i < ORDER_COUNT; i++)
		pool->free_head[i] = NONE;
	pool->quick_head = NONE;
	for (uint32_t unit = 0; unit < pool->unit_count;) {
		uint32_t order = ORDER_COUNT - 1;
		while ((unit & ((1u << order) - 1)) != 0 || (1u << order) > pool->unit_count - unit)
			order--;
		list_push(pool, unit, order);
		unit += 1u << order;
	}
}

struct fts_arena_pool *fts_arena_pool_create(size_t total_bytes)
{
	size_t unit_count = total_bytes / UNIT_BYTES + (total_bytes % UNIT_BYTES != 0);
	if (unit_count == 0 || unit_count >= NONE / 2) return NULL;
	struct fts_arena_pool *pool = calloc(1, sizeof *pool);
	if (pool == NULL) return NULL;
	pool->unit_count = (uint32_t)unit_count;
	pool->next = malloc(unit_count * sizeof *pool->next);
	pool->prev = malloc(unit_count * sizeof *pool->prev);
	pool->state = malloc(unit_count);
	void *memory = mmap(NULL, unit_count * UNIT_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pool->memory = memory == MAP_FAILED ? NULL : memory;
	pthread_mutex_init(&pool->mutex, NULL);
	if (pool->next == NULL || pool->prev == NULL || pool->state == NULL || pool->memory == NULL) {
		fts_arena_pool_destroy(pool);
		return NULL;
	}
	pool_fill(pool);
	return pool;
}

void fts_arena_pool_destroy(struct fts_arena_pool *pool)
{
	if (pool == NULL) return;
	FTS_ASSERT(pool->used_bytes == 0);
	if (pool->memory != NULL) {
		UNPOISON(pool->memory, (size_t)pool->unit_count * UNIT_BYTES);
		munmap(pool->memory, (size_t)pool->unit_count * UNIT_BYTES);
	}
	pthread_mutex_destroy(&pool->mutex);
	free(pool->next);
	free(pool->prev);
	free(pool->state);
	free(pool);
}

size_t fts_arena_pool_used_bytes(const struct fts_arena_pool *pool)
{
	struct fts_arena_pool *p = (struct fts_arena_pool *)(uintptr_t)pool;
	pthread_mutex_lock(&p->mutex);
	size_t used_bytes = p->used_bytes;
	pthread_mutex_unlock(&p->mutex);
	return used_bytes;
}

static struct block *block_take(struct fts_arena_pool *pool, size_t size_bytes)
{
	uint32_t order = 0;
	while (order < ORDER_COUNT && ((size_t)UNIT_BYTES << order) < size_bytes)
		order++;
	if (order == ORDER_COUNT) return NULL;
	pthread_mutex_lock(&pool->mutex);
	uint32_t unit = take(pool, order);
	if (unit != NONE) pool->used_bytes += (size_t)UNIT_BYTES << order;
	pthread_mutex_unlock(&pool->mutex);
	if (unit == NONE) return NULL;
	struct block *block = (struct block *)(void *)(pool->memory + (size_t)unit * UNIT_BYTES);
	UNPOISON(block, sizeof *block);
	block->older = NULL;
	block->size_bytes = (size_t)UNIT_BYTES << order;
	return block;
}

static void block_give(struct fts_arena_pool *pool, struct block *block)
{
	size_t size_bytes = block->size_bytes;
	uint32_t unit = (uint32_t)((size_t)((uint8_t *)block - pool->memory) / UNIT_BYTES);
	uint32_t order = 0;
	while (((size_t)UNIT_BYTES << order) < size_bytes)
		order++;
	if (size_bytes > KEEP_MAX_BYTES) madvise(block, size_bytes, MADV_DONTNEED);
	POISON(block, size_bytes);
	pthread_mutex_lock(&pool->mutex);
	give(pool, unit, order);
	pool->used_bytes -= size_bytes;
	pthread_mutex_unlock(&pool->mutex);
}

/* ---- The arena ---- */

static void arena_begin(struct fts_arena *arena)
{
	arena->current = &arena->first;
	arena->at = (uint8_t *)arena + align_up(sizeof *arena);
	arena->end = (uint8_t *)arena + arena->first.size_bytes;
	arena->left_bytes = arena->cap_bytes;
	arena->exhausted = false;
	POISON(arena->at, (size_t)(arena->end - arena->at));
}

struct fts_arena *fts_arena_acquire(struct fts_arena_pool *pool, size_t cap_bytes)
{
	struct block *block = block_take(pool, UNIT_BYTES);
	if (block == NULL) return NULL;
	struct fts_arena *arena = (struct fts_arena *)block;
	UNPOISON(arena, sizeof *arena);
	arena->pool = pool;
	arena->cap_bytes = cap_bytes;
	arena_begin(arena);
	return arena;
}

/* Twice the last block, so that their number stays small; only what is needed when that can't be had. */
static bool arena_grow(struct fts_arena *arena, size_t need_bytes)
{
	size_t head_bytes = align_up(sizeof(struct block));
	size_t least_bytes = need_bytes + head_bytes;
	size_t want_bytes = arena->current->size_bytes * 2;
	struct block *block = NULL;
	if (want_bytes > least_bytes) block = block_take(arena->pool, want_bytes);
	if (block == NULL) block = block_take(arena->pool, least_bytes);
	if (block == NULL) return false;
	block->older = arena->current;
	arena->current = block;
	arena->at = (uint8_t *)block + head_bytes;
	arena->end = (uint8_t *)block + block->size_bytes;
	POISON(arena->at, (size_t)(arena->end - arena->at));
	return true;
}

void *fts_arena_alloc(struct fts_arena *arena, size_t size_bytes)
{
	size_t need_bytes = size_bytes == 0 ? ALIGNMENT : align_up(size_bytes);
	if (size_bytes > arena->left_bytes || need_bytes > arena->left_bytes ||
	    (need_bytes > (size_t)(arena->end - arena->at) && !arena_grow(arena, need_bytes))) {
		arena->exhausted = true;
		return NULL;
	}
	uint8_t *data = arena->at;
	arena->at += need_bytes;
	arena->left_bytes -= need_bytes;
	UNPOISON(data, size_bytes);
	return data;
}

void *fts_arena_calloc(struct fts_arena *arena, size_t size_bytes)
{
	void *data = fts_arena_alloc(arena, size_bytes);
	return data == NULL ? NULL : memset(data, 0, size_bytes);
}

char *fts_arena_copy(struct fts_arena *arena, const void *data, size_t size_bytes)
{
	if (size_bytes == SIZE_MAX) {
		arena->exhausted = true;
		return NULL;
	}
	char *copy = fts_arena_alloc(arena, size_bytes + 1);
	if (copy == NULL) return NULL;
	if (size_bytes > 0) memcpy(copy, data, size_bytes);
	copy[size_bytes] = '\0';
	return copy;
}

int fts_arena_exhausted(const struct fts_arena *arena)
{
	return arena->exhausted;
}

void fts_arena_reset(struct fts_arena *arena)
{
	while (arena->current != &arena->first) {
		struct block *block = arena->current;
		arena->current = block->older;
		block_give(arena->pool, block);
	}
	arena_begin(arena);
}

void fts_arena_release(struct fts_arena *arena)
{
	if (arena == NULL) return;
	fts_arena_reset(arena);
	block_give(arena->pool, &arena->first);
}
