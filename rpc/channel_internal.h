/* Why this file exists: what the parts of a channel share. channel.c is the public door, channel_call.c the table
 * of open calls, channel_route.c which server is asked, channel_engine.c what happens next to a call, channel_link.c
 * the connections, channel_warm.c those that are made before they are needed, channel_probe.c what is done about a
 * server that has gone silent, channel_timer.c the one timer, channel_end.c how a call's end reaches the caller.
 *
 * Invariants
 * - One mutex guards everything but what is marked otherwise. It is never held over a send, a callback or a log
 *   line; so every function that may send or call back drops it, and its callers keep no pointer but `call` across.
 * - A call is in exactly one state. It ends once: ftsi_call_end, or the answer with status OK, whichever is first.
 * - An answer counts only if its request id is that of the call's current try, from the connection it was sent on.
 *   A request id is slot and generation, new for every try, so that late answers find nothing.
 * - done callbacks run on the runtime's threads only (connection, dial, timer): whoever ends a call elsewhere puts
 *   it into the list `ended` and wakes the timer.
 * - A slot's packed request stays until the call has ended and nobody is sending it (pin_count). */
#ifndef FTS_RPC_CHANNEL_INTERNAL_H
#define FTS_RPC_CHANNEL_INTERNAL_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>

#include "base/arena.h"
#include "rpc/channel_facts.h"
#include "rpc/conn.h"
#include "rpc/endpoint.h"
#include "rpc/retry.h"
#include "rpc/session.h"

#define FTSI_NO_CALL UINT32_MAX
#define FTSI_NO_LINK UINT32_MAX
#define FTSI_INLINE_BYTES 512u       /* packed requests up to here live in the slot */
#define FTSI_REPLY_SMALL_BYTES 1024u /* answers up to here need no malloc */
#define FTSI_OPEN_CALLS_MAX 65535u   /* with the one of questions 16 bits of a request id, 15 for the generation */
#define FTSI_REASON_BYTES 128u
#define FTSI_NODE_BYTES 64u
#define FTSI_ROUTE_COUNT 3u
#define FTSI_UNPACKED_MAX_BYTES ((size_t)64 * 1024 * 1024) /* of one answer: unpacking may need 52 times its size */
#define FTSI_ARENA_POOL_BYTES (4 * FTSI_UNPACKED_MAX_BYTES)
#define FTSI_TOKEN_MAX_BYTES 128u
#define FTSI_HELD_MAX_BYTES ((size_t)48 * 1024 * 1024) /* of large packed requests, kept for their tries */
#define FTSI_BACKLOG_MAX_BYTES                                                                                         \
	((size_t)48 * 1024 * 1024) /* waiting to be sent on one connection; conn.c closes at 64 MiB */
#define FTSI_REQUEST_MAX_BYTES (FTS_MESSAGE_MAX - FTSI_HEADER_MAX_BYTES - FTSI_ROUTE_MAX_BYTES)

/* ---- Connections ---- */

enum ftsi_link_state {
	FTSI_LINK_IDLE,     /* no connection; calls may dial unless retry_at_ns is ahead */
	FTSI_LINK_DIALING,  /* waits for dialed() */
	FTSI_LINK_GREETING, /* connected, the peer's hello has not come */
	FTSI_LINK_UP,
	FTSI_LINK_CLOSING, /* given up, waits for on_closed */
};

/* What is known about the silence of a connection that is up (channel_probe.c). */
struct ftsi_probe {
	uint64_t heard_ns;     /* when the last message came */
	uint64_t batch;        /* that heard_ns belongs to */
	uint64_t asked_ns;     /* calls sent before this have been asked about; 0: never asked */
	uint64_t silent_ns;    /* what was sent or heard last before it was first asked in vain */
	uint64_t first_ns;     /* of the questions that are asked in vain */
	uint64_t look_ns;      /* when to look again, while there are such calls or a question is open */
	uint64_t rest_ns;      /* pause between questions while it answers them, and no call */
	uint64_t answer_count; /* of the link, when asked */
	uint32_t question_id;  /* request id of the question that is open; 0: none */
	bool is_about_members; /* the question: who they are, not who leads */
	bool is_resting;       /* it has answered the last question; look_ns is when to ask the next */
	bool is_distrusted;    /* silent, while others answered: asked last, until it says something */
	/* filled by each survey of the open calls */
	uint64_t oldest_new_ns; /* of the calls sent since asked_ns; UINT64_MAX: none */
	bool has_old;           /* a call sent before asked_ns is open */
};

/* One server and the connection to it. Lives as long as the channel. */
struct ftsi_link {
	struct fts_channel *channel;   /* constant */
	uint32_t index;                /* constant */
	struct ftsi_endpoint endpoint; /* constant */
	nng_aio *dial;                 /* constant */
	struct ftsi_tls_watch *tls;    /* constant; NULL: none */
	nng_stream_dialer *dialers[2]; /* constant; of a name: IPv4, then IPv6 */
	uint32_t dialer_count;         /* constant */
	enum ftsi_link_state state;
	uint32_t dialer_at;
	uint32_t epoch; /* counts dials: tells the calls of this connection from those of the next */
	struct ftsi_conn *conn;
	uint64_t began_ns; /* of the dial, then of being up */
	uint64_t retry_at_ns;
	uint32_t failure_count; /* in a row */
	uint64_t warm_at_ns;    /* not dialed ahead of need before this */
	uint64_t answer_count;
	struct ftsi_probe probe;
	char node[FTSI_NODE_BYTES];      /* what it calls itself; "": it has not said */
	char reason[FTSI_REASON_BYTES];  /* why it is not up */
	struct ftsi_reply_reader reader; /* used by the connection's callbacks alone */
	struct fts_arena *arena;         /* used by the connection's callbacks alone */
};

/* ---- Calls ---- */

enum ftsi_call_state {
	FTSI_CALL_FREE,
	FTSI_CALL_QUEUED,  /* for a connection that is being made: link, epoch */
	FTSI_CALL_SENT,    /* link, epoch, request_id */
	FTSI_CALL_BACKOFF, /* until wake_ns */
	FTSI_CALL_COPYING, /* a large answer is being copied for the blocked caller; nothing else may end it */
	FTSI_CALL_ENDED,   /* in the list `ended`, or its slot is still pinned */
};

/* A blocked caller; on its stack. */
struct ftsi_waiter {
	pthread_cond_t woken;
	bool is_ended;
	struct fts_error error;
	struct fts_call_info info;
	uint8_t *payload; /* small, or malloc'ed and the caller's to free */
	size_t payload_size_bytes;
	uint8_t small[FTSI_REPLY_SMALL_BYTES];
};

struct ftsi_open_call {
	enum ftsi_call_state state;
	uint32_t next;       /* in the free list or the list `ended` */
	uint32_t generation; /* of the slot's calls, for struct fts_call_id */
	uint32_t try_generation;
	uint32_t request_id;
	uint32_t link; /* index */
	uint32_t epoch;
	uint32_t target; /* link to ask next; FTSI_NO_LINK: the channel's choice */
	uint32_t pin_count;
	uint32_t send_count;
	uint32_t timeout_ms;
	struct ftsi_retry retry;
	bool has_identity;
	bool is_passed_on; /* the identity is another caller's: its sequence is not this session's */
	bool stale;
	bool no_retry;
	bool may_have_run;     /* a try was sent and got no answer that says otherwise */
	bool unsent;           /* this try never left */
	bool late;             /* an answer may come after the end */
	bool is_released;      /* ended for its caller; only pins keep the slot */
	bool is_parked;        /* in BACKOFF until another call finds the leader, or wake_ns */
	uint64_t asked;        /* bit a link: was sent this call since it last waited */
	uint64_t refused;      /* bit a link: could not be connected in this try */
	uint64_t answer_count; /* of the link when sent */
	uint64_t began_ns;
	uint64_t sent_ns;
	uint64_t first_sent_ns;
	uint64_t wake_ns; /* when the timer has to look at it; at most deadline_ns */
	uint64_t deadline_ns;
	uint64_t sequence;
	uint64_t client_id, lowest_unanswered; /* of a call that is passed on */
	uint64_t fence;
	uint64_t trace_id;
	const struct fts_method *method; /* borrowed until the call has ended */
	fts_done_fn done;
	void *ctx;
	struct ftsi_waiter *waiter; /* or done */
	uint8_t *payload;           /* inline_bytes, or malloc'ed */
	size_t payload_size_bytes;
	uint8_t inline_bytes[FTSI_INLINE_BYTES];
	struct fts_error error; /* of the last failed try */
	size_t token_size_bytes; /* 0: the channel's token */
	uint8_t token[FTSI_TOKEN_MAX_BYTES];
};

enum ftsi_timer_state { FTSI_TIMER_IDLE, FTSI_TIMER_SLEEPING, FTSI_TIMER_FIRING, FTSI_TIMER_RUNNING };

struct fts_channel {
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* a call, a sequence or a connection came free, when somebody waits for it */
	struct ftsi_session session;
	struct ftsi_link *links[FTSI_ENDPOINT_COUNT_MAX];
	uint32_t link_count;
	uint32_t homes[FTSI_ROUTE_COUNT]; /* by route, the link asked first: the leader as far as known, or where it
					     sticks to */
	uint64_t leader_term;             /* highest that was told with an answer; older news of leaders is no news */
	struct ftsi_open_call *calls;     /* constant */
	uint32_t call_count_max;          /* constant */
	uint32_t slot_bits;               /* constant; of a request id */
	uint32_t used_count;              /* slots that were ever used: 0 .. used_count - 1 */
	uint32_t open_count;
	size_t held_bytes;      /* of packed requests that don't fit into their slots */
	uint32_t blocked_count; /* callers inside fts_channel_call */
	uint32_t waiting_count; /* threads waiting for `changed` */
	uint32_t scout;         /* the call that looks for a leader for all parked ones; FTSI_NO_CALL: none */
	uint32_t parked_count;
	bool is_leader_found; /* the timer has to wake the parked calls */
	uint32_t question_generation;
	uint64_t send_count;      /* of tries */
	uint64_t seen_send_count; /* when the timer ran last */
	uint64_t members_at_ns;   /* when to ask for the members; UINT64_MAX: never */
	uint64_t warm_at_ns;      /* when to see to warm connections; UINT64_MAX: when one comes up or ends */
	uint32_t free_head, free_tail;
	uint32_t ended_head, ended_tail;
	uint64_t random_state;
	nng_aio *timer;
	enum ftsi_timer_state timer_state;
	uint64_t timer_due_ns;
	uint64_t next_check_ns;
	uint32_t settling_count; /* on_closed callbacks that still use the channel */
	bool closing;
	bool stay_local;                     /* constant */
	struct fts_arena_pool *pool;         /* constant */
	uint32_t connect_timeout_ms;         /* constant */
	char *tls_paths[3];                  /* constant; copies of ca, cert, key; NULL: none */
	size_t (*token_source)(void *ctx, uint8_t *out_token); /* constant; NULL: token */
	void *token_ctx;                     /* constant */
	size_t token_size_bytes;             /* constant */
	uint8_t token[FTSI_TOKEN_MAX_BYTES]; /* constant */
};

/* What every function below expects: the mutex is held, unless it says otherwise. */

/* channel_call.c: the table */

/* A free slot, in state ENDED and counted as open; NULL: max_open_calls are open. */
struct ftsi_open_call *ftsi_call_acquire(struct fts_channel *channel);
/* The call has ended for its caller: give sequence and, once unpinned, slot back. late: an answer may still come. */
void ftsi_call_release(struct fts_channel *channel, struct ftsi_open_call *call, bool late);
/* Keep the packed request while it is sent. Unpin frees the slot when the call was released meanwhile. */
void ftsi_call_pin(struct ftsi_open_call *call);
void ftsi_call_unpin(struct fts_channel *channel, struct ftsi_open_call *call);
/* A request id for a new try of call. */
uint32_t ftsi_call_new_request_id(struct fts_channel *channel, struct ftsi_open_call *call);
/* The call whose current try has this request id on link; NULL: none (late, or never asked). */
struct ftsi_open_call *ftsi_call_find(struct fts_channel *channel, const struct ftsi_link *link, uint32_t request_id);
struct fts_call_id ftsi_call_id_of(const struct fts_channel *channel, const struct ftsi_open_call *call);
/* NULL: not open any more. */
struct ftsi_open_call *ftsi_call_by_id(struct fts_channel *channel, struct fts_call_id id);
/* It goes on, or ends: parked no more. */
void ftsi_call_end_park(struct fts_channel *channel, struct ftsi_open_call *call);
/* It does not look for a leader any more, for itself or others. */
void ftsi_call_end_search(struct fts_channel *channel, struct ftsi_open_call *call);
/* True in the states from which a call can be ended. */
bool ftsi_call_is_pending(const struct ftsi_open_call *call);

/* channel_route.c: where to. Keep the mutex. */

uint64_t ftsi_link_bit(uint32_t link);
/* True when calls may be given to it at once, or wait for its dial. */
bool ftsi_link_is_trusted_up(const struct ftsi_link *link);
bool ftsi_link_can_be_dialed(const struct ftsi_link *link, uint64_t now_ns);
/* The link to ask next for call; FTSI_NO_LINK: none can be reached. */
uint32_t ftsi_route_pick(struct fts_channel *channel, const struct ftsi_open_call *call, uint64_t now_ns);
/* Where to go from link: the next that is up and trusted, else the next. */
uint32_t ftsi_route_next(const struct fts_channel *channel, uint32_t link);
/* True when a server other than call's was not tried since the call last waited, and can be. */
bool ftsi_route_has_untried(const struct fts_channel *channel, const struct ftsi_open_call *call, uint64_t now_ns);
/* The link whose endpoint is written address, learned when it is new; FTSI_NO_LINK: none, or no room for it. */
uint32_t ftsi_route_learn(struct fts_channel *channel, const char *address);
/* What had its home at link goes elsewhere from now on. */
void ftsi_route_leave(struct fts_channel *channel, uint32_t link);

/* channel_engine.c: what happens next. These may drop the mutex and take it again. */

/* Send call (pending or new) to the right server, or dial for it, or end it. */
void ftsi_call_go(struct fts_channel *channel, struct ftsi_open_call *call, uint64_t now_ns);
/* A connection came up: send what waits. */
void ftsi_engine_up(struct fts_channel *channel, struct ftsi_link *link);
/* call waits for a connection for long: try another server too. */
void ftsi_engine_slow(struct fts_channel *channel, struct ftsi_open_call *call);
/* A dial failed or a connection ended (epoch): every call on it moves, waits or ends. */
void ftsi_engine_down(struct fts_channel *channel, struct ftsi_link *link, uint32_t epoch);
/* call was answered with something else than OK. header: borrowed. */
void ftsi_engine_refused(struct fts_channel *channel, struct ftsi_open_call *call,
			 const fts_rpc_v1_ReplyHeader *header);
/* Send the calls that were sent to link not after until_ns to `to` instead: those to the leader, or the others. */
void ftsi_engine_move(struct fts_channel *channel, struct ftsi_link *link, bool leader_calls, uint32_t to,
		      uint64_t until_ns);
/* A leader was found: send what was parked. */
void ftsi_engine_unpark(struct fts_channel *channel);
/* The time limit of call has passed. Doesn't drop the mutex. */
void ftsi_engine_expire(struct fts_channel *channel, struct ftsi_open_call *call);

/* channel_probe.c */

/* Something came over link's connection (borrowed). Keeps the mutex. Thread: the connection's. */
void ftsi_probe_heard(struct ftsi_link *link, const struct ftsi_conn *conn);
/* The connection is new. Keeps the mutex. */
void ftsi_probe_reset(struct ftsi_link *link, uint64_t now_ns);
/* An answer that is no call's: true when it is that of a question, which then has had its effect. header, payload:
 * borrowed. May drop the mutex. Thread: the connection's. */
bool ftsi_probe_answered(struct fts_channel *channel, struct ftsi_link *link, uint32_t request_id,
			 const fts_rpc_v1_ReplyHeader *header, struct fts_bytes payload);
/* Ask link for the members of its cluster, unless a question is open there. May drop the mutex. */
void ftsi_probe_ask_members(struct fts_channel *channel, struct ftsi_link *link);
/* Look at all connections. May drop the mutex. */
void ftsi_probe_check(struct fts_channel *channel, uint64_t now_ns);
/* When to look next; UINT64_MAX: not needed. Keeps the mutex. */
uint64_t ftsi_probe_due_ns(struct fts_channel *channel);
/* When to look at a call that is sent now. */
uint64_t ftsi_probe_first_look_ns(const struct fts_channel *channel, uint64_t now_ns);

/* channel_warm.c */

/* A connection came up or ended: see to the others soon. Keeps the mutex. */
void ftsi_warm_want(struct fts_channel *channel, uint64_t now_ns);
/* May drop the mutex. */
void ftsi_warm_check(struct fts_channel *channel, uint64_t now_ns);

/* channel_timer.c. Keep the mutex. */

/* See to it that the timer runs at due_ns at the latest. */
void ftsi_timer_want(struct fts_channel *channel, uint64_t due_ns);
/* nng's callback. arg: the channel. The mutex is not held. */
void ftsi_timer_fired(void *arg);

/* channel_end.c: how an end reaches the caller */

/* End a call (pending, or new) with call->error (status, executed, detail set). Keeps the mutex. */
void ftsi_call_end(struct fts_channel *channel, struct ftsi_open_call *call);
/* Fill call->error. executed is what the last try tells; earlier tries may make it UNKNOWN. Keeps the mutex. */
void ftsi_call_set_error(struct ftsi_open_call *call, enum fts_status status, enum fts_executed executed,
			 const char *format, ...) FTS_PRINTF(4, 5);
/* Note in the caller's info who answered. header: borrowed. Keeps the mutex. */
void ftsi_call_note_answer(struct fts_channel *channel, struct ftsi_open_call *call,
			   const fts_rpc_v1_ReplyHeader *header);
/* call was answered with OK. header, payload: borrowed. Called with the mutex held, returns WITHOUT it.
 * Thread: the link's connection. */
void ftsi_call_succeed(struct fts_channel *channel, struct ftsi_open_call *call, struct ftsi_link *link,
		       const fts_rpc_v1_ReplyHeader *header, struct fts_bytes payload);
/* Run the callbacks of all ended calls. Drops the mutex. Thread: the runtime's only. */
void ftsi_channel_deliver(struct fts_channel *channel);
/* Unpack payload (borrowed) for a blocked caller; memory from malloc, capped. No mutex. */
enum fts_status ftsi_response_unpack(const struct fts_method *method, struct fts_bytes payload,
				     ProtobufCMessage **out_response, struct fts_error *out_error);

/* channel_link.c */

/* A link to endpoint (borrowed), with the channel's TLS. No mutex needed while the channel is opened; else held.
 * Errors: INVALID_ARGUMENT (TLS files), RESOURCE_EXHAUSTED. */
enum fts_status ftsi_link_create(struct fts_channel *channel, const struct ftsi_endpoint *endpoint,
				 struct fts_error *out_error);
/* Only when idle, and only at the end: no mutex. NULL: no-op. */
void ftsi_link_destroy(struct ftsi_link *link);
/* Begin to connect an idle link. */
void ftsi_link_dial(struct ftsi_link *link, uint64_t now_ns);
/* Close a connection whose hello is overdue; when is_round, let the connection look at itself. Keeps the mutex. */
void ftsi_link_check(struct ftsi_link *link, bool is_round, uint64_t now_ns);
/* When it has to be checked next; UINT64_MAX: not needed. next_round_ns: of the regular checks. */
uint64_t ftsi_link_due_ns(const struct ftsi_link *link, uint64_t next_round_ns);
/* Give up dialing or connection: it becomes idle soon. */
void ftsi_link_shut(struct ftsi_link *link, const char *reason);

#endif
