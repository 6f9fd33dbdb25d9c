/* Why this file exists: see store/overlay.h. */
#include "store/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static const struct fts_bytes nothing = {NULL, 0};

enum { LEVELS = 12, CHUNK_BYTES = 32 * 1024, ALIGNMENT = 8 };

struct chunk {
	struct chunk *next;
	size_t used_bytes, capacity_bytes;
	_Alignas(ALIGNMENT) uint8_t bytes[];
};

struct undo {
	struct ftsi_overlay_node *node;
	struct fts_bytes value;
	enum ftsi_overlay_state state;
};

struct ftsi_overlay {
	struct chunk *chunks; /* the one in use first */
	struct undo *undos;
	size_t undo_count, undo_capacity;
	size_t *marks; /* undo_count when the mark was set */
	size_t mark_count, mark_capacity;
	struct ftsi_overlay_node *head;
};

static void *take(struct ftsi_overlay *overlay, size_t size_bytes)
{
	size_t rounded = (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct chunk *chunk = overlay->chunks;
	void *taken;
	if (rounded < size_bytes) return NULL;
	if (chunk == NULL || chunk->capacity_bytes - chunk->used_bytes < rounded) {
		size_t capacity = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
		chunk = malloc(sizeof *chunk + capacity);
		if (chunk == NULL) return NULL;
		chunk->used_bytes = 0;
		chunk->capacity_bytes = capacity;
		chunk->next = overlay->chunks;
		overlay->chunks = chunk;
	}
	taken = chunk->bytes + chunk->used_bytes;
	chunk->used_bytes += rounded;
	return taken;
}

struct ftsi_overlay *ftsi_overlay_create(void)
{
	struct ftsi_overlay *overlay = calloc(1, sizeof *overlay);
	if (overlay == NULL) return NULL;
	overlay->head = take(overlay, sizeof *overlay->head + LEVELS * sizeof overlay->head->next[0]);
	if (overlay->head == NULL) {
		ftsi_overlay_destroy(overlay);
		return NULL;
	}
	memset(overlay->head, 0, sizeof *overlay->head + LEVELS * sizeof overlay->head->next[0]);
	return overlay;
}

void ftsi_overlay_destroy(struct ftsi_overlay *overlay)
{
	if (overlay == NULL) return;
	for (struct chunk *chunk = overlay->chunks; chunk != NULL;) {
		struct chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
	free(overlay->undos);
	free(overlay->marks);
	free(overlay);
}

int ftsi_bytes_compare(struct fts_bytes a, struct fts_bytes b)
{
	size_t common = a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes;
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
	if (order != 0) return order;
	return a.size_bytes < b.size_bytes ? -1 : a.size_bytes > b.size_bytes;
}

/* 1 with probability 3/4, 2 with 3/16, ...: FNV-1a, finished so that all bits count. */
static unsigned height_of(struct fts_bytes key)
{
	uint64_t hash = 14695981039346656037u;
	unsigned height = 1;
	for (size_t i = 0; i < key.size_bytes; i++)
		hash = (hash ^ key.data[i]) * 1099511628211u;
	hash ^= hash >> 32;
	hash *= 0x9E3779B97F4A7C15u;
	hash ^= hash >> 29;
	while (height < LEVELS && (hash & 3) == 0) {
		height++;
		hash >>= 2;
	}
	return height;
}

/* The node at or behind key, and the last node before it on each level. */
static struct ftsi_overlay_node *descend(const struct ftsi_overlay *overlay, struct fts_bytes key,
					 struct ftsi_overlay_node **before)
{
	struct ftsi_overlay_node *at = overlay->head;
	for (unsigned level = LEVELS; level > 0; level--) {
		struct ftsi_overlay_node *next = at->next[level - 1];
		while (next != NULL && ftsi_bytes_compare(next->key, key) < 0) {
			at = next;
			next = at->next[level - 1];
		}
		if (before != NULL) before[level - 1] = at;
	}
	return at->next[0];
}

struct ftsi_overlay_node *ftsi_overlay_seek(const struct ftsi_overlay *overlay, struct fts_bytes key)
{
	return descend(overlay, key, NULL);
}

struct ftsi_overlay_node *ftsi_overlay_find(const struct ftsi_overlay *overlay, struct fts_bytes key)
{
	struct ftsi_overlay_node *node = descend(overlay, key, NULL);
	return node != NULL && ftsi_bytes_compare(node->key, key) == 0 ? node : NULL;
}

/* A copy of head + tail. data NULL: no memory. */
static struct fts_bytes copy_bytes(struct ftsi_overlay *overlay, struct fts_bytes head, struct fts_bytes tail)
{
	uint8_t *copy = take(overlay, head.size_bytes + tail.size_bytes);
	if (copy == NULL) return (struct fts_bytes){NULL, 0};
	if (head.size_bytes > 0) memcpy(copy, head.data, head.size_bytes);
	if (tail.size_bytes > 0) memcpy(copy + head.size_bytes, tail.data, tail.size_bytes);
	return (struct fts_bytes){copy, head.size_bytes + tail.size_bytes};
}

static struct ftsi_overlay_node *insert(struct ftsi_overlay *overlay, struct fts_bytes key,
					struct ftsi_overlay_node **before)
{
	unsigned height = height_of(key);
	struct ftsi_overlay_node *node = take(overlay, sizeof *node + height * sizeof node->next[0]);
	if (node == NULL) return NULL;
	*node = (struct ftsi_overlay_node){.key = copy_bytes(overlay, key, nothing), .state = FTSI_OVERLAY_ABSENT};
	if (node->key.data == NULL) return NULL;
	for (unsigned level = 0; level < height; level++) {
		node->next[level] = before[level]->next[level];
		before[level]->next[level] = node;
	}
	return node;
}

static bool grow(void **items, size_t *capacity, size_t count, size_t item_bytes)
{
	size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
	void *grown;
	if (count < *capacity) return true;
	grown = realloc(*items, wanted * item_bytes);
	if (grown == NULL) return false;
	*items = grown;
	*capacity = wanted;
	return true;
}

static bool remember(struct ftsi_overlay *overlay, struct ftsi_overlay_node *node)
{
	if (overlay->mark_count == 0) return true;
	if (!grow((void **)&overlay->undos, &overlay->undo_capacity, overlay->undo_count, sizeof *overlay->undos))
		return false;
	overlay->undos[overlay->undo_count++] = (struct undo){node, node->value, node->state};
	return true;
}

static bool set(struct ftsi_overlay *overlay, struct fts_bytes key, struct fts_bytes value,
		enum ftsi_overlay_state state)
{
	struct ftsi_overlay_node *before[LEVELS];
	struct ftsi_overlay_node *node = descend(overlay, key, before);
	if (node == NULL || ftsi_bytes_compare(node->key, key) != 0) node = insert(overlay, key, before);
	if (node == NULL || !remember(overlay, node)) return false;
	node->value = value;
	node->state = state;
	return true;
}

bool ftsi_overlay_put(struct ftsi_overlay *overlay, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail)
{
	struct fts_bytes value = copy_bytes(overlay, head, tail);
	return value.data != NULL && set(overlay, key, value, FTSI_OVERLAY_PUT);
}

bool ftsi_overlay_delete(struct ftsi_overlay *overlay, struct fts_bytes key)
{
	return set(overlay, key, nothing, FTSI_OVERLAY_DELETED);
}

bool ftsi_overlay_save(struct ftsi_overlay *overlay)
{
	if (!grow((void **)&overlay->marks, &overlay->mark_capacity, overlay->mark_count, sizeof *overlay->marks))
		return false;
	overlay->marks[overlay->mark_count++] = overlay->undo_count;
	return true;
}

void ftsi_overlay_rollback(struct ftsi_overlay *overlay)
{
	size_t mark;
	FTS_ASSERT(overlay->mark_count > 0);
	mark = overlay->marks[--overlay->mark_count];
	while (overlay->undo_count > mark) {
		const struct undo *undo = &overlay->undos[--overlay->undo_count];
		undo->node->value = undo->value;
		undo->node->state = undo->state;
	}
}

void ftsi_overlay_release(struct ftsi_overlay *overlay)
{
	FTS_ASSERT(overlay->mark_count > 0);
	overlay->mark_count--;
	if (overlay->mark_count == 0) overlay->undo_count = 0;
}
