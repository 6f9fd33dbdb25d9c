/* Why this file exists: the one place that decides whether a call is tried again, when, and whether it has to
 * wait before. Pure: time, randomness and what happened are arguments.
 *
 * The policy: what a refusal or a broken connection leads to
 * - A move: to another server at once. After a broken connection, to a server this call has not tried since it last
 *   waited (the first time also to the same one, dialed anew); after a leader hint, to the hinted server if this call
 *   has not tried it since it last waited. At most 16 moves a call. So the news of a death costs no wait, and servers
 *   that point at each other cost one round of them.
 * - A pause: a short wait while the servers agree on a leader. UNAVAILABLE with an advice of up to 100 ms: that long;
 *   with a hint to a server that this call has just tried: 2 ms. Pauses grow to an eighth of all pauses so far, so
 *   that a leader is found within an eighth of the time that its election took; at most 64 of them and 3 s in sum.
 *   So a call lives through an election of a second and more.
 * - A back-off, for everything else: 50 ms, 100 ms, 200 ms .. 2 s, or as long as the server advised. A call has at
 *   most 4 tries, that is 3 back-offs: at least 350 ms.
 * - Waits are up to a quarter longer, drawn at random, and never pass the call's time limit: one that would ends the
 *   call with what is known now.
 * - Retried: UNAVAILABLE, a broken connection, no server reachable; RESOURCE_EXHAUSTED only when the server
 *   says when to come back. All of it is safe: a call that changes state carries its identity, others change
 *   nothing. Never retried: everything else, DEADLINE_EXCEEDED included, and what is said to have run
 *   (unless the answer is UNAVAILABLE with advice: then it is only its answer that can't be had just now).
 * Source: docs/wire.md. */
#ifndef FTS_RPC_RETRY_H
#define FTS_RPC_RETRY_H

#include <fts/status.h>

#include <stdbool.h>

#define FTSI_RETRY_TRIES_MAX 4u
#define FTSI_RETRY_MOVES_MAX 16u
#define FTSI_RETRY_PAUSES_MAX 64u
#define FTSI_RETRY_PAUSED_MAX_MS 3000u
#define FTSI_RETRY_PAUSE_MS 2u
#define FTSI_RETRY_ADVICE_PAUSE_MS 100u /* longer advice is a back-off */
#define FTSI_RETRY_FIRST_MS 50u
#define FTSI_RETRY_LONGEST_MS 2000u

/* What a call has spent. Zeroed at the start of the call. */
struct ftsi_retry {
	uint8_t waits; /* back-offs so far: tries - 1 */
	uint8_t moves;
	uint8_t pauses;
	bool broken;        /* a connection broke under this call before */
	uint64_t paused_ns; /* sum of all pauses */
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
	bool is_hinted;             /* the answer names another server as the leader */
	bool is_untried; /* the hinted server, or after a broken connection any, was not tried since the last wait */
};

enum ftsi_retry_action { FTSI_RETRY_GIVE_UP, FTSI_RETRY_MOVE, FTSI_RETRY_WAIT, FTSI_RETRY_PAUSE };

struct ftsi_decision {
	enum ftsi_retry_action action;
	uint64_t delay_ns; /* of FTSI_RETRY_WAIT and FTSI_RETRY_PAUSE */
};

/* Decide, and count what is decided into retry. left_ns: until the call's time limit. random: any bits. */
struct ftsi_decision ftsi_retry_decide(struct ftsi_retry *retry, const struct ftsi_outcome *outcome, uint64_t left_ns,
				       uint64_t random);

/* A pause of this call becomes longer by extra_ns: another call finds the leader for it meanwhile. */
void ftsi_retry_extend(struct ftsi_retry *retry, uint64_t extra_ns);

#endif
