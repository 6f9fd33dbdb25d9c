/* Why this file exists: the one place that decides whether a call is tried again, when, and whether it has to
 * wait before. Pure: time, randomness and what happened are arguments.
 *
 * The policy
 * - A call has at most 4 tries. Between tries it waits 50 ms, 100 ms, 200 ms .. 2 s (and up to a quarter more,
 *   drawn at random), or as long as the server advised; never past the call's time limit: a wait that
 *   would pass it ends the call with what is known now. So a call lives through at least 350 ms of failover.
 * - A move to another server without waiting is part of a try: the first broken connection, and a
 *   leader hint to a server this call has not asked yet. At most 4 moves a call. So the news of a
 *   death costs no back-off.
 * - Retried: UNAVAILABLE, a broken connection, no server reachable; RESOURCE_EXHAUSTED only when the server
 *   says when to come back. All of it is safe: a call that changes state carries its identity, others change
 *   nothing. Never retried: everything else, DEADLINE_EXCEEDED included, and what is said to have run.
 * Source: docs/wire.md. */
#ifndef FTS_RPC_RETRY_H
#define FTS_RPC_RETRY_H

#include <fts/status.h>

#include <stdbool.h>

#define FTSI_RETRY_TRIES_MAX 4u
#define FTSI_RETRY_MOVES_MAX 4u
#define FTSI_RETRY_FIRST_MS 50u
#define FTSI_RETRY_LONGEST_MS 2000u

/* What a call has spent. Zeroed at the start of the call. */
struct ftsi_retry {
	uint8_t waits; /* back-offs so far: tries - 1 */
	uint8_t moves;
	bool broken; /* a connection broke under this call before */
};

enum ftsi_outcome_kind {
	FTSI_OUTCOME_ANSWERED,    /* with a status that is not OK */
	FTSI_OUTCOME_BROKEN,      /* the connection broke after the call was sent */
	FTSI_OUTCOME_UNREACHABLE, /* no server took a connection; nothing was sent in this try */
};

struct ftsi_outcome {
	enum ftsi_outcome_kind kind;
	enum fts_status status;     /* of an answer */
	enum fts_executed executed; /* of an answer */
	uint32_t retry_after_ms;    /* of an answer; 0: no advice */
	bool hint_is_new;           /* the answer names a leader this call has not asked yet */
};

enum ftsi_retry_action { FTSI_RETRY_GIVE_UP, FTSI_RETRY_MOVE, FTSI_RETRY_WAIT };

struct ftsi_decision {
	enum ftsi_retry_action action;
	uint64_t delay_ns; /* of FTSI_RETRY_WAIT */
};

/* Decide, and count what is decided into retry. left_ns: until the call's time limit. random: any bits. */
struct ftsi_decision ftsi_retry_decide(struct ftsi_retry *retry, const struct ftsi_outcome *outcome, uint64_t left_ns,
				       uint64_t random);

#endif
