/* Why this file exists: see dispatch/ticket.h. */
#include "dispatch/ticket.h"

#include <sodium.h>
#include <string.h>

#include "replica/bytes.h"

enum { SIGNED_BYTES = 24, MAC_BYTES = FTS_TICKET_BYTES - SIGNED_BYTES };
_Static_assert(MAC_BYTES == crypto_generichash_BYTES_MIN, "the shortest that libsodium makes");

void fts_ticket_make(const struct fts_ticket *ticket, const uint8_t *key, uint8_t *out)
{
	ftsi_put_u64(out, ticket->worker);
	ftsi_put_u64(out + 8, ticket->number);
	ftsi_put_u64(out + 16, (uint64_t)ticket->usable_ms);
	(void)crypto_generichash(out + SIGNED_BYTES, MAC_BYTES, out, SIGNED_BYTES, key, FTS_TICKET_KEY_BYTES);
}

enum fts_status fts_ticket_check(struct fts_bytes bytes, uint64_t worker, const uint8_t *key, int64_t now_ms,
				 struct fts_ticket *out_ticket)
{
	uint8_t expected[FTS_TICKET_BYTES];
	if (bytes.size_bytes != FTS_TICKET_BYTES) return FTS_PERMISSION_DENIED;
	*out_ticket = (struct fts_ticket){.worker = ftsi_get_u64(bytes.data),
					  .number = ftsi_get_u64(bytes.data + 8),
					  .usable_ms = (int64_t)ftsi_get_u64(bytes.data + 16)};
	fts_ticket_make(out_ticket, key, expected);
	if (sodium_memcmp(expected, bytes.data, sizeof expected) != 0 || out_ticket->worker != worker)
		return FTS_PERMISSION_DENIED;
	return now_ms > out_ticket->usable_ms ? FTS_FAILED_PRECONDITION : FTS_OK;
}
