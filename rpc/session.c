/* Why this file exists: see session.h. */
#include "rpc/session.h"

#include "base/assert.h"

#include <sys/random.h>

static bool bit_get(const struct ftsi_session *session, uint64_t sequence)
{
	uint64_t at = sequence % FTSI_SESSION_WINDOW;
	return session->answered[at / 64] >> (at % 64) & 1;
}

static void bit_flip(struct ftsi_session *session, uint64_t sequence)
{
	uint64_t at = sequence % FTSI_SESSION_WINDOW;
	session->answered[at / 64] ^= UINT64_C(1) << (at % 64);
}

enum fts_status ftsi_session_init(struct ftsi_session *session, uint64_t client_id, struct fts_error *out_error)
{
	while (client_id == 0) {
		if (getrandom(&client_id, sizeof client_id, 0) != (ssize_t)sizeof client_id)
			return fts_error_set(out_error, FTS_UNAVAILABLE, "the kernel gives no random client id");
	}
	*session = (struct ftsi_session){.client_id = client_id, .next = 1, .lowest_unanswered = 1};
	return FTS_OK;
}

bool ftsi_session_take(struct ftsi_session *session, uint64_t *out_sequence)
{
	if (session->next - session->lowest_unanswered >= FTSI_SESSION_WINDOW) return false;
	*out_sequence = session->next++;
	return true;
}

void ftsi_session_end(struct ftsi_session *session, uint64_t sequence)
{
	FTS_ASSERT(sequence >= session->lowest_unanswered && sequence < session->next);
	FTS_ASSERT(!bit_get(session, sequence));
	bit_flip(session, sequence);
	while (session->lowest_unanswered < session->next && bit_get(session, session->lowest_unanswered)) {
		bit_flip(session, session->lowest_unanswered);
		session->lowest_unanswered++;
	}
}
