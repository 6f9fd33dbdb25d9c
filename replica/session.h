/* Why this file exists: exactly once. The answer to each changing call is kept under (client id, sequence) in the
 * same batch as its effect; a retry gets that answer instead of a second effect.
 * Source: Ongaro (2014), section 6.3.
 *
 * | key (store/key.h)                    | value                                                                    |
 * | table FTSI_TABLE_ANSWER, u64 client, | sequence 8, floor 8, ordinal 4 (big endian), fts.replica.v1.Answer       |
 * | u32 place                            |                                                                          |
 *
 * A client's answers lie in as many places as it ever had calls open at once: a new answer overwrites one that is
 * no longer needed, so that nothing has to be deleted while a client goes on.
 *
 * Invariants:
 *  - Everything here follows from the log alone, so that all nodes decide alike: time is the log's, less what it
 *    leapt (applied.h), clients are ordered by their last executed command, and a restart builds the same index from
 *    the answers kept.
 *  - Answers needed lie in [floor, floor + FTSI_SESSION_WINDOW); a sequence below floor is refused. The places of a
 *    client have no gap, and a new answer takes the first whose sequence is below floor.
 *  - At most FTSI_SESSION_CLIENT_MAX clients and FTSI_SESSION_PLACE_MAX places: the longest idle client goes
 *    first. A client idle for an hour goes too: it is a new one when it comes again.
 * Thread: loop. */
#ifndef FTS_REPLICA_SESSION_H
#define FTS_REPLICA_SESSION_H

#include "store/store.h"

enum {
	FTSI_SESSION_WINDOW = 1024,
	FTSI_SESSION_CLIENT_MAX = 16384,
	FTSI_SESSION_PLACE_MAX = 262144,
	FTSI_SESSION_IDLE_MS = 3600 * 1000,
	FTSI_SESSION_EXPIRE_MAX = 16 /* clients given up for idleness at one entry, so that none takes long */
};

struct ftsi_sessions;

enum ftsi_session_verdict { FTSI_SESSION_NEW, FTSI_SESSION_ANSWERED, FTSI_SESSION_TOO_OLD };

/* Returned (ftsi_sessions_destroy). NULL: no memory. */
struct ftsi_sessions *ftsi_sessions_create(void);
void ftsi_sessions_destroy(struct ftsi_sessions *sessions); /* NULL: no-op */

/* Build the index from view (borrowed). Errors: DATA_LOSS, and what reading gives. */
FTS_MUST_USE enum fts_status ftsi_sessions_load(struct ftsi_sessions *sessions, struct fts_txn *view);

enum ftsi_session_verdict ftsi_session_check(const struct ftsi_sessions *sessions, uint64_t client_id,
					     uint64_t sequence);

struct ftsi_session_record {
	uint64_t client_id, sequence, lowest_unanswered;
	uint64_t index;
	uint32_t ordinal;
	int64_t time_ms; /* of the idle clock */
	enum fts_status status;
	struct fts_bytes payload; /* borrowed; of an OK answer */
	const char *detail;       /* borrowed; of a refusal */
};

/* Keep the answer to a command that was NEW, forget what its lowest_unanswered allows, make room. */
FTS_MUST_USE enum fts_status ftsi_session_keep(struct ftsi_sessions *sessions, struct fts_txn *txn,
					       const struct ftsi_session_record *record);
/* Give up clients that are idle for an hour at time_ms, of the idle clock. Once an entry. */
FTS_MUST_USE enum fts_status ftsi_sessions_expire(struct ftsi_sessions *sessions, struct fts_txn *txn, int64_t time_ms);

struct ftsi_answer {
	enum fts_status status;
	uint64_t index;
	struct fts_bytes payload;
	char detail[FTS_DETAIL_MAX];
	struct fts_value value; /* holds payload: to be released */
};
/* The kept answer of a command that is ANSWERED. */
FTS_MUST_USE enum fts_status ftsi_session_answer(const struct ftsi_sessions *sessions, struct fts_txn *txn,
						 uint64_t client_id, uint64_t sequence, struct ftsi_answer *out_answer);

uint32_t ftsi_sessions_client_count(const struct ftsi_sessions *sessions);
uint32_t ftsi_sessions_place_count(const struct ftsi_sessions *sessions);

#endif
