/* Why this file exists: see chain.h. */
#include "lottery/chain.h"

#include <sodium.h>

#include "base/assert.h"

enum { CHAIN_TAG = 0x02 };

uint8_t *ftsi_record_put(uint8_t *at, const struct ftsi_record *record)
{
	FTS_ASSERT(record->node.size_bytes <= FTSI_NODE_NAME_MAX);
	FTS_ASSERT(record->entropy.size_bytes <= FTSI_ENTROPY_BYTES_MAX);
	at = ftsi_put_u8(at, (uint8_t)record->kind);
	at = ftsi_put_u64(at, record->index);
	at = ftsi_put_u64(at, (uint64_t)record->time_ms);
	at = ftsi_put_u32(at, record->agency);
	at = ftsi_put_u32(at, record->number);
	at = ftsi_put_u32(at, record->agencies);
	at = ftsi_put_u8(at, record->fixed ? 1 : 0);
	at = ftsi_put_u64(at, (uint64_t)record->close_by_ms);
	at = ftsi_put_u64(at, record->first_ticket);
	at = ftsi_put_u32(at, record->bet_count);
	at = ftsi_put_text(at, record->node.data, record->node.size_bytes);
	at = ftsi_put_text(at, record->entropy.data, record->entropy.size_bytes);
	return ftsi_put_bytes(at, record->digest, FTSI_HASH_BYTES);
}

bool ftsi_record_get(struct ftsi_reader *reader, uint8_t out_head[FTSI_HASH_BYTES], struct ftsi_record *out_record)
{
	ftsi_get_copy(reader, out_head, FTSI_HASH_BYTES);
	out_record->kind = (Fts__Lottery__V1__ChainKind)ftsi_get_u8(reader);
	out_record->index = ftsi_get_u64(reader);
	out_record->time_ms = (int64_t)ftsi_get_u64(reader);
	out_record->agency = ftsi_get_u32(reader);
	out_record->number = ftsi_get_u32(reader);
	out_record->agencies = ftsi_get_u32(reader);
	out_record->fixed = ftsi_get_u8(reader) != 0;
	out_record->close_by_ms = (int64_t)ftsi_get_u64(reader);
	out_record->first_ticket = ftsi_get_u64(reader);
	out_record->bet_count = ftsi_get_u32(reader);
	out_record->node = ftsi_get_text(reader);
	out_record->entropy = ftsi_get_text(reader);
	ftsi_get_copy(reader, out_record->digest, FTSI_HASH_BYTES);
	return !reader->failed;
}

void ftsi_chain_next(uint8_t head[FTSI_HASH_BYTES], const char *draw, struct fts_bytes record)
{
	uint8_t bytes[1 + FTSI_HASH_BYTES + 2 + FTSI_DRAW_NAME_MAX + FTSI_RECORD_BYTES_MAX];
	uint8_t *at = ftsi_put_u8(bytes, CHAIN_TAG);
	size_t draw_size = strlen(draw);
	FTS_ASSERT(draw_size <= FTSI_DRAW_NAME_MAX && record.size_bytes <= FTSI_RECORD_BYTES_MAX);
	at = ftsi_put_bytes(at, head, FTSI_HASH_BYTES);
	at = ftsi_put_text(at, draw, draw_size);
	at = ftsi_put_bytes(at, record.data, record.size_bytes);
	(void)crypto_generichash(head, FTSI_HASH_BYTES, bytes, (size_t)(at - bytes), NULL, 0);
}
