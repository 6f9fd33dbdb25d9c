/* Why this file exists: the interface that all replicated services use. A service is a machine: a table of pure
 * transitions (one a changing method) and of reads (one a reading method). The replica puts calls into the log,
 * applies them in the same order on every node, answers each exactly once, and publishes their events.
 *
 * Invariants:
 *  - A transition sees its request, the state and what struct fts_apply says; no clock, no randomness, no
 *    environment. Its status and response are the answer, identical on every node, kept for retries.
 *  - Effects, answers, events and the applied index of all entries that commit together are one batch in DIR/state.
 *  - A call is answered after that batch is written; so a read that starts later sees it.
 *  - Everything of a replica but fts_replica_propose, _read and their wrappers runs on its loop thread.
 * Source: Ongaro, "Consensus: bridging theory and practice" (2014), chapters 3, 6.3, 6.4. */
#ifndef FTS_REPLICA_REPLICA_H
#define FTS_REPLICA_REPLICA_H

#include <fts/rpc.h>

#include "base/arena.h"
#include "base/format.h"
#include "store/store.h"

/* First tables a service may use for its keys (store/key.h); below are the replica's own. */
#define FTS_TABLE_LOTTERY 0x1000
#define FTS_TABLE_GAME 0x1100
#define FTS_TABLE_ELECTOR 0x1200
#define FTS_TABLE_KV 0x1300
#define FTS_TABLE_DISPATCH 0x1400
#define FTS_TABLE_ACCESS 0x1500

#define FTS_VERSION_BYTES 24 /* of a program's version as text, 0 byte included */

struct fts_replica;

/* ---- What a service gives ---- */

/* One command while it is applied. */
struct fts_apply {
	struct fts_txn *txn; /* reads see all earlier commands; rolled back when the transition does not return OK */
	uint64_t index;      /* log index of the command's entry */
	uint32_t ordinal;    /* of the command within its entry */
	int64_t time_ms;     /* proposer's wall clock; never goes back */
	uint64_t term;       /* proposer's */
	uint64_t lead_index; /* where its proposer began to lead: another one than before means that somebody else led in
			      * between, or nobody (a restart may keep the term) */
	uint32_t format;     /* in which the cluster writes: what is new may take effect only from its format on */
	struct fts_arena *arena;        /* for the response; valid until it has been packed */
	struct fts_bytes request_bytes; /* the request as it stands in the log; borrowed */
	char detail[FTS_DETAIL_MAX];    /* set by fts_apply_refuse */
	struct fts_apply_events *events;
};

/* Return a refusal from a transition: sets the detail and returns status. Text must depend on state and request only.
 */
enum fts_status fts_apply_refuse(struct fts_apply *apply, enum fts_status status, const char *format, ...)
    FTS_PRINTF(3, 4);

/* Publish an event (borrowed; packed at once) under topic once the command has committed.
 * RESOURCE_EXHAUSTED: it must be returned by the transition. */
FTS_MUST_USE enum fts_status fts_apply_publish(struct fts_apply *apply, const char *topic,
					       const ProtobufCMessage *event);

/* Run reads again that wait for key (not 0) once the command has committed. Nothing is published or kept, and the events'
 * limits do not count it. */
void fts_apply_wake(struct fts_apply *apply, uint64_t key);

/* request: decoded, borrowed. response: initialised message of the method's response type, to be filled with
 * memory from apply->arena or static. Returning INTERNAL or DATA_LOSS halts this replica: it means that this
 * node can't apply what others can. Any other status is the answer. Thread: loop. */
typedef enum fts_status (*fts_apply_fn)(struct fts_apply *apply, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);

/* One read while it runs. */
struct fts_read {
	struct fts_txn *view;    /* as of the read's index or later */
	struct fts_arena *arena; /* for the response */
	char detail[FTS_DETAIL_MAX];
	const char *wait_topic; /* set by fts_read_wait */
	uint64_t wait_key;      /* set by fts_read_wait_key; wait_topic is "" then */
};

enum fts_status fts_read_refuse(struct fts_read *read, enum fts_status status, const char *format, ...)
    FTS_PRINTF(3, 4);

/* Return this from a read that has to wait for a change: it is run again after the next event under topic
 * (static string), until the call's time limit has passed. */
enum fts_status fts_read_wait(struct fts_read *read, const char *topic);
/* The same for a change that is told with fts_apply_wake of the same key (not 0). It may also run again for nothing. */
enum fts_status fts_read_wait_key(struct fts_read *read, uint64_t key);

/* Thread: one of the replica's readers; may take as long as it needs to read. Otherwise as fts_apply_fn. */
typedef enum fts_status (*fts_read_fn)(struct fts_read *read, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);

struct fts_machine_method {
	fts_apply_fn apply; /* of a changing method; NULL otherwise */
	fts_read_fn read;   /* of a reading method; NULL otherwise */
	/* Of a changing method: the first format in which it may be in the log, as older versions stop at a command that
	 * they don't know. 0: always. Until then it is FAILED_PRECONDITION. */
	uint32_t since_format;
	/* Optional, of a changing method that a caller sends: may rewrite the request before it goes into the log (to
	 * put in what only the serving node knows). Returns the packed request from arena, or empty bytes to refuse
	 * with *out_error. Thread: the one that read the call. */
	struct fts_bytes (*prepare)(const ProtobufCMessage *request, struct fts_arena *arena, void *ctx,
				    struct fts_error *out_error);
};

struct fts_machine {
	const struct fts_service *service;
	const struct fts_machine_method *methods; /* one a method, in the service's order */
	bool internal;                            /* its commands are proposed by nodes only; not offered to callers */
	void *ctx;
	/* Optional. After each batch that published events, and every 500 ms, on the loop of every node that serves:
	 * the place for what a node does of itself (with fts_replica_propose). view: borrowed. */
	void (*on_turn)(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms);
	/* Optional. The whole state was replaced by another node's (snapshot, re-sync): drop what was derived from the
	 * old one. view: the new one, borrowed. Thread: loop, no transition runs. */
	void (*on_replaced)(void *ctx, struct fts_txn *view);
};

/* ---- The replica ---- */

struct fts_replica_member {
	const char *name;
	const char *address; /* HOST:PORT of its calls; its peers' port is three above */
};

struct ftsi_environment;

struct fts_replica_options {
	const char *data;    /* DIR: DIR/log and DIR/state are made in it. Borrowed. */
	const char *name;    /* this node */
	const char *address; /* HOST:PORT of its calls */
	/* First start of a cluster of several: everybody, this node included, the same list on every node. Empty: a
	 * cluster of one, unless join is set or DIR says otherwise. Borrowed for the call. */
	const struct fts_replica_member *members;
	size_t member_count;
	bool join;               /* DIR is blank: wait until a leader adds this node */
	const char *peer_listen; /* "HOST:PORT" of the peer port; NULL: address with its port + 3 */
	struct fts_tls tls;      /* of peers; borrowed */
	uint32_t election_ms;    /* silence of the leader after which an election starts; 0: 500. Heartbeats: a fifth */
	const struct ftsi_environment *environment; /* NULL: the real one (replica/environment.h) */
	const struct fts_machine *const *machines;  /* static */
	size_t machine_count;
	/* Optional: each event after its batch is written, in order. Thread: loop; must not block. */
	void (*on_event)(void *ctx, uint64_t index, uint32_t ordinal, const char *topic, struct fts_bytes payload);
	/* The replica can't go on (disk, invariant): the process must end. Thread: any of the replica's. */
	void (*on_fatal)(void *ctx, const struct fts_error *error);
	void *ctx;
	uint64_t log_bytes_before_snapshot; /* 0: 64 MiB */
	uint32_t format_max;                /* 0: FTS_FORMAT */
	const char *version;                /* of the program, for people; static. NULL: not told */
};

/* Open DIR, start the loop thread; returns once DIR is read, before it leads. out_replica: returned (_stop, _destroy).
 * Errors: DATA_LOSS, UNAVAILABLE (locked by another process), RESOURCE_EXHAUSTED (disk full), INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status fts_replica_start(const struct fts_replica_options *options,
					       struct fts_replica **out_replica, struct fts_error *out_error);

/* Offer every machine that is not internal, and fts.rpc.v1.Events, on server (borrowed until destroy). */
FTS_MUST_USE enum fts_status fts_replica_serve(struct fts_replica *replica, struct fts_server *server,
					       struct fts_error *out_error);

/* How often a loop came late to a tick, by 100 ms or more, since it started; how late at most. */
struct fts_replica_stalls {
	uint32_t count, max_ms;
};

struct fts_replica_status {
	bool ready; /* knows a leader, and has applied all that was committed when it started */
	bool leader;
	char leader_name[64];
	uint64_t term, commit_index, applied_index;
	uint32_t queue_count; /* commands waiting */
	struct fts_replica_stalls stalls;
	uint64_t progress;    /* grows with each loop turn that did work */
	uint64_t cluster_id;      /* 0: not formed yet */
	uint64_t node_id;
	bool formed;              /* it belongs to a cluster: it may be no member of it yet */
	bool disk_full;           /* down to the reserve: writes are refused, reads go on */
	bool disk_slow;           /* an append takes longer than a leader may take */
	bool digest_ok;           /* false: this node's state differs from the others'; it does not serve */
	bool syncing;             /* it fetches a state from another node */
	char leader_address[128]; /* HOST:PORT of its calls; "": none known */
	uint32_t format, format_max; /* in which the cluster writes; the highest that this node reads */
};

struct fts_replica_member_status {
	char name[64];
	char address[128];
	uint64_t node_id;
	bool voter, learner, leader, self;
	bool alive; /* heard of within two election times */
	bool digest_ok;
	uint64_t applied; /* as last told */
	uint32_t format_max;             /* the highest format it reads; 0: not heard yet */
	char version[FTS_VERSION_BYTES]; /* of its program; "": not heard yet */
	struct fts_replica_stalls stalls; /* as last told */
};
#define FTS_REPLICA_MEMBER_MAX 16
/* All members as this node knows them; returns how many. out_members: FTS_REPLICA_MEMBER_MAX. Thread: any. */
size_t fts_replica_members(struct fts_replica *replica, struct fts_replica_member_status *out_members);

/* Membership: each is idempotent by name, runs on the leader, and ends through done (on the loop, exactly once iff OK
 * is returned). Strings borrowed for the call. Errors: UNAVAILABLE (not leader, or no majority), FAILED_PRECONDITION,
 * NOT_FOUND, ALREADY_EXISTS (name or address of another member), DEADLINE_EXCEEDED. Thread: any. */
typedef void (*fts_member_fn)(void *ctx, enum fts_status status, const struct fts_error *error);
/* node_id 0: of a node that was announced or is not started yet (it is then EXPECTED). */
FTS_MUST_USE enum fts_status fts_replica_member_add(struct fts_replica *replica, const char *name, const char *address,
						    uint64_t node_id, uint32_t timeout_ms, fts_member_fn done,
						    void *ctx, struct fts_error *out_error);
FTS_MUST_USE enum fts_status fts_replica_member_remove(struct fts_replica *replica, const char *name,
						       uint32_t timeout_ms, fts_member_fn done, void *ctx,
						       struct fts_error *out_error);
/* Hand leadership to name; NULL: to whoever is best placed. */
FTS_MUST_USE enum fts_status fts_replica_member_lead(struct fts_replica *replica, const char *name, uint32_t timeout_ms,
						     fts_member_fn done, void *ctx, struct fts_error *out_error);

/* Wait until this node has applied all that any node had acknowledged before the call, as a linearizable read does.
 * Errors: UNAVAILABLE (no leader is known, or the node is stopping), RESOURCE_EXHAUSTED (too many reads wait),
 * DEADLINE_EXCEEDED. Blocks, timeout_ms at most. Thread: any but the loop. */
FTS_MUST_USE enum fts_status fts_replica_catch_up(struct fts_replica *replica, uint32_t timeout_ms,
						  struct fts_error *out_error);
/* A consistent copy of the state in dir (must not exist), with a meta file beside its tables: what `snapshot save`
 * sends. out_index: everything up to it is inside. Blocks. Thread: any but the loop. */
FTS_MUST_USE enum fts_status fts_replica_copy_state(struct fts_replica *replica, const char *dir, uint64_t *out_index,
						    struct fts_error *out_error);
/* The wall clock that most of the cluster goes by, less this node's monotonic clock, in ms: the lower median of what the
 * others told lately, this node's own taken for the latest of all. INT64_MIN: nobody told it. So a node whose clock is
 * later than this is ahead of most others. Thread: any. */
int64_t fts_replica_others_clock_ms(const struct fts_replica *replica);
/* In which the cluster writes now. Thread: any. */
uint32_t fts_replica_format(const struct fts_replica *replica);
/* A copy of where it stands. Thread: any. */
void fts_replica_status(struct fts_replica *replica, struct fts_replica_status *out_status);
/* Wait until ready. Errors: DEADLINE_EXCEEDED. Thread: any but the loop. */
FTS_MUST_USE enum fts_status fts_replica_wait_ready(struct fts_replica *replica, uint32_t timeout_ms);

/* response: packed, borrowed until return. Thread: loop. */
typedef void (*fts_propose_fn)(void *ctx, enum fts_status status, struct fts_bytes response,
			       const struct fts_error *error);

/* A node's own command: method of any machine, request borrowed (packed at once). Not deduplicated.
 * done (may be NULL) fires exactly once iff OK is returned, on the loop, never inside this call.
 * Errors: UNAVAILABLE (not leader), RESOURCE_EXHAUSTED (queue full). Thread: any. */
FTS_MUST_USE enum fts_status fts_replica_propose(struct fts_replica *replica, const struct fts_method *method,
						 const ProtobufCMessage *request, fts_propose_fn done, void *ctx);

/* As fts_replica_propose from whatever node this is: sent on to the leader when that is another one. It may be lost, so
 * it is for what a node looks at again and again, and what may run twice. Thread: any. */
void fts_replica_suggest(struct fts_replica *replica, const struct fts_method *method, const ProtobufCMessage *request);

/* What is applied and written now, for work of a service's own threads: not linearizable. Returned (fts_txn_abort),
 * before the replica is destroyed. Errors: RESOURCE_EXHAUSTED. Thread: any but the loop. */
FTS_MUST_USE enum fts_status fts_replica_view(struct fts_replica *replica, struct fts_txn **out_view);

/* Who stops while it leads hands over first, so that nobody has to notice its end: at most 2 s, and nothing when it does
 * not lead. Calls are served and led on meanwhile and afterwards. Blocks. Thread: any but the loop. */
void fts_replica_hand_over(struct fts_replica *replica);
/* Hand over, finish what is in the log, refuse the rest, end the loop. Blocks. Then destroy. */
void fts_replica_stop(struct fts_replica *replica);
void fts_replica_destroy(struct fts_replica *replica); /* NULL: no-op */

#endif
