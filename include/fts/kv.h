/* Why this file exists: the key-value store for C programs: the generated calls (blocking, asynchronous, many keys in
 * one: fts_kv_set, fts_kv_set_start, fts_kv_batch and their kin), and an iterator over the keys of a database.
 *
 *   fts_kv_iterator_create -> fts_kv_iterator_next until OUT_OF_RANGE -> fts_kv_iterator_destroy
 *
 * Invariants of an iterator: keys come in the order of their bytes, each once, of the whole cluster; a key that is
 * there all the while is told, one that comes or goes meanwhile may be. Memory is that of one page. */
#ifndef FTS_KV_H
#define FTS_KV_H

#include <fts/rpc.h>

#include "fts/kv/v1/kv.fts.h"

FTS_BEGIN_DECLS

struct fts_kv_iterator; /* one thread at a time */

struct fts_kv_iterator_options {
	uint32_t db;
	struct fts_bytes prefix; /* keys that begin so only; empty: all. Borrowed for create. At most 1,024 bytes. */
	uint32_t page_keys;      /* asked for in one call, 1 to 10,000; 0: 1,000 */
	uint32_t timeout_ms;     /* of the call for a page; 0: the method's own */
};

/* An iterator before the first key. Calls nobody yet. channel: borrowed until destroy. options: borrowed; NULL: all
 * keys of database 0. out_iterator: returned (fts_kv_iterator_destroy).
 * Errors: INVALID_ARGUMENT (prefix, page_keys), RESOURCE_EXHAUSTED. Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_kv_iterator_create(struct fts_channel *channel,
							    const struct fts_kv_iterator_options *options,
							    struct fts_kv_iterator **out_iterator,
							    struct fts_error *out_error);

/* The next key. out_key: borrowed until the next call on the iterator. Blocks while it asks for a page.
 * Errors: OUT_OF_RANGE (there are no more; again and again), whatever Kv/Keys answers: then the same key is asked for
 * when it is called again. */
FTS_API FTS_MUST_USE enum fts_status fts_kv_iterator_next(struct fts_kv_iterator *iterator, struct fts_bytes *out_key,
							  struct fts_error *out_error);

/* iterator: owned; NULL: no-op. */
FTS_API void fts_kv_iterator_destroy(struct fts_kv_iterator *iterator);

FTS_END_DECLS

#endif
