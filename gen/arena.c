/* Why this file exists: the generator's memory; see arena.h.
 * Invariant: every block is on the list from its allocation to ftsi_arena_destroy. */
#include "gen/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
	_Alignas(max_align_t) unsigned char memory[];
};

struct ftsi_arena {
	struct block *blocks;
};

static void *must_calloc(size_t size_bytes)
{
	void *memory = calloc(1, size_bytes);

	if (memory == NULL) {
		fputs("protoc-gen-fts: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

struct ftsi_arena *ftsi_arena_create(void)
{
	return must_calloc(sizeof(struct ftsi_arena));
}

void ftsi_arena_destroy(struct ftsi_arena *arena)
{
	if (arena == NULL) return;
	for (struct block *block = arena->blocks, *next; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(arena);
}

void *ftsi_arena_alloc(struct ftsi_arena *arena, size_t count, size_t size_bytes)
{
	struct block *block;

	if (size_bytes != 0 && count > (SIZE_MAX - sizeof(*block)) / size_bytes) {
		fputs("protoc-gen-fts: a size beyond all memory\n", stderr);
		exit(1);
	}
	block = must_calloc(sizeof(*block) + count * size_bytes);
	block->next = arena->blocks;
	arena->blocks = block;
	return block->memory;
}

char *ftsi_arena_copy(struct ftsi_arena *arena, const char *data, size_t size_bytes)
{
	char *copy = ftsi_arena_alloc(arena, size_bytes + 1, 1);

	if (size_bytes > 0) memcpy(copy, data, size_bytes);
	return copy;
}

char *ftsi_arena_vformat(struct ftsi_arena *arena, const char *format, va_list args)
{
	va_list again;
	int length;
	char *string;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0) return ftsi_arena_copy(arena, "", 0);
	string = ftsi_arena_alloc(arena, (size_t)length + 1, 1);
	vsnprintf(string, (size_t)length + 1, format, args);
	return string;
}

char *ftsi_arena_format(struct ftsi_arena *arena, const char *format, ...)
{
	va_list args;
	char *string;

	va_start(args, format);
	string = ftsi_arena_vformat(arena, format, args);
	va_end(args);
	return string;
}
