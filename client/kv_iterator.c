/* Why this file exists: the iterator of fts/kv.h: pages of keys, one at a time. */
#include <fts/kv.h>

#include <stdlib.h>
#include <string.h>

enum { PREFIX_MAX_BYTES = 1024, PAGE_KEYS = 1000, PAGE_KEYS_MAX = 10000 };

struct fts_kv_iterator {
	struct fts_channel *channel;
	struct fts_call_options call;
	uint32_t db, page_keys;
	size_t prefix_size_bytes;
	Fts__Kv__V1__KeysResponse *page; /* owned; NULL: none was asked for yet */
	size_t next;                     /* of page */
	uint8_t prefix[PREFIX_MAX_BYTES];
};

enum fts_status fts_kv_iterator_create(struct fts_channel *channel, const struct fts_kv_iterator_options *options,
				       struct fts_kv_iterator **out_iterator, struct fts_error *out_error)
{
	const struct fts_kv_iterator_options all = {0};

	if (!options) options = &all;
	if (options->prefix.size_bytes > PREFIX_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "prefix: at most %d bytes, not %zu",
				     PREFIX_MAX_BYTES, options->prefix.size_bytes);
	if (options->page_keys > PAGE_KEYS_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "page_keys: at most %d, not %u", PAGE_KEYS_MAX,
				     options->page_keys);
	struct fts_kv_iterator *iterator = calloc(1, sizeof(*iterator));
	if (!iterator) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	iterator->channel = channel;
	iterator->call.timeout_ms = options->timeout_ms;
	iterator->db = options->db;
	iterator->page_keys = options->page_keys ? options->page_keys : PAGE_KEYS;
	iterator->prefix_size_bytes = options->prefix.size_bytes;
	if (options->prefix.size_bytes > 0) memcpy(iterator->prefix, options->prefix.data, options->prefix.size_bytes);
	*out_iterator = iterator;
	return FTS_OK;
}

/* The page behind the one at hand, which stays when there is none to be had. */
static enum fts_status turn_page(struct fts_kv_iterator *iterator, struct fts_error *out_error)
{
	Fts__Kv__V1__KeysRequest request = FTS__KV__V1__KEYS_REQUEST__INIT;
	Fts__Kv__V1__KeysResponse *page = NULL;
	const Fts__Kv__V1__KeysResponse *before = iterator->page;

	request.db = iterator->db;
	request.limit = iterator->page_keys;
	request.prefix = (ProtobufCBinaryData){iterator->prefix_size_bytes, iterator->prefix};
	if (before && before->n_keys > 0) {
		request.has_after = true;
		request.after = before->keys[before->n_keys - 1];
	}
	enum fts_status st = fts_kv_keys(iterator->channel, &request, &iterator->call, &page, out_error);
	if (st != FTS_OK) return st;
	if (iterator->page) fts__kv__v1__keys_response__free_unpacked(iterator->page, NULL);
	iterator->page = page;
	iterator->next = 0;
	return FTS_OK;
}

enum fts_status fts_kv_iterator_next(struct fts_kv_iterator *iterator, struct fts_bytes *out_key,
				     struct fts_error *out_error)
{
	const Fts__Kv__V1__KeysResponse *page = iterator->page;
	enum fts_status st = FTS_OK;

	if (!page || (iterator->next == page->n_keys && !page->end && page->n_keys > 0))
		st = turn_page(iterator, out_error);
	if (st != FTS_OK) return st;
	page = iterator->page;
	if (iterator->next == page->n_keys) return fts_error_set(out_error, FTS_OUT_OF_RANGE, "there are no more keys");
	const ProtobufCBinaryData *key = &page->keys[iterator->next++];
	*out_key = (struct fts_bytes){key->data, key->len};
	return FTS_OK;
}

void fts_kv_iterator_destroy(struct fts_kv_iterator *iterator)
{
	if (!iterator) return;
	if (iterator->page) fts__kv__v1__keys_response__free_unpacked(iterator->page, NULL);
	free(iterator);
}
