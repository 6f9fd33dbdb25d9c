/* Why this file exists: see client/ticket.h. */
#include "client/ticket.h"

#include <sodium.h>
#include <string.h>

#include "rpc/wire.h"

enum { SIGNED_BYTES = 36, MAC_BYTES = FTS_TICKET_BYTES - SIGNED_BYTES };
_Static_assert(MAC_BYTES == crypto_generichash_BYTES_MIN, "the shortest that libsodium makes");

void fts_ticket_make(const struct fts_ticket *ticket, const uint8_t *key, uint8_t *out)
{
	ftsi_put_be64(out, ticket->worker);
	ftsi_put_be64(out + 8, ticket->number);
	ftsi_put_be64(out + 16, ticket->order);
	ftsi_put_be64(out + 24, (uint64_t)ticket->usable_ms);
	ftsi_put_be32(out + 32, ticket->runs);
	(void)crypto_generichash(out + SIGNED_BYTES, MAC_BYTES, out, SIGNED_BYTES, key, FTS_TICKET_KEY_BYTES);
}

enum fts_status fts_ticket_read(struct fts_bytes bytes, const uint8_t *key, struct fts_ticket *out_ticket)
{
	uint8_t expected[FTS_TICKET_BYTES];
	if (bytes.size_bytes != FTS_TICKET_BYTES) return FTS_PERMISSION_DENIED;
	const struct fts_ticket ticket = {.worker = ftsi_get_be64(bytes.data),
					  .number = ftsi_get_be64(bytes.data + 8),
					  .order = ftsi_get_be64(bytes.data + 16),
					  .usable_ms = (int64_t)ftsi_get_be64(bytes.data + 24),
					  .runs = ftsi_get_be32(bytes.data + 32)};
	fts_ticket_make(&ticket, key, expected);
	if (sodium_memcmp(expected, bytes.data, sizeof expected) != 0) return FTS_PERMISSION_DENIED;
	*out_ticket = ticket;
	return FTS_OK;
}

/* ---- Which were seen ---- */

static uint64_t *word_of(struct fts_ticket_window *window, uint64_t order)
{
	return &window->bits[order % FTS_TICKET_WINDOW / 64];
}

static uint64_t bit_of(uint64_t order)
{
	return UINT64_C(1) << order % 64;
}

/* Everything between the old highest and order was not seen. */
static void move_to(struct fts_ticket_window *window, uint64_t order)
{
	if (order - window->highest >= FTS_TICKET_WINDOW)
		memset(window->bits, 0, sizeof window->bits);
	else
		for (uint64_t at = window->highest + 1; at <= order; at++)
			*word_of(window, at) &= ~bit_of(at);
	window->highest = order;
}

bool fts_ticket_window_take(struct fts_ticket_window *window, uint64_t order)
{
	if (order == 0 || (order < window->highest && window->highest - order >= FTS_TICKET_WINDOW)) return false;
	if (order > window->highest) move_to(window, order);
	if ((*word_of(window, order) & bit_of(order)) != 0) return false;
	*word_of(window, order) |= bit_of(order);
	return true;
}
