/* Why this file exists: the key-value store for C programs: the generated calls (blocking, asynchronous, many keys in
 * one: fts_kv_set, fts_kv_set_start, fts_kv_batch and their kin), a client that sends calls on keys straight to who
 * owns them, and an iterator over the keys of a database.
 *
 *   fts_kv_client_create -> fts_kv_client_set, _get, _delete, each also with _start -> fts_kv_client_destroy
 *   fts_kv_iterator_create -> fts_kv_iterator_next until OUT_OF_RANGE -> fts_kv_iterator_destroy
 *
 * Invariants of an iterator: keys come in the order of their bytes, each once, of the whole cluster; a key that is
 * there all the while is told, one that comes or goes meanwhile may be. Memory is that of one page. */
#ifndef FTS_KV_H
#define FTS_KV_H

#include <fts/rpc.h>

#include "fts/kv/v1/kv.fts.h"

FTS_BEGIN_DECLS

#define FTS_KV_PARTITION_COUNT 256

/* The partition a key falls into, 0 to 255: the same everywhere, for ever. key: borrowed. Thread: any. */
FTS_API uint32_t fts_kv_partition(uint32_t db, struct fts_bytes key);

/* ---- Straight to the owner ----
 *
 * The client keeps the map of partitions: a call goes to an owner of its key, which coordinates it: one hop less than
 * through any node. The map is asked for with the first call, and told anew with the answer to a call that went by an old
 * one: no call is redirected more than once. While there is no map, or the owner can't be reached, calls go to any node,
 * as through the channel itself. Calls, retries and errors are the channel's (fts/rpc.h). */

struct fts_kv_client; /* thread-safe */

/* Calls nobody yet. channel: borrowed until destroy. out_client: returned (fts_kv_client_destroy).
 * Errors: RESOURCE_EXHAUSTED. Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_create(struct fts_channel *channel,
							  struct fts_kv_client **out_client,
							  struct fts_error *out_error);
/* Wait for the callbacks of what was started, free the client (owned; NULL: no-op). Thread: any but a callback's. */
FTS_API void fts_kv_client_destroy(struct fts_kv_client *client);
/* Epoch of the map it goes by; 0: none yet. Thread: any. */
FTS_API uint64_t fts_kv_client_epoch(struct fts_kv_client *client);

/* As fts_kv_set, fts_kv_get, fts_kv_delete: request and options borrowed (options may be NULL), out_response returned
 * (its own free function). request's epoch is the client's to set. Block. Errors: as theirs. Thread: any but a
 * callback's. */
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_set(struct fts_kv_client *client,
						       const Fts__Kv__V1__SetRequest *request,
						       const struct fts_call_options *options,
						       Fts__Kv__V1__SetResponse **out_response,
						       struct fts_error *out_error);
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_get(struct fts_kv_client *client,
						       const Fts__Kv__V1__GetRequest *request,
						       const struct fts_call_options *options,
						       Fts__Kv__V1__GetResponse **out_response,
						       struct fts_error *out_error);
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_delete(struct fts_kv_client *client,
							  const Fts__Kv__V1__DeleteRequest *request,
							  const struct fts_call_options *options,
							  Fts__Kv__V1__DeleteResponse **out_response,
							  struct fts_error *out_error);

/* The same, without waiting: done fires exactly once iff FTS_OK is returned, and never inside the call. out_id: may be
 * NULL. Errors: as fts_channel_start. Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_set_start(struct fts_kv_client *client,
							     const Fts__Kv__V1__SetRequest *request,
							     const struct fts_call_options *options,
							     fts_kv_set_done_fn done, void *ctx,
							     struct fts_call_id *out_id);
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_get_start(struct fts_kv_client *client,
							     const Fts__Kv__V1__GetRequest *request,
							     const struct fts_call_options *options,
							     fts_kv_get_done_fn done, void *ctx,
							     struct fts_call_id *out_id);
FTS_API FTS_MUST_USE enum fts_status fts_kv_client_delete_start(struct fts_kv_client *client,
								const Fts__Kv__V1__DeleteRequest *request,
								const struct fts_call_options *options,
								fts_kv_delete_done_fn done, void *ctx,
								struct fts_call_id *out_id);

/* ---- Keys, one after the other ---- */

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
