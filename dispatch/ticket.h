/* Why this file exists: the right to use a worker once, as bytes that the worker can check by itself.
 *
 *   8 worker · 8 number · 8 usable until, Unix ms (big endian) · 16 BLAKE2b over these, keyed with the worker's key
 *
 * Invariants: only who has the worker's key can make one: the dispatcher, which got it from the worker. The worker
 * keeps which numbers it has seen until their time is over, so that none is used twice. */
#ifndef FTS_DISPATCH_TICKET_H
#define FTS_DISPATCH_TICKET_H

#include <fts/status.h>

enum { FTS_TICKET_BYTES = 40, FTS_TICKET_KEY_BYTES = 32 };

struct fts_ticket {
	uint64_t worker, number;
	int64_t usable_ms; /* Unix ms until which the call may begin */
};

/* out: FTS_TICKET_BYTES. key: FTS_TICKET_KEY_BYTES, borrowed. */
void fts_ticket_make(const struct fts_ticket *ticket, const uint8_t *key, uint8_t *out);
/* Errors: PERMISSION_DENIED (not made with this key, or for another worker), FAILED_PRECONDITION (its time is over). */
FTS_MUST_USE enum fts_status fts_ticket_check(struct fts_bytes bytes, uint64_t worker, const uint8_t *key,
					      int64_t now_ms, struct fts_ticket *out_ticket);

#endif
