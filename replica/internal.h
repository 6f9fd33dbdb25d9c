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
#include "replica/event_log.h"
#include "replica/mailbox.h"
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
	FTSI_TICK_MS = 100,
	FTSI_ELECTION_MS = 1000,
	FTSI_TURN_MS = 500,                  /* how often on_turn runs without events */
	FTSI_RETRY_MS = 50,                  /* advice to who was refused for a full queue */
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
	const struct ftsi_target *target;
	struct fts_bytes request;
	uint64_t deadline_ns;
	uint64_t applied_before; /* index that was applied when its view was taken, or more */
	const char *wait_topic;
	bool stale;
	void (*finish)(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome);
};

struct ftsi_read_list {
	struct ftsi_read_job *first, **last;
	uint32_t count;
};

struct fts_apply_events {
	struct fts_replica *replica;
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
};

struct fts_replica {
	/* Set before the loop starts, read-only afterwards. */
	struct fts_replica_options options;
	char *data, *name, *address; /* owned copies */
	struct ftsi_target *targets; /* open addressing by method id, target_mask + 1 places */
	uint32_t target_mask;
	struct fts_machine events_machine;
	struct fts_machine_method events_methods[1];
	const struct fts_machine **machines; /* options' and events_machine */
	size_t machine_count;
	struct ftsi_identity identity;
	struct fts_store *log;
	struct fts_store *state;    /* loop; others hold state_lock, or use ftsi_state_view */
	pthread_mutex_t state_lock; /* of the pointer alone */
	struct ftsi_state *keeper;  /* replica/state.h: all that keeps the state; owned */
	struct ftsi_forming *forming;           /* replica/forming.h; owned */
	struct ftsi_membership *membership;     /* replica/membership.h; owned */
	struct ftsi_peers *peers;               /* the real transport; NULL: the environment's; owned */
	const struct ftsi_transport *transport; /* where messages leave; set before the loop runs */
	struct fts_arena_pool *apply_pool, *read_pool;
	uint64_t log_bytes_max;

	/* Any thread. */
	atomic_uint queue_count, read_count;
	atomic_size_t queue_bytes;
	atomic_bool serving;   /* leads, and its barrier has committed */
	atomic_bool sole;      /* the only voter: what it has applied is all there is */
	atomic_bool accepting; /* neither stopping nor failed */
	atomic_bool disk_full;
	atomic_bool failed;
	atomic_bool doubted; /* its state differs from the others', or is not there: it does not serve */
	atomic_uint_fast64_t applied_index; /* written to DIR/state */
	struct ftsi_mailbox mailbox;
	struct ftsi_readers readers;
	pthread_mutex_t status_lock;
	pthread_cond_t status_changed;
	struct fts_replica_status status; /* guarded by status_lock */

	/* Loop. */
	pthread_t thread;
	bool thread_running;
	uv_loop_t uv;
	uv_timer_t tick_timer, turn_timer;
	struct raft raft;
	struct raft_io io;
	struct raft_fsm fsm;
	bool loop_open, raft_open, raft_running, stopping, closing;
	struct fts_error failure; /* why it failed, once failed is set */
	struct ftsi_worker append_worker, snapshot_worker, state_worker;
	raft_io_tick_cb raft_tick;
	raft_io_recv_cb raft_recv;
	raft_io_close_cb raft_closed;
	bool append_term_stands;       /* guards.h */
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
	uint64_t last_event_index;
	struct ftsi_read_list unconfirmed; /* reads that wait for leadership to be confirmed */
	struct ftsi_read_list parked;
	uint64_t progress;
	uint64_t reserve_checked_ns;
	bool events_published;
};

/* ---- loop.c ---- */
/* Make the loop, its workers and raft, replay the log. Not 0: failure says why; ftsi_loop_begin_stop,
 * ftsi_loop_run then clean up. Thread: the one that makes the replica, before the loop runs. */
int ftsi_loop_start(struct fts_replica *replica);
/* The node is a member (replica/forming.h): make raft and start it. Not 0: failed. Thread: loop, or before it runs. */
int ftsi_loop_start_raft(struct fts_replica *replica);
/* Until stopped. Thread: the loop itself. */
void ftsi_loop_run(struct fts_replica *replica);
/* The end of everything one wake-up of the loop did: propose, write, answer, publish. worked: it was not only a tick.
 */
void ftsi_loop_turn(struct fts_replica *replica, bool worked);
/* The replica can't go on: log, tell on_fatal once. Thread: loop. */
void ftsi_loop_fail(struct fts_replica *replica, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);
/* Refuse what waits; the turns that follow end raft, then the loop. Thread: loop. */
void ftsi_loop_begin_stop(struct fts_replica *replica);

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
/* A free disk is part of being able to accept. */
void ftsi_propose_check_disk(struct fts_replica *replica, uint64_t now_ns);

/* ---- read.c, readers.c ---- */
void ftsi_readers_stop(struct fts_replica *replica);
void ftsi_readers_give(struct fts_replica *replica, struct ftsi_read_job *job);
/* Run job now, on this thread, and finish or park it. */
void ftsi_read_run(struct fts_replica *replica, struct ftsi_read_job *job);
/* As ftsi_propose_post, for a read: runs it at once where that is safe and it is short. */
FTS_MUST_USE enum fts_status ftsi_read_post(struct fts_replica *replica, struct ftsi_read_job *job,
					    struct fts_error *out_error);
void ftsi_read_finish(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome);
void ftsi_read_refuse(struct fts_replica *replica, struct ftsi_read_job *job, enum fts_status status,
		      const char *detail);
/* Park a read that has to wait for topic. Thread: any. */
void ftsi_read_park(struct fts_replica *replica, struct ftsi_read_job *job);
void ftsi_read_wake(struct fts_replica *replica, const struct ftsi_pending_event *first);
void ftsi_read_expire(struct fts_replica *replica, uint64_t now_ns);
void ftsi_read_refuse_all(struct fts_replica *replica);

/* ---- read_index.c ---- */
/* Confirm leadership for all reads that wait, and let them run. */
void ftsi_read_index_round(struct fts_replica *replica);

/* ---- replay.c ---- */
void ftsi_replay_init(struct fts_replica *replica);

/* ---- targets.c ---- */
FTS_MUST_USE enum fts_status ftsi_targets_init(struct fts_replica *replica, struct fts_error *out_error);
/* NULL: no machine has this method. Borrowed until destroy. Thread: any. */
const struct ftsi_target *ftsi_target_find(const struct fts_replica *replica, uint32_t method_id);

#endif
