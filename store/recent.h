/* Why this file exists: the values that a store's only writer used last, so that a batch finds them without RocksDB: a
 * lookup there costs more than all else that a small command does. Views never look here.
 *
 * Invariants
 * - What is kept is what RocksDB has, or that it has nothing: batches read it, and tell it what they have committed.
 *   Whoever writes past it, or does not know what was written, clears it.
 * - A value that was found stays where it is until _settle, at the end of the batch that found it.
 * - Two places for each key; values above FTSI_RECENT_VALUE_MAX are not kept: so it is bounded.
 * Thread: one at a time, that of the batch. */
#ifndef FTS_STORE_RECENT_H
#define FTS_STORE_RECENT_H

#include <stdbool.h>

#include <fts/api.h>

enum { FTSI_RECENT_SET_COUNT = 8192, FTSI_RECENT_KEY_MAX = 128, FTSI_RECENT_VALUE_MAX = 512 };

struct ftsi_recent;

/* Returned (ftsi_recent_destroy). NULL: no memory. */
struct ftsi_recent *ftsi_recent_create(void);
void ftsi_recent_destroy(struct ftsi_recent *recent); /* NULL: no-op */

enum ftsi_recent_found { FTSI_RECENT_UNKNOWN, FTSI_RECENT_VALUE, FTSI_RECENT_NOTHING };
/* out_value: borrowed until _settle; of FTSI_RECENT_VALUE. */
enum ftsi_recent_found ftsi_recent_find(const struct ftsi_recent *recent, struct fts_bytes key,
					struct fts_bytes *out_value);
/* key was read, and has this value (both borrowed); there: false when the key is not there. */
void ftsi_recent_keep(struct ftsi_recent *recent, struct fts_bytes key, struct fts_bytes value, bool there);
/* key was written: what is kept of it is this now. What nobody has read is not kept. Only when nobody looks at values
 * that were found any more. */
void ftsi_recent_change(struct ftsi_recent *recent, struct fts_bytes key, struct fts_bytes value, bool there);
/* The batch that found values is over: what they were in is freed. */
void ftsi_recent_settle(struct ftsi_recent *recent);
void ftsi_recent_clear(struct ftsi_recent *recent);

#endif
