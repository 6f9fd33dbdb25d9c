/* Why this file exists: what a batch has written so far, in the order of the keys, so that reads see it and any
 * number of marks can be rolled back cheaply. RocksDB's own WriteBatchWithIndex loses: each of its rollbacks builds
 * the whole index again, which makes a batch of refused commands quadratic, and its C API can't forget a mark.
 *
 * Invariants: a node, once made, stays where it is until the overlay is freed; rolled back it is ABSENT, as if
 * never written. Keys and values are copies. A skip list; heights come from the key's hash, so that the same
 * writes always make the same list. */
#ifndef FTS_STORE_OVERLAY_H
#define FTS_STORE_OVERLAY_H

#include <stdbool.h>

#include <fts/api.h>

enum ftsi_overlay_state { FTSI_OVERLAY_ABSENT, FTSI_OVERLAY_PUT, FTSI_OVERLAY_DELETED };

struct ftsi_overlay_node {
	struct fts_bytes key;
	struct fts_bytes value;
	enum ftsi_overlay_state state;
	struct ftsi_overlay_node *next[]; /* one a level */
};

struct ftsi_overlay;

/* Returned (ftsi_overlay_destroy). NULL: no memory. */
struct ftsi_overlay *ftsi_overlay_create(void);
void ftsi_overlay_destroy(struct ftsi_overlay *overlay); /* NULL: no-op */

/* The node of key, NULL when never written. Borrowed until destroy. */
struct ftsi_overlay_node *ftsi_overlay_find(const struct ftsi_overlay *overlay, struct fts_bytes key);
/* First node whose key is not less than key. NULL: none. */
struct ftsi_overlay_node *ftsi_overlay_seek(const struct ftsi_overlay *overlay, struct fts_bytes key);
/* Write head + tail (both borrowed, either may be empty) under key (borrowed). False: no memory, nothing written. */
bool ftsi_overlay_put(struct ftsi_overlay *overlay, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail);
bool ftsi_overlay_delete(struct ftsi_overlay *overlay, struct fts_bytes key);

/* Marks nest. False: no memory. */
bool ftsi_overlay_save(struct ftsi_overlay *overlay);
void ftsi_overlay_rollback(struct ftsi_overlay *overlay);
void ftsi_overlay_release(struct ftsi_overlay *overlay);

/* <0, 0, >0 as memcmp, shorter first. */
int ftsi_bytes_compare(struct fts_bytes a, struct fts_bytes b);

#endif
