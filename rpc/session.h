/* Why this file exists: the identity under which changing calls are executed exactly once: one client id for a
 * channel, one sequence number a call, and the lowest sequence that may still be asked for again.
 *
 * Invariants
 * - A sequence is given once, from 1 upward; all tries of one call carry the same.
 * - lowest_unanswered never goes back, and never passes a call that may still be retried: servers forget the
 *   answers below it.
 * - next - lowest_unanswered <= FTSI_SESSION_WINDOW: servers keep that many answers a client, no more.
 * Not thread-safe: guarded by the channel's mutex. */
#ifndef FTS_RPC_SESSION_H
#define FTS_RPC_SESSION_H

#include <fts/status.h>

#include <stdbool.h>

#define FTSI_SESSION_WINDOW 1024u

struct ftsi_session {
	uint64_t client_id; /* never 0 */
	uint64_t next;
	uint64_t lowest_unanswered;
	uint64_t answered[FTSI_SESSION_WINDOW / 64]; /* bit sequence % window; all outside the window are clear */
};

/* client_id 0: a random one. Errors: UNAVAILABLE (the kernel gives no randomness). */
FTS_MUST_USE enum fts_status ftsi_session_init(struct ftsi_session *session, uint64_t client_id,
					       struct fts_error *out_error);

/* Give the next sequence. False: the window is full, out_sequence untouched. */
bool ftsi_session_take(struct ftsi_session *session, uint64_t *out_sequence);

/* The call with this sequence (taken before) has ended and will not be retried. Once a sequence. */
void ftsi_session_end(struct ftsi_session *session, uint64_t sequence);

#endif
