/* Why this file exists: the loop thread: it wakes for what was posted, for raft's ticks and for the services' turns,
 * and ends each wake-up with ftsi_loop_turn.
 *
 * Order within a turn, and why: the next entry goes to the disk first, so that the disk works while the loop writes
 * what the last one did; answers leave after that is written; reads run last, on what is written now.
 *
 * Invariants: callbacks of libuv never nest, so a turn sees raft at rest. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "replica/guards.h"

void ftsi_loop_fail(struct fts_replica *replica, enum fts_status status, const char *format, ...)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_UNKNOWN};
	char quoted[2 * FTS_DETAIL_MAX];
	va_list args;
	if (atomic_exchange(&replica->failed, true)) return;
	atomic_store(&replica->accepting, false);
	atomic_store(&replica->serving, false);
	va_start(args, format);
	(void)vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	FTS_LOG_ERROR("replica.failed", "node=%s status=%s detail=%s", replica->name, fts_status_name(status),
		      fts_log_quote(quoted, sizeof quoted, error.detail));
	replica->failure = error;
	/* A failure to start is told by fts_replica_start instead. */
	if (replica->raft_running && replica->options.on_fatal != NULL)
		replica->options.on_fatal(replica->options.ctx, &error);
}

/* ---- What others may know ---- */

static void tell_status(struct fts_replica *replica, bool worked)
{
	struct fts_replica_status *status = &replica->status;
	bool serving = atomic_load(&replica->serving);
	bool was_ready;
	uint64_t applied_index = atomic_load(&replica->applied_index);
	/* Entries that change nothing, as barriers, leave no mark in DIR/state: raft alone knows of them. */
	if (replica->txn == NULL && raft_last_applied(&replica->raft) > applied_index)
		applied_index = raft_last_applied(&replica->raft);
	if (worked) replica->progress++;
	pthread_mutex_lock(&replica->status_lock);
	was_ready = status->ready;
	status->leader = serving;
	status->term = replica->raft.current_term;
	status->commit_index = replica->raft.commit_index;
	status->applied_index = applied_index;
	status->progress = replica->progress;
	status->ready = serving;
	(void)snprintf(status->leader_name, sizeof status->leader_name, "%s", serving ? replica->name : "");
	if (status->ready != was_ready) pthread_cond_broadcast(&replica->status_changed);
	pthread_mutex_unlock(&replica->status_lock);
}

/* ---- A turn ---- */

static void start_snapshot(struct fts_replica *replica)
{
	struct ftsi_job *job = replica->snapshot_job;
	if (job == NULL || atomic_load(&replica->failed)) return;
	/* barriers and configuration changes are applied by raft alone: the state must say that it is past them */
	if (ftsi_apply_mark(replica, raft_last_applied(&replica->raft)) != FTS_OK) return;
	replica->snapshot_job = NULL;
	ftsi_worker_submit(&replica->snapshot_worker, job);
}

static void run_turns(struct fts_replica *replica)
{
	bool leader = atomic_load(&replica->serving);
	int64_t now_ms = fts_clock_wall_ms();
	struct fts_txn *view = NULL;
	for (size_t i = 0; i < replica->machine_count; i++) {
		const struct fts_machine *machine = replica->machines[i];
		if (machine->on_turn == NULL) continue;
		if (view == NULL && fts_store_view(replica->state, &view) != FTS_OK)
			return; /* no memory now: there is another turn soon */
		machine->on_turn(machine->ctx, view, leader, now_ms);
	}
	fts_txn_abort(view);
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Nothing may reach the loop any more: all work that was given to the workers has ended. */
static void end_loop(struct fts_replica *replica)
{
	struct ftsi_post *left = ftsi_mailbox_close(&replica->mailbox);
	while (left != NULL) {
		struct ftsi_post *next = left->next;
		left->run(replica, left);
		left = next;
	}
	ftsi_propose_refuse_all(replica, "this node is stopping");
	ftsi_read_refuse_all(replica);
	uv_walk(&replica->uv, close_handle, NULL);
}

static void raft_is_closed(struct raft *raft)
{
	struct fts_replica *replica = raft->data;
	replica->raft_open = false;
	end_loop(replica);
}

/* What a snapshot that never reached its worker still holds. */
static void drop_snapshot_job(struct fts_replica *replica)
{
	struct ftsi_job *job = replica->snapshot_job;
	replica->snapshot_job = NULL;
	if (job != NULL) job->done(replica, job, FTS_CANCELLED);
}

static bool workers_idle(const struct fts_replica *replica)
{
	return replica->append_worker.open_count == 0 && replica->snapshot_worker.open_count == 0;
}

static void go_on_stopping(struct fts_replica *replica)
{
	bool failed = atomic_load(&replica->failed);
	raft_io_close_cb closed = replica->raft_closed;
	if (!replica->stopping || !workers_idle(replica) || (replica->inflight.active && !failed)) return;
	if (!replica->closing) {
		replica->closing = true;
		drop_snapshot_job(replica);
		if (replica->raft_open)
			raft_close(&replica->raft, raft_is_closed);
		else
			end_loop(replica);
		closed = replica->raft_closed;
	}
	if (closed != NULL) {
		replica->raft_closed = NULL;
		closed(&replica->io);
	}
}

void ftsi_loop_turn(struct fts_replica *replica, bool worked)
{
	bool failed = atomic_load(&replica->failed);
	if (!failed && !replica->closing) {
		ftsi_guard_observe(replica);
		ftsi_propose_batch(replica);
		failed = ftsi_apply_commit(replica) != FTS_OK;
	}
	if (!failed && !replica->closing) {
		start_snapshot(replica);
		ftsi_read_index_round(replica);
		if (replica->events_published) {
			replica->events_published = false;
			run_turns(replica);
		}
	}
	if (atomic_load(&replica->failed)) {
		ftsi_propose_lost(replica);
		ftsi_propose_refuse_all(replica, "this node has failed");
		ftsi_read_refuse_all(replica);
	}
	go_on_stopping(replica);
	tell_status(replica, worked);
}

void ftsi_loop_begin_stop(struct fts_replica *replica)
{
	replica->stopping = true;
	atomic_store(&replica->accepting, false);
	atomic_store(&replica->serving, false);
	ftsi_propose_refuse_all(replica, "this node is stopping");
	ftsi_read_refuse_all(replica);
}

/* ---- Wake-ups ---- */

static void on_wake(uv_async_t *async)
{
	struct fts_replica *replica = async->data;
	struct ftsi_post *post = ftsi_mailbox_take(&replica->mailbox);
	while (post != NULL) {
		struct ftsi_post *next = post->next; /* post is gone once it has run */
		post->run(replica, post);
		post = next;
	}
	ftsi_loop_turn(replica, true);
}

static void on_tick(uv_timer_t *timer)
{
	struct fts_replica *replica = timer->data;
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (replica->raft_tick != NULL && !replica->stopping && !atomic_load(&replica->failed) &&
	    ftsi_guard_may_tick(replica)) {
		replica->raft_tick(&replica->io);
		ftsi_guard_observe(replica);
	}
	ftsi_propose_check_disk(replica, now_ns);
	ftsi_read_expire(replica, now_ns);
	ftsi_loop_turn(replica, false);
}

static void on_turn(uv_timer_t *timer)
{
	struct fts_replica *replica = timer->data;
	if (!replica->stopping && !atomic_load(&replica->failed)) run_turns(replica);
}

/* ---- Start ---- */

static int make_handles(struct fts_replica *replica)
{
	if (uv_loop_init(&replica->uv) != 0) return -1;
	replica->loop_open = true;
	replica->tick_timer.data = replica->turn_timer.data = replica;
	if (ftsi_mailbox_init(&replica->mailbox, &replica->uv, on_wake, replica) != 0 ||
	    uv_timer_init(&replica->uv, &replica->tick_timer) != 0 ||
	    uv_timer_init(&replica->uv, &replica->turn_timer) != 0 ||
	    uv_timer_start(&replica->tick_timer, on_tick, FTSI_TICK_MS, FTSI_TICK_MS) != 0 ||
	    uv_timer_start(&replica->turn_timer, on_turn, FTSI_TURN_MS, FTSI_TURN_MS) != 0)
		return -1;
	return 0;
}

static bool is_sole_voter(const struct fts_replica *replica)
{
	unsigned voters = 0;
	bool self = false;
	for (unsigned i = 0; i < replica->raft.configuration.n; i++) {
		if (replica->raft.configuration.servers[i].role != RAFT_VOTER) continue;
		voters++;
		self = self || replica->raft.configuration.servers[i].id == replica->raft.id;
	}
	return self && voters == 1;
}

static int start_raft(struct fts_replica *replica)
{
	int result;
	ftsi_raft_io_init(replica);
	ftsi_fsm_init(replica);
	result = raft_init(&replica->raft, &replica->io, &replica->fsm, replica->identity.node_id, replica->address);
	if (result != 0) return result;
	replica->raft_open = true;
	replica->raft.data = replica;
	raft_set_heartbeat_timeout(&replica->raft, FTSI_TICK_MS);
	raft_set_election_timeout(&replica->raft, FTSI_ELECTION_MS);
	raft_set_pre_vote(&replica->raft, true);
	raft_set_snapshot_trailing(&replica->raft, 0); /* nobody lags behind the only voter */
	ftsi_guard_snapshot_due(replica, false);
	result = raft_start(&replica->raft);
	if (result != 0)
		ftsi_loop_fail(replica, FTS_INTERNAL, "the log can't be started: %s", raft_errmsg(&replica->raft));
	return result;
}

int ftsi_loop_start(struct fts_replica *replica)
{
	if (make_handles(replica) != 0) {
		ftsi_loop_fail(replica, FTS_RESOURCE_EXHAUSTED, "no memory for the replica");
		return -1;
	}
	ftsi_worker_start(&replica->append_worker, &replica->mailbox, "fts-append");
	ftsi_worker_start(&replica->snapshot_worker, &replica->mailbox, "fts-snapshot");
	if (start_raft(replica) != 0) return -1;
	replica->raft_running = true;
	atomic_store(&replica->sole, is_sole_voter(replica));
	atomic_store(&replica->accepting, true);
	ftsi_loop_turn(replica, true);
	return 0;
}

void ftsi_loop_run(struct fts_replica *replica)
{
	if (!replica->loop_open) return;
	(void)uv_run(&replica->uv, UV_RUN_DEFAULT);
	(void)uv_loop_close(&replica->uv);
	replica->loop_open = false;
}
