/* Why this file exists: an arena must never give two callers the same byte, never exceed its cap or its pool,
 * and a pool that was emptied must be whole again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"

#define MIB (1024u * 1024u)

static void allocations_are_aligned_and_apart(void **state)
{
	(void)state;
	struct fts_arena_pool *pool = fts_arena_pool_create(MIB);
	struct fts_arena *arena = fts_arena_acquire(pool, MIB);
	uint8_t *blocks[200];
	for (size_t i = 0; i < 200; i++) {
		blocks[i] = fts_arena_alloc(arena, i);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		memset(blocks[i], (int)i, i);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t k = 0; k < i; k++)
			assert_int_equal(blocks[i][k], (uint8_t)i);
	}
	fts_arena_release(arena);
	assert_int_equal(fts_arena_pool_used_bytes(pool), 0);
	fts_arena_pool_destroy(pool);
}

static void cap_is_kept(void **state)
{
	(void)state;
	struct fts_arena_pool *pool = fts_arena_pool_create(MIB);
	struct fts_arena *arena = fts_arena_acquire(pool, 1000);
	assert_non_null(fts_arena_alloc(arena, 900));
	assert_false(fts_arena_exhausted(arena));
	assert_null(fts_arena_alloc(arena, 200));
	assert_true(fts_arena_exhausted(arena));
	assert_null(fts_arena_alloc(arena, SIZE_MAX));
	assert_null(fts_arena_alloc(arena, SIZE_MAX - 15));
	assert_null(fts_arena_copy(arena, "", SIZE_MAX));
	fts_arena_reset(arena);
	assert_false(fts_arena_exhausted(arena));
	assert_non_null(fts_arena_alloc(arena, 900));
	fts_arena_release(arena);
	fts_arena_pool_destroy(pool);
}

static void copies_end_in_zero(void **state)
{
	(void)state;
	struct fts_arena_pool *pool = fts_arena_pool_create(MIB);
	struct fts_arena *arena = fts_arena_acquire(pool, MIB);
	assert_string_equal(fts_arena_copy(arena, "seven", 5), "seven");
	assert_string_equal(fts_arena_copy(arena, NULL, 0), "");
	const uint8_t *zeroed = fts_arena_calloc(arena, 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(zeroed[i], 0);
	fts_arena_release(arena);
	fts_arena_pool_destroy(pool);
}

/* A pool cut into small pieces must be able to give its largest block again. */
static void pool_becomes_whole_again(void **state)
{
	(void)state;
	struct fts_arena_pool *pool = fts_arena_pool_create(MIB);
	struct fts_arena *arenas[256];
	for (size_t round = 0; round < 3; round++) {
		size_t count = 0;
		while (count < 256 && (arenas[count] = fts_arena_acquire(pool, MIB)) != NULL)
			count++;
		assert_int_equal(count, 256);
		assert_null(fts_arena_acquire(pool, MIB));
		assert_int_equal(fts_arena_pool_used_bytes(pool), MIB);
		for (size_t i = 0; i < count; i++)
			fts_arena_release(arenas[i * 7 % count]);
		struct fts_arena *large = fts_arena_acquire(pool, MIB);
		assert_non_null(fts_arena_alloc(large, MIB / 2 - 64));
		assert_null(fts_arena_alloc(large, MIB / 2));
		fts_arena_release(large);
		assert_int_equal(fts_arena_pool_used_bytes(pool), 0);
	}
	fts_arena_pool_destroy(pool);
}

static void odd_pools_work(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 4096, 4097, 3 * 4096, 1000003};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct fts_arena_pool *pool = fts_arena_pool_create(sizes[i]);
		size_t count = 0, unit_count = (sizes[i] + 4095) / 4096;
		struct fts_arena **arenas = calloc(unit_count + 1, sizeof(struct fts_arena *));
		while (count <= unit_count && (arenas[count] = fts_arena_acquire(pool, 4096)) != NULL)
			count++;
		assert_int_equal(count, unit_count);
		while (count > 0)
			fts_arena_release(arenas[--count]);
		free(arenas);
		fts_arena_pool_destroy(pool);
	}
	assert_null(fts_arena_pool_create(0));
	fts_arena_pool_destroy(NULL);
	fts_arena_release(NULL);
}

/* Fault sweep: the pool runs out at the n-th block, n rising until it no longer does. */
static void sweep_exhaustion(void **state)
{
	(void)state;
	bool failed = true;
	for (size_t unit_count = 1; failed; unit_count++) {
		struct fts_arena_pool *pool = fts_arena_pool_create(unit_count * 4096);
		struct fts_arena *arena = fts_arena_acquire(pool, MIB);
		assert_non_null(arena);
		failed = false;
		for (size_t i = 1; i < 40; i++) {
			uint8_t *data = fts_arena_alloc(arena, i * 97);
			if (data == NULL) failed = true;
			if (data != NULL) memset(data, 0xab, i * 97);
			assert_int_equal(fts_arena_exhausted(arena), failed);
		}
		fts_arena_release(arena);
		assert_int_equal(fts_arena_pool_used_bytes(pool), 0);
		fts_arena_pool_destroy(pool);
	}
}

static size_t resident_page_count(const uint8_t *data, size_t size_bytes)
{
	static unsigned char pages[24 * MIB / 4096 + 1];
	uint8_t *begin = (uint8_t *)(((uintptr_t)data + 4095) & ~(uintptr_t)4095);
	size_t page_count = size_bytes / 4096 - 1, resident_count = 0;
	assert_int_equal(mincore(begin, page_count * 4096, pages), 0);
	for (size_t i = 0; i < page_count; i++)
		resident_count += pages[i] & 1;
	return resident_count;
}

/* What is reserved costs nothing, and what one large request used goes back to the kernel. */
static void large_blocks_go_back(void **state)
{
	(void)state;
	struct fts_arena_pool *pool = fts_arena_pool_create(64 * MIB);
	struct fts_arena *arena = fts_arena_acquire(pool, 64 * MIB);
	uint8_t *data = fts_arena_alloc(arena, 24 * MIB);
	assert_non_null(data);
	assert_int_equal(resident_page_count(data, 24 * MIB), 0);
	memset(data, 1, 24 * MIB);
	assert_true(resident_page_count(data, 24 * MIB) > 6000);
	fts_arena_release(arena);
	assert_int_equal(resident_page_count(data, 24 * MIB), 0);
	fts_arena_pool_destroy(pool);
}

static void *churn(void *arg)
{
	struct fts_arena_pool *pool = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	for (int i = 0; i < 3000; i++) {
		struct fts_arena *arena = fts_arena_acquire(pool, MIB);
		if (arena == NULL) continue;
		for (int k = 0; k < 4; k++) {
			size_t size_bytes = (size_t)rand_r(&seed) % 20000;
			uint8_t *data = fts_arena_alloc(arena, size_bytes);
			if (data != NULL) memset(data, i, size_bytes);
		}
		if (i % 3 == 0) fts_arena_reset(arena);
		fts_arena_release(arena);
	}
	return NULL;
}

static void threads_share_a_pool(void **state)
{
	(void)state;
	struct fts_arena_pool *pool = fts_arena_pool_create(MIB / 4);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, pool), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fts_arena_pool_used_bytes(pool), 0);
	fts_arena_pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(allocations_are_aligned_and_apart),
	    cmocka_unit_test(cap_is_kept),
	    cmocka_unit_test(copies_end_in_zero),
	    cmocka_unit_test(pool_becomes_whole_again),
	    cmocka_unit_test(odd_pools_work),
	    cmocka_unit_test(sweep_exhaustion),
	    cmocka_unit_test(large_blocks_go_back),
	    cmocka_unit_test(threads_share_a_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
