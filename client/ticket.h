/* Why this file exists: the right to use a worker once (or for a number of runs, one after the other), as bytes that
 * the worker can check by itself.
 *
 *   8 worker · 8 number · 8 order · 8 usable until, Unix ms · 4 runs (big endian) · 16 BLAKE2b over these, keyed with
 *   the worker's key
 *
 * Invariants: only who has the worker's key can make one: the dispatcher, which got it from the worker. order counts
 * the worker's tickets, so that the worker can tell with a window of bits which it has seen. */
#ifndef FTS_CLIENT_TICKET_H
#define FTS_CLIENT_TICKET_H

#include <stdbool.h>

#include <fts/status.h>

enum { FTS_TICKET_BYTES = 52, FTS_TICKET_KEY_BYTES = 32 };

/* How long a ticket for several runs keeps its place: what its worker enforces, and its holder reckons with. */
enum { FTS_TICKET_IDLE_MS = 20, FTS_TICKET_HOLD_MS = 50 };

struct fts_ticket {
	uint64_t worker, number, order;
	int64_t usable_ms; /* Unix ms until which a run may begin */
	uint32_t runs;
};

/* out: FTS_TICKET_BYTES. key: FTS_TICKET_KEY_BYTES. Both borrowed. Thread: any, as all here. */
void fts_ticket_make(const struct fts_ticket *ticket, const uint8_t *key, uint8_t *out);
/* What bytes (borrowed) say, when they were made with key (borrowed). Errors: PERMISSION_DENIED (they were not). */
FTS_MUST_USE enum fts_status fts_ticket_read(struct fts_bytes bytes, const uint8_t *key, struct fts_ticket *out_ticket);

/* ---- Which were seen ---- */

enum { FTS_TICKET_WINDOW = 65536 };

/* Of the last FTS_TICKET_WINDOW orders; older ones count as seen. Zeroed: none was. One thread at a time.
 * Source: RFC 4303, section 3.4.3 (anti-replay window). */
struct fts_ticket_window {
	uint64_t highest; /* order seen; 0: none */
	uint64_t bits[FTS_TICKET_WINDOW / 64];
};

/* True when order (from 1) was not seen before; it is from now on. */
bool fts_ticket_window_take(struct fts_ticket_window *window, uint64_t order);

#endif
