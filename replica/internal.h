/* Why this file exists: the inside of a replica, shared by the files of this folder, and which thread may touch what.
 *
 * | thread   | what it does                                                                          |
 * | loop     | raft, sessions, the state's batch, proposals; everything not marked otherwise         |
 * | append   | synced writes to DIR/log                                                              |
 * | snapshot | flushes DIR/state, marks and cuts DIR/log                                             |
 * | state    | copies of the state, files of transfers, scans                                        |
 * | readers  | reads on views of DIR/state                                                           |
 * | callers  | count and post commands and reads; short reads on views                               |
 *
 * Invariant: after `failed` is set, raft is not called any more (but to close it) and nothing is answered OK. */
#ifndef FTS_REPLICA_INTERNAL_H
#define FTS_REPLICA_INTERNAL_H

#include <pthread.h>
#include <raft.h>
#include <stdatomic.h>
#include <uv.h>

#include "replica/command.h"
#include "replica/environment.h"
#include "replica/event_log.h"
#include "replica/mailbox.h"
#include "replica/members.h"
#include "replica/outbox.h"
#include "replica/raft_log.h"
#include "replica/replica.h"
#include "replica/session.h"
#include "replica/worker.h"

enum {
	FTSI_QUEUE_COUNT_MAX = 65536, /* commands waiting */
	FTSI_QUEUE_BYTES_MAX = 64 * 1024 * 1024,
	FTSI_ENTRY_COUNT_MAX = 4096, /* commands in one entry */
	FTSI_ENTRY_BYTES_MAX = 4 * 1024 * 1024,
	FTSI_READ_COUNT_MAX = 8192, /* reads waiting, parked or running */
	FTSI_READER_COUNT = 2,
	FTSI_READS_HERE_MAX = 128,  /* short ones that the loop runs itself in a turn */
	FTSI_ELECTION_MS = 500,     /* unless the options say otherwise; heartbeats: a fifth, ticks: a tenth */
	FTSI_TURN_MS = 500,         /* how often on_turn runs without events */
	FTSI_STALL_MS = 100,        /* a tick that comes so late is counted */
	FTSI_OFFER_MS = 5000,       /* how often a state is offered to who needs one and has not taken it */
	FTSI_CATCH_UP_ROUNDS = 100, /* of a learner that is promoted; libraft's 10 are few under load */
	FTSI_CATCH_UP_ROUND_MS = 10000,
	FTSI_RETRY_MS = 50,                  /* advice to who was refused for a full queue */
	FTSI_LEADERLESS_RETRY_MS = 5,        /* to who waited in vain for a leader, or hears of another one */
	FTSI_HOLD_MS_MAX = 1000,             /* how long a call waits for a leader: two election times, this at most */
	FTSI_COMMIT_TELL_MS = 5,             /* after a commit, the others hear of it, also when no entry follows */
	FTSI_REPLAY_BYTES = 8 * 1024 * 1024, /* log applied in one state batch while replaying */
};
#define FTSI_LOG_BYTES_DEFAULT ((uint64_t)64 * 1024 * 1024)
#define FTSI_DISK_RESERVE_BYTES ((uint64_t)48 * 1024 * 1024)
#define FTSI_APPLY_ARENA_BYTES ((size_t)96 * 1024 * 1024)
#define FTSI_ANSWER_ARENA_BYTES ((size_t)160 * 1024 * 1024)
#define FTSI_ENTRY_ANSWER_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define FTSI_READ_ARENA_BYTES ((size_t)32 * 1024 * 1024)

/* One method of a machine, found by id. */
struct ftsi_target {
	const struct fts_machine *machine;
	const struct fts_method *method;
	const struct fts_machine_method *code;
};

/* How a command ended. All borrowed until finish returns. */
struct ftsi_outcome {
	enum fts_status status;
	enum fts_executed executed;
	uint64_t term, index;
	uint32_t retry_after_ms;
	struct fts_bytes payload;
	const char *detail;
};

/* A command that waits for its answer. Its memory is the proposer's, until finish is called: once, on the loop. */
struct ftsi_slot {
	struct ftsi_post post; /* first: how it comes to the loop */
	struct ftsi_slot *next;
	struct ftsi_command command; /* payload borrowed until finish */
	uint64_t deadline_ns;
	uint64_t arrived_ns; /* at the loop */
	struct ftsi_outcome outcome;
	void (*finish)(struct fts_replica *replica, struct ftsi_slot *slot);
};

struct ftsi_slot_list {
	struct ftsi_slot *first, **last;
	uint32_t count;
};

/* A read that waits, runs or is parked. Memory as of a slot; finish is called once, on any thread. */
struct ftsi_read_job {
	struct ftsi_post post; /* first */
	struct ftsi_read_job *next;
	const struct ftsi_target *target; /* NULL: nothing is read, see fts_replica_catch_up */
	struct fts_bytes request;
	uint64_t deadline_ns;
	uint64_t arrived_ns;     /* at the loop */
	uint64_t index;          /* what must be applied before it may run; 0: not known yet */
	uint64_t applied_before; /* index that was applied when its view was taken, or more */
	const char *wait_topic;
	uint64_t wait_key; /* 0: by topic */
	bool stale;
	bool unasked; /* runs because this node is the only voter: nobody was asked how far to read */
	void (*finish)(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome);
};

struct ftsi_read_list {
	struct ftsi_read_job *first, **last;
	uint32_t count;
};

/* How far linearizable reads must wait: read_index.c. */
struct ftsi_read_ask {
	raft_id from;
	uint64_t id;
	bool in_round;
};
struct ftsi_rounds {
	struct ftsi_read_list confirming; /* reads of the round or the question under way */
	struct ftsi_read_list waiting;    /* reads that know their index */
	uint64_t number;                  /* of the round or question under way, or the last one; begins with the time */
	bool under_way;
	bool asked; /* it is a question to the leader, not a round of this node's own */
	uint64_t term, index, sent_ns;
	raft_id acked[FTSI_MEMBER_MAX];
	uint32_t acked_count;
	struct ftsi_read_ask asks[FTSI_MEMBER_MAX]; /* of other members; one each */
	uint32_t ask_count;
};

/* When to start an election before libraft's own timer does: elections.c. */
struct ftsi_held_vote {
	raft_id from; /* 0: none */
	uint64_t until_ns;
	struct raft_request_vote request;
};
struct ftsi_elections {
	uint64_t due_ns; /* 0: none */
	raft_term due_term;
	bool due_at_start; /* nobody was connected yet when it was set: its rank is looked at when it is due */
	struct ftsi_held_vote votes[FTSI_MEMBER_MAX];
	raft_id leader_id; /* as last looked at; 0: nobody */
	raft_term leader_term;
	uint64_t leaderless_ns; /* since when nobody leads, or this node leads but does not serve yet */
	uint64_t ready_index;   /* committed when this node started, as a leader told; UINT64_MAX: not known yet */
};
enum ftsi_leads { FTSI_LEADS_NOBODY, FTSI_LEADS_SELF, FTSI_LEADS_OTHER };

/* What libraft must not see yet, or not as it came: guards.h. */
struct ftsi_guards {
	bool append_term_stands;
	raft_index proven_index;                      /* UINT64_MAX: whatever libraft says is proven */
	raft_index barrier_index;                     /* of this term's barrier */
	struct raft_message results[FTSI_MEMBER_MAX]; /* held back; server_id 0: none */
	struct raft_message timeout_now;              /* likewise */
	struct raft_configuration committed;          /* the last one that has committed */
	raft_index committed_index;
	int own_role; /* of this node in the configuration, while vote_is_lent */
	bool vote_is_lent;
};

/* Leadership on its way to another node: transfer.c. */
enum ftsi_handing { FTSI_HANDING_NOT, FTSI_HANDING_QUIET, FTSI_HANDING_ASKED, FTSI_HANDING_OVER };
struct ftsi_lead_call;
struct ftsi_transfer {
	enum ftsi_handing phase;
	raft_id target;
	bool hurry; /* do not wait for what is on its way to this disk */
	uint64_t deadline_ns;
	uint64_t tried_ns; /* when the node last handed over of itself */
	struct raft_transfer request;
	struct ftsi_lead_call *calls; /* who wants to know how it ends */
};

/* Keys that reads wait for (fts_apply_wake), each as the bit of its hash: two may share one. */
struct ftsi_wakes {
	bool any;
	uint64_t bits[16];
};
static inline uint64_t ftsi_wake_bit(uint64_t key)
{
	return (key * UINT64_C(0x9e3779b97f4a7c15)) >> 54; /* the top 10 bits; Knuth, TAOCP 3, section 6.4 */
}

struct fts_apply_events {
	struct fts_replica *replica;
	struct ftsi_wakes wakes;
	struct ftsi_pending_event *first, **last;
	struct ftsi_pending_event **entry; /* the link behind the last event of earlier entries */
	uint64_t index;
	uint32_t next_ordinal;
	size_t entry_bytes;   /* published by the entry being applied, refused commands included */
	uint32_t entry_count; /* likewise */
};

struct ftsi_inflight {
	bool active;
	struct raft_apply request;
	uint64_t index, term;
	struct ftsi_slot *first;
};

struct ftsi_readers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ftsi_read_list waiting; /* guarded by lock */
	bool stopping;                 /* guarded by lock */
	uint32_t idle_count;           /* guarded by lock */
	uint32_t started_count;        /* guarded by lock until stopping */
	pthread_t threads[FTSI_READER_COUNT];
	struct fts_strand *strand; /* set before the first read */
};

struct fts_replica {
	/* Set before the loop starts, read-only afterwards. */
	struct fts_replica_options options;
	char *data, *name, *address; /* owned copies */
	struct ftsi_target *targets; /* open addressing by method id, target_mask + 1 places */
	uint32_t target_mask;
	struct fts_machine events_machine, marks_machine;
	struct fts_machine_method events_methods[1], marks_methods[2];
	const struct fts_machine **machines; /* options', events_machine and marks_machine */
	size_t machine_count;
	struct ftsi_identity identity;
	uint32_t format_max;             /* the highest format this program reads (format.h) */
	char version[FTS_VERSION_BYTES]; /* of this program */
	struct fts_store *log;
	struct fts_store *state;                /* loop; others hold state_lock, or use ftsi_state_view */
	pthread_mutex_t state_lock;             /* of the pointer alone */
	struct ftsi_state *keeper;              /* replica/state.h: all that keeps the state; owned */
	struct ftsi_forming *forming;           /* replica/forming.h; owned */
	struct ftsi_membership *membership;     /* replica/membership.h; owned */
	struct ftsi_peers *peers;               /* the real transport; NULL: the environment's; owned */
	const struct ftsi_transport *transport; /* where messages leave; set before the loop runs; NULL: nowhere */
	const struct ftsi_environment *environment;
	uint32_t election_ms, heartbeat_ms, tick_ms;
	uint64_t started_ns;
	struct fts_arena_pool *apply_pool, *read_pool;
	uint64_t log_bytes_max;

	/* Any thread. */
	atomic_uint queue_count, read_count;
	atomic_size_t queue_bytes;
	atomic_bool serving;   /* leads, and its barrier has committed */
	atomic_bool sole;      /* the only voter: what it has applied is all there is */
	atomic_bool accepting; /* neither stopping nor failed */
	atomic_bool disk_full, disk_slow;
	atomic_int_fast64_t others_clock_ms;  /* fts_replica_others_clock_ms */
	atomic_int leads;                     /* enum ftsi_leads */
	atomic_uint_fast64_t leader_heard_ns; /* when somebody who leads was last heard */
	atomic_uint format; /* in which the cluster writes, as of the last entry applied: written by the loop */
	atomic_bool failed;
	atomic_bool doubted;                /* its state differs from the others', or is not there: it does not serve */
	atomic_uint doubt_turns;            /* how often doubt has begun or ended */
	atomic_uint_fast64_t applied_index; /* written to DIR/state */
	struct ftsi_mailbox mailbox;
	struct ftsi_readers readers;
	pthread_mutex_t status_lock;
	pthread_cond_t status_changed;
	struct fts_replica_status status;                                       /* guarded by status_lock */
	struct fts_replica_member_status member_status[FTS_REPLICA_MEMBER_MAX]; /* guarded by status_lock */
	uint32_t member_status_count;                                           /* guarded by status_lock */

	/* Loop. */
	pthread_t thread;
	bool thread_running;
	uv_loop_t uv;
	uv_timer_t timer;
	uint64_t now_ns;                           /* when this wake-up began */
	uint64_t tick_ns, turn_ns, commit_tell_ns; /* when they are due; commit_tell_ns 0: not */
	uint64_t armed_ns;                         /* what timer is set to */
	struct fts_replica_stalls stalls;
	bool ended; /* stepped: the loop is over */
	struct raft raft;
	struct raft_io io;
	struct raft_fsm fsm;
	bool started; /* a failure is told by on_fatal, no more by fts_replica_start */
	bool loop_open, raft_open, raft_running, stopping, closing;
	uint64_t stop_ns;         /* stopping: until then the entry in flight is waited for */
	struct fts_error failure; /* why it failed, once failed is set */
	struct ftsi_worker append_worker, snapshot_worker, state_worker;
	raft_io_tick_cb raft_tick;
	raft_io_recv_cb raft_recv;
	raft_io_close_cb raft_closed;
	uint32_t slow_append_count; /* that ended one after the other, each too slow */
	uint64_t append_began_ns;   /* the one at the disk; 0: none */
	uint64_t disk_slow_ns;      /* when an append was last too slow */
	struct ftsi_members members;
	struct ftsi_outbox outbox;
	struct ftsi_elections elections;
	struct ftsi_rounds rounds;
	struct ftsi_transfer transfer;
	struct ftsi_guards guards;     /* guards.h */
	uint64_t next_append_index;    /* libraft does not tell an append where it goes */
	uint64_t log_bytes;            /* appended since the last snapshot */
	struct ftsi_job *snapshot_job; /* waits until what it names is applied */
	bool snapshot_running;
	struct raft_barrier barrier;
	uint64_t barrier_term; /* of the barrier on its way or committed; 0: none */
	unsigned short state_seen;
	struct ftsi_slot_list queue, answered;
	struct ftsi_inflight inflight;
	struct ftsi_sessions *sessions;
	struct ftsi_event_log *events;
	struct fts_txn *txn; /* what was applied and not yet written; NULL: nothing */
	struct fts_arena *apply_arena, *answer_arena;
	struct fts_apply_events pending;
	uint64_t txn_index;     /* last entry in txn */
	uint64_t txn_log_bytes; /* of the entries in txn, with their answers and events */
	int64_t time_ms;        /* of the last entry applied */
	int64_t idle_ms;        /* by which clients are idle, as of the last entry applied (applied.h) */
	uint64_t writes;        /* digest.h: the chain over what was written so far */
	uint64_t last_event_index;
	struct ftsi_read_list unconfirmed; /* reads that wait for leadership to be confirmed */
	struct ftsi_read_list parked;
	uint64_t progress;
	uint64_t reserve_checked_ns;
	uint64_t format_due_ns, format_told_ns; /* when it may be raised again; when was last told who holds it back */
	bool events_published;
	struct fts_strand *strand; /* of the loop (base/progress.h); NULL: stepped, or over */
};

/* ---- loop.c ---- */
/* Make the loop, its workers and raft, replay the log. Not 0: failure says why; ftsi_loop_begin_stop,
 * ftsi_loop_run then clean up. Thread: the one that makes the replica, before the loop runs. */
int ftsi_loop_start(struct fts_replica *replica);
/* Listen for peers, unless the environment brings a transport, or nobody is ever to come. Not 0: failed. */
int ftsi_replica_open_network(struct fts_replica *replica);
/* The node is a member (replica/forming.h): make raft and start it. Not 0: failed. Thread: loop, or before it runs. */
int ftsi_loop_start_raft(struct fts_replica *replica);
/* Until stopped. Thread: the loop itself. */
void ftsi_loop_run(struct fts_replica *replica);
/* The loop gets on: for a watchdog, within a turn that takes long. */
void ftsi_loop_moves(struct fts_replica *replica);
/* The end of everything one wake-up of the loop did: propose, write, answer, publish. worked: it was not only a tick.
 */
void ftsi_loop_turn(struct fts_replica *replica, bool worked);
/* The replica can't go on: log, tell on_fatal once. Thread: loop. */
void ftsi_loop_fail(struct fts_replica *replica, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);
/* Everything up to it is applied and written. */
uint64_t ftsi_applied_index(const struct fts_replica *replica);
/* Let raft's timers look at the time now. */
void ftsi_loop_tick_raft(struct fts_replica *replica);
/* The environment's time. Thread: any. */
uint64_t ftsi_now_ns(const struct fts_replica *replica);

/* ---- stop.c ---- */
/* Refuse what waits; the turns that follow end raft, then the loop. Thread: loop. */
void ftsi_loop_begin_stop(struct fts_replica *replica);
/* The next step of that, at the end of each turn. */
void ftsi_loop_go_on_stopping(struct fts_replica *replica);

/* ---- receive.c ---- */
/* Give libraft a message that the guards have let through; its entries are libraft's from then on. */
void ftsi_receive_deliver(struct fts_replica *replica, struct raft_message *message);

/* ---- elections.c ---- */
/* Who leads, as raft has it now; tells status, calls and reads when that has changed. In each turn. */
void ftsi_elections_observe(struct fts_replica *replica);
/* Start an election that is due; deliver votes that were held back. */
void ftsi_elections_run(struct fts_replica *replica);
/* When _run has to be called; UINT64_MAX: not. */
uint64_t ftsi_elections_next_ns(const struct fts_replica *replica);
/* raft has started. */
void ftsi_elections_begin(struct fts_replica *replica);
/* There is a connection to member. */
void ftsi_elections_connected(struct fts_replica *replica, const struct ftsi_member *member);
/* The connection to or from member has ended. */
void ftsi_elections_disconnected(struct fts_replica *replica, const struct ftsi_member *member);
/* A candidate asks. True: it may be delivered now; false: it was put aside for a moment. */
bool ftsi_elections_may_vote(struct fts_replica *replica, const struct raft_message *message);
/* A call that came at arrived_ns has waited long enough for somebody to lead. */
bool ftsi_is_held_too_long(const struct fts_replica *replica, uint64_t arrived_ns, uint64_t now_ns);
/* What io_random says for an election timer: libraft asks for min to 2 * min. */
int ftsi_elections_timeout_ms(struct fts_replica *replica, int min_ms);
/* A leader other than this node told how far it is. */
void ftsi_elections_leader_heard(struct fts_replica *replica, uint64_t leader_commit);
/* HOST:PORT of the leader's calls into out (128 bytes), unless it is this node or not known. Thread: any. */
bool ftsi_leader_hint(struct fts_replica *replica, char *out);
/* Everything that status tells of the leader, and whether this node is ready. status_lock is held. */
void ftsi_elections_tell(struct fts_replica *replica, struct fts_replica_status *status);

/* ---- transfer.c ---- */
/* No command may go into the log now: leadership is on its way. */
bool ftsi_transfer_holds(const struct fts_replica *replica);
/* Go on with it. At the end of each turn. */
void ftsi_transfer_turn(struct fts_replica *replica);
/* A leader that is slow or full looks for a better one. At each tick. */
void ftsi_transfer_tick(struct fts_replica *replica, uint64_t now_ns);
/* The append that began at append_began_ns has ended. */
void ftsi_transfer_appended(struct fts_replica *replica);
/* This node stops: everybody who waits is told. */
void ftsi_transfer_end(struct fts_replica *replica, const char *detail);

/* ---- raft_io.c ---- */
void ftsi_raft_io_init(struct fts_replica *replica);

/* ---- fsm.c ---- */
void ftsi_fsm_init(struct fts_replica *replica);

/* ---- apply.c ---- */
/* Read how far DIR/state is, its sessions and events. */
FTS_MUST_USE enum fts_status ftsi_apply_load(struct fts_replica *replica, struct fts_error *out_error);
/* Apply one entry. Not OK: this replica has to stop (ftsi_loop_fail was called). */
FTS_MUST_USE enum fts_status ftsi_apply_entry(struct fts_replica *replica, uint64_t index, struct fts_bytes entry);
/* Write what was applied. */
FTS_MUST_USE enum fts_status ftsi_apply_commit(struct fts_replica *replica);
/* Record that everything up to index is applied (entries that change no state included). */
FTS_MUST_USE enum fts_status ftsi_apply_mark(struct fts_replica *replica, uint64_t index);

/* ---- own.c ---- */
/* Another node suggests a command (payload borrowed). */
void ftsi_own_receive(struct fts_replica *replica, uint32_t method_id, struct fts_bytes payload);

/* ---- propose.c ---- */
void ftsi_slots_init(struct ftsi_slot_list *list);
void ftsi_slots_push(struct ftsi_slot_list *list, struct ftsi_slot *slot);
/* Count slot in and post it. Not OK: refused, finish is not called, *out_error (never NULL) says why. Thread: any. */
FTS_MUST_USE enum fts_status ftsi_propose_post(struct fts_replica *replica, struct ftsi_slot *slot,
					       struct fts_error *out_error);
/* Put what waits into one entry, unless one is in flight. */
void ftsi_propose_batch(struct fts_replica *replica);
/* Refuse everything that waits. */
void ftsi_propose_refuse_all(struct fts_replica *replica, const char *detail);
void ftsi_propose_answer(struct fts_replica *replica);
/* The entry in flight will not be answered by this node. */
void ftsi_propose_lost(struct fts_replica *replica);
/* Refuse what has waited for too long while nobody leads. At each tick. */
void ftsi_propose_expire(struct fts_replica *replica, uint64_t now_ns);
/* A free disk is part of being able to accept. */
void ftsi_propose_check_disk(struct fts_replica *replica, uint64_t now_ns);

/* ---- read.c, readers.c ---- */
void ftsi_readers_stop(struct fts_replica *replica);
void ftsi_readers_give(struct fts_replica *replica, struct ftsi_read_job *job);
/* All of a list that begins with job. */
void ftsi_readers_give_all(struct fts_replica *replica, struct ftsi_read_job *job);
/* Run job now, on this thread, and finish or park it. */
void ftsi_read_run(struct fts_replica *replica, struct ftsi_read_job *job);
/* The same for all of a list that begins with job, on one view. */
void ftsi_read_run_all(struct fts_replica *replica, struct ftsi_read_job *job);
/* As ftsi_propose_post, for a read: runs it at once where that is safe and it is short. */
FTS_MUST_USE enum fts_status ftsi_read_post(struct fts_replica *replica, struct ftsi_read_job *job,
					    struct fts_error *out_error);
void ftsi_read_finish(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome);
void ftsi_read_refuse(struct fts_replica *replica, struct ftsi_read_job *job, enum fts_status status,
		      const char *detail);
/* How old what this node has may be: how long ago it heard of a leader; 0 where it leads itself. Thread: any. */
uint32_t ftsi_read_age_ms(const struct fts_replica *replica);
/* Park a read that has to wait for topic. Thread: any. */
void ftsi_read_park(struct fts_replica *replica, struct ftsi_read_job *job);
void ftsi_read_wake(struct fts_replica *replica, const struct ftsi_pending_event *first);
void ftsi_read_wake_keys(struct fts_replica *replica, const struct ftsi_wakes *wakes);
/* Take out of list what `leaves` picks; returns it, in order. */
struct ftsi_read_job *ftsi_read_take_if(struct ftsi_read_list *list, const void *ctx,
					bool (*leaves)(const struct ftsi_read_job *job, const void *ctx));
/* Another node leads, or nobody: refuse what only a leader may read, with a hint. */
void ftsi_read_sort_out(struct fts_replica *replica);
/* Everything that is parked runs again: the state was replaced. */
void ftsi_read_wake_all(struct fts_replica *replica);
void ftsi_read_expire(struct fts_replica *replica, uint64_t now_ns);
void ftsi_read_refuse_all(struct fts_replica *replica);

/* ---- read_index.c ---- */
/* Once the environment is known. */
void ftsi_read_index_init(struct fts_replica *replica);
/* Find out for all reads that wait how far they must wait, and run those that need not any more. At the end of each
 * turn, when what has committed is written. */
void ftsi_read_index_turn(struct fts_replica *replica);
/* A round or a question that nobody answers is repeated. At each tick. */
void ftsi_read_index_tick(struct fts_replica *replica, uint64_t now_ns);
struct Fts__Replica__V1__PeerMessage;
/* A ReadIndexProbe, Ack, Ask or Told (borrowed) from a member. */
void ftsi_read_index_receive(struct fts_replica *replica, const struct Fts__Replica__V1__PeerMessage *message);
/* Another node leads now, or nobody: what was under way means nothing. */
void ftsi_read_index_reset(struct fts_replica *replica);

/* ---- replay.c ---- */
void ftsi_replay_init(struct fts_replica *replica);

/* ---- targets.c ---- */
FTS_MUST_USE enum fts_status ftsi_targets_init(struct fts_replica *replica, struct fts_error *out_error);
/* NULL: no machine has this method. Borrowed until destroy. Thread: any. */
const struct ftsi_target *ftsi_target_find(const struct fts_replica *replica, uint32_t method_id);

#endif
