/* Why this file exists: what stands under the keys that were used last, so that a write is compared with it, and a read
 * answered, without a lookup in RocksDB: that costs more than all else that a small call does.
 *
 * Invariants
 * - Of a key that no batch touches now, what is known is what the store has. A batch touches a key before it writes it,
 *   and lets go of it once it is on disk: until then readers are sent to the store, and values that they bring from
 *   there are not taken, since nobody can tell whether they are from before or from after.
 * - A key that is touched stays known: so a batch sees its own writes here. When it fails, when records are removed
 * past it, or when a damaged one was met, all is forgotten.
 * - At most FTSI_VERSIONS_BYTES_MAX, what a batch touches aside; from the first use on. Values above
 *   FTSI_VERSIONS_VALUE_MAX are not kept.
 * Thread: any for _read and _offer; all else one at a time (storage/internal.h: apply_lock). */
#ifndef FTS_STORAGE_VERSIONS_H
#define FTS_STORAGE_VERSIONS_H

#include <pthread.h>

#include "storage/record.h"

enum { FTSI_VERSIONS_SHARD_COUNT = 64, FTSI_VERSIONS_VALUE_MAX = 1024 };
#define FTSI_VERSIONS_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* Of one key. */
struct ftsi_standing {
	struct ftsi_standing *chain, *younger; /* the table's, as all that is not marked otherwise */
	uint64_t hash;
	struct ftsi_version version; /* as the three below: of what stands there; changed by who touches it */
	uint64_t digest;             /* what it adds to its tree */
	bool stands;                 /* false: nothing does */
	bool live;                   /* it stands and is no tombstone */
	bool touched;                /* by the batch that is being made */
	bool used;                   /* since it was looked at for making room */
	uint16_t key_bytes, value_bytes;
	uint8_t *value; /* owned; NULL: not kept */
	uint8_t key[];
};

struct ftsi_versions {
	struct ftsi_versions_shard {
		pthread_mutex_t lock;
		struct ftsi_standing **sets; /* guarded by lock, as all below; NULL: nothing is known yet */
		struct ftsi_standing *oldest, **youngest;
		size_t bytes;
		uint64_t generation; /* changes with each key that a batch touches */
	} shards[FTSI_VERSIONS_SHARD_COUNT];
};

void ftsi_versions_init(struct ftsi_versions *versions);
void ftsi_versions_fini(struct ftsi_versions *versions);

/* ---- For batches. key: borrowed, as it is stored ---- */

/* Touch key. *out_known: false: to be filled in by what the store has. NULL: no memory. Borrowed until it is let go. */
struct ftsi_standing *ftsi_versions_touch(struct ftsi_versions *versions, struct fts_bytes key, bool *out_known);
/* The value (borrowed) that the batch writes for what it has touched, and whose other marks are set. */
void ftsi_versions_set_value(struct ftsi_versions *versions, struct ftsi_standing *standing, struct fts_bytes value);
/* What it says is on disk. Any number of times. */
void ftsi_versions_let_go(struct ftsi_versions *versions, struct ftsi_standing *standing);
/* Also of what is touched. */
void ftsi_versions_forget_all(struct ftsi_versions *versions);

/* ---- For readers ---- */

struct ftsi_versions_look {
	uint64_t hash, generation;
};
/* OK: the rest of *record (db and key stand in it) is filled in; *out_value: returned, what its value lies in (free).
 * NOT_FOUND: nothing stands there. UNAVAILABLE: not known: look into the store, and offer what is there. */
FTS_MUST_USE enum fts_status ftsi_versions_read(struct ftsi_versions *versions, struct fts_bytes key,
						struct ftsi_record *record, uint8_t **out_value,
						struct ftsi_versions_look *out_look);
/* record (borrowed; NULL: nothing) was found in the store after that look. */
void ftsi_versions_offer(struct ftsi_versions *versions, struct fts_bytes key, const struct ftsi_versions_look *look,
			 const struct ftsi_record *record);

#endif
